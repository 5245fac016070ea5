"""An honest client, in a process of its own: 20 calls a second until its input ends, then what it measured as JSON.

1. Four lanes of 5 calls a second: public data and a signed read, each over new connections and over a kept one.
2. What is measured is what a bot waits: connecting, sending, the whole answer.
3. A kept connection that was closed between two calls is replaced, as every HTTP library does; that is counted.
4. A clean refusal is a 503 whose body is our JSON. Anything else but 200 is told in words.
"""

import http.client
import json
import os
import sys
import threading
import time

PACE = 0.2
PORT, HEARD, SOURCE = int(sys.argv[1]), sys.argv[2], sys.argv[3]
TOKEN = os.environ["HARDSHIP_TOKEN"]
LANES = [("GET", "/v1/pubticker/btcusd", False), ("POST", "/v1/balances", False),
         ("GET", "/v1/pubticker/btcusd", True), ("POST", "/v1/balances", True)]

done = threading.Event()
lock = threading.Lock()
facts = {"millis": [], "ok": 0, "refused": 0, "other": [], "signed": 0, "public": 0, "reconnects": 0, "causes": []}
heard = open(HEARD, "ab")  # noqa: SIM115: open as long as the process lives


def connection():
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=10, source_address=(SOURCE, 0))


def ask(over, method, path):
    headers = {} if method == "GET" else {"Authorization": f"Bearer {TOKEN}"}
    over.request(method, path, None if method == "GET" else "{}", headers)
    response = over.getresponse()
    return response, response.read()


def once(lane, kept):
    method, path, keep = lane
    began = time.monotonic()
    over = kept or connection()
    try:
        try:
            response, body = ask(over, method, path)
        except (http.client.RemoteDisconnected, ConnectionError):
            if kept is None:
                raise
            over.close()
            with lock:
                facts["reconnects"] += 1
            over = connection()
            response, body = ask(over, method, path)
    except (OSError, http.client.HTTPException) as fault:
        over.close()
        with lock:
            facts["other"].append(f"{type(fault).__name__} after {time.monotonic() - began:.1f} s")
        return None
    millis = (time.monotonic() - began) * 1_000
    with lock:
        heard.write(f"{response.status} {response.getheaders()}\n".encode() + body + b"\n")
        count(method, response.status, body, millis)
    if keep and not response.will_close:
        return over
    over.close()
    return None


def count(method, status, body, millis):
    if status == 200:
        facts["ok"] += 1
        facts["public" if method == "GET" else "signed"] += 1
        facts["millis"].append(millis)
        return
    try:
        cause = json.loads(body)["diagnosis"]["cause"]
    except (ValueError, KeyError, TypeError):
        cause = None
    if status == 503 and cause:
        facts["refused"] += 1
        facts["millis"].append(millis)
        if cause not in facts["causes"]:
            facts["causes"].append(cause)
    else:
        facts["other"].append(f"{status} {cause}")


def run(index, lane):
    kept = None
    # The lanes spread over the interval.
    due = time.monotonic() + PACE * index / len(LANES)
    while not done.wait(max(0.0, due - time.monotonic())):
        kept = once(lane, kept)
        due = max(due + PACE, time.monotonic() - PACE)


threads = [threading.Thread(target=run, args=it) for it in enumerate(LANES)]
for thread in threads:
    thread.start()
sys.stdin.read()
done.set()
for thread in threads:
    thread.join()
heard.close()
print(json.dumps(facts))
