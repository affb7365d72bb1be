//! `POST /imports`: one statement file as `multipart/form-data`, up to 50 MiB.
//!
//! The file is written to a temporary one as it comes in, so memory holds a chunk of it at a time, and is gone afterwards.

use std::io::{Seek, SeekFrom, Write};

use async_graphql::{InputType, Value};
use axum::{
    extract::{
        Multipart, OriginalUri, State,
        multipart::{Field, MultipartError, MultipartRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    application::{
        QueryError,
        access::{Denied, Requester},
        import::{BringStatement, ImportError},
    },
    domain::{
        audit::Act,
        id::AccountId,
        import::{Import, MAX_STATEMENT_BYTES},
        page::MAX_PAGE,
    },
    presentation::graphql::{
        csv::{Format, FormatInput, NewAccountInput},
        global_id::id_or_nothing,
        import::to_json,
    },
};

use super::{
    Edge,
    graphql::fault,
    problem::{Detail, Problem},
    requester::Caller,
};

/// The largest form: the file, and the parts around it.
pub(super) const MAX_FORM_BYTES: usize = 50 * 1024 * 1024 + 64 * 1024;

/// What is kept of a part that is no file; ids are much shorter, and so is what can be said of a file.
const MAX_PART_BYTES: usize = 16 * 1024;

/// What stands beside the file. The parts that are JSON are what the graph takes as input of the same name.
#[derive(Default)]
struct Beside {
    account: Option<AccountId>,
    new_account: Option<NewAccountInput>,
    csv: Option<FormatInput>,
    is_preview: bool,
}

struct Upload {
    filename: String,
    file: std::fs::File,
    beside: Beside,
}

/// Takes in the part called `file`, into the account of the part called `accountId` if there is one.
pub(super) async fn upload(
    State(edge): State<Edge>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    multipart: Result<Multipart, MultipartRejection>,
) -> Response {
    let result = async {
        admit(&edge, &caller).await?;
        let multipart = multipart.map_err(|_| unsupported())?;
        let upload = receive(multipart).await?;
        let is_preview = upload.beside.is_preview;
        let requester = caller.requester.clone();
        let command = BringStatement {
            requester: caller.requester,
            filename: upload.filename,
            content: Box::new(upload.file),
            account: upload.beside.account,
            new_account: upload.beside.new_account.map(Into::into),
            csv: upload.beside.csv.map(Into::into).unwrap_or_default(),
        };
        // A client that hangs up cancels nothing: the import goes on in a task of its own.
        let application = edge.application.clone();
        let work =
            super::trace::carry(async move { if is_preview { application.imports.preview(command).await } else { application.imports.import(command).await } });
        let import = tokio::spawn(work).await.map_err(|_| Problem::internal())?.map_err(|refused| problem(&refused))?;
        told(&edge, &requester, &import).await
    }
    .await;
    match result {
        Ok(body) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response(),
        Err(problem) => problem.at(uri.path()).into_response(),
    }
}

/// What the graph would tell of an import, with the first rows of a preview.
async fn told(edge: &Edge, requester: &Requester, import: &Import) -> Result<serde_json::Value, Problem> {
    let failed = |failure: QueryError| match failure {
        QueryError::Denied(denied) => forbidden(denied),
        QueryError::Unexpected(cause) => fault(&cause),
    };
    let queries = &edge.application.import_queries;
    let statements = queries.statements_of(requester, &[import.id]).await.map_err(failed)?.remove(&import.id).unwrap_or_default();
    let rows = queries.rows_of(requester, import.id, None, 0, MAX_PAGE).await.map_err(failed)?;
    Ok(to_json(import, &statements, &rows))
}

/// Turns away who may not import before anything of the body is read, and puts that on the trail as a guard does.
async fn admit(edge: &Edge, caller: &Caller) -> Result<(), Problem> {
    let Err(denied) = edge.application.access.permit(&caller.requester, Act::ImportStatement) else { return Ok(()) };
    edge.application.journal.denied(&caller.requester, Act::ImportStatement, denied).await.map_err(|cause| fault(&cause))?;
    Err(match denied {
        Denied::Unauthenticated => {
            let why = caller.problem.as_ref().map_or_else(|| "Send an access token as Authorization: Bearer.".to_owned(), ToString::to_string);
            Problem::unauthenticated(&why)
        }
        Denied::Forbidden => forbidden(denied),
    })
}

async fn receive(mut multipart: Multipart) -> Result<Upload, Problem> {
    let (mut received, mut beside) = (None, Beside::default());
    while let Some(mut field) = multipart.next_field().await.map_err(|broken| unreadable(&broken))? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if received.is_none() => received = Some(receive_file(&mut field).await?),
            "accountId" if beside.account.is_none() => beside.account = Some(id_or_nothing(receive_text(&mut field).await?.trim())),
            "account" if beside.new_account.is_none() => {
                let wrong = || wrong_part("The part \"account\" must be JSON of the graph's NewAccountInput, and have no other fields.");
                beside.new_account = Some(input(&receive_text(&mut field).await?).ok_or_else(wrong)?);
            }
            "csv" if beside.csv.is_none() => {
                let wrong = || wrong_part("The part \"csv\" must be JSON of the graph's CsvFormatInput, and have no other fields.");
                beside.csv = Some(input(&receive_text(&mut field).await?).ok_or_else(wrong)?);
            }
            "preview" => {
                let wrong = || wrong_part("The part \"preview\" is true or false.");
                beside.is_preview = is_yes(receive_text(&mut field).await?.trim()).ok_or_else(wrong)?;
            }
            _ => {
                return Err(Problem::new(
                    StatusCode::BAD_REQUEST,
                    "BAD_USER_INPUT",
                    "Unexpected part",
                    "Send one part called \"file\", and at most one each called \"accountId\", \"account\", \"csv\" and \"preview\".",
                ));
            }
        }
    }
    let (filename, mut file) = received
        .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The file is missing", "Send the statement file as a part called \"file\"."))?;
    file.seek(SeekFrom::Start(0)).map_err(|cause| fault(&cause.into()))?;
    Ok(Upload { filename, file, beside })
}

