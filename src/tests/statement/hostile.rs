//! Files that are none, are damaged, never end or are meant to do harm.

use std::io::{BufRead, BufReader, Cursor, Read};

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_no_ofx_is_refused_with_advice() {
    let html = b"\n\n<html><body>Please sign in</body></html>";
    for bytes in
        [b"Date,Place\n2024-01-01,Rome".as_slice(), b"%PDF-1.7\n<< /Type /Catalog >>", b"\x89PNG\r\n\x1a\n", &vec![0; 100_000], b"x<y>", b"<?xml", b"</OFX>"]
    {
        let refusal = refusal(bytes);
        assert!(refusal.starts_with("line 1: this is not an OFX or QFX file, nor a CSV table"), "{refusal}");
    }
    assert!(refusal(html).starts_with("line 3: this is not an OFX"));
    assert_eq!(refusal(b""), "line 1: the file is empty; download it again from your bank");
    assert_eq!(refusal(b"\xEF\xBB\xBF \r\n"), refusal(b""));
    assert_eq!(refusal(b"<OFX>\n\n</OFX>\n"), "line 4: the file holds no statement of a bank account, a credit card or an investment account");
}

#[test]
fn declarations_are_refused() {
    let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE OFX [<!ENTITY a \"&b;&b;\">]>\n<OFX>&a;</OFX>";
    assert!(refusal(bomb.as_bytes()).starts_with("line 2: the file declares a document type"));
    let late = with_rows("<STMTTRN><DTPOSTED>20240101<TRNAMT>1</STMTTRN>\n<!ENTITY a SYSTEM \"file:///etc/passwd\">");
    let file = read_ok(&late);
    assert_eq!((file.statements[0].transactions.len(), file.problems.len(), file.problems[0].line), (1, 1, 2));
}

#[test]
fn a_file_that_breaks_off_keeps_what_was_complete() {
    let row = "<STMTTRN><DTPOSTED>20240101<TRNAMT>1234.56<NAME>whole</STMTTRN>\n";
    let whole = with_rows(&row.repeat(2));
    let cut = whole.windows(7).rposition(|window| window == b"1234.56").expect("the second amount") + 2;
    let file = read_ok(&whole[..cut]);
    assert_eq!(file.statements[0].transactions.len(), 1);
    assert_eq!(file.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn an_element_that_swallows_others_is_named() {
    let file = read_ok(&with_rows("<VENDOR.GAP>\n<STMTTRN><DTPOSTED>20240101<TRNAMT>1</STMTTRN>"));
    assert!(file.statements[0].transactions.is_empty());
    assert_eq!(file.problems[0].line, 1);
    assert!(file.problems[0].message.contains("never ends"));
}

#[test]
fn problems_are_counted_beyond_a_thousand() {
    let file = read_ok(&with_rows(&"<STMTTRN><TRNAMT>1</STMTTRN>\n".repeat(1234)));
    assert_eq!(file.problems.len(), 1001);
    let last = &file.problems[1000];
    assert_eq!((last.line, last.message.as_str()), (1001, "and 234 more problems from here on"));
}

/// A head, then one piece over and over, then a tail, made while it is read.
struct Endless {
    head: Cursor<Vec<u8>>,
    piece: Vec<u8>,
    left: u64,
    tail: Cursor<Vec<u8>>,
}

impl Endless {
    fn reader(head: &str, piece: &str, times: u64, tail: &str) -> impl BufRead {
        BufReader::new(Self { head: Cursor::new(head.into()), piece: piece.into(), left: times, tail: Cursor::new(tail.into()) })
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.head.read(buffer)?;
        if length > 0 || buffer.is_empty() {
            return Ok(length);
        }
        if self.left == 0 {
            return self.tail.read(buffer);
        }
        self.left -= 1;
        self.head = Cursor::new(self.piece.clone());
        self.read(buffer)
    }
}

#[test]
fn a_long_file_streams() {
    let frame = String::from_utf8(with_rows("@")).expect("text");
    let (head, tail) = frame.split_once('@').expect("the mark");
    let row = "<STMTTRN>\n<TRNTYPE>DEBIT\n<DTPOSTED>20240105\n<TRNAMT>-12.50\n<FITID>2024010500017\n<NAME>Corner shop\n<MEMO>Bread, milk and a very long remark\n</STMTTRN>\n";
    let times = 5 * 1024 * 1024 / row.len() as u64;
    let file = read_from(&mut Endless::reader(head, row, times, tail)).expect("readable");
    assert_eq!(file.problems, []);
    assert_eq!(file.statements[0].transactions.len() as u64, times);
    assert_eq!(file.statements[0].transactions.last().and_then(|row| row.line), Some((times - 1) * 8 + 1));
    let first = &file.statements[0].transactions[0];
    assert!(
        file.statements[0].transactions.iter().all(|row| (&row.facts, &row.reference) == (&first.facts, &first.reference)),
        "rows put aside come back whole"
    );
}

#[test]
fn what_never_ends_is_stopped() {
    let frame = String::from_utf8(with_rows("@")).expect("text");
    let (head, _) = frame.split_once('@').expect("the mark");
    let read = |head: &str, piece: &str, times: u64| read_from(&mut Endless::reader(head, piece, times, ""));
    let refused = read("", &"x".repeat(4096), u64::MAX).expect_err("no markup");
    assert!(refused.to_string().starts_with("line 1: this is not an OFX"));
    for (head, piece, said) in [
        (format!("{head}<"), "A", "a tag is too long or never ends"),
        (format!("{head}<STMTTRN "), "A", "a tag is too long or never ends"),
        (head.to_owned(), "<X>", "nests more than 32 deep"),
    ] {
        let file = read(&head, piece, u64::MAX).expect("the account is known");
        assert!(file.problems[0].message.contains(said), "{:?}", file.problems);
    }
    let text = read(&format!("{head}<STMTTRN><NAME>"), &"long ".repeat(13_107), 805).expect_err("over 50 MiB");
    assert!(text.to_string().contains("larger than 50 MiB"), "{text}");
}

#[test]
fn a_source_that_fails_gives_nothing() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the line went dead"))
        }
    }
    let half = &SEVERAL[..SEVERAL.len() / 2];
    let refused = read_from(&mut BufReader::new(half.chain(Failing))).expect_err("half a file");
    assert!(refused.to_string().contains("could not be read to its end"));
}

