//! The strict JSON reader against serde_json.
//!
//! Held: it takes exactly what serde_json takes, less what it refuses by rule (no object, a name twice
//! after unescaping and case aside, more than 16 levels, more than 256 members); it reads the same
//! names, values and order; and what it writes means what it read, numbers and strings to the letter.

#![no_main]

use geminid::fuzzing;
use geminid_fuzz::json::{Tree, tree};
use libfuzzer_sys::fuzz_target;

const MAX_DEPTH: usize = 16;
const MAX_MEMBERS: usize = 256;

fuzz_target!(|data: &[u8]| {
    let theirs = tree(data);
    let sound = theirs.as_ref().is_some_and(|it| {
        it.members().is_some()
            && it.depth() <= MAX_DEPTH
            && it.width() <= MAX_MEMBERS
            && !it.repeats()
    });
    let ours = match fuzzing::json(data) {
        Err(why) => return assert!(!sound, "refused without a reason: {why}"),
        Ok(ours) => ours,
    };
    assert!(sound, "taken, and serde_json or a rule refuses it");
    let theirs = theirs.expect("it is sound");
    let members = theirs.members().expect("it is an object");

    let names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(ours.names(), names);
    for (name, value) in members {
        let text = match value {
            Tree::Text { text, .. } => Some(text.clone()),
            Tree::Bare(raw) => Some(raw.clone()).filter(|it| !"ntf".contains(&it[..1])),
            Tree::List(_) | Tree::Table(_) => None,
        };
        assert_eq!(ours.text(name), text, "{name:?}");
        let span = ours.span(name).expect("it has the name");
        assert_eq!(tree(&data[span]).as_ref(), Some(value), "{name:?}");
        let quoted = fuzzing::quote(name);
        assert_eq!(serde_json::from_str::<String>(&quoted).as_ref().ok(), Some(name));
        assert!(!quoted.bytes().any(|it| it.is_ascii_control()), "{quoted:?}");
    }

    let written = ours.written();
    let again = tree(written.as_bytes()).expect("what is written is JSON");
    assert_eq!(again, theirs);
    // What is written reads back as it was, and comes out the same.
    let mut back = fuzzing::json(written.as_bytes()).expect("what is written is acceptable");
    assert_eq!(back.written(), written);
    assert!(ours.same(&back) && back.same(&ours));
    if let Some(first) = names.first() {
        assert!(back.remove(first) && !back.names().contains(first));
        assert!(!ours.same(&back) && !back.same(&ours));
    }
});
