// Whether ccxt for JavaScript throws through the proxy what it throws at the exchange itself, and tells
// our line: explained.py in JavaScript.

import assert from "node:assert/strict";
import ccxt from "ccxt";
import { end, ground, test, thrown } from "./ground.mjs";

const here = `http://127.0.0.1:${ground.port}`;

function exchange(url, [apiKey, secret]) {
  return new ccxt.gemini({ apiKey, secret, enableRateLimit: false, urls: { api: { public: url, private: url } } });
}

const straight = exchange(ground.simulator_url, ground.direct.Trader);
const through = exchange(here, ground.pairs.bot);

async function simulator(method, path, body) {
  const answer = await fetch(`${ground.simulator_url}/_simulator/${path}`, { method, body: body && JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

function wanted({ word, status, cause }) {
  if (word.includes("nonce") || ![400, 401, 403, 407, 429, 503].includes(status)) return false;
  return status !== 400 || (cause !== null && cause !== "wrong-gemini");
}

async function refused(word, ask) {
  await simulator("POST", "script", { path: "/v1/*", times: 0, do: { refuse: word } });
  try {
    return await ask();
  } finally {
    await simulator("DELETE", "script");
    // A key that the exchange takes in between is never set aside.
    await through.privatePostV1Balances();
  }
}

async function ours() {
  const answer = await fetch(`${here}/v1/balances`, { method: "POST", headers: { authorization: `Bearer ${ground.tokens.caller}` } });
  return answer.json();
}

const listed = (await simulator("GET", "refusals")).refusals.filter(wanted);

await test(`${listed.length} rejections are compared`, () => assert.ok(listed.length >= 25));

for (const { word, status } of listed) {
  await test(`${word}: the same class, and our line`, async () => {
    const one = await refused(word, () => thrown(() => straight.privatePostV1Balances()));
    const other = await refused(word, () => thrown(() => through.privatePostV1Balances()));
    // fetch itself answers no 407.
    const { message } = status === 407 ? {} : await refused(word, ours);
    const line = (message ?? "").split(" — ").at(-1).slice(0, 24);
    assert.equal(other.constructor.name, one.constructor.name);
    assert.ok(one instanceof ccxt.BaseError, one.constructor.name);
    if (line) assert.ok(other.message.includes(line), `${line} is not in ${other.message}`);
  });
}

end();
