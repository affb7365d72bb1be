//! What a row without an id of the bank goes by: its cells as they stand.
//!
//! They stay the same when a person corrects which column holds what, or which sign is which, and brings the file again. What may be written
//! beside a row later on (notes, a category) is no part of them.

use super::{
    detection::Layout,
    names::{names_notes, plain},
};
use crate::{
    domain::{card_number, csv::ColumnRole, matching::reference_of_cells},
    infrastructure::providers::statement::values::tidy,
};

/// The columns that tell the rows of one file apart.
pub(super) struct Identity {
    columns: Vec<usize>,
    /// The column that says how far a row has come: one that failed is another than one that did not.
    status: Option<usize>,
}

impl Identity {
    /// By what columns were found to hold; where that is nothing, by what a person says.
    pub(super) fn of(layout: &Layout) -> Self {
        let found = |role: ColumnRole| layout.found.iter().enumerate().filter(move |(_, found)| **found == role).map(|(at, _)| at).collect::<Vec<_>>();
        let of = |roles: &[ColumnRole]| {
            let columns = roles.iter().flat_map(|role| found(*role)).collect::<Vec<_>>();
            if columns.is_empty() { roles.iter().flat_map(|role| layout.places(*role)).collect() } else { columns }
        };
        let days = of(&[ColumnRole::PostedOn]);
        let amounts = of(&[ColumnRole::Amount, ColumnRole::Debit, ColumnRole::Credit, ColumnRole::Direction]);
        let said = of(&[ColumnRole::Description, ColumnRole::Merchant]);
        let is_note = |at: &usize| layout.columns.get(*at).and_then(|column| column.name.as_deref()).is_some_and(names_notes);
        let lasting: Vec<usize> = said.iter().copied().filter(|at| !is_note(at)).collect();
        let columns = [days, amounts, if lasting.is_empty() { said } else { lasting }].concat();
        Self { columns, status: found(ColumnRole::Status).first().copied() }
    }

    /// The reference of a row.
    pub(super) fn reference(&self, cells: &[String], status: impl Fn(&str) -> &'static str) -> String {
        let cell = |at: usize| cells.get(at).map(|cell| card_number::cut(&tidy(cell))).unwrap_or_default();
        let mut said: Vec<String> = self.columns.iter().map(|at| cell(*at)).collect();
        said.extend(self.status.map(|at| status(&plain(&cell(at))).to_owned()));
        reference_of_cells(said.iter().map(String::as_str))
    }
}
