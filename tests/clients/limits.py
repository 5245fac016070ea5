"""What a client may do, to the symbol and the dollar: the same ccxt bot behind different grants.

Whatever is refused here must not reach the exchange: each case counts what arrived there.
"""

import os

import requests

from ground import Ground, Suite, equal

ground = Ground()
os.environ["REQUESTS_CA_BUNDLE"] = ground.ca

import ccxt  # noqa: E402

from settings import ccxt_settings, direct_settings  # noqa: E402

suite = Suite()
simulator = ground.simulator
url = f"http://127.0.0.1:{ground.bare_port}"
ORDER = {"symbol": "btcusd", "amount": "0.01", "price": "50000", "side": "buy", "type": "exchange limit"}


def bot(name):
    exchange = ccxt.gemini(ccxt_settings(url, ground.pairs[name]))
    exchange.set_markets(MARKETS)
    return exchange


MARKETS = ccxt.gemini(ccxt_settings(url, ground.pairs["bot"])).load_markets()


def arrived():
    """What arrived for the exchange to execute. Public data is asked for by everyone."""
    return [it for it in simulator.entries() if it["method"] == "POST"]


def refused(run, *expected):
    """Runs what must be refused, with one of these classes, and without a word to the exchange."""
    before = len(arrived())
    try:
        run()
    except ccxt.BaseError as error:
        equal(type(error).__name__ in expected, True)
        told = str(error)
    else:
        raise AssertionError("it was not refused")
    equal(len(arrived()), before)
    return told


def post(path, body, name="limited-token"):
    headers = {"Authorization": f"Bearer {ground.tokens[name]}"}
    return requests.post(url + path, data=body.encode() if isinstance(body, str) else body, headers=headers)


def no(path, body, cause, status=403, name="limited-token"):
    before = len(arrived())
    answer = post(path, body, name)
    told = answer.json()
    equal((answer.status_code, told["diagnosis"]["cause"], told["result"]), (status, cause, "error"))
    equal((answer.headers["geminid-cause"], answer.headers["geminid-outcome"]), (cause, "not_sent"))
    assert told["diagnosis"]["fix"] and isinstance(told["message"], str), told
    equal(len(arrived()), before)
    return told


def yes(path, body, name="limited-token"):
    answer = post(path, body, name)
    equal(answer.status_code, 200)
    return answer.json()


def order(**changes):
    fields = {**ORDER, **changes}
    return "{" + ",".join(f'"{name}":{value if isinstance(value, Raw) else quoted(value)}' for name, value in fields.items()) + "}"


class Raw(str):
    """Text that goes into JSON as it is."""


def quoted(value):
    return f'"{value}"'


def auditor():
    it = bot("viewer")
    assert it.fetch_balance()["BTC"]["total"] > 0 and it.fetch_open_orders("BTC/USD") is not None
    told = refused(lambda: it.create_order("BTC/USD", "limit", "buy", 0.001, 50000), "AuthenticationError")
    assert "orders:create" in told, told


def trader():
    it = bot("trading-only")
    placed = it.create_order("BTC/USD", "limit", "buy", 0.001, 50000)
    equal(it.cancel_order(placed["id"])["status"], "canceled")
    refused(lambda: it.withdraw("BTC", 0.1, "bc1qcold"), "AuthenticationError")


def five_hundred():
    it = bot("limited")
    placed = it.create_order("BTC/USD", "limit", "buy", 0.01, 50000)
    equal(it.cancel_order(placed["id"])["status"], "canceled")
    refused(lambda: it.create_order("BTC/USD", "limit", "buy", 0.01, 50100), "InvalidOrder")
    refused(lambda: it.create_order("BTC/USD", "limit", "buy", 0.01002, 50000), "InvalidOrder")
    refused(lambda: it.create_order("SOL/USD", "limit", "buy", 0.1, 100), "BadSymbol", "BadRequest")


def by_price():
    no("/v1/order/new", order(price="50100"), "order-too-large")
    no("/v1/order/new", order(price=Raw("50100")), "order-too-large")
    no("/v1/order/new", order(price="50000.00000001"), "order-too-large")
    assert yes("/v1/order/new", order(price="50000.00"))["is_live"]


def by_amount():
    no("/v1/order/new", order(amount="0.01002"), "order-too-large")
    no("/v1/order/new", order(amount=Raw("0.01002")), "order-too-large")
    no("/v1/order/new", order(amount="0.0100000000001"), "order-too-large")


def by_a_floor():
    # A sell's limit is its floor: at a dollar it still sells for what the market pays.
    no("/v1/order/new", order(side="sell", amount="0.01", price="1"), "order-too-large")
    sold = yes("/v1/order/new", order(side="sell", amount="0.001", price="1"))
    equal(sold["executed_amount"], "0.001")


def by_exponent():
    for value in ["1e-2", "1E5", "5e4"]:
        no("/v1/order/new", order(price=value), "request-malformed", 400)
        no("/v1/order/new", order(amount=Raw(value)), "request-malformed", 400)


def by_digit():
    for value in ["٥٠٠٠٠", "５００００", "50000\u200b", " 50000", "+50000", "0x1", "50_000", "50,000", "-1", ""]:
        no("/v1/order/new", order(price=value), "request-malformed", 400)


