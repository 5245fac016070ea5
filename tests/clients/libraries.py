"""Old Gemini libraries for Python, pointed here by an attribute, with a stand-in pair."""

import gemini
import geminipy
from gemini_api.authentication import Authentication
from gemini_api.endpoints.fund_management import FundManagement
from gemini_api.endpoints.order import Order
from gemini_api.endpoints.public import Public

from ground import Ground, Suite, equal

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.port}"
key, secret = ground.pairs["bot"]


def with_geminipy():
    client = geminipy.Geminipy(api_key=key, secret_key=secret)
    client.base_url = url
    equal(client.pubticker("btcusd").json()["bid"], "64999.99")
    assert client.balances().json()[0]["currency"]
    placed = client.new_order("0.01", "50000.00", "buy").json()
    assert placed["order_id"] in [it["order_id"] for it in client.active_orders().json()]
    assert client.cancel_order(placed["order_id"]).json()["is_cancelled"]
    equal(client.past_trades().status_code, 200)
    equal(client.heartbeat().json(), {"result": "ok"})


def geminipy_refused():
    client = geminipy.Geminipy(*ground.pairs["viewer"])
    client.base_url = url
    answer = client.new_order("0.01", "50000.00", "buy")
    equal((answer.status_code, answer.json()["reason"]), (403, "MissingRole"))


def with_gemini_python():
    client = gemini.PrivateClient(key, secret)
    client._base_url = url
    client.public_base_url = f"{url}/v1"
    equal(client.get_ticker("btcusd")["bid"], "64999.99")
    assert client.get_balance()[0]["currency"]
    placed = client.new_order("btcusd", "0.01", "50000.00", "buy", ["maker-or-cancel"])
    assert placed["order_id"] in [it["order_id"] for it in client.active_orders()]
    assert client.cancel_order(placed["order_id"])["is_cancelled"]
    assert isinstance(client.get_past_trades("btcusd"), list)


def gemini_python_refused():
    client = gemini.PrivateClient(*ground.pairs["reporter"])
    client._base_url = url
    answer = client.new_order("btcusd", "0.01", "50000.00", "buy", [])
    equal((answer["result"], answer["reason"]), ("error", "MissingRole"))
    ground.simulator.script("/v1/*", {"html": "cloudflare"})
    # Straight at the exchange this is a JSONDecodeError.
    assert client.get_balance()["diagnosis"]["cause"] == "edge-blocked"
    ground.simulator.no_script()


def with_gemini_api():
    auth = Authentication(key, secret)
    auth._url = url
    public = Public()
    public.url = f"{url}/v1"
    assert "btcusd" in [it.lower() for it in public.get_pairs()]
    assert FundManagement.get_available_balances(auth)[0]
    placed = Order.new_order(auth, "btcusd", "0.01", "50000.00", "buy", client_order_id="gemini-api-1")
    assert placed.order_id in [it.order_id for it in Order.get_active_orders(auth)]
    equal(Order.cancel_order(auth, placed.order_id).is_cancelled, True)
    # Its nonces repeat within a second; its reads may.
    for _ in range(5):
        assert FundManagement.get_available_balances(auth)


suite.case("geminipy 0.0.4", with_geminipy)
suite.case("geminipy: a refusal is a response", geminipy_refused)
suite.case("gemini_python 0.2.1", with_gemini_python)
suite.case("gemini_python: a refusal and a page of the edge are both JSON", gemini_python_refused)
suite.case("gemini_api 0.1.6", with_gemini_api)
suite.end()
