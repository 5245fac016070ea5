//! Text in, text out: what is changed, and that nothing else is.

use proptest::prelude::*;

use super::*;
use crate::clock::UnixMicros;

const NOW: UnixMicros = UnixMicros::from_secs(1_700_000_000);

fn token() -> NewCredential {
    NewCredential::Token { sha256: "NEW".to_owned() }
}

fn pair() -> NewCredential {
    NewCredential::StandIn { key: "account-b".to_owned(), secret_file: "b.secret".to_owned() }
}

fn client(name: &str) -> NewClient {
    let scopes: Value = toml_edit::Array::from_iter(["trader"]).into();
    NewClient {
        name: name.to_owned(),
        credential: token(),
        settings: vec![("key", "k".into()), ("scopes", scopes)],
        orders: Vec::new(),
    }
}

fn until() -> Outlived {
    Outlived::Until(When::parse("2027-01-01T00:00:00Z", NOW).unwrap())
}

#[track_caller]
fn is(edited: Result<String, EditError>, expected: &str) {
    let edited = edited.unwrap();
    assert_eq!(edited, expected, "\n{edited}");
    place::parse(&edited).unwrap();
}

const ADDED: &str = "[[clients]]\nname = \"b\"\ncredential = { token_sha256 = \"NEW\" }\nkey = \"k\"\nscopes = [\"trader\"]\n";

#[test]
fn a_client_is_added_at_the_end() {
    let add = |text: &str| add(text, &client("b"));
    let a = "# who\n[[clients]] # one\nname = 'a'   # ours\n";
    for (text, gap) in [
        ("", ""),
        ("# nothing yet\n", "\n"),
        (a, "\n"),
        ("# who\n[[clients]]\nname = 'a'", "\n\n"),
        ("[[clients]]\nname = 'a'\n[clients.orders]\nsides = []\n#: more\n", "\n"),
        ("[[clients]]\nname = 'a'\n\n[[keys]]\nname = 'k'\n", "\n"),
    ] {
        is(add(text), &format!("{text}{gap}{ADDED}"));
    }
    is(add("a = 1\r\n"), &format!("a = 1\r\n\r\n{}", ADDED.replace('\n', "\r\n")));
}

#[test]
fn limits_on_orders_get_a_table_of_their_own() {
    let mut client = client("b");
    let mut amounts = InlineTable::new();
    amounts.insert("usd", "500".into());
    client.orders = vec![("max_notional", amounts.into()), ("max_open_orders", 20.into())];
    let orders = "\n[clients.orders]\nmax_notional = { usd = \"500\" }\nmax_open_orders = 20\n";
    is(add("", &client), &format!("{ADDED}{orders}"));
}

#[test]
fn a_client_is_added_to_an_array() {
    let new = "{ name = \"b\", credential = { token_sha256 = \"NEW\" }, key = \"k\", scopes = [\"trader\"] }";
    let add = |text: &str| add(text, &client("b"));
    is(add("clients = []\n"), &format!("clients = [{new}]\n"));
    is(
        add("clients = [{ name = 'a' }] # all\n"),
        &format!("clients = [{new}, {{ name = 'a' }}] # all\n"),
    );
    is(
        add("clients = [ # all\n  { name = 'a' }, # one\n]\nx = 1\n"),
        &format!("clients = [{new},  # all\n  {{ name = 'a' }}, # one\n]\nx = 1\n"),
    );
}

#[test]
fn what_cannot_be_added_is_told() {
    let said = |text: &str| add(text, &client("b")).unwrap_err();
    assert_eq!(said("[[clients]]\nname = 'b'\n"), EditError::Exists("b".to_owned()));
    assert_eq!(said("[[clients]]\nscopes = []\n"), EditError::Unnamed);
    assert_eq!(said("clients = 1\n"), EditError::Odd { name: "clients".to_owned() });
    assert_eq!(said("[clients]\n"), EditError::Odd { name: "clients".to_owned() });
    assert_eq!(said("[[clients\n"), EditError::NoToml);
}

