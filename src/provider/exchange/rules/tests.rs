//! Every rule against written-down cases: one in which it fires, and a near miss in which it is silent.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::Value;

use super::super::rejection::is_about_access;
use super::*;
use crate::call::StopCause;
use crate::diagnose::{
    Asked, Body, Cause, Change, ChangeKind, Diagnosis, EgressEvidence, Evidence, Finding, Headers,
    KeyEvidence, Lately, NonceEvidence, Past, Probe, Said, SecretFile, StatusPage, any_upstream,
    diagnose, open_questions, read_body,
};
use crate::provider::Answer;

const EXCHANGE: &str = include_str!("../../../../tests/it/fixtures/diagnoses/exchange.json");
const EDGES: &str = include_str!("../../../../tests/it/fixtures/diagnoses/edges.json");
const MIXED: &str = include_str!("../../../../tests/it/fixtures/diagnoses/mixed.json");
const TABLE: &str = include_str!("../../../../docs/diagnosis-cases.md");
const BEGIN: &str = "<!-- begin: the cases -->\n";
const END: &str = "<!-- end: the cases -->\n";

fn cases(of: &str) -> Vec<Value> {
    serde_json::from_str(of).unwrap()
}

fn all() -> Vec<Value> {
    [EXCHANGE, EDGES, MIXED].into_iter().flat_map(cases).collect()
}

#[test]
fn every_case_is_explained_as_written_down() {
    let all = all();
    assert!(all.len() >= 80, "{}", all.len());
    let names: BTreeSet<&str> = all.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), all.len(), "two cases have one name");
    // All of them are judged before the test fails.
    let failed = |it: &&Value| std::panic::catch_unwind(|| check(it)).is_err();
    let failed: Vec<&Value> = all.iter().filter(failed).map(|it| &it["name"]).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[track_caller]
fn check(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let evidence = evidence(case);
    let status = StatusCode::from_u16(evidence.status).unwrap();
    let about = is_about_access(&Answer { status, body: evidence.body.clone() });
    let offline = case["offline"] == true;
    if !offline {
        assert_eq!(about, case["diagnosis"].is_object(), "{name}: is it explained at all?");
    }
    let diagnosis = diagnose(&evidence, RULES);
    let Diagnosis { finding, alternatives } = &diagnosis;
    if let Some(expected) = case["diagnosis"].as_object() {
        let said = [
            ("cause", finding.cause.code()),
            ("confidence", finding.confidence.as_str()),
            ("decided_by", finding.decided_by.as_str()),
            ("resolution", finding.resolution),
            ("retry", &finding.retry.to_string()),
        ];
        for (member, value) in said {
            let wanted = expected.get(member).map_or(value, |it| it.as_str().unwrap());
            assert_eq!(value, wanted, "{name}: {member} of {diagnosis:#?}");
        }
    }
    check_words(case, finding);
    if case["also"].is_array() {
        let also: Vec<&str> = alternatives.iter().map(|it| it.cause.code()).collect();
        assert_eq!(also, texts(case, "also"), "{name}");
    }
    if case["questions"].is_array() {
        let open = open_questions(&evidence, &diagnosis);
        let open: Vec<&str> = open.into_iter().map(|it| it.as_str()).collect();
        assert_eq!(open, texts(case, "questions"), "{name}");
    }
    for (list, fires) in [("fires", true), ("quiet", false)] {
        for rule in texts(case, list) {
            let judged = judge(rule, &evidence);
            assert_eq!(judged.is_some(), fires, "{name}: {rule}: {judged:#?}");
        }
    }
}

#[track_caller]
fn check_words(case: &Value, finding: &Finding) {
    let (name, said) = (&case["name"], spoken(finding));
    if let Some(message) = case["message"].as_str() {
        assert!(message.ends_with(&finding.line), "{name}: {}", finding.line);
    }
    for (list, wanted) in [("says", true), ("not_says", false)] {
        for text in texts(case, list) {
            assert_eq!(said.contains(text), wanted, "{name}: `{text}` {list}\n{said}");
        }
    }
}

