//! Links: the rows of `links` and `authorizations`. Those of `credentials` have a file of their own.

use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::{
    change::ChangedKind,
    id::{AuthorizationId, LinkId, UserId},
    link::{Authorization, CredentialClock, Hold, Link, LinkReader, LinkReason, LinkStatus, Links, SealedCredentials, StoredCredentials, Wiped},
    page::{CreatedKey, Page, Slice},
    schedule::SyncPlan,
    time::{LocalDate, Timestamp},
};

use super::{Readers, credential, error::broken, page, value, work::DatabaseWork};

pub(super) mod links {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "links")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub provider: String,
        pub status: String,
        pub reason: Option<String>,
        pub alias: Option<String>,
        pub consent_expires_at: Option<DateTimeUtc>,
        pub consent_began_at: Option<DateTimeUtc>,
        pub consent_warned_at: Option<DateTimeUtc>,
        pub consent_due_at: Option<DateTimeUtc>,
        pub covered_from: Option<Date>,
        pub covered_to: Option<Date>,
        pub synced_at: Option<DateTimeUtc>,
        pub sync_due_at: Option<DateTimeUtc>,
        pub sync_failures: i64,
        pub sync_failing_since: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod authorizations {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "authorizations")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub link_id: Uuid,
        pub provider: String,
        pub ticket_hash: Vec<u8>,
        pub state_hash: Vec<u8>,
        pub cookie_hash: Option<Vec<u8>>,
        pub sealed_secrets: Vec<u8>,
        pub redirect_uri: String,
        pub return_url: Option<String>,
        pub expires_at: DateTimeUtc,
        pub started_at: Option<DateTimeUtc>,
        pub spent_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&Link> for links::Model {
    fn from(link: &Link) -> Self {
        Self {
            id: link.id.0,
            user_id: link.user.0,
            provider: link.provider.clone(),
            status: link.status.as_str().to_owned(),
            reason: link.reason.map(|reason| reason.as_str().to_owned()),
            alias: link.alias.clone(),
            consent_expires_at: link.consent_expires_at.map(Timestamp::utc),
            consent_began_at: link.consent_began_at.map(Timestamp::utc),
            consent_warned_at: link.consent_warned_at.map(Timestamp::utc),
            consent_due_at: None,
            covered_from: link.covered_from.map(LocalDate::naive),
            covered_to: link.covered_to.map(LocalDate::naive),
            synced_at: link.synced_at.map(Timestamp::utc),
            sync_due_at: link.sync_plan.map(|plan| plan.due_at.utc()),
            sync_failures: link.sync_plan.map_or(0, |plan| plan.failures.into()),
            sync_failing_since: link.sync_plan.and_then(|plan| plan.failing_since).map(Timestamp::utc),
            created_at: link.created_at.utc(),
        }
    }
}

impl TryFrom<links::Model> for Link {
    type Error = anyhow::Error;

    fn try_from(row: links::Model) -> anyhow::Result<Self> {
        let plan = |due_at| {
            let failing_since = value::optional_instant(row.sync_failing_since);
            anyhow::Ok(SyncPlan { due_at: Timestamp::new(due_at), failures: value::count("links.sync_failures", row.sync_failures)?, failing_since })
        };
        let sync_plan = row.sync_due_at.map(plan).transpose()?;
        Ok(Self {
            id: LinkId(row.id),
            user: UserId(row.user_id),
            provider: row.provider,
            status: value::word("links.status", &row.status, LinkStatus::parse)?,
            reason: value::optional_word("links.reason", row.reason.as_deref(), LinkReason::parse)?,
            alias: row.alias,
            consent_expires_at: value::optional_instant(row.consent_expires_at),
            consent_began_at: value::optional_instant(row.consent_began_at),
            consent_warned_at: value::optional_instant(row.consent_warned_at),
            covered_from: row.covered_from.map(|day| value::day("links.covered_from", day)).transpose()?,
            covered_to: row.covered_to.map(|day| value::day("links.covered_to", day)).transpose()?,
            synced_at: value::optional_instant(row.synced_at),
            sync_plan,
            created_at: Timestamp::new(row.created_at),
        })
    }
}

