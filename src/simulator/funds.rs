//! The calls about funds: balances, addresses, deposits, withdrawals, transfers, banks.
//!
//! 1. A withdrawal takes the amount from the balance at once. Nothing ever arrives anywhere.
//! 2. A `clientTransferId` that was used before answers as the first time and moves nothing, on
//!    v2 only: that is where Gemini documents it.
//! 3. A path's currency may come in either case.

use serde_json::Value;
use serde_json::json;

use crate::simulator::account::Account;
use crate::simulator::account::Balance;
use crate::simulator::catalog::Asking;
use crate::simulator::decimal::Amount;
use crate::simulator::market;
use crate::simulator::reply::Answer;
use crate::simulator::reply::Content;
use crate::simulator::reply::Rejection;

pub(crate) fn balances(asking: &mut Asking<'_>) -> Answer {
    let account = asking.funds();
    let list = account.balances.iter().map(|(currency, balance)| balance_json(currency, balance));
    Ok(Content::Json(list.collect()))
}

fn balance_json(currency: &str, balance: &Balance) -> Value {
    let available = balance.available.to_string();
    json!({
        "type": "exchange", "currency": currency, "amount": balance.amount.to_string(),
        "available": available, "availableForWithdrawal": available,
        "pendingWithdrawal": "0", "pendingDeposit": "0",
    })
}

pub(crate) fn notional_balances(asking: &mut Asking<'_>) -> Answer {
    let currency = asking.capture(0).to_uppercase();
    let list = asking.funds().balances.iter().map(|(name, balance)| {
        let amount = balance.amount.to_string();
        json!({
            "currency": name, "amount": amount, "amountNotional": amount,
            "available": balance.available.to_string(),
            "availableNotional": balance.available.to_string(),
            "availableForWithdrawal": balance.available.to_string(),
            "availableForWithdrawalNotional": balance.available.to_string(),
            "notionalCurrency": currency,
        })
    });
    Ok(Content::Json(list.collect()))
}

pub(crate) fn staking_balances(_: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(json!([{
        "type": "Staking", "currency": "ETH", "balance": 12.5, "available": 0,
        "availableForWithdrawal": 0,
        "balanceByProvider": { "62b21e17-2534-4b9f-afcf-b7edb609dd8d": { "balance": 12.5 } },
    }])))
}

pub(crate) fn addresses(asking: &mut Asking<'_>) -> Answer {
    let network = network(asking)?;
    let now = asking.now;
    let account = asking.funds();
    if !account.addresses.contains_key(&network) {
        account.new_address(&network, None, now);
    }
    Ok(Content::Json(account.addresses.get(&network).cloned().unwrap_or_default().into()))
}

pub(crate) fn new_address(asking: &mut Asking<'_>) -> Answer {
    let (network, now) = (network(asking)?, asking.now);
    let label = asking.payload.text("label");
    Ok(Content::Json(asking.funds().new_address(&network, label, now)))
}

/// The network in the path; ccxt names a currency there, which is allowed too.
fn network(asking: &Asking<'_>) -> Result<String, Rejection> {
    let asked = asking.capture(0);
    let known = ["bitcoin", "ethereum", "solana", "dogecoin", "litecoin", "zcash", "filecoin"];
    let named = market::network_of(&asked.to_uppercase());
    let network = named.or_else(|| known.into_iter().find(|it| *it == asked));
    let text = format!("UnsupportedNetwork: {asked}");
    network.map(str::to_owned).ok_or_else(|| Rejection::new(404, "UnsupportedNetwork", text))
}

pub(crate) fn transfers(asking: &mut Asking<'_>) -> Answer {
    Ok(Content::Json(asking.funds().transfers.iter().rev().take(50).cloned().collect()))
}

pub(crate) fn transactions(asking: &mut Asking<'_>) -> Answer {
    let results: Vec<_> = asking.funds().transfers.iter().rev().take(50).cloned().collect();
    Ok(Content::Json(json!({ "results": results, "continuationToken": "" })))
}

