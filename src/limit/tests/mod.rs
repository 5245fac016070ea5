//! Each cap: a call that no longer fits, and the last that does. What gives something back, and what
//! does not.

mod orders;
mod random;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use super::budgets::Ticket;
use super::*;
use crate::call::{
    Effect, Freeze, Identified, Identity, KeyName, Order, OrderState, Scope, example,
};
use crate::clock::Ulid;
use crate::policy::{
    self, Case, DayLimits, Destination, Grant, KeyFacts, Mode, Orders as Limits, Quote, Rate,
};

/// A ledger that is only memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Paper(pub(super) Arc<Mutex<Vec<Entry>>>);

impl Paper {
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }
}

impl Ledger for Paper {
    fn append(&self, entry: &Entry) {
        self.0.lock().unwrap().push(entry.clone());
    }

    fn written(&self) -> Written {
        Box::pin(ready(Ok(())))
    }
}

pub(super) fn of(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

pub(super) fn at(day: u64, seconds: u64) -> Moment {
    Moment { day, monotonic: Duration::from_secs(seconds) }
}

pub(super) const NOW: Moment = Moment { day: 20_000, monotonic: Duration::from_secs(1_000) };

/// A client's desk: one client, one key, and what its grant says.
pub(super) struct Desk {
    pub(super) budgets: Arc<Budgets>,
    pub(super) paper: Paper,
    pub(super) grant: Grant,
    client: ClientId,
    key: KeyName,
}

pub(super) fn day(notional: Option<&str>, orders: Option<u64>, open: Option<u64>) -> DayLimits {
    let notional = notional.map(|it| ("usd".to_owned(), of(it)));
    DayLimits {
        max_notional_per_day: notional.into_iter().collect::<BTreeMap<_, _>>(),
        max_orders_per_day: orders,
        max_open_orders: open,
    }
}

impl Desk {
    pub(super) fn new(day: DayLimits) -> Self {
        let mut grant = Grant::of([Scope::OrdersCreate, Scope::CryptoSend, Scope::OrdersRead]);
        grant.orders = Some(Limits { day, ..Limits::default() });
        let paper = Paper::default();
        let budgets = Budgets::new(Box::new(paper.clone()), Vec::new());
        let (client, key) = (ClientId::new("bot"), KeyName::new("trading"));
        Self { budgets, paper, grant, client, key }
    }

    /// The same after a restart.
    pub(super) fn restarted(self) -> Self {
        let budgets = Budgets::new(Box::new(self.paper.clone()), self.paper.entries());
        Self { budgets, ..self }
    }

    pub(super) fn admit(&self, call: Call, now: Moment) -> Result<Admission, Spent> {
        let who = Identified::proven(self.client.clone(), Identity::Token);
        let key = KeyFacts { shared: false, master: false, account: None };
        // So low that the limit price is what an order is worth.
        let least = || of("0.000000000000000001");
        let quote = Quote { bid: least(), ask: least() };
        let (grant, quote) = (&self.grant, Some(&quote));
        let case = Case { grant, key, who: &who, freeze: Freeze::No, quote };
        let permit = policy::decide(&case, call).unwrap();
        let holder = Holder {
            client: &self.client,
            key: Some(&self.key),
            account: None,
            grant: &self.grant,
            request_id: Ulid::default(),
        };
        self.budgets.admit(permit, &holder, now)
    }

    pub(super) fn order(&self, amount: &str, price: &str) -> Result<Admission, Spent> {
        self.admit(order("btcusd", amount, price, None), NOW)
    }

    /// An order on its way, whose client calls it `name`.
    pub(super) fn sent(&self, amount: &str, price: &str, name: Option<&str>) -> Admission {
        let mut admission = self.admit(order("btcusd", amount, price, name), NOW).unwrap();
        admission.sent();
        admission
    }

    pub(super) fn learn(&self, orders: &Orders, asked: Moment) {
        self.budgets.learn(Some(&self.key), None, orders, asked);
    }

    /// How much more fits today, in whole dollars.
    #[track_caller]
    pub(super) fn check_room(&self, expected: u64) {
        self.check_room_at(NOW, expected);
    }

    #[track_caller]
    pub(super) fn check_room_at(&self, now: Moment, expected: u64) {
        let admit = |amount: u64| self.admit(order("btcusd", &amount.to_string(), "1", None), now);
        if expected > 0 {
            assert!(admit(expected).is_ok(), "{expected} do not fit");
            // Beside one more. More than the cap at once is refused before it comes here.
            let one = admit(1).unwrap();
            assert!(admit(expected).is_err(), "{} fit", expected + 1);
            drop(one);
        } else {
            assert!(admit(1).is_err(), "1 fits");
        }
    }
}

pub(super) fn order(symbol: &str, amount: &str, price: &str, name: Option<&str>) -> Call {
    let mut call = example("create_order", Some(Scope::OrdersCreate), Effect::Trade);
    let operation = Arc::make_mut(&mut call.operation);
    operation.priority = crate::call::Priority::Order;
    call.order = Some(Box::new(Order {
        symbol: Some(symbol.to_owned()),
        side: Some("sell".to_owned()),
        kind: Some("exchange limit".to_owned()),
        amount: Some(amount.to_owned()),
        price: Some(price.to_owned()),
        client_order_id: name.map(str::to_owned),
        ..Order::default()
    }));
    call
}

pub(super) fn state(id: &str, live: bool, executed: &str) -> OrderState {
    OrderState {
        order_id: id.to_owned(),
        client_order_id: None,
        symbol: None,
        live,
        executed: of(executed),
        remaining: None,
    }
}

pub(super) fn each(id: &str, live: bool, executed: &str) -> Orders {
    Orders::Each(vec![state(id, live, executed)])
}

#[track_caller]
fn check(said: Result<Admission, Spent>, expected: &str) {
    let said = said.map_or_else(|it| format!("{}: {it}", it.rule()), |_| "fits".to_owned());
    assert!(said.contains(expected), "{said:?} does not say {expected:?}");
}

#[test]
fn the_value_of_a_day_counts_buys_and_sells_to_the_last_digit() {
    let desk = Desk::new(day(Some("500"), None, None));
    let held = desk.order("0.0076", "65000").unwrap();
    check(desk.order("0.006", "1000.000000000000000001"), "orders.max_notional_per_day.usd");
    check(desk.order("0.006", "1000"), "fits");
    let rest = desk.order("6", "1").unwrap();
    check(desk.order("0.000000000000000001", "0.000000000000000001"), "max_notional_per_day.usd");
    drop(rest);
    check(desk.order("6", "1"), "fits");
    drop(held);
}

#[test]
fn the_number_of_orders_of_a_day_and_of_open_ones() {
    let desk = Desk::new(day(None, Some(2), None));
    let held = (desk.order("1", "1").unwrap(), desk.order("1", "1").unwrap());
    check(desk.order("1", "1"), "orders.max_orders_per_day: client `bot` has placed its 2 orders");
    drop(held.0);
    check(desk.order("1", "1"), "fits");

    let desk = Desk::new(day(None, None, Some(1)));
    let mut first = desk.sent("1", "1", None);
    check(desk.order("1", "1"), "orders.max_open_orders");
    first.settle(Outcome::Executed, &each("7", false, "1"), NOW);
    check(desk.order("1", "1"), "fits");
}

/// Through a grant that changes between two calls.
#[test]
fn limits_change_and_counts_stay() {
    let mut desk = Desk::new(day(Some("100"), None, None));
    let mut spent = desk.sent("60", "1", None);
    spent.settle(Outcome::Unknown, &Orders::Nothing, NOW);
    let set = |desk: &mut Desk, day| {
        desk.grant.orders = Some(Limits { day, ..Limits::default() });
    };
    desk.check_room(40);
    set(&mut desk, day(Some("50"), Some(9), None));
    check(desk.order("1", "1"), "its 50 usd");
    set(&mut desk, day(Some("70"), Some(9), None));
    desk.check_room(10);
    set(&mut desk, day(None, Some(1), None));
    check(desk.order("1", "1"), "its 1 orders");
}

fn withdrawing(amount: &str, address: &str) -> Call {
    let mut call = example("withdraw_crypto", Some(Scope::CryptoSend), Effect::CryptoWithdrawal);
    call.withdrawal = Some(crate::call::Withdrawal {
        currency: "btc".to_owned(),
        address: Some(address.to_owned()),
        amount: Some(amount.to_owned()),
        ..crate::call::Withdrawal::default()
    });
    call
}

fn vault(address: &str) -> Destination {
    Destination {
        currency: "btc".to_owned(),
        network: None,
        address: address.to_owned(),
        memo: None,
        max_per_day: Some(of("0.5")),
    }
}

#[test]
fn withdrawals_count_by_destination_and_are_never_only_observed() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let mut desk = Desk::new(DayLimits::default());
        desk.grant.mode = mode;
        desk.grant.withdrawals = vec![vault("one"), vault("two")];
        for outcome in [Outcome::Rejected, Outcome::NotSent, Outcome::Executed] {
            let mut sent = desk.admit(withdrawing("0.4", "one"), NOW).unwrap();
            sent.sent();
            sent.settle(outcome, &Orders::Nothing, NOW);
        }
        check(desk.admit(withdrawing("0.2", "one"), NOW), "withdrawals.max_per_day");
        check(desk.admit(withdrawing("0.1", "one"), NOW), "fits");
        check(desk.admit(withdrawing("0.5", "two"), NOW), "fits");
        let desk = desk.restarted();
        check(desk.admit(withdrawing("0.2", "one"), NOW), "withdrawals.max_per_day");
        check(desk.admit(withdrawing("0.5", "one"), at(NOW.day + 1, 0)), "fits");
        // One that may have been sent is spent.
        let mut lost = desk.admit(withdrawing("0.5", "two"), at(NOW.day + 1, 0)).unwrap();
        lost.sent();
        drop(lost);
        check(desk.admit(withdrawing("0.1", "two"), at(NOW.day + 1, 0)), "withdrawals.max_per_day");
    }
}

