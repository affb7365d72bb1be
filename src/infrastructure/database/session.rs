//! Sessions: the rows of `sessions` and `refresh_tokens`.

use std::collections::HashMap;

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, SelectModel,
    Selector,
    prelude::{DateTimeUtc, Uuid},
    sea_query::IntoCondition,
};

use crate::domain::{
    id::{RefreshTokenId, SessionId, UserId},
    page::{CreatedKey, Page, Slice},
    security::TokenVersions,
    session::{RefreshToken, RevocationReason, Session, SessionReader, SessionState, Sessions},
    sign_in::Network,
    time::Timestamp,
    user::Role,
};

use super::{
    Readers,
    error::broken,
    page,
    security::{MinimumsRow, minimum_columns},
    user::users,
    value,
    work::DatabaseWork,
};

pub(super) mod sessions {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sessions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub created_at: DateTimeUtc,
        pub last_seen_at: DateTimeUtc,
        pub expires_at: DateTimeUtc,
        pub ip: Option<String>,
        pub user_agent: Option<String>,
        pub revoked_at: Option<DateTimeUtc>,
        pub revoked_reason: Option<String>,
        pub network: Option<String>,
        pub name: Option<String>,
        pub reauthenticated_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "crate::infrastructure::database::user::users::Entity",
            from = "Column::UserId",
            to = "crate::infrastructure::database::user::users::Column::Id"
        )]
        User,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod refresh_tokens {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refresh_tokens")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub session_id: Uuid,
        pub selector: String,
        pub verifier_hash: String,
        pub key_id: String,
        pub global_version: i64,
        pub user_version: i64,
        pub issued_at: DateTimeUtc,
        pub expires_at: DateTimeUtc,
        pub used_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&Session> for sessions::Model {
    fn from(session: &Session) -> Self {
        Self {
            id: session.id.0,
            user_id: session.user.0,
            created_at: session.created_at.utc(),
            last_seen_at: session.last_seen_at.utc(),
            expires_at: session.expires_at.utc(),
            ip: session.ip.clone(),
            user_agent: session.user_agent.clone(),
            revoked_at: session.revoked.map(|(at, _)| at.utc()),
            revoked_reason: session.revoked.map(|(_, reason)| reason.as_str().to_owned()),
            network: session.network.as_ref().map(|network| network.as_str().to_owned()),
            name: session.name.clone(),
            reauthenticated_at: session.reauthenticated_at.map(Timestamp::utc),
        }
    }
}

impl TryFrom<sessions::Model> for Session {
    type Error = anyhow::Error;

    fn try_from(row: sessions::Model) -> anyhow::Result<Self> {
        let reason = value::optional_word("sessions.revoked_reason", row.revoked_reason.as_deref(), RevocationReason::parse)?;
        Ok(Self {
            id: SessionId(row.id),
            user: UserId(row.user_id),
            created_at: Timestamp::new(row.created_at),
            last_seen_at: Timestamp::new(row.last_seen_at),
            expires_at: Timestamp::new(row.expires_at),
            ip: row.ip,
            network: row.network.map(Network::stored),
            name: row.name,
            user_agent: row.user_agent,
            reauthenticated_at: value::optional_instant(row.reauthenticated_at),
            revoked: value::optional_instant(row.revoked_at).zip(reason),
        })
    }
}

impl From<&RefreshToken> for refresh_tokens::Model {
    fn from(token: &RefreshToken) -> Self {
        Self {
            id: token.id.0,
            user_id: token.user.0,
            session_id: token.session.0,
            selector: token.selector.clone(),
            verifier_hash: token.verifier_hash.clone(),
            key_id: token.key_id.clone(),
            global_version: token.versions.global,
            user_version: token.versions.user,
            issued_at: token.issued_at.utc(),
            expires_at: token.expires_at.utc(),
            used_at: token.used_at.map(Timestamp::utc),
        }
    }
}

impl From<refresh_tokens::Model> for RefreshToken {
    fn from(row: refresh_tokens::Model) -> Self {
        Self {
            id: RefreshTokenId(row.id),
            session: SessionId(row.session_id),
            user: UserId(row.user_id),
            selector: row.selector,
            verifier_hash: row.verifier_hash,
            key_id: row.key_id,
            versions: TokenVersions { global: row.global_version, user: row.user_version },
            issued_at: Timestamp::new(row.issued_at),
            expires_at: Timestamp::new(row.expires_at),
            used_at: value::optional_instant(row.used_at),
        }
    }
}

/// A session's row beside the two columns of its user that decide whether it is live.
#[derive(FromQueryResult)]
struct StateRow {
    id: Uuid,
    user_id: Uuid,
    expires_at: DateTimeUtc,
    revoked_at: Option<DateTimeUtc>,
    role: String,
    is_active: bool,
    erasure_due_at: Option<sea_orm::prelude::DateTimeUtc>,
    #[sea_orm(nested)]
    minimums: MinimumsRow,
}

impl TryFrom<StateRow> for SessionState {
    type Error = anyhow::Error;

    fn try_from(row: StateRow) -> anyhow::Result<Self> {
        Ok(Self {
            session: SessionId(row.id),
            user: UserId(row.user_id),
            role: value::word("users.role", &row.role, Role::parse)?,
            expires_at: Timestamp::new(row.expires_at),
            is_live: row.revoked_at.is_none() && row.is_active && row.erasure_due_at.is_none(),
            minimums: row.minimums.into(),
        })
    }
}

/// What requests must know of the sessions that are `which`.
fn states(which: impl IntoCondition) -> Selector<SelectModel<StateRow>> {
    let mut rows = sessions::Entity::find()
        .filter(which)
        .select_only()
        .columns([sessions::Column::Id, sessions::Column::UserId, sessions::Column::ExpiresAt, sessions::Column::RevokedAt])
        .columns([users::Column::Role, users::Column::IsActive])
        .column(users::Column::ErasureDueAt)
        .join(JoinType::InnerJoin, sessions::Relation::User.def());
    for (column, name) in minimum_columns(&sessions::Column::UserId.into_expr()) {
        rows = rows.expr_as(column, name);
    }
    rows.into_model::<StateRow>()
}

async fn find(connection: &impl ConnectionTrait, owner: UserId, id: SessionId) -> anyhow::Result<Option<Session>> {
    let row = sessions::Entity::find_by_id(id.0).filter(sessions::Column::UserId.eq(owner.0)).one(connection).await;
    row.map_err(broken("reading a session"))?.map(Session::try_from).transpose()
}

async fn find_any(connection: &impl ConnectionTrait, id: SessionId) -> anyhow::Result<Option<Session>> {
    let row = sessions::Entity::find_by_id(id.0).one(connection).await.map_err(broken("reading a session"))?;
    row.map(Session::try_from).transpose()
}

async fn find_token(connection: &impl ConnectionTrait, selector: &str) -> anyhow::Result<Option<RefreshToken>> {
    let row = refresh_tokens::Entity::find().filter(refresh_tokens::Column::Selector.eq(selector)).one(connection).await;
    Ok(row.map_err(broken("reading a refresh token"))?.map(RefreshToken::from))
}

#[async_trait]
impl Sessions for DatabaseWork {
    async fn find(&mut self, owner: UserId, id: SessionId) -> anyhow::Result<Option<Session>> {
        find(&self.transaction, owner, id).await
    }

    async fn find_any_for_admin(&mut self, id: SessionId) -> anyhow::Result<Option<Session>> {
        find_any(&self.transaction, id).await
    }

    async fn insert(&mut self, session: &Session) -> anyhow::Result<()> {
        let row = sessions::ActiveModel::from(sessions::Model::from(session));
        sessions::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing a session"))?;
        Ok(())
    }

    async fn live(&mut self, owner: UserId, now: Timestamp) -> anyhow::Result<Vec<Session>> {
        let rows = sessions::Entity::find()
            .filter(sessions::Column::UserId.eq(owner.0))
            .filter(sessions::Column::RevokedAt.is_null())
            .filter(sessions::Column::ExpiresAt.gt(now.utc()))
            .order_by_asc(sessions::Column::CreatedAt)
            .order_by_asc(sessions::Column::Id)
            .all(&self.transaction)
            .await;
        rows.map_err(broken("reading live sessions"))?.into_iter().map(Session::try_from).collect()
    }

    async fn rename(&mut self, session: &Session) -> anyhow::Result<()> {
        let changes = sessions::ActiveModel { name: Set(session.name.clone()), ..Default::default() };
        let renamed = sessions::Entity::update_many()
            .set(changes)
            .filter(sessions::Column::Id.eq(session.id.0))
            .filter(sessions::Column::UserId.eq(session.user.0))
            .exec(&self.transaction)
            .await;
        renamed.map(|_| ()).map_err(broken("naming a session"))
    }

    async fn end(&mut self, session: &Session) -> anyhow::Result<bool> {
        let (at, reason) = session.revoked.context("a session that goes on cannot be stored as ended")?;
        let changes = sessions::ActiveModel { revoked_at: Set(Some(at.utc())), revoked_reason: Set(Some(reason.as_str().to_owned())), ..Default::default() };
        let ended = sessions::Entity::update_many()
            .set(changes)
            .filter(sessions::Column::Id.eq(session.id.0))
            .filter(sessions::Column::UserId.eq(session.user.0))
            .filter(sessions::Column::RevokedAt.is_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("ending a session"))?;
        Ok(ended.rows_affected == 1)
    }

    async fn reauthenticate(&mut self, owner: UserId, session: SessionId, now: Timestamp) -> anyhow::Result<bool> {
        let changes = sessions::ActiveModel { reauthenticated_at: Set(Some(now.utc())), ..Default::default() };
        let proven = sessions::Entity::update_many()
            .set(changes)
            .filter(sessions::Column::Id.eq(session.0))
            .filter(sessions::Column::UserId.eq(owner.0))
            .filter(sessions::Column::RevokedAt.is_null())
            .filter(sessions::Column::ExpiresAt.gt(now.utc()))
            .exec(&self.transaction)
            .await
            .map_err(broken("noting a proof of who is behind a session"))?;
        Ok(proven.rows_affected == 1)
    }

    async fn forget_proofs(&mut self, owner: UserId, kept: Option<SessionId>) -> anyhow::Result<()> {
        let changes = sessions::ActiveModel { reauthenticated_at: Set(None), ..Default::default() };
        let others = Condition::all().add(sessions::Column::UserId.eq(owner.0)).add_option(kept.map(|kept| sessions::Column::Id.ne(kept.0)));
        let forgotten = sessions::Entity::update_many().set(changes).filter(others).exec(&self.transaction).await;
        forgotten.map(|_| ()).map_err(broken("forgetting proofs of who is behind a session"))
    }

    async fn touch(&mut self, session: SessionId, now: Timestamp) -> anyhow::Result<()> {
        let changes = sessions::ActiveModel { last_seen_at: Set(now.utc()), ..Default::default() };
        let touched = sessions::Entity::update_many().set(changes).filter(sessions::Column::Id.eq(session.0)).exec(&self.transaction).await;
        touched.map_err(broken("renewing a session"))?;
        Ok(())
    }

    async fn find_any_token(&mut self, selector: &str) -> anyhow::Result<Option<RefreshToken>> {
        find_token(&self.transaction, selector).await
    }

    async fn insert_token(&mut self, token: &RefreshToken) -> anyhow::Result<()> {
        let row = refresh_tokens::ActiveModel::from(refresh_tokens::Model::from(token));
        refresh_tokens::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing a refresh token"))?;
        Ok(())
    }

    async fn spend(&mut self, token: RefreshTokenId, now: Timestamp) -> anyhow::Result<bool> {
        let changes = refresh_tokens::ActiveModel { used_at: Set(Some(now.utc())), ..Default::default() };
        let spent = refresh_tokens::Entity::update_many()
            .set(changes)
            .filter(refresh_tokens::Column::Id.eq(token.0))
            .filter(refresh_tokens::Column::UsedAt.is_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("spending a refresh token"))?;
        Ok(spent.rows_affected == 1)
    }
}

#[async_trait]
impl SessionReader for Readers {
    async fn find(&self, owner: UserId, id: SessionId) -> anyhow::Result<Option<Session>> {
        find(&self.connection, owner, id).await
    }

    async fn find_any_for_admin(&self, id: SessionId) -> anyhow::Result<Option<Session>> {
        find_any(&self.connection, id).await
    }

    async fn pages_by_owner(&self, owners: &[UserId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<UserId, Slice<Session>>> {
        let children = page::Children {
            parent: sessions::Column::UserId,
            parent_of: |row: &sessions::Model| row.user_id,
            columns: (sessions::Column::CreatedAt, sessions::Column::Id),
            ascending: |one: &Session, other| (one.created_at, one.id).cmp(&(other.created_at, other.id)),
        };
        let owners = owners.iter().map(|owner| owner.0).collect();
        let pages = page::read_each(&self.connection, sessions::Entity::find(), children, owners, page, "reading sessions").await?;
        Ok(pages.into_iter().map(|(owner, page)| (UserId(owner), page)).collect())
    }

    async fn state_of_any(&self, id: SessionId) -> anyhow::Result<Option<SessionState>> {
        let row = states(sessions::Column::Id.eq(id.0)).one(&self.connection).await.map_err(broken("reading a session's state"))?;
        row.map(SessionState::try_from).transpose()
    }

    async fn states_of_any(&self, ids: &[SessionId]) -> anyhow::Result<Vec<SessionState>> {
        let Some(last) = ids.last() else { return Ok(Vec::new()) };
        // In powers of two, the last id again and again, so that there are few different statements to prepare.
        let padding = ids.len().next_power_of_two() - ids.len();
        let ids = ids.iter().chain(std::iter::repeat_n(last, padding)).map(|id| id.0);
        let rows = states(sessions::Column::Id.is_in(ids)).all(&self.connection).await.map_err(broken("reading the states of sessions"))?;
        rows.into_iter().map(SessionState::try_from).collect()
    }

    async fn find_any_token(&self, selector: &str) -> anyhow::Result<Option<RefreshToken>> {
        find_token(&self.connection, selector).await
    }
}
