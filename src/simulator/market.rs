//! The symbols, and the public data about them.
//!
//! 1. Prices never move: the same question has the same answer, but for times.
//! 2. The shapes are those of Gemini's documentation. Spot symbols carry no
//!    `contract_price_currency`, by which ccxt would take them for swaps.
//! 3. An unknown symbol is an `InvalidSymbol`, except for candles, which answer plain text.

use serde_json::Value;
use serde_json::json;

use crate::clock::UnixMicros;
use crate::simulator::catalog::Asking;
use crate::simulator::decimal::Amount;
use crate::simulator::orders::Side;
use crate::simulator::payload::Payload;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Content;
use crate::simulator::reply::Rejection;

#[derive(Debug)]
pub(crate) struct Symbol {
    pub(crate) id: &'static str,
    pub(crate) base: &'static str,
    pub(crate) quote: &'static str,
    tick_size: &'static str,
    quote_increment: &'static str,
    min_order_size: &'static str,
    bid: &'static str,
    ask: &'static str,
    /// How much there is at the bid, and at the ask.
    size: &'static str,
    perpetual: bool,
}

#[rustfmt::skip]
static SYMBOLS: [Symbol; 6] = [
    spot(["btcusd", "BTC", "USD", "0.00000001", "0.01", "0.00001", "64999.99", "65000.01", "2.5"]),
    spot(["ethusd", "ETH", "USD", "0.000001", "0.01", "0.001", "3499.99", "3500.01", "40"]),
    spot(["ethbtc", "ETH", "BTC", "0.000001", "0.00001", "0.001", "0.05384", "0.05386", "40"]),
    spot(["solusd", "SOL", "USD", "0.000001", "0.001", "0.001", "149.995", "150.005", "500"]),
    spot(["dogeusd", "DOGE", "USD", "0.000001", "0.00001", "0.1", "0.12344", "0.12346", "100000"]),
    Symbol { perpetual: true, ..spot([
        "btcgusdperp", "BTC", "GUSD", "0.0001", "0.5", "0.0001", "65000", "65000.5", "5",
    ]) },
];

const fn spot(row: [&'static str; 9]) -> Symbol {
    let [id, base, quote, tick_size, quote_increment, min_order_size, bid, ask, size] = row;
    Symbol {
        id,
        base,
        quote,
        tick_size,
        quote_increment,
        min_order_size,
        bid,
        ask,
        size,
        perpetual: false,
    }
}

impl Symbol {
    /// The price and the size that an order would meet, if it crosses.
    pub(crate) fn crossing(&self, side: Side, price: Amount) -> Option<(Amount, Amount)> {
        let met = match side {
            Side::Buy => Amount::parse(self.ask).filter(|ask| price >= *ask),
            Side::Sell => Amount::parse(self.bid).filter(|bid| price <= *bid),
        };
        Some((met?, Amount::parse(self.size)?))
    }

    pub(crate) fn trades_amount(&self, amount: Amount) -> bool {
        let least = Amount::parse(self.min_order_size).is_some_and(|it| amount >= it);
        least && Amount::parse(self.tick_size).is_some_and(|it| amount.is_multiple_of(it))
    }

    pub(crate) fn trades_price(&self, price: Amount) -> bool {
        let step = Amount::parse(self.quote_increment);
        price.is_positive() && step.is_some_and(|it| price.is_multiple_of(it))
    }

    fn details(&self) -> Value {
        let mut details = json!({
            "symbol": self.id.to_uppercase(),
            "base_currency": self.base,
            "quote_currency": self.quote,
            "tick_size": number(self.tick_size),
            "quote_increment": number(self.quote_increment),
            "min_order_size": self.min_order_size,
            "status": "open",
            "wrap_enabled": false,
            "product_type": if self.perpetual { "swap" } else { "spot" },
            "contract_type": if self.perpetual { "linear" } else { "vanilla" },
        });
        if let (true, Some(details)) = (self.perpetual, details.as_object_mut()) {
            details.insert("contract_price_currency".to_owned(), self.quote.into());
        }
        details
    }
}

/// A decimal as the JSON number that the documentation shows.
fn number(decimal: &str) -> Value {
    serde_json::from_str(decimal).unwrap_or_default()
}

pub(crate) fn symbol(id: &str) -> Option<&'static Symbol> {
    SYMBOLS.iter().find(|it| it.id.eq_ignore_ascii_case(id))
}

