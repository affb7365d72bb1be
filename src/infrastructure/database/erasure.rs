//! Erasure: the columns of `users` that say when, what is removed in which order, and `erased_users`.
//!
//! Who somebody is in the audit trail stands in `audit_person` alone: under their id, as whoever acted namelessly in an attempt that turned
//! out to be theirs, under an address of theirs that was typed, and under the device of one of their sessions where nobody else is named.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::domain::{
    change::ChangedKind,
    email_change::EmailChange,
    erasure::{ERASURE_LEASE_MINUTES, ErasureQueue, Erasures},
    id::{LinkId, UserId},
    import::ImportStatus,
    link::{LinkReason, LinkStatus, Wiped},
    time::Timestamp,
    user::{EmailAddress, EmailKey},
};

use super::{
    DatabaseStore,
    audit::audit_person,
    balance::balance_snapshots,
    change::changes,
    credential::credentials,
    email_change::email_changes,
    error::broken,
    import::imports,
    link::{authorizations, links},
    payload::payloads,
    transaction::{transaction_references, transactions},
    user::users,
    work::DatabaseWork,
};

pub(super) mod erased_users {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "erased_users")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        pub erased_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whoever acted without a name in an attempt that this user is in.
const NAMELESS: &str = "
DELETE FROM audit_person WHERE user_id IS NULL AND event_id IN (
    SELECT events.id FROM audit_events AS events WHERE events.attempt_id IN (
        SELECT named.attempt_id FROM audit_person AS persons
        JOIN audit_events AS named ON named.recorded_at = persons.recorded_at AND named.id = persons.event_id
        WHERE persons.user_id = $1))";

/// Whoever acted without a name from a device this user signed in from, in an attempt that nobody else is in.
const BY_DEVICE: &str = "
DELETE FROM audit_person WHERE user_id IS NULL AND email IS NULL AND ip IS NOT NULL
    AND EXISTS (SELECT 1 FROM sessions WHERE sessions.user_id = $1 AND sessions.ip = audit_person.ip
        AND sessions.user_agent IS NOT DISTINCT FROM audit_person.user_agent)
    AND NOT EXISTS (SELECT 1 FROM audit_events AS here
        JOIN audit_events AS there ON there.attempt_id = here.attempt_id
        JOIN audit_person AS others ON others.event_id = there.id
        WHERE here.recorded_at = audit_person.recorded_at AND here.id = audit_person.event_id AND others.user_id <> $1)";

/// Whose day has come and whom no worker is at.
fn is_due(now: Timestamp) -> Condition {
    let left = users::Column::ErasureBeganAt.lte(now.minus(Duration::minutes(ERASURE_LEASE_MINUTES)).utc());
    Condition::all().add(users::Column::ErasureDueAt.lte(now.utc())).add(users::Column::ErasureBeganAt.is_null().or(left))
}

/// Runs a statement over one user, or over one user and one text.
async fn execute(transaction: &DatabaseTransaction, sql: &str, values: Vec<Value>, doing: &'static str) -> anyhow::Result<u64> {
    let statement = Statement::from_sql_and_values(transaction.get_database_backend(), sql, values);
    Ok(transaction.execute_raw(statement).await.map_err(broken(doing))?.rows_affected())
}

/// Everyone under this id, and whoever acted namelessly with them.
async fn forget_id(transaction: &DatabaseTransaction, user: UserId) -> anyhow::Result<u64> {
    let nameless = execute(transaction, NAMELESS, vec![user.0.into()], "forgetting whom the trail does not name").await?;
    let named = audit_person::Entity::delete_many().filter(audit_person::Column::UserId.eq(user.0)).exec(transaction).await;
    Ok(nameless + named.map_err(broken("forgetting a person"))?.rows_affected)
}

