"""One measurement: wrk on the load's core, against a peer or against the upstream itself.

1. It is true only if wrk saw no failure, the upstream found every call good, and both counted the same calls.
2. CPU a call is counted once the load is under way, and to the end of it: a proxy that had nothing to do for a while
   has closed its connections to the upstream, and opens them anew. That is seen at another place: `lane.py`.
"""

import json
import subprocess
import time
from pathlib import Path

from ground import PATH
from process import LOAD_CORE, Failed, hold, placed, plain_environment, until

WARM_SECONDS = 0.25
# Four thousand connections are not there at once.
CROWD_WARM_SECONDS = 2
# How long nothing may come any more until a measurement has ended.
REST_SECONDS = 0.1
SCRIPT = Path(__file__).resolve().parent / "wrk.lua"


class Load:
    """wrk, running."""

    def __init__(self, ground, url, connections, seconds, body=None, tokens=None, core=LOAD_CORE):
        self.what = f"{url}, {connections} connections"
        self.limit = seconds + 60
        words = [
            "wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "--timeout", "10s", "-s", SCRIPT,
            url + PATH, "--", body or ground.body, tokens or ground.tokens,
        ]
        with placed(core):
            self.child = subprocess.Popen(
                [str(it) for it in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=plain_environment(),
            )

    def ended(self):
        """What it tells, once it has ended by itself."""
        try:
            said, _ = self.child.communicate(timeout=self.limit)
            found = json.loads(said.splitlines()[-1])
        except (IndexError, ValueError, subprocess.TimeoutExpired):
            raise Failed(f"{self.what}: wrk told nothing that can be used") from None
        finally:
            self.child.kill()
        hold(found["failed"] == 0, f"{self.what}: wrk saw {said}")
        return found


def settled(ground, rest=REST_SECONDS):
    """The counts, once they have stood still for so long: nothing is in flight any more."""
    last, since = None, 0.0

    def still():
        nonlocal last, since
        counts, now = ground.upstream.counts(), time.monotonic()
        if counts != last:
            last, since = counts, now
        return counts if now - since >= rest else None

    return until("the upstream comes to rest", still, pause=0.02)


def measure(ground, proxy, connections, seconds, rest=REST_SECONDS, **more):
    """`proxy`: none for the upstream itself."""
    crowded = connections > 1_000
    # Who was not let in at once comes back after a second.
    rest = max(rest, 1.2) if crowded else rest
    url = proxy.url if proxy else ground.upstream.url
    if proxy:
        proxy.check()
    before = settled(ground)
    load = Load(ground, url, connections, seconds, **more)
    time.sleep(CROWD_WARM_SECONDS if crowded else WARM_SECONDS)
    warm = reading(ground, proxy)
    told = load.ended()
    after = settled(ground, rest)
    at_end = reading(ground, proxy)
    counted = after["requests"] - before["requests"] - (after["public"] - before["public"])
    hold(told["requests"] <= counted <= told["requests"] + connections, f"wrk counted {told}, the upstream {counted}")
    if proxy:
        proxy.judge(before, after, counted)
        proxy.check()
        proxy.process.shorten_log()
    requests = at_end["requests"] - warm["requests"]
    return {
        "cpu_micros": (at_end["cpu"] - warm["cpu"]) / 1_000 / requests,
        # Below 1, something else than the proxy limits what goes through.
        "busy": (at_end["cpu"] - warm["cpu"]) / 1_000 / (told["micros"] * requests / counted),
        "per_second": told["requests"] / told["micros"] * 1e6,
        "p50": told["p50"], "p99": told["p99"], "requests": requests,
        "handshakes": at_end["handshakes"] - warm["handshakes"],
    }


def reading(ground, proxy):
    """Counts, and the CPU time at the moment of the counting."""
    before = proxy.process.cpu_nanos() if proxy else 0
    counts = ground.upstream.counts()
    after = proxy.process.cpu_nanos() if proxy else 0
    return {**counts, "cpu": (before + after) / 2}
