//! Decides whether a client may make a call. Knows no HTTP, keeps no state.
//!
//! 1. What the release does not offer, nobody may. What an operator has frozen, nobody may.
//! 2. The operation's scope must be held, or the operation be named.
//! 3. A sub-account must be the key's own or be named in `accounts`.
//! 4. An order must be within `[clients.orders]` (`order`). Whatever else trades cannot be held
//!    against that: with such a table it is refused, unless the operation is named.
//! 5. A withdrawal needs an entry with its currency, network, address and memo, or its bank, whatever
//!    the scopes say (`withdrawal`); who presents no credential moves no money at all.
//! 6. With `[clients.transfers]`, a transfer goes to one of its accounts.
//! 7. What reaches every order of a key needs the key alone, or `cancel_all = "shared"`.
//!
//! A client in `observe` mode goes on where 2, 3, 4 or 7 say no, unless the call moves money or changes
//! addresses, banks or accounts; the permit says what would have been refused. What all calls of a day
//! come to is not known here: a permit says what the call takes of that ([`Share`]).

mod denial;
mod grant;
mod order;
mod symbol;
mod withdrawal;

use crate::call::{
    CREATE_ORDER, Call, Effect, Freeze, Identified, Identity, Operation, Scope, Transfer,
};
use crate::decimal::Decimal;
use crate::policy::order::{Judged, symbol_listed, wanted_quote};

pub(crate) use self::denial::{Denial, Rule};
pub(crate) use self::grant::{
    Bundle, CancelAll, DayLimits, Destination, Grant, Mode, OrderType, Orders, Rate, Side,
    TimeInForce, Transfers,
};
pub(crate) use self::symbol::split;

/// Proof that this call was allowed; nothing else can make one. What is signed later is the call in
/// here.
#[derive(Debug)]
pub(crate) struct Permit {
    call: Call,
    rule: Rule,
    share: Share,
    would_refuse: Option<Denial>,
}

impl Permit {
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// The setting that allowed it.
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    pub(crate) fn share(&self) -> &Share {
        &self.share
    }

    /// What would have refused it, were its client not only observed.
    pub(crate) fn would_refuse(&self) -> Option<&Denial> {
        self.would_refuse.as_ref()
    }
}

/// What a call takes of what its client may do in a day.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Share {
    /// Of a client whose orders have limits.
    pub(crate) order: Option<OrderShare>,
    /// To a destination that has a limit.
    pub(crate) withdrawal: Option<WithdrawalShare>,
}

/// `unit_price` times `amount` is what the order is worth.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct OrderShare {
    /// The currency of the price, in lower case. Empty where nothing prices the order.
    pub(crate) quote: String,
    pub(crate) unit_price: Decimal,
    pub(crate) amount: Decimal,
    pub(crate) client_order_id: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WithdrawalShare {
    /// Stands for one entry: the same at every start.
    pub(crate) destination: String,
    pub(crate) amount: Decimal,
    pub(crate) max_per_day: Decimal,
}

/// The best prices of a symbol, as its public ticker has them: at most five seconds old, which the
/// caller has seen to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Quote {
    pub(crate) bid: Decimal,
    pub(crate) ask: Decimal,
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

/// All that a call is judged by, beside itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) key: KeyFacts<'a>,
    pub(crate) who: &'a Identified,
    pub(crate) freeze: Freeze,
    /// Of the symbol that [`wants_quote`] names.
    pub(crate) quote: Option<&'a Quote>,
}

/// The symbol, in lower case, whose quote decides on this call, if one does.
pub(crate) fn wants_quote(grant: &Grant, call: &Call) -> Option<String> {
    wanted_quote(grant.orders.as_ref()?, call.order.as_deref()?)
}

/// Allows or denies `call`.
pub(crate) fn decide(case: &Case<'_>, call: Call) -> Result<Permit, Denial> {
    if call.scope.is_none() {
        return Err(Denial::NotOffered { operation: call.operation.name.clone() });
    }
    thawed(case.freeze, case.who, &call)?;
    let mut lenience = Lenience::of(case.grant.mode, call.effect);
    let rule = lenience.weigh(case.scope(&call))?.unwrap_or(Rule::fixed("mode"));
    lenience.weigh(case.accounts(&call))?;
    let order = case.order(&call, &mut lenience)?;
    let withdrawal = case.withdrawal(&call)?;
    case.transfer(&call)?;
    lenience.weigh(case.cancel_all(&call))?;
    let share = Share { order, withdrawal };
    Ok(Permit { call, rule, share, would_refuse: lenience.would_refuse })
}

