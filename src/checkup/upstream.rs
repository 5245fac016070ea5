//! The way to an upstream: its name, the connection, the certificates, an answer of its own, the time in
//! it, and the address that the question left from.
//!
//! One handshake and one public question; the outside pages where they are configured. No credential.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::{Check, State, Topic};
use crate::answer::{self, Received};
use crate::clock::{Clock, UnixMicros};
use crate::config::Upstream;
use crate::diagnose::{self, Cause, StatusPage, is_inside};
use crate::egress::{BadAnchor, Certificate, Destination, Egress, Look, Reached, look};
use crate::nonce::{Reading, ServerClock};
use crate::outside::Outside;
use crate::ready::Ready;
use crate::refusal::Refusal;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the public question may.
const ANSWER: Duration = Duration::from_secs(8);
const DAY: u64 = 24 * 60 * 60;
/// A certificate that ends sooner is told of.
const SOON: u64 = 14;
/// Beyond this a time-based nonce of this machine's own clock would be refused.
const WRONG_CLOCK: i64 = 30_000;
const ODD_CLOCK: i64 = 2_000;

/// Walks the way, as far as it goes.
pub(crate) async fn upstream(upstream: &Upstream, clock: &Arc<dyn Clock>) -> Vec<Check> {
    let subject = format!("upstream `{}`", upstream.name);
    let mut walk = Walk { upstream, clock, subject, checks: Vec::new() };
    // Boxed: it holds several connections.
    let walked = tokio::time::timeout(PATIENCE, Box::pin(walk.go())).await;
    match walked {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            let check = walk.check(Topic::Tls, State::Fault, fault.to_string());
            walk.checks.push(check.fixed_by("see that `ca_file` holds certificates in PEM form"));
        }
        Err(_) => {
            let line = format!("it took longer than {} s", PATIENCE.as_secs());
            let check = walk.check(Topic::Public, State::Fault, line);
            walk.checks.push(check.because(Cause::UpstreamTimeout));
        }
    }
    walk.checks
}

/// What an outside service says of the address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Service {
    /// None is configured.
    None,
    Silent,
    Sees(IpAddr),
}

struct Walk<'a> {
    upstream: &'a Upstream,
    clock: &'a Arc<dyn Clock>,
    subject: String,
    checks: Vec<Check>,
}

