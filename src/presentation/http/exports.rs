//! `GET /exports/{id}`: everything kept about the one who asks, as one archive.

use std::fs::File;

use axum::{
    body::Body,
    extract::{OriginalUri, Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio_util::io::ReaderStream;

use crate::{
    application::{
        access::Denied,
        export::{ExportError, FetchExport, Packed},
    },
    domain::id::ExportId,
    presentation::graphql::global_id::id_or_nothing,
};

use super::{Edge, graphql::fault, problem::Problem, requester::Caller};

/// Hands the archive out, once it is packed. A token in the header is the only way in, as everywhere; the path opens nothing by itself.
pub(super) async fn fetch(State(edge): State<Edge>, OriginalUri(uri): OriginalUri, Path(id): Path<String>, caller: Caller) -> Response {
    let export: ExportId = id_or_nothing(&id);
    let command = FetchExport { requester: caller.requester, export: Some(export) };
    let application = edge.application.clone();
    // A client that hangs up cancels nothing, so that the trail says how it ended.
    let work = super::trace::carry(async move { application.rights.exports.fetch(command).await });
    let fetched = match tokio::spawn(work).await {
        Ok(Ok(packed)) => stream(packed).map_err(ExportError::from),
        Ok(Err(refused)) => Err(refused),
        Err(_) => Err(ExportError::Unexpected(anyhow::anyhow!("packing an export panicked"))),
    };
    let problem = match fetched {
        Ok(response) => return response,
        Err(ExportError::Denied(Denied::Unauthenticated)) => {
            let why = caller.problem.as_ref().map_or_else(|| "Send an access token as Authorization: Bearer.".to_owned(), ToString::to_string);
            Problem::unauthenticated(&why)
        }
        Err(refused @ (ExportError::Denied(Denied::Forbidden) | ExportError::Unproven(_))) => {
            Problem::new(StatusCode::FORBIDDEN, "FORBIDDEN", "Not allowed", &refused.to_string())
        }
        Err(refused @ ExportError::NotFound) => Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "No such export", &refused.to_string()),
        Err(ExportError::Unexpected(cause)) => fault(&cause),
    };
    problem.at(uri.path()).into_response()
}

fn stream(Packed { file, packed_at, .. }: Packed) -> anyhow::Result<Response> {
    let length = length_of(&file)?;
    let name = format!("attachment; filename=\"dashtam-export-{}.zip\"", packed_at.day());
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)))).into_response())
}

fn length_of(file: &File) -> anyhow::Result<u64> {
    Ok(file.metadata()?.len())
}
