//! Real processes and real sockets for the tests.

mod bot;
mod proxy;

use std::process::{Command, Output};

pub(crate) use self::bot::{Answer, Bot};
pub(crate) use self::proxy::{Exchange, Proxy, Settings};

/// Runs the built binary to its end.
pub(crate) fn geminid(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// The built binary, in an environment that says nothing.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geminid"));
    command.env_clear().env("HOME", std::env::temp_dir());
    command
}
