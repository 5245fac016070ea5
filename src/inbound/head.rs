//! A request's head, judged byte by byte before the HTTP library reads it.
//!
//! hyper settles in silence what two readers might settle differently. So nothing reaches it that could
//! be read in two ways (RFC 9112, sections 2.2, 3, 5 and 6.3; the faults of other proxies that each
//! rule answers are in `docs/hardening.md`):
//!
//! 1. Lines end with CR LF. A bare LF or CR, a folded line, white space around a field's name end here.
//! 2. The request line is `METHOD SP target SP HTTP/1.1`. What hyper would drop from a target (`#…`),
//!    or a URL parser turn round (`\`), ends here.
//! 3. One length: one `Content-Length` of digits alone, or one `Transfer-Encoding: chunked`, never both.
//! 4. `Expect` and `Upgrade` say the one thing that is known here.
//! 5. Fields that are read or forwarded are plain ASCII; control characters are in none.
//! 6. A head is bounded in bytes and in fields, and its target in bytes.
//!
//! Absent on purpose: what a head means. `target` and `identify` read it once hyper has.

use http::Uri;
use memchr::memchr_iter;

/// Further than any documented path or query by a wide margin.
pub(super) const MAX_TARGET: usize = 4_096;
pub(super) const MAX_FIELDS: usize = 64;
/// All of it, with the line ends.
pub(super) const MAX_HEAD: usize = 32 * 1_024;
/// Longer than the longest registered method.
const MAX_METHOD: usize = 20;
const LINE_END: &[u8] = b"\r\n";

/// What comes after a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// A body of so many bytes, and then the next head.
    Length(u64),
    /// All that follows belongs to this request: chunks, or another protocol.
    Rest,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadHead {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the request target is longer than {MAX_TARGET} bytes")]
    TargetTooLong,
    #[error("the head has more than {MAX_FIELDS} fields or {MAX_HEAD} bytes")]
    TooLarge,
}

/// How far a head has come in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    Incomplete,
    /// So many bytes are the head.
    Complete(usize),
    Bad(BadHead),
}

/// Looks for the end of the head that `bytes` begin with. The first `seen` of them were looked at
/// before. A fault that shows before the end is told at once: its end may never come.
pub(super) fn progress(bytes: &[u8], seen: usize) -> Progress {
    if let Some(fault) = bytes.first().and_then(|it| not_http(*it)) {
        return Progress::Bad(BadHead::Malformed(fault));
    }
    for at in memchr_iter(b'\n', bytes.get(seen..).unwrap_or_default()) {
        let line = bytes.get(..=seen + at).unwrap_or_default();
        if !line.ends_with(LINE_END) {
            return Progress::Bad(BadHead::Malformed("a line feed without its carriage return"));
        }
        if line.ends_with(b"\r\n\r\n") {
            return match line.len() <= MAX_HEAD {
                true => Progress::Complete(line.len()),
                false => Progress::Bad(BadHead::TooLarge),
            };
        }
    }
    if bytes.len() <= MAX_HEAD {
        return Progress::Incomplete;
    }
    let one_line = !bytes.contains(&b'\n');
    Progress::Bad(if one_line { BadHead::TargetTooLong } else { BadHead::TooLarge })
}

/// Judges a whole head, its empty line included.
pub(crate) fn judge(head: &[u8]) -> Result<Framing, BadHead> {
    let text = head.strip_suffix(b"\r\n\r\n").ok_or(malformed("the head has no end"))?;
    let mut lines = Lines(Some(text));
    request_line(lines.next().unwrap_or_default())?;
    let mut fields = Fields::default();
    for (n, line) in lines.enumerate() {
        if n == MAX_FIELDS {
            return Err(BadHead::TooLarge);
        }
        let (name, value) = field(line)?;
        fields.take(name, value).map_err(BadHead::Malformed)?;
    }
    fields.framing().map_err(BadHead::Malformed)
}

/// What a first byte shows not to be a request.
fn not_http(first: u8) -> Option<&'static str> {
    match first {
        b'A'..=b'Z' => None,
        0x16 => Some("this is TLS, and here plain `http://` is spoken"),
        _ => Some("the request line does not begin with a method"),
    }
}

