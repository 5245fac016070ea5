"""A machine whose clock is wrong, and steps while the proxy runs. The exchange's clock stays right.

1. libfaketime (Debian: `apt-get install faketime`) is loaded into the proxy alone, and reads how far to lie from a file.
   It lies about the time of day; the monotonic clock stays, as it does when an operator sets a clock.
2. That the lie took hold is read from the proxy's own log: a clock that was not faked proves nothing.
3. A call either succeeds, or is refused as `clock-untrusted` and never arrives.
"""

import contextlib
import datetime
import glob
import http.client
import json
import os
import time

from nonces import Ledger, judged
from stage import Proxy, Skipped, hold

HOUR_BACK, DAY_FORWARD = -3_600, 86_400
STEPS = [
    # (what happens, whether the proxy is killed and started again with it, the offset)
    ("right at the start", False, 0),
    ("an hour back, running", False, HOUR_BACK),
    ("a day forward, running", False, DAY_FORWARD),
    ("an hour back, running, at once after it", False, HOUR_BACK),
    ("restarted a day forward", True, DAY_FORWARD),
    ("restarted an hour back", True, HOUR_BACK),
    ("set right, running", False, 0),
    ("restarted right", True, 0),
]


def library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/faketime/libfaketimeMT.so.1")
    if not found:
        raise Skipped("libfaketime is not installed (apt-get install faketime)")
    return found[0]


class Calls:
    """Orders on both keys, each under an id of its own."""

    def __init__(self, proxy):
        self.callers = [(proxy.caller(keep=True), "count"), (proxy.caller(timed=True, keep=True), "timed")]
        self.n = 0
        self.executed, self.refused, self.other = set(), set(), []

    def forget(self):
        for caller, _ in self.callers:
            caller.forget()

    def make(self, what, n_rounds):
        for _ in range(n_rounds):
            for caller, key in self.callers:
                self.n += 1
                order_id = f"clock-{key}-{self.n}"
                try:
                    answer = caller.order(order_id)
                except (OSError, http.client.HTTPException) as fault:
                    self.other.append(f"{what}: {type(fault).__name__}")
                    continue
                if answer.status == 200:
                    self.executed.add(order_id)
                elif answer.status == 503 and answer.cause() == "clock-untrusted":
                    self.refused.add(order_id)
                else:
                    self.other.append(f"{what}: {answer.status} {answer.cause()}")
            time.sleep(0.05)


def lie(path, seconds):
    beside = path.with_suffix(".new")
    beside.write_text(f"{seconds:+d}\n")
    os.replace(beside, path)


def shown(proxy):
    """How far the proxy's own clock is off, by its log."""
    for line in reversed(proxy.said().splitlines()):
        with contextlib.suppress(ValueError, KeyError):
            stamp = json.loads(line)["timestamp"].replace("Z", "+00:00")
            return datetime.datetime.fromisoformat(stamp).timestamp() - time.time()
    return None


def clock(stage):
    preload = library()
    proxy = Proxy(stage, "clock")
    path = proxy.directory / "faketime"
    lie(path, 0)
    environment = {
        "LD_PRELOAD": preload, "FAKETIME_TIMESTAMP_FILE": str(path), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    }
    ledger = Ledger(stage.simulator)
    calls = Calls(proxy)
    proxy.up(environment=environment)
    rounds = 15 if stage.quick else 50
    faults = []
    for what, restart, offset in STEPS:
        if restart:
            proxy.kill()
            calls.forget()
        lie(path, offset)
        if restart:
            proxy.up(environment=environment)
        calls.make(what, rounds)
        seen = shown(proxy)
        if seen is None or abs(seen - offset) > 60:
            faults.append(f"{what}: the clock was not faked, its log is {seen} s off")
    proxy.metrics()
    proxy.end()
    hold(not faults, faults)
    entries = ledger.new()
    orders = [it for it in entries if it["path"] == "/v1/order/new" and it["key"] in (proxy.count, proxy.timed)]
    tallies = judged(entries, proxy)
    hold(not calls.other, f"{len(calls.other)} calls ended otherwise, as {calls.other[:3]}")
    arrived = [it["client_order_id"] for it in orders]
    hold(not calls.refused & set(arrived), "a call was refused as clock-untrusted, and arrived")
    hold(sorted(arrived) == sorted(calls.executed), f"{len(arrived)} orders arrived, {len(calls.executed)} were answered 200")
    lead = max(it.lead for it in tallies) / 1_000
    return (
        f"{len(STEPS)} states of the clock from an hour back to a day forward, {sum(it[1] for it in STEPS)} restarts among them: "
        f"{len(calls.executed)} of {calls.n} calls succeeded, {len(calls.refused)} were refused as clock-untrusted; "
        f"nonces: 0 repeated, 0 fell, at most {lead:.2f} s ahead"
    )
