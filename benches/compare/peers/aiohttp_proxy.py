"""A signing proxy as one writes it with aiohttp: one session, kept connections, no access log.

aiohttp_proxy.py PORT UPSTREAM_PORT CA_PEM API_KEY SECRET_FILE
"""

import base64
import hashlib
import hmac
import json
import ssl
import sys
import time

from aiohttp import ClientSession, TCPConnector, web

PORT, UPSTREAM_PORT, CA, API_KEY, SECRET_FILE = sys.argv[1:]
UPSTREAM = f"https://localhost:{UPSTREAM_PORT}"
with open(SECRET_FILE, "rb") as file:
    SECRET = file.read().strip()

last_nonce = 0


def next_nonce():
    global last_nonce
    last_nonce = max(time.time_ns() // 1_000, last_nonce + 1)
    return last_nonce


async def forward(request):
    parameters = await request.json()
    payload = {"request": request.path, "nonce": next_nonce(), **parameters}
    encoded = base64.b64encode(json.dumps(payload).encode())
    headers = {
        "X-GEMINI-APIKEY": API_KEY,
        "X-GEMINI-PAYLOAD": encoded.decode(),
        "X-GEMINI-SIGNATURE": hmac.new(SECRET, encoded, hashlib.sha384).hexdigest(),
        "Content-Type": "text/plain",
        "Content-Length": "0",
        "Cache-Control": "no-cache",
    }
    async with request.app["session"].post(UPSTREAM + request.path, headers=headers) as answer:
        body = await answer.read()
        return web.Response(status=answer.status, body=body, content_type=answer.content_type)


async def session(app):
    tls = ssl.create_default_context(cafile=CA)
    # No limit on connections: each call in flight has one, as at the other peers.
    async with ClientSession(connector=TCPConnector(ssl=tls, limit=0)) as app["session"]:
        yield


app = web.Application()
app.cleanup_ctx.append(session)
app.router.add_post("/{path:.*}", forward)
web.run_app(app, host="127.0.0.1", port=int(PORT), access_log=None, print=None, backlog=4096)