/// Whether what an operator has frozen lets this call go on. Asked again where time has passed.
pub(crate) fn thawed(freeze: Freeze, who: &Identified, call: &Call) -> Result<(), Denial> {
    let everything = match freeze {
        Freeze::No => return Ok(()),
        Freeze::Risk if !call.effect.mutates() || call.operation.lowers_risk() => return Ok(()),
        Freeze::Risk => false,
        Freeze::Everything => true,
    };
    Err(Denial::Frozen { client: who.client().clone(), everything })
}

/// Whether there could be a call of `operation` that `who` may make. For showing, not for deciding.
pub(crate) fn reaches(grant: &Grant, who: &Identified, operation: &Operation) -> bool {
    let Some(scope) = operation.scope else { return false };
    let named = grant.operations.contains(operation.name.as_str());
    let is_known = who.how() != Identity::Nothing;
    let banks = grant.transfers.as_ref().is_some_and(|it| !it.banks.is_empty());
    let somewhere = match operation.effect {
        Effect::CryptoWithdrawal => is_known && !grant.withdrawals.is_empty(),
        Effect::FiatWithdrawal => is_known && (banks || !grant.withdrawals.is_empty()),
        Effect::Transfer => is_known && grant.transfers.as_ref().is_none_or(|it| !it.to.is_empty()),
        effect if trades(effect, operation.scope) => {
            let readable = operation.name == CREATE_ORDER || operation.lowers_risk();
            grant.orders.is_none() || named || readable
        }
        Effect::Trade | Effect::Read | Effect::DepositAddress | Effect::Stake | Effect::Admin => {
            true
        }
    };
    (grant.scopes.contains(&scope) || named) && somewhere
}

/// Whether a call is held against the limits of orders: it trades, or asks for an offer that an instant
/// order would take up, which changes nothing yet.
fn trades(effect: Effect, scope: Option<Scope>) -> bool {
    effect == Effect::Trade || effect == Effect::Read && scope == Some(Scope::OrdersCreate)
}

/// Allows public data to anyone, and nothing else.
pub(crate) fn public(call: Call) -> Result<Permit, Denial> {
    if call.operation.is_public() {
        return Ok(plainly(call, Rule::fixed("public")));
    }
    Err(Denial::NotOffered { operation: call.operation.name.clone() })
}

/// Allows what the proxy asks of its own accord: to read, and to take orders back.
pub(crate) fn own(call: Call) -> Result<Permit, Denial> {
    if call.effect == Effect::Read || call.operation.lowers_risk() {
        return Ok(plainly(call, Rule::fixed("proxy")));
    }
    Err(Denial::NotOffered { operation: call.operation.name.clone() })
}

fn plainly(call: Call, rule: Rule) -> Permit {
    Permit { call, rule, share: Share::default(), would_refuse: None }
}

/// What `mode` makes of a denial.
#[derive(Debug)]
struct Lenience {
    observes: bool,
    would_refuse: Option<Denial>,
}

impl Lenience {
    fn of(mode: Mode, effect: Effect) -> Self {
        let may_be_observed = match effect {
            Effect::Read | Effect::Trade | Effect::Stake => true,
            Effect::DepositAddress
            | Effect::CryptoWithdrawal
            | Effect::FiatWithdrawal
            | Effect::Transfer
            | Effect::Admin => false,
        };
        Self { observes: mode == Mode::Observe && may_be_observed, would_refuse: None }
    }

    /// Passes a verdict on; `None` for a denial that is only observed.
    fn weigh<T>(&mut self, verdict: Result<T, Denial>) -> Result<Option<T>, Denial> {
        match verdict {
            Ok(it) => Ok(Some(it)),
            Err(denial) if self.observes && denial.is_a_limit() => {
                // The first is what would have been the answer.
                self.would_refuse.get_or_insert(denial);
                Ok(None)
            }
            Err(denial) => Err(denial),
        }
    }
}