/// Typed texts are what their owner would have typed if they are the same address; only Rust can tell, so the database narrows them down
/// by the part before the @, which is folded in ASCII only.
async fn forget_address(transaction: &DatabaseTransaction, key: &EmailKey) -> anyhow::Result<u64> {
    let beginning = key.as_str().rsplit_once('@').map_or_else(String::new, |(local, _)| format!("{local}@"));
    let folded = match transaction.get_database_backend() {
        DbBackend::Postgres => r#"substr(lower(email COLLATE "C"), 1, $1) = $2"#,
        _ => "substr(lower(email), 1, ?) = ?",
    };
    let length = i32::try_from(beginning.chars().count())?;
    let typed: Vec<String> = audit_person::Entity::find()
        .select_only()
        .column(audit_person::Column::Email)
        .distinct()
        .filter(audit_person::Column::Email.is_not_null())
        .filter(Expr::cust_with_values(folded, [Value::from(length), Value::from(beginning)]))
        .into_tuple()
        .all(transaction)
        .await
        .map_err(broken("reading typed addresses"))?;
    let theirs = typed.into_iter().filter(|text| EmailAddress::parse(text).is_ok_and(|address| address.key() == key));
    let forgotten = audit_person::Entity::delete_many()
        .filter(audit_person::Column::UserId.is_null())
        .filter(audit_person::Column::Email.is_in(theirs))
        .exec(transaction)
        .await;
    Ok(forgotten.map_err(broken("forgetting typed addresses"))?.rows_affected)
}

impl DatabaseWork {
    /// Every address a user has or had, and nobody else has now: one that was wanted and never confirmed was not theirs.
    async fn addresses(&self, user: UserId) -> anyhow::Result<Vec<EmailKey>> {
        let mut written = BTreeSet::new();
        let row = users::Entity::find_by_id(user.0).one(&self.transaction).await.map_err(broken("reading a user"))?;
        written.extend(row.map(|row| row.email_key));
        let changes = email_changes::Entity::find().filter(email_changes::Column::UserId.eq(user.0)).all(&self.transaction).await;
        for change in changes.map_err(broken("reading changes of address"))? {
            let change = EmailChange::try_from(change)?;
            written.extend(change.confirmed.is_some().then(|| change.new.key().as_str().to_owned()));
            written.insert(change.previous.key().as_str().to_owned());
        }
        let others = users::Entity::find().filter(users::Column::EmailKey.is_in(written.iter().cloned())).filter(users::Column::Id.ne(user.0));
        for other in others.all(&self.transaction).await.map_err(broken("reading who has an address now"))? {
            written.remove(&other.email_key);
        }
        Ok(written.iter().filter_map(|text| EmailAddress::parse(text).ok()).map(|address| address.key().clone()).collect())
    }
}

#[async_trait]
impl Erasures for DatabaseWork {
    async fn is_last_administrator(&mut self, user: UserId) -> anyhow::Result<bool> {
        Self::is_last_administrator(self, user).await
    }

    async fn schedule(&mut self, user: UserId, now: Timestamp, due: Timestamp) -> anyhow::Result<()> {
        let changes = users::ActiveModel { erasure_requested_at: Set(Some(now.utc())), erasure_due_at: Set(Some(due.utc())), ..Default::default() };
        let noted = users::Entity::update_many().set(changes).filter(users::Column::Id.eq(user.0)).exec(&self.transaction).await;
        anyhow::ensure!(noted.map_err(broken("noting an erasure"))?.rows_affected == 1, "the user to be erased is gone");
        Ok(())
    }

    async fn cancel(&mut self, user: UserId) -> anyhow::Result<bool> {
        let changes = users::ActiveModel { erasure_requested_at: Set(None), erasure_due_at: Set(None), ..Default::default() };
        let cancelled = users::Entity::update_many()
            .set(changes)
            .filter(users::Column::Id.eq(user.0))
            .filter(users::Column::ErasureDueAt.is_not_null())
            .filter(users::Column::ErasureBeganAt.is_null())
            .exec(&self.transaction)
            .await;
        Ok(cancelled.map_err(broken("calling an erasure off"))?.rows_affected == 1)
    }

