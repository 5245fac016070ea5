"""The exchange cannot be reached: nothing was sent, and the answer says so."""

import ccxt
import requests

from ground import Ground, Suite, equal
from settings import ccxt_settings

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.fragile_port}"
bot = ccxt.gemini(ccxt_settings(url, ground.pairs["fragile"]))


def raised(call):
    try:
        call()
    except ccxt.BaseError as error:
        # Nothing that a bot takes for a definite no, and nothing it may not repeat.
        assert isinstance(error, ccxt.NetworkError), type(error)
        assert "upstream-unreachable" in str(error), error
        return type(error)
    raise AssertionError("nothing was raised")


def with_ccxt():
    request = {"symbol": "btcusd", "amount": "0.01", "price": "60000", "side": "buy", "type": "exchange limit"}
    equal(raised(bot.private_post_v1_balances), ccxt.OnMaintenance)
    equal(raised(lambda: bot.private_post_v1_order_new(request)), ccxt.OnMaintenance)
    equal(raised(bot.public_get_v1_symbols), ccxt.OnMaintenance)


def plainly():
    answer = requests.get(f"{url}/v1/symbols")
    equal((answer.status_code, answer.headers["geminid-outcome"]), (503, "not_sent"))
    assert set(answer.json()) == {"message", "diagnosis"}, answer.text
    equal(answer.json()["diagnosis"]["retry"], "now")


suite.case("ccxt: OnMaintenance, which is a NetworkError", with_ccxt)
suite.case("503, nothing was sent, repeat", plainly)
suite.end()
