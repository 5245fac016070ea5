"""Peers side by side: in rounds, each peer once a round, in an order that is drawn for each round.

1. The machine's speed drifts, by a factor of two within an hour. So what is compared are ratios within one round, and
   what is told is the median of the rounds' ratios, with the smallest and the largest.
2. All proxies run all the time; whoever is not measured has nothing to do.
3. A peer that fails ends the run: there is no row that leaves something out.
"""

import random
import statistics
import time

from load import measure
from peers import Proxy

CONNECTIONS = (64, 1)


def spread(values):
    """Median, smallest, largest; `None` for nothing."""
    values = [it for it in values if it is not None]
    return (statistics.median(values), min(values), max(values)) if values else None


class Rounds:
    """What was measured: by round, peer and number of connections."""

    def __init__(self):
        self.found = []

    def values(self, peer, connections, name, less=None):
        """One for each round; with `less`, what it is more than that peer's of the same round."""
        found = []
        for one in self.found:
            if (peer, connections) in one:
                base = one[less, connections][name] if less else 0
                found.append(one[peer, connections][name] - base)
        return found

    def spread(self, peer, connections, name, less=None):
        return spread(self.values(peer, connections, name, less))

    def ratios(self, peer, other, connections, name, less=None):
        ours, theirs = (self.values(it, connections, name, less) for it in (peer, other))
        return [a / b for a, b in zip(ours, theirs, strict=True) if b > 0]

    def ratio(self, *which, **more):
        return spread(self.ratios(*which, **more))


def run(ground, peers, n_rounds, seconds, warm=True, connections=CONNECTIONS):
    proxies = {it.name: Proxy(ground, it).up() if it.words else None for it in peers}
    rounds = Rounds()
    try:
        for proxy in proxies.values() if warm else ():
            # Connections to the upstream, caches, whatever a runtime compiles.
            for n in connections:
                measure(ground, proxy, n, 1)
        for number in range(n_rounds):
            order, one = list(proxies), {}
            random.shuffle(order)
            began = time.monotonic()
            for name in order:
                for n in connections:
                    one[name, n] = measure(ground, proxies[name], n, seconds)
            rounds.found.append(one)
            told = ", ".join(
                f"{name} {'/'.join(format(one[name, n]['cpu_micros'], '.1f') for n in connections)}"
                for name, proxy in proxies.items() if proxy
            )
            print(f"  round {number + 1} of {n_rounds}, {time.monotonic() - began:.0f} s: {told} µs", flush=True)
    finally:
        for proxy in proxies.values():
            if proxy:
                proxy.end()
    return rounds
