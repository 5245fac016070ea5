//! Every endpoint: its path, who may call it, what answers.
//!
//! 1. The first row whose path matches counts; whole words come before `{parts}`. A known path
//!    with another verb is a 405, an unknown path a 404.
//! 2. `private` rows need one of their roles, and of a master key the `account`. `group` rows are
//!    about the whole group and need no account.
//! 3. Roles are those of Gemini's Roles page. This table is the simulator's own.

use std::collections::BTreeMap;
use std::collections::HashMap;

use http::Method;
use serde_json::Value;

use crate::clock::UnixMicros;
use crate::simulator::account::Account;
use crate::simulator::admin;
use crate::simulator::funds;
use crate::simulator::gate::Caller;
use crate::simulator::key::Role;
use crate::simulator::market;
use crate::simulator::order_calls;
use crate::simulator::orders::Orders;
use crate::simulator::payload::Payload;
use crate::simulator::predictions;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Rejection;

/// What the calls act on.
#[derive(Debug)]
pub(crate) struct World {
    /// By shortname.
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) orders: Orders,
    /// Answers to v2 withdrawals, by `clientTransferId`.
    pub(crate) withdrawals: HashMap<String, Value>,
    pub(crate) status_as_object: bool,
    next: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            accounts: BTreeMap::new(),
            orders: Orders::new(),
            withdrawals: HashMap::new(),
            status_as_object: false,
            next: 1,
        }
    }

    /// A number not used before.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn account(&mut self, name: &str, now: UnixMicros) -> &mut Account {
        let entry = self.accounts.entry(name.to_owned());
        entry.or_insert_with(|| Account::new(name, "exchange", now))
    }
}

/// One call that has been let in.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) now: UnixMicros,
    pub(crate) payload: &'a Payload,
    pub(crate) caller: Option<Caller>,
    pub(crate) captures: Vec<&'a str>,
    /// For the ledger: the order that it was about.
    pub(crate) order_id: Option<u64>,
}

impl<'a> Asking<'a> {
    /// The account of the call. It is there before a private call is answered.
    pub(crate) fn funds(&mut self) -> &mut Account {
        let name = self.account().to_owned();
        self.world.account(&name, self.now)
    }

    /// The sub-account's shortname.
    pub(crate) fn account(&self) -> &str {
        self.caller.as_ref().map_or("", |it| &it.account)
    }

    pub(crate) fn key(&self) -> &str {
        self.caller.as_ref().map_or("", |it| &it.key.spec.key)
    }

    pub(crate) fn is_master(&self) -> bool {
        self.caller.as_ref().is_some_and(|it| it.key.spec.is_master())
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.caller.as_ref().is_some_and(|it| it.key.has_one_of(&[role]))
    }

    /// The path's part of that place, or nothing.
    pub(crate) fn capture(&self, place: usize) -> &'a str {
        self.captures.get(place).copied().unwrap_or_default()
    }
}

/// What `account` means to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AccountUse {
    /// A master key names the sub-account; an account key must not.
    Named,
    /// The call is about no single account, or `account` is what it changes.
    Free,
}

#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    path: &'static str,
    pub(crate) access: Option<(&'static [Role], AccountUse)>,
    pub(crate) answer: fn(&mut Asking<'_>) -> Answer,
}

/// The call that a request is, with the parts of its path.
pub(crate) fn find<'a>(
    method: &Method,
    path: &'a str,
) -> Result<(&'static Call, Vec<&'a str>), Rejection> {
    let mut others = Vec::new();
    for call in ROWS {
        let Some(captures) = matches(call.path, path) else { continue };
        if call.method == *method {
            return Ok((call, captures));
        }
        others.push(call.method.as_str());
    }
    if others.is_empty() {
        return Err(Rejection::new(404, "EndpointNotFound", "API entry point not found"));
    }
    let text = format!("HTTP method not allowed, supported methods: {}", others.join(", "));
    Err(Rejection::text(405, "MethodNotAllowed", text))
}

