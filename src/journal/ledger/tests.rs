//! What is written is read; what is damaged is refused, what is torn is dropped, and a full disk loses
//! nothing.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::call::{ClientId, KeyName};
use crate::decimal::Decimal;
use crate::journal::log::Sheet as _;
use crate::limit::{Place, Reservation, Withdrawing};
use crate::policy::OrderShare;

fn scratch(name: &str) -> (PathBuf, StateDir) {
    let path = std::env::temp_dir().join(format!("geminid-ledger-{}-{name}", std::process::id()));
    drop(fs::remove_dir_all(&path));
    let dir = StateDir::open(&path).unwrap();
    (path, dir)
}

fn of(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn reservation(number: u64, day: u64) -> Reservation {
    Reservation {
        number,
        day,
        request_id: "01KAMX".to_owned(),
        client: ClientId::new("bot"),
        place: Place {
            key: Some(KeyName::new("trading")),
            account: Some("sub \"1\"\n".to_owned()),
        },
        order: Some(OrderShare {
            quote: "usd".to_owned(),
            unit_price: of("65000.01"),
            amount: of("0.000000000000000001"),
            client_order_id: Some("é,\"sum\":\"".to_owned()),
        }),
        withdrawal: None,
    }
}

fn reserved(number: u64, day: u64) -> Entry {
    Entry::Reserved(Box::new(reservation(number, day)))
}

fn placed(number: u64) -> Entry {
    Entry::Placed { number, order_id: "7".to_owned() }
}

fn ended(number: u64) -> Entry {
    Entry::Ended { number, executed: of("0.5") }
}

/// One of every kind.
fn all() -> Vec<Entry> {
    let withdrawal = Withdrawing { destination: "btc 1".to_owned(), amount: of("0.5") };
    let bare = Reservation {
        place: Place::default(),
        order: None,
        withdrawal: Some(withdrawal),
        ..reservation(2, 20_001)
    };
    let mut nameless = reservation(3, 20_001);
    nameless.order.as_mut().unwrap().client_order_id = None;
    vec![
        Entry::Day { day: 20_001 },
        reserved(1, 20_001),
        placed(1),
        Entry::Gone { number: 1 },
        Entry::Reserved(Box::new(bare)),
        Entry::Reserved(Box::new(nameless)),
        ended(3),
    ]
}

fn text(entries: &[Entry]) -> String {
    let mut text = String::new();
    for (n, entry) in entries.iter().enumerate() {
        line::write(n as u64 + 1, &line::body(entry), &mut text);
    }
    text
}

#[tokio::test]
async fn what_is_written_is_read_after_a_restart() {
    let (path, dir) = scratch("written");
    let (ledger, kept) = dir.budgets().unwrap();
    assert_eq!(kept, []);
    for entry in all() {
        ledger.append(&entry);
    }
    ledger.written().await.unwrap();
    let on_disk = fs::read_to_string(path.join(NAME)).unwrap();
    assert_eq!(on_disk, text(&all()), "durable before it is told");
    let mode = fs::metadata(path.join(NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    ledger.append(&Entry::Released { number: 2 });
    ledger.clone().close().await;
    assert!(ledger.written().await.is_err(), "it is closed");
    let (_, kept) = dir.budgets().unwrap();
    let gone = |it: &Entry| matches!(it, Entry::Reserved(it) if it.number == 2);
    assert_eq!(kept, all().into_iter().filter(|it| !gone(it)).collect::<Vec<_>>());
    fs::remove_dir_all(path).unwrap();
}

/// The text is a contract with files that are out there.
#[test]
fn the_text_of_a_line_stays_as_it_is() {
    assert_eq!(
        text(&[Entry::Day { day: 20_001 }, placed(1)]),
        "{\"line\":1,\"entry\":\"day\",\"day\":20001,\"sum\":\"6eaa1942\"}\n\
         {\"line\":2,\"entry\":\"placed\",\"number\":1,\"order_id\":\"7\",\"sum\":\"5bbc33fd\"}\n"
    );
    let body = line::body(&reserved(1, 20_001));
    assert_eq!(
        body,
        "\"entry\":\"reserved\",\"number\":1,\"day\":20001,\"request_id\":\"01KAMX\",\"client\":\"bot\",\
         \"key\":\"trading\",\"account\":\"sub \\\"1\\\"\\n\",\"order\":{\"quote\":\"usd\",\
         \"unit_price\":\"65000.01\",\"amount\":\"0.000000000000000001\",\
         \"client_order_id\":\"é,\\\"sum\\\":\\\"\"}"
    );
}

/// At every length: whole lines count, and the rest of the last is dropped.
#[test]
fn a_file_that_was_cut_short_loses_its_last_line_alone() {
    let (entries, text) = (all(), text(&all()));
    for length in 0..=text.len() {
        let cut = &text.as_bytes()[..length];
        let read = line::read_all(cut).unwrap();
        let n_whole = cut.iter().filter(|it| **it == b'\n').count();
        // A line that lacks nothing but its line feed is whole.
        let n_read = n_whole + usize::from(text.as_bytes().get(length) == Some(&b'\n'));
        assert_eq!(read.entries, entries[..n_read], "{length}");
        assert_eq!(
            read.torn.is_some(),
            !matches!(cut.last(), None | Some(b'\n')) && n_read == n_whole
        );
    }
    let noughts = format!("{text}{}", "\0".repeat(50));
    for noughts in [noughts.clone(), noughts + "\n"] {
        let read = line::read_all(noughts.as_bytes()).unwrap();
        assert_eq!((read.entries, read.torn.is_some()), (entries.clone(), true));
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let text = text(&all());
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            match line::read_all(&bytes) {
                // In the last line feed it looks like a line that was cut short.
                Ok(read) => {
                    assert!(place == text.len() - 1 && read.torn.is_some(), "{place} {bit}");
                }
                Err(bad) => {
                    let before = &text.as_bytes()[..place];
                    let line = before.iter().filter(|it| **it == b'\n').count() + 1;
                    assert!(bad.line == line, "{place} {bit}: {bad:?}");
                }
            }
        }
    }
}

#[test]
fn a_line_that_is_missing_added_or_moved_is_found() {
    let text = text(&all());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for n in 0..lines.len() - 1 {
        let mut fewer = lines.clone();
        fewer.remove(n);
        let bad = line::read_all(fewer.concat().as_bytes()).unwrap_err();
        assert_eq!((bad.line, bad.why), (n + 1, "lines before it are missing"));
        let mut more = lines.clone();
        more.insert(n, lines[n]);
        assert!(line::read_all(more.concat().as_bytes()).is_err());
        let mut swapped = lines.clone();
        swapped.swap(n, n + 1);
        assert!(line::read_all(swapped.concat().as_bytes()).is_err());
    }
    for (body, why) in [
        ("\"entry\":\"ended\",\"number\":1", "a member is missing"),
        ("\"entry\":\"gone\",\"number\":0", "a member is missing"),
        ("\"entry\":\"ended\",\"number\":1,\"executed\":\"1e9\"", "a member is missing"),
        ("\"entry\":\"ended\",\"number\":1,\"executed\":\"-1\"", "a member is missing"),
        ("\"entry\":\"lent\",\"number\":1", "it is no entry of this version"),
        ("\"entry\":\"gone\",\"number\":1,\"why\":1", "it is no entry of this version"),
        ("\"entry\":\"gone\",\"number\":1,\"number\":2", "it is no entry of this version"),
    ] {
        let mut text = String::new();
        line::write(1, body, &mut text);
        assert_eq!(
            line::read_all(text.as_bytes()).unwrap_err(),
            line::Bad { line: 1, why },
            "{body}"
        );
    }
}

#[test]
fn damage_stops_the_start_with_its_place_and_a_torn_end_does_not() {
    let (path, dir) = scratch("damage");
    let whole = text(&all());
    fs::write(path.join(NAME), whole.replacen("bot", "bat", 1)).unwrap();
    let said = dir.budgets().unwrap_err().to_string();
    assert!(said.contains(NAME) && said.contains("line 2: its checksum is wrong"), "{said}");
    let bytes = fs::read_to_string(path.join(NAME)).unwrap();
    assert_eq!(bytes, whole.replacen("bot", "bat", 1), "it is left as it was found");

    fs::write(path.join(NAME), format!("{whole}{{\"line\":8,\"en")).unwrap();
    assert_eq!(dir.budgets().unwrap().1, all());
    assert_eq!(dir.budgets().unwrap().1, all(), "and the next start finds no damage");
    fs::remove_file(path.join(NAME)).unwrap();
    fs::create_dir(path.join(NAME)).unwrap();
    assert!(matches!(dir.budgets(), Err(StateError::Budgets { .. })));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn what_is_over_is_forgotten_and_the_day_is_not() {
    for (entries, expected) in [
        (vec![], vec![]),
        (vec![reserved(1, 5), Entry::Released { number: 1 }], vec![Entry::Day { day: 5 }]),
        // Open, of another day: in doubt, or live.
        (
            vec![reserved(1, 5), reserved(2, 5), placed(2), Entry::Day { day: 7 }],
            vec![Entry::Day { day: 7 }, reserved(1, 5), reserved(2, 5), placed(2)],
        ),
        // Ended, of another day and of this.
        (
            vec![reserved(1, 5), placed(1), ended(1), reserved(2, 6), placed(2), ended(2)],
            vec![Entry::Day { day: 6 }, reserved(2, 6), ended(2)],
        ),
        // Gone, and back again.
        (
            vec![reserved(1, 6), placed(1), Entry::Gone { number: 1 }, placed(1)],
            vec![Entry::Day { day: 6 }, reserved(1, 6), placed(1)],
        ),
        (
            vec![reserved(1, 5), placed(1), Entry::Gone { number: 1 }, Entry::Day { day: 6 }],
            vec![Entry::Day { day: 6 }],
        ),
    ] {
        assert_eq!(pages::digest(entries), expected);
        assert_eq!(pages::digest(expected.clone()), expected);
    }
}

#[test]
fn a_file_that_grows_is_written_anew() {
    let (path, _dir) = scratch("grows");
    let mut pages = Pages::create(&path, NAME, &[]).unwrap();
    let length = || fs::metadata(path.join(NAME)).unwrap().len();
    let mut longest = 0;
    for number in 1..10_000 {
        let pair = [line::body(&reserved(number, 5)), line::body(&Entry::Released { number })];
        pages.write(&pair).unwrap();
        longest = longest.max(length());
        pages.sync().unwrap();
    }
    assert!(longest > 1 << 20 && longest < (1 << 20) + 1_000, "{longest}");
    pages.write(&[line::body(&reserved(10_000, 6))]).unwrap();
    pages.sync().unwrap();
    let read = line::read_all(&fs::read(path.join(NAME)).unwrap()).unwrap();
    assert_eq!(pages::digest(read.entries), [Entry::Day { day: 6 }, reserved(10_000, 6)]);
    fs::remove_dir_all(path).unwrap();
}

/// A handle that cannot write stands for a disk that is full.
#[test]
fn a_write_that_fails_leaves_the_file_as_it_was() {
    let (path, _dir) = scratch("full");
    let mut pages = Pages::create(&path, NAME, &all()).unwrap();
    let bodies = |numbers: &[u64]| -> Vec<String> {
        numbers.iter().map(|it| line::body(&reserved(*it, 20_001))).collect()
    };
    let good = pages.swap(File::open(path.join(NAME)).unwrap());
    assert!(pages.write(&bodies(&[4])).is_err());
    assert!(pages.write(&bodies(&[4])).is_err(), "nor can it be cut off");
    assert_eq!(fs::read_to_string(path.join(NAME)).unwrap(), text(&all()));
    drop(pages.swap(good));
    // Half a line of what failed may be there.
    let mut file = OpenOptions::new().append(true).open(path.join(NAME)).unwrap();
    io::Write::write_all(&mut file, b"{\"line\":8,\"entry\":\"reser").unwrap();
    pages.write(&bodies(&[4])).unwrap();
    pages.sync().unwrap();
    let expected = [all(), vec![reserved(4, 20_001)]].concat();
    assert_eq!(fs::read_to_string(path.join(NAME)).unwrap(), text(&expected));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn what_the_log_has_no_room_for_is_kept() {
    let (path, dir) = scratch("room");
    let (ledger, _) = dir.budgets().unwrap();
    // As if the disk had failed for long.
    ledger.later().push_back(reserved(1, 5));
    ledger.later().push_back(reserved(2, 5));
    let closed = ledger.clone();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        assert!(ledger.written().await.is_ok(), "there is room again");
        assert!(ledger.later().is_empty());
        ledger.close().await;
        closed.append(&reserved(3, 5));
        closed.append(&reserved(4, 5));
        assert!(closed.written().await.is_err(), "they are not written");
        closed.append(&Entry::Released { number: 3 });
        closed.append(&Entry::Released { number: 1 });
    });
    let left: Vec<Entry> = closed.later().iter().cloned().collect();
    assert_eq!(left, [reserved(4, 5), Entry::Released { number: 1 }]);
    assert_eq!(dir.budgets().unwrap().1, [Entry::Day { day: 5 }, reserved(1, 5), reserved(2, 5)]);
    fs::remove_dir_all(path).unwrap();
}

/// A directory in the place of the new file stands for a disk that has no room for one.
#[tokio::test]
async fn a_start_that_cannot_write_the_file_anew_goes_on_with_the_old_one() {
    let (path, dir) = scratch("old");
    let over = [reserved(7, 20_000), Entry::Released { number: 7 }];
    let old = [over.as_slice(), &all()].concat();
    let unwritten = path.join(format!("{NAME}.new"));
    for (n, end) in ["", "{\"line\":10,\"en", "\0\0\0\n"].into_iter().enumerate() {
        fs::write(path.join(NAME), text(&old) + end).unwrap();
        fs::create_dir(&unwritten).unwrap();
        let (ledger, kept) = dir.budgets().unwrap();
        assert_eq!(kept, all(), "{n}");
        ledger.append(&ended(1));
        ledger.written().await.unwrap();
        ledger.close().await;
        let expected = [old.clone(), vec![ended(1)]].concat();
        assert_eq!(fs::read_to_string(path.join(NAME)).unwrap(), text(&expected), "{n}");
        fs::remove_dir(&unwritten).unwrap();
    }
    // A last line without its line feed: nobody relied on it, and none is written behind it.
    fs::write(path.join(NAME), text(&old).trim_end()).unwrap();
    fs::create_dir(&unwritten).unwrap();
    let (ledger, kept) = dir.budgets().unwrap();
    assert_eq!(kept, all()[..6]);
    ledger.append(&ended(3));
    ledger.written().await.unwrap();
    assert_eq!(fs::read_to_string(path.join(NAME)).unwrap(), text(&old));
    // Where none was, there is nothing to go on with.
    ledger.close().await;
    fs::remove_file(path.join(NAME)).unwrap();
    assert!(matches!(dir.budgets(), Err(StateError::Budgets { .. })));
    fs::remove_dir_all(path).unwrap();
}
