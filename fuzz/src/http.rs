//! HTTP/1.1 as the specification has it (RFC 9112), and nothing that it only tolerates.

/// A request, and which bytes come after it.
#[derive(Debug)]
pub struct Message<'a> {
    pub method: &'a str,
    pub target: &'a str,
    /// Names in lower case, values without the white space around them.
    pub fields: Vec<(String, &'a [u8])>,
    /// `None`: it is not all there, or its chunks are broken, or have trailers.
    pub body: Option<Vec<u8>>,
    pub rest: &'a [u8],
}

/// The request at the beginning of `stream`; `None` if it could be read in another way, or not at all.
pub fn message(stream: &[u8]) -> Option<Message<'_>> {
    // An empty line before a request line is to be ignored (section 2.2).
    let stream = stream.strip_prefix(b"\r\n").unwrap_or(stream);
    let end = find(stream, b"\r\n\r\n")?;
    let (head, rest) = (&stream[..end], &stream[end + 4..]);
    let mut lines = split(head);
    let mut words = lines.next()?.split(|it| *it == b' ');
    let method = text(words.next()?, |it| it.is_ascii_uppercase())?;
    let target = text(words.next()?, |it| it.is_ascii_graphic() && it != b'#')?;
    if words.next()? != b"HTTP/1.1" || words.next().is_some() {
        return None;
    }
    let mut fields = Vec::new();
    for line in lines {
        let colon = line.iter().position(|it| *it == b':')?;
        let token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
        let name = text(&line[..colon], token)?.to_ascii_lowercase();
        let value = line[colon + 1..].trim_ascii();
        if value.iter().any(|it| (*it < b' ' && *it != b'\t') || *it == 0x7f) {
            return None;
        }
        fields.push((name, value));
    }
    let (body, rest) = body(&fields, rest)?;
    Some(Message { method, target, fields, body, rest })
}

fn body<'a>(fields: &[(String, &[u8])], rest: &'a [u8]) -> Option<(Option<Vec<u8>>, &'a [u8])> {
    let all = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|(it, _)| it == name).map(|(_, value)| *value).collect()
    };
    match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => Some((Some(Vec::new()), rest)),
        ([length], []) => {
            let length: usize = text(length, |it| it.is_ascii_digit())?.parse().ok()?;
            let (body, rest) = rest.split_at_checked(length).unwrap_or_default();
            Some((Some(body.to_vec()).filter(|it| it.len() == length), rest))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => match chunks(rest) {
            Some((body, rest)) => Some((Some(body), rest)),
            None => Some((None, b"")),
        },
        _ => None,
    }
}

fn chunks(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = rest[..end].split(|it| *it == b';').next()?.trim_ascii_end();
        let size = usize::from_str_radix(text(size, |it| it.is_ascii_hexdigit())?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some((body, rest.strip_prefix(b"\r\n")?));
        }
        let (chunk, after) = rest.split_at_checked(size)?;
        body.extend(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

fn split(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = find(text, b"\r\n");
        rest = end.map(|it| &text[it + 2..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|it| it == what)
}

fn text(bytes: &[u8], allowed: impl Fn(u8) -> bool) -> Option<&str> {
    let sound = !bytes.is_empty() && bytes.iter().all(|it| allowed(*it));
    std::str::from_utf8(bytes).ok().filter(|_| sound)
}
