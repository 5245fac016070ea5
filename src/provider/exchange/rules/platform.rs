//! The exchange as a whole: closed, or asked too often.

use crate::diagnose::{Body, By, Cause, Confidence, Evidence, Finding, Retry, StatusPage};

/// What programs that talk to it match on (seen), in lower case.
const CLOSED: [&str; 2] = [
    "the gemini exchange is currently undergoing maintenance",
    "we are investigating technical issues with the gemini exchange",
];

pub(super) fn maintenance(evidence: &Evidence) -> Option<Finding> {
    if evidence.status != 503 {
        return None;
    }
    let reason = evidence.word(&["Maintenance"]).is_some();
    let own = matches!(evidence.body, Body::Json(_) | Body::Text(_));
    let text = evidence.text();
    let said = reason || own && CLOSED.iter().any(|it| text.starts_with(it));
    let page = evidence.status_page.as_ref().filter(|it| is_trouble(it));
    if !said && page.is_none() {
        return None;
    }
    let told = page.map(|StatusPage { indicator, description }| {
        format!("the exchange's status page says {indicator}: {description:?}")
    });
    let line = "nothing is wrong with the key or the proxy: the exchange is not open";
    let finding = Finding::of(Cause::Maintenance, line)
        .with(if said { Confidence::Certain } else { Confidence::Likely })
        .facts(said.then(|| "status 503, and the exchange's own word for maintenance".to_owned()))
        .facts((!said).then(|| "status 503".to_owned()))
        .facts(told)
        .fix(By::Nobody, "wait; https://status.gemini.com says for how long")
        .takes("as announced by the exchange")
        .retry(Retry::After(evidence.headers.retry_after.unwrap_or(60)));
    Some(finding)
}

/// Prediction markets answer so while a programme is off (documented).
pub(super) fn part_closed(evidence: &Evidence) -> Option<Finding> {
    evidence.word(&["SERVICE_UNAVAILABLE", "ServiceUnavailable"])?;
    (evidence.status == 503).then(|| {
        Finding::of(Cause::Maintenance, "this part of the exchange is switched off for now")
            .with(Confidence::Likely)
            .fact("status 503, and the code that prediction markets document for it")
            .fix(By::Nobody, "wait; https://status.gemini.com says whether it is known")
            .takes("as announced by the exchange")
            .retry(Retry::After(evidence.headers.retry_after.unwrap_or(60)))
    })
}

pub(super) fn rate_limited(evidence: &Evidence) -> Option<Finding> {
    let word = evidence.word(&["RateLimit", "Too Many Requests", "UsageLimit"]);
    let own = matches!(evidence.body, Body::Json(_));
    let open = matches!(evidence.body, Body::Empty | Body::Text(_));
    let refused = matches!(evidence.status, 400..=499);
    let told = word.is_some() && refused;
    // Gateways answer in JSON too, and Google does.
    let others = evidence.said().is_some_and(|it| it.google_status.is_some());
    let untold = evidence.status == 429 && (open || own && !others);
    if !(told || untold) {
        return None;
    }
    let (line, wait) = limit(evidence);
    let finding = Finding::of(Cause::RateLimited, line)
        .with(if told { Confidence::Certain } else { Confidence::Likely })
        .facts(word.map(|it| format!("Gemini's reason: {it}")))
        .facts((!told).then(|| "status 429 without a word of whose".to_owned()))
        .fix(By::Bot, "ask less often, or by fewer programs with one key and one address")
        .fix(
            By::Nobody,
            "after five delayed requests the exchange refuses until the rate has fallen",
        )
        .takes("within a minute")
        .retry(Retry::After(evidence.headers.retry_after.unwrap_or(wait)));
    Some(finding)
}

/// The limit that the call met (developer.gemini.com/rate-limit, 2026-09), and how long to wait.
fn limit(evidence: &Evidence) -> (String, u64) {
    let operation = evidence.operation_words();
    let of_its_own = match operation {
        "list_transfers" | "list_transfers_v1" | "list_custody_account_fees" => {
            Some("one call of transfers and custody fees in 5 s for each account")
        }
        "list_deposit_addresses" => Some("one call in 2 s for each account"),
        _ => None,
    };
    let general = "the exchange allows 120 public and 600 private requests a minute";
    of_its_own.map_or_else(
        || (general.to_owned(), 10),
        |own| (format!("the exchange allows {operation} {own}, beside the general rate"), 5),
    )
}

fn is_trouble(page: &StatusPage) -> bool {
    page.indicator != "none"
}
