"""ccxt for Python, synchronous, with a stand-in pair."""

import ccxt

from ground import Ground, Suite, equal
from settings import ccxt_settings

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.port}"
bot = ccxt.gemini(ccxt_settings(url, ground.pairs["bot"]))


def markets():
    found = bot.load_markets()
    assert found["BTC/USD"]["spot"] and found["BTC/USD"]["precision"]["price"] == 0.01


def public():
    equal(bot.fetch_ticker("BTC/USD")["bid"], 64999.99)
    equal(bot.fetch_order_book("BTC/USD")["asks"][0][0], 65000.01)
    assert bot.fetch_trades("BTC/USD") and bot.fetch_ohlcv("BTC/USD", "1m")
    assert "ETH/USD" in bot.fetch_tickers()


def order():
    placed = bot.create_order("BTC/USD", "limit", "buy", 0.01, 60000)
    equal((placed["status"], len(placed["id"])), ("open", 18))
    assert placed["id"] in [it["id"] for it in bot.fetch_open_orders()]
    equal(bot.fetch_order(placed["id"])["clientOrderId"], placed["clientOrderId"])
    equal(bot.cancel_order(placed["id"])["status"], "canceled")
    assert placed["id"] not in [it["id"] for it in bot.fetch_open_orders()]


def fill():
    filled = bot.create_order("BTC/USD", "limit", "sell", 0.01, 60000)
    equal((filled["status"], filled["average"]), ("closed", 64999.99))
    assert filled["id"] in [it["order"] for it in bot.fetch_my_trades("BTC/USD")]


def balances():
    assert bot.fetch_balance()["BTC"]["total"] > 0
    equal(bot.fetch_trading_fees()["BTC/USD"]["taker"], 0.004)


def addresses():
    address = bot.fetch_deposit_address("BTC", {"network": "BTC"})["address"]
    assert address.startswith("bc1q"), address
    equal(bot.fetch_deposit_addresses_by_network("BTC", {"network": "BTC"})["BTC"]["address"], address)
    assert isinstance(bot.fetch_deposits_withdrawals(), list)


def treasury():
    treasurer = ccxt.gemini(ccxt_settings(url, ground.pairs["treasurer"]))
    assert treasurer.create_deposit_address("ETH")["address"].startswith("0x")
    assert treasurer.withdraw("BTC", 0.5, "bc1qcold")["id"]
    before = len(ground.simulator.entries())
    try:
        treasurer.withdraw("BTC", 0.5, "bc1qthief")
    except ccxt.AuthenticationError as refusal:
        assert "bc1qthief" not in ground.simulator.entries()[-1]["payload"], refusal
    else:
        raise AssertionError("a withdrawal to an address that is not in the configuration")
    equal(len(ground.simulator.entries()), before)


def other_keys():
    timed = ccxt.gemini(ccxt_settings(url, ground.pairs["timed"]))
    assert timed.fetch_balance()["BTC"]["total"] > 0
    # ccxt itself refuses a `master-` key; with a stand-in it never sees one.
    group = ccxt.gemini(ccxt_settings(url, ground.pairs["group"]))
    assert group.fetch_balance()["BTC"]["total"] > 0
    sent = ground.simulator.entries(key=ground.keys["group"], path="/v1/balances")
    assert '"account":"primary"' in sent[-1]["payload"], sent[-1]


def sent_as_documented():
    entry = ground.simulator.entries(key=ground.keys["trading"], path="/v1/order/new")[-1]
    equal(
        {name: entry[name] for name in ["content_type", "content_length", "cache_control", "body_bytes"]},
        {"content_type": "text/plain", "content_length": "0", "cache_control": "no-cache", "body_bytes": 0},
    )


suite.case("load_markets without exchange.gemini.com", markets)
suite.case("tickers, book, trades, candles", public)
suite.case("an order: placed, listed, looked up, cancelled", order)
suite.case("an order that is filled, and my trades", fill)
suite.case("balances and fees", balances)
suite.case("deposit addresses and transfers", addresses)
suite.case("a withdrawal to the address that is allowed, and to no other", treasury)
suite.case("a time-based key and a master key behind a stand-in", other_keys)
suite.case("what reaches the exchange has the documented headers", sent_as_documented)
suite.end()
