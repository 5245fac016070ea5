//! What an operator's commands have in common: they find the running proxy by its configuration, and speak
//! to its admin listener with the operator token.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use serde_json::Value;

use super::say::{fault, note};
use super::{Logging, USAGE, Where};
use crate::admin::token;
use crate::config::{self, Place};
use crate::journal::StateDir;

const CONNECT: Duration = Duration::from_secs(3);
/// Longer than orders take to be cancelled.
const ANSWER: Duration = Duration::from_secs(60);
const MOST: u64 = 1 << 20;

/// The proxy that a configuration belongs to.
#[derive(Debug)]
pub(super) struct Operator {
    place: Place,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// Why it was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    /// Nothing listens there, and nobody holds the state directory.
    #[error("no proxy runs: nothing listens on {0}")]
    NoProxy(SocketAddr),
    #[error("a proxy runs, and its admin listener is not {admin}")]
    Elsewhere { admin: SocketAddr },
    /// It gets no token: whoever has that can thaw.
    #[error("something listens on {admin}, and no proxy has the state directory {}", state.display())]
    Stranger { admin: SocketAddr, state: PathBuf },
    #[error("the operator token {} cannot be read: {fault}", path.display())]
    NoToken { path: PathBuf, fault: io::Error },
    #[error("the admin listener {admin} does not answer: {fault}")]
    Silent { admin: SocketAddr, fault: io::Error },
}

impl Unheard {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoProxy(_) => "is the proxy running, and is this its admin address?",
            Self::Elsewhere { .. } => "name it with --admin ADDRESS",
            Self::Stranger { .. } => {
                "name the proxy's own with --admin and --state-dir; or end what listens there, and try again"
            }
            Self::NoToken { .. } => {
                "run this as the user that geminid runs as, or as root; --state-dir names another directory"
            }
            Self::Silent { .. } => "is it geminid that listens there?",
        }
    }

    pub(super) fn tell(&self) -> ExitCode {
        fault(self, Some(self.hint()));
        ExitCode::FAILURE
    }
}

/// A command that the proxy did not carry out, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotDone(String);

impl Answer {
    pub(super) fn is_done(&self) -> bool {
        self.status == 200
    }

    /// Tells why it was not done.
    pub(super) fn tell(&self) {
        let text = |name| self.body.get(name).and_then(Value::as_str);
        let error =
            text("error").map_or_else(|| format!("answered {}", self.status), str::to_owned);
        fault(&NotDone(error), text("hint"));
    }
}

impl Operator {
    /// Where the proxy of this configuration is. Tells what is wrong if that cannot be found out.
    pub(super) fn find(place: &Where, logging: &Logging) -> Result<Self, ExitCode> {
        match config::place(place.config.as_deref(), &place.overrides(logging)) {
            Ok(place) => Ok(Self::at(place)),
            Err(problems) => {
                fault(&problems, None);
                note("\nhint: with both --admin and --state-dir no configuration is needed");
                Err(ExitCode::from(USAGE))
            }
        }
    }

    pub(super) fn at(place: Place) -> Self {
        Self { place }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Sends a command and waits for what came of it.
    pub(super) fn tell(&self, path: &str, body: &str) -> Result<Answer, Unheard> {
        self.send("POST", path, body)
    }

    /// Asks for what the proxy knows.
    pub(super) fn ask(&self, path: &str) -> Result<Answer, Unheard> {
        self.send("GET", path, "")
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer, Unheard> {
        let Place { admin, ref state_dir, .. } = self.place;
        let mut stream = match TcpStream::connect_timeout(&admin, CONNECT) {
            Ok(stream) => stream,
            Err(_) if StateDir::is_held(state_dir) => return Err(Unheard::Elsewhere { admin }),
            Err(_) => return Err(Unheard::NoProxy(admin)),
        };
        let token = token::read(state_dir)
            .map_err(|fault| Unheard::NoToken { path: token::path(state_dir), fault })?;
        if !StateDir::is_held(state_dir) {
            return Err(Unheard::Stranger { admin, state: state_dir.clone() });
        }
        let mut ask = || {
            stream.set_read_timeout(Some(ANSWER))?;
            let length = body.len();
            let head = Zeroizing::new(format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n",
                token.as_str()
            ));
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())?;
            let mut answer = String::new();
            (&mut stream).take(MOST).read_to_string(&mut answer)?;
            read(&answer)
        };
        ask().map_err(|fault| Unheard::Silent { admin, fault })
    }
}

fn read(answer: &str) -> io::Result<Answer> {
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "its answer is none of geminid's");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(odd)?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3)?.parse().ok());
    let body = serde_json::from_str(body).unwrap_or_else(|_| {
        // A refusal of the listener itself is plain text.
        serde_json::json!({ "error": body.trim() })
    });
    Ok(Answer { status: status.ok_or_else(odd)?, body })
}
