//! Everything that has a global id, by that id (GraphQL Global Object Identification).

use std::sync::Arc;

use async_graphql::{Context, ID, Interface, Object};
use futures_util::future::join_all;

use crate::application::access::Resource;

use super::{
    ContextExt, RequestContext,
    account::AccountNode,
    error::{Code, Fault},
    global_id::{GlobalId, Kind},
    guard::Allow,
    holding::HoldingNode,
    import::ImportNode,
    link::LinkNode,
    session::SessionNode,
    sync::SyncObject,
    transaction::TransactionNode,
    user::UserNode,
};

/// The most ids `nodes` takes.
const MAX_IDS: usize = 100;

/// Something with a global id.
#[derive(Interface, Clone)]
#[graphql(field(name = "id", ty = "ID", desc = "The global id; its prefix tells the kind."))]
pub enum Node {
    /// A person who can sign in.
    User(UserNode),
    /// One sign-in on one device.
    Session(SessionNode),
    /// One user's relation to one provider.
    Link(LinkNode),
    /// An account.
    Account(AccountNode),
    /// A transaction.
    Transaction(TransactionNode),
    /// A holding.
    Holding(HoldingNode),
    /// A statement file that was brought.
    Import(ImportNode),
    /// One run that brings a link up to date.
    Sync(SyncObject),
}

/// Looks things up by global id.
#[derive(Default)]
pub struct NodeQuery;

#[Object(serial)]
impl NodeQuery {
    /// Whatever of one's own has this id; null for any other id. Administrators see anyone's user and sessions by id, and nobody's money.
    #[graphql(guard = Allow::read(Resource::Users))]
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "A global id.")] id: ID) -> Result<Option<Node>, Fault> {
        find(ctx.of_request()?, &id).await
    }

    /// The same for several ids, at most 100, in their order; null stands for what is not one's own. One that fails leaves the others be.
    #[graphql(guard = Allow::read(Resource::Users))]
    async fn nodes(&self, ctx: &Context<'_>, #[graphql(desc = "Global ids, at most 100.")] ids: Vec<ID>) -> Result<Vec<Option<Result<Node, Fault>>>, Fault> {
        if ids.len() > MAX_IDS {
            return Err(Fault::new(Code::BadUserInput, "nodes takes at most 100 ids"));
        }
        let request = ctx.of_request()?;
        Ok(join_all(ids.iter().map(|id| find(request, id))).await.into_iter().map(Result::transpose).collect())
    }
}

async fn find(request: &RequestContext, id: &str) -> Result<Option<Node>, Fault> {
    let Ok(GlobalId { kind, id }) = id.parse() else { return Ok(None) };
    let RequestContext { requester, application, loaders, .. } = request;
    Ok(match kind {
        Kind::User => application.user_queries.find(requester, id.into()).await?.map(|user| Node::User(UserNode(Arc::new(user)))),
        Kind::Session => application.session_queries.find(requester, id.into()).await?.map(|session| Node::Session(SessionNode(Arc::new(session)))),
        Kind::Link => loaders.link(id.into()).await?.map(|link| Node::Link(LinkNode(link))),
        Kind::Account => loaders.account(id.into()).await?.map(|account| Node::Account(AccountNode(account))),
        Kind::Transaction => loaders.transaction(id.into()).await?.map(|transaction| Node::Transaction(TransactionNode(transaction))),
        Kind::Holding => loaders.holding(id.into()).await?.map(|holding| Node::Holding(HoldingNode(holding))),
        Kind::Import => loaders.import(id.into()).await?.map(|import| Node::Import(ImportNode(import))),
        Kind::Sync => loaders.sync(id.into()).await?.map(|sync| Node::Sync(SyncObject(sync))),
        Kind::AuditEvent | Kind::Export => None,
    })
}
