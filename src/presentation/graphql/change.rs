//! Changes in the graph: what came, changed and went since a cursor.

use async_graphql::{Context, ID, SimpleObject, Subscription};
use futures_util::{Stream, stream};

use crate::{
    application::{
        access::Resource,
        change::{ChangeError, Changed, Changes},
    },
    domain::{
        change::{ChangeCursor, ChangedKind},
        id::UserId,
        page::MAX_PAGE,
    },
};

use super::{
    ContextExt,
    account::AccountNode,
    error::{Code, Fault},
    global_id::{GlobalId, Kind},
    guard::Allow,
    holding::HoldingNode,
    link::LinkNode,
    node::Node,
    page::Cursor as _,
    stream::{Known, thread},
    transaction::TransactionNode,
};

/// What happened to links, accounts, transactions and holdings since a cursor. Put every node of `added` and `modified` into your copy by its id, take
/// out what `removed` names, keep `endCursor`, and your copy is as it is here.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Changes))]
pub struct ChangePage {
    /// What came in, as it is now: a Link, an Account, a Transaction or a Holding each. An account comes after its link, a transaction and a holding after
    /// their account.
    added: Vec<Node>,
    /// What was there and changed, as it is now. Something that was removed and came back is here, too.
    modified: Vec<Node>,
    /// The ids of what is gone. Some may be of nothing that you have.
    removed: Vec<ID>,
    /// Where to go on: hand it back as `after`. It never gets too old.
    end_cursor: String,
    /// Whether there are more changes already.
    has_next_page: bool,
    /// A cursor after everything there is by now: for who reads the lists first and wants to follow what changes from here on. Ask for it
    /// before you read the lists.
    latest_cursor: String,
    /// True when nothing can be told since that cursor, because this server's data is older than it: a backup was brought back. Throw your
    /// copy away and go on from `endCursor`, which is the beginning.
    reset_required: bool,
}

fn node(changed: Changed) -> Node {
    match changed {
        Changed::Link(link) => Node::Link(LinkNode(link)),
        Changed::Account(account) => Node::Account(AccountNode(account)),
        Changed::Transaction(transaction) => Node::Transaction(TransactionNode(transaction)),
        Changed::Holding(holding) => Node::Holding(HoldingNode(holding)),
    }
}

fn gone((kind, id): (ChangedKind, uuid::Uuid)) -> ID {
    let kind = match kind {
        ChangedKind::Link => Kind::Link,
        ChangedKind::Account => Kind::Account,
        ChangedKind::Transaction => Kind::Transaction,
        ChangedKind::Holding => Kind::Holding,
    };
    GlobalId { kind, id }.to_id()
}

impl From<Changes> for ChangePage {
    fn from(changes: Changes) -> Self {
        Self {
            added: changes.added.into_iter().map(node).collect(),
            modified: changes.modified.into_iter().map(node).collect(),
            removed: changes.removed.into_iter().map(gone).collect(),
            end_cursor: changes.end.encode(),
            has_next_page: changes.has_more,
            latest_cursor: changes.latest.encode(),
            reset_required: changes.reset_required,
        }
    }
}

/// The cursor a client hands back, and how many changes it wants.
pub(super) fn read_arguments(after: Option<String>, first: Option<i32>) -> Result<(Option<ChangeCursor>, u32), Fault> {
    let wrong = |message: &str| Fault::new(Code::BadUserInput, message);
    let limit = first.map_or(Some(MAX_PAGE), |first| u32::try_from(first).ok().filter(|first| (1..=MAX_PAGE).contains(first)));
    let limit = limit.ok_or_else(|| wrong("first is from 1 to 100"))?;
    let after = after.map(|after| ChangeCursor::decode(&after).ok_or_else(|| wrong("the cursor is not one of these changes"))).transpose()?;
    Ok((after, limit))
}

impl super::page::Cursor for ChangeCursor {
    fn encode(&self) -> String {
        super::page::pack_two(b'h', (self.position, self.since), self.user.0)
    }

    fn decode(cursor: &str) -> Option<Self> {
        let ((position, since), user) = super::page::unpack_two(b'h', cursor)?;
        // What no cursor of ours says: before the beginning, or on the way past where it is already.
        (position >= 0 && (since == 0 || since > position)).then_some(Self { user: UserId(user), position, since })
    }
}

/// Follows changes.
#[derive(Default)]
pub struct ChangeSubscription;

#[Subscription]
impl ChangeSubscription {
    /// What of one's own links, accounts, transactions and holdings comes, changes and goes: first whatever happened since the cursor, then everything
    /// as it happens. Without a cursor it begins now, with an empty page. Keep `endCursor` of the last page, and go on from it when the
    /// connection was lost: nothing is missed and nothing told twice.
    #[graphql(guard = Allow::read(Resource::Changes))]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "After which cursor, of `User.changes` or of an earlier page.")] after: Option<String>,
    ) -> Result<impl Stream<Item = ChangePage>, Fault> {
        let (request, thread) = (ctx.of_request()?, thread(ctx)?);
        let (requester, queries) = (&request.requester, &request.application.changes);
        let known = if let Known::Changes(cursor) = thread.known() { Some(cursor) } else { None };
        let cursor = match (known, read_arguments(after, None)?.0) {
            (Some(cursor), _) | (None, Some(cursor)) => cursor,
            (None, None) => queries.latest(requester).await?,
        };
        let of = requester.user().ok_or(ChangeError::OtherCursor)?;
        let changes = queries.page(requester, of, Some(cursor), MAX_PAGE).await?;
        thread.remember(Known::Changes(changes.end), changes.has_more);
        // The first page is told even if it is empty: its cursor is where to go on.
        let is_told = known.is_none() || !changes.is_empty();
        Ok(stream::iter(is_told.then(|| changes.into())))
    }
}
