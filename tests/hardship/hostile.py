"""A mix of hostile bytes, half requests and resets, by a seed, while an honest client calls.

1. Nothing of it is a call that may be made: so what arrives at the exchange is the honest client's, to the call.
2. No load beyond measure: four threads, one connection each, a short pause after each.
"""

import contextlib
import random
import socket
import struct
import threading
import time

from nonces import Ledger
from stage import Honest, Proxy, hold, settled

BODY = b'{"symbol":"btcusd","amount":"1","price":"1.00","side":"buy","type":"exchange limit"}'
# Nobody may do this: no credential comes along.
ORDER = b"POST /v1/order/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(193))


def noise(dice):
    return dice.randbytes(dice.randrange(1, 4_096))


def half(dice):
    return ORDER[:dice.randrange(1, len(ORDER) - 1)]


def mutated(dice):
    text = bytearray(ORDER)
    for _ in range(dice.randrange(1, 8)):
        # The method stays: a mutated call must not become public data.
        text[dice.randrange(5, len(text))] = dice.randrange(256)
    return bytes(text)


def framed_twice(dice):
    length = dice.choice([b"5", b"-1", b"+3", b"0x10", b"99999999999999999999", b"5, 6", b""])
    coding = dice.choice([b"chunked", b"gzip, chunked", b"chunked, identity", b"\x0bchunked"])
    return (
        b"POST /v1/order/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length
        + b"\r\nTransfer-Encoding: " + coding + b"\r\n\r\n5\r\nabcde\r\n0\r\n\r\n" + half(dice)
    )


def bad_chunks(dice):
    size = dice.choice([b"FFFFFFFFFFFFFFFFF", b"-5", b"5;a=\n", b"zz", b"", b"5 5"])
    return b"POST /v1/order/new HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + noise(dice)


def long_head(dice):
    lines = b"".join(b"X-%d: %s\r\n" % (it, b"y" * dice.randrange(200)) for it in range(dice.randrange(1, 1_500)))
    return b"POST /v1/order/new HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n"


def odd_target(dice):
    target = dice.choice([
        b"*", b"//", b"/v1/../v1/order/new", b"/%2e%2e", b"http://evil.test/v1/order/new", b"/\xff\xfe", b"/v1/order/new#x",
    ])
    return b"POST " + target + b" HTTP/1.1\r\nHost: " + dice.choice([b"evil.test", b"localhost", b"", b"a b"]) + b"\r\n\r\n"


def forged(dice):
    payload = dice.choice([b"e30=", b"%%%%", b"A" * 9_000, b"eyJub25jZSI6"])
    return (
        b"POST /v1/order/new HTTP/1.1\r\nHost: localhost\r\nX-GEMINI-APIKEY: account-standin-hardship\r\nX-GEMINI-PAYLOAD: "
        + payload + b"\r\nX-GEMINI-SIGNATURE: " + b"ab" * dice.randrange(60) + b"\r\n\r\n"
    )


KINDS = [noise, half, mutated, framed_twice, bad_chunks, long_head, odd_target, forged, lambda _: HTTP2, lambda _: HELLO,
         lambda dice: mutated(dice) * 5]


class Attacker:
    def __init__(self, proxy, seed):
        self.proxy, self.dice = proxy, random.Random(seed)
        self.n, self.resets, self.heard = 0, 0, proxy.stage.hearing()

    def run(self, stop):
        with open(self.heard, "ab") as heard:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    self.once(heard)
                self.n += 1
                time.sleep(0.002)

    def once(self, heard):
        with socket.create_connection(("127.0.0.1", self.proxy.port), timeout=1) as near:
            data = self.dice.choice(KINDS)(self.dice)
            at = self.dice.randrange(len(data) + 1) if self.dice.random() < 0.3 else len(data)
            near.sendall(data[:at])
            end = self.dice.randrange(4)
            if end == 0:
                # A reset instead of an end.
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.resets += 1
            elif end == 1:
                near.shutdown(socket.SHUT_WR)
            if end in (1, 2):
                near.settimeout(0.1)
                heard.write(near.recv(65_536))


def mix(stage, seed, seconds):
    proxy = Proxy(stage, "hostile").up()
    settled(proxy)
    ledger = Ledger(stage.simulator)
    attackers = [Attacker(proxy, seed * 100 + it) for it in range(4)]
    stop = threading.Event()
    threads = [threading.Thread(target=it.run, args=(stop,)) for it in attackers]
    honest = Honest(proxy)
    try:
        for thread in threads:
            thread.start()
        time.sleep(seconds)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    measured = honest.end()
    hold(proxy.alive(), f"it has ended: {proxy.last_words()}")
    hold("panicked" not in proxy.said(), "a panic is in its log")
    arrived = ledger.new()
    proxy.metrics()
    signed = sum(it["key"] == proxy.count and it["path"] == "/v1/balances" for it in arrived)
    public = sum(it["key"] is None and it["path"] == "/v1/pubticker/btcusd" for it in arrived)
    others = [it["path"] for it in arrived if it["path"] not in ("/v1/balances", "/v1/pubticker/btcusd")]
    # The proxy's own question for the time, should a `Date` have been in doubt.
    for _ in range(min(2, others.count("/v1/symbols"))):
        others.remove("/v1/symbols")
    n, resets = sum(it.n for it in attackers), sum(it.resets for it in attackers)
    settled(proxy)
    hold(proxy.end() == 0, "it did not drain")
    hold(measured.ok == measured.total and measured.total, f"honest: {measured.text()}, as {measured.other[:3]}")
    hold(not others, f"{len(others)} others arrived at the exchange, as {others[:3]}")
    made = measured.signed, measured.public
    hold((signed, public) == made, f"{signed} signed and {public} public calls arrived, {made[0]} and {made[1]} were made")
    return (
        f"{n} hostile connections in {seconds} s (seed {seed}, {resets} resets): no panic; honest: {measured.text()}; "
        f"at the exchange {signed} signed and {public} public calls, each the honest client's"
    )
