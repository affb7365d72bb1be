//! Numbers of cards and accounts, taken out of what a provider answered before it is kept.
//!
//! A number is replaced by a name of its own: a keyed hash in letters and its last four characters, so that whatever joins one part of an
//! answer with another still does, and what is read of it once more ends in the same four.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::{account::MaskedNumber, account_number::AccountNumber, card_number, id::UserId, provider::AccountReference};

use crate::application::ports::Sealer;

/// What names begin with.
const NAMED: &str = "masked-";

/// How many bytes of a hash are in a name.
const HASHED: usize = 10;

/// The fewest characters of an account number that are looked for in other texts: shorter ones stand in dates and amounts.
const LONG_ENOUGH: usize = 6;

/// The most bytes of an account number: an IBAN has 34, and what is longer is none.
const LONGEST_NUMBER: usize = 64;

/// The fewest digits of a JSON number that is taken for an account's wherever it stands.
const LONG_AMOUNT: usize = 8;

/// Numbers of accounts that are looked for.
pub struct Numbers {
    /// As they were told, longest first.
    pub plain: Vec<String>,
    /// However they are spelt.
    spelt: Vec<AccountNumber>,
}

impl Numbers {
    /// Of these, longest first.
    pub fn of(plain: Vec<String>) -> Self {
        let spelt = plain.iter().map(|number| AccountNumber::new(number)).collect();
        Self { plain, spelt }
    }

    /// A text without them.
    pub fn cut(&self, text: &str) -> String {
        self.spelt.iter().fold(text.to_owned(), |text, number| number.cut(&text))
    }
}

/// Names for numbers of one user at one provider.
pub struct Names<'a> {
    /// Makes the hashes.
    pub sealer: &'a dyn Sealer,
    /// Whose.
    pub user: UserId,
    /// At which provider.
    pub provider: &'a str,
}

impl Names<'_> {
    /// What a number goes by; the same for the same number as long as the key is.
    pub fn of(&self, number: &str) -> String {
        self.ever_of(number).into_iter().next().unwrap_or_default()
    }

    /// The same under each key of the ring, the current one first: what was stored before a rotation is known by an older name.
    pub fn ever_of(&self, number: &str) -> Vec<String> {
        if number.starts_with(NAMED) {
            return vec![number.to_owned()];
        }
        let plain: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
        self.hashed(format!("number:{plain}"), number)
    }

    /// What `what` goes by under each key, shown by the end of `shown`.
    fn hashed(&self, what: String, shown: &str) -> Vec<String> {
        let hashes = self.sealer.fingerprints(self.user, self.provider, &AccountReference::new(what));
        let letters = |byte: &u8| [char::from(b'a' + (byte >> 4)), char::from(b'a' + (byte & 15))];
        let end = MaskedNumber::cut(shown).map(|masked| masked.as_str().trim_start_matches('•').to_owned()).unwrap_or_default();
        let name = |hash: &[u8]| format!("{NAMED}{}-{end}", hash.iter().take(HASHED).flat_map(letters).collect::<String>());
        hashes.iter().map(|fingerprint| name(&fingerprint.hash)).collect()
    }

    /// An id as it may be kept: one that holds the number of a card, or of one of these accounts, goes by a name.
    pub fn id(&self, id: &str, numbers: &Numbers) -> String {
        self.ever_of_id(id, numbers).into_iter().next().unwrap_or_else(|| id.to_owned())
    }

    /// The names of such an id under each key, the current one first; none for one that may be kept as it is.
    pub fn ever_of_id(&self, id: &str, numbers: &Numbers) -> Vec<String> {
        if id.starts_with(NAMED) {
            Vec::new()
        } else if is_card(id) || numbers.plain.iter().any(|number| number == id) {
            self.ever_of(id)
        } else if card_number::cut(id) != id || numbers.spelt.iter().any(|number| number.cut(id) != id) {
            self.hashed(format!("id:{id}"), id)
        } else {
            Vec::new()
        }
    }
}

/// A text as people see it: what a number goes by is shown as a number is, by its end.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(NAMED) {
        let hash = after.bytes().take_while(|byte| (b'a'..=b'p').contains(byte)).count();
        shown.push_str(before);
        if let Some(end) = after.get(hash..).and_then(|end| end.strip_prefix('-')).filter(|_| hash == 2 * HASHED) {
            shown.push_str("••••");
            rest = end;
        } else {
            shown.push_str(NAMED);
            rest = after;
        }
    }
    shown + rest
}

