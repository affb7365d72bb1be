//! Statement files: what a person downloads from their bank and brings here.
//!
//! OFX 1.x (SGML), OFX 2.x (XML) and QFX are one format to this reader. A file is read once, front to back; its rows go to the
//! spool and its text is not kept. What cannot be taken is named by its line, and the rest is offered. This module knows nothing of uploads,
//! links or what is stored already.

use std::io::BufRead;

use crate::{
    application::ports::StatementReader,
    domain::{
        import::{StatementFile, UnreadableFile},
        provider::{LinkMethod, Manifest, ProviderCategory},
    },
};

mod ofx;
mod redaction;
mod spool;

static MANIFEST: Manifest = Manifest {
    slug: "statement",
    name: "Statement files",
    description: "Files you download from your bank: OFX (any version) and QFX.",
    category: ProviderCategory::File,
    method: LinkMethod::File,
    history_days: None,
    consent_days: None,
    // A month's statement, and a few days to fetch it.
    fresh_days: 35,
};

/// Reads OFX and QFX files of bank accounts and credit cards.
///
/// Answers `Ok` as soon as one account's statement was read; everything that was left out then stands in `problems`, in the order of
/// its lines: the first 1,000, and a last entry that counts the others. When no statement was read, the first problem is the error.
/// A source that fails or exceeds 50 MiB is an error whatever was read before, since half a file must not pass for a whole one.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatementFiles;

impl StatementReader for StatementFiles {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn read(&self, input: &mut dyn BufRead) -> Result<StatementFile, UnreadableFile> {
        ofx::read(input)
    }
}
