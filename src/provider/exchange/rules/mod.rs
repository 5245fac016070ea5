//! What the exchange's rejections mean. Every rule has a case that fires and a near miss under
//! `tests/it/fixtures/diagnoses`.
//!
//! 1. Reasons are documented (developer.gemini.com/error-codes) unless the rule says otherwise.
//! 2. Prediction markets answer with `error` and `code` instead of `reason`: a word counts wherever of the
//!    three it stands.
//! 3. Where the exchange has no text that anybody has published, words that it would have to use are
//!    looked for, and the finding is no more than likely.

mod account;
mod address;
mod bare;
mod google;
mod key;
mod nonce;
mod platform;
mod request;
mod role;

use crate::diagnose::{Rule, rule_table};

pub(super) const RULES: &[Rule] = rule_table![
    role::missing,
    address::not_trusted,
    key::unknown,
    key::signature_wrong,
    key::unknown_behind_a_signature,
    key::unknown_in_words,
    key::no_master_keys,
    key::not_for_sockets,
    key::no_heartbeat,
    nonce::stopped,
    nonce::clock,
    nonce::not_a_number,
    nonce::shared,
    platform::maintenance,
    platform::part_closed,
    google::error,
    platform::rate_limited,
    account::missing,
    account::more_than_one,
    account::on_account_key,
    account::restricted,
    account::blocked,
    account::held,
    account::closed,
    account::closed_in_words,
    account::type_wrong,
    account::terms,
    account::region,
    request::headers_missing,
    request::payload_cut,
    request::two_credentials,
    request::no_tls,
    request::path_changed,
    request::timestamp,
    google::page,
    bare::told_by_the_question,
    bare::by_address,
    bare::by_role,
];

#[cfg(test)]
mod tests;
