//! What an operator tells a running proxy to do: freeze, thaw, reload, look at its keys, and
//! tell of recent requests. JSON in, JSON out.
//!
//! 1. Every command wants the operator token, on loopback too: any program on the machine reaches the
//!    listener, and only the operator reads the state directory.
//! 2. A freeze is in force and on the disk before the first order is cancelled.
//! 3. What was begun is finished, though whoever asked for it hangs up.
//! 4. One client of a shared key is frozen like any other. The key's orders are not cancelled for it,
//!    because the exchange cancels all of a key or none; the answer names the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Face, requests};
use crate::call::{ClientId, Freeze};
use crate::emergency::Cancelled;
use crate::freeze::{FreezeError, Frozen, Whom};
use crate::inbound::{self, Unread};
use crate::message::{self, Body, Incomplete};
use crate::policy::CancelAll;
use crate::proxy::Proxy;
use crate::reload::{NotReloaded, Reload, Reloaded};
use crate::roster::KeyRing;
use crate::task;

/// What is asked with `POST /freeze`. Nothing at all: no new risk, for everyone.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FreezeOrder {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    /// Reads and cancels too.
    pub(crate) everything: bool,
    pub(crate) cancel_all: bool,
}

/// What is asked with `POST /thaw`. Nothing at all: what was frozen for everyone.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ThawOrder {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    /// Those who were frozen by name too.
    pub(crate) each: bool,
}

/// What is asked with `POST /checkup`. Nothing at all: of every key.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CheckupOrder {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<Vec<String>>,
}

/// A command that was not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    error: String,
    hint: String,
}

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status, error: error.into(), hint: hint.into() }
    }
}

/// The paths of commands, and how they are called.
pub(super) fn methods(path: &str) -> Option<&'static str> {
    match path {
        "/freeze" => Some("GET, POST"),
        "/thaw" | "/reload" | "/checkup" => Some("POST"),
        _ => requests::id(path).map(|_| "GET"),
    }
}

/// Answers a request to one of the paths that `methods` knows.
pub(super) async fn answer(
    face: &Face,
    path: &str,
    request: &mut Request<Incoming>,
) -> Response<Body> {
    let done = carry_out(face, path, request).await;
    if request.method() == Method::POST {
        // Who is told that it is done finds it in the trail, unless the trail cannot be written.
        drop(face.observer.trail.written().await);
    }
    let done = match done {
        Ok(done) => return json_answer(StatusCode::OK, &done),
        Err(refused) => refused,
    };
    let Refused { status, error, hint } = done;
    let mut response = json_answer(status, &json!({"error": error, "hint": hint}));
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    if let Some(methods) = methods(path).filter(|_| status == StatusCode::METHOD_NOT_ALLOWED) {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

async fn carry_out(
    face: &Face,
    path: &str,
    request: &mut Request<Incoming>,
) -> Result<Value, Refused> {
    if !face.token.is_presented(request.headers()) {
        return Err(Refused::new(
            StatusCode::UNAUTHORIZED,
            "commands want the operator token",
            "send `Authorization: Bearer` and what the file `operator-token` in the state directory holds",
        ));
    }
    let asked = requests::id(path).filter(|_| request.method() == Method::GET);
    if let Some(id) = asked {
        return requests::told(face, id, request.uri().query());
    }
    match (request.method(), path) {
        (&Method::GET, "/freeze") => Ok(face.freezer.now().json()),
        (&Method::POST, "/freeze") => whole(freeze(face.clone(), order(request).await?)).await,
        (&Method::POST, "/thaw") => whole(thaw(face.clone(), order(request).await?)).await,
        (&Method::POST, "/reload") => {
            let Nothing {} = order(request).await?;
            whole(reload(Arc::clone(&face.reload))).await
        }
        (&Method::POST, "/checkup") => whole(checkup(face.clone(), order(request).await?)).await,
        _ => Err(Refused::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{path} is not called that way"),
            format!("use {}", methods(path).unwrap_or_default()),
        )),
    }
}

/// Goes on to its end when the connection does not.
async fn whole(
    work: impl Future<Output = Result<Value, Refused>> + Send + 'static,
) -> Result<Value, Refused> {
    task::spawn("command", work).await.unwrap_or_else(|_| Err(fault()))
}

fn fault() -> Refused {
    let (error, hint) = ("a fault in the proxy", "report it, with the log");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error, hint)
}

