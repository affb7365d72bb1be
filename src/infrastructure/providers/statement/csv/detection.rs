//! What a file tells of itself: the delimiter, where its table begins, and what each column holds.
//!
//! Banks put lines of their own above the table, and name columns in their language or not at all. A known heading of a day together with
//! one of an amount is believed first; else the first row that holds a day and a number, and what stands above it.

use std::collections::HashSet;

use super::{
    accounts::is_full_number,
    dates::is_day,
    names::{self, is_outgoing},
    numbers::{is_bare_number, is_marked_outgoing, is_number, number},
    records::{Record, Records},
    text::Line,
};
use crate::{
    domain::csv::{ColumnRole, CsvColumn, CsvCorrection, DecimalMark, Delimiter},
    infrastructure::providers::statement::values::{characters, tidy},
};

/// Rows at the beginning that are looked at for the table.
const SAMPLE_ROWS: usize = 200;

/// Columns of a table; what stands behind them is not looked at.
const MAX_COLUMNS: usize = 100;

/// Different words in a column of statuses.
const MAX_STATUSES: usize = 12;

/// Characters of a heading that are shown.
const MAX_HEADING: usize = 64;

/// Where a table is and what its columns hold.
pub(super) struct Layout {
    pub(super) delimiter: Delimiter,
    pub(super) header_line: Option<u64>,
    /// The first line that may be a row.
    pub(super) first_line: u64,
    pub(super) columns: Vec<CsvColumn>,
    /// What each column was found to hold, before anything was said about it.
    pub(super) found: Vec<ColumnRole>,
    /// The number of a column whose words tell directions of some rows, and may be meant otherwise.
    doubtful: Option<u32>,
}

impl Layout {
    /// Finds the table in the first lines. `None` when nothing looks like one.
    pub(super) fn find(lines: &[Line], correction: &CsvCorrection) -> Option<Self> {
        let delimiters = correction.delimiter.map_or_else(|| Delimiter::ALL.to_vec(), |told| vec![told]);
        let found = delimiters.into_iter().filter_map(|delimiter| Sample::of(lines, delimiter).layout(correction));
        // The first of equals: banks prefer them in this order. What was told is a table in any case.
        found.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, layout)| layout).map(|mut layout| {
            layout.correct(correction);
            layout
        })
    }

    /// The columns that hold `role`, from 0.
    pub(super) fn places(&self, role: ColumnRole) -> Vec<usize> {
        (0..).zip(&self.columns).filter(|(_, column)| column.role == role).map(|(at, _)| at).collect()
    }

    /// Whether it is known where days stand.
    pub(super) fn has_days(&self) -> bool {
        !self.places(ColumnRole::PostedOn).is_empty()
    }

    /// Whether it is told where day and amount stand.
    pub(super) fn is_whole(&self) -> bool {
        let has = |role| !self.places(role).is_empty();
        self.has_days() && (has(ColumnRole::Amount) || has(ColumnRole::Debit) || has(ColumnRole::Credit))
    }

    /// What the columns of amounts are called.
    pub(super) fn amount_headings(&self) -> impl Iterator<Item = &str> {
        let amounts = self.columns.iter().filter(|column| matches!(column.role, ColumnRole::Amount | ColumnRole::Debit | ColumnRole::Credit));
        amounts.filter_map(|column| column.name.as_deref())
    }

    /// Whether it has to be said which way amounts went: they have no signs, and the words beside them that say it are few.
    pub(super) fn is_direction_doubtful(&self) -> bool {
        self.doubtful.is_some()
    }

    /// What a person says about columns counts, and what was found for the same role does not any more.
    fn correct(&mut self, correction: &CsvCorrection) {
        if let Some(number) = self.doubtful.filter(|_| correction.invert_sign.is_some()) {
            // Signs are right, or turned: words count only if they are said to.
            self.columns.iter_mut().filter(|column| column.number == number).for_each(|column| column.role = ColumnRole::Ignored);
        }
        let is_told = |number: u32| correction.columns.iter().any(|(told, role)| *told == number || *role == ColumnRole::Direction);
        self.doubtful = self.doubtful.filter(|number| correction.invert_sign.is_none() && !is_told(*number));
        for (number, role) in &correction.columns {
            let amounts = [ColumnRole::Amount, ColumnRole::Debit, ColumnRole::Credit];
            let told = |column: &CsvColumn| correction.columns.iter().any(|(told, _)| *told == column.number);
            for column in self.columns.iter_mut().filter(|column| !told(column)) {
                let is_one_of_two =
                    amounts.contains(role) && amounts.contains(&column.role) && (*role == ColumnRole::Amount || column.role == ColumnRole::Amount);
                if is_one_of_two || (column.role == *role && !role.is_shared()) {
                    column.role = ColumnRole::Ignored;
                }
            }
            if let Some(column) = self.columns.iter_mut().find(|column| column.number == *number) {
                column.role = *role;
            }
        }
    }
}

