//! `audit export`: one JSON array, or a table for a spreadsheet.
//!
//! A cell of foreign text that a spreadsheet would take for a formula gets an apostrophe in front;
//! numbers do not. What is not printable stands as the trail has it, `\u001b`: a table is looked at in
//! terminals, too.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::super::say::Answer;
use super::filter::{Filter, Told, Window};
use super::{Ended, Format, Last, each, tell_unread};

/// In the order of a line's fields.
const COLUMNS: [&str; 41] = [
    "seq",
    "at",
    "event",
    "note",
    "request_id",
    "client",
    "identity",
    "peer",
    "method",
    "operation",
    "scope",
    "key",
    "status",
    "outcome",
    "decided_by",
    "cause",
    "nonce",
    "n_resigns",
    "wait_ms",
    "upstream_ms",
    "total_ms",
    "decision",
    "rule",
    "policy",
    "payload_sha256",
    "would_refuse",
    "order_id",
    "client_order_id",
    "account",
    "symbol",
    "side",
    "type",
    "amount",
    "price",
    "time_in_force",
    "currency",
    "notional",
    "network",
    "address",
    "memo",
    "hash",
];

pub(super) fn print(
    dir: &Path,
    filter: &Filter,
    window: &Window,
    format: Format,
) -> Result<ExitCode, Ended> {
    let mut answer = Answer::new();
    match format {
        Format::Csv => answer.put(&format!("{}\r\n", COLUMNS.join(",")))?,
        Format::Json => answer.put("[\n")?,
    }
    let between = if matches!(format, Format::Json) { ",\n" } else { "" };
    let mut last = Last::new(filter.limit, between, &mut answer);
    let n_unread = each(dir, filter, window, |told| {
        last.put(match format {
            Format::Json => told.line.to_owned(),
            Format::Csv => row(told),
        })
    })?;
    last.end()?;
    if matches!(format, Format::Json) {
        answer.put("\n]\n")?;
    }
    answer.flush()?;
    tell_unread(n_unread);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn row(told: &Told<'_>) -> String {
    let cells: Vec<String> = COLUMNS
        .iter()
        .map(|name| told.get(name).map_or_else(String::new, |it| cell(&it)))
        .collect();
    cells.join(",") + "\r\n"
}

/// RFC 4180, and no formula.
fn cell(text: &str) -> String {
    let text = &printable(text);
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(text);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

/// As it stands in the trail, but for ends of lines and tabs.
fn printable(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' | '\n' | '\r' | '\t' => told.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(told, "\\u{unit:04x}").expect("a string takes all");
                }
            }
        }
    }
    told
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("-1.5", "-1.5"),
            ("-1.5.", "'-1.5."),
            ("-", "'-"),
            ("+1", "'+1"),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2+3", "'-2+3"),
            ("\tx", "'\tx"),
            ("=cmd|' /C calc'!A0,\"", "\"'=cmd|' /C calc'!A0,\"\"\""),
            ("a=b", "a=b"),
            ("\u{1b}[2J\u{9b}1m\0", "\\u001b[2J\\u009b1m\\u0000"),
            ("\u{ff1d}1+1 \u{202e}😀", "\\uff1d1+1 \\u202e\\ud83d\\ude00"),
        ] {
            assert_eq!(cell(text), expected, "{text}");
        }
    }
}
