//! The schedule: the columns of `links` that say when something is to be done by itself.

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query, SubQueryStatement, UpdateStatement},
};
use uuid::Uuid;

use crate::domain::{
    id::{LinkId, UserId},
    link::Link,
    schedule::{DueLink, QUEUEING_MINUTES, Schedule},
    time::Timestamp,
};

use super::{
    DatabaseStore,
    credential::credentials,
    error::broken,
    link::{authorizations, links},
    user::users,
};

/// The condition of the indexes over what is due, word for word: with bound values neither planner could tell that they hold the answer.
pub(super) const ACTIVE: &str = "status = 'active'";

/// The condition of `ix_links_pending`, in the same way.
const PENDING: &str = "status = 'pending'";

/// When a walk to a bank was over, as `Authorization::over_at` says it.
const WALK_OVER: &str = "COALESCE(spent_at, expires_at)";

/// How many links that nobody came back for are read at once.
const MOST_ABANDONED: u64 = 100;

/// No sync of it is under way.
const AT_REST: &str = "NOT EXISTS (SELECT 1 FROM syncs AS under_way WHERE under_way.link_id = links.id AND under_way.status IN ('queued', 'running'))";

/// Its user may sign in, and is not going to be erased.
pub(super) const OF_SOMEBODY: &str = "EXISTS (SELECT 1 FROM users WHERE users.id = links.user_id AND users.is_active AND users.erasure_due_at IS NULL)";

impl DatabaseStore {
    async fn take_link(&self, take: &UpdateStatement) -> anyhow::Result<Option<DueLink>> {
        let transaction = self.transaction().await?;
        let row = transaction.query_one(take).await.map_err(broken("taking a link that is due"))?;
        transaction.commit().await.map_err(broken("taking a link that is due"))?;
        let Some(row) = row else { return Ok(None) };
        let read = |column: usize| row.try_get_by_index::<Uuid>(column).context("reading the link that was taken");
        Ok(Some(DueLink { link: LinkId(read(0)?), user: UserId(read(1)?) }))
    }
}

/// Takes of these rows the one that is due for longest, and keeps it from others for a while; answers its link and owner. Locked rows are another
/// worker's: on PostgreSQL they are passed over, on SQLite there are none.
fn take<E: EntityTrait>(rows: Select<E>, (link, owner): (E::Column, E::Column), due: E::Column, now: Timestamp) -> UpdateStatement {
    let next = rows
        .select_only()
        .column(link)
        .filter(due.lte(now.utc()))
        .order_by_asc(due)
        .order_by_asc(link)
        .limit(1)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    Query::update()
        .table(E::default())
        .value(due, now.plus(Duration::minutes(QUEUEING_MINUTES)).utc())
        .and_where(Expr::col(link).eq(Expr::from(SubQueryStatement::from(next))))
        .returning(Query::returning().columns([link, owner]))
        .to_owned()
}

#[async_trait]
impl Schedule for DatabaseStore {
    async fn take_any_to_sync_for_worker(&self, providers: &[&str], now: Timestamp) -> anyhow::Result<Option<DueLink>> {
        use links::Column::{Id, Provider, SyncDueAt, UserId as Owner};
        let due = links::Entity::find()
            .filter(Expr::cust(ACTIVE))
            .filter(Provider.is_in(providers.iter().copied()))
            .filter(Expr::cust(AT_REST))
            .filter(Expr::cust(OF_SOMEBODY));
        self.take_link(&take(due, (Id, Owner), SyncDueAt, now)).await
    }

    async fn take_any_to_renew_for_worker(&self, providers: &[&str], now: Timestamp) -> anyhow::Result<Option<DueLink>> {
        use credentials::Column::{LinkId as Of, RenewAt, UserId as Owner};
        let renewable = links::Entity::find()
            .select_only()
            .column(links::Column::Id)
            .filter(Expr::cust(ACTIVE))
            .filter(links::Column::Provider.is_in(providers.iter().copied()))
            .filter(Expr::cust(AT_REST))
            .filter(Expr::cust(OF_SOMEBODY))
            .into_query();
        self.take_link(&take(credentials::Entity::find().filter(Of.in_subquery(renewable)), (Of, Owner), RenewAt, now)).await
    }

    async fn take_any_consent_for_worker(&self, now: Timestamp) -> anyhow::Result<Option<DueLink>> {
        use links::Column::{ConsentDueAt, Id, UserId as Owner};
        self.take_link(&take(links::Entity::find().filter(Expr::cust(ACTIVE)), (Id, Owner), ConsentDueAt, now)).await
    }

    async fn await_consent_for_worker(&self, link: &Link, due_at: Option<Timestamp>) -> anyhow::Result<()> {
        let awaited = links::Entity::update_many()
            .set(links::ActiveModel { consent_due_at: Set(due_at.map(Timestamp::utc)), ..Default::default() })
            .filter(links::Column::Id.eq(link.id.0))
            .filter(links::Column::UserId.eq(link.user.0))
            .filter(match link.consent_expires_at {
                Some(end) => links::Column::ConsentExpiresAt.eq(end.utc()),
                None => links::Column::ConsentExpiresAt.is_null(),
            })
            .exec(&self.connection)
            .await;
        awaited.map(|_| ()).map_err(broken("noting when a consent is to be looked at"))
    }

    async fn any_abandoned_for_worker(&self, before: Timestamp) -> anyhow::Result<Vec<DueLink>> {
        use links::Column::{CreatedAt, Id, UserId as Owner};
        let on_the_way =
            authorizations::Entity::find().select_only().column(authorizations::Column::LinkId).filter(Expr::cust(WALK_OVER).gte(before.utc())).into_query();
        let rows: Vec<(Uuid, Uuid)> = links::Entity::find()
            .select_only()
            .columns([Id, Owner])
            .filter(Expr::cust(PENDING))
            .filter(CreatedAt.lt(before.utc()))
            .filter(Id.not_in_subquery(on_the_way))
            .order_by_asc(CreatedAt)
            .order_by_asc(Id)
            .limit(MOST_ABANDONED)
            .into_tuple()
            .all(&self.reading)
            .await
            .map_err(broken("reading links that nobody came back for"))?;
        Ok(rows.into_iter().map(|(link, user)| DueLink { link: LinkId(link), user: UserId(user) }).collect())
    }

    async fn forget_walks_for_worker(&self, before: Timestamp) -> anyhow::Result<()> {
        let over = authorizations::Column::ExpiresAt.lt(before.utc());
        let forgotten = authorizations::Entity::delete_many().filter(over).exec(&self.connection).await;
        forgotten.map(|_| ()).map_err(broken("forgetting walks that are over"))
    }

    async fn may_sign_in(&self, user: UserId) -> anyhow::Result<bool> {
        let row = users::Entity::find_by_id(user.0).one(&self.reading).await.map_err(broken("looking whether somebody may sign in"))?;
        Ok(row.is_some_and(|row| row.is_active && row.erasure_due_at.is_none()))
    }
}
