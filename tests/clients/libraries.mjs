// Old Gemini libraries for JavaScript, pointed here by an attribute, with a stand-in pair.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { end, ground, test, thrown } from "./ground.mjs";

const require = createRequire(import.meta.url);

function client(name, [key, secret]) {
  const Client = require(name).default;
  const made = new Client({ key, secret });
  made.baseUrl = `http://127.0.0.1:${ground.port}`;
  return made;
}

for (const name of ["gemini-api", "gemini-api-node"]) {
  await test(`${name}: a ticker, balances, an order and its cancel`, async () => {
    const bot = client(name, ground.pairs.bot);
    assert.equal((await bot.getTicker("btcusd")).bid, "64999.99");
    assert.ok((await bot.getMyAvailableBalances()).length > 0);
    const order = { symbol: "btcusd", amount: "0.01", price: "50000.00", side: "buy" };
    const placed = await bot.newOrder(order);
    assert.ok((await bot.getMyActiveOrders()).some((it) => it.order_id === placed.order_id));
    assert.ok((await bot.cancelOrder({ order_id: placed.order_id })).is_cancelled);
    assert.ok(Array.isArray(await bot.getMyPastTrades({ symbol: "btcusd" })));
  });
}

await test("gemini-api: a refusal rejects with the body", async () => {
  const viewer = client("gemini-api", ground.pairs.viewer);
  const refusal = await thrown(() => viewer.newOrder({ symbol: "btcusd" }));
  assert.equal(refusal.reason, "MissingRole");
  assert.equal(refusal.diagnosis.cause, "scope-missing");
});

await test("gemini-api-node: a refusal is an error with the response", async () => {
  const viewer = client("gemini-api-node", ground.pairs.viewer);
  const refusal = await thrown(() => viewer.newOrder({ symbol: "btcusd" }));
  assert.equal(refusal.response.status, 403);
  assert.equal(refusal.response.data.reason, "MissingRole");
});

end();