/// The first rows under one delimiter.
struct Sample {
    delimiter: Delimiter,
    rows: Vec<(u64, Vec<String>)>,
    /// The number of cells most rows have.
    width: usize,
}

impl Sample {
    fn of(lines: &[Line], delimiter: Delimiter) -> Self {
        let lines = lines.iter().map(|line| Ok(Line { number: line.number, text: line.text.clone(), is_cut: line.is_cut }));
        let rows = Records::of(lines, delimiter).filter_map(|record| match record {
            Ok(Record::Row { line, mut cells }) => {
                cells.truncate(MAX_COLUMNS);
                Some((line, cells))
            }
            _ => None,
        });
        let rows: Vec<_> = rows.take(SAMPLE_ROWS).collect();
        let mut widths = [0_usize; MAX_COLUMNS + 1];
        for (_, cells) in &rows {
            widths[cells.len()] += 1;
        }
        let width = (2..widths.len()).max_by_key(|width| (widths[*width], *width)).filter(|width| widths[*width] > 0).unwrap_or(0);
        Self { delimiter, rows, width }
    }

    /// The table, with how sure it is: known headings first, then how many rows are of one width, then how many columns are known.
    fn layout(&self, correction: &CsvCorrection) -> Option<([usize; 4], Layout)> {
        let is_heading = |cells: &[String]| cells.iter().any(|cell| names::names_a_day(cell)) && cells.iter().any(|cell| names::names_an_amount(cell));
        let by_name = || self.rows.iter().position(|(_, cells)| cells.len() >= 2 && is_heading(cells));
        let (header, first) = match correction.header_line {
            Some(0) => (None, self.first_row()?),
            Some(line) => {
                let header = self.rows.iter().position(|(at, _)| *at == line)?;
                (Some(header), header + 1)
            }
            None => {
                if let Some(header) = by_name() {
                    (Some(header), header + 1)
                } else {
                    let first = self.first_row()?;
                    (first.checked_sub(1).filter(|above| self.is_texty(*above)), first)
                }
            }
        };
        // What banks write below the table is one cell.
        let is_row = |cells: &&[String]| cells.iter().filter(|cell| !cell.trim().is_empty()).count() > 1;
        let rows: Vec<&[String]> = self.rows[first.min(self.rows.len())..].iter().map(|(_, cells)| cells.as_slice()).filter(is_row).collect();
        let headings = header.map(|at| self.rows[at].1.as_slice());
        let width = headings.map_or(self.width, <[String]>::len).max(rows.iter().map(|cells| cells.len()).max().unwrap_or(0).min(MAX_COLUMNS));
        let columns = columns(headings, &rows, width);
        let doubtful = doubtful_direction(&columns, &rows);
        let even = rows.iter().filter(|cells| cells.len() == self.width).count();
        let known = columns.iter().filter(|column| column.role != ColumnRole::Ignored).count();
        let first_line = header.map(|at| self.rows[at].0 + 1).or_else(|| self.rows.get(first).map(|(line, _)| *line)).unwrap_or(1);
        let found = columns.iter().map(|column| column.role).collect();
        let layout = Layout { delimiter: self.delimiter, header_line: header.map(|at| self.rows[at].0), first_line, columns, found, doubtful };
        Some(([usize::from(layout.is_whole()), usize::from(headings.is_some_and(is_heading)), even, known], layout))
    }