pub(crate) fn withdraw_v1(asking: &mut Asking<'_>) -> Answer {
    let currency = asking.capture(0).to_uppercase();
    withdraw(asking, &currency, None)
}

pub(crate) fn withdraw_v2(asking: &mut Asking<'_>) -> Answer {
    let network = network(asking)?;
    let currency = asking.capture(1).to_uppercase();
    withdraw(asking, &currency, Some(&network))
}

fn withdraw(asking: &mut Asking<'_>, currency: &str, network: Option<&str>) -> Answer {
    let payload = asking.payload;
    let transfer_id = network.and_then(|_| payload.text("clientTransferId"));
    if let Some(known) = transfer_id.and_then(|it| asking.world.withdrawals.get(it)) {
        return Ok(Content::Json(known.clone()));
    }
    let missing = |name: &str| Rejection::bad("InvalidParameterValue", format!("Missing '{name}'"));
    let address = payload.text("address").ok_or_else(|| missing("address"))?;
    let amount = positive(asking)?;
    take(asking.funds(), currency, amount)?;
    let (number, now) = (asking.world.number(), asking.now);
    let id = format!("02176a83-a6b1-4202-9b85-{number:012}");
    let text = format!(
        "You have requested a transfer of {amount} {currency} to {address}. This withdrawal will \
         be sent to the blockchain within the next 60 seconds."
    );
    let answer = json!({
        "address": address, "amount": amount.to_string(), "fee": "0", "withdrawalId": id,
        "message": text,
    });
    asking.funds().remember(json!({
        "type": "Withdrawal", "status": "Advanced", "timestampms": now.millis(), "eid": number,
        "currency": currency, "amount": amount.to_string(), "method": network,
        "destination": address, "withdrawalId": id,
    }));
    if let Some(transfer_id) = transfer_id {
        asking.world.withdrawals.insert(transfer_id.to_owned(), answer.clone());
    }
    Ok(Content::Json(answer))
}

fn positive(asking: &Asking<'_>) -> Result<Amount, Rejection> {
    let amount = asking.payload.amount("amount").filter(|it| it.is_positive());
    let text = asking.payload.digits("amount").unwrap_or_default();
    amount.ok_or_else(|| Rejection::bad("InvalidQuantity", format!("Invalid amount: {text}")))
}

fn take(account: &mut Account, currency: &str, amount: Amount) -> Result<(), Rejection> {
    if !account.hold(currency, amount) {
        let text = format!("Insufficient {currency} for this withdrawal");
        return Err(Rejection::new(406, "InsufficientFunds", text));
    }
    account.spend(currency, amount);
    Ok(())
}

pub(crate) fn fee_estimate(asking: &mut Asking<'_>) -> Answer {
    // v1 has the currency as its only part, v2 as its second.
    let last = if asking.capture(1).is_empty() { 0 } else { 1 };
    let currency = asking.capture(last).to_uppercase();
    Ok(Content::Json(json!({
        "currency": currency, "fee": { "currency": currency, "value": "0" },
        "isOverride": false, "monthlyLimit": 10, "monthlyRemaining": 10,
    })))
}

pub(crate) fn add_bank(asking: &mut Asking<'_>) -> Answer {
    let number = asking.world.number();
    let id = format!("18428{number:012}");
    Ok(Content::Json(json!({ "result": "OK", "referenceId": id })))
}

pub(crate) fn payment_methods(asking: &mut Asking<'_>) -> Answer {
    let balances = asking.funds().balances.iter().filter(|(name, _)| name.ends_with("USD"));
    let balances: Vec<_> = balances.map(|(name, it)| balance_json(name, it)).collect();
    let bank = json!({ "bank": "Simulated Bank Checking - 0001", "bankId": "97631a24-ca40" });
    Ok(Content::Json(json!({ "balances": balances, "banks": [bank] })))
}

pub(crate) fn approved(asking: &mut Asking<'_>) -> Answer {
    let network = network(asking)?;
    let list = asking.funds().approved.get(&network).cloned().unwrap_or_default();
    Ok(Content::Json(json!({ "approvedAddresses": list })))
}

