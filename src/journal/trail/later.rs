//! A trail that is taken up as soon as there is room for it: on a disk that is full at the start, lines
//! wait as they do on one that fills up later.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::recover::{self, Found};
use super::sheet::Paper;
use crate::clock::Clock;
use crate::journal::keep_private;
use crate::journal::log::Sheet;

#[derive(Debug)]
pub(super) struct Later {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    most: u64,
    /// `None`: nothing is taken up yet.
    paper: Option<Paper>,
    /// What was found, until it is written.
    notes: Vec<String>,
}

impl Later {
    pub(super) fn new(dir: PathBuf, clock: Arc<dyn Clock>, most: u64) -> Self {
        Self { dir, clock, most, paper: None, notes: Vec::new() }
    }

    /// Takes the trail up, if that was not done yet.
    pub(super) fn open(&mut self) -> io::Result<&mut Paper> {
        let paper = match self.paper.take() {
            Some(paper) => paper,
            None => self.found()?,
        };
        Ok(self.paper.insert(paper))
    }

    fn found(&mut self) -> io::Result<Paper> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        keep_private(&self.dir);
        let Found { paper, notes } =
            recover::recover(&self.dir, Arc::clone(&self.clock), self.most)?;
        self.notes.extend(notes);
        Ok(paper)
    }
}

impl Sheet for Later {
    fn write(&mut self, lines: &[String]) -> io::Result<()> {
        self.open()?;
        let Some(paper) = &mut self.paper else { return Ok(()) };
        if self.notes.is_empty() {
            return paper.write(lines);
        }
        paper.write(&[&self.notes, lines].concat())?;
        self.notes.clear();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.open()?.sync()
    }
}
