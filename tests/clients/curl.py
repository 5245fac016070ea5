"""curl: with a token, with nothing, and signing with openssl as a start without a file prints it."""

import json
import re
import subprocess
import sys

from ground import Ground, Suite, equal

ground = Ground()
suite = Suite()
url = f"http://127.0.0.1:{ground.port}"


def curl(*arguments):
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    body, _, status = ran.stdout.rpartition("\n")
    return int(status), json.loads(body)


def nothing():
    equal(curl(f"{url}/v1/pubticker/btcusd")[1]["bid"], "64999.99")
    equal(curl("-X", "POST", f"{url}/v1/balances")[0], 200)
    equal(curl("-d", '{"symbol":"btcusd"}', f"{url}/v1/mytrades")[0], 200)


def token():
    bearer = ["-H", f"Authorization: Bearer {ground.tokens['caller']}"]
    order = '{"symbol":"btcusd","amount":"0.01","price":"50000.00","side":"buy","type":"exchange limit"}'
    status, placed = curl(*bearer, "-d", order, f"{url}/v1/order/new")
    equal((status, placed["is_live"]), (200, True))
    cancel = json.dumps({"order_id": placed["order_id"]})
    assert curl(*bearer, "-d", cancel, f"{url}/v1/order/cancel")[1]["is_cancelled"]


def printed(which):
    """One of the snippets that a start without a file prints, at our address."""
    text = re.sub(r"http://127\.0\.0\.1:\d+", url, ground.printed)
    [found] = re.findall(rf"^{re.escape(which)}:\n((?: {{4}}.*\n?)+)", text, re.M)
    return re.sub(r"^ {4}", "", found, flags=re.M)


def printed_curl():
    ran = subprocess.run(["bash", "-c", printed("curl")], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)[0]["currency"], ran.stdout


def printed_ccxt():
    ran = subprocess.run([sys.executable, "-c", printed("ccxt (Python)")], capture_output=True, text=True, check=True)
    assert "'BTC'" in ran.stdout, ran.stdout


suite.case("nothing presented", nothing)
suite.case("a token", token)
suite.case("the curl snippet that a start without a file prints", printed_curl)
suite.case("the ccxt snippet that a start without a file prints", printed_ccxt)
suite.end()
