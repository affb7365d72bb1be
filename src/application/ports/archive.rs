//! Ports to what is kept about a user, read as it was at one instant and packed.

use std::{fs::File, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::domain::{id::UserId, time::Timestamp};

/// One value of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing is known.
    Nothing,
    /// Yes or no.
    Flag(bool),
    /// How many.
    Count(i64),
    /// An exact number as text, such as `-12.50`.
    Decimal(String),
    /// Text, of ours or of anyone's.
    Text(String),
    /// JSON as it is stored.
    Json(String),
}

/// One list of an export.
#[derive(Debug, PartialEq, Eq)]
pub struct ExportTable {
    /// What its files are called.
    pub name: &'static str,
    /// What is in it, for its owner.
    pub about: &'static str,
    /// What its columns are called, in order.
    pub columns: Vec<String>,
}

/// The rows of one list, as they come in.
pub type ExportRows<'a> = BoxStream<'a, anyhow::Result<Vec<Cell>>>;

/// Reads everything kept about a user, as it was at one instant.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Opens a reading that changes of others do not reach.
    async fn open(&self, owner: UserId) -> anyhow::Result<Box<dyn Snapshot>>;
}

/// Everything kept about one user, as it was when this was opened.
#[async_trait]
pub trait Snapshot: Send {
    /// What there is.
    fn tables(&self) -> Vec<Arc<ExportTable>>;
    /// The rows of one list, oldest first. They come one after the other, however many there are.
    async fn rows(&mut self, table: &ExportTable) -> anyhow::Result<ExportRows<'_>>;
}

/// Packs archives. Blocking: call it off the runtime's threads.
pub trait Archiver: Send + Sync {
    /// An archive that is packed now, and holds nothing yet.
    fn begin(&self, packed_at: Timestamp) -> anyhow::Result<Box<dyn Archive>>;
}

/// An archive that is being packed.
pub trait Archive {
    /// Begins a list.
    fn table(&mut self, table: &ExportTable) -> anyhow::Result<()>;
    /// One more row of it.
    fn row(&mut self, cells: &[Cell]) -> anyhow::Result<()>;
    /// The whole, with its table of contents, in a file that nobody else can open.
    fn finish(self: Box<Self>) -> anyhow::Result<File>;
}