/// The symbol that a payload names.
pub(crate) fn of(payload: &Payload) -> Result<&'static Symbol, Rejection> {
    let id = payload.text("symbol").unwrap_or_default();
    symbol(id).ok_or_else(|| Rejection::unsupported_symbol(id))
}

fn asked(asking: &Asking<'_>) -> Result<&'static Symbol, Rejection> {
    let id = asking.capture(0);
    symbol(id).ok_or_else(|| Rejection::unsupported_symbol(id))
}

pub(crate) fn symbols(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(SYMBOLS.iter().map(|it| it.id).collect()))
}

pub(crate) fn details(asking: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(asked(asking)?.details()))
}

pub(crate) fn ticker_v1(asking: &mut Asking<'_>) -> Answer {
    let symbol = asked(asking)?;
    let mut volume = json!({ "timestamp": asking.now.millis() });
    if let Some(volume) = volume.as_object_mut() {
        volume.insert(symbol.base.to_owned(), "1615.46861748".into());
        volume.insert(symbol.quote.to_owned(), "104005461.2".into());
    }
    let Symbol { bid, ask, .. } = symbol;
    Ok(Content::Json(json!({ "bid": bid, "ask": ask, "last": bid, "volume": volume })))
}

pub(crate) fn ticker_v2(asking: &mut Asking<'_>) -> Answer {
    let Symbol { id, bid, ask, .. } = asked(asking)?;
    Ok(Content::Json(json!({
        "symbol": id.to_uppercase(), "open": bid, "high": ask, "low": bid, "close": bid,
        "changes": vec![bid; 24], "bid": bid, "ask": ask,
    })))
}

pub(crate) fn candles(asking: &mut Asking<'_>) -> Answer {
    const FRAMES: [(&str, u64); 7] = [
        ("1m", 60),
        ("5m", 300),
        ("15m", 900),
        ("30m", 1_800),
        ("1hr", 3_600),
        ("6hr", 21_600),
        ("1day", 86_400),
    ];
    let (id, frame) = (asking.capture(0), asking.capture(1));
    let invalid = |value: &str, kind: &str| {
        let text = format!("Supplied value '{value}' is not a valid {kind}");
        Rejection::text(400, "text", text)
    };
    let symbol = symbol(id).ok_or_else(|| invalid(id, "symbol"))?;
    let frame = FRAMES.iter().find(|(name, _)| *name == frame);
    let (_, seconds) = frame.ok_or_else(|| invalid(asking.capture(1), "time frame"))?;
    let newest = asking.now.secs() / seconds * seconds;
    let price = number(symbol.bid);
    let candle = |age: u64| {
        let start = newest.saturating_sub(age * seconds) * 1_000;
        json!([start, price, price, price, price, 1.25])
    };
    Ok(Content::Json((0..60).map(candle).collect()))
}

pub(crate) fn book(asking: &mut Asking<'_>) -> Answer {
    let symbol = asked(asking)?;
    let at = asking.now.secs().to_string();
    let level = |price: &str| json!([{ "price": price, "amount": symbol.size, "timestamp": at }]);
    Ok(Content::Json(json!({ "bids": level(symbol.bid), "asks": level(symbol.ask) })))
}

pub(crate) fn trades(asking: &mut Asking<'_>) -> Answer {
    let symbol = asked(asking)?;
    let trade = |age: u64| {
        let UnixMicros(at) = asking.now;
        let at = at.saturating_sub(age * 1_000_000);
        json!({
            "timestamp": at / 1_000_000, "timestampms": at / 1_000, "tid": 144_115_188_070_000_000 - age,
            "price": symbol.bid, "amount": "0.01", "exchange": "gemini", "type": "sell",
        })
    };
    Ok(Content::Json((1..=20).map(trade).collect()))
}

