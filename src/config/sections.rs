//! The sections of the configuration, each with its defaults and what it comes to.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, bail};
use http::HeaderValue;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::domain::{
    agreement::{LegalDocument, LegalDocumentKind, LegalDocuments},
    rate_limit::{Allowance, Allowances, Limit},
    schedule::Pace,
};

/// `[keys]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Seconds a new key is accepted before it is used.
    pub wait_seconds: u32,
}

/// The longest wait for a new key, in seconds.
pub(super) const LONGEST_WAIT: u32 = 3600;

/// `[jwt]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Signs tokens: 32 bytes of text or more.
    pub secret: Option<SecretString>,
    /// The secrets before it, still accepted, separated by commas.
    pub previous: Option<SecretString>,
}

/// `[encryption]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Encryption {
    /// `id:base64 of 32 bytes[,…]`; the first seals, all open.
    pub keys: Option<SecretString>,
}

/// `[smtp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Smtp {
    /// `smtp://user:password@host:587` or `smtps://…`.
    pub url: Option<SecretString>,
    /// Whom mails come from: `Name <name@example.com>`, or the address alone.
    pub from: String,
}

/// `[passwords]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Passwords {
    /// bcrypt's cost, 10 to 16; in development from 4.
    pub cost: u32,
}

/// `[registration]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// Whether anyone may register; else the operator makes users.
    pub enabled: bool,
}

/// `[legal]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Legal {
    /// What the version of the terms that is in force is called.
    pub terms_version: Option<String>,
    /// Where they can be read.
    pub terms_url: Option<Url>,
    /// What the version of the privacy notice that is in force is called.
    pub privacy_version: Option<String>,
    /// Where it can be read.
    pub privacy_url: Option<Url>,
}

/// The longest name of a version, in characters.
const LONGEST_VERSION: usize = 64;

impl Legal {
    /// The documents newcomers agree to: those with a version.
    pub fn documents(&self) -> anyhow::Result<LegalDocuments> {
        let read = |kind: LegalDocumentKind, version: &Option<String>, url: &Option<Url>| {
            let name = kind.as_str();
            let (version, url) = match (version, url) {
                (None, None) => return Ok(None),
                (Some(version), Some(url)) => (version, url),
                _ => bail!("legal.{name}_version and legal.{name}_url go together: people agree to a version they can read"),
            };
            if version.is_empty() || version.chars().count() > LONGEST_VERSION || version.contains(char::is_control) {
                bail!("legal.{name}_version has 1 to {LONGEST_VERSION} characters");
            }
            if !matches!(url.scheme(), "http" | "https") {
                bail!("legal.{name}_url is an http or https URL");
            }
            Ok(Some(LegalDocument { kind, version: version.clone(), url: url.clone() }))
        };
        let terms = read(LegalDocumentKind::Terms, &self.terms_version, &self.terms_url)?;
        let privacy = read(LegalDocumentKind::Privacy, &self.privacy_version, &self.privacy_url)?;
        Ok(LegalDocuments(terms.into_iter().chain(privacy).collect()))
    }
}

/// `[rate_limits]`: each is `capacity/refill a minute`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// Whether anything is limited.
    pub enabled: bool,
    /// Signing in, for each address.
    pub sign_in: String,
    /// Registering, for each address.
    pub register: String,
    /// Asking for mails that confirm an address or reset a password, for each address.
    pub mail: String,
    /// Renewing tokens, for each session; with a token of no session, for each address.
    pub refresh: String,
    /// Linking, for each user.
    pub link: String,
    /// Asking for a sync, for each user and provider.
    pub sync: String,
    /// Points of what documents cost, for each user; for each address while nobody is signed in.
    pub query: String,
    /// Everything else that changes something, for each user; for each address while nobody is signed in.
    pub write: String,
    /// Subscribing, for each user.
    pub subscription: String,
}

impl RateLimits {
    /// The allowances, read.
    pub fn allowances(&self) -> anyhow::Result<Allowances> {
        Allowances::try_from_fn(|limit| {
            let text = match limit {
                Limit::SignIn => &self.sign_in,
                Limit::Register => &self.register,
                Limit::Mail => &self.mail,
                Limit::Refresh => &self.refresh,
                Limit::Link => &self.link,
                Limit::Sync => &self.sync,
                Limit::Query => &self.query,
                Limit::Write => &self.write,
                Limit::Subscription => &self.subscription,
                // What a provider bears is nothing an operator could allow; its adapter says how much that is.
                Limit::Requests => return Ok(Allowance { capacity: 1, per_minute: 1 }),
            };
            Allowance::parse(text).with_context(|| format!("rate_limits.{} is how many at once and how many come back a minute, such as 5/5", limit.as_str()))
        })
    }
}

/// `[links]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// What a frontend's `returnUrl` must begin with: origins, or origins with a path; a list, or text with commas.
    #[serde(deserialize_with = "list")]
    pub return_urls: Vec<String>,
}

/// `[payloads]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Payloads {
    /// How many days they are kept; none when it is 0.
    pub keep_days: u32,
}

impl Default for Payloads {
    fn default() -> Self {
        Self { keep_days: 30 }
    }
}

/// `[sync]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sync {
    /// Whether links are synced by themselves.
    pub scheduled: bool,
    /// How long a link rests between two syncs, in per cent of what suits its provider.
    pub interval_percent: u32,
    /// How many syncs a worker runs at once.
    pub at_once: u32,
}

