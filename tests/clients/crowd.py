"""Many workers on one increasing key: what fails at the exchange itself from two on."""

import threading

import ccxt
import requests

from ground import Ground, Suite, equal
from settings import ccxt_settings

WORKERS = 20

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.port}"


class Crowd:
    """Half of its workers sign with a stand-in pair, the other half send a token."""

    def __init__(self, name, rounds):
        self.name, self.rounds = name, rounds
        self.key = ground.keys[name]
        self.pair, self.token = ground.pairs[name], ground.tokens[f"{name}-token"]
        self.faults = []

    def n_calls(self):
        return 3 * WORKERS * self.rounds

    def id(self, worker, turn):
        return f"{self.name}-{worker}-{turn}"

    def bot(self):
        return ccxt.gemini(ccxt_settings(url, self.pair))

    def with_ccxt(self, worker, markets):
        exchange = self.bot()
        exchange.set_markets(markets)
        for turn in range(self.rounds):
            order = {"clientOrderId": self.id(worker, turn)}
            placed = exchange.create_order("BTC/USD", "limit", "buy", 0.001, 50000, order)
            equal(placed["clientOrderId"], order["clientOrderId"])
            exchange.fetch_balance()
            equal(exchange.cancel_order(placed["id"])["status"], "canceled")

    def with_requests(self, worker, _):
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self.token}"

        def call(path, body):
            answer = session.post(f"{url}{path}", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        for turn in range(self.rounds):
            order = {"symbol": "btcusd", "amount": "0.001", "price": "50000.00", "side": "buy", "type": "exchange limit"}
            placed = call("/v1/order/new", {**order, "client_order_id": self.id(worker, turn)})
            call("/v1/balances", {})
            assert call("/v1/order/cancel", {"order_id": placed["order_id"]})["is_cancelled"]

    def work(self, worker, markets):
        run = self.with_ccxt if worker % 2 else self.with_requests
        try:
            run(worker, markets)
        except Exception as fault:  # noqa: BLE001: told by the case
            self.faults.append(f"worker {worker}: {fault!r}")

    def gather(self):
        markets = self.bot().load_markets()
        threads = [threading.Thread(target=self.work, args=(worker, markets)) for worker in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(self.faults, [])

    def once(self):
        equal(ground.simulator.summary()["client_order_ids_executed_twice"], [])
        placed = ground.simulator.entries(key=self.key, path="/v1/order/new")
        ids = [it["client_order_id"] for it in placed if it["executed"]]
        equal(sorted(ids), sorted(self.id(worker, turn) for worker in range(WORKERS) for turn in range(self.rounds)))

    def in_order(self):
        tally = ground.simulator.summary()["keys"][self.key]
        assert tally["strictly_increasing"], tally
        # One more: the question how this key counts.
        equal((tally["arrivals"], tally["executed"]), (self.n_calls() + 1,) * 2)


counting, timed = Crowd("crowd", 6), Crowd("timed-crowd", 2)
suite.case(f"{WORKERS} workers of ccxt and requests, {counting.n_calls()} calls, none fails", counting.gather)
suite.case("nonces arrived strictly increasing", counting.in_order)
suite.case("every order was executed, once", counting.once)
suite.case(f"{WORKERS} workers on a time-based key, {timed.n_calls()} calls, none fails", timed.gather)
suite.case("every order was executed, once", timed.once)
suite.end()
