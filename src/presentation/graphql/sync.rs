//! Syncs in the graph: asking for one, and how the last one went.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription};
use futures_util::{Stream, stream};

use crate::{
    application::{access::Resource, sync::RequestSync},
    domain::{
        audit::Act,
        page::CreatedKey,
        sync::{self, Sync},
    },
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    global_id::{GlobalId, id_or_nothing},
    guard::Allow,
    page::connection,
    scalar::DateTime,
    stream::{Known, thread},
};

/// How far a sync has come.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sync::SyncStatus")]
pub enum SyncStatus {
    /// Waiting for a worker.
    Queued,
    /// At work.
    Running,
    /// Done.
    Succeeded,
    /// Given up.
    Failed,
}

/// Why a sync did not succeed, or what it had to leave out.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sync::SyncProblem")]
pub enum SyncProblem {
    /// The bank could not be reached, or took too long.
    ProviderUnreachable,
    /// The bank reported an error of its own.
    ProviderError,
    /// The bank asked for fewer requests.
    RateLimited,
    /// The bank's answer could not be read.
    MalformedAnswer,
    /// The bank no longer accepts the stored tokens; link again.
    CredentialsRejected,
    /// The bank does not accept this server's own credentials, which its operator has to mend. The link need not be linked again.
    AppRejected,
    /// The provider wants to be paid by the user first; the link works again once it is.
    ProviderUnpaid,
    /// Some rows of the bank's answer could not be read; the others are in.
    RowsRefused,
    /// Some accounts did not answer; the others are in, and these are as they were. The next sync asks for what is missing.
    AccountsUnanswered,
    /// Some accounts did not answer, and do again once their owner has signed in at the provider, such as at the SimpleFIN Bridge.
    SignInNeeded,
    /// An account is reported in another currency than before; it stays as it was, and the others are in.
    CurrencyChanged,
    /// The worker stopped in the middle, too often.
    Interrupted,
    /// The link was unlinked, or does not work any more, before it was done.
    LinkEnded,
    /// The link was linked once more before it was done; another sync took its place.
    Superseded,
    /// A fault of this server.
    Internal,
}

/// What a sync was asked for by.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sync::SyncOrigin")]
pub enum SyncOrigin {
    /// A link that had just been linked, for the first time or once more.
    Linked,
    /// Somebody who wanted it, by `syncLink`.
    Requested,
    /// The schedule.
    Scheduled,
}

/// One sync, as the graph shows it.
#[derive(Clone)]
pub struct SyncObject(pub Arc<Sync>);

impl SyncObject {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.created_at, id: self.0.id.0 }
    }
}

/// One run, queued or done, that brings a link up to date.
#[Object(name = "Sync", serial, guard = Allow::read(Resource::Links))]
impl SyncObject {
    /// The global id, `sync_…`.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// What it was asked for by.
    async fn origin(&self) -> SyncOrigin {
        self.0.origin.into()
    }

    /// How far it has come.
    async fn status(&self) -> SyncStatus {
        self.0.status.into()
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it was last begun; null while it waits for its first try.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    /// When it succeeded or was given up; null before that.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }

    /// How often it was begun; a sync that fails is tried up to five times.
    async fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// When it is tried again after a try that failed, which is not before its provider wants to be asked again; null when none follows.
    async fn next_try_at(&self) -> Option<DateTime> {
        self.0.next_try_at().map(DateTime)
    }

    /// Why it failed, why its last try did, or what a success had to leave out; null when all went well.
    async fn problem(&self) -> Option<SyncProblem> {
        self.0.problem.map(Into::into)
    }

    /// Accounts seen.
    async fn accounts(&self) -> u32 {
        self.0.counts.accounts
    }

    /// Transactions that were new.
    async fn added(&self) -> u32 {
        self.0.counts.added
    }

    /// Transactions that changed.
    async fn modified(&self) -> u32 {
        self.0.counts.modified
    }

    /// Transactions the bank withdrew.
    async fn removed(&self) -> u32 {
        self.0.counts.removed
    }

    /// Rows of the provider's answers that could not be read and were left out; days that are fetched in several stages may count twice.
    async fn refused(&self) -> u32 {
        self.0.counts.refused
    }
}

connection!(
    /// A page of syncs.
    SyncConnection,
    /// A sync in a page.
    SyncEdge,
    SyncObject,
    CreatedKey,
    Links
);

/// Asking for a sync.
#[derive(InputObject)]
pub struct SyncLinkInput {
    /// One of one's own links.
    link_id: ID,
    /// Sync even if the last success is less than five minutes old.
    #[graphql(default)]
    force: Option<bool>,
}

/// The sync that was asked for, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct SyncLinkPayload {
    /// The sync, queued; null when there is none.
    sync: Option<SyncObject>,
    /// Why there is none; empty when there is one.
    user_errors: Vec<UserError>,
}

/// Asks for syncs.
#[derive(Default)]
pub struct SyncMutation;

#[Object(serial)]
impl SyncMutation {
    /// Asks for a link to be brought up to date. The answer comes at once; `Link.lastSync` shows how it goes.
    #[graphql(guard = Allow::attempt(Act::RequestSync))]
    async fn sync_link(&self, ctx: &Context<'_>, #[graphql(desc = "Which link.")] input: SyncLinkInput) -> Result<SyncLinkPayload, Fault> {
        let request = ctx.of_request()?;
        let command = RequestSync { requester: request.requester.clone(), link: id_or_nothing(&input.link_id), force: input.force.unwrap_or(false) };
        let (sync, user_errors) = outcome(request.application.syncs.request(command).await)?;
        Ok(SyncLinkPayload { sync: sync.map(|sync| SyncObject(Arc::new(sync))), user_errors })
    }
}

/// How far a sync of a link has come.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct SyncProgress {
    /// The sync, as it is now.
    sync: SyncObject,
    /// Whether it is over, one way or the other. The stream goes on, with the next sync of the link.
    is_over: bool,
}

/// Follows syncs.
#[derive(Default)]
pub struct SyncSubscription;

#[Subscription]
impl SyncSubscription {
    /// How the youngest sync of one of one's own links goes: at once as it is, then whenever that changes. An id that is not of one's own link
    /// is followed in vain.
    #[graphql(guard = Allow::read(Resource::Links))]
    async fn sync_progress(&self, ctx: &Context<'_>, #[graphql(desc = "Of which link.")] link_id: ID) -> Result<impl Stream<Item = SyncProgress>, Fault> {
        let (request, thread) = (ctx.of_request()?, thread(ctx)?);
        let latest = request.application.sync_queries.latest_of(&request.requester, &[id_or_nothing(&link_id)]).await?.pop();
        let told = if let Known::Sync(told) = thread.known() { told } else { None };
        let is_news = latest.is_some() && latest != told;
        thread.remember(Known::Sync(latest.clone()), false);
        let progress = latest.filter(|_| is_news).map(|sync| SyncProgress { is_over: !sync.is_open(), sync: SyncObject(Arc::new(sync)) });
        Ok(stream::iter(progress))
    }
}
