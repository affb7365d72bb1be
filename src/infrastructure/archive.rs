//! Archives of exports: a ZIP with each list twice, as JSON Lines and as CSV (RFC 4180), and `manifest.json`, which names every file with
//! its rows and its SHA-256.
//!
//! CSV is opened in spreadsheets, which take a text that begins with `=`, `+`, `-`, `@` or a control character for a formula (CWE-1236).
//! Such texts, and those that begin with an apostrophe, get an apostrophe in front of them; numbers of ours do not. JSON Lines has every
//! text as it is. Both are written row by row, the CSV into a file of its own first, since a ZIP takes one entry after the other.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Seek as _, Write},
};

use anyhow::Context as _;
use chrono::{Datelike as _, Timelike as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::{
    application::ports::{Archive, Archiver, Cell, ExportTable},
    domain::{export::EXPORT_VERSION, time::Timestamp},
};

/// Packs ZIP archives.
pub struct ZipArchiver;

impl Archiver for ZipArchiver {
    fn begin(&self, packed_at: Timestamp) -> anyhow::Result<Box<dyn Archive>> {
        let file = tempfile::tempfile().context("a temporary file for an export cannot be made")?;
        let at = packed_at.utc();
        let second = |part: u32| u8::try_from(part).unwrap_or_default();
        let modified = zip::DateTime::from_date_and_time(
            u16::try_from(at.year()).unwrap_or_default(),
            second(at.month()),
            second(at.day()),
            second(at.hour()),
            second(at.minute()),
            second(at.second()),
        );
        // Beyond its years a ZIP knows no time.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(true)
            .unix_permissions(0o600)
            .last_modified_time(modified.unwrap_or_default());
        Ok(Box::new(ZipExport { zip: ZipWriter::new(BufWriter::new(file)), options, packed_at, open: None, contents: Vec::new() }))
    }
}

struct ZipExport {
    zip: ZipWriter<BufWriter<File>>,
    options: SimpleFileOptions,
    packed_at: Timestamp,
    open: Option<OpenTable>,
    contents: Vec<serde_json::Value>,
}

/// The list that is being written.
struct OpenTable {
    name: &'static str,
    about: &'static str,
    columns: Vec<String>,
    rows: u64,
    lines: Sum,
    csv: csv::Writer<BufWriter<File>>,
}

/// What was written, for the manifest.
#[derive(Default)]
struct Sum {
    digest: Sha256,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// An entry of the manifest.
    fn entry(self, name: &str, rows: u64, about: &str) -> serde_json::Value {
        let sha256 = self.digest.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        json!({ "name": name, "about": about, "rows": rows, "bytes": self.bytes, "sha256": sha256 })
    }
}

impl ZipExport {
    /// Ends the list at hand: its CSV follows its JSON Lines.
    fn close(&mut self) -> anyhow::Result<()> {
        let Some(table) = self.open.take() else { return Ok(()) };
        self.contents.push(table.lines.entry(&format!("{}.jsonl", table.name), table.rows, table.about));
        let mut csv = table.csv.into_inner().map_err(|broken| anyhow::anyhow!("writing CSV: {}", broken.error()))?.into_inner().context("writing CSV")?;
        csv.rewind()?;
        let name = format!("{}.csv", table.name);
        self.zip.start_file(name.as_str(), self.options)?;
        let (mut sum, mut csv, mut chunk) = (Sum::default(), BufReader::new(csv), vec![0; 64 * 1024]);
        loop {
            let read = csv.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            sum.add(&chunk[..read]);
            self.zip.write_all(&chunk[..read])?;
        }
        self.contents.push(sum.entry(&name, table.rows, table.about));
        Ok(())
    }
}

impl Archive for ZipExport {
    fn table(&mut self, table: &ExportTable) -> anyhow::Result<()> {
        self.close()?;
        self.zip.start_file(format!("{}.jsonl", table.name), self.options)?;
        let spool = BufWriter::new(tempfile::tempfile().context("a temporary file for an export cannot be made")?);
        let mut csv = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).terminator(csv::Terminator::CRLF).from_writer(spool);
        csv.write_record(&table.columns)?;
        self.open = Some(OpenTable { name: table.name, about: table.about, columns: table.columns.clone(), rows: 0, lines: Sum::default(), csv });
        Ok(())
    }

    fn row(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        let table = self.open.as_mut().context("a row belongs to a list")?;
        anyhow::ensure!(cells.len() == table.columns.len(), "a row of {} has another number of columns", table.name);
        let line = line(&table.columns, cells)?;
        table.lines.add(line.as_bytes());
        self.zip.write_all(line.as_bytes())?;
        table.csv.write_record(cells.iter().map(in_csv))?;
        table.rows += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<File> {
        self.close()?;
        let manifest = json!({
            "format": "dashtam-export",
            "schemaVersion": EXPORT_VERSION,
            "createdAt": self.packed_at.to_string(),
            "files": self.contents,
        });
        self.zip.start_file("manifest.json", self.options)?;
        self.zip.write_all(serde_json::to_string_pretty(&manifest)?.as_bytes())?;
        let mut file = self.zip.finish()?.into_inner().map_err(io::IntoInnerError::into_error).context("writing an export")?;
        file.rewind()?;
        Ok(file)
    }
}

/// One JSON object, in the order of its columns, and a line feed.
fn line(columns: &[String], cells: &[Cell]) -> anyhow::Result<String> {
    let mut line = String::from("{");
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        if at > 0 {
            line.push(',');
        }
        line.push_str(&serde_json::to_string(column)?);
        line.push(':');
        match cell {
            Cell::Nothing => line.push_str("null"),
            Cell::Flag(flag) => line.push_str(if *flag { "true" } else { "false" }),
            Cell::Count(count) => line.push_str(&count.to_string()),
            Cell::Decimal(text) | Cell::Text(text) => line.push_str(&serde_json::to_string(text)?),
            // Read and written again, so that it cannot end the line.
            Cell::Json(json) => line.push_str(&serde_json::from_str::<serde_json::Value>(json).context("stored JSON does not read")?.to_string()),
        }
    }
    line.push_str("}\n");
    Ok(line)
}

fn in_csv(cell: &Cell) -> String {
    match cell {
        Cell::Nothing => String::new(),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Count(count) => count.to_string(),
        Cell::Decimal(text) => text.clone(),
        Cell::Text(text) | Cell::Json(text) => disarmed(text),
    }
}

/// A text that no spreadsheet takes for a formula. Some skip blanks before they look, and some know the wide forms of the signs.
fn disarmed(text: &str) -> String {
    let is_armed = text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
        || text.starts_with(|first: char| first == '\'' || first.is_control());
    if is_armed { format!("'{text}") } else { text.to_owned() }
}
