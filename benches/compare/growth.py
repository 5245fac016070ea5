"""What geminid's CPU per call does when something grows: clients, grants, keys, bodies, connections.

1. Every axis has one point for reference, measured in every round. What is told is the ratio to it in the same round.
2. Where the load is of many clients, it is of as many different requests at every point of the axis: only then wrk,
   which shares a core with the upstream, costs the same.
3. What grows is what geminid's configuration has: see the functions `of_…`.
"""

import json

from ground import API_KEY, order, sha256
from load import measure
from peers import Peer, Proxy, geminid
from session import spread

CLIENTS = (1, 100, 10_000)
GRANTS = (1, 10, 100, 1_000)
KEYS = (1, 10, 100, 1_000)
# More than 10 KiB of parameters are refused before anything is signed.
BODIES = (120, 512, 1_024, 2_048, 4_096, 8_192, 10_240)
CONNECTIONS = (1, 4, 16, 64, 256, 1_024, 4_096)
# With a thousand keys a call may wait for the disk.
REST_SECONDS = 0.5
# As many different requests as there are clients at most.
TURNS = 10_000
USUAL = 64
# The reference point of each axis.
BASE = {"clients": 1, "grants": 1, "keys": 1, "body": 120, "connections": USUAL}


def client(index, key="trading", more=""):
    token = sha256(f"comparison client {index}")
    text = f"""
[[clients]]
name = "grown-{index}"
key = "{key}"
credential = {{ token_sha256 = "{sha256(token)}" }}
scopes = ["trader"]
{more}"""
    return token, text


def of_clients(_, n):
    tokens, texts = zip(*(client(index) for index in range(n)), strict=True)
    return tokens, "".join(texts)


def of_grants(_, n):
    """So many accounts, addresses for withdrawals, and ranges to call from, of which the last one fits."""
    ranges = [f"10.{index // 250}.{index % 250}.0/24" for index in range(n - 1)] + ["127.0.0.0/8"]
    more = f"from = {json.dumps(ranges)}\naccounts = {json.dumps([f'desk-{index}' for index in range(n)])}\n"
    for index in range(n):
        more += f'[[clients.withdrawals]]\ncurrency = "btc"\naddress = "bc1qgrown{index}"\n'
    token, text = client(0, more=more)
    return [token], text


def of_keys(ground, n):
    """So many keys, each with a client of its own."""
    tokens, texts = [], []
    for index in range(n):
        texts.append(f"""
[[keys]]
name = "grown-{index}"
api_key = "{API_KEY}-{index}"
api_secret = {{ file = "{ground.secret_file}" }}
nonce = "time"
""")
        token, text = client(index, key=f"grown-{index}")
        tokens.append(token)
        texts.append(text)
    return tokens, "".join(texts)


class Point:
    """One place on one axis: a proxy, and the load that it gets."""

    def __init__(self, ground, axis, n, proxy, connections=USUAL, body=None, tokens=None):
        self.axis, self.n, self.proxy, self.connections = axis, n, proxy, connections
        self.body = ground.file(f"body-{body}", order(body)) if body else None
        self.tokens = None
        if tokens:
            turns = "".join(tokens[index % len(tokens)] + "\n" for index in range(TURNS))
            self.tokens = ground.file(f"tokens-{axis}-{n}", turns.encode())

    def measure(self, ground, seconds):
        # What it takes until they are all there does not count.
        seconds = max(seconds, 4) if self.connections > 1_000 else seconds
        more = {"rest": REST_SECONDS, "body": self.body, "tokens": self.tokens}
        return measure(ground, self.proxy, self.connections, seconds, **more)


def points(ground, binary, axes):
    def start(name, more=""):
        peer = Peer("geminid", "", geminid(binary, more=more), signs=True)
        return Proxy(ground, peer, log=name).up()

    usual = start("growth")
    for n in CONNECTIONS:
        yield Point(ground, "connections", n, usual, connections=n)
    for n in BODIES:
        yield Point(ground, "body", n, usual, body=n)
    for axis, sizes, make in (("clients", CLIENTS, of_clients), ("grants", GRANTS, of_grants), ("keys", KEYS, of_keys)):
        for n in sizes if axis in axes else ():
            tokens, more = make(ground, n)
            yield Point(ground, axis, n, start(f"{axis}-{n}", more), tokens=tokens)


def run(ground, binary, n_rounds, seconds, axes=None):
    """By axis and size: CPU per call in µs, and its ratio to the axis's reference."""
    axes = axes or set(BASE)
    everything = [it for it in points(ground, binary, axes) if it.axis in axes]
    rounds = []
    for number in range(n_rounds + 1):
        one = {}
        # An axis at a time: its reference is then never far away.
        for axis in ground.random.sample(sorted(axes), len(axes)):
            along = [it for it in everything if it.axis == axis]
            for point in ground.random.sample(along, len(along)):
                one[axis, point.n] = point.measure(ground, seconds)
        # The first one is for warmth.
        rounds += [one] if number else []
        print(f"  round {number} of {n_rounds}", flush=True)
    for proxy in {id(it.proxy): it.proxy for it in everything}.values():
        proxy.end()
    found = {}
    for point in everything:
        cpu = [one[point.axis, point.n]["cpu_micros"] for one in rounds]
        base = [one[point.axis, BASE[point.axis]]["cpu_micros"] for one in rounds]
        handshakes = sum(one[point.axis, point.n]["handshakes"] for one in rounds)
        requests = sum(one[point.axis, point.n]["requests"] for one in rounds)
        found.setdefault(point.axis, []).append({
            "n": point.n, "cpu": spread(cpu), "handshakes": handshakes / requests,
            "ratio": spread([a / b for a, b in zip(cpu, base, strict=True)]),
        })
    return found
