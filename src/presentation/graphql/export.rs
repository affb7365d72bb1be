//! Exports in the graph: leave to fetch everything kept about oneself.

use async_graphql::{Context, ID, Object, Result, SimpleObject};

use crate::{application::export::RequestExport, domain::audit::Act};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    global_id::GlobalId,
    guard::Allow,
    scalar::DateTime,
};

/// Leave to fetch everything kept about oneself.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::RequestExport))]
pub struct Export {
    /// The global id, `export_…`.
    id: ID,
    /// Where the archive is: a GET of this path at this server, with the access token in the Authorization header as everywhere.
    path: String,
    /// When it cannot be fetched any more.
    expires_at: DateTime,
}

/// Leave to fetch everything, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::RequestExport))]
pub struct ExportMyDataPayload {
    /// The export; null when there is none.
    export: Option<Export>,
    /// Why there is none; empty when there is one.
    user_errors: Vec<UserError>,
}

/// Exports what is kept about users.
#[derive(Default)]
pub struct ExportMutation;

#[Object(serial)]
impl ExportMutation {
    /// Gives oneself leave to fetch everything kept about oneself, as one ZIP archive of JSON Lines and CSV, for five minutes. Needs
    /// `reauthenticate` first.
    #[graphql(guard = Allow::attempt(Act::RequestExport))]
    async fn export_my_data(&self, ctx: &Context<'_>) -> Result<ExportMyDataPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RequestExport { requester: request.requester.clone() };
        let (export, user_errors) = outcome(request.application.rights.exports.request(command).await)?;
        let export = export.map(|export| {
            let id = GlobalId::from(export.id);
            Export { id: id.to_id(), path: format!("/exports/{id}"), expires_at: DateTime(export.expires_at) }
        });
        Ok(ExportMyDataPayload { export, user_errors })
    }
}
