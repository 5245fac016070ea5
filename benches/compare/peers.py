"""Who is compared: what each is started with, and whether it signs.

1. A peer's settings are a file under `peers/`, in which only `@NAME@` is filled in; nothing else is made here.
2. Each says for itself what is tested: a proxy that a user could run instead of geminid.
"""

import base64
import http.client
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ground import API_KEY, PATH, sha256
from process import PROXY_CORE, Failed, hold

FILES = Path(__file__).resolve().parent / "peers"


@dataclass
class Peer:
    name: str
    title: str
    # None: there is no proxy, the load goes to the upstream itself.
    words: Callable | None
    signs: bool = False
    # What its size on disk is told of, where it is one program.
    binary: Path | None = None


class Proxy:
    """A peer that runs."""

    def __init__(self, ground, peer, log=None):
        self.ground, self.peer = ground, peer
        self.port = ground.port()
        log = log or f"{peer.name}-{self.port}"
        self.directory = ground.directory / log
        self.directory.mkdir(mode=0o700)
        self.words = peer.words(self)
        self.process = None
        self.log = log

    def start(self):
        self.process = self.ground.start(self.words, PROXY_CORE, self.log, cwd=self.directory)
        return self

    def up(self):
        self.start()
        self.first_answer()
        self.check()
        return self

    def end(self):
        self.process.end()
        self.ground.processes.remove(self.process)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def file(self, name, **more):
        """A file of `peers/`, with what it leaves open."""
        ground = self.ground
        values = {
            "PORT": self.port, "UPSTREAM_PORT": ground.upstream.port, "CA": ground.ca, "KEY": API_KEY,
            "DIRECTORY": self.directory, "SECRET_FILE": ground.secret_file,
            "SECRET_BASE64": base64.b64encode(ground.secret.encode()).decode(),
            "TOKEN_SHA256": sha256(ground.token), "OTHER_SHA256": sha256(ground.other_token),
            **more,
        }
        text = (FILES / name).read_text(encoding="utf-8")
        text = re.sub(r"@([A-Z_0-9]+)@", lambda it: str(values.get(it[1], it[0])), text)
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def arguments(self):
        """What the hand-written ones take."""
        ground = self.ground
        return [self.port, ground.upstream.port, ground.ca, API_KEY, ground.secret_file]

    def first_answer(self, seconds=20):
        """Asks until it answers well; the nanoseconds since it was executed."""
        body, headers = self.ground.body.read_bytes(), self.ground.headers()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            hold(self.process.is_alive(), f"{self.peer.name} ended: {self.process.said()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("POST", PATH, body, headers)
                response = connection.getresponse()
                if response.read() == self.ground.upstream.answer and response.status == 200:
                    return time.perf_counter_ns() - self.process.began
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.000_5)
        raise Failed(f"{self.peer.name} does not answer within {seconds} s: {self.process.said()}")

    def check(self, n=3):
        """A few answers, byte for byte as the upstream gives them, each to a call that it found good."""
        ground = self.ground
        before = ground.upstream.counts()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        for _ in range(n):
            connection.request("POST", PATH, ground.body.read_bytes(), ground.headers())
            response = connection.getresponse()
            body = response.read()
            told = f"{response.status} {body[:300]!r}"
            hold(response.status == 200 and body == ground.upstream.answer, f"{self.peer.name} answers {told}")
        connection.close()
        self.judge(before, ground.upstream.counts(), n)

    def judge(self, before, after, n):
        """Whether the upstream saw `n` calls of this peer since `before`, all good, and no others."""
        rise = {name: after[name] - before[name] for name in after}
        hold(rise["requests"] - rise["public"] == n, f"{self.peer.name}: {n} calls, and the upstream saw {rise}")
        good = "verified" if self.peer.signs else "unsigned"
        hold(rise[good] == n and rise["bad"] == 0, f"{self.peer.name}: {n} calls, of which the upstream found {rise}")


def nginx(proxy):
    return ["nginx", "-p", proxy.directory, "-e", proxy.directory / "error.log", "-c", proxy.file("nginx.conf")]


def haproxy(proxy):
    return ["haproxy", "-db", "-f", proxy.file("haproxy.cfg")]


def haproxy_signing(proxy):
    return ["haproxy", "-db", "-f", proxy.file("haproxy-signing.cfg")]


def aiohttp(proxy):
    return [proxy.ground.tools.python, FILES / "aiohttp_proxy.py", *proxy.arguments()]


def node(proxy):
    port, upstream_port, ca, *rest = proxy.arguments()
    return ["env", f"NODE_EXTRA_CA_CERTS={ca}", "node", FILES / "node_proxy.mjs", port, upstream_port, *rest]


def minimal(proxy):
    return [proxy.ground.tools.minimal, *proxy.arguments()]


def geminid(binary, nonce="time", more=None):
    """As a usual user has it; `more` adds to its configuration."""

    def words(proxy):
        config = proxy.file("geminid.toml", ADMIN_PORT=proxy.ground.port(), NONCE=nonce)
        if more:
            config.write_text(config.read_text(encoding="utf-8") + more, encoding="utf-8")
        return [binary, "serve", "--config", config]

    return words


def installed(name):
    path = shutil.which(name)
    return Path(path) if path else None


def direct():
    return Peer("direct", "the TLS upstream, direct", None)


def all_peers(tools, binaries):
    """Every peer, the fixed ones first. `binaries`: geminids by name."""
    found = [
        direct(),
        Peer("nginx", "nginx `proxy_pass`, unsigned", nginx, binary=installed("nginx")),
        Peer("haproxy", "HAProxy, unsigned", haproxy, binary=installed("haproxy")),
        Peer(
            "haproxy-signing", "HAProxy, signing by configuration", haproxy_signing, signs=True,
            binary=installed("haproxy"),
        ),
        Peer("aiohttp", "aiohttp, hand-written, signing", aiohttp, signs=True),
        Peer("node", "Node, hand-written, signing", node, signs=True),
        Peer("minimal", "the least on hyper, signing", minimal, signs=True, binary=tools.minimal),
    ]
    for name, binary in binaries.items():
        title = "**geminid**" if name == "geminid" else f"geminid `{name}`"
        found.append(Peer(name, title, geminid(binary), signs=True, binary=binary))
    return found
