"""Many workers on one increasing key: what fails at the exchange itself from two on."""

import threading

import ccxt
import requests

from ground import Ground, Suite, equal
from settings import ccxt_settings

WORKERS, ROUNDS = 20, 6

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.port}"
key = ground.keys["crowd"]
faults = []


def bot():
    return ccxt.gemini(ccxt_settings(url, ground.pairs["crowd"]))


def with_ccxt(worker, markets):
    exchange = bot()
    exchange.set_markets(markets)
    for turn in range(ROUNDS):
        order = {"clientOrderId": f"crowd-{worker}-{turn}"}
        placed = exchange.create_order("BTC/USD", "limit", "buy", 0.001, 50000, order)
        equal(placed["clientOrderId"], order["clientOrderId"])
        exchange.fetch_balance()
        equal(exchange.cancel_order(placed["id"])["status"], "canceled")


def with_requests(worker, _):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {ground.tokens['crowd-token']}"

    def call(path, body):
        answer = session.post(f"{url}{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    for turn in range(ROUNDS):
        order = {"symbol": "btcusd", "amount": "0.001", "price": "50000.00", "side": "buy", "type": "exchange limit"}
        placed = call("/v1/order/new", {**order, "client_order_id": f"crowd-{worker}-{turn}"})
        call("/v1/balances", {})
        assert call("/v1/order/cancel", {"order_id": placed["order_id"]})["is_cancelled"]


def work(run, worker, markets):
    try:
        run(worker, markets)
    except Exception as fault:  # noqa: BLE001: told by the case
        faults.append(f"worker {worker}: {fault!r}")


def crowd():
    markets = bot().load_markets()
    threads = [
        threading.Thread(target=work, args=(with_ccxt if worker % 2 else with_requests, worker, markets))
        for worker in range(WORKERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(faults, [])


def in_order():
    tally = ground.simulator.summary()["keys"][key]
    assert tally["strictly_increasing"], tally
    # One more: the question how this key counts.
    equal((tally["arrivals"], tally["executed"]), (3 * WORKERS * ROUNDS + 1,) * 2)


def once():
    equal(ground.simulator.summary()["client_order_ids_executed_twice"], [])
    placed = ground.simulator.entries(key=key, path="/v1/order/new")
    ids = [it["client_order_id"] for it in placed]
    equal(sorted(ids), sorted(f"crowd-{worker}-{turn}" for worker in range(WORKERS) for turn in range(ROUNDS)))
    assert all(it["executed"] for it in placed)


suite.case(f"{WORKERS} workers of ccxt and requests, {3 * WORKERS * ROUNDS} calls, none fails", crowd)
suite.case("nonces arrived strictly increasing", in_order)
suite.case("every order was executed, once", once)
suite.end()
