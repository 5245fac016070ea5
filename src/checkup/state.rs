//! The state directory: whose it is, whether a proxy holds it, its room, and the end of the audit trail.
//! Nothing is written.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::file::worded;
use super::{Check, State, Topic};
use crate::config::{Audit, Config};
use crate::journal::StateDir;
use crate::journal::trail::{self, FOLDER};
use crate::process;

/// Below this a proxy goes on, and somebody should look.
const LITTLE_ROOM: u64 = 64 << 20;
/// Below this a start may fail.
const NO_ROOM: u64 = 1 << 20;
/// A running proxy may be writing: its trail is looked at again.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: usize = 5;

/// What can be done with the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// A proxy holds it, and with it the nonces of its keys.
    Held,
    Free,
    /// A start would make it.
    Absent,
    /// Nothing may be written there, or nothing can.
    Unusable,
}

/// Looks at the directory of a configuration, and at the operator token in it.
pub(crate) fn state(config: &Config, token: &Path) -> (Standing, Vec<Check>) {
    let path = config.state_dir.as_path();
    let subject = format!("state {}", path.display());
    let check = |state, line: String| Check::new(Topic::State, &*subject, state, line);
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let line = "is not there yet: `geminid serve` makes it".to_owned();
            return (Standing::Absent, vec![check(State::Remark, line)]);
        }
        Err(fault) => {
            let unusable = check(State::Fault, format!("cannot be used: {fault}"))
                .fixed_by("set `[state] dir` to a directory that this user may write");
            return (Standing::Unusable, vec![unusable]);
        }
    };
    if !about.is_dir() {
        let unusable = check(State::Fault, "is no directory".to_owned())
            .fixed_by("set `[state] dir` to a directory that this user may write");
        return (Standing::Unusable, vec![unusable]);
    }
    let held = StateDir::is_held(path);
    let foreign = about.uid() != process::user();
    let mut checks = vec![directory(&subject, &about, held, foreign)];
    checks.extend(operator_token(token));
    checks.extend(room(&subject, path));
    if config.audit != Audit::Off {
        checks.extend(audit(&subject, &path.join(FOLDER)));
    }
    let standing = match (held, foreign || about.mode() & 0o300 != 0o300) {
        (true, _) => Standing::Held,
        (false, true) => Standing::Unusable,
        (false, false) => Standing::Free,
    };
    (standing, checks)
}

fn directory(subject: &str, about: &fs::Metadata, held: bool, foreign: bool) -> Check {
    let words = worded(about);
    let check = |state, line: String| Check::new(Topic::State, subject, state, line);
    if held {
        return check(
            State::Ok,
            format!("{words}; a proxy is running on it, and is asked for its keys"),
        );
    }
    if foreign {
        // Even root would leave files there that the owner's proxy could not write.
        let line = format!("{words}: what this user writes there, its owner could not use");
        let who = about.uid();
        return check(State::Fault, line)
            .fixed_by(format!("run this as that user: sudo -u '#{who}' geminid doctor"))
            .fixed_by("or start the proxy, and run this again beside it");
    }
    if about.mode() & 0o300 != 0o300 {
        let line = format!("{words}: this user may not write there");
        return check(State::Fault, line).fixed_by("chmod u+rwx on it");
    }
    match about.mode() & 0o077 {
        0 => check(State::Ok, format!("{words}; no proxy is running on it")),
        _ => check(State::Remark, format!("{words}: others can look into it"))
            .fixed_by("chmod 700 on it; a start does that too"),
    }
}

/// Who may tell a proxy what to do.
fn operator_token(path: &Path) -> Option<Check> {
    let about = fs::metadata(path).ok()?;
    let check = |state, line: String| {
        Check::new(Topic::Permissions, format!("file {}", path.display()), state, line)
    };
    let words = worded(&about);
    Some(match about.mode() & 0o077 {
        0 => check(State::Ok, words),
        _ => check(State::Fault, format!("{words}: others can command this proxy"))
            .fixed_by(format!("rm {} and restart: another is made", path.display())),
    })
}

fn room(subject: &str, path: &Path) -> Option<Check> {
    let about = rustix::fs::statvfs(path).ok()?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let check = |state, line: String| Check::new(Topic::State, subject, state, line);
    let fix = "make room: without it new orders stop, and cancels and reads go on";
    Some(match free {
        0..NO_ROOM => check(State::Fault, "the disk is full".to_owned()).fixed_by(fix),
        NO_ROOM..LITTLE_ROOM => {
            check(State::Remark, format!("{} MiB are left on the disk", free >> 20)).fixed_by(fix)
        }
        LITTLE_ROOM.. => check(State::Ok, "there is room on the disk".to_owned()),
    })
}

/// The newest file of the trail, which is soon read; `geminid audit verify` reads all.
fn audit(subject: &str, dir: &Path) -> Option<Check> {
    let check = |state, line: String| Check::new(Topic::State, subject, state, line);
    let parts = trail::parts(dir).ok()?;
    let from = parts.iter().map(|it| it.first).max()?;
    let mut looks = LOOKS;
    let verified = loop {
        looks -= 1;
        match trail::verify(dir, from) {
            Ok(Err(broken)) if matches!(broken.what, trail::What::Head(_)) && looks > 0 => {
                thread::sleep(PAUSE);
            }
            said => break said,
        }
    };
    Some(match verified {
        Ok(Ok(sound)) => {
            let line = match sound.n_lines {
                0 => "the audit trail is empty".to_owned(),
                1 => "the newest file of the audit trail is whole (1 line)".to_owned(),
                n => format!("the newest file of the audit trail is whole ({n} lines)"),
            };
            check(State::Ok, line)
        }
        Ok(Err(broken)) => check(State::Fault, format!("the audit trail is damaged: {broken}"))
            .fixed_by(
                "`geminid audit verify` reads all of it; docs/audit.md says what it may mean",
            ),
        Err(fault) => check(State::Fault, format!("the audit trail cannot be read: {fault}"))
            .fixed_by("let the user that geminid runs as read `audit` in the state directory"),
    })
}
