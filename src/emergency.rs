//! Cancels every order of a key, ahead of everything else that wants it: what `freeze --cancel-all` does.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::call::{ClientId, Outcome, shown};
use crate::diagnose::{Body, Said};
use crate::proxy::Proxy;
use crate::roster::KeyRing;

/// What came of one key's `cancel/all`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cancelled {
    pub(crate) key: String,
    /// The sub-account, under a key for a group of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    pub(crate) ok: bool,
    /// A sentence for a person.
    pub(crate) detail: String,
    /// How many orders were cancelled, if the exchange says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) orders: Option<usize>,
}

/// A key whose orders are cancelled, in one of its accounts.
struct Target {
    ring: Arc<KeyRing>,
    account: Option<String>,
}

impl Proxy {
    /// Cancels every order of the keys that `clients` use, all keys at a time: one that does not answer
    /// holds up no other.
    pub(crate) async fn cancel_all(self: &Arc<Self>, clients: &[ClientId]) -> Vec<Cancelled> {
        let each = self.targets(clients).into_iter().map(|target| {
            let this = Arc::clone(self);
            let told = (target.ring.name().to_string(), target.account.clone());
            let work = async move { this.cancel_everything(&target.ring, target.account).await };
            (told, self.tasks.spawn("cancel all", work))
        });
        let mut cancelled = Vec::new();
        for ((key, account), work) in each.collect::<Vec<_>>() {
            cancelled.push(work.await.unwrap_or_else(|_| {
                let detail = "a fault in the proxy: look at the exchange".to_owned();
                Cancelled { key, account, ok: false, detail, orders: None }
            }));
        }
        cancelled
    }

    /// Every key once; a key for a group once for each account that these clients may name.
    fn targets(&self, clients: &[ClientId]) -> Vec<Target> {
        let roster = self.roster();
        let mut seen = BTreeSet::new();
        let mut targets = Vec::new();
        for client in roster.clients.iter().filter(|it| clients.contains(&it.id)) {
            let ring = &client.key;
            let named = client.grant.accounts.iter().filter(|_| ring.key.credential().is_master());
            let mut accounts: Vec<Option<String>> = named.cloned().map(Some).collect();
            // Without an account of its own such a key cancels nothing but in those.
            if accounts.is_empty() || ring.key.account.is_some() {
                accounts.push(ring.key.account.clone());
            }
            for account in accounts {
                if seen.insert((ring.name().clone(), account.clone())) {
                    targets.push(Target { ring: Arc::clone(ring), account });
                }
            }
        }
        targets
    }

    async fn cancel_everything(
        self: &Arc<Self>,
        ring: &Arc<KeyRing>,
        account: Option<String>,
    ) -> Cancelled {
        let call = || self.provider.cancel_all(account.as_deref());
        let before = ring.key.credential();
        let mut done = self.run_errand(ring, call()).await;
        let refused = done.as_ref().is_ok_and(|it| it.outcome() == Outcome::Rejected);
        if refused && !Arc::ptr_eq(&before, &ring.key.credential()) {
            // Another secret was in the key's file, and is signed with by now.
            done = self.run_errand(ring, call()).await;
        }
        let key = ring.name().to_string();
        match done {
            Ok(received) if received.answer.status.is_success() => {
                let orders = received.whole().and_then(|it| self.provider.n_cancelled(it));
                let detail = orders.map_or_else(
                    || "the exchange has cancelled all of them".to_owned(),
                    |n| format!("the exchange has cancelled {n} orders"),
                );
                Cancelled { key, account, ok: true, detail, orders }
            }
            Ok(received) => {
                let status = received.answer.status.as_u16();
                let said = match &received.answer.body {
                    Body::Json(Said { reason: Some(reason), .. }) => {
                        format!(" {}", shown(reason))
                    }
                    Body::Json(_) | Body::Empty | Body::Page { .. } | Body::Text(_) => {
                        String::new()
                    }
                };
                let detail = format!("the exchange answered {status}{said}: look there");
                Cancelled { key, account, ok: false, detail, orders: None }
            }
            Err(refusal) => {
                let detail = format!("{refusal} ({}): look at the exchange", refusal.outcome());
                Cancelled { key, account, ok: false, detail, orders: None }
            }
        }
    }
}
