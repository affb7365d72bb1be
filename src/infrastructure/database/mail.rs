//! Mail: the rows of `outbox` and of `mail_tokens`.

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query, SubQueryStatement},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    id::{MailId, MailTokenId, UserId},
    mail::{MAIL_LEASE_MINUTES, Mail, MailKind, MailQueue, MailToken, MailTokenPurpose, MailTokenReader, Mails},
    time::Timestamp,
    user::EmailAddress,
};

use super::{DatabaseStore, Readers, email_change, error::broken, user::users, value, work::DatabaseWork};

/// The condition of `ix_outbox_undelivered`, word for word: with bound values neither planner could tell that the index holds the answer.
const UNDELIVERED: &str = "delivered_at IS NULL AND parked_at IS NULL";

/// What the topics of mails begin with.
const TOPIC: &str = "mail.";

mod outbox {
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
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod mail_tokens {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "mail_tokens")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub purpose: String,
        pub key_id: String,
        pub hash: Vec<u8>,
        pub created_at: DateTimeUtc,
        pub expires_at: DateTimeUtc,
        pub spent_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What of a mail is in `payload`.
#[derive(Serialize, Deserialize)]
struct Payload {
    token: Option<Uuid>,
}

fn topic(kind: MailKind) -> String {
    format!("{TOPIC}{}", kind.as_str())
}

impl TryFrom<outbox::Model> for Mail {
    type Error = anyhow::Error;

    fn try_from(row: outbox::Model) -> anyhow::Result<Self> {
        let payload: Payload = serde_json::from_str(&row.payload).context("outbox.payload is not that of a mail")?;
        Ok(Self {
            id: MailId(row.id),
            user: UserId(row.user_id.context("outbox.user_id is missing for a mail")?),
            kind: value::word("outbox.topic", row.topic.trim_start_matches(TOPIC), MailKind::parse)?,
            token: payload.token.map(MailTokenId),
            created_at: Timestamp::new(row.created_at),
            attempts: value::count("outbox.attempts", row.attempts)?,
        })
    }
}

impl TryFrom<mail_tokens::Model> for MailToken {
    type Error = anyhow::Error;

    fn try_from(row: mail_tokens::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: MailTokenId(row.id),
            user: UserId(row.user_id),
            purpose: value::word("mail_tokens.purpose", &row.purpose, MailTokenPurpose::parse)?,
            key_id: row.key_id,
            hash: row.hash,
            created_at: Timestamp::new(row.created_at),
            expires_at: Timestamp::new(row.expires_at),
            spent_at: value::optional_instant(row.spent_at),
        })
    }
}

#[async_trait]
impl Mails for DatabaseWork {
    async fn queue(&mut self, mail: &Mail) -> anyhow::Result<()> {
        let row = outbox::Model {
            id: mail.id.0,
            user_id: Some(mail.user.0),
            topic: topic(mail.kind),
            payload: serde_json::to_string(&Payload { token: mail.token.map(Into::into) }).context("writing a mail's payload")?,
            created_at: mail.created_at.utc(),
            available_at: mail.created_at.utc(),
            attempts: i64::from(mail.attempts),
            delivered_at: None,
            parked_at: None,
            last_error: None,
        };
        outbox::Entity::insert(outbox::ActiveModel::from(row)).exec_without_returning(&self.transaction).await.map_err(broken("queueing a mail"))?;
        Ok(())
    }

    async fn queued_since(&mut self, user: UserId, kind: MailKind, since: Timestamp) -> anyhow::Result<u64> {
        let locked = users::Entity::find_by_id(user.0).lock(LockType::NoKeyUpdate).one(&self.transaction).await;
        locked.map_err(broken("waiting for a user's other mails"))?;
        let queued = outbox::Entity::find()
            .filter(outbox::Column::UserId.eq(user.0))
            .filter(outbox::Column::CreatedAt.gt(since.utc()))
            .filter(outbox::Column::Topic.eq(topic(kind)))
            .count(&self.transaction)
            .await;
        queued.map_err(broken("counting a user's mails"))
    }

    async fn void_tokens(&mut self, user: UserId, purpose: MailTokenPurpose, now: Timestamp) -> anyhow::Result<()> {
        let voided = mail_tokens::Entity::update_many()
            .set(mail_tokens::ActiveModel { spent_at: Set(Some(now.utc())), ..Default::default() })
            .filter(mail_tokens::Column::UserId.eq(user.0))
            .filter(mail_tokens::Column::Purpose.eq(purpose.as_str()))
            .filter(mail_tokens::Column::SpentAt.is_null())
            .exec(&self.transaction)
            .await;
        voided.map(|_| ()).map_err(broken("voiding tokens"))
    }

    async fn void_tokens_of(&mut self, user: UserId, tokens: &[MailTokenId], now: Timestamp) -> anyhow::Result<()> {
        let voided = mail_tokens::Entity::update_many()
            .set(mail_tokens::ActiveModel { spent_at: Set(Some(now.utc())), ..Default::default() })
            .filter(mail_tokens::Column::UserId.eq(user.0))
            .filter(mail_tokens::Column::Id.is_in(tokens.iter().map(|token| token.0)))
            .filter(mail_tokens::Column::SpentAt.is_null())
            .exec(&self.transaction)
            .await;
        voided.map(|_| ()).map_err(broken("voiding tokens"))
    }

