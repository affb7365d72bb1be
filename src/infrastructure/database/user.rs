//! Users: the rows of `users`.

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, SqlErr,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};

use crate::domain::{
    id::UserId,
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    user::{EmailAddress, EmailKey, PasswordRecord, Role, SessionTier, User, UserFilter, UserReader, Users},
};

use super::{Readers, error::broken, link::links, page, value, work::DatabaseWork};

pub(super) mod users {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub email: String,
        pub email_key: String,
        pub password: String,
        pub role: String,
        pub tier: String,
        pub is_active: bool,
        pub email_verified_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub display_name: Option<String>,
        pub erasure_requested_at: Option<DateTimeUtc>,
        pub erasure_due_at: Option<DateTimeUtc>,
        pub erasure_began_at: Option<DateTimeUtc>,
        pub session_limit: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&User> for users::Model {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.0,
            email: user.email.written().to_owned(),
            email_key: user.email.key().as_str().to_owned(),
            password: user.password.0.clone(),
            role: user.role.as_str().to_owned(),
            tier: user.tier.as_str().to_owned(),
            is_active: user.is_active,
            email_verified_at: user.email_verified_at.map(Timestamp::utc),
            created_at: user.created_at.utc(),
            display_name: user.display_name.clone(),
            erasure_requested_at: None,
            erasure_due_at: None,
            erasure_began_at: None,
            session_limit: user.session_limit.map(i64::from),
        }
    }
}

impl TryFrom<users::Model> for User {
    type Error = anyhow::Error;

    fn try_from(row: users::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: UserId(row.id),
            email: EmailAddress::parse(&row.email).context("users.email is not an address")?,
            password: PasswordRecord(row.password),
            role: value::word("users.role", &row.role, Role::parse)?,
            tier: value::word("users.tier", &row.tier, SessionTier::parse)?,
            email_verified_at: value::optional_instant(row.email_verified_at),
            is_active: row.is_active && row.erasure_due_at.is_none(),
            display_name: row.display_name,
            session_limit: row.session_limit.map(|limit| value::count("users.session_limit", limit)).transpose()?,
            created_at: Timestamp::new(row.created_at),
        })
    }
}

async fn find_by_email(connection: &impl ConnectionTrait, key: &EmailKey) -> anyhow::Result<Option<User>> {
    let row = users::Entity::find().filter(users::Column::EmailKey.eq(key.as_str())).one(connection).await.map_err(broken("reading a user"))?;
    row.map(User::try_from).transpose()
}

#[async_trait]
impl Users for DatabaseWork {
    async fn find_any_by_email(&mut self, key: &EmailKey) -> anyhow::Result<Option<User>> {
        find_by_email(&self.transaction, key).await
    }

    async fn find_any_for_admin(&mut self, id: UserId) -> anyhow::Result<Option<User>> {
        let row = users::Entity::find_by_id(id.0).one(&self.transaction).await.map_err(broken("reading a user"))?;
        row.map(User::try_from).transpose()
    }

    async fn insert(&mut self, user: &User) -> anyhow::Result<bool> {
        let taken = OnConflict::column(users::Column::EmailKey).do_nothing().to_owned();
        let inserted = users::Entity::insert(users::ActiveModel::from(users::Model::from(user)))
            .on_conflict(taken)
            .exec_without_returning(&self.transaction)
            .await
            .map_err(broken("storing a user"))?;
        Ok(inserted == 1)
    }

    async fn save_password(&mut self, id: UserId, password: &PasswordRecord) -> anyhow::Result<()> {
        self.change_user(id, users::ActiveModel { password: Set(password.0.clone()), ..Default::default() }).await
    }

    async fn replace_unverified(&mut self, id: UserId, email: &EmailAddress, password: &PasswordRecord) -> anyhow::Result<bool> {
        let (role, tier) = (Set(Role::User.as_str().to_owned()), Set(SessionTier::Basic.as_str().to_owned()));
        let changes = users::ActiveModel { email: Set(email.written().to_owned()), password: Set(password.0.clone()), role, tier, ..Default::default() };
        let unverified = users::Entity::update_many()
            .set(changes)
            .filter(users::Column::Id.eq(id.0))
            .filter(users::Column::EmailKey.eq(email.key().as_str()))
            .filter(users::Column::EmailVerifiedAt.is_null())
            .exec(&self.transaction)
            .await;
        Ok(unverified.map_err(broken("registering a user once more"))?.rows_affected == 1)
    }

    async fn verify_email(&mut self, id: UserId, now: Timestamp) -> anyhow::Result<()> {
        let changes = users::ActiveModel { email_verified_at: Set(Some(now.utc())), ..Default::default() };
        let unverified = users::Entity::update_many().set(changes).filter(users::Column::Id.eq(id.0)).filter(users::Column::EmailVerifiedAt.is_null());
        unverified.exec(&self.transaction).await.map(|_| ()).map_err(broken("confirming a user's address"))
    }