    /// The first row of the usual width that holds a day and a number.
    fn first_row(&self) -> Option<usize> {
        self.rows.iter().position(|(_, cells)| {
            let days = cells.iter().filter(|cell| is_day(cell)).count();
            cells.len() >= 2 && cells.len() == self.width && days > 0 && cells.iter().any(|cell| is_number(cell) && !is_day(cell))
        })
    }

    /// Whether a row could be headings: words in as many cells as the table has, more or less.
    fn is_texty(&self, at: usize) -> bool {
        let cells = &self.rows[at].1;
        let is_word = |cell: &&String| cell.chars().any(char::is_alphabetic) && !is_day(cell) && !is_number(cell);
        cells.len().abs_diff(self.width) <= 1
            && cells.iter().filter(|cell| !cell.trim().is_empty()).count() >= 2
            && cells.iter().filter(|cell| !cell.trim().is_empty()).all(|cell| is_word(&cell))
    }
}

/// Cells of one column that are not empty, of the rows that are as wide.
fn cells_of<'a>(rows: &[&'a [String]], at: usize) -> Vec<&'a str> {
    rows.iter().filter_map(|cells| cells.get(at)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect()
}

/// Most cells are so, and there are any.
fn mostly(cells: &[&str], is_so: impl Fn(&str) -> bool) -> bool {
    let count = cells.iter().filter(|cell| is_so(cell)).count();
    count > 0 && count * 10 >= cells.len() * 7
}

fn columns(headings: Option<&[String]>, rows: &[&[String]], width: usize) -> Vec<CsvColumn> {
    let heading = |at: usize| headings.and_then(|headings| headings.get(at)).map(|heading| tidy(heading)).filter(|heading| !heading.is_empty());
    // A table without rows is judged by its headings alone.
    let is_date = |at: usize| {
        let cells = cells_of(rows, at);
        // Days that do not exist are problems of their rows: where the heading says what they are, half of them are enough.
        let is_called_so = || heading(at).is_some_and(|heading| names::names_a_day(&heading));
        mostly(&cells, is_day) || (is_called_so() && cells.iter().filter(|cell| is_day(cell)).count() * 2 >= cells.len())
    };
    let named: Vec<_> = (0..width).map(|at| heading(at).and_then(|heading| names::role(&heading, is_date(at)))).collect();
    let mut roles = vec![ColumnRole::Ignored; width];
    for role in ColumnRole::ALL {
        // A column of empty cells holds nothing where another one may.
        let place = |at: usize| named[at].filter(|(named, _)| named == role).map(|(_, rank)| (cells_of(rows, at).is_empty(), rank, at));
        let mut places: Vec<(bool, usize, usize)> = (0..width).filter_map(place).collect();
        places.retain(|(_, _, at)| fits(*role, &cells_of(rows, *at)));
        if *role == ColumnRole::Account {
            places.retain(|(_, _, at)| heading(*at).is_some_and(|heading| is_own_account(&heading, *at, &named, rows)));
            // One that tells several apart goes first, be it by their kind.
            places.sort_by_key(|(_, rank, at)| (cells_of(rows, *at).windows(2).all(|two| two[0] == two[1]), *rank));
        } else if *role == ColumnRole::Direction {
            places.retain(|(_, _, at)| heading(*at).is_some_and(|heading| tells_directions(&heading, &cells_of(rows, *at))));
            // Of several, the one that tells it of most rows.
            places.sort_by_key(|place| (!say_direction(&cells_of(rows, place.2)), *place));
        } else {
            places.sort_unstable();
        }
        places.truncate(if role.is_shared() { width } else { 1 });
        for (_, _, at) in places {
            roles[at] = *role;
        }
    }
    fill_in(&mut roles, &named, rows, is_date);
    let number = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
    let shown = |heading: String| characters(&crate::domain::card_number::cut(&heading), MAX_HEADING).to_owned();
    (0..width).map(|at| CsvColumn { number: number(at), name: heading(at).map(shown), role: roles[at] }).collect()
}

