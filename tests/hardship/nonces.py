"""The exchange's ledger, and the judge of the nonces in it.

1. A nonce is judged by its arrival: in the ledger's order, accepted or not.
2. The judge is judged too: each fault that it is for is shown to it once.
"""

from stage import Failed, hold


class Ledger:
    """What has arrived at the exchange since this was made."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.next = simulator.summary()["requests"]

    def new(self):
        entries = self.simulator.ask("GET", f"ledger?since={self.next}")["entries"]
        if entries:
            self.next = entries[-1]["sequence"]
        return entries


def thousandths(nonce, timed):
    """A nonce as milliseconds since 1970, exact enough to compare it with a clock."""
    return float(nonce) * 1_000 if timed else float(nonce)


def is_question(entry):
    """The one by which the proxy learns how a key counts: it names nonce 1, and raises no mark."""
    return entry["nonce"] == "1" and entry["path"] == "/v1/roles"


class Nonces:
    """Judges what arrived with one key, in the order of arrival."""

    def __init__(self, timed, above=0.0):
        self.timed, self.seen = timed, set()
        self.last = round(above * 1_000_000) if timed else int(above)
        self.arrivals = self.questions = self.falls = self.repeats = self.refused = 0
        self.lead = -1e12

    def take(self, entry):
        if is_question(entry):
            self.questions += 1
            return
        nonce = entry["nonce"]
        self.arrivals += 1
        self.repeats += nonce in self.seen
        self.seen.add(nonce)
        # Exact: microseconds and milliseconds of this age are below 2^53.
        value = round(float(nonce) * 1_000_000) if self.timed else int(nonce)
        self.falls += value <= self.last
        self.last = max(self.last, value)
        self.refused += "Nonce" in (entry["detail"] or "")
        self.lead = max(self.lead, thousandths(nonce, self.timed) - entry["timestampms"])

    def judge(self, who, ordered=True):
        hold(self.arrivals, f"{who}: nothing arrived")
        hold(not self.repeats, f"{who}: {self.repeats} nonces repeated")
        hold(not (ordered and self.falls), f"{who}: {self.falls} of {self.arrivals} nonces did not rise")
        hold(self.lead <= 60_000, f"{who}: a nonce was {self.lead / 1000:.1f} s ahead")
        hold(not self.refused, f"{who}: the exchange refused {self.refused} nonces")


def judged(entries, proxy):
    """The nonces of both keys of a proxy, judged as strictly rising."""
    tallies = []
    for key, timed in ((proxy.count, False), (proxy.timed, True)):
        of_key = [it for it in entries if it["key"] == key and it["nonce"]]
        if not of_key:
            continue
        tally = Nonces(timed)
        for entry in of_key:
            tally.take(entry)
        tally.judge(key)
        tallies.append(tally)
    return tallies


def judges(_stage):
    """Shows the judge one fault after another, and a near miss of each."""
    now = 1_790_000_000_000
    cases = [
        ("rising", [now - 5, now - 4], None),
        ("a repeat", [now - 5, now - 5], "repeated"),
        ("a fall", [now - 4, now - 5], "did not rise"),
        ("60 s ahead", [now + 60_000], None),
        ("more than 60 s ahead", [now + 60_001], "ahead"),
        ("nothing", [], "nothing arrived"),
        ("only the question", [1], "nothing arrived"),
    ]
    n = 0
    for what, values, fault in cases:
        for timed in (False, True):
            nonces = Nonces(timed)
            for value in values:
                path = "/v1/roles" if value == 1 else "/v1/order/new"
                text = f"{value // 1_000}.{value % 1_000:03}000" if timed and value > 1 else str(value)
                nonces.take({"nonce": text, "path": path, "detail": None, "timestampms": now})
            try:
                nonces.judge("k")
                said = None
            except Failed as failed:
                said = str(failed)
            hold((said is None) == (fault is None) and (fault or "") in (said or ""), f"{what}: the judge says {said}")
            n += 1
    refused = Nonces(timed=False)
    refused.take({"nonce": "5", "path": "/v1/balances", "detail": "InvalidNonce", "timestampms": now})
    try:
        refused.judge("k")
    except Failed:
        return f"{n + 1} cases, each fault was found"
    raise Failed("a refused nonce was not found")
