//! `[[upstreams]]` and `[[operations]]`.

use super::*;
use crate::call::{AccountRule, Effect, RetryClass};
use crate::provider::Environment;

#[track_caller]
fn upstream(settings: &str, expected: &[&str]) {
    check(&format!("[[upstreams]]\n{settings}\n"), expected);
}

#[test]
fn a_bare_upstream_is_production_on_loopback() {
    let upstream = accept("[[upstreams]]\n").upstreams.remove(0);
    assert_eq!(upstream.name, "exchange");
    assert_eq!(upstream.environment, Environment::Production);
    assert_eq!((upstream.rest.host.as_str(), upstream.rest.port), ("api.gemini.com", 443));
    assert_eq!(listeners(&upstream), ["127.0.0.1:3840"]);
    assert!(upstream.public && upstream.bind.is_none() && upstream.hosts.is_empty());
    let sandbox = accept("[[upstreams]]\nenvironment = \"sandbox\"\n").upstreams.remove(0);
    assert_eq!(sandbox.rest.authority, "api.sandbox.gemini.com");
}

#[test]
fn words_and_names() {
    upstream(
        "provider = \"exchnge\"",
        &["2: upstreams[0].provider: `exchnge` is unknown\n  hint: did you mean `exchange`?"],
    );
    upstream(
        "environment = \"prod\"",
        &["2: upstreams[0].environment: `prod` is unknown\n  hint: one of production"],
    );
    upstream("name = \"a b\"", &["2: upstreams[0].name: a name is"]);
    check(
        "[[upstreams]]\nname = \"a\"\n[[upstreams]]\nname = \"a\"\nlisten = [\"127.0.0.1:2\"]\n",
        &["4: upstreams[1].name: `a` is the name of another"],
    );
}

#[test]
fn an_override_is_https_and_near_or_meant() {
    let of =
        |url: &str| accept(&format!("[[upstreams]]\nurl = \"{url}\"\n")).upstreams.remove(0).rest;
    assert_eq!(of("https://localhost:9443").authority, "localhost:9443");
    assert_eq!(of("https://[::1]").host, "[::1]");
    assert_eq!(of("https://API.gemini.com/").authority, "api.gemini.com");
    accept("[[upstreams]]\nurl = \"https://far.example\"\ndev_upstream = true\n");
    upstream(
        "url = \"https://far.example\"",
        &["2: upstreams[0].url: would send signed requests to far.example"],
    );
    upstream(
        "url = \"https://far.example\"\ndev_upstream = false",
        &["2: upstreams[0].url: would"],
    );
    upstream(
        "environment = \"sandbox\"\nurl = \"https://api.gemini.com\"",
        &["3: upstreams[0].url: would"],
    );
    upstream("url = \"http://localhost\"", &["2: upstreams[0].url: must begin with https://"]);
    upstream(
        "url = \"https://me:hunter2-planted@localhost\"",
        &["2: upstreams[0].url: has more than a host and a port"],
    );
    upstream("url = \"https://localhost/v1\"", &["2: upstreams[0].url: has more"]);
    upstream(
        "environment = \"simulator\"",
        &["1: upstreams[0].url: environment = \"simulator\" needs"],
    );
    accept("[[upstreams]]\nenvironment = \"simulator\"\nurl = \"https://localhost:1\"\n");
    upstream(
        "ws_url = \"wss://localhost:1\"",
        &["2: upstreams[0].ws_url: `ws_url` is not enforced"],
    );
    upstream(
        "ws_url = \"ws://localhost:1\"",
        &[
            "2: upstreams[0].ws_url: must begin with wss://",
            "2: upstreams[0].ws_url: `ws_url` is not enforced",
        ],
    );
}

#[test]
fn trust_anchors_are_for_overrides() {
    let folder = Folder::new();
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let good = folder.write("good.pem", &certificate.cert.pem(), 0o644);
    let bad = folder.write("bad.pem", "no certificate", 0o644);
    let url = "url = \"https://localhost:1\"";
    let config = accept(&format!("[[upstreams]]\n{url}\nca_file = \"{}\"\n", good.display()));
    assert_eq!(config.upstreams[0].ca.len(), 1);
    upstream(&format!("{url}\nca_file = \"{}\"", bad.display()), &["3: upstreams[0].ca_file: "]);
    upstream(
        &format!("{url}\nca_file = \"none.pem\""),
        &["3: upstreams[0].ca_file: cannot read none.pem: no such file"],
    );
    upstream(
        &format!("ca_file = \"{}\"", good.display()),
        &["2: upstreams[0].ca_file: is for overrides only"],
    );
    let own = format!("url = \"https://api.gemini.com\"\nca_file = \"{}\"", good.display());
    upstream(&own, &["3: upstreams[0].ca_file: is for overrides only"]);
}

