//! What accounts of files are recognised by: the column `fingerprints` of `import_statements`, a JSON list in which those that are not exact
//! say so.

use anyhow::Context as _;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Query};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    domain::{
        account::AccountFingerprint,
        id::{AccountId, ImportId, UserId},
        import::{ImportStatus, Recognition},
    },
    infrastructure::database::{error::broken, work::DatabaseWork},
};

use super::{import_statements, imports};

const ALIKE: &str = "alike";
const FORMERLY: &str = "formerly";
const TOGETHER: &str = "together";

pub(super) fn text(recognition: &Recognition) -> String {
    let stored = |fingerprint: &AccountFingerprint, how: Option<&str>| json!({ "key": fingerprint.key_id, "hash": fingerprint.hash, "how": how });
    let Recognition { exactly, alike, formerly, together } = recognition;
    let each = |fingerprints: &[AccountFingerprint], how| fingerprints.iter().map(|fingerprint| stored(fingerprint, how)).collect::<Vec<_>>();
    Value::from([each(exactly, None), each(alike, Some(ALIKE)), each(formerly, Some(FORMERLY)), each(together, Some(TOGETHER))].concat()).to_string()
}

pub(super) fn read(text: &str) -> anyhow::Result<Recognition> {
    let stored: Vec<Value> = serde_json::from_str(text).context("import_statements.fingerprints is not JSON of ours")?;
    let byte = |byte: &Value| u8::try_from(byte.as_u64()?).ok();
    let fingerprint = |stored: &Value| {
        let hash = stored["hash"].as_array()?.iter().map(byte).collect::<Option<_>>()?;
        Some(AccountFingerprint { key_id: stored["key"].as_str()?.to_owned(), hash })
    };
    let mut recognition = Recognition::default();
    for stored in &stored {
        let of_its_kind = match stored["how"].as_str() {
            None => &mut recognition.exactly,
            Some(ALIKE) => &mut recognition.alike,
            Some(FORMERLY) => &mut recognition.formerly,
            Some(TOGETHER) => &mut recognition.together,
            Some(_) => anyhow::bail!("import_statements.fingerprints says something else of how an account is recognised"),
        };
        of_its_kind.push(fingerprint(stored).context("import_statements.fingerprints holds something else")?);
    }
    Ok(recognition)
}

/// What accounts were recognised by in imports that are in and were not aimed at an account, the youngest first.
pub(super) async fn of_accounts(work: &DatabaseWork, owner: UserId, but: ImportId) -> anyhow::Result<Vec<(AccountId, Recognition)>> {
    let unaimed = Query::select()
        .column(imports::Column::Id)
        .from(imports::Entity)
        .and_where(imports::Column::UserId.eq(owner.0))
        .and_where(imports::Column::Status.eq(ImportStatus::Committed.as_str()))
        .and_where(imports::Column::TargetAccountId.is_null())
        .and_where(imports::Column::Id.ne(but.0))
        .take();
    let rows: Vec<(Uuid, String)> = import_statements::Entity::find()
        .select_only()
        .column(import_statements::Column::AccountId)
        .column(import_statements::Column::Fingerprints)
        .filter(import_statements::Column::UserId.eq(owner.0))
        .filter(import_statements::Column::AccountId.is_not_null())
        .filter(import_statements::Column::ImportId.in_subquery(unaimed))
        .order_by_desc(import_statements::Column::ImportId)
        .into_tuple()
        .all(&work.transaction)
        .await
        .map_err(broken("reading what accounts of files were recognised by"))?;
    rows.into_iter().map(|(account, stored)| Ok((AccountId(account), read(&stored)?))).collect()
}
