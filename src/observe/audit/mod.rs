//! What is told of a request: the log line, and the lines of the audit trail. One place names the fields
//! of both; docs/audit.md has them as a table.
//!
//! 1. No header, no body, no query, no payload; of a payload its digest.
//! 2. What is absent is left out.
//! 3. A client's words are escaped, and not long.

use std::time::Duration;

use super::Facts;
use crate::call::{Call, ClientId, Identity, KeyName, OperationName, Order, Outcome};
use crate::clock::UnixMicros;
use crate::inbound::Peer;
use crate::journal::trail;
use crate::policy::OrderShare;

/// What an order or a movement of money is about, as the client wrote it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Details {
    pub(crate) account: Option<String>,
    pub(crate) symbol: Option<String>,
    pub(crate) side: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) amount: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) time_in_force: Option<String>,
    /// Of an order the quote currency, of a withdrawal its own.
    pub(crate) currency: Option<String>,
    pub(crate) notional: Option<String>,
    pub(crate) network: Option<String>,
    /// Where money goes: an address, the id of a bank, a sub-account.
    pub(crate) address: Option<String>,
    pub(crate) memo: Option<String>,
}

impl Details {
    /// `None`: the call names none of them, as most reads do.
    pub(super) fn of(call: &Call) -> Option<Box<Self>> {
        let Call { account, order, transfer, withdrawal, path_symbol, .. } = call;
        let (account, symbol) = (account.clone(), path_symbol.clone());
        let mut details = Self { account, symbol, ..Self::default() };
        if let Some(order) = order {
            let Order { symbol, side, kind, amount, price, options, .. } = &**order;
            let same = [symbol, side, kind, amount, price].map(Clone::clone);
            [details.symbol, details.side, details.kind, details.amount, details.price] = same;
            details.time_in_force = (!options.is_empty()).then(|| options.join(","));
        }
        if let Some(transfer) = transfer {
            details.currency.clone_from(&transfer.currency);
            details.amount.clone_from(&transfer.amount);
            details.address.clone_from(&transfer.target);
        }
        if let Some(withdrawal) = withdrawal {
            details.currency = Some(withdrawal.currency.clone());
            details.network.clone_from(&withdrawal.network);
            let to = withdrawal.address.as_ref().or(withdrawal.bank.as_ref());
            details.address = to.cloned();
            details.memo.clone_from(&withdrawal.memo);
            details.amount.clone_from(&withdrawal.amount);
        }
        (details != Self::default()).then(|| Box::new(details))
    }

    /// How long its texts are together.
    pub(super) fn weight(&self) -> usize {
        let Self { account, symbol, side, kind, amount, price, .. } = self;
        let Self { time_in_force, currency, notional, network, address, memo, .. } = self;
        let money = [time_in_force, currency, notional, network, address, memo];
        let texts = [account, symbol, side, kind, amount, price].into_iter().chain(money);
        texts.flatten().map(String::len).sum()
    }

    /// Takes in what an order was valued at.
    pub(super) fn worth(&mut self, share: &OrderShare) {
        if share.quote.is_empty() {
            return;
        }
        self.currency = Some(share.quote.clone());
        self.notional = Some(share.unit_price.times(&share.amount).to_string());
    }
}

/// Which of a request's lines it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// Before the first byte of a call that changes something.
    Intent,
    /// When it is over.
    Request,
}

/// The log line.
pub(super) fn log(facts: &Facts) {
    let peer = facts.peer.as_ref().map(Peer::to_string);
    let nonce = facts.nonce.map(|it| it.to_string());
    tracing::info!(
        request_id = facts.request_id.as_str(),
        client = facts.client.as_ref().map(ClientId::as_str),
        identity = facts.identity.map(Identity::as_str),
        peer,
        method = &*facts.method,
        operation = facts.operation.as_ref().map(OperationName::as_str),
        scope = facts.scope,
        key = facts.key.as_ref().map(KeyName::as_str),
        status = facts.status,
        outcome = facts.outcome.map(Outcome::as_str),
        decided_by = facts.decided_by,
        cause = facts.cause,
        nonce,
        n_resigns = facts.n_resigns,
        wait_ms = facts.waited.map(millis),
        upstream_ms = millis(facts.upstream),
        total_ms = millis(facts.total),
        decision = facts.decision(),
        rule = facts.rule.as_deref(),
        would_refuse = facts.would_refuse,
        order_id = facts.order_id.as_deref(),
        client_order_id = facts.client_order_id.as_deref(),
        "request"
    );
}

/// A line of the trail, as it goes between number and hash.
pub(super) fn line(facts: &Facts, event: Event, now: UnixMicros) -> String {
    // One allocation: the usual line is some 500 bytes.
    let mut told = String::with_capacity(768);
    let over = event == Event::Request;
    trail::begin(&mut told, now, if over { "request" } else { "intent" });
    let mut line = Fields(&mut told);
    line.text("request_id", Some(facts.request_id.as_str()));
    line.text("client", facts.client.as_ref().map(ClientId::as_str));
    line.text("identity", facts.identity.map(Identity::as_str));
    line.text("peer", facts.peer.as_ref().map(Peer::to_string).as_deref());
    line.text("method", Some(&*facts.method));
    line.text("operation", facts.operation.as_ref().map(OperationName::as_str));
    line.text("scope", facts.scope);
    line.text("key", facts.key.as_ref().map(KeyName::as_str));
    if over {
        line.number("status", facts.status.into());
        line.text("outcome", facts.outcome.map(Outcome::as_str));
        line.text("decided_by", facts.decided_by);
        line.text("cause", facts.cause);
        line.text("nonce", facts.nonce.map(|it| it.to_string()).as_deref());
        line.number("n_resigns", facts.n_resigns.into());
        if let Some(waited) = facts.waited {
            line.number("wait_ms", millis(waited));
        }
        line.number("upstream_ms", millis(facts.upstream));
        line.number("total_ms", millis(facts.total));
    }
    line.text("decision", facts.decision());
    line.text("rule", facts.rule.as_deref());
    line.text("policy", Some(&*facts.policy).filter(|it| !it.is_empty()));
    line.text("payload_sha256", facts.payload_sha256.as_deref());
    line.text("would_refuse", facts.would_refuse);
    line.text("order_id", facts.order_id.as_deref());
    line.text("client_order_id", facts.client_order_id.as_deref());
    if let Some(details) = &facts.details {
        line.details(details);
    }
    told
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn name(&mut self, name: &str) {
        self.0.push_str(r#",""#);
        self.0.push_str(name);
        self.0.push_str(r#"":"#);
    }

    fn text(&mut self, name: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        self.name(name);
        trail::string(self.0, text);
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.0.push_str(itoa::Buffer::new().format(number));
    }

    fn details(&mut self, details: &Details) {
        let Details { account, symbol, side, kind, amount, price, .. } = details;
        let Details { time_in_force, currency, notional, network, address, memo, .. } = details;
        for (name, text) in [
            ("account", account),
            ("symbol", symbol),
            ("side", side),
            ("type", kind),
            ("amount", amount),
            ("price", price),
            ("time_in_force", time_in_force),
            ("currency", currency),
            ("notional", notional),
            ("network", network),
            ("address", address),
            ("memo", memo),
        ] {
            self.text(name, text.as_deref());
        }
    }
}

#[cfg(test)]
mod tests;
