//! Judges a call as the proxy would, and sends nothing.
//!
//! It takes the way of `proxy`: target, `Provider::read`, `policy::decide`. Who asks is taken at their
//! word: nothing comes of the answer but a line on the screen.

use http::Request;

use crate::call::{Freeze, Identified, Identity, OperationName, Scope};
use crate::config::{Client, ClientCredential, Config, Upstream};
use crate::inbound::{self, Doors};
use crate::policy::{self, Case, Denial, KeyFacts, Permit, Quote, Rule};
use crate::provider::{Asked, Routes};
use crate::refusal::Refusal;

#[derive(Debug)]
pub(super) struct Court<'a> {
    config: &'a Config,
    /// Of each upstream.
    routes: Vec<Routes>,
}

/// A call that somebody might make.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) client: &'a str,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a str,
    pub(super) quote: Option<&'a Quote>,
}

/// What would become of it.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) operation: Option<OperationName>,
    pub(super) scope: Option<Scope>,
    /// The symbol whose ticker decides, too.
    pub(super) quote_of: Option<String>,
    pub(super) outcome: Result<Permit, (Option<Rule>, Refusal)>,
}

impl<'a> Court<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let routes = |it: &Upstream| {
            Routes::new(it.provider.operations().iter().chain(it.operations.iter()))
        };
        Self { config, routes: config.upstreams.iter().map(routes).collect() }
    }

    /// # Errors
    /// If the question makes no sense: what is wrong with it.
    pub(super) fn judge(&self, question: &Question<'_>) -> Result<Verdict, String> {
        let (client, upstream, routes) = self.client(question.client)?;
        let request = Request::builder().method(question.method).uri(question.path);
        let request = request.header(http::header::HOST, &upstream.rest.authority).body(());
        let (head, ()) = request.map_err(|it| format!("this is no call: {it}"))?.into_parts();
        let doors = Doors::new([upstream.rest.authority.clone()]);
        let target = match inbound::target(&head, &doors) {
            Ok(target) => target,
            Err(misdirected) => return Ok(unread(misdirected.into())),
        };
        let asked = Asked {
            method: question.method,
            path: &target.path,
            query: target.query.as_deref(),
            headers: &http::HeaderMap::new(),
            body: question.body.as_bytes(),
            payload_is_signed: false,
            public: upstream.public,
        };
        let call = match upstream.provider.read(routes, &asked) {
            Ok(call) => call,
            Err(unreadable) => return Ok(unread(unreadable.into())),
        };
        let (operation, scope) = (Some(call.operation.name.clone()), call.scope);
        let quote_of = policy::wants_quote(&client.grant, &call);
        let decided = if upstream.public && call.operation.is_public() {
            policy::public(call)
        } else {
            let who = supposed(client);
            let (key, freeze) = (self.key_facts(client, call.operation.is_public()), Freeze::No);
            let quote = question.quote;
            policy::decide(&Case { grant: &client.grant, key, who: &who, freeze, quote }, call)
        };
        let outcome = decided.map_err(|denial| (Some(denial.rule()), denial.into()));
        Ok(Verdict { operation, scope, quote_of, outcome })
    }

    fn client(&self, name: &str) -> Result<(&Client, &Upstream, &Routes), String> {
        let all = || self.config.clients.iter().map(|it| it.id.as_str());
        let found = self.config.clients.iter().find(|it| it.id == name);
        let client = found.ok_or_else(|| {
            let known: Vec<&str> = all().collect();
            format!("there is no client `{name}`: one of {}", known.join(", "))
        })?;
        let at = self.config.keys.get(client.key).map(|it| it.upstream);
        let upstream = at.and_then(|it| self.config.upstreams.get(it));
        let routes = at.and_then(|it| self.routes.get(it));
        let both = upstream.zip(routes).map(|(upstream, routes)| (client, upstream, routes));
        both.ok_or_else(|| format!("client `{name}` has no upstream"))
    }

    fn key_facts(&self, client: &Client, public: bool) -> KeyFacts<'_> {
        let key = self.config.keys.get(client.key).filter(|_| !public);
        let Some(key) = key else { return KeyFacts::default() };
        KeyFacts {
            shared: self.config.clients.iter().filter(|it| it.key == client.key).count() > 1,
            master: key.credential.is_master(),
            account: key.account.as_deref(),
        }
    }
}

/// The client, by the best of its credentials.
pub(super) fn supposed(client: &Client) -> Identified {
    let how = |it: &ClientCredential| match it {
        ClientCredential::Token(_) => Identity::Token,
        ClientCredential::StandIn(_) => Identity::StandIn,
        ClientCredential::None => Identity::Nothing,
    };
    let all = client.credentials.iter().map(how);
    let best = all.min_by_key(|it| *it == Identity::Nothing).unwrap_or(Identity::Nothing);
    Identified::proven(client.id.clone(), best)
}

/// The word for why it would be refused.
pub(super) fn cause(denial: &Denial) -> &'static str {
    Refusal::Denied(denial.clone()).finding().cause.code()
}

fn unread(refusal: Refusal) -> Verdict {
    Verdict { operation: None, scope: None, quote_of: None, outcome: Err((None, refusal)) }
}
