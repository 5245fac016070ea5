//! The account behind the key: which is meant, and what it may do.

use crate::diagnose::{Body, By, Cause, Confidence, Evidence, Finding};

const SUPPORT: &str = "ask the exchange's support what the account waits for";

pub(super) fn missing(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["MissingAccounts"])?;
    let unset = evidence.key.as_ref().is_some_and(|it| it.account.is_none());
    let unset = unset.then(|| format!("{} has no default `account`", evidence.key_words()));
    Some(
        Finding::of(Cause::AccountMissing, "a master key must name the account it means")
            .fact("Gemini's reason: MissingAccounts")
            .facts(unset)
            .fix(By::Operator, "set `account` of the key in proxy.toml to the account's short name")
            .fix(
                By::Bot,
                "or send `account` with the call; it is the short name, not the display name",
            )
            .takes("immediate"),
    )
}

pub(super) fn more_than_one(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["MoreThanOneAccount"])?;
    Some(
        Finding::of(
            Cause::AccountMissing,
            "the call names more than one account, and may name one",
        )
        .fact("Gemini's reason: MoreThanOneAccount")
        .fix(By::Bot, "send one `account` with the call, and one call for each account")
        .takes("a change in the bot"),
    )
}

pub(super) fn on_account_key(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["AccountsOnGroupOnlyApi"])?;
    Some(
        Finding::of(
            Cause::AccountOnAccountKey,
            "`account` was sent, and the key is not a master key",
        )
        .fact("Gemini's reason: AccountsOnGroupOnlyApi")
        .fix(By::Bot, "leave `account` out of the call")
        .fix(By::Operator, "or point the client at a master key, if it is to use several accounts")
        .takes("a change in the bot"),
    )
}

/// Documented for prediction markets, under `error` or `code`.
pub(super) fn restricted(evidence: &Evidence) -> Option<Finding> {
    let word = evidence.word(&["ACCOUNT_RESTRICTED_SELL_ONLY"])?;
    let line = "the account may only sell what it has: it may not buy";
    Some(
        Finding::of(Cause::AccountRestricted, line)
            .fact(format!("Gemini's word: {word}"))
            .fact("neither the key nor the proxy is at fault")
            .fix(
                By::AccountOwner,
                "look for a message of the exchange about the account, and answer it",
            )
            .fix(By::Exchange, SUPPORT)
            .takes("hours to days"),
    )
}

/// The same, for the whole product. Whether the place or the account is the reason, it does not tell.
pub(super) fn blocked(evidence: &Evidence) -> Option<Finding> {
    let word = evidence.word(&["ACCOUNT_GROUP_BLOCKED"])?;
    let line = "the account is not admitted to this product";
    Some(
        Finding::of(Cause::AccountRestricted, line)
            .fact(format!("Gemini's word: {word}"))
            .fact("the exchange does not say whether for the account's place or for the account")
            .fix(
                By::AccountOwner,
                "see on the exchange's site whether the product is offered to the account",
            )
            .fix(By::Exchange, SUPPORT)
            .takes("hours to days"),
    )
}

/// No text is published for accounts on hold: these are words that it would have to use.
pub(super) fn held(evidence: &Evidence) -> Option<Finding> {
    let words = [
        "suspended",
        "on hold",
        "been locked",
        "is locked",
        "frozen",
        "dormant",
        "inactiv",
        "been restricted",
        "is restricted",
        "is under review",
        "been disabled",
        "deactivated",
    ];
    let word = about_account(evidence, &words)?;
    Some(
        Finding::of(Cause::AccountRestricted, "the account is held by the exchange")
            .with(Confidence::Likely)
            .fact(format!("the exchange's message speaks of an account and says `{word}`"))
            .fix(By::AccountOwner, "log in to the exchange's site and see what it asks for")
            .fix(By::Exchange, SUPPORT)
            .takes("hours to days"),
    )
}

pub(super) fn closed(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["AccountClosed"])?;
    Some(gone(
        Finding::of(Cause::AccountClosed, "the account is closed")
            .fact("Gemini's reason: AccountClosed"),
    ))
}

pub(super) fn closed_in_words(evidence: &Evidence) -> Option<Finding> {
    let word =
        about_account(evidence, &["been closed", "is closed", "been terminated", "is terminated"])?;
    Some(gone(
        Finding::of(Cause::AccountClosed, "the account is closed")
            .with(Confidence::Likely)
            .fact(format!("the exchange's message speaks of an account and says `{word}`")),
    ))
}

