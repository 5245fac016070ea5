//! Orders and trades.
//!
//! 1. Every symbol has a fixed bid and a fixed ask of a fixed size; orders do not move them, and
//!    bots' orders do not meet each other. What crosses is filled at once at the bid or the ask,
//!    up to the size; what is left rests for ever.
//! 2. `maker-or-cancel`, `immediate-or-cancel` and `fill-or-kill` end an order at birth with the
//!    exchange's own reason; the answer is still a 200.
//! 3. A buy holds its cost and fee in the quote currency, a sell its amount of the base currency.
//!    The perpetual is traded as if it were spot.
//! 4. A `client_order_id` may come twice: the real REST interface promises nothing else.
//! 5. Order ids have eighteen digits, beyond what a float can hold.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::VecDeque;

use serde_json::Value;
use serde_json::json;

use crate::clock::UnixMicros;
use crate::simulator::account::Account;
use crate::simulator::decimal::Amount;
use crate::simulator::market::Symbol;

/// The fee of whoever takes, in hundredths of a percent.
pub(crate) const TAKER_FEE: i128 = 40;

/// How many orders that have ended are remembered, and how many trades.
const MAX_ENDED: usize = 100_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Execution {
    Rest,
    MakerOrCancel,
    ImmediateOrCancel,
    FillOrKill,
}

impl Execution {
    pub(crate) const NAMED: [(&str, Self); 3] = [
        ("maker-or-cancel", Self::MakerOrCancel),
        ("immediate-or-cancel", Self::ImmediateOrCancel),
        ("fill-or-kill", Self::FillOrKill),
    ];

    fn name(self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, it)| *it == self).map(|(name, _)| *name)
    }
}

/// What is wanted; every field has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) client_order_id: Option<String>,
    pub(crate) symbol: &'static Symbol,
    pub(crate) side: Side,
    pub(crate) amount: Amount,
    pub(crate) price: Amount,
    /// Makes it a stop-limit order, which rests: the market here never moves.
    pub(crate) stop_price: Option<Amount>,
    pub(crate) execution: Execution,
}

