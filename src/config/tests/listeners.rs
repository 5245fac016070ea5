//! `listen`: unix sockets, TLS, and who may be there with whom.

use super::*;

const TOKEN: &str =
    "{ token_sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\" }";

#[track_caller]
fn listen(table: &str, expected: &[&str]) {
    let expected: Vec<String> =
        expected.iter().map(|it| format!("2: upstreams[0].listen[0]{it}")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&format!("[[upstreams]]\nlisten = [{table}]\n"), &expected);
}

fn one(table: &str) -> Upstream {
    accept(&format!("[[upstreams]]\nlisten = [{table}]\n")).upstreams.remove(0)
}

fn client(credential: &str) -> String {
    format!(
        "[[keys]]\napi_key = \"account-1\"\napi_secret = {{ env = \"SECRET\" }}\n\
         [[clients]]\nscopes = [\"trader\"]\ncredential = {credential}\n"
    )
}

#[test]
fn unix_sockets() {
    let of = |table: &str| listeners(&one(table));
    assert_eq!(
        of("{ unix = \"/run/s\" }"),
        ["UnixSocket { path: \"/run/s\", mode: 384, group: None }"],
        "0600: nobody but this user"
    );
    assert_eq!(
        of("{ unix = \"s\", group = \"7\" }"),
        ["UnixSocket { path: \"s\", mode: 432, group: Some(7) }"],
        "0660: the group is meant to connect"
    );
    assert_eq!(
        of("{ unix = \"/s\", mode = \"0666\" }"),
        ["UnixSocket { path: \"/s\", mode: 438, group: None }"]
    );
    assert!(of("{ unix = \"/s\", group = \"root\" }")[0].contains("group: Some(0)"));
    assert!(one("{ unix = \"/s\", mode = \"0666\" }").public, "only this machine can reach it");
    assert!(!one("{ unix = \"/s\" }, \"0.0.0.0:1\"").public);

    listen("{ unix = \"\" }", &[".unix: is empty"]);
    listen("{ unix = \"/s\", mode = \"0980\" }", &[".mode: `0980` is no file mode"]);
    listen("{ unix = \"/s\", mode = \"01777\" }", &[".mode: `01777` is no file mode"]);
    listen("{ unix = \"/s\", mode = 660 }", &[".mode: this is an integer, expected a string"]);
    listen(
        "{ unix = \"/s\", mod = \"0980\" }",
        &[".mod: unknown setting `mod`\n  hint: did you mean `mode`?"],
    );
    listen(
        "{ unix = \"/s\", group = \"no-such-group\" }",
        &[".group: `no-such-group` is no group of /etc/group"],
    );
    listen("{ unix = \"/s\", group = \"\" }", &[".group: is empty"]);
    listen("{ unix = \"/a\\u0000b\" }", &[".unix: is no path"]);
    let long = |n: usize| format!("{{ unix = \"/{}\" }}", "s".repeat(n));
    listen(
        &long(103),
        &[".unix: is no path that a unix socket can have\n  hint: at most 103 bytes"],
    );
    one(&long(102));
    for (table, expected) in [
        ("{ unix = \"/s\", mode = \"0400\" }", "not even geminid's own user"),
        ("{ unix = \"/s\", mode = \"0600\", group = \"7\" }", "does not let the group connect"),
    ] {
        warns(&format!("[[upstreams]]\nlisten = [{table}]\n"), expected);
    }
}

#[test]
fn a_table_is_one_listener() {
    listen("{}", &[": needs either `unix` or `address`"]);
    listen("{ unix = \"/s\", address = \"127.0.0.1:1\" }", &[": needs either"]);
    listen("{ unix = \"/s\", cert = \"c\" }", &[": TLS is for"]);
    listen("{ unix = \"/s\", client_ca = \"c\" }", &[": TLS is for"]);
    listen("{ address = \"127.0.0.1:1\" }", &[": needs `cert` and `key`"]);
    listen("{ address = \"127.0.0.1:1\", cert = \"c\" }", &[": needs `cert` and `key`"]);
    listen("{ address = \"127.0.0.1:1\", mode = \"0660\" }", &[": `mode` and `group`"]);
    listen("{ address = \"127.0.0.1:1\", group = \"7\" }", &[": `mode` and `group`"]);
}