fn request_line(line: &[u8]) -> Result<(), BadHead> {
    let mut parts = line.splitn(3, |it| *it == b' ');
    let mut next = || parts.next().unwrap_or_default();
    let (method, target, version) = (next(), next(), next());
    if method.is_empty() || method.len() > MAX_METHOD || !method.iter().all(u8::is_ascii_uppercase)
    {
        return Err(malformed("the method is not a word in capitals"));
    }
    if target.len() > MAX_TARGET {
        return Err(BadHead::TargetTooLong);
    }
    if target.is_empty() || !target.iter().all(|it| is_target(*it)) {
        return Err(malformed("the request target holds characters that belong escaped, or none"));
    }
    // A path of such bytes is always one to the library; anything else it might refuse by itself.
    if !target.starts_with(b"/") && Uri::try_from(target).is_err() {
        return Err(malformed("the request target is neither a path nor a URL"));
    }
    match version {
        b"HTTP/1.1" => Ok(()),
        b"HTTP/1.0" => Err(malformed("HTTP/1.0 is not spoken here: use HTTP/1.1")),
        b"HTTP/2.0" => Err(malformed("HTTP/2 is not spoken here: use HTTP/1.1")),
        _ => Err(malformed("the request line does not end with HTTP/1.1")),
    }
}

/// Visible ASCII without what no URI holds unescaped (RFC 3986), and without the fragment's sign.
fn is_target(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~')
}

/// Name and value of a field line, the value without the white space around it.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), BadHead> {
    if line.first().is_some_and(|it| matches!(it, b' ' | b'\t')) {
        return Err(malformed("a folded header line"));
    }
    let colon = line.iter().position(|it| *it == b':');
    let (name, value) = line.split_at(colon.ok_or(malformed("a header line without a colon"))?);
    if name.is_empty() || !name.iter().all(|it| is_token(*it)) {
        return Err(malformed("a header name that is empty or holds odd characters"));
    }
    let value = value.strip_prefix(b":").unwrap_or_default();
    if value.iter().any(|it| it.is_ascii_control() && *it != b'\t') {
        return Err(malformed("a control character in a header"));
    }
    Ok((name, trim(value)))
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

fn trim(value: &[u8]) -> &[u8] {
    // Of ASCII's white space only these two are left here.
    value.trim_ascii()
}

/// What the fields say of the rest of the message.
#[derive(Debug, Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    expects: bool,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let is = |it: &str| name.eq_ignore_ascii_case(it.as_bytes());
        if is("content-length") {
            let length = digits(value).ok_or("a `Content-Length` that is not a plain number")?;
            return once(self.length.replace(length).is_some(), "more than one `Content-Length`");
        }
        if is("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err("a transfer coding other than `chunked`");
            }
            let again = std::mem::replace(&mut self.chunked, true);
            return once(again, "more than one `Transfer-Encoding`");
        }
        if is("upgrade") {
            if !value.eq_ignore_ascii_case(b"websocket") {
                return Err("an `Upgrade` to something other than `websocket`");
            }
            return once(std::mem::replace(&mut self.upgrade, true), "more than one `Upgrade`");
        }
        if is("expect") {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err("an `Expect` other than `100-continue`");
            }
            return once(std::mem::replace(&mut self.expects, true), "more than one `Expect`");
        }
        if !value.is_ascii() && is_read(name) {
            return Err("a header that is read here is not plain ASCII");
        }
        Ok(())
    }

    fn framing(&self) -> Result<Framing, &'static str> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err("both `Content-Length` and `Transfer-Encoding`"),
            // Chunks end where only their reader knows: so nothing is read after them.
            (None, true) => Ok(Framing::Rest),
            (length, false) if self.upgrade => match length.unwrap_or(0) {
                0 => Ok(Framing::Rest),
                _ => Err("an `Upgrade` with a body"),
            },
            (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

fn once(again: bool, fault: &'static str) -> Result<(), &'static str> {
    if again { Err(fault) } else { Ok(()) }
}

/// A number of 1 to 19 digits and nothing else.
fn digits(value: &[u8]) -> Option<u64> {
    let plain = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| plain)?.parse().ok()
}

/// Whether anything here reads a field of this name, or sends it on.
fn is_read(name: &[u8]) -> bool {
    const NAMES: [&str; 11] = [
        "accept",
        "accept-language",
        "authorization",
        "connection",
        "content-encoding",
        "content-type",
        "host",
        "origin",
        "proxy-authorization",
        "user-agent",
        "trailer",
    ];
    const BEGINNINGS: [&str; 2] = ["x-gemini-", "sec-fetch-"];
    let begins = |it: &str| {
        name.get(..it.len()).is_some_and(|head| head.eq_ignore_ascii_case(it.as_bytes()))
    };
    NAMES.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
        || BEGINNINGS.into_iter().any(begins)
}

/// The lines of a head whose every line feed has its carriage return.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let Some(at) = memchr::memchr(b'\n', text) else {
            self.0 = None;
            return Some(text);
        };
        let (line, rest) = text.split_at(at + 1);
        self.0 = Some(rest);
        Some(line.strip_suffix(LINE_END).unwrap_or(line))
    }
}

