# What CI runs, by parts. `just` alone runs all of it.
check: fmt-check clippy test doc deny clients

fmt:
    cargo fmt

fmt-check:
    cargo fmt --check

clippy:
    cargo clippy --locked --all-targets -- -D warnings

test *args:
    cargo test --locked {{ args }}

# Every interleaving of requests in a lane, up to a number of preemptions.
model:
    RUSTFLAGS="--cfg model" CARGO_TARGET_DIR=target/model cargo test --locked --lib model -- --nocapture --test-threads 1

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

# Duplicates, licences, sources; offline. Advisories need the network: `cargo deny check advisories`.
deny:
    cargo deny --locked check bans licenses sources

# Real client libraries (Python, Node) against the built proxy and the simulated exchange.
clients:
    cargo build --release --locked
    tests/clients/run target/release/geminid

# Kills, bad clocks, full disks, torn files, crowds.
hardship *args:
    cargo build --release --locked
    tests/hardship/run {{ args }} target/release/geminid

# The corpus of hostile bytes at nginx and HAProxy too.
differential *args:
    cargo build --release --locked
    tests/differential/run target/release/geminid {{ args }}

bench *args:
    cargo bench --locked {{ args }}

# Beside nginx, HAProxy, aiohttp, Node and the least on hyper; `just compare all --write` for the documentation.
compare *args:
    benches/compare/run {{ args }}

# CPU of a call against clients, grants, keys, body sizes and connections.
growth *args:
    benches/compare/run growth {{ args }}

# Every reader of foreign bytes, 100,000 inputs each; `just fuzz --minutes 10` goes on from the last run.
fuzz *args:
    fuzz/run {{ args }}
