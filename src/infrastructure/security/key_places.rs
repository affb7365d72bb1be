//! Where keys are kept: in settings, in files of their own, or made up in the data folder. Where we may write, they are renewed in place.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    application::ports::{KeyShelf, Randomness, RenewedKeys},
    config::{Config, Environment, unbroken},
    infrastructure::private_file,
};

use super::keys::{Keys, previous_secrets};

/// Whether keys that nobody configured will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeUpKeys {
    /// Those of the data folder, made when there are none. For trying things out on the embedded database.
    Make,
    /// Those of the data folder, if they are there. For commands beside a server that made them.
    Use,
    /// No.
    Refuse,
}

/// Where all keys of one server are kept.
pub struct KeyPlaces {
    places: Places,
    randomness: Arc<dyn Randomness>,
}

enum Places {
    /// One file of ours, in the data folder.
    MadeUp(PathBuf),
    /// As configured.
    Configured { ring: Place, token: Place, previous: Option<Place> },
}

/// Where one setting's secrets are.
struct Place {
    /// What the setting is called there.
    written: String,
    secret: SecretString,
    /// The file it was read from, and is read from again.
    file: Option<PathBuf>,
}

/// The file in the data folder.
#[derive(Serialize, Deserialize)]
struct KeyFile {
    jwt_secret: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    jwt_previous: String,
    encryption_keys: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.jwt_secret);
        zeroize::Zeroize::zeroize(&mut self.jwt_previous);
        zeroize::Zeroize::zeroize(&mut self.encryption_keys);
    }
}

/// The secrets as they are written.
pub struct Written {
    ring: SecretString,
    token: SecretString,
    previous: Option<SecretString>,
}

impl Written {
    /// The keys they are.
    pub fn keys(&self) -> anyhow::Result<Keys> {
        Keys::read(&self.ring, &self.token, self.previous.as_ref())
    }

    /// Another whenever a letter of them is.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [Some(&self.ring), Some(&self.token), self.previous.as_ref()].into_iter().flatten() {
            digest.update(part.expose_secret());
            digest.update([0]);
        }
        digest.finalize().into()
    }
}

/// One of the two kinds of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Those that seal.
    Ring,
    /// Those that sign tokens.
    Tokens,
}

/// A setting, and what it is to be set to.
pub struct Proposal {
    /// `DASHTAM_JWT__SECRET`
    pub setting: &'static str,
    /// The file its secret is read from, and has to be written to; `None` for one that stands in no file of its own.
    pub file: Option<PathBuf>,
    /// Secret.
    pub value: SecretString,
}

impl Place {
    fn find(config: &Config, setting: &str, secret: Option<&SecretString>) -> Option<Self> {
        let origin = config.origins.get(setting);
        let written = origin.map_or_else(|| setting.to_owned(), |origin| origin.written.clone());
        secret.map(|secret| Self { written, secret: secret.clone(), file: origin.and_then(|origin| origin.file.clone()) })
    }

    fn read(&self) -> anyhow::Result<SecretString> {
        match &self.file {
            Some(file) => Ok(unbroken(&read_file(file)?).into()),
            None => Ok(self.secret.clone()),
        }
    }

    /// The file to be renewed, or why there is none.
    fn renewable(&self) -> Result<&Path, String> {
        let file = self.file.as_deref().ok_or_else(|| format!("it is set by {}", self.written))?;
        private_file::can_replace(file).map_err(|failure| format!("{} cannot be written: {failure:#}", file.display()))?;
        Ok(file)
    }
}

fn made_up_file(config: &Config) -> PathBuf {
    config.data_dir.join("keys.toml")
}

fn read_file(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    Ok(Zeroizing::new(std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?))
}

fn read_made_up(file: &Path) -> anyhow::Result<KeyFile> {
    toml::from_str(&read_file(file)?).map_err(|_| anyhow::anyhow!("{} is damaged", file.display()))
}

fn text(file: &KeyFile) -> anyhow::Result<Zeroizing<String>> {
    Ok(Zeroizing::new(toml::to_string(file)?))
}

impl KeyPlaces {
    /// The file in the data folder that keys would be made up in, for the embedded database; `None` when there are some, there or configured.
    pub fn to_be_made_up(config: &Config) -> Option<PathBuf> {
        let is_wanted = config.is_embedded() && config.jwt.secret.is_none() && config.encryption.keys.is_none();
        Some(made_up_file(config)).filter(|file| is_wanted && !file.is_file())
    }

