//! Syncs: the rows of `syncs`, which are the queue and its history.

use std::collections::HashMap;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{CaseStatement, Expr, ExprTrait, Func, LockBehavior, LockType, OnConflict, Query, SubQueryStatement},
};

use crate::domain::{
    change::ChangedKind,
    id::{LinkId, SyncId, UserId},
    page::{CreatedKey, Page, Slice},
    signal::Signal,
    sync::{
        OVERDUE_MINUTES, SYNC_HISTORY_DAYS, SYNC_LEASE_MINUTES, Sync, SyncBacklog, SyncCounts, SyncOrigin, SyncProblem, SyncQueue, SyncReader, SyncStatus,
        Syncs,
    },
    time::Timestamp,
};

use super::{
    DatabaseStore, Readers,
    credential::credentials,
    error::broken,
    link::links,
    page,
    schedule::{ACTIVE, OF_SOMEBODY},
    value,
    work::DatabaseWork,
};

/// The condition of `ix_syncs_queue`, word for word: with bound values neither planner could tell that the index holds the answer.
pub(super) const OPEN: &str = "status IN ('queued', 'running')";

/// It is not the last of its link.
const FOLLOWED: &str = "EXISTS (SELECT 1 FROM syncs AS later WHERE later.user_id = syncs.user_id AND later.link_id = syncs.link_id AND (later.created_at, later.id) > (syncs.created_at, syncs.id))";

/// How many are forgotten at once, so that nobody waits long for it.
const MOST_FORGOTTEN: u64 = 1_000;

pub(super) mod syncs {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "syncs")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub link_id: Uuid,
        pub origin: String,
        pub status: String,
        pub created_at: DateTimeUtc,
        pub run_after: DateTimeUtc,
        pub attempts: i64,
        pub started_at: Option<DateTimeUtc>,
        pub finished_at: Option<DateTimeUtc>,
        pub recent_at: Option<DateTimeUtc>,
        pub problem: Option<String>,
        pub accounts_seen: i64,
        pub transactions_added: i64,
        pub transactions_modified: i64,
        pub transactions_removed: i64,
        pub rows_refused: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&Sync> for syncs::Model {
    fn from(sync: &Sync) -> Self {
        Self {
            id: sync.id.0,
            user_id: sync.user.0,
            link_id: sync.link.0,
            origin: sync.origin.as_str().to_owned(),
            status: sync.status.as_str().to_owned(),
            created_at: sync.created_at.utc(),
            run_after: sync.run_after.utc(),
            attempts: i64::from(sync.attempts),
            started_at: sync.started_at.map(Timestamp::utc),
            finished_at: sync.finished_at.map(Timestamp::utc),
            recent_at: sync.recent_at.map(Timestamp::utc),
            problem: sync.problem.map(|problem| problem.as_str().to_owned()),
            accounts_seen: i64::from(sync.counts.accounts),
            transactions_added: i64::from(sync.counts.added),
            transactions_modified: i64::from(sync.counts.modified),
            transactions_removed: i64::from(sync.counts.removed),
            rows_refused: i64::from(sync.counts.refused),
        }
    }
}

impl TryFrom<syncs::Model> for Sync {
    type Error = anyhow::Error;

    fn try_from(row: syncs::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: SyncId(row.id),
            link: LinkId(row.link_id),
            user: UserId(row.user_id),
            origin: value::word("syncs.origin", &row.origin, SyncOrigin::parse)?,
            status: value::word("syncs.status", &row.status, SyncStatus::parse)?,
            created_at: Timestamp::new(row.created_at),
            run_after: Timestamp::new(row.run_after),
            attempts: value::count("syncs.attempts", row.attempts)?,
            started_at: value::optional_instant(row.started_at),
            finished_at: value::optional_instant(row.finished_at),
            recent_at: value::optional_instant(row.recent_at),
            problem: value::optional_word("syncs.problem", row.problem.as_deref(), SyncProblem::parse)?,
            counts: SyncCounts {
                accounts: value::count("syncs.accounts_seen", row.accounts_seen)?,
                added: value::count("syncs.transactions_added", row.transactions_added)?,
                modified: value::count("syncs.transactions_modified", row.transactions_modified)?,
                removed: value::count("syncs.transactions_removed", row.transactions_removed)?,
                refused: value::count("syncs.rows_refused", row.rows_refused)?,
            },
        })
    }
}

