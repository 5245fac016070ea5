"""Every recipe of README.md, as it stands there, at its own simulated exchange and proxy.

Only the ports are changed, to free ones. A recipe's name must not be that of a package it imports.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from ground import Ground, Process, Suite, get, listening, plain_environment, simulate, until

RECIPE = re.compile(r"<!-- recipe: (\S+?)(?:, prints: (.+?))? -->\n```\w+\n(.*?)\n```", re.S)

ground = Ground()
suite = Suite()
readme = Path(ground.root, "README.md").read_text(encoding="utf-8")
place = Path(ground.directory, "readme")
place.mkdir()


def command(name, text, port):
    text = text.replace("127.0.0.1:3840", f"127.0.0.1:{port}")
    script = place / name
    script.write_text(text + "\n")
    if name.endswith(".py"):
        return [sys.executable, script]
    if name.endswith(".sh"):
        return ["bash", "-eu", "-o", "pipefail", script]
    beside = Path(ground.installed, "node", f"recipe-{name}")
    shutil.copy(script, beside)
    return ["node", "--no-deprecation", beside]


def recipe(name, prints, text, port):
    def run():
        ran = subprocess.run(
            command(name, text, port), cwd=place, env=plain_environment(),
            capture_output=True, text=True, timeout=120, check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert prints in ran.stdout, f"{prints} is not in: {ran.stdout}{ran.stderr}"

    return run


def all_recipes():
    [(first, _, configuration), *recipes] = RECIPE.findall(readme)
    assert first == "proxy.toml" and len(recipes) == readme.count("<!-- recipe: ") - 1
    simulation, simulator = simulate(ground.binary, place)
    shutil.copy(simulator.ca, place / "simulator-ca.pem")
    (place / "proxy.toml").write_text(configuration.replace("https://localhost:9443", simulator.url))
    proxy = Process(
        [ground.binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state-dir", "state", "--log-format", "json"],
        place / "serve.log", place,
    )
    try:
        ports = listening(proxy)
        until("readiness", lambda: proxy.alive(lambda: get(ports["admin"], "/readyz")[0] == 200))
        for name, prints, text in recipes:
            suite.case(f"README.md: {name}", recipe(name, prints, text, ports["exchange"]))
    finally:
        proxy.end()
        simulation.end()


all_recipes()
suite.end()
