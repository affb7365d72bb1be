//! Security: the row of `global_token_version` and those of `user_token_versions`. A user without one was never rotated.

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QuerySelect,
    prelude::DateTimeUtc,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query, SubQueryStatement},
};

use crate::domain::{
    id::UserId,
    security::{Rotation, RotationReader, RotationScope, Rotations, TokenMinimum, TokenMinimums},
    time::Timestamp,
};

use super::{Readers, error::broken, user::users, value, work::DatabaseWork};

mod global_token_version {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "global_token_version")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub version: i64,
        pub grace_until: Option<DateTimeUtc>,
        pub rotated_at: Option<DateTimeUtc>,
        pub reason: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod user_token_versions {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_token_versions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        pub version: i64,
        pub grace_until: Option<DateTimeUtc>,
        pub rotated_at: DateTimeUtc,
        pub reason: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Both minimums, in the columns of [`minimum_columns`].
#[derive(FromQueryResult)]
pub(super) struct MinimumsRow {
    global_version: i64,
    global_grace_until: Option<DateTimeUtc>,
    user_version: Option<i64>,
    user_grace_until: Option<DateTimeUtc>,
}

impl From<MinimumsRow> for TokenMinimums {
    fn from(row: MinimumsRow) -> Self {
        let minimum = |version, grace_until| TokenMinimum { version, grace_until: value::optional_instant(grace_until) };
        Self {
            global: minimum(row.global_version, row.global_grace_until),
            user: row.user_version.map_or(TokenMinimum::FIRST, |version| minimum(version, row.user_grace_until)),
        }
    }
}

/// The columns of a [`MinimumsRow`], for whatever statement wants them; `user` is whose.
pub(super) fn minimum_columns(user: &Expr) -> [(Expr, &'static str); 4] {
    let of_everyone = |column: global_token_version::Column| {
        let row = Query::select().column(column).from(global_token_version::Entity).take();
        Expr::from(SubQueryStatement::from(row))
    };
    let of_user = |column: user_token_versions::Column| {
        use user_token_versions::{Column::UserId, Entity};
        let row = Query::select().column(column).from(Entity).and_where(Expr::col((Entity, UserId)).eq(user.clone())).take();
        Expr::from(SubQueryStatement::from(row))
    };
    [
        (of_everyone(global_token_version::Column::Version), "global_version"),
        (of_everyone(global_token_version::Column::GraceUntil), "global_grace_until"),
        (of_user(user_token_versions::Column::Version), "user_version"),
        (of_user(user_token_versions::Column::GraceUntil), "user_grace_until"),
    ]
}

#[async_trait]
impl Rotations for DatabaseWork {
    async fn rotate(&mut self, scope: RotationScope, grace_until: Option<Timestamp>, reason: &str, now: Timestamp) -> anyhow::Result<Option<Rotation>> {
        let (grace, at) = (grace_until.map(Timestamp::utc), now.utc());
        let version = match scope {
            RotationScope::Everyone => {
                use global_token_version::{Column, Entity};
                let raised = Entity::update_many()
                    .col_expr(Column::Version, Column::Version.into_expr().add(1))
                    .col_expr(Column::GraceUntil, Expr::val(grace))
                    .col_expr(Column::RotatedAt, Expr::val(at))
                    .col_expr(Column::Reason, Expr::val(reason))
                    .exec_with_returning(&self.transaction)
                    .await
                    .map_err(broken("rotating all tokens"))?;
                raised.first().map(|row| row.version)
            }
            RotationScope::User(user) => {
                use user_token_versions::{ActiveModel, Column, Entity, Model};
                let found = users::Entity::find_by_id(user.0).lock(LockType::NoKeyUpdate).one(&self.transaction).await;
                if found.map_err(broken("reading a user"))?.is_none() {
                    return Ok(None);
                }
                let first = Model { user_id: user.0, version: TokenMinimum::FIRST.version + 1, grace_until: grace, rotated_at: at, reason: reason.to_owned() };
                let next = OnConflict::column(Column::UserId)
                    .value(Column::Version, Expr::col((Entity, Column::Version)).add(1))
                    .update_columns([Column::GraceUntil, Column::RotatedAt, Column::Reason])
                    .to_owned();
                let raised = Entity::insert(ActiveModel::from(first)).on_conflict(next).exec_with_returning(&self.transaction).await;
                Some(raised.map_err(broken("rotating a user's tokens"))?.version)
            }
        };
        Ok(version.map(|version| Rotation { minimum: TokenMinimum { version, grace_until }, rotated_at: now, reason: reason.to_owned() }))
    }
}

#[async_trait]
impl RotationReader for Readers {
    async fn minimums(&self, user: UserId) -> anyhow::Result<TokenMinimums> {
        let mut statement = Query::select();
        for (column, name) in minimum_columns(&Expr::val(user.0)) {
            statement.expr_as(column, name);
        }
        let row = self.connection.query_one(&statement).await.map_err(broken("reading token versions"))?;
        let row = row.context("a statement without a table answered no row")?;
        Ok(MinimumsRow::from_query_result(&row, "").map_err(broken("reading token versions"))?.into())
    }

    async fn last_of_everyone(&self) -> anyhow::Result<Option<Rotation>> {
        let row = global_token_version::Entity::find().one(&self.connection).await.map_err(broken("reading the token version"))?;
        Ok(row.and_then(|row| {
            let minimum = TokenMinimum { version: row.version, grace_until: value::optional_instant(row.grace_until) };
            row.rotated_at.map(|at| Rotation { minimum, rotated_at: Timestamp::new(at), reason: row.reason })
        }))
    }
}
