//! Taking a batch back.
//!
//! What a batch added goes, unless something else speaks for it by now: a feed that names it, or another import that found it there (which then
//! counts as the one that added it). What it changed says again what it said before, unless a feed names it by now, or a later batch has told
//! it once more; of that, this is then what it said before. Of what it found there the names go that it gave.

use std::collections::HashSet;

use anyhow::Context as _;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder as _, QuerySelect as _, QueryTrait as _, Statement, Value,
    sea_query::{Expr, ExprTrait as _},
};
use uuid::Uuid;

use crate::{
    domain::{
        account::Accounts,
        change::ChangedKind,
        id::{AccountId, TransactionId, UserId},
        import::{Import, ImportStatus, Reverted},
        provider::ReportedTransaction,
        time::Timestamp,
        transaction::{Source, Transactions},
    },
    infrastructure::{
        database::{
            account::accounts, balance::balance_snapshots, coverage::account_coverage, error::broken, holding::holdings, transaction::transactions,
            work::DatabaseWork,
        },
        stored_row::StoredRow,
    },
};

use super::{import_statements, import_transactions, imports};

/// Rows removed in one statement.
const ROWS_AT_ONCE: usize = 5_000;

/// Another import that found a row of this batch is from now on the one that added it.
const HAND_OVER: &str = "
UPDATE import_transactions SET is_added = TRUE
WHERE import_id = (SELECT heir.import_id FROM import_transactions AS heir
        WHERE heir.transaction_id = import_transactions.transaction_id AND heir.import_id <> $1 ORDER BY heir.import_id LIMIT 1)
    AND transaction_id IN (SELECT mine.transaction_id FROM import_transactions AS mine WHERE mine.import_id = $1 AND mine.is_added)";

/// What the batch added and nothing else speaks for.
const GOING: &str = "
SELECT t.id FROM import_transactions AS mine JOIN transactions AS t ON t.id = mine.transaction_id
WHERE mine.import_id = $1 AND mine.is_added
    AND NOT EXISTS (SELECT 1 FROM import_transactions AS other WHERE other.transaction_id = t.id AND other.import_id <> $1)
    AND NOT EXISTS (SELECT 1 FROM transaction_references AS names WHERE names.transaction_id = t.id AND names.source <> $2)";

/// What the batch changed, and nobody but files has said anything of.
const CHANGED: &str = "
SELECT mine.transaction_id AS id FROM import_transactions AS mine
WHERE mine.import_id = $1 AND mine.before IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM transaction_references AS names WHERE names.transaction_id = mine.transaction_id AND names.source <> $2)";

/// The batch that told a transaction next after a moment, and left it as it is or changed it.
const TOLD_NEXT: &str = "
SELECT later.import_id AS id FROM import_transactions AS later JOIN imports ON imports.id = later.import_id
WHERE later.transaction_id = $1 AND imports.committed_at > $2 ORDER BY imports.committed_at, later.import_id LIMIT 1";

/// The names that the batch gave to what it found, where no other import has found it.
const NAMES: &str = "
DELETE FROM transaction_references WHERE source = $2 AND EXISTS (
    SELECT 1 FROM import_transactions AS mine
    WHERE mine.import_id = $1 AND mine.transaction_id = transaction_references.transaction_id AND mine.reference = transaction_references.reference
        AND NOT EXISTS (SELECT 1 FROM import_transactions AS other WHERE other.transaction_id = mine.transaction_id AND other.import_id <> $1))";

/// Accounts that the batch made, that are empty again, and of which their owner has said nothing.
const EMPTY: &str = "
SELECT a.id FROM import_statements AS mine JOIN accounts AS a ON a.id = mine.account_id
WHERE mine.import_id = $1 AND mine.is_new AND a.own_type IS NULL AND NOT a.is_inverted AND a.is_selected
    AND NOT EXISTS (SELECT 1 FROM transactions AS t WHERE t.account_id = a.id)
    AND NOT EXISTS (SELECT 1 FROM import_statements AS other JOIN imports AS theirs ON theirs.id = other.import_id
        WHERE other.account_id = a.id AND other.import_id <> $1 AND theirs.status = 'committed')";