#[test]
fn addresses_and_names() {
    let config =
        accept("[[upstreams]]\nlisten = [\"0.0.0.0:80\", \"[::1]:81\"]\nhosts = [\"Geminid\"]\n");
    assert!(!config.upstreams[0].public, "data is public on loopback only");
    assert_eq!(config.upstreams[0].hosts, ["geminid"]);
    let open = accept("[[upstreams]]\nlisten = [\"0.0.0.0:80\"]\npublic = true\n");
    assert!(open.upstreams[0].public);
    assert!(!accept("[[upstreams]]\npublic = false\n").upstreams[0].public);
    upstream("listen = []", &["2: upstreams[0].listen: is empty"]);
    upstream(
        "listen = [\"a:1\", \"127.0.0.1\"]",
        &["2: upstreams[0].listen[0]: `a:1`", "2: upstreams[0].listen[1]: "],
    );
    upstream("hosts = [\"a:1\"]", &["2: upstreams[0].hosts[0]: `a:1` is no host name"]);
}

#[test]
fn timeouts_egress_and_rates() {
    let config = accept(
        "[[upstreams]]\ntimeout = { order = \"20s\" }\negress = { bind = \"10.0.0.1\", enforce = false }\n[upstreams.rate]\npublic = \"off\"\nprivate = \"off\"\n",
    );
    let upstream_ = &config.upstreams[0];
    assert_eq!((upstream_.timeout.order.as_secs(), upstream_.timeout.read.as_secs()), (20, 15));
    assert_eq!(upstream_.bind, Some("10.0.0.1".parse().unwrap()));
    upstream(
        "timeout = { order = \"20\", raed = \"1s\" }",
        &[
            "2: upstreams[0].timeout.raed: unknown",
            "2: upstreams[0].timeout.order: `20` is no span",
        ],
    );
    upstream("egress.bind = \"here\"", &["2: upstreams[0].egress.bind: `here` is no IP address"]);
    upstream(
        "egress.proxy = \"socks5://a:1\"",
        &["2: upstreams[0].egress.proxy: `proxy` is not enforced"],
    );
    upstream(
        "egress.proxy = \"ftp://a:1\"",
        &[
            "2: upstreams[0].egress.proxy: must begin",
            "2: upstreams[0].egress.proxy: `proxy` is not enforced",
        ],
    );
    upstream(
        "egress.expect = [\"1.2.3.4\", \"1.2.3\"]",
        &["2: upstreams[0].egress.expect[1]: `1.2.3` is no IP"],
    );
    upstream(
        "egress.enforce = true",
        &["2: upstreams[0].egress.enforce: `enforce` is not enforced"],
    );
    upstream(
        "rate.public = \"120/min\"",
        &["2: upstreams[0].rate.public: `public` is not enforced"],
    );
    upstream(
        "rate.private = \"600/min burst 60\"",
        &["2: upstreams[0].rate.private: `private` is not enforced"],
    );
    upstream("rate.private = \"600/mn\"", &["2: upstreams[0].rate.private: `600/mn` is no rate"]);
    upstream(
        "rate.max_wait = \"2s\"",
        &["2: upstreams[0].rate.max_wait: `max_wait` is not enforced"],
    );
    upstream(
        "rate.max_wait = \"2\"",
        &[
            "2: upstreams[0].rate.max_wait: `2` is no span",
            "2: upstreams[0].rate.max_wait: `max_wait` is not enforced",
        ],
    );
}

