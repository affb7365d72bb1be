//! Keys: what is sealed, and how much hangs on each key.

use std::collections::BTreeMap;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::Duration;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Alias, Expr, ExprTrait, Func, SimpleExpr},
};
use uuid::Uuid;

use crate::{
    domain::{
        id::UserId,
        keys::{Bound, SealedKind, SealedSecret, SealedSecretReader, SealedSecrets},
        time::Timestamp,
    },
    infrastructure::security::{passwords::record_begins_with, sealer::envelope_begins_with},
};

use super::{
    Readers,
    account::accounts,
    credential::credentials,
    error::broken,
    inspection::Inspection,
    link::authorizations,
    mail::mail_tokens,
    payload::payloads,
    second_factor::{recovery_codes, second_factors},
    session::{refresh_tokens, sessions},
    user::users,
    work::DatabaseWork,
};

/// How long an access token lives at most, in minutes.
const ACCESS_MINUTES: i64 = 15;

/// Payloads of a page; one may have megabytes.
const PAYLOADS_AT_ONCE: u64 = 4;

/// How much hangs on a key: a word for people, and how many.
pub type Hanging = Vec<(&'static str, u64)>;

/// How much hangs on which key. Those that are in no ring and no list have a name where one is stored in clear.
#[derive(Debug, Default)]
pub struct KeyUsage {
    /// By the ids of ring keys.
    pub ring: BTreeMap<String, Hanging>,
    /// By the ids of token secrets.
    pub tokens: BTreeMap<String, Hanging>,
    /// What hangs on keys nobody has.
    pub foreign: Hanging,
}

/// The first bytes or letters of a column.
fn begins<C: ColumnTrait>(column: C, length: usize) -> anyhow::Result<SimpleExpr> {
    let length = i32::try_from(length).context("an id is short")?;
    Ok(Func::cust(Alias::new("substr")).arg(Expr::col((column.entity_name(), column))).arg(1).arg(length).into())
}

/// Walks that go on: nobody needs the secrets of others any more.
fn open_authorizations(now: Timestamp) -> Select<authorizations::Entity> {
    authorizations::Entity::find().filter(authorizations::Column::SpentAt.is_null()).filter(authorizations::Column::ExpiresAt.gt(now.utc()))
}

#[async_trait]
impl SealedSecretReader for Readers {
    async fn sealed_otherwise(&self, kind: SealedKind, current: &[u8], after: Option<Uuid>, limit: u64, now: Timestamp) -> anyhow::Result<Vec<SealedSecret>> {
        let after = after.unwrap_or_default();
        let sealed = |id: Uuid, user: Uuid, of: Uuid, envelope: Vec<u8>| SealedSecret { kind, id, user: UserId(user), of, envelope };
        Ok(match kind {
            SealedKind::Credentials => {
                let rows = credentials::Entity::find()
                    .filter(credentials::Column::LinkId.gt(after))
                    .filter(begins(credentials::Column::Sealed, current.len())?.ne(current))
                    .order_by_asc(credentials::Column::LinkId)
                    .limit(limit);
                let rows = rows.all(&self.connection).await.map_err(broken("reading sealed credentials"))?;
                rows.into_iter().map(|row| sealed(row.link_id, row.user_id, row.link_id, row.sealed)).collect()
            }
            SealedKind::Authorization => {
                let rows = open_authorizations(now)
                    .filter(authorizations::Column::Id.gt(after))
                    .filter(begins(authorizations::Column::SealedSecrets, current.len())?.ne(current))
                    .order_by_asc(authorizations::Column::Id)
                    .limit(limit);
                let rows = rows.all(&self.connection).await.map_err(broken("reading sealed authorizations"))?;
                rows.into_iter().map(|row| sealed(row.id, row.user_id, row.link_id, row.sealed_secrets)).collect()
            }
            SealedKind::Payload => {
                // Each may be as long as thousands of the others.
                let rows = payloads::Entity::find()
                    .filter(payloads::Column::ExpiresAt.gt(now.utc()))
                    .filter(payloads::Column::Id.gt(after))
                    .filter(begins(payloads::Column::Sealed, current.len())?.ne(current))
                    .order_by_asc(payloads::Column::Id)
                    .limit(std::cmp::Ord::min(limit, PAYLOADS_AT_ONCE));
                let rows = rows.all(&self.connection).await.map_err(broken("reading sealed payloads"))?;
                rows.into_iter().map(|row| sealed(row.id, row.user_id, row.link_id, row.sealed)).collect()
            }
            SealedKind::SecondFactor => {
                let rows = second_factors::Entity::find()
                    .filter(second_factors::Column::Id.gt(after))
                    .filter(begins(second_factors::Column::SealedSecret, current.len())?.ne(current))
                    .order_by_asc(second_factors::Column::Id)
                    .limit(limit);
                let rows = rows.all(&self.connection).await.map_err(broken("reading sealed second factors"))?;
                rows.into_iter().map(|row| sealed(row.id, row.user_id, row.id, row.sealed_secret)).collect()
            }
        })
    }
}

#[async_trait]
impl SealedSecrets for DatabaseWork {
    async fn replace(&mut self, sealed: &SealedSecret, envelope: &[u8]) -> anyhow::Result<bool> {
        let replaced = match sealed.kind {
            SealedKind::Credentials => {
                credentials::Entity::update_many()
                    .set(credentials::ActiveModel { sealed: Set(envelope.to_vec()), ..Default::default() })
                    .filter(credentials::Column::LinkId.eq(sealed.id))
                    .filter(credentials::Column::Sealed.eq(sealed.envelope.as_slice()))
                    .exec(&self.transaction)
                    .await
            }
            SealedKind::Authorization => {
                authorizations::Entity::update_many()
                    .set(authorizations::ActiveModel { sealed_secrets: Set(envelope.to_vec()), ..Default::default() })
                    .filter(authorizations::Column::Id.eq(sealed.id))
                    .filter(authorizations::Column::SealedSecrets.eq(sealed.envelope.as_slice()))
                    .exec(&self.transaction)
                    .await
            }
            SealedKind::Payload => {
                let size = i64::try_from(envelope.len())?;
                payloads::Entity::update_many()
                    .set(payloads::ActiveModel { sealed: Set(envelope.to_vec()), size: Set(size), ..Default::default() })
                    .filter(payloads::Column::Id.eq(sealed.id))
                    .exec(&self.transaction)
                    .await
            }
            SealedKind::SecondFactor => {
                second_factors::Entity::update_many()
                    .set(second_factors::ActiveModel { sealed_secret: Set(envelope.to_vec()), ..Default::default() })
                    .filter(second_factors::Column::Id.eq(sealed.id))
                    .filter(second_factors::Column::SealedSecret.eq(sealed.envelope.as_slice()))
                    .exec(&self.transaction)
                    .await
            }
        };
        Ok(replaced.map_err(broken("sealing anew"))?.rows_affected == 1)
    }
}

/// How many rows there are for each id in a column.
async fn by_id<E: EntityTrait>(connection: &impl ConnectionTrait, rows: Select<E>, column: E::Column) -> anyhow::Result<BTreeMap<String, u64>> {
    let counted = rows
        .select_only()
        .column(column)
        .column_as(Expr::col((column.entity_name(), column)).count(), "rows")
        .group_by(column)
        .into_tuple::<(String, i64)>()
        .all(connection)
        .await
        .map_err(broken("counting what hangs on keys"))?;
    counted.into_iter().map(|(id, rows)| Ok((id, u64::try_from(rows)?))).collect()
}

/// How many rows there are whose column begins with one of these, and how many begin otherwise.
async fn by_beginning<E: EntityTrait, B: Into<sea_orm::Value> + Clone>(
    connection: &impl ConnectionTrait,
    rows: &Select<E>,
    column: E::Column,
    beginnings: &[(String, B, usize)],
) -> anyhow::Result<(BTreeMap<String, u64>, u64)> {
    let count = async |rows: Select<E>| {
        let counted = rows.select_only().column_as(Expr::col((column.entity_name(), column)).count(), "rows").into_tuple::<i64>().one(connection).await;
        anyhow::Ok(u64::try_from(counted.map_err(broken("counting what hangs on keys"))?.unwrap_or_default())?)
    };
    let mut found = BTreeMap::new();
    for (id, beginning, length) in beginnings {
        found.insert(id.clone(), count(rows.clone().filter(begins(column, *length)?.eq(beginning.clone().into()))).await?);
    }
    let all = count(rows.clone()).await?;
    let others = all.saturating_sub(found.values().sum());
    Ok((found, others))
}

impl KeyUsage {
    fn note(&mut self, is_ring: bool, known: &[&str], what: &'static str, counted: BTreeMap<String, u64>, others: u64) {
        let mut foreign = others;
        for (id, rows) in counted.into_iter().filter(|(_, rows)| *rows > 0) {
            if known.contains(&id.as_str()) {
                let usage = if is_ring { &mut self.ring } else { &mut self.tokens };
                usage.entry(id).or_default().push((what, rows));
            } else {
                foreign += rows;
            }
        }
        if foreign > 0 {
            self.foreign.push((what, foreign));
        }
    }
}

impl Inspection {
    /// How much hangs on the keys of these ids.
    pub async fn key_usage(&self, ring: &[&str], tokens: &[&str], now: Timestamp) -> anyhow::Result<KeyUsage> {
        let connection = self.connection();
        let mut usage = KeyUsage::default();
        let envelopes = ring.iter().map(|id| envelope_begins_with(id).map(|beginning| ((*id).to_owned(), beginning.clone(), beginning.len())));
        let envelopes = envelopes.collect::<anyhow::Result<Vec<_>>>()?;
        let records = ring.iter().map(|id| record_begins_with(id)).map(|beginning| (beginning.len(), beginning));
        let records: Vec<_> = ring.iter().zip(records).map(|(id, (length, beginning))| ((*id).to_owned(), beginning, length)).collect();
        for kind in SealedKind::ALL {
            let (counted, others) = match kind {
                SealedKind::Credentials => by_beginning(connection, &credentials::Entity::find(), credentials::Column::Sealed, &envelopes).await?,
                SealedKind::Authorization => by_beginning(connection, &open_authorizations(now), authorizations::Column::SealedSecrets, &envelopes).await?,
                SealedKind::Payload => {
                    let kept = payloads::Entity::find().filter(payloads::Column::ExpiresAt.gt(now.utc()));
                    by_beginning(connection, &kept, payloads::Column::Sealed, &envelopes).await?
                }
                SealedKind::SecondFactor => by_beginning(connection, &second_factors::Entity::find(), second_factors::Column::SealedSecret, &envelopes).await?,
            };
            usage.note(true, ring, sealed_word(*kind), counted, others);
        }
        for bound in Bound::ALL {
            let (is_ring, known, (counted, others)) = match bound {
                Bound::Passwords => (true, ring, by_beginning(connection, &users::Entity::find(), users::Column::Password, &records).await?),
                Bound::RecoveryCodes => {
                    let unspent = recovery_codes::Entity::find().filter(recovery_codes::Column::SpentAt.is_null());
                    (true, ring, (by_id(connection, unspent, recovery_codes::Column::KeyId).await?, 0))
                }
                Bound::Accounts => (true, ring, (by_id(connection, accounts::Entity::find(), accounts::Column::FingerprintKeyId).await?, 0)),
                Bound::RefreshTokens => {
                    let live = of_live_sessions(now).filter(refresh_tokens::Column::UsedAt.is_null()).filter(refresh_tokens::Column::ExpiresAt.gt(now.utc()));
                    (false, tokens, (by_id(connection, live, refresh_tokens::Column::KeyId).await?, 0))
                }
                Bound::AccessTokens => {
                    // Each was issued beside a refresh token, under the same secret.
                    let since = now.minus(Duration::minutes(ACCESS_MINUTES));
                    let recent = of_live_sessions(now).filter(refresh_tokens::Column::IssuedAt.gt(since.utc()));
                    (false, tokens, (by_id(connection, recent, refresh_tokens::Column::KeyId).await?, 0))
                }
                Bound::MailTokens => {
                    let unspent =
                        mail_tokens::Entity::find().filter(mail_tokens::Column::SpentAt.is_null()).filter(mail_tokens::Column::ExpiresAt.gt(now.utc()));
                    (false, tokens, (by_id(connection, unspent, mail_tokens::Column::KeyId).await?, 0))
                }
            };
            usage.note(is_ring, known, bound.as_str(), counted, others);
        }
        Ok(usage)
    }
}

/// Refresh tokens of sessions that go on.
fn of_live_sessions(now: Timestamp) -> Select<refresh_tokens::Entity> {
    let live = sessions::Entity::find()
        .select_only()
        .column(sessions::Column::Id)
        .filter(sessions::Column::RevokedAt.is_null())
        .filter(sessions::Column::ExpiresAt.gt(now.utc()));
    refresh_tokens::Entity::find().filter(refresh_tokens::Column::SessionId.in_subquery(sea_orm::QueryTrait::into_query(live)))
}

fn sealed_word(kind: SealedKind) -> &'static str {
    match kind {
        SealedKind::Credentials => "sealed credentials",
        SealedKind::Authorization => "sealed authorizations",
        SealedKind::Payload => "sealed payloads",
        SealedKind::SecondFactor => "sealed second factors",
    }
}
