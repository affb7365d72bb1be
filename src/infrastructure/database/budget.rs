//! Budgets of links at providers that count by the day: the rows of `link_budgets`. A bucket that takes hours to fill would otherwise be full
//! again whenever a process starts; one that fills within minutes need not be remembered.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, Statement, sea_query::LockType};

use crate::{
    application::ports::RateLimiter,
    domain::{
        id::LinkId,
        rate_limit::{Charge, Subject, Verdict},
    },
};

use super::{Database, DatabaseStore, Readers, error::broken};

/// A bucket that fills more slowly than this, in milliseconds, is remembered.
const SLOW: i64 = 60 * 60 * 1000;

/// A bucket that nobody has taken anything from yet, of a link that is there.
const BEGIN: &str =
    "INSERT INTO link_budgets (link_id, user_id, level, at) SELECT id, user_id, $2, $3 FROM links WHERE id = $1 ON CONFLICT (link_id) DO NOTHING";

mod link_budgets {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "link_budgets")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub link_id: Uuid,
        pub user_id: Uuid,
        pub level: i64,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Keeps slow buckets of links in the database, and leaves all others to whoever kept them before.
struct LinkBudgets {
    store: Arc<DatabaseStore>,
    readers: Arc<Readers>,
    others: Arc<dyn RateLimiter>,
}

impl Database {
    /// Budgets over this database, for what `others` would forget.
    pub fn link_budgets(&self, others: Arc<dyn RateLimiter>) -> Arc<dyn RateLimiter> {
        Arc::new(LinkBudgets { store: self.store.clone(), readers: self.readers.clone(), others })
    }
}

/// The link of a charge whose bucket is remembered.
fn slow(charges: &[Charge]) -> Option<(LinkId, &Charge)> {
    match charges {
        [charge] if charge.allowance.full() / i64::from(charge.allowance.per_minute.max(1)) > SLOW => match charge.subject {
            Subject::Link(link) => Some((link, charge)),
            _ => None,
        },
        _ => None,
    }
}

impl LinkBudgets {
    fn now(&self) -> i64 {
        self.store.clock.now().micros() / 1000
    }

    /// How a bucket stands; to look takes nothing and writes nothing.
    async fn look(&self, link: LinkId, charge: &Charge) -> anyhow::Result<Verdict> {
        let row = link_budgets::Entity::find_by_id(link.0).one(&self.readers.connection).await.map_err(broken("reading a link's budget"))?;
        let level = row.map_or(charge.allowance.full(), |row| charge.refilled(row.level, self.now() - row.at));
        Ok(Verdict { admitted: true, standings: vec![charge.standing(level)] })
    }

    /// Takes, or gives back when `sign` is -1; `None` when there is no such link.
    async fn change(&self, link: LinkId, charge: &Charge, sign: i64) -> anyhow::Result<Option<Verdict>> {
        let now = self.now();
        let transaction = self.store.transaction().await?;
        let backend = transaction.get_database_backend();
        let begin = Statement::from_sql_and_values(backend, BEGIN, [link.0.into(), charge.allowance.full().into(), now.into()]);
        transaction.execute_raw(begin).await.map_err(broken("beginning a link's budget"))?;
        let bucket = link_budgets::Entity::find_by_id(link.0);
        let bucket = if backend == DbBackend::Postgres { bucket.lock(LockType::Update) } else { bucket };
        let Some(row) = bucket.one(&transaction).await.map_err(broken("reading a link's budget"))? else { return Ok(None) };
        let level = charge.refilled(row.level, now - row.at);
        let admitted = sign * charge.units() <= level;
        let level = if admitted { (level - sign * charge.units()).min(charge.allowance.full()) } else { level };
        let taken = link_budgets::Entity::update_many()
            .set(link_budgets::ActiveModel { level: Set(level), at: Set(now), ..Default::default() })
            .filter(link_budgets::Column::LinkId.eq(link.0))
            .exec(&transaction)
            .await;
        taken.map_err(broken("taking from a link's budget"))?;
        transaction.commit().await.map_err(broken("taking from a link's budget"))?;
        Ok(Some(Verdict { admitted, standings: vec![charge.standing(level)] }))
    }
}

/// Where the database does not answer, buckets are kept as others are: limits are never off for lack of a part.
#[async_trait]
impl RateLimiter for LinkBudgets {
    async fn charge(&self, charges: &[Charge]) -> Verdict {
        let Some((link, charge)) = slow(charges) else { return self.others.charge(charges).await };
        let kept = if charge.cost == 0 { self.look(link, charge).await.map(Some) } else { self.change(link, charge, 1).await };
        match kept {
            Ok(Some(verdict)) => verdict,
            Ok(None) => self.others.charge(charges).await,
            Err(failure) => {
                tracing::warn!(error = ?failure, "a link's budget cannot be kept in the database; this process counts for itself");
                self.others.charge(charges).await
            }
        }
    }

    async fn give_back(&self, charges: &[Charge]) {
        let Some((link, charge)) = slow(charges) else { return self.others.give_back(charges).await };
        match self.change(link, charge, -1).await {
            Ok(Some(_)) => {}
            Ok(None) => self.others.give_back(charges).await,
            Err(failure) => tracing::warn!(error = ?failure, "a link's budget cannot be kept in the database; nothing is given back"),
        }
    }
}
