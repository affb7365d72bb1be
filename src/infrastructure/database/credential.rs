//! Credentials: the rows of `credentials`, whose secrets are sealed and whose clocks are not.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, Select,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::domain::{
    id::{LinkId, UserId},
    link::{CredentialClock, Hold, SealedCredentials, StoredCredentials},
    time::Timestamp,
};

use super::{error::broken, value};

pub(super) mod credentials {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "credentials")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub link_id: Uuid,
        pub user_id: Uuid,
        pub sealed: Vec<u8>,
        pub updated_at: DateTimeUtc,
        pub version: i64,
        pub expires_at: Option<DateTimeUtc>,
        pub renew_at: Option<DateTimeUtc>,
        pub held_until: Option<DateTimeUtc>,
        pub rests_until: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use credentials::Column;

/// How many versions of one row there can be before they meet those of another that took its place: what was wiped and given anew must not be
/// taken for what there was.
pub(super) const MOST_RENEWALS: i64 = 1 << 20;

/// Those of one link.
fn of_link(owner: UserId, link: LinkId) -> Condition {
    Condition::all().add(Column::LinkId.eq(link.0)).add(Column::UserId.eq(owner.0))
}

fn found(owner: UserId, link: LinkId) -> Select<credentials::Entity> {
    credentials::Entity::find().filter(of_link(owner, link))
}

pub(super) async fn find(connection: &impl ConnectionTrait, owner: UserId, link: LinkId) -> anyhow::Result<Option<StoredCredentials>> {
    let row = found(owner, link).one(connection).await.map_err(broken("reading credentials"))?;
    Ok(row.map(|row| StoredCredentials { envelope: row.sealed, version: row.version, rests_until: value::optional_instant(row.rests_until) }))
}

pub(super) async fn clocks(connection: &impl ConnectionTrait, owner: UserId, links: &[LinkId]) -> anyhow::Result<Vec<(LinkId, CredentialClock)>> {
    let rows = credentials::Entity::find()
        .filter(Column::UserId.eq(owner.0))
        .filter(Column::LinkId.is_in(links.iter().map(|link| link.0)))
        .all(connection)
        .await
        .map_err(broken("reading the clocks of credentials"))?;
    let clock = |row: credentials::Model| {
        let clock = CredentialClock {
            expires_at: value::optional_instant(row.expires_at),
            renewed_at: Timestamp::new(row.updated_at),
            rests_until: value::optional_instant(row.rests_until),
        };
        (LinkId(row.link_id), clock)
    };
    Ok(rows.into_iter().map(clock).collect())
}

pub(super) async fn save(
    connection: &impl ConnectionTrait,
    owner: UserId,
    link: LinkId,
    sealed: &SealedCredentials,
    (first_version, now): (i64, Timestamp),
) -> anyhow::Result<()> {
    use Column::{ExpiresAt, HeldUntil, LinkId as Link, RenewAt, RestsUntil, Sealed, UpdatedAt, UserId as Owner, Version};
    let row = credentials::Model {
        link_id: link.0,
        user_id: owner.0,
        sealed: sealed.envelope.clone(),
        updated_at: now.utc(),
        version: first_version,
        expires_at: sealed.expires_at.map(Timestamp::utc),
        renew_at: sealed.renew_at.map(Timestamp::utc),
        held_until: None,
        rests_until: None,
    };
    let replace = OnConflict::column(Link)
        .update_columns([Sealed, UpdatedAt, ExpiresAt, RenewAt, HeldUntil, RestsUntil])
        .value(Version, Expr::col((credentials::Entity, Version)).add(1))
        .action_and_where(Expr::col((credentials::Entity, Owner)).eq(owner.0))
        .to_owned();
    let saved = credentials::Entity::insert(credentials::ActiveModel::from(row))
        .on_conflict(replace)
        .exec_without_returning(connection)
        .await
        .map_err(broken("storing credentials"))?;
    anyhow::ensure!(saved == 1, "the credentials to be replaced are another user's");
    Ok(())
}

pub(super) async fn hold(
    connection: &impl ConnectionTrait,
    owner: UserId,
    link: LinkId,
    version: i64,
    now: Timestamp,
    until: Timestamp,
) -> anyhow::Result<Hold> {
    let free = Column::HeldUntil.is_null().or(Column::HeldUntil.lte(now.utc()));
    let held = credentials::Entity::update_many()
        .set(credentials::ActiveModel { held_until: Set(Some(until.utc())), ..Default::default() })
        .filter(of_link(owner, link).add(Column::Version.eq(version)).add(free))
        .exec(connection)
        .await
        .map_err(broken("holding credentials"))?;
    if held.rows_affected == 1 {
        return Ok(Hold::Held);
    }
    Ok(match find(connection, owner, link).await? {
        None => Hold::Gone,
        Some(stored) if stored.version != version => Hold::Replaced,
        Some(_) => Hold::Busy,
    })
}

pub(super) async fn replace(
    connection: &impl ConnectionTrait,
    owner: UserId,
    link: LinkId,
    version: i64,
    sealed: &SealedCredentials,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let changes = credentials::ActiveModel {
        sealed: Set(sealed.envelope.clone()),
        updated_at: Set(now.utc()),
        version: Set(version + 1),
        expires_at: Set(sealed.expires_at.map(Timestamp::utc)),
        renew_at: Set(sealed.renew_at.map(Timestamp::utc)),
        held_until: Set(None),
        ..Default::default()
    };
    let replaced = credentials::Entity::update_many().set(changes).filter(of_link(owner, link).add(Column::Version.eq(version))).exec(connection).await;
    Ok(replaced.map_err(broken("storing renewed credentials"))?.rows_affected == 1)
}

pub(super) async fn let_go(connection: &impl ConnectionTrait, owner: UserId, link: LinkId, version: i64, renew_at: Option<Timestamp>) -> anyhow::Result<()> {
    let mut changes = credentials::ActiveModel { held_until: Set(None), ..Default::default() };
    if let Some(renew_at) = renew_at {
        changes.renew_at = Set(Some(renew_at.utc()));
    }
    let gone = credentials::Entity::update_many().set(changes).filter(of_link(owner, link).add(Column::Version.eq(version))).exec(connection).await;
    gone.map(|_| ()).map_err(broken("letting credentials go"))
}

pub(super) async fn rest(connection: &impl ConnectionTrait, owner: UserId, link: LinkId, until: Timestamp) -> anyhow::Result<()> {
    let rest = credentials::ActiveModel { rests_until: Set(Some(until.utc())), ..Default::default() };
    let noted = credentials::Entity::update_many().set(rest).filter(of_link(owner, link)).exec(connection).await;
    noted.map(|_| ()).map_err(broken("noting that a provider wants to be left alone"))
}

/// Answers what was sealed.
pub(super) async fn wipe(connection: &impl ConnectionTrait, owner: UserId, link: LinkId) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(row) = found(owner, link).one(connection).await.map_err(broken("reading a link's credentials"))? else { return Ok(None) };
    let gone = credentials::Entity::delete_by_id(row.link_id).exec(connection).await;
    gone.map_err(broken("wiping a link's credentials"))?;
    Ok(Some(row.sealed))
}
