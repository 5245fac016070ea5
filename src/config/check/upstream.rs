//! `[[upstreams]]`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use toml::Spanned;

use super::{Around, LISTEN, read, unknown, word};
use crate::call::Operation;
use crate::config::file::{self, TextOr};
use crate::config::problem::{Report, Spot};
use crate::config::source::read_plain;
use crate::config::{Endpoint, Timeouts, Upstream, words};
use crate::provider::{self, Environment, Provider};

/// An entry's place among the others.
pub(super) struct Place<'a> {
    pub(super) spot: &'a Spot,
    pub(super) name: &'a str,
    /// Whether there is no other.
    pub(super) only: bool,
}

/// What could be read of an upstream, for the checks that need only a part of it.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) provider: Option<&'static dyn Provider>,
    pub(super) environment: Option<Environment>,
    pub(super) listen: Vec<SocketAddr>,
    pub(super) operations: Vec<Arc<Operation>>,
    /// `None` only when a problem was told.
    whole: Option<Upstream>,
}

impl Draft {
    /// Its provider's, and its own so far.
    pub(super) fn known_operations(&self) -> impl Iterator<Item = &Arc<Operation>> {
        let provider: Option<&'static dyn Provider> = self.provider.or_else(only_provider);
        let known = provider.map_or(&[] as &[_], |it| it.operations());
        known.iter().chain(&self.operations)
    }

    /// Whether only this machine can reach it, as far as its addresses could be read.
    pub(super) fn is_local(&self) -> bool {
        self.listen.iter().all(|it| it.ip().is_loopback())
    }

    pub(super) fn finish(self) -> Option<Upstream> {
        Some(Upstream { operations: self.operations, ..self.whole? })
    }
}

/// What is meant when it cannot be read which one is.
pub(super) fn only_provider() -> Option<&'static dyn Provider> {
    match provider::ALL {
        [only] => Some(*only),
        _ => None,
    }
}

