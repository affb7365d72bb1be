//! Second factors: the rows of `second_factors`, `recovery_codes`, `sign_in_challenges` and `second_factor_failures`.

use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::domain::{
    id::{ChallengeId, SecondFactorId, UserId},
    second_factor::{CHALLENGE_MINUTES, Challenge, RecoveryCode, SecondFactor, SecondFactorReader, SecondFactorState, SecondFactors},
    time::Timestamp,
};

use super::{Readers, error::broken, value, work::DatabaseWork};

pub(super) mod second_factors {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "second_factors")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        pub id: Uuid,
        pub sealed_secret: Vec<u8>,
        pub begun_at: DateTimeUtc,
        pub enabled_at: Option<DateTimeUtc>,
        pub last_step: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod recovery_codes {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "recovery_codes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub key_id: String,
        pub hash: Vec<u8>,
        pub spent_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod sign_in_challenges {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sign_in_challenges")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub hash: Vec<u8>,
        pub password_digest: Vec<u8>,
        pub created_at: DateTimeUtc,
        pub failures: i64,
        pub spent_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod second_factor_failures {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "second_factor_failures")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub failed_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<&SecondFactor> for second_factors::Model {
    fn from(factor: &SecondFactor) -> Self {
        Self {
            user_id: factor.user.0,
            id: factor.id.0,
            sealed_secret: factor.sealed_secret.clone(),
            begun_at: factor.begun_at.utc(),
            enabled_at: factor.enabled_at.map(Timestamp::utc),
            last_step: factor.last_step,
        }
    }
}

impl From<second_factors::Model> for SecondFactor {
    fn from(row: second_factors::Model) -> Self {
        Self {
            id: SecondFactorId(row.id),
            user: UserId(row.user_id),
            sealed_secret: row.sealed_secret,
            begun_at: Timestamp::new(row.begun_at),
            enabled_at: value::optional_instant(row.enabled_at),
            last_step: row.last_step,
        }
    }
}

impl TryFrom<sign_in_challenges::Model> for Challenge {
    type Error = anyhow::Error;

    fn try_from(row: sign_in_challenges::Model) -> anyhow::Result<Self> {
        Ok(Self {
            id: ChallengeId(row.id),
            user: UserId(row.user_id),
            hash: row.hash,
            password_digest: row.password_digest,
            created_at: Timestamp::new(row.created_at),
            failures: value::count("sign_in_challenges.failures", row.failures)?,
            spent_at: value::optional_instant(row.spent_at),
        })
    }
}

async fn find_challenge(connection: &impl ConnectionTrait, hash: &[u8]) -> anyhow::Result<Option<Challenge>> {
    let row = sign_in_challenges::Entity::find().filter(sign_in_challenges::Column::Hash.eq(hash)).one(connection).await;
    row.map_err(broken("reading a challenge"))?.map(Challenge::try_from).transpose()
}

impl DatabaseWork {
    async fn forget_recovery_codes(&self, user: UserId) -> anyhow::Result<()> {
        let forgotten = recovery_codes::Entity::delete_many().filter(recovery_codes::Column::UserId.eq(user.0)).exec(&self.transaction).await;
        forgotten.map(|_| ()).map_err(broken("forgetting recovery codes"))
    }
}

#[async_trait]
impl SecondFactors for DatabaseWork {
    async fn find(&mut self, user: UserId) -> anyhow::Result<Option<SecondFactor>> {
        let row = second_factors::Entity::find_by_id(user.0).one(&self.transaction).await.map_err(broken("reading a second factor"))?;
        Ok(row.map(SecondFactor::from))
    }

    async fn replace_pending(&mut self, factor: &SecondFactor) -> anyhow::Result<bool> {
        use second_factors::Column::{BegunAt, EnabledAt, Id, LastStep, SealedSecret, UserId as Owner};
        let pending = Expr::col((second_factors::Entity, EnabledAt)).is_null();
        let replace = OnConflict::column(Owner).update_columns([Id, SealedSecret, BegunAt, LastStep]).action_and_where(pending).to_owned();
        let row = second_factors::ActiveModel::from(second_factors::Model::from(factor));
        let stored = second_factors::Entity::insert(row).on_conflict(replace).exec_without_returning(&self.transaction).await;
        Ok(stored.map_err(broken("storing a second factor"))? == 1)
    }

    async fn enable(&mut self, factor: &SecondFactor, step: i64, now: Timestamp) -> anyhow::Result<bool> {
        let changes = second_factors::ActiveModel { enabled_at: Set(Some(now.utc())), last_step: Set(Some(step)), ..Default::default() };
        let enabled = second_factors::Entity::update_many()
            .set(changes)
            .filter(second_factors::Column::UserId.eq(factor.user.0))
            .filter(second_factors::Column::Id.eq(factor.id.0))
            .filter(second_factors::Column::EnabledAt.is_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("enabling a second factor"))?;
        Ok(enabled.rows_affected == 1)
    }

    async fn accept_step(&mut self, factor: SecondFactorId, step: i64) -> anyhow::Result<bool> {
        let earlier = second_factors::Column::LastStep.is_null().or(second_factors::Column::LastStep.lt(step));
        let accepted = second_factors::Entity::update_many()
            .set(second_factors::ActiveModel { last_step: Set(Some(step)), ..Default::default() })
            .filter(second_factors::Column::Id.eq(factor.0))
            .filter(second_factors::Column::EnabledAt.is_not_null())
            .filter(earlier)
            .exec(&self.transaction)
            .await
            .map_err(broken("accepting a code"))?;
        Ok(accepted.rows_affected == 1)
    }

    async fn remove(&mut self, user: UserId) -> anyhow::Result<bool> {
        self.forget_recovery_codes(user).await?;
        let challenges = sign_in_challenges::Entity::delete_many().filter(sign_in_challenges::Column::UserId.eq(user.0)).exec(&self.transaction).await;
        challenges.map_err(broken("voiding challenges"))?;
        let removed = second_factors::Entity::delete_by_id(user.0).exec(&self.transaction).await;
        Ok(removed.map_err(broken("removing a second factor"))?.rows_affected == 1)
    }

    async fn replace_recovery_codes(&mut self, user: UserId, codes: &[RecoveryCode]) -> anyhow::Result<()> {
        self.forget_recovery_codes(user).await?;
        let rows = codes.iter().map(|code| {
            let row = recovery_codes::Model { id: code.id.0, user_id: user.0, key_id: code.key_id.clone(), hash: code.hash.clone(), spent_at: None };
            recovery_codes::ActiveModel::from(row)
        });
        let stored = recovery_codes::Entity::insert_many(rows).exec_without_returning(&self.transaction).await;
        stored.map(|_| ()).map_err(broken("storing recovery codes"))
    }

    async fn spend_recovery_code(&mut self, user: UserId, hashes: &[Vec<u8>], now: Timestamp) -> anyhow::Result<bool> {
        let spent = recovery_codes::Entity::update_many()
            .set(recovery_codes::ActiveModel { spent_at: Set(Some(now.utc())), ..Default::default() })
            .filter(recovery_codes::Column::UserId.eq(user.0))
            .filter(recovery_codes::Column::Hash.is_in(hashes.iter().cloned()))
            .filter(recovery_codes::Column::SpentAt.is_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("spending a recovery code"))?;
        Ok(spent.rows_affected == 1)
    }

    async fn insert_challenge(&mut self, challenge: &Challenge) -> anyhow::Result<()> {
        let past = challenge.created_at.minus(Duration::minutes(CHALLENGE_MINUTES));
        let gone = sign_in_challenges::Entity::delete_many()
            .filter(sign_in_challenges::Column::UserId.eq(challenge.user.0))
            .filter(sign_in_challenges::Column::CreatedAt.lte(past.utc()))
            .exec(&self.transaction)
            .await;
        gone.map_err(broken("forgetting old challenges"))?;
        let row = sign_in_challenges::Model {
            id: challenge.id.0,
            user_id: challenge.user.0,
            hash: challenge.hash.clone(),
            password_digest: challenge.password_digest.clone(),
            created_at: challenge.created_at.utc(),
            failures: challenge.failures.into(),
            spent_at: challenge.spent_at.map(Timestamp::utc),
        };
        let stored = sign_in_challenges::Entity::insert(sign_in_challenges::ActiveModel::from(row)).exec_without_returning(&self.transaction).await;
        stored.map(|_| ()).map_err(broken("storing a challenge"))
    }

    async fn find_any_challenge(&mut self, hash: &[u8]) -> anyhow::Result<Option<Challenge>> {
        find_challenge(&self.transaction, hash).await
    }

    async fn spend_challenge(&mut self, challenge: ChallengeId, now: Timestamp) -> anyhow::Result<bool> {
        let spent = sign_in_challenges::Entity::update_many()
            .set(sign_in_challenges::ActiveModel { spent_at: Set(Some(now.utc())), ..Default::default() })
            .filter(sign_in_challenges::Column::Id.eq(challenge.0))
            .filter(sign_in_challenges::Column::SpentAt.is_null())
            .exec(&self.transaction)
            .await
            .map_err(broken("answering a challenge"))?;
        Ok(spent.rows_affected == 1)
    }

    async fn fail_challenge(&mut self, challenge: ChallengeId) -> anyhow::Result<()> {
        let counted = sign_in_challenges::Entity::update_many()
            .col_expr(sign_in_challenges::Column::Failures, Expr::col(sign_in_challenges::Column::Failures).add(1))
            .filter(sign_in_challenges::Column::Id.eq(challenge.0))
            .exec(&self.transaction)
            .await;
        counted.map(|_| ()).map_err(broken("counting a wrong code"))
    }

    async fn fail(&mut self, user: UserId, now: Timestamp, since: Timestamp) -> anyhow::Result<()> {
        let old = second_factor_failures::Entity::delete_many()
            .filter(second_factor_failures::Column::UserId.eq(user.0))
            .filter(second_factor_failures::Column::FailedAt.lte(since.utc()))
            .exec(&self.transaction)
            .await;
        old.map_err(broken("forgetting old wrong codes"))?;
        let row = second_factor_failures::Model { id: self.randomness.id(), user_id: user.0, failed_at: now.utc() };
        let counted = second_factor_failures::Entity::insert(second_factor_failures::ActiveModel::from(row)).exec_without_returning(&self.transaction).await;
        counted.map(|_| ()).map_err(broken("counting a wrong code"))
    }

    async fn forget_failures(&mut self, user: UserId) -> anyhow::Result<()> {
        let forgotten = second_factor_failures::Entity::delete_many().filter(second_factor_failures::Column::UserId.eq(user.0)).exec(&self.transaction).await;
        forgotten.map(|_| ()).map_err(broken("forgetting wrong codes"))
    }

    async fn failures_since(&mut self, user: UserId, since: Timestamp) -> anyhow::Result<u64> {
        let failures = second_factor_failures::Entity::find()
            .filter(second_factor_failures::Column::UserId.eq(user.0))
            .filter(second_factor_failures::Column::FailedAt.gt(since.utc()))
            .count(&self.transaction)
            .await;
        failures.map_err(broken("counting wrong codes"))
    }
}

#[async_trait]
impl SecondFactorReader for Readers {
    async fn state(&self, user: UserId) -> anyhow::Result<Option<SecondFactorState>> {
        let factor = second_factors::Entity::find_by_id(user.0).one(&self.connection).await.map_err(broken("reading a second factor"))?;
        let Some(enabled_at) = factor.and_then(|factor| factor.enabled_at) else { return Ok(None) };
        let left = recovery_codes::Entity::find()
            .filter(recovery_codes::Column::UserId.eq(user.0))
            .filter(recovery_codes::Column::SpentAt.is_null())
            .count(&self.connection)
            .await
            .map_err(broken("counting recovery codes"))?;
        Ok(Some(SecondFactorState { enabled_at: Timestamp::new(enabled_at), recovery_codes_left: u32::try_from(left)? }))
    }

    async fn find_any_challenge(&self, hash: &[u8]) -> anyhow::Result<Option<Challenge>> {
        find_challenge(&self.connection, hash).await
    }
}