#[test]
fn an_observed_client_goes_on_and_what_it_places_counts() {
    let mut desk = Desk::new(day(Some("100"), None, None));
    desk.grant.mode = Mode::Observe;
    let first = desk.order("80", "1").unwrap();
    assert_eq!(first.would_refuse(), None);
    let second = desk.order("30", "1").unwrap();
    let told = second.would_refuse().unwrap();
    assert_eq!(told.rule().to_string(), "orders.max_notional_per_day.usd");
    desk.grant.mode = Mode::Enforce;
    drop(first);
    desk.check_room(70);
}

#[test]
fn a_rate_refuses_until_the_moment_it_names() {
    let mut desk = Desk::new(DayLimits::default());
    desk.grant.rate = Some(Rate { count: 60, per: Duration::from_secs(60), burst: Some(2) });
    let read = || example("balances", Some(Scope::OrdersRead), Effect::Read);
    for expected in ["fits", "fits", "rate: client `bot` calls more often"] {
        check(desk.admit(read(), NOW), expected);
    }
    let Err(Spent::Rate { wait, .. }) = desk.admit(read(), NOW) else { panic!("it is spent") };
    let later = Moment { monotonic: NOW.monotonic + wait, ..NOW };
    check(desk.admit(read(), later), "fits");
    desk.grant.mode = Mode::Observe;
    assert!(desk.admit(read(), later).unwrap().would_refuse().is_some());
}

