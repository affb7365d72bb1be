//! The file's bytes: put aside once, in one of two encodings and with one kind of line end, so that they can be gone through twice without
//! being held in memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, Write},
    sync::Arc,
};

use encoding_rs::{Decoder, Encoding, UTF_8, WINDOWS_1252};

use crate::domain::import::{LineProblem, MAX_STATEMENT_BYTES};

/// How many bytes are taken at once.
const CHUNK: usize = 16 * 1024;

/// The longest line that is taken for one.
const MAX_LINE: usize = 64 * 1024;

/// One line, without its end.
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) text: String,
    /// Whether it goes on beyond what is taken.
    pub(super) is_cut: bool,
}

/// A file that was put aside.
pub(super) struct Text {
    file: Arc<File>,
    encoding: &'static Encoding,
    /// What the file was written in.
    pub(super) name: &'static str,
}

impl Text {
    /// Takes the whole of `input`. Without a byte order mark and without a `told` encoding it is UTF-8 if all of it can be, and else
    /// Windows-1252. What fails, or exceeds 50 MiB, is not taken in part.
    pub(super) fn put_aside(input: &mut dyn BufRead, told: Option<&'static Encoding>) -> Result<Self, LineProblem> {
        let failed = |message: &str| LineProblem { line: 1, message: message.to_owned() };
        let lost = |_| failed("the file could not be read to its end; bring it again");
        let mut out = Out { file: BufWriter::new(tempfile::tempfile().map_err(lost)?), after_return: false };
        let mut start = Vec::new();
        while start.len() < 3 && take(input, &mut start).map_err(lost)? > 0 {}
        let marked = Encoding::for_bom(&start);
        start.drain(..marked.map_or(0, |(_, length)| length));
        let known = marked.map(|(encoding, _)| encoding).or(told);
        let mut decoder = known.map(Encoding::new_decoder_without_bom_handling);
        let mut validity = Validity::default();
        let (mut bytes, mut taken) = (start, 0_u64);
        loop {
            let is_over = bytes.is_empty() && take(input, &mut bytes).map_err(lost)? == 0;
            taken += bytes.len() as u64;
            if taken > MAX_STATEMENT_BYTES {
                return Err(failed("the file is larger than 50 MiB; download a shorter period at a time"));
            }
            let written = if let Some(decoder) = &mut decoder {
                out.write(decoded(decoder, &bytes, is_over).as_bytes())
            } else {
                validity.see(&bytes);
                out.write(&bytes)
            };
            written.map_err(lost)?;
            if is_over {
                break;
            }
            bytes.clear();
        }
        let file = out.file.into_inner().map_err(|_| failed("the file could not be put aside; bring it again"))?;
        let encoding = if decoder.is_some() || validity.is_valid() { UTF_8 } else { WINDOWS_1252 };
        Ok(Self { file: Arc::new(file), encoding, name: known.unwrap_or(encoding).name() })
    }

    /// The lines, from the first.
    pub(super) fn lines(&self) -> io::Result<Lines<BufReader<SharedFile>>> {
        let mut file = SharedFile(Arc::clone(&self.file));
        file.rewind()?;
        Ok(Lines { input: BufReader::with_capacity(CHUNK, file), encoding: self.encoding, number: 0 })
    }
}

/// The beginning of a file as lines, without the last one if it may go on; UTF-8 if it can be, else Windows-1252.
pub(super) fn first_lines(start: &[u8], is_whole: bool, told: Option<&'static Encoding>) -> Vec<Line> {
    let marked = Encoding::for_bom(start);
    let bytes = &start[marked.map_or(0, |(_, length)| length)..];
    let mut validity = Validity::default();
    validity.see(bytes);
    // A character may be cut in two where the beginning ends.
    let guessed = if validity.has_failed { WINDOWS_1252 } else { UTF_8 };
    let encoding = marked.map(|(encoding, _)| encoding).or(told).unwrap_or(guessed);
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    if !is_whole {
        lines.pop();
    }
    (1..).zip(lines).map(|(number, text)| Line { number, text: text.to_owned(), is_cut: false }).collect()
}

/// Appends what the input has ready; 0 at its end.
fn take(input: &mut dyn BufRead, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let length = loop {
        match input.fill_buf() {
            Ok(ready) => {
                let ready = &ready[..ready.len().min(CHUNK)];
                bytes.extend_from_slice(ready);
                break ready.len();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    input.consume(length);
    Ok(length)
}

fn decoded(decoder: &mut Decoder, bytes: &[u8], last: bool) -> String {
    let mut text = String::with_capacity(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(CHUNK * 4));
    // There is room for the longest text these bytes can be, so none are left over; what is no character becomes U+FFFD.
    let (_all_of_it, _, _) = decoder.decode_to_string(bytes, &mut text, last);
    text
}

/// Writes every kind of line end as LF.
struct Out {
    file: BufWriter<File>,
    after_return: bool,
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_second = std::mem::take(&mut self.after_return) && piece == b"\n";
            match piece.split_last() {
                Some((b'\n', _)) if is_second => {}
                Some((b'\r', text)) => {
                    self.file.write_all(text)?;
                    self.file.write_all(b"\n")?;
                    self.after_return = true;
                }
                _ => self.file.write_all(piece)?,
            }
        }
        Ok(())
    }
}

/// Whether bytes that come in pieces are UTF-8.
#[derive(Default)]
struct Validity {
    /// The beginning of a character whose end has not come yet.
    begun: Vec<u8>,
    has_failed: bool,
}

impl Validity {
    fn see(&mut self, bytes: &[u8]) {
        if self.has_failed {
            return;
        }
        self.begun.extend_from_slice(bytes);
        match std::str::from_utf8(&self.begun) {
            Ok(_) => self.begun.clear(),
            Err(error) if error.error_len().is_none() => {
                self.begun.drain(..error.valid_up_to());
            }
            Err(_) => self.has_failed = true,
        }
    }

    fn is_valid(&self) -> bool {
        !self.has_failed && self.begun.is_empty()
    }
}

/// One reading of a file that is read more than once, one reading at a time.
pub(super) struct SharedFile(Arc<File>);

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_ref().read(buffer)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.0.as_ref().seek(to)
    }
}

/// Lines as they are read.
pub(super) struct Lines<R> {
    input: R,
    encoding: &'static Encoding,
    number: u64,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl<R: BufRead> Lines<R> {
    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        if (&mut self.input).take(MAX_LINE as u64).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let is_ended = bytes.pop_if(|last| *last == b'\n').is_some();
        let mut is_cut = false;
        if !is_ended && bytes.len() == MAX_LINE {
            is_cut = self.pass_over()?;
        }
        self.number += 1;
        Ok(Some(Line { number: self.number, text: self.encoding.decode_without_bom_handling(&bytes).0.into_owned(), is_cut }))
    }

    /// Goes to the next line; whether anything was passed over.
    fn pass_over(&mut self) -> io::Result<bool> {
        let mut has_passed = false;
        loop {
            let ready = self.input.fill_buf()?;
            let (length, is_end) = match ready.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (ready.len(), ready.is_empty()),
            };
            has_passed |= length > 1 || (length == 1 && !is_end);
            self.input.consume(length);
            if is_end {
                return Ok(has_passed);
            }
        }
    }
}
