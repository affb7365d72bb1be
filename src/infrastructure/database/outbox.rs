//! The outbox: the rows of `outbox`, whatever they are about. What a message holds is the business of its feature's file.

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{CaseStatement, Expr, ExprTrait, Func, LockBehavior, LockType, Query, SubQueryStatement},
};

use crate::domain::{
    id::{MessageId, UserId},
    outbox::{Backlog, LEASE_MINUTES, Message, OVERDUE_MINUTES, Outbox, OutboxReader},
    time::Timestamp,
};

use super::{DatabaseStore, Readers, error::broken, user::users, value, work::DatabaseWork};

/// The condition of `ix_outbox_undelivered`, word for word: with bound values neither planner could tell that the index holds the answer.
const UNDELIVERED: &str = "delivered_at IS NULL AND parked_at IS NULL";

/// Nothing of its lane is before it. What has no lane waits for nobody.
const FOREMOST: &str = "NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.lane = outbox.lane AND earlier.position < outbox.position \
                        AND earlier.delivered_at IS NULL AND earlier.parked_at IS NULL)";

pub(super) mod messages {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Option<Uuid>,
        pub topic: String,
        pub payload: String,
        pub created_at: DateTimeUtc,
        pub available_at: DateTimeUtc,
        pub attempts: i64,
        pub delivered_at: Option<DateTimeUtc>,
        pub parked_at: Option<DateTimeUtc>,
        pub last_error: Option<String>,
        pub lane: Option<Uuid>,
        pub position: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use messages::Column;

impl TryFrom<messages::Model> for Message {
    type Error = anyhow::Error;

    fn try_from(row: messages::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: MessageId(row.id),
            topic: row.topic,
            user: row.user_id.map(UserId),
            created_at: Timestamp::new(row.created_at),
            available_at: Timestamp::new(row.available_at),
            attempts: value::count("outbox.attempts", row.attempts)?,
            parked_at: value::optional_instant(row.parked_at),
            problem: row.last_error,
        })
    }
}

/// A message to be queued.
pub(super) struct Queued {
    pub(super) id: MessageId,
    pub(super) user: Option<UserId>,
    pub(super) lane: Option<UserId>,
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) at: Timestamp,
}

/// Queues a message behind those of its lane. The lane's turn is that of its user, held until the commit: so positions are in the order of
/// commits, and no courier ever finds one behind which an earlier one still comes up.
pub(super) async fn queue(transaction: &DatabaseTransaction, message: Queued) -> anyhow::Result<()> {
    let position = match message.lane {
        None => 0,
        Some(lane) => {
            let locked = users::Entity::find_by_id(lane.0).lock(LockType::NoKeyUpdate).one(transaction).await;
            locked.map_err(broken("waiting for a user's other messages"))?;
            let last = messages::Entity::find().select_only().column_as(Column::Position.max(), "last").filter(Column::Lane.eq(lane.0));
            let last: Option<Option<i64>> = last.into_tuple().one(transaction).await.map_err(broken("looking for a user's last message"))?;
            last.flatten().unwrap_or(0) + 1
        }
    };
    let row = messages::Model {
        id: message.id.0,
        user_id: message.user.map(|user| user.0),
        topic: message.topic,
        payload: message.payload,
        created_at: message.at.utc(),
        available_at: message.at.utc(),
        attempts: 0,
        delivered_at: None,
        parked_at: None,
        last_error: None,
        lane: message.lane.map(|lane| lane.0),
        position,
    };
    let inserted = messages::Entity::insert(messages::ActiveModel::from(row)).exec_without_returning(transaction).await;
    inserted.map(|_| ()).map_err(broken("queueing a message"))
}

impl DatabaseStore {
    /// Takes the message of these topics that has waited longest, and is the foremost of its lane, for the time of a lease.
    pub(super) async fn take_message(&self, topics: &str, now: Timestamp) -> anyhow::Result<Option<messages::Model>> {
        use messages::Column::{Attempts, AvailableAt, Id, Topic};
        // Locked rows are another courier's: on PostgreSQL they are passed over, on SQLite there are none.
        let next = messages::Entity::find()
            .select_only()
            .column(Id)
            .filter(Expr::cust(UNDELIVERED))
            .filter(Topic.starts_with(topics))
            .filter(AvailableAt.lte(now.utc()))
            .filter(Expr::cust(FOREMOST))
            .order_by_asc(AvailableAt)
            .order_by_asc(Id)
            .limit(1)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        let take = Query::update()
            .table(messages::Entity)
            .value(Attempts, Expr::col(Attempts).add(1))
            .value(AvailableAt, now.plus(Duration::minutes(LEASE_MINUTES)).utc())
            .and_where(Expr::col(Id).eq(Expr::from(SubQueryStatement::from(next))))
            .returning_all()
            .to_owned();
        let transaction = self.transaction().await?;
        let row = transaction.query_one(&take).await.map_err(broken("taking a message"))?;
        transaction.commit().await.map_err(broken("taking a message"))?;
        row.map(|row| messages::Model::from_query_result(&row, "")).transpose().context("reading the message that was taken")
    }

