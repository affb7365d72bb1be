//! What the doctor says of keys: whether they are there, hard to guess, open what they sealed, and are needed.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    application::ports::Sealer as _,
    config::{Config, Environment, settings::Setting},
    domain::time::Timestamp,
    infrastructure::{
        database::inspection::Inspection,
        machine::Machine,
        security::{
            key_places::KeyPlaces,
            keys::{Keys, KeysInForce},
            sealer::AesSealer,
        },
    },
};

use super::{
    super::{
        MadeUpKeys,
        keys::{Family, Use, keys_are_lost, standings},
    },
    Finding, told,
};

/// A random secret of 32 bytes has more different characters than this in any spelling; even in hex it is rarely less than fifteen.
const GUESSABLE: usize = 12;

/// How many sealed values of a kind are tried.
const TRIED: u64 = 100;

/// Whether the secrets that are configured look like ones somebody made with a generator.
pub(super) fn strength(config: &Config) -> Vec<Finding> {
    let configured = [("jwt.secret", &config.jwt.secret), ("jwt.previous", &config.jwt.previous), ("encryption.keys", &config.encryption.keys)];
    let weak = |name: &str, secret: &SecretString| {
        let setting = Setting::find(name)?;
        let secret = secret.expose_secret();
        let is_example = setting.sample().trim_matches('"') == secret;
        let is_guessable = secret.split(',').filter(|part| !part.is_empty()).any(|part| {
            let mut letters: Vec<_> = part.split_once(':').map_or(part, |(_, key)| key).chars().collect();
            letters.sort_unstable();
            letters.dedup();
            letters.len() < GUESSABLE
        });
        let why = match (is_example, is_guessable) {
            (true, _) => "is the one of the manual, which everybody knows",
            (_, true) => "can be guessed: it repeats a few characters",
            _ => return None,
        };
        Some(Finding::fail("keys", format!("{} {why}", setting.variable()), "make one with openssl rand -base64 32, and keep it safe"))
    };
    configured.into_iter().filter_map(|(name, secret)| weak(name, secret.as_ref()?)).collect()
}

/// Whether the keys are there, open what was sealed with them, and are needed.
pub(super) async fn standing(config: &Config, inspection: Option<&Inspection>, now: Timestamp) -> Vec<Finding> {
    let is_development = config.environment == Environment::Development;
    let is_first_start = config.jwt.secret.is_none() && config.encryption.keys.is_none() && !config.data_dir.join("keys.toml").exists();
    if is_development
        && let (Some(file), Some(inspection)) = (KeyPlaces::to_be_made_up(config), inspection)
        && inspection.has_users().await.is_ok_and(|has_users| has_users)
    {
        return vec![Finding::refused("keys", &anyhow::anyhow!(keys_are_lost(&file)))];
    }
    if is_development && config.is_embedded() && is_first_start {
        return vec![Finding::ok("keys", "made up at the first start, in the data folder")];
    }
    let made_up = if is_development { MadeUpKeys::Use } else { MadeUpKeys::Refuse };
    let found = KeyPlaces::find(config, made_up, Arc::new(Machine)).and_then(|places| {
        let keys = places.read()?;
        let sealer = AesSealer::new(&KeysInForce::new(keys.clone()), Arc::new(Machine))?;
        Ok((places, keys, sealer))
    });
    let (places, keys, sealer) = match found {
        Ok(found) => found,
        Err(refusal) => return vec![Finding::refused("keys", &refusal)],
    };
    let mut findings = vec![opened(&sealer, inspection).await];
    findings.extend(idle(config, &places, &keys, inspection, now).await);
    findings
}

/// Keys that nothing needs any more.
async fn idle(config: &Config, places: &KeyPlaces, keys: &Keys, inspection: Option<&Inspection>, now: Timestamp) -> Vec<Finding> {
    let standings = match standings(config, places, keys, inspection, now).await {
        Ok(standings) => standings,
        Err(failure) => return vec![Finding::warn("keys", format!("what hangs on them cannot be counted: {}", told(&failure)), "")],
    };
    let is_settling = |family| standings.keys.iter().any(|key| key.family == family && matches!(key.used, Use::Next { .. }));
    let idle = standings.keys.iter().filter(|key| key.used == Use::Kept && key.hanging.as_ref().is_some_and(Vec::is_empty) && !is_settling(key.family));
    let finding = |family, id: &str, place: &str| match family {
        Family::Ring => Finding::warn("keys", format!("the old key {id} is kept, and nothing needs it"), format!("take it out of {place}")),
        Family::Tokens => Finding::warn(
            "keys",
            format!("the previous token secret {id} is kept, and no token of the last seven days is from it"),
            format!("take it out of {place}"),
        ),
    };
    idle.map(|key| finding(key.family, &key.id, &key.place)).collect()
}

/// Whether what is sealed opens.
async fn opened(sealer: &AesSealer, inspection: Option<&Inspection>) -> Finding {
    // A database without its tables holds none; what is wrong with it is said by another check.
    let tried = match inspection {
        Some(inspection) if inspection.pending().await.is_ok_and(|(pending, _)| pending == 0) => inspection.sealed(TRIED).await,
        _ => Ok(Vec::new()),
    };
    let tried = match tried {
        Ok(tried) => tried,
        Err(failure) => return Finding::fail("keys", format!("what they sealed cannot be read: {}", told(&failure)), ""),
    };
    let lost = tried.iter().filter(|one| sealer.open(one.place, &one.envelope).is_err());
    match lost.count() {
        0 if tried.is_empty() => Finding::ok("keys", "there, and nothing is sealed with them yet"),
        0 => Finding::ok("keys", format!("there, and they open what was sealed with them ({} tried)", tried.len())),
        lost => Finding::fail(
            "keys",
            format!("{lost} of {} sealed secrets do not open with them", tried.len()),
            "put the key that sealed them back into DASHTAM_ENCRYPTION__KEYS, behind the first; without it links have to be linked again, and second factors reset",
        ),
    }
}
