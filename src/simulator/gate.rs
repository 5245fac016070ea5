//! Who is calling, and may they: the checks in the exchange's order.
//!
//! 1. The headers are there; the key is known; the signature fits; the payload is JSON; `request`
//!    names the path called; the address is trusted; the nonce is good; `account` suits the key;
//!    the key has a role; the account's state allows it.
//! 2. The first failed check is the answer. The nonce mark is raised when the nonce is good, even
//!    if a later check fails.
//! 3. A `Bearer` token is not a credential here: OAuth is absent.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::HeaderValue;
use http::header;

use crate::clock::UnixMicros;
use crate::simulator::account::Account;
use crate::simulator::catalog::AccountUse;
use crate::simulator::decimal::Number;
use crate::simulator::key::Key;
use crate::simulator::key::Role;
use crate::simulator::key::judge_nonce;
use crate::simulator::payload::Payload;
use crate::simulator::refusals;
use crate::simulator::reply::Rejection;

/// The funding reports' documentation signs their query.
const SIGNS_QUERY: &str = "/v1/perpetuals/funding";

/// What the headers say, looked up and verified, but not yet judged.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) api_key: Option<Arc<str>>,
    pub(crate) payload: Option<Payload>,
    key: Option<Arc<Key>>,
    signature: Signature,
    has_payload: bool,
    has_token: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signature {
    Absent,
    Wrong,
    Fits,
}

impl Presented {
    pub(crate) fn read(headers: &HeaderMap, keys: &HashMap<String, Arc<Key>>) -> Self {
        let payload = headers.get("x-gemini-payload").map(HeaderValue::as_bytes);
        let signature = headers.get("x-gemini-signature").map(HeaderValue::as_bytes);
        let api_key = headers.get("x-gemini-apikey").and_then(|it| it.to_str().ok());
        let key = api_key.and_then(|it| keys.get(it)).map(Arc::clone);
        let fits = match (&key, payload, signature) {
            (_, _, None) => Signature::Absent,
            (Some(key), Some(payload), Some(it)) if key.verifies(payload, it) => Signature::Fits,
            _ => Signature::Wrong,
        };
        Self {
            api_key: api_key.map(Arc::from),
            payload: payload.and_then(Payload::decode),
            key,
            signature: fits,
            has_payload: payload.is_some(),
            has_token: headers.contains_key(header::AUTHORIZATION),
        }
    }
}

/// What is asked, and where from.
#[derive(Debug)]
pub(crate) struct Knock<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) peer: IpAddr,
    pub(crate) roles: &'a [Role],
    pub(crate) account: AccountUse,
    pub(crate) now: UnixMicros,
    pub(crate) unknown_key_status: u16,
}

/// Who has been let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) key: Arc<Key>,
    /// The sub-account that the call is about.
    pub(crate) account: String,
}

/// Every check up to and including the nonce's.
pub(crate) fn identify(
    presented: &Presented,
    knock: &Knock<'_>,
    mark: Option<&Number>,
) -> Result<(Arc<Key>, Number), Rejection> {
    present(presented)?;
    let key = presented
        .key
        .as_ref()
        .filter(|it| !it.spec.disabled)
        .ok_or_else(|| unknown_key(knock.unknown_key_status))?;
    if presented.signature != Signature::Fits {
        return Err(Rejection::bad("InvalidSignature", "InvalidSignature"));
    }
    let payload = presented
        .payload
        .as_ref()
        .ok_or_else(|| Rejection::bad("InvalidJson", "The payload is not a JSON object"))?;
    if !names_path(payload.text("request"), knock) {
        return Err(Rejection::bad("EndpointMismatch", "EndpointMismatch"));
    }
    let trusted = key.spec.trusted_ips.as_ref();
    if trusted.is_some_and(|it| !it.contains(&knock.peer)) {
        let text = "ApiKey fails IP Filtering Check for some accounts";
        return Err(Rejection::new(403, "ApiKeyIpFilteringFailure", text));
    }
    let nonce = judge_nonce(key.spec.nonce, payload, mark, knock.now)?;
    Ok((Arc::clone(key), nonce))
}

