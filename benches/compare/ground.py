"""What every measurement stands on: the upstream, the order that is sent, and who may send it.

1. Every peer gets the same bytes, with the credential that only geminid asks for.
2. Ports are free ones, below those that the system gives to connections that leave.
3. Everything is below one directory that is removed afterwards.
"""

import hashlib
import http.client
import json
import os
import random
import secrets
import socket
import ssl
import subprocess

from process import LOAD_CORE, Process, hold

PATH = "/v1/order/new"
API_KEY = "account-compare0001"
ORDER = {
    "symbol": "btcusd", "amount": "0.00001", "price": "10.00", "side": "buy", "type": "exchange limit",
    "client_order_id": "bench",
}
BODY_LENGTH = 120
COUNTS = ("requests", "verified", "unsigned", "public", "bad", "fallen", "handshakes")


def order(length=BODY_LENGTH):
    """The order, in exactly so many bytes: its own id fills what is left."""
    missing = length - len(json.dumps(ORDER, separators=(",", ":")))
    longer = ORDER["client_order_id"] + "x" * missing
    text = json.dumps({**ORDER, "client_order_id": longer}, separators=(",", ":"))
    hold(len(text) == length, f"an order has at least {len(text)} bytes")
    return text.encode()


class Ground:
    def __init__(self, directory, tools):
        self.directory, self.tools = directory, tools
        self.random = random.Random(os.getpid())
        self.taken = set()
        self.processes = []
        self.secret = secrets.token_urlsafe(24)
        self.secret_file = self.file("key.secret", self.secret.encode())
        self.token, self.other_token = secrets.token_hex(32), secrets.token_hex(32)
        self.tokens = self.file("tokens", self.token.encode() + b"\n")
        self.body = self.file("order.json", order())
        self.ca = directory / "ca.pem"
        self.upstream = Upstream(self)

    def file(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def start(self, words, core, log, **more):
        process = Process(words, core, self.directory / f"{log}.log", **more)
        self.processes.append(process)
        return process

    def end(self):
        for process in reversed(self.processes):
            process.end()

    def port(self):
        while True:
            port = self.random.randrange(12_000, 32_000)
            if port in self.taken:
                continue
            self.taken.add(port)
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            return port

    def headers(self, token=None):
        return {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.token}"}


class Upstream:
    """The exchange of this comparison, and what it counted."""

    def __init__(self, ground):
        words = [ground.tools.upstream, ground.secret_file, ground.ca]
        self.process = ground.start(words, LOAD_CORE, "upstream", stdout=subprocess.PIPE)
        line = self.process.child.stdout.readline().split()
        hold(len(line) == 2, f"the upstream did not start: {self.process.said()}")
        self.port, control = (int(it) for it in line)
        self.url = f"https://127.0.0.1:{self.port}"
        self.control = http.client.HTTPConnection("127.0.0.1", control, timeout=20)
        self.tls = ssl.create_default_context(cafile=ground.ca)
        self.answer = self.ask_directly(ground)

    def counts(self, path="/counts"):
        self.control.request("POST", path)
        return json.loads(self.control.getresponse().read())

    def delay(self, micros):
        self.counts(f"/delay/{micros}")

    def ask_directly(self, ground):
        """What a proxy's answer is compared with."""
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=10)
        connection.request("POST", PATH, ground.body.read_bytes(), ground.headers())
        response = connection.getresponse()
        body = response.read()
        connection.close()
        hold(response.status == 200, f"the upstream refuses the order: {body}")
        return body


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