/// A certificate of its own, and its key.
fn pair(folder: &Folder, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
    let cert = folder.write(&cert, &made.cert.pem(), 0o644).display().to_string();
    let key = folder.write(&key, &made.signing_key.serialize_pem(), 0o600).display().to_string();
    (cert, key)
}

#[test]
fn tls() {
    let folder = Folder::new();
    let (cert, key) = pair(&folder, "a");
    let (other_cert, other_key) = pair(&folder, "b");
    let table = |cert: &str, key: &str, more: &str| {
        format!("{{ address = \"127.0.0.1:1\", cert = \"{cert}\", key = \"{key}\"{more} }}")
    };
    assert_eq!(
        listeners(&one(&table(&cert, &key, ""))),
        ["127.0.0.1:1 Tls { asks_clients: false, .. }"]
    );
    let asking = table(&cert, &key, &format!(", client_ca = \"{other_cert}\""));
    let upstream = one(&asking);
    assert_eq!(listeners(&upstream), ["127.0.0.1:1 Tls { asks_clients: true, .. }"]);
    assert!(upstream.public, "a loopback address is one with TLS too");
    assert!(!one(&asking.replace("127.0.0.1", "0.0.0.0")).public);
    let Listen::Tls(_, tls) = &upstream.listen[0] else { panic!("{upstream:?}") };
    assert_eq!(tls.server.alpn_protocols, [b"http/1.1"]);
    assert!(!tls.server.session_storage.can_cache() && tls.server.send_tls13_tickets == 0);

    listen(&table(&cert, &other_key, ""), &[".key: is not the key of the certificate in `cert`"]);
    listen(&table(&other_key, &key, ""), &[".cert: "]);
    listen(&table(&cert, &other_cert, ""), &[".key: "]);
    listen(
        &table("none.pem", "none.key", ""),
        &[".cert: cannot read none.pem: no such file", ".key: cannot read none.key: no such file"],
    );
    listen(
        &table("", "", ", client_ca = \"\""),
        &[".cert: is empty", ".key: is empty", ".client_ca: is empty"],
    );
    listen(&table(&cert, &key, &format!(", client_ca = \"{key}\"")), &[".client_ca: "]);
    listen(
        "{ address = \"127.0.0.1\", cert = \"c\", key = \"k\" }",
        &[".address: `127.0.0.1` is no address", ".cert: cannot read c", ".key: cannot read k"],
    );
    folder.mode("a.key", 0o640);
    listen(
        &table(&cert, &key, ""),
        &[&format!(".key: {key} can be read by others (its mode is 0640)\n  hint: chmod 600")],
    );
}

#[test]
fn keys_and_certificates_are_what_they_should_be() {
    let folder = Folder::new();
    let (cert, key) = pair(&folder, "a");
    let text = |name: &str, text: &str| folder.write(name, text, 0o600).display().to_string();
    let table = |cert: &str, key: &str, ca: &str| {
        format!(
            "{{ address = \"127.0.0.1:1\", cert = \"{cert}\", key = \"{key}\", client_ca = \"{ca}\" }}"
        )
    };
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\nMAA=\n-----END {kind}-----\n");
    let encrypted = text("e.key", &pem("ENCRYPTED PRIVATE KEY"));
    listen(
        &table(&cert, &encrypted, &cert),
        &[&format!(".key: {encrypted} holds a key that is encrypted\n  hint: `openssl pkey")],
    );
    let none = text("n.key", "hunter2-planted");
    listen(&table(&cert, &none, &cert), &[&format!(".key: {none} holds no private key in PEM")]);
    let odd = text("o.key", &pem("PRIVATE KEY"));
    listen(&table(&cert, &odd, &cert), &[".key: is a key of a kind that is not supported"]);
    let broken = text("b.pem", &pem("CERTIFICATE"));
    listen(&table(&broken, &key, &cert), &[".cert: holds a certificate that cannot be read"]);
    listen(&table(&cert, &key, &broken), &[".client_ca: holds a certificate that cannot be read"]);
    let empty = text("n.pem", "");
    listen(
        &table(&empty, &key, &empty),
        &[
            &format!(".cert: {empty} holds no certificates in PEM form"),
            &format!(".client_ca: {empty} holds no certificates in PEM form"),
        ],
    );
}

