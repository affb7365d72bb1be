//! Errors as clients see them: refusals are data, faults are top-level errors with a code.
//!
//! Here and in `refused` stands the one map from the use cases' errors to codes. A new variant there does not compile until somebody decides
//! here what a client sees. Causes go to the log, once, and never to a client.

mod refused;

use async_graphql::{ErrorExtensions, ServerError, parser};

use crate::{
    application::{QueryError, access::Denied, audit::AuditError, change::ChangeError},
    domain::failure::Unavailable,
    presentation::http::trace,
};

pub use refused::{Refused, UserError, UserErrorCode, outcome};

/// How long a message of the library may become, in characters: it repeats names, and whoever asks chooses them.
const MAX_MESSAGE: usize = 400;

/// All a client learns of a fault of ours.
pub const INTERNAL_MESSAGE: &str = "something went wrong on our side; the trace id finds it in the server's log";

/// The codes of top-level errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// No, or no working, access token.
    Unauthenticated,
    /// The role never allows it.
    Forbidden,
    /// An argument no document validation could refuse.
    BadUserInput,
    /// The document does not parse.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// The document costs more than one may.
    QueryTooComplex,
    /// No document of this id or hash is known here: send its text.
    PersistedQueryNotFound,
    /// Too much was asked lately; `extensions.retryAfter` says when to ask again, `extensions.limit` which limit it was.
    RateLimited,
    /// A part is overloaded or gone; `extensions.retryAfter` says when to ask again.
    Unavailable,
    /// Ours.
    Internal,
}

impl Code {
    /// As it stands in `extensions.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::QueryTooComplex => "QUERY_TOO_COMPLEX",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::Unavailable => "UNAVAILABLE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A top-level error on its way out of a resolver. On purpose it does not implement `Display`: what does is turned into a client's error
/// by the library, text and all.
#[derive(Clone)]
pub struct Fault(async_graphql::Error);

impl Fault {
    /// With a message for people.
    pub fn new(code: Code, message: &str) -> Self {
        Self(async_graphql::Error::new(message).extend_with(|_, extensions| extensions.set("code", code.as_str())))
    }

    /// Logs the cause; says nothing of it.
    pub fn internal(cause: &anyhow::Error) -> Self {
        if let Some(unavailable) = cause.downcast_ref::<Unavailable>() {
            tracing::warn!(error = ?cause, "a part is unavailable");
            let Self(error) = Self::new(Code::Unavailable, &unavailable.to_string());
            return Self(error.extend_with(|_, extensions| extensions.set("retryAfter", unavailable.retry_after)));
        }
        tracing::error!(error = ?cause, "a request failed");
        Self::new(Code::Internal, INTERNAL_MESSAGE)
    }
}

impl From<Fault> for async_graphql::Error {
    fn from(Fault(error): Fault) -> Self {
        error
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let code = match denied {
            Denied::Unauthenticated => Code::Unauthenticated,
            Denied::Forbidden => Code::Forbidden,
        };
        Self::new(code, &denied.to_string())
    }
}

impl From<QueryError> for Fault {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Denied(denied) => denied.into(),
            QueryError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::OtherCursor => Self::new(Code::BadUserInput, &ChangeError::OtherCursor.to_string()),
            ChangeError::Query(error) => error.into(),
        }
    }
}

impl From<AuditError> for Fault {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Denied(denied) => denied.into(),
            AuditError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

/// An error of the document as a whole.
pub fn refusal(code: Code, message: &str) -> ServerError {
    coded(ServerError::new(message, None), code)
}

/// A fault of ours before a document ran: its cause is logged, and not told.
pub fn unexpected(cause: &anyhow::Error) -> ServerError {
    finish(async_graphql::Error::from(Fault::internal(cause)).into_server_error(async_graphql::Pos::default()))
}

/// Gives an error a code and the trace id.
pub fn coded(mut error: ServerError, code: Code) -> ServerError {
    let extensions = error.extensions.get_or_insert_default();
    extensions.set("code", code.as_str());
    extensions.set("traceId", trace::current());
    error
}

/// The error of a document that does not parse. The library draws the place with the line it is in, which may hold a password and is as
/// long as the client made it; where it is stands in `locations` already.
pub fn unparsed(broken: parser::Error) -> ServerError {
    let misfit = match &broken {
        parser::Error::MultipleOperations { .. } => Some("This anonymous operation must be the only defined operation.".to_owned()),
        parser::Error::OperationDuplicated { operation, .. } => Some(format!("There can be only one operation named \"{operation}\".")),
        parser::Error::FragmentDuplicated { fragment, .. } => Some(format!("There can be only one fragment named \"{fragment}\".")),
        _ => None,
    };
    let mut broken = ServerError::from(broken);
    if let Some(misfit) = misfit {
        broken.message = misfit;
        return coded(broken, Code::GraphqlValidationFailed);
    }
    let expected = broken.message.rsplit_once("\n  = ").map(|(_, expected)| expected.trim().to_owned());
    broken.message = match expected {
        Some(expected) => format!("the document does not parse here: {expected}"),
        None => "the document does not parse".to_owned(),
    };
    coded(broken, Code::GraphqlParseFailed)
}

/// Gives an error of a document that did not pass validation its code. All that limits let through is a matter of validation.
pub fn never_ran(mut error: ServerError) -> ServerError {
    error.message = discreet(&error.message);
    coded(error, Code::GraphqlValidationFailed)
}

/// The library's words without what they quote of a value, without names it would suggest, and of a length people read.
fn discreet(message: &str) -> String {
    const INSTEAD: [(&str, &str); 4] =
        [(" does not contain the value", " has no such value"), (" does not contain value", " has no such value"), (", found ", ""), (" Did you mean", "")];
    let cut = INSTEAD.iter().find_map(|(quoting, instead)| message.split_once(quoting).map(|(before, _)| (before, *instead)));
    let (told, instead) = cut.unwrap_or((message, ""));
    told.chars().take(MAX_MESSAGE).chain(instead.chars()).collect()
}

/// Gives an error of a field the trace id. One without a code came from the library: a value its input type refused, or something we do
/// not know, which then says nothing.
pub fn finish(mut error: ServerError) -> ServerError {
    if error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some()) {
        error.extensions.get_or_insert_default().set("traceId", trace::current());
        return error;
    }
    let of_input = ["Failed to parse ", "Expected input type ", "Invalid value for argument "];
    if of_input.iter().any(|beginning| error.message.starts_with(beginning)) {
        error.message = discreet(&error.message);
        return coded(error, Code::BadUserInput);
    }
    tracing::error!(message = %error.message, "an error without a code reached the edge");
    INTERNAL_MESSAGE.clone_into(&mut error.message);
    coded(error, Code::Internal)
}
