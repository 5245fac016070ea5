"""Processes that were started here: on a core of their own, with what they cost.

1. Who is started is ended, whatever a measurement throws; nobody else ever is.
2. A process's CPU time is its own clock, in nanoseconds, threads that have ended included; /proc counts in 10 ms.
3. Standard library only.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PROXY_CORE, LOAD_CORE = 0, 1


class Failed(Exception):
    """A measurement that would not be true; its text says why."""


def hold(condition, why):
    if not condition:
        raise Failed(why)


@contextlib.contextmanager
def placed(core):
    """What is started in here runs on `core`: a child inherits it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    """One that we started, and its children."""

    def __init__(self, words, core, log, stdout=None, cwd=None):
        self.log = log
        self.began = time.perf_counter_ns()
        with placed(core), open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(it) for it in words], stdin=subprocess.DEVNULL, stdout=stdout or out, stderr=out,
                cwd=cwd, env=plain_environment(),
            )
        self.pid = self.child.pid

    def pids(self):
        found = [self.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(it) for it in (task / "children").read_text(encoding="ascii").split()]
        return found

    def cpu_nanos(self):
        # The clock of another process: clock_getcpuclockid(3) makes its number so, which Python has not.
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids())

    def resident(self):
        """In KiB, of all its processes."""
        total = 0
        for pid in self.pids():
            text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            total += int(text.partition("VmRSS:")[2].split()[0])
        return total

    def is_alive(self):
        return self.child.poll() is None

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]

    def shorten_log(self):
        """Its log has been written; what is in it interests nobody. It is open for appending."""
        os.truncate(self.log, 0)

    def end(self, by=signal.SIGTERM):
        if self.is_alive():
            self.child.send_signal(by)
        try:
            return self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


def plain_environment():
    """Ours, without what would steer a proxy."""
    wanted = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    return {name: value for name, value in os.environ.items() if name in wanted}


def until(what, condition, seconds=20, pause=0.01):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(pause)
    raise Failed(f"{what}: not within {seconds} s")
