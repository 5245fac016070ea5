//! Keys that nobody told us of, in a text that somebody pasted.

/// How keys begin: the exchange's own, and Google's, which get pasted by mistake.
const BEGINNINGS: [(&str, bool); 5] =
    [("account-", false), ("master-", true), ("group-", true), ("AIza", false), ("AQ.", false)];
/// Shorter words than this are none, beside their beginning.
const SHORTEST: usize = 10;
/// And longer ones neither: so that a text is read in a time that grows with its length.
const LONGEST: usize = 128;

/// A key that was found, as far as it is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    pub(crate) master: bool,
    pub(crate) hint: String,
}

/// `text` with whatever looks like a key cut down to its end.
pub(crate) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, word, _, after)) = next(rest) {
        out.push_str(before);
        out.push_str(&hint(word));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The first key of the exchange's in a text.
pub(crate) fn first(text: &str) -> Option<Found> {
    let mut rest = text;
    while let Some((_, word, (beginning, master), after)) = next(rest) {
        if beginning.ends_with('-') {
            return Some(Found { master, hint: hint(word) });
        }
        rest = after;
    }
    None
}

type Word<'a> = (&'a str, &'a str, (&'static str, bool), &'a str);

/// What stands before the next key, the key, how it begins, and what stands behind it.
fn next(text: &str) -> Option<Word<'_>> {
    text.char_indices().find_map(|(at, _)| {
        let (before, tail) = text.split_at_checked(at)?;
        let beginning = BEGINNINGS.iter().find(|(it, _)| tail.starts_with(it))?;
        let is_part = |it: &u8| it.is_ascii_alphanumeric() || b"-_.".contains(it);
        let length = tail.bytes().take(LONGEST).take_while(is_part).count();
        // A full stop ends a sentence.
        let word = tail.get(..length)?.trim_end_matches('.');
        let after = tail.get(word.len()..)?;
        is_key(word, beginning.0).then_some((before, word, *beginning, after))
    })
}

/// Our own words, such as `account-restricted`, have neither digits nor capitals.
fn is_key(word: &str, beginning: &str) -> bool {
    word.strip_prefix(beginning).is_some_and(|it| {
        let odd = |it: u8| it.is_ascii_digit() || it.is_ascii_uppercase();
        it.len() >= SHORTEST && it.bytes().any(odd)
    })
}

fn hint(word: &str) -> String {
    let end = word.len().saturating_sub(4);
    format!("…{}", word.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::{By, Cause};

    #[test]
    fn keys_are_cut_down_and_words_are_not() {
        for (text, expected) in [
            ("to account-realTrader00001 which", "to …0001 which"),
            ("(master-realGroup00003).", "(…0003)."),
            ("account-realTrader00001", "…0001"),
            ("x=AIzaSyA0123456789abc&y", "x=…9abc&y"),
            ("AQ.Ab8RN6Jabcdefgh", "…efgh"),
            ("account-0123456789 account-0123456780", "…6789 …6780"),
            ("account-short1", "account-short1"),
            ("account-on-account-key", "account-on-account-key"),
            ("my_account-realTrader00001", "my_…0001"),
            ("…0001 é", "…0001 é"),
            ("", ""),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
        for word in
            Cause::ALL.iter().map(|it| it.code()).chain(By::ALL.iter().map(|it| it.as_str()))
        {
            assert_eq!(mask(word), word);
        }
    }

    #[test]
    fn what_the_key_tells_of_itself() {
        let found =
            first("AIzaSyA0123456789abc, then master-realGroup00003 and account-realTrader00001");
        assert_eq!(found, Some(Found { master: true, hint: "…0003".to_owned() }));
        assert_eq!(first("to account-realTrader00001").map(|it| it.master), Some(false));
        assert_eq!(first("AIzaSyA0123456789abc, account-missing"), None);
    }
}
