//! Real processes and real sockets for the tests.

mod bot;
pub(crate) mod canary;
mod proxy;
mod relay;

use std::process::{Command, Output};

pub(crate) use self::bot::{Answer, Bot, Direct, raw, trusting};
pub(crate) use self::proxy::{Exchange, Proxy, Settings};
pub(crate) use self::relay::Relay;

/// Runs the built binary to its end.
pub(crate) fn geminid(arguments: &[&str]) -> Output {
    run(command().args(arguments))
}

/// The same, prepared otherwise. No planted secret may come out.
pub(crate) fn run(command: &mut Command) -> Output {
    let said = command.output().unwrap();
    let both = [("its data", &said.stdout), ("its remarks", &said.stderr)];
    let hits: Vec<String> =
        both.into_iter().flat_map(|(place, bytes)| canary::search(place, bytes)).collect();
    canary::none(&hits);
    said
}

/// The built binary, in an environment that says nothing.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geminid"));
    command.env_clear().env("HOME", std::env::temp_dir());
    command
}
