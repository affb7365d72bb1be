//! Keys from outside: where they are kept, how much hangs on each, and when a new one is used. What the commands need of adapters.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use secrecy::ExposeSecret as _;

use crate::{
    application::ports::Randomness,
    config::Config,
    domain::time::{Clock, Timestamp},
    infrastructure::{
        database::{inspection::Inspection, keys::Hanging},
        machine::Machine,
        security::{key_places::KeyPlaces, keys::Keys},
    },
};

use super::{MadeUpKeys, embedded};
pub use crate::infrastructure::security::key_places::{Family, Proposal};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The first of its kind, and used.
    Current,
    /// The first of its kind, and used in so many seconds: until then servers learn of it.
    Next { seconds: u64 },
    /// Kept for what hangs on it.
    Kept,
}

/// A key and what hangs on it.
#[derive(Debug)]
pub struct Standing {
    /// Of the ring, or a token secret.
    pub family: Family,
    /// Its id.
    pub id: String,
    /// Whether it is used.
    pub used: Use,
    /// Where it comes from.
    pub place: String,
    /// What hangs on it; `None` when there is no database to ask, or it is not up to date.
    pub hanging: Option<Hanging>,
}

/// All keys.
#[derive(Debug)]
pub struct Standings {
    /// Each, the current one of a kind first.
    pub keys: Vec<Standing>,
    /// What hangs on keys that are nowhere.
    pub foreign: Hanging,
}

/// Where the keys of this configuration are kept.
pub async fn places(config: &Config, made_up: MadeUpKeys) -> anyhow::Result<Arc<KeyPlaces>> {
    Ok(Arc::new(find(config, made_up, Arc::new(Machine)).await?))
}

/// The same. Keys are made up for a database without users only: what others sealed they would not open.
pub(super) async fn find(config: &Config, made_up: MadeUpKeys, randomness: Arc<dyn Randomness>) -> anyhow::Result<KeyPlaces> {
    if made_up == MadeUpKeys::Make
        && let Some(file) = KeyPlaces::to_be_made_up(config)
        && embedded::has_users(config).await?
    {
        bail!("{}", keys_are_lost(&file));
    }
    KeyPlaces::find(config, made_up, randomness)
}

/// What to say where keys would have to be made up and there are users already.
pub(super) fn keys_are_lost(file: &Path) -> String {
    format!(
        "{} is missing, and the database has users, whose passwords and links no other keys open:\n  \
         put the file back from a copy; or set DASHTAM_JWT__SECRET and DASHTAM_ENCRYPTION__KEYS, if these held the keys;\n  \
         or begin anew in another folder with --data-dir",
        file.display()
    )
}

/// How long the current key of a kind still waits until servers use it.
pub fn waits(config: &Config, places: &KeyPlaces, family: Family) -> Option<Duration> {
    let wait = Duration::from_secs(config.keys.wait_seconds.into());
    places.age(family).and_then(|age| wait.checked_sub(age)).filter(|left| !left.is_zero())
}

/// Looks at all keys, and changes nothing.
pub async fn status(config: &Config, made_up: MadeUpKeys) -> anyhow::Result<Standings> {
    let places = places(config, made_up).await?;
    let keys = places.read()?;
    let inspection = Inspection::open(config.database().expose_secret()).await.context("the database cannot be opened")?;
    let standings = standings(config, &places, &keys, inspection.as_ref(), Machine.now()).await;
    if let Some(inspection) = inspection {
        inspection.close().await?;
    }
    standings
}

/// The same over what is open already.
pub(super) async fn standings(config: &Config, places: &KeyPlaces, keys: &Keys, inspection: Option<&Inspection>, now: Timestamp) -> anyhow::Result<Standings> {
    let (ring, tokens) = (keys.ring_ids(), keys.token_ids());
    let usage = match inspection {
        Some(inspection) if inspection.pending().await.is_ok_and(|(pending, _)| pending == 0) => Some(inspection.key_usage(&ring, &tokens, now).await?),
        _ => None,
    };
    let mut standing = Vec::new();
    for (family, ids) in [(Family::Ring, &ring), (Family::Tokens, &tokens)] {
        let (first, others) = places.described(family);
        for (at, id) in ids.iter().enumerate() {
            let used = match waits(config, places, family) {
                _ if at > 0 => Use::Kept,
                Some(left) if ids.len() > 1 => Use::Next { seconds: left.as_secs() + 1 },
                _ => Use::Current,
            };
            let place = if at == 0 { first.clone() } else { others.clone() };
            let of_family = usage.as_ref().map(|usage| if family == Family::Ring { &usage.ring } else { &usage.tokens });
            let hanging = of_family.map(|of_family| of_family.get(*id).cloned().unwrap_or_default());
            standing.push(Standing { family, id: (*id).to_owned(), used, place, hanging });
        }
    }
    Ok(Standings { keys: standing, foreign: usage.map(|usage| usage.foreign).unwrap_or_default() })
}
