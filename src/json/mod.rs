//! A strict JSON reader whose output is what gets signed.
//!
//! 1. RFC 8259 and nothing beyond it: no comments, no trailing commas, no `NaN`, no lone surrogates,
//!    no bytes after the value.
//! 2. A name stands once in an object, compared after unescaping and without regard to ASCII case: a
//!    reader that keeps the first, the last or folds case sees the same object that we inspected.
//! 3. Depth and number of members are bounded.
//! 4. The text of numbers and strings is kept to the letter: order ids exceed 2^53, decimals 19
//!    digits.
//!
//! Deliberately no conversion to floating point anywhere.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

const MAX_DEPTH: usize = 16;
const MAX_MEMBERS: usize = 256;

/// Why a text is not acceptable, and at which byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written.
    Number(Box<str>),
    /// As it was written, with its quotes and escapes.
    String(Box<str>),
    Array(Vec<Self>),
    Object(Object),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    /// Unescaped.
    name: Box<str>,
    /// As it was written, if that is not the name between quotes.
    raw: Option<Box<str>>,
    value: Value,
    /// Where the value stood in the text that was read.
    span: Range<usize>,
}

impl Object {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { text, at: 0 };
        reader.skip_space();
        if reader.peek() != Some(b'{') {
            return Err(reader.fault("expected an object"));
        }
        let object = reader.object(1)?;
        reader.skip_space();
        if reader.at < text.len() {
            return Err(reader.fault("more after the object"));
        }
        Ok(object)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.member(name).map(|it| &it.value)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|it| &*it.name)
    }

    /// Where the value of `name` stands in the text that was read, its quotes included.
    pub(crate) fn span(&self, name: &str) -> Option<Range<usize>> {
        self.member(name).map(|it| it.span.clone())
    }

    /// Takes a member out.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Value> {
        let place = self.members.iter().position(|it| &*it.name == name)?;
        Some(self.members.remove(place).value)
    }

    /// The members as compact JSON, without the braces: shorter than the text that was read.
    pub(crate) fn members_json(&self) -> String {
        let mut out = String::with_capacity(128);
        write_members(&self.members, &mut out);
        out
    }

    /// Whether both hold the same members, in whatever order; numbers are compared as text.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let found = |it: &Member| other.get(&it.name).is_some_and(|theirs| it.value.same(theirs));
        self.members.len() == other.members.len() && self.members.iter().all(found)
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|it| &*it.name == name)
    }
}

impl Value {
    /// Reads a text that is one value, of whatever kind.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader { text, at: 0 };
        reader.skip_space();
        let value = reader.value(0)?;
        reader.skip_space();
        if reader.at < text.len() {
            return Err(reader.fault("more after the value"));
        }
        Ok(value)
    }

    /// The text of a string, unescaped.
    pub(crate) fn as_str(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::String(raw) => {
                let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
                Some(unescape(inner))
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The text of a string or of a number, as identifiers and amounts are written either way.
    pub(crate) fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::String(_) => self.as_str(),
            Self::Null | Self::Bool(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Null | Self::Number(_) | Self::String(_) | Self::Array(_) | Self::Object(_) => {
                None
            }
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(ours), Self::Bool(theirs)) => ours == theirs,
            (Self::Number(ours), Self::Number(theirs)) => ours == theirs,
            (Self::String(_), Self::String(_)) => self.as_str() == other.as_str(),
            (Self::Array(ours), Self::Array(theirs)) => {
                let pairs = || ours.iter().zip(theirs);
                ours.len() == theirs.len() && pairs().all(|(a, b)| a.same(b))
            }
            (Self::Object(ours), Self::Object(theirs)) => ours.same(theirs),
            _ => false,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) | Self::String(text) => out.push_str(text),
            Self::Array(values) => {
                out.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => {
                out.push('{');
                write_members(&object.members, out);
                out.push('}');
            }
        }
    }
}

fn write_members(members: &[Member], out: &mut String) {
    for (n, member) in members.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        if let Some(raw) = &member.raw {
            out.push_str(raw);
        } else {
            out.push('"');
            out.push_str(&member.name);
            out.push('"');
        }
        out.push(':');
        member.value.write(out);
    }
}

