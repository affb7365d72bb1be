//! The file's bytes one by one, with the line each stands on.
//!
//! Holds a few KiB at a time. A byte order mark is taken off; UTF-16 behind one becomes UTF-8 here, so that nobody else meets it.

use std::io::{BufRead, ErrorKind};

use encoding_rs::{Decoder, Encoding, UTF_8};

use crate::domain::import::{LineProblem, MAX_STATEMENT_BYTES};

/// How many bytes are taken at once.
const CHUNK: usize = 8 * 1024;

/// Why reading cannot go on.
pub(super) enum Stop {
    /// The text makes no sense from here on; what was read before it does.
    Broken(LineProblem),
    /// The file was not there to its end, or goes on beyond what is taken; nothing of it may be used.
    Incomplete(LineProblem),
}

/// A file on its way in.
pub(super) struct Source<'a> {
    input: &'a mut dyn BufRead,
    utf16: Option<Decoder>,
    chunk: Vec<u8>,
    at: usize,
    begun: bool,
    taken: u64,
    line: u64,
    after_return: bool,
}

impl<'a> Source<'a> {
    /// Nothing is read yet.
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, utf16: None, chunk: Vec::new(), at: 0, begun: false, taken: 0, line: 1, after_return: false }
    }

    /// The line of the byte that comes next, counted from 1. LF, CR LF and a lone CR end lines.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The byte that comes next, without taking it.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Stop> {
        if self.at == self.chunk.len() {
            self.refill()?;
        }
        Ok(self.chunk.get(self.at).copied())
    }

    /// Takes one byte; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<u8>, Stop> {
        let Some(byte) = self.peek()? else { return Ok(None) };
        self.at += 1;
        self.count(byte);
        Ok(Some(byte))
    }

    /// Takes bytes as long as they are `wanted`, as many as are at hand: none when the next one is not wanted, or at the end.
    pub(super) fn run(&mut self, wanted: impl Fn(u8) -> bool) -> Result<&[u8], Stop> {
        self.peek()?;
        let begin = self.at;
        while self.chunk.get(self.at).is_some_and(|byte| wanted(*byte)) {
            self.count(self.chunk[self.at]);
            self.at += 1;
        }
        Ok(&self.chunk[begin..self.at])
    }

    fn count(&mut self, byte: u8) {
        if byte == b'\r' || (byte == b'\n' && !self.after_return) {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }

    fn refill(&mut self) -> Result<(), Stop> {
        self.chunk.clear();
        self.at = 0;
        if !self.begun {
            self.begun = true;
            return self.begin();
        }
        // A decoder may take bytes and give none yet.
        while self.chunk.is_empty() {
            let mut bytes = Vec::new();
            self.take(&mut bytes)?;
            let last = bytes.is_empty();
            self.chunk = self.as_utf8(bytes, last);
            if last {
                break;
            }
        }
        Ok(())
    }

    /// The first chunk: long enough to show a byte order mark.
    fn begin(&mut self) -> Result<(), Stop> {
        let mut bytes = Vec::new();
        while bytes.len() < 3 && self.take(&mut bytes)? > 0 {}
        if let Some((encoding, length)) = Encoding::for_bom(&bytes) {
            bytes.drain(..length);
            self.utf16 = (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling());
        }
        self.chunk = self.as_utf8(bytes, false);
        if self.chunk.is_empty() { self.refill() } else { Ok(()) }
    }

    /// Appends at most a chunk of what the input has ready; 0 at its end.
    fn take(&mut self, bytes: &mut Vec<u8>) -> Result<usize, Stop> {
        let length = loop {
            match self.input.fill_buf() {
                Ok(ready) => {
                    let ready = &ready[..ready.len().min(CHUNK)];
                    bytes.extend_from_slice(ready);
                    break ready.len();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(self.incomplete("the file could not be read to its end; bring it again")),
            }
        };
        self.input.consume(length);
        self.taken += length as u64;
        if self.taken > MAX_STATEMENT_BYTES {
            return Err(self.incomplete("the file is larger than 50 MiB; download a shorter period at a time"));
        }
        Ok(length)
    }

    fn as_utf8(&mut self, bytes: Vec<u8>, last: bool) -> Vec<u8> {
        let Some(decoder) = &mut self.utf16 else { return bytes };
        let mut text = String::with_capacity(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(CHUNK * 4));
        let _ = decoder.decode_to_string(&bytes, &mut text, last);
        if last {
            // A decoder must not be asked again behind its end.
            self.utf16 = None;
        }
        text.into_bytes()
    }

    fn incomplete(&self, message: &str) -> Stop {
        Stop::Incomplete(LineProblem { line: self.line, message: message.to_owned() })
    }
}