def by_duplicate():
    for second in ['"price":"50100"', '"Price":"50100"', '"pr\\u0069ce":"50100"']:
        no("/v1/order/new", order()[:-1] + "," + second + "}", "request-malformed", 400)


def by_capitals():
    for name in ["Price", "PRICE", "Amount", "Symbol", "Side", "Type", "Options"]:
        text = order().replace(f'"{name.lower()}"', f'"{name}"') if name.lower() in ORDER else order(**{name: "x"})
        no("/v1/order/new", text, "request-malformed", 400)
    no("/v1/order/new", order(symbol="BTCUSD", price="50100"), "order-too-large")
    no("/v1/order/new", order(symbol="SOLUSD", price="1"), "symbol-refused")


def by_market():
    market = {name: value for name, value in ORDER.items() if name != "price"}
    text = "{" + ",".join(f'"{name}":"{value}"' for name, value in {**market, "type": "exchange market"}.items()) + "}"
    no("/v1/order/new", text, "order-too-large")


def by_another_way():
    no("/v1/instant/quote", '{"side":"buy","symbol":"btcusd","totalSpend":"501"}', "order-unpriceable")
    no("/v1/instant/execute", '{"symbol":"btcusd","side":"buy","quantity":"0.1","price":"50000","fee":"0","quoteId":1}', "order-unpriceable")
    no("/v1/wrap/gusdusd", '{"amount":"501","side":"buy"}', "order-unpriceable")
    no("/v1/order/new", order()[:-1] + ',"total_spend":"501"}', "order-unpriceable")


def by_account():
    no("/v1/order/new", order(account="secondary"), "account-refused", name="limited-group")
    assert yes("/v1/order/new", order(account="primary", price="40000"), name="limited-group")["is_live"]


def per_day():
    # 1,000 a day: 500, 400, then only 100 more.
    day = "daily-token"
    first = yes("/v1/order/new", order(), name=day)
    yes("/v1/order/new", order(price="40000"), name=day)
    no("/v1/order/new", order(amount="0.00201"), "daily-limit-reached", name=day)
    # What was not filled comes back when the order ends.
    yes("/v1/order/cancel", '{"order_id":%s}' % first["order_id"], name=day)
    yes("/v1/order/new", order(), name=day)
    no("/v1/order/new", order(amount="0.01"), "daily-limit-reached", name=day)


def observed():
    answer = post("/v1/order/new", order(symbol="solusd", price="100", amount="0.1"), "observed")
    equal((answer.status_code, answer.headers.get("geminid-would-refuse")), (200, "symbol-refused"))
    answer = post("/v1/order/new", order(price="50100"), "observed")
    equal((answer.status_code, answer.headers.get("geminid-would-refuse")), (200, "order-too-large"))
    equal(post("/v1/order/new", order(price="40000"), "observed").headers.get("geminid-would-refuse"), None)
    no("/v1/order/new", order(price="1e3"), "request-malformed", 400, "observed")
    no("/v1/withdraw/btc", '{"address":"bc1qcold","amount":"1"}', "withdrawal-refused", name="observed")


def classes():
    """ccxt raises what it raises at the exchange for the same reason."""
    direct = ccxt.gemini(direct_settings(ground, ground.direct["Trader"]))
    direct.set_markets(MARKETS)
    it, viewer = bot("limited"), bot("viewer")
    place = lambda exchange, **changes: exchange.private_post_v1_order_new({**ORDER, **changes})  # noqa: E731
    for reason, exchange, changes in [
        ("MissingRole", viewer, {}),
        ("InvalidQuantity", it, {"price": "50100"}),
        ("InvalidSymbol", it, {"symbol": "solusd"}),
        ("InvalidOrderType", it, {"total_spend": "501"}),
        ("InvalidJson", it, {"price": "1e3"}),
        ("InvalidSide", bot("buyer"), {"side": "sell"}),
    ]:
        body = '{"result":"error","reason":"%s","message":"no"}' % reason
        simulator.script("/v1/*", {"answer": {"status": 400, "body": body}})
        there = raised(lambda: place(direct, **changes))
        simulator.no_script()
        here = raised(lambda: place(exchange, **changes))
        print(f"       {reason:20} {there:24} {here}")
        equal(here, there)


def raised(run):
    try:
        run()
    except ccxt.BaseError as error:
        return type(error).__name__
    raise AssertionError("nothing was raised")


suite.case("with auditor ccxt reads, and does not trade", auditor)
suite.case("with trader it trades, and does not withdraw", trader)
suite.case("with 500 USD ccxt places 500, and not 501", five_hundred)
suite.case("501 by price", by_price)
suite.case("501 by amount", by_amount)
suite.case("501 by a sell with a low limit", by_a_floor)
suite.case("501 by exponent", by_exponent)
suite.case("501 by digits of another script, signs and blanks", by_digit)
suite.case("501 by a name that stands twice", by_duplicate)
suite.case("501 by capital letters", by_capitals)
suite.case("501 by a market order", by_market)
suite.case("501 by an instant order, a wrap, a field that nobody knows", by_another_way)
suite.case("501 by a sub-account", by_account)
suite.case("so much a day, and what was not filled comes back", per_day)
suite.case("observe: told, and not refused, but for money and parsing", observed)
suite.case("ccxt raises what the exchange's own reason raises", classes)
suite.end()
