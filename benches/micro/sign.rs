//! Signing one call: a payload of 150 bytes, from the nonce to the headers. And the HMAC alone, by ring too.

use std::hint::black_box;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use criterion::Criterion;
use geminid::bench::Signer;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::hmac as rings;
use sha2::Sha384;

const PARAMETERS: &str = r#""symbol":"btcusd","amount":"5","price":"3633.00","side":"buy","type":"exchange limit","options":["x"]"#;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn all(c: &mut Criterion) {
    let signer = Signer::new("account-0123456789abcdef", SECRET);
    let mut nonce = 1_790_000_000_000_u64;
    let signed = signer.sign(nonce, PARAMETERS);
    let payload = signed.get("x-gemini-payload").unwrap().as_bytes();
    let expected =
        format!(r#"{{"request":"/v1/order/new","nonce":{nonce},{PARAMETERS}}}"#).into_bytes();
    assert_eq!(BASE64_STANDARD.decode(payload).unwrap(), expected);
    let ring_key = rings::Key::new(rings::HMAC_SHA384, SECRET.as_bytes());
    let ours = Hmac::<Sha384>::new_from_slice(SECRET.as_bytes()).unwrap();
    let tag = rings::sign(&ring_key, payload);
    let hex: String = tag.as_ref().iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(signed.get("x-gemini-signature").unwrap(), hex.as_str());
    assert_eq!(ours.clone().chain_update(payload).finalize().into_bytes()[..], *tag.as_ref());

    c.bench_function("sign/a payload of 150 bytes", |b| {
        b.iter(|| {
            nonce += 1;
            signer.sign(black_box(nonce), black_box(PARAMETERS))
        });
    });
    c.bench_function("sign/its HMAC alone, sha2 prepared and cloned", |b| {
        b.iter(|| ours.clone().chain_update(black_box(payload)).finalize().into_bytes());
    });
    c.bench_function("sign/its HMAC alone, ring", |b| {
        b.iter(|| rings::sign(&ring_key, black_box(payload)));
    });
}
