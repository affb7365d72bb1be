//! Changes of address: the rows of `email_changes`.

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::{
    email_change::{EmailChange, EmailChanges},
    id::{EmailChangeId, MailTokenId, UserId},
    time::Timestamp,
    user::EmailAddress,
};

use super::{error::broken, value, work::DatabaseWork};

pub(super) mod email_changes {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "email_changes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub previous_email: String,
        pub new_email: String,
        pub requested_at: DateTimeUtc,
        pub confirmation_token_id: Uuid,
        pub confirmed_at: Option<DateTimeUtc>,
        pub revert_token_id: Option<Uuid>,
        pub reverted_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&EmailChange> for email_changes::Model {
    fn from(change: &EmailChange) -> Self {
        let (confirmed_at, revert_token_id) = change.confirmed.unzip();
        Self {
            id: change.id.0,
            user_id: change.user.0,
            previous_email: change.previous.written().to_owned(),
            new_email: change.new.written().to_owned(),
            requested_at: change.requested_at.utc(),
            confirmation_token_id: change.confirmation.0,
            confirmed_at: confirmed_at.map(Timestamp::utc),
            revert_token_id: revert_token_id.map(Into::into),
            reverted_at: change.reverted_at.map(Timestamp::utc),
        }
    }
}

impl TryFrom<email_changes::Model> for EmailChange {
    type Error = anyhow::Error;

    fn try_from(row: email_changes::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: EmailChangeId(row.id),
            user: UserId(row.user_id),
            previous: EmailAddress::parse(&row.previous_email).context("email_changes.previous_email is not an address")?,
            new: EmailAddress::parse(&row.new_email).context("email_changes.new_email is not an address")?,
            requested_at: Timestamp::new(row.requested_at),
            confirmation: MailTokenId(row.confirmation_token_id),
            confirmed: value::optional_instant(row.confirmed_at).zip(row.revert_token_id.map(MailTokenId)),
            reverted_at: value::optional_instant(row.reverted_at),
        })
    }
}

fn of_token(token: MailTokenId) -> Condition {
    Condition::any().add(email_changes::Column::ConfirmationTokenId.eq(token.0)).add(email_changes::Column::RevertTokenId.eq(token.0))
}

/// Where the mail with this token goes: to the new address to confirm it, to the previous one to take it back.
pub(super) async fn address_of(connection: &impl ConnectionTrait, token: MailTokenId) -> anyhow::Result<Option<EmailAddress>> {
    let row = email_changes::Entity::find().filter(of_token(token)).one(connection).await.map_err(broken("reading a change of address"))?;
    let Some(change) = row.map(EmailChange::try_from).transpose()? else { return Ok(None) };
    Ok(Some(if change.confirmation == token { change.new } else { change.previous }))
}

#[async_trait]
impl EmailChanges for DatabaseWork {
    async fn insert(&mut self, change: &EmailChange) -> anyhow::Result<()> {
        let row = email_changes::ActiveModel::from(email_changes::Model::from(change));
        let inserted = email_changes::Entity::insert(row).exec_without_returning(&self.transaction).await;
        inserted.map(|_| ()).map_err(broken("storing a change of address"))
    }

    async fn find_by_token(&mut self, owner: UserId, token: MailTokenId) -> anyhow::Result<Option<EmailChange>> {
        let row = email_changes::Entity::find().filter(email_changes::Column::UserId.eq(owner.0)).filter(of_token(token)).one(&self.transaction).await;
        row.map_err(broken("reading a change of address"))?.map(EmailChange::try_from).transpose()
    }

    async fn save(&mut self, change: &EmailChange) -> anyhow::Result<()> {
        let row = email_changes::Model::from(change);
        let changes = email_changes::ActiveModel {
            previous_email: Set(row.previous_email),
            confirmed_at: Set(row.confirmed_at),
            revert_token_id: Set(row.revert_token_id),
            reverted_at: Set(row.reverted_at),
            ..Default::default()
        };
        let saved = email_changes::Entity::update_many()
            .set(changes)
            .filter(email_changes::Column::Id.eq(row.id))
            .filter(email_changes::Column::UserId.eq(row.user_id))
            .exec(&self.transaction)
            .await
            .map_err(broken("saving a change of address"))?;
        anyhow::ensure!(saved.rows_affected == 1, "the change of address to be saved is gone");
        Ok(())
    }

    async fn standing_since(&mut self, owner: UserId, since: Timestamp) -> anyhow::Result<Vec<EmailChange>> {
        let rows = email_changes::Entity::find()
            .filter(email_changes::Column::UserId.eq(owner.0))
            .filter(email_changes::Column::ConfirmedAt.gte(since.utc()))
            .filter(email_changes::Column::RevertedAt.is_null())
            .order_by_asc(email_changes::Column::ConfirmedAt)
            .order_by_asc(email_changes::Column::Id)
            .all(&self.transaction)
            .await;
        rows.map_err(broken("reading changes of address"))?.into_iter().map(EmailChange::try_from).collect()
    }
}
