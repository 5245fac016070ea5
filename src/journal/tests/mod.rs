//! The directory and its files: made, found again, refused, repaired.

mod disk;
mod history;
mod slots;

use super::*;
use crate::nonce::Keep as _;

pub(super) const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef";

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("geminid-journal-{}-{name}", std::process::id()));
    drop(fs::remove_dir_all(&dir));
    dir
}

pub(super) fn kept(mark: u64, exact: bool) -> Kept {
    let (mode, unit) = (Mode::Increasing, Unit::Millis);
    Kept { mode, unit, serial: true, succeeded: true, mark, exact }
}

fn found(dir: &StateDir) -> Result<Found, Damage> {
    dir.marks(FINGERPRINT).unwrap()
}

/// What the file holds, as another process would find it.
fn mark(dir: &StateDir) -> Option<u64> {
    found(dir).unwrap().0.map(|it| it.mark)
}

fn file(path: &Path) -> PathBuf {
    path.join(format!("nonce-{FINGERPRINT}"))
}

#[test]
fn marks_come_back_and_fall_only_at_an_orderly_end() {
    let path = scratch("marks");
    let dir = StateDir::open(&path).unwrap();
    assert_eq!(mark(&dir), None);
    let write = |kept| found(&dir).unwrap().1.write(kept).unwrap();
    write(kept(20, false));
    assert_eq!(mark(&dir), Some(20));
    let (before, marks) = found(&dir).unwrap();
    assert_eq!(before, Some(kept(20, false)));
    marks.write(kept(10, false)).unwrap();
    drop(marks);
    assert_eq!(mark(&dir), Some(20), "an older write that comes late changes nothing");
    write(kept(15, true));
    assert_eq!(mark(&dir), Some(15));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_file_is_made_whole_at_the_start_and_never_grows() {
    let path = scratch("made");
    let dir = StateDir::open(&path).unwrap();
    let length = || fs::metadata(file(&path)).unwrap().len();
    // What a crash left beside it is no obstacle.
    fs::write(file(&path).with_extension("new"), "half").unwrap();
    let marks = found(&dir).unwrap().1;
    assert_eq!(length(), 8_192);
    assert_eq!(fs::metadata(file(&path)).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!file(&path).with_extension("new").exists());
    for mark in 1..20 {
        marks.write(kept(mark, false)).unwrap();
    }
    assert_eq!(length(), 8_192);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_file_that_cannot_be_made_stops_the_start() {
    let path = scratch("unmade");
    let dir = StateDir::open(&path).unwrap();
    fs::create_dir(file(&path).with_extension("new")).unwrap();
    assert!(matches!(dir.marks(FINGERPRINT), Err(StateError::NotMade { .. })));
    fs::remove_dir_all(path).unwrap();
}

/// It may be somebody else's, or there may be no descriptor left: a good mark must not be moved away.
#[test]
fn a_file_that_cannot_be_opened_is_no_damage() {
    let path = scratch("loop");
    let dir = StateDir::open(&path).unwrap();
    let file = path.join(format!("nonce-{FINGERPRINT}"));
    std::os::unix::fs::symlink(&file, &file).unwrap();
    assert!(matches!(dir.marks(FINGERPRINT), Err(StateError::NotOpened { .. })));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_file_that_is_no_file_damages_its_key_alone() {
    let path = scratch("folder");
    let dir = StateDir::open(&path).unwrap();
    fs::create_dir(file(&path)).unwrap();
    let said = found(&dir).unwrap_err().to_string();
    assert!(said.contains("cannot be read") && said.contains(FINGERPRINT), "{said}");
    assert!(dir.marks("other").unwrap().is_ok());
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn one_lost_slot_is_repaired_and_two_stop_the_key() {
    let path = scratch("repair");
    let dir = StateDir::open(&path).unwrap();
    found(&dir).unwrap().1.write(kept(20, false)).unwrap();
    let whole = fs::read(file(&path)).unwrap();
    for place in [slot::PLACES[0], slot::PLACES[1]] {
        let mut bytes = whole.clone();
        bytes[place + 20] ^= 0x10;
        fs::write(file(&path), &bytes).unwrap();
        assert_eq!(mark(&dir), Some(20));
        let repaired = slot::read(&fs::read(file(&path)).unwrap(), FINGERPRINT).unwrap();
        assert_eq!((repaired.kept, repaired.other), (kept(20, false), None), "{place}");
    }
    let mut bytes = whole;
    bytes[20] ^= 1;
    bytes[4_116] ^= 1;
    fs::write(file(&path), &bytes).unwrap();
    assert!(found(&dir).unwrap_err().to_string().ends_with("neither slot is whole"));
    assert_eq!(fs::read(file(&path)).unwrap(), bytes, "it is left as it was found");
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn a_write_that_fails_fails_and_the_next_may_succeed() {
    let path = scratch("failing");
    let dir = StateDir::open(&path).unwrap();
    drop(found(&dir).unwrap());
    // A file that is open for reading only fails every write.
    let file = File::open(file(&path)).unwrap();
    let (_, marks) = recover(&path, file, FINGERPRINT).unwrap();
    for _ in 0..2 {
        assert!(marks.keep(kept(5, false)).await.is_err());
    }
    let (_, marks) = found(&dir).unwrap();
    assert!(marks.keep(kept(5, false)).await.is_ok());
    drop(marks);
    assert_eq!(mark(&dir), Some(5));
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn one_process_at_a_time_and_nobody_else_looks_in() {
    let path = scratch("lock");
    let first = StateDir::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(StateDir::open(&path), Err(StateError::InUse { .. })));
    let marks = found(&first).unwrap();
    assert!(matches!(first.marks(FINGERPRINT), Err(StateError::InUse { .. })), "nor a key's file");
    drop((first, marks));
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    assert!(StateDir::open(&path).is_ok());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    fs::remove_dir_all(path).unwrap();
}

/// `doctor` looks whether a proxy holds it, and one may be starting in that very moment.
#[test]
fn a_start_outlasts_a_look() {
    let path = scratch("look");
    drop(StateDir::open(&path).unwrap());
    let looking = File::open(path.join("lock")).unwrap();
    looking.lock().unwrap();
    let opened = thread::scope(|scope| {
        let opening = scope.spawn(|| StateDir::open(&path));
        thread::sleep(PAUSE);
        drop(looking);
        opening.join().unwrap()
    });
    assert!(opened.is_ok(), "{opened:?}");
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_folder_that_is_everybodys_stays_so() {
    let path = scratch("shared");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o1777)).unwrap();
    drop(StateDir::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o1777);
    fs::remove_dir_all(path).unwrap();
}
