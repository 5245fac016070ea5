//! Where a request wants to go, read so that nobody else could read it differently.
//! The `gate` has seen to framing and to limits before.
//!
//! 1. Origin-form (a base URL) and absolute-form (`http_proxy`) only.
//! 2. One `Host`, naming this listener: a loopback name, one of `hosts`, or the upstream's own. A web
//!    page that points its own name at this machine (DNS rebinding) names none of them.
//! 3. A path is matched as it stands and never normalised: any byte outside the plain set, any empty
//!    or dotted segment, any percent sign ends here.
//! 4. What a foreign web page made a browser send is refused: an `Origin` other than this
//!    listener's own, or `Sec-Fetch-Site` `cross-site` or `same-site`. Deliberately never on `Origin`
//!    or `Sec-Fetch-Mode` alone: Python's websocket-client sends its own origin, Node's fetch sends
//!    `cors` (seen).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Uri};

use super::gate::Unheard;

// As a text it would be read anew as a header's name at every look.
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names a listener answers to, beside those of loopback.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doors {
    hosts: BTreeSet<String>,
}

/// Where a request wants to go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Misdirected {
    #[error("a web page made a browser send this: {0}")]
    Browser(String),
    #[error("the host {0} is not served here")]
    Host(String),
    #[error("{0}")]
    Malformed(&'static str),
    #[error(transparent)]
    Unheard(#[from] Unheard),
}

impl Doors {
    pub(crate) fn new(hosts: impl IntoIterator<Item = String>) -> Self {
        Self { hosts: hosts.into_iter().map(|it| it.to_ascii_lowercase()).collect() }
    }

    /// `host` in lower case.
    fn admit(&self, host: &str) -> bool {
        is_loopback(host) || self.hosts.contains(host)
    }
}

/// Reads where `head` wants to go, and refuses what did not mean to come here.
pub(crate) fn target(head: &Parts, doors: &Doors) -> Result<Target, Misdirected> {
    if let Some(unheard) = head.extensions.get::<Unheard>() {
        return Err((*unheard).into());
    }
    if head.method == Method::CONNECT {
        return Err(Misdirected::Malformed(
            "CONNECT is not served by this build yet: use a base URL, or `http://` URLs",
        ));
    }
    let authority = authority(head)?;
    let host = host_of(authority).ok_or(Misdirected::Malformed("`Host` names no host"))?;
    if !doors.admit(&host) {
        return Err(Misdirected::Host(authority.escape_default().take(100).collect()));
    }
    foreign_page(&head.headers, authority, doors)?;

    let path = head.uri.path();
    plain_path(path).map_err(Misdirected::Malformed)?;
    let query = head.uri.query();
    if query == Some("") {
        return Err(Misdirected::Malformed("a question mark without a query"));
    }
    plain_query(query.unwrap_or_default()).map_err(Misdirected::Malformed)?;
    Ok(Target { path: path.to_owned(), query: query.map(str::to_owned) })
}

/// The one authority that the request line and `Host` agree on.
fn authority(head: &Parts) -> Result<&str, Misdirected> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Misdirected::Malformed("more than one `Host`"));
    }
    let host = host.ok_or(Misdirected::Malformed("no `Host`"))?;
    let host = host.to_str().map_err(|_| Misdirected::Malformed("`Host` is not plain text"))?;
    let Some(named) = head.uri.authority() else { return Ok(host) };
    if named.as_str().contains('@') {
        return Err(Misdirected::Malformed("a user name in the request target"));
    }
    if !named.as_str().eq_ignore_ascii_case(host) {
        return Err(Misdirected::Malformed("`Host` and the request target name different hosts"));
    }
    match head.uri.scheme_str() {
        Some("http" | "https") => Ok(host),
        _ => Err(Misdirected::Malformed("the request target is neither a path nor a URL")),
    }
}

fn foreign_page(headers: &HeaderMap, authority: &str, doors: &Doors) -> Result<(), Misdirected> {
    let port = |it: &str| it.rsplit_once(':').map(|(_, port)| port.to_owned());
    // Every name of this listener is its own, at the port that the request names.
    let is_own =
        |it: &str| host_of(it).is_some_and(|it| doors.admit(&it)) && port(it) == port(authority);
    for origin in headers.get_all(ORIGIN) {
        let page = origin.to_str().ok().and_then(|it| it.parse::<Uri>().ok());
        let own = page.as_ref().and_then(Uri::authority).map(|it| is_own(it.as_str()));
        if own != Some(true) {
            return Err(Misdirected::Browser("its `Origin` is not this listener's own".to_owned()));
        }
    }
    for site in headers.get_all(&SEC_FETCH_SITE) {
        if matches!(site.as_bytes(), b"cross-site" | b"same-site") {
            return Err(Misdirected::Browser("`Sec-Fetch-Site` names another site".to_owned()));
        }
    }
    Ok(())
}

/// The host of `host` or `host:port`, in lower case and without brackets. `None` if it is anything else.
fn host_of(authority: &str) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
            (Some(host).filter(|it| !it.is_empty() && it.bytes().all(plain))?, port)
        }
    };
    // A number's own parser would take a sign.
    let number = |it: &str| it.bytes().all(|it| it.is_ascii_digit()) && it.parse::<u16>().is_ok();
    port.is_none_or(number).then(|| host.to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|it| it.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|it| it.is_loopback())
}

