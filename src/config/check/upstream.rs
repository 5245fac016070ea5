//! `[[upstreams]]`.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use toml::Spanned;

use super::listen::{self, Sites};
use super::{Around, read, unknown, word};
use crate::call::Operation;
use crate::config::file;
use crate::config::problem::{Report, Spot};
use crate::config::source::read_plain;
use crate::config::{Endpoint, Page, Timeouts, Upstream, words};
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
    pub(super) sites: Sites,
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
        self.sites.is_local()
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
    let mut sites = listen::check(table, place, around, report);
    let hosts = check_hosts(table, spot, report);
    let timeout = check_timeout(table.timeout.as_ref(), spot, report);
    let status_page = check_page(table.status_page.as_ref(), "status_page", spot, report);
    let (bind, expect, address_service) = check_egress(table.egress.as_ref(), spot, report);
    check_rate(table.rate.as_ref(), spot, report);
    let local = sites.is_local();
    let whole = |(((provider, environment), rest), listen)| Upstream {
        name: place.name.to_owned(),
        provider,
        environment,
        rest,
        ca,
        listen,
        hosts,
        public: table.public.as_ref().map_or(local, |it| *it.get_ref()),
        timeout,
        probe: table.probe.as_ref().is_none_or(|it| *it.get_ref()),
        status_page,
        bind,
        expect,
        address_service,
        operations: Vec::new(),
    };
    let whole = provider.zip(environment).zip(rest).zip(sites.whole.take()).map(whole);
    let name = place.name.to_owned();
    Draft { name, provider, environment, sites, operations: Vec::new(), whole }
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

/// The source address, the addresses in the keys' lists, and what tells which one is seen.
fn check_egress(
    typed: Option<&Spanned<file::Egress>>,
    spot: &Spot,
    report: &mut Report<'_>,
) -> (Option<IpAddr>, Vec<IpAddr>, Option<Page>) {
    let Some(typed) = typed else { return (None, Vec::new(), None) };
    let file::Egress { bind, proxy, expect, enforce, address_service } = typed.get_ref();
    let spot = spot.field("egress", typed);
    if let Some(proxy) = proxy {
        let at = spot.field("proxy", proxy);
        read(words::egress_proxy(proxy.get_ref()), &at, report);
        report.not_enforced(&at);
    }
    let expected = expect.as_ref().map_or_else(Vec::new, |expect| {
        let at = spot.field("expect", expect);
        let each = expect.get_ref().iter().enumerate();
        each.filter_map(|(index, it)| {
            let ip = read(words::ip_address(it.get_ref()), &at.item(index, it), report)?;
            Some(ip.to_canonical())
        })
        .collect()
    });
    if let Some(enforce) = enforce.as_ref().filter(|it| *it.get_ref()) {
        report.not_enforced(&spot.field("enforce", enforce));
    }
    let bind = bind.as_ref().and_then(|bind| {
        read(words::ip_address(bind.get_ref()), &spot.field("bind", bind), report)
    });
    let service = check_page(address_service.as_ref(), "address_service", &spot, report);
    (bind, expected, service)
}

/// A page that is asked without any credential: anybody's will do.
fn check_page(
    typed: Option<&Spanned<String>>,
    field: &str,
    spot: &Spot,
    report: &mut Report<'_>,
) -> Option<Page> {
    let typed = typed?;
    let at = spot.field(field, typed);
    let (host, port, path) = read(words::page(typed.get_ref()), &at, report)?;
    Some(Page { endpoint: Endpoint::new(host, port), path })
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
