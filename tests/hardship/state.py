"""A state directory that is full, and a state file that is torn.

1. A full disk is a tmpfs of 2 MiB, filled to the last byte: mounting it needs root. On it no order is placed, because
   nothing could tell of it afterwards; reads and cancels go on.
2. What was handed out must stay known: after a restart on the full disk nonces go on above it.
3. A torn file is the one that a killed proxy left, with one byte turned over, one bit turned over, or cut short. A start
   with it serves; or it ends with `error:` and `hint:` that name the file and a way out; or it serves the other key, logs
   the same as an error, and answers calls for this one with a 503 that says what to do. The way out is then gone.
"""

import bisect
import contextlib
import errno
import http.client
import json
import os
import re
import shutil
import subprocess
import threading
import time

from nonces import Ledger, Nonces, judged
from stage import Caller, Failed, Proxy, Skipped, hold, settled

# Full disks ------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(stage, name):
    """A small file system, with more room than what is held while it is full."""
    if os.geteuid() != 0:
        raise Skipped("mounting a small file system needs root")
    place = stage.directory / name
    place.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", place], capture_output=True, text=True, check=False,
    )
    if mounted.returncode:
        raise Skipped(f"mounting is not possible here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        # What it held stays to be searched.
        copy = stage.directory / f"{name}-left"
        shutil.copytree(place, copy, ignore=shutil.ignore_patterns("filler"), dirs_exist_ok=True)
        subprocess.run(["umount", "--lazy", place], check=False)


def fill(place):
    """Leaves not one byte."""
    with open(place / "filler", "ab", buffering=0) as filler:
        for size in (4_096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError as fault:
                hold(fault.errno == errno.ENOSPC, f"filling ended with {fault}")
    # The near miss: a file of one byte no longer fits.
    probe = place / "probe"
    try:
        probe.write_bytes(b"x")
        raise Failed("the disk was not full")
    except OSError:
        pass
    finally:
        probe.unlink(missing_ok=True)


def calls(proxy, prefix, seconds, full=False):
    """Orders, reads and cancels on both keys for a while. How many there were, and what failed when.

    On a full disk an order is to be refused for that reason, and nothing else is to be refused.
    """
    callers = [proxy.caller(keep=True), proxy.caller(timed=True, keep=True)]
    n, faults, began = 0, [], time.monotonic()
    while time.monotonic() - began < seconds:
        for index, caller in enumerate(callers):
            n += 1
            try:
                order, expected = n % 4 < 2, (200, "")
                if order:
                    answer = caller.order(f"{prefix}-{index}-{n}")
                    expected = (503, "audit-unavailable") if full else expected
                elif n % 8 < 4:
                    answer = caller.call("POST", "/v1/balances", {})
                else:
                    answer, expected = caller.call("POST", "/v1/order/cancel", {"order_id": 1}), (404, "")
                said = None if (answer.status, answer.cause()) == expected else f"{answer.status} {answer.cause()}"
            except (OSError, http.client.HTTPException) as fault:
                said = type(fault).__name__
            if said:
                faults.append(f"{said} after {time.monotonic() - began:.1f} s")
        time.sleep(0.05)
    return n, faults


# So that budgets are kept: wide enough for every order.
LIMITS = "[clients.orders]\nmax_orders_per_day = 100000"


def full_disk(stage):
    """Filled after the start: calls go on, and so does a restart."""
    with small_disk(stage, "small") as place:
        proxy = Proxy(stage, "full-disk", state=place / "state", limits=LIMITS).up()
        try:
            return on_full_disk(stage, proxy, place)
        finally:
            proxy.kill()
            proxy.state = stage.directory / "small-left"


def on_full_disk(stage, proxy, place):
    ledger = Ledger(stage.simulator)
    settled(proxy)
    settled(proxy, proxy.caller(timed=True))
    # Something that the budgets remember.
    calls(proxy, "before", 1)
    fill(place)
    seconds = 6 if stage.quick else 15
    # Until the first line that does not fit, orders may still go.
    calls(proxy, "filling", 1)
    n, faults = calls(proxy, "full", seconds, full=True)
    hold(not faults, f"{len(faults)} of {n} calls on the full disk were not as expected, the first: {faults[:1]}")
    proxy.kill()
    fill(place)
    proxy.up()
    back = settled(proxy)
    hold(tells(proxy, "the budgets cannot be written anew"), "the budgets' file was not kept as it was")
    again, faults = calls(proxy, "again", 3, full=True)
    hold(not faults, f"after a restart on the full disk {len(faults)} of {again} calls were not as expected, the first: {faults[:1]}")
    (place / "filler").unlink()
    time.sleep(2)
    with_room, faults = calls(proxy, "room", 3)
    hold(not faults, f"with room made {len(faults)} of {with_room} calls failed, the first: {faults[:1]}")
    hold(proxy.end() == 0, "it did not drain")
    proxy.up()
    settled(proxy)
    proxy.metrics()
    tallies = judged(ledger.new(), proxy)
    begun_on_full_disk(proxy, place)
    return (
        f"{n} of {n} calls in {seconds} s on a disk filled to the last byte: orders refused (audit-unavailable), reads and cancels "
        f"answered; after `kill -9` the first call in {back:.1f} s, then {again} of {again}; with room made {with_room} of "
        f"{with_room}, orders too; {sum(it.arrivals for it in tallies)} nonces, 0 repeated, 0 fell"
    )


def tells(proxy, words):
    """Whether it says so: log lines come a little late."""
    for _ in range(200):
        if words in proxy.said():
            return True
        time.sleep(0.01)
    return False


def begun_on_full_disk(proxy, place):
    """Neither trail nor operator token is there, and there is no room for either."""
    token = proxy.state / "operator-token"
    for _ in range(5):
        proxy.kill()
        shutil.rmtree(proxy.state / "audit", ignore_errors=True)
        token.unlink(missing_ok=True)
        fill(place)
        proxy.up()
        settled(proxy)
        # The system gives pages of removed files back a little later: then the disk was not full.
        if not token.exists():
            break
    hold(not token.exists(), "the disk was never full")
    hold(tells(proxy, "there is no operator token"), "nobody was told that there is no operator token")
    n, faults = calls(proxy, "begun", 2, full=True)
    hold(not faults, f"without a trail {len(faults)} of {n} calls on the full disk were not as expected, the first: {faults[:1]}")
    (place / "filler").unlink()
    time.sleep(6)
    hold((proxy.state / "operator-token").is_file(), "with room made there is no operator token")
    n, faults = calls(proxy, "begun-room", 2)
    hold(not faults, f"with room for a trail {len(faults)} of {n} calls failed, the first: {faults[:1]}")
    hold(proxy.end() == 0, "it did not drain")


def disk_full_before(stage):
    """Filled before the first start: it serves, or it refuses to start and says why."""
    with small_disk(stage, "full") as place:
        fill(place)
        proxy = Proxy(stage, "disk-full-before", state=place / "state")
        try:
            proxy.start()
            if proxy.ready():
                n, faults = calls(proxy, "before", 4)
                hold(not faults, f"it starts, and {len(faults)} of {n} calls fail, the first: {faults[:1]}")
                return f"it starts and serves: {n} of {n} calls"
            told = refusal(proxy, proxy.state)
            (place / "filler").unlink()
            proxy.up()
            settled(proxy)
            return f"it does not start and says why: {told}; with room made it serves"
        finally:
            proxy.kill()
            proxy.state = stage.directory / "full-left"


def refusal(proxy, path):
    """What a start that was refused said, which must name `path` and a way out."""
    code = proxy.kill()
    said = proxy.said()
    hold(code not in (0, None) and code > 0, f"it ended with {code}")
    error = re.search(r"^error: (.+(?:\n(?!hint:|\{).+)*)", said, re.M)
    hint = re.search(r"^hint: (.+)", said, re.M)
    hold(error and hint, f"no `error:` and `hint:`: {said[-300:]}")
    hold(str(path) in said[error.start():], f"the message does not name {path}: {said[error.start():][:300]}")
    return f"exit {code}, error: {error[1].strip()}, hint: {hint[1].strip()}"


# Torn files ------------------------------------------------------------------------------------

TEARS = {
    "turned": lambda text, at: text[:at] + bytes([text[at] ^ 0xFF]) + text[at + 1:],
    "one bit": lambda text, at: text[:at] + bytes([text[at] ^ 0x01]) + text[at + 1:],
    "cut": lambda text, at: text[:at],
}
# How many processes tear side by side.
WORKERS = 4


def meaningful(text):
    """Offsets that are not in the midst of padding: 16 or more equal bytes in a row."""
    offsets = set(range(len(text)))
    for run in re.finditer(rb"(.)\1{15,}", text, re.S):
        offsets -= set(range(run.start() + 1, run.end() - 1))
    return sorted(offsets)


class Tearer:
    """One proxy that is started with torn files, over and over."""

    def __init__(self, stage, index):
        self.stage, self.ledger = stage, Ledger(stage.simulator)
        self.proxy = proxy = Proxy(stage, f"torn{index}").up()
        settled(proxy)
        settled(proxy, proxy.caller(timed=True))
        # A mark is ahead of what was used.
        calls(proxy, f"torn{index}", 0.5)
        proxy.kill()
        self.whole = {it: it.read_bytes() for it in proxy.state_files()}
        hold(self.whole, "no state file is there")
        self.before = {}
        for entry in self.ledger.new():
            if entry["key"] in (proxy.count, proxy.timed) and entry["nonce"]:
                self.before[entry["key"]] = max(float(entry["nonce"]), self.before.get(entry["key"], 0.0))
        self.starts = []
        # So that no later start waits for its mark.
        time.sleep(2.5)
        self.told, self.n_served, self.n_refused, self.n_parted, self.faults = {}, 0, 0, 0, []
        self.control = stage.simulator.open()
        self.caller = proxy.caller()
        self.timed = proxy.caller(timed=True)

    def restore(self):
        for path in self.proxy.state.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path not in self.whole and path.name != "lock":
                path.unlink()
        for path, text in self.whole.items():
            path.write_bytes(text)

    def tear(self, path, how, at):
        self.restore()
        path.write_bytes(TEARS[how](self.whole[path], at))
        self.starts.append(time.time() * 1_000)
        # A start may go ahead of the clock; the next file is an older one again, and the exchange must not mind.
        self.proxy.introduce(self.control)
        try:
            self.start(path)
        except Failed as fault:
            self.faults.append(f"{path.name}, {how} at {at} of {len(self.whole[path])}: {fault}")
        finally:
            self.proxy.kill()

    def start(self, path):
        self.proxy.start(level="warn")
        if self.ready():
            answers = [it.call("POST", "/v1/balances", {}) for it in (self.caller, self.timed)]
            refused = [it for it in answers if it.status != 200]
            if not refused:
                self.n_served += 1
                return
            hint = self.parted(path, answers, refused)
            self.n_parted += 1
        else:
            hint = refusal(self.proxy, path).partition("hint: ")[2]
            self.n_refused += 1
        self.told[re.sub(r"[^ `]*/[^ `]*", "FILE", hint)] = True
        # The way out, as told. The clock has passed the last nonce: the file is old.
        told = re.search(r"`mv (\S+) (\S+)`", hint)
        hold(not told or told[1] == str(path), f"the way out moves another file: {hint}")
        path.rename(told[2] if told else self.stage.directory / f"{path.name}.away")
        self.proxy.start(level="warn")
        hold(self.ready(), f"with the file moved away it does not start: {self.proxy.last_words()}")
        settled(self.proxy, self.caller)
        settled(self.proxy, self.timed)

    def parted(self, path, answers, refused):
        """One key is refused and the other is not. Gives the way out, from the log."""
        answer = refused[0]
        said = f"it starts and answers {answer.status} {answer.cause()}"
        hold(len(refused) < len(answers), f"{said} for both keys")
        hold(answer.status == 503 and answer.diagnosis().get("fix"), f"{said} without a way out")
        hold(answer.diagnosis().get("outcome") == "not_sent", f"{said}, and not that nothing was sent")
        lines = [json.loads(it) for it in self.proxy.said().splitlines() if it.startswith("{")]
        told = [it for it in lines if it["level"] == "ERROR" and str(path) in it["message"] and it.get("hint")]
        hold(told, f"{said}, and no error in the log names {path.name} and a way out")
        self.proxy.kill()
        return told[0]["hint"]

    def judge(self, entries):
        """Each life by itself: the file of the next is an older one again. Gives how many nonces there were."""
        lives = {}
        for entry in entries:
            if entry["key"] in self.before and entry["nonce"]:
                life = entry["key"], bisect.bisect(self.starts, entry["timestampms"])
                if life not in lives:
                    lives[life] = Nonces(timed=entry["key"] == self.proxy.timed, above=self.before[entry["key"]])
                lives[life].take(entry)
        for (key, life), nonces in lives.items():
            # Life 0 is the one before the files were kept.
            if life and nonces.arrivals:
                nonces.judge(f"{key}, start {life}")
        return sum(it.arrivals for (_, life), it in lives.items() if life)

    def ready(self):
        """The first call waits for the exchange's time by itself: listening is enough."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.proxy.child.poll() is not None:
                return False
            probe = Caller(self.proxy.port, os.devnull)
            try:
                probe.call("POST", "/", "")
                return True
            except OSError:
                time.sleep(0.002)
            finally:
                probe.close()
        raise Failed(f"it neither listens nor ends within 10 s: {self.proxy.last_words()}")


def torn(stage, stride):
    tearers = [Tearer(stage, index) for index in range(1 if stage.quick and not stride else WORKERS)]
    jobs = []
    for number, (path, text) in enumerate(tearers[0].whole.items()):
        offsets = meaningful(text)
        if stride != 1:
            # By default all that means something; in a quick run every 16th byte of it; of the padding a sample.
            step = stride or (16 if stage.quick else 1)
            offsets = sorted({*offsets[::step], *range(0, len(text), 997)})
        else:
            offsets = range(len(text))
        jobs += [(number, how, at) for at in offsets for how in TEARS]
    began = time.monotonic()
    n_jobs = len(jobs)
    lock = threading.Lock()

    def work(tearer):
        paths = list(tearer.whole)
        while True:
            with lock:
                if not jobs:
                    return
                number, how, at = jobs.pop()
            path = paths[number]
            if at < len(tearer.whole[path]):
                tearer.tear(path, how, at)

    threads = [threading.Thread(target=guarded, args=(work, tearer)) for tearer in tearers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    faults = [it for tearer in tearers for it in tearer.faults]
    hold(not faults, f"{len(faults)} of {n_jobs} torn files, as: {' | '.join(faults[:4])}")
    entries = min((it.ledger for it in tearers), key=lambda it: it.next).new()
    n_nonces = sum(it.judge(entries) for it in tearers)
    counts = [sum(getattr(it, name) for it in tearers) for name in ("n_served", "n_refused", "n_parted")]
    told = {hint for it in tearers for hint in it.told}
    sizes = ", ".join(f"{len(text)} bytes" for text in tearers[0].whole.values())
    return (
        f"{n_jobs} torn files (of {sizes}; {', '.join(TEARS)}) in {took:.0f} s: {counts[0]} starts served, {counts[1]} were refused, "
        f"{counts[2]} served the other key only, the file and a way out named, and it worked "
        f"({'; '.join(told) or 'none was needed'}); {n_nonces} nonces, 0 repeated, 0 fell"
    )


def guarded(work, tearer):
    try:
        work(tearer)
    except Exception as fault:  # noqa: BLE001: told by the check
        tearer.faults.append(f"{type(fault).__name__}: {fault}")
        tearer.proxy.kill()
