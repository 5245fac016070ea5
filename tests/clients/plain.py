"""requests, with unsigned JSON: with a token, with nothing, and public data."""

import json

import requests

from ground import Ground, Suite, equal

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.port}"
strict = f"http://127.0.0.1:{ground.strict_port}"


def bearer(name):
    return {"Authorization": f"Bearer {ground.tokens[name]}"}


def refused(answer, status, cause):
    equal((answer.status_code, answer.json()["diagnosis"]["cause"]), (status, cause))
    equal(answer.headers["geminid-cause"], cause)
    equal(answer.headers["geminid-request-id"], answer.json()["diagnosis"]["request_id"])
    assert isinstance(answer.json()["message"], str)
    return answer.json()


def token():
    order = {"symbol": "btcusd", "amount": "0.01", "price": "50000.00", "side": "buy", "type": "exchange limit"}
    placed = requests.post(f"{url}/v1/order/new", json=order, headers=bearer("caller"))
    equal((placed.status_code, placed.headers["geminid-outcome"]), (200, "executed"))
    cancel = {"order_id": int(placed.json()["order_id"])}
    cancelled = requests.post(f"{url}/v1/order/cancel", json=cancel, headers=bearer("caller"))
    assert cancelled.json()["is_cancelled"], cancelled.text
    sent = json.loads(ground.simulator.entries(path="/v1/order/cancel")[-1]["payload"])
    equal(sent["order_id"], cancel["order_id"])


def digits():
    body = '{"symbol":"btcusd","amount":"0.0100000000000000000","price":50000.00,"side":"buy","type":"exchange limit","client_order_id":"zahl-\u00fc"}'
    answer = requests.post(f"{url}/v1/order/new", data=body.encode(), headers=bearer("caller"))
    equal(answer.status_code, 200)
    payload = ground.simulator.entries(path="/v1/order/new")[-1]["payload"]
    for text in ['"0.0100000000000000000"', "50000.00", "zahl-"]:
        assert text in payload, payload
    requests.post(f"{url}/v1/order/cancel", json={"order_id": answer.json()["order_id"]}, headers=bearer("caller"))


def nothing():
    equal(requests.post(f"{url}/v1/balances").status_code, 200)
    equal(requests.post(f"{url}/v1/mytrades", json={"symbol": "btcusd"}).status_code, 200)
    refusal = refused(requests.post(f"{url}/v1/order/new", json={}), 403, "scope-missing")
    equal((refusal["result"], refusal["reason"]), ("error", "MissingRole"))


def wrong():
    bad = {"Authorization": "Bearer wrong"}
    refusal = refused(requests.post(f"{url}/v1/balances", headers=bad), 401, "client-credential-wrong")
    equal(refusal["reason"], "InvalidApiKey")
    refused(requests.post(f"{strict}/v1/balances"), 401, "client-unidentified")
    refused(requests.post(f"{strict}/v1/balances", headers=bearer("caller")), 401, "client-credential-wrong")


def public():
    for base in [url, strict]:
        equal(requests.get(f"{base}/v1/pubticker/btcusd").json()["bid"], "64999.99")
    equal(requests.get(f"{url}/v1/book/btcusd", params={"limit_bids": 1}).status_code, 200)
    assert "authorization" not in ground.simulator.entries(path="/v1/pubticker/btcusd")[-1]["header_names"]


def bytes_alike():
    for path in ["/v1/symbols", "/v1/symbols/details/btcusd", "/v1/book/btcusd", "/v1/no/such/thing", "/"]:
        there = requests.get(ground.simulator_url + path, verify=ground.ca)
        here = requests.get(url + path)
        equal((here.status_code, here.content), (there.status_code, there.content))
        equal(here.headers["content-type"], there.headers["content-type"])


def one_connection():
    session = requests.Session()
    for _ in range(5):
        refused(session.get(f"{url}/v1/balances"), 405, "method-wrong")
        refused(session.post(f"{url}/v1/mytrades", data="symbol=btcusd"), 400, "request-malformed")
        equal(session.post(f"{url}/v1/balances").status_code, 200)


def odd():
    refused(requests.post(f"{url}/v1/balances", data=b"[" * 70_000), 413, "request-too-large")
    refused(requests.get(f"{url}/v1/order/new", headers=bearer("caller")), 405, "method-wrong")
    refused(requests.post(f"{url}/v1/no/such/thing", headers=bearer("caller")), 403, "operation-unknown")
    twice = '{"symbol":"btcusd","s\\u0079mbol":"ethusd"}'
    refused(requests.post(f"{url}/v1/mytrades", data=twice, headers=bearer("caller")), 400, "request-malformed")
    page = {"Origin": "https://example.com"}
    refused(requests.post(f"{url}/v1/balances", headers=page), 403, "browser-request")
    refused(requests.post(f"{url}/v1/balances", headers={"Host": "example.com"}), 421, "host-refused")


def probes():
    admin = f"http://127.0.0.1:{ground.admin_port}"
    for path in ["livez", "readyz", "startupz"]:
        equal(requests.get(f"{admin}/{path}").status_code, 200)
    assert "# EOF" in requests.get(f"{admin}/metrics").text


suite.case("a token: an order and its cancel", token)
suite.case("digits and text arrive as they were written", digits)
suite.case("nothing presented: what the client without a credential may", nothing)
suite.case("a wrong credential is a 401 that falls through to nobody", wrong)
suite.case("public data needs no client", public)
suite.case("answers pass byte for byte", bytes_alike)
suite.case("a session goes on after refusals", one_connection)
suite.case("odd requests are refused", odd)
suite.case("probes and metrics", probes)
suite.end()