    /// Where the configured keys are; or, for the embedded database and where `made_up` allows it, those of the data folder. Missing ones are
    /// named.
    pub fn find(config: &Config, made_up: MadeUpKeys, randomness: Arc<dyn Randomness>) -> anyhow::Result<Self> {
        let ring = Place::find(config, "encryption.keys", config.encryption.keys.as_ref());
        let token = Place::find(config, "jwt.secret", config.jwt.secret.as_ref());
        let missing: Vec<_> = [("DASHTAM_JWT__SECRET", token.is_none()), ("DASHTAM_ENCRYPTION__KEYS", ring.is_none())]
            .into_iter()
            .filter_map(|(name, missing)| missing.then_some(name))
            .collect();
        if let (Some(ring), Some(token)) = (ring, token) {
            let previous = Place::find(config, "jwt.previous", config.jwt.previous.as_ref());
            return Ok(Self { places: Places::Configured { ring, token, previous }, randomness });
        }
        let file = made_up_file(config);
        let allowed = config.is_embedded() && missing.len() == 2;
        if allowed && made_up == MadeUpKeys::Make && !file.is_file() {
            private_file::make_folder(&config.data_dir)?;
            let _turn = private_file::take_turn(std::iter::once(file.as_path()))?;
            // Another process may have been faster.
            if !file.is_file() {
                let made = KeyFile {
                    jwt_secret: BASE64_STANDARD.encode(randomness.secret()),
                    jwt_previous: String::new(),
                    encryption_keys: format!("k1:{}", BASE64_STANDARD.encode(randomness.secret())),
                };
                private_file::write(&file, &text(&made)?)?;
            }
        }
        if allowed && made_up != MadeUpKeys::Refuse && file.is_file() {
            return Ok(Self { places: Places::MadeUp(file), randomness });
        }
        let place = match config.environment {
            Environment::Production => "in production",
            Environment::Development => "with this database",
        };
        bail!(
            "{} not set, and {place} keys are never made up. Make them once and keep them safe:\n  \
             export DASHTAM_JWT__SECRET=\"$(openssl rand -base64 48)\"\n  \
             export DASHTAM_ENCRYPTION__KEYS=\"k1:$(openssl rand -base64 32)\"",
            match missing.as_slice() {
                [one] => format!("{one} is"),
                _ => format!("{} are", missing.join(" and ")),
            }
        )
    }

    /// What stands there now.
    pub fn written(&self) -> anyhow::Result<Written> {
        match &self.places {
            Places::MadeUp(file) => {
                let file = read_made_up(file)?;
                let previous = (!file.jwt_previous.is_empty()).then(|| file.jwt_previous.as_str().into());
                Ok(Written { ring: file.encryption_keys.as_str().into(), token: file.jwt_secret.as_str().into(), previous })
            }
            Places::Configured { ring, token, previous } => {
                // A rotation writes the old secret to the previous ones before it replaces it; who reads in the other order never misses it.
                let token = token.read()?;
                let previous = previous.as_ref().map(Place::read).transpose()?;
                Ok(Written { ring: ring.read()?, token, previous })
            }
        }
    }

    /// The keys that stand there now.
    pub fn read(&self) -> anyhow::Result<Keys> {
        self.written()?.keys()
    }

    /// Whether anything can change while a server runs.
    pub fn are_in_files(&self) -> bool {
        match &self.places {
            Places::MadeUp(_) => true,
            Places::Configured { ring, token, previous } => {
                [Some(ring), Some(token), previous.as_ref()].into_iter().flatten().any(|place| place.file.is_some())
            }
        }
    }

    /// Where a kind of keys is kept, for people: the current key, and those that are kept.
    pub fn described(&self, family: Family) -> (String, String) {
        let describe = |place: &Place| match &place.file {
            Some(file) => format!("{} ({})", file.display(), place.written),
            None => place.written.clone(),
        };
        match (&self.places, family) {
            (Places::MadeUp(file), _) => (file.display().to_string(), file.display().to_string()),
            (Places::Configured { ring, .. }, Family::Ring) => (describe(ring), describe(ring)),
            (Places::Configured { token, previous, .. }, Family::Tokens) => (describe(token), previous.as_ref().map(describe).unwrap_or_default()),
        }
    }

    /// How long ago the file of the current key was written; `None` for what stands in no file.
    pub fn age(&self, family: Family) -> Option<Duration> {
        let file = match (&self.places, family) {
            (Places::MadeUp(file), _) => Some(file),
            (Places::Configured { ring, .. }, Family::Ring) => ring.file.as_ref(),
            (Places::Configured { token, .. }, Family::Tokens) => token.file.as_ref(),
        };
        // The file system's clock is this machine's, so no other one can tell. A file from the future is new.
        file?.metadata().and_then(|metadata| metadata.modified()).ok().map(|written| written.elapsed().unwrap_or_default())
    }

    /// The files that a renewal writes, or why it cannot.
    fn renewable(&self, family: Family) -> Result<Vec<&Path>, String> {
        match (&self.places, family) {
            (Places::MadeUp(file), _) => {
                private_file::can_replace(file).map_err(|failure| format!("{} cannot be written: {failure:#}", file.display()))?;
                Ok(vec![file])
            }
            (Places::Configured { ring, .. }, Family::Ring) => Ok(vec![ring.renewable()?]),
            (Places::Configured { token, previous: Some(previous), .. }, Family::Tokens) => Ok(vec![token.renewable()?, previous.renewable()?]),
            (Places::Configured { token, previous: None, .. }, Family::Tokens) => {
                token.renewable()?;
                Err("there is no file for the old secret: make an empty one, and name it in DASHTAM_JWT__PREVIOUS_FILE".to_owned())
            }
        }
    }