#[test]
fn every_rule_has_a_case_and_a_near_miss() {
    let all = all();
    let named = |list: &str| -> BTreeSet<String> {
        all.iter().flat_map(|it| texts(it, list)).map(str::to_owned).collect()
    };
    let rules: BTreeSet<String> = table().map(|it| plain(it.name)).collect();
    assert_eq!(rules, named("fires"), "left: the rules, right: those with a case");
    assert_eq!(rules, named("quiet"), "left: the rules, right: those with a near miss");
}

/// The reasons of the exchange's error table that come with 401 or 403, and those that have been seen
/// there.
#[test]
fn every_documented_refusal_of_access_is_known() {
    for reason in [
        "MissingRole",
        "ApiKeyIpFilteringFailure",
        "RemoteAddressForbidden",
        "InvalidApiKey",
        "ACCOUNT_GROUP_BLOCKED",
        "TERMS_NOT_ACCEPTED",
        "ACCOUNT_RESTRICTED_SELL_ONLY",
        "NotGroupApiCompatible",
        "AccountsOnGroupOnlyApi",
        "AccountNotOfTypeRequired",
        "NoAccountOfTypeRequired",
        "HasNotAgreedToCustodyTerms",
        "MustAcceptTerms",
        "AccountClosed",
        "MissingSecurityHeaders",
        "MissingApikeyHeader",
        "MissingPayloadHeader",
        "MissingSignatureHeader",
        "AmbiguousAuthentication",
        "NoSSL",
    ] {
        for status in [401, 403] {
            for member in ["reason", "error", "code"] {
                let body = format!(r#"{{"{member}":"{reason}","message":"x"}}"#);
                let body = read_body(body.as_bytes(), str::to_owned);
                let evidence = Evidence { status, body, ..Evidence::default() };
                let Diagnosis { finding, .. } = diagnose(&evidence, RULES);
                assert_ne!(finding.cause, Cause::Unexplained, "{status} {member} {reason}");
                assert_eq!(finding.confidence.as_str(), "certain", "{status} {member} {reason}");
            }
        }
    }
}

#[test]
fn the_document_shows_the_cases_as_they_are_judged() {
    let (_, rest) = TABLE.split_once(BEGIN).unwrap();
    let (written, _) = rest.split_once(END).unwrap();
    assert!(cases(MIXED).len() >= 60);
    assert!(written == rows(), "run the ignored test `write_the_document`");
}

#[test]
#[ignore = "it writes the table of the document anew"]
fn write_the_document() {
    let (before, rest) = TABLE.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnosis-cases.md");
    std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", rows())).unwrap();
}

fn rows() -> String {
    let mut out = String::from(
        "| case | the answer | what really happened | what is said first | what else is named |\n|---|---|---|---|---|\n",
    );
    for case in cases(MIXED) {
        let evidence = evidence(&case);
        let Diagnosis { finding, alternatives } = diagnose(&evidence, RULES);
        let named = |it: &Finding| format!("`{}` ({})", it.cause.code(), it.confidence);
        let also: Vec<String> = alternatives.iter().map(named).collect();
        let also = if also.is_empty() { "nothing".to_owned() } else { also.join(", ") };
        let what = match &evidence.body {
            Body::Empty => "no body".to_owned(),
            Body::Page { .. } => "a page".to_owned(),
            Body::Text(_) => "a text".to_owned(),
            Body::Json(Said { reason, error, code, google_status, .. }) => {
                let short = |it: &&Option<String>| it.as_ref().is_some_and(|it| !it.contains(' '));
                let word = [reason, code, error, google_status].into_iter().find(short);
                format!("`{}`", word.and_then(Clone::clone).unwrap_or_default())
            }
        };
        let (name, truth) = (case["name"].as_str().unwrap(), case["truth"].as_str().unwrap());
        let (status, first) = (evidence.status, named(&finding));
        writeln!(out, "| {name} | {status}, {what} | {truth} | {first} | {also} |").unwrap();
    }
    out
}

proptest! {
    /// Whatever comes, something is found, each cause once, the surest first, and with something to do.
    #[test]
    fn any_answer_is_explained(
        status in 400_u16..600,
        words in "[ -~]{0,60}",
        word in prop::sample::select(vec!["MissingRole", "InvalidNonce", "RateLimit", "x", "403"]),
        shape in 0..5,
        server in prop::option::of("[a-z/0-9.]{0,12}"),
    ) {
        let body = match shape {
            0 => Body::Empty,
            1 => Body::Text(words),
            2 => Body::Page { title: Some(words.clone()), code: Some(word.to_owned()), words },
            3 => Body::Json(Said {
                error: Some(word.to_owned()), code: Some(words), ..Said::default()
            }),
            _ => Body::Json(Said {
                reason: Some(word.to_owned()), message: Some(words), ..Said::default()
            }),
        };
        let headers = Headers { server, ..Headers::default() };
        let evidence = Evidence { status, body, headers, ..Evidence::default() };
        let diagnosis = diagnose(&evidence, RULES);
        let mut causes = BTreeSet::from([diagnosis.finding.cause]);
        let mut before = diagnosis.finding.confidence;
        for it in &diagnosis.alternatives {
            prop_assert!(causes.insert(it.cause) && before <= it.confidence);
            before = it.confidence;
        }
        let all = std::iter::once(&diagnosis.finding).chain(&diagnosis.alternatives);
        for it in all {
            prop_assert!(!it.line.is_empty() && !it.fix.is_empty() && !it.evidence.is_empty());
            prop_assert!(!it.line.contains('\n'));
        }
    }
}

fn table() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(any_upstream())
}

