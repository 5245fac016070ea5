//! What `curl -i`, `-v` or both print: heads, remarks, and a body.

use http::header::{HeaderMap, HeaderName, HeaderValue, UPGRADE};

use super::{Answer, keys};

/// No answer has more.
const MAX_FIELDS: usize = 256;

/// Whatever is no head is body.
pub(super) fn read(bytes: &[u8]) -> Answer {
    let mut answer = Answer::default();
    if is_verbose(bytes) {
        let Untangled { heads, rest } = untangle(bytes, &mut answer);
        take_heads(&heads, &mut answer);
        answer.body = take_heads(&rest, &mut answer).to_vec();
    } else {
        answer.body = take_heads(without_command(bytes), &mut answer).to_vec();
    }
    answer.upgrade |= answer.status == Some(426);
    answer
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|it| *it == b'\n')
}

fn bare(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_verbose(bytes: &[u8]) -> bool {
    lines(bytes).any(|it| it.starts_with(b"< HTTP/"))
}

/// The lines of the heads, and those of the body, without what curl remarks.
struct Untangled {
    heads: Vec<u8>,
    rest: Vec<u8>,
}

fn untangle(bytes: &[u8], answer: &mut Answer) -> Untangled {
    let (mut heads, mut rest) = (Vec::new(), Vec::new());
    for line in lines(bytes) {
        let said = bare(line);
        if let Some(field) = said.strip_prefix(b"< ").or_else(|| (said == b"<").then_some(b"")) {
            heads.extend_from_slice(field);
            heads.push(b'\n');
        } else if let Some(sent) = said.strip_prefix(b"> ") {
            sent_line(sent, answer);
        } else if !is_remark(said) {
            rest.extend_from_slice(line);
        }
    }
    Untangled { heads, rest: without_end(&rest).to_vec() }
}

/// What curl tells of itself: `* …`, `> …`, `{ [512 bytes data]`, and how far it is.
fn is_remark(line: &[u8]) -> bool {
    let progress = [&b"  % Total"[..], b"                                 Dload"];
    let counting = line.windows(8).any(|it| it == b"--:--:--");
    let framed = [&b"* "[..], b"{ [", b"} ["].iter().any(|it| line.starts_with(it));
    line == b">" || framed || counting || progress.iter().any(|it| line.starts_with(it))
}

/// A body without a line feed has curl's last remark right behind it.
fn without_end(rest: &[u8]) -> &[u8] {
    let remarks = [&b"* Connection #"[..], b"* Closing connection", b"* shutting down connection"];
    let line = rest.trim_ascii_end().rsplit(|it| *it == b'\n').next().unwrap_or_default();
    let begins = |remark: &&[u8]| line.windows(remark.len()).position(|it| it == *remark);
    let Some(at) = remarks.iter().find_map(begins) else { return rest };
    let start = rest.trim_ascii_end().len().saturating_sub(line.len());
    rest.get(..start + at).unwrap_or(rest)
}

/// A line of the request: which call it is, and whether it asks for a socket.
fn sent_line(line: &[u8], answer: &mut Answer) {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split(' ');
    if let (Some(method @ ("GET" | "POST")), Some(target)) = (words.next(), words.next()) {
        answer.request = Some((method.to_owned(), target.to_owned()));
    }
    let (name, value) = text.split_once(':').unwrap_or_default();
    answer.upgrade |= name.eq_ignore_ascii_case(UPGRADE.as_str()) && !value.trim().is_empty();
}

/// The command itself, where the shell's line was copied too.
fn without_command(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    let mut goes_on = false;
    for line in lines(bytes) {
        let said = bare(line);
        let prompt = [&b"$ "[..], b"# ", b"% ", b"curl "].iter().any(|it| said.starts_with(it));
        if !prompt && !goes_on {
            break;
        }
        goes_on = said.ends_with(b"\\");
        rest = rest.get(line.len()..).unwrap_or_default();
    }
    rest
}

/// Reads heads as long as one begins, and returns what follows the last.
fn take_heads<'a>(bytes: &'a [u8], answer: &mut Answer) -> &'a [u8] {
    let mut rest = bytes;
    while let Some(status) = lines(rest).next().and_then(|it| status(bare(it))) {
        answer.status = Some(status);
        answer.headers = HeaderMap::new();
        let mut at = 0;
        for line in lines(rest) {
            let said = bare(line);
            if at > 0 && (said.starts_with(b"{") || said.starts_with(b"<")) {
                // The empty line before the body got lost.
                break;
            }
            at += line.len();
            if said.trim_ascii().is_empty() {
                break;
            }
            field(said, &mut answer.headers);
        }
        rest = rest.get(at..).unwrap_or_default();
    }
    rest
}

/// `HTTP/1.1 403 Forbidden`, `HTTP/2 403`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let mut words = rest.split(|it| *it == b' ');
    let version = words.next()?;
    let is_version = version.iter().all(|it| it.is_ascii_digit() || *it == b'.');
    let status = str::from_utf8(words.next()?).ok()?.trim().parse().ok()?;
    (is_version && !version.is_empty() && (100..600).contains(&status)).then_some(status)
}

fn field(line: &[u8], headers: &mut HeaderMap) {
    let Some(colon) = line.iter().position(|it| *it == b':') else { return };
    let (name, value) = line.split_at(colon);
    let value =
        keys::mask(&String::from_utf8_lossy(value.get(1..).unwrap_or_default().trim_ascii()));
    let name = HeaderName::from_bytes(name);
    if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value))
        && headers.len() < MAX_FIELDS
    {
        headers.append(name, value);
    }
}
