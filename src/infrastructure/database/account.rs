//! Accounts: the rows of `accounts`, with their balances.

use anyhow::Context as _;
use std::collections::HashMap;

use async_trait::async_trait;
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect as _, QueryTrait as _,
    sea_query::{Expr, ExprTrait as _, Func, LockType},
};
use uuid::Uuid;

use crate::domain::{
    account::{Account, AccountFilter, AccountFingerprint, AccountReader, AccountType, Accounts, Corrections, MaskedNumber},
    balance::Balances,
    change::ChangedKind,
    id::{AccountId, LinkId, UserId},
    import::ImportStatus,
    money::{Amount, Currency},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
};

use super::{
    Readers,
    error::broken,
    holding::holdings,
    import::{import_statements, imports},
    page,
    transaction::transactions,
    user::users,
    value,
    work::DatabaseWork,
};

pub(super) mod accounts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "accounts")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub link_id: Uuid,
        pub fingerprint_key_id: String,
        pub fingerprint_hash: Vec<u8>,
        pub institution: Option<String>,
        pub name: String,
        #[sea_orm(column_name = "type")]
        pub kind: String,
        pub masked_number: Option<String>,
        pub currency: String,
        pub current_amount: Option<i64>,
        pub available_amount: Option<i64>,
        pub limit_amount: Option<i64>,
        pub balance_as_of: Option<DateTimeUtc>,
        pub is_active: bool,
        pub own_type: Option<String>,
        pub is_inverted: bool,
        pub is_selected: bool,
        pub synced_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&Account> for accounts::Model {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.0,
            user_id: account.user.0,
            link_id: account.link.0,
            fingerprint_key_id: account.fingerprint.key_id.clone(),
            fingerprint_hash: account.fingerprint.hash.clone(),
            institution: account.institution.clone(),
            name: account.name.clone(),
            kind: account.kind.as_str().to_owned(),
            masked_number: account.masked_number.as_ref().map(|number| number.as_str().to_owned()),
            currency: account.currency.code().to_owned(),
            current_amount: account.balances.current.map(Amount::units),
            available_amount: account.balances.available.map(Amount::units),
            limit_amount: account.balances.limit.map(Amount::units),
            balance_as_of: account.balances.as_of.map(Timestamp::utc),
            is_active: account.is_active,
            own_type: account.corrections.kind.map(|kind| kind.as_str().to_owned()),
            is_inverted: account.corrections.is_inverted,
            is_selected: account.is_selected,
            synced_at: account.synced_at.map(Timestamp::utc),
            created_at: account.created_at.utc(),
        }
    }
}

impl TryFrom<accounts::Model> for Account {
    type Error = anyhow::Error;

    fn try_from(row: accounts::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: AccountId(row.id),
            user: UserId(row.user_id),
            link: LinkId(row.link_id),
            fingerprint: AccountFingerprint { key_id: row.fingerprint_key_id, hash: row.fingerprint_hash },
            institution: row.institution,
            name: row.name,
            kind: value::word("accounts.type", &row.kind, AccountType::parse)?,
            masked_number: row.masked_number.map(MaskedNumber::stored),
            currency: Currency::parse(&row.currency).context("accounts.currency is not a unit of money")?,
            balances: Balances {
                current: value::optional_amount("accounts.current_amount", row.current_amount)?,
                available: value::optional_amount("accounts.available_amount", row.available_amount)?,
                limit: value::optional_amount("accounts.limit_amount", row.limit_amount)?,
                as_of: value::optional_instant(row.balance_as_of),
            },
            is_active: row.is_active,
            is_selected: row.is_selected,
            synced_at: value::optional_instant(row.synced_at),
            corrections: Corrections {
                kind: value::optional_word("accounts.own_type", row.own_type.as_deref(), AccountType::parse)?,
                is_inverted: row.is_inverted,
            },
            created_at: Timestamp::new(row.created_at),
        })
    }
}

impl AccountFilter {
    fn condition(&self, owner: UserId) -> Condition {
        Condition::all()
            .add(accounts::Column::UserId.eq(owner.0))
            .add_option(self.types.as_ref().map(|types| shown_kind().is_in(types.iter().map(|kind| kind.as_str()))))
            .add_option(self.link.map(|link| accounts::Column::LinkId.eq(link.0)))
            .add_option(self.is_active.map(|is_active| accounts::Column::IsActive.eq(is_active)))
    }
}

