//! What answers say of orders.
//!
//! 1. Only what is said without doubt: an order needs an id, whether it is live, and how much of it was
//!    executed. What lacks one of them is not told of, and stays as it was believed to be.
//! 2. `cancel/all` and `cancel/session` name the orders that they ended and not how much of them was
//!    executed before: they tell nothing.

use std::borrow::Cow;

use crate::call::{OrderState, Orders};
use crate::decimal::Decimal;
use crate::json::{Object, Value};

/// The operations whose answers tell of orders.
pub(super) const TELLING: &[&str] =
    &["create_order", "cancel_order", "get_order_status", "list_past_orders", "list_active_orders"];

/// `body` is the answer to a call of `operation` that the exchange did not reject.
pub(super) fn orders(operation: &str, body: &[u8]) -> Orders {
    match operation {
        "create_order" | "cancel_order" | "get_order_status" => match Value::parse(body) {
            // By its `client_order_id` an order's status is a list: an id may have been used twice.
            Ok(Value::Array(values)) => each(&values),
            Ok(Value::Object(object)) => state(&object).map_or(Orders::Nothing, one),
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | Err(_) => {
                Orders::Nothing
            }
        },
        "list_past_orders" => match Value::parse(body) {
            Ok(Value::Array(values)) => nameless(each(&values)),
            _ => Orders::Nothing,
        },
        "list_active_orders" => match Value::parse(body) {
            Ok(Value::Array(values)) => {
                let states: Vec<OrderState> = values.iter().filter_map(in_list).collect();
                // With one that cannot be read, nothing follows for those that are not there.
                if states.len() == values.len() {
                    Orders::Active(states)
                } else {
                    Orders::Each(states)
                }
            }
            _ => Orders::Nothing,
        },
        _ => Orders::Nothing,
    }
}

/// How many orders `cancel/all` has cancelled, if its answer names them.
pub(super) fn n_cancelled(body: &[u8]) -> Option<usize> {
    let answer = Object::parse(body).ok()?;
    let Value::Object(details) = answer.get("details")? else { return None };
    let Value::Array(ids) = details.get("cancelledOrders")? else { return None };
    Some(ids.len())
}

fn one(state: OrderState) -> Orders {
    Orders::Each(vec![state])
}

fn each(values: &[Value]) -> Orders {
    let states: Vec<OrderState> = values.iter().filter_map(in_list).collect();
    if states.is_empty() { Orders::Nothing } else { Orders::Each(states) }
}

/// The past may hold many orders of one name, and not the one that is looked for: their own ids count.
fn nameless(orders: Orders) -> Orders {
    match orders {
        Orders::Each(states) => Orders::Each(
            states.into_iter().map(|it| OrderState { client_order_id: None, ..it }).collect(),
        ),
        Orders::Nothing | Orders::Active(_) => orders,
    }
}

fn in_list(value: &Value) -> Option<OrderState> {
    match value {
        Value::Object(object) => state(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    }
}

fn state(order: &Object) -> Option<OrderState> {
    let text = |name: &str| order.get(name).and_then(Value::as_text).map(Cow::into_owned);
    let number = |name: &str| text(name).and_then(|it| Decimal::parse(&it));
    let live = match order.get("is_live")? {
        Value::Bool(live) => *live,
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    Some(OrderState {
        order_id: text("order_id").or_else(|| text("id")).filter(|it| !it.is_empty())?,
        client_order_id: text("client_order_id"),
        symbol: text("symbol").map(|it| it.to_ascii_lowercase()),
        live,
        executed: number("executed_amount")?,
        remaining: number("remaining_amount"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As documented for `order/new`, shortened.
    const ORDER: &str = r#"{"order_id":"106817811","id":"106817811","symbol":"BTCUSD",
        "side":"buy","type":"exchange limit","is_live":true,"is_cancelled":false,
        "executed_amount":"3.7567928949","remaining_amount":"1.2432071051",
        "client_order_id":"20190110-4738721","options":[],"price":"3633.00"}"#;

    fn expected() -> OrderState {
        OrderState {
            order_id: "106817811".to_owned(),
            client_order_id: Some("20190110-4738721".to_owned()),
            symbol: Some("btcusd".to_owned()),
            live: true,
            executed: Decimal::parse("3.7567928949").unwrap(),
            remaining: Decimal::parse("1.2432071051"),
        }
    }

    #[track_caller]
    fn check(operation: &str, body: &str, expected: &Orders) {
        assert_eq!(&orders(operation, body.as_bytes()), expected, "{operation} {body}");
    }

    #[test]
    fn one_order_and_lists_of_them() {
        let one = Orders::Each(vec![expected()]);
        check("create_order", ORDER, &one);
        check("cancel_order", ORDER, &one);
        check("get_order_status", ORDER, &one);
        let list = format!("[{ORDER}]");
        check("get_order_status", &list, &one);
        // By its name it might be any that ever had it.
        let nameless = OrderState { client_order_id: None, ..expected() };
        check("list_past_orders", &list, &Orders::Each(vec![nameless]));
        check("list_active_orders", &list, &Orders::Active(vec![expected()]));
        check("list_active_orders", "[]", &Orders::Active(Vec::new()));
        check("list_past_orders", "[]", &Orders::Nothing);
        let twice = format!("[{ORDER},{ORDER}]");
        check("list_active_orders", &twice, &Orders::Active(vec![expected(), expected()]));
    }

    #[test]
    fn what_is_in_doubt_is_not_told() {
        for (part, odd) in [
            (r#""is_live":true"#, r#""is_live":"true""#),
            (r#""is_live":true,"#, ""),
            (r#""executed_amount":"3.7567928949""#, r#""executed_amount":"3e5""#),
            (r#""executed_amount":"3.7567928949","#, ""),
            (r#""order_id":"106817811","id":"106817811","#, ""),
            (r#""symbol":"BTCUSD""#, r#""is_live":false"#),
        ] {
            let body = ORDER.replace(part, odd);
            assert_ne!(body, ORDER, "{part}");
            check("create_order", &body, &Orders::Nothing);
            // A list that is not understood whole is not taken for the whole.
            let list = format!("[{ORDER},{}]", body.replace(r#""is_live":false"#, "1"));
            if orders("list_active_orders", list.as_bytes()) != Orders::Nothing {
                check("list_active_orders", &list, &Orders::Each(vec![expected()]));
            }
        }
        check("create_order", r#"{"result":"error"}"#, &Orders::Nothing);
        check("create_order", "<html>", &Orders::Nothing);
        check("create_order", "", &Orders::Nothing);
        check("list_active_orders", ORDER, &Orders::Nothing);
        check("list_active_orders", "[1]", &Orders::Each(Vec::new()));
        let all = r#"{"result":"ok","details":{"cancelledOrders":[1,2],"cancelRejects":[]}}"#;
        check("cancel_all_orders", all, &Orders::Nothing);
        assert_eq!(n_cancelled(all.as_bytes()), Some(2));
        assert_eq!(n_cancelled(br#"{"result":"ok"}"#), None);
        check("list_balances", &format!("[{ORDER}]"), &Orders::Nothing);
    }

    #[test]
    fn ids_and_amounts_come_as_numbers_too() {
        let body = r#"{"order_id":73797746498585286,"is_live":false,"executed_amount":0.5}"#;
        let state = OrderState {
            order_id: "73797746498585286".to_owned(),
            client_order_id: None,
            symbol: None,
            live: false,
            executed: Decimal::parse("0.5").unwrap(),
            remaining: None,
        };
        check("create_order", body, &Orders::Each(vec![state]));
    }
}
