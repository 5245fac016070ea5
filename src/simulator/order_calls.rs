//! The calls about orders and trades.
//!
//! 1. A new order is checked field by field in the order of Gemini's documentation; the first
//!    fault is the answer.
//! 2. `order/status` answers an object for an `order_id`, and for a `client_order_id` a list,
//!    since one may have been used twice. The setting `status_as_object` makes it an object too.
//! 3. Cancelling is idempotent. `cancel/session` means the orders of the same key.

use serde_json::Value;
use serde_json::json;

use crate::simulator::account::Account;
use crate::simulator::catalog::Asking;
use crate::simulator::catalog::World;
use crate::simulator::decimal::Amount;
use crate::simulator::market;
use crate::simulator::market::Symbol;
use crate::simulator::orders::Execution;
use crate::simulator::orders::Order;
use crate::simulator::orders::Side;
use crate::simulator::orders::TAKER_FEE;
use crate::simulator::orders::Wish;
use crate::simulator::payload::Payload;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Content;
use crate::simulator::reply::Rejection;

pub(crate) fn new(asking: &mut Asking<'_>) -> Answer {
    let wish = wish(asking)?;
    let Wish { symbol, side, amount, price, .. } = wish;
    let (now, name) = (asking.now, asking.account().to_owned());
    let World { accounts, orders, .. } = &mut *asking.world;
    let account = accounts.entry(name.clone());
    let account = account.or_insert_with(|| Account::new(&name, "exchange", now));
    let placed = orders.place(wish, account, now);
    let order = placed.map_err(|_| {
        let side = match side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        };
        let text = format!(
            "Failed to place {side} order on symbol '{}' for price {} {} and quantity {amount} {} \
             due to insufficient funds",
            symbol.id.to_uppercase(),
            price.price(),
            symbol.quote,
            symbol.base,
        );
        Rejection::new(406, "InsufficientFunds", text)
    })?;
    asking.order_id = Some(order.id);
    Ok(Content::Json(order.json()))
}

fn wish(asking: &Asking<'_>) -> Result<Wish, Rejection> {
    let payload = asking.payload;
    let client_order_id = client_order_id(payload)?;
    for field in ["symbol", "amount", "price", "side", "type"] {
        if payload.value(field).is_none() {
            let text = format!("Required field '{field}' is missing");
            return Err(Rejection::bad("MissingOrderField", text));
        }
    }
    let symbol = market::of(payload)?;
    let (side, stop_price) = side_and_stop(payload, symbol)?;
    let upper = symbol.id.to_uppercase();
    let text = |name: &str| payload.digits(name).unwrap_or_default();
    let amount = payload.amount("amount").filter(|it| symbol.trades_amount(*it));
    let amount = amount.ok_or_else(|| {
        let text = format!("Invalid quantity for symbol {upper}: {}", text("amount"));
        Rejection::bad("InvalidQuantity", text)
    })?;
    let price = payload.amount("price").filter(|it| symbol.trades_price(*it));
    let price = price.ok_or_else(|| {
        let text = format!("Invalid price for symbol {upper}: {}", text("price"));
        Rejection::bad("InvalidPrice", text)
    })?;
    let execution = execution(payload)?;
    if stop_price.is_some() && execution != Execution::Rest {
        let text = "No options can be applied to stop-limit orders";
        return Err(Rejection::bad("ConflictingOptions", text));
    }
    let (account, key) = (asking.account().to_owned(), asking.key().to_owned());
    Ok(Wish { account, key, client_order_id, symbol, side, amount, price, stop_price, execution })
}

fn client_order_id(payload: &Payload) -> Result<Option<String>, Rejection> {
    match payload.value("client_order_id") {
        None => Ok(None),
        Some(Value::String(id)) if id.chars().count() <= 100 => Ok(Some(id.clone())),
        Some(Value::String(_)) => {
            let text = "client_order_id must be under 100 characters";
            Err(Rejection::bad("ClientOrderIdTooLong", text))
        }
        Some(_) => {
            let text = "client_order_id must be a string";
            Err(Rejection::bad("ClientOrderIdMustBeString", text))
        }
    }
}