#[async_trait]
impl Syncs for DatabaseWork {
    async fn latest(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<Option<Sync>> {
        let row = syncs::Entity::find()
            .filter(syncs::Column::UserId.eq(owner.0))
            .filter(syncs::Column::LinkId.eq(link.0))
            .order_by_desc(syncs::Column::CreatedAt)
            .order_by_desc(syncs::Column::Id)
            .one(&self.transaction)
            .await;
        row.map_err(broken("reading a link's latest sync"))?.map(Sync::try_from).transpose()
    }

    async fn insert(&mut self, sync: &Sync) -> anyhow::Result<bool> {
        let inserted = syncs::Entity::insert(syncs::ActiveModel::from(syncs::Model::from(sync)))
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&self.transaction)
            .await
            .map_err(broken("storing a sync"))?;
        if inserted == 1 {
            // What is seen of a link is how its last sync goes, too.
            self.note(sync.user, ChangedKind::Link, [sync.link.0]).await?;
        }
        Ok(inserted == 1)
    }

    async fn hurry(&mut self, owner: UserId, link: LinkId, now: Timestamp) -> anyhow::Result<Option<Sync>> {
        use syncs::Column::{Attempts, LinkId as Of, Origin, RunAfter, Status, UserId as Owner};
        let waits = RunAfter.gt(now.utc()).or(Origin.eq(SyncOrigin::Scheduled.as_str()));
        let at_rest = credentials::Entity::find()
            .select_only()
            .column(credentials::Column::LinkId)
            .filter(credentials::Column::UserId.eq(owner.0))
            .filter(credentials::Column::RestsUntil.gt(now.utc()))
            .into_query();
        let hurried = syncs::Entity::update_many()
            .col_expr(RunAfter, Expr::val(now.utc()))
            .col_expr(Origin, Expr::val(SyncOrigin::Requested.as_str()))
            // However often somebody asks, the tries that are left are the schedule's own.
            .col_expr(Attempts, CaseStatement::new().case(Attempts.gt(0), Expr::col(Attempts).sub(1)).finally(0).into())
            .filter(Owner.eq(owner.0))
            .filter(Of.eq(link.0))
            .filter(Status.eq(SyncStatus::Queued.as_str()))
            .filter(waits)
            .filter(Of.not_in_subquery(at_rest))
            .exec(&self.transaction)
            .await
            .map_err(broken("hurrying a sync"))?;
        if hurried.rows_affected == 0 {
            return Ok(None);
        }
        self.note(owner, ChangedKind::Link, [link.0]).await?;
        Syncs::latest(self, owner, link).await
    }

    async fn save(&mut self, sync: &Sync) -> anyhow::Result<bool> {
        let row = syncs::Model::from(sync);
        let changes = syncs::ActiveModel {
            status: Set(row.status),
            run_after: Set(row.run_after),
            started_at: Set(row.started_at),
            finished_at: Set(row.finished_at),
            recent_at: Set(row.recent_at),
            problem: Set(row.problem),
            accounts_seen: Set(row.accounts_seen),
            transactions_added: Set(row.transactions_added),
            transactions_modified: Set(row.transactions_modified),
            transactions_removed: Set(row.transactions_removed),
            rows_refused: Set(row.rows_refused),
            ..Default::default()
        };
        let saved = syncs::Entity::update_many()
            .set(changes)
            .filter(syncs::Column::Id.eq(row.id))
            .filter(syncs::Column::UserId.eq(row.user_id))
            .filter(syncs::Column::Status.eq(SyncStatus::Running.as_str()))
            .filter(syncs::Column::Attempts.eq(row.attempts))
            .exec(&self.transaction)
            .await
            .map_err(broken("saving a sync"))?;
        if saved.rows_affected == 1 {
            self.note(sync.user, ChangedKind::Link, [sync.link.0]).await?;
        }
        Ok(saved.rows_affected == 1)
    }

    async fn end_open(&mut self, owner: UserId, link: LinkId, problem: SyncProblem, now: Timestamp) -> anyhow::Result<()> {
        let end = syncs::ActiveModel {
            status: Set(SyncStatus::Failed.as_str().to_owned()),
            problem: Set(Some(problem.as_str().to_owned())),
            finished_at: Set(Some(now.utc())),
            ..Default::default()
        };
        let ended = syncs::Entity::update_many()
            .set(end)
            .filter(syncs::Column::UserId.eq(owner.0))
            .filter(syncs::Column::LinkId.eq(link.0))
            .filter(Expr::cust(OPEN))
            .exec(&self.transaction)
            .await;
        ended.map(|_| ()).map_err(broken("ending a link's syncs"))
    }
}

