"""Whether ccxt raises through the proxy what it raises at the exchange itself."""

import os

from ground import Ground, Suite, equal

ground = Ground()
os.environ["REQUESTS_CA_BUNDLE"] = ground.ca

import ccxt  # noqa: E402

from settings import ccxt_settings, direct_settings  # noqa: E402

suite = Suite()
simulator = ground.simulator
url = f"http://127.0.0.1:{ground.port}"


def via(name, secret=None):
    key, own = ground.pairs.get(name, [f"account-{name}", "x"])
    return ccxt.gemini(ccxt_settings(url, (key, secret or own)))


def straight(role):
    return ccxt.gemini(direct_settings(ground, ground.direct[role]))


bot, viewer, reporter = via("bot"), via("viewer"), via("reporter")
trader, auditor = straight("Trader"), straight("Auditor")
MARKETS = bot.load_markets()
for it in [viewer, reporter, trader, auditor]:
    it.set_markets(MARKETS)


def raised(run, exchange):
    try:
        run(exchange)
    except ccxt.BaseError as error:
        return type(error).__name__
    return "-"


def order(amount="0.01", price="60000", symbol="btcusd", **more):
    request = {"symbol": symbol, "amount": amount, "price": price, "side": "buy", "type": "exchange limit", **more}
    return lambda exchange: exchange.private_post_v1_order_new(request)


def balance(exchange):
    return exchange.fetch_balance()


def ticker(exchange):
    return exchange.public_get_v1_pubticker_symbol({"symbol": "btcusd"})


def page(status, text="<html><head><title>Sorry</title></head></html>"):
    return {"answer": {"status": status, "body": text, "headers": {"content-type": "text/html"}}}


def words(status, body):
    return {"answer": {"status": status, "body": body}}


nobody = ccxt.gemini(direct_settings(ground, ("account-nobody", "x")))
forger = ccxt.gemini(direct_settings(ground, (ground.direct["Trader"][0], "wrong")))

# What it is about, a fault of the exchange, the call, who calls directly, who calls through the proxy.
SAME = [
    ("an unknown key", None, balance, nobody, via("nobody")),
    ("a wrong secret", None, balance, forger, via("bot", "wrong")),
    ("a role that the key lacks", None, order(), auditor, reporter),
    ("a scope that the client lacks", None, order(), auditor, viewer),
    ("an unknown symbol", None, order(symbol="nosuch"), trader, bot),
    ("an unknown symbol, public", None, lambda it: it.public_get_v1_pubticker_symbol({"symbol": "nosuch"}), trader, bot),
    ("a path that is not there", None, lambda it: it.fetch2("v1/no/such/thing", "public"), trader, bot),
    ("too little money", None, order(amount="99999"), trader, bot),
    ("a bad price", None, order(price="-1"), trader, bot),
    ("a bad amount", None, order(amount="0"), trader, bot),
    ("a bad side", None, order(side="sideways"), trader, bot),
    ("a bad type", None, order(type="exchange whim"), trader, bot),
    ("conflicting options", None, order(options=["maker-or-cancel", "fill-or-kill"]), trader, bot),
    ("an order that is not there", None, lambda it: it.cancel_order("144115188075000000"), trader, bot),
    ("maintenance", {"maintenance": True}, balance, trader, bot),
    ("maintenance, for an order", {"maintenance": True}, order(), trader, bot),
    ("the rate limit", {"rate_limited": True}, balance, trader, bot),
    ("an edge that blocks (1020)", {"html": "cloudflare"}, balance, trader, bot),
    ("an edge that blocks an order", {"html": "cloudflare"}, order(), trader, bot),
    ("an edge that bans (1006)", {"html": "cloudflare_banned"}, balance, trader, bot),
    ("a load balancer that blocks", {"html": "awselb"}, balance, trader, bot),
    ("an edge that blocks public data", {"html": "cloudflare"}, ticker, trader, bot),
    ("an empty 403", words(403, ""), balance, trader, bot),
    ("a 403 with other JSON", words(403, '{"error":"forbidden"}'), balance, trader, bot),
    ("a 401 page", page(401), balance, trader, bot),
    ("an IP that is not trusted", words(403, '{"result":"error","reason":"RemoteAddressForbidden","message":"no"}'), balance, trader, bot),
    ("a reason nobody knows", words(400, '{"result":"error","reason":"Whatever","message":"no"}'), balance, trader, bot),
    ("a 404 page", page(404), balance, trader, bot),
    ("a 429 page", page(429), balance, trader, bot),
    ("a 500 page", page(500), balance, trader, bot),
    ("the exchange's System error", words(500, '{"result":"error","reason":"System","message":"We are experiencing technical issues"}'), balance, trader, bot),
    ("a 502 page", page(502), balance, trader, bot),
    ("a 502 page, for an order", page(502), order(), trader, bot),
    ("a 503 page, for a read", page(503), balance, trader, bot),
    ("a 504 page, for an order", page(504), order(), trader, bot),
]

# Where the proxy is meant to differ, and what each raises.
BETTER = [
    ("a nonce that another process has passed", {"nonce_mark": None}, balance, "InvalidNonce", "-"),
    # A 503 of ours is a promise that nothing was sent; that of a page in between is none.
    ("a 503 page, for an order", page(503), order(), "OnMaintenance", "ExchangeNotAvailable"),
    ("a redirect", {"redirect": "https://localhost:1/"}, order(), None, "ExchangeNotAvailable"),
    ("an answer cut short", {"truncate": 20}, order(), None, "ExchangeNotAvailable"),
    ("an answer that never comes", {"close": "after_execute"}, order(), None, "ExchangeNotAvailable"),
]

print(f"       {'case':42} {'direct':24} via")


def compare(name, action, call, one, other):
    def run():
        got = []
        for exchange in [one, other]:
            simulator.no_script()
            if action:
                simulator.script("/v1/*", action)
            got.append(raised(call, exchange))
        simulator.no_script()
        print(f"       {name:42} {got[0]:24} {got[1]}")
        assert got[0] != "-", "nothing was raised"
        equal(got[1], got[0])

    return run


def differ(action, call, at_exchange, at_proxy):
    def run():
        if at_exchange:
            simulator.script("/v1/*", told(action, trader))
            equal(raised(call, trader), at_exchange)
        simulator.script("/v1/*", told(action, bot))
        equal(raised(call, bot), at_proxy)
        simulator.no_script()

    return run


def told(action, exchange):
    if "nonce_mark" in action:
        # Ahead of what either would use now: far for one, and for the other as far as it may wait.
        ahead = 60_000 if exchange is trader else 400
        return {"nonce_mark": str(exchange.milliseconds() + ahead)}
    return action


for name, action, call, one, other in SAME:
    suite.case(name, compare(name, action, call, one, other))
for name, action, call, at_exchange, at_proxy in BETTER:
    suite.case(f"{name}: {at_exchange or 'anything'} there, {at_proxy} here", differ(action, call, at_exchange, at_proxy))
suite.end()
