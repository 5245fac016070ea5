//! What the process asks of the system for itself: no memory dumps, no readers of its memory, as many
//! open files as it may have; and what it says when it panics.
//!
//! 1. Nothing here ends a start: what cannot be had is a warning, and the operator's own means (a unit
//!    file, a container's options) stay what they are.
//! 2. Root reads every process's memory, whatever is set here.
//! 3. A panic tells its place. A message that was put together while running may hold foreign bytes,
//!    and is not told.

use std::any::Any;
use std::fmt::Display;
use std::panic::{self, Location};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What macOS grants at most, whatever its hard limit says: `OPEN_MAX` of `sys/syslimits.h`.
#[cfg(target_os = "macos")]
const MOST_FILES: u64 = 10_240;

/// Closes the process to onlookers, and opens it to many connections. Returns what could not be had.
pub(crate) fn harden() -> Vec<String> {
    let faults = [
        refused("core dumps stay possible", no_core()),
        refused("other programs of this user may read this one's memory", undumpable()),
        refused("the limit of open files stays as it was", many_files()),
    ];
    faults.into_iter().flatten().collect()
}

/// How many files and sockets this process may have open.
pub(crate) fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The user whose rights this process has.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Lets panics tell where they were, and nothing foreign.
pub(crate) fn quiet_panics(tell: fn(&str)) {
    panic::set_hook(Box::new(move |panic| tell(&words(panic.payload(), panic.location()))));
}

/// A literal is ours, word for word. Any other message was formatted, perhaps of what somebody sent.
fn words(payload: &(dyn Any + Send), place: Option<&Location<'_>>) -> String {
    let place = place.map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    match payload.downcast_ref::<&'static str>() {
        Some(literal) => format!("panicked at {place}: {literal}"),
        None => format!("panicked at {place}; the message is withheld"),
    }
}

fn no_core() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
}

/// Neither a dump nor a debugger of the same user, and `/proc/PID/mem` and `environ` are root's.
#[cfg(target_os = "linux")]
fn undumpable() -> rustix::io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn undumpable() -> rustix::io::Result<()> {
    Ok(())
}

fn many_files() -> rustix::io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    #[cfg(target_os = "macos")]
    let wanted = maximum.map(|it| it.min(MOST_FILES)).or(Some(MOST_FILES));
    #[cfg(not(target_os = "macos"))]
    let wanted = maximum;
    if current == wanted {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum })
}

fn refused<E: Display>(what: &str, result: Result<(), E>) -> Option<String> {
    result.err().map(|fault| format!("{what}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_its_place_and_no_value() {
        let place = Some(Location::caller());
        let said = words(&"no such lane", place);
        assert!(said.contains("process.rs:") && said.ends_with("no such lane"), "{said}");
        let said = words(&format!("no such lane: {}", "hunter2"), place);
        assert!(said.contains("process.rs:") && !said.contains("lane"), "{said}");
        let said = words(&42_u8, None);
        assert_eq!(said, "panicked at an unknown place; the message is withheld");
    }

    /// The words of `expect` on an error are formatted with it.
    #[test]
    fn the_error_of_an_expect_is_withheld() {
        let caught =
            panic::catch_unwind(|| "hunter2".parse::<u8>().map_err(|_| "hunter2").expect("x"));
        let said = words(&*caught.unwrap_err(), None);
        assert!(!said.contains("hunter2"), "{said}");
    }

    /// This very process is closed: no harm to the other tests.
    #[test]
    fn what_is_asked_for_is_had() {
        assert_eq!(harden(), Vec::<String>::new());
        let limit = |of| (getrlimit(of).current, getrlimit(of).maximum);
        assert_eq!(limit(Resource::Core), (Some(0), Some(0)));
        let (soft, hard) = limit(Resource::Nofile);
        assert!(soft == hard || cfg!(target_os = "macos"), "{soft:?} {hard:?}");
        assert_eq!(open_files(), soft.unwrap_or(u64::MAX));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior(),
            Ok(rustix::process::DumpableBehavior::NotDumpable)
        );
        // A second time, as in a process that was started by one.
        assert_eq!(harden(), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_had_is_a_warning() {
        assert_eq!(refused("so be it", Ok::<_, &str>(())), None);
        assert_eq!(refused("so be it", Err("EPERM")), Some("so be it: EPERM".to_owned()));
        assert!(open_files() > 0);
    }
}
