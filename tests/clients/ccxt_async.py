"""ccxt for Python, asynchronous, with a stand-in pair."""

import asyncio

import ccxt.async_support as ccxt

from ground import Ground, Suite, equal
from settings import ccxt_settings

ground = Ground()
suite = Suite()


def case(name, run):
    async def with_bot():
        bot = ccxt.gemini(ccxt_settings(f"http://127.0.0.1:{ground.port}", ground.pairs["bot"]))
        try:
            await run(bot)
        finally:
            await bot.close()

    suite.case(name, lambda: asyncio.run(with_bot()))


async def public(bot):
    assert "BTC/USD" in await bot.load_markets()
    equal((await bot.fetch_ticker("BTC/USD"))["bid"], 64999.99)


async def order(bot):
    placed = await bot.create_order("BTC/USD", "limit", "buy", 0.01, 60000)
    assert placed["id"] in [it["id"] for it in await bot.fetch_open_orders()]
    equal((await bot.cancel_order(placed["id"]))["status"], "canceled")


async def reads(bot):
    assert (await bot.fetch_balance())["BTC"]["total"] > 0
    assert isinstance(await bot.fetch_my_trades("BTC/USD"), list)
    address = await bot.fetch_deposit_address("BTC", {"network": "BTC"})
    assert address["address"].startswith("bc1q"), address


async def at_once(bot):
    await bot.load_markets()
    ids = [f"async-{number}" for number in range(20)]
    place = [bot.create_order("BTC/USD", "limit", "buy", 0.001, 50000, {"clientOrderId": it}) for it in ids]
    placed = await asyncio.gather(*place)
    equal([it["clientOrderId"] for it in placed], ids)
    cancelled = await asyncio.gather(*(bot.cancel_order(it["id"]) for it in placed))
    equal({it["status"] for it in cancelled}, {"canceled"})


async def refused(bot):
    key, secret = ground.pairs["viewer"]
    bot.apiKey, bot.secret = key, secret
    await bot.load_markets()
    try:
        await bot.create_order("BTC/USD", "limit", "buy", 0.01, 60000)
    except ccxt.AuthenticationError as refusal:
        equal(type(refusal), ccxt.AuthenticationError)
        assert "orders:create" in str(refusal), refusal
    else:
        raise AssertionError("an order by a client that may only read")


case("load_markets and a ticker", public)
case("an order: placed, listed, cancelled", order)
case("balances, trades, deposit address", reads)
case("20 orders at once on one increasing key, and 20 cancels", at_once)
case("a refusal of the proxy is an AuthenticationError", refused)
suite.end()