#[test]
fn who_presents_nothing_stays_on_this_machine() {
    let folder = Folder::new();
    let (cert, key) = pair(&folder, "a");
    let tls = |address: &str| {
        format!("{{ address = \"{address}\", cert = \"{cert}\", key = \"{key}\" }}")
    };
    let with = |table: &str, credential: &str| {
        format!("[[upstreams]]\nlisten = [{table}]\n{}", client(credential))
    };
    let none = "{ none = true }";
    silent(&with("{ unix = \"/s\", mode = \"0666\" }", none));
    silent(&with(&tls("127.0.0.1:1"), none));
    let refused = ["8: clients[0].credential.none: the listener of `exchange` is not loopback"];
    check(&with(&tls("0.0.0.0:1"), none), &refused);
    check(&with(&format!("{{ unix = \"/s\" }}, {}", tls("0.0.0.0:1")), none), &refused);
    silent(&with(&tls("0.0.0.0:1"), TOKEN));
    // What cannot be read is as far away all the same.
    let broken = tls("0.0.0.0:1").replace("a.key", "none.key");
    check(&with(&broken, none), &["2: upstreams[0].listen[0].key: cannot read", refused[0]]);
}

#[test]
fn who_is_known_by_a_listener_needs_one() {
    let folder = Folder::new();
    let (cert, key) = pair(&folder, "a");
    let tls = format!("{{ address = \"127.0.0.1:1\", cert = \"{cert}\", key = \"{key}\" }}");
    let asks = tls.replace(" }", &format!(", client_ca = \"{cert}\" }}"));
    let with = |table: &str, credential: &str| {
        format!("[[upstreams]]\nlisten = [{table}]\n{}", client(credential))
    };
    let (user, named) = ("{ uid = 7, gid = 7 }", "{ cert = \"bot.example\" }");
    silent(&with("\"127.0.0.1:1\", { unix = \"/s\" }", user));
    warns(&with(&asks, user), "`exchange` listens on no unix socket");
    silent(&with(&asks, named));
    warns(&with(&tls, named), "no listener of `exchange` has a `client_ca`");
    warns(&with("{ unix = \"/s\" }", named), "no listener of `exchange` has a `client_ca`");
}

