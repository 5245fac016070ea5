//! What is shown, exported and followed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::export::row;
use super::show::{Tail, text};
use super::*;
use crate::clock::{ManualClock, UnixMicros};
use crate::journal::log::Durability;
use crate::journal::trail::Trail;

/// 2026-11-21.
pub(in crate::cli) const NOW: UnixMicros = UnixMicros(1_795_219_200_000_000);

/// A state directory that goes away with the test.
pub(in crate::cli) struct State(pub(in crate::cli) PathBuf);

impl State {
    pub(in crate::cli) fn new() -> Self {
        static N: AtomicU32 = AtomicU32::new(0);
        let n = N.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("geminid-audit-{}-{n}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(in crate::cli) fn trail(&self) -> PathBuf {
        self.0.join(FOLDER)
    }

    /// Adds lines: what stands behind `at`, which is so many seconds after [`NOW`].
    pub(in crate::cli) async fn put(&self, most: u64, lines: &[(u64, &str)]) {
        let clock = Arc::new(ManualClock::new(NOW));
        let trail = Trail::turning(&self.0, Durability::Interval, clock, most).unwrap();
        for (seconds, rest) in lines {
            let mut told = String::from("\"at\":\"");
            let at = UnixMicros(NOW.0 + UnixMicros::from_secs(*seconds).0);
            crate::clock::write_time(&mut told, at);
            trail.append(format!("{told}\",{rest}"));
        }
        trail.close().await;
    }
}

impl Drop for State {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn told(line: &str) -> Told<'_> {
    Told::read(line.as_bytes()).unwrap()
}

#[test]
fn a_readable_line_for_each_line() {
    let line = r#"{"seq":7,"at":"2026-11-21T00:00:00.000001Z","event":"request","request_id":"01J","client":"bot","peer":"::1","method":"POST","operation":"create_order","status":200,"outcome":"executed","decision":"allowed","rule":"scopes: orders:create","symbol":"btcusd","client_order_id":"a\u001b[2J \"b\" outcome=x","new":"y","hash":"ab"}"#;
    assert_eq!(
        text(&told(line)),
        "2026-11-21T00:00:00.000001Z      7 request bot create_order 200 executed decision=allowed \
         rule=\"scopes: orders:create\" symbol=btcusd \
         client_order_id=\"a\\u{1b}[2J \\\"b\\\" outcome=x\" peer=::1 method=POST request_id=01J new=y\n"
    );
    let intent = r#"{"seq":6,"at":"2026-11-21T00:00:00.000000Z","event":"intent","client":"bot","hash":"ab"}"#;
    assert_eq!(text(&told(intent)), "2026-11-21T00:00:00.000000Z      6 intent  bot - - -\n");
    let note = r#"{"seq":1234567,"at":"2026-11-21T00:00:00.000000Z","event":"note","note":"freeze","client":"bot\u202e","hash":"ab"}"#;
    let shown = text(&told(note));
    assert_eq!(
        shown,
        "2026-11-21T00:00:00.000000Z 1234567 note    freeze client=\"bot\\u{202e}\"\n"
    );
    // Not even what somebody wrote into the file himself does anything to a terminal.
    let raw = "{\"at\":\"\u{9b}31m\",\"\u{202e}\":\"\u{7f}\",\"event\":[\"\u{1}\"]}";
    let shown = text(&told(&raw.replace('\u{1}', "\\u0001")));
    assert!(shown.trim_end().chars().all(|it| matches!(it, ' '..='~')), "{shown:?}");
}

#[test]
fn a_row_for_each_line() {
    let line = r#"{"seq":7,"at":"2026-11-21T00:00:00.000001Z","event":"request","status":200,"n_resigns":0,"rule":"=1+1","symbol":"a,b","price":"-1.5","hash":"ab"}"#;
    let expected = "7,2026-11-21T00:00:00.000001Z,request,,,,,,,,,,200,,,,,0,,,,,'=1+1,,,,,,,\
                    \"a,b\",,,,-1.5,,,,,,,ab\r\n";
    assert_eq!(row(&told(line)), expected);
    assert_eq!(row(&told("{}")), ",".repeat(40) + "\r\n");
}

fn lines_of(dir: &Path, arguments: &[&str]) -> Vec<String> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }
    let arguments = std::iter::once("x").chain(arguments.iter().copied());
    let Line { filter } = clap::Parser::parse_from(arguments);
    let mut found = Vec::new();
    let unread = each(dir, &filter, &filter.window().unwrap(), |told| {
        found.push(told.get("n").unwrap_or_default().into_owned());
        Ok(())
    });
    assert_eq!(unread.unwrap(), 0);
    found
}

