"""The ground that the suites stand on: a simulated exchange, the proxy before it, and who may call.

Standard library only: `run` uses it before anything is installed, the suites use it afterwards.
"""

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
import traceback


class Relay:
    """A listener that passes bytes on to `target` and keeps what came back.

    Closing it is what a dead upstream looks like; what it keeps is what clients got to see.
    """

    def __init__(self, target):
        self.target = target
        self.seen = []
        self.connections = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.connections += [near, far]
            chunks = []
            self.seen.append(chunks)
            threading.Thread(target=self._pass, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, chunks), daemon=True).start()

    @staticmethod
    def _pass(source, sink, keep):
        try:
            while data := source.recv(65536):
                if keep is not None:
                    keep.append(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        for connection in [self.listener, *self.connections]:
            # Wakes whoever waits on it; closing alone does not.
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def received(self):
        return b"\n".join(b"".join(chunks) for chunks in self.seen)


class Simulator:
    """The simulated exchange, seen from outside."""

    def __init__(self, url, ca):
        self.url, self.ca = url, ca
        self.port = int(url.rpartition(":")[2])
        self.tls = ssl.create_default_context(cafile=ca)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.tls)
        text = None if body is None else json.dumps(body)
        connection.request(method, "/_simulator/" + path, text)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        assert response.status == 200, answer
        return answer

    def add_key(self, key, secret, roles=("Trader",), **more):
        self.ask("POST", "keys", {"key": key, "secret": secret, "roles": list(roles), **more})

    def script(self, path, action, **more):
        self.ask("POST", "script", {"path": path, "do": action, **more})

    def no_script(self):
        self.ask("DELETE", "script")

    def entries(self, **wanted):
        found = self.ask("GET", "ledger")["entries"]
        return [it for it in found if all(it[name] == value for name, value in wanted.items())]

    def summary(self):
        return self.ask("GET", "summary")


class Process:
    """One that we started; it alone is ended."""

    def __init__(self, arguments, log, directory, environment=None):
        self.log = log
        self.errors = log.with_suffix(".err")
        environment = plain_environment() if environment is None else environment
        with open(log, "wb") as out, open(self.errors, "wb") as errors:
            self.child = subprocess.Popen(
                [str(it) for it in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                cwd=directory, env=environment,
            )

    def text(self):
        return self.log.read_text() + self.errors.read_text()

    def alive(self, condition):
        if self.child.poll() is not None:
            raise SystemExit(f"error: it ended with {self.child.returncode}\n{self.text()}")
        return condition()

    def end(self):
        self.child.terminate()
        try:
            return self.child.wait(40)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


def plain_environment():
    """Ours, without what would steer the proxy or a client."""
    unwanted = re.compile(r"(GEMINI|.*_proxy$|NODE_|PYTHON|SSL_CERT|REQUESTS_|CURL_)", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not unwanted.match(name)}


def simulate(binary, directory):
    arguments = [binary, "simulate", "--listen", "127.0.0.1:0", "--ca-out", "ca.pem"]
    process = Process(arguments, directory / "simulate.log", directory)
    url = until("the simulator", lambda: process.alive(lambda: re.search(r"^url +(\S+)$", process.log.read_text(), re.M)))
    ca = until("its certificate", lambda: re.search(r"^ca +(\S+)$", process.log.read_text(), re.M))
    return process, Simulator(url[1], ca[1])


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return None, ""
    finally:
        connection.close()


def listening(process):
    """The ports that a proxy with `--log-format json` says it has: by upstream, and `admin`."""

    def ports():
        lines = [json.loads(line) for line in process.text().splitlines() if line.endswith("}")]
        found = {it["upstream"]: it["address"] for it in lines if it.get("message") == "serving"}
        admin = [it["address"] for it in lines if it.get("message") == "probes and metrics"]
        found = admin and {**found, "admin": admin[0]}
        return {name: int(address.rpartition(":")[2]) for name, address in found.items()} if found else None

    return until("the proxy", lambda: process.alive(ports))



class Ground:
    """What `run` has set up, as a suite sees it."""

    def __init__(self):
        with open(os.environ["GEMINID_CLIENTS_GROUND"], encoding="utf-8") as file:
            facts = json.load(file)
        self.__dict__.update(facts)
        self.simulator = Simulator(self.simulator_url, self.ca)

    def log(self):
        """Every log line of the proxy that is about a request."""
        with open(self.log_file, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.startswith("{")]
        return [it for it in lines if "request_id" in json.dumps(it)]


def until(what, condition, seconds=30):
    """Waits for `condition` to give something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


def equal(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


class Suite:
    """Runs cases one by one and tells of each."""

    def __init__(self):
        self.passed = self.failed = 0

    def case(self, name, run):
        try:
            run()
        except Exception:
            self.failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
        else:
            self.passed += 1
            print(f"ok     {name}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        raise SystemExit(self.failed > 0)
