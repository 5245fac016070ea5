"""What was measured, as Markdown: tables, and each goal with its figure.

1. A figure is a median, with the smallest and the largest in brackets.
2. A goal that was missed is told like one that was met.
3. `write` puts a section between `<!-- NAME -->` and `<!-- /NAME -->`, and touches nothing else.
"""

import re

MIB = 1_024


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(it) for it in line) + " |\n" for line in lines) + "\n"


def spread(found, digits=2, scale=1.0):
    if not found:
        return "–"
    middle, least, most = (f"{it * scale:.{digits}f}" for it in found)
    return f"{middle} ({least}–{most})"


def about(result):
    machine, versions = result["machine"], result["versions"]
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    company = f"Other programs took {result['company']:.0%} of the machine meanwhile."
    return (
        f"`{result['command']}`, {result['date']}. {machine['cpu']}; {machine['system']}, kernel {machine['kernel']}. "
        f"{told}. {result['how']} {company}\n\n"
    )


class Goals:
    """The lines of what it must show."""

    def __init__(self, result):
        # Too few rounds for a claim.
        self.rows, self.quick = [], result["quick"]

    def at_most(self, what, limit, found, digits=2, unit="", strictly=False):
        if found:
            middle = found[0]
            met = middle < limit if strictly else middle <= limit
            self.add(what, met, spread(found, digits) + unit)

    def at_least(self, what, limit, found):
        if found:
            self.add(what, found[0] >= limit, spread(found))

    def add(self, what, met, figure):
        self.rows.append([what, "met" if met else "**missed**", figure])

    def table(self):
        return table(["goal", "", "figure"], self.rows) if self.rows and not self.quick else ""


def compare(result):
    """`result["peers"]`: by name, what `run` gathers of each."""
    peers = result["peers"]
    running, standing = [], []
    for peer in peers.values():
        busy = "" if peer.get("busy", 1) >= 0.9 else "¹"
        running.append([
            peer["title"], "yes" if peer["signs"] else "no", spread(peer.get("cpu_64"), 1),
            spread(peer.get("ratio_64")), spread(peer.get("cpu_1"), 1), spread(peer.get("ratio_1")),
            spread(peer.get("added_p50"), 0), spread(peer.get("added_p99"), 0),
            spread(peer["throughput"], 1, 1e-3) + busy,
        ])
        if peer.get("start"):
            size = f"{peer['size'] / 1_048_576:.1f}" if peer["size"] else "–"
            standing.append([
                peer["title"], spread(peer["idle"], 1, 1 / MIB), spread(peer["crowded"], 1, 1 / MIB),
                spread(peer["start"], 1), size,
            ])
    text = about(result) + table(
        ["", "signs", "CPU a call, 64 connections, µs", "× nginx", "CPU a call, 1 connection, µs", "× nginx",
         "added p50, 1 connection, µs", "added p99, µs", "calls/s, 64 connections, thousands"], running,
    )
    text += (
        "Added: what a call takes longer than directly, within the same round. ¹ The proxy's core was not busy all the "
        "time: upstream and load, on the other core, set the limit.\n\n"
    )
    if standing:
        text += table(
            ["", "idle, MiB", "with 1,000 idle connections, MiB", "exec to the first good answer, ms",
             "program, stripped, MiB"], standing,
        )
    return text + goals_of_comparison(result).table()


def goals_of_comparison(result):
    goals, ratios, ours = Goals(result), result["ratios"], result["peers"].get("geminid", {})
    goals.at_most("CPU a call at most 1.15 × nginx, which does not sign", 1.15, ratios.get("nginx/64"))
    goals.at_most("CPU a call below HAProxy's, signing", 1, ratios.get("haproxy-signing/64"), strictly=True)
    goals.at_least("CPU a call at least 8 × below aiohttp's", 8, inverse(ratios.get("aiohttp/64")))
    goals.at_least("CPU a call at least 4 × below Node's", 4, inverse(ratios.get("node/64")))
    goals.at_most("CPU a call at most 1.25 × the least on hyper", 1.25, ratios.get("minimal/64"))
    goals.at_most("one busy connection: at most 1.15 × the least on hyper", 1.15, ratios.get("minimal/1"))
    goals.at_most("added p50 at one connection at most 1.15 × nginx's", 1.15, ratios.get("nginx/added_p50"))
    if ours.get("start"):
        in_mib = lambda found: [it / MIB for it in found]  # noqa: E731
        goals.at_most("idle memory under 12 MiB", 12, in_mib(ours["idle"]), 1, " MiB", strictly=True)
        goals.at_most("1,000 idle connections under 30 MiB", 30, in_mib(ours["crowded"]), 1, " MiB", strictly=True)
        goals.at_most("first signed answer under 30 ms after exec", 30, ours["start"], 1, " ms", strictly=True)
        size = ours["size"] / 1_048_576
        goals.add("program, stripped, under 12 MiB", size < 12, f"{size:.1f} MiB")
    return goals


def inverse(found):
    return found and (1 / found[0], 1 / found[2], 1 / found[1])


def handshakes(result):
    rows, goals = [], Goals(result)
    for connections, one in result["found"].items():
        rows.append([connections, f"{one['requests']:,}", one["handshakes"]])
    most = max(one["handshakes"] for one in result["found"].values())
    goals.add("no TLS handshake in 100,000 calls once warm", most == 0, str(most))
    return about(result) + table(["connections", "signed calls", "handshakes"], rows) + goals.table()


def lane(result):
    rows, goals = [], Goals(result)
    for millis, one in result["found"].items():
        rows.append([
            f"{millis} ms", spread(one["direct"], 1), spread(one["through"], 1), spread(one["ratio"], 3),
        ])
        middle = one["ratio"][0]
        goals.add(f"within 3 % of 1/round trip at {millis} ms", abs(1 - middle) <= 0.03, f"{(middle - 1) * 100:+.1f} %")
    head = ["the upstream takes", "1/round trip", "calls/s through geminid", "ratio"]
    return about(result) + table(head, rows) + goals.table()


def growth(result):
    text, goals = about(result), Goals(result)
    for axis, points in result["found"].items():
        rows = [
            [f"{it['n']:,}", spread(it["cpu"], 1), spread(it["ratio"]), f"{it['handshakes'] * 1_000:.2f}"] for it in points
        ]
        text += table([axis, "CPU a call, µs", "ratio", "handshakes in 1,000 calls"], rows)
        if axis == "clients":
            goals.at_most("10,000 clients cost at most 5 % more CPU a call than one", 1.05, points[-1]["ratio"])
    return text + goals.table()


MAKERS = {"compare": compare, "handshakes": handshakes, "lane": lane, "growth": growth}


def write(path, name, text):
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    new, n = pattern.subn(lambda it: it[1] + text + it[2], old)
    if n != 1:
        raise SystemExit(f"error: {path} has no place for `{name}`\nhint: <!-- {name} --> and <!-- /{name} -->")
    path.write_text(new, encoding="utf-8")
