"""What the comparison needs and how it comes here: packages, a Python environment, builds.

1. As root on Debian, packages that are missing are installed; nothing of the machine's own is reconfigured, no service
   starts. Elsewhere a missing peer is an error, with a hint; with `--quick` it is left out, and said to be.
2. The Python packages are pinned in `requirements.txt`, and installed below the target directory.
3. What is built is built here, in release, with the lock files as they are.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
INSTALLED = TARGET / "compare"
# The program, and Debian's package.
PACKAGES = {"wrk": "wrk", "nginx": "nginx-light", "haproxy": "haproxy", "node": "nodejs"}
NEEDED_BY = {"nginx": ["nginx"], "haproxy": ["haproxy", "haproxy-signing"], "node": ["node"]}


@dataclass
class Tools:
    upstream: Path
    minimal: Path
    geminid: Path
    python: Path


def packages(quick):
    """Installs what is missing; the names of peers that must be left out."""
    missing = [it for it in PACKAGES if not shutil.which(it)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        names = [PACKAGES[it] for it in missing]
        print(f"installing {', '.join(names)} …", flush=True)
        # RUNLEVEL: no service starts.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *names]):
            subprocess.run(["apt-get", "-qq", *words], check=False, env=environment, stdout=subprocess.DEVNULL)
        missing = [it for it in PACKAGES if not shutil.which(it)]
    if "wrk" in missing or (missing and not quick):
        names = " ".join(PACKAGES[it] for it in missing)
        sys.exit(f"error: {', '.join(missing)} not installed\nhint: apt-get install {names}")
    return {peer for it in missing for peer in NEEDED_BY[it]}


def python():
    """An interpreter with what `requirements.txt` names; made anew when that changes."""
    directory, source = INSTALLED / "venv", HERE / "requirements.txt"
    stamp, wanted = directory / "made-from", hashlib.sha256(source.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        print("installing the Python packages …", flush=True)
        subprocess.run([interpreter(), "-m", "venv", directory], check=True)
        pip = [directory / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "-r", source], check=True)
        stamp.write_text(wanted, encoding="ascii")
    return directory / "bin" / "python"


def interpreter():
    """Debian's own where it can: built with every optimisation, which one that was built at home may lack."""
    debian = "/usr/bin/python3"
    needed = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    can = shutil.which(debian) and subprocess.run([debian, "-c", needed], capture_output=True, check=False)
    return debian if can and can.returncode == 0 else sys.executable


def build(own_geminid):
    """The Rust programs. Without `own_geminid`, geminid too."""
    manifest = HERE / "rust" / "Cargo.toml"
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    print("building …", flush=True)
    if not own_geminid:
        subprocess.run([*cargo, "--target-dir", TARGET], cwd=ROOT, check=True)
    subprocess.run([*cargo, "--manifest-path", manifest, "--target-dir", INSTALLED], check=True)
    release = INSTALLED / "release"
    return Tools(release / "upstream", release / "minimal", TARGET / "release" / "geminid", python())


def machine():
    """What the figures are of."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    system = re.search(r'^PRETTY_NAME="(.+)"$', release, re.M)
    debian = Path("/etc/debian_version")
    return {
        "cpu": f"{os.cpu_count()} cores, {cpu[1].strip() if cpu else platform.machine()}",
        "system": (system[1] if system else "Linux")
        + (f" ({debian.read_text(encoding='ascii').strip()})" if debian.is_file() else ""),
        "kernel": platform.release(),
    }


class Company:
    """What other programs take of the machine meanwhile: figures taken in company are worth less."""

    def __init__(self):
        self.began, self.busy, self.ours = time.monotonic(), *self.read()

    @staticmethod
    def read():
        """Seconds of all cores, ours among them. The processes that we started must have ended."""
        columns = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
        idle = int(columns[3]) + int(columns[4])
        busy = sum(int(it) for it in columns[:8]) - idle
        return busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])

    def share(self):
        busy, ours = self.read()
        seconds = (time.monotonic() - self.began) * os.cpu_count()
        return max(0.0, (busy - self.busy) - (ours - self.ours)) / seconds


def versions(tools):
    """Of every peer, by its own word."""

    def said(words, pattern):
        if not shutil.which(str(words[0])):
            return "absent"
        ran = subprocess.run([str(it) for it in words], capture_output=True, text=True, check=False)
        found = re.search(pattern, ran.stdout + ran.stderr)
        return found[1] if found else "unknown"

    lock = (HERE / "rust" / "Cargo.lock").read_text(encoding="utf-8")

    def locked(name):
        return re.search(rf'name = "{name}"\nversion = "(.+)"', lock)[1]

    interpreter = said([tools.python, "--version"], r"Python (\S+)")
    web = said([tools.python, "-c", "import aiohttp; print(aiohttp.__version__)"], r"(\S+)")
    commit = said(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], r"(\w+)")
    own = said([tools.geminid, "--version"], r"(\d\S*)")
    return {
        "geminid": f"{own} ({commit})",
        "nginx": said(["nginx", "-v"], r"nginx/(\S+)"),
        "HAProxy": said(["haproxy", "-v"], r"version (\S+)"),
        "aiohttp": f"{web} on Python {interpreter}",
        "Node": said(["node", "--version"], r"v(\S+)"),
        "hyper": f"{locked('hyper')}, rustls {locked('rustls')}",
        "wrk": said(["wrk", "-v"], r"wrk \S*?(\d\S*)"),
        "rustc": said(["rustc", "--version"], r"rustc (\S+)"),
    }
