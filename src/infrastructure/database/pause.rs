//! Pauses of providers and of links at them: the rows of `provider_pauses` and `link_pauses`. There are few, and they are written seldom: when a
//! pause begins, and when what was failing answers again.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement, Value,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::domain::{
    id::{LinkId, UserId},
    pause::{Pause, PauseReason, Pauses},
    time::Timestamp,
};

use super::{Database, DatabaseStore, error::broken, value};

mod provider_pauses {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "provider_pauses")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub reason: String,
        pub ends_at: DateTimeUtc,
        pub length: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod link_pauses {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "link_pauses")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub link_id: Uuid,
        pub user_id: Uuid,
        pub provider: String,
        pub ends_at: DateTimeUtc,
        pub length: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A pause of a link that is there.
const BEGIN_OF_LINK: &str = "INSERT INTO link_pauses (link_id, user_id, provider, ends_at, length)
    SELECT id, user_id, provider, $2, $3 FROM links WHERE id = $1
    ON CONFLICT (link_id) DO UPDATE SET ends_at = excluded.ends_at, length = excluded.length WHERE link_pauses.ends_at < excluded.ends_at";

impl TryFrom<provider_pauses::Model> for Pause {
    type Error = anyhow::Error;

    fn try_from(row: provider_pauses::Model) -> anyhow::Result<Self> {
        Ok(Self {
            provider: row.provider,
            link: None,
            reason: value::word("provider_pauses.reason", &row.reason, PauseReason::parse)?,
            until: Timestamp::new(row.ends_at),
            length: Duration::milliseconds(row.length),
        })
    }
}

impl From<link_pauses::Model> for Pause {
    fn from(row: link_pauses::Model) -> Self {
        Self {
            provider: row.provider,
            link: Some(LinkId(row.link_id)),
            reason: PauseReason::Failing,
            until: Timestamp::new(row.ends_at),
            length: Duration::milliseconds(row.length),
        }
    }
}

impl Database {
    /// What processes over this database tell each other of pauses.
    pub fn pauses(&self) -> Arc<dyn Pauses> {
        self.store.clone()
    }
}

impl DatabaseStore {
    async fn begin_of_provider(&self, pause: &Pause) -> anyhow::Result<()> {
        use provider_pauses::{Column, Entity};
        let row = provider_pauses::Model {
            provider: pause.provider.clone(),
            reason: pause.reason.as_str().to_owned(),
            ends_at: pause.until.utc(),
            length: pause.length.num_milliseconds(),
        };
        let later = Expr::col((Entity, Column::EndsAt)).lt(row.ends_at);
        let extend =
            OnConflict::columns([Column::Provider, Column::Reason]).update_columns([Column::EndsAt, Column::Length]).action_and_where(later).to_owned();
        let begun = Entity::insert(provider_pauses::ActiveModel::from(row)).on_conflict(extend).exec_without_returning(&self.connection).await;
        begun.map(drop).map_err(broken("noting a provider's pause"))
    }

    async fn begin_of_link(&self, pause: &Pause, link: LinkId) -> anyhow::Result<()> {
        let values: [Value; 3] = [link.0.into(), pause.until.utc().into(), pause.length.num_milliseconds().into()];
        let begin = Statement::from_sql_and_values(self.connection.get_database_backend(), BEGIN_OF_LINK, values);
        self.connection.execute_raw(begin).await.map(drop).map_err(broken("noting a link's pause"))
    }
}

#[async_trait]
impl Pauses for DatabaseStore {
    async fn begin(&self, pause: &Pause) -> anyhow::Result<()> {
        match pause.link {
            None => self.begin_of_provider(pause).await,
            Some(link) => self.begin_of_link(pause, link).await,
        }
    }

    async fn end(&self, provider: &str, link: Option<LinkId>) -> anyhow::Result<()> {
        let ended = match link {
            None => provider_pauses::Entity::delete_by_id((provider.to_owned(), PauseReason::Failing.as_str().to_owned())).exec(&self.connection).await,
            Some(link) => link_pauses::Entity::delete_by_id(link.0).exec(&self.connection).await,
        };
        ended.map(drop).map_err(broken("noting that a pause is over"))
    }

    async fn all_at(&self, provider: &str) -> anyhow::Result<Vec<Pause>> {
        let mut pauses = self.at(&[provider.to_owned()]).await?;
        let of_links = link_pauses::Entity::find().filter(link_pauses::Column::Provider.eq(provider)).all(&self.reading).await;
        pauses.extend(of_links.map_err(broken("reading the pauses of links"))?.into_iter().map(Pause::from));
        Ok(pauses)
    }

    async fn at(&self, providers: &[String]) -> anyhow::Result<Vec<Pause>> {
        let pauses = provider_pauses::Entity::find().filter(provider_pauses::Column::Provider.is_in(providers)).all(&self.reading).await;
        pauses.map_err(broken("reading the pauses of providers"))?.into_iter().map(Pause::try_from).collect()
    }

    async fn of(&self, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<Pause>> {
        use link_pauses::{Column, Entity};
        let these = Entity::find().filter(Column::UserId.eq(owner.0)).filter(Column::LinkId.is_in(links.iter().map(|link| link.0)));
        Ok(these.all(&self.reading).await.map_err(broken("reading the pauses of links"))?.into_iter().map(Pause::from).collect())
    }
}