/// Whatever came in, what came out is bounded and clean.
fn check(bytes: &[u8]) {
    let Ok(file) = read(bytes) else { return };
    assert!(!file.statements.is_empty() && file.problems.len() <= 1001);
    assert!(file.problems.is_sorted_by_key(|problem| problem.line));
    for row in file.statements.iter().flat_map(|statement| &statement.transactions) {
        assert!(row.facts.description.chars().count() <= 1000 && !row.facts.description.contains(char::is_control));
        assert!(row.reference.as_ref().is_none_or(|reference| !reference.is_empty() && reference.len() <= 255));
        assert!(row.line.is_some_and(|line| line >= 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check(&bytes);
        check(&[b"<OFX>".as_slice(), &bytes].concat());
        check(&[b"\xFF\xFE".as_slice(), &bytes].concat());
        check(&with_row(&format!("<DTPOSTED>20240101<TRNAMT>1<NAME>{}", String::from_utf8_lossy(&bytes))));
    }

    #[test]
    fn any_markup_is_survived(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "<OFX>", "<STMTRS>", "</STMTRS>", "<CCSTMTRS>", "<CURDEF>USD", "<BANKACCTFROM>", "<CCACCTFROM>", "<ACCTID>4111111111111111", "<BANKTRANLIST>", "</BANKTRANLIST>", "<STMTTRN>",
        "</STMTTRN>", "<DTPOSTED>20240101", "<TRNAMT>1", "<PAYEE>", "<NAME>", "</NAME>", "<X>", "</X>", "<!--", "-->", "<![CDATA[", "]]>", "<", ">", "&", ";", "<LEDGERBAL>", "<BALAMT>1", "\n",
        "</OFX>", "<STATUS>", "<SEVERITY>ERROR", "4111 1111 1111 1111", "é",
    ]), 0..80)) {
        check(pieces.concat().as_bytes());
        check(&[b"<OFX><STMTRS><CURDEF>USD<BANKACCTFROM><ACCTID>1</BANKACCTFROM>".as_slice(), pieces.concat().as_bytes()].concat());
    }

    #[test]
    fn any_damage_is_survived(which in 0..ALL.len(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8)) {
        let mut bytes = ALL[which].to_vec();
        for (index, byte, act) in cuts {
            let at = index.index(bytes.len());
            match act {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        check(&bytes);
    }
}