impl Default for Sync {
    fn default() -> Self {
        Self { scheduled: true, interval_percent: 100, at_once: 4 }
    }
}

impl Sync {
    /// How often links are synced.
    pub fn pace(&self) -> Pace {
        Pace { percent: self.interval_percent }
    }
}

/// `[audit]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// A file that checkpoints are appended to.
    pub checkpoints: Option<PathBuf>,
    /// How many days the trail is kept, 365 at least.
    pub retention_days: u32,
    /// How many days what is routine in it is kept: as long, when it is not given.
    pub routine_retention_days: Option<u32>,
}

/// `[sandbox]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// The same seed makes the same accounts and transactions.
    pub seed: u64,
}

/// `[playground]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Playground {
    /// Whether it is served.
    pub enabled: bool,
}

/// `[metrics]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Where they are told; nowhere when it is not set.
    pub bind: Option<SocketAddr>,
}

/// `[documents]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Documents {
    /// A file of the documents that are trusted.
    pub manifest: Option<PathBuf>,
    /// What becomes of the others.
    pub mode: DocumentMode,
}

/// What becomes of documents that are not in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DocumentMode {
    /// All run, and the manifest is not looked at.
    Off,
    /// All run.
    #[default]
    Prefer,
    /// None of them runs.
    Strict,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a body at `/graphql`.
    pub body_bytes: usize,
    /// Bytes of a document.
    pub document_bytes: usize,
    /// Levels of fields.
    pub depth: usize,
    /// Fields of a document, its fragments written out.
    pub fields: usize,
    /// Aliases of a document.
    pub aliases: usize,
    /// Directives of a document.
    pub directives: usize,
    /// Errors of an answer.
    pub errors: usize,
    /// Seconds a request may take.
    pub request_seconds: usize,
    /// Bytes of a request's header.
    pub header_bytes: usize,
    /// Seconds a request's header may take.
    pub header_seconds: usize,
    /// Seconds a connection is kept without a request.
    pub idle_seconds: usize,
    /// Connections that are served at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            document_bytes: 100_000,
            depth: 15,
            fields: 5_000,
            aliases: 100,
            directives: 50,
            errors: 20,
            request_seconds: 30,
            header_bytes: 16 * 1024,
            header_seconds: 10,
            idle_seconds: 75,
            connections: 1024,
        }
    }
}

impl Limits {
    /// Each with its name and what it may be.
    pub(super) fn ranges(&self) -> [(&'static str, usize, std::ops::RangeInclusive<usize>); 12] {
        [
            ("limits.body_bytes", self.body_bytes, 1024..=16 * 1024 * 1024),
            ("limits.document_bytes", self.document_bytes, 1024..=1_000_000),
            ("limits.depth", self.depth, 1..=30),
            ("limits.fields", self.fields, 1..=50_000),
            ("limits.aliases", self.aliases, 0..=50_000),
            ("limits.directives", self.directives, 0..=1000),
            ("limits.errors", self.errors, 1..=1000),
            ("limits.request_seconds", self.request_seconds, 1..=600),
            ("limits.header_bytes", self.header_bytes, 8 * 1024..=256 * 1024),
            ("limits.header_seconds", self.header_seconds, 1..=60),
            ("limits.idle_seconds", self.idle_seconds, 1..=3600),
            ("limits.connections", self.connections, 1..=100_000),
        ]
    }
}

/// `[cors]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// The origins whose pages may read answers.
    #[serde(deserialize_with = "list")]
    pub origins: Vec<String>,
}

impl Cors {
    /// The origins as browsers write them.
    pub fn origins(&self) -> anyhow::Result<Vec<HeaderValue>> {
        let read = |(at, written): (usize, &String)| {
            origin(written).with_context(|| {
                format!(
                    "DASHTAM_CORS__ORIGINS, number {}, is not an origin: a scheme, a host and perhaps a port in small letters, such as \
                     https://app.example.com, with no path and no *",
                    at + 1
                )
            })
        };
        self.origins.iter().enumerate().map(read).collect()
    }
}

/// An origin is a scheme, a host and perhaps a port, and nothing that stands for several.
fn origin(written: &str) -> Option<HeaderValue> {
    let url = Url::parse(written).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let is_exact = url.origin().ascii_serialization() == written && !written.contains('*');
    HeaderValue::from_str(written).ok().filter(|_| is_exact)
}

impl Default for Keys {
    fn default() -> Self {
        Self { wait_seconds: 120 }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            sign_in: "5/5".to_owned(),
            register: "3/3".to_owned(),
            mail: "3/1".to_owned(),
            refresh: "10/10".to_owned(),
            link: "5/5".to_owned(),
            sync: "10/5".to_owned(),
            query: "5000/5000".to_owned(),
            write: "50/50".to_owned(),
            subscription: "10/5".to_owned(),
        }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { cost: 12 }
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self { url: None, from: "Dashtam <dashtam@localhost>".to_owned() }
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { seed: 7 }
    }
}

impl Audit {
    /// How many days what is routine in it is kept.
    pub fn routine_days(&self) -> u32 {
        self.routine_retention_days.unwrap_or(self.retention_days)
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { checkpoints: None, retention_days: 2557, routine_retention_days: None }
    }
}

impl Default for Playground {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// A list, or text with commas.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Text(String),
        Items(Vec<String>),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Items(items) => items,
        List::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
    })
}