impl Case<'_> {
    fn scope(&self, call: &Call) -> Result<Rule, Denial> {
        let name = &call.operation.name;
        let missing = Denial::NotOffered { operation: name.clone() };
        let scope = call.scope.ok_or(missing)?;
        if self.grant.scopes.contains(&scope) {
            Ok(Rule::of(format!("scopes: {scope}")))
        } else if self.names(call) {
            Ok(Rule::of(format!("operations: {name}")))
        } else {
            let (client, operation) = (self.who.client().clone(), name.clone());
            Err(Denial::Scope { client, operation, scope })
        }
    }

    /// Whether the client's `operations` have it.
    fn names(&self, call: &Call) -> bool {
        self.grant.operations.contains(call.operation.name.as_str())
    }

    fn accounts(&self, call: &Call) -> Result<(), Denial> {
        if !self.key.master {
            // The exchange knows that such a key has no sub-accounts, and answers for itself.
            return Ok(());
        }
        let known = |it: &&String| {
            self.key.account == Some(it.as_str()) || self.grant.accounts.contains(it)
        };
        match call.accounts.iter().find(|it| !known(it)) {
            Some(account) => {
                Err(Denial::Account { client: self.who.client().clone(), account: account.clone() })
            }
            None => Ok(()),
        }
    }

    fn order(&self, call: &Call, lenience: &mut Lenience) -> Result<Option<OrderShare>, Denial> {
        let Some(limits) = &self.grant.orders else { return Ok(None) };
        let client = self.who.client();
        if !trades(call.effect, call.scope) || call.operation.lowers_risk() {
            return Ok(None);
        }
        if call.order.is_none() && !self.names(call) {
            let why = format!("{} is no order that can be read", call.operation.name);
            let client = client.clone();
            lenience.weigh(Err::<(), _>(Denial::Unpriceable { client, limit: "orders", why }))?;
        }
        if let Some(symbol) = &call.path_symbol {
            lenience.weigh(symbol_listed(client, limits.symbols.as_ref(), Some(symbol)))?;
        }
        let Some(order) = call.order.as_deref() else { return Ok(None) };
        let judged = Judged { client, limits, order, quote: self.quote };
        lenience.weigh(judged.lists())?;
        let share = lenience.weigh(judged.size())?;
        Ok(Some(share.unwrap_or_else(|| judged.share())))
    }

    fn withdrawal(&self, call: &Call) -> Result<Option<WithdrawalShare>, Denial> {
        match call.effect {
            Effect::CryptoWithdrawal | Effect::FiatWithdrawal => {
                withdrawal::allowed(self, call.effect, call.withdrawal.as_ref())
            }
            Effect::Read
            | Effect::Trade
            | Effect::DepositAddress
            | Effect::Transfer
            | Effect::Stake
            | Effect::Admin => Ok(None),
        }
    }

    fn transfer(&self, call: &Call) -> Result<(), Denial> {
        if call.effect != Effect::Transfer {
            return Ok(());
        }
        let client = || self.who.client().clone();
        if self.who.how() == Identity::Nothing {
            return Err(Denial::NobodyTransfers { client: client() });
        }
        let Some(transfers) = &self.grant.transfers else { return Ok(()) };
        let asked = call.transfer.as_deref();
        if let Some(Transfer { unchecked: Some(field), .. }) = asked {
            return Err(Denial::TransferUnchecked { client: client(), field: field.clone() });
        }
        let target = asked.and_then(|it| it.target.as_ref());
        match target.filter(|it| transfers.to.contains(*it)) {
            Some(_) => Ok(()),
            None => Err(Denial::Transfer { client: client(), target: target.cloned() }),
        }
    }

    fn cancel_all(&self, call: &Call) -> Result<(), Denial> {
        let others = self.key.shared && self.grant.cancel_all == CancelAll::Own;
        if !(call.reaches_whole_key && others) {
            return Ok(());
        }
        let (client, operation) = (self.who.client().clone(), call.operation.name.clone());
        Err(Denial::CancelAll { client, operation })
    }
}

#[cfg(test)]
mod tests;