#[tokio::test]
async fn filters() {
    let state = State::new();
    let lines = [
        (0, r#""event":"intent","n":1,"client":"a","operation":"x","request_id":"01A","key":"k""#),
        (
            10,
            r#""event":"request","n":2,"client":"a","operation":"x","request_id":"01A","outcome":"executed","decision":"allowed""#,
        ),
        (
            20,
            r#""event":"request","n":3,"client":"b","cause":"scope-missing","outcome":"not_sent","decision":"refused""#,
        ),
        (30, r#""event":"note","n":4,"note":"reload""#),
    ];
    for most in [1, 400, u64::MAX] {
        let state = State::new();
        state.put(most, &lines).await;
        let check = |arguments: &[&str], expected: &str| {
            let mut found = lines_of(&state.trail(), arguments);
            // The trail's own notes have no such field.
            found.retain(|it| !it.is_empty());
            assert_eq!(found.join(""), expected, "{arguments:?}");
        };
        check(&[], "1234");
        check(&["--client", "a"], "12");
        check(&["--client", "a", "--event", "request"], "2");
        check(&["--operation", "x", "--key", "k"], "1");
        check(&["--cause", "scope-missing"], "3");
        check(&["--decision", "refused"], "3");
        check(&["--outcome", "executed"], "2");
        check(&["--request", "01A"], "12");
        check(&["--event", "note"], "4");
        check(&["--client", "A"], "");
        check(&["--since", "2026-11-21T00:00:10Z"], "234");
        check(&["--since", "2026-11-21T00:00:10.000001Z"], "34");
        check(&["--until", "2026-11-21T00:00:10Z"], "12");
        check(&["--since", "2026-11-21T00:00:05Z", "--until", "2026-11-21T00:00:25Z"], "23");
        check(&["--since", "2026-11-22"], "");
    }
    // A directory without a trail is told.
    let window = Filter::default().window().unwrap();
    let missing = each(&state.trail(), &Filter::default(), &window, |_| Ok(()));
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn whoever_follows_sees_each_line_once_in_whatever_file() {
    let state = State::new();
    state.put(300, &[(0, r#""n":1"#)]).await;
    let dir = state.trail();
    let (filter, window) = (Filter::default(), Window::default());
    let mut tail = Tail::new(&dir, &filter, &window).unwrap();
    let mut read = || {
        let mut found = Vec::new();
        tail.read(|told| {
            found.extend(told.get("n").map(std::borrow::Cow::into_owned));
            Ok(())
        })
        .unwrap();
        found.join(" ")
    };
    assert_eq!(read(), "1");
    assert_eq!(read(), "");
    state.put(300, &[(0, r#""n":2"#), (0, r#""n":3"#)]).await;
    assert_eq!(read(), "2 3");
    for n in 4..9 {
        state.put(300, &[(0, &format!("\"n\":{n}"))]).await;
    }
    assert_eq!(read(), "4 5 6 7 8");
    assert!(trail::parts(&dir).unwrap().len() > 2);
    // A line that is not finished is not shown, and not lost.
    let last = trail::parts(&dir).unwrap().pop().unwrap().path;
    let mut file = OpenOptions::new().append(true).open(last).unwrap();
    file.write_all(br#"{"seq":99,"at":"2026","n""#).unwrap();
    assert_eq!(read(), "");
    file.write_all(b":9}\n{\"at\"").unwrap();
    assert_eq!(read(), "9");
    file.write_all(b":\"2026\",\"n\":10}\n").unwrap();
    assert_eq!(read(), "10");
    // Longer than any line of ours: passed over, and not waited for.
    file.write_all(&[b'x'; 200_000]).unwrap();
    assert_eq!(read(), "");
    file.write_all(b"\n{\"at\":\"2026\",\"n\":11}\n").unwrap();
    assert_eq!(read(), "11");
}

#[test]
fn the_last_so_many() {
    let mut answer = Answer::new();
    let mut last = Last::new(Some(2), ",", &mut answer);
    ["a", "b", "c"].iter().for_each(|it| last.put((*it).to_owned()).unwrap());
    assert_eq!(last.kept, ["b", "c"]);
    let mut none = Last::new(Some(0), ",", &mut answer);
    none.put("a".to_owned()).unwrap();
    assert!(none.kept.is_empty());
}
