//! Texts that a person copies: how a bot is pointed here.

use std::net::SocketAddr;

/// What is printed once after a start without a file.
pub(super) fn for_this_run(address: SocketAddr, key: &str, secret: &str) -> String {
    format!(
        "\nA stand-in pair for this run. It signs to this proxy and to nobody else; it is not shown again.\n\n{}\n{}",
        ccxt(address, key, secret),
        signed_curl(address, key, secret),
    )
}

/// ccxt, Python. The options make `load_markets` independent of the exchange's web site.
pub(super) fn ccxt(address: SocketAddr, key: &str, secret: &str) -> String {
    format!(
        "ccxt (Python):
    import ccxt
    exchange = ccxt.gemini({{
        'apiKey': '{key}',
        'secret': '{secret}',
        'urls': {{'api': {{'public': 'http://{address}', 'private': 'http://{address}'}}}},
        'options': {{
            'fetchMarketsFromAPI': {{'fetchDetailsForAllSymbols': True}},
            'fetchCurrencies': {{'webApiEnable': False}},
        }},
    }})
    print(exchange.fetch_balance())
"
    )
}

fn signed_curl(address: SocketAddr, key: &str, secret: &str) -> String {
    format!(
        "curl:
    payload=$(printf '{{\"request\":\"/v1/balances\",\"nonce\":%s}}' \"$(date +%s)\" | base64 | tr -d '\\n')
    signature=$(printf %s \"$payload\" | openssl dgst -sha384 -hmac '{secret}' | sed 's/.* //')
    curl -X POST http://{address}/v1/balances -H 'X-GEMINI-APIKEY: {key}' \\
         -H \"X-GEMINI-PAYLOAD: $payload\" -H \"X-GEMINI-SIGNATURE: $signature\"
"
    )
}
