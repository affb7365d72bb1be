//! Keyset pages and limited reads: the one way lists are read, whatever they list.
//!
//! A list is ordered by two columns, the second of which is the id. `(a, b) > (x, y)` is written as a comparison of rows, which
//! both databases answer from an index over `(owner, a, b)` in either direction.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, FromQueryResult, Order, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Value,
    sea_query::{ArrayType, Asterisk, Expr, ExprTrait, Func, JoinType, Query, UnionType},
};
use uuid::Uuid;

use crate::domain::page::{CreatedKey, Direction, Page, PostedKey, Slice};

use super::error::broken;

/// How many limited reads stand in one statement on SQLite, whose limit is 500 terms.
const SQLITE_READS: usize = 100;

/// The sort key of a list, as values of its two columns.
pub(super) trait Key: Copy + Send + Sync {
    /// Whether the list shows the smallest key first.
    const ASCENDING: bool;

    /// The values of the two columns.
    fn values(self) -> (Value, Uuid);
}

impl Key for CreatedKey {
    const ASCENDING: bool = true;

    fn values(self) -> (Value, Uuid) {
        (self.created_at.utc().into(), self.id)
    }
}

impl Key for PostedKey {
    const ASCENDING: bool = false;

    fn values(self) -> (Value, Uuid) {
        (self.posted_on.naive().into(), self.id)
    }
}

/// Narrows `rows` to what `page` wants and one row more, in the order of reading.
pub(super) fn narrow<E: EntityTrait, K: Key>(rows: Select<E>, (column, id): (E::Column, E::Column), page: &Page<K>) -> Select<E> {
    let ascending = K::ASCENDING == (page.direction == Direction::Forward);
    let order = if ascending { Order::Asc } else { Order::Desc };
    let rows = match page.from {
        None => rows,
        Some(key) => {
            let (value, key_id) = key.values();
            let here = Expr::tuple([column.into_expr(), id.into_expr()]);
            let there = Expr::tuple([Expr::val(value), Expr::val(key_id)]);
            rows.filter(if ascending { here.gt(there) } else { here.lt(there) })
        }
    };
    rows.order_by(column, order.clone()).order_by(id, order).limit(u64::from(page.limit) + 1)
}

/// One page of `rows`, mapped to the domain.
pub(super) async fn read<E, K, T>(
    connection: &DatabaseConnection,
    rows: Select<E>,
    columns: (E::Column, E::Column),
    page: Page<K>,
    doing: &'static str,
) -> anyhow::Result<Slice<T>>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
    K: Key,
    T: TryFrom<E::Model, Error = anyhow::Error>,
{
    let total = if page.count { Some(rows.clone().count(connection).await.map_err(broken(doing))?) } else { None };
    let models = narrow(rows, columns, &page).all(connection).await.map_err(broken(doing))?;
    let items = models.into_iter().map(T::try_from).collect::<anyhow::Result<_>>()?;
    Ok(Slice::from_read(items, &page, total))
}

/// What the lists of several parents have in common.
pub(super) struct Children<E: EntityTrait, T> {
    /// The column that names the parent.
    pub(super) parent: E::Column,
    /// The parent of a row.
    pub(super) parent_of: fn(&E::Model) -> Uuid,
    /// The columns of the sort key.
    pub(super) columns: (E::Column, E::Column),
    /// Whether one row stands before another in ascending order of the sort key.
    pub(super) ascending: fn(&T, &T) -> std::cmp::Ordering,
}

/// The same page of the rows of each of several parents, in one statement, or two when a count is wanted.
pub(super) async fn read_each<E, K, T>(
    connection: &DatabaseConnection,
    rows: Select<E>,
    children: Children<E, T>,
    parents: BTreeSet<Uuid>,
    page: Page<K>,
    doing: &'static str,
) -> anyhow::Result<HashMap<Uuid, Slice<T>>>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
    K: Key,
    T: TryFrom<E::Model, Error = anyhow::Error>,
{
    let parents: Vec<Uuid> = parents.into_iter().collect();
    let totals = if page.count { Some(totals(connection, &rows, children.parent, &parents).await.map_err(broken(doing))?) } else { None };
    let read = of_each(connection, &parents, children.parent, &narrow(rows, children.columns, &page)).await.map_err(broken(doing))?;
    let mut by_parent: HashMap<Uuid, Vec<T>> = parents.into_iter().map(|parent| (parent, Vec::new())).collect();
    for row in read {
        by_parent.entry((children.parent_of)(&row)).or_default().push(T::try_from(row)?);
    }
    let slice = |(parent, mut rows): (Uuid, Vec<T>)| {
        rows.sort_unstable_by(children.ascending);
        if K::ASCENDING != (page.direction == Direction::Forward) {
            rows.reverse();
        }
        let total = totals.as_ref().map(|totals| totals.get(&parent).copied().unwrap_or(0));
        (parent, Slice::from_read(rows, &page, total))
    };
    Ok(by_parent.into_iter().map(slice).collect())
}

/// How many of `rows` each parent has; a parent without any is missing.
async fn totals<E: EntityTrait>(connection: &DatabaseConnection, rows: &Select<E>, parent: E::Column, parents: &[Uuid]) -> Result<HashMap<Uuid, u64>, DbErr> {
    let counts: Vec<(Uuid, i64)> = rows
        .clone()
        .filter(parent.is_in(parents.iter().copied()))
        .select_only()
        .column(parent)
        .column_as(Expr::col(Asterisk).count(), "total")
        .group_by(parent)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(counts.into_iter().map(|(parent, count)| (parent, count.unsigned_abs())).collect())
}

/// The rows of a limited, ordered read for each of `keys` in `column`, in no particular order.
///
/// PostgreSQL joins the read laterally to the keys, so that each takes its few rows from an index; SQLite has no lateral join and
/// reads a UNION ALL of the same limited reads. One statement either way, up to [`SQLITE_READS`] keys.
pub(super) async fn of_each<E>(connection: &DatabaseConnection, keys: &[Uuid], column: E::Column, rows: &Select<E>) -> Result<Vec<E::Model>, DbErr>
where
    E: EntityTrait,
    E::Model: FromQueryResult,
{
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let limited = |key: Expr| rows.clone().filter(column.into_expr().eq(key)).into_query();
    let statements = if connection.get_database_backend() == DbBackend::Postgres {
        let array = Value::Array(ArrayType::Uuid, Some(Box::new(keys.iter().map(|key| Value::from(*key)).collect())));
        let mut statement = Query::select();
        statement.column(("read", Asterisk)).from_function(Func::cust("unnest").arg(Expr::val(array)), "wanted").join_lateral(
            JoinType::InnerJoin,
            limited(Expr::col("wanted")),
            "read",
            Expr::cust("TRUE"),
        );
        vec![statement]
    } else {
        let term = |key: &Uuid| Query::select().column(Asterisk).from_subquery(limited(Expr::val(*key)), "read").take();
        let union = |keys: &[Uuid]| keys[1..].iter().fold(term(&keys[0]), |mut all, key| all.union(UnionType::All, term(key)).take());
        keys.chunks(SQLITE_READS).map(union).collect()
    };
    let mut models = Vec::new();
    for statement in statements {
        for row in connection.query_all(&statement).await? {
            models.push(E::Model::from_query_result(&row, "")?);
        }
    }
    Ok(models)
}