fn plain_path(path: &str) -> Result<(), &'static str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-'..=b'/' | b':' | b'_');
    if !path.starts_with('/') || !path.bytes().all(plain) {
        return Err("the path holds characters that no path of the exchange has");
    }
    let segments = || path.split('/').skip(1);
    if path != "/" && segments().any(|it| matches!(it, "" | "." | "..")) {
        return Err("the path has an empty or dotted segment");
    }
    Ok(())
}

fn plain_query(query: &str) -> Result<(), &'static str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~!$'()*+,;:@/?=&%[]".contains(&c);
    if !query.bytes().all(plain) {
        return Err("the query holds characters that belong escaped");
    }
    for escape in query.split('%').skip(1) {
        let code = escape.get(..2).and_then(|it| u8::from_str_radix(it, 16).ok());
        match code {
            None => return Err("the query has a percent sign without two digits"),
            Some(0..0x20 | 0x7f) => return Err("the query hides a control character"),
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(target_text: &str, headers: &[(&str, &str)]) -> Result<Target, Misdirected> {
        let mut request = Request::get(target_text);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        target(&head, &Doors::new(["geminid".to_owned(), "api.gemini.com".to_owned()]))
    }

    #[track_caller]
    fn host(host: &str, admitted: bool) {
        let said = read("/v1/symbols", &[("host", host)]);
        assert_eq!(said.is_ok(), admitted, "{host}: {said:?}");
    }

    #[test]
    fn hosts() {
        for good in [
            "localhost",
            "localhost:3840",
            "LOCALHOST:1",
            "127.0.0.1:3840",
            "127.9.9.9",
            "[::1]",
            "[::1]:3840",
            "geminid:80",
            "api.gemini.com",
        ] {
            host(good, true);
        }
        for bad in [
            "evil.test",
            "evil.test:3840",
            "localhost.",
            "localhost.evil.test",
            "0.0.0.0:3840",
            "2130706433",
            "0x7f.1",
            "127.1",
            "[::ffff:127.0.0.1]",
            "user@localhost",
            "",
            "localhost:",
            "localhost:99999",
            "localhost:3840:1",
            "[::1",
            "127.0.0.1, evil.test",
        ] {
            host(bad, false);
        }
    }

    #[test]
    fn one_host_and_no_other() {
        let twice = read("/v1/symbols", &[("host", "localhost"), ("host", "localhost")]);
        assert_eq!(twice, Err(Misdirected::Malformed("more than one `Host`")));
        assert_eq!(read("/v1/symbols", &[]), Err(Misdirected::Malformed("no `Host`")));
    }

    #[test]
    fn absolute_form() {
        let as_proxy = |uri: &str, host: &str| read(uri, &[("host", host)]);
        let target = as_proxy("http://api.gemini.com/v1/symbols?a=1", "api.gemini.com").unwrap();
        assert_eq!((target.path.as_str(), target.query.as_deref()), ("/v1/symbols", Some("a=1")));
        assert!(as_proxy("http://evil.test/v1/symbols", "evil.test").is_err());
        assert!(as_proxy("http://api.gemini.com/", "localhost").is_err());
        assert!(as_proxy("http://u:p@api.gemini.com/", "u:p@api.gemini.com").is_err());
        assert!(as_proxy("ftp://localhost/", "localhost").is_err());
    }

    #[track_caller]
    fn page(headers: &[(&str, &str)], refused: bool) {
        let all: Vec<_> = [("host", "localhost:3840")].iter().chain(headers).copied().collect();
        let said = read("/v1/symbols", &all);
        assert_eq!(matches!(said, Err(Misdirected::Browser(_))), refused, "{headers:?}: {said:?}");
    }

    #[test]
    fn foreign_pages() {
        page(&[("origin", "http://evil.test")], true);
        page(&[("origin", "null")], true);
        page(&[("origin", "http://localhost:1")], true);
        page(&[("origin", "http://localhost:3840")], false);
        page(&[("origin", "http://127.0.0.1:3840")], false);
        page(&[("origin", "http://127.0.0.1:3841")], true);
        page(&[("sec-fetch-site", "cross-site")], true);
        page(&[("sec-fetch-site", "same-site")], true);
        page(&[("sec-fetch-site", "none")], false);
        page(&[("sec-fetch-mode", "cors")], false);
        page(&[("sec-fetch-site", "same-origin"), ("origin", "http://LOCALHOST:3840")], false);
    }

    #[test]
    fn paths_and_queries_are_plain() {
        let path = |path: &str| read(path, &[("host", "localhost")]).is_ok();
        assert!(!path("/v1/x?"));
        assert!(path("/") && path("/v2/candles/btcusd/1m") && path("/v1/a/records.json?x=%20&y=1"));
        for odd in [
            "/v1/../x",
            "/v1/%2e%2e/x",
            "//v1/x",
            "/v1//x",
            "/v1/x/",
            "/v1/x;a=1",
            "/v1/x%00",
            "/v1/.",
            "/v1/x?a=%0d%0a",
            "/v1/x?a=%zz",
            "/v1/x?a=%",
            "/v1/x?a=|b",
            "/v1/~x",
        ] {
            assert!(!path(odd), "{odd}");
        }
    }
}