/// Whether cells can be what a heading calls them.
fn fits(role: ColumnRole, cells: &[&str]) -> bool {
    match role {
        ColumnRole::Amount | ColumnRole::Debit | ColumnRole::Credit | ColumnRole::Balance => cells.is_empty() || mostly(cells, is_number),
        ColumnRole::Direction => cells.iter().any(|cell| is_outgoing(cell).is_some()),
        ColumnRole::Fee => mostly(cells, is_number),
        // Words that come again and again; what is said anew in every row is no status.
        ColumnRole::Status => cells.iter().collect::<HashSet<_>>().len() <= MAX_STATUSES,
        // Whoever has a number only has no name.
        ColumnRole::Merchant | ColumnRole::Payer => !mostly(cells, is_full_number),
        // An id that comes twice is none.
        ColumnRole::Reference => cells.iter().collect::<HashSet<_>>().len() == cells.len(),
        ColumnRole::Currency => cells.iter().all(|cell| cell.len() <= 64 && !is_number(cell)),
        _ => true,
    }
}

/// Whether cells tell a debit from a credit, at least half of them. A word that does not costs its row, where the amounts have no signs.
fn say_direction(cells: &[&str]) -> bool {
    let told = cells.iter().filter(|cell| is_outgoing(cell).is_some()).count();
    told > 0 && told * 2 >= cells.len()
}

/// Whether a column called so tells directions. Kinds of rows may be called `Deposit` too: few of them say nothing that a number does not.
fn tells_directions(heading: &str, cells: &[&str]) -> bool {
    say_direction(cells) || !names::names_either_direction(heading) || cells.iter().any(|cell| is_outgoing(cell) == Some(true))
}

/// The number of the column of directions, if it tells them of less than half of the rows, all of them the same one, and may be of what kind rows are:
/// where both are told, or the heading says what it is, a word that tells none costs its row.
fn doubtful_direction(columns: &[CsvColumn], rows: &[&[String]]) -> Option<u32> {
    let (at, column) = columns.iter().enumerate().find(|(_, column)| column.role == ColumnRole::Direction)?;
    let cells = cells_of(rows, at);
    let told: HashSet<bool> = cells.iter().filter_map(|cell| is_outgoing(cell)).collect();
    let may_be_kinds = column.name.as_deref().is_none_or(names::names_either_direction);
    (may_be_kinds && told.len() < 2 && !say_direction(&cells)).then_some(column.number)
}

/// Whether a column named so is of the account that the rows are of, and not of the one on the other side: that one may be missing, and stands
/// behind the name of whom it is of.
fn is_own_account(heading: &str, at: usize, named: &[Option<(ColumnRole, usize)>], rows: &[&[String]]) -> bool {
    if names::names_products(heading) {
        let words: HashSet<&str> = cells_of(rows, at).into_iter().collect();
        return words.iter().filter(|word| names::is_product(word)).count() * 2 >= words.len();
    }
    let is_behind_a_name = named[..at].iter().any(|named| matches!(named, Some((ColumnRole::Merchant, _))));
    // Balances and notes between the rows do not count.
    let is_row = |cells: &&[String]| cells.iter().any(|cell| is_day(cell)) && cells.iter().any(|cell| is_number(cell) && !is_day(cell));
    let rows: Vec<&[String]> = rows.iter().copied().filter(is_row).collect();
    if names::names_a_card(heading) {
        // Cards of one account are told apart by the end of their numbers.
        let cells = cells_of(&rows, at);
        let are_several = cells.iter().any(|cell| *cell != cells[0]);
        return are_several && cells.len() == rows.len() && cells.iter().all(|cell| is_full_number(cell));
    }
    !names::names_either_account(heading) || (!is_behind_a_name && cells_of(&rows, at).len() * 10 >= rows.len() * 8)
}

