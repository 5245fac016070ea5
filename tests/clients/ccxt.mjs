// ccxt for JavaScript, with a stand-in pair.

import assert from "node:assert/strict";
import ccxt from "ccxt";
import { end, ground, test, thrown } from "./ground.mjs";

const url = `http://127.0.0.1:${ground.port}`;

function exchange([apiKey, secret]) {
  return new ccxt.gemini({
    apiKey,
    secret,
    enableRateLimit: false,
    urls: { api: { public: url, private: url } },
    options: {
      fetchMarketsFromAPI: { fetchDetailsForAllSymbols: true },
      fetchCurrencies: { webApiEnable: false },
    },
  });
}

const bot = exchange(ground.pairs.bot);

await test("loadMarkets without exchange.gemini.com, and a ticker", async () => {
  assert.ok((await bot.loadMarkets())["BTC/USD"].spot);
  assert.equal((await bot.fetchTicker("BTC/USD")).bid, 64999.99);
});

await test("an order: placed, listed, cancelled", async () => {
  const placed = await bot.createOrder("BTC/USD", "limit", "buy", 0.01, 60000);
  assert.equal(placed.status, "open");
  assert.ok((await bot.fetchOpenOrders()).some((it) => it.id === placed.id));
  assert.equal((await bot.cancelOrder(placed.id)).status, "canceled");
});

await test("balances, trades, deposit address", async () => {
  assert.ok((await bot.fetchBalance()).BTC.total > 0);
  assert.ok(Array.isArray(await bot.fetchMyTrades("BTC/USD")));
  const address = await bot.fetchDepositAddress("BTC", { network: "BTC" });
  assert.ok(address.address.startsWith("bc1q"));
});

await test("20 orders at once on one increasing key", async () => {
  const ids = Array.from({ length: 20 }, (_, number) => `js-${number}`);
  const place = (clientOrderId) => bot.createOrder("BTC/USD", "limit", "buy", 0.001, 50000, { clientOrderId });
  const placed = await Promise.all(ids.map(place));
  assert.deepEqual(placed.map((it) => it.clientOrderId), ids);
  const cancelled = await Promise.all(placed.map((it) => bot.cancelOrder(it.id)));
  assert.ok(cancelled.every((it) => it.status === "canceled"));
});

await test("refusals of the proxy and of the exchange are AuthenticationErrors", async () => {
  for (const name of ["viewer", "reporter"]) {
    const other = exchange(ground.pairs[name]);
    const order = () => other.createOrder("BTC/USD", "limit", "buy", 0.01, 60000);
    assert.equal((await thrown(order)).constructor, ccxt.AuthenticationError, name);
  }
  const wrong = exchange([ground.pairs.bot[0], "wrong"]);
  assert.equal((await thrown(() => wrong.fetchBalance())).constructor, ccxt.AuthenticationError);
});

await test("an order that cannot be paid is InsufficientFunds", async () => {
  const order = () => bot.createOrder("BTC/USD", "limit", "buy", 9999, 60000);
  assert.equal((await thrown(order)).constructor, ccxt.InsufficientFunds);
});

end();
