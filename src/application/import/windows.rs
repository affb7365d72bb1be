//! A file's rows, some days at a time.
//!
//! Every rule of matching a file compares rows of one amount, within a few days. So rows may be matched in parts when no part ends
//! inside a day; and when a single day is very long, when none ends inside the rows of one day and amount.

use std::iter::Peekable;

use crate::domain::{import::StatementRows, provider::ReportedTransaction};

/// A window ends with the day in which it has this many rows …
const ENOUGH_ROWS: usize = 4_000;

/// … or, when that day goes on and on, with the amount in which it has this many.
const MANY_ROWS: usize = 16_000;

/// The rows of a file, read back window by window.
pub(super) struct Windows {
    rows: Option<Peekable<StatementRows>>,
}

impl Windows {
    pub(super) fn over(rows: StatementRows) -> Self {
        Self { rows: Some(rows.peekable()) }
    }

    /// The next rows of a statement, in the file's order; none when it has no more. Statements are asked for in their order.
    pub(super) async fn next_of(&mut self, statement: u32) -> anyhow::Result<Vec<ReportedTransaction>> {
        let mut rows = self.rows.take().ok_or_else(|| anyhow::anyhow!("the rows of a file were lost"))?;
        let (rows, window) = tokio::task::spawn_blocking(move || {
            let window = next_window(&mut rows, statement);
            (rows, window)
        })
        .await?;
        self.rows = Some(rows);
        window
    }
}

fn next_window(rows: &mut Peekable<StatementRows>, statement: u32) -> anyhow::Result<Vec<ReportedTransaction>> {
    let mut window: Vec<ReportedTransaction> = Vec::new();
    // A row that cannot be read is taken out too, so that its error is.
    let belongs = |window: &[ReportedTransaction], next: &anyhow::Result<(u32, ReportedTransaction)>| match next {
        Ok((of, row)) => *of <= statement && !ends_before(window, row),
        Err(_) => true,
    };
    while let Some((of, row)) = rows.next_if(|next| belongs(&window, next)).transpose()? {
        // Those of a statement that was not taken go by.
        if of == statement {
            window.push(row);
        }
    }
    window.sort_by_key(|row| row.line);
    Ok(window)
}

/// Whether the window is long enough, and `next` begins what another may take.
fn ends_before(window: &[ReportedTransaction], next: &ReportedTransaction) -> bool {
    let Some(last) = window.last().map(|row| &row.facts).filter(|_| window.len() >= ENOUGH_ROWS) else { return false };
    let is_other_day = last.posted_on != next.facts.posted_on;
    is_other_day || window.len() >= MANY_ROWS && last.amount != next.facts.amount
}