/// An account that stays is from now on made by the first other import that went into it.
const HAND_ACCOUNT_OVER: &str = "
UPDATE import_statements SET is_new = TRUE
WHERE import_id = (SELECT heir.import_id FROM import_statements AS heir JOIN imports AS theirs ON theirs.id = heir.import_id
        WHERE heir.account_id = import_statements.account_id AND heir.import_id <> $1 AND theirs.status = 'committed' ORDER BY heir.import_id LIMIT 1)
    AND account_id IN (SELECT mine.account_id FROM import_statements AS mine WHERE mine.import_id = $1 AND mine.is_new)";

/// An account to which the batch was the last to bring something is as recent as the last before it.
const LAST_FILE: &str = "
UPDATE accounts SET synced_at = (SELECT MAX(theirs.committed_at) FROM import_statements AS other JOIN imports AS theirs ON theirs.id = other.import_id
        WHERE other.account_id = accounts.id AND other.import_id <> $1 AND theirs.status = 'committed')
WHERE user_id = $2 AND synced_at = $3 AND id IN (SELECT mine.account_id FROM import_statements AS mine WHERE mine.import_id = $1)";

#[derive(FromQueryResult)]
struct Id {
    id: Uuid,
}

impl DatabaseWork {
    async fn run(&self, sql: &str, values: Vec<Value>, doing: &'static str) -> anyhow::Result<u64> {
        let statement = Statement::from_sql_and_values(self.transaction.get_database_backend(), sql, values);
        Ok(self.transaction.execute_raw(statement).await.map_err(broken(doing))?.rows_affected())
    }

    async fn ids(&self, sql: &str, values: Vec<Value>, doing: &'static str) -> anyhow::Result<Vec<Uuid>> {
        let statement = Statement::from_sql_and_values(self.transaction.get_database_backend(), sql, values);
        let rows = Id::find_by_statement(statement).all(&self.transaction).await.map_err(broken(doing))?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }
}

/// Takes back what `import` added when it was committed.
pub(super) async fn take_back(work: &mut DatabaseWork, import: &Import) -> anyhow::Result<Reverted> {
    let (id, owner) = (import.id.0, import.user);
    let committed_at = import.committed_at.context("an import that is taken back was never committed")?;
    let added = import_transactions::Entity::find().filter(import_transactions::Column::ImportId.eq(id)).filter(import_transactions::Column::IsAdded.eq(true));
    let added = sea_orm::PaginatorTrait::count(added, &work.transaction).await.map_err(broken("counting what an import added"))?;
    work.run(HAND_OVER, vec![id.into()], "handing over what an import added").await?;
    let going = work.ids(GOING, vec![id.into(), Source::File.as_str().into()], "reading what an import added").await?;
    let (restored, left) = restore(work, import, committed_at, &going).await?;
    work.run(NAMES, vec![id.into(), Source::File.as_str().into()], "removing the names an import gave").await?;
    for ids in going.chunks(ROWS_AT_ONCE) {
        let gone = transactions::Entity::delete_many().filter(transactions::Column::Id.is_in(ids.iter().copied())).exec(&work.transaction).await;
        gone.map_err(broken("taking back transactions"))?;
    }
    work.note(owner, ChangedKind::Transaction, going.iter().copied()).await?;
    let forgotten = import_transactions::Entity::delete_many().filter(import_transactions::Column::ImportId.eq(id)).exec(&work.transaction).await;
    forgotten.map_err(broken("forgetting what an import did"))?;
    let accounts = take_back_accounts(work, import, committed_at).await?;
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let gone = going.len() as u64;
    Ok(Reverted { transactions: count(gone), restored: count(restored), kept: count(added.saturating_sub(gone) + left), accounts })
}

