//! What clients may spend, and what it costs to know.

use std::future::ready;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Caller, NOW, Permit, Read};
use crate::call::{ClientId, Freeze, KeyName, OrderState, Orders, Outcome, Scope};
use crate::clock::Ulid;
use crate::decimal::Decimal;
use crate::journal::StateDir;
use crate::limit::{self, Admission, Entry, Holder, Ledger, Moment, Written};
use crate::policy::{self, Case, DayLimits, Grant, KeyFacts};

/// So many clients, each of which has an open order.
#[derive(Debug)]
pub struct Budgets {
    budgets: Arc<limit::Budgets>,
    clients: Vec<ClientId>,
    key: KeyName,
    grant: Grant,
    n_orders: AtomicU64,
    _held: Option<StateDir>,
}

impl Budgets {
    /// On a disk that is always ready. Without limits nothing is counted.
    #[must_use]
    pub fn new(n_clients: usize, limited: bool) -> Self {
        let budgets = limit::Budgets::new(Box::new(NoDisk), Vec::new());
        Self::of(budgets, n_clients, limited, None)
    }

    /// On a real one.
    ///
    /// # Panics
    /// If the directory cannot be used.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let held = StateDir::open(path).expect("the bench has a directory of its own");
        let (ledger, kept) = held.budgets().expect("nobody else writes there");
        Self::of(limit::Budgets::new(Box::new(ledger), kept), 1, true, Some(held))
    }

    fn of(
        budgets: Arc<limit::Budgets>,
        n_clients: usize,
        limited: bool,
        held: Option<StateDir>,
    ) -> Self {
        let mut grant = Grant::of([Scope::OrdersCreate]);
        let most = "9".repeat(19);
        let limits = DayLimits {
            max_notional_per_day: Decimal::parse(&most)
                .map(|it| ("usd".to_owned(), it))
                .into_iter()
                .collect(),
            max_orders_per_day: Some(u64::MAX),
            max_open_orders: Some(10),
        };
        if limited {
            grant.orders = Some(policy::Orders { day: limits, ..policy::Orders::default() });
        }
        let clients = (0..n_clients).map(|n| ClientId::new(&format!("bot-{n}"))).collect();
        let (key, n_orders) = (KeyName::new("trading"), AtomicU64::new(0));
        Self { budgets, clients, key, grant, n_orders, _held: held }
    }

    /// A permit for an order, to use up.
    #[must_use]
    pub fn permit(&self, caller: &Caller, read: &Read) -> Option<Permit> {
        let key = KeyFacts::default();
        let case =
            Case { grant: &self.grant, key, who: &caller.0.who, freeze: Freeze::No, quote: None };
        policy::decide(&case, read.0.clone()).ok().map(Permit)
    }

    /// Places an order of the nth client, which stays open.
    pub fn place(&self, n: usize, permit: Permit) -> bool {
        self.answered(n, permit, true)
    }

    /// From the admission of an order of the nth client to its end.
    pub fn life(&self, n: usize, permit: Permit) -> bool {
        self.answered(n, permit, true) && {
            let number = self.n_orders.load(Ordering::Relaxed);
            self.budgets.learn(Some(&self.key), None, &told(number, false), now());
            true
        }
    }

    /// Until an order is reserved durably. Then it is given back.
    ///
    /// # Errors
    /// If it cannot be written.
    ///
    /// # Panics
    /// If there is no room for it.
    pub async fn reserve(&self, permit: Permit) -> io::Result<()> {
        let admission = self.admit(0, permit).expect("there is room for it");
        admission.written().await
    }

    fn answered(&self, n: usize, permit: Permit, live: bool) -> bool {
        let Some(mut admission) = self.admit(n, permit) else { return false };
        admission.sent();
        let number = self.n_orders.fetch_add(1, Ordering::Relaxed) + 1;
        admission.settle(Outcome::Executed, &told(number, live), now());
        true
    }

    fn admit(&self, n: usize, permit: Permit) -> Option<Admission> {
        let (client, key) = (self.clients.get(n)?, Some(&self.key));
        let request_id = Ulid::default();
        let holder = Holder { client, key, account: None, grant: &self.grant, request_id };
        self.budgets.admit(permit.0, &holder, now()).ok()
    }
}

fn now() -> Moment {
    Moment::new(NOW, Duration::from_secs(1))
}

fn told(number: u64, live: bool) -> Orders {
    Orders::Each(vec![OrderState {
        order_id: number.to_string(),
        client_order_id: None,
        symbol: None,
        live,
        executed: Decimal::zero(),
        remaining: None,
    }])
}

#[derive(Debug)]
struct NoDisk;

impl Ledger for NoDisk {
    fn append(&self, _: &Entry) {}

    fn written(&self) -> Written {
        Box::pin(ready(Ok(())))
    }
}