fn judge(rule: &str, evidence: &Evidence) -> Option<Finding> {
    let found = table().find(|it| plain(it.name) == rule);
    let found = found.unwrap_or_else(|| panic!("no rule is called {rule}"));
    (found.judge)(evidence)
}

/// `stringify!` may put spaces around `::`.
fn plain(name: &str) -> String {
    name.replace(' ', "")
}

/// All that a person reads of a finding.
fn spoken(finding: &Finding) -> String {
    let fixes = finding.fix.iter().map(|it| &it.text);
    let all: Vec<&str> = std::iter::once(&finding.line)
        .chain(&finding.evidence)
        .chain(fixes)
        .map(String::as_str)
        .collect();
    all.join("\n")
}

fn texts<'a>(case: &'a Value, list: &str) -> Vec<&'a str> {
    let list = case[list].as_array().into_iter().flatten();
    list.map(|it| it.as_str().unwrap()).collect()
}

/// A case's evidence. Of what it leaves out, the key is a plain one and the rest unknown.
fn evidence(case: &Value) -> Evidence {
    let (answer, context) = (&case["answer"], &case["context"]);
    let body = answer["body"].as_str().unwrap();
    let mask = |it: &str| it.replace("account-realTrader00001", "…0001");
    let operation = text(&context["operation"]).unwrap_or_else(|| "list_balances".to_owned());
    let roles_needed = if context["roles_needed"].is_array() {
        strings(&context["roles_needed"])
    } else {
        ["Trader", "FundManager", "Auditor"].map(str::to_owned).into()
    };
    Evidence {
        status: u16::try_from(answer["status"].as_u64().unwrap()).unwrap(),
        body: read_body(body.as_bytes(), mask),
        headers: headers(&answer["headers"]),
        upgrade: context["upgrade"] == true,
        environment: (context["environment"] == "production").then_some("production"),
        operation: Some(operation),
        roles_needed,
        client: Some("default".to_owned()),
        key: key(context),
        nonce: nonce(&context["nonce"]),
        skew_millis: context["skew_millis"].as_i64(),
        egress: EgressEvidence {
            local: address(&context["egress"]["local"]),
            seen: address(&context["egress"]["seen"]),
            expected: list(&context["egress"]["expected"]).iter().filter_map(address).collect(),
        },
        past: past(&context["past"]),
        changes: list(&context["changes"]).iter().map(change).collect(),
        status_page: context["status_page"].as_array().map(|it| StatusPage {
            indicator: text(&it[0]).unwrap(),
            description: text(&it[1]).unwrap(),
        }),
        probe: Probe {
            roles: asked(&context["probe"]["roles"]),
            public: asked(&context["probe"]["public"]),
        },
    }
}