#[async_trait]
impl SyncQueue for DatabaseStore {
    async fn give_back_all_for_worker(&self, now: Timestamp) -> anyhow::Result<u64> {
        let given_back = syncs::Entity::update_many()
            .col_expr(syncs::Column::Status, Expr::val(SyncStatus::Queued.as_str()))
            .col_expr(syncs::Column::RunAfter, Expr::val(now.utc()))
            .filter(syncs::Column::Status.eq(SyncStatus::Running.as_str()))
            .exec(&self.connection)
            .await;
        Ok(given_back.map_err(broken("giving back syncs"))?.rows_affected)
    }

    async fn give_back_for_worker(&self, held: &Sync, now: Timestamp) -> anyhow::Result<()> {
        use syncs::Column::{Attempts, Id, RunAfter, Status};
        let given_back = syncs::Entity::update_many()
            .col_expr(Status, Expr::val(SyncStatus::Queued.as_str()))
            .col_expr(RunAfter, Expr::val(now.utc()))
            .col_expr(Attempts, Expr::col(Attempts).sub(1))
            .filter(Id.eq(held.id.0))
            .filter(Status.eq(SyncStatus::Running.as_str()))
            .filter(Attempts.eq(i64::from(held.attempts)))
            .exec(&self.connection)
            .await;
        given_back.map(|_| ()).map_err(broken("giving back a sync"))
    }

    async fn take_any_for_worker(&self, busy: &[String], now: Timestamp) -> anyhow::Result<Option<Sync>> {
        use syncs::Column::{Attempts, CreatedAt, Id, Origin, RunAfter, StartedAt, Status};
        let lease_over = now.minus(Duration::minutes(SYNC_LEASE_MINUTES));
        let waiting = Condition::any()
            .add(Status.eq(SyncStatus::Queued.as_str()).and(RunAfter.lte(now.utc())))
            .add(Status.eq(SyncStatus::Running.as_str()).and(StartedAt.lt(lease_over.utc())));
        // Locked rows are another worker's: on PostgreSQL they are passed over, on SQLite there are none.
        let mut open = syncs::Entity::find().select_only().column(Id).filter(Expr::cust(OPEN)).filter(waiting);
        if !busy.is_empty() {
            let of_busy = links::Entity::find().select_only().column(links::Column::Id).filter(links::Column::Provider.is_in(busy)).into_query();
            open = open.filter(syncs::Column::LinkId.not_in_subquery(of_busy));
        }
        let next = open
            .order_by_asc(Origin.eq(SyncOrigin::Scheduled.as_str()))
            .order_by_asc(RunAfter)
            .order_by_asc(CreatedAt)
            .order_by_asc(Id)
            .limit(1)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        let take = Query::update()
            .table(syncs::Entity)
            .value(Status, SyncStatus::Running.as_str())
            .value(Attempts, Expr::col(Attempts).add(1))
            .value(StartedAt, now.utc())
            .and_where(Expr::col(Id).eq(Expr::from(SubQueryStatement::from(next))))
            .returning_all()
            .to_owned();
        let transaction = self.transaction().await?;
        let row = transaction.query_one(&take).await.map_err(broken("taking a sync"))?;
        transaction.commit().await.map_err(broken("taking a sync"))?;
        let row = row.map(|row| syncs::Model::from_query_result(&row, "")).transpose().context("reading the sync that was taken")?;
        let taken = row.map(Sync::try_from).transpose()?;
        if let (Some(sync), Some(bus)) = (&taken, self.bus.get()) {
            bus.publish(Signal::SyncProgressed { user: sync.user, link: sync.link, sync: sync.id });
        }
        Ok(taken)
    }

    async fn forget_old_for_worker(&self, now: Timestamp) -> anyhow::Result<u64> {
        let long_ago = now.minus(Duration::days(SYNC_HISTORY_DAYS)).utc();
        let old = syncs::Entity::find()
            .select_only()
            .column(syncs::Column::Id)
            .filter(syncs::Column::FinishedAt.lt(long_ago))
            .filter(Expr::cust(FOLLOWED))
            .limit(MOST_FORGOTTEN)
            .into_query();
        let forgotten = syncs::Entity::delete_many().filter(syncs::Column::Id.in_subquery(old)).exec(&self.connection).await;
        Ok(forgotten.map_err(broken("forgetting old syncs"))?.rows_affected)
    }

