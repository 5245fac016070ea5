"""One measurement: wrk on the load's core, against a peer or against the upstream itself.

1. It is true only if wrk saw no failure, the upstream found every call good, and both counted the same calls.
2. CPU is that of the whole run, divided by the calls that the upstream counted; hence both are read while nothing runs.
"""

import json
import subprocess
from pathlib import Path

from ground import PATH
from process import LOAD_CORE, Failed, hold, placed, plain_environment, until

SCRIPT = Path(__file__).resolve().parent / "wrk.lua"


def wrk(ground, url, connections, seconds, body=None, tokens=None, core=LOAD_CORE):
    words = [
        "wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "--timeout", "10s", "-s", SCRIPT,
        url + PATH, "--", body or ground.body, tokens or ground.tokens,
    ]
    with placed(core):
        ran = subprocess.run(
            [str(it) for it in words], capture_output=True, text=True, env=plain_environment(),
            timeout=seconds + 60, check=False,
        )
    try:
        found = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed(f"wrk told nothing: {ran.stdout[-500:]} {ran.stderr[-500:]}") from None
    hold(found["failed"] == 0, f"{url}, {connections} connections: wrk saw {ran.stdout}")
    return found


def settled(ground):
    """The counts, once nothing is in flight any more."""
    last = None

    def still():
        nonlocal last
        before, last = last, ground.upstream.counts()
        return last if last == before else None

    return until("the upstream comes to rest", still, pause=0.02)


def measure(ground, proxy, connections, seconds, **more):
    """`proxy`: none for the upstream itself."""
    if proxy:
        proxy.check()
    before = settled(ground)
    cpu_before = proxy.process.cpu_nanos() if proxy else 0
    told = wrk(ground, proxy.url if proxy else ground.upstream.url, connections, seconds, **more)
    after = settled(ground)
    cpu_nanos = proxy.process.cpu_nanos() - cpu_before if proxy else 0
    counted = after["requests"] - before["requests"] - (after["public"] - before["public"])
    hold(told["requests"] <= counted <= told["requests"] + connections, f"wrk counted {told}, the upstream {counted}")
    if proxy:
        proxy.judge(before, after, counted)
        proxy.check()
        proxy.process.shorten_log()
    return {
        "cpu_micros": cpu_nanos / 1_000 / counted,
        # Below 1, something else than the proxy limits what goes through.
        "busy": cpu_nanos / 1_000 / told["micros"],
        "per_second": told["requests"] / told["micros"] * 1e6,
        "p50": told["p50"], "p99": told["p99"], "requests": counted,
        "handshakes": after["handshakes"] - before["handshakes"],
    }
