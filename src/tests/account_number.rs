//! Numbers of accounts are found however they are grouped.

use dashtam::domain::account_number::{AccountNumber, cut_ibans};

#[test]
fn a_number_is_cut_however_it_is_grouped_and_nothing_around_it_is() {
    let number = AccountNumber::new("000918 273-645");
    for (text, expected) in [
        ("918273645", "••••3645"),
        ("acct 918 273 645, thanks", "acct ••••3645, thanks"),
        ("0918273645", "0••••3645"),
        ("91827-3645 and 9-1-8-2-7-3-6-4-5", "••••3645 and ••••3645"),
        ("x918273645y918.273.645", "x••••3645y••••3645"),
        ("9918273645", "9••••3645"),
        ("918  273645", "918  273645"),
        ("91827364", "91827364"),
        ("91827364 6", "91827364 6"),
        ("ä918273645ä", "ä••••3645ä"),
        ("", ""),
    ] {
        assert_eq!(number.cut(text), expected, "{text}");
    }
    assert_eq!(AccountNumber::new("de02 1203").cut("to DE021203!"), "to ••••1203!");
    assert_eq!(AccountNumber::new("00001234").cut("1234 of 00001234"), "1234 of ••••1234", "its zeros make it a number");
    assert_eq!(AccountNumber::new("0012").cut("0012 12"), "0012 12", "too short to be told from other numbers");
}

#[test]
fn an_iban_is_cut_however_it_is_grouped_and_what_only_looks_like_one_is_not() {
    for (text, expected) in [
        ("DE89370400440532013000", "••••3000"),
        ("DE89370400440532013000_Girokonto.csv", "••••3000_Girokonto.csv"),
        ("umsaetze-de89 3704 0044 0532 0130 00.csv", "umsaetze-••••3000.csv"),
        ("GB29-NWBK-6016-1331-9268-19 and NO9386011117947", "••••6819 and ••••7947"),
        ("an Fr14 2004 1010 0505 0001 3M02 606 am 3.", "an ••••2606 am 3."),
        ("DE88370400440532013000", "DE88370400440532013000"),
        ("xDE89370400440532013000", "xDE89370400440532013000"),
        ("DE89  3704 0044", "DE89  3704 0044"),
        ("November 2026 statement 0044 0532", "November 2026 statement 0044 0532"),
        ("\u{e4}\u{20ac}", "\u{e4}\u{20ac}"),
        ("", ""),
    ] {
        assert_eq!(cut_ibans(text), expected, "{text}");
    }
}

#[test]
fn a_long_text_is_read_once() {
    let marks = "DE12 ".repeat(200_000);
    assert_eq!(cut_ibans(&marks), marks);
    let text = "9182736".repeat(200_000);
    assert_eq!(AccountNumber::new("918273645").cut(&text), text);
}