fn headers(given: &Value) -> Headers {
    let one = |name: &str| text(&given[name]);
    let named = |name: &str| one(name).map(|it| format!("{name}: {it}"));
    Headers {
        retry_after: one("retry-after").and_then(|it| it.parse().ok()),
        server: one("server"),
        via: one("via"),
        edge_id: named("cf-ray").or_else(|| named("x-amz-cf-id")),
        mitigated: one("cf-mitigated"),
        challenge: one("www-authenticate").or_else(|| one("proxy-authenticate")),
    }
}

fn key(context: &Value) -> Option<KeyEvidence> {
    let key = &context["key"];
    let given = context.get("key");
    given.is_none_or(|it| !it.is_null()).then(|| KeyEvidence {
        name: text(&key["name"]).unwrap_or_else(|| "trading".to_owned()),
        hint: "…0001".to_owned(),
        master: key["master"] == true,
        odd: key["odd"] == true,
        account: text(&key["account"]),
        roles: key["roles"].as_array().map(|it| (strings(&it[0]), seconds(&it[1]).unwrap())),
        secret: match key["secret"].as_str() {
            None => SecretFile::NotAsked,
            Some("same") => SecretFile::Same,
            Some("taken_up") => SecretFile::TakenUp,
            Some("other_key") => SecretFile::OtherKey,
            Some(_) => SecretFile::Unreadable("permission denied".to_owned()),
        },
    })
}

fn nonce(given: &Value) -> Option<NonceEvidence> {
    let mode = ["increasing", "time"].into_iter().find(|it| given["mode"] == *it);
    let unit = ["s", "ms", "us"].into_iter().find(|it| given["unit"] == *it);
    given.is_object().then(|| NonceEvidence {
        mode: mode.unwrap_or("unknown"),
        unit: unit.unwrap_or("ms"),
        n_resigns: u32::try_from(given["n_resigns"].as_u64().unwrap_or_default()).unwrap(),
        stopped: match given["stopped"].as_str() {
            Some("key_shared") => Some(StopCause::KeyShared),
            Some(_) => Some(StopCause::Unit),
            None => None,
        },
    })
}

fn past(given: &Value) -> Past {
    let other = |it: &Value| (text(&it[0]).unwrap(), lately(&it[1]));
    Past {
        key: lately(&given["key"]),
        operation: lately(&given["operation"]),
        address: lately(&given["address"]),
        others: list(&given["others"]).iter().map(other).collect(),
    }
}

fn lately(given: &Value) -> Lately {
    let refused = given["refused"].as_array().map(|it| {
        let cause = Cause::ALL.iter().find(|cause| it[0] == cause.code()).unwrap();
        (*cause, seconds(&it[1]).unwrap())
    });
    let n_refused = u32::try_from(given["n_refused"].as_u64().unwrap_or_default()).unwrap();
    Lately { worked: seconds(&given["worked"]), n_refused, refused }
}

fn change(given: &Value) -> Change {
    let what = match given[0].as_str().unwrap() {
        "start" => ChangeKind::Start,
        "reload" => ChangeKind::Reload,
        "secret" => ChangeKind::Secret,
        "egress" => ChangeKind::Egress,
        other => panic!("no change is called {other}"),
    };
    Change { what, ago: seconds(&given[1]).unwrap(), detail: text(&given[2]).unwrap() }
}

fn asked(given: &Value) -> Option<Asked> {
    let given = given.as_object()?;
    if let Some(roles) = given.get("answered") {
        return Some(Asked::Answered { roles: strings(roles) });
    }
    if let Some(why) = given.get("silent") {
        return Some(Asked::Silent { why: text(why).unwrap() });
    }
    let rejected = &given["rejected"];
    let status = u16::try_from(rejected[0].as_u64().unwrap()).unwrap();
    Some(Asked::Rejected { status, reason: text(&rejected[1]) })
}

fn address(given: &Value) -> Option<core::net::IpAddr> {
    given.as_str().map(|it| it.parse().unwrap())
}

fn seconds(given: &Value) -> Option<Duration> {
    given.as_u64().map(Duration::from_secs)
}

fn text(given: &Value) -> Option<String> {
    given.as_str().map(str::to_owned)
}

fn strings(given: &Value) -> Vec<String> {
    list(given).iter().filter_map(text).collect()
}

fn list(given: &Value) -> &[Value] {
    given.as_array().map_or(&[], Vec::as_slice)
}