pub(crate) fn price_feed(_: &mut Asking<'_>) -> Answer {
    let price = |it: &Symbol| {
        let pair = it.id.to_uppercase();
        json!({ "pair": pair, "price": it.bid, "percentChange24h": "0.0000" })
    };
    Ok(Content::Json(SYMBOLS.iter().map(price).collect()))
}

pub(crate) fn fee_promos(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "symbols": ["GUSDUSD"] })))
}

pub(crate) fn network(asking: &mut Asking<'_>) -> Answer {
    let token = asking.capture(0).to_uppercase();
    let network = network_of(&token);
    let network =
        network.ok_or_else(|| Rejection::bad("InvalidToken", format!("Unknown token {token}")))?;
    Ok(Content::Json(json!({ "token": token, "network": [network] })))
}

/// The network that a coin lives on.
pub(crate) fn network_of(token: &str) -> Option<&'static str> {
    match token {
        "BTC" => Some("bitcoin"),
        "ETH" | "GUSD" | "USDC" => Some("ethereum"),
        "SOL" => Some("solana"),
        "DOGE" => Some("dogecoin"),
        _ => None,
    }
}

pub(crate) fn staking_rates(_: &mut Asking<'_>) -> Answer {
    let rate = |id: &str, bps: f64| json!({ "providerId": id, "rate": bps, "apyPct": bps / 100.0 });
    let eth = rate("62b21e17-2534-4b9f-afcf-b7edb609dd8d", 275.0);
    let sol = rate("6b4b6b1e-7e8b-4a3c-9e2a-3f6f2d0a51ac", 512.0);
    Ok(Content::Json(json!({ "gemini-staking": { "ETH": eth, "SOL": sol } })))
}

pub(crate) fn funding_amount(asking: &mut Asking<'_>) -> Answer {
    let Symbol { id, bid, .. } = asked(asking)?;
    let hour = asking.now.secs() / 3_600 * 3_600;
    Ok(Content::Json(json!({
        "symbol": id, "fundingDateTime": "2026-09-01T00:00:00.000Z",
        "fundingTimestampMilliSecs": hour * 1_000,
        "nextFundingTimestamp": (hour + 3_600) * 1_000,
        "fundingAmount": 0.51692, "estimatedFundingAmount": 0.27694, "markPrice": bid,
    })))
}

pub(crate) fn next_funding(asking: &mut Asking<'_>) -> Answer {
    let Symbol { id, .. } = asked(asking)?;
    let next = (asking.now.secs() / 3_600 + 1) * 3_600_000;
    Ok(Content::Json(json!({ "symbol": id, "nextFundingTimestamp": next })))
}

pub(crate) fn risk_stats(asking: &mut Asking<'_>) -> Answer {
    let Symbol { bid, .. } = asked(asking)?;
    Ok(Content::Json(json!({
        "product_type": "PerpetualSwapContract", "mark_price": bid, "index_price": bid,
        "open_interest": "14.439", "open_interest_notional": "938535.0",
    })))
}

pub(crate) fn auction(asking: &mut Asking<'_>) -> Answer {
    asked(asking)?;
    let closed = asking.now.millis();
    Ok(Content::Json(json!({ "closed_until_ms": closed, "last_auction_eid": 109_929 })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for it in &SYMBOLS {
            let amount = |text| Amount::parse(text).expect("a decimal");
            assert!(amount(it.bid) < amount(it.ask), "{}", it.id);
            assert!(
                it.trades_price(amount(it.bid)) && it.trades_price(amount(it.ask)),
                "{}",
                it.id
            );
            assert!(it.trades_amount(amount(it.size)), "{}", it.id);
            assert!(it.trades_amount(amount(it.min_order_size)), "{}", it.id);
            assert!(!it.trades_amount(Amount::ZERO) && !it.trades_price(Amount::ZERO));
        }
    }

    #[test]
    fn spot_names_no_contract() {
        let details = |id| symbol(id).expect("a symbol").details();
        assert_eq!(details("BTCUSD")["tick_size"].to_string(), "1e-8");
        assert_eq!(details("btcusd").get("contract_price_currency"), None);
        assert_eq!(details("btcgusdperp")["contract_price_currency"], "GUSD");
    }
}