fn side_and_stop(payload: &Payload, symbol: &Symbol) -> Result<(Side, Option<Amount>), Rejection> {
    let upper = symbol.id.to_uppercase();
    let side = payload.text("side").unwrap_or_default();
    let side = match side {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => {
            let text = format!("Invalid side for symbol {upper}: '{side}'");
            return Err(Rejection::bad("InvalidSide", text));
        }
    };
    match payload.text("type").unwrap_or_default() {
        "exchange limit" => Ok((side, None)),
        "exchange stop limit" => {
            let stop = payload.amount("stop_price").filter(|it| it.is_positive());
            let text = format!("Invalid stop price for symbol {upper}");
            let stop = stop.ok_or_else(|| Rejection::bad("InvalidStopPrice", text))?;
            Ok((side, Some(stop)))
        }
        kind => {
            let text = format!("Invalid order type for symbol {upper}: '{kind}'");
            Err(Rejection::bad("InvalidOrderType", text))
        }
    }
}

fn execution(payload: &Payload) -> Result<Execution, Rejection> {
    let options = match payload.value("options") {
        None => return Ok(Execution::Rest),
        Some(Value::Array(options)) => options,
        Some(_) => return Err(Rejection::bad("OptionsMustBeArray", "options must be an array")),
    };
    let mut chosen = Execution::Rest;
    for option in options {
        let name = option.as_str().unwrap_or_default();
        let known = Execution::NAMED.iter().find(|(it, _)| *it == name);
        let (_, execution) = known.ok_or_else(|| {
            let text = format!("Option \"{name}\" is not supported.");
            Rejection::bad("UnsupportedOption", text)
        })?;
        if chosen != Execution::Rest {
            let names = Execution::NAMED.map(|(name, _)| name).join(", ");
            let text = format!("A single order supports at most one of these options: [{names}]");
            return Err(Rejection::bad("ConflictingOptions", text));
        }
        chosen = *execution;
    }
    Ok(chosen)
}

pub(crate) fn cancel(asking: &mut Asking<'_>) -> Answer {
    let id = order_id(asking)?;
    let name = asking.account().to_owned();
    asking.world.orders.by_id(id, &name).ok_or_else(|| not_found(&id.to_string()))?;
    if let Some(account) = asking.world.accounts.get_mut(&name) {
        asking.world.orders.cancel(id, account);
    }
    asking.order_id = Some(id);
    let order = asking.world.orders.by_id(id, &name);
    Ok(Content::Json(order.map_or(Value::Null, Order::json)))
}

pub(crate) fn cancel_all(asking: &mut Asking<'_>) -> Answer {
    cancel_where(asking, |_| true)
}

pub(crate) fn cancel_session(asking: &mut Asking<'_>) -> Answer {
    let key = asking.key().to_owned();
    cancel_where(asking, |order| order.wish.key == key)
}

fn cancel_where(asking: &mut Asking<'_>, meant: impl Fn(&Order) -> bool) -> Answer {
    let name = asking.account().to_owned();
    let orders = &mut asking.world.orders;
    let ids: Vec<u64> = orders.live(&name).filter(|it| meant(it)).map(|it| it.id).collect();
    if let Some(account) = asking.world.accounts.get_mut(&name) {
        for id in &ids {
            orders.cancel(*id, account);
        }
    }
    let details = json!({ "cancelledOrders": ids, "cancelRejects": [] });
    Ok(Content::Json(json!({ "result": "ok", "details": details })))
}

pub(crate) fn status(asking: &mut Asking<'_>) -> Answer {
    let Some(client_id) = asking.payload.text("client_order_id") else {
        let id = order_id(asking)?;
        asking.order_id = Some(id);
        let order = asking.world.orders.by_id(id, asking.account());
        let order = order.ok_or_else(|| not_found(&id.to_string()))?;
        return Ok(Content::Json(with_trades(asking, order)));
    };
    if asking.payload.value("order_id").is_some() {
        let text = "Only one of order_id and client_order_id may be given";
        return Err(Rejection::bad("ConflictingOptions", text));
    }
    let orders = asking.world.orders.by_client_id(client_id, asking.account());
    let Some(first) = orders.first() else { return Err(not_found(client_id)) };
    if asking.world.status_as_object {
        return Ok(Content::Json(with_trades(asking, first)));
    }
    let list = orders.iter().map(|it| with_trades(asking, it)).collect();
    Ok(Content::Json(Value::Array(list)))
}

