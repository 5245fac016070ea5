//! Decides whether a client may make a call. Knows no HTTP, keeps no state.
//!
//! 1. What the release does not offer, nobody may.
//! 2. The operation's scope must be held, or the operation be named.
//! 3. A withdrawal needs an entry with its currency, network, address and memo, whatever the scopes
//!    say; who presents no credential moves no money at all.
//! 4. A sub-account must be the key's own or be named in `accounts`.
//! 5. Who is frozen takes no new risk; cancels, heartbeats and reads go on, unless everything is frozen.
//! 6. What reaches every order of a key needs the key alone, or `cancel_all = "shared"`.

mod grant;

use crate::call::{
    Call, ClientId, Effect, Freeze, Identified, Identity, OperationName, Priority, Scope,
    Withdrawal, shown,
};

pub(crate) use self::grant::{Bundle, CancelAll, Destination, Grant};

/// Proof that this call was allowed; nothing else can make one. What is signed later is the call in
/// here.
#[derive(Debug)]
pub(crate) struct Permit {
    call: Call,
}

impl Permit {
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }
}

/// What is true of the key that the call would use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyFacts<'a> {
    /// Whether other clients use it too.
    pub(crate) shared: bool,
    /// Whether it speaks for a group of accounts.
    pub(crate) master: bool,
    /// The sub-account that is used when none is named.
    pub(crate) account: Option<&'a str>,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("{operation} is not offered through this proxy")]
    NotOffered { operation: OperationName },
    #[error("client `{client}` does not hold `{scope}`, which {operation} needs")]
    Scope { client: ClientId, operation: OperationName, scope: Scope },
    #[error("client `{client}` may not name the account `{}`", shown(account))]
    Account { client: ClientId, account: String },
    #[error("client `{client}` may not withdraw there: {why}")]
    Withdrawal { client: ClientId, why: String },
    #[error("client `{client}` presents no credential, and such a client transfers nothing")]
    Transfer { client: ClientId },
    #[error(
        "{operation} would cancel orders of other clients, which use the same key as `{client}`"
    )]
    CancelAll { client: ClientId, operation: OperationName },
    #[error("client `{client}` is frozen{}", if *everything { ", reads and cancels included" } else { "" })]
    Frozen { client: ClientId, everything: bool },
}

/// Allows or denies `call` to a client that holds `grant`.
pub(crate) fn decide(
    grant: &Grant,
    key: KeyFacts<'_>,
    who: &Identified,
    call: Call,
) -> Result<Permit, Denial> {
    let client = || who.client().clone();
    let operation = || call.operation.name.clone();

    let Some(scope) = call.scope else {
        return Err(Denial::NotOffered { operation: operation() });
    };
    if !grant.scopes.contains(&scope) && !grant.operations.contains(call.operation.name.as_str()) {
        return Err(Denial::Scope { client: client(), operation: operation(), scope });
    }
    let foreign = |it: &&String| key.account != Some(it.as_str()) && !grant.accounts.contains(it);
    if let Some(account) = call.accounts.iter().find(foreign).filter(|_| key.master) {
        return Err(Denial::Account { client: client(), account: account.clone() });
    }
    match call.effect {
        Effect::CryptoWithdrawal | Effect::FiatWithdrawal => {
            withdrawal_allowed(grant, who, call.withdrawal.as_ref())
                .map_err(|why| Denial::Withdrawal { client: client(), why })?;
        }
        Effect::Transfer if who.how() == Identity::Nothing => {
            return Err(Denial::Transfer { client: client() });
        }
        Effect::Read
        | Effect::Trade
        | Effect::DepositAddress
        | Effect::Transfer
        | Effect::Stake
        | Effect::Admin => {}
    }
    if call.reaches_whole_key && key.shared && grant.cancel_all == CancelAll::Own {
        return Err(Denial::CancelAll { client: client(), operation: operation() });
    }
    Ok(Permit { call })
}

/// Whether the operator lets this call go on.
pub(crate) fn not_frozen(freeze: Freeze, who: &Identified, call: &Call) -> Result<(), Denial> {
    let eases = matches!(call.operation.priority, Priority::Cancel | Priority::Heartbeat);
    let stopped = match freeze {
        Freeze::No => false,
        Freeze::Risk => call.effect.mutates() && !eases,
        Freeze::Everything => true,
    };
    let everything = freeze == Freeze::Everything;
    if stopped { Err(Denial::Frozen { client: who.client().clone(), everything }) } else { Ok(()) }
}

/// Allows public data to anyone, and nothing else.
pub(crate) fn public(call: Call) -> Result<Permit, Denial> {
    if call.operation.is_public() {
        return Ok(Permit { call });
    }
    Err(Denial::NotOffered { operation: call.operation.name.clone() })
}

fn withdrawal_allowed(
    grant: &Grant,
    who: &Identified,
    asked: Option<&Withdrawal>,
) -> Result<(), String> {
    if who.how() == Identity::Nothing {
        return Err("it presents no credential".to_owned());
    }
    let Some(asked) = asked else {
        return Err("the request names no destination that could be checked".to_owned());
    };
    if let Some(field) = &asked.unchecked {
        let field = shown(field);
        return Err(format!("nothing here can check the field `{field}` of a withdrawal"));
    }
    if grant.withdrawals.is_empty() {
        return Err("it has no `[[clients.withdrawals]]` entry".to_owned());
    }
    if grant.withdrawals.iter().any(|it| fits(it, asked)) {
        return Ok(());
    }
    Err(format!(
        "no `[[clients.withdrawals]]` entry has this currency ({}), network, address and memo",
        shown(&asked.currency)
    ))
}

fn fits(entry: &Destination, asked: &Withdrawal) -> bool {
    // The first form of the endpoint names no network: the currency implies it.
    let network = asked.network.as_ref().is_none_or(|asked| {
        entry.network.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(asked))
    });
    entry.currency.eq_ignore_ascii_case(&asked.currency)
        && network
        && Some(&entry.address) == asked.address.as_ref()
        && memo(entry.memo.as_deref()) == memo(asked.memo.as_deref())
}

/// An empty memo is none.
fn memo(text: Option<&str>) -> Option<&str> {
    text.filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests;
