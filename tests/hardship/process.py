"""What the system shows of the process: no core file, and nothing for its neighbours to read.

1. The proxy is started with an unlimited core size, so that only its own doing can make it zero.
2. Its neighbour is another process of the same unprivileged user. What it cannot read in the proxy it can read in an
   ordinary process: otherwise the refusal would be the system's.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from stage import Proxy, Skipped, hold, settled  # isort: skip
from ground import until  # isort: skip

NOBODY = 65_534
PEEK = """
import sys
pid, name = sys.argv[1:]
try:
    if name == "environ":
        found = open(f"/proc/{pid}/environ", "rb").read()
    else:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            memory.seek(int(next(it for it in maps if " r" in it).split("-")[0], 16))
            found = memory.read(16)
    print("read", len(found))
except OSError as fault:
    print("refused", fault.strerror)
"""


def unlimited():
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    with contextlib.suppress(ValueError, OSError):
        hard = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        return
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def core(stage):
    """No core file, whatever the limit was at the start."""
    proxy = Proxy(stage, "core")
    plain = stage.start(["/bin/sleep", "60"], preexec_fn=unlimited)
    allowed = limit_of(plain.pid)
    plain.kill()
    proxy.start(preexec_fn=unlimited)
    hold(proxy.ready(), proxy.last_words())
    settled(proxy)
    shown = limit_of(proxy.child.pid)
    code = proxy.kill(signal.SIGABRT)
    time.sleep(0.5)
    hold(code == -signal.SIGABRT, f"it ended with {code}, not by the signal")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="utf-8").strip()
    found = [it for it in proxy.directory.rglob("*") if it.name.startswith("core")]
    hold(not found, f"a core file of {found[0].stat().st_size if found else 0} bytes is there (its limit was {shown})")
    hold(shown == ["0", "0"], f"its core size is limited to {shown}, not to 0")
    return f"core size 0 (soft and hard; a process beside it: {allowed[0]}); ended by SIGABRT, no core file (core_pattern: {pattern})"


def limit_of(pid):
    lines = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    line = next(it for it in lines if it.startswith("Max core file size"))
    return line.removeprefix("Max core file size").split()[:2]


def peeking(stage):
    """A neighbour of the same user reads neither environment nor memory."""
    before, user = [], None
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            raise Skipped("as root this needs setpriv, to become somebody else")
        user = NOBODY
        before = [shutil.which("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    python = interpreter(before)
    proxy = Proxy(stage, "peeking", user=user)
    plain = stage.start([*before, "/bin/sleep", "60"], env={"PLAIN": "x" * 40})
    proxy.up(before=before)
    settled(proxy)
    until("the ordinary process", lambda: b"sleep" in Path(f"/proc/{plain.pid}/cmdline").read_bytes())

    def peek(pid, name):
        command = [*before, python, "-I", "-c", PEEK, str(pid), name]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd="/")
        return ran.stdout.strip() or ran.stderr.strip()[-200:]

    names = ("environ", "mem")
    control = {name: peek(plain.pid, name) for name in names}
    seen = {name: peek(proxy.child.pid, name) for name in names}
    proxy.end()
    plain.kill()
    readable = [name for name in names if control[name].startswith("read")]
    if not readable:
        raise Skipped(f"here a process cannot even read an ordinary neighbour: {control}")
    hold(all(it.startswith("refused") for it in seen.values()), f"a process of the same user could: {seen}")
    told = ", ".join(f"/proc/PID/{name} {seen[name]}" for name in names)
    return f"{told} (of an ordinary process it can read {' and '.join(readable)}), as user {user if user is not None else os.geteuid()}"


def interpreter(before):
    """A Python that this user may run."""
    for python in (sys.executable, os.path.realpath(sys.executable), "/usr/bin/python3"):
        command = [*before, python, "-I", "-c", ""]
        with contextlib.suppress(OSError):
            if subprocess.run(command, capture_output=True, timeout=20, check=False, cwd="/").returncode == 0:
                return python
    raise Skipped("the unprivileged user can run no Python here")
