//! Mail: the rows of `outbox` that are mails, and those of `mail_tokens`.

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    id::{LinkId, MailTokenId, MessageId, UserId},
    mail::{Mail, MailKind, MailQueue, MailToken, MailTokenPurpose, MailTokenReader, Mails},
    time::Timestamp,
    user::EmailAddress,
};

use super::{
    DatabaseStore, Readers, email_change,
    error::broken,
    outbox::{self, Queued, messages},
    user::users,
    value,
    work::DatabaseWork,
};

/// What the topics of mails begin with.
const TOPIC: &str = "mail.";

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Uuid>,
}

fn topic(kind: MailKind) -> String {
    format!("{TOPIC}{}", kind.as_str())
}

impl TryFrom<messages::Model> for Mail {
    type Error = anyhow::Error;

    fn try_from(row: messages::Model) -> anyhow::Result<Self> {
        let payload: Payload = serde_json::from_str(&row.payload).context("outbox.payload is not that of a mail")?;
        Ok(Self {
            id: MessageId(row.id),
            user: UserId(row.user_id.context("outbox.user_id is missing for a mail")?),
            kind: value::word("outbox.topic", row.topic.trim_start_matches(TOPIC), MailKind::parse)?,
            token: payload.token.map(MailTokenId),
            link: payload.link.map(LinkId),
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
        let payload =
            serde_json::to_string(&Payload { token: mail.token.map(Into::into), link: mail.link.map(Into::into) }).context("writing a mail's payload")?;
        let message = Queued { id: mail.id, user: Some(mail.user), lane: mail.lane(), topic: topic(mail.kind), payload, at: mail.created_at };
        outbox::queue(&self.transaction, message).await?;
        self.mails.push(mail.kind);
        self.rings = true;
        Ok(())
    }

    async fn queued_since(&mut self, user: UserId, kind: MailKind, since: Timestamp) -> anyhow::Result<u64> {
        let locked = users::Entity::find_by_id(user.0).lock(LockType::NoKeyUpdate).one(&self.transaction).await;
        locked.map_err(broken("waiting for a user's other mails"))?;
        let queued = messages::Entity::find()
            .filter(messages::Column::UserId.eq(user.0))
            .filter(messages::Column::CreatedAt.gt(since.utc()))
            .filter(messages::Column::Topic.eq(topic(kind)))
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
        while let Some(row) = self.take_message(TOPIC, now).await? {
            let (id, attempts) = (MessageId(row.id), row.attempts);
            match Mail::try_from(row) {
                Ok(mail) => return Ok(Some(mail)),
                // However often it is tried, and whoever waits behind it.
                Err(failure) => {
                    tracing::error!(mail = %id.0, error = ?failure, "a mail in the outbox cannot be read; it is parked");
                    self.message_failed(id, attempts, None, "unreadable", now).await?;
                }
            }
        }
        Ok(None)
    }

    async fn find_any_token_for_courier(&self, id: MailTokenId) -> anyhow::Result<Option<MailToken>> {
        let row = mail_tokens::Entity::find_by_id(id.0).one(&self.connection).await.map_err(broken("reading a token"))?;
        row.map(MailToken::try_from).transpose()
    }

    async fn find_any_address_for_courier(&self, token: MailTokenId) -> anyhow::Result<Option<EmailAddress>> {
        email_change::address_of(&self.connection, token).await
    }

    async fn delivered(&self, mail: MessageId, void: bool, now: Timestamp) -> anyhow::Result<()> {
        self.message_delivered(mail, void.then_some("void"), now).await
    }

    async fn failed(&self, mail: &Mail, at: Option<Timestamp>, problem: &str, now: Timestamp) -> anyhow::Result<()> {
        self.message_failed(mail.id, mail.attempts.into(), at, problem, now).await
    }

    async fn forget_delivered(&self, before: Timestamp) -> anyhow::Result<u64> {
        self.forget_messages(TOPIC, before).await
    }
}
