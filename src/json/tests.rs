//! What the reader takes, what it refuses, and that nothing is lost on the way.

use proptest::prelude::*;

use super::{Object, quote};

#[track_caller]
fn kept(text: &str, expected: &str) {
    let object = Object::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    assert_eq!(object.members_json(), expected, "{text}");
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let fault = Object::parse(text.as_bytes()).expect_err(text);
    assert_eq!(fault.what, expected, "{text}");
}

#[test]
fn keeps_numbers_and_strings_to_the_letter() {
    kept("{}", "");
    kept(" { \"a\" : 1 , \"b\" : [ 1 , {} ] } ", r#""a":1,"b":[1,{}]"#);
    kept(r#"{"order_id":73797746498585286}"#, r#""order_id":73797746498585286"#);
    kept(r#"{"x":1234567890.1234567890123456789}"#, r#""x":1234567890.1234567890123456789"#);
    kept(r#"{"x":1E400,"y":-0.0}"#, r#""x":1E400,"y":-0.0"#);
    kept(r#"{"x":"é\u00e9\/\ud83d\ude00"}"#, r#""x":"é\u00e9\/\ud83d\ude00""#);
    kept(r#"{"\u0073ymbol":"btcusd"}"#, r#""\u0073ymbol":"btcusd""#);
    kept(r#"{"a":null,"b":true,"c":false}"#, r#""a":null,"b":true,"c":false"#);
}

#[test]
fn refuses_what_two_readers_could_read_differently() {
    refused(r#"{"a":1,"a":2}"#, "a name stands twice in an object");
    refused(r#"{"symbol":1,"\u0073ymbol":2}"#, "a name stands twice in an object");
    refused(r#"{"symbol":1,"Symbol":2}"#, "a name stands twice in an object");
    refused(r#"{"x":{"a":1,"a":2}}"#, "a name stands twice in an object");
    kept(r#"{"a":1,"b":{"a":1}}"#, r#""a":1,"b":{"a":1}"#);
}

#[test]
fn refuses_what_is_not_json() {
    refused("", "expected an object");
    refused("[]", "expected an object");
    refused("\u{feff}{}", "expected an object");
    refused("{}{}", "more after the object");
    refused("{\"a\":1,}", "expected a string");
    refused("{a:1}", "expected a string");
    refused("{'a':1}", "expected a string");
    refused("{\"a\" 1}", "expected `:`");
    refused("{\"a\":}", "expected a value");
    refused("{\"a\":NaN}", "expected a value");
    refused("{\"a\":+1}", "expected a value");
    refused("{\"a\":01}", "not a number as JSON writes it");
    refused("{\"a\":1.}", "expected a digit");
    refused("{\"a\":1e}", "expected a digit");
    refused("{\"a\":0x10}", "not a number as JSON writes it");
    refused("{\"a\":1_000}", "expected `,` or the end of an object or array");
    refused("{\"a\":tru}", "expected a value");
    refused("{\"a\":\"\n\"}", "a control character in a string");
    refused("{\"a\":\"\\x\"}", "an unknown escape");
    refused("{\"a\":\"\\ud800\"}", "half a surrogate pair");
    refused("{\"a\":\"\\udc00\"}", "half a surrogate pair");
    refused("{\"a\":\"\\u12", "an escape without an end");
    refused("{\"a\":\"", "a string without an end");
    refused("{\"a\":1", "expected `,` or the end of an object or array");
    refused("{\"a\":1 /* c */}", "expected `,` or the end of an object or array");
    assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn is_bounded() {
    let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    assert!(Object::parse(nested(15).as_bytes()).is_ok());
    refused(&nested(16), "nested too deeply");
    refused(&nested(50_000), "nested too deeply");
    let wide = |n: usize| {
        let members: Vec<String> = (0..n).map(|it| format!("\"k{it}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(Object::parse(wide(256).as_bytes()).is_ok());
    refused(&wide(257), "too many members in an object");
}

#[track_caller]
fn compared(ours: &str, theirs: &str, expected: bool) {
    let parse = |text: &str| Object::parse(text.as_bytes()).unwrap();
    assert_eq!(parse(ours).same(&parse(theirs)), expected, "{ours} {theirs}");
}

#[test]
fn compares_without_order_but_numbers_as_text() {
    compared(r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1,2],"a":1}"#, true);
    compared(r#"{"a":"\u0041"}"#, r#"{"a":"A"}"#, true);
    compared(r#"{"a":1}"#, r#"{"a":1.0}"#, false);
    compared(r#"{"a":1}"#, r#"{"a":"1"}"#, false);
    compared(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false);
    compared(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false);
    compared(r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":2,"b":1}}"#, true);
}

#[test]
fn unescapes_when_asked() {
    let object = Object::parse(br#"{"a":"x\u0041\n\ud83d\ude00\\","b":5}"#).unwrap();
    assert_eq!(object.get("a").unwrap().as_str().unwrap(), "xA\n😀\\");
    assert_eq!(object.get("b").unwrap().as_str(), None);
    assert_eq!(object.get("b").unwrap().as_text().unwrap(), "5");
}

#[test]
fn spans_name_the_place_in_the_source() {
    let text = r#"{ "reason":"X", "message" : "he\"llo" }"#;
    let object = Object::parse(text.as_bytes()).unwrap();
    assert_eq!(text.get(object.span("message").unwrap()).unwrap(), r#""he\"llo""#);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("[a-zé\"\\\\]{0,5}", inner, 0..6)
                .prop_map(|it| it.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_serde_json_writes(value in prop::collection::btree_map("[a-z]{1,6}", json(), 0..6)) {
        let text = serde_json::to_string(&value).unwrap();
        let ours = format!("{{{}}}", Object::parse(text.as_bytes()).unwrap().members_json());
        prop_assert!(ours.len() <= text.len(), "{} is longer than {}", ours, text);
        let back: serde_json::Value = serde_json::from_str(&ours).unwrap();
        prop_assert_eq!(back, serde_json::to_value(&value).unwrap());
    }

    #[test]
    fn takes_nothing_that_serde_json_refuses(text in "[{}\\[\\]\",:0-9a-z\\\\u .eE+-]{0,40}") {
        if let Ok(object) = Object::parse(text.as_bytes()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            let again = format!("{{{}}}", object.members_json());
            prop_assert!(Object::parse(again.as_bytes()).unwrap().same(&object));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Object::parse(&bytes));
    }

    #[test]
    fn quoting_and_unescaping_are_inverse(text in any::<String>()) {
        let object = Object::parse(format!("{{\"a\":{}}}", quote(&text)).as_bytes()).unwrap();
        prop_assert_eq!(object.get("a").unwrap().as_str().unwrap(), text);
    }
}
