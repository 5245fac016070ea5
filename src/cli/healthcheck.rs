//! `healthcheck`: asks the running proxy's admin listener whether it is ready.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use super::say::{data, fault};
use super::{Logging, Where};
use crate::config::{self, Loaded};

const DEADLINE: Duration = Duration::from_secs(3);

pub(super) fn check(place: &Where, logging: &Logging) -> ExitCode {
    let address = address(place, logging);
    match ask(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
            data("ready\n");
            ExitCode::SUCCESS
        }
        Ok(answer) => {
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            data(&format!("not ready: {body}"));
            ExitCode::FAILURE
        }
        Err(refused) => {
            fault(
                &io::Error::new(refused.kind(), format!("{address}: {refused}")),
                Some("is the proxy running, and is this its admin address?"),
            );
            ExitCode::FAILURE
        }
    }
}

/// The address of the configuration, if it can be read here; an image may keep its secrets from the
/// health check's own environment.
fn address(place: &Where, logging: &Logging) -> SocketAddr {
    let loaded = config::load(place.config.as_deref(), &place.overrides(logging));
    match (place.admin, loaded) {
        (Some(address), _) => address,
        (None, Ok(Loaded::File(config) | Loaded::Environment(config, _))) => config.admin,
        (None, Err(_)) => SocketAddr::from(([127, 0, 0, 1], 3841)),
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1_024).read_to_string(&mut answer)?;
    Ok(answer)
}