    /// It is out. `problem` says why it is, if it never went out.
    pub(super) async fn message_delivered(&self, id: MessageId, problem: Option<&str>, now: Timestamp) -> anyhow::Result<()> {
        let changes = messages::ActiveModel {
            delivered_at: Set(Some(now.utc())),
            parked_at: Set(None),
            last_error: Set(problem.map(str::to_owned)),
            ..Default::default()
        };
        let noted = messages::Entity::update_many().set(changes).filter(Column::Id.eq(id.0)).filter(Column::DeliveredAt.is_null());
        noted.exec(&self.connection).await.map(|_| ()).map_err(broken("noting that a message is out"))
    }

    /// The try of that number failed. Whoever took it since then says what becomes of it.
    pub(super) async fn message_failed(&self, id: MessageId, attempts: i64, at: Option<Timestamp>, problem: &str, now: Timestamp) -> anyhow::Result<()> {
        let mut changes = messages::ActiveModel { last_error: Set(Some(problem.to_owned())), ..Default::default() };
        match at {
            Some(at) => changes.available_at = Set(at.utc()),
            None => changes.parked_at = Set(Some(now.utc())),
        }
        let noted = messages::Entity::update_many().set(changes).filter(Column::Id.eq(id.0)).filter(Column::Attempts.eq(attempts));
        let noted = noted.filter(Expr::cust(UNDELIVERED)).exec(&self.connection).await;
        noted.map(|_| ()).map_err(broken("noting that a message failed"))
    }

    /// Forgets what of these topics was out before an instant.
    pub(super) async fn forget_messages(&self, topics: &str, before: Timestamp) -> anyhow::Result<u64> {
        let gone = messages::Entity::delete_many().filter(Column::Topic.starts_with(topics)).filter(Column::DeliveredAt.lt(before.utc()));
        Ok(gone.exec(&self.connection).await.map_err(broken("forgetting delivered messages"))?.rows_affected)
    }
}

#[async_trait]
impl Outbox for DatabaseWork {
    async fn find_any_for_operator(&mut self, id: MessageId) -> anyhow::Result<Option<Message>> {
        let row = messages::Entity::find_by_id(id.0).filter(Column::DeliveredAt.is_null()).lock(LockType::Update).one(&self.transaction).await;
        row.map_err(broken("reading a message"))?.map(Message::try_from).transpose()
    }

    async fn retry(&mut self, id: MessageId, now: Timestamp) -> anyhow::Result<()> {
        let changes = messages::ActiveModel { parked_at: Set(None), available_at: Set(now.utc()), attempts: Set(0), ..Default::default() };
        let again = messages::Entity::update_many().set(changes).filter(Column::Id.eq(id.0)).exec(&self.transaction).await;
        again.map_err(broken("letting a message go again"))?;
        self.rings = true;
        Ok(())
    }

    async fn drop(&mut self, id: MessageId) -> anyhow::Result<()> {
        let gone = messages::Entity::delete_by_id(id.0).exec(&self.transaction).await;
        gone.map(|_| ()).map_err(broken("dropping a message"))
    }
}

#[async_trait]
impl OutboxReader for Readers {
    async fn undelivered_for_operator(&self, parked: bool, limit: u64) -> anyhow::Result<Vec<Message>> {
        let mut rows = messages::Entity::find().filter(Column::DeliveredAt.is_null());
        if parked {
            rows = rows.filter(Column::ParkedAt.is_not_null());
        }
        let rows = rows.order_by_asc(Column::CreatedAt).order_by_asc(Column::Id).limit(limit).all(&self.connection).await;
        rows.map_err(broken("reading the outbox"))?.into_iter().map(Message::try_from).collect()
    }

    async fn backlog(&self, now: Timestamp) -> anyhow::Result<Vec<Backlog>> {
        backlog(&self.connection, now).await
    }
}

#[derive(FromQueryResult)]
struct BacklogRow {
    topic: String,
    waiting: i64,
    overdue: i64,
    parked: i64,
}

/// How much is not out yet, by topic.
pub(super) async fn backlog(connection: &impl ConnectionTrait, now: Timestamp) -> anyhow::Result<Vec<Backlog>> {
    let waits = || Expr::col(Column::ParkedAt).is_null();
    let late = now.minus(Duration::minutes(OVERDUE_MINUTES));
    let counted = |condition: Expr| Func::count(CaseStatement::new().case(condition, 1));
    let rows = messages::Entity::find()
        .select_only()
        .column(Column::Topic)
        .column_as(Expr::from(counted(waits())), "waiting")
        .column_as(Expr::from(counted(waits().and(Expr::col(Column::CreatedAt).lt(late.utc())))), "overdue")
        .column_as(Expr::from(Func::count(Expr::col(Column::ParkedAt))), "parked")
        .filter(Column::DeliveredAt.is_null())
        .group_by(Column::Topic)
        .order_by_asc(Column::Topic)
        .into_model::<BacklogRow>()
        .all(connection)
        .await;
    let row = |row: BacklogRow| {
        Ok(Backlog {
            topic: row.topic,
            waiting: value::count("the number of waiting messages", row.waiting)?.into(),
            overdue: value::count("the number of overdue messages", row.overdue)?.into(),
            parked: value::count("the number of parked messages", row.parked)?.into(),
        })
    };
    rows.map_err(broken("counting the outbox"))?.into_iter().map(row).collect()
}
