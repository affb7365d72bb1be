//! The spool: a file's rows outside memory, in the order they are matched in.
//!
//! Rows come in the file's order and leave by statement, day, amount and line. What does not fit into one run is sorted run by run
//! into temporary files that have no name and vanish with the process, and merged as it is read. So memory holds one run, however
//! long the file.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
};

use anyhow::Context;

use crate::{
    domain::{import::StatementRows, money::Amount, provider::ReportedTransaction, time::LocalDate},
    infrastructure::stored_row::{StoredRow, whole},
};

/// Rows that are held and sorted at once: some four megabytes.
const RUN_ROWS: usize = 8_192;

/// Takes rows, a statement's number with each.
#[derive(Default)]
pub(super) struct Spool {
    run: Vec<(u32, ReportedTransaction)>,
    runs: Vec<File>,
    failure: Option<io::Error>,
}

impl Spool {
    /// Takes a row. When the disk fails, whoever reads the rows is told.
    pub(super) fn push(&mut self, statement: u32, row: ReportedTransaction) {
        self.run.push((statement, row));
        if self.run.len() == RUN_ROWS && self.failure.is_none() {
            self.failure = self.spill().err();
        }
        if self.failure.is_some() {
            self.run.clear();
        }
    }

    /// Every row, in order. A failure of the disk comes first.
    pub(super) fn finish(mut self) -> StatementRows {
        if !self.runs.is_empty() && !self.run.is_empty() && self.failure.is_none() {
            self.failure = self.spill().err();
        }
        if let Some(failure) = self.failure {
            return Box::new(std::iter::once(Err(anyhow::Error::new(failure).context("the rows of a statement file cannot be put aside"))));
        }
        if self.runs.is_empty() {
            self.run.sort_by_key(key);
            return Box::new(self.run.into_iter().map(Ok));
        }
        Box::new(Merge { waiting: BinaryHeap::new(), runs: self.runs.into_iter().map(BufReader::new).collect(), has_begun: false })
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_by_key(key);
        let mut run = BufWriter::new(tempfile::tempfile()?);
        for (statement, row) in self.run.drain(..) {
            serde_json::to_writer(&mut run, &StoredRow::of(statement, row))?;
            run.write_all(b"\n")?;
        }
        let mut run = run.into_inner().map_err(io::IntoInnerError::into_error)?;
        run.rewind()?;
        self.runs.push(run);
        Ok(())
    }
}

type Key = (u32, LocalDate, Amount, Option<u64>);

fn key((statement, row): &(u32, ReportedTransaction)) -> Key {
    (*statement, row.facts.posted_on, row.facts.amount, row.line)
}

/// The runs, merged.
struct Merge {
    /// The next row of each run, by key and then run.
    waiting: BinaryHeap<Reverse<Waiting>>,
    runs: Vec<BufReader<File>>,
    has_begun: bool,
}

struct Waiting {
    key: Key,
    run: usize,
    row: ReportedTransaction,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.run) == (other.key, other.run)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.key, self.run).cmp(&(other.key, other.run))
    }
}

impl Merge {
    fn await_next_of(&mut self, run: usize) -> anyhow::Result<()> {
        let mut text = String::new();
        if self.runs[run].read_line(&mut text).context("the rows of a statement file cannot be read back")? > 0 {
            let read = whole(serde_json::from_str::<StoredRow>(&text).ok())?.row()?;
            self.waiting.push(Reverse(Waiting { key: key(&read), run, row: read.1 }));
        }
        Ok(())
    }

    fn take_next(&mut self) -> anyhow::Result<Option<(u32, ReportedTransaction)>> {
        if !self.has_begun {
            self.has_begun = true;
            (0..self.runs.len()).try_for_each(|run| self.await_next_of(run))?;
        }
        let Some(Reverse(Waiting { key: (statement, ..), run, row })) = self.waiting.pop() else { return Ok(None) };
        self.await_next_of(run)?;
        Ok(Some((statement, row)))
    }
}

impl Iterator for Merge {
    type Item = anyhow::Result<(u32, ReportedTransaction)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take_next().transpose()
    }
}