/// The file of a part, put aside as it comes in.
async fn receive_file(field: &mut Field<'_>) -> Result<(String, std::fs::File), Problem> {
    let filename = field.file_name().unwrap_or("statement").to_owned();
    let mut file = tempfile::tempfile().map_err(|cause| fault(&cause.into()))?;
    let mut bytes = 0_u64;
    while let Some(chunk) = field.chunk().await.map_err(|broken| unreadable(&broken))? {
        bytes += chunk.len() as u64;
        if bytes > MAX_STATEMENT_BYTES {
            return Err(too_large());
        }
        file = tokio::task::spawn_blocking(move || file.write_all(&chunk).map(|()| file))
            .await
            .map_err(anyhow::Error::new)
            .and_then(|written| Ok(written?))
            .map_err(|cause| fault(&cause))?;
    }
    Ok((filename, file))
}

/// The text of a part. What is longer than any of ours is none, and is not kept.
async fn receive_text(field: &mut Field<'_>) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|broken| unreadable(&broken))? {
        let room = MAX_PART_BYTES.saturating_sub(text.len()).min(chunk.len());
        text.extend_from_slice(&chunk[..room]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn is_yes(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A part in JSON, as the graph would take it: without fields that it does not have.
fn input<T: InputType>(text: &str) -> Option<T> {
    let value = Value::from_json(serde_json::from_str(text).ok()?).ok()?;
    let read = T::parse(Some(value.clone())).ok()?;
    is_all_of(&value, &read.to_value()).then_some(read)
}

/// Whether each field that is given is one of those that were read.
fn is_all_of(given: &Value, read: &Value) -> bool {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().all(|(name, value)| read.get(name).is_some_and(|read| is_all_of(value, read))),
        (Value::List(given), Value::List(read)) => given.len() == read.len() && given.iter().zip(read).all(|(given, read)| is_all_of(given, read)),
        _ => true,
    }
}

fn wrong_part(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "A part cannot be read", detail)
}

fn problem(refused: &ImportError) -> Problem {
    match refused {
        ImportError::Unreadable(unreadable) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "UNREADABLE_FILE", "Nothing of this file can be read", &refused.to_string())
                .with(Detail { line: Some(unreadable.problem.line), message: unreadable.problem.message.clone() })
        }
        ImportError::Undecided { format, .. } => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "FILE_UNDECIDED", "Something about this file has to be said", &refused.to_string());
            match format {
                Some(format) => problem.about_csv(serde_json::json!(Format::from(format.as_ref().clone()))),
                None => problem,
            }
        }
        ImportError::TooLarge => too_large(),
        ImportError::SeveralAccounts => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SEVERAL_ACCOUNTS", "The file holds several accounts", &refused.to_string())
        }
        ImportError::UnclearAccount(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "ACCOUNT_UNCLEAR", "The name does not say which account it is", &refused.to_string())
        }
        ImportError::InvalidName(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "NAME_INVALID", "This is no name", &refused.to_string()),
        ImportError::OtherCurrency(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "OTHER_CURRENCY", "The currencies differ", &refused.to_string()),
        ImportError::NotFound => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "No such account", &refused.to_string()),
        ImportError::TooLongForPreview => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "TOO_LONG_FOR_PREVIEW", "The file has too many rows", &refused.to_string())
        }
        // Nothing that a file is brought for can end so.
        ImportError::UnknownImport | ImportError::Refused(_) => Problem::internal(),
        ImportError::Denied(Denied::Unauthenticated) => Problem::unauthenticated(&refused.to_string()),
        ImportError::Denied(denied) => forbidden(*denied),
        ImportError::Unexpected(cause) => fault(cause),
    }
}

fn forbidden(denied: Denied) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Not allowed", &denied.to_string())
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "Send a form",
        "Send the file as multipart/form-data, in a part called \"file\".",
    )
}

/// A body that is too long as a whole counts as a file that is.
fn unreadable(broken: &MultipartError) -> Problem {
    if broken.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Problem::new(StatusCode::BAD_REQUEST, "BAD_USER_INPUT", "The upload cannot be read", "The multipart body is broken or was cut off.")
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "FILE_TOO_LARGE", "The file is too large", "A statement file has at most 50 MiB.")
}