/// A command without parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn order<T: Default + DeserializeOwned>(
    request: &mut Request<Incoming>,
) -> Result<T, Refused> {
    let headers = request.headers().clone();
    let bytes = inbound::body(&headers, request.body_mut()).await.map_err(|unread| {
        let status = match &unread {
            Unread::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Unread::Incomplete(Incomplete::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::Incomplete(_) => StatusCode::BAD_REQUEST,
            Unread::Slow => StatusCode::REQUEST_TIMEOUT,
        };
        Refused::new(status, unread.to_string(), "send a short JSON object at once")
    })?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let hint = "see docs/operations.md for what each command takes";
    let no = |why: String| Refused::new(StatusCode::BAD_REQUEST, why, hint);
    // Serde would read an array as the values of an object, in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(no("the body is no JSON object".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|fault| no(format!("the body does not fit: {fault}")))
}

async fn freeze(face: Face, order: FreezeOrder) -> Result<Value, Refused> {
    let FreezeOrder { client, everything, cancel_all } = order;
    let client = client.map(|it| known(&face, &it)).transpose()?;
    let level = if everything { Freeze::Everything } else { Freeze::Risk };
    let (freezer, whom) = (Arc::clone(&face.freezer), client.clone());
    let frozen = apart(move || freezer.freeze(whom.as_ref(), level)).await;
    // In force, be it that the disk does not keep it.
    let name = client.as_ref().map(|it| ("client", it.as_str()));
    let (level, kept) = (level.as_str(), if frozen.is_ok() { "yes" } else { "no" });
    tracing::warn!(client = client.as_ref().map(ClientId::as_str), level, "frozen");
    let asked = if cancel_all { "yes" } else { "no" };
    let fields = [("level", level), ("kept", kept), ("cancel_all", asked)];
    face.observer.trail.note("freeze", &name.into_iter().chain(fields).collect::<Vec<_>>());
    let frozen = frozen?;
    if !cancel_all {
        return Ok(json!({"frozen": frozen.json()}));
    }
    let (cancelled, left) = cancel(&face, client.as_ref()).await;
    Ok(json!({"frozen": frozen.json(), "cancelled": cancelled, "left": left}))
}

async fn thaw(face: Face, order: ThawOrder) -> Result<Value, Refused> {
    let ThawOrder { client, each } = order;
    let whom = match (client, each) {
        (Some(_), true) => {
            return Err(Refused::new(
                StatusCode::BAD_REQUEST,
                "`client` and `each` do not go together",
                "one of them",
            ));
        }
        (Some(client), false) => {
            // One who has gone from the configuration may still be frozen.
            let named = ClientId::new(&client);
            let frozen = face.freezer.now().is_named(&named);
            Whom::One(if frozen { named } else { known(&face, &client)? })
        }
        (None, true) => Whom::Each,
        (None, false) => Whom::All,
    };
    let (freezer, asked) = (Arc::clone(&face.freezer), whom.clone());
    let frozen = apart(move || freezer.thaw(&asked)).await?;
    let left = frozen.json().to_string();
    tracing::warn!(?whom, frozen = left, "thawed");
    let whom = match &whom {
        Whom::All => ("whom", "all"),
        Whom::Each => ("whom", "each"),
        Whom::One(client) => ("client", client.as_str()),
    };
    face.observer.trail.note("thaw", &[whom, ("frozen", &left)]);
    Ok(json!({"frozen": frozen.json()}))
}

/// Writes to the disk, away from whatever this thread does.
async fn apart(
    change: impl FnOnce() -> Result<Frozen, FreezeError> + Send + 'static,
) -> Result<Frozen, Refused> {
    let changed = tokio::task::spawn_blocking(change).await;
    changed.map_err(|_| fault())?.map_err(|fault| {
        tracing::error!("{fault}");
        let status = match fault {
            FreezeError::NotKept(_) | FreezeError::StillFrozen(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            FreezeError::AllFrozen(_) => StatusCode::CONFLICT,
        };
        Refused::new(status, fault.to_string(), fault.hint())
    })
}

/// Cancels what the frozen may have open. Returns what came of it, and what was left alone.
async fn cancel(face: &Face, client: Option<&ClientId>) -> (Vec<Cancelled>, Vec<Value>) {
    let (mut cancelled, mut left, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    // All begin before the first is waited for.
    for proxy in &face.proxies {
        let (affected, spared) = affected(proxy, client);
        left.extend(spared);
        if affected.is_empty() {
            continue;
        }
        // On the thread that answers requests: connections to the exchange live there.
        let proxy = Arc::clone(proxy);
        let work = async move { proxy.cancel_all(&affected).await };
        begun.push(task::spawn_at(&face.main, "cancel all", work));
    }
    for work in begun {
        match work.await {
            Ok(done) => cancelled.extend(done),
            Err(_) => left.push(json!({"why": "a fault in the proxy: see the log"})),
        }
    }
    (cancelled, left)
}

/// The clients of one upstream whose keys' orders go, and what is said of one whose orders stay.
fn affected(proxy: &Proxy, client: Option<&ClientId>) -> (Vec<ClientId>, Option<Value>) {
    let roster = proxy.roster();
    let Some(asked) = client else {
        return (roster.clients.iter().map(|it| it.id.clone()).collect(), None);
    };
    let Some(client) = roster.clients.iter().find(|it| it.id == *asked) else {
        return (Vec::new(), None);
    };
    let others = roster.sharers(client);
    if others.is_empty() || client.grant.cancel_all == CancelAll::Shared {
        return (vec![asked.clone()], None);
    }
    let others: Vec<&str> = others.iter().map(ClientId::as_str).collect();
    let why = "its key is used by other clients too, and the exchange cancels all orders of a key or none";
    let spared = json!({
        "client": asked.as_str(), "key": client.key.name().as_str(), "shared_with": others,
        "why": why, "hint": "freeze the others too, without --client, or cancel its orders one by one",
    });
    (Vec::new(), Some(spared))
}

/// Asks the exchange with each of the keys which roles it has. It changes nothing there.
async fn checkup(face: Face, order: CheckupOrder) -> Result<Value, Refused> {
    let CheckupOrder { keys } = order;
    let mut begun = Vec::new();
    for (proxy, rings) in face.reload.served() {
        let wanted = |ring: &&Arc<KeyRing>| {
            keys.as_ref().is_none_or(|it| it.iter().any(|name| name == ring.name().as_str()))
        };
        let rings: Vec<_> = rings.values().filter(wanted).cloned().collect();
        let proxy = Arc::clone(proxy);
        // On the thread that answers requests: connections to the exchange live there.
        let work = async move { proxy.look_at_keys(rings).await };
        begun.push(task::spawn_at(&face.main, "checkup", work));
    }
    let mut seen = Vec::new();
    for work in begun {
        seen.extend(work.await.map_err(|_| fault())?);
    }
    Ok(json!({ "keys": seen }))
}

async fn reload(reload: Arc<Reload>) -> Result<Value, Refused> {
    match reload.run().await {
        Ok(Reloaded { path, clients, policy, changed, warnings }) => Ok(json!({
            "reloaded": path.display().to_string(), "clients": clients.len(), "policy": &*policy,
            "changed": changed, "warnings": warnings,
        })),
        Err(fault) => {
            let status = match &fault {
                NotReloaded::Problems(_) => StatusCode::UNPROCESSABLE_ENTITY,
                NotReloaded::Restart { .. } | NotReloaded::NoFile => StatusCode::CONFLICT,
                NotReloaded::Fault => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Err(Refused::new(status, fault.to_string(), fault.hint()))
        }
    }
}

fn known(face: &Face, name: &str) -> Result<ClientId, Refused> {
    let rosters: Vec<_> = face.proxies.iter().map(|it| it.roster()).collect();
    let known: BTreeSet<&ClientId> =
        rosters.iter().flat_map(|it| it.clients.iter().map(|it| &it.id)).collect();
    if let Some(found) = known.iter().find(|it| it.as_str() == name) {
        return Ok((*found).clone());
    }
    let known: Vec<&str> = known.into_iter().map(ClientId::as_str).collect();
    let error = format!("there is no client `{}`", crate::call::shown(name));
    let hint = format!("the clients are {}", known.join(", "));
    Err(Refused::new(StatusCode::NOT_FOUND, error, hint))
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(message::full(format!("{body}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
