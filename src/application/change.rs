//! Changes: followed by their owner.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use crate::domain::{
    account::{Account, AccountReader},
    change::{Change, ChangeCursor, ChangeReader, ChangedKind},
    holding::{Holding, HoldingReader},
    id::{LinkId, UserId},
    link::{Link, LinkReader},
    transaction::{Transaction, TransactionReader},
};

use super::{
    QueryError,
    access::{Access, Denied, Requester, Resource},
};

/// Why changes are not told.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It is a cursor of somebody else's changes.
    #[error("the cursor is not one of these changes")]
    OtherCursor,
    /// Denied, or broken.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl From<Denied> for ChangeError {
    fn from(denied: Denied) -> Self {
        Self::Query(denied.into())
    }
}

impl From<anyhow::Error> for ChangeError {
    fn from(cause: anyhow::Error) -> Self {
        Self::Query(cause.into())
    }
}

/// Something that changed, as it is now.
#[derive(Debug, Clone)]
pub enum Changed {
    /// A link.
    Link(Arc<Link>),
    /// An account.
    Account(Arc<Account>),
    /// A transaction.
    Transaction(Arc<Transaction>),
    /// A holding.
    Holding(Arc<Holding>),
}

/// What happened since a cursor, or the beginning of it.
#[derive(Debug, Clone)]
pub struct Changes {
    /// What came in.
    pub added: Vec<Changed>,
    /// What was there and is another now.
    pub modified: Vec<Changed>,
    /// What was there and is gone.
    pub removed: Vec<(ChangedKind, Uuid)>,
    /// Where to go on.
    pub end: ChangeCursor,
    /// After everything there is by now.
    pub latest: ChangeCursor,
    /// Whether there is more already.
    pub has_more: bool,
    /// Whether nothing can be told since that cursor, because it is ahead of everything here; `end` is the beginning then.
    pub reset_required: bool,
}

impl Changes {
    /// None.
    fn nothing(end: ChangeCursor, latest: ChangeCursor) -> Self {
        Self { added: Vec::new(), modified: Vec::new(), removed: Vec::new(), end, latest, has_more: false, reset_required: false }
    }

    /// Whether there is nothing to do about them.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty() && !self.reset_required
    }
}

/// Follows changes. Whatever the role, only one's own.
pub struct ChangeQueries {
    /// What roles may do.
    pub access: Access,
    /// The log.
    pub changes: Arc<dyn ChangeReader>,
    /// Links.
    pub links: Arc<dyn LinkReader>,
    /// Accounts.
    pub accounts: Arc<dyn AccountReader>,
    /// Transactions.
    pub transactions: Arc<dyn TransactionReader>,
    /// Holdings.
    pub holdings: Arc<dyn HoldingReader>,
}

impl ChangeQueries {
    /// At most `limit` changes of a user after a cursor, or from the beginning of everything: one's own, and none of anyone else.
    pub async fn page(&self, requester: &Requester, of: UserId, after: Option<ChangeCursor>, limit: u32) -> Result<Changes, ChangeError> {
        let start = ChangeCursor::start(of);
        let after = after.unwrap_or(start);
        if after.user != of {
            return Err(ChangeError::OtherCursor);
        }
        let Some(owner) = self.access.reader_of(requester, Resource::Changes, of)? else { return Ok(Changes::nothing(start, start)) };
        let head = self.changes.head(owner).await?;
        let latest = ChangeCursor::at(owner, head);
        if after.news_from() > head {
            // This was read before the database was brought back from a backup.
            return Ok(Changes { has_more: head > 0, reset_required: true, ..Changes::nothing(start, latest) });
        }
        let from = after.begun(head);
        let mut found = self.changes.after(from, limit + 1).await?;
        let has_more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let end = from.after(found.last().map(|change| change.position), has_more);
        let alive = self.load(requester, &found).await?;
        let mut changes = Changes { has_more, ..Changes::nothing(end, latest) };
        for change in found {
            match (change.is_addition(), alive.get(&change.id)) {
                // What came in after the cursor is told once, where it came in, as it is now; what is gone again never was.
                (false, _) if change.added_position > from.position => {}
                (true, None) => {}
                (true, Some(now)) => changes.added.push(now.clone()),
                (false, Some(now)) => changes.modified.push(now.clone()),
                (false, None) => changes.removed.push((change.kind, change.id)),
            }
        }
        Ok(changes)
    }

    /// Where a user's changes stand who asks for none of them yet.
    pub async fn latest(&self, requester: &Requester) -> Result<ChangeCursor, ChangeError> {
        let owner = self.access.reader(requester, Resource::Changes)?;
        Ok(ChangeCursor::at(owner, self.changes.head(owner).await?))
    }

    /// One's own links that changed after a position, as they are now, and where to go on; without a position none, and from where.
    pub async fn links(&self, requester: &Requester, after: Option<i64>, only: Option<LinkId>) -> Result<(Vec<Link>, i64), ChangeError> {
        let owner = self.access.reader(requester, Resource::Links)?;
        let Some(after) = after else { return Ok((Vec::new(), self.changes.head(owner).await?)) };
        let moved = self.changes.links_after(owner, after).await?;
        let position = moved.last().map_or(after, |(_, position)| *position);
        let wanted: Vec<LinkId> = moved.into_iter().map(|(link, _)| link).filter(|link| only.is_none_or(|only| only == *link)).collect();
        if wanted.is_empty() {
            return Ok((Vec::new(), position));
        }
        let mut links = self.links.find_many(owner, &wanted).await?;
        links.sort_by_key(|link| wanted.iter().position(|wanted| *wanted == link.id));
        Ok((links, position))
    }

    /// What of it is still there, in a statement for each kind.
    async fn load(&self, requester: &Requester, changes: &[Change]) -> Result<HashMap<Uuid, Changed>, ChangeError> {
        let ids = |kind| changes.iter().filter(move |change| change.kind == kind).map(|change| change.id);
        let (links, accounts, transactions): (Vec<_>, Vec<_>, Vec<_>) = (
            ids(ChangedKind::Link).map(Into::into).collect(),
            ids(ChangedKind::Account).map(Into::into).collect(),
            ids(ChangedKind::Transaction).map(Into::into).collect(),
        );
        let mut alive = HashMap::new();
        if !links.is_empty() {
            let owner = self.access.reader(requester, Resource::Links)?;
            alive.extend(self.links.find_many(owner, &links).await?.into_iter().map(|link| (link.id.0, Changed::Link(Arc::new(link)))));
        }
        if !accounts.is_empty() {
            let owner = self.access.reader(requester, Resource::Accounts)?;
            alive.extend(self.accounts.find_many(owner, &accounts).await?.into_iter().map(|account| (account.id.0, Changed::Account(Arc::new(account)))));
        }
        if !transactions.is_empty() {
            let owner = self.access.reader(requester, Resource::Transactions)?;
            let found = self.transactions.find_many(owner, &transactions).await?;
            alive.extend(found.into_iter().map(|transaction| (transaction.id.0, Changed::Transaction(Arc::new(transaction)))));
        }
        let holdings: Vec<_> = ids(ChangedKind::Holding).map(Into::into).collect();
        if !holdings.is_empty() {
            let owner = self.access.reader(requester, Resource::Accounts)?;
            alive.extend(self.holdings.find_many(owner, &holdings).await?.into_iter().map(|holding| (holding.id.0, Changed::Holding(Arc::new(holding)))));
        }
        Ok(alive)
    }
}
