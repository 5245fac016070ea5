"""How ccxt is pointed at the proxy: as README.md tells it."""


def ccxt_settings(url, pair):
    key, secret = pair
    return {
        "apiKey": key,
        "secret": secret,
        "enableRateLimit": False,
        "urls": {"api": {"public": url, "private": url}},
        "options": {
            "fetchMarketsFromAPI": {"fetchDetailsForAllSymbols": True},
            "fetchCurrencies": {"webApiEnable": False},
        },
    }


def direct_settings(ground, pair):
    """The same, straight at the simulated exchange; REQUESTS_CA_BUNDLE tells whom to trust."""
    return {**ccxt_settings(ground.simulator_url, pair), "requests_trust_env": True}
