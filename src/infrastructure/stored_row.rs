//! Rows of files as JSON: in the spool of a long file, in what is kept of a preview, and in what a batch changed.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::domain::{
    money::{Amount, Quantity},
    provider::ReportedTransaction,
    time::{LocalDate, Timestamp},
    transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype},
};

/// One row, and the number of the statement it is of.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredRow {
    statement: u32,
    reference: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaces: Vec<String>,
    line: Option<u64>,
    amount: i64,
    subtype: String,
    status: String,
    posted_on: chrono::NaiveDate,
    authorized_on: Option<chrono::NaiveDate>,
    occurred_at: Option<i64>,
    description: String,
    merchant_name: Option<String>,
    category: Option<String>,
    security: Option<(String, Option<String>, String)>,
    quantity: Option<String>,
    unit_price: Option<String>,
    fees: Option<i64>,
}

impl StoredRow {
    pub(super) fn of(statement: u32, row: ReportedTransaction) -> Self {
        let ReportedTransaction { reference, replaces, facts, line } = row;
        let TransactionFacts { amount, subtype, status, posted_on, authorized_on, occurred_at, .. } = facts;
        let TransactionFacts { description, merchant_name, category, security, quantity, unit_price, fees, .. } = facts;
        Self {
            statement,
            reference,
            replaces,
            line,
            amount: amount.units(),
            subtype: subtype.as_str().to_owned(),
            status: status.as_str().to_owned(),
            posted_on: posted_on.naive(),
            authorized_on: authorized_on.map(LocalDate::naive),
            occurred_at: occurred_at.map(Timestamp::micros),
            description,
            merchant_name,
            category,
            security: security.map(|Security { symbol, name, asset_type }| (symbol, name, asset_type.as_str().to_owned())),
            quantity: quantity.as_ref().map(Quantity::to_string),
            unit_price: unit_price.as_ref().map(Quantity::to_string),
            fees: fees.map(Amount::units),
        }
    }

    /// What a transaction says, without a row that it stands in.
    pub(super) fn of_facts(facts: TransactionFacts) -> Self {
        Self::of(0, ReportedTransaction { reference: None, replaces: Vec::new(), facts, line: None })
    }

    /// Fails when it is not what was written.
    pub(super) fn row(self) -> anyhow::Result<(u32, ReportedTransaction)> {
        let amount = |units| Amount::from_units(units).ok();
        let quantity = |text: String| Quantity::parse(&text).ok();
        let facts = TransactionFacts {
            amount: whole(amount(self.amount))?,
            subtype: whole(TransactionSubtype::parse(&self.subtype))?,
            status: whole(TransactionStatus::parse(&self.status))?,
            posted_on: whole(LocalDate::from_naive(self.posted_on))?,
            authorized_on: optional(self.authorized_on, LocalDate::from_naive)?,
            occurred_at: optional(self.occurred_at, Timestamp::from_micros)?,
            description: self.description,
            merchant_name: self.merchant_name,
            category: self.category,
            security: optional(self.security, |(symbol, name, kind)| Some(Security { symbol, name, asset_type: AssetType::parse(&kind)? }))?,
            quantity: optional(self.quantity, quantity)?,
            unit_price: optional(self.unit_price, quantity)?,
            fees: optional(self.fees, amount)?,
        };
        Ok((self.statement, ReportedTransaction { reference: self.reference, replaces: self.replaces, facts, line: self.line }))
    }
}

pub(super) fn whole<T>(read: Option<T>) -> anyhow::Result<T> {
    read.context("a row of a statement file was damaged while it was put aside")
}

/// What is absent stays absent; what is there must read.
fn optional<T, U>(stored: Option<T>, read: impl FnOnce(T) -> Option<U>) -> anyhow::Result<Option<U>> {
    stored.map(|stored| whole(read(stored))).transpose()
}