pub(super) fn type_wrong(evidence: &Evidence) -> Option<Finding> {
    let reason = evidence.word(&["AccountNotOfTypeRequired", "NoAccountOfTypeRequired"])?;
    let operation = evidence.operation_words();
    let line = if reason == "NoAccountOfTypeRequired" {
        format!("no account of this key is of the type that {operation} serves")
    } else {
        format!("the account is not of the type that {operation} serves")
    };
    Some(
        Finding::of(Cause::AccountTypeWrong, line)
            .fact(format!("Gemini's reason: {reason}"))
            .fix(By::Operator, "use a key of an account of that type: derivatives, custody, margin")
            .fix(
                By::AccountOwner,
                "open such an account on the exchange's site, where it is offered",
            )
            .takes("minutes, if such an account exists"),
    )
}

pub(super) fn terms(evidence: &Evidence) -> Option<Finding> {
    let words =
        ["HasNotAgreedToCustodyTerms", "MustAcceptTerms", "TERMS_NOT_ACCEPTED", "TermsNotFound"];
    let word = evidence.word(&words)?;
    let line = match word {
        "HasNotAgreedToCustodyTerms" => {
            "the custody terms must be accepted on the exchange's site first"
        }
        "TERMS_NOT_ACCEPTED" | "TermsNotFound" => {
            "the terms of prediction markets must be accepted first"
        }
        _ => "terms must be accepted on the exchange's site first",
    };
    let by_call = matches!(word, "TERMS_NOT_ACCEPTED" | "TermsNotFound");
    let finding = Finding::of(Cause::TermsNotAccepted, line)
        .fact(format!("Gemini's word: {word}"))
        .fix(By::AccountOwner, "log in to the exchange's site and accept them")
        .takes("minutes");
    if by_call {
        let call = "or, for who may bind the account: `POST /v1/prediction-markets/terms/accept`";
        return Some(finding.fix(By::AccountOwner, call));
    }
    Some(finding)
}

/// No text is published for regions either.
pub(super) fn region(evidence: &Evidence) -> Option<Finding> {
    let own = evidence.said()?;
    let refused = matches!(evidence.status, 400 | 401 | 403 | 451);
    let places =
        ["your region", "your country", "your jurisdiction", "in your state", "your location"];
    let text = evidence.text();
    // `your statement` is no place, and neither is `your locations`.
    let whole =
        |it: &&&str| text.match_indices(**it).any(|(at, it)| ends_word(&text, at + it.len()));
    let open = refused && own.google_status.is_none();
    let place = places.iter().filter(|_| open).find(whole)?;
    Some(
        Finding::of(
            Cause::RegionRestricted,
            "this is not offered where the account or the caller is",
        )
        .with(Confidence::Likely)
        .fact(format!("the exchange's message speaks of `{place}`"))
        .fix(By::AccountOwner, "see on the exchange's site what is offered to the account's place")
        .fix(By::Operator, "if requests leave from another country: leave from the account's")
        .takes("as long as the place is the same"),
    )
}

fn gone(finding: Finding) -> Finding {
    finding
        .fix(By::Exchange, "ask the exchange's support whether it can be opened again")
        .fix(By::Operator, "point the client at a key of another account")
        .takes("days")
}

fn ends_word(text: &str, at: usize) -> bool {
    text.get(at..).is_none_or(|it| !it.starts_with(char::is_alphanumeric))
}

/// One of `words` in a rejection of the exchange's own that says it of an account: a few words behind it, in
/// the same sentence. The market may be closed, and a key disabled.
fn about_account(evidence: &Evidence, words: &[&'static str]) -> Option<&'static str> {
    let refused = matches!(evidence.status, 401 | 403) && matches!(evidence.body, Body::Json(_));
    let known = evidence.word(KNOWN).is_some();
    let text = evidence.text();
    if !refused || known || text.contains("sub-account") {
        return None;
    }
    let mut told = text.match_indices("account").filter_map(|(at, account)| {
        let behind = text.get(at + account.len()..)?;
        // A key's own text begins with the word.
        let sentence = behind.split(['.', ';', '!']).next().filter(|it| !it.starts_with('-'))?;
        let near: String = sentence.chars().take(NEAR).collect();
        words.iter().find(|it| near.contains(*it)).copied()
    });
    told.next()
}

/// As many characters behind the account still speak of it.
const NEAR: usize = 48;

/// Words whose own rules say more.
const KNOWN: &[&str] = &[
    "AccountClosed",
    "MissingRole",
    "InvalidApiKey",
    "ACCOUNT_RESTRICTED_SELL_ONLY",
    "ACCOUNT_GROUP_BLOCKED",
    "ApiKeyIpFilteringFailure",
    "RemoteAddressForbidden",
];
