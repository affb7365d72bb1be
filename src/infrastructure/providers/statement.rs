//! Statement files: what a person downloads from their bank and brings here.
//!
//! OFX 1.x (SGML), OFX 2.x (XML) and QFX are one format to this reader, CSV is another; which one it is, a file's beginning tells. Rows go to
//! the spool and the file's text is not kept. What cannot be taken is named by its line, and the rest is offered. This module knows nothing of
//! uploads, links or what is stored already.

use std::io::{BufRead, Cursor, Read};

use crate::{
    application::ports::{StatementHints, StatementReader, StatementRefusal},
    domain::{
        import::StatementFile,
        provider::{LinkMethod, Manifest, ProviderCategory, Served},
    },
};

mod csv;
mod ofx;
mod problems;
mod redaction;
mod spool;
mod values;

use problems::Problems;

/// Rows of one file; 50 MiB of ordinary ones are half as many.
const MAX_ROWS: usize = 500_000;

/// How much of a file is looked at to tell what it is.
const BEGINNING: u64 = 64 * 1024;

/// How the catalogue shows them.
pub static MANIFEST: Manifest = Manifest {
    slug: "statement",
    name: "Statement files",
    description: "Files you download from your bank: OFX (any version), QFX and CSV.",
    category: ProviderCategory::File,
    method: LinkMethod::File,
    serves: &[Served::Balances, Served::Transactions, Served::Holdings],
    documentation: None,
    for_each_link: None,
    for_everyone: None,
    history_days: None,
    consent_days: None,
    // A month's statement, and a few days to fetch it.
    fresh_days: 35,
};

/// Reads OFX and QFX files of bank accounts and credit cards, and CSV files of any account.
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

    fn read(&self, input: &mut dyn BufRead, hints: &StatementHints) -> Result<StatementFile, StatementRefusal> {
        let mut start = Vec::new();
        let failure = Read::take(&mut *input, BEGINNING).read_to_end(&mut start).err();
        let is_whole = failure.is_none() && (start.len() as u64) < BEGINNING;
        let mut whole = Cursor::new(start.clone()).chain(std::io::BufReader::new(Failed(failure))).chain(input);
        if !is_ofx(&start) && csv::is_table(&start, is_whole, &hints.csv) {
            return csv::read(&start, is_whole, &mut whole, hints);
        }
        Ok(ofx::read(&mut whole)?)
    }
}

/// Whether the tag that OFX begins with is there, in one or two bytes a letter.
fn is_ofx(start: &[u8]) -> bool {
    let letters: Vec<u8> = start.iter().filter(|byte| **byte != 0).map(u8::to_ascii_uppercase).collect();
    letters.windows(4).any(|tag| tag == b"<OFX") || letters.starts_with(b"OFXHEADER")
}

/// Fails as a source failed before, if it did.
struct Failed(Option<std::io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