impl Walk<'_> {
    async fn go(&mut self) -> Result<(), BadAnchor> {
        let destination = Destination::from(self.upstream);
        let seen = look(&destination).await?;
        self.told(&seen);
        if !matches!(seen.handshake, Some(Ok(_))) {
            return Ok(());
        }
        let outside = Outside::new(self.upstream, self.clock)?;
        let (page, address) = tokio::join!(outside.status_page(), outside.address());
        if self.upstream.status_page.is_some() {
            self.status_page(page.as_ref());
        }
        let egress = Egress::new(destination, Arc::clone(self.clock))?;
        let local = self.public(&egress, page, address).await;
        let local = local.or_else(|| seen.connection?.ok().map(|it| it.from));
        if let Some(local) = local {
            let service = match (outside.knows_address(), address) {
                (false, _) => Service::None,
                (true, None) => Service::Silent,
                (true, Some(seen)) => Service::Sees(seen),
            };
            self.egress(local.to_canonical(), service);
        }
        Ok(())
    }

    fn check(&self, topic: Topic, state: State, line: impl Into<String>) -> Check {
        Check::new(topic, &*self.subject, state, line)
    }

    fn told(&mut self, seen: &Look) {
        let Look { addresses, connection, handshake, chain } = seen;
        let host = &self.upstream.rest.host;
        let dns = match addresses {
            Ok(found) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                self.check(Topic::Dns, State::Ok, format!("{host} is {}", found.join(", ")))
            }
            Err(why) => self
                .check(Topic::Dns, State::Fault, format!("{host} has no address: {why}"))
                .because(Cause::UpstreamUnreachable)
                .fixed_by("see that this machine's resolver works: getent hosts NAME")
                .fixed_by("see that `url` names the host that is meant, if it is set"),
        };
        self.checks.push(dns);
        let connection = connection.as_ref().map(|it| match it {
            Ok(Reached { to, from }) => {
                self.check(Topic::Connection, State::Ok, format!("connected to {to} from {from}"))
            }
            Err(why) => self
                .check(Topic::Connection, State::Fault, format!("no connection: {why}"))
                .because(Cause::UpstreamUnreachable)
                .fixed_by("see that a firewall lets this machine out, on this port")
                .fixed_by("see that `[upstreams.egress] bind`, if it is set, is an address of this machine"),
        });
        self.checks.extend(connection);
        let now = self.clock.wall();
        let handshake = handshake.as_ref().map(|it| match it {
            Ok(version) => self.secured(version, chain, now),
            Err(why) => {
                let line = format!("the certificate is not accepted, or there is none: {why}");
                shown(self.check(Topic::Tls, State::Fault, line), chain, now)
                    .with(format!("trusted: {}", self.roots()))
                    .because(Cause::UpstreamTls)
                    .fixed_by("whoever signed it is not the exchange's authority: see whether something on the way opens TLS")
                    .fixed_by("with a `url` of your own, name its authority in `ca_file`")
            }
        });
        self.checks.extend(handshake);
    }

    fn secured(&self, version: &str, chain: &[Certificate], now: UnixMicros) -> Check {
        let days = chain.iter().map(|it| days_left(it, now)).min();
        let line = match (chain.first(), days) {
            (Some(first), Some(days)) => {
                let issuer = &first.issuer;
                format!("{version}, a certificate of {issuer}, {days} days left in the chain")
            }
            _ => version.to_owned(),
        };
        let soon = days.is_some_and(|it| it < SOON);
        let state = if soon { State::Remark } else { State::Ok };
        let check = shown(self.check(Topic::Tls, state, line), chain, now);
        let check = check.with(format!("trusted: {}", self.roots()));
        if soon { check.fixed_by("whoever runs the upstream renews it") } else { check }
    }

    fn roots(&self) -> String {
        match self.upstream.ca.len() {
            0 => "Mozilla's roots, compiled in".to_owned(),
            n => format!("Mozilla's roots, compiled in, and {n} of `ca_file`"),
        }
    }

    /// Asks for public data. Returns this machine's address of the answer.
    async fn public(
        &mut self,
        egress: &Egress,
        page: Option<StatusPage>,
        seen: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let (provider, nothing) = (self.upstream.provider, HeaderMap::new());
        let sent = self.clock.monotonic();
        let answer = egress.send(provider.date_request(), &nothing, ANSWER).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => {
                let refusal = Refusal::Send { fault, mutates: false };
                self.unanswered(&refusal);
                return None;
            }
        };
        let at = Reading { wall: self.clock.wall(), monotonic: self.clock.monotonic() };
        let headers = answer.headers().clone();
        let local = answer.body().from.as_ref().map(|it| it.ip);
        match answer::read(provider, answer, None, None).await {
            Ok(received) => self.answered(&received, page, seen),
            Err(refusal) => self.unanswered(&refusal),
        }
        let clock = ServerClock::default();
        Ready::new(0).observe(&headers, &clock, sent, at);
        let check = self.skew(clock.skew_millis(at));
        self.checks.push(check);
        local
    }

    fn unanswered(&mut self, refusal: &Refusal) {
        let line = format!("public data has no answer: {refusal}");
        let check = self.check(Topic::Public, State::Fault, line).found(&refusal.finding());
        self.checks.push(check);
    }

    fn answered(&mut self, received: &Received, page: Option<StatusPage>, seen: Option<IpAddr>) {
        let (provider, status) = (self.upstream.provider, received.answer.status);
        if status.is_success() {
            let line = "the exchange answers public data";
            let check = self.check(Topic::Public, State::Ok, line);
            self.checks.push(check);
            return;
        }
        let mut evidence = received.evidence();
        evidence.status_page = page;
        evidence.egress.seen = seen;
        evidence.egress.expected.clone_from(&self.upstream.expect);
        let diagnosis = diagnose::diagnose(&evidence, provider.rules());
        let finding = &diagnosis.finding;
        let line = format!("public data is answered with {}: {}", status.as_u16(), finding.line);
        let check = self.check(Topic::Public, State::Fault, line).found(finding);
        self.checks.push(check);
    }

    fn skew(&self, millis: Option<i64>) -> Check {
        let Some(millis) = millis else {
            let line = "the exchange's answer carries no `Date`, so its time is not known";
            return self
                .check(Topic::Clock, State::Fault, line)
                .because(Cause::ClockUntrusted)
                .fixed_by("see whether something on the way takes headers off answers");
        };
        let side = if millis > 0 { "ahead of" } else { "behind" };
        let seconds = millis.saturating_abs().saturating_add(500) / 1_000;
        let off = format!("this machine's clock is {seconds} s {side} the exchange's");
        let fix = "set this machine's clock: timedatectl set-ntp true";
        match millis.saturating_abs() {
            WRONG_CLOCK.. => self
                .check(Topic::Clock, State::Fault, off)
                .with("geminid takes its nonces from the exchange's clock; logs and bots do not")
                .fixed_by(fix),
            ODD_CLOCK.. => self.check(Topic::Clock, State::Remark, off).fixed_by(fix),
            _ => {
                let line = "this machine's clock agrees with the exchange's to 2 s";
                self.check(Topic::Clock, State::Ok, line)
            }
        }
    }

    fn egress(&mut self, local: IpAddr, service: Service) {
        let expected = &self.upstream.expect;
        let check = |state, line: String| self.check(Topic::Egress, state, line);
        let (ip, whose) = match service {
            Service::Sees(seen) => (seen, "as the address service sees it"),
            Service::Silent | Service::None => (local, "this machine's own"),
        };
        let behind = ip == local && is_inside(local);
        let words = format!("requests leave from {ip}, {whose}");
        let list: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let list = list.join(", ");
        let told = match (behind, expected.is_empty(), expected.contains(&ip)) {
            (true, ..) => check(
                State::Remark,
                format!("{words}: a router puts another in its place, which is not known here"),
            )
            .fixed_by("name an `[upstreams.egress] address_service`, and `expect` the keys' Trusted IPs"),
            (false, true, _) => check(State::Ok, words),
            (false, false, true) => check(State::Ok, format!("{words}, as `expect` has it")),
            (false, false, false) => check(
                State::Fault,
                format!("{words}, and `expect` has {list}"),
            )
            .because(Cause::EgressAddressUnexpected)
            .fixed_by(format!("add {ip} to the keys' Trusted IPs and to `[upstreams.egress] expect`"))
            .fixed_by("or send from an expected address: `[upstreams.egress] bind`, or this machine's routes"),
        };
        let silent = service == Service::Silent;
        let silent = silent.then(|| {
            check(State::Remark, "the address service does not answer".to_owned())
                .fixed_by("open `[upstreams.egress] address_service` in a browser: it answers with an address")
        });
        self.checks.push(told);
        self.checks.extend(silent);
    }

    fn status_page(&mut self, page: Option<&StatusPage>) {
        let check = match page {
            None => self
                .check(Topic::StatusPage, State::Remark, "the status page does not answer")
                .fixed_by("`status_page` is an address of Statuspage's `status.json`"),
            Some(StatusPage { indicator, description }) => {
                let state = if indicator == "none" { State::Ok } else { State::Remark };
                let line = format!("the status page says {description:?} ({indicator})");
                let check = self.check(Topic::StatusPage, state, line);
                match state {
                    State::Remark => check.fixed_by("wait for the exchange: it has an incident"),
                    State::Ok | State::Fault => check,
                }
            }
        };
        self.checks.push(check);
    }
}

