//! What differs between two configurations, by section: what a running proxy cannot take up needs a
//! restart, and is named.

use std::collections::BTreeSet;

use super::{Config, Key, Listen, Upstream};

/// The sections that differ, but for `clients`.
pub(crate) fn beyond_clients(old: &Config, new: &Config) -> Vec<&'static str> {
    // Every setting is named, so that one that comes later must be thought of here.
    let Config { path: _, log, admin, state_dir, upstreams, keys, clients: _, warnings: _, audit } =
        old;
    let mut changed = BTreeSet::new();
    let mut note = |section, differs: bool| {
        if differs {
            changed.insert(section);
        }
    };
    note("log", *log != new.log);
    note("listen", *admin != new.admin);
    note("state", *state_dir != new.state_dir || *audit != new.audit);
    let pairs = || upstreams.iter().zip(&new.upstreams);
    let as_many = upstreams.len() == new.upstreams.len();
    note("upstreams", !as_many || pairs().any(|(old, new)| !is_same_upstream(old, new)));
    note("operations", pairs().any(|(old, new)| old.operations != new.operations));
    let as_many = keys.len() == new.keys.len();
    note("keys", !as_many || keys.iter().zip(&new.keys).any(|(old, new)| !is_same_key(old, new)));
    changed.into_iter().collect()
}

fn is_same_upstream(old: &Upstream, new: &Upstream) -> bool {
    let Upstream {
        name,
        provider,
        environment,
        rest,
        ca,
        listen,
        hosts,
        public,
        timeout,
        probe,
        status_page,
        bind,
        expect,
        address_service,
        operations: _,
    } = old;
    *name == new.name
        && provider.name() == new.provider.name()
        && *environment == new.environment
        && *rest == new.rest
        && *ca == new.ca
        && listen.len() == new.listen.len()
        && listen.iter().zip(&new.listen).all(|(old, new)| is_same_listener(old, new))
        && *hosts == new.hosts
        && *public == new.public
        && *timeout == new.timeout
        && *probe == new.probe
        && *status_page == new.status_page
        && *bind == new.bind
        && *expect == new.expect
        && *address_service == new.address_service
}

/// Whether it would be bound alike. A certificate is read at the start, whatever its file says later.
fn is_same_listener(old: &Listen, new: &Listen) -> bool {
    match (old, new) {
        (Listen::Tcp(old), Listen::Tcp(new)) => old == new,
        (Listen::Tls(old, before), Listen::Tls(new, after)) => {
            old == new && before.asks_clients == after.asks_clients
        }
        (Listen::Unix(old), Listen::Unix(new)) => old == new,
        (Listen::Tcp(_) | Listen::Tls(..) | Listen::Unix(_), _) => false,
    }
}

fn is_same_key(old: &Key, new: &Key) -> bool {
    let Key { name, upstream, credential, source, nonce, unit, account } = old;
    *name == new.name
        && *upstream == new.upstream
        && credential.is_same(&new.credential)
        && source.is_same(&new.source)
        && *nonce == new.nonce
        && *unit == new.unit
        && *account == new.account
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Overrides, ProcessEnvironment, parse};
    use super::*;
    use crate::clock::UnixMicros;

    const TEXT: &str = "
log = { level = \"info\" }
listen = { admin = \"127.0.0.1:1\" }
state = { dir = \"/a\" }
[[upstreams]]
environment = \"simulator\"
url = \"https://127.0.0.1:2\"
listen = [\"127.0.0.1:3\"]
timeout = { order = \"5s\" }
[[keys]]
api_key = \"account-a\"
api_secret = { value = \"one\" }
[[clients]]
credential = { none = true }
scopes = [\"trader\"]
";

    fn config(text: &str) -> Config {
        let (now, over) = (UnixMicros::from_secs(1), Overrides::default());
        parse(text, Path::new("p.toml"), &ProcessEnvironment, &over, now).unwrap()
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let old = config(TEXT);
        for (from, to, section) in [
            ("\"info\"", "\"warn\"", "log"),
            ("127.0.0.1:1\"", "127.0.0.1:9\"", "listen"),
            ("\"/a\"", "\"/b\"", "state"),
            ("127.0.0.1:2\"", "127.0.0.1:9\"", "upstreams"),
            ("127.0.0.1:3\"", "127.0.0.1:9\"", "upstreams"),
            ("\"5s\"", "\"6s\"", "upstreams"),
            ("timeout", "probe = false\ntimeout", "upstreams"),
            ("timeout", "status_page = \"https://a.example/\"\ntimeout", "upstreams"),
            ("timeout", "egress = { expect = [\"10.0.0.1\"] }\ntimeout", "upstreams"),
            ("timeout", "egress.address_service = \"https://a.example\"\ntimeout", "upstreams"),
            ("account-a", "account-b", "keys"),
            ("\"one\"", "\"two\"", "keys"),
            ("api_key", "nonce = \"time\"\napi_key", "keys"),
        ] {
            let new = TEXT.replacen(from, to, 1);
            assert_eq!(beyond_clients(&old, &config(&new)), [section], "{new}");
        }
        let more =
            "[[operations]]\nmethod = \"POST\"\npath = \"/v1/new/x\"\nscope = \"orders:read\"\n";
        assert_eq!(beyond_clients(&old, &config(&format!("{TEXT}{more}"))), ["operations"]);
        let two = TEXT.replace("\"one\"", "\"two\"").replace("\"info\"", "\"warn\"");
        assert_eq!(beyond_clients(&old, &config(&two)), ["keys", "log"]);
    }

    #[test]
    fn clients_and_words_around_them_do_not() {
        let old = config(TEXT);
        let more = "[[clients]]\nname = \"b\"\ncredential = { token_sha256 = \"TOKEN\" }\n";
        let more = more.replace("TOKEN", &"1".repeat(64));
        let named = TEXT.replace("credential", "name = \"a\"\ncredential");
        for new in [
            TEXT.replace("trader", "auditor"),
            TEXT.replace("[[keys]]", "# ours\n[[keys]]\nname = \"default\""),
            format!("{named}{more}"),
        ] {
            assert_eq!(beyond_clients(&old, &config(&new)), [""; 0], "{new}");
        }
    }
}
