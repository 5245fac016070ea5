"""Crowds that hold connections: slow heads, slow bodies, slow readers, idle ones, and a proxy with few descriptors.

1. A crowd keeps its number: who is closed comes back, at most once a second.
2. An honest client calls all the time, in a process of its own, from the same address as the crowd.
3. An honest call is answered, at its 99th percentile within 50 ms or, on a machine that is slow or busy, within 3 times
   what it takes at the same time at a proxy without a crowd; or it is refused with a clean 503. Nothing hangs and nothing
   is cut off. With `--quick` there are too few calls for a percentile, and one pause of a shared machine would decide:
   there it is a second, which a call that waits for the crowd exceeds.
4. The patient crowds stand before proxies of their own at the same time: waiting costs nothing.
"""

import asyncio
import random
import socket
import time

from nonces import Ledger, judged
from stage import Failed, Honest, Proxy, hold, percentile, settled

PATIENT = ["slow-heads", "slow-bodies", "slow-readers", "idle"]
LIMIT_MILLIS = 50
QUICK_LIMIT_MILLIS = 1_000
GROWTH = 32 * 1_024
# What an idle connection may cost, in KiB: its task, and no buffers.
IDLE_COST = 8
IDLE_SECONDS = 60
BIG = 3_000_000
BYTE_EVERY = 5


class Crowd:
    """Connections that are kept up, each by `visit`, until the crowd leaves."""

    def __init__(self, proxy, n, visit, source="127.0.0.1", per_second=150):
        self.proxy, self.n, self.visit, self.source, self.per_second = proxy, n, visit, source, per_second
        self.opened = self.refused = self.here = self.most = 0
        self.ages, self.statuses, self.tasks = [], {}, []
        self.heard = open(proxy.stage.hearing(), "ab")  # noqa: SIM115: open until the crowd leaves
        self.random = random.Random(n)

    def gather(self):
        self.tasks = [asyncio.create_task(self.member(it)) for it in range(self.n)]

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.heard.close()

    async def member(self, index):
        await asyncio.sleep(index / self.per_second)
        while True:
            began = time.monotonic()
            await self.once(index, began)
            await asyncio.sleep(max(0.0, 1 - (time.monotonic() - began)))

    async def once(self, index, began):
        near = socket.socket()
        near.setblocking(False)
        if getattr(self.visit, "deaf", False):
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        try:
            near.bind((self.source, 0))
            await asyncio.get_running_loop().sock_connect(near, ("127.0.0.1", self.proxy.port))
            self.opened += 1
            self.here += 1
            self.most = max(self.most, self.here)
            try:
                await self.visit(Visitor(self, near, index))
            finally:
                self.here -= 1
            self.ages.append(time.monotonic() - began)
        except OSError:
            self.refused += 1
        finally:
            near.close()

    def text(self):
        told = f"{self.most} connections at most"
        if self.ages:
            answers = ", ".join(f"{n} × {status}" for status, n in sorted(self.statuses.items()))
            told += f", {len(self.ages)} closed by the proxy after p50 {percentile(self.ages, .5):.1f} s"
            told += f" ({answers})" if answers else " (without an answer)"
        else:
            told += ", none closed"
        return told


class Visitor:
    """One connection of a crowd."""

    def __init__(self, crowd, near, index):
        self.crowd, self.near, self.index = crowd, near, index
        self.loop = asyncio.get_running_loop()

    async def send(self, data):
        await self.loop.sock_sendall(self.near, data)

    async def closed(self, seconds=None):
        """Reads for so long, or for ever. `True`: the proxy has closed."""
        try:
            async with asyncio.timeout(seconds):
                while data := await self.loop.sock_recv(self.near, 65_536):
                    self.hear(data)
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def hear(self, data):
        self.crowd.heard.write(data)
        if data.startswith(b"HTTP/1.1 "):
            status = data[9:12].decode("ascii", "replace")
            self.crowd.statuses[status] = self.crowd.statuses.get(status, 0) + 1

    async def drip(self, data):
        """One byte after another until the proxy closes."""
        await asyncio.sleep(self.crowd.random.random() * BYTE_EVERY)
        for byte in data:
            try:
                await self.send(bytes([byte]))
            except OSError:
                return
            if await self.closed(BYTE_EVERY):
                return
        await self.closed()


