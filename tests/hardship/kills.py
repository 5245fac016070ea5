"""`kill -9` under load, and a restart, many times over.

1. Proxies side by side, each with a counting and a time-based key; bots call all the time and never wait for a restart.
2. A bot repeats an order under the same id where it was promised that nothing was sent: no connection was had, or 503.
   Where the answer was lost it goes on with a new id. So an order that is executed twice is the proxy's doing.
3. A proxy is killed after its first success, or at any moment of its start, or after some seconds: by chance.
4. Judged is what arrived at the exchange, per key, over all restarts.
"""

import bisect
import http.client
import random
import threading
import time

from nonces import Ledger, Nonces
from stage import Failed, Proxy, hold, signed_by_standin, ORDER

# A start waits until the clock has passed the mark, 2 s; what is longer is a proxy that does not come back.
LONGEST_START = 10


class Group:
    """One proxy, whoever calls it, and who kills it."""

    def __init__(self, stage, index, n_kills):
        self.stage, self.index, self.n_kills = stage, index, n_kills
        self.random = random.Random(index)
        self.proxy = Proxy(stage, f"kills{index}", nonce="set" if index % 4 == 3 else "auto")
        # Two bots at once on a time-based key go in parallel: then there is no order between two calls.
        self.parallel = index % 2 == 1
        self.kills, self.faults, self.starts = [], [], []
        self.success, self.done = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.answers, self.executed, self.lost, self.repeats = {}, [], 0, 0

    def threads(self):
        kinds = ["token", "standin", "timed"] + ["timed"] * self.parallel
        bots = [threading.Thread(target=self.bot, args=(it, kind)) for it, kind in enumerate(kinds)]
        return [*bots, threading.Thread(target=self.killer)]

    def killer(self):
        try:
            for _ in range(self.n_kills):
                if self.done.is_set():
                    return
                self.success.clear()
                began = time.monotonic()
                self.proxy.start()
                self.wait(began)
                self.proxy.kill()
                self.kills.append(time.time() * 1_000)
            self.success.clear()
            self.proxy.start()
            hold(self.success.wait(LONGEST_START), "no call succeeds after the last restart")
        except Exception as fault:  # noqa: BLE001: told by the check
            self.faults.append(f"{self.proxy.name}: {fault}")
        finally:
            self.done.set()

    def wait(self, began):
        kind = self.random.random()
        if kind < 0.15:
            # In the middle of the start, where marks are read and the first is written.
            time.sleep(self.random.random() * 0.06)
        elif self.success.wait(LONGEST_START):
            self.starts.append(time.monotonic() - began)
            time.sleep(self.random.random() * (1.5 if kind > 0.85 else 0.1))
        else:
            raise Failed(f"no call succeeds within {LONGEST_START} s of a start: {self.proxy.last_words()}")

    def bot(self, place, kind):
        caller = self.proxy.caller(timed=kind == "timed", keep=place % 2 == 0)
        n, order_id = 0, None
        while not self.done.is_set():
            time.sleep(0.01 + self.random.random() * 0.04)
            n += 1
            if order_id is None and n % 3 == 0:
                self.count(self.read(caller))
                continue
            order_id = order_id or f"{self.proxy.name}-{place}-{n}"
            headers = None
            if kind == "standin":
                fields = {**ORDER, "client_order_id": order_id}
                headers = signed_by_standin(self.stage.planted.standin_secret, "/v1/order/new", fields)
            try:
                answer = caller.order(order_id, headers)
            except ConnectionRefusedError:
                continue
            except (OSError, http.client.HTTPException):
                with self.lock:
                    self.lost += 1
                order_id = None
                continue
            self.count(answer)
            if answer.status == 503:
                with self.lock:
                    self.repeats += 1
                continue
            if answer.status == 200:
                with self.lock:
                    self.executed.append(order_id)
                self.success.set()
            order_id = None
        caller.close()

    @staticmethod
    def read(caller):
        try:
            return caller.call("POST", "/v1/balances", {})
        except (OSError, http.client.HTTPException):
            return None

    def count(self, answer):
        if answer is None:
            return
        what = answer.status, answer.cause()
        if b"InvalidNonce" in answer.body:
            what = answer.status, "InvalidNonce"
        with self.lock:
            self.answers[what] = self.answers.get(what, 0) + 1


