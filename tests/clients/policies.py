"""The five commands of docs/policies.md, as they stand there, from nothing to an order.

Only the exchange is another one: what `init` writes is pointed at a simulated exchange, and ports are free ones.
"""

import os
import re
import subprocess
from pathlib import Path

from ground import Ground, Process, Suite, equal, get, listening, plain_environment, simulate, until

RECIPE = re.compile(r"<!-- recipe: (\w+?)(?:, prints: (.+?))?(?:, ends with: (\d+))? -->\n```sh\n(.*?)\n```", re.S)

ground = Ground()
suite = Suite()
page = Path(ground.root, "docs", "policies.md").read_text(encoding="utf-8")
place = Path(ground.directory, "policies")
place.mkdir()
tools = place / "tools"
tools.mkdir()
(tools / "geminid").symlink_to(ground.binary)
KEY, SECRET = "account-simTrader000000001", "simulator-secret-trader"
ENVIRONMENT = {
    **plain_environment(), "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(place),
    "GEMINI_API_KEY": KEY, "GEMINI_API_SECRET": SECRET, "GEMINID_STATE_DIR": str(place / "state"),
}


def run(text, prints="", code=0):
    ran = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", text], cwd=place, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=60, check=False,
    )
    equal((ran.returncode, ran.stderr if ran.returncode != code else ""), (code, ""))
    assert prints in ran.stdout, f"{prints} is not in: {ran.stdout}{ran.stderr}"
    assert SECRET not in ran.stdout + ran.stderr
    return ran.stdout


def point_at(simulator):
    """What stands for the real exchange."""
    file = place / "proxy.toml"
    text = file.read_text()
    changed = text.replace('environment = "production"', f'environment = "simulator"\nurl = "{simulator.url}"\nca_file = "ca.pem"', 1)
    assert changed != text
    file.write_text(changed)


def all_commands():
    recipes = RECIPE.findall(page)
    equal([name for name, *_ in recipes], ["init", "add", "test", "serve", "order"])
    simulation, simulator = simulate(ground.binary, place)
    proxy, ports = None, {}
    try:
        for name, prints, code, text in recipes:
            if name == "serve":
                def serve():
                    nonlocal proxy, ports
                    arguments = [*text.split(), "--log-format", "json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
                    proxy = Process([ground.binary, *arguments[1:]], place / "serve.log", place, ENVIRONMENT)
                    ports = listening(proxy)
                    until("readiness", lambda: proxy.alive(lambda: get(ports["admin"], "/readyz")[0] == 200))

                suite.case(f"docs/policies.md: {name}", serve)
                continue
            here = text.replace("127.0.0.1:3840", f"127.0.0.1:{ports.get('exchange')}")
            suite.case(f"docs/policies.md: {name}", lambda it=here, p=prints, c=code: run(it, p, int(c or 0)))
            if name == "init":
                point_at(simulator)

        def ledger():
            orders = simulator.entries(path="/v1/order/new")
            equal([it["executed"] for it in orders], [True])
            too_much = recipes[4][3].replace("127.0.0.1:3840", f"127.0.0.1:{ports['exchange']}").replace("50000", "50100")
            run(too_much, '"cause":"order-too-large"')
            equal(len(simulator.entries(path="/v1/order/new")), 1)

        def trail():
            told = run("geminid audit show --client bot --json")
            assert '"event":"intent"' in told and '"rule":"orders.max_notional.usd"' in told, told
            run("geminid audit verify")

        def suggested():
            told = run("geminid policy suggest --client bot --since 1h")
            assert '"btcusd"' in told and "orders:create" in told and "ethusd" not in told, told

        suite.case("one order arrived, and 501 dollars did not", ledger)
        suite.case("the audit trail tells of both", trail)
        suite.case("a grant is suggested from what it did", suggested)
    finally:
        if proxy:
            proxy.end()
        simulation.end()


all_commands()
suite.end()
