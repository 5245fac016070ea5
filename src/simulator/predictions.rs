//! Prediction markets and derivatives' accounts: small lists of what is plausible.
//!
//! 1. There is one event with one contract. Nobody holds a position, nobody has traded.
//! 2. Orders are refused with the markets' own shape of error, since there is no book to put them
//!    in.

use serde_json::Value;
use serde_json::json;

use crate::simulator::catalog::Asking;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Content;
use crate::simulator::reply::Rejection;

const TICKER: &str = "SIM2026";

fn event() -> Value {
    json!({
        "ticker": TICKER, "title": "Will the simulation end in 2026?", "category": "Technology",
        "status": "active", "type": "binary",
        "contracts": [{
            "instrumentSymbol": "GEMI-SIM2026-YES", "ticker": "SIM2026-YES", "label": "Yes",
            "status": "active", "prices": { "bestBid": "0.41", "bestAsk": "0.43" },
        }],
    })
}

pub(crate) fn events(_: &mut Asking<'_>) -> Answer {
    let pagination = json!({ "limit": 50, "offset": 0, "total": 1 });
    Ok(Content::Json(json!({ "data": [event()], "pagination": pagination })))
}

pub(crate) fn event_of(asking: &mut Asking<'_>) -> Answer {
    known(asking)?;
    Ok(Content::Json(event()))
}

pub(crate) fn strike(asking: &mut Asking<'_>) -> Answer {
    known(asking)?;
    Ok(Content::Json(json!({ "ticker": TICKER, "strike": Value::Null })))
}

fn known(asking: &Asking<'_>) -> Result<(), Rejection> {
    let ticker = asking.capture(0);
    let missing = || Rejection::prediction(404, "NOT_FOUND", format!("Event {ticker} not found"));
    (ticker == TICKER).then_some(()).ok_or_else(missing)
}

pub(crate) fn categories(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "categories": ["Crypto", "Technology"] })))
}

pub(crate) fn empty_page(_: &mut Asking<'_>) -> Answer {
    let pagination = json!({ "limit": 50, "offset": 0, "total": 0 });
    Ok(Content::Json(json!({ "data": [], "pagination": pagination })))
}

pub(crate) fn orders(_: &mut Asking<'_>) -> Answer {
    let pagination = json!({ "limit": 50, "offset": 0, "count": 0 });
    Ok(Content::Json(json!({ "orders": [], "pagination": pagination })))
}

pub(crate) fn positions(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "positions": [] })))
}

pub(crate) fn terms(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "version": "1", "content": "Simulated terms." })))
}

pub(crate) fn terms_status(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!({ "accepted": true, "latestVersion": "1" })))
}

pub(crate) fn refused(_: &mut Asking<'_>) -> Answer {
    let text = "The simulator has no book for prediction markets";
    Err(Rejection::prediction(400, "InvalidInput", text))
}

pub(crate) fn margin(asking: &mut Asking<'_>) -> Answer {
    let symbol = asking.payload.text("symbol").unwrap_or("BTC-GUSD-PERP");
    Ok(Content::Json(json!({
        "margin_assets_value": "0", "initial_margin": "0", "available_margin": "0",
        "margin_maintenance_limit": "0", "leverage": "0", "notional_value": "0",
        "estimated_liquidation_price": "0", "initial_margin_positions": "0",
        "reserved_margin": "0", "reserved_margin_buys": "0", "reserved_margin_sells": "0",
        "buying_power": "0", "selling_power": "0", "symbol": symbol,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_the_one_that_is_known() {
        assert_eq!(event()["ticker"], TICKER);
    }
}
