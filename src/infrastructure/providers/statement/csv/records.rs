//! Lines to rows of cells (RFC 4180, and what banks make of it).
//!
//! A cell in quotation marks may go over several lines. One whose quotation mark never closes would swallow all rows behind it, so looking
//! for its end is bounded: the line is named, and reading goes on with the next.

use std::{collections::VecDeque, io};

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::text::Line;
use crate::domain::csv::Delimiter;

/// Lines one row may go over.
const MAX_LINES: usize = 20;
/// Bytes of one row.
const MAX_BYTES: usize = 256 * 1024;
/// Rows whose quotation mark never closes, until no end is looked for any more.
const MAX_UNCLOSED: u32 = 100;

/// What was read.
pub(super) enum Record {
    /// A row with anything in it.
    Row { line: u64, cells: Vec<String> },
    /// A row that is none.
    Broken { line: u64, message: &'static str },
}

impl Delimiter {
    /// The byte it is.
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Pipe => b'|',
        }
    }
}

/// Rows as they are read.
pub(super) struct Records<L> {
    lines: L,
    delimiter: Delimiter,
    /// Lines that were looked at for the end of a row and turned out to be rows of their own.
    waiting: VecDeque<Line>,
    unclosed: u32,
}

impl<L: Iterator<Item = io::Result<Line>>> Records<L> {
    pub(super) fn of(lines: L, delimiter: Delimiter) -> Self {
        Self { lines, delimiter, waiting: VecDeque::new(), unclosed: 0 }
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        match self.waiting.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next().transpose(),
        }
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(first) = self.next_line()? else { return Ok(None) };
            let line = first.number;
            if first.is_cut {
                return Ok(Some(Record::Broken { line, message: "the line is longer than 64 KiB" }));
            }
            if first.text.trim().is_empty() {
                continue;
            }
            let Some(cells) = self.cells(first)? else {
                return Ok(Some(Record::Broken { line, message: "a quotation mark is opened here and never closed" }));
            };
            if cells.iter().any(|cell| !cell.trim().is_empty()) {
                return Ok(Some(Record::Row { line, cells }));
            }
        }
    }

    /// The cells of the row that begins with `first`; `None` when it does not end.
    fn cells(&mut self, first: Line) -> io::Result<Option<Vec<String>>> {
        let mut text = first.text;
        let mut further: Vec<Line> = Vec::new();
        loop {
            text.push('\n');
            if let Some(cells) = split(&text, self.delimiter) {
                return Ok(Some(cells));
            }
            let goes_on = self.unclosed < MAX_UNCLOSED && further.len() + 1 < MAX_LINES && text.len() < MAX_BYTES;
            match if goes_on { self.next_line()? } else { None } {
                Some(next) if !next.is_cut => {
                    text.push_str(&next.text);
                    further.push(next);
                }
                next => {
                    self.unclosed += 1;
                    for line in further.into_iter().chain(next).rev() {
                        self.waiting.push_front(line);
                    }
                    return Ok(None);
                }
            }
        }
    }
}

impl<L: Iterator<Item = io::Result<Line>>> Iterator for Records<L> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The cells of one row with its line end; `None` when it ends inside quotation marks.
fn split(text: &str, delimiter: Delimiter) -> Option<Vec<String>> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter.byte()).build();
    let mut cells = vec![0; text.len()];
    let mut ends = vec![0; text.bytes().filter(|byte| *byte == delimiter.byte()).count() + 2];
    let (result, _, _, count) = reader.read_record(text.as_bytes(), &mut cells, &mut ends);
    if !matches!(result, ReadRecordResult::Record) {
        return None;
    }
    let mut begin = 0;
    let cell = |end: &usize| {
        let cell = String::from_utf8_lossy(&cells[begin..*end]).into_owned();
        begin = *end;
        cell
    };
    Some(ends[..count].iter().map(cell).collect())
}