/// `text` as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string succeeds");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Resolves the escapes of a string that the reader has accepted.
fn unescape(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let high = code_unit(&mut chars);
                if (0xD800..0xDC00).contains(&high) {
                    let low = code_unit(&mut chars.by_ref().skip(2));
                    let code = 0x1_0000 + ((high & 0x3FF) << 10 | low & 0x3FF);
                    out.extend(char::from_u32(code));
                } else {
                    out.extend(char::from_u32(high));
                }
            }
            Some(plain) => out.push(plain),
            None => {}
        }
    }
    Cow::Owned(out)
}

fn code_unit(chars: &mut impl Iterator<Item = char>) -> u32 {
    chars.take(4).fold(0, |sum, c| sum << 4 | c.to_digit(16).unwrap_or(0))
}

struct Reader<'text> {
    text: &'text [u8],
    at: usize,
}

impl<'text> Reader<'text> {
    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1).map(Value::Object),
            Some(b'[') => self.array(depth + 1).map(Value::Array),
            Some(b'"') => self.string().map(|raw| Value::String(raw.into())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word(b"null", Value::Null),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            _ => Err(self.fault("expected a value")),
        }
    }

    /// Stands at `{`.
    fn object(&mut self, depth: usize) -> Result<Object, Malformed> {
        self.open(depth)?;
        let mut members: Vec<Member> = Vec::new();
        if self.take(b'}') {
            return Ok(Object { members });
        }
        loop {
            self.skip_space();
            let start = self.at;
            let raw = self.string()?;
            let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            let name = unescape(inner);
            if members.iter().any(|it| it.name.eq_ignore_ascii_case(&name)) {
                return Err(Malformed { at: start, what: "a name stands twice in an object" });
            }
            if members.len() == MAX_MEMBERS {
                return Err(Malformed { at: start, what: "too many members in an object" });
            }
            let raw = matches!(name, Cow::Owned(_)).then(|| raw.into());
            self.skip_space();
            if !self.take(b':') {
                return Err(self.fault("expected `:`"));
            }
            self.skip_space();
            let from = self.at;
            let value = self.value(depth)?;
            members.push(Member { name: name.into(), raw, value, span: from..self.at });
            if self.close(b'}')? {
                return Ok(Object { members });
            }
        }
    }

    /// Stands at `[`.
    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Malformed> {
        self.open(depth)?;
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(values);
        }
        loop {
            self.skip_space();
            values.push(self.value(depth)?);
            if self.close(b']')? {
                return Ok(values);
            }
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(self.fault("nested too deeply"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// After a value: `true` at the end of the container, `false` after a comma.
    fn close(&mut self, end: u8) -> Result<bool, Malformed> {
        self.skip_space();
        if self.take(end) {
            Ok(true)
        } else if self.take(b',') {
            Ok(false)
        } else {
            Err(self.fault("expected `,` or the end of an object or array"))
        }
    }

    /// Reads a string and returns it as it was written, quotes included.
    fn string(&mut self) -> Result<&'text str, Malformed> {
        let start = self.at;
        if !self.take(b'"') {
            return Err(self.fault("expected a string"));
        }
        loop {
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.fault("a control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("a string without an end")),
            }
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        let fault = Malformed { at: start, what: "a string that is not UTF-8" };
        std::str::from_utf8(raw).map_err(|_| fault)
    }

    /// Stands at the backslash.
    fn escape(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        self.at += 2;
        match self.text.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.hex4()? {
                0xDC00..0xE000 => Err(Malformed { at: start, what: "half a surrogate pair" }),
                0xD800..0xDC00 => {
                    let second = self.take(b'\\') && self.take(b'u');
                    if second && (0xDC00..0xE000).contains(&self.hex4()?) {
                        return Ok(());
                    }
                    Err(Malformed { at: start, what: "half a surrogate pair" })
                }
                _ => Ok(()),
            },
            _ => Err(Malformed { at: start, what: "an unknown escape" }),
        }
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let mut code = 0;
        for &digit in digits {
            let value = char::from(digit).to_digit(16);
            code = code << 4 | value.ok_or_else(|| self.fault("not a hexadecimal digit"))?;
        }
        if digits.len() < 4 {
            return Err(self.fault("an escape without an end"));
        }
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Value, Malformed> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.fault("expected a digit"));
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(self.fault("expected a digit"));
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.fault("expected a digit"));
            }
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'a'..=b'z' | b'A'..=b'Z')) {
            return Err(self.fault("not a number as JSON writes it"));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Value::Number(String::from_utf8_lossy(text).into()))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Malformed> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.fault("expected a value"))
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }
}

#[cfg(test)]
mod tests;