    async fn backlog(&self, now: Timestamp) -> anyhow::Result<SyncBacklog> {
        backlog(&self.reading, now).await
    }
}

#[derive(FromQueryResult)]
struct BacklogRow {
    queued: i64,
    running: i64,
    dead: i64,
    overdue: i64,
}

#[derive(FromQueryResult)]
struct FailingRow {
    failing: i64,
    since: Option<chrono::DateTime<chrono::Utc>>,
}

/// How much is not done, and which links fail.
pub(super) async fn backlog(connection: &impl ConnectionTrait, now: Timestamp) -> anyhow::Result<SyncBacklog> {
    use syncs::Column::{RunAfter, StartedAt, Status};
    let lease_over = now.minus(Duration::minutes(SYNC_LEASE_MINUTES)).utc();
    let long_ago = now.minus(Duration::minutes(OVERDUE_MINUTES)).utc();
    let is = |status: SyncStatus| Status.eq(status.as_str());
    let counted = |condition: Expr| Expr::from(Func::count(CaseStatement::new().case(condition, 1)));
    let row = syncs::Entity::find()
        .select_only()
        .column_as(counted(is(SyncStatus::Queued)), "queued")
        .column_as(counted(is(SyncStatus::Running).and(StartedAt.gte(lease_over))), "running")
        .column_as(counted(is(SyncStatus::Running).and(StartedAt.lt(lease_over))), "dead")
        .column_as(counted(is(SyncStatus::Queued).and(RunAfter.lt(long_ago))), "overdue")
        .filter(Expr::cust(OPEN))
        .into_model::<BacklogRow>()
        .one(connection)
        .await;
    let row = row.map_err(broken("counting syncs"))?.context("the database counted nothing")?;
    let failing = links::Entity::find()
        .select_only()
        .column_as(links::Column::Id.count(), "failing")
        .column_as(links::Column::SyncFailingSince.min(), "since")
        .filter(Expr::cust(ACTIVE))
        .filter(links::Column::SyncFailingSince.is_not_null())
        // Others are not tried again, so nothing would end it.
        .filter(Expr::cust(OF_SOMEBODY))
        .into_model::<FailingRow>()
        .one(connection)
        .await;
    let failing = failing.map_err(broken("counting links that fail"))?.context("the database counted nothing")?;
    let count = |counted| value::count("the number of syncs", counted).map(u64::from);
    Ok(SyncBacklog {
        queued: count(row.queued)?,
        running: count(row.running)?,
        dead: count(row.dead)?,
        overdue: count(row.overdue)?,
        failing: count(failing.failing)?,
        failing_since: value::optional_instant(failing.since),
    })
}

#[async_trait]
impl SyncReader for Readers {
    async fn find_many(&self, owner: UserId, ids: &[SyncId]) -> anyhow::Result<Vec<Sync>> {
        let rows = syncs::Entity::find().filter(syncs::Column::UserId.eq(owner.0)).filter(syncs::Column::Id.is_in(ids.iter().map(|id| id.0)));
        rows.all(&self.connection).await.map_err(broken("reading syncs by id"))?.into_iter().map(Sync::try_from).collect()
    }

    async fn latest_of(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<Sync>> {
        let youngest =
            syncs::Entity::find().filter(syncs::Column::UserId.eq(owner.0)).order_by_desc(syncs::Column::CreatedAt).order_by_desc(syncs::Column::Id).limit(1);
        let links: Vec<_> = links.iter().map(|link| link.0).collect();
        let rows = page::of_each(&self.connection, &links, syncs::Column::LinkId, &youngest).await.map_err(broken("reading latest syncs"))?;
        rows.into_iter().map(Sync::try_from).collect()
    }

    async fn pages_by_link(&self, owner: UserId, links: &[LinkId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<LinkId, Slice<Sync>>> {
        let children = page::Children {
            parent: syncs::Column::LinkId,
            parent_of: |row: &syncs::Model| row.link_id,
            columns: (syncs::Column::CreatedAt, syncs::Column::Id),
            ascending: |one: &Sync, other| (one.created_at, one.id).cmp(&(other.created_at, other.id)),
        };
        let rows = syncs::Entity::find().filter(syncs::Column::UserId.eq(owner.0));
        let links = links.iter().map(|link| link.0).collect();
        let pages = page::read_each(&self.connection, rows, children, links, page, "reading syncs by link").await?;
        Ok(pages.into_iter().map(|(link, page)| (LinkId(link), page)).collect())
    }
}
