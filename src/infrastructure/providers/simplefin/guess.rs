//! What kind of account it is: SimpleFIN does not say, so its name has to tell, and its owner corrects what it told wrongly.

use crate::domain::account::AccountType;

/// Words that tell, the telling ones first: a health savings account is no savings account.
const WORDS: [(&str, AccountType); 34] = [
    ("roth", AccountType::RothIra),
    ("401k", AccountType::Plan401k),
    ("401(k)", AccountType::Plan401k),
    ("403b", AccountType::Plan403b),
    ("403(b)", AccountType::Plan403b),
    ("hsa", AccountType::Hsa),
    ("health savings", AccountType::Hsa),
    ("ira", AccountType::Ira),
    ("mortgage", AccountType::Mortgage),
    ("home loan", AccountType::Mortgage),
    ("line of credit", AccountType::LineOfCredit),
    ("heloc", AccountType::LineOfCredit),
    ("loan", AccountType::Loan),
    ("debit card", AccountType::Checking),
    ("credit card", AccountType::CreditCard),
    ("creditcard", AccountType::CreditCard),
    ("visa", AccountType::CreditCard),
    ("mastercard", AccountType::CreditCard),
    ("amex", AccountType::CreditCard),
    ("american express", AccountType::CreditCard),
    ("card", AccountType::CreditCard),
    ("money market", AccountType::MoneyMarket),
    ("certificate", AccountType::Cd),
    ("cd", AccountType::Cd),
    ("brokerage", AccountType::Brokerage),
    ("investment", AccountType::Brokerage),
    ("investing", AccountType::Brokerage),
    ("individual", AccountType::Brokerage),
    ("checking", AccountType::Checking),
    ("chequing", AccountType::Checking),
    ("share draft", AccountType::Checking),
    ("savings", AccountType::Savings),
    ("saving", AccountType::Savings),
    ("spending", AccountType::Checking),
];

/// The kind an account's name tells; an account with positions is a securities account if it tells nothing.
pub(super) fn kind(name: &str, has_holdings: bool) -> AccountType {
    let name = name.to_lowercase();
    let told = WORDS.iter().find(|(word, _)| stands_in(&name, word)).map(|(_, kind)| *kind);
    told.unwrap_or(if has_holdings { AccountType::Brokerage } else { AccountType::Other })
}

/// Whether a word stands in a name by itself: `ira` does not stand in `Miranda`.
fn stands_in(name: &str, word: &str) -> bool {
    let is_edge = |neighbour: Option<char>| !neighbour.is_some_and(char::is_alphanumeric);
    name.match_indices(word).any(|(at, _)| is_edge(name[..at].chars().next_back()) && is_edge(name[at + word.len()..].chars().next()))
}