#[test]
fn a_client_is_taken_out_and_comments_stay() {
    let text = "\
# top
[[clients]]
name = \"a\" # goes with it

# of b
[[clients]]
name = \"b\"
credential = [
    { none = true }, # here
]

[clients.orders]
sides = [\"buy\"]
# between
[[clients.withdrawals]]
currency = \"btc\"

[[keys]]
name = \"k\"
";
    is(remove(text, "a"), &text.replace("[[clients]]\nname = \"a\" # goes with it\n", ""));
    is(
        remove(text, "b"),
        "# top\n[[clients]]\nname = \"a\" # goes with it\n\n# of b\n# between\n\n[[keys]]\nname = \"k\"\n",
    );
    let unknown = EditError::Unknown { name: "c".to_owned(), known: vec!["a".into(), "b".into()] };
    assert_eq!(remove(text, "c").unwrap_err(), unknown);
    is(remove("[[clients]]\nscopes = []\n", "default"), "");
    is(
        remove("clients = [{ name = 'a' }, { name = 'b' }]\n", "a"),
        "clients = [ { name = 'b' }]\n",
    );
    is(remove("x = 1\r\n\r\n[[clients]]\r\nname = 'a'\r\n", "a"), "x = 1\r\n");
}

#[test]
fn a_client_is_expired_where_it_stands() {
    let expire = |text: &str| expire(text, "a", "T");
    is(
        expire("[[clients]]\nname = 'a' # x\nkey = 'k'\n"),
        "[[clients]]\nname = 'a' # x\nexpires = \"T\"\nkey = 'k'\n",
    );
    is(expire("[[clients]]\nname = 'a'"), "[[clients]]\nname = 'a'\nexpires = \"T\"\n");
    is(
        expire("[[clients]]\nexpires = 2030-01-01T00:00:00Z # x\nname = 'a'\n"),
        "[[clients]]\nexpires = \"T\" # x\nname = 'a'\n",
    );
    is(expire("clients = [{ name = 'a' }]\n"), "clients = [{ expires = \"T\", name = 'a' }]\n");
}

/// A client `a` with this credential between two other settings, before and after.
#[track_caller]
fn rotated(before: &str, new: &[NewCredential], old: &Outlived, after: &str) {
    let around = |it: &str| {
        format!(
            "# top\n[[clients]]\nname = \"a\" # x\ncredential = {it} # y\nkey = \"k\"\n\n[[keys]]\n"
        )
    };
    is(rotate(&around(before), "a", new, old, NOW), &around(after));
}

#[test]
fn old_credentials_end_and_a_new_one_stands_before_them() {
    let new = [token()];
    let end = "expires = \"2027-01-01T00:00:00Z\"";
    rotated(
        "{ token_sha256 = \"OLD\" }",
        &new,
        &until(),
        &format!("[{{ token_sha256 = \"NEW\" }}, {{ token_sha256 = \"OLD\", {end} }}]"),
    );
    rotated("{ token_sha256 = \"OLD\" }", &new, &Outlived::Gone, "{ token_sha256 = \"NEW\" }");
    rotated("[{token_sha256 = \"OLD\"}]", &new, &Outlived::Gone, "[{ token_sha256 = \"NEW\" }]");
    // What is no token and no pair stays, as do comments.
    rotated(
        "[\n    # whoever\n    { none = true },\n    { token_sha256 = \"OLD\" }, # old\n]",
        &new,
        &until(),
        &format!(
            "[\n    {{ token_sha256 = \"NEW\" }},\n    # whoever\n    {{ none = true }},\n    {{ token_sha256 = \"OLD\", {end} }}, # old\n]"
        ),
    );
    rotated(
        "[{ key = \"account-a\", secret = { file = \"a\" } }]",
        &[pair()],
        &until(),
        &format!(
            "[{{ key = \"account-b\", secret = {{ file = \"b.secret\" }} }}, {{ key = \"account-a\", secret = {{ file = \"a\" }}, {end} }}]"
        ),
    );
}

#[test]
fn an_earlier_end_stays_and_what_has_ended_goes() {
    let new = [token()];
    let early = "{ token_sha256 = \"A\", expires = \"2025-01-01T00:00:00Z\" }";
    let late = "{ token_sha256 = \"B\", expires = 2028-01-01T00:00:00Z }";
    let past = "{ token_sha256 = \"C\", expires = \"2001-01-01T00:00:00Z\" }";
    let cut = "{ token_sha256 = \"B\", expires = \"2027-01-01T00:00:00Z\" }";
    rotated(
        &format!("[{early}, {late}, {past}]"),
        &new,
        &until(),
        &format!("[{{ token_sha256 = \"NEW\" }}, {early}, {cut}]"),
    );
}

#[test]
fn tables_with_headers_of_their_own_are_rotated_too() {
    let new = [token()];
    let added = "\n[[clients.credential]]\ntoken_sha256 = \"NEW\"\n";
    let end = "expires = \"2027-01-01T00:00:00Z\"\n";
    is(
        rotate(
            "[[clients]]\nname = 'a'\n[clients.credential] # one\ntoken_sha256 = 'OLD' # x\n\n[[keys]]\n",
            "a",
            &new,
            &until(),
            NOW,
        ),
        &format!(
            "[[clients]]\nname = 'a'\n[[clients.credential]] # one\ntoken_sha256 = 'OLD' # x\n{end}{added}\n[[keys]]\n"
        ),
    );
    let many = "[[clients]]\nname = 'a'\n[[clients.credential]]\nnone = true\n[[clients.credential]]\ntoken_sha256 = 'OLD'\n\n[clients.orders]\nsides = []\n";
    is(
        rotate(many, "a", &new, &until(), NOW),
        &format!(
            "[[clients]]\nname = 'a'\n[[clients.credential]]\nnone = true\n[[clients.credential]]\ntoken_sha256 = 'OLD'\n{end}{added}\n[clients.orders]\nsides = []\n"
        ),
    );
    is(
        rotate(many, "a", &new, &Outlived::Gone, NOW),
        &format!(
            "[[clients]]\nname = 'a'\n[[clients.credential]]\nnone = true\n{added}\n[clients.orders]\nsides = []\n"
        ),
    );
    let deep = "[[clients]]\nname = 'a'\n[clients.credential]\nkey = 'account-a'\n[clients.credential.secret]\nfile = 'a'\n";
    is(
        rotate(deep, "a", &new, &until(), NOW),
        &format!(
            "[[clients]]\nname = 'a'\n[[clients.credential]]\nkey = 'account-a'\n{end}[clients.credential.secret]\nfile = 'a'\n{added}"
        ),
    );
}

#[test]
fn a_client_in_an_array_is_rotated_too() {
    is(
        rotate(
            "clients = [{ name = 'a', credential = { token_sha256 = 'OLD' }, key = 'k' }]\n",
            "a",
            &[token()],
            &Outlived::Gone,
            NOW,
        ),
        "clients = [{ name = 'a', credential = { token_sha256 = \"NEW\" }, key = 'k' }]\n",
    );
}

#[test]
fn what_cannot_be_rotated_is_told() {
    let said = |text: &str| kinds(&format!("[[clients]]\nname = 'a'\n{text}\n"), "a");
    let nothing = Err(EditError::NothingToRotate("a".to_owned()));
    assert_eq!(said("credential = { none = true }"), nothing);
    assert_eq!(said("credential = { uid = 1 }"), nothing);
    assert_eq!(said(""), nothing);
    assert_eq!(
        said("credential.none = true"),
        Err(EditError::Odd { name: "credential".to_owned() })
    );
    let both = "credential = [{ token_sha256 = 'x' }, { key = 'account-y' }]";
    assert_eq!(said(both), Ok(rotate::Kinds { token: true, stand_in: true }));
}

#[test]
fn clients_are_listed_however_they_are_written() {
    let headed = "[[clients]]\nname = 'a'\nkey = 'k'\nscopes = ['trader']\nexpires = 2030-01-01T00:00:00Z\n[[clients.credential]]\ntoken_sha256 = 'HASH'\nexpires = 'T'\n[[clients.credential]]\nnone = true\n";
    let inline = "clients = [{ name = 'a', key = 'k', scopes = ['trader'], expires = '2030-01-01T00:00:00Z', credential = [{ token_sha256 = 'HASH', expires = 'T' }, { none = true }] }]";
    for text in [headed, inline] {
        let [it] = <[Listed; 1]>::try_from(list(text).unwrap()).unwrap();
        assert_eq!((it.name.as_str(), it.key.as_deref()), ("a", Some("k")));
        assert_eq!(it.expires.as_deref(), Some("2030-01-01T00:00:00Z"));
        let kinds: Vec<_> =
            it.credentials.iter().map(|it| (it.kind, it.expires.as_deref())).collect();
        assert_eq!(kinds, [("token", Some("T")), ("none", None)]);
        assert!(!format!("{it:?}").contains("HASH"));
    }
    let one = "[[clients]]\ncredential = { key = 'account-x', secret = { value = 'SECRET' } }\n";
    let listed = list(one).unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].credentials[0].kind), ("default", "stand-in"));
    assert!(!format!("{listed:?}").contains("SECRET"));
}

