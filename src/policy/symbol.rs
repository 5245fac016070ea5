//! What a symbol trades for what: `btcusd` is bitcoin for dollars.
//!
//! The exchange writes both currencies as one word and publishes them apart only in answers, which a
//! decision does not wait for. So the split is inferred, from the currencies that it quotes prices in;
//! the longest that fits is taken. A wrong split does no harm: a quote currency that is not meant is
//! not named by the limits and is refused, dollars and coins that stand for dollars are worth the
//! same, and an amount is held against the limit of every base currency that the word could begin
//! with.

/// The currencies that prices are quoted in (seen in `/v1/symbols`).
const QUOTES: &[&str] = &[
    "usd", "gusd", "rlusd", "usdc", "usdt", "eur", "gbp", "sgd", "btc", "eth", "dai", "ltc", "bch",
    "fil",
];

/// Base currencies whose last letter would go to the quote: `paxgusd` is `paxg` for `usd`.
const ENDING_IN_G: &[&str] = &["omg", "paxg"];

/// Longer ones do not exist.
const MAX_SYMBOL: usize = 40;

/// The two currencies of a symbol, in lower case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pair<'a> {
    pub(crate) base: &'a str,
    pub(crate) quote: &'a str,
}

/// Splits a symbol in lower case. `None`: nobody knows how.
pub(crate) fn split(symbol: &str) -> Option<Pair<'_>> {
    splits(symbol).max_by_key(|it| {
        let borrowed = it.quote == "gusd"
            && ENDING_IN_G.iter().any(|base| base.strip_suffix('g') == Some(it.base));
        if borrowed { 0 } else { it.quote.len() }
    })
}

/// Every way to read a symbol in lower case.
pub(crate) fn splits(symbol: &str) -> impl Iterator<Item = Pair<'_>> {
    let known = symbol.len() <= MAX_SYMBOL && symbol.bytes().all(|it| it.is_ascii_alphanumeric());
    let spot = symbol.strip_suffix("perp").unwrap_or(symbol);
    QUOTES.iter().filter(move |_| known).filter_map(move |quote| {
        let base = spot.strip_suffix(quote).filter(|it| !it.is_empty())?;
        Some(Pair { base, quote })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(symbol: &str, expected: Option<(&str, &str)>) {
        assert_eq!(split(symbol).map(|it| (it.base, it.quote)), expected, "{symbol}");
    }

    #[test]
    fn symbols_are_split() {
        check("btcusd", Some(("btc", "usd")));
        check("ethbtc", Some(("eth", "btc")));
        check("btcgusd", Some(("btc", "gusd")));
        check("btcgusdperp", Some(("btc", "gusd")));
        check("usdcusd", Some(("usdc", "usd")));
        check("btcusdt", Some(("btc", "usdt")));
        check("gusdusd", Some(("gusd", "usd")));
        check("gusdgbp", Some(("gusd", "gbp")));
        check("xrprlusd", Some(("xrp", "rlusd")));
        check("paxgusd", Some(("paxg", "usd")));
        check("omgusd", Some(("omg", "usd")));
        check("paxggusd", Some(("paxg", "gusd")));
        check("paxusd", Some(("pax", "usd")));
        check("ltcbch", Some(("ltc", "bch")));
        for unknown in
            ["", "usd", "perp", "btc", "btcxyz", "BTCUSD", "btc/usd", "btc usd", "btcuſd"]
        {
            check(unknown, None);
        }
        check(&format!("{}usd", "x".repeat(38)), None);
    }

    #[test]
    fn every_reading_is_known() {
        let bases: Vec<_> = splits("omgusd").map(|it| it.base).collect();
        assert_eq!(bases, ["omg", "om"]);
        assert_eq!(splits("btcusd").count(), 1);
    }
}
