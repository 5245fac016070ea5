//! Starts, ends, rotations, full disks.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::time::Duration;

use super::super::later::Later;
use super::super::{FOLDER, Lines, Trail, head};
use super::*;
use crate::journal::log::Durability;

const MOST: u64 = 2_000;

#[test]
fn files_follow_each_other_and_starts_leave_no_gap() {
    let dir = Dir::new();
    // It ends without a word, as by `kill -9`.
    let mut killed = Vec::new();
    for round in 1..=10 {
        let mut found = found(&dir.0, MOST);
        assert_eq!(told(&found), Vec::<&str>::new(), "{round}");
        put(&mut found.paper, 7);
        killed.push(found.paper);
        let sound = dir.verify().unwrap();
        assert_eq!((sound.told.len(), sound.unfinished), (0, false));
        assert_eq!(
            sound.n_lines - (sound.n_files as u64 - 1),
            round * 7,
            "a note for each new file"
        );
    }
    assert!(dir.files().len() >= 4);
    for file in dir.files() {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first = Lines::open(&file).unwrap().next().unwrap().unwrap().text.to_vec();
        let seq: u64 = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert!(String::from_utf8(first).unwrap().starts_with(&format!("{{\"seq\":{seq},")));
    }
}

/// Cut at any byte after the last line but one, and with anything after it.
#[test]
fn a_torn_end_is_cut_off_told_and_kept() {
    let ends: [&[u8]; 6] =
        [b"x", b"{\"seq\":8,\"at\":\"", b"\n", &[0; 5_000], &[b'\n'; 9], &[0xFF, b'\n', 0xFF]];
    for (n, end) in ends.into_iter().enumerate() {
        let dir = Dir::new();
        put(&mut found(&dir.0, MOST).paper, 7);
        let path = dir.files()[0].clone();
        let good = fs::read(&path).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(end).unwrap();
        let mut again = found(&dir.0, MOST);
        let expected =
            format!("torn\",\"file\":\"000000000001.jsonl\",\"bytes\":\"{}\"", end.len());
        assert_eq!(told(&again), [expected], "{n}");
        assert_eq!(fs::read(&path).unwrap(), good);
        assert_eq!(fs::read(path.with_extension("torn")).unwrap(), end);
        again.paper.write(&again.notes.clone()).unwrap();
        put(&mut again.paper, 3);
        let sound = dir.verify().unwrap();
        assert_eq!((sound.last, sound.told.len()), (11, 1), "{n}");
    }
}

#[test]
fn lines_that_head_knows_and_nobody_has_are_told() {
    let dir = Dir::new();
    put(&mut found(&dir.0, MOST).paper, 7);
    let path = dir.files()[0].clone();
    let bytes = fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(40) {
        let last = bytes[..length].iter().filter(|it| **it == b'\n').count();
        fs::write(&path, &bytes[..length]).unwrap();
        let head = fs::read(dir.0.join(head::NAME)).unwrap();
        let mut again = found(&dir.0, MOST);
        let expected = format!("cut\",\"first\":\"{}\",\"last\":\"7\"", last + 1);
        assert_eq!(told(&again).last().copied(), Some(&*expected), "{length}");
        // A start that is cut short itself hides nothing.
        assert_eq!(fs::read(dir.0.join(head::NAME)).unwrap(), head, "{length}");
        again.paper.write(&again.notes.clone()).unwrap();
        let sound = dir.verify().unwrap();
        assert_eq!(sound.last, (last + again.notes.len()) as u64, "{length}");
        assert!(sound.told.iter().any(|it| it.contains(&expected)), "{length}");
        drop(again);
        fs::write(&path, &bytes).unwrap();
        fs::write(dir.0.join(head::NAME), head).unwrap();
    }
}