/// As `Account::shown_kind` has it.
fn shown_kind() -> Expr {
    Func::coalesce([Expr::col(accounts::Column::OwnType), Expr::col(accounts::Column::Kind)]).into()
}

async fn of_link(connection: &impl ConnectionTrait, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Account>> {
    let rows = accounts::Entity::find()
        .filter(accounts::Column::UserId.eq(owner.0))
        .filter(accounts::Column::LinkId.eq(link.0))
        .order_by_asc(accounts::Column::CreatedAt)
        .order_by_asc(accounts::Column::Id)
        .all(connection)
        .await
        .map_err(broken("reading a link's accounts"))?;
    rows.into_iter().map(Account::try_from).collect()
}

#[async_trait]
impl Accounts for DatabaseWork {
    /// On PostgreSQL by the owner's row; SQLite has one writer anyway.
    async fn take_turn(&mut self, owner: UserId) -> anyhow::Result<()> {
        if self.transaction.get_database_backend() == DbBackend::Postgres {
            let turn = users::Entity::find_by_id(owner.0).lock(LockType::NoKeyUpdate).one(&self.transaction).await;
            turn.map_err(broken("waiting for a user's other syncs and imports"))?;
        }
        Ok(())
    }

    async fn find(&mut self, owner: UserId, id: AccountId) -> anyhow::Result<Option<Account>> {
        let row = accounts::Entity::find_by_id(id.0).filter(accounts::Column::UserId.eq(owner.0)).one(&self.transaction).await;
        row.map_err(broken("reading an account"))?.map(Account::try_from).transpose()
    }

    async fn of_link(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Account>> {
        of_link(&self.transaction, owner, link).await
    }

    async fn insert(&mut self, account: &Account) -> anyhow::Result<()> {
        let row = accounts::Model::from(account).into_active_model();
        accounts::Entity::insert(row).exec_without_returning(&self.transaction).await.map_err(broken("storing an account"))?;
        self.note(account.user, ChangedKind::Account, [account.id.0]).await
    }

    async fn save(&mut self, account: &Account) -> anyhow::Result<()> {
        let kept = accounts::ActiveModel {
            id: NotSet,
            user_id: NotSet,
            link_id: NotSet,
            institution: NotSet,
            currency: NotSet,
            synced_at: NotSet,
            created_at: NotSet,
            ..accounts::Model::from(account).into_active_model().reset_all()
        };
        let saved = accounts::Entity::update_many()
            .set(kept)
            .filter(accounts::Column::Id.eq(account.id.0))
            .filter(accounts::Column::UserId.eq(account.user.0))
            .exec(&self.transaction)
            .await
            .map_err(broken("saving an account"))?;
        anyhow::ensure!(saved.rows_affected == 1, "the account to be saved is gone");
        self.note(account.user, ChangedKind::Account, [account.id.0]).await
    }

    /// The rows below an account go with it.
    async fn remove_of_link(&mut self, owner: UserId, link: LinkId) -> anyhow::Result<u64> {
        let of_link = || {
            accounts::Entity::find()
                .select_only()
                .column(accounts::Column::Id)
                .filter(accounts::Column::UserId.eq(owner.0).and(accounts::Column::LinkId.eq(link.0)))
        };
        let gone: Vec<Uuid> = of_link().into_tuple().all(&self.transaction).await.map_err(broken("reading a link's accounts"))?;
        let rows: Vec<(Uuid, bool)> = transactions::Entity::find()
            .select_only()
            .column(transactions::Column::Id)
            .column_as(transactions::Column::RemovedAt.is_null(), "is_there")
            .filter(transactions::Column::UserId.eq(owner.0))
            .filter(transactions::Column::AccountId.in_subquery(of_link().into_query()))
            .into_tuple()
            .all(&self.transaction)
            .await
            .map_err(broken("reading a link's transactions"))?;
        let held: Vec<Uuid> = holdings::Entity::find()
            .select_only()
            .column(holdings::Column::Id)
            .filter(holdings::Column::UserId.eq(owner.0))
            .filter(holdings::Column::AccountId.in_subquery(of_link().into_query()))
            .into_tuple()
            .all(&self.transaction)
            .await
            .map_err(broken("reading a link's holdings"))?;
        // Their parts of what files said go along, which nothing else would take away. What was only looked at can still come in, as new.
        let of_accounts = import_statements::Column::UserId.eq(owner.0).and(import_statements::Column::AccountId.in_subquery(of_link().into_query()));
        let previewed = imports::Entity::find()
            .select_only()
            .column(imports::Column::Id)
            .filter(imports::Column::UserId.eq(owner.0))
            .filter(imports::Column::Status.eq(ImportStatus::Previewed.as_str()))
            .into_query();
        let cleared = imports::Entity::update_many()
            .col_expr(imports::Column::IsCleared, Expr::val(true))
            .filter(imports::Column::Status.ne(ImportStatus::Previewed.as_str()))
            .filter(imports::Column::Id.in_subquery(
                import_statements::Entity::find().select_only().column(import_statements::Column::ImportId).filter(of_accounts.clone()).into_query(),
            ))
            .exec(&self.transaction)
            .await;
        cleared.map_err(broken("noting whose data goes"))?;
        let told = import_statements::Entity::delete_many()
            .filter(of_accounts.clone())
            .filter(import_statements::Column::ImportId.not_in_subquery(previewed))
            .exec(&self.transaction)
            .await;
        told.map_err(broken("removing what files said of a link's accounts"))?;
        let looked_at = import_statements::Entity::update_many()
            .col_expr(import_statements::Column::AccountId, Expr::val(None::<Uuid>))
            .col_expr(import_statements::Column::IsNew, Expr::val(true))
            .filter(of_accounts)
            .exec(&self.transaction)
            .await;
        looked_at.map_err(broken("forgetting whose a preview is"))?;
        let removed = accounts::Entity::delete_many()
            .filter(accounts::Column::UserId.eq(owner.0))
            .filter(accounts::Column::LinkId.eq(link.0))
            .exec(&self.transaction)
            .await;
        removed.map_err(broken("removing a link's accounts"))?;
        // What its bank had taken back before was told then.
        self.note(owner, ChangedKind::Transaction, rows.iter().filter(|(_, is_there)| *is_there).map(|(id, _)| *id)).await?;
        self.note(owner, ChangedKind::Holding, held).await?;
        self.note(owner, ChangedKind::Account, gone).await?;
        Ok(rows.len() as u64)
    }
}

#[async_trait]
impl AccountReader for Readers {
    async fn find_many(&self, owner: UserId, ids: &[AccountId]) -> anyhow::Result<Vec<Account>> {
        let rows = accounts::Entity::find()
            .filter(accounts::Column::UserId.eq(owner.0))
            .filter(accounts::Column::Id.is_in(ids.iter().map(|id| id.0)))
            .all(&self.connection)
            .await
            .map_err(broken("reading accounts"))?;
        rows.into_iter().map(Account::try_from).collect()
    }

    async fn of_link(&self, owner: UserId, link: LinkId) -> anyhow::Result<Vec<Account>> {
        of_link(&self.connection, owner, link).await
    }

    async fn pages_by_link(&self, owner: UserId, links: &[LinkId], page: Page<CreatedKey>) -> anyhow::Result<HashMap<LinkId, Slice<Account>>> {
        let children = page::Children {
            parent: accounts::Column::LinkId,
            parent_of: |row: &accounts::Model| row.link_id,
            columns: (accounts::Column::CreatedAt, accounts::Column::Id),
            ascending: |one: &Account, other| (one.created_at, one.id).cmp(&(other.created_at, other.id)),
        };
        let rows = accounts::Entity::find().filter(accounts::Column::UserId.eq(owner.0));
        let links = links.iter().map(|link| link.0).collect();
        let pages = page::read_each(&self.connection, rows, children, links, page, "reading accounts by link").await?;
        Ok(pages.into_iter().map(|(link, page)| (LinkId(link), page)).collect())
    }

    async fn page(&self, owner: UserId, filter: &AccountFilter, page: Page<CreatedKey>) -> anyhow::Result<Slice<Account>> {
        let rows = accounts::Entity::find().filter(filter.condition(owner));
        page::read(&self.connection, rows, (accounts::Column::CreatedAt, accounts::Column::Id), page, "reading accounts").await
    }
}
