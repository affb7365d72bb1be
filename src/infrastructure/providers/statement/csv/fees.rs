//! Whether what was charged for a row is in its amount already. Banks have it both ways, and balances tell.

use std::collections::HashMap;

use super::{
    detection::Layout,
    mapping::Mapping,
    names::{names_a_fee, names_a_gross_amount},
    records::Record,
};
use crate::domain::{csv::ColumnRole, money::Amount};

/// Whether charges come on top of amounts: as balances follow from row to row, else as headings are usually meant.
pub(super) fn come_on_top(records: impl Iterator<Item = std::io::Result<Record>>, layout: &Layout, mapping: &Mapping) -> std::io::Result<bool> {
    let mut before: HashMap<usize, (Amount, Amount, Amount)> = HashMap::new();
    // For rows from old to new and for rows from new to old: how often balances follow without the fee, and with it.
    let mut follow = [[0_u64; 2]; 2];
    for record in records {
        let Record::Row { line, cells } = record? else { continue };
        if line < layout.first_line {
            continue;
        }
        let Ok(row) = mapping.row(&cells, line) else { continue };
        let Some(balance) = row.balance else { continue };
        let (amount, fee) = (row.transaction.facts.amount, row.transaction.facts.fees.unwrap_or(Amount::ZERO));
        if let Some((earlier, moved, charged)) = before.insert(row.account, (balance, amount, fee)) {
            for (order, (from, by, fee, to)) in [(earlier, amount, fee, balance), (balance, moved, charged, earlier)].into_iter().enumerate() {
                let after = from.checked_add(by);
                let with = after.and_then(|after| after.checked_add(fee.negated()));
                if fee != Amount::ZERO {
                    follow[order][0] += u64::from(after == Some(to));
                    follow[order][1] += u64::from(with == Some(to));
                }
            }
        }
    }
    let [without, with] = follow.into_iter().reduce(|one, other| [one[0].max(other[0]), one[1].max(other[1])]).unwrap_or_default();
    Ok(if without == with { usually(layout) } else { with > without })
}

/// `Amount` and `Fee` beside each other are added up; commissions of brokers are in what was paid, and so they are in a net amount.
fn usually(layout: &Layout) -> bool {
    let is_called = |role, is_so: fn(&str) -> bool| {
        let columns: Vec<_> = layout.places(role).into_iter().filter_map(|at| layout.columns.get(at)?.name.as_deref()).collect();
        matches!(columns.as_slice(), [only] if is_so(only))
    };
    is_called(ColumnRole::Fee, names_a_fee) && is_called(ColumnRole::Amount, names_a_gross_amount)
}
