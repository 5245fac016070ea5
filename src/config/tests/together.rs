//! All problems at once: none hides another, and each comes with what to do. The near misses are
//! what one mistake explains already, which is not told a second time.

use super::*;

const SECRET: &str = "api_secret = { env = \"SECRET\" }\n";
const NONE: &str = "credential = { none = true }\n";

#[track_caller]
fn all(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        check(text, expected);
    }
}

/// The lines of a client begin on line 5.
fn client(settings: &str) -> String {
    format!("[[keys]]\napi_key = \"a\"\n{SECRET}[[clients]]\n{NONE}{settings}\n")
}

/// Black-box test of `check`: `scops` was taken for `scopes`, and all about `scopes` for its echo.
#[test]
fn an_unknown_name_hides_no_neighbour() {
    all(&[
        (
            &client("scopes = [\"tradr\"]\nscops = []"),
            &[
                "6: clients[0].scopes[0]: `tradr` is unknown\n  hint: did you mean `trade",
                "7: clients[0].scops: unknown setting `scops`\n  hint: did you mean `scopes`?",
            ],
        ),
        // Near miss: nothing is wrong with the neighbour, or it is the one that was meant.
        (&client("scopes = [\"trader\"]\nscops = []"), &["7: clients[0].scops: unknown"]),
        (&client("scops = [\"tradr\"]"), &["6: clients[0].scops: unknown"]),
        (
            "[log]\nlevel = \"loud\"\nlevle = 1\n",
            &["2: log.level: `loud`", "3: log.levle: unknown"],
        ),
        ("[listen]\nadmin = \"x\"\nadmn = 1\n", &["2: listen.admin: `x`", "3: listen.admn: "]),
        (
            "[[upstreams]]\ntimeout = { read = \"5\", raed = \"5s\" }\n",
            &["2: upstreams[0].timeout.raed: ", "2: upstreams[0].timeout.read: `5` is no span"],
        ),
        (
            &format!("[[keys]]\napi_key = \"\"\napi_kye = \"a\"\n{SECRET}"),
            &["2: keys[0].api_key: is empty", "3: keys[0].api_kye: unknown"],
        ),
        (
            "[[operations]]\nmethod = \"PUT\"\nmethd = \"GET\"\npath = \"/v1/a\"\nscope = \"orders:read\"\n",
            &["2: operations[0].method: `PUT`", "3: operations[0].methd: unknown"],
        ),
        // Near miss: what an unknown name may stand for is not called missing.
        (
            "[[operations]]\nmethd = \"GET\"\npath = \"/v1/a\"\nscope = \"orders:read\"\n",
            &["2: operations[0].methd: unknown"],
        ),
        (
            "[[keys]]\napi_key = \"a\"\napi_secret = { env = \"SECRET\", file = \"f\", zzz = 1 }\n",
            &["3: keys[0].api_secret.zzz: unknown", "3: keys[0].api_secret: needs exactly one"],
        ),
        (
            "[[keys]]\napi_key = \"a\"\napi_secret = { zzz = 1 }\n",
            &["3: keys[0].api_secret.zzz: unknown"],
        ),
        ("[state]\naudit = { durabilty = \"off\" }\n", &["2: state.audit.durabilty: unknown"]),
    ]);
}

/// An element that is no text took the whole list with it.
#[test]
fn an_element_hides_no_other() {
    all(&[
        (
            &client("scopes = [5, \"tradr\", { none = true }, \"fees:raed\"]"),
            &[
                "6: clients[0].scopes[0]: this is an integer, expected a string\n  hint: such as \"auditor\"",
                "6: clients[0].scopes[2]: this is a table, expected a string",
                "6: clients[0].scopes[1]: `tradr` is unknown",
                "6: clients[0].scopes[3]: `fees:raed` is unknown",
            ],
        ),
        (
            "[[upstreams]]\nlisten = [5, \"a:1\"]\n",
            &["2: upstreams[0].listen[0]: this is an integer", "2: upstreams[0].listen[1]: `a:1`"],
        ),
        (
            &client("withdrawals = [\"btc\", {}, 2026-01-01]"),
            &[
                "6: clients[0].withdrawals[0]: this is a string, expected a table",
                "6: clients[0].withdrawals[2]: this is a date and time, expected a table",
                "6: clients[0].withdrawals[1].currency: is missing",
                "6: clients[0].withdrawals[1].address: is missing",
            ],
        ),
        ("keys = [[]]\n", &["1: keys[0]: this is an array, expected a table"]),
        (
            "[[keys]]\napi_key = \"a\"\n[keys.api_secret]\nenv = 5\n",
            &["4: keys[0].api_secret.env: "],
        ),
    ]);
}

