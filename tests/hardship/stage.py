"""What every check stands on: the simulated exchange, proxies before it, planted secrets, and what was heard.

1. Black box: a proxy is known by its command line, its files, its sockets and /proc, and by the exchange's ledger.
2. Every process is started by `Stage.start` and ended by `Stage.end`, whatever a check throws.
3. Every byte of an answer goes to a file below `heard`, and every log stays, so that the last check can search them.
4. Standard library only. What the client suites have already is theirs: `tests/clients/ground.py`.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "clients"))

from ground import Simulator, plain_environment, simulate  # noqa: E402

ORDER = {"symbol": "btcusd", "amount": "0.00001", "price": "10.00", "side": "buy", "type": "exchange limit"}


class Failed(Exception):
    """A check that did not hold; its text says why."""


class Skipped(Exception):
    """A check that cannot be made here; its text says why."""


def hold(condition, why):
    if not condition:
        raise Failed(why)


class Planted:
    """The secrets that must never be seen again. The same ones for every proxy: the search is then short."""

    def __init__(self):
        def text(characters):
            # With what base64 and URLs write differently.
            return "".join(secrets.choice(characters) for _ in range(40))

        letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
        self.key_secret = text(letters + "+/=~!%")
        self.standin_secret = text(letters + "+/=~")
        self.token = text(letters + "-._~+/")
        self.timed_token = text(letters + "-._~+/")

    def all(self):
        return {
            "the key's secret": self.key_secret, "the stand-in secret": self.standin_secret,
            "the client's token": self.token, "the other client's token": self.timed_token,
        }


class Stage:
    """One run: its directory, its simulated exchange, its processes."""

    def __init__(self, binary, directory, quick):
        self.directory, self.quick = directory, quick
        # Beside everything else, so that an unprivileged user can start it too.
        self.binary = directory / "geminid"
        shutil.copy(binary, self.binary)
        self.planted = Planted()
        self.children, self.lock, self.ports = [], threading.Lock(), set()
        self.random = random.Random(os.getpid())
        self.heard = directory / "heard"
        self.heard.mkdir()
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.proxies = []
        self.n_heard = 0
        self.simulation, found = simulate(self.binary, directory)
        self.simulator = Exchange(found.url, found.ca)
        self.children.append(self.simulation.child)

    def start(self, arguments, **more):
        child = subprocess.Popen([str(it) for it in arguments], stdin=more.pop("stdin", subprocess.DEVNULL), **more)
        with self.lock:
            self.children.append(child)
        return child

    def ended(self, child):
        with self.lock, contextlib.suppress(ValueError):
            self.children.remove(child)

    def end(self):
        with self.lock:
            children, self.children = self.children, []
        for child in children:
            if child.poll() is None:
                child.kill()
        for child in children:
            child.wait()

    def port(self):
        """A free one, below those that the system gives to connections that leave."""
        while True:
            port = self.random.randrange(12_000, 32_000)
            with self.lock:
                if port in self.ports:
                    continue
                self.ports.add(port)
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            return port

    def hearing(self):
        """A file for what somebody hears."""
        with self.lock:
            self.n_heard += 1
            return self.heard / f"{self.n_heard:05}"


class Exchange(Simulator):
    """The simulated exchange, also over a connection that is kept."""

    def open(self):
        return http.client.HTTPSConnection("localhost", self.port, context=self.tls)

    @staticmethod
    def tell(connection, path, body):
        connection.request("POST", "/_simulator/" + path, json.dumps(body))
        response = connection.getresponse()
        answer = response.read()
        hold(response.status == 200, answer)


class Answer:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = dict(response.getheaders())

    def diagnosis(self):
        """Ours, or nothing."""
        with contextlib.suppress(ValueError, AttributeError):
            return json.loads(self.body).get("diagnosis") or {}
        return {}

    def cause(self):
        return self.diagnosis().get("cause", "")


class Caller:
    """Calls one proxy as one client, each time over a connection of its own unless `keep`."""

    def __init__(self, port, heard, token=None, keep=False, timeout=12, source=None):
        self.port, self.token, self.keep, self.timeout, self.source = port, token, keep, timeout, source
        self.heard = open(heard, "ab")  # noqa: SIM115: open as long as the caller lives
        self.connection = None

    def call(self, method, path, body=None, headers=None):
        """Its answer. Raises `ConnectionRefusedError`, another `OSError`, or `http.client.HTTPException`."""
        headers = dict(headers or {})
        if self.token and "X-GEMINI-APIKEY" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, dict):
            body = json.dumps(body)
        if self.connection is None:
            source = (self.source, 0) if self.source else None
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, self.timeout, source)
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            whole = response.read()
        except BaseException:
            self.forget()
            raise
        self.heard.write(f"{response.status} {response.getheaders()}\n".encode() + whole + b"\n")
        if not self.keep or response.will_close:
            self.forget()
        return Answer(response, whole)

    def forget(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def order(self, order_id, headers=None):
        return self.call("POST", "/v1/order/new", {**ORDER, "client_order_id": order_id}, headers)

    def close(self):
        self.forget()
        self.heard.close()


def signed_by_standin(secret, path, fields):
    """The headers of a call that a bot signs itself, as for the exchange."""
    text = json.dumps({"request": path, "nonce": time.time_ns(), **fields}).encode()
    payload = base64.b64encode(text)
    signature = hmac.new(secret.encode(), payload, hashlib.sha384).hexdigest()
    return {
        "X-GEMINI-APIKEY": "account-standin-hardship", "X-GEMINI-PAYLOAD": payload.decode(),
        "X-GEMINI-SIGNATURE": signature,
    }


class Proxy:
    """One proxy, with a counting and a time-based key; its port, directory and log outlive its process."""

    def __init__(self, stage, name, nonce="auto", state=None, user=None, limits=""):
        self.stage, self.name, self.user = stage, name, user
        self.directory = stage.directory / name
        self.directory.mkdir(mode=0o700)
        self.state = state or self.directory / "state"
        self.log = stage.logs / f"{name}.log"
        self.port, self.admin = stage.port(), stage.port()
        self.count, self.timed = f"account-count-{name}", f"account-timed-{name}"
        self.child, self.began = None, 0
        planted, simulator = stage.planted, stage.simulator
        self.introduce()
        (self.directory / "key.secret").write_text(planted.key_secret + "\n")
        (self.directory / "key.secret").chmod(0o600)
        digest = {it: hashlib.sha256(it.encode()).hexdigest() for it in (planted.token, planted.timed_token)}
        modes = ("auto", "auto") if nonce == "auto" else ("increasing", "time")
        text = f"""