pub(crate) fn approve(asking: &mut Asking<'_>) -> Answer {
    let (network, now) = (network(asking)?, asking.now);
    let text = |name: &str| asking.payload.text(name).unwrap_or_default();
    let entry = json!({
        "network": network, "scope": "account", "label": text("label"), "status": "pending-time",
        "createdAt": now.millis().to_string(), "address": text("address"),
    });
    asking.funds().approved.entry(network).or_default().push(entry);
    let message =
        "Approved address addition is now waiting a 7-day approval hold before activation.";
    Ok(Content::Json(json!({ "message": message })))
}

pub(crate) fn disapprove(asking: &mut Asking<'_>) -> Answer {
    let network = network(asking)?;
    let address = asking.payload.text("address").unwrap_or_default();
    let known = asking.funds().approved.entry(network).or_default();
    known.retain(|it| it.get("address").and_then(Value::as_str) != Some(address));
    let message = format!("{address} removed from account pool approved addresses");
    Ok(Content::Json(json!({ "message": message })))
}

pub(crate) fn transfer(asking: &mut Asking<'_>) -> Answer {
    let currency = asking.capture(0).to_uppercase();
    let amount = positive(asking)?;
    let account = |name: &str| {
        let shortname = asking.payload.text(name).unwrap_or_default();
        let known = asking.world.accounts.contains_key(shortname);
        let text = format!("No account named '{shortname}'");
        known.then_some(shortname).ok_or_else(|| Rejection::bad("InvalidFundTransfer", text))
    };
    let (source, target) = (account("sourceAccount")?, account("targetAccount")?);
    if let Some(account) = asking.world.accounts.get_mut(source) {
        take(account, &currency, amount)?;
    }
    if let Some(account) = asking.world.accounts.get_mut(target) {
        account.receive(&currency, amount);
    }
    let uuid = format!("7c2b0f7e-6b1a-4c1e-8a58-{:012}", asking.world.number());
    let text =
        format!("Success, transfer completed: {amount} {currency} from {source} to {target}");
    Ok(Content::Json(json!({
        "fromAccount": source, "toAccount": target, "amount": amount.to_string(), "fee": "0",
        "currency": currency, "withdrawalId": uuid, "uuid": uuid, "message": text,
    })))
}

pub(crate) fn network_assets(asking: &mut Asking<'_>) -> Answer {
    let network = network(asking).map_err(|_| {
        Rejection::error_message(format!("Unsupported network {}", asking.capture(0)))
    })?;
    let coins = ["BTC", "DOGE", "ETH", "GUSD", "SOL", "USDC"].into_iter();
    let coins: Vec<_> = coins.filter(|it| market::network_of(it) == Some(&*network)).collect();
    Ok(Content::Json(json!({ "network": network, "assets": coins })))
}

pub(crate) fn fx_rate(asking: &mut Asking<'_>) -> Answer {
    let pair = asking.capture(0).to_uppercase();
    let at = asking.capture(1).parse::<u64>().map_err(|_| {
        Rejection::bad("InvalidTimestampInPayload", "The timestamp is not a number")
    })?;
    Ok(Content::Json(json!({
        "fxPair": pair, "rate": "0.69", "asOf": at, "provider": "bcb", "benchmark": "Spot",
    })))
}

pub(crate) fn wrap(asking: &mut Asking<'_>) -> Answer {
    let id = asking.capture(0);
    let symbol = market::symbol(id).ok_or_else(|| Rejection::unsupported_symbol(id))?;
    let text = format!("Wrapping is not enabled for {}", symbol.id.to_uppercase());
    Err(Rejection::bad("InvalidSymbol", text))
}

pub(crate) fn stake(asking: &mut Asking<'_>) -> Answer {
    let (amount, number) = (positive(asking)?.to_string(), asking.world.number());
    let currency = asking.payload.text("currency").unwrap_or("ETH");
    let provider = asking.payload.text("providerId");
    Ok(Content::Json(json!({
        "transactionId": format!("SIM{number:09}"), "providerId": provider, "currency": currency,
        "amount": amount, "rates": { "providerId": provider, "rate": 275 },
    })))
}
