//! Whatever was written in a format is read back the same.

use chrono::{Datelike, NaiveDate};
use dashtam::domain::{
    csv::{CsvCorrection, CsvQuestion, DateOrder, DecimalMark},
    money::{Amount, Currency},
    time::LocalDate,
};
use proptest::{
    prelude::*,
    sample::{Index, select},
};

use super::{StatementRefusal, hints, read_with};

/// A row as it is meant.
#[derive(Debug, Clone)]
struct Meant {
    day: NaiveDate,
    cents: i64,
    text: String,
}

/// A way to write a file.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says of one habit whether a bank has it")]
struct Way {
    delimiter: u8,
    encoding: &'static str,
    headings: [&'static str; 4],
    has_headings: bool,
    lines_above: usize,
    order: DateOrder,
    separator: char,
    short_year: bool,
    mark: DecimalMark,
    grouped: bool,
    negative: &'static str,
    halves: bool,
    line_end: csv::Terminator,
}

fn meant() -> impl Strategy<Value = Meant> {
    let text = "[A-Za-zäöüé][A-Za-z0-9 äöüé,;|\"'()=+@-]{0,30}";
    (0..20_000_i64, -100_000_000..100_000_000_i64, text).prop_map(|(days, cents, text)| Meant {
        day: NaiveDate::from_ymd_opt(1990, 1, 1).unwrap() + chrono::Duration::days(days),
        cents,
        text,
    })
}

fn way() -> impl Strategy<Value = Way> {
    let headings = select(vec![
        ["Date", "Description", "Amount", "Credit"],
        ["Buchungstag", "Verwendungszweck", "Betrag (EUR)", "Haben"],
        ["Fecha", "Concepto", "Importe", "Abono"],
        ["Datum", "Omschrijving", "Bedrag", "Bij"],
    ]);
    let table = (select(vec![b',', b';', b'\t', b'|']), select(vec!["UTF-8", "UTF-8 marked", "UTF-16", "windows-1252"]), headings, any::<bool>(), 0..4_usize);
    let dates = (select(DateOrder::ALL.to_vec()), select(vec!['-', '/', '.']), any::<bool>());
    let numbers = (select(DecimalMark::ALL.to_vec()), any::<bool>(), select(vec!["-1", "1-", "(1)", "−1", "-1 €", "EUR -1"]), any::<bool>());
    let line_ends = any::<Index>().prop_map(|at| [csv::Terminator::CRLF, csv::Terminator::Any(b'\n'), csv::Terminator::Any(b'\r')][at.index(3)]);
    (table, dates, numbers, line_ends).prop_map(|(table, (order, separator, short_year), numbers, line_end)| Way {
        delimiter: table.0,
        encoding: table.1,
        headings: table.2,
        has_headings: table.3 || numbers.3,
        lines_above: table.4,
        order,
        // Nobody writes the month first between points, so a file that does has to say so.
        separator: if order == DateOrder::MonthDayYear && separator == '.' { '/' } else { separator },
        // A short year in front is written by nobody, and read by nobody unless nothing else fits.
        short_year: short_year && order != DateOrder::YearMonthDay,
        mark: numbers.0,
        grouped: numbers.1,
        negative: numbers.2,
        halves: numbers.3,
        line_end,
    })
}

impl Way {
    fn date(&self, day: NaiveDate) -> String {
        let year = if self.short_year { format!("{:02}", day.year() % 100) } else { day.year().to_string() };
        let (month, day) = (format!("{:02}", day.month()), format!("{:02}", day.day()));
        let parts = match self.order {
            DateOrder::YearMonthDay => [year, month, day],
            DateOrder::DayMonthYear => [day, month, year],
            DateOrder::MonthDayYear => [month, day, year],
        };
        parts.join(&self.separator.to_string())
    }

    fn number(&self, cents: i64) -> String {
        let (point, group) = if self.mark == DecimalMark::Point { ('.', ',') } else { (',', '.') };
        let mut whole = (cents.abs() / 100).to_string();
        if self.grouped {
            for at in (1..whole.len()).rev().filter(|at| (whole.len() - at).is_multiple_of(3)).collect::<Vec<_>>() {
                whole.insert(at, group);
            }
        }
        let digits = format!("{whole}{point}{:02}", cents.abs() % 100);
        if cents < 0 { self.negative.replace('1', &digits) } else { digits }
    }

    fn write(&self, rows: &[Meant]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().delimiter(self.delimiter).terminator(self.line_end).flexible(true).from_writer(Vec::new());
        for _ in 0..self.lines_above {
            writer.write_record(["Statement of an account", "made for somebody"]).unwrap();
        }
        let [date, text, amount, credit] = self.headings;
        if self.has_headings {
            let debit = if credit == "Credit" { "Debit" } else { "Debet" };
            writer.write_record(if self.halves { vec![date, text, debit, credit] } else { vec![date, text, amount] }).unwrap();
        }
        for row in rows {
            let (day, number) = (self.date(row.day), self.number(row.cents));
            let halves = if row.cents < 0 { [self.number(-row.cents), String::new()] } else { [String::new(), number.clone()] };
            let mut cells = vec![day, row.text.clone()];
            cells.extend(if self.halves { halves.to_vec() } else { vec![number] });
            writer.write_record(cells).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        match self.encoding {
            "UTF-8 marked" => format!("\u{feff}{text}").into_bytes(),
            "UTF-16" => [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
            "windows-1252" => encoding_rs::WINDOWS_1252.encode(&text.replace('−', "-")).0.into_owned(),
            _ => text.into_bytes(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_written_is_read_back_the_same(way in way(), rows in proptest::collection::vec(meant(), 3..40)) {
        let bytes = way.write(&rows);
        let mut correction = CsvCorrection::default();
        let told = loop {
            match read_with(&bytes, &hints("EUR", correction.clone())) {
                Err(StatementRefusal::Undecided { question: CsvQuestion::DateOrder, .. }) if correction.date_order.is_none() => correction.date_order = Some(way.order),
                Err(StatementRefusal::Undecided { question: CsvQuestion::DecimalMark, .. }) if correction.decimal_mark.is_none() => correction.decimal_mark = Some(way.mark),
                other => break other.unwrap(),
            }
        };
        prop_assert!(told.problems.is_empty(), "{:?}\n{:?}", told.problems, told.format);
        let euro = Currency::parse("EUR").unwrap();
        let read: Vec<_> = told.rows.iter().map(|row| (row.facts.posted_on, row.facts.amount, row.facts.description.clone())).collect();
        let year_of = |day: NaiveDate| if way.short_year { day.with_year(if day.year() % 100 < 70 { 2000 } else { 1900 } + day.year() % 100).unwrap() } else { day };
        let meant: Vec<_> = rows.iter().map(|row| (
            LocalDate::from_naive(year_of(row.day)).unwrap(),
            Amount::parse(&format!("{}{}.{:02}", if row.cents < 0 { "-" } else { "" }, row.cents.abs() / 100, row.cents.abs() % 100), &euro).unwrap(),
            row.text.split_whitespace().collect::<Vec<_>>().join(" "),
        )).collect();
        prop_assert_eq!(read, meant);
    }
}
