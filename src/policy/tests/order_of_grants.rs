//! More grants never allow less.
//!
//! A grant is wider than another if it is made of it by steps of these kinds, and by nothing else:
//! 1. a scope, an operation, an account, an address, a transfer's target or a bank more;
//! 2. a word more in a list of `orders`, or no such list at all;
//! 3. a higher limit; no limit on an amount; a currency more in a table of notional limits that has
//!    one already, or no such table at all; no `orders` at all;
//! 4. `cancel_all = "shared"`, `mode = "observe"`.
//!
//! A list where there was none, or a currency more in `max_amount`, is a restriction and no grant.

use super::*;

const SYMBOLS: &[&str] = &["btcusd", "ethusd", "ethbtc", "btcgusd"];
const OPERATIONS: &[&str] =
    &["create_order", "wrap_order", "execute_instant_order", "withdraw_crypto", "stake"];

#[derive(Clone, Debug)]
enum Step {
    Scope(Scope),
    Operation(&'static str),
    Account(&'static str),
    Address(Destination),
    MoreADay(usize, Option<u32>),
    Target(&'static str),
    Bank(&'static str),
    Symbol(Option<&'static str>),
    Side(Option<Side>),
    Type(Option<OrderType>),
    Time(Option<TimeInForce>),
    Amount(&'static str, Option<u32>),
    Notional(&'static str, u32),
    AnyNotional,
    DayNotional(&'static str, u32),
    AnyDayNotional,
    NoOrders,
    Shared,
    Observe,
}

fn more<T: Ord>(list: &mut Option<BTreeSet<T>>, word: Option<T>) {
    match (list.as_mut(), word) {
        (Some(list), Some(word)) => drop(list.insert(word)),
        (_, None) => *list = None,
        (None, Some(_)) => {}
    }
}

/// A higher limit, or one for a currency that was not named, where any is.
fn raise(table: &mut BTreeMap<String, Decimal>, currency: &str, by: u32) {
    if table.is_empty() {
        return;
    }
    let by = Decimal::parse(&by.to_string()).unwrap();
    let limit = table.entry(currency.to_owned()).or_default();
    *limit = limit.plus(&by);
}

impl Step {
    fn widen(self, grant: &mut Grant) {
        let mut none = Orders::default();
        let orders = grant.orders.as_mut().unwrap_or(&mut none);
        match self {
            Self::Scope(scope) => drop(grant.scopes.insert(scope)),
            Self::Operation(name) => drop(grant.operations.insert(name.to_owned())),
            Self::Account(name) => grant.accounts.push(name.to_owned()),
            Self::Address(entry) => grant.withdrawals.push(entry),
            Self::MoreADay(index, by) => {
                let entry = grant.withdrawals.get_mut(index);
                if let Some(limit) = entry.and_then(|it| it.max_per_day.as_mut()) {
                    match by {
                        Some(by) => *limit = limit.plus(&Decimal::parse(&by.to_string()).unwrap()),
                        None => grant.withdrawals[index].max_per_day = None,
                    }
                }
            }
            Self::Target(name) => {
                grant.transfers.iter_mut().for_each(|it| it.to.extend([name.to_owned()]));
            }
            Self::Bank(name) => {
                grant.transfers.iter_mut().for_each(|it| it.banks.extend([name.to_owned()]));
            }
            Self::Symbol(word) => more(&mut orders.symbols, word.map(str::to_owned)),
            Self::Side(word) => more(&mut orders.sides, word),
            Self::Type(word) => more(&mut orders.types, word),
            Self::Time(word) => more(&mut orders.time_in_force, word),
            Self::Amount(currency, Some(by)) if orders.max_amount.contains_key(currency) => {
                raise(&mut orders.max_amount, currency, by);
            }
            Self::Amount(_, Some(_)) => {}
            Self::Amount(currency, None) => drop(orders.max_amount.remove(currency)),
            Self::Notional(currency, by) => raise(&mut orders.max_notional, currency, by),
            Self::AnyNotional => orders.max_notional.clear(),
            Self::DayNotional(currency, by) => {
                raise(&mut orders.day.max_notional_per_day, currency, by);
            }
            Self::AnyDayNotional => orders.day.max_notional_per_day.clear(),
            Self::NoOrders => grant.orders = None,
            Self::Shared => grant.cancel_all = CancelAll::Shared,
            Self::Observe => grant.mode = Mode::Observe,
        }
    }
}

fn small() -> impl Strategy<Value = Decimal> {
    (1..2_000_u32, 0..3_u32)
        .prop_map(|(whole, fraction)| Decimal::parse(&format!("{whole}.{fraction}")).unwrap())
}

fn currency() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["usd", "gusd", "btc", "eth"][..])
}

fn table() -> impl Strategy<Value = BTreeMap<String, Decimal>> {
    prop::collection::btree_map(currency().prop_map(str::to_owned), small(), 0..3)
}

fn list<T: Ord + Clone + std::fmt::Debug + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = Option<BTreeSet<T>>> {
    prop::option::of(prop::collection::btree_set(prop::sample::select(all), 0..3))
}

fn orders() -> impl Strategy<Value = Orders> {
    let symbols = prop::option::of(prop::collection::btree_set(
        prop::sample::select(SYMBOLS).prop_map(str::to_owned),
        0..4,
    ));
    let lists = (symbols, list(Side::ALL), list(OrderType::ALL), list(TimeInForce::ALL));
    (lists, table(), table(), table()).prop_map(|(lists, max_amount, max_notional, day)| {
        let (symbols, sides, types, time_in_force) = lists;
        let day = DayLimits { max_notional_per_day: day, ..DayLimits::default() };
        Orders { symbols, sides, types, time_in_force, max_amount, max_notional, day }
    })
}

fn destination() -> impl Strategy<Value = Destination> {
    let network = prop::option::of(prop::sample::select(&["bitcoin", "ethereum"][..]));
    let address = prop::sample::select(&["good", "other"][..]);
    (network, address, prop::option::of(small())).prop_map(|(network, address, max_per_day)| {
        Destination {
            currency: "btc".to_owned(),
            network: network.map(str::to_owned),
            address: address.to_owned(),
            memo: None,
            max_per_day,
        }
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    let transfers = prop::option::of(Just(Transfers::default()));
    let operations = prop::collection::btree_set(prop::sample::select(OPERATIONS), 0..2);
    let withdrawals = prop::collection::vec(destination(), 0..3);
    let all = Just(Scope::ALL.iter().copied().collect::<BTreeSet<_>>());
    let scopes = prop_oneof![scopes(), all];
    (scopes, operations, withdrawals, prop::option::of(orders()), transfers).prop_map(
        |(scopes, operations, withdrawals, orders, transfers)| Grant {
            operations: operations.into_iter().map(str::to_owned).collect(),
            withdrawals,
            orders,
            transfers,
            ..Grant::of(scopes)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let by = || prop::option::of(1..1_000_u32);
    let symbol = prop::option::of(prop::sample::select(SYMBOLS));
    prop_oneof![
        prop::sample::select(Scope::ALL).prop_map(Step::Scope),
        prop::sample::select(OPERATIONS).prop_map(Step::Operation),
        prop::sample::select(&["cold", "hot"][..]).prop_map(Step::Account),
        prop::sample::select(&["cold", "hot"][..]).prop_map(Step::Target),
        Just(Step::Bank("b-1")),
        destination().prop_map(Step::Address),
        (0..3_usize, by()).prop_map(|(index, by)| Step::MoreADay(index, by)),
        symbol.prop_map(Step::Symbol),
        prop::option::of(prop::sample::select(Side::ALL)).prop_map(Step::Side),
        prop::option::of(prop::sample::select(OrderType::ALL)).prop_map(Step::Type),
        prop::option::of(prop::sample::select(TimeInForce::ALL)).prop_map(Step::Time),
        (currency(), by()).prop_map(|(currency, by)| Step::Amount(currency, by)),
        (currency(), 1..1_000_u32).prop_map(|(currency, by)| Step::Notional(currency, by)),
        (currency(), 1..1_000_u32).prop_map(|(currency, by)| Step::DayNotional(currency, by)),
        Just(Step::AnyNotional),
        Just(Step::AnyDayNotional),
        Just(Step::NoOrders),
        Just(Step::Shared),
        Just(Step::Observe),
    ]
}

fn order_body() -> impl Strategy<Value = String> {
    let symbol = prop::sample::select(&["btcusd", "ETHUSD", "ethbtc", "btcgusd", "xyz"][..]);
    let number = prop_oneof![
        6 => (1..2_000_u32).prop_map(|it| it.to_string()),
        1 => prop::sample::select(&["0.5", "1e3", "x"][..]).prop_map(str::to_owned),
    ];
    let side = prop::sample::select(&["buy", "sell", "Buy"][..]);
    let kind = prop::sample::select(
        &["exchange limit", "exchange limit", "exchange stop limit", "exchange market", "x"][..],
    );
    let more = prop::sample::select(
        &[
            "",
            "",
            r#","options":["maker-or-cancel"]"#,
            r#","options":["x"]"#,
            r#","total_spend":1"#,
        ][..],
    );
    (symbol, number.clone(), number, side, kind, more).prop_map(
        |(symbol, amount, price, side, kind, more)| {
            format!(
                r#"{{"symbol":"{symbol}","amount":"{amount}","price":"{price}","stop_price":"7","side":"{side}","type":"{kind}"{more}}}"#
            )
        },
    )
}

fn call() -> impl Strategy<Value = (String, String)> {
    let other = prop::sample::select(
        &[
            ("/v1/order/cancel/all", ""),
            ("/v1/wrap/btcusd", ""),
            ("/v1/wrap/ethusd", ""),
            ("/v1/instant/execute", ""),
            ("/v1/balances", r#"{"account":"cold"}"#),
            ("/v1/withdraw/btc", r#"{"address":"good","amount":"500"}"#),
            ("/v1/withdraw/btc", r#"{"address":"good","amount":"5e2"}"#),
            ("/v2/withdraw/bitcoin/btc", r#"{"address":"other","amount":"500"}"#),
            ("/v1/withdraw/usd", r#"{"bankId":"b-1","amount":"1"}"#),
            ("/v1/account/transfer/btc", r#"{"sourceAccount":"hot","targetAccount":"cold"}"#),
            ("/v1/staking/stake", ""),
            ("/v1/payments/addbank", ""),
            ("/v1/oauth/revokeByToken", ""),
        ][..],
    );
    prop_oneof![
        order_body().prop_map(|it| ("/v1/order/new".to_owned(), it)),
        other.prop_map(|(path, body)| (path.to_owned(), body.to_owned())),
    ]
}

/// Decides under a master key that others use too.
fn allowed(grant: &Grant, call: &Call, quote: Option<&Quote>) -> bool {
    let key = KeyFacts { shared: true, master: true, account: Some("primary") };
    let who = who(Identity::Token);
    decide(&Case { grant, key, who: &who, freeze: Freeze::No, quote }, call.clone()).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Adding a grant never turns yes into no; so removing one never turns no into yes.
    #[test]
    fn wider_grants_allow_no_less(
        narrow in grant(), steps in prop::collection::vec(step(), 1..6), (path, body) in call(),
        quote in prop::option::of((1..2_000_u32).prop_map(|it| Decimal::parse(&it.to_string()).unwrap())),
    ) {
        let call = read(&path, &body).unwrap();
        let quote = quote.map(|it| Quote { ask: it.clone(), bid: it });
        let mut wide = narrow.clone();
        for step in &steps {
            step.clone().widen(&mut wide);
        }
        let yes = allowed(&narrow, &call, quote.as_ref());
        prop_assert!(!yes || allowed(&wide, &call, quote.as_ref()), "{wide:?}");
    }

    /// What is allowed is within the limits, by another reading of the same words.
    #[test]
    fn what_is_allowed_is_within_the_limits(limits in orders(), body in order_body(), bid in 1..2_000_u32) {
        let grant = Grant { orders: Some(limits.clone()), ..Grant::of([Scope::OrdersCreate]) };
        let price = Decimal::parse(&bid.to_string()).unwrap();
        let quote = Quote { bid: price.clone(), ask: price };
        let call = read("/v1/order/new", &body).unwrap();
        if !allowed(&grant, &call, Some(&quote)) {
            return Ok(());
        }
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let (symbol, side) = (text("symbol").to_lowercase(), text("side"));
        prop_assert!(limits.symbols.is_none_or(|it| it.contains(&symbol)));
        prop_assert!(limits.sides.is_none_or(|it| it.iter().any(|it| it.as_str() == side)));
        prop_assert!(limits.types.is_none_or(|it| it.iter().any(|it| it.as_str() == text("type"))));
        let number = |name: &str| text(name).parse::<f64>().unwrap_or(f64::INFINITY);
        let (base, quote) = match symbol.as_str() {
            "btcusd" => ("btc", "usd"),
            "ethusd" => ("eth", "usd"),
            "ethbtc" => ("eth", "btc"),
            "btcgusd" => ("btc", "gusd"),
            _ => ("?", "?"),
        };
        let most = |table: &BTreeMap<String, Decimal>, currency: &str| {
            table.get(currency).map(|it| it.to_string().parse::<f64>().unwrap())
        };
        prop_assert!(most(&limits.max_amount, base).is_none_or(|it| number("amount") <= it));
        for table in [&limits.max_notional, &limits.day.max_notional_per_day] {
            if !table.is_empty() {
                let price = match (side.as_str(), text("type").as_str()) {
                    ("buy", "exchange limit" | "exchange stop limit") => number("price"),
                    _ => number("price").max(f64::from(bid)),
                };
                let most = most(table, quote).unwrap_or(0.0);
                prop_assert!(number("amount") * price <= most + 1e-6, "{} {}", price, most);
            }
        }
    }
}