/// Whether cells are amounts without any sign that says which way they went.
fn are_unsigned(cells: &[&str]) -> bool {
    let is_negative = |cell: &str| DecimalMark::ALL.iter().any(|mark| number(cell, *mark).is_some_and(|number| number.starts_with('-')));
    cells.iter().all(|cell| !is_negative(cell) && is_marked_outgoing(cell).is_none())
}

/// What headings leave open is told by what the columns hold, as far as there is one way to tell it.
fn fill_in(roles: &mut [ColumnRole], named: &[Option<(ColumnRole, usize)>], rows: &[&[String]], is_date: impl Fn(usize) -> bool) {
    let has = |roles: &[ColumnRole], role| roles.contains(&role);
    if !has(roles, ColumnRole::PostedOn) {
        // The day a row was made, or its value date, stands in when there is no other.
        let made = roles.iter().position(|role| *role == ColumnRole::AuthorizedOn);
        let unnamed = || (0..roles.len()).find(|at| roles[*at] == ColumnRole::Ignored && is_date(*at));
        if let Some(at) = made.or_else(unnamed) {
            roles[at] = ColumnRole::PostedOn;
        }
    }
    let is_open = |roles: &[ColumnRole], at: usize| roles[at] == ColumnRole::Ignored && named[at].is_none();
    let has_amount = [ColumnRole::Amount, ColumnRole::Debit, ColumnRole::Credit].iter().any(|role| has(roles, *role));
    if !has_amount {
        let numbers: Vec<usize> = (0..roles.len()).filter(|at| is_open(roles, *at) && !is_date(*at) && mostly(&cells_of(rows, *at), is_bare_number)).collect();
        if let [only] = numbers.as_slice() {
            roles[*only] = ColumnRole::Amount;
        }
    }
    let is_empty = |at: usize| cells_of(rows, at).is_empty();
    let has_halves = (0..roles.len()).any(|at| matches!(roles[at], ColumnRole::Debit | ColumnRole::Credit) && !is_empty(at));
    if let Some(amount) = roles.iter().position(|role| *role == ColumnRole::Amount).filter(|amount| has_halves && is_empty(*amount)) {
        roles[amount] = ColumnRole::Ignored;
    }
    if has(roles, ColumnRole::Amount) {
        for role in roles.iter_mut().filter(|role| matches!(role, ColumnRole::Debit | ColumnRole::Credit)) {
            *role = ColumnRole::Ignored;
        }
    }
    let amount = roles.iter().position(|role| *role == ColumnRole::Amount);
    let direction = roles.iter().position(|role| *role == ColumnRole::Direction);
    let is_told = |direction: usize| say_direction(&cells_of(rows, direction));
    if let Some(amount) = amount.filter(|at| !direction.is_some_and(is_told) && are_unsigned(&cells_of(rows, *at)))
        && let Some(at) = (0..roles.len()).find(|at| *at != amount && is_open(roles, *at) && is_told(*at))
    {
        if let Some(direction) = direction {
            roles[direction] = ColumnRole::Ignored;
        }
        roles[at] = ColumnRole::Direction;
    }
    // Where amounts have signs, words beside them count that say it of every row.
    let is_partial = |at: usize| cells_of(rows, at).iter().any(|cell| is_outgoing(cell).is_none());
    if let Some(at) = roles.iter().position(|role| *role == ColumnRole::Direction).filter(|at| is_partial(*at))
        && amount.is_none_or(|amount| !are_unsigned(&cells_of(rows, amount)))
    {
        roles[at] = ColumnRole::Ignored;
    }
    if !has(roles, ColumnRole::Description) && !has(roles, ColumnRole::Merchant) {
        for at in 0..roles.len() {
            let cells = cells_of(rows, at);
            let is_word = |cell: &&str| cell.chars().any(char::is_alphabetic) && !is_day(cell);
            let is_text = is_open(roles, at) && cells.iter().any(is_word) && !mostly(&cells, is_bare_number);
            if is_text {
                roles[at] = ColumnRole::Description;
            }
        }
    }
}