fn matches<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    if pattern == path {
        return Some(Vec::new());
    }
    let (pattern_parts, mut parts) = (pattern.split('/'), path.split('/'));
    let mut captures = Vec::new();
    for wanted in pattern_parts {
        let part = parts.next()?;
        if wanted.starts_with('{') && !part.is_empty() {
            captures.push(part);
        } else if wanted != part {
            return None;
        }
    }
    parts.next().is_none().then_some(captures)
}

const fn public(path: &'static str, answer: fn(&mut Asking<'_>) -> Answer) -> Call {
    Call { method: Method::GET, path, access: None, answer }
}

const fn get(
    path: &'static str,
    roles: &'static [Role],
    answer: fn(&mut Asking<'_>) -> Answer,
) -> Call {
    Call { method: Method::GET, path, access: Some((roles, AccountUse::Free)), answer }
}

const fn post(
    path: &'static str,
    roles: &'static [Role],
    answer: fn(&mut Asking<'_>) -> Answer,
) -> Call {
    Call { method: Method::POST, path, access: Some((roles, AccountUse::Named)), answer }
}

const fn group(
    path: &'static str,
    roles: &'static [Role],
    answer: fn(&mut Asking<'_>) -> Answer,
) -> Call {
    Call { method: Method::POST, path, access: Some((roles, AccountUse::Free)), answer }
}

const T: &[Role] = &[Role::Trader];
const F: &[Role] = &[Role::FundManager];
const A: &[Role] = &[Role::Auditor];
const TA: &[Role] = &[Role::Trader, Role::Auditor];
const TF: &[Role] = &[Role::Trader, Role::FundManager];
const FA: &[Role] = &[Role::FundManager, Role::Auditor];
const TFA: &[Role] = &[Role::Trader, Role::FundManager, Role::Auditor];
const ADMIN: &[Role] = &[Role::Administrator];
const ADMIN_TFA: &[Role] = &[Role::Administrator, Role::Trader, Role::FundManager, Role::Auditor];
const ANY: &[Role] = &[];

#[rustfmt::skip]
static ROWS: &[Call] = &[
    post("/v1/order/new", T, order_calls::new),
    post("/v1/order/cancel", T, order_calls::cancel),
    post("/v1/order/cancel/all", T, order_calls::cancel_all),
    post("/v1/order/cancel/session", T, order_calls::cancel_session),
    post("/v1/order/status", TA, order_calls::status),
    post("/v1/orders", TA, order_calls::active),
    post("/v1/orders/history", TA, order_calls::history),
    post("/v1/mytrades", TA, order_calls::my_trades),
    post("/v1/tradevolume", TA, order_calls::trade_volume),
    post("/v1/notionalvolume", TA, order_calls::notional_volume),
    post("/v1/heartbeat", T, admin::ok),
    group("/v1/roles", ANY, admin::roles),
    post("/v1/balances", TFA, funds::balances),
    public("/v1/symbols", market::symbols),
    public("/v1/symbols/details/{symbol}", market::details),
    public("/v1/network/{token}", market::network),
    public("/v1/pubticker/{symbol}", market::ticker_v1),
    public("/v2/ticker/{symbol}", market::ticker_v2),
    public("/v2/candles/{symbol}/{time_frame}", market::candles),
    public("/v2/derivatives/candles/{symbol}/{time_frame}", market::candles),
    public("/v1/book/{symbol}", market::book),
    public("/v1/trades/{symbol}", market::trades),
    public("/v1/pricefeed", market::price_feed),
    public("/v1/feepromos", market::fee_promos),
    public("/v1/fundingamount/{symbol}", market::funding_amount),
    public("/v1/fundingamounts", admin::nothing),
    public("/v1/nextfundingtimestamp/{symbol}", market::next_funding),
    public("/v1/perpetuals/fundingrates/{symbol}", market::funding_amount),
    public("/v1/fundingamountreport/records.xlsx", admin::sheet),
    public("/v1/riskstats/{symbol}", market::risk_stats),
    public("/v1/staking/rates", market::staking_rates),
    public("/v1/auction/{symbol}", market::auction),
    public("/v1/auction/{symbol}/history", admin::nothing),
    public("/v1/earn/rates", admin::nothing_known),
    public("/.well-known/oauth-authorization-server", admin::metadata),
    public("/.well-known/openid-configuration", admin::metadata),
    post("/v1/wrap/{symbol}", T, funds::wrap),
    post("/v1/instant/quote", T, admin::quote),
    post("/v1/instant/execute", T, admin::execute),
    post("/v1/notionalbalances/{currency}", TFA, funds::notional_balances),
    post("/v1/balances/staking", TFA, funds::staking_balances),
    post("/v1/balances/earn", TFA, admin::nothing),
    post("/v1/addresses/{network}", TFA, funds::addresses),
    post("/v1/deposit/{network}/newAddress", F, funds::new_address),
    post("/v1/transfers", TFA, funds::transfers),
    post("/v2/transfers", TFA, funds::transfers),
    post("/v1/custodyaccountfees", TFA, admin::nothing),
    post("/v1/withdraw/{currency}", F, funds::withdraw_v1),
    post("/v2/withdraw/{network}/{ticker}", F, funds::withdraw_v2),
    post("/v1/withdraw/{currency}/feeEstimate", TFA, funds::fee_estimate),
    post("/v2/withdraw/{network}/{ticker}/feeEstimate", ADMIN_TFA, funds::fee_estimate),
    post("/v1/payments/addbank", F, funds::add_bank),
    post("/v1/payments/addbank/cad", F, funds::add_bank),
    post("/v1/payments/methods", TFA, funds::payment_methods),
    post("/v1/payments/sen/withdraw", F, admin::ok),
    post("/v1/approvedAddresses/account/{network}", TFA, funds::approved),
    post("/v1/approvedAddresses/{network}/request", F, funds::approve),
    post("/v1/approvedAddresses/{network}/remove", F, funds::disapprove),
    group("/v1/account/transfer/{currency}", F, funds::transfer),
    post("/v1/transactions", ADMIN_TFA, funds::transactions),
    get("/v2/network/{token}", FA, market::network),
    get("/v2/networks/{network}/assets", FA, funds::network_assets),
    get("/v2/fxrate/{symbol}/{timestamp}", A, funds::fx_rate),
    post("/v1/account", TFA, admin::account),
    group("/v1/account/create", ADMIN, admin::create),
    group("/v1/account/rename", ADMIN, admin::rename),
    group("/v1/account/list", ANY, admin::list),
    group("/v1/oauth/revokeByToken", ANY, admin::revoke),
    post("/v1/margin/account", TFA, predictions::margin),
    post("/v1/margin/rates", TFA, admin::nothing),
    post("/v1/margin/order/preview", TA, admin::nothing_known),
    post("/v1/margin", TA, predictions::margin),
    post("/v1/positions", TA, admin::nothing),
    post("/v1/perpetuals/fundingPayment", TA, admin::nothing),
    post("/v1/perpetuals/fundingpaymentreport/records.json", TA, admin::nothing),
    get("/v1/perpetuals/fundingpaymentreport/records.xlsx", TA, admin::sheet),
    post("/v1/staking/history", TFA, admin::nothing),
    post("/v1/staking/rewards", TFA, admin::nothing_known),
    post("/v1/staking/stake", TF, funds::stake),
    post("/v1/staking/unstake", TF, funds::stake),
    post("/v1/earn/interest", TFA, admin::nothing),
    post("/v1/earn/history", TFA, admin::nothing),
    post("/v1/clearing/new", T, admin::clearing_new),
    post("/v1/clearing/broker/new", T, admin::clearing_new),
    post("/v1/clearing/status", TA, admin::clearing_unknown),
    post("/v1/clearing/cancel", T, admin::clearing_unknown),
    post("/v1/clearing/confirm", T, admin::clearing_unknown),
    post("/v1/clearing/list", T, admin::clearing_list),
    post("/v1/clearing/broker/list", T, admin::clearing_list),
    post("/v1/clearing/trades", T, admin::clearing_trades),
    public("/v1/prediction-markets/events", predictions::events),
    public("/v1/prediction-markets/events/newly-listed", predictions::events),
    public("/v1/prediction-markets/events/recently-settled", predictions::empty_page),
    public("/v1/prediction-markets/events/upcoming", predictions::empty_page),
    public("/v1/prediction-markets/events/{eventTicker}", predictions::event_of),
    public("/v1/prediction-markets/events/{eventTicker}/strike", predictions::strike),
    public("/v1/prediction-markets/categories", predictions::categories),
    public("/v1/prediction-markets/volume/{date}", admin::nothing),
    public("/v1/prediction-markets/volume/{date}/hourly", admin::nothing),
    public("/v1/prediction-markets/terms", predictions::terms),
    public("/v1/prediction-markets/combos", predictions::empty_page),
    public("/v1/prediction-markets/combos/{instrumentSymbol}", predictions::event_of),
    public("/v1/prediction-markets/maker-rebate/rates", admin::nothing),
    public("/v1/prediction-markets/liquidity-rewards/config", admin::nothing_known),
    public("/v1/prediction-markets/liquidity-rewards/events", predictions::empty_page),
    get("/v1/prediction-markets/terms/status", T, predictions::terms_status),
    post("/v1/prediction-markets/terms/accept", T, predictions::terms_status),
    post("/v1/prediction-markets/order", T, predictions::refused),
    post("/v1/prediction-markets/order/batch", T, predictions::refused),
    post("/v1/prediction-markets/order/cancel", T, predictions::refused),
    post("/v1/prediction-markets/order/batch/cancel", T, predictions::refused),
    post("/v1/prediction-markets/orders/active", T, predictions::orders),
    post("/v1/prediction-markets/orders/history", T, predictions::orders),
    post("/v1/prediction-markets/positions", T, predictions::positions),
    post("/v1/prediction-markets/positions/settled", T, predictions::positions),
    post("/v1/prediction-markets/metrics/volume", T, admin::nothing),
    post("/v1/prediction-markets/combos", T, predictions::refused),
    post("/v1/prediction-markets/maker-rebate/payouts", T, admin::nothing),
    get("/v1/prediction-markets/maker-rebate/summary/total", T, admin::nothing_known),
    get("/v1/prediction-markets/liquidity-rewards/summary/daily", T, admin::nothing),
    get("/v1/prediction-markets/liquidity-rewards/summary/total", T, admin::nothing_known),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, path: &str, expected: Result<(&str, &[&str]), u16>) {
        let got = find(method, path);
        let got = got.as_ref().map(|(call, captures)| (call.path, captures.as_slice()));
        assert_eq!(got.map_err(|it| it.status), expected, "{method} {path}");
    }

    #[test]
    fn paths_match_exactly() {
        check(&Method::POST, "/v1/order/new", Ok(("/v1/order/new", &[])));
        let events = "/v1/prediction-markets/events";
        check(
            &Method::GET,
            &format!("{events}/upcoming"),
            Ok((&format!("{events}/upcoming"), &[])),
        );
        check(
            &Method::GET,
            &format!("{events}/X"),
            Ok((&format!("{events}/{{eventTicker}}"), &["X"])),
        );
        let withdraw = "/v2/withdraw/{network}/{ticker}";
        check(&Method::POST, "/v2/withdraw/bitcoin/btc", Ok((withdraw, &["bitcoin", "btc"])));
        check(&Method::GET, "/v1/order/new", Err(405));
        check(&Method::POST, "/v1/order/New", Err(404));
        check(&Method::POST, "/v1/order/new/", Err(404));
        check(&Method::POST, "/v1/withdraw/", Err(404));
        check(&Method::GET, "/", Err(404));
    }

    #[test]
    fn no_row_hides_another() {
        for row in ROWS {
            let found = find(&row.method, row.path).expect("its own path").0;
            assert_eq!(found.path, row.path);
        }
    }
}
