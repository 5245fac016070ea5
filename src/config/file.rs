//! The configuration file as it is typed: nothing here is checked beyond names and shapes.
//!
//! Every value keeps its place, and none is required, so that `check` can say what is missing
//! together with everything else.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use secrecy::SecretString;
use secrecy::zeroize::Zeroize as _;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, expecting = "a table")]
        pub(super) struct $table {
            $(pub(super) $field: Option<Spanned<$type>>,)*
        }
    )*};
}

tables! {
    File {
        log: Log,
        listen: Listen,
        state: State,
        upstreams: Vec<Spanned<Upstream>>,
        keys: Vec<Spanned<Key>>,
        clients: Vec<Spanned<Client>>,
        operations: Vec<Spanned<Operation>>,
    }
    Log { format: String, level: String, }
    Listen { admin: String, }
    State { dir: String, audit: Audit, }
    Audit { durability: String, }
    Upstream {
        name: String,
        provider: String,
        environment: String,
        url: String,
        ws_url: String,
        ca_file: String,
        dev_upstream: bool,
        listen: Vec<Spanned<TextOr<Socket>>>,
        hosts: Vec<Spanned<String>>,
        public: bool,
        timeout: Timeout,
        probe: bool,
        status_page: String,
        egress: Egress,
        rate: Rate,
    }
    /// A listener that is more than an address.
    Socket {
        unix: String,
        mode: String,
        group: String,
        address: String,
        cert: String,
        key: String,
        client_ca: String,
    }
    Timeout { connect: String, order: String, read: String, }
    Egress {
        bind: String,
        proxy: String,
        expect: Vec<Spanned<String>>,
        enforce: bool,
        address_service: String,
    }
    Rate { public: String, private: String, max_wait: String, }
    Key {
        name: String,
        upstream: String,
        api_key: TextOr<Source>,
        api_secret: TextOr<Source>,
        nonce: String,
        nonce_unit: String,
        account: String,
        heartbeat: String,
    }
    /// Where a secret comes from: exactly one of these.
    Source {
        env: String,
        file: String,
        command: Vec<String>,
        systemd: String,
        value: Hidden,
    }
    Client {
        name: String,
        credential: OneOrMany<Credential>,
        key: String,
        scopes: Vec<Spanned<String>>,
        operations: Vec<Spanned<String>>,
        mode: String,
        expires: toml::Value,
        from: Vec<Spanned<String>>,
        rate: String,
        accounts: Vec<Spanned<String>>,
        cancel_all: String,
        orders: Orders,
        withdrawals: Vec<Spanned<Withdrawal>>,
        transfers: Transfers,
    }
    /// How a client shows who it is: exactly one kind.
    Credential {
        token_sha256: Hidden,
        key: TextOr<Source>,
        secret: TextOr<Source>,
        none: bool,
        uid: u32,
        gid: u32,
        cert: String,
        expires: toml::Value,
    }
    Orders {
        symbols: Vec<Spanned<String>>,
        sides: Vec<Spanned<String>>,
        types: Vec<Spanned<String>>,
        time_in_force: Vec<Spanned<String>>,
        max_amount: BTreeMap<String, Spanned<String>>,
        max_notional: BTreeMap<String, Spanned<String>>,
        max_notional_per_day: BTreeMap<String, Spanned<String>>,
        max_orders_per_day: u64,
        max_open_orders: u64,
    }
    Withdrawal {
        currency: String,
        network: String,
        address: String,
        memo: String,
        max_per_day: String,
    }
    Transfers { to: Vec<Spanned<String>>, banks: Vec<Spanned<String>>, }
    Operation { upstream: String, method: String, path: String, scope: String, }
}

/// Text that may be a secret. Wiped when it goes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) String);

impl Hidden {
    /// The secret, in a place of its own that is wiped too: of exactly its size, so that nothing is
    /// moved.
    pub(super) fn secret(&self) -> SecretString {
        SecretString::from(self.0.as_str())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hidden").finish_non_exhaustive()
    }
}

/// A plain string, or a table.
#[derive(Debug)]
pub(super) enum TextOr<T> {
    Text(Hidden),
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<T> {
    type Value = TextOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<TextOr<T>, E> {
        Ok(TextOr::Text(Hidden(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOr<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
    }
}

/// One table, or an array of tables.
#[derive(Debug)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<Spanned<T>>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table or an array of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrMany<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany::Many)
    }
}