/// Restores what the batch changed. Answers how many say again what they said before, and how many stay as they are.
async fn restore(work: &mut DatabaseWork, import: &Import, committed_at: Timestamp, going: &[Uuid]) -> anyhow::Result<(u64, u64)> {
    let (id, owner) = (import.id.0, import.user);
    let now = import.reverted_at.context("an import is taken back at no time")?;
    let going: HashSet<Uuid> = going.iter().copied().collect();
    let changed = import_transactions::Entity::find()
        .filter(import_transactions::Column::ImportId.eq(id))
        .filter(import_transactions::Column::Before.is_not_null())
        .order_by_asc(import_transactions::Column::TransactionId)
        .all(&work.transaction)
        .await
        .map_err(broken("reading what an import changed"))?;
    let of_files: HashSet<Uuid> =
        work.ids(CHANGED, vec![id.into(), Source::File.as_str().into()], "reading what an import alone changed").await?.into_iter().collect();
    let (mut restored, mut left) = (0, 0);
    for row in changed.into_iter().filter(|row| !going.contains(&row.transaction_id)) {
        let (transaction, Some(before)) = (row.transaction_id, row.before) else { continue };
        let next = work.ids(TOLD_NEXT, vec![transaction.into(), committed_at.utc().into()], "reading what told a transaction next").await?.pop();
        if let Some(next) = next {
            let inherited = import_transactions::Entity::update_many()
                .col_expr(import_transactions::Column::Before, Expr::val(before))
                .filter(import_transactions::Column::ImportId.eq(next))
                .filter(import_transactions::Column::TransactionId.eq(transaction))
                .exec(&work.transaction)
                .await;
            inherited.map_err(broken("handing over what a transaction said before"))?;
            left += 1;
        } else if of_files.contains(&transaction) && put_back(work, owner, TransactionId(transaction), &before, now).await? {
            restored += 1;
        } else {
            left += 1;
        }
    }
    Ok((restored, left))
}

/// Has a transaction say what it said before, with the signs its owner wants by now; `false` when it is gone.
async fn put_back(work: &mut DatabaseWork, owner: UserId, id: TransactionId, before: &str, now: Timestamp) -> anyhow::Result<bool> {
    let before: StoredRow = serde_json::from_str(before).context("import_transactions.before is not of ours")?;
    let (_, ReportedTransaction { facts, .. }) = before.row()?;
    let account: Option<Uuid> = transactions::Entity::find_by_id(id.0)
        .select_only()
        .column(transactions::Column::AccountId)
        .filter(transactions::Column::UserId.eq(owner.0))
        .into_tuple()
        .one(&work.transaction)
        .await
        .map_err(broken("reading whose a transaction is"))?;
    let Some(account) = account else { return Ok(false) };
    let account = Accounts::find(work, owner, AccountId(account)).await?.context("a transaction is of no account")?;
    Transactions::update(work, owner, id, &account.facts(&facts), now).await?;
    Ok(true)
}

/// Removes accounts that are empty again, and gives those that stay the balance that is known of them without the batch.
async fn take_back_accounts(work: &mut DatabaseWork, import: &Import, committed_at: Timestamp) -> anyhow::Result<u32> {
    let (id, owner) = (import.id.0, import.user);
    let empty = work.ids(EMPTY, vec![id.into()], "reading the accounts an import made").await?;
    work.run(HAND_ACCOUNT_OVER, vec![id.into()], "handing over the accounts an import made").await?;
    let held: Vec<Uuid> = holdings::Entity::find()
        .select_only()
        .column(holdings::Column::Id)
        .filter(holdings::Column::AccountId.is_in(empty.iter().copied()))
        .into_tuple()
        .all(&work.transaction)
        .await
        .map_err(broken("reading the holdings an import brought"))?;
    let gone = accounts::Entity::delete_many().filter(accounts::Column::Id.is_in(empty.iter().copied())).exec(&work.transaction).await;
    gone.map_err(broken("taking back accounts"))?;
    work.note(owner, ChangedKind::Holding, held).await?;
    work.note(owner, ChangedKind::Account, empty.iter().copied()).await?;
    uncover(work, import, committed_at, &empty).await?;
    let statements = import_statements::Entity::find().filter(import_statements::Column::ImportId.eq(id)).all(&work.transaction).await;
    for statement in statements.map_err(broken("reading the accounts of an import"))? {
        let Some(account) = statement.account_id.filter(|account| !empty.contains(account)) else { continue };
        if hand_balance_over(work, &statement, account, committed_at).await? {
            continue;
        }
        let dropped = balance_snapshots::Entity::delete_many()
            .filter(balance_snapshots::Column::AccountId.eq(account))
            .filter(balance_snapshots::Column::ImportId.eq(id))
            .exec(&work.transaction)
            .await
            .map_err(broken("taking back a balance"))?;
        if dropped.rows_affected > 0 {
            restore_balance(work, &statement, account).await?;
            work.note(owner, ChangedKind::Account, [account]).await?;
        }
    }
    Ok(u32::try_from(empty.len()).unwrap_or(u32::MAX))
}

