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

/// For a bot with a token.
pub(super) fn for_token(address: SocketAddr, token: &str) -> String {
    format!(
        "curl:
    curl -X POST http://{address}/v1/balances -H 'Authorization: Bearer {token}'

requests (Python):
    import requests
    gemini = requests.Session()
    gemini.headers['Authorization'] = 'Bearer {token}'
    print(gemini.post('http://{address}/v1/balances').json())

ccxt signs by itself and wants a pair: `geminid client add NAME --stand-in`
"
    )
}

/// For a bot with a stand-in pair.
pub(super) fn for_pair(address: SocketAddr, key: &str, secret: &str) -> String {
    format!(
        "{}\n{}\n{}",
        ccxt(address, key, secret),
        signed_curl(address, key, secret),
        signed_requests(address, key, secret)
    )
}

fn signed_requests(address: SocketAddr, key: &str, secret: &str) -> String {
    format!(
        "requests (Python):
    import base64, hashlib, hmac, json, time, requests
    def call(path, **parameters):
        payload = {{'request': path, 'nonce': time.time_ns(), **parameters}}
        payload = base64.b64encode(json.dumps(payload).encode())
        signature = hmac.new(b'{secret}', payload, hashlib.sha384).hexdigest()
        headers = {{'X-GEMINI-APIKEY': '{key}', 'X-GEMINI-PAYLOAD': payload, 'X-GEMINI-SIGNATURE': signature}}
        return requests.post('http://{address}' + path, headers=headers).json()
    print(call('/v1/balances'))
"
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
