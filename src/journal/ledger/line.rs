//! The text of an entry: `{"line":7,"entry":"placed",…,"sum":"0123abcd"}`.
//!
//! `line` counts from 1 without a gap. `sum` is the CRC-32 of the line up to its own comma.

use serde::{Deserialize, Serialize};

use crate::call::{ClientId, KeyName};
use crate::decimal::Decimal;
use crate::limit::{Entry, Place, Reservation, Withdrawing};
use crate::policy::OrderShare;

/// What a file was found to hold.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) entries: Vec<Entry>,
    /// Why its last line does not count.
    pub(super) torn: Option<&'static str>,
    /// Where its last line ends that is whole, with its line feed.
    pub(super) good: usize,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) struct Bad {
    /// From 1.
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// One line, every entry's members in one.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing)]
    line: u64,
    entry: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withdrawal: Option<Withdrawal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    executed: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    #[default]
    Day,
    Reserved,
    Released,
    Placed,
    Gone,
    Ended,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Order {
    quote: String,
    unit_price: String,
    amount: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_order_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    destination: String,
    amount: String,
}

/// An entry without its number and its checksum: those it gets where it is written.
pub(super) fn body(entry: &Entry) -> String {
    let line = match entry {
        Entry::Day { day } => Line { day: Some(*day), ..Line::default() },
        Entry::Reserved(it) => reserved(it),
        Entry::Released { number } => {
            Line { entry: Word::Released, number: Some(*number), ..Line::default() }
        }
        Entry::Placed { number, order_id } => Line {
            entry: Word::Placed,
            number: Some(*number),
            order_id: Some(order_id.clone()),
            ..Line::default()
        },
        Entry::Gone { number } => {
            Line { entry: Word::Gone, number: Some(*number), ..Line::default() }
        }
        Entry::Ended { number, executed } => Line {
            entry: Word::Ended,
            number: Some(*number),
            executed: Some(executed.to_string()),
            ..Line::default()
        },
    };
    let text = serde_json::to_string(&line).expect("texts and numbers are always written");
    text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).unwrap_or_default().to_owned()
}

fn reserved(it: &Reservation) -> Line {
    Line {
        entry: Word::Reserved,
        number: Some(it.number),
        day: Some(it.day),
        request_id: Some(it.request_id.clone()),
        client: Some(it.client.to_string()),
        key: it.place.key.as_ref().map(KeyName::to_string),
        account: it.place.account.clone(),
        order: it.order.as_ref().map(|it| Order {
            quote: it.quote.clone(),
            unit_price: it.unit_price.to_string(),
            amount: it.amount.to_string(),
            client_order_id: it.client_order_id.clone(),
        }),
        withdrawal: it.withdrawal.as_ref().map(|it| Withdrawal {
            destination: it.destination.clone(),
            amount: it.amount.to_string(),
        }),
        ..Line::default()
    }
}

/// A body as the line of this number, with its line feed.
pub(super) fn write(number: u64, body: &str, to: &mut String) {
    let text = format!("{{\"line\":{number},{body}");
    to.push_str(&text);
    to.push_str(SUM);
    to.push_str(&checksum(&text));
    to.push_str("\"}\n");
}

const SUM: &str = ",\"sum\":\"";

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32fast::hash(text.as_bytes()))
}

/// Reads a whole file.
pub(super) fn read_all(bytes: &[u8]) -> Result<Read, Bad> {
    let mut entries = Vec::new();
    let (mut torn, mut good) = (None, 0);
    for line in bytes.split_inclusive(|it| *it == b'\n') {
        let number = entries.len() + 1;
        if let Some(why) = torn {
            // It was not the last.
            return Err(Bad { line: number, why });
        }
        let whole = line.strip_suffix(b"\n");
        match entry(whole.unwrap_or(line), number) {
            Ok(entry) => {
                entries.push(entry);
                good += whole.map_or(0, |it| it.len() + 1);
            }
            // A loss of power may leave noughts where a line was on its way.
            Err(why) if whole.is_none() || line.contains(&0) => torn = Some(why),
            Err(why) => return Err(Bad { line: number, why }),
        }
    }
    Ok(Read { entries, torn, good })
}

fn entry(line: &[u8], number: usize) -> Result<Entry, &'static str> {
    let text = str::from_utf8(line).map_err(|_| "it is no text")?;
    let (text, sum) = text.rsplit_once(SUM).ok_or("it has no checksum")?;
    // By its text: a number could be written in several ways.
    if sum.strip_suffix("\"}") != Some(checksum(text).as_str()) {
        return Err("its checksum is wrong");
    }
    let line: Line =
        serde_json::from_str(&format!("{text}}}")).map_err(|_| "it is no entry of this version")?;
    if usize::try_from(line.line) != Ok(number) {
        return Err("lines before it are missing");
    }
    meant(line).ok_or("a member is missing")
}

fn meant(line: Line) -> Option<Entry> {
    let number = line.number.filter(|it| *it > 0);
    Some(match line.entry {
        Word::Day => Entry::Day { day: line.day? },
        Word::Reserved => Entry::Reserved(Box::new(Reservation {
            number: number?,
            day: line.day?,
            request_id: line.request_id?,
            client: ClientId::new(&line.client?),
            place: Place { key: line.key.as_deref().map(KeyName::new), account: line.account },
            order: match line.order {
                None => None,
                Some(it) => Some(OrderShare {
                    quote: it.quote,
                    unit_price: Decimal::kept(&it.unit_price)?,
                    amount: Decimal::kept(&it.amount)?,
                    client_order_id: it.client_order_id,
                }),
            },
            withdrawal: match line.withdrawal {
                None => None,
                Some(it) => Some(Withdrawing {
                    destination: it.destination,
                    amount: Decimal::kept(&it.amount)?,
                }),
            },
        })),
        Word::Released => Entry::Released { number: number? },
        Word::Placed => Entry::Placed { number: number?, order_id: line.order_id? },
        Word::Gone => Entry::Gone { number: number? },
        Word::Ended => Entry::Ended { number: number?, executed: Decimal::kept(&line.executed?)? },
    })
}