    /// Whether a kind of keys can be renewed where it is; otherwise why not.
    pub fn can_renew(&self, family: Family) -> Result<(), String> {
        self.renewable(family).map(drop)
    }

    /// New keys of a kind, and what has to be set for them to be used and the old ones to be kept. Changes nothing.
    pub fn propose(&self, family: Family) -> anyhow::Result<Vec<Proposal>> {
        let written = self.written()?;
        let [ring, token, previous] = match &self.places {
            Places::MadeUp(_) => [None, None, None],
            Places::Configured { ring, token, previous } => [ring.file.clone(), token.file.clone(), previous.as_ref().and_then(|place| place.file.clone())],
        };
        Ok(match family {
            Family::Ring => vec![Proposal { setting: "DASHTAM_ENCRYPTION__KEYS", file: ring, value: self.renewed_ring(&written)?.1 }],
            // First what keeps the old one, for whoever writes one file after the other.
            Family::Tokens => vec![
                Proposal { setting: "DASHTAM_JWT__PREVIOUS", file: previous, value: kept_tokens(&written) },
                Proposal { setting: "DASHTAM_JWT__SECRET", file: token, value: self.token_secret() },
            ],
        })
    }

    fn token_secret(&self) -> SecretString {
        BASE64_STANDARD.encode(self.randomness.secret()).into()
    }

    /// The ring with a new key in front, and its id: a number no key of the ring has reached yet, since an id must never come to mean another key.
    fn renewed_ring(&self, written: &Written) -> anyhow::Result<(String, SecretString)> {
        let keys = written.keys()?;
        let numbers = keys.ring_ids().into_iter().filter_map(|id| id.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse::<u64>().ok());
        let id = format!("k{}", numbers.max().unwrap_or_default().saturating_add(1));
        let key = Zeroizing::new(BASE64_STANDARD.encode(self.randomness.secret()));
        Ok((id.clone(), format!("{id}:{},{}", *key, written.ring.expose_secret()).into()))
    }
}

/// The list of previous secrets once the current one is among them.
fn kept_tokens(written: &Written) -> SecretString {
    let mut kept = vec![written.token.expose_secret()];
    kept.extend(previous_secrets(written.previous.as_ref()).filter(|secret| *secret != written.token.expose_secret()));
    kept.join(",").into()
}

impl KeyShelf for KeyPlaces {
    fn renew(&self, ring: bool, tokens: bool) -> anyhow::Result<RenewedKeys> {
        let families = [(Family::Ring, ring), (Family::Tokens, tokens)].into_iter().filter(|(_, wanted)| *wanted).map(|(family, _)| family);
        let files: Vec<&Path> = families.map(|family| self.renewable(family).map_err(anyhow::Error::msg)).collect::<anyhow::Result<Vec<_>>>()?.concat();
        let _turn = private_file::take_turn(files.iter().copied())?;
        // Only now: another process may have renewed them while this one waited.
        let written = self.written()?;
        let mut renewed = RenewedKeys { ring: None, tokens: None };
        let ring = ring.then(|| self.renewed_ring(&written)).transpose()?;
        let token = tokens.then(|| self.token_secret());
        match &self.places {
            Places::MadeUp(file) => {
                let kept = read_made_up(file)?;
                let made = KeyFile {
                    jwt_secret: token.as_ref().map_or_else(|| kept.jwt_secret.clone(), |token| token.expose_secret().to_owned()),
                    jwt_previous: if tokens { kept_tokens(&written).expose_secret().to_owned() } else { kept.jwt_previous.clone() },
                    encryption_keys: ring.as_ref().map_or_else(|| kept.encryption_keys.clone(), |(_, ring)| ring.expose_secret().to_owned()),
                };
                private_file::write(file, &text(&made)?)?;
            }
            Places::Configured { ring: ring_place, token: token_place, previous } => {
                if let (Some((_, ring)), Some(file)) = (&ring, &ring_place.file) {
                    private_file::write(file, ring.expose_secret())?;
                }
                if let (Some(token), Some(file), Some(previous)) = (&token, &token_place.file, previous.as_ref().and_then(|place| place.file.as_ref())) {
                    // First what keeps the old one: at no moment is it in neither place.
                    private_file::write(previous, kept_tokens(&written).expose_secret())?;
                    private_file::write(file, token.expose_secret())?;
                }
            }
        }
        renewed.ring = ring.map(|(id, _)| id);
        if tokens {
            renewed.tokens = self.read()?.token_ids().first().map(|id| (*id).to_owned());
        }
        Ok(renewed)
    }
}
