//! Readers of single words: spans of time, rates, decimals, modes, ranges, hosts, addresses.
//!
//! Each takes the text of one value and returns it checked, or says in a clause what it should be.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::clock::UnixMicros;
use crate::decimal::Decimal;
use crate::policy::Rate;

/// What a value is not, and what it should have been.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Misread {
    pub(super) message: String,
    pub(super) hint: String,
}

impl Misread {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

const LONGEST: Duration = Duration::from_secs(3_600);

/// `250ms`, `3s`, `2min`, `1h`: whole numbers, more than nothing, at most an hour.
pub(super) fn duration(text: &str) -> Result<Duration, Misread> {
    let wrong =
        || Misread::new(format!("`{text}` is no span of time"), "such as \"3s\" or \"250ms\"");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let span = Duration::from_millis(count.saturating_mul(millis));
    if span.is_zero() || span > LONGEST {
        let message = format!("`{text}` must be more than 0 and at most 1h");
        return Err(Misread::new(message, "such as \"3s\" or \"250ms\""));
    }
    Ok(span)
}

/// `off` (which is `None`), or `600/min`, or `600/min burst 60`.
pub(super) fn rate(text: &str) -> Result<Option<Rate>, Misread> {
    if text == "off" {
        return Ok(None);
    }
    let read = limited(text).map(Some);
    read.ok_or_else(|| {
        let hint = "\"off\", \"5/s\", \"600/min\" or \"600/min burst 60\"";
        Misread::new(format!("`{text}` is no rate"), hint)
    })
}

fn limited(text: &str) -> Option<Rate> {
    let positive = |text: &str| {
        // A sign is no digit, though the parser of numbers takes one.
        let digits = text.bytes().all(|it| it.is_ascii_digit());
        text.parse::<u32>().ok().filter(|count| digits && *count > 0)
    };
    let mut parts = text.split(' ');
    let (count, per) = parts.next()?.split_once('/')?;
    let burst: Vec<&str> = parts.collect();
    let burst = match burst.as_slice() {
        [] => None,
        ["burst", count] => Some(positive(count)?),
        _ => return None,
    };
    let seconds = match per {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Rate { count: positive(count)?, per: Duration::from_secs(seconds), burst })
}

/// A plain decimal above nought: `1`, `0.5`.
pub(super) fn decimal(text: &str) -> Result<Decimal, Misread> {
    let read = Decimal::parse(text).filter(|it| !it.is_zero());
    read.ok_or_else(|| {
        let hint = "a plain decimal above 0, such as \"0.5\"";
        Misread::new(format!("`{text}` is no amount"), hint)
    })
}

/// The permission bits of a socket file, in octal.
pub(super) fn mode(text: &str) -> Result<u32, Misread> {
    let octal = text.bytes().all(|it| (b'0'..=b'7').contains(&it));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777);
    let hint = "three octal digits, such as \"0660\"";
    mode.ok_or_else(|| Misread::new(format!("`{text}` is no file mode"), hint))
}

/// The number of a group by its name, in the text of `/etc/group`.
pub(super) fn group(name: &str, groups: &str) -> Result<u32, Misread> {
    let number = |line: &str| {
        let mut parts = line.split(':');
        let (first, _password, number) = (parts.next()?, parts.next()?, parts.next()?);
        (first == name).then(|| number.parse().ok())?
    };
    groups.lines().find_map(number).ok_or_else(|| {
        let message = format!("`{name}` is no group of /etc/group");
        Misread::new(message, "`getent group NAME` tells its number, such as \"1000\"")
    })
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Misread> {
    text.parse().map_err(|_| {
        let hint = text.strip_prefix("localhost:").map_or_else(
            || "an IP address and a port, such as \"127.0.0.1:3840\" or \"[::1]:3840\"".to_owned(),
            |port| format!("write \"127.0.0.1:{port}\""),
        );
        Misread::new(format!("`{text}` is no address to listen on"), hint)
    })
}

pub(super) fn ip_address(text: &str) -> Result<IpAddr, Misread> {
    text.parse().map_err(|_| {
        let hint = "an IPv4 or IPv6 address without a port, such as \"203.0.113.7\"";
        Misread::new(format!("`{text}` is no IP address"), hint)
    })
}

/// `10.0.0.0/8`, or a single address.
pub(super) fn range(text: &str) -> Result<IpNet, Misread> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let net: IpNet = text.parse().map_err(|_| {
        Misread::new(
            format!("`{text}` is no address range"),
            "such as \"10.0.0.0/8\", or one address: \"10.1.2.3\"",
        )
    })?;
    if net.trunc() != net {
        return Err(Misread::new(
            format!("`{text}` has digits beyond its prefix"),
            format!("\"{}\", or \"{}\" for the one address", net.trunc(), net.addr()),
        ));
    }
    Ok(net)
}