const fn malformed(fault: &'static str) -> BadHead {
    BadHead::Malformed(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Result<Framing, BadHead> = Ok(Framing::Length(0));

    /// A head of these lines.
    fn head(lines: &[&[u8]]) -> Vec<u8> {
        let mut all = lines.join(LINE_END);
        all.extend(b"\r\n\r\n");
        all
    }

    #[track_caller]
    fn line(line: &[u8], expected: &str) {
        let said = judge(&head(&[line, b"Host: a"]));
        let text = said.map_or_else(|it| it.to_string(), |_| "ok".to_owned());
        assert!(text.contains(expected), "{text:?} does not say {expected:?}");
    }

    /// The sets as the standards list them.
    #[test]
    fn bytes_of_names_and_targets() {
        for byte in 0..=u8::MAX {
            let name = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(byte), name, "{byte:#x}");
            let target = byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
            assert_eq!(is_target(byte), target, "{byte:#x}");
        }
    }

    #[test]
    fn request_lines() {
        line(b"GET / HTTP/1.1", "ok");
        line(b"POST http://api.gemini.com/v1/x?a=%20&b=[1] HTTP/1.1", "ok");
        line(b"OPTIONS * HTTP/1.1", "ok");
        line(b"GET / HTTP/1.0", "HTTP/1.0 is not spoken");
        line(b"PRI * HTTP/2.0", "HTTP/2 is not spoken");
        for bad in [&b"GET / http/1.1"[..], b"GET /", b"GET / HTTP/1.1 ", b"GET /a b HTTP/1.1"] {
            line(bad, "does not end with HTTP/1.1");
        }
        for bad in
            [&b"get / HTTP/1.1"[..], b" GET / HTTP/1.1", b"G-T / HTTP/1.1", b"\tGET / HTTP/1.1"]
        {
            line(bad, "in capitals");
        }
        for bad in [
            &b"GET  / HTTP/1.1"[..],
            b"GET /#f HTTP/1.1",
            b"GET /a\\b HTTP/1.1",
            b"GET /\xc3\xa4 HTTP/1.1",
            b"GET /\x00 HTTP/1.1",
            b"GET /\t HTTP/1.1",
            b"GET /{a} HTTP/1.1",
        ] {
            line(bad, "belong escaped");
        }
        for bad in
            [&b"GET http:// HTTP/1.1"[..], b"GET http://[::1/ HTTP/1.1", b"GET a:b:c HTTP/1.1"]
        {
            line(bad, "neither a path nor a URL");
        }
        let long = |n: usize| format!("GET /{} HTTP/1.1", "x".repeat(n)).into_bytes();
        line(&long(MAX_TARGET - 1), "ok");
        line(&long(MAX_TARGET), "longer than 4096 bytes");
    }

    #[track_caller]
    fn fields(fields: &[&[u8]], expected: Result<Framing, &str>) {
        let all: Vec<&[u8]> = [&b"POST / HTTP/1.1"[..]].iter().chain(fields).copied().collect();
        match (judge(&head(&all)), expected) {
            (Ok(framing), Ok(expected)) => assert_eq!(framing, expected, "{fields:?}"),
            (Err(bad), Err(expected)) => assert!(bad.to_string().contains(expected), "{bad}"),
            (said, expected) => panic!("{fields:?}: {said:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn lengths() {
        fields(&[], NONE.map_err(|_| ""));
        fields(&[b"content-LENGTH: \t12 "], Ok(Framing::Length(12)));
        fields(&[b"Content-Length: 0009"], Ok(Framing::Length(9)));
        fields(&[b"Transfer-Encoding: Chunked"], Ok(Framing::Rest));
        for bad in ["+3", "-1", "0x3", "3,3", "3 3", "", "12345678901234567890", "3;a", "１"] {
            let field = format!("Content-Length: {bad}");
            fields(&[field.as_bytes()], Err("not a plain number"));
        }
        let length = &b"Content-Length: 3"[..];
        let chunked = &b"Transfer-Encoding: chunked"[..];
        fields(&[length, length], Err("more than one `Content-Length`"));
        fields(&[length, chunked], Err("both"));
        fields(&[chunked, length], Err("both"));
        fields(&[chunked, chunked], Err("more than one `Transfer-Encoding`"));
        for bad in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked;a", ""] {
            let field = format!("Transfer-Encoding: {bad}");
            fields(&[field.as_bytes()], Err("a transfer coding other"));
        }
    }

    #[test]
    fn expectations_and_upgrades() {
        fields(&[b"Expect: 100-Continue"], Ok(Framing::Length(0)));
        fields(&[b"Expect: 100-continue, x"], Err("an `Expect` other"));
        fields(&[b"Expect:"], Err("an `Expect` other"));
        fields(&[b"Expect: 100-continue", b"Expect: 100-continue"], Err("more than one"));
        fields(&[b"Upgrade: WebSocket"], Ok(Framing::Rest));
        fields(&[b"Upgrade: websocket", b"Content-Length: 0"], Ok(Framing::Rest));
        fields(&[b"Upgrade: websocket", b"Content-Length: 1"], Err("with a body"));
        fields(&[b"Upgrade: websocket", b"Transfer-Encoding: chunked"], Ok(Framing::Rest));
        fields(&[b"Upgrade: h2c"], Err("an `Upgrade` to something other"));
        fields(&[b"Upgrade: websocket, h2c"], Err("an `Upgrade` to something other"));
    }

    #[test]
    fn names_and_values() {
        fields(&[b"X-Any:\t a b \t"], Ok(Framing::Length(0)));
        fields(&[b"x_any!#$%&'*+-.^`|~: 1"], Ok(Framing::Length(0)));
        fields(&[b" folded"], Err("folded"));
        fields(&[b"X: 1", b"\tfolded"], Err("folded"));
        fields(&[b"no colon"], Err("without a colon"));
        fields(&[b""], Err("without a colon"));
        for bad in [&b": 1"[..], b"X : 1", b"X\x00: 1", b"X(: 1", b"\xc3\xa4: 1", b"X\r: 1"] {
            fields(&[bad], Err("odd characters"));
        }
        for bad in [&b"X: a\x00b"[..], b"X: \x7f", b"X: a\rb", b"X: \x0bchunked", b"X: a\r"] {
            fields(&[bad], Err("control character"));
        }
        fields(&[b"X-Name: J\xfcrgen"], Ok(Framing::Length(0)));
        for read in ["user-agent", "Host", "Authorization", "X-GEMINI-APIKEY", "Sec-Fetch-Site"] {
            let mut field = format!("{read}: ").into_bytes();
            field.push(0xfc);
            fields(&[&field], Err("not plain ASCII"));
        }
    }

    proptest::proptest! {
        /// What is let through as a path, the library takes as one: it never answers by itself.
        #[test]
        fn a_path_that_passes_is_a_path(target in "/[!-~]{0,40}") {
            let line = format!("GET {target} HTTP/1.1");
            if judge(&head(&[line.as_bytes()])).is_ok() {
                let uri: Uri = target.parse().unwrap();
                proptest::prop_assert_eq!(uri.to_string(), target);
            }
        }
    }

    #[test]
    fn bounds() {
        let many = |n: usize| vec![&b"X: 1"[..]; n];
        fields(&many(MAX_FIELDS), Ok(Framing::Length(0)));
        fields(&many(MAX_FIELDS + 1), Err("more than 64 fields"));
    }

    #[test]
    fn heads_come_in_pieces() {
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 1..whole.len() {
            assert_eq!(progress(&whole[..cut], 0), Progress::Incomplete, "{cut}");
            assert_eq!(progress(whole, cut), Progress::Complete(whole.len()), "{cut}");
        }
        let more = [&whole[..], b"{}"].concat();
        assert_eq!(progress(&more, 0), Progress::Complete(whole.len()));
    }

    #[track_caller]
    fn early(bytes: &[u8], expected: &str) {
        let Progress::Bad(bad) = progress(bytes, 0) else { panic!("{bytes:?} is not refused") };
        assert!(bad.to_string().contains(expected), "{bad}");
    }

    #[test]
    fn faults_show_before_the_end() {
        early(b"GET / HTTP/1.1\n", "line feed");
        early(b"GET / HTTP/1.1\r\nHost: a\n", "line feed");
        early(b"\x16\x03\x01", "this is TLS");
        early(b"\x00", "does not begin");
        early(b"get", "does not begin");
        let long = |line: &[u8]| line.iter().copied().chain([b'x'; MAX_HEAD]).collect::<Vec<_>>();
        early(&long(b"GET /"), "longer than 4096");
        early(&long(b"GET / HTTP/1.1\r\nX: "), "32768 bytes");
        let mut over = long(b"GET / HTTP/1.1\r\nX: ");
        over.extend(b"\r\n\r\n");
        early(&over, "32768 bytes");
    }
}
