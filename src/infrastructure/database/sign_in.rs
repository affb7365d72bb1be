//! Sign-in: the rows of `sign_in_counters`. Everywhere that is no known network is the empty text.

use async_trait::async_trait;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::{LockType, OnConflict},
};

use crate::domain::{
    id::UserId,
    sign_in::{Network, SignInCounter, SignInReader, SignIns, Which},
    time::Timestamp,
    user::User,
};

use super::{Readers, error::broken, session::sessions, user::users, value, work::DatabaseWork};

mod sign_in_counters {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sign_in_counters")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: String,
        pub failures: i64,
        pub window_began_at: DateTimeUtc,
        pub paused_until: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn key(network: Option<&Network>) -> String {
    network.map(|network| network.as_str().to_owned()).unwrap_or_default()
}

fn of(user: UserId, network: Option<&Network>) -> Condition {
    Condition::all().add(sign_in_counters::Column::UserId.eq(user.0)).add(sign_in_counters::Column::Network.eq(key(network)))
}

async fn counter(connection: &impl ConnectionTrait, user: UserId, network: Option<&Network>) -> anyhow::Result<Option<SignInCounter>> {
    let row = sign_in_counters::Entity::find().filter(of(user, network)).one(connection).await.map_err(broken("reading failures to sign in"))?;
    row.map(|row| {
        Ok(SignInCounter {
            user,
            network: network.cloned(),
            failures: value::count("sign_in_counters.failures", row.failures)?,
            window_began_at: Timestamp::new(row.window_began_at),
            paused_until: value::optional_instant(row.paused_until),
        })
    })
    .transpose()
}

#[async_trait]
impl SignIns for DatabaseWork {
    async fn take_turn(&mut self, user: UserId) -> anyhow::Result<Option<User>> {
        let locked = users::Entity::find_by_id(user.0).lock(LockType::NoKeyUpdate).one(&self.transaction).await;
        locked.map_err(broken("waiting for a user's other sign-ins"))?.map(User::try_from).transpose()
    }

    async fn counter(&mut self, user: UserId, network: Option<&Network>) -> anyhow::Result<Option<SignInCounter>> {
        counter(&self.transaction, user, network).await
    }

    async fn save(&mut self, counter: &SignInCounter) -> anyhow::Result<()> {
        use sign_in_counters::Column::{Failures, Network as Net, PausedUntil, UserId as Owner, WindowBeganAt};
        let row = sign_in_counters::ActiveModel {
            user_id: Set(counter.user.0),
            network: Set(key(counter.network.as_ref())),
            failures: Set(counter.failures.into()),
            window_began_at: Set(counter.window_began_at.utc()),
            paused_until: Set(counter.paused_until.map(Timestamp::utc)),
        };
        let known = OnConflict::columns([Owner, Net]).update_columns([Failures, WindowBeganAt, PausedUntil]).to_owned();
        let saved = sign_in_counters::Entity::insert(row).on_conflict(known).exec_without_returning(&self.transaction).await;
        saved.map(|_| ()).map_err(broken("counting a failure to sign in"))
    }

    async fn clear(&mut self, user: UserId, which: Which<'_>) -> anyhow::Result<()> {
        let forgotten = match which {
            Which::One(network) => of(user, network),
            Which::All => Condition::all().add(sign_in_counters::Column::UserId.eq(user.0)),
        };
        let cleared = sign_in_counters::Entity::delete_many().filter(forgotten).exec(&self.transaction).await;
        cleared.map(|_| ()).map_err(broken("forgetting failures to sign in"))
    }
}

#[async_trait]
impl SignInReader for Readers {
    async fn knows_network(&self, user: UserId, network: &Network, since: Timestamp) -> anyhow::Result<bool> {
        let signed_in = sessions::Entity::find()
            .filter(sessions::Column::UserId.eq(user.0))
            .filter(sessions::Column::Network.eq(network.as_str()))
            .filter(sessions::Column::CreatedAt.gt(since.utc()))
            .one(&self.connection)
            .await;
        Ok(signed_in.map_err(broken("looking for a known network"))?.is_some())
    }

    async fn counter(&self, user: UserId, network: Option<&Network>) -> anyhow::Result<Option<SignInCounter>> {
        counter(&self.connection, user, network).await
    }
}
