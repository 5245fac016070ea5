//! Every REST endpoint of the exchange, as data.
//!
//! A role or an OAuth scope with a trailing `?` is an inference; so is every query rule but `open`
//! and `refused` (the exchange's own material contradicts itself on signed queries). Rows whose path
//! names another host, and rows without a scope, are known but not offered. Sockets come later.

use std::sync::{Arc, LazyLock};

use crate::call::AccountRule as A;
use crate::call::Effect as E;
use crate::call::Method as M;
use crate::call::Operation;
use crate::call::OperationName;
use crate::call::Priority;
use crate::call::QueryRule as Q;
use crate::call::RateClass as R;
use crate::call::RetryClass as T;
use crate::call::Scope as S;
use crate::call::Visibility as V;

/// All of the catalogue, in the order of the table.
pub(super) static OPERATIONS: LazyLock<Vec<Arc<Operation>>> =
    LazyLock::new(|| ROWS.iter().map(|row| Arc::new(operation(row))).collect());

type Row = (
    M,
    &'static str,
    &'static str,
    &'static str,
    V,
    &'static str,
    &'static str,
    Option<S>,
    A,
    E,
    R,
    T,
    Q,
    &'static str,
);

fn operation(row: &Row) -> Operation {
    let &(method, path, name, group, visibility, roles, oauth, scope, account, effect, ..) = row;
    let &(.., rate, retry, query, source) = row;
    let list =
        |text: &str| text.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    Operation {
        name: OperationName::new(name),
        method,
        path: path.to_owned(),
        group: group.to_owned(),
        visibility,
        roles: list(roles),
        oauth_scopes: list(oauth),
        scope,
        account,
        effect,
        rate,
        retry,
        query,
        priority: priority(name, effect),
        source: source.to_owned(),
    }
}

fn priority(name: &str, effect: E) -> Priority {
    match effect {
        _ if name.starts_with("cancel_") => Priority::Cancel,
        _ if name == "heartbeat" => Priority::Heartbeat,
        E::Read => Priority::Read,
        E::Trade
        | E::DepositAddress
        | E::CryptoWithdrawal
        | E::FiatWithdrawal
        | E::Transfer
        | E::Stake
        | E::Admin => Priority::Order,
    }
}