fn shown(check: Check, chain: &[Certificate], now: UnixMicros) -> Check {
    chain.iter().fold(check, |check, it| {
        let Certificate { subject, issuer, .. } = it;
        let days = days_left(it, now);
        check.with(format!("shown: {subject:?}, signed by {issuer:?}, {days} days left"))
    })
}

fn days_left(certificate: &Certificate, now: UnixMicros) -> u64 {
    certificate.ends.secs().saturating_sub(now.secs()) / DAY
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::{self, Overrides, ProcessEnvironment};

    fn checks(settings: &str, looks: impl FnOnce(&mut Walk<'_>)) -> Vec<Check> {
        let text = format!("[[upstreams]]\n{settings}\n");
        let env = &ProcessEnvironment;
        let over = Overrides { state_dir: Some("/nowhere".into()), ..Overrides::default() };
        let config = config::parse(&text, Path::new("p"), env, &over, UnixMicros(1)).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let subject = "x".to_owned();
        let upstream = &config.upstreams[0];
        let mut walk = Walk { upstream, clock: &clock, subject, checks: Vec::new() };
        looks(&mut walk);
        walk.checks
    }

    #[test]
    fn a_clock_is_right_odd_or_wrong() {
        drop(checks("", |walk| {
            for (millis, state, words) in [
                (Some(0), State::Ok, "agrees"),
                (Some(-1_999), State::Ok, "agrees"),
                (Some(2_000), State::Remark, "2 s ahead of"),
                (Some(-29_999), State::Remark, "30 s behind"),
                (Some(-30_000), State::Fault, "30 s behind"),
                (Some(i64::MIN), State::Fault, "behind"),
                (None, State::Fault, "no `Date`"),
            ] {
                let check = walk.skew(millis);
                assert_eq!(check.state, state, "{millis:?}");
                assert!(check.line.contains(words), "{check:?}");
                assert_eq!(check.fix.is_empty(), state == State::Ok);
            }
        }));
    }

    #[test]
    fn the_address_is_held_against_the_list() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let listed = "egress.expect = [\"203.0.113.7\"]";
        for (settings, local, service, states) in [
            ("", "203.0.113.7", None, &[State::Ok][..]),
            ("", "127.0.0.1", None, &[State::Ok]),
            ("", "192.168.1.5", None, &[State::Remark]),
            ("", "192.168.1.5", Some(Some("203.0.113.7")), &[State::Ok]),
            (listed, "203.0.113.7", None, &[State::Ok]),
            (listed, "203.0.113.8", None, &[State::Fault]),
            (listed, "192.168.1.5", None, &[State::Remark]),
            (listed, "192.168.1.5", Some(Some("203.0.113.7")), &[State::Ok]),
            (listed, "192.168.1.5", Some(Some("203.0.113.8")), &[State::Fault]),
            (listed, "203.0.113.7", Some(None), &[State::Ok, State::Remark]),
            (listed, "192.168.1.5", Some(None), &[State::Remark, State::Remark]),
        ] {
            let service = match service {
                None => Service::None,
                Some(seen) => seen.map_or(Service::Silent, |it| Service::Sees(ip(it))),
            };
            let checks = checks(settings, |walk| walk.egress(ip(local), service));
            let told: Vec<State> = checks.iter().map(|it| it.state).collect();
            assert_eq!(told, states, "{settings} {local} {service:?} {checks:?}");
        }
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told() {
        let now = SystemClock::new().wall();
        for (days, state) in [(15, State::Ok), (13, State::Remark), (0, State::Remark)] {
            let ends = now.plus(Duration::from_secs(days * DAY + 60));
            let text = || "x".to_owned();
            let chain = [Certificate { subject: text(), issuer: text(), ends }];
            drop(checks("", |walk| {
                let check = walk.secured("TLS 1.3", &chain, now);
                assert_eq!(check.state, state);
                assert!(check.line.contains(&format!("{days} days left")), "{check:?}");
            }));
        }
    }

    #[test]
    fn an_incident_is_a_remark() {
        for (page, state) in
            [(Some("none"), State::Ok), (Some("major"), State::Remark), (None, State::Remark)]
        {
            let page = page.map(|it| StatusPage {
                indicator: it.to_owned(),
                description: "All Systems".to_owned(),
            });
            let checks = checks("", |walk| walk.status_page(page.as_ref()));
            assert_eq!(checks[0].state, state, "{checks:?}");
        }
    }
}