/// The example as it is written for new users: its one client stays as it is.
#[test]
fn the_example_keeps_every_byte() {
    let example = crate::config::EXAMPLE;
    let added = add(example, &client("b")).unwrap();
    assert_eq!(added, format!("{example}\n{ADDED}"));
    assert_eq!(remove(&added, "b").unwrap(), example);
    let expired = expire(example, "default", "T").unwrap();
    assert_eq!(expired.replacen("expires = \"T\"\n", "", 1), example);
}

/// A setting, a comment, or nothing.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "# [a-z ]{0,12}",
        ("[a-z]{1,6}", "[a-z]{0,6}")
            .prop_map(|(name, text)| format!("x{name} = \"{text}\" # {text}")),
        "[a-z]{1,6}".prop_map(|name| format!("y{name} = [ 1,\n  2, # two\n]")),
    ]
}

/// A table of somebody else's, or another client, without a setting twice.
fn table() -> impl Strategy<Value = String> {
    let headers =
        ["[[keys]]", "[[clients]]\nname = \"other-INDEX\"", "[z-INDEX]", "[[upstreams]] # at"];
    (prop::sample::select(headers.to_vec()), prop::collection::vec(line(), 0..4)).prop_map(
        |(header, mut lines)| {
            lines.sort();
            lines.dedup_by_key(|it| it.split(" = ").next().map(str::to_owned));
            format!("{header}\n{}", lines.into_iter().map(|it| it + "\n").collect::<String>())
        },
    )
}

