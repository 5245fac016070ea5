"""What a peer costs while it stands there: memory, idle and with idle connections; time to the first answer; size.

1. Memory is resident memory, of all processes of a peer: nginx has two, and what they share counts twice.
2. An idle connection has made one call. It is counted 2 s after the last one was made, and is still open then.
3. A start is from just before the process is executed, in a directory that is new, to the last byte of the first good
   answer; who asks too early asks again half a millisecond later.
"""

import select
import socket
import subprocess
import time

from ground import PATH
from load import settled
from peers import Proxy
from process import Failed, hold
from session import spread

IDLE_CONNECTIONS = 1_000
REST_SECONDS = 2


def memory(ground, peer):
    """KiB: idle, and with idle connections."""
    proxy = Proxy(ground, peer).up()
    try:
        time.sleep(REST_SECONDS)
        idle = proxy.process.resident()
        before = settled(ground)
        connections = [called_once(ground, proxy) for _ in range(IDLE_CONNECTIONS)]
        time.sleep(REST_SECONDS)
        crowded = proxy.process.resident()
        open_still = IDLE_CONNECTIONS - len(readable(connections))
        hold(open_still == IDLE_CONNECTIONS, f"{peer.name}: of its idle connections only {open_still} are still open")
        proxy.judge(before, settled(ground), IDLE_CONNECTIONS)
        for connection in connections:
            connection.close()
    finally:
        proxy.end()
    return {"idle": idle, "crowded": crowded}


def called_once(ground, proxy):
    """A connection that has made one call."""
    body = ground.body.read_bytes()
    fields = {"Host": f"127.0.0.1:{proxy.port}", "Content-Length": len(body), **ground.headers()}
    head = f"POST {PATH} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    connection.sendall(head.encode() + body)
    heard = b""
    while not heard.endswith(ground.upstream.answer):
        try:
            more = connection.recv(65_536)
        except TimeoutError:
            more = b""
        hold(more, f"{proxy.peer.name}: no whole answer, but {heard[-500:]!r}")
        heard += more
    hold(heard.startswith(b"HTTP/1.1 200"), f"{proxy.peer.name}: {heard[:300]!r}")
    return connection


def readable(connections):
    """Those that were closed, or on which somebody speaks unasked."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN | select.POLLHUP)
    return poll.poll(0)


def start(ground, peer):
    """Milliseconds to the first good answer."""
    proxy = Proxy(ground, peer)
    before = settled(ground)
    try:
        nanos = proxy.start().first_answer()
        proxy.judge(before, settled(ground), 1)
    finally:
        proxy.end()
    return nanos / 1e6


def size(ground, peer):
    """Bytes of the program without its symbols; `None` where there is no program of its own."""
    if not peer.binary:
        return None
    stripped = ground.directory / f"{peer.name}.stripped"
    ran = subprocess.run(["strip", "-o", stripped, peer.binary], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise Failed(f"{peer.binary} cannot be stripped: {ran.stderr}")
    return stripped.stat().st_size


def run(ground, peers, n_memory, n_starts):
    """For each peer what `report.py` tells; interleaved as everything else."""
    proxies = [it for it in peers if it.words]
    found = {it.name: {"idle": [], "crowded": [], "start": [], "size": size(ground, it)} for it in proxies}
    for _ in range(n_starts):
        for peer in ground.random.sample(proxies, len(proxies)):
            found[peer.name]["start"].append(start(ground, peer))
    print("  started", flush=True)
    for _ in range(n_memory):
        for peer in ground.random.sample(proxies, len(proxies)):
            for name, value in memory(ground, peer).items():
                found[peer.name][name].append(value)
    print("  stood", flush=True)
    for one in found.values():
        for name in ("idle", "crowded", "start"):
            one[name] = spread(one[name])
    return found