#[test]
fn an_upstream_hides_no_operation() {
    let bogus = client("operations = [\"bogus\", \"create_order\"]");
    let told = "clients[0].operations[0]: `bogus` is no operation of exchange\n  hint: ";
    all(&[
        (
            &format!("[[upstreams]]\nenvironment = \"prod\"\n{bogus}"),
            &["2: upstreams[0].environment: `prod`", &format!("8: {told}")],
        ),
        (
            &format!("[[upstreams]]\nprovider = \"exchnge\"\n{bogus}"),
            &["2: upstreams[0].provider: ", &format!("8: {told}")],
        ),
        (
            &bogus.replace("[[clients]]", "upstream = \"nowhere\"\n[[clients]]"),
            &["4: keys[0].upstream: `nowhere` is unknown", &format!("7: {told}")],
        ),
        (
            &bogus.replace("operations", "key = \"nobody\"\noperations"),
            &["6: clients[0].key: `nobody` is unknown", &format!("7: {told}")],
        ),
        // Near misses: an operation of the file is known wherever its upstream got to.
        (
            &format!(
                "[[upstreams]]\nenvironment = \"prod\"\n{}[[operations]]\nmethod = \"GET\"\npath = \"/v1/x\"\nscope = \"orders:read\"\n",
                client("operations = [\"GET /v1/x\"]")
            ),
            &["2: upstreams[0].environment: `prod`"],
        ),
        (
            &format!(
                "{}[[operations]]\nupstream = \"nowhere\"\nmethod = \"GET\"\npath = \"/v1/x\"\nscope = \"orders:raed\"\n",
                client("operations = [\"GET /v1/x\", \"GET /v1/y\"]")
            ),
            &[
                "6: clients[0].operations[1]: `GET /v1/y` is no operation",
                "8: operations[0].upstream: `nowhere`",
                "11: operations[0].scope: `orders:raed`",
            ],
        ),
    ]);
}

#[test]
fn an_upstream_hides_neither_its_listeners_nor_who_calls() {
    let open = "[[upstreams]]\nenvironment = \"prod\"\nlisten = [\"0.0.0.0:3841\"]\n";
    all(&[
        (
            &format!("{open}{}", client("")),
            &[
                "1: upstreams[0].listen: 0.0.0.0:3841 is taken by listen.admin",
                "2: upstreams[0].environment: ",
                "8: clients[0].credential.none: the listener of `exchange` is not loopback",
            ],
        ),
        (
            &format!("{}{}", open.replace("0.0.0.0:3841", "127.0.0.1:1"), client("")),
            &["2: upstreams[0].environment: "],
        ),
    ]);
}

#[test]
fn a_typo_in_a_limit_is_told_with_the_rest_of_its_table() {
    all(&[
        (
            &client("[clients.orders]\nsymbls = [\"btcusd\"]\nsides = [\"bye\"]"),
            &[
                "7: clients[0].orders.symbls: unknown setting `symbls`\n  hint: did you mean `symbols`?",
                "8: clients[0].orders.sides[0]: `bye` is unknown",
            ],
        ),
        (
            &client("[clients.transfers]\ntoo = [\"cold\"]\nbanks = [\"\"]"),
            &["7: clients[0].transfers.too: ", "8: clients[0].transfers.banks[0]: is empty"],
        ),
        (&client("[clients.transfers]\nto = 5"), &["7: clients[0].transfers.to: this is"]),
        (&client("[clients.ordres]\nsymbols = []"), &["6: clients[0].ordres: unknown setting"]),
    ]);
}

#[test]
fn every_kind_of_problem_says_what_to_do() {
    let key = |source: &str| format!("[[keys]]\napi_key = \"a\"\napi_secret = {source}\n");
    all(&[
        (
            &key("{ file = \"/no/such\" }"),
            &[
                "3: keys[0].api_secret.file: cannot read /no/such: no such file or directory\n  hint: look at the path",
            ],
        ),
        (
            &key("{ env = \"NO_SUCH\" }"),
            &[
                "3: keys[0].api_secret.env: the variable `NO_SUCH` is not set\n  hint: `env` takes the name",
            ],
        ),
        (&key("{ env = \"EMPTY\" }"), &["3: keys[0].api_secret.env: is empty\n  hint: "]),
        (
            &key("7"),
            &[
                "3: keys[0].api_secret: this is an integer, expected a string or a table\n  hint: such as api_secret = { env = \"GEMINI_API_SECRET\" }",
            ],
        ),
        (
            "[[upstreams]]\nlisten = [\"here\"]\n",
            &[
                "2: upstreams[0].listen[0]: `here` is no address to listen on\n  hint: an IP address and a port",
            ],
        ),
        (
            &client("from = [\"here\"]"),
            &["6: clients[0].from[0]: `here` is no address range\n  hint: such as"],
        ),
        (
            &client("[[clients.withdrawals]]\ncurrency = \"btc\"\naddress = \"b c\""),
            &["8: clients[0].withdrawals[0].address: is no address\n  hint: the address that"],
        ),
        (
            "[[upstreams]]\nname = \"a\"\n[[upstreams]]\nname = \"a\"\nlisten = [\"127.0.0.1:1\"]\n",
            &[
                "4: upstreams[1].name: `a` is the name of another\n  hint: name each of the upstreams",
            ],
        ),
    ]);
}

#[test]
fn text_that_is_no_toml_says_what_to_do() {
    all(&[
        (
            "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
            &["3: duplicate key\n  hint: keep one of them"],
        ),
        (
            "[log\nlevel = \"info\"\n",
            &["1: unclosed table, expected `]`\n  hint: the header of a table is [name]"],
        ),
        (
            "[[keys]]\napi_secret = hunter2-planted\n",
            &[
                "2: string values must be quoted, expected literal string\n  hint: text stands between quotes",
            ],
        ),
        ("[log]\nlevel\n", &["2: key with no value, expected `=`\n  hint: a setting is name ="]),
        (
            "log = [\"a\" \"b\"]\n",
            &[
                "1: missing comma between array elements, expected `,`\n  hint: such as name = [\"one\"",
            ],
        ),
    ]);
}