    async fn wipe_credentials(&mut self, user: UserId) -> anyhow::Result<Vec<Wiped>> {
        let handed_out = credentials::Entity::find().filter(credentials::Column::UserId.eq(user.0)).all(&self.transaction).await;
        let handed_out = handed_out.map_err(broken("reading a user's credentials"))?;
        let of = links::Entity::find().filter(links::Column::UserId.eq(user.0)).all(&self.transaction).await.map_err(broken("reading a user's links"))?;
        let provider = |link: uuid::Uuid| of.iter().find(|row| row.id == link).map(|row| row.provider.clone()).unwrap_or_default();
        let wiped = handed_out.into_iter().map(|row| Wiped { link: LinkId(row.link_id), provider: provider(row.link_id), sealed: row.sealed }).collect();
        let sealed = Query::select().column(credentials::Column::LinkId).from(credentials::Entity).and_where(credentials::Column::UserId.eq(user.0)).take();
        let waiting = links::Column::Status.eq(LinkStatus::Pending.as_str());
        let changes = links::ActiveModel {
            status: Set(LinkStatus::Revoked.as_str().to_owned()),
            reason: Set(Some(LinkReason::ConsentWithdrawn.as_str().to_owned())),
            ..Default::default()
        };
        let ended = links::Entity::update_many()
            .set(changes)
            .filter(links::Column::UserId.eq(user.0))
            .filter(links::Column::Id.in_subquery(sealed).or(waiting))
            .exec(&self.transaction)
            .await;
        ended.map_err(broken("ending a user's links"))?;
        self.note(user, ChangedKind::Link, of.iter().map(|row| row.id)).await?;
        let walks = authorizations::Entity::delete_many().filter(authorizations::Column::UserId.eq(user.0)).exec(&self.transaction).await;
        walks.map_err(broken("forgetting a user's walks to banks"))?;
        let gone = credentials::Entity::delete_many().filter(credentials::Column::UserId.eq(user.0)).exec(&self.transaction).await;
        gone.map_err(broken("wiping a user's credentials"))?;
        Ok(wiped)
    }

    async fn begin(&mut self, user: UserId, now: Timestamp) -> anyhow::Result<bool> {
        let begun = users::Entity::update_many()
            .set(users::ActiveModel { erasure_began_at: Set(Some(now.utc())), ..Default::default() })
            .filter(users::Column::Id.eq(user.0))
            .filter(is_due(now))
            .exec(&self.transaction)
            .await;
        Ok(begun.map_err(broken("beginning an erasure"))?.rows_affected == 1)
    }

    async fn remove_some(&mut self, user: UserId, limit: u32) -> anyhow::Result<u64> {
        let limit = u64::from(limit);
        let some = transactions::Entity::find()
            .select_only()
            .column(transactions::Column::Id)
            .filter(transactions::Column::UserId.eq(user.0))
            .limit(limit)
            .into_tuple::<uuid::Uuid>()
            .all(&self.transaction)
            .await
            .map_err(broken("reading what is left of a user"))?;
        if some.is_empty() {
            let snapshots = Query::select()
                .column(balance_snapshots::Column::Id)
                .from(balance_snapshots::Entity)
                .and_where(balance_snapshots::Column::UserId.eq(user.0))
                .limit(limit)
                .take();
            let removed = balance_snapshots::Entity::delete_many().filter(balance_snapshots::Column::Id.in_subquery(snapshots)).exec(&self.transaction).await;
            return Ok(removed.map_err(broken("removing a user's snapshots"))?.rows_affected);
        }
        let names = transaction_references::Entity::delete_many()
            .filter(transaction_references::Column::TransactionId.is_in(some.iter().copied()))
            .exec(&self.transaction)
            .await;
        names.map_err(broken("removing the names of a user's transactions"))?;
        let logged = changes::Entity::delete_many()
            .filter(changes::Column::UserId.eq(user.0))
            .filter(changes::Column::ObjectId.is_in(some.iter().copied()))
            .exec(&self.transaction)
            .await;
        logged.map_err(broken("removing the changes of a user's transactions"))?;
        let removed = transactions::Entity::delete_many().filter(transactions::Column::Id.is_in(some)).exec(&self.transaction).await;
        Ok(removed.map_err(broken("removing a user's transactions"))?.rows_affected)
    }

