// A signing proxy as one writes it with Node's own modules: one agent, kept connections, no log.
//
//     NODE_EXTRA_CA_CERTS=CA_PEM node node_proxy.mjs PORT UPSTREAM_PORT API_KEY SECRET_FILE

import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Agent, request as send } from "node:https";

const [port, upstreamPort, apiKey, secretFile] = process.argv.slice(2);
const secret = readFileSync(secretFile, "utf8").trim();
const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024 });

let lastNonce = 0;

function nextNonce() {
    lastNonce = Math.max(Date.now() * 1000, lastNonce + 1);
    return lastNonce;
}

function headersFor(path, parameters) {
    const payload = { request: path, nonce: nextNonce(), ...parameters };
    const encoded = Buffer.from(JSON.stringify(payload)).toString("base64");
    return {
        "X-GEMINI-APIKEY": apiKey,
        "X-GEMINI-PAYLOAD": encoded,
        "X-GEMINI-SIGNATURE": createHmac("sha384", secret).update(encoded).digest("hex"),
        "Content-Type": "text/plain",
        "Content-Length": "0",
        "Cache-Control": "no-cache",
    };
}

function forward(request, response, body) {
    const path = request.url;
    let headers;
    try {
        headers = headersFor(path, JSON.parse(body));
    } catch {
        response.writeHead(400).end();
        return;
    }
    const options = { host: "localhost", port: upstreamPort, method: "POST", path, headers, agent };
    const call = send(options, (answer) => {
        const parts = [];
        answer.on("data", (chunk) => parts.push(chunk));
        answer.on("end", () => {
            const body = Buffer.concat(parts);
            const fields = { "Content-Type": answer.headers["content-type"], "Content-Length": body.length };
            response.writeHead(answer.statusCode, fields).end(body);
        });
    });
    call.on("error", () => {
        if (!response.headersSent) response.writeHead(502);
        response.end();
    });
    call.end();
}

const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => forward(request, response, Buffer.concat(chunks).toString()));
});
// The default closes a connection after 5 s without a request.
server.keepAliveTimeout = 75_000;
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
