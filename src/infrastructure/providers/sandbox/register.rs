//! What the sandbox bank remembers over a restart: the day it was first opened, its client's secret, the consents given, and what it was told to
//! do.
//!
//! The rules of tokens stand here as well, since they are rules about what is remembered: a code and a refresh token serve once, and a
//! second use ends the consent (RFC 9700 §4.14). Tokens are kept as SHA-256 only. The file is replaced whole, so a crash leaves the old
//! one or the new one.

use std::{io::Write, path::Path};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Duration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{faults::Faults, script::Script};
use crate::domain::time::{LocalDate, Timestamp};

/// How long an access token serves.
pub const ACCESS_MINUTES: i64 = 30;
/// How long a consent lasts, refreshed or not, unless the bank was told otherwise.
pub const CONSENT_DAYS: u32 = 90;
/// How many spent refresh tokens of a consent are still known as such; older ones are merely unknown.
const SPENT_KEPT: usize = 100;

/// SHA-256 of a secret, base64url.
pub(super) fn digest(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

/// What is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Register {
    opened_on: String,
    /// What its books are made up from; files of before do not say.
    #[serde(default)]
    pub(super) seed: Option<u64>,
    pub(super) client_secret: String,
    consents: Vec<Consent>,
    #[serde(default)]
    pub(super) script: Script,
    #[serde(default)]
    pub(super) faults: Faults,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Consent {
    /// The code it came from.
    code: String,
    accounts: Vec<String>,
    ends_at: i64,
    refresh: String,
    spent: Vec<String>,
    access: Vec<Access>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Access {
    token: String,
    ends_at: i64,
}

/// Two fresh secrets, the tokens to hand out.
pub(super) struct TokenPair {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// Tokens handed out, with the seconds they and the consent last.
pub(super) struct Issued {
    pub(super) tokens: TokenPair,
    pub(super) access_seconds: i64,
    pub(super) consent_seconds: i64,
}

impl Register {
    pub(super) fn new(opened_on: LocalDate, seed: u64, client_secret: String) -> Self {
        let (script, faults) = (Script::default(), Faults::default());
        Self { opened_on: opened_on.to_string(), seed: Some(seed), client_secret, consents: Vec::new(), script, faults }
    }

    /// What the file holds; `None` when there is none yet.
    pub(super) fn load(file: &Path) -> anyhow::Result<Option<Self>> {
        match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("the sandbox bank's state file is not readable; delete it to start anew").map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("the sandbox bank's state file cannot be opened"),
        }
    }

    /// Replaces the file, readable by its owner only.
    pub(super) fn save(&self, file: &Path) -> anyhow::Result<()> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).context("the sandbox bank's folder cannot be made")?;
        // Made with mode 0600.
        let mut fresh = tempfile::NamedTempFile::new_in(folder).context("the sandbox bank's state cannot be written")?;
        serde_json::to_writer_pretty(&mut fresh, self)?;
        fresh.flush()?;
        fresh.as_file().sync_all()?;
        fresh.persist(file).context("the sandbox bank's state file cannot be replaced")?;
        Ok(())
    }

    pub(super) fn opened_on(&self) -> anyhow::Result<LocalDate> {
        LocalDate::parse(&self.opened_on).context("the sandbox bank's state file names no day it was opened on")
    }

    /// Begins a consent with its first tokens.
    pub(super) fn begin(&mut self, code: &str, accounts: Vec<String>, tokens: TokenPair, now: Timestamp) -> Issued {
        self.consents.retain(|consent| consent.ends_at > now.micros());
        let ends_at = now.plus(self.script.consent()).micros();
        let mut consent = Consent { code: digest(code), accounts, ends_at, refresh: String::new(), spent: Vec::new(), access: Vec::new() };
        let issued = consent.issue(tokens, now);
        self.consents.push(consent);
        issued
    }

    /// A code that was exchanged before comes again: what it brought ends.
    pub(super) fn end_by_code(&mut self, code: &str) {
        let code = digest(code);
        self.consents.retain(|consent| consent.code != code);
    }

    /// Ends the consent that a token is of, whichever of its tokens it is (RFC 7009 §2.1). An unknown one is over already.
    pub(super) fn revoke(&mut self, token: &str) {
        let token = digest(token);
        self.consents.retain(|consent| consent.refresh != token && consent.access.iter().all(|access| access.token != token));
    }

    /// Ends every consent.
    pub(super) fn end_all(&mut self) {
        self.consents.clear();
    }

    /// Ends every access token, as if its time had come.
    pub(super) fn end_access(&mut self) {
        self.consents.iter_mut().for_each(|consent| consent.access.clear());
    }

    /// How many consents there are.
    pub(super) fn consents(&self, now: Timestamp) -> usize {
        self.consents.iter().filter(|consent| consent.ends_at > now.micros()).count()
    }

    /// Spends a refresh token. A spent one that comes again ends the consent; `None` for that and for an unknown one.
    pub(super) fn refresh(&mut self, token: &str, fresh: TokenPair, now: Timestamp) -> Option<Issued> {
        let token = digest(token);
        self.consents.retain(|consent| consent.ends_at > now.micros() && !consent.spent.contains(&token));
        let consent = self.consents.iter_mut().find(|consent| consent.refresh == token)?;
        consent.spent.push(token);
        if consent.spent.len() > SPENT_KEPT {
            consent.spent.remove(0);
        }
        Some(consent.issue(fresh, now))
    }

    /// The accounts an access token opens; `None` when it opens nothing.
    pub(super) fn accounts(&self, access_token: &str, now: Timestamp) -> Option<&[String]> {
        let token = digest(access_token);
        let consent = self.consents.iter().find(|consent| consent.access.iter().any(|access| access.token == token && access.ends_at > now.micros()))?;
        Some(&consent.accounts)
    }
}

impl Consent {
    fn issue(&mut self, tokens: TokenPair, now: Timestamp) -> Issued {
        let ends_at = now.plus(Duration::minutes(ACCESS_MINUTES)).micros().min(self.ends_at);
        self.access.retain(|access| access.ends_at > now.micros());
        self.access.push(Access { token: digest(&tokens.access), ends_at });
        self.refresh = digest(&tokens.refresh);
        let seconds = |until: i64| (until - now.micros()) / 1_000_000;
        Issued { tokens, access_seconds: seconds(ends_at), consent_seconds: seconds(self.ends_at) }
    }
}
