"""Whether ccxt, requests and curl raise and print what they would at the exchange itself, and our line.

Each rejection that the simulated exchange knows by name, but for those of nonces, which are signed afresh
unseen.
"""

import json
import os
import re
import subprocess

from ground import Ground, Suite, equal

ground = Ground()
os.environ["REQUESTS_CA_BUNDLE"] = ground.ca

import ccxt  # noqa: E402
import requests  # noqa: E402

from settings import ccxt_settings, direct_settings  # noqa: E402

suite = Suite()
simulator = ground.simulator
here = f"http://127.0.0.1:{ground.port}"
PATH = "/v1/balances"
# A status that is about who asks; with 400 a reason must say so.
ABOUT_ACCESS = {400, 401, 403, 407, 429, 503}

straight = ccxt.gemini(direct_settings(ground, ground.direct["Trader"]))
through = ccxt.gemini(ccxt_settings(here, ground.pairs["bot"]))


def wanted(refusal):
    if refusal["status"] not in ABOUT_ACCESS or "nonce" in refusal["word"]:
        return False
    # Of another's shape: whose fault a 400 is, only a reason of the exchange's own tells.
    return refusal["status"] != 400 or refusal["cause"] not in (None, "wrong-gemini")


def raised(exchange):
    try:
        exchange.private_post_v1_balances()
    except ccxt.BaseError as error:
        return type(error), str(error)
    raise AssertionError("nothing was raised")


def by_requests(url):
    token = {"Authorization": f"Bearer {ground.tokens['caller']}"} if url == here else {}
    answer = requests.post(url + PATH, headers=token)
    return answer.status_code, answer.text


def by_curl(url):
    more = ["-H", f"Authorization: Bearer {ground.tokens['caller']}"] if url == here else ["--cacert", ground.ca]
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", "-X", "POST", *more, url + PATH]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    body, _, status = ran.stdout.rpartition("\n")
    return int(status), body


def telling(body):
    """What of the upstream's text must be in ours: its words, or a page's title or code."""
    try:
        found = json.loads(body)
    except ValueError:
        title = re.search(r"<title>(.*?)</title>", body, re.I | re.S)
        code = re.search(r"error code:? (\d{4})", body, re.I)
        words = code[1] if code else title and title[1].strip()
        return [words] if words else [] if "<" in body else [body.strip()] if body.strip() else []
    strings = [it for it in found.values() if isinstance(it, str)]
    # A key's id is masked.
    return [re.split(r"account-", it)[0] for it in strings]


def same(refusal):
    def run():
        def refused(ask, whom):
            simulator.script("/v1/*", {"refuse": refusal["word"]}, times=0)
            try:
                return ask(whom)
            finally:
                simulator.no_script()
                # A key that the exchange takes in between is never set aside.
                through.private_post_v1_balances()

        (one, _), (other, said) = refused(raised, straight), refused(raised, through)
        equal(other, one)
        plain = [(refused(ask, simulator.url), refused(ask, here)) for ask in [by_requests, by_curl]]
        for (status, body), (our_status, our_body) in plain:
            equal((status, our_status), (refusal["status"], refusal["status"]))
            ours = json.loads(our_body)
            for words in telling(body):
                assert words in json.dumps(ours, ensure_ascii=False), f"{words!r} is lost: {our_body}"
            cause = ours["diagnosis"]["cause"]
            if refusal["cause"]:
                equal(cause, refusal["cause"])
            line = ours.get("message", "").rpartition(" — ")[2]
            # Other JSON has no message that a line could be added to: there the diagnosis has it all.
            if "message" in ours:
                assert len(line) > 10, f"no line: {our_body}"
            # The end may tell a time.
            assert line[:24] in said, f"{line[:24]!r} is not in what ccxt says: {said}"
        print(f"       {refusal['word']:32} {one.__name__}", flush=True)

    return run


listed = [it for it in simulator.ask("GET", "refusals")["refusals"] if wanted(it)]


def enough():
    assert len(listed) >= 25, len(listed)


suite.case(f"{len(listed)} rejections are compared", enough)
for refusal in listed:
    suite.case(f"{refusal['word']}: the same class and status, the same words, and our line", same(refusal))
suite.end()