    async fn add_token(&mut self, token: &MailToken) -> anyhow::Result<()> {
        let row = mail_tokens::Model {
            id: token.id.0,
            user_id: token.user.0,
            purpose: token.purpose.as_str().to_owned(),
            key_id: token.key_id.clone(),
            hash: token.hash.clone(),
            created_at: token.created_at.utc(),
            expires_at: token.expires_at.utc(),
            spent_at: token.spent_at.map(Timestamp::utc),
        };
        let inserted = mail_tokens::Entity::insert(mail_tokens::ActiveModel::from(row)).exec_without_returning(&self.transaction).await;
        inserted.map(|_| ()).map_err(broken("storing a token"))
    }

    async fn spend_token(&mut self, hash: &[u8], purpose: MailTokenPurpose, now: Timestamp) -> anyhow::Result<Option<UserId>> {
        use mail_tokens::Column::{ExpiresAt, Hash, Purpose, SpentAt, UserId as Owner};
        let spend = Query::update()
            .table(mail_tokens::Entity)
            .value(SpentAt, now.utc())
            .and_where(Hash.eq(hash))
            .and_where(Purpose.eq(purpose.as_str()))
            .and_where(SpentAt.is_null())
            .and_where(ExpiresAt.gt(now.utc()))
            .returning_col(Owner)
            .to_owned();
        let row = self.transaction.query_one(&spend).await.map_err(broken("spending a token"))?;
        row.map(|row| row.try_get::<Uuid>("", "user_id").map(UserId)).transpose().context("reading whose token was spent")
    }
}

#[async_trait]
impl MailTokenReader for Readers {
    async fn find_any_live(&self, hash: &[u8], purpose: MailTokenPurpose, now: Timestamp) -> anyhow::Result<Option<MailToken>> {
        let row = mail_tokens::Entity::find()
            .filter(mail_tokens::Column::Hash.eq(hash))
            .filter(mail_tokens::Column::Purpose.eq(purpose.as_str()))
            .filter(mail_tokens::Column::SpentAt.is_null())
            .filter(mail_tokens::Column::ExpiresAt.gt(now.utc()))
            .one(&self.connection)
            .await;
        row.map_err(broken("reading a token"))?.map(MailToken::try_from).transpose()
    }
}

#[async_trait]
impl MailQueue for DatabaseStore {
    async fn take_any_for_courier(&self, now: Timestamp) -> anyhow::Result<Option<Mail>> {
        use outbox::Column::{Attempts, AvailableAt, Id, Topic};
        // Locked rows are another courier's: on PostgreSQL they are passed over, on SQLite there are none.
        let next = outbox::Entity::find()
            .select_only()
            .column(Id)
            .filter(Expr::cust(UNDELIVERED))
            .filter(Topic.starts_with(TOPIC))
            .filter(AvailableAt.lte(now.utc()))
            .order_by_asc(AvailableAt)
            .order_by_asc(Id)
            .limit(1)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        let take = Query::update()
            .table(outbox::Entity)
            .value(Attempts, Expr::col(Attempts).add(1))
            .value(AvailableAt, now.plus(Duration::minutes(MAIL_LEASE_MINUTES)).utc())
            .and_where(Expr::col(Id).eq(Expr::from(SubQueryStatement::from(next))))
            .returning_all()
            .to_owned();
        let transaction = self.transaction().await?;
        let row = transaction.query_one(&take).await.map_err(broken("taking a mail"))?;
        transaction.commit().await.map_err(broken("taking a mail"))?;
        let row = row.map(|row| outbox::Model::from_query_result(&row, "")).transpose().context("reading the mail that was taken")?;
        row.map(Mail::try_from).transpose()
    }

    async fn find_any_token_for_courier(&self, id: MailTokenId) -> anyhow::Result<Option<MailToken>> {
        let row = mail_tokens::Entity::find_by_id(id.0).one(&self.connection).await.map_err(broken("reading a token"))?;
        row.map(MailToken::try_from).transpose()
    }

    async fn find_any_address_for_courier(&self, token: MailTokenId) -> anyhow::Result<Option<EmailAddress>> {
        email_change::address_of(&self.connection, token).await
    }

    async fn delivered(&self, mail: MailId, now: Timestamp) -> anyhow::Result<()> {
        let changes = outbox::ActiveModel { delivered_at: Set(Some(now.utc())), last_error: Set(None), ..Default::default() };
        self.change(mail, changes).await
    }

    async fn failed(&self, mail: MailId, at: Option<Timestamp>, problem: &str, now: Timestamp) -> anyhow::Result<()> {
        let mut changes = outbox::ActiveModel { last_error: Set(Some(problem.to_owned())), ..Default::default() };
        match at {
            Some(at) => changes.available_at = Set(at.utc()),
            None => changes.parked_at = Set(Some(now.utc())),
        }
        self.change(mail, changes).await
    }

    async fn forget_delivered(&self, before: Timestamp) -> anyhow::Result<u64> {
        let gone = outbox::Entity::delete_many()
            .filter(outbox::Column::Topic.starts_with(TOPIC))
            .filter(outbox::Column::DeliveredAt.lt(before.utc()))
            .exec(&self.connection)
            .await;
        Ok(gone.map_err(broken("forgetting delivered mails"))?.rows_affected)
    }
}

impl DatabaseStore {
    async fn change(&self, mail: MailId, changes: outbox::ActiveModel) -> anyhow::Result<()> {
        let noted = outbox::Entity::update_many().set(changes).filter(outbox::Column::Id.eq(mail.0)).exec(&self.connection).await;
        noted.map(|_| ()).map_err(broken("noting what became of a mail"))
    }
}
