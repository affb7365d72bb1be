//! The lexer: tags and the text between them, for SGML and XML alike.
//!
//! OFX 1.x leaves out the end tags of leaves and OFX 2.x has them all; seen as a stream of opening tags, text and closing tags the
//! two are the same, and files that call themselves one and are the other read as well. Memory is bounded: a value keeps its first
//! 4 KiB, a tag's name 64 bytes. What only looks like markup (`A < B`, `AT&T`) is text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::source::{Source, Stop};
use crate::domain::import::LineProblem;

/// Bytes of a value that are kept; the rest is passed over.
const MAX_VALUE: usize = 4 * 1024;
/// Bytes of a tag's name.
const MAX_NAME: usize = 64;
/// Bytes between a tag's name and its `>`.
const MAX_TAIL: usize = 1024;

const EMPTY: &str = "the file is empty; download it again from your bank";
const NOT_OFX: &str = "this is not an OFX or QFX file, nor a CSV table with dates and amounts; at your bank, choose one of these formats and download it again";
const DECLARATION: &str = "the file declares a document type or entities (<!…>), which no statement needs and which is not read; \
                           choose OFX or QFX at your bank and download it again";
const ENDLESS_TAG: &str = "a tag is too long or never ends; reading stopped here";

/// One piece of the file.
pub(super) enum Token {
    /// `<NAME>`, in capitals.
    Open { name: String, line: u64 },
    /// `</NAME>`, in capitals.
    Close { name: String },
    /// What stands between two tags: decoded, trimmed, never blank.
    Text(String),
}

/// Cuts a file into tokens.
pub(super) struct Lexer<'a> {
    source: Source<'a>,
    /// What text is in when it is not UTF-8.
    fallback: &'static Encoding,
    rooted: bool,
    blank: bool,
    /// The tag that ended the text before it.
    held: Option<Token>,
}

impl<'a> Lexer<'a> {
    /// Nothing is read yet.
    pub(super) fn new(source: Source<'a>) -> Self {
        Self { source, fallback: WINDOWS_1252, rooted: false, blank: true, held: None }
    }

    /// The line reading has come to.
    pub(super) fn line(&self) -> u64 {
        self.source.line()
    }