/// The word `localhost`, its subdomains, and the loopback addresses, which nobody else can answer.
pub(super) fn is_loopback_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    let name = host == "localhost" || host.ends_with(".localhost");
    name || bare.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// A host as a `Host` header names it, without a port. In lower case.
pub(super) fn host(text: &str) -> Result<String, Misread> {
    let lower = text.to_ascii_lowercase();
    let bracketed = lower.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let v6 = bracketed.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    let label = |it: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !it.is_empty() && it.len() <= 63 && it.bytes().all(inner)
    };
    if v6 || (lower.len() <= 253 && lower.split('.').all(label)) {
        return Ok(lower);
    }
    Err(Misread::new(format!("`{text}` is no host name"), "without scheme, port or path"))
}

/// The host and the port of `https://host[:port]`.
pub(super) fn https(text: &str) -> Result<(String, u16), Misread> {
    origin(text, "https")
}

/// The same for `wss://host[:port]`.
pub(super) fn wss(text: &str) -> Result<(String, u16), Misread> {
    origin(text, "wss")
}

/// The host, the port and the path of a page, `https://host[:port]/path`.
pub(super) fn page(text: &str) -> Result<(String, u16, String), Misread> {
    const SCHEME: usize = "https://".len();
    // The text is not repeated: it may hold a password.
    let no = |why: &str| Misread::new(why, "https://host/path");
    let authority = text.bytes().skip(SCHEME).position(|it| b"/?#".contains(&it));
    let (origin, path) = match authority.and_then(|it| text.split_at_checked(SCHEME + it)) {
        Some((origin, path)) => (origin, path),
        None => (text, "/"),
    };
    let (host, port) = https(origin)?;
    if path.contains('#') {
        return Err(no("has a part that is not sent"));
    }
    let plain = path.starts_with('/') && path.bytes().all(|it| it.is_ascii_graphic());
    if !plain || http::uri::PathAndQuery::try_from(path).is_err() {
        return Err(no("its path has a character that no path has"));
    }
    Ok((host, port, path.to_owned()))
}

fn origin(text: &str, scheme: &str) -> Result<(String, u16), Misread> {
    // The text is not repeated: it may hold a password.
    let shape = || format!("{scheme}://host or {scheme}://host:port");
    let lower = text.to_ascii_lowercase();
    let rest = lower
        .strip_prefix(scheme)
        .and_then(|it| it.strip_prefix("://"))
        .ok_or_else(|| Misread::new(format!("must begin with {scheme}://"), shape()))?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#', '@', '\\']) {
        return Err(Misread::new("has more than a host and a port", shape()));
    }
    let (name, port) = match rest.rsplit_once(':') {
        // The colons of an address in brackets are no port's.
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (rest, None),
    };
    let port = match port {
        None => 443,
        Some(port) => port
            .parse()
            .ok()
            .filter(|&port| port != 0)
            .ok_or_else(|| Misread::new("its port is no number from 1 to 65535", shape()))?,
    };
    let name = host(name).map_err(|_| Misread::new("its host is no host name", shape()))?;
    Ok((name, port))
}