[listen]
admin = "127.0.0.1:{self.admin}"
[state]
dir = "{self.state}"
[[upstreams]]
name = "exchange"
provider = "exchange"
environment = "simulator"
url = "{simulator.url}"
ca_file = "{simulator.ca}"
listen = ["127.0.0.1:{self.port}"]
[[keys]]
name = "count"
api_key = "{self.count}"
api_secret = {{ file = "key.secret" }}
nonce = "{modes[0]}"
[[keys]]
name = "timed"
api_key = "{self.timed}"
api_secret = {{ env = "HARDSHIP_KEY_SECRET" }}
nonce = "{modes[1]}"
[[clients]]
name = "bot"
key = "count"
credential = [
    {{ token_sha256 = "{digest[planted.token]}" }},
    {{ key = "account-standin-hardship", secret = {{ value = "{planted.standin_secret}" }} }},
]
scopes = ["trader"]
{limits}
[[clients]]
name = "timed-bot"
key = "timed"
credential = {{ token_sha256 = "{digest[planted.timed_token]}" }}
scopes = ["trader"]
"""
        (self.directory / "proxy.toml").write_text(text)
        if user is not None:
            for path in [self.directory, *self.directory.iterdir()]:
                os.chown(path, user, user)
        stage.proxies.append(self)

    def introduce(self, control=None):
        """Makes the keys known to the exchange, or known anew: it forgets how far their nonces have come."""
        simulator = self.stage.simulator
        for key, nonce in ((self.count, "increasing"), (self.timed, "time")):
            spec = {"key": key, "secret": self.stage.planted.key_secret, "roles": ["Trader"], "nonce": nonce, "last_nonce": "0"}
            simulator.tell(control or simulator.open(), "keys", spec)

    def start(self, before=(), environment=None, level="trace", **more):
        """Starts it, and does not wait. `before`: words of a command that executes the rest."""
        self.began = self.log.stat().st_size if self.log.exists() else 0
        variables = {**plain_environment(), "HARDSHIP_KEY_SECRET": self.stage.planted.key_secret, **(environment or {})}
        arguments = [
            *before, self.stage.binary, "--log-level", level, "--log-format", "json",
            "serve", "--config", self.directory / "proxy.toml",
        ]
        with open(self.log, "ab") as log:
            self.child = self.stage.start(
                arguments, stdout=log, stderr=log, cwd=self.directory, env=variables, **more,
            )
        return self

    def said(self):
        """Its log since it was started last."""
        with open(self.log, "rb") as log:
            log.seek(self.began)
            return log.read().decode(errors="replace")

    def is_ready(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=2)
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
            finally:
                connection.close()
        return False

    def ready(self, seconds=15):
        """Waits for it. `False`: it ended instead."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                return False
            if self.is_ready():
                return True
            time.sleep(0.004)
        raise Failed(f"{self.name} is not ready within {seconds} s: {self.last_words()}")

    def up(self, **more):
        self.start(**more)
        hold(self.ready(), f"{self.name} did not start: {self.last_words()}")
        return self

    def last_words(self):
        return " / ".join(self.said().splitlines()[-3:])[-600:]

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def kill(self, by=signal.SIGKILL):
        """Ends it, and waits until it is gone."""
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.child.send_signal(by)
        try:
            code = self.child.wait(40)
        except subprocess.TimeoutExpired:
            self.child.kill()
            code = self.child.wait()
        self.stage.ended(self.child)
        self.child = None
        return code

    def end(self):
        return self.kill(signal.SIGTERM)

    def caller(self, timed=False, **more):
        planted = self.stage.planted
        token = planted.timed_token if timed else planted.token
        return Caller(self.port, self.stage.hearing(), token, **more)

    def metrics(self):
        """Asks for them; the answer is heard."""
        caller = Caller(self.admin, self.stage.hearing())
        try:
            return caller.call("GET", "/metrics").body.decode()
        finally:
            caller.close()

    def memory(self):
        """Resident now and at most, in KiB."""
        text = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii", errors="replace")
        return tuple(int(text.partition(name)[2].split()[0]) for name in ("VmRSS:", "VmHWM:"))

    def state_files(self):
        """The files that hold nonces."""
        return sorted(it for it in self.state.iterdir() if it.name.startswith("nonce-") and it.stat().st_size)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Honest:
    """A client in a process of its own, so that our load does not show in what it measures."""

    def __init__(self, proxy, source="127.0.0.1"):
        stage = proxy.stage
        here = Path(__file__).resolve().parent
        arguments = [sys.executable, here / "honest.py", proxy.port, stage.hearing(), source]
        self.stage = stage
        environment = {**plain_environment(), "HARDSHIP_TOKEN": stage.planted.token, "PYTHONDONTWRITEBYTECODE": "1"}
        self.child = stage.start(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def end(self):
        """Ends it, and gives what it measured."""
        out, _ = self.child.communicate(b"", timeout=60)
        self.stage.ended(self.child)
        return Measured(json.loads(out))


class Measured:
    def __init__(self, facts):
        self.millis, self.causes = facts["millis"], facts["causes"]
        self.ok, self.refused, self.other = facts["ok"], facts["refused"], facts["other"]
        self.signed, self.public, self.reconnects = facts["signed"], facts["public"], facts["reconnects"]
        self.total = self.ok + self.refused + len(self.other)

    def p(self, share):
        return percentile(self.millis, share)

    def text(self):
        told = f"{self.ok} of {self.total} calls"
        if self.refused:
            told += f", {self.refused} clean 503 ({', '.join(sorted(self.causes))})"
        if self.other:
            told += f", {len(self.other)} otherwise"
        return f"{told}, p50 {self.p(.5):.1f} ms, p99 {self.p(.99):.1f} ms, max {self.p(1):.0f} ms"


def settled(proxy, caller=None, seconds=8):
    """Calls until a signed call succeeds; the time that it took."""
    began = time.monotonic()
    caller = caller or proxy.caller()
    last = "no answer"
    while time.monotonic() - began < seconds:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = caller.call("POST", "/v1/balances", {})
            if answer.status == 200:
                return time.monotonic() - began
            last = f"{answer.status} {answer.cause()}"
        time.sleep(0.05)
    raise Failed(f"{proxy.name}: no signed call succeeds within {seconds} s, the last: {last}: {proxy.last_words()}")