pub(super) fn check(
    place: &Place<'_>,
    table: &file::Upstream,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> Draft {
    let spot = place.spot;
    let provider = check_provider(table.provider.as_ref(), spot, report);
    let environment = match &table.environment {
        None => Some(Environment::Production),
        typed => {
            word(typed.as_ref(), spot, "environment", Environment::ALL, Environment::as_str, report)
        }
    };
    let own_host = provider.zip(environment).and_then(|(it, environment)| it.host(environment));
    let rest = check_url(table, own_host, environment, spot, report);
    let ca = check_ca(table, rest.as_ref(), own_host, around.vault.base, spot, report);
    check_stream_url(table, spot, report);
    let (listen, complete) = check_listen(table, place, around, report);
    let hosts = check_hosts(table, spot, report);
    let timeout = check_timeout(table.timeout.as_ref(), spot, report);
    let bind = check_egress(table.egress.as_ref(), spot, report);
    check_rate(table.rate.as_ref(), spot, report);
    let local = listen.iter().all(|it| it.ip().is_loopback());
    let whole = |(provider, environment, rest)| Upstream {
        name: place.name.to_owned(),
        provider,
        environment,
        rest,
        ca,
        listen: listen.clone(),
        hosts,
        public: table.public.as_ref().map_or(local, |it| *it.get_ref()),
        timeout,
        bind,
        operations: Vec::new(),
    };
    let parts = provider.zip(environment).zip(rest).filter(|_| complete);
    let whole = parts.map(|((provider, environment), rest)| whole((provider, environment, rest)));
    let name = place.name.to_owned();
    Draft { name, provider, environment, listen, operations: Vec::new(), whole }
}

fn check_provider(
    typed: Option<&Spanned<String>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<&'static dyn Provider> {
    let Some(typed) = typed else { return provider::by_name("exchange") };
    let found = provider::by_name(typed.get_ref());
    if found.is_none() {
        let known: Vec<&str> = provider::ALL.iter().map(|it| it.name()).collect();
        unknown(typed.get_ref(), &spot.field("provider", typed), &known, report);
    }
    found
}

/// The override, or else the host that the provider knows.
fn check_url(
    table: &file::Upstream,
    own_host: Option<&'static str>,
    environment: Option<Environment>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Endpoint> {
    let Some(url) = &table.url else {
        if environment == Some(Environment::Simulator) {
            report.problem(
                &spot.part("url"),
                "environment = \"simulator\" needs to know where the simulator is",
                "url = \"https://localhost:9443\" with its ca_file; `geminid demo` brings its own",
            );
        }
        return own_host.map(|host| Endpoint::new(host.to_owned(), 443));
    };
    let at = spot.field("url", url);
    let (host, port) = read(words::https(url.get_ref()), &at, report)?;
    let far = !words::is_loopback_host(&host) && own_host != Some(host.as_str());
    if far && !table.dev_upstream.as_ref().is_some_and(|it| *it.get_ref()) {
        report.problem(
            &at,
            format!("would send signed requests to {host}, which is not the exchange"),
            "dev_upstream = true, if you mean it",
        );
        return None;
    }
    Some(Endpoint::new(host, port))
}

fn check_ca(
    table: &file::Upstream,
    rest: Option<&Endpoint>,
    own_host: Option<&'static str>,
    base: &Path,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Vec<CertificateDer<'static>> {
    let Some(file) = &table.ca_file else { return Vec::new() };
    let at = spot.field("ca_file", file);
    let own = rest.is_some_and(|it| Some(it.host.as_str()) == own_host);
    if table.url.is_none() || own {
        let message = "is for overrides only: the exchange's own certificate needs no help";
        report.problem(&at, message, "remove it, or set `url`");
        return Vec::new();
    }
    let path = base.join(file.get_ref());
    let text = match read_plain(&path) {
        Ok(text) => text,
        Err(missing) => {
            missing.tell(&at, report);
            return Vec::new();
        }
    };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = read.unwrap_or_default();
    if certificates.is_empty() {
        let message = format!("{} holds no certificates in PEM form", path.display());
        report.problem(&at, message, "it begins with -----BEGIN CERTIFICATE-----");
    }
    certificates
}

fn check_stream_url(table: &file::Upstream, spot: &Spot, report: &mut Report<'_>) {
    if let Some(url) = &table.ws_url {
        let at = spot.field("ws_url", url);
        read(words::wss(url.get_ref()), &at, report);
        report.not_enforced(&at);
    }
}

fn check_listen(
    table: &file::Upstream,
    place: &Place<'_>,
    around: &Around<'_>,
    report: &mut Report<'_>,
) -> (Vec<SocketAddr>, bool) {
    let mut listen = vec![SocketAddr::from(LISTEN)];
    let mut complete = true;
    if let Some(typed) = &table.listen {
        let spot = place.spot.field("listen", typed);
        if typed.get_ref().is_empty() {
            report.problem(&spot, "is empty: nobody could call", "listen = [\"127.0.0.1:3840\"]");
            complete = false;
        }
        let each = typed.get_ref().iter().enumerate();
        let read: Vec<Option<SocketAddr>> = each
            .map(|(index, it)| check_socket(it.get_ref(), &spot.item(index, it), report))
            .collect();
        complete &= read.iter().all(Option::is_some);
        listen = read.into_iter().flatten().collect();
    }
    if let Some(flag) = &around.overrides.listen {
        if !place.only {
            let hint = "write `listen` into the file instead";
            let spot = Spot::outside("--listen");
            report.problem(&spot, "there is more than one upstream to listen for", hint);
            return (Vec::new(), false);
        }
        return (flag.clone(), !flag.is_empty());
    }
    (listen, complete)
}

fn check_socket(
    typed: &TextOr<file::Socket>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<SocketAddr> {
    let table = match typed {
        TextOr::Text(text) => return read(words::socket_address(&text.0), spot, report),
        TextOr::Table(table) => table,
    };
    let file::Socket { unix, mode, group, address, cert, key, client_ca } = table;
    let tls = [("cert", cert), ("key", key), ("client_ca", client_ca)];
    report.not_enforced_but(spot, "an address without TLS is a string, such as \"127.0.0.1:3840\"");
    let (either, one_each) = ("needs either `unix` or `address`", "one table for each listener");
    let remove = "remove what does not belong";
    match (unix, address) {
        (None, None) => report.lacks(spot, &["unix", "address"], either, one_each),
        (Some(_), Some(_)) => report.problem(spot, either, one_each),
        (Some(_), None) if tls.iter().any(|(_, it)| it.is_some()) => {
            report.problem(spot, "TLS is for `address`, not for `unix`", remove);
        }
        (None, Some(_)) if mode.is_some() || group.is_some() => {
            report.problem(spot, "`mode` and `group` are for `unix`, not for `address`", remove);
        }
        (None, Some(_)) if cert.is_none() || key.is_none() => {
            let hint = "without TLS, write the address as a string";
            report.lacks(spot, &["cert", "key"], "needs `cert` and `key`", hint);
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    if let Some(address) = address {
        let at = spot.field("address", address);
        read(words::socket_address(address.get_ref()), &at, report);
    }
    if let Some(mode) = mode {
        read(words::mode(mode.get_ref()), &spot.field("mode", mode), report);
    }
    for (field, path) in tls.into_iter().chain([("unix", unix), ("group", group)]) {
        if let Some(path) = path.as_ref().filter(|it| it.get_ref().is_empty()) {
            report.problem(
                &spot.field(field, path),
                "is empty",
                "put its name there, or remove it",
            );
        }
    }
    None
}

fn check_hosts(table: &file::Upstream, spot: &Spot, report: &mut Report<'_>) -> Vec<String> {
    let Some(hosts) = &table.hosts else { return Vec::new() };
    let spot = spot.field("hosts", hosts);
    let each = hosts.get_ref().iter().enumerate();
    each.filter_map(|(index, it)| read(words::host(it.get_ref()), &spot.item(index, it), report))
        .collect()
}

fn check_timeout(
    typed: Option<&Spanned<file::Timeout>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Timeouts {
    let defaults = Timeouts::default();
    let Some(typed) = typed else { return defaults };
    let file::Timeout { connect, order, read: reading } = typed.get_ref();
    let spot = spot.field("timeout", typed);
    let mut one = |field: &str, text: &Option<Spanned<String>>, default: Duration| {
        let span = text.as_ref().and_then(|text| {
            read(words::duration(text.get_ref()), &spot.field(field, text), report)
        });
        span.unwrap_or(default)
    };
    Timeouts {
        connect: one("connect", connect, defaults.connect),
        order: one("order", order, defaults.order),
        read: one("read", reading, defaults.read),
    }
}

fn check_egress(
    typed: Option<&Spanned<file::Egress>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<IpAddr> {
    let typed = typed?;
    let file::Egress { bind, proxy, expect, enforce } = typed.get_ref();
    let spot = spot.field("egress", typed);
    if let Some(proxy) = proxy {
        let at = spot.field("proxy", proxy);
        read(words::egress_proxy(proxy.get_ref()), &at, report);
        report.not_enforced(&at);
    }
    if let Some(expect) = expect {
        let at = spot.field("expect", expect);
        report.not_enforced(&at);
        for (index, it) in expect.get_ref().iter().enumerate() {
            read(words::ip_address(it.get_ref()), &at.item(index, it), report);
        }
    }
    if let Some(enforce) = enforce.as_ref().filter(|it| *it.get_ref()) {
        report.not_enforced(&spot.field("enforce", enforce));
    }
    let bind = bind.as_ref()?;
    read(words::ip_address(bind.get_ref()), &spot.field("bind", bind), report)
}

fn check_rate(typed: Option<&Spanned<file::Rate>>, spot: &Spot, report: &mut Report<'_>) {
    let Some(typed) = typed else { return };
    let file::Rate { public, private, max_wait } = typed.get_ref();
    let spot = spot.field("rate", typed);
    for (field, rate) in [("public", public), ("private", private)] {
        super::limit::check_rate(rate.as_ref(), &spot, field, report);
    }
    if let Some(wait) = max_wait {
        let at = spot.field("max_wait", wait);
        read(words::duration(wait.get_ref()), &at, report);
        report.not_enforced(&at);
    }
}
