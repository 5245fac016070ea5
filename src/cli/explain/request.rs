//! `explain --request`: what the running proxy still knows of a request.

use std::process::ExitCode;

use serde_json::Value;

use super::show::Shown;
use super::{Explained, broken, print, usage};
use crate::cli::operator::{Answer, Operator};
use crate::cli::{Logging, Where};
use crate::diagnose::Cause;
use crate::pasted;

/// The proxy's answer is none of this build's.
#[derive(Debug, thiserror::Error)]
#[error("the proxy's answer is not understood")]
struct Odd;

pub(super) fn explain(id: &str, json: bool, place: &Where, logging: &Logging) -> ExitCode {
    if id.len() != 26 || !id.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return usage(
            "that is no request id\n\nhint: it is 26 characters, in the header `geminid-request-id`",
        );
    }
    let operator = match Operator::find(place, logging) {
        Ok(operator) => operator,
        Err(code) => return code,
    };
    match operator.ask(&format!("/requests/{}", id.to_ascii_uppercase())) {
        Err(unheard) => unheard.tell(),
        Ok(answer) if !answer.is_done() => {
            answer.tell();
            ExitCode::FAILURE
        }
        Ok(answer) => match read(answer) {
            Some(explained) => print(&explained, json),
            None => broken(&Odd, Some("are the proxy and this command of the same release?")),
        },
    }
}

fn read(answer: Answer) -> Option<Explained> {
    // An answer of ours; but what it repeats of others is cleaned here as well.
    let Value::Object(mut body) = answer.body else { return None };
    let payload = body.remove("payload").and_then(|it| it.as_str().map(pasted::plain));
    let diagnosis = body.remove("diagnosis").map(pasted::clean)?;
    let Value::Object(request) = pasted::clean(body.remove("request")?) else { return None };
    let unexplained = diagnosis.get("cause").is_some_and(|it| it == Cause::Unexplained.code());
    let mut notes = Vec::new();
    if diagnosis.is_null() {
        notes.push("nothing of it was refused: there is no diagnosis".to_owned());
    }
    let shown = Shown { diagnosis, line: None, request: Some(request), payload };
    Some(Explained { shown, found: !unexplained, notes })
}