#[test]
fn questions_of_our_own() {
    let bare = accept("[[upstreams]]\n").upstreams.remove(0);
    assert!(bare.probe && bare.expect.is_empty());
    assert_eq!((bare.status_page, bare.address_service), (None, None));
    assert!(!accept("[[upstreams]]\nprobe = false\n").upstreams[0].probe);
    let told = accept(
        "[[upstreams]]\nstatus_page = \"https://Status.example/api/v2/status.json?a=B\"\n\
         egress = { expect = [\"203.0.113.7\", \"::ffff:10.0.0.1\"], address_service = \"https://[::1]:8443\" }\n",
    );
    let told = &told.upstreams[0];
    let expected: Vec<String> = told.expect.iter().map(ToString::to_string).collect();
    assert_eq!(expected, ["203.0.113.7", "10.0.0.1"]);
    let page = told.status_page.as_ref().unwrap();
    assert_eq!(page.endpoint.authority, "status.example");
    assert_eq!((page.path.as_str(), page.is_loopback()), ("/api/v2/status.json?a=B", false));
    let service = told.address_service.as_ref().unwrap();
    assert_eq!(service.endpoint.authority, "[::1]:8443");
    assert_eq!((service.path.as_str(), service.is_loopback()), ("/", true));
    for (url, why) in [
        ("http://a.example/", "must begin with https://"),
        ("https:/a", "must begin with https://"),
        ("", "must begin with https://"),
        ("https://", "its host is no host name"),
        ("https://me:hunter2-planted@a.example/", "has more than a host and a port"),
        ("https://a.example:0/", "its port is no number"),
        ("https://a.example/b c", "its path has a character"),
        ("https://a.example/ü", "its path has a character"),
        ("https://a.example?b", "its path has a character"),
        ("https://a.example/b#c", "has a part that is not sent"),
    ] {
        upstream(
            &format!("status_page = \"{url}\""),
            &[&format!("2: upstreams[0].status_page: {why}")],
        );
        upstream(
            &format!("egress.address_service = \"{url}\""),
            &[&format!("2: upstreams[0].egress.address_service: {why}")],
        );
    }
    upstream("probe = \"no\"", &["2: upstreams[0].probe: this is a string"]);
}

#[track_caller]
fn operation(settings: &str, expected: &[&str]) {
    check(&format!("[[operations]]\n{settings}\n"), expected);
}

#[test]
fn operations_newer_than_this_release() {
    let config = accept(
        "[[operations]]\nmethod = \"POST\"\npath = \"/v1/new/{symbol}\"\nscope = \"orders:read\"\n\
         [[operations]]\nupstream = \"exchange\"\nmethod = \"GET\"\npath = \"/v1/more\"\nscope = \"orders:create\"\n",
    );
    let operations = &config.upstreams[0].operations;
    assert_eq!(operations[0].name, "POST /v1/new/{symbol}");
    assert_eq!((operations[0].effect, operations[0].retry), (Effect::Read, RetryClass::Always));
    assert_eq!(operations[0].account, AccountRule::Inject);
    assert_eq!((operations[1].effect, operations[1].retry), (Effect::Trade, RetryClass::Never));
    assert!(!operations[0].is_public());

    let rest = "scope = \"orders:read\"";
    operation(
        "",
        &[
            "1: operations[0].method: is missing",
            "1: operations[0].path: is missing",
            "1: operations[0].scope: is missing",
        ],
    );
    operation(
        &format!("method = \"PUT\"\npath = \"/v1/a\"\n{rest}"),
        &["2: operations[0].method: `PUT` is unknown"],
    );
    operation(
        &format!("method = \"GET\"\npath = \"v1/a?b\"\n{rest}"),
        &["3: operations[0].path: `v1/a?b` is no path"],
    );
    operation(
        "method = \"GET\"\npath = \"/v1/a\"\nscope = \"orders:raed\"",
        &["4: operations[0].scope: `orders:raed` is unknown\n  hint: did you mean `orders:read`?"],
    );
    operation(
        &format!("upstream = \"b\"\nmethod = \"GET\"\npath = \"/v1/a\"\n{rest}"),
        &["2: operations[0].upstream: `b` is unknown"],
    );
    operation(
        &format!("method = \"POST\"\npath = \"/v1/order/new\"\n{rest}"),
        &["1: operations[0].path: a call could be this or `create_order`"],
    );
    operation(
        &format!("method = \"POST\"\npath = \"/v1/order/{{what}}\"\n{rest}"),
        &["1: operations[0].path: a call could"],
    );
    accept(&format!("[[operations]]\nmethod = \"GET\"\npath = \"/v1/order/new\"\n{rest}\n"));
}
