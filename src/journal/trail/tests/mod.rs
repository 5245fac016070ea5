//! Damage of every kind is found, and what is whole is not called damaged.

mod damage;
mod life;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::recover::{Found, recover};
use super::sheet::Paper;
use super::{Broken, Sound, files, verify, words};
use crate::clock::{ManualClock, UnixMicros};
use crate::journal::log::Sheet as _;

pub(super) const NOW: UnixMicros = UnixMicros(1_795_219_200_000_000);

/// A directory that goes away with the test.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
        static N: AtomicU32 = AtomicU32::new(0);
        let n = N.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("geminid-trail-{}-{n}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    /// The files of the trail, oldest first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        files::parts(&self.0).unwrap().into_iter().map(|it| it.path).collect()
    }

    pub(super) fn verify(&self) -> Result<Sound, Broken> {
        verify(&self.0, 1).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(super) fn found(dir: &Path, most: u64) -> Found {
    recover(dir, Arc::new(ManualClock::new(NOW)), most).unwrap()
}

/// What the notes of a start say.
pub(super) fn told(found: &Found) -> Vec<&str> {
    let told = |it: &'_ str| it.split_once(r#""note":""#).unwrap().1.len();
    found.notes.iter().map(|it| it.get(it.len() - told(it)..).unwrap()).collect()
}

pub(super) fn line(n: usize) -> String {
    words::note(NOW, "test", &[("n", &n.to_string())])
}

/// Writes so many lines, each in a write of its own.
pub(super) fn put(paper: &mut Paper, n: usize) {
    for n in 0..n {
        paper.write(&[line(n)]).unwrap();
    }
    paper.sync().unwrap();
}