#[test]
fn credentials_of_listeners() {
    let credential = |table: &str, expected: &[&str]| check(&client(table), expected);
    let config = accept(&client(
        "[{ uid = 7 }, { gid = 8, uid = 7 }, { cert = \"spiffe://a/b\", expires = \"2027-01-01T00:00:00Z\" }]",
    ));
    let shown = format!("{:?}", config.clients[0].credentials);
    for part in [
        "User { uid: Some(7), gid: None }",
        "User { uid: Some(7), gid: Some(8) }",
        "Certificate(\"spiffe://a/b\"), expires: Some(UnixMicros(1798761600000000))",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let only_one = "6: clients[0].credential: needs exactly one";
    credential("{ uid = 7, none = true }", &[only_one]);
    credential("{ gid = 7, cert = \"a\" }", &[only_one]);
    credential("{ expires = \"2027-01-01T00:00:00Z\" }", &[only_one]);
    for odd in ["", " ", "a b", "é"] {
        let expected = "6: clients[0].credential.cert: is no name in a certificate";
        credential(&format!("{{ cert = \"{odd}\" }}"), &[expected]);
    }
}

#[test]
fn a_credential_may_have_an_end() {
    let with = |expires: &str| client(&TOKEN.replace(" }", &format!(", expires = {expires} }}")));
    silent(&with("\"2026-11-21T00:00:01Z\""));
    silent(&with("2026-11-21T00:00:01Z"));
    warns(
        &with("\"2026-11-21T00:00:00Z\""),
        "proxy.toml:6: clients[0].credential.expires: has passed: the credential is refused",
    );
    check(&with("\"soon\""), &["6: clients[0].credential.expires: `soon` is no date"]);
    check(&with("5"), &["6: clients[0].credential.expires: is no date and time"]);
}

#[test]
fn no_two_clients_have_the_same_user_or_certificate() {
    let upstreams = "[[upstreams]]\nname = \"u\"\nlisten = [{ unix = \"/u\" }]\n\
                     [[upstreams]]\nname = \"v\"\nlisten = [{ unix = \"/v\" }]\n";
    let keys = "[[keys]]\nname = \"k\"\nupstream = \"u\"\napi_key = \"a\"\napi_secret = { env = \"SECRET\" }\n\
                [[keys]]\nname = \"l\"\nupstream = \"v\"\napi_key = \"b\"\napi_secret = { env = \"SECRET\" }\n";
    let two = |first: &str, second: &str, key: &str| {
        format!(
            "{upstreams}{keys}[[clients]]\nname = \"a\"\nkey = \"k\"\ncredential = {first}\n\
             [[clients]]\nname = \"b\"\nkey = \"{key}\"\ncredential = {second}\n"
        )
    };
    for (proof, said) in [
        ("{ uid = 7 }", "has the same `uid` and `gid`"),
        ("{ gid = 7 }", "has the same `uid` and `gid`"),
        ("{ uid = 7, gid = 7 }", "has the same `uid` and `gid`"),
        ("{ cert = \"a\" }", "has the certificate name `a` too"),
    ] {
        let expected = format!("21: clients[1].credential: `a` on upstream `u` {said}");
        check(&two(proof, proof, "k"), &[&expected]);
        accept(&two(proof, proof, "l"));
    }
    // The one that says more counts.
    accept(&two("{ uid = 7 }", "{ uid = 7, gid = 7 }", "k"));
    accept(&two("{ uid = 7 }", "{ gid = 7 }", "k"));
    accept(&two("{ cert = \"a\" }", "{ cert = \"A\" }", "k"));
}

#[test]
fn two_sockets_never_share_an_address() {
    let two = |first: &str, second: &str| {
        format!(
            "[[upstreams]]\nname = \"a\"\nlisten = [\"{first}\"]\n\
             [[upstreams]]\nname = \"b\"\nlisten = [\"{second}\"]\n"
        )
    };
    let taken = ["4: upstreams[1].listen: "];
    check(&two("127.0.0.1:1", "127.0.0.1:1"), &taken);
    check(&two("127.0.0.1:1", "0.0.0.0:1"), &taken);
    check(&two("[::]:1", "127.0.0.1:1"), &taken);
    accept(&two("127.0.0.1:1", "127.0.0.1:2"));
    accept(&two("127.0.0.1:1", "127.0.0.2:1"));
    accept(&two("127.0.0.1:0", "127.0.0.1:0"));
    check(
        "[[upstreams]]\nname = \"a\"\n[[upstreams]]\nname = \"b\"\n",
        &["3: upstreams[1].listen: 127.0.0.1:3840 is taken by upstreams[0]"],
    );
    let files = |first: &str, second: &str| {
        two("127.0.0.1:1", "127.0.0.1:2")
            .replace("\"127.0.0.1:1\"", &format!("{{ unix = \"{first}\" }}"))
            .replace("\"127.0.0.1:2\"", &format!("{{ unix = \"{second}\" }}"))
    };
    check(&files("/s", "/s"), &["4: upstreams[1].listen: /s is taken by upstreams[0]"]);
    accept(&files("/s", "/t"));
    // An address with TLS is an address, whatever else is wrong with it.
    let tls = "{ address = \"127.0.0.1:1\", cert = \"c\" }";
    check(
        &two("127.0.0.1:1", "127.0.0.1:2").replace("\"127.0.0.1:2\"", tls),
        &["4: upstreams[1].listen: ", "6: upstreams[1].listen[0]: needs"],
    );
}
