"""Increasing keys and warm connections: what geminid promises of the calls between it and the exchange.

1. On an increasing key one call is in flight at a time, so no proxy can do more calls a second than one by the round
   trip. The round trip is what the same upstream takes in the same minutes, asked over TLS one call at a time, from
   the core that the proxy has.
2. The clients are several, so that a call always waits.
3. A handshake costs more than ten calls: once warm there are none.
"""

import math

from load import Load, measure, settled
from peers import Peer, Proxy, geminid
from process import PROXY_CORE, hold
from session import spread

DELAYS_MILLIS = (1, 10, 50)
CLIENTS = 8
CALLS = 100_000
LONGEST_SECONDS = 60


def lane(ground, binary, n_rounds):
    """By delay: calls a second through the lane and directly, and their ratio."""
    peer = Peer("geminid", "", geminid(binary, nonce="increasing"), signs=True)
    proxy = Proxy(ground, peer).up()
    found = {millis: {"through": [], "direct": []} for millis in DELAYS_MILLIS}
    try:
        for _ in range(n_rounds):
            for millis in ground.random.sample(DELAYS_MILLIS, len(DELAYS_MILLIS)):
                # So that one call more or less is less than a percent.
                seconds = max(3, math.ceil(0.2 * millis))
                ground.upstream.delay(millis * 1_000)
                before = settled(ground)
                through = measure(ground, proxy, CLIENTS, seconds)
                fallen = settled(ground)["fallen"] - before["fallen"]
                hold(fallen == 0, f"{fallen} nonces of an increasing key did not increase")
                direct = Load(ground, ground.upstream.url, 1, seconds, core=PROXY_CORE).ended()
                found[millis]["through"].append(through["per_second"])
                found[millis]["direct"].append(direct["requests"] / direct["micros"] * 1e6)
            print("  a round of the lane", flush=True)
    finally:
        ground.upstream.delay(0)
        proxy.end()
    return {
        millis: {
            "through": spread(one["through"]), "direct": spread(one["direct"]),
            "ratio": spread([a / b for a, b in zip(one["through"], one["direct"], strict=True)]),
        }
        for millis, one in found.items()
    }


def handshakes(ground, binary, calls=CALLS):
    """By number of connections: calls, and handshakes at the upstream while they were made."""
    proxy = Proxy(ground, Peer("geminid", "", geminid(binary), signs=True)).up()
    found = {}
    try:
        for connections in (1, 64):
            pace = measure(ground, proxy, connections, 2)["per_second"]
            one = {"requests": 0, "handshakes": 0}
            while one["requests"] < calls:
                seconds = math.ceil((calls - one["requests"]) / pace * 1.1)
                measured = measure(ground, proxy, connections, min(seconds, LONGEST_SECONDS))
                for name in one:
                    one[name] += measured[name]
            found[connections] = one
            print(f"  {one['requests']} calls over {connections} connections", flush=True)
    finally:
        proxy.end()
    return found
