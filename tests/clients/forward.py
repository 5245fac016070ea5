"""http_proxy: the client's own host name stays, and the proxy is asked in absolute form."""

import os
import subprocess
import sys

import requests

from ground import Ground, Suite, equal

ground = Ground()
suite = Suite()
HOST = "http://api.gemini.com"


def proxies(credential):
    return {"http": f"http://{credential}127.0.0.1:{ground.strict_port}"}


def with_credential():
    through = proxies(f"bot:{ground.tokens['forwarder']}@")
    balances = requests.post(f"{HOST}/v1/balances", proxies=through)
    equal((balances.status_code, balances.headers["geminid-outcome"]), (200, "executed"))
    order = {"symbol": "btcusd", "amount": "0.01", "price": "50000.00", "side": "buy", "type": "exchange limit"}
    placed = requests.post(f"{HOST}/v1/order/new", json=order, proxies=through)
    cancelled = requests.post(f"{HOST}/v1/order/cancel", json={"order_id": placed.json()["order_id"]}, proxies=through)
    assert cancelled.json()["is_cancelled"], cancelled.text


def without():
    answer = requests.post(f"{HOST}/v1/balances", proxies=proxies(""))
    equal((answer.status_code, answer.json()["diagnosis"]["cause"]), (407, "client-unidentified"))
    assert "Basic" in answer.headers["Proxy-Authenticate"]


def wrong():
    answer = requests.post(f"{HOST}/v1/balances", proxies=proxies("bot:wrong@"))
    equal((answer.status_code, answer.json()["diagnosis"]["cause"]), (407, "client-credential-wrong"))


def public():
    answer = requests.get(f"{HOST}/v1/pubticker/btcusd", proxies=proxies(""))
    equal(answer.json()["bid"], "64999.99")


def other_host():
    through = proxies(f"bot:{ground.tokens['forwarder']}@")
    answer = requests.get("http://example.com/v1/pubticker/btcusd", proxies=through)
    equal((answer.status_code, answer.json()["diagnosis"]["cause"]), (421, "host-refused"))


def variable():
    through = proxies(f"bot:{ground.tokens['forwarder']}@")["http"]
    script = f"import requests; print(requests.post('{HOST}/v1/balances').status_code)"
    ran = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "http_proxy": through},
        capture_output=True, text=True, check=True,
    )
    equal(ran.stdout.strip(), "200")


def not_on():
    entry = ground.simulator.entries(key=ground.keys["strict"], path="/v1/balances")[-1]
    assert not [it for it in entry["header_names"] if it.startswith("proxy-") or it == "authorization"], entry


suite.case("Basic in Proxy-Authorization: balances, an order, its cancel", with_credential)
suite.case("no credential is a 407", without)
suite.case("a wrong credential is a 407", wrong)
suite.case("public data needs no client", public)
suite.case("another host is refused", other_host)
suite.case("the variable http_proxy", variable)
suite.case("the credential goes no further", not_on)
suite.end()