/// Whether a text is the number of a card and nothing else.
pub fn is_card(text: &str) -> bool {
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    has_digits && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-')) && card_number::cut(text) != text
}

/// Whether what stands under a key is the number of an account.
fn holds_number(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    ["accountnumber", "accountno", "acctnumber", "number", "iban", "pan", "cardnumber"].contains(&plain.as_str())
}

/// Whether what stands under a key is what rows and things are called, which may look like a card's number and be none.
fn holds_id(key: &str) -> bool {
    key.eq_ignore_ascii_case("id") || ["_id", "Id", "Hash", "hashValue"].iter().any(|end| key.ends_with(end)) || key == "replaces"
}

/// Takes numbers out of the answers of one stage.
pub struct Redaction<'a> {
    names: &'a Names<'a>,
    /// Account numbers that were found, longest first.
    numbers: Vec<String>,
    /// Those that are long enough to be looked for in texts and ids.
    long: Numbers,
}

impl<'a> Redaction<'a> {
    /// Of answers that told these numbers of accounts.
    pub fn of(names: &'a Names<'a>, found: BTreeSet<String>) -> Self {
        let mut numbers: Vec<String> = found.into_iter().collect();
        numbers.sort_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
        let long = Numbers::of(numbers.iter().filter(|number| is_long_enough(number)).cloned().collect());
        Self { names, numbers, long }
    }

    /// The account numbers that are long enough to be looked for in texts, longest first.
    pub fn numbers(&self) -> Vec<String> {
        self.long.plain.clone()
    }

    /// Whether a number that stands under no telling key is that of an account. Short ones are amounts as well.
    fn names_account(&self, text: &str) -> bool {
        text.len() >= LONG_AMOUNT && self.numbers.iter().any(|number| number == text)
    }

    /// A text that stands somewhere, such as a path.
    pub fn text(&self, text: &str) -> String {
        if let Some(number) = self.numbers.iter().find(|number| *number == text) {
            return self.names.of(number);
        }
        card_number::cut(&self.long.cut(text))
    }

    /// What an account or a row is called.
    pub fn id(&self, id: &str) -> String {
        self.names.id(id, &self.long)
    }

    /// A path and a query, each part of which may be what something is called.
    pub fn asked(&self, asked: &str) -> String {
        let parts = asked.split_inclusive(['/', '?', '&', '=']);
        // An address may spell an id otherwise than an answer does.
        let id = |part: &str| {
            let plain = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
            let named = if self.numbers.iter().any(|number| *number == plain) { self.names.of(&plain) } else { self.id(&plain) };
            if named == plain { part.to_owned() } else { named }
        };
        let part = |part: &str| match part.char_indices().next_back() {
            Some((end, mark @ ('/' | '?' | '&' | '='))) => format!("{}{mark}", id(&part[..end])),
            _ => id(part),
        };
        parts.map(part).collect()
    }

    /// An answer without numbers.
    pub fn answer(&self, key: &str, value: Value) -> Value {
        match value {
            Value::String(text) if holds_number(key) => Value::String(self.names.of(&text)),
            Value::String(text) if holds_id(key) => Value::String(self.id(&text)),
            Value::String(text) => Value::String(self.text(&text)),
            Value::Number(number) => {
                let text = whole(&number);
                if holds_number(key) || self.names_account(&text) {
                    Value::String(self.names.of(&text))
                } else if holds_id(key) {
                    let named = self.id(&text);
                    if named == text { Value::Number(number) } else { Value::String(named) }
                } else if is_card(&text) {
                    Value::String(card_number::cut(&text))
                } else {
                    Value::Number(number)
                }
            }
            Value::Array(values) => Value::Array(values.into_iter().map(|value| self.answer(key, value)).collect()),
            Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (self.text(&key), self.answer(&key, value))).collect()),
            other => other,
        }
    }
}

fn is_long_enough(number: &str) -> bool {
    number.len() >= LONG_ENOUGH && !number.starts_with(NAMED)
}

/// A number as it is read: one that is written like a double and has no fraction is a whole one.
fn whole(number: &serde_json::Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Collects what stands where numbers of accounts do.
pub fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if holds_number(key) && (1..=LONGEST_NUMBER).contains(&text.len()) => drop(found.insert(text.clone())),
                    Value::Number(number) if holds_number(key) => drop(found.insert(whole(number))),
                    other => collect(other, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
