//! Dividends and interest, which Schwab books as one type: what a row is called tells them apart, and what it was paid on.
//!
//! Names of securities stand in descriptions, so only whole words count, and of words that names have as well (`INT` of international or of
//! beneficial interest, `TAX` of tax-free) only those beside others that tell.

use crate::domain::transaction::TransactionSubtype as Subtype;

/// Tax that was withheld, or came back.
const TAX: [&str; 7] = [" WITHH", " NRA ", " FOREIGN TAX", " FRGN TAX", " TAX REVERSAL", " TAX REFUND", " TAX RECLAIM"];

/// What is not taxed, or is a name.
const UNTAXED: [&str; 4] = [" TAX EXEMPT", " TAX FREE", " TAX MANAGED", " TAX ADV"];

const CAPITAL_GAIN: [&str; 2] = [" CAP GAIN", " CAPITAL GAIN"];

const RETURN_OF_CAPITAL: [&str; 1] = [" RETURN OF CAPITAL "];

const DIVIDEND: [&str; 3] = [" DIV ", " DIVS ", " DIVIDEND"];

/// What shares of a trust are called.
const SHARES: [&str; 2] = [" BENEFICIAL INTEREST ", " BEN INTEREST "];

const INTEREST: [&str; 11] = [
    " INTEREST ",
    " BANK INT ",
    " CREDIT INT ",
    " MARGIN INT ",
    " BOND INT ",
    " CASH INT ",
    " ACCRUED INT ",
    " INT INCOME ",
    " INT PAID ",
    " INT PAYMENT ",
    " INT CHARGE",
];

/// What a row is. Taxes and gains come first, since they are told of dividends; `is_on_a_share` is whether it names a share or a fund.
pub(super) fn kind(described: &str, leaves: bool, is_on_a_share: bool) -> Subtype {
    let upper = described.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let text = SHARES.iter().fold(format!(" {} ", words.join(" ")), |text, share| text.replace(share, " "));
    let says = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    if says(&TAX) || (leaves && says(&[" TAX "]) && !says(&UNTAXED)) {
        Subtype::TaxWithheld
    } else if says(&CAPITAL_GAIN) {
        Subtype::CapitalGain
    } else if says(&RETURN_OF_CAPITAL) {
        Subtype::ReturnOfCapital
    } else if says(&DIVIDEND) {
        Subtype::Dividend
    } else if says(&INTEREST) {
        if leaves { Subtype::MarginInterest } else { Subtype::Interest }
    } else if is_on_a_share {
        Subtype::Dividend
    } else if leaves {
        // Of charges without a name, there is one.
        Subtype::MarginInterest
    } else {
        Subtype::Distribution
    }
}
