"""Caps of a day and the audit trail over sudden ends: `kill -9` while a bot trades as fast as it may.

1. Several proxies side by side; each bot may place so many orders a day and so many dollars, and asks for far more.
2. Judged is the exchange's ledger: never more orders nor dollars than the cap, over all lives of a proxy.
3. Every order in the ledger has an intent line in the trail, written before its first byte left.
4. The trail verifies after all the ends, and a bot that asks on is refused for its cap, not for anything else.
5. A kill costs no more of the cap than what was on its way: one order of each bot.
"""

import contextlib
import http.client
import json
import random
import subprocess
import threading
import time
from decimal import Decimal

from ground import plain_environment
from stage import ORDER, Failed, Proxy, hold

# A disk that others keep busy for seconds refuses orders meanwhile, cleanly.
LONGEST_START = 30
N_BOTS = 2
# What an order is worth, in dollars.
WORTH = Decimal(ORDER["amount"]) * Decimal(ORDER["price"])


class Life:
    """One proxy, its bots, and who kills it."""

    def __init__(self, stage, index, n_kills):
        self.stage, self.index, self.n_kills = stage, index, n_kills
        self.random = random.Random(1_000 + index)
        # By count in one half, by value in the other; either lasts for most of the lives.
        self.cap = 4 * n_kills
        limits = f"max_orders_per_day = {self.cap}"
        if index % 2:
            limits = f'max_notional_per_day = {{ usd = "{WORTH * self.cap:f}" }}'
        self.proxy = Proxy(stage, f"caps{index}", limits=f"[clients.orders]\n{limits}")
        self.done, self.success, self.reached = threading.Event(), threading.Event(), threading.Event()
        self.faults, self.answers, self.n_kept = [], {}, 0
        self.lock = threading.Lock()

    def killer(self):
        try:
            for n in range(self.n_kills):
                self.success.clear()
                self.proxy.start()
                if self.random.random() < 0.2:
                    time.sleep(self.random.random() * 0.06)
                elif not self.success.wait(LONGEST_START):
                    raise Failed(f"no answer within {LONGEST_START} s of start {n}: {self.proxy.last_words()}")
                else:
                    time.sleep(self.random.random() * 0.08)
                self.proxy.kill()
            # What is left of the cap is taken up by a life that nobody ends.
            self.reached.clear()
            self.proxy.start()
            hold(self.reached.wait(LONGEST_START + 0.2 * self.cap), f"it does not come to its cap: {self.answers}")
        except Exception as fault:  # noqa: BLE001: told by the check
            self.faults.append(f"{self.proxy.name}: {fault}")
        finally:
            self.done.set()

    def bot(self, place):
        caller = self.proxy.caller(timed=False, keep=place == 0)
        n = 0
        while not self.done.is_set():
            n += 1
            try:
                answer = caller.order(f"{self.proxy.name}-{place}-{n}")
            except ConnectionRefusedError:
                time.sleep(0.01)
                continue
            except (OSError, http.client.HTTPException):
                continue
            with self.lock:
                what = answer.status, answer.cause()
                self.answers[what] = self.answers.get(what, 0) + 1
            if answer.status in (200, 403):
                self.success.set()
            if what == (403, "daily-limit-reached"):
                self.reached.set()
            time.sleep(0.02 + self.random.random() * 0.04)
        caller.close()

    def judge(self, executed):
        hold(len(executed) <= self.cap, f"{self.proxy.name}: {len(executed)} orders, and {self.cap} are allowed")
        lost = N_BOTS * (self.n_kills + 1)
        hold(len(executed) >= self.cap - lost, f"{self.proxy.name}: {len(executed)} orders of {self.cap}, and no more than {lost} were cut off")
        odd = {it: n for it, n in self.answers.items() if it not in ((200, ""), (403, "daily-limit-reached")) and it[0] != 503}
        hold(not odd, f"{self.proxy.name}: bots were answered {odd}")
        intents, lines = set(), 0
        for file in sorted((self.proxy.state / "audit").glob("*.jsonl")):
            for line in file.read_text().splitlines():
                lines += 1
                told = json.loads(line)
                if told["event"] == "intent":
                    intents.add(told.get("client_order_id"))
        missing = [it for it in executed if it not in intents]
        hold(not missing, f"{self.proxy.name}: {len(missing)} orders without an intent line: {missing[:3]}")
        verify = [self.stage.binary, "audit", "verify", "--config", self.proxy.directory / "proxy.toml"]
        environment = {**plain_environment(), "HARDSHIP_KEY_SECRET": self.stage.planted.key_secret}
        said = subprocess.run(verify, capture_output=True, text=True, env=environment, check=False)
        hold(said.returncode == 0, f"{self.proxy.name}: {said.stdout} {said.stderr}")
        return lines


def caps(stage, n_kills, side_by_side):
    side_by_side = max(1, min(side_by_side, n_kills))
    share = [n_kills // side_by_side + (it < n_kills % side_by_side) for it in range(side_by_side)]
    lives = [Life(stage, index, n) for index, n in enumerate(share) if n]
    executed = {life.proxy.count: [] for life in lives}
    seen = 0
    threads = [threading.Thread(target=it.bot, args=(n,)) for it in lives for n in range(N_BOTS)]
    threads += [threading.Thread(target=it.killer) for it in lives]

    def gather():
        nonlocal seen
        for entry in stage.simulator.ask("GET", f"ledger?since={seen}")["entries"]:
            if entry["sequence"] <= seen:
                continue
            seen = entry["sequence"]
            if entry["key"] in executed and entry["executed"] and entry["path"] == "/v1/order/new":
                executed[entry["key"]].append(entry["client_order_id"])

    began = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        while any(it.is_alive() for it in threads):
            time.sleep(0.5)
            gather()
    finally:
        for life in lives:
            life.done.set()
        for thread in threads:
            thread.join()
    gather()
    took = time.monotonic() - began
    for life in lives:
        with contextlib.suppress(Failed):
            life.proxy.end()
    faults = [it for life in lives for it in life.faults]
    hold(not faults, f"{len(faults)} proxies did not come back, as {faults[:1]}")
    lines = sum(life.judge(executed[life.proxy.count]) for life in lives)
    total = sum(len(it) for it in executed.values())
    slow = sum(n for life in lives for (_, cause), n in life.answers.items() if cause == "audit-unavailable")
    return (
        f"{n_kills} kills of {len(lives)} proxies in {took:.0f} s; {total} orders executed, every one with its intent line "
        f"among {lines} lines that verify; caps allow {sum(it.cap for it in lives)}, all proxies came to theirs, 0 went beyond; "
        f"{slow} orders were refused because the disk took longer than a second"
    )