    /// The next token; `None` at the end. The first one is the opening of `OFX`, or the file is refused. Text that no tag ends is not
    /// whole and is not answered.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Stop> {
        if let Some(tag) = self.held.take() {
            return Ok(Some(tag));
        }
        let mut text = Text::default();
        loop {
            let run = self.source.run(|byte| byte != b'<')?;
            if !run.is_empty() {
                self.blank &= self.rooted || run.iter().all(u8::is_ascii_whitespace);
                text.extend(run);
                if text.overflowed && !self.rooted {
                    return Err(self.not_ofx(1));
                }
                continue;
            }
            if self.source.next()?.is_none() {
                return if self.rooted { Ok(None) } else { Err(self.not_ofx(1)) };
            }
            self.blank = false;
            let Some(tag) = self.markup(&mut text)? else { continue };
            let text = std::mem::take(&mut text).finish(self.fallback);
            if !self.rooted {
                self.root(&tag, text.as_deref())?;
                return Ok(Some(tag));
            }
            let Some(text) = text else { return Ok(Some(tag)) };
            self.held = Some(tag);
            return Ok(Some(Token::Text(text)));
        }
    }

    /// The first tag. The text before it is the header of OFX 1.x (section 2.2.1), of which only CHARSET is of use.
    fn root(&mut self, tag: &Token, header: Option<&str>) -> Result<(), Stop> {
        match tag {
            Token::Open { name, .. } if name == "OFX" => self.rooted = true,
            Token::Open { line, .. } => return Err(self.not_ofx(*line)),
            _ => return Err(self.not_ofx(1)),
        }
        let charset = header.and_then(|header| header.split_once("CHARSET:")).map(|(_, rest)| rest.trim_start());
        if let Some(label) = charset.and_then(|rest| rest.split(char::is_whitespace).next()) {
            // Some banks write the whole header on one line without a space.
            self.declare(label.split("COMPRESSION").next().unwrap_or(label));
        }
        Ok(())
    }

    /// Behind a `<`. Answers a tag, or `None` when it was something else, which is then in `text` or passed over.
    fn markup(&mut self, text: &mut Text) -> Result<Option<Token>, Stop> {
        let line = self.source.line();
        match self.source.peek()? {
            Some(b'?') => self.instruction(text)?,
            Some(b'!') => self.declaration(text)?,
            Some(b'/') => {
                self.source.next()?;
                return Ok(self.tag(b"</", text)?.map(|(name, _)| Token::Close { name }));
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                let tag = self.tag(b"<", text)?;
                return Ok(tag.filter(|(_, empty)| !empty).map(|(name, _)| Token::Open { name, line }));
            }
            _ => text.push(b'<'),
        }
        Ok(None)
    }

    /// Reads a tag's name and passes over its attributes; says whether it closed itself (`<NAME/>`). What turns out not to be a tag
    /// goes back into the text.
    fn tag(&mut self, opening: &[u8], text: &mut Text) -> Result<Option<(String, bool)>, Stop> {
        let mut seen = opening.to_vec();
        loop {
            let run = self.source.run(is_name)?;
            if run.is_empty() {
                break;
            }
            seen.extend_from_slice(run);
            if seen.len() > opening.len() + MAX_NAME {
                return Err(self.broken(ENDLESS_TAG));
            }
        }
        let name = String::from_utf8_lossy(&seen[opening.len()..]).to_ascii_uppercase();
        let mut follows = !name.is_empty() && self.source.peek()?.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
        while follows {
            match self.source.peek()? {
                Some(b'<') => follows = false,
                Some(byte) => {
                    self.source.next()?;
                    if byte == b'>' {
                        return Ok(Some((name, seen.ends_with(b"/"))));
                    }
                    seen.push(byte);
                }
                None => return Err(self.broken(ENDLESS_TAG)),
            }
            if seen.len() > MAX_NAME + MAX_TAIL {
                return Err(self.broken(ENDLESS_TAG));
            }
        }
        text.extend(&seen);
        Ok(None)
    }

    /// `<?xml …?>` and `<?OFX …?>`: only the encoding is of use.
    fn instruction(&mut self, text: &mut Text) -> Result<(), Stop> {
        if self.rooted {
            text.push(b'<');
            return Ok(());
        }
        let mut seen = Vec::new();
        loop {
            match self.source.next()? {
                Some(b'>') => break,
                Some(byte) if seen.len() < MAX_TAIL => seen.push(byte),
                _ => return Err(self.broken(ENDLESS_TAG)),
            }
        }
        let instruction = String::from_utf8_lossy(&seen);
        if let Some(label) = instruction.split_once("encoding=").and_then(|(_, rest)| rest.split(['"', '\'']).nth(1)) {
            self.declare(label);
        }
        Ok(())
    }

    /// `<!-- … -->` is passed over, `<![CDATA[ … ]]>` is text as it stands, any other declaration ends reading.
    fn declaration(&mut self, text: &mut Text) -> Result<(), Stop> {
        let mut seen = Vec::new();
        while seen.len() < b"![CDATA[".len() {
            match self.source.peek()? {
                Some(byte) if byte != b'<' && (b"![CDATA[".starts_with(&seen) || seen == b"!-") => {
                    self.source.next()?;
                    seen.push(byte);
                }
                _ => break,
            }
        }
        match seen.as_slice() {
            b"!--" => self.until(*b"-->", |_| {}),
            b"![CDATA[" => {
                text.flush(self.fallback);
                self.until(*b"]]>", |byte| text.push(byte))?;
                text.flush_verbatim(self.fallback);
                Ok(())
            }
            [b'!', byte, ..] if byte.is_ascii_alphabetic() || *byte == b'[' => Err(broken_at(self.source.line(), DECLARATION)),
            _ => {
                text.push(b'<');
                text.extend(&seen);
                Ok(())
            }
        }
    }

    /// Hands on every byte before `end`, and takes `end` too.
    fn until(&mut self, end: [u8; 3], mut each: impl FnMut(u8)) -> Result<(), Stop> {
        let mut last = Vec::with_capacity(end.len() + 1);
        while let Some(byte) = self.source.next()? {
            last.push(byte);
            if last == end {
                return Ok(());
            }
            if last.len() == end.len() {
                each(last.remove(0));
            }
        }
        Err(self.broken("the file ends inside a comment or a CDATA section"))
    }

    /// Takes a declared character set as the second choice behind UTF-8: headers are often wrong, and text that is valid UTF-8 is
    /// hardly ever anything else. Unknown names leave Windows-1252.
    fn declare(&mut self, label: &str) {
        let named = [label.to_owned(), format!("windows-{label}"), format!("iso-{label}")];
        let encoding = named.iter().find_map(|name| Encoding::for_label(name.as_bytes()));
        self.fallback = encoding.filter(|encoding| *encoding != UTF_8 && encoding.is_ascii_compatible()).unwrap_or(WINDOWS_1252);
    }

    fn broken(&self, message: &str) -> Stop {
        if self.rooted { broken_at(self.source.line(), message) } else { self.not_ofx(1) }
    }

    fn not_ofx(&self, line: u64) -> Stop {
        broken_at(line, if self.blank { EMPTY } else { NOT_OFX })
    }
}

fn broken_at(line: u64, message: &str) -> Stop {
    Stop::Broken(LineProblem { line, message: message.to_owned() })
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':')
}

/// A value being collected.
#[derive(Default)]
struct Text {
    done: String,
    raw: Vec<u8>,
    overflowed: bool,
}

impl Text {
    fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = MAX_VALUE.saturating_sub(self.done.len() + self.raw.len());
        self.overflowed |= bytes.len() > room;
        self.raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Decodes what was collected, entities included.
    fn flush(&mut self, fallback: &'static Encoding) {
        let decoded = self.decode(fallback);
        unescape(&decoded, &mut self.done);
        self.raw.clear();
    }

    /// Decodes what was collected and leaves `&` alone.
    fn flush_verbatim(&mut self, fallback: &'static Encoding) {
        let decoded = self.decode(fallback);
        self.done.push_str(&decoded);
        self.raw.clear();
    }

    fn decode(&self, fallback: &'static Encoding) -> String {
        match std::str::from_utf8(&self.raw) {
            Ok(text) => text.to_owned(),
            // The cap may have split the last character.
            Err(error) if self.overflowed && error.error_len().is_none() => String::from_utf8_lossy(&self.raw[..error.valid_up_to()]).into_owned(),
            Err(_) => fallback.decode_without_bom_handling(&self.raw).0.into_owned(),
        }
    }

    fn finish(mut self, fallback: &'static Encoding) -> Option<String> {
        self.flush(fallback);
        let text = self.done.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Replaces the five entities of XML and numeric characters; everything else behind `&` stays as written.
fn unescape(text: &str, into: &mut String) {
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        into.push_str(before);
        let (char, length) = entity(behind).unwrap_or(('&', 0));
        into.push(char);
        rest = &behind[length..];
    }
    into.push_str(rest);
}

/// The character an entity stands for, and how long it is written, from behind `&` to `;` inclusive.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(10).position(|byte| byte == b';')?;
    let char = match &text[..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((char, end + 1))
}