impl From<&Authorization> for authorizations::Model {
    fn from(authorization: &Authorization) -> Self {
        Self {
            id: authorization.id.0,
            user_id: authorization.user.0,
            link_id: authorization.link.0,
            provider: authorization.provider.clone(),
            ticket_hash: authorization.ticket_hash.clone(),
            state_hash: authorization.state_hash.clone(),
            cookie_hash: authorization.cookie_hash.clone(),
            sealed_secrets: authorization.sealed_secrets.clone(),
            redirect_uri: authorization.redirect_uri.clone(),
            return_url: authorization.return_url.clone(),
            expires_at: authorization.expires_at.utc(),
            started_at: authorization.started_at.map(Timestamp::utc),
            spent_at: authorization.spent_at.map(Timestamp::utc),
        }
    }
}

impl From<authorizations::Model> for Authorization {
    fn from(row: authorizations::Model) -> Self {
        Self {
            id: AuthorizationId(row.id),
            link: LinkId(row.link_id),
            user: UserId(row.user_id),
            provider: row.provider,
            ticket_hash: row.ticket_hash,
            state_hash: row.state_hash,
            cookie_hash: row.cookie_hash,
            sealed_secrets: row.sealed_secrets,
            redirect_uri: row.redirect_uri,
            return_url: row.return_url,
            expires_at: Timestamp::new(row.expires_at),
            started_at: value::optional_instant(row.started_at),
            spent_at: value::optional_instant(row.spent_at),
        }
    }
}

#[async_trait]
impl Links for DatabaseWork {
    async fn find(&mut self, owner: UserId, id: LinkId) -> anyhow::Result<Option<Link>> {
        let row = links::Entity::find_by_id(id.0).filter(links::Column::UserId.eq(owner.0)).one(&self.transaction).await;
        row.map_err(broken("reading a link"))?.map(Link::try_from).transpose()
    }

    async fn find_open(&mut self, owner: UserId, provider: &str) -> anyhow::Result<Option<Link>> {
        let row = links::Entity::find()
            .filter(links::Column::UserId.eq(owner.0))
            .filter(links::Column::Provider.eq(provider))
            .filter(links::Column::Status.is_in([LinkStatus::Active, LinkStatus::Unlinked].map(LinkStatus::as_str)))
            .order_by_asc(links::Column::CreatedAt)
            .order_by_asc(links::Column::Id)
            .one(&self.transaction)
            .await;
        row.map_err(broken("reading a link"))?.map(Link::try_from).transpose()
    }

    async fn insert(&mut self, link: &Link) -> anyhow::Result<()> {
        let row = links::ActiveModel::from(links::Model::from(link));
        links::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing a link"))?;
        self.note(link.user, ChangedKind::Link, [link.id.0]).await
    }

    async fn save(&mut self, link: &Link) -> anyhow::Result<()> {
        let row = links::Model::from(link);
        let changes = links::ActiveModel {
            status: Set(row.status),
            reason: Set(row.reason),
            consent_expires_at: Set(row.consent_expires_at),
            consent_began_at: Set(row.consent_began_at),
            consent_warned_at: Set(row.consent_warned_at),
            covered_from: Set(row.covered_from),
            covered_to: Set(row.covered_to),
            synced_at: Set(row.synced_at),
            ..Default::default()
        };
        let saved = links::Entity::update_many()
            .set(changes)
            .filter(links::Column::Id.eq(row.id))
            .filter(links::Column::UserId.eq(row.user_id))
            .exec(&self.transaction)
            .await
            .map_err(broken("saving a link"))?;
        anyhow::ensure!(saved.rows_affected == 1, "the link to be saved is gone");
        self.note(link.user, ChangedKind::Link, [link.id.0]).await
    }