    async fn forget_person(&mut self, user: UserId) -> anyhow::Result<u64> {
        let mut forgotten = 0;
        for address in self.addresses(user).await? {
            forgotten += forget_address(&self.transaction, &address).await?;
        }
        forgotten += execute(&self.transaction, BY_DEVICE, vec![user.0.into()], "forgetting a person's devices").await?;
        Ok(forgotten + forget_id(&self.transaction, user).await?)
    }

    async fn finish(&mut self, user: UserId, now: Timestamp) -> anyhow::Result<Option<u64>> {
        let removed = users::Entity::delete_many()
            .filter(users::Column::Id.eq(user.0))
            .filter(users::Column::ErasureBeganAt.is_not_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("removing a user"))?;
        if removed.rows_affected == 0 {
            return Ok(None);
        }
        let forgotten = forget_id(&self.transaction, user).await?;
        let erased = erased_users::ActiveModel { user_id: Set(user.0), erased_at: Set(now.utc()) };
        let noted = erased_users::Entity::insert(erased).exec_without_returning(&self.transaction).await;
        noted.map_err(broken("noting that a user was erased"))?;
        Ok(Some(forgotten))
    }
}

#[async_trait]
impl ErasureQueue for DatabaseStore {
    async fn next_due_for_worker(&self, now: Timestamp) -> anyhow::Result<Option<UserId>> {
        let due =
            users::Entity::find().filter(is_due(now)).order_by_asc(users::Column::ErasureDueAt).order_by_asc(users::Column::Id).one(&self.connection).await;
        Ok(due.map_err(broken("looking for erasures that are due"))?.map(|user| UserId(user.id)))
    }

    async fn forget_stragglers(&self, before: Timestamp) -> anyhow::Result<u64> {
        let erased = erased_users::Entity::find().filter(erased_users::Column::ErasedAt.lte(before.utc())).all(&self.connection).await;
        let mut forgotten = 0;
        for row in erased.map_err(broken("reading who was erased"))? {
            let transaction = self.transaction().await?;
            forget_id(&transaction, UserId(row.user_id)).await?;
            let done = erased_users::Entity::delete_by_id(row.user_id).exec(&transaction).await.map_err(broken("forgetting who was erased"))?;
            transaction.commit().await.map_err(broken("forgetting who was erased"))?;
            forgotten += done.rows_affected;
        }
        Ok(forgotten)
    }

    async fn forget_email_changes(&self, before: Timestamp) -> anyhow::Result<u64> {
        let gone = email_changes::Entity::delete_many()
            .filter(email_changes::Column::RequestedAt.lt(before.utc()))
            .filter(email_changes::Column::ConfirmedAt.is_null())
            .exec(&self.connection)
            .await;
        Ok(gone.map_err(broken("forgetting changes of address"))?.rows_affected)
    }

    async fn forget_previews(&self, before: Timestamp) -> anyhow::Result<u64> {
        let gone = imports::Entity::delete_many()
            .filter(imports::Column::Status.eq(ImportStatus::Previewed.as_str()))
            .filter(imports::Column::ExpiresAt.lte(before.utc()))
            .exec(&self.connection)
            .await;
        Ok(gone.map_err(broken("forgetting previews"))?.rows_affected)
    }

    async fn forget_payloads(&self, now: Timestamp) -> anyhow::Result<u64> {
        let gone = payloads::Entity::delete_many().filter(payloads::Column::ExpiresAt.lte(now.utc())).exec(&self.connection).await;
        Ok(gone.map_err(broken("dropping what providers answered"))?.rows_affected)
    }

    /// SQLite overwrites what is deleted; its log still holds the pages as they were, and is emptied here. While somebody reads it cannot
    /// be, and is an hour later, when stragglers are forgotten. PostgreSQL's files are its operator's: autovacuum, archives, backups.
    async fn scrub(&self) -> anyhow::Result<()> {
        if self.connection.get_database_backend() == DbBackend::Sqlite {
            self.connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.map_err(broken("emptying the log of the database"))?;
        }
        Ok(())
    }
}