class Arrivals:
    """Gathers what arrives, while it arrives: the ledger is bounded, and long."""

    def __init__(self, stage, groups):
        self.ledger, self.groups = Ledger(stage.simulator), groups
        self.keys = {}
        for group in groups:
            self.keys[group.proxy.count] = group, Nonces(timed=False)
            self.keys[group.proxy.timed] = group, Nonces(timed=True)
        self.n_executed, self.spans = {}, {}

    def gather(self):
        for entry in self.ledger.new():
            if entry["key"] not in self.keys or not entry["nonce"]:
                continue
            group, nonces = self.keys[entry["key"]]
            nonces.take(entry)
            if nonces.timed and nonces.seen and entry["nonce"] != "1":
                self.span(group, entry)
            if entry["executed"] and entry["path"] == "/v1/order/new":
                it = entry["client_order_id"]
                self.n_executed[it] = self.n_executed.get(it, 0) + 1

    def span(self, group, entry):
        """The least and the greatest nonce of each life of a time-based key."""
        life = bisect.bisect(group.kills, entry["timestampms"])
        value = float(entry["nonce"])
        low, high = self.spans.setdefault(entry["key"], {}).get(life, (value, value))
        self.spans[entry["key"]][life] = min(low, value), max(high, value)

    def judge(self):
        for key, (group, nonces) in self.keys.items():
            nonces.judge(key, ordered=not (nonces.timed and group.parallel))
        for key, lives in self.spans.items():
            ordered = sorted(lives)
            for earlier, later in zip(ordered, ordered[1:]):
                hold(lives[earlier][1] < lives[later][0], f"{key}: a nonce of life {later} is not above those of {earlier}")
        twice = [it for it, n in self.n_executed.items() if n > 1]
        hold(not twice, f"{len(twice)} orders were executed twice: {twice[:3]}")


def kills(stage, n_kills, side_by_side):
    """Nonces and orders over `n_kills` sudden ends."""
    share = [n_kills // side_by_side + (it < n_kills % side_by_side) for it in range(side_by_side)]
    groups = [Group(stage, index, n) for index, n in enumerate(share) if n]
    arrivals = Arrivals(stage, groups)
    threads = [it for group in groups for it in group.threads()]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        while any(it.is_alive() for it in threads):
            time.sleep(1)
            arrivals.gather()
    finally:
        for group in groups:
            group.done.set()
        for thread in threads:
            thread.join()
    arrivals.gather()
    took = time.monotonic() - began
    for group in groups:
        if group.proxy.alive():
            group.proxy.metrics()
        group.proxy.end()
    return told(groups, arrivals, took)


def told(groups, arrivals, took):
    faults = [fault for group in groups for fault in group.faults]
    hold(not faults, f"{len(faults)} proxies did not come back, as {faults[:1]}")
    arrivals.judge()
    answers = {}
    for group in groups:
        for what, n in group.answers.items():
            answers[what] = answers.get(what, 0) + n
    wrong = {what: n for what, n in answers.items() if what[1] == "InvalidNonce"}
    hold(not wrong, f"bots saw {wrong}")
    odd = {what: n for what, n in answers.items() if what[0] not in (200, 503)}
    hold(not odd, f"bots were answered {odd}")
    missing = [it for group in groups for it in group.executed if arrivals.n_executed.get(it) != 1]
    hold(not missing, f"{len(missing)} orders were answered 200 and not executed once: {missing[:3]}")
    counting = sum(n.arrivals for _, n in arrivals.keys.values() if not n.timed)
    timed = sum(n.arrivals for _, n in arrivals.keys.values() if n.timed)
    starts = sorted(it for group in groups for it in group.starts)
    lost, repeats = (sum(getattr(group, name) for group in groups) for name in ("lost", "repeats"))
    lead = max(n.lead for _, n in arrivals.keys.values())
    refused = sum(n for what, n in answers.items() if what[0] == 503)
    return (
        f"{sum(len(it.kills) for it in groups)} kills of {len(groups)} proxies in {took:.0f} s; nonces arrived: {counting} on "
        f"counting keys, {timed} on time-based keys, 0 repeated, 0 fell, 0 refused, at most {lead / 1000:.2f} s ahead; "
        f"{len(arrivals.n_executed)} orders executed, 0 twice ({lost} answers lost, {repeats} repeated after a 503); "
        f"answers 200: {answers.get((200, ''), 0)}, 503: {refused}; from start to the first order "
        f"p50 {starts[len(starts) // 2]:.2f} s, max {starts[-1]:.2f} s"
    )


__all__ = ["kills"]