const OAS: &str = "https://raw.githubusercontent.com/api-evangelist/gemini-trust/refs/heads/main/openapi/_original/gemini-trust-rest-openapi.yml";
const PMS: &str = "https://raw.githubusercontent.com/api-evangelist/gemini-trust/refs/heads/main/openapi/_original/gemini-trust-prediction-markets-openapi.yml";
const DOC_MARKET: &str = "https://docs.gemini.com/rest/market-data";
const DOC_FUNDS: &str = "https://docs.gemini.com/rest/fund-management";
const DEV_CHANGES: &str = "https://developer.gemini.com/changelog/revision-history";
const CCXT: &str = "https://github.com/ccxt/ccxt/blob/master/ts/src/gemini.ts";
const DEV_OAUTH: &str = "https://developer.gemini.com/authentication/oauth";
const META_OAUTH: &str = "https://api.gemini.com/.well-known/oauth-authorization-server";
const META_OIDC: &str = "https://api.gemini.com/.well-known/openid-configuration";
const MCP: &str = "https://github.com/gemini/developer-platform/tree/main/packages/mcp-server";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // market_data
    (M::Get, "/v1/symbols", "list_symbols", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/symbols/details/{symbol}", "get_symbol_details", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    // market_data_legacy
    (M::Get, "/v1/network/{token}", "get_token_network_v1", "market_data_legacy", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, DOC_MARKET),
    // market_data
    (M::Get, "/v1/pubticker/{symbol}", "get_ticker_v1", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v2/ticker/{symbol}", "get_ticker_v2", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v2/candles/{symbol}/{time_frame}", "list_candles", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v2/derivatives/candles/{symbol}/{time_frame}", "list_derivative_candles", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/book/{symbol}", "get_order_book", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/trades/{symbol}", "list_public_trades", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/pricefeed", "list_prices", "market_data", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    // market_data_legacy
    (M::Get, "/v1/feepromos", "list_fee_promos", "market_data_legacy", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, DEV_CHANGES),
    // derivatives
    (M::Get, "/v1/fundingamount/{symbol}", "get_funding_amount", "derivatives", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/nextfundingtimestamp/{symbol}", "get_next_funding_timestamp", "derivatives", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/fundingamountreport/records.xlsx", "get_funding_amount_report_xlsx", "derivatives", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    (M::Get, "/v1/riskstats/{symbol}", "get_risk_stats", "derivatives", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    // staking
    (M::Get, "/v1/staking/rates", "list_staking_rates", "staking", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, OAS),
    // market_data_legacy
    (M::Get, "/v1/auction/{symbol}", "get_auction", "market_data_legacy", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, CCXT),
    (M::Get, "/v1/auction/{symbol}/history", "list_auction_history", "market_data_legacy", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, CCXT),
    // earn_legacy
    (M::Get, "/v1/earn/rates", "list_earn_rates", "earn_legacy", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, CCXT),
    // orders
    (M::Post, "/v1/order/new", "create_order", "orders", V::Private, "Trader", "orders:create", Some(S::OrdersCreate), A::Inject, E::Trade, R::Private, T::WithClientOrderId, Q::Refused, OAS),
    (M::Post, "/v1/order/cancel", "cancel_order", "orders", V::Private, "Trader", "orders:create", Some(S::OrdersCancel), A::Inject, E::Trade, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/order/cancel/all", "cancel_all_orders", "orders", V::Private, "Trader", "orders:create", Some(S::OrdersCancel), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/order/cancel/session", "cancel_session_orders", "orders", V::Private, "Trader", "orders:create", Some(S::OrdersCancel), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/order/status", "get_order_status", "orders", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/orders", "list_active_orders", "orders", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/orders/history", "list_past_orders", "orders", V::Private, "Trader,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/mytrades", "list_past_trades", "orders", V::Private, "Trader,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/tradevolume", "get_trade_volume", "orders", V::Private, "Trader,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/notionalvolume", "get_notional_volume", "orders", V::Private, "Trader,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/wrap/{symbol}", "wrap_order", "orders", V::Private, "Trader", "orders:create", Some(S::OrdersCreate), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    // session
    (M::Post, "/v1/heartbeat", "heartbeat", "session", V::Private, "Trader", "", Some(S::SessionHeartbeat), A::Inject, E::Trade, R::Private, T::Always, Q::Refused, OAS),
    // instant
    (M::Post, "/v1/instant/quote", "get_instant_quote", "instant", V::Private, "Trader", "orders:create", Some(S::OrdersCreate), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/instant/execute", "execute_instant_order", "instant", V::Private, "Trader", "orders:create", Some(S::OrdersCreate), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    // fund_management
    (M::Post, "/v1/balances", "list_balances", "fund_management", V::Private, "Trader,FundManager,Auditor", "balances:read", Some(S::BalancesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/notionalbalances/{currency}", "list_notional_balances", "fund_management", V::Private, "Trader,FundManager,Auditor", "balances:read", Some(S::BalancesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/addresses/{network}", "list_deposit_addresses", "fund_management", V::Private, "Trader,FundManager,Auditor", "addresses:read,addresses:create", Some(S::AddressesRead), A::Inject, E::Read, R::Addresses, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/deposit/{network}/newAddress", "create_deposit_address", "fund_management", V::Private, "FundManager", "addresses:create", Some(S::AddressesCreate), A::Inject, E::DepositAddress, R::Private, T::Never, Q::Refused, OAS),
    // fund_management_legacy
    (M::Post, "/v1/transfers", "list_transfers_v1", "fund_management_legacy", V::Private, "Trader,FundManager,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Transfers, T::Always, Q::Refused, DOC_FUNDS),
    // fund_management
    (M::Post, "/v2/transfers", "list_transfers", "fund_management", V::Private, "Trader,FundManager,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Transfers, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/custodyaccountfees", "list_custody_account_fees", "fund_management", V::Private, "Trader,FundManager,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Transfers, T::Always, Q::Refused, OAS),
    // fund_management_legacy
    (M::Post, "/v1/withdraw/{currency}", "withdraw_crypto_v1", "fund_management_legacy", V::Private, "FundManager", "crypto:send", Some(S::CryptoSend), A::Inject, E::CryptoWithdrawal, R::Private, T::Never, Q::Refused, DOC_FUNDS),
    // fund_management
    (M::Post, "/v2/withdraw/{network}/{ticker}", "withdraw_crypto", "fund_management", V::Private, "FundManager", "crypto:send", Some(S::CryptoSend), A::Inject, E::CryptoWithdrawal, R::Private, T::Never, Q::Refused, OAS),
    // fund_management_legacy
    (M::Post, "/v1/withdraw/{currency}/feeEstimate", "estimate_withdrawal_fee_v1", "fund_management_legacy", V::Private, "Trader,FundManager,Auditor", "", Some(S::FeesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, DOC_FUNDS),
    // fund_management
    (M::Post, "/v2/withdraw/{network}/{ticker}/feeEstimate", "estimate_withdrawal_fee", "fund_management", V::Private, "Trader,FundManager,Auditor,WealthManager,Administrator", "", Some(S::FeesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/payments/addbank", "add_bank", "fund_management", V::Private, "FundManager", "banks:create", Some(S::BanksCreate), A::Inject, E::Admin, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/payments/addbank/cad", "add_bank_cad", "fund_management", V::Private, "FundManager", "banks:create", Some(S::BanksCreate), A::Inject, E::Admin, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/payments/methods", "list_payment_methods", "fund_management", V::Private, "Trader,FundManager,Auditor", "banks:read,banks:create", Some(S::BanksRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/approvedAddresses/account/{network}", "list_approved_addresses", "fund_management", V::Private, "Trader,FundManager,Auditor", "addresses:read", Some(S::AddressesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/approvedAddresses/{network}/request", "request_approved_address", "fund_management", V::Private, "FundManager", "", Some(S::AddressesApprove), A::Inject, E::Admin, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/approvedAddresses/{network}/remove", "remove_approved_address", "fund_management", V::Private, "FundManager", "addresses:create", Some(S::AddressesApprove), A::Inject, E::Admin, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/account/transfer/{currency}", "transfer_between_accounts", "fund_management", V::Private, "FundManager", "", Some(S::TransfersCreate), A::Never, E::Transfer, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/transactions", "list_transactions", "fund_management", V::Private, "Administrator,Trader,FundManager,Auditor", "history:read", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    // fund_management_legacy
    (M::Post, "/v1/payments/sen/withdraw", "withdraw_fiat_sen", "fund_management_legacy", V::Private, "FundManager?", "", Some(S::FiatWithdraw), A::Inject, E::FiatWithdrawal, R::Private, T::Never, Q::Refused, CCXT),
    // fund_management
    (M::Get, "/v2/network/{token}", "get_token_network", "fund_management", V::Private, "FundManager,Auditor", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Get, "/v2/networks/{network}/assets", "list_network_assets", "fund_management", V::Private, "FundManager,Auditor", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Refused, OAS),
    // market_data
    (M::Get, "/v2/fxrate/{symbol}/{timestamp}", "get_fx_rate", "market_data", V::Private, "Auditor", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Refused, OAS),
    // account_admin
    (M::Post, "/v1/account", "get_account", "account_admin", V::Private, "Trader,FundManager,Auditor", "account:read", Some(S::AccountRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/account/create", "create_account", "account_admin", V::Private, "Administrator", "", Some(S::AccountsCreate), A::Never, E::Admin, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/account/rename", "rename_account", "account_admin", V::Private, "Administrator", "", Some(S::AccountsCreate), A::Target, E::Admin, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/account/list", "list_accounts", "account_admin", V::Private, "any", "account:read", Some(S::AccountRead), A::Never, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/roles", "get_roles", "account_admin", V::Private, "any", "", Some(S::AccountRead), A::Never, E::Read, R::Private, T::Always, Q::Refused, OAS),
    // oauth
    (M::Post, "/v1/oauth/revokeByToken", "revoke_oauth_token", "oauth", V::Private, "", "(bearer only)", None, A::Never, E::Admin, R::Private, T::Always, Q::Refused, OAS),
    (M::Get, "https://exchange.gemini.com/auth", "oauth_authorize", "oauth", V::Public, "", "", None, A::NotApplicable, E::Admin, R::Public, T::Never, Q::Open, DEV_OAUTH),
    (M::Post, "https://exchange.gemini.com/auth/token", "oauth_token", "oauth", V::Public, "", "", None, A::NotApplicable, E::Admin, R::Public, T::Never, Q::Open, DEV_OAUTH),
    (M::Post, "https://exchange.gemini.com/auth/token/revoke", "oauth_token_revoke", "oauth", V::Public, "", "", None, A::NotApplicable, E::Admin, R::Public, T::Always, Q::Open, META_OAUTH),
    (M::Post, "https://exchange.gemini.com/auth/token/introspect", "oauth_token_introspect", "oauth", V::Public, "", "", None, A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, META_OAUTH),
    (M::Get, "https://exchange.gemini.com/userinfo", "oidc_userinfo", "oauth", V::Private, "", "openid,email", None, A::NotApplicable, E::Read, R::Private, T::Always, Q::Refused, META_OIDC),
    (M::Get, "/.well-known/oauth-authorization-server", "oauth_metadata", "oauth", V::Public, "", "", None, A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, META_OAUTH),
    (M::Get, "/.well-known/openid-configuration", "openid_configuration", "oauth", V::Public, "", "", None, A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, META_OIDC),
    // margin
    (M::Post, "/v1/margin/account", "get_margin_account", "margin", V::Private, "Trader,FundManager,Auditor", "balances:read", Some(S::BalancesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/margin/rates", "list_margin_rates", "margin", V::Private, "Trader,FundManager,Auditor", "balances:read", Some(S::BalancesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/margin/order/preview", "preview_margin_order", "margin", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    // derivatives
    (M::Post, "/v1/margin", "get_derivatives_margin", "derivatives", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/positions", "list_positions", "derivatives", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/perpetuals/fundingPayment", "list_funding_payments", "derivatives", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Bare, OAS),
    (M::Post, "/v1/perpetuals/fundingpaymentreport/records.json", "get_funding_payment_report_json", "derivatives", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Signed, OAS),
    (M::Get, "/v1/perpetuals/fundingpaymentreport/records.xlsx", "get_funding_payment_report_xlsx", "derivatives", V::Private, "Trader,Auditor", "orders:read", Some(S::OrdersRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Signed, OAS),
    // staking
    (M::Post, "/v1/balances/staking", "list_staking_balances", "staking", V::Private, "Trader,FundManager,Auditor", "", Some(S::StakingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/staking/history", "list_staking_history", "staking", V::Private, "Trader,FundManager,Auditor", "", Some(S::StakingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/staking/rewards", "list_staking_rewards", "staking", V::Private, "Trader,FundManager,Auditor", "", Some(S::StakingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/staking/stake", "stake", "staking", V::Private, "Trader,FundManager", "", Some(S::StakingCreate), A::Inject, E::Stake, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/staking/unstake", "unstake", "staking", V::Private, "Trader,FundManager", "", Some(S::StakingCreate), A::Inject, E::Stake, R::Private, T::Never, Q::Refused, OAS),
    // earn_legacy
    (M::Post, "/v1/balances/earn", "list_earn_balances", "earn_legacy", V::Private, "Trader,FundManager,Auditor?", "", Some(S::BalancesRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, CCXT),
    (M::Post, "/v1/earn/interest", "list_earn_interest", "earn_legacy", V::Private, "Trader,FundManager,Auditor?", "", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, CCXT),
    (M::Post, "/v1/earn/history", "list_earn_history", "earn_legacy", V::Private, "Trader,FundManager,Auditor?", "", Some(S::HistoryRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, CCXT),
    // clearing
    (M::Post, "/v1/clearing/new", "create_clearing_order", "clearing", V::Private, "Trader", "clearing:create", Some(S::ClearingCreate), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/clearing/broker/new", "create_broker_clearing_order", "clearing", V::Private, "Trader", "clearing:create", Some(S::ClearingCreate), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/clearing/status", "get_clearing_order", "clearing", V::Private, "Trader,Auditor", "clearing:read", Some(S::ClearingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/clearing/cancel", "cancel_clearing_order", "clearing", V::Private, "Trader", "clearing:create", Some(S::ClearingCreate), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/clearing/confirm", "confirm_clearing_order", "clearing", V::Private, "Trader", "clearing:create", Some(S::ClearingCreate), A::Inject, E::Trade, R::Private, T::Never, Q::Refused, OAS),
    (M::Post, "/v1/clearing/list", "list_clearing_orders", "clearing", V::Private, "Trader", "clearing:read", Some(S::ClearingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/clearing/broker/list", "list_broker_clearing_orders", "clearing", V::Private, "Trader", "clearing:read", Some(S::ClearingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    (M::Post, "/v1/clearing/trades", "list_clearing_trades", "clearing", V::Private, "Trader", "clearing:read", Some(S::ClearingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, OAS),
    // prediction_markets
    (M::Get, "/v1/prediction-markets/events", "list_prediction_events", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/events/{eventTicker}", "get_prediction_event", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/events/{eventTicker}/strike", "get_prediction_event_strike", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/events/newly-listed", "list_newly_listed_prediction_events", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/events/recently-settled", "list_recently_settled_prediction_events", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/events/upcoming", "list_upcoming_prediction_events", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/categories", "list_prediction_categories", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/volume/{date}", "get_prediction_volume", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/volume/{date}/hourly", "get_prediction_volume_hourly", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/terms", "get_prediction_terms", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/combos", "list_prediction_combos", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/combos/{instrumentSymbol}", "get_prediction_combo", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/maker-rebate/rates", "list_prediction_maker_rebate_rates", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/liquidity-rewards/config", "get_prediction_liquidity_rewards_config", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/liquidity-rewards/events", "list_prediction_liquidity_rewards_events", "prediction_markets", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, PMS),
    (M::Get, "/v1/prediction-markets/terms/status", "get_prediction_terms_status", "prediction_markets", V::Private, "Trader", "predictions:orders:read?", Some(S::PredictionsOrdersRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/terms/accept", "accept_prediction_terms", "prediction_markets", V::Private, "Trader", "predictions:orders:write?", Some(S::PredictionsOrdersWrite), A::Inject, E::Admin, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/order", "create_prediction_order", "prediction_markets", V::Private, "Trader", "predictions:orders:write?", Some(S::PredictionsOrdersWrite), A::Inject, E::Trade, R::Private, T::WithClientOrderId, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/order/batch", "create_prediction_orders_batch", "prediction_markets", V::Private, "Trader", "predictions:orders:write?", Some(S::PredictionsOrdersWrite), A::Inject, E::Trade, R::Private, T::WithClientOrderId, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/order/cancel", "cancel_prediction_order", "prediction_markets", V::Private, "Trader", "predictions:orders:write?", Some(S::PredictionsOrdersWrite), A::Inject, E::Trade, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/order/batch/cancel", "cancel_prediction_orders_batch", "prediction_markets", V::Private, "Trader", "predictions:orders:write?", Some(S::PredictionsOrdersWrite), A::Inject, E::Trade, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/orders/active", "list_active_prediction_orders", "prediction_markets", V::Private, "Trader", "predictions:orders:read?", Some(S::PredictionsOrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/orders/history", "list_prediction_order_history", "prediction_markets", V::Private, "Trader", "predictions:orders:read?", Some(S::PredictionsOrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/positions", "list_prediction_positions", "prediction_markets", V::Private, "Trader", "predictions:positions:read?", Some(S::PredictionsPositionsRead), A::Inject, E::Read, R::Private, T::Always, Q::Bare, PMS),
    (M::Post, "/v1/prediction-markets/positions/settled", "list_settled_prediction_positions", "prediction_markets", V::Private, "Trader", "predictions:positions:read?", Some(S::PredictionsPositionsRead), A::Inject, E::Read, R::Private, T::Always, Q::Bare, PMS),
    (M::Post, "/v1/prediction-markets/metrics/volume", "get_prediction_volume_metrics", "prediction_markets", V::Private, "Trader", "predictions:orders:read?", Some(S::PredictionsOrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/combos", "create_prediction_combo", "prediction_markets", V::Private, "Trader", "predictions:orders:write?", Some(S::PredictionsOrdersWrite), A::Inject, E::Trade, R::Private, T::Always, Q::Refused, PMS),
    (M::Post, "/v1/prediction-markets/maker-rebate/payouts", "list_prediction_maker_rebate_payouts", "prediction_markets", V::Private, "Trader", "predictions:balances:read?", Some(S::PredictionsBalancesRead), A::Inject, E::Read, R::Private, T::Always, Q::Bare, PMS),
    (M::Get, "/v1/prediction-markets/maker-rebate/summary/total", "get_prediction_maker_rebate_total", "prediction_markets", V::Private, "Trader", "predictions:balances:read?", Some(S::PredictionsBalancesRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Bare, PMS),
    (M::Get, "/v1/prediction-markets/liquidity-rewards/summary/daily", "list_prediction_liquidity_rewards_daily", "prediction_markets", V::Private, "Trader", "predictions:balances:read?", Some(S::PredictionsBalancesRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Bare, PMS),
    (M::Get, "/v1/prediction-markets/liquidity-rewards/summary/total", "get_prediction_liquidity_rewards_total", "prediction_markets", V::Private, "Trader", "predictions:balances:read?", Some(S::PredictionsBalancesRead), A::NotApplicable, E::Read, R::Private, T::Always, Q::Bare, PMS),
    // unverified
    (M::Get, "/v1/fundingamounts", "mcp_funding_amounts", "unverified", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, MCP),
    (M::Get, "/v1/perpetuals/fundingrates/{symbol}", "mcp_current_funding_rate", "unverified", V::Public, "", "", Some(S::MarketRead), A::NotApplicable, E::Read, R::Public, T::Always, Q::Open, MCP),
    (M::Post, "/v1/fundingpayments", "mcp_funding_payments", "unverified", V::Private, "", "", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, MCP),
    (M::Post, "/v1/margin/preview", "mcp_margin_preview", "unverified", V::Private, "", "", Some(S::OrdersRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, MCP),
    (M::Post, "/v1/account/transfer", "mcp_internal_transfer", "unverified", V::Private, "FundManager?", "", Some(S::TransfersCreate), A::Inject, E::Transfer, R::Private, T::Never, Q::Refused, MCP),
    (M::Post, "/v1/withdraw/usd", "mcp_fiat_withdraw", "unverified", V::Private, "FundManager?", "", Some(S::FiatWithdraw), A::Inject, E::FiatWithdrawal, R::Private, T::Never, Q::Refused, MCP),
    (M::Post, "/v1/oauth/token/revoke", "mcp_oauth_revoke", "unverified", V::Private, "", "", None, A::Never, E::Admin, R::Private, T::Always, Q::Refused, MCP),
    (M::Post, "/v1/staking/rates", "mcp_staking_rates", "unverified", V::Private, "", "", Some(S::StakingRead), A::Inject, E::Read, R::Private, T::Always, Q::Refused, MCP),
];
