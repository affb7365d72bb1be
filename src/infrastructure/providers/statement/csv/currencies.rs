//! Currencies as they stand beside numbers and in headings: by their codes, and by words and signs that may mean several.

use super::names::plain;
use crate::domain::money::Currency;

/// What banks write for a currency besides its code, and the codes it may mean, between bars.
const SIGNS: [(&str, &str); 37] = [
    ("$", "USD|CAD|AUD|NZD|HKD|SGD|TWD|BBD|BMD|BND|BSD|BZD|FJD|GYD|JMD|KYD|LRD|NAD|SBD|SRD|TTD|XCD|MXN|ARS|CLP|COP|UYU|DOP|CUP|BRL|NIO|CVE|MOP|TOP|WST"),
    ("£", "GBP|EGP|FKP|GIP|LBP|SHP|SSP|SDG|SYP"),
    ("¥", "JPY|CNY"),
    ("€", "EUR"),
    ("₹", "INR"),
    ("₺", "TRY"),
    ("₽", "RUB"),
    ("₴", "UAH"),
    ("₩", "KRW|KPW"),
    ("₪", "ILS"),
    ("₫", "VND"),
    ("₱", "PHP"),
    ("₦", "NGN"),
    ("₡", "CRC"),
    ("₸", "KZT"),
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("kr", "SEK|NOK|DKK|ISK"),
    ("kc", "CZK"),
    ("zl", "PLN"),
    ("ft", "HUF"),
    ("fr", "CHF|XOF|XAF|XPF"),
    ("sfr", "CHF"),
    ("rs", "INR|PKR|LKR|NPR|MUR|SCR"),
    ("r", "ZAR|BRL"),
    ("lei", "RON|MDL"),
    ("din", "RSD|MKD|DZD|TND|JOD|KWD|BHD|IQD|LYD"),
    ("tl", "TRY"),
    ("rm", "MYR"),
    ("rp", "IDR"),
    ("руб", "RUB|BYN"),
    ("грн", "UAH"),
    ("лв", "BGN"),
    ("円", "JPY"),
    ("元", "CNY|TWD|HKD"),
    ("圓", "JPY|TWD|HKD"),
    ("원", "KRW|KPW"),
];

/// Whether a character is a sign of money.
pub(super) fn is_sign(char: char) -> bool {
    matches!(char, '$' | '¢' | '£' | '¤' | '¥' | '\u{20a0}'..='\u{20cf}')
}

/// Whether a word beside a number is of money.
pub(super) fn is_of_money(word: &str) -> bool {
    code(word).is_some() || meant(word).is_some()
}

/// Whether what stands beside a number, or in a heading, means another currency than this one. A sign that may mean it does not.
pub(super) fn contradicts(text: &str, currency: &Currency) -> bool {
    words(text).into_iter().any(|word| match (code(word), meant(word)) {
        (Some(named), _) => named != *currency,
        (None, Some(codes)) => currency.is_iso() && !codes.split('|').any(|code| code == currency.code()),
        (None, None) => false,
    })
}

/// The one currency that a text can mean.
pub(super) fn named(text: &str) -> Option<Currency> {
    let words = words(text);
    words.into_iter().find_map(|word| code(word).or_else(|| meant(word).filter(|codes| !codes.contains('|')).and_then(code)))
}

/// What a heading says of the currency of its amounts: `(USD)`, `in CHF`, `euros`. Empty where it says nothing.
pub(super) fn in_heading(heading: &str) -> &str {
    let bracketed = heading.split_once(['(', '[']).and_then(|(_, behind)| behind.split_once([')', ']'])).map(|(inside, _)| inside.trim());
    let last = bracketed.or_else(|| heading.split_whitespace().next_back()).unwrap_or_default();
    let last = last.strip_prefix("in ").unwrap_or(last);
    let is_code = code(last).is_some() && last.chars().all(char::is_uppercase);
    let is_told = is_code || last.contains(is_sign) || (meant(last).is_some() && (bracketed.is_some() || plain(last).starts_with("euro")));
    if is_told { last } else { "" }
}

/// Words and signs of money. Letters before a dollar belong to it, unless they are a code.
fn words(text: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(|char: char| char.is_alphabetic() || is_sign(char)) {
        rest = &rest[at..];
        let is_end = |char: char| !char.is_alphabetic();
        let length = rest.chars().next().filter(|char| is_sign(*char)).map_or_else(|| rest.find(is_end).unwrap_or(rest.len()), char::len_utf8);
        let (word, behind) = rest.split_at(length);
        if !behind.starts_with('$') || code(word).is_some() {
            words.push(word);
        }
        rest = behind;
    }
    words
}

/// The codes that a word or sign may mean.
fn meant(word: &str) -> Option<&'static str> {
    let plain = plain(word);
    SIGNS.iter().find(|(sign, _)| *sign == word || *sign == plain).map(|(_, codes)| *codes)
}

/// The currency that a word is the code of.
fn code(word: &str) -> Option<Currency> {
    if word.len() == 3 { Currency::parse(&word.to_ascii_uppercase()).ok().filter(Currency::is_iso) } else { None }
}
