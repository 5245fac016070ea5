//! Lines, their order, what a disk that fails makes of them, and the end.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// A disk that waits to be told how each operation ends.
struct Disk {
    plan: Receiver<io::Result<()>>,
    seen: Sender<Seen>,
}

#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Write(Vec<String>),
    Sync,
}

impl Sheet for Disk {
    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        self.seen.send(Seen::Write(lines.to_vec())).map_err(io::Error::other)?;
        // Nobody plans any more: everything works.
        self.plan.recv().unwrap_or(Ok(()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.seen.send(Seen::Sync).map_err(io::Error::other)?;
        self.plan.recv().unwrap_or(Ok(()))
    }
}

fn started(durability: Durability) -> (Log, Sender<io::Result<()>>, Receiver<Seen>) {
    let ((go, plan), (seen, see)) = (channel(), channel());
    let log = Log::resting("test", Box::new(Disk { plan, seen }), durability, Duration::ZERO);
    (log.unwrap(), go, see)
}

fn full() -> io::Result<()> {
    Err(io::ErrorKind::StorageFull.into())
}

fn append(log: &Log, lines: &[&str]) {
    lines.iter().for_each(|it| assert!(log.append((*it).to_owned())));
}

fn write(lines: &[&str]) -> Seen {
    Seen::Write(lines.iter().map(|it| (*it).to_owned()).collect())
}

#[tokio::test]
async fn what_comes_during_a_write_is_one_batch_and_written_means_synced() {
    let (log, go, seen) = started(Durability::Group);
    assert!(log.written().await.is_ok(), "there is nothing to wait for");
    append(&log, &["1"]);
    assert_eq!(seen.recv().unwrap(), write(&["1"]));
    let first = log.written();
    append(&log, &["2", "3", "4"]);
    let mut second = Box::pin(log.written());
    go.send(Ok(())).unwrap();
    assert_eq!(seen.recv().unwrap(), Seen::Sync);
    go.send(Ok(())).unwrap();
    first.await.unwrap();
    assert_eq!(seen.recv().unwrap(), write(&["2", "3", "4"]));
    go.send(Ok(())).unwrap();
    assert_eq!(seen.recv().unwrap(), Seen::Sync);
    // Written, not synced: nobody hears of it yet.
    let pending = tokio::select! { biased; _ = &mut second => false, () = ready(()) => true };
    assert!(pending);
    go.send(Ok(())).unwrap();
    second.await.unwrap();
}

#[tokio::test]
async fn a_batch_that_fails_is_told_at_once_and_tried_again_in_order() {
    let (log, go, seen) = started(Durability::Group);
    append(&log, &["1"]);
    assert_eq!(seen.recv().unwrap(), write(&["1"]));
    let waiting = log.written();
    append(&log, &["2"]);
    let later = log.written();
    go.send(full()).unwrap();
    for told in [waiting.await, later.await] {
        assert_eq!(told.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    assert_eq!(seen.recv().unwrap(), write(&["1", "2"]));
    assert!(log.fault().is_some());
    assert!(log.written().await.is_err(), "the disk is known to be full");
    go.send(Ok(())).unwrap();
    assert_eq!(seen.recv().unwrap(), Seen::Sync);
    drop(go);
    log.clone().close().await;
    assert_eq!((log.lost(), seen.try_recv().ok()), (0, None));
}

#[tokio::test]
async fn a_sync_that_fails_is_tried_again_and_nothing_is_written_twice() {
    let (log, go, seen) = started(Durability::Group);
    append(&log, &["1"]);
    let waiting = log.written();
    assert_eq!(seen.recv().unwrap(), write(&["1"]));
    go.send(Ok(())).unwrap();
    assert_eq!(seen.recv().unwrap(), Seen::Sync);
    go.send(full()).unwrap();
    assert!(waiting.await.is_err());
    assert_eq!(seen.recv().unwrap(), Seen::Sync, "without any further line");
    append(&log, &["2"]);
    go.send(Ok(())).unwrap();
    assert_eq!(seen.recv().unwrap(), write(&["2"]));
    drop(go);
    log.clone().close().await;
    assert_eq!(seen.try_recv().ok(), Some(Seen::Sync));
    assert_eq!((log.lost(), log.written().await.is_err()), (0, true), "it is closed");
}

#[tokio::test]
async fn beyond_a_bound_lines_are_lost_and_counted() {
    let (log, go, seen) = started(Durability::Group);
    let line = "x".repeat((1 << 20) - OVERHEAD);
    for n in 0..10 {
        assert_eq!(log.append(line.clone()), n < 8, "{n}");
    }
    assert_eq!(log.lost(), 2);
    drop(go);
    log.written().await.unwrap();
    assert!(log.append(line), "there is room again");
    log.clone().close().await;
    let lines = seen.try_iter().map(|it| if let Seen::Write(it) = it { it.len() } else { 0 });
    assert_eq!((lines.sum::<usize>(), log.lost()), (9, 2));
}

#[tokio::test]
async fn the_end_writes_the_rest_and_waits_for_no_full_disk() {
    for works in [true, false] {
        let (log, go, seen) = started(Durability::Group);
        append(&log, &["1", "2"]);
        // Whatever was begun is planned to fail, and so is the last attempt.
        let plan = || if works { Ok(()) } else { full() };
        (0..10_000).for_each(|_| go.send(plan()).unwrap());
        log.clone().close().await;
        assert_eq!(log.lost(), if works { 0 } else { 2 });
        assert!(!log.append("3".to_owned()), "it is closed");
        log.clone().close().await;
        let n_written = seen.try_iter().filter(|it| matches!(it, Seen::Write(_))).count();
        assert!(n_written > 0);
    }
}

#[test]
fn the_last_handle_ends_the_thread_after_what_is_left() {
    let (log, go, seen) = started(Durability::Group);
    let other = log.clone();
    drop(log);
    append(&other, &["1"]);
    drop((other, go));
    assert_eq!(seen.iter().collect::<Vec<_>>(), [write(&["1"]), Seen::Sync]);
}

#[tokio::test]
async fn by_the_clock_nobody_waits_and_the_end_syncs() {
    let ((go, plan), (seen, see)) = (channel(), channel());
    let (sheet, hour) = (Box::new(Disk { plan, seen }), Duration::from_secs(3_600));
    let log = Log::resting("test", sheet, Durability::Interval, hour).unwrap();
    append(&log, &["1"]);
    log.written().await.unwrap();
    assert_eq!(see.recv().unwrap(), write(&["1"]));
    drop(go);
    assert_eq!(see.recv().unwrap(), Seen::Sync, "the first is due at once");
    append(&log, &["2"]);
    assert_eq!(see.recv().unwrap(), write(&["2"]));
    assert!(see.try_recv().is_err(), "the next is not due for an hour");
    log.close().await;
    assert_eq!(see.try_recv().ok(), Some(Seen::Sync));
}

/// A sheet with a fault of its own.
struct Broken;

impl Sheet for Broken {
    fn write(&mut self, _: &[String]) -> io::Result<()> {
        panic!("a fault in the sheet")
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_leaves_nobody_waiting() {
    let log = Log::start("test", Box::new(Broken), Durability::Group).unwrap();
    append(&log, &["1"]);
    assert!(log.written().await.is_err());
    log.clone().close().await;
    assert_eq!(log.lost(), 1);
    assert!(log.written().await.is_err() && !log.append("2".to_owned()));
}
