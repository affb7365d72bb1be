//! Lines to rows of cells (RFC 4180, and what banks make of it).
//!
//! A cell in quotation marks may go over several lines. One whose quotation mark never closes would swallow all rows behind it, and so would
//! two that stand in texts by themselves: looking for an end is bounded, and what is found has to be one. Else the line is named, and reading
//! goes on with the next.

use std::{collections::VecDeque, io};

use csv_core::{ReadRecordResult, ReaderBuilder};

use super::{dates::is_day, numbers::is_number, text::Line};
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
            let ended = split(&text, self.delimiter);
            let is_ended = ended.is_some();
            if let Some(cells) = ended.filter(|cells| further.is_empty() || is_one_row(&text, cells.len(), self.delimiter)) {
                return Ok(Some(cells));
            }
            let goes_on = !is_ended && self.unclosed < MAX_UNCLOSED && further.len() + 1 < MAX_LINES && text.len() < MAX_BYTES;
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

/// Whether what goes over several lines is one row of `width` cells: each cell ends where its quotation mark closes, and the lines are not rows
/// themselves.
fn is_one_row(text: &str, width: usize, delimiter: Delimiter) -> bool {
    let delimiter = char::from(delimiter.byte());
    let is_row = |line: &str| {
        let cells: Vec<&str> = line.split(delimiter).map(|cell| cell.trim_matches(['"', ' '])).collect();
        cells.len() >= width && cells.iter().any(|cell| is_day(cell)) && cells.iter().any(|cell| is_number(cell) && !is_day(cell))
    };
    let mut lines = text.lines();
    let are_rows = lines.next().is_some_and(is_row) && lines.next_back().is_some_and(is_row);
    !are_rows && ends_where_marks_close(text, delimiter)
}

/// Whether each cell that goes over lines ends where its quotation mark closes: before a delimiter, or at the end of a line.
fn ends_where_marks_close(text: &str, delimiter: char) -> bool {
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let Some(end) = closing_mark(quoted) else { return false };
            rest = &quoted[end + 1..];
            if quoted[..end].contains('\n') && !rest.trim_start_matches(' ').starts_with([delimiter, '\n']) {
                return false;
            }
        }
        match rest.split_once(delimiter) {
            Some((_, behind)) => rest = behind,
            None => return true,
        }
    }
}

/// Where a quotation mark stands that is not one of two in a row.
fn closing_mark(quoted: &str) -> Option<usize> {
    let mut marks = quoted.match_indices('"').map(|(at, _)| at).peekable();
    while let Some(at) = marks.next() {
        if marks.next_if_eq(&(at + 1)).is_none() {
            return Some(at);
        }
    }
    None
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
