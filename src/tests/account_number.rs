//! Numbers of accounts are found however they are grouped.

use dashtam::domain::account_number::AccountNumber;

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
fn a_long_text_is_read_once() {
    let text = "9182736".repeat(200_000);
    assert_eq!(AccountNumber::new("918273645").cut(&text), text);
}