    async fn rename(&mut self, link: &Link) -> anyhow::Result<()> {
        let renamed = links::Entity::update_many()
            .set(links::ActiveModel { alias: Set(link.alias.clone()), ..Default::default() })
            .filter(links::Column::Id.eq(link.id.0))
            .filter(links::Column::UserId.eq(link.user.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("renaming a link"))?;
        anyhow::ensure!(renamed.rows_affected == 1, "the link to be renamed is gone");
        self.note(link.user, ChangedKind::Link, [link.id.0]).await
    }

    async fn plan(&mut self, owner: UserId, link: LinkId, plan: &SyncPlan) -> anyhow::Result<()> {
        let changes = links::ActiveModel {
            sync_due_at: Set(Some(plan.due_at.utc())),
            sync_failures: Set(plan.failures.into()),
            sync_failing_since: Set(plan.failing_since.map(Timestamp::utc)),
            ..Default::default()
        };
        let planned = links::Entity::update_many()
            .set(changes)
            .filter(links::Column::Id.eq(link.0))
            .filter(links::Column::UserId.eq(owner.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("planning a link's next sync"))?;
        anyhow::ensure!(planned.rows_affected == 1, "the link whose sync is to be planned is gone");
        self.note(owner, ChangedKind::Link, [link.0]).await
    }

    async fn insert_authorization(&mut self, authorization: &Authorization) -> anyhow::Result<()> {
        let row = authorizations::ActiveModel::from(authorizations::Model::from(authorization));
        authorizations::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing an authorization"))?;
        Ok(())
    }

    async fn start_authorization(&mut self, id: AuthorizationId, cookie_hash: &[u8], now: Timestamp) -> anyhow::Result<bool> {
        let changes = authorizations::ActiveModel { started_at: Set(Some(now.utc())), cookie_hash: Set(Some(cookie_hash.to_vec())), ..Default::default() };
        let started = authorizations::Entity::update_many()
            .set(changes)
            .filter(authorizations::Column::Id.eq(id.0))
            .filter(authorizations::Column::StartedAt.is_null())
            .filter(authorizations::Column::ExpiresAt.gt(now.utc()))
            .exec(&self.transaction)
            .await
            .map_err(broken("starting an authorization"))?;
        Ok(started.rows_affected == 1)
    }

    async fn spend_authorization(&mut self, id: AuthorizationId, now: Timestamp) -> anyhow::Result<bool> {
        let changes = authorizations::ActiveModel { spent_at: Set(Some(now.utc())), ..Default::default() };
        let spent = authorizations::Entity::update_many()
            .set(changes)
            .filter(authorizations::Column::Id.eq(id.0))
            .filter(authorizations::Column::SpentAt.is_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("spending an authorization"))?;
        Ok(spent.rows_affected == 1)
    }

    async fn walks(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Authorization>> {
        let rows = authorizations::Entity::find()
            .filter(authorizations::Column::UserId.eq(owner.0))
            .filter(authorizations::Column::LinkId.eq(link.0))
            .all(&self.transaction)
            .await;
        Ok(rows.map_err(broken("reading a link's walks to its bank"))?.into_iter().map(Authorization::from).collect())
    }

    async fn authorization_stands(&mut self, owner: UserId, id: AuthorizationId) -> anyhow::Result<bool> {
        let row = authorizations::Entity::find_by_id(id.0).filter(authorizations::Column::UserId.eq(owner.0)).one(&self.transaction).await;
        Ok(row.map_err(broken("reading an authorization"))?.is_some())
    }

    async fn save_credentials(&mut self, owner: UserId, link: LinkId, sealed: &SealedCredentials, now: Timestamp) -> anyhow::Result<()> {
        let [a, b, c, d, ..] = self.randomness.secret();
        let first_version = i64::from(u32::from_be_bytes([a, b, c, d])) * credential::MOST_RENEWALS + 1;
        credential::save(&self.transaction, owner, link, sealed, (first_version, now)).await
    }

    async fn hold_credentials(&mut self, owner: UserId, link: LinkId, version: i64, now: Timestamp, until: Timestamp) -> anyhow::Result<Hold> {
        credential::hold(&self.transaction, owner, link, version, now, until).await
    }

    async fn replace_credentials(&mut self, owner: UserId, link: LinkId, version: i64, sealed: &SealedCredentials, now: Timestamp) -> anyhow::Result<bool> {
        let is_replaced = credential::replace(&self.transaction, owner, link, version, sealed, now).await?;
        if is_replaced {
            self.note(owner, ChangedKind::Link, [link.0]).await?;
        }
        Ok(is_replaced)
    }

    async fn let_credentials_go(&mut self, owner: UserId, link: LinkId, version: i64, renew_at: Option<Timestamp>) -> anyhow::Result<()> {
        credential::let_go(&self.transaction, owner, link, version, renew_at).await
    }

    async fn rest_credentials(&mut self, owner: UserId, link: LinkId, until: Timestamp) -> anyhow::Result<()> {
        credential::rest(&self.transaction, owner, link, until).await
    }

    async fn await_consent(&mut self, owner: UserId, link: LinkId, due_at: Option<Timestamp>) -> anyhow::Result<()> {
        let awaited = links::Entity::update_many()
            .set(links::ActiveModel { consent_due_at: Set(due_at.map(Timestamp::utc)), ..Default::default() })
            .filter(links::Column::Id.eq(link.0))
            .filter(links::Column::UserId.eq(owner.0))
            .exec(&self.transaction)
            .await;
        awaited.map(|_| ()).map_err(broken("noting when a consent is to be looked at"))
    }

    async fn wipe_credentials(&mut self, link: &Link) -> anyhow::Result<Option<Wiped>> {
        let walks = authorizations::Entity::delete_many()
            .filter(authorizations::Column::UserId.eq(link.user.0))
            .filter(authorizations::Column::LinkId.eq(link.id.0))
            .exec(&self.transaction)
            .await;
        walks.map_err(broken("ending a link's walks to its bank"))?;
        let sealed = credential::wipe(&self.transaction, link.user, link.id).await?;
        Ok(sealed.map(|sealed| Wiped { link: link.id, provider: link.provider.clone(), sealed }))
    }
}

async fn find_authorization(readers: &Readers, column: authorizations::Column, hash: &[u8]) -> anyhow::Result<Option<Authorization>> {
    let row = authorizations::Entity::find().filter(column.eq(hash)).one(&readers.connection).await;
    Ok(row.map_err(broken("reading an authorization"))?.map(Authorization::from))
}

#[async_trait]
impl LinkReader for Readers {
    async fn find_many(&self, owner: UserId, ids: &[LinkId]) -> anyhow::Result<Vec<Link>> {
        let rows = links::Entity::find()
            .filter(links::Column::UserId.eq(owner.0))
            .filter(links::Column::Id.is_in(ids.iter().map(|id| id.0)))
            .all(&self.connection)
            .await
            .map_err(broken("reading links"))?;
        rows.into_iter().map(Link::try_from).collect()
    }

    async fn page(&self, owner: UserId, page: Page<CreatedKey>) -> anyhow::Result<Slice<Link>> {
        let rows = links::Entity::find().filter(links::Column::UserId.eq(owner.0));
        page::read(&self.connection, rows, (links::Column::CreatedAt, links::Column::Id), page, "reading links").await
    }

    async fn find_any_by_ticket(&self, ticket_hash: &[u8]) -> anyhow::Result<Option<Authorization>> {
        find_authorization(self, authorizations::Column::TicketHash, ticket_hash).await
    }

    async fn find_any_by_state(&self, state_hash: &[u8]) -> anyhow::Result<Option<Authorization>> {
        find_authorization(self, authorizations::Column::StateHash, state_hash).await
    }

    async fn credentials(&self, owner: UserId, link: LinkId) -> anyhow::Result<Option<StoredCredentials>> {
        credential::find(&self.connection, owner, link).await
    }

    async fn credential_clocks(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<(LinkId, CredentialClock)>> {
        credential::clocks(&self.connection, owner, links).await
    }
}