impl Wish {
    /// What the order holds for so much of its amount: the currency, and how much of it.
    fn cost(&self, amount: Amount) -> Option<(&'static str, Amount)> {
        match self.side {
            Side::Sell => Some((self.symbol.base, amount)),
            Side::Buy => {
                let cost = self.price.times(amount)?;
                Some((self.symbol.quote, cost.plus(cost.basis_points(TAKER_FEE)?)?))
            }
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Life {
    Live,
    Filled,
    Cancelled(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) wish: Wish,
    placed: UnixMicros,
    executed: Amount,
    spent: Amount,
    life: Life,
}

impl Order {
    pub(crate) fn json(&self) -> Value {
        let Wish { client_order_id, symbol, side, amount, price, stop_price, execution, .. } =
            &self.wish;
        let average = self.spent.divided_by(self.executed).unwrap_or_default();
        let remaining = amount.minus(self.executed).unwrap_or_default();
        let mut json = json!({
            "order_id": self.id.to_string(),
            "id": self.id.to_string(),
            "symbol": symbol.id,
            "exchange": "gemini",
            "avg_execution_price": average.price(),
            "side": match side { Side::Buy => "buy", Side::Sell => "sell" },
            "type": if stop_price.is_some() { "stop-limit" } else { "exchange limit" },
            "timestamp": self.placed.secs().to_string(),
            "timestampms": self.placed.millis(),
            "is_live": self.life == Life::Live,
            "is_cancelled": matches!(self.life, Life::Cancelled(_)),
            "is_hidden": false,
            "was_forced": false,
            "executed_amount": self.executed.to_string(),
            "options": Vec::from_iter(execution.name()),
            "price": price.price(),
            "original_amount": amount.to_string(),
            "remaining_amount": remaining.to_string(),
        });
        if let Some(json) = json.as_object_mut() {
            let id = client_order_id.as_ref().map(|it| ("client_order_id", it.clone()));
            let stop = stop_price.map(|it| ("stop_price", it.price()));
            let reason = match self.life {
                Life::Cancelled(reason) => Some(("reason", reason.to_owned())),
                Life::Live | Life::Filled => None,
            };
            let more = [id, stop, reason].into_iter().flatten();
            json.extend(more.map(|(name, value)| (name.to_owned(), Value::from(value))));
        }
        json
    }

    fn rest(&self) -> Amount {
        self.wish.amount.minus(self.executed).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Trade {
    pub(crate) id: u64,
    pub(crate) at: UnixMicros,
    order: u64,
    wish: Wish,
    price: Amount,
    amount: Amount,
    fee: Amount,
}

impl Trade {
    pub(crate) fn account(&self) -> &str {
        &self.wish.account
    }

    pub(crate) fn symbol(&self) -> &'static Symbol {
        self.wish.symbol
    }

    pub(crate) fn order(&self) -> u64 {
        self.order
    }

    pub(crate) fn json(&self) -> Value {
        let mut json = json!({
            "price": self.price.price(),
            "amount": self.amount.to_string(),
            "timestamp": self.at.secs(),
            "timestampms": self.at.millis(),
            "type": match self.wish.side { Side::Buy => "Buy", Side::Sell => "Sell" },
            "aggressor": true,
            "fee_currency": self.wish.symbol.quote,
            "fee_amount": self.fee.to_string(),
            "tid": self.id,
            "order_id": self.order.to_string(),
            "exchange": "gemini",
            "is_auction_fill": false,
            "is_clearing_fill": false,
            "symbol": self.wish.symbol.id.to_uppercase(),
        });
        if let (Some(id), Some(json)) = (&self.wish.client_order_id, json.as_object_mut()) {
            json.insert("client_order_id".to_owned(), id.as_str().into());
        }
        json
    }
}

/// The account has too little for the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooPoor;

/// All orders of all accounts.
#[derive(Debug)]
pub(crate) struct Orders {
    orders: BTreeMap<u64, Order>,
    // Ids of `orders` that are `Life::Live`; all others are in `ended`, oldest first.
    live: BTreeSet<u64>,
    ended: VecDeque<u64>,
    by_client_id: HashMap<String, Vec<u64>>,
    trades: VecDeque<Trade>,
    next: u64,
}

impl Orders {
    pub(crate) fn new() -> Self {
        Self {
            orders: BTreeMap::new(),
            live: BTreeSet::new(),
            ended: VecDeque::new(),
            by_client_id: HashMap::new(),
            trades: VecDeque::new(),
            next: 144_115_188_075_855_873,
        }
    }

    /// Takes an order, fills what crosses, and lets the rest live or die.
    pub(crate) fn place(
        &mut self,
        wish: Wish,
        account: &mut Account,
        now: UnixMicros,
    ) -> Result<&Order, TooPoor> {
        let (currency, cost) = wish.cost(wish.amount).ok_or(TooPoor)?;
        if !account.hold(currency, cost) {
            return Err(TooPoor);
        }
        let id = self.take_id();
        let mut order = Order {
            id,
            wish,
            placed: now,
            executed: Amount::ZERO,
            spent: Amount::ZERO,
            life: Life::Live,
        };
        let crossing = order.wish.symbol.crossing(order.wish.side, order.wish.price);
        let crossing = crossing.filter(|_| order.wish.stop_price.is_none());
        let fill = crossing.map_or(Amount::ZERO, |(_, size)| size.min(order.wish.amount));
        match (order.wish.execution, crossing) {
            (Execution::MakerOrCancel, Some(_)) => {
                order.life = Life::Cancelled("MakerOrCancelWouldTake");
            }
            (Execution::FillOrKill, _) if fill < order.wish.amount => {
                order.life = Life::Cancelled("FillOrKillWouldNotFill");
            }
            (_, Some((price, _))) => self.fill(&mut order, account, (price, fill), now),
            (_, None) => {}
        }
        if order.wish.execution == Execution::ImmediateOrCancel && order.life == Life::Live {
            order.life = Life::Cancelled("ImmediateOrCancelWouldPost");
        }
        Ok(self.file(order, account))
    }

    /// Cancels an order of an account. What has ended already stays as it is.
    pub(crate) fn cancel(&mut self, id: u64, account: &mut Account) {
        if !self.live.remove(&id) {
            return;
        }
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.life = Life::Cancelled("Requested");
        if let Some((currency, held)) = order.wish.cost(order.rest()) {
            account.release(currency, held);
        }
        self.end(id);
    }

    pub(crate) fn by_id(&self, id: u64, account: &str) -> Option<&Order> {
        self.orders.get(&id).filter(|it| it.wish.account == account)
    }

    pub(crate) fn by_client_id(&self, client_id: &str, account: &str) -> Vec<&Order> {
        let ids = self.by_client_id.get(client_id).into_iter().flatten();
        ids.filter_map(|id| self.by_id(*id, account)).collect()
    }

    pub(crate) fn live(&self, account: &str) -> impl Iterator<Item = &Order> {
        self.live.iter().filter_map(move |id| self.by_id(*id, account))
    }

    /// Newest first.
    pub(crate) fn ended(&self, account: &str) -> impl Iterator<Item = &Order> {
        self.ended.iter().rev().filter_map(move |id| self.by_id(*id, account))
    }

    /// Newest first.
    pub(crate) fn trades(&self) -> impl Iterator<Item = &Trade> {
        self.trades.iter().rev()
    }

    fn take_id(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn fill(
        &mut self,
        order: &mut Order,
        account: &mut Account,
        (price, amount): (Amount, Amount),
        now: UnixMicros,
    ) {
        let Symbol { base, quote, .. } = *order.wish.symbol;
        let notional = price.times(amount).unwrap_or_default();
        let fee = notional.basis_points(TAKER_FEE).unwrap_or_default();
        match order.wish.side {
            Side::Buy => {
                let paid = notional.plus(fee).unwrap_or(notional);
                account.spend(quote, paid);
                account.receive(base, amount);
                // It was held at the order's price, and is paid at the market's.
                let held = order.wish.cost(amount).and_then(|(_, held)| held.minus(paid));
                account.release(quote, held.unwrap_or_default());
            }
            Side::Sell => {
                account.spend(base, amount);
                account.receive(quote, notional.minus(fee).unwrap_or(notional));
            }
        }
        order.executed = amount;
        order.spent = notional;
        if amount == order.wish.amount {
            order.life = Life::Filled;
        }
        if self.trades.len() >= MAX_ENDED {
            self.trades.pop_front();
        }
        let (id, wish) = (self.take_id(), order.wish.clone());
        self.trades.push_back(Trade { id, at: now, order: order.id, wish, price, amount, fee });
    }

    fn file(&mut self, order: Order, account: &mut Account) -> &Order {
        let id = order.id;
        if let Some(client_id) = &order.wish.client_order_id {
            self.by_client_id.entry(client_id.clone()).or_default().push(id);
        }
        if let Life::Cancelled(_) = order.life
            && let Some((currency, held)) = order.wish.cost(order.rest())
        {
            account.release(currency, held);
        }
        if order.life == Life::Live {
            self.live.insert(id);
        } else {
            self.end(id);
        }
        self.orders.entry(id).or_insert(order)
    }

    fn end(&mut self, id: u64) {
        self.ended.push_back(id);
        if self.ended.len() <= MAX_ENDED {
            return;
        }
        let oldest = self.ended.pop_front().and_then(|it| self.orders.remove(&it));
        let Some((oldest, client_id)) =
            oldest.and_then(|it| Some((it.id, it.wish.client_order_id?)))
        else {
            return;
        };
        if let Some(ids) = self.by_client_id.get_mut(&client_id) {
            ids.retain(|it| *it != oldest);
            if ids.is_empty() {
                self.by_client_id.remove(&client_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::market::symbol;

    fn wish(side: Side, amount: &str, price: &str, execution: Execution) -> Wish {
        Wish {
            account: "primary".to_owned(),
            key: "account-a".to_owned(),
            client_order_id: Some("one".to_owned()),
            symbol: symbol("BTCUSD").expect("a symbol"),
            side,
            amount: Amount::parse(amount).expect("an amount"),
            price: Amount::parse(price).expect("a price"),
            stop_price: None,
            execution,
        }
    }

    #[track_caller]
    fn check(wish: Wish, executed: &str, reason: Option<&str>, live: bool) -> Account {
        let mut account = Account::new("primary", "exchange", UnixMicros(0));
        let mut orders = Orders::new();
        let order = orders.place(wish, &mut account, UnixMicros(0)).expect("rich enough").json();
        assert_eq!(order["executed_amount"], executed);
        assert_eq!(order["reason"].as_str(), reason);
        assert_eq!(order["is_live"], live);
        if let Some(id) = order["id"].as_str().and_then(|it| it.parse().ok()) {
            orders.cancel(id, &mut account);
        }
        account
    }

    #[test]
    fn what_crosses_is_filled_and_the_rest_lives_or_dies() {
        use Execution::FillOrKill;
        use Execution::ImmediateOrCancel;
        use Execution::MakerOrCancel;
        use Execution::Rest;

        check(wish(Side::Buy, "1", "60000", Rest), "0", None, true);
        check(wish(Side::Buy, "1", "66000", Rest), "1", None, false);
        check(wish(Side::Sell, "3", "60000", Rest), "2.5", None, true);
        let late = Some("ImmediateOrCancelWouldPost");
        check(wish(Side::Buy, "1", "60000", ImmediateOrCancel), "0", late, false);
        check(wish(Side::Buy, "3", "66000", ImmediateOrCancel), "2.5", late, false);
        let short = Some("FillOrKillWouldNotFill");
        check(wish(Side::Sell, "3", "60000", FillOrKill), "0", short, false);
        let taking = Some("MakerOrCancelWouldTake");
        check(wish(Side::Sell, "1", "60000", MakerOrCancel), "0", taking, false);
        check(wish(Side::Sell, "1", "70000", MakerOrCancel), "0", None, true);
    }

    #[test]
    fn after_a_fill_or_a_cancel_nothing_is_held() {
        let account = check(wish(Side::Buy, "3", "66000", Execution::Rest), "2.5", None, true);
        let usd = account.balances["USD"];
        assert_eq!(usd.amount, usd.available);
        assert_eq!(usd.amount.to_string(), "9836849.9749", "2.5 at 65000.01 and 0.4 %");
        assert_eq!(account.balances["BTC"].available.to_string(), "252.5");
    }

    #[test]
    fn the_poor_place_nothing() {
        let mut account = Account::new("primary", "exchange", UnixMicros(0));
        let wish = wish(Side::Sell, "1000", "70000", Execution::Rest);
        let mut orders = Orders::new();
        assert!(orders.place(wish, &mut account, UnixMicros(0)).is_err());
        assert_eq!(orders.live("primary").count(), 0);
    }
}