fn document(tables: &[String]) -> String {
    let tables = tables.iter().enumerate();
    tables.map(|(index, it)| it.replace("INDEX", &index.to_string())).collect()
}

const OURS: &str = "[[clients]]\nname = \"a\"\ncredential = { token_sha256 = \"OLD\" } # c\n";

proptest! {
    /// Whatever stands around a client stays, byte for byte, whatever is done to the client.
    #[test]
    fn nothing_around_an_edited_table_changes(
        before in prop::collection::vec(table(), 0..4),
        after in prop::collection::vec(table(), 0..4),
        windows: bool,
    ) {
        let ends = |it: &str| if windows { it.replace('\n', "\r\n") } else { it.to_owned() };
        let all: Vec<String> = before.iter().chain(&after).cloned().collect();
        let whole = document(&all);
        let (head, tail) = whole.split_at(document(&before).len());
        let (head, tail) = (ends(head), ends(tail));
        let text = format!("{head}{}{tail}", ends(OURS));
        let removed = remove(&text, "a").unwrap();
        // One empty line before it may have gone with it.
        let closed = head.strip_suffix(if windows { "\r\n" } else { "\n" }).unwrap_or(&head);
        prop_assert!([format!("{head}{tail}"), format!("{closed}{tail}")].contains(&removed), "{}", removed);
        for edited in [
            rotate(&text, "a", &[token()], &until(), NOW).unwrap(),
            rotate(&text, "a", &[token()], &Outlived::Gone, NOW).unwrap(),
            expire(&text, "a", "T").unwrap(),
        ] {
            prop_assert!(edited.starts_with(&head) && edited.ends_with(&tail), "{}", edited);
            prop_assert!(place::parse(&edited).is_ok(), "{}", edited);
            prop_assert_eq!(list(&edited).unwrap().len(), list(&text).unwrap().len());
        }
        let added = add(&text, &client("b")).unwrap();
        prop_assert!(added.starts_with(&text));
        let again = remove(&added, "b").unwrap();
        prop_assert_eq!(again.trim_end(), text.trim_end());
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}a-z.,=#\"\\n ]{0,40}", name in "[a-z]{0,3}") {
        for text in [text.clone(), format!("clients = [{text}]"), format!("[[clients]]\n{text}")] {
            drop((add(&text, &client(&name)), remove(&text, &name), expire(&text, &name, "T")));
            drop((kinds(&text, &name), rotate(&text, &name, &[pair()], &until(), NOW), list(&text)));
        }
    }
}
