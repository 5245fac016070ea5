//! Accounts: balances, addresses, transfers.
//!
//! 1. A group has the sub-accounts that its keys name. Account keys share their account, so an
//!    auditor's key sees what a trader's key has placed.
//! 2. `amount` is what is owned, `available` what no order holds. `available` never exceeds
//!    `amount`, and neither is ever below nought.
//! 3. An account's state can be changed from outside; calls that it forbids are refused.
//! 4. Every account begins with the same plausible wealth, except that `cold` holds coins only.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::clock::UnixMicros;
use crate::simulator::decimal::Amount;
use crate::simulator::key::Role;

const WEALTH: [(&str, i128); 6] = [
    ("BTC", 250),
    ("DOGE", 10_000_000),
    ("ETH", 4_000),
    ("GUSD", 10_000_000),
    ("SOL", 50_000),
    ("USD", 10_000_000),
];

/// How many transfers an account remembers.
const MAX_TRANSFERS: usize = 10_000;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Balance {
    pub(crate) amount: Amount,
    pub(crate) available: Amount,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    #[default]
    Open,
    /// Nothing at all.
    Closed,
    /// It may be looked at, and its orders cancelled.
    Restricted,
    /// The same, until the terms are accepted.
    NoTerms,
    /// No money moves out of it until the terms of custody are accepted.
    NoCustodyTerms,
}

impl AccountState {
    /// The refusal of a call by a key with one of these roles, if the state forbids it.
    pub(crate) fn refusal(self, path: &str, roles: &[Role]) -> Option<&'static str> {
        let ends = path.starts_with("/v1/order/cancel") || path == "/v1/heartbeat";
        let changes = !ends && !roles.is_empty() && !roles.contains(&Role::Auditor);
        match self {
            Self::Open => None,
            Self::Closed => Some("account-closed"),
            Self::Restricted => changes.then_some("account-held"),
            Self::NoTerms => changes.then_some("terms-not-accepted"),
            Self::NoCustodyTerms => (roles == [Role::FundManager]).then_some("terms-custody"),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The display name. The shortname is the key of the map that this is in.
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) state: AccountState,
    pub(crate) created: UnixMicros,
    pub(crate) balances: BTreeMap<String, Balance>,
    pub(crate) addresses: BTreeMap<String, Vec<Value>>,
    pub(crate) approved: BTreeMap<String, Vec<Value>>,
    pub(crate) transfers: Vec<Value>,
}

impl Account {
    pub(crate) fn new(name: &str, kind: &str, created: UnixMicros) -> Self {
        let wealth = WEALTH.iter().filter(|(currency, _)| {
            // Money that bots should not reach is kept in coins.
            name != "cold" || !currency.ends_with("USD")
        });
        let balance = |units: i128| {
            let amount = Amount::units(units);
            Balance { amount, available: amount }
        };
        let balances = wealth.map(|(name, units)| ((*name).to_owned(), balance(*units)));
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            state: AccountState::default(),
            created,
            balances: balances.collect(),
            addresses: BTreeMap::new(),
            approved: BTreeMap::new(),
            transfers: Vec::new(),
        }
    }

    /// Sets an amount aside for an order. False, and nothing done, if there is too little.
    pub(crate) fn hold(&mut self, currency: &str, amount: Amount) -> bool {
        let Some(balance) = self.balances.get_mut(currency) else { return false };
        match balance.available.minus(amount) {
            Some(rest) if rest >= Amount::ZERO => {
                balance.available = rest;
                true
            }
            _ => false,
        }
    }

    /// Ends a hold: what was not spent is available again.
    pub(crate) fn release(&mut self, currency: &str, amount: Amount) {
        let balance = self.balances.entry(currency.to_owned()).or_default();
        balance.available = balance.available.plus(amount).unwrap_or(balance.available);
        balance.available = balance.available.min(balance.amount);
    }

    /// Spends what is held.
    pub(crate) fn spend(&mut self, currency: &str, amount: Amount) {
        let balance = self.balances.entry(currency.to_owned()).or_default();
        balance.amount = balance.amount.minus(amount).unwrap_or(balance.amount);
    }

    pub(crate) fn receive(&mut self, currency: &str, amount: Amount) {
        let balance = self.balances.entry(currency.to_owned()).or_default();
        let grown = balance.amount.plus(amount).zip(balance.available.plus(amount));
        if let Some((amount, available)) = grown {
            *balance = Balance { amount, available };
        }
    }

    pub(crate) fn remember(&mut self, transfer: Value) {
        if self.transfers.len() >= MAX_TRANSFERS {
            self.transfers.remove(0);
        }
        self.transfers.push(transfer);
    }

    /// An address that looks like one of the network's, and is the same in every run.
    pub(crate) fn new_address(
        &mut self,
        network: &str,
        label: Option<&str>,
        now: UnixMicros,
    ) -> Value {
        let known = self.addresses.entry(network.to_owned()).or_default();
        let number = known.len() + 1;
        let address = match network {
            "bitcoin" => format!("bc1qsimulated{number:0>29}"),
            "ethereum" => format!("0x51ac0000000000000000000000000000000{number:05}"),
            "solana" => format!("SimuLated1111111111111111111111111111111{number:04}"),
            other => format!("simulated-{other}-{number}"),
        };
        let mut entry =
            json!({ "address": address, "network": network, "timestamp": now.millis() });
        if let (Some(label), Some(entry)) = (label, entry.as_object_mut()) {
            entry.insert("label".to_owned(), label.into());
        }
        known.push(entry.clone());
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_forbids_what_it_says() {
        let (order, cancel, orders, out) =
            ("/v1/order/new", "/v1/order/cancel/all", "/v1/orders", "/v1/withdraw/btc");
        let trader = [Role::Trader];
        let reader = [Role::Trader, Role::Auditor];
        let refusal = |state: AccountState| {
            [
                state.refusal(order, &trader),
                state.refusal(cancel, &trader),
                state.refusal(orders, &reader),
                state.refusal(out, &[Role::FundManager]),
            ]
        };
        assert_eq!(refusal(AccountState::Open), [None; 4]);
        assert_eq!(refusal(AccountState::Closed), [Some("account-closed"); 4]);
        let held = Some("account-held");
        assert_eq!(refusal(AccountState::Restricted), [held, None, None, held]);
        let terms = Some("terms-not-accepted");
        assert_eq!(refusal(AccountState::NoTerms), [terms, None, None, terms]);
        let custody = Some("terms-custody");
        assert_eq!(refusal(AccountState::NoCustodyTerms), [None, None, None, custody]);
    }

    #[test]
    fn what_is_held_cannot_be_held_again() {
        let mut account = Account::new("primary", "exchange", UnixMicros(0));
        assert!(account.hold("BTC", Amount::units(200)));
        assert!(!account.hold("BTC", Amount::units(51)), "only 50 are left");
        assert!(!account.hold("XYZ", Amount::units(1)), "no such coin");
        account.spend("BTC", Amount::units(200));
        account.release("BTC", Amount::units(1));
        let balance = account.balances["BTC"];
        assert_eq!((balance.amount, balance.available), (Amount::units(50), Amount::units(50)));
    }
}
