//! Exports: everything kept about a user, as one archive.
//!
//! Asking takes a fresh proof and gives leave for five minutes; fetching packs the archive as things are then. Rows flow from one
//! consistent reading of the database through a short queue into a temporary file, so memory holds a handful of them, and what cannot be
//! finished is never handed out: a client gets all of it, or an error.

use std::{fs::File, sync::Arc};

use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, mpsc};

use crate::domain::{
    audit::Act,
    event::Event,
    export::{EXPORT_MINUTES, Export, ExportReader},
    failure::Reason,
    id::{ExportId, UserId},
    time::{Clock, Timestamp},
};

use super::{
    access::{Access, Denied, Requester},
    audit::Journal,
    ports::{Archiver, Cell, ExportTable, Randomness, Snapshots, Store},
    step_up::{ReauthenticationRequired, StepUp},
};

/// How many rows wait to be packed.
const QUEUE: usize = 256;

/// How many archives are packed at once; each takes a connection and room on the disk.
pub const PACKED_AT_ONCE: usize = 2;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Absent, over, or someone else's.
    #[error("there is no such export, or its five minutes are over")]
    NotFound,
    /// It takes a fresh proof.
    #[error(transparent)]
    Unproven(#[from] ReauthenticationRequired),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for ExportError {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Unproven(required) => required.reason(),
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Asking for an export.
pub struct RequestExport {
    /// Who asks.
    pub requester: Requester,
}

/// Fetching an export.
pub struct FetchExport {
    /// Who asks.
    pub requester: Requester,
    /// Which of theirs; `None` for the operator, who needs no leave.
    pub export: Option<ExportId>,
}

/// A packed export.
#[derive(Debug)]
pub struct Packed {
    /// The archive, at its beginning; nobody else can open it, and it is gone with the value.
    pub file: File,
    /// When it was packed.
    pub packed_at: Timestamp,
    /// How many rows are in it.
    pub rows: u64,
}

/// What the packing side is told.
enum Step {
    Table(Arc<ExportTable>),
    Row(Vec<Cell>),
    End,
}

/// Exports what is kept about users.
pub struct ExportCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where exports are kept.
    pub store: Arc<dyn Store>,
    /// Exports, before anything is read.
    pub exports: Arc<dyn ExportReader>,
    /// Reads everything of a user.
    pub snapshots: Arc<dyn Snapshots>,
    /// Packs it.
    pub archiver: Arc<dyn Archiver>,
    /// What roles may do.
    pub access: Access,
    /// Whether the session proved lately who is behind it.
    pub step_up: StepUp,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
    /// Who packs takes one of [`PACKED_AT_ONCE`].
    pub turns: Arc<Semaphore>,
}

impl ExportCommands {
    /// Gives oneself leave to fetch everything, for five minutes.
    pub async fn request(&self, command: RequestExport) -> Result<Export, ExportError> {
        let attempt = self.journal.attempt(&command.requester, Act::RequestExport).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RequestExport)?;
                self.step_up.require(&command.requester).await??;
                let now = self.clock.now();
                let expires_at = now.plus(chrono::Duration::minutes(EXPORT_MINUTES));
                let export = Export { id: ExportId(self.randomness.id()), user: owner, created_at: now, expires_at };
                let mut work = self.store.begin(&attempt).await?;
                work.exports().insert(&export).await?;
                work.succeed(Event::ExportRequested { export: export.id, user: owner }).await?;
                Ok(export)
            })
            .await
    }

    /// Packs everything kept about the user the requester acts for.
    pub async fn fetch(&self, command: FetchExport) -> Result<Packed, ExportError> {
        if let Err(denied) = self.access.permit(&command.requester, Act::FetchExport) {
            self.journal.denied(&command.requester, Act::FetchExport, denied).await?;
            return Err(denied.into());
        }
        let attempt = self.journal.attempt(&command.requester, Act::FetchExport).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::FetchExport)?;
                match command.export {
                    Some(export) => drop(self.exports.find_live(owner, export, self.clock.now()).await?.ok_or(ExportError::NotFound)?),
                    // Only who sits at the machine needs no leave.
                    None => self.step_up.require(&command.requester).await??,
                }
                let packed = self.pack(owner).await?;
                let work = self.store.begin(&attempt).await?;
                work.succeed(Event::ExportFetched { export: command.export, user: owner, rows: packed.rows }).await?;
                Ok(packed)
            })
            .await
    }

    async fn pack(&self, owner: UserId) -> anyhow::Result<Packed> {
        let _turn = self.turns.acquire().await?;
        let packed_at = self.clock.now();
        let (steps, waiting) = mpsc::channel(QUEUE);
        let archiver = self.archiver.clone();
        let packing = tokio::task::spawn_blocking(move || pack_all(archiver.as_ref(), packed_at, waiting));
        let read = self.read(owner, steps).await;
        // Who reads is told only that nobody packs any more; why, the packing side knows. Where that lacks the end, reading failed.
        let packed = packing.await??;
        read?;
        let (file, rows) = packed.ok_or_else(|| anyhow::anyhow!("an export was not read to its end"))?;
        Ok(Packed { file, packed_at, rows })
    }

    async fn read(&self, owner: UserId, steps: mpsc::Sender<Step>) -> anyhow::Result<()> {
        let mut snapshot = self.snapshots.open(owner).await?;
        for table in snapshot.tables() {
            steps.send(Step::Table(table.clone())).await?;
            let mut rows = snapshot.rows(&table).await?;
            while let Some(row) = rows.next().await {
                steps.send(Step::Row(row?)).await?;
            }
        }
        steps.send(Step::End).await?;
        Ok(())
    }
}

/// Packs what it is told, on a thread of its own. `None` when nobody told the end: that is no archive.
fn pack_all(archiver: &dyn Archiver, packed_at: Timestamp, mut steps: mpsc::Receiver<Step>) -> anyhow::Result<Option<(File, u64)>> {
    let mut archive = archiver.begin(packed_at)?;
    let mut rows = 0;
    while let Some(step) = steps.blocking_recv() {
        match step {
            Step::Table(table) => archive.table(&table)?,
            Step::Row(cells) => {
                archive.row(&cells)?;
                rows += 1;
            }
            Step::End => return Ok(Some((archive.finish()?, rows))),
        }
    }
    Ok(None)
}
