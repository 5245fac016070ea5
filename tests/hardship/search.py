"""The planted secrets, looked for in everything that was written, answered or kept.

1. Each is looked for as it is, in hex, in base64 at its three alignments, URL-encoded, and by its first 12 characters in
   all of these.
2. The search first finds what is planted for it to find: one that finds nothing at all proves nothing.
"""

import base64
import urllib.parse

from stage import hold

CHUNK = 1 << 24


def forms(secret):
    """How `secret` can look, by name."""
    found = {}
    for part, text in (("", secret), (", the first 12", secret[:12])):
        raw = text.encode()
        found["raw" + part] = raw
        found["hex" + part] = raw.hex().encode()
        found["upper hex" + part] = raw.hex().upper().encode()
        found["URL-encoded" + part] = urllib.parse.quote(text, safe="").encode()
        found["URL-encoded, lower" + part] = b"".join(
            b"%" + it[1:].lower() if it.startswith(b"%") else it for it in pieces(urllib.parse.quote(text, safe=""))
        )
        found["every byte URL-encoded" + part] = "".join(f"%{it:02X}" for it in raw).encode()
        found["as a list of bytes" + part] = ", ".join(str(it) for it in raw).encode()
        for shift in range(3):
            for name, encode in (("base64", base64.b64encode), ("URL base64", base64.urlsafe_b64encode)):
                found[f"{name} at {shift}{part}"] = inner(encode(b"\0" * shift + raw), shift, len(raw))
    return found


def pieces(text):
    """A URL-encoded text, in characters and escapes."""
    at = 0
    while at < len(text):
        length = 3 if text[at] == "%" else 1
        yield text[at:at + length].encode()
        at += length


def inner(encoded, shift, length):
    """Of a base64 text, the characters that neighbours of the secret do not change."""
    return encoded[-(-shift * 8 // 6):(shift + length) * 8 // 6]


def search(path, wanted):
    """Names of the forms that a file holds."""
    found, tail = set(), b""
    longest = max(len(it) for it in wanted.values())
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            text = tail + chunk
            found |= {name for name, form in wanted.items() if form in text}
            tail = text[-longest:]
    return found


def planted(stage):
    wanted = {}
    for name, secret in stage.planted.all().items():
        wanted.update({f"{name}, {form}": text for form, text in forms(secret).items()})
    control = stage.directory / "control"
    for name, text in wanted.items():
        # At each alignment of a neighbour, and over the end of a chunk.
        control.write_bytes(b"x" * (CHUNK - 3) + text + b"y" if name.endswith("raw") else b"xy" + text + b"z")
        hold(name in search(control, wanted), f"the search does not find {name}")
    for name, secret in stage.planted.all().items():
        for shift in range(3):
            control.write_bytes(base64.b64encode(b"n" * shift + f"{secret}nn".encode()))
            hold(any(it.startswith(f"{name}, base64") for it in search(control, wanted)), f"base64 of {name} is not found")
    control.unlink()
    hits, sizes = [], {}
    places = [("logs", stage.logs), ("answers and metrics", stage.heard)]
    places += [("states", it.state) for it in stage.proxies if it.state.is_dir()]
    for kind, place in places:
        for path in (it for it in place.rglob("*") if it.is_file()):
            sizes[kind] = sizes.get(kind, 0) + path.stat().st_size
            hits += [f"{it} in {kind}, {path.name}" for it in search(path, wanted)]
    hold(not hits, f"{len(hits)} hits, as {hits[:5]}")
    panics = [it.name for it in stage.logs.iterdir() if search(it, {"panic": b"panicked at"})]
    hold(not panics, f"a panic is in {panics}")
    # A search through nothing finds nothing.
    hold(stage.proxies and sizes.get("logs", 0) > 1_000 and sizes.get("answers and metrics", 0) > 1_000, f"too little was heard: {sizes}")
    amounts = ", ".join(f"{size / 1e6:.2f} MB of {kind}" for kind, size in sizes.items())
    return f"{len(stage.planted.all())} secrets in {len(wanted)} forms, 0 hits in {amounts} of {len(stage.proxies)} proxies at trace level"
