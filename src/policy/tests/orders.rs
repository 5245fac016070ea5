//! Orders against limits, from the words that a client sends.

use super::*;

const ORDER: &str = "/v1/order/new";
/// A bid and an ask.
const TICKER: Option<(&str, &str)> = Some(("64999.99", "65000.01"));

fn trader(orders: Orders) -> Grant {
    Grant { orders: Some(orders), ..Grant::of(Bundle::Trader.scopes()) }
}

/// At most 500 dollars an order.
fn dollars() -> Grant {
    trader(Orders { max_notional: amounts(&[("usd", "500")]), ..Orders::default() })
}

/// An order of these members, with `with` in place of its own.
fn order(with: &[(&str, &str)]) -> String {
    let mut members = vec![
        ("symbol", r#""btcusd""#),
        ("amount", r#""1""#),
        ("price", r#""500""#),
        ("side", r#""buy""#),
        ("type", r#""exchange limit""#),
    ];
    for (name, value) in with {
        members.retain(|(it, _)| it != name);
        if !value.is_empty() {
            members.push((name, value));
        }
    }
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

#[track_caller]
fn says(grant: &Grant, quote: Option<(&str, &str)>, with: &[(&str, &str)], expected: &str) {
    sent(grant, quote, &order(with), expected);
}

#[track_caller]
fn sent(grant: &Grant, quote: Option<(&str, &str)>, body: &str, expected: &str) {
    let said = match asked(grant, ORDER, body, quote) {
        Ok(_) => "allowed".to_owned(),
        Err(why) => why,
    };
    assert!(said.contains(expected), "{body}: {said:?} does not say {expected:?}");
}

#[test]
fn five_hundred_and_one_is_not_five_hundred() {
    let grant = dollars();
    says(&grant, None, &[], "allowed");
    says(&grant, None, &[("price", "500.00")], "allowed");
    says(&grant, None, &[("price", "501")], "is for 501 usd, and `orders.max_notional`");
    says(&grant, None, &[("price", r#""500.000000000000000001""#)], "allows 500");
    says(&grant, None, &[("amount", r#""1.002""#)], "is for 501 usd");
    says(&grant, None, &[("amount", "1.002")], "is for 501 usd");
    says(&grant, None, &[("price", r#""1""#), ("amount", r#""501""#)], "is for 501 usd");
    for odd in [
        "5.01e2",
        r#""5.01e2""#,
        r#""501e0""#,
        "1E3",
        "-1",
        r#""-1""#,
        r#"" 501""#,
        r#""501 ""#,
        r#""""#,
        r#""٥٠١""#,
        r#""５０１""#,
        r#""+501""#,
        r#""0x1F5""#,
        r#""5_01""#,
        r#""5,01""#,
        r#""501.""#,
        r#"".501""#,
        r#""0501""#,
        r#""NaN""#,
        r#""50100000000000000000""#,
        r#""\u0035\u0030\u0031e0""#,
    ] {
        says(&grant, None, &[("price", odd)], "is read by `orders.max_notional` and is no plain");
        says(&grant, None, &[("amount", odd)], "is read by `orders.max_notional` and is no plain");
    }
}

#[test]
fn no_other_spelling_gets_round_a_limit() {
    let grant = dollars();
    // An escape is the digit that it stands for.
    says(&grant, None, &[("price", r#""\u0035\u0030\u0031""#)], "is for 501 usd");
    sent(&grant, None, &order(&[]).replace('}', r#","price":"501"}"#), "stands twice");
    sent(&grant, None, &order(&[]).replace('}', r#","pric\u0065":"501"}"#), "stands twice");
    sent(&grant, None, &order(&[]).replace('}', r#","Price":"501"}"#), "stands twice");
    for name in ["symbol", "amount", "price", "side", "type"] {
        let body =
            order(&[]).replace(&format!("\"{name}\""), &format!("\"{}\"", name.to_uppercase()));
        sent(&grant, None, &body, "is not the exchange's spelling");
    }
    for name in ["Options", "STOP_PRICE", "Client_Order_Id", "TargetAccount"] {
        sent(&grant, None, &order(&[(name, "1")]), "is not the exchange's spelling");
    }
    for (path, body) in [
        (
            "/v1/instant/execute",
            r#"{"symbol":"btcusd","side":"buy","quantity":"501","fee":"0","price":"1","quoteId":1}"#,
        ),
        ("/v1/wrap/gusdusd", r#"{"amount":"501","side":"buy"}"#),
    ] {
        let said = asked(&grant, path, body, TICKER).unwrap_err();
        assert!(said.contains("is no order that can be read"), "{said}");
    }
    for (field, value) in
        [("total_spend", r#""501""#), ("min_amount", "1"), ("margin_order", "true")]
    {
        says(&grant, None, &[(field, value)], &format!("nothing here understands `{field}`"));
    }
    for field in ["amount", "price", "side", "type", "symbol"] {
        says(&grant, None, &[(field, "")], &format!("it names no {field}"));
        says(&grant, None, &[(field, "null")], &format!("it names no {field}"));
        says(&grant, None, &[(field, "[1]")], &format!("nothing here understands `{field}`"));
    }
}

/// Under a master key, an order for another account is not the client's to place.
#[test]
fn a_sub_account_is_not_a_way_round() {
    let grant = dollars();
    let call = read(ORDER, &order(&[("account", r#""cold""#)])).unwrap();
    let master = KeyFacts { shared: false, master: true, account: Some("primary") };
    check(&grant, master, Identity::Token, call, "may not name the account `cold`");
}

#[test]
fn what_an_order_is_worth() {
    let grant = dollars();
    let market = [("type", r#""exchange market""#), ("price", "")];
    let small = r#""0.0076""#;
    let with = |more: &[(&'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
        market.iter().copied().chain(more.iter().copied()).collect()
    };
    // A market order is worth what the ticker says.
    says(&grant, None, &with(&[]), "a market order is worth what the ticker says");
    says(&grant, TICKER, &with(&[]), "is for 65000.01 usd");
    says(&grant, TICKER, &with(&[("amount", small)]), "allowed");
    says(&grant, TICKER, &with(&[("amount", small), ("price", "99999")]), "is for 759.9924 usd");
    // The price of a sell is a floor: it sells at the bid.
    let sell = [("side", r#""sell""#), ("price", r#""1""#)];
    says(&grant, None, &sell, "a sell is worth at least the bid");
    says(&grant, TICKER, &sell, "is for 64999.99 usd");
    says(&grant, Some(("1", "2")), &sell, "allowed");
    says(&grant, Some(("1", "2")), &[("side", r#""sell""#), ("price", "501")], "is for 501 usd");
    says(&grant, TICKER, &[("side", r#""sell""#), ("amount", small)], "allowed");
    let stop = [("type", r#""exchange stop limit""#), ("stop_price", "501")];
    says(&grant, None, &stop, "allowed");
    let sold: Vec<_> = stop.iter().copied().chain([("side", r#""sell""#)]).collect();
    says(&grant, Some(("1", "2")), &sold, "is for 501 usd");
    // No limit reads the stop price of a buy.
    says(
        &grant,
        None,
        &[("type", r#""exchange stop limit""#), ("stop_price", r#""?""#)],
        "allowed",
    );
    says(&grant, None, &[("side", r#""BUY""#)], "`BUY` is no side that is known");
    says(&grant, None, &[("type", r#""market""#)], "`market` is no type that is known");
    says(&grant, None, &[("symbol", r#""btcxyz""#)], "what `btcxyz` is paid in is not known");
}

#[test]
fn currencies_are_named_or_refused() {
    let grant = dollars();
    says(&grant, None, &[("symbol", r#""BTCUSD""#)], "allowed");
    says(
        &grant,
        None,
        &[("symbol", r#""ethbtc""#), ("price", "0.05")],
        "paid in btc, which `orders.max_notional`",
    );
    says(&grant, None, &[("symbol", r#""btcgusdperp""#)], "paid in gusd");
    let day = trader(Orders {
        day: DayLimits {
            max_notional_per_day: amounts(&[("usd", "5000")]),
            ..DayLimits::default()
        },
        ..Orders::default()
    });
    says(&day, None, &[("price", "5000")], "allowed");
    says(
        &day,
        None,
        &[("price", "5001")],
        "`orders.max_notional_per_day` of client `bot` allows 5000",
    );
    says(
        &day,
        None,
        &[("symbol", r#""btceur""#)],
        "paid in eur, which `orders.max_notional_per_day`",
    );
    let amount =
        trader(Orders { max_amount: amounts(&[("btc", "1"), ("omg", "5")]), ..Orders::default() });
    says(&amount, None, &[("price", "999999999")], "allowed");
    says(&amount, None, &[("amount", "1.000000000000000001")], "is for 1.000000000000000001 btc");
    says(&amount, None, &[("symbol", r#""ethusd""#), ("amount", "9")], "allowed");
    says(&amount, None, &[("symbol", r#""omgusd""#), ("amount", "6")], "is for 6 omg");
    says(&amount, None, &[("symbol", r#""btcxyz""#)], "is not known");
    // No limit reads the price.
    says(&amount, None, &[("price", r#""1e3""#)], "allowed");
    says(&amount, None, &[("side", r#""sell""#)], "allowed");
}

#[test]
fn lists() {
    let lists = trader(Orders {
        symbols: set(&["btcusd".to_owned()]),
        sides: set(&[Side::Buy]),
        types: set(&[OrderType::Limit, OrderType::StopLimit]),
        ..Orders::default()
    });
    says(&lists, None, &[], "allowed");
    says(&lists, None, &[("symbol", r#""BtcUsd""#)], "allowed");
    says(&lists, None, &[("symbol", r#""ethusd""#)], "may not trade `ethusd`");
    says(&lists, None, &[("symbol", r#""btcusdt""#)], "may not trade `btcusdt`");
    says(&lists, None, &[("symbol", "")], "may not trade without naming a symbol");
    says(&lists, None, &[("side", r#""sell""#)], "of the side `sell`");
    says(&lists, None, &[("side", r#""Buy""#)], "of the side `Buy`");
    says(&lists, None, &[("side", "")], "without a side");
    says(&lists, None, &[("type", r#""exchange market""#)], "of the type `exchange market`");
    says(&lists, None, &[("type", r#""limit""#)], "of the type `limit`");
    // What no list and no limit reads passes as it was written.
    says(&lists, None, &[("amount", "1e99"), ("price", r#""?""#), ("total_spend", "1")], "allowed");
    let wrap = "/v1/wrap/ethusd";
    let named = Grant { operations: ["wrap_order".to_owned()].into(), ..lists };
    assert!(asked(&named, "/v1/wrap/BTCUSD", "", None).is_ok());
    let said = asked(&named, wrap, "", None).unwrap_err();
    assert!(said.contains("may not trade `ethusd`"), "{said}");
}

#[test]
fn time_in_force_is_an_option() {
    let times =
        |times: &[TimeInForce]| trader(Orders { time_in_force: set(times), ..Orders::default() });
    let maker = times(&[TimeInForce::MakerOrCancel]);
    let rest = times(&[TimeInForce::GoodTilCancel]);
    says(&maker, None, &[("options", r#"["maker-or-cancel"]"#)], "allowed");
    says(&maker, None, &[], "that is `good-til-cancel`");
    says(&maker, None, &[("options", "[]")], "that is `good-til-cancel`");
    says(&maker, None, &[("options", r#"["fill-or-kill"]"#)], "that is `fill-or-kill`");
    says(&maker, None, &[("options", r#"["maker-or-cancel","x"]"#)], "that is `x`");
    says(&maker, None, &[("options", r#"["Maker-Or-Cancel"]"#)], "that is `Maker-Or-Cancel`");
    says(
        &maker,
        None,
        &[("options", r#""maker-or-cancel""#)],
        "that is `(no list) maker-or-cancel`",
    );
    says(&maker, None, &[("options", r#"["maker-or-cancel",1]"#)], "that is `(no text)`");
    says(&rest, None, &[], "allowed");
    says(&rest, None, &[("options", "null")], "allowed");
    says(&rest, None, &[("options", r#"["good-til-cancel"]"#)], "that is `good-til-cancel`");
}

#[test]
fn cancels_heartbeats_and_reads_are_not_held_up() {
    let grant = trader(Orders {
        symbols: set(&["btcusd".to_owned()]),
        max_notional: amounts(&[("usd", "1")]),
        ..Orders::default()
    });
    for path in ["/v1/order/cancel", "/v1/order/cancel/all", "/v1/heartbeat", "/v1/orders"] {
        assert!(asked(&grant, path, "", None).is_ok(), "{path}");
    }
    let every = Grant { scopes: Scope::ALL.iter().copied().collect(), ..grant.clone() };
    for path in [
        "/v1/clearing/new",
        "/v1/clearing/confirm",
        "/v1/prediction-markets/order",
        "/v1/prediction-markets/order/batch",
        "/v1/instant/quote",
        "/v1/instant/execute",
        "/v1/wrap/btcusd",
    ] {
        let call = read(path, "").unwrap();
        let name = call.operation.name.to_string();
        let said = asked(&every, path, "", None).unwrap_err();
        assert!(said.contains("is no order that can be read"), "{path}: {said}");
        let named = Grant { operations: [name].into(), ..every.clone() };
        assert!(asked(&named, path, "", None).is_ok(), "{path}");
        let unlimited = Grant { orders: None, ..every.clone() };
        assert!(asked(&unlimited, path, "", None).is_ok(), "{path}");
    }
    // To be named does not lift the limits of what can be read.
    let named = Grant { operations: ["create_order".to_owned()].into(), ..grant };
    assert!(asked(&named, ORDER, &order(&[]), None).is_err());
}

#[test]
fn quotes_are_asked_for_where_they_decide() {
    let grant = dollars();
    let wants = |grant: &Grant, with: &[(&str, &str)]| {
        wants_quote(grant, &read(ORDER, &order(with)).unwrap())
    };
    let (sell, market) = (("side", r#""sell""#), ("type", r#""exchange market""#));
    assert_eq!(wants(&grant, &[]), None);
    assert_eq!(wants(&grant, &[sell]), Some("btcusd".to_owned()));
    assert_eq!(wants(&grant, &[market, ("symbol", r#""ETHUSD""#)]), Some("ethusd".to_owned()));
    assert_eq!(wants(&grant, &[sell, ("symbol", r#""../x""#)]), None);
    assert_eq!(wants(&grant, &[sell, ("symbol", r#""btcxyz""#)]), None);
    assert_eq!(wants(&grant, &[sell, ("symbol", "")]), None);
    assert_eq!(wants(&Grant { orders: None, ..grant.clone() }, &[sell]), None);
    let counts = DayLimits { max_orders_per_day: Some(1), ..DayLimits::default() };
    assert_eq!(wants(&trader(Orders { day: counts, ..Orders::default() }), &[sell]), None);
    let listed = Orders { symbols: set(&["ethusd".to_owned()]), ..grant.orders.clone().unwrap() };
    assert_eq!(wants(&trader(listed), &[sell]), None);
    let cancel = read("/v1/order/cancel", "").unwrap();
    assert_eq!(wants_quote(&grant, &cancel), None);
}

#[test]
fn a_permit_says_what_is_taken() {
    let share = |grant: &Grant, quote, with: &[(&str, &str)]| {
        asked(grant, ORDER, &order(with), quote).unwrap().share().order.clone()
    };
    let of = |text: &str| Decimal::parse(text).unwrap();
    let grant = dollars();
    let expected = OrderShare {
        quote: "usd".to_owned(),
        unit_price: of("500"),
        amount: of("1"),
        client_order_id: Some("a-1".to_owned()),
    };
    assert_eq!(share(&grant, None, &[("client_order_id", r#""a-1""#)]), Some(expected.clone()));
    let counts = trader(Orders {
        day: DayLimits { max_open_orders: Some(1), ..DayLimits::default() },
        ..Orders::default()
    });
    assert_eq!(share(&counts, None, &[("client_order_id", r#""a-1""#)]), Some(expected));
    let sell = [("side", r#""sell""#)];
    let unpriced = OrderShare { amount: of("1"), ..OrderShare::default() };
    assert_eq!(share(&counts, None, &sell), Some(unpriced));
    assert_eq!(share(&counts, None, &[("amount", r#""?""#)]), Some(OrderShare::default()));
    let sold =
        share(&grant, Some(("400", "401")), &[("side", r#""sell""#), ("price", "1")]).unwrap();
    assert_eq!((sold.quote.as_str(), sold.unit_price), ("usd", of("400")));
    assert_eq!(share(&Grant { orders: None, ..grant }, None, &[]), None);
}