fn with_trades(asking: &Asking<'_>, order: &Order) -> Value {
    let mut json = order.json();
    if asking.payload.value("include_trades") == Some(&Value::Bool(true)) {
        let trades = asking.world.orders.trades().filter(|it| it.order() == order.id);
        let trades: Vec<_> = trades.map(|it| it.json()).collect();
        if let Some(json) = json.as_object_mut() {
            json.insert("trades".to_owned(), trades.into());
        }
    }
    json
}

pub(crate) fn active(asking: &mut Asking<'_>) -> Answer {
    let orders = asking.world.orders.live(asking.account()).map(Order::json);
    Ok(Content::Json(Value::Array(orders.collect())))
}

pub(crate) fn history(asking: &mut Asking<'_>) -> Answer {
    let wanted = optional_symbol(asking.payload)?;
    let limit = limit(asking.payload, "limit_orders", 500);
    let orders = asking.world.orders.ended(asking.account());
    let orders = orders.filter(|it| wanted.is_none_or(|symbol| symbol.id == it.wish.symbol.id));
    Ok(Content::Json(Value::Array(orders.take(limit).map(Order::json).collect())))
}

pub(crate) fn my_trades(asking: &mut Asking<'_>) -> Answer {
    let wanted = optional_symbol(asking.payload)?;
    let since = asking.payload.integer("timestamp").unwrap_or(0);
    let limit = limit(asking.payload, "limit_trades", 50);
    let trades = asking.world.orders.trades();
    let trades = trades
        .filter(|it| it.account() == asking.account())
        .filter(|it| wanted.is_none_or(|symbol| symbol.id == it.symbol().id))
        // Both units are allowed, and told apart by their size.
        .filter(|it| if since > 9_999_999_999 { it.at.millis() } else { it.at.secs() } >= since);
    Ok(Content::Json(Value::Array(trades.take(limit).map(|it| it.json()).collect())))
}

pub(crate) fn trade_volume(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!([[{
        "symbol": "btcusd", "base_currency": "BTC", "notional_currency": "USD",
        "data_date": "2026-09-01", "total_volume_base": 8.06021756, "maker_buy_sell_ratio": 1,
        "buy_maker_base": 6.06021756, "buy_maker_notional": 23461.3515203844,
        "buy_maker_count": 34, "sell_maker_base": 0, "sell_maker_notional": 0,
        "sell_maker_count": 0, "buy_taker_base": 0, "buy_taker_notional": 0,
        "buy_taker_count": 0, "sell_taker_base": 2, "sell_taker_notional": 7935.66,
        "sell_taker_count": 2,
    }]])))
}

pub(crate) fn notional_volume(asking: &mut Asking<'_>) -> Answer {
    let mut volume = json!({
        "date": "2026-09-01", "last_updated_ms": asking.now.millis(),
        "notional_30d_volume": 150.0, "notional_1d_volume": [],
    });
    if let Some(volume) = volume.as_object_mut() {
        for channel in ["web", "api", "fix"] {
            volume.insert(format!("{channel}_maker_fee_bps"), 20.into());
            volume.insert(format!("{channel}_taker_fee_bps"), json!(TAKER_FEE));
            volume.insert(format!("{channel}_auction_fee_bps"), 20.into());
        }
    }
    Ok(Content::Json(volume))
}

fn order_id(asking: &Asking<'_>) -> Result<u64, Rejection> {
    let missing =
        || Rejection::bad("MissingOrderField", "Must provide 'order_id' field in payload");
    let digits = asking.payload.digits("order_id").ok_or_else(missing)?;
    digits
        .parse()
        .map_err(|_| Rejection::bad("InvalidOrderId", format!("Invalid order id {digits}")))
}

fn not_found(id: &str) -> Rejection {
    Rejection::new(404, "OrderNotFound", format!("Order {id} not found"))
}

fn optional_symbol(payload: &Payload) -> Result<Option<&'static Symbol>, Rejection> {
    payload.value("symbol").map(|_| market::of(payload)).transpose()
}

fn limit(payload: &Payload, name: &str, default: usize) -> usize {
    let asked = payload.integer(name).and_then(|it| usize::try_from(it).ok());
    asked.unwrap_or(default).min(500)
}