/// Takes back which days the batch covered, and that it brought something new.
async fn uncover(work: &mut DatabaseWork, import: &Import, committed_at: Timestamp, gone: &[Uuid]) -> anyhow::Result<()> {
    let of_import = account_coverage::Column::UserId.eq(import.user.0).and(account_coverage::Column::SourceId.eq(import.id.0));
    let covered: Vec<Uuid> = account_coverage::Entity::find()
        .select_only()
        .column(account_coverage::Column::AccountId)
        .distinct()
        .filter(of_import.clone())
        .into_tuple()
        .all(&work.transaction)
        .await
        .map_err(broken("reading what an import covered"))?;
    let uncovered = account_coverage::Entity::delete_many().filter(of_import).exec(&work.transaction).await;
    uncovered.map_err(broken("taking back what an import covered"))?;
    let values = vec![import.id.0.into(), import.user.0.into(), committed_at.utc().into()];
    work.run(LAST_FILE, values, "finding out which file was the last before").await?;
    work.note(import.user, ChangedKind::Account, covered.into_iter().filter(|account| !gone.contains(account))).await
}

/// A balance that a later import told as well is from now on told by that; `false` when none did. What an earlier one told was no longer so.
async fn hand_balance_over(work: &DatabaseWork, statement: &import_statements::Model, account: Uuid, committed_at: Timestamp) -> anyhow::Result<bool> {
    let heir = imports::Entity::find()
        .filter(imports::Column::Status.eq(ImportStatus::Committed.as_str()))
        .filter(imports::Column::CommittedAt.gt(committed_at.utc()))
        .filter(
            imports::Column::Id.in_subquery(
                import_statements::Entity::find()
                    .select_only()
                    .column(import_statements::Column::ImportId)
                    .filter(import_statements::Column::AccountId.eq(account))
                    .filter(import_statements::Column::ImportId.ne(statement.import_id))
                    .filter(import_statements::Column::CurrentAmount.eq(statement.current_amount))
                    .filter(import_statements::Column::BalanceAsOf.eq(statement.balance_as_of))
                    .into_query(),
            ),
        )
        .order_by_asc(imports::Column::CommittedAt)
        .limit(1)
        .one(&work.transaction)
        .await
        .map_err(broken("reading who else told a balance"))?;
    let Some(heir) = heir else { return Ok(false) };
    let handed_over = balance_snapshots::Entity::update_many()
        .col_expr(balance_snapshots::Column::ImportId, Expr::val(heir.id))
        .filter(balance_snapshots::Column::AccountId.eq(account))
        .filter(balance_snapshots::Column::ImportId.eq(statement.import_id))
        .exec(&work.transaction)
        .await;
    handed_over.map(|_| true).map_err(broken("handing over a balance"))
}

/// The balance before the batch, unless a later one has come in.
async fn restore_balance(work: &DatabaseWork, statement: &import_statements::Model, account: Uuid) -> anyhow::Result<()> {
    let before = balance_snapshots::Entity::find()
        .filter(balance_snapshots::Column::AccountId.eq(account))
        .order_by_desc(balance_snapshots::Column::TakenAt)
        .order_by_desc(balance_snapshots::Column::Id)
        .limit(1)
        .one(&work.transaction)
        .await
        .map_err(broken("reading the balance before an import"))?;
    let (current, available, limit, as_of) =
        before.map_or((None, None, None, None), |before| (before.current_amount, before.available_amount, before.limit_amount, before.balance_as_of));
    let restored = accounts::Entity::update_many()
        .col_expr(accounts::Column::CurrentAmount, Expr::val(current))
        .col_expr(accounts::Column::AvailableAmount, Expr::val(available))
        .col_expr(accounts::Column::LimitAmount, Expr::val(limit))
        .col_expr(accounts::Column::BalanceAsOf, Expr::val(as_of))
        .filter(accounts::Column::Id.eq(account))
        .filter(statement.balance_as_of.map_or_else(|| accounts::Column::BalanceAsOf.is_null(), |as_of| accounts::Column::BalanceAsOf.eq(as_of)))
        .exec(&work.transaction)
        .await;
    restored.map(|_| ()).map_err(broken("restoring the balance before an import"))
}