/// `socks5://…` or `http://…`, for the way out.
pub(super) fn egress_proxy(text: &str) -> Result<(), Misread> {
    let rest = text.strip_prefix("socks5://").or_else(|| text.strip_prefix("http://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
        return Ok(());
    }
    let hint = "such as \"socks5://127.0.0.1:1080\"";
    Err(Misread::new("must begin with socks5:// or http:// and name a host", hint))
}

/// A moment in RFC 3339.
pub(super) fn moment(text: &str) -> Result<UnixMicros, Misread> {
    let format = &time::format_description::well_known::Rfc3339;
    let wrong = || {
        Misread::new(
            format!("`{text}` is no date and time with an offset"),
            "such as \"2027-01-01T00:00:00Z\"",
        )
    };
    let moment = time::OffsetDateTime::parse(text, format).map_err(|_| wrong())?;
    let seconds = u64::try_from(moment.unix_timestamp()).map_err(|_| wrong())?;
    Ok(UnixMicros::from_secs(seconds).plus(Duration::from_micros(moment.microsecond().into())))
}

/// A name of our own, which ends up in headers, labels and file names.
pub(super) fn name(text: &str) -> Result<(), Misread> {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(());
    }
    let message = "a name is 1 to 64 letters, digits, `-`, `_` or `.`";
    Err(Misread::new(message, "such as \"market-maker\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Debug>(
        read: fn(&str) -> Result<T, Misread>,
        good: &[&str],
        bad: &[&str],
    ) {
        for text in good {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
        for text in bad {
            assert!(read(text).is_err(), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn spans_rates_and_amounts() {
        check(
            duration,
            &["3s", "250ms", "2min", "1m", "1h"],
            &["", "3", "s", "0s", "2h", "1.5s", "-1s", "3 s", "é"],
        );
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        check(
            rate,
            &["off", "5/s", "600/min", "600/min burst 60", "1/h burst 1"],
            &[
                "",
                "on",
                "5",
                "5/m",
                "0/s",
                "5/s burst",
                "5/s burst 0",
                "5/s  burst 1",
                "5/s burst 1 x",
                "+5/s",
                "5/s burst +1",
            ],
        );
        let rate_of = |count, seconds, burst| {
            Ok(Some(Rate { count, per: Duration::from_secs(seconds), burst }))
        };
        assert_eq!(rate("off"), Ok(None));
        assert_eq!(rate("600/min burst 60"), rate_of(600, 60, Some(60)));
        assert_eq!(rate("5/s"), rate_of(5, 1, None));
        assert_eq!(rate("7/h"), rate_of(7, 3_600, None));
        check(
            decimal,
            &["1", "0.5", "0.10"],
            &["", "0", "0.0", ".5", "1.", "1e3", "-1", "1,000", "00.10", "+1", "１"],
        );
        check(mode, &["0660", "600", "0777"], &["", "0o660", "668", "1777", "-60", "+60"]);
    }

    #[test]
    fn addresses_and_hosts() {
        check(socket_address, &["127.0.0.1:1", "[::1]:2"], &["localhost:1", "127.0.0.1", ":1"]);
        check(range, &["10.0.0.0/8", "::/0", "10.1.2.3"], &["10.0.0.1/8", "10.0.0.0/33", "x"]);
        check(
            host,
            &["geminid", "a.b-c", "10.0.0.1", "[::1]"],
            &["", "a:1", "http://a", "a/b", "a..b"],
        );
        check(
            https,
            &["https://a", "https://A:1/", "https://[::1]:9", "https://[::1]"],
            &[
                "http://a",
                "a",
                "https://",
                "https://a/b",
                "https://u:p@a",
                "https://a?b",
                "https://a:0",
                "https://a:x",
            ],
        );
        assert_eq!(https("https://[::1]"), Ok(("[::1]".to_owned(), 443)));
        for near in ["localhost", "a.localhost", "127.9.9.9", "[::1]"] {
            assert!(is_loopback_host(near), "{near}");
        }
        for far in ["localhost.example.com", "notlocalhost", "10.0.0.1"] {
            assert!(!is_loopback_host(far), "{far}");
        }
        check(egress_proxy, &["socks5://a:1", "http://a"], &["a:1", "https://a", "http://"]);
    }

    #[test]
    fn moments_and_names() {
        check(
            moment,
            &["2027-01-01T00:00:00Z", "2027-01-01T00:00:00.5+02:00"],
            &["2027-01-01", "2027-01-01T00:00:00", "1969-01-01T00:00:00Z", "soon"],
        );
        assert_eq!(moment("1970-01-01T00:00:01.5Z"), Ok(UnixMicros(1_500_000)));
        check(name, &["market-maker", "a.b_c"], &["", "a b", "ä", "a/b"]);
    }
}