async def slow_head(visitor):
    await visitor.drip(b"GET /v1/pubticker/btcusd HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1_000)


async def slow_body(visitor):
    # Half of them are a client; the others are refused before a body matters.
    token = visitor.crowd.proxy.stage.planted.token
    who = f"Authorization: Bearer {token}\r\n" if visitor.index % 2 else ""
    head = f"POST /v1/balances HTTP/1.1\r\nHost: localhost\r\n{who}Content-Length: 1000\r\n\r\n"
    await visitor.send(head.encode())
    await visitor.drip(b'{"padding":"' + b"a" * 988)


async def slow_reader(visitor):
    # Half of them ask for public data, the others with the honest client's own key.
    token = visitor.crowd.proxy.stage.planted.token
    if visitor.index % 2:
        head = f"POST /v1/mytrades HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    else:
        head = "GET /v1/trades/ethusd HTTP/1.1\r\nHost: localhost\r\n\r\n"
    await visitor.send(head.encode())
    await asyncio.sleep(3_600)


# Its window is small, so that the proxy is left with what it does not read.
slow_reader.deaf = True


async def idle_after_a_request(visitor):
    await visitor.send(b"GET /v1/pubticker/btcusd HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await visitor.closed()


async def silent(visitor):
    await visitor.closed()


async def half_head(visitor):
    if visitor.index % 2:
        await visitor.send(b"GET /v1/pubticker/btcusd HTTP/1.1\r\nHost: loc")
    await visitor.closed()


# The patient ones ------------------------------------------------------------------------------


def patient(stage, seconds):
    """All at the same time; what became of each."""
    return asyncio.run(all_patient(stage, seconds))


async def all_patient(stage, seconds):
    big = {"status": 200, "body": "[" + "1," * (BIG // 2) + "1]", "headers": {"content-type": "application/json"}}
    for path in ("/v1/trades/ethusd", "/v1/mytrades"):
        stage.simulator.script(path, {"answer": big}, times=0)
    idle_for = seconds if stage.quick else max(seconds, IDLE_SECONDS + 15)
    control = Control(stage, "patient")
    await control.begin()
    checks = {
        "slow-heads": slow(stage, "slow-heads", 1_000, slow_head, seconds),
        "slow-bodies": slow(stage, "slow-bodies", 1_000, slow_body, seconds),
        # Slowly: what a crowd costs that takes 600 MB at once is another question.
        "slow-readers": slow(stage, "slow-readers", 200, slow_reader, seconds, per_second=20),
        "idle": idle(stage, idle_for),
    }
    found = dict(zip(checks, await asyncio.gather(*checks.values(), return_exceptions=True)))
    limit = await control.end()
    stage.simulator.no_script()
    return {name: it if isinstance(it, Exception) else it.judged(limit) for name, it in found.items()}


class Control:
    """An honest client at a proxy without a crowd, at the same time: what the machine itself costs."""

    def __init__(self, stage, name):
        self.proxy, self.honest = Proxy(stage, f"quiet-{name}"), None
        self.limit = QUICK_LIMIT_MILLIS if stage.quick else LIMIT_MILLIS

    async def begin(self):
        await asyncio.to_thread(self.proxy.up)
        await asyncio.to_thread(settled, self.proxy)
        self.honest = Honest(self.proxy)

    async def end(self):
        """What an honest call may take, in milliseconds."""
        measured = await asyncio.to_thread(self.honest.end)
        await asyncio.to_thread(self.proxy.end)
        print(f"   without a crowd: {measured.text()}", flush=True)
        return max(self.limit, 3 * measured.p(.99))


class Found:
    """What became of a crowd; it is judged when it is known what the machine itself costs."""

    def __init__(self, told, measured, faults):
        self.told, self.measured, self.faults = told, measured, faults

    def judged(self, limit):
        faults = list(self.faults)
        measured = self.measured
        if measured.other or not measured.total:
            faults.insert(0, f"honest calls ended otherwise, as {measured.other[:3]}")
        if measured.p(.99) > limit:
            faults.insert(0, f"honest calls took longer than {limit:.0f} ms")
        return Failed(f"{'; '.join(faults)}: {self.told}") if faults else self.told


async def before_a_crowd(stage, name):
    proxy = Proxy(stage, name)
    await asyncio.to_thread(proxy.up)
    await asyncio.to_thread(settled, proxy)
    honest = Honest(proxy)
    await asyncio.sleep(1)
    return proxy, honest, proxy.memory()[0]


async def after_a_crowd(proxy, honest, crowds):
    """Takes the figures before the crowds leave; then sees that all is as before."""
    hold(proxy.alive(), f"{proxy.name} has ended: {proxy.last_words()}")
    measured = await asyncio.to_thread(honest.end)
    now, peak = proxy.memory()
    for crowd in crowds:
        await crowd.leave()
    await asyncio.to_thread(proxy.metrics)
    await asyncio.to_thread(settled, proxy)
    await asyncio.sleep(1)
    later = proxy.memory()[0]
    hold(await asyncio.to_thread(proxy.end) == 0, f"{proxy.name} did not drain")
    return measured, now, peak, later


def mebibytes(before, now, peak, later):
    return f"RSS {before / 1024:.1f} MiB before, {now / 1024:.1f} at the end, {peak / 1024:.1f} at most, {later / 1024:.1f} afterwards"


async def slow(stage, name, n, visit, seconds, per_second=150):
    proxy, honest, before = await before_a_crowd(stage, name)
    crowd = Crowd(proxy, n, visit, per_second=per_second)
    crowd.gather()
    await asyncio.sleep(seconds)
    measured, now, peak, later = await after_a_crowd(proxy, honest, [crowd])
    told = f"{crowd.text()}, {seconds} s; honest: {measured.text()}; {mebibytes(before, now, peak, later)}"
    faults = []
    if crowd.most < n * 0.9 and not measured.refused:
        faults.append("the crowd was not there")
    if peak - before > GROWTH:
        faults.append("RSS grew by more than 32 MiB")
    return Found(told, measured, faults)


async def idle(stage, seconds):
    proxy, honest, before = await before_a_crowd(stage, "idle")
    n = 2_000
    crowds = [Crowd(proxy, n, idle_after_a_request, per_second=200), Crowd(proxy, n, silent, per_second=200)]
    for crowd in crowds:
        crowd.gather()
    await asyncio.sleep(seconds)
    measured, now, peak, later = await after_a_crowd(proxy, honest, crowds)
    after_one, never = crowds
    told = (
        f"after a request: {after_one.text()}; silent: {never.text()}; {seconds} s; honest: {measured.text()}; "
        f"{mebibytes(before, now, peak, later)}"
    )
    faults = []
    if min(it.most for it in crowds) < n * 0.9:
        faults.append("the crowd was not there")
    if peak - before > 2 * n * IDLE_COST:
        faults.append(f"an idle connection costs more than {IDLE_COST} KiB")
    if any(it.ages and min(it.ages) < IDLE_SECONDS - 5 for it in crowds):
        faults.append(f"idle connections were closed before {IDLE_SECONDS} s")
    if seconds > IDLE_SECONDS + 10 and any(len(it.ages) < n * 0.9 for it in crowds):
        faults.append(f"idle connections were not closed after {IDLE_SECONDS} s")
    if seconds <= IDLE_SECONDS:
        told += "; their closing was not waited for"
    return Found(told, measured, faults)


# Few descriptors -------------------------------------------------------------------------------


def few_descriptors(stage):
    """A crowd of 500 before a proxy that may open 60 files."""
    return asyncio.run(crowded_out(stage, 5 if stage.quick else 10))


async def crowded_out(stage, seconds):
    control = Control(stage, "few")
    await control.begin()
    proxy = Proxy(stage, "few-descriptors")
    ledger = Ledger(stage.simulator)
    narrow = ["/bin/sh", "-c", 'ulimit -n 60; exec "$@"', "sh"]
    await asyncio.to_thread(lambda: proxy.up(before=narrow))
    await asyncio.to_thread(settled, proxy)
    crowded = [await crowd_from(proxy, source, seconds) for source in ("127.0.0.1", "127.0.0.2")]
    limit = await control.end()
    await asyncio.sleep(1)
    written = max(it.stat().st_mtime_ns for it in proxy.state_files())
    honest = Honest(proxy)
    await asyncio.sleep(3)
    measured = await asyncio.to_thread(honest.end)
    told = f"{'; '.join(it.told for it in crowded)}; afterwards {measured.text()}"
    for it in crowded:
        hold(not isinstance(it.judged(limit), Failed), f"{it.judged(limit)}; afterwards {measured.text()}")
    hold(measured.ok == measured.total, f"after the crowd has left: {measured.text()}, as {measured.other[:2]}")
    hold(max(it.stat().st_mtime_ns for it in proxy.state_files()) > written, "no state was written after the crowd")
    proxy.kill()
    await asyncio.to_thread(lambda: proxy.up(before=narrow))
    await asyncio.to_thread(settled, proxy)
    await asyncio.to_thread(proxy.metrics)
    nonces = sum(it.arrivals for it in judged(ledger.new(), proxy))
    proxy.end()
    return f"{told}; {nonces} nonces over a restart, 0 repeated, 0 fell"


async def crowd_from(proxy, source, seconds):
    crowd = Crowd(proxy, 500, half_head, source=source)
    crowd.gather()
    await asyncio.sleep(4)
    honest = Honest(proxy)
    await asyncio.sleep(seconds)
    measured = await asyncio.to_thread(honest.end)
    await crowd.leave()
    hold(proxy.alive(), f"it has ended: {proxy.last_words()}")
    where = "the same address" if source == "127.0.0.1" else "another address"
    return Found(f"500 connections from {where}: honest {measured.text()}", measured, [])
