//! Withdrawals and transfers, from the words that a client sends.

use super::*;

fn fund() -> Grant {
    let entry = Destination {
        currency: "btc".to_owned(),
        network: Some("bitcoin".to_owned()),
        address: "bc1qgood".to_owned(),
        memo: None,
        max_per_day: Decimal::parse("0.5"),
    };
    Grant {
        withdrawals: vec![entry],
        transfers: Some(Transfers {
            to: ["cold".to_owned()].into(),
            banks: ["b-1".to_owned()].into(),
        }),
        ..Grant::of(Bundle::FundManager.scopes())
    }
}

#[track_caller]
fn says(grant: &Grant, path: &str, body: &str, expected: &str) {
    let said = match asked(grant, path, body, None) {
        Ok(_) => "allowed".to_owned(),
        Err(why) => why,
    };
    assert!(said.contains(expected), "{path} {body}: {said:?} does not say {expected:?}");
}

#[test]
fn a_limited_destination_reads_the_amount() {
    let grant = fund();
    let with = |amount: &str| format!(r#"{{"address":"bc1qgood","amount":{amount}}}"#);
    for path in ["/v1/withdraw/btc", "/v1/withdraw/BTC", "/v2/withdraw/bitcoin/btc"] {
        says(&grant, path, &with(r#""0.5""#), "allowed");
        says(&grant, path, &with("0.5"), "allowed");
        says(&grant, path, &with(r#""0.500000000000000001""#), "is above its `max_per_day` of 0.5");
        for odd in ["5e-1", r#""5e-1""#, r#""٠.٥""#, r#""-1""#, r#""""#, r#""0x1""#, "null"] {
            says(&grant, path, &with(odd), "`amount` is read by `withdrawals.max_per_day`");
        }
        says(&grant, path, &with("[1]"), "can check the field `amount`");
        says(&grant, path, r#"{"address":"bc1qgood"}"#, "`amount` is read by");
        says(&grant, path, r#"{"address":"bc1qgood","Amount":"1"}"#, "spelling");
        says(&grant, path, r#"{"address":["bc1qgood"],"amount":"0.1"}"#, "`address` is not a text");
        says(
            &grant,
            path,
            r#"{"address":"bc1qgood","amount":"0.1","bankId":"b-1"}"#,
            "field `bankId`",
        );
    }
    let permit = asked(&grant, "/v2/withdraw/bitcoin/btc", &with("0.25"), None).unwrap();
    let share = permit.share().withdrawal.clone().unwrap();
    assert_eq!(share.destination, "btc/bitcoin/bc1qgood/");
    assert_eq!(
        (share.amount.to_string(), share.max_per_day.to_string()),
        ("0.25".to_owned(), "0.5".to_owned())
    );
    // Without a limit the amount is the client's own affair.
    let mut free = grant;
    free.withdrawals[0].max_per_day = None;
    says(&free, "/v1/withdraw/btc", &with("1e9"), "allowed");
    let permit = asked(&free, "/v1/withdraw/btc", &with("1"), None).unwrap();
    assert_eq!(permit.share(), &Share::default());
}

#[test]
fn of_entries_that_fit_the_one_that_allows_most_counts() {
    let mut grant = fund();
    let body = r#"{"address":"bc1qgood","amount":"2"}"#;
    says(&grant, "/v1/withdraw/btc", body, "is above its `max_per_day`");
    let other = Destination {
        network: Some("lightning".to_owned()),
        max_per_day: Decimal::parse("3"),
        ..grant.withdrawals[0].clone()
    };
    grant.withdrawals.push(other);
    says(&grant, "/v1/withdraw/btc", body, "allowed");
    says(&grant, "/v2/withdraw/bitcoin/btc", body, "is above its `max_per_day` of 0.5");
}

#[test]
fn money_goes_to_a_bank_that_is_named() {
    let grant = fund();
    for path in ["/v1/withdraw/usd", "/v1/payments/sen/withdraw", "/v1/withdraw/EUR"] {
        says(&grant, path, r#"{"bankId":"b-1","amount":"1"}"#, "allowed");
        says(&grant, path, r#"{"accountId":"b-1","amount":"1e9"}"#, "allowed");
        says(&grant, path, r#"{"bankId":"b-2","amount":"1"}"#, "does not have `b-2`");
        says(&grant, path, r#"{"bankId":"b-1","accountId":"b-2"}"#, "can check the field");
        says(&grant, path, r#"{"bankId":"b-1","address":"0x1"}"#, "a bank and an address");
        says(&grant, path, r#"{"bankId":"b-1","routing":"1"}"#, "can check the field `routing`");
        says(&grant, path, r#"{"amount":"1"}"#, "no `[[clients.withdrawals]]` entry");
        says(&grant, path, r#"{"BankId":"b-1"}"#, "spelling");
        let none = Grant { transfers: None, ..grant.clone() };
        says(&none, path, r#"{"bankId":"b-1","amount":"1"}"#, "does not have `b-1`");
    }
    says(
        &grant,
        "/v1/withdraw/usd",
        r#"{"accountId":"b-1","amount":"1","currency":"USD"}"#,
        "allowed",
    );
    // Where the path has the currency, another one is not understood.
    says(&grant, "/v1/withdraw/eur", r#"{"bankId":"b-1","currency":"USD"}"#, "field `currency`");
}

#[test]
fn transfers_go_where_they_may() {
    let grant = fund();
    let path = "/v1/account/transfer/btc";
    let to = |target: &str| {
        format!(r#"{{"sourceAccount":"primary","targetAccount":{target},"amount":"1"}}"#)
    };
    says(&grant, path, &to(r#""cold""#), "allowed");
    says(&grant, path, &to(r#""hot""#), "may not transfer to `hot`");
    says(&grant, path, &to(r#""Cold""#), "may not transfer to `Cold`");
    says(&grant, path, r#"{"sourceAccount":"primary"}"#, "an account that is not named");
    says(&grant, path, r#"{"targetAccount":"cold","to":"hot"}"#, "can check the field `to`");
    says(&grant, path, r#"{"targetAccount":"cold","TARGETACCOUNT":"hot"}"#, "stands twice");
    says(&grant, path, r#"{"targetaccount":"hot"}"#, "spelling");
    says(&grant, "/v1/account/transfer", r#"{"currency":"btc","targetAccount":"cold"}"#, "allowed");
    says(&grant, path, r#"{"currency":"btc","targetAccount":"cold"}"#, "field `currency`");
    // Without the table `accounts` decides alone, and only under a master key.
    let free = Grant { transfers: None, ..grant.clone() };
    says(&free, path, &to(r#""hot""#), "allowed");
    let banks = Transfers { to: BTreeSet::new(), ..grant.transfers.clone().unwrap() };
    says(&Grant { transfers: Some(banks), ..grant }, path, &to(r#""cold""#), "may not transfer");
}