#[tokio::test]
async fn without_limits_nothing_is_counted() {
    let mut desk = Desk::new(DayLimits::default());
    for orders in [Some(Limits::default()), None] {
        desk.grant.orders = orders;
        let mut admission = desk.order("1000", "1000").unwrap();
        admission.written().await.unwrap();
        admission.sent();
        admission.settle(Outcome::Executed, &each("1", true, "0"), NOW);
    }
    assert_eq!(desk.paper.entries(), []);
}

/// Real threads, all at once.
#[test]
fn of_a_hundred_orders_at_once_exactly_the_cap_passes() {
    for (limits, expected) in [
        (day(Some("37"), None, None), 37),
        (day(None, Some(13), None), 13),
        (day(None, None, Some(5)), 5),
    ] {
        let desk = Desk::new(limits);
        let begin = std::sync::Barrier::new(100);
        let passed: Vec<Admission> = thread::scope(|scope| {
            let asked: Vec<_> = (0..100)
                .map(|_| {
                    scope.spawn(|| {
                        begin.wait();
                        desk.order("1", "1")
                    })
                })
                .collect();
            asked.into_iter().filter_map(|it| it.join().unwrap().ok()).collect()
        });
        assert_eq!(passed.len(), expected);
        drop(passed);
        assert!(desk.order("1", "1").is_ok(), "all was given back");
    }
}

#[test]
fn a_moment_knows_its_day() {
    for (seconds, day) in [(0, 0), (86_399, 0), (86_400, 1), (1_795_219_200, 20_778)] {
        assert_eq!(Moment::new(UnixMicros::from_secs(seconds), Duration::ZERO).day, day);
    }
}
