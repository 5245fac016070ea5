//! The admin listener: probes, metrics and commands. Loopback only, and never a browser's foreign page.
//!
//! Probes, metrics and incidents are open to every program on the machine. Commands want the operator token.

mod command;
mod incidents;
mod requests;
pub(crate) mod token;

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub(crate) use self::command::{CheckupOrder, FreezeOrder, ThawOrder};
use self::token::Token;
use crate::answer;
use crate::call::Freeze;
use crate::freeze::Freezer;
use crate::inbound::{self, BadHead, Crowd, Doors, Misdirected, Peer, Unheard};
use crate::message::{self, Body};
use crate::observe::Observer;
use crate::proxy::Proxy;
use crate::reload::Reload;

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Of its own, so that a crowd of bots keeps no probe out.
const DESCRIPTORS: u64 = 160;

/// What the admin listener can see and do.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    pub(crate) observer: Arc<Observer>,
    pub(crate) proxies: Vec<Arc<Proxy>>,
    pub(crate) freezer: Arc<Freezer>,
    pub(crate) reload: Arc<Reload>,
    pub(crate) token: Arc<Token>,
    /// Where requests are answered.
    pub(crate) main: Handle,
}

pub(crate) async fn serve(listener: TcpListener, face: Face, stop: watch::Receiver<bool>) {
    let handle = move |mut request: Request<Incoming>, _peer: Peer| {
        let face = face.clone();
        async move {
            let answer = face.answer(&mut request).await;
            let reusable = inbound::drain(request.body_mut()).await;
            if reusable { answer } else { answer::closing(answer) }
        }
    };
    inbound::serve(listener, Crowd::new(DESCRIPTORS), handle, stop).await;
}

impl Face {
    async fn answer(&self, request: &mut Request<Incoming>) -> Response<Body> {
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        *head.extensions_mut() = request.extensions().clone();
        let target = match inbound::target(&head.into_parts().0, &Doors::default()) {
            Ok(target) => target,
            Err(refused) => return text(status(&refused), format!("{refused}\n")),
        };
        if command::methods(&target.path).is_some() {
            return command::answer(self, &target.path, request).await;
        }
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        match target.path.as_str() {
            "/livez" | "/startupz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.is_ready() => text(StatusCode::OK, "ok\n"),
            "/readyz" => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the exchange has not told its time yet, or no nonces are reserved: signed calls wait\n",
            ),
            "/metrics" => {
                self.count_frozen();
                self.look_at_keys();
                let mut response = text(StatusCode::OK, self.observer.metrics.render());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS));
                response
            }
            "/incidents" => incidents::answer(&self.proxies),
            _ => text(
                StatusCode::NOT_FOUND,
                "/livez /readyz /startupz /metrics /incidents, and /freeze /thaw /reload /checkup /requests\n",
            ),
        }
    }

    /// Whoever is frozen, by name or with all the others.
    fn count_frozen(&self) {
        let rosters: Vec<_> = self.proxies.iter().map(|it| it.roster()).collect();
        let frozen = self.freezer.now();
        for level in [Freeze::Risk, Freeze::Everything] {
            let clients = rosters.iter().flat_map(|it| &it.clients);
            let n_clients = clients.filter(|it| frozen.of(&it.id) == level).count();
            self.observer.metrics.frozen(level, n_clients);
        }
    }

    /// How each key is, and that what was silent for an hour is over.
    fn look_at_keys(&self) {
        for proxy in &self.proxies {
            proxy.tell_turns(&proxy.health.settle(proxy.reading()));
            for (key, condition) in proxy.health.conditions() {
                self.observer.metrics.condition(&key, condition);
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.proxies.iter().all(|it| it.ready.is_ready())
    }
}

/// As plain as the rest of this listener: the same statuses as on the others, without a diagnosis.
fn status(refused: &Misdirected) -> StatusCode {
    match refused {
        Misdirected::Malformed(_) | Misdirected::Unheard(Unheard::Bad(BadHead::Malformed(_))) => {
            StatusCode::BAD_REQUEST
        }
        Misdirected::Unheard(Unheard::Bad(BadHead::TooLarge)) => {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        }
        Misdirected::Unheard(Unheard::Bad(BadHead::TargetTooLong)) => StatusCode::URI_TOO_LONG,
        Misdirected::Unheard(Unheard::Slow | Unheard::Crowded) => StatusCode::SERVICE_UNAVAILABLE,
        Misdirected::Browser(_) | Misdirected::Host(_) => StatusCode::FORBIDDEN,
    }
}

fn text(status: StatusCode, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(message::full(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