#[test]
fn a_head_that_is_lost_or_torn_is_told_and_mended() {
    for (harm, why) in
        [(0, "one of its slots"), (1, "neither"), (2, "8192 bytes"), (3, "not there")]
    {
        let dir = Dir::new();
        put(&mut found(&dir.0, MOST).paper, 7);
        let path = dir.0.join(head::NAME);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        match harm {
            0 => file.write_all_at(b"x", 30).unwrap(),
            1 => [30, 4_126].iter().for_each(|at| file.write_all_at(b"x", *at).unwrap()),
            2 => file.set_len(10).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
        let mut again = found(&dir.0, MOST);
        let told = told(&again).join(" ");
        assert!(told.starts_with("head") && told.contains(why), "{told}");
        again.paper.write(&again.notes.clone()).unwrap();
        dir.verify().unwrap();
        drop(again);
        assert!(found(&dir.0, MOST).notes.is_empty());
    }
}

#[test]
fn a_start_reads_the_end_only() {
    let dir = Dir::new();
    put(&mut found(&dir.0, u64::MAX).paper, 20);
    let path = dir.files()[0].clone();
    // A hole of a GiB, where lines would be.
    let bytes = fs::read(&path).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let far = 1 << 30;
    file.write_all_at(b"\n", far - 1).unwrap();
    file.write_all_at(&bytes, far).unwrap();
    let again = found(&dir.0, u64::MAX);
    assert_eq!((again.paper.last.seq, again.notes.len()), (20, 0));
    assert_eq!(again.paper.length, far + bytes.len() as u64);
}

/// A disk that is full: of this process, files of more than so many bytes cannot be written.
#[test]
fn what_cannot_be_written_leaves_everything_as_it_was() {
    let dir = Dir::new();
    let mut paper = found(&dir.0, MOST).paper;
    put(&mut paper, 7);
    let path = dir.files()[0].clone();
    let (good, last) = (fs::read(&path).unwrap(), paper.last.clone());
    // Opened for reading alone, it refuses what is written.
    let whole = std::mem::replace(&mut paper.file, fs::File::open(&path).unwrap());
    for _ in 0..3 {
        paper.write(&[line(1), line(2)]).unwrap_err();
        assert_eq!((&paper.last, paper.length), (&last, good.len() as u64));
    }
    // Half of it came through.
    whole.write_all_at(b"{\"seq\":8,\"at\"", good.len() as u64).unwrap();
    paper.file = whole;
    paper.write(&[line(1)]).unwrap();
    assert_eq!(dir.verify().unwrap().last, 8);
    // The directory is gone: no file can follow.
    let aside = dir.0.with_extension("aside");
    paper.length = MOST;
    fs::rename(&dir.0, &aside).unwrap();
    paper.write(&[line(1)]).unwrap_err();
    assert_eq!((paper.length, paper.last.seq), (MOST, 8));
    fs::rename(&aside, &dir.0).unwrap();
    paper.write(&[line(1)]).unwrap();
    let sound = dir.verify().unwrap();
    assert_eq!((sound.last, sound.n_files), (10, 2));
}

/// Waits as long as it takes.
async fn durable(trail: &Trail) -> std::io::Result<()> {
    trail.open.as_ref().unwrap().log.written().await
}

#[tokio::test]
async fn a_trail_from_start_to_end() {
    let dir = Dir::new();
    let clock = || Arc::new(ManualClock::new(NOW));
    for (round, durability) in [Durability::Group, Durability::Interval].into_iter().enumerate() {
        let trail = Trail::turning(&dir.0, durability, clock(), MOST).unwrap();
        assert!(trail.is_on() && trail.fault().is_none());
        (0..20).for_each(|n| trail.append(line(n)));
        trail.note("freeze", &[("client", "bot\u{1b}[2J")]);
        durable(&trail).await.unwrap();
        assert_eq!((trail.n_lines(), trail.n_lost()), (21, 0));
        trail.close().await;
        let sound = verify(&dir.0.join(FOLDER), 1).unwrap().unwrap();
        assert_eq!(sound.n_lines - (sound.n_files as u64 - 1), 21 * (round as u64 + 1));
    }
    let mode = fs::metadata(dir.0.join(FOLDER)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let off = Trail::off();
    off.append(line(1));
    off.written().await.unwrap();
    assert_eq!((off.is_on(), off.n_lines(), off.fault()), (false, 0, None));
    off.close().await;
}

#[tokio::test]
async fn lines_that_are_lost_are_told_of_as_soon_as_there_is_room() {
    let dir = Dir::new();
    let clock = Arc::new(ManualClock::new(NOW));
    // One line, and the file is full: the next one needs another.
    let trail = Trail::turning(&dir.0, Durability::Group, clock, 1).unwrap();
    trail.append(line(9));
    durable(&trail).await.unwrap();
    let (audit, aside) = (dir.0.join(FOLDER), dir.0.join("aside"));
    fs::rename(&audit, &aside).unwrap();
    trail.append(line(0));
    durable(&trail).await.unwrap_err();
    let fault = trail.written().await.unwrap_err().to_string();
    assert!(fault.starts_with("the audit trail cannot be written: "), "{fault}");
    assert!(trail.fault().is_some());
    let long = words::note(NOW, "test", &[("x", &"x".repeat(250))]);
    (0..30_000).for_each(|_| trail.append(long.clone()));
    let n_lost = trail.n_lost();
    assert!(n_lost > 1_000, "{n_lost}");
    fs::rename(&aside, &audit).unwrap();
    while trail.fault().is_some() {
        std::thread::sleep(Duration::from_millis(10));
    }
    trail.append(line(1));
    trail.close().await;
    let sound = verify(&audit, 1).unwrap().unwrap();
    let expected = format!("\"note\":\"lost\",\"lines\":\"{n_lost}\"");
    assert!(sound.told.iter().any(|it| it.contains(&expected)), "{:?}", sound.told);
}

/// A file in the place of the directory stands for a disk that is full at the start.
#[test]
fn a_trail_without_room_begins_when_there_is_some() {
    let dir = Dir::new();
    let (audit, aside) = (dir.0.join(FOLDER), dir.0.join("aside"));
    fs::create_dir(&audit).unwrap();
    put(&mut found(&audit, MOST).paper, 7);
    let path = files::parts(&audit).unwrap()[0].path.clone();
    OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"seq\":8").unwrap();
    fs::rename(&audit, &aside).unwrap();
    fs::write(&audit, "").unwrap();
    let mut later = Later::new(audit.clone(), Arc::new(ManualClock::new(NOW)), MOST);
    assert!(later.open().is_err() && later.write(&[line(1)]).is_err());
    fs::remove_file(&audit).unwrap();
    fs::rename(&aside, &audit).unwrap();
    // What was found is not lost with a write that fails.
    let path = files::parts(&audit).unwrap()[0].path.clone();
    let paper = later.open().unwrap();
    let whole = std::mem::replace(&mut paper.file, fs::File::open(path).unwrap());
    later.write(&[line(1)]).unwrap_err();
    later.open().unwrap().file = whole;
    later.write(&[line(1)]).unwrap();
    later.write(&[line(2)]).unwrap();
    later.sync().unwrap();
    let sound = verify(&audit, 1).unwrap().unwrap();
    assert_eq!((sound.last, sound.told.len()), (10, 1), "the note is told once: {:?}", sound.told);
}