/// The checks after the nonce's. `accounts` are those of the group.
pub(crate) fn admit(
    key: Arc<Key>,
    payload: &Payload,
    knock: &Knock<'_>,
    accounts: &BTreeMap<String, Account>,
) -> Result<Caller, Rejection> {
    let account = account_of(&key, payload, knock.account, accounts)?;
    if !key.has_one_of(knock.roles) {
        let names = |roles: &[Role]| {
            let names: Vec<_> = roles.iter().map(|it| format!("{it:?}")).collect();
            names.join(", ")
        };
        let text = format!(
            "To access this endpoint, you need to log in to the website and go to the settings \
             page to assign one of these roles [{}] to API key {} which currently has roles [{}]",
            names(knock.roles),
            key.spec.key,
            names(&key.spec.roles),
        );
        return Err(Rejection::new(403, "MissingRole", text));
    }
    let state = accounts.get(&account).map(|it| it.state).unwrap_or_default();
    // Calls about the whole group, or about the key alone, are about no single account.
    let refusal = state.refusal(knock.path, knock.roles);
    match refusal.filter(|_| knock.account == AccountUse::Named) {
        Some(word) => Err(refusals::rejection(word)),
        None => Ok(Caller { key, account }),
    }
}

fn present(presented: &Presented) -> Result<(), Rejection> {
    let has_key = presented.api_key.is_some();
    let Presented { has_payload, has_token, .. } = *presented;
    let has_signature = presented.signature != Signature::Absent;
    if has_token && (has_key || has_signature) {
        let text = "Provide either an API key or an access token, not both";
        return Err(Rejection::bad("AmbiguousAuthentication", text));
    }
    if !has_key && !has_payload && !has_signature {
        let text = "Must provide the headers 'X-GEMINI-APIKEY', 'X-GEMINI-PAYLOAD' and \
             'X-GEMINI-SIGNATURE'";
        return Err(Rejection::new(401, "MissingSecurityHeaders", text));
    }
    let headers = [
        (has_key, "MissingApikeyHeader", "X-GEMINI-APIKEY"),
        (has_payload, "MissingPayloadHeader", "X-GEMINI-PAYLOAD"),
        (has_signature, "MissingSignatureHeader", "X-GEMINI-SIGNATURE"),
    ];
    match headers.into_iter().find(|(present, ..)| !present) {
        None => Ok(()),
        Some((_, reason, name)) => {
            Err(Rejection::bad(reason, format!("Must provide '{name}' header")))
        }
    }
}

/// The documentation says 403; what real callers have recorded is 400.
fn unknown_key(status: u16) -> Rejection {
    Rejection::new(status, "InvalidApiKey", "Invalid API key")
}

fn names_path(request: Option<&str>, knock: &Knock<'_>) -> bool {
    let Some(request) = request else { return false };
    if request == knock.path {
        return true;
    }
    let with_query = knock.query.map(|it| format!("{}?{it}", knock.path));
    knock.path.starts_with(SIGNS_QUERY) && with_query.is_some_and(|it| it == request)
}

fn account_of(
    key: &Key,
    payload: &Payload,
    account_use: AccountUse,
    accounts: &BTreeMap<String, Account>,
) -> Result<String, Rejection> {
    let own = key.spec.accounts.first().cloned().unwrap_or_default();
    let named = payload.text("account");
    if !key.spec.is_master() {
        if named.is_some() && account_use == AccountUse::Named {
            let text = "The 'account' parameter is only for master API keys";
            return Err(Rejection::bad("AccountsOnGroupOnlyApi", text));
        }
        return Ok(own);
    }
    match (named, account_use) {
        (None, AccountUse::Named) => {
            Err(Rejection::bad("MissingAccounts", "Expected a JSON payload with accounts"))
        }
        (Some(name), AccountUse::Named) if !accounts.contains_key(name) => {
            Err(Rejection::bad("InvalidAccountName", format!("No account named '{name}'")))
        }
        (Some(name), AccountUse::Named) => Ok(name.to_owned()),
        (_, AccountUse::Free) => Ok(own),
    }
}
