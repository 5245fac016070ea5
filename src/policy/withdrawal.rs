//! A withdrawal against the destinations of a client.

use crate::call::{Effect, Identity, Withdrawal, shown};
use crate::decimal::Decimal;
use crate::policy::denial::Denial;
use crate::policy::grant::Destination;
use crate::policy::{Case, WithdrawalShare};

const ENTRIES: &str = "withdrawals";
const BANKS: &str = "transfers.banks";
const PER_DAY: &str = "withdrawals.max_per_day";

/// What it takes of its destination's limit, if it may go there.
pub(super) fn allowed(
    case: &Case<'_>,
    effect: Effect,
    asked: Option<&Withdrawal>,
) -> Result<Option<WithdrawalShare>, Denial> {
    let no = |setting: &'static str, why: String| {
        Err(Denial::Withdrawal { client: case.who.client().clone(), setting, why })
    };
    if case.who.how() == Identity::Nothing {
        return no("credential", "it presents no credential".to_owned());
    }
    let Some(asked) = asked else {
        let why = "the request names no destination that could be checked";
        return no(ENTRIES, why.to_owned());
    };
    if let Some(field) = &asked.unchecked {
        let why = format!("nothing here can check the field `{}` of a withdrawal", shown(field));
        return no(ENTRIES, why);
    }
    if let Some(bank) = asked.bank.as_ref().filter(|_| effect == Effect::FiatWithdrawal) {
        let banks = case.grant.transfers.as_ref().map(|it| &it.banks);
        if asked.address.is_none() && banks.is_some_and(|it| it.contains(bank)) {
            return Ok(None);
        }
        let why = match asked.address {
            Some(_) => "the request names a bank and an address".to_owned(),
            None => format!("`banks` of `[clients.transfers]` does not have `{}`", shown(bank)),
        };
        return no(BANKS, why);
    }
    if case.grant.withdrawals.is_empty() {
        return no(ENTRIES, "it has no `[[clients.withdrawals]]` entry".to_owned());
    }
    let fitting = case.grant.withdrawals.iter().filter(|it| fits(it, asked));
    // Several fit a call that names no network: the one that allows most.
    let Some(entry) = fitting.max_by(|a, b| most(a).cmp(&most(b))) else {
        let currency = shown(&asked.currency);
        return no(
            ENTRIES,
            format!(
                "no `[[clients.withdrawals]]` entry has this currency ({currency}), network, address and memo"
            ),
        );
    };
    let Some(max_per_day) = &entry.max_per_day else { return Ok(None) };
    let text = asked.amount.as_deref().unwrap_or_default();
    let Some(amount) = Decimal::parse(text) else {
        return Err(Denial::Malformed { field: "amount", limit: PER_DAY, text: text.to_owned() });
    };
    if amount > *max_per_day {
        let currency = &entry.currency;
        let why = format!("{amount} {currency} is above its `max_per_day` of {max_per_day}");
        return no(PER_DAY, why);
    }
    let (destination, max_per_day) = (destination(entry), max_per_day.clone());
    Ok(Some(WithdrawalShare { destination, amount, max_per_day }))
}

/// Without a limit is the most.
fn most(entry: &Destination) -> (bool, Option<&Decimal>) {
    (entry.max_per_day.is_none(), entry.max_per_day.as_ref())
}

fn destination(entry: &Destination) -> String {
    let Destination { currency, network, address, memo, max_per_day: _ } = entry;
    let network = network.as_deref().unwrap_or_default();
    let memo = memo.as_deref().unwrap_or_default();
    format!("{currency}/{network}/{address}/{memo}")
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