    async fn rename(&mut self, id: UserId, display_name: Option<&str>) -> anyhow::Result<()> {
        self.change_user(id, users::ActiveModel { display_name: Set(display_name.map(str::to_owned)), ..Default::default() }).await
    }

    async fn change_email(&mut self, id: UserId, email: &EmailAddress, now: Timestamp) -> anyhow::Result<bool> {
        let changes = users::ActiveModel {
            email: Set(email.written().to_owned()),
            email_key: Set(email.key().as_str().to_owned()),
            email_verified_at: Set(Some(now.utc())),
            ..Default::default()
        };
        let saved = users::Entity::update_many().set(changes).filter(users::Column::Id.eq(id.0)).exec(&self.transaction).await;
        match saved {
            Err(refused) if matches!(refused.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(false),
            saved => {
                anyhow::ensure!(saved.map_err(broken("changing a user's address"))?.rows_affected == 1, "the user whose address changes is gone");
                Ok(true)
            }
        }
    }

    async fn remove_unverified(&mut self, key: &EmailKey) -> anyhow::Result<bool> {
        let theirs = Query::select()
            .expr(Expr::val(1))
            .from(links::Entity)
            .and_where(links::Column::UserId.into_expr().equals((users::Entity, users::Column::Id)))
            .take();
        let removed = users::Entity::delete_many()
            .filter(users::Column::EmailKey.eq(key.as_str()))
            .filter(users::Column::EmailVerifiedAt.is_null())
            .filter(Expr::exists(theirs).not())
            .exec(&self.transaction)
            .await;
        Ok(removed.map_err(broken("removing an unconfirmed registration"))?.rows_affected == 1)
    }

    async fn assign_role(&mut self, id: UserId, role: Role) -> anyhow::Result<bool> {
        if role != Role::Admin && self.is_last_administrator(id).await? {
            return Ok(false);
        }
        self.change_user(id, users::ActiveModel { role: Set(role.as_str().to_owned()), ..Default::default() }).await?;
        Ok(true)
    }

    async fn assign_tier(&mut self, id: UserId, tier: SessionTier, session_limit: Option<u32>) -> anyhow::Result<()> {
        let (tier, session_limit) = (Set(tier.as_str().to_owned()), Set(session_limit.map(i64::from)));
        self.change_user(id, users::ActiveModel { tier, session_limit, ..Default::default() }).await
    }

    async fn set_active(&mut self, id: UserId, is_active: bool) -> anyhow::Result<bool> {
        if !is_active && self.is_last_administrator(id).await? {
            return Ok(false);
        }
        self.change_user(id, users::ActiveModel { is_active: Set(is_active), ..Default::default() }).await?;
        Ok(true)
    }
}

impl DatabaseWork {
    /// Whether this is the only active administrator. All of them are locked first, in one order, so that two cannot each count on the
    /// other and step down together.
    pub(super) async fn is_last_administrator(&self, id: UserId) -> anyhow::Result<bool> {
        let administrators = users::Entity::find()
            .filter(users::Column::Role.eq(Role::Admin.as_str()))
            .filter(users::Column::IsActive.eq(true))
            .filter(users::Column::ErasureDueAt.is_null())
            .filter(users::Column::EmailVerifiedAt.is_not_null())
            .order_by_asc(users::Column::Id)
            .lock(LockType::NoKeyUpdate)
            .all(&self.transaction)
            .await
            .map_err(broken("reading the administrators"))?;
        Ok(matches!(administrators.as_slice(), [only] if only.id == id.0))
    }

    async fn change_user(&self, id: UserId, changes: users::ActiveModel) -> anyhow::Result<()> {
        let saved = users::Entity::update_many().set(changes).filter(users::Column::Id.eq(id.0)).exec(&self.transaction).await;
        anyhow::ensure!(saved.map_err(broken("changing a user"))?.rows_affected == 1, "the user to be changed is gone");
        Ok(())
    }
}

#[async_trait]
impl UserReader for Readers {
    async fn find(&self, id: UserId) -> anyhow::Result<Option<User>> {
        let row = users::Entity::find_by_id(id.0).one(&self.connection).await.map_err(broken("reading a user"))?;
        row.map(User::try_from).transpose()
    }

    async fn page_for_admin(&self, filter: &UserFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<User>> {
        let wanted = Condition::all()
            .add_option(filter.email.as_ref().map(|key| users::Column::EmailKey.eq(key.as_str())))
            .add_option(filter.role.map(|role| users::Column::Role.eq(role.as_str())))
            .add_option(filter.is_active.map(|is_active| {
                let active = users::Column::IsActive.eq(true).and(users::Column::ErasureDueAt.is_null());
                if is_active { active } else { active.not() }
            }));
        let rows = users::Entity::find().filter(wanted);
        page::read(&self.connection, rows, (users::Column::CreatedAt, users::Column::Id), page, "reading users").await
    }

    async fn find_any_by_email(&self, key: &EmailKey) -> anyhow::Result<Option<User>> {
        find_by_email(&self.connection, key).await
    }
}
