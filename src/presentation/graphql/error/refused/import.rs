//! Refusals of imports: what a client learns of a file that is not taken in, or not taken back.

use crate::{
    application::import::{FoundBy, ImportError},
    domain::{csv::CsvQuestion, import::ImportRefusal},
};

use super::{Fault, Refused, UserError, UserErrorCode};

/// What a client has to say about a CSV file.
fn undecided(question: CsvQuestion) -> UserError {
    let field: &[&str] = match question {
        CsvQuestion::Encoding => &["csv", "encoding"],
        CsvQuestion::Columns => &["csv", "columns"],
        CsvQuestion::DateOrder => &["csv", "dateOrder"],
        CsvQuestion::DecimalMark => &["csv", "decimalMark"],
        CsvQuestion::Account => &["account"],
        CsvQuestion::Sign => &["csv", "invertSign"],
        CsvQuestion::Currency => &["account", "currency"],
    };
    at(UserErrorCode::FileUndecided, &question, field)
}

/// A refusal that is about a field inside another.
fn at(code: UserErrorCode, message: &impl ToString, field: &[&str]) -> UserError {
    UserError { code, message: message.to_string(), field: Some(field.iter().map(|part| (*part).to_owned()).collect()) }
}

/// What would have to be said otherwise for a file to fit its account.
fn other_currency(error: &ImportError, found_by: FoundBy) -> UserError {
    let field: &[&str] = match found_by {
        FoundBy::Id => &["accountId"],
        FoundBy::Name => &["account", "currency"],
        FoundBy::Number => &["content"],
    };
    at(UserErrorCode::CurrencyMismatch, error, field)
}

/// What a client learns of an import that has not come that far, or too far.
fn of_import(refusal: ImportRefusal) -> UserErrorCode {
    match refusal {
        ImportRefusal::Expired => UserErrorCode::PreviewExpired,
        ImportRefusal::Committed => UserErrorCode::ImportCommitted,
        ImportRefusal::Previewed => UserErrorCode::ImportNotCommitted,
        ImportRefusal::Reverted => UserErrorCode::ImportReverted,
        ImportRefusal::Untracked | ImportRefusal::Cleared => UserErrorCode::ImportNotRevertible,
    }
}

impl From<ImportError> for Refused {
    fn from(error: ImportError) -> Self {
        let (code, field) = match &error {
            ImportError::Unreadable(_) => (UserErrorCode::FileUnreadable, Some("content")),
            ImportError::Undecided { question, .. } => return Self::User(undecided(*question)),
            ImportError::TooLarge => (UserErrorCode::FileTooLarge, Some("content")),
            ImportError::SeveralAccounts => (UserErrorCode::FileHoldsSeveralAccounts, Some("accountId")),
            ImportError::UnclearAccount(_) => return Self::User(at(UserErrorCode::AccountUnclear, &error, &["account", "name"])),
            ImportError::OtherCurrency(found_by) => return Self::User(other_currency(&error, *found_by)),
            ImportError::InvalidName(_) => return Self::User(at(UserErrorCode::NameInvalid, &error, &["account", "name"])),
            ImportError::NotFound => (UserErrorCode::NotFound, Some("accountId")),
            ImportError::UnknownImport => (UserErrorCode::NotFound, Some("importId")),
            ImportError::TooLongForPreview => (UserErrorCode::FileTooLongForPreview, Some("content")),
            ImportError::Refused(refusal) => (of_import(*refusal), Some("importId")),
            ImportError::Denied(denied) => return Self::Fault((*denied).into()),
            ImportError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}
