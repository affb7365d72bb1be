//! The change log: the rows of `changes` and `change_heads`.
//!
//! Whatever writes a link, an account or a transaction notes it in its unit of work; positions are given at its end. The one row of
//! `change_heads` is held from there to the commit, so a user's positions are committed in their order.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Statement, Value, sea_query::OnConflict};
use uuid::Uuid;

use crate::domain::{
    change::{Change, ChangeCursor, ChangeReader, ChangedKind},
    id::UserId,
};

use super::{Readers, error::broken, value, work::DatabaseWork};

/// Rows in one INSERT.
const ROWS_AT_ONCE: usize = 1_000;

/// How many changes a unit of work notes before it gives them positions, so that a long import needs no more memory than a short one.
const NOTED_AT_MOST: usize = 10_000;

pub(super) mod changes {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "changes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub object_id: Uuid,
        pub kind: String,
        pub added_position: i64,
        pub position: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod change_heads {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "change_heads")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        pub position: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Takes the next positions of a user, and keeps others from taking any until the commit. Answers the last of them.
const TAKE: &str = "
INSERT INTO change_heads (user_id, position) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET position = change_heads.position + excluded.position
RETURNING position";

/// Objects that came in after $2, and changes after $3 of others.
const AFTER: &str = "
SELECT kind, object_id, added_position, place FROM (
    SELECT kind, object_id, added_position, added_position AS place FROM changes
    WHERE user_id = $1 AND added_position > $2 ORDER BY added_position LIMIT $4) AS additions
UNION ALL
SELECT kind, object_id, added_position, place FROM (
    SELECT kind, object_id, added_position, position AS place FROM changes
    WHERE user_id = $1 AND position > $3 AND position > added_position ORDER BY position LIMIT $4) AS later
ORDER BY place LIMIT $4";

/// What a unit of work has changed and has not given positions yet, in the order in which it did.
#[derive(Default)]
pub(super) struct Noted {
    rows: Vec<(UserId, ChangedKind, Uuid)>,
    known: HashSet<Uuid>,
}

impl DatabaseWork {
    /// Notes that objects of `owner` came in, changed or went.
    pub(super) async fn note(&mut self, owner: UserId, kind: ChangedKind, ids: impl IntoIterator<Item = Uuid>) -> anyhow::Result<()> {
        let Noted { rows, known } = &mut self.noted;
        rows.extend(ids.into_iter().filter(|id| known.insert(*id)).map(|id| (owner, kind, id)));
        if rows.len() >= NOTED_AT_MOST { self.log_changes().await } else { Ok(()) }
    }

    /// Gives what was noted positions. The last thing before a commit, since it keeps the user's other changes waiting.
    pub(super) async fn log_changes(&mut self) -> anyhow::Result<()> {
        let mut by_owner: BTreeMap<UserId, Vec<(ChangedKind, Uuid)>> = BTreeMap::new();
        for (owner, kind, id) in std::mem::take(&mut self.noted).rows {
            by_owner.entry(owner).or_default().push((kind, id));
        }
        for (owner, noted) in by_owner {
            let count = i64::try_from(noted.len())?;
            let take = Statement::from_sql_and_values(self.transaction.get_database_backend(), TAKE, [owner.0.into(), count.into()]);
            let last = self.transaction.query_one_raw(take).await.map_err(broken("taking positions for changes"))?.context("no position was taken")?;
            let last: i64 = last.try_get("", "position").map_err(broken("taking positions for changes"))?;
            let row = |(position, (kind, id)): (i64, (ChangedKind, Uuid))| {
                let row = changes::Model { user_id: owner.0, object_id: id, kind: kind.as_str().to_owned(), added_position: position, position };
                changes::ActiveModel::from(row)
            };
            let rows: Vec<_> = (last - count + 1..).zip(noted).map(row).collect();
            for rows in rows.chunks(ROWS_AT_ONCE) {
                let moved = OnConflict::columns([changes::Column::UserId, changes::Column::ObjectId]).update_column(changes::Column::Position).to_owned();
                let insert = changes::Entity::insert_many(rows.to_vec()).on_conflict(moved);
                insert.exec_without_returning(&self.transaction).await.map_err(broken("logging changes"))?;
            }
        }
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct Found {
    kind: String,
    object_id: Uuid,
    added_position: i64,
    place: i64,
}

#[async_trait]
impl ChangeReader for Readers {
    async fn head(&self, owner: UserId) -> anyhow::Result<i64> {
        let row = change_heads::Entity::find_by_id(owner.0).one(&self.connection).await.map_err(broken("reading where changes stand"))?;
        Ok(row.map_or(0, |row| row.position))
    }

    async fn heads(&self, owners: &[UserId]) -> anyhow::Result<HashMap<UserId, i64>> {
        let rows = change_heads::Entity::find().filter(change_heads::Column::UserId.is_in(owners.iter().map(|owner| owner.0)));
        let rows = rows.all(&self.connection).await.map_err(broken("reading where changes stand"))?;
        Ok(rows.into_iter().map(|row| (UserId(row.user_id), row.position)).collect())
    }

    async fn after(&self, cursor: ChangeCursor, limit: u32) -> anyhow::Result<Vec<Change>> {
        let values: [Value; 4] = [cursor.user.0.into(), cursor.position.into(), cursor.news_from().into(), i64::from(limit).into()];
        let question = Statement::from_sql_and_values(self.backend(), AFTER, values);
        let rows = Found::find_by_statement(question).all(&self.connection).await.map_err(broken("reading changes"))?;
        let change = |row: Found| {
            Ok(Change {
                position: row.place,
                kind: value::word("changes.kind", &row.kind, ChangedKind::parse)?,
                id: row.object_id,
                added_position: row.added_position,
            })
        };
        rows.into_iter().map(change).collect()
    }
}
