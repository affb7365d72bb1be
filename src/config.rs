//! Configuration: defaults, then `dashtam.toml`, then the environment.
//!
//! A variable is `DASHTAM_` and the setting's name in capitals; two underscores step into a section: `DASHTAM_JWT__SECRET` is `secret`
//! in `[jwt]`. Each secret can also be read from a file named by the variable with `_FILE` at its end. Names nobody knows are refused.
//! What each setting is for stands in [`settings`], and the manual made from it in [`mod@reference`].

mod providers;
pub mod reference;
mod sections;
pub mod settings;
mod source;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use figment::{Figment, providers::Serialized};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

pub use providers::{Alpaca, Providers, Schwab, SimpleFin};
pub use sections::{
    Audit, Cors, DocumentMode, Documents, Encryption, Jwt, Keys, Legal, Limits, Links, Metrics, Passwords, Payloads, Playground, RateLimits, Registration,
    Sandbox, Smtp, Sync,
};
use sections::{LONGEST_WAIT, list};
use settings::{SETTINGS, Setting};
use source::Source;
pub use source::unbroken;

/// The file that is read when no other is named.
const FILE: &str = "dashtam.toml";

/// Where the binary runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// On one's own machine: the sandbox bank is there, keys may be made up for the embedded database.
    Development,
    /// For real: keys are configured, and there is no sandbox bank.
    Production,
}

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address to listen on.
    pub bind: SocketAddr,
    /// How browsers reach this server: scheme, host and port. From `bind` when it is not set.
    pub public_url: Option<Url>,
    /// The proxies in front, whose `X-Forwarded-For` is believed: addresses or networks.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// Where the binary runs.
    pub environment: Environment,
    /// Where the embedded database, made-up keys and the sandbox bank's state are kept.
    pub data_dir: PathBuf,
    /// `postgres://…`; the embedded database in `data_dir` when it is not set.
    pub database_url: Option<SecretString>,
    /// `redis://…` or `rediss://…`; what servers tell each other goes through the database when it is not set.
    pub redis_url: Option<SecretString>,
    /// What every key and channel in Redis begins with.
    pub redis_prefix: String,
    /// A level or a filter for the log.
    pub log: Option<String>,
    /// Access and refresh tokens.
    pub jwt: Jwt,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// Mail.
    pub smtp: Smtp,
    /// Password hashing.
    pub passwords: Passwords,
    /// Registration.
    pub registration: Registration,
    /// What people agree to.
    pub legal: Legal,
    /// How much may be asked.
    pub rate_limits: RateLimits,
    /// Linking.
    pub links: Links,
    /// What is kept of providers' answers.
    pub payloads: Payloads,
    /// Syncs that nobody asks for.
    pub sync: Sync,
    /// The audit trail.
    pub audit: Audit,
    /// Banks, brokers and services.
    pub providers: Providers,
    /// The sandbox bank.
    pub sandbox: Sandbox,
    /// The playground.
    pub playground: Playground,
    /// Which documents the graph runs.
    pub documents: Documents,
    /// What requests and connections may cost.
    pub limits: Limits,
    /// Frontends of other origins.
    pub cors: Cors,
    /// Metrics.
    pub metrics: Metrics,
    /// Rotation of keys.
    pub keys: Keys,
    /// Where what is set was found, by the setting's name.
    #[serde(skip)]
    pub origins: BTreeMap<&'static str, Origin>,
}

/// Where a setting was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What it is called there: `DASHTAM_JWT__SECRET`, or `jwt.secret in dashtam.toml`.
    pub written: String,
    /// The file that holds a secret and nothing else, if it stands in one.
    pub file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            environment: Environment::Production,
            trusted_proxies: Vec::new(),
            data_dir: PathBuf::from("dashtam-data"),
            database_url: None,
            redis_url: None,
            redis_prefix: "dashtam".to_owned(),
            log: None,
            jwt: Jwt::default(),
            encryption: Encryption::default(),
            smtp: Smtp::default(),
            passwords: Passwords::default(),
            registration: Registration::default(),
            legal: Legal::default(),
            rate_limits: RateLimits::default(),
            links: Links::default(),
            payloads: Payloads::default(),
            sync: Sync::default(),
            audit: Audit::default(),
            providers: Providers::default(),
            sandbox: Sandbox::default(),
            playground: Playground::default(),
            documents: Documents::default(),
            limits: Limits::default(),
            cors: Cors::default(),
            metrics: Metrics::default(),
            keys: Keys::default(),
            origins: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads `file` if it is named, else `dashtam.toml` if it is there, and then `environment` (pairs of name and value).
    pub fn read(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let file = match file {
            Some(file) if !file.is_file() => bail!("there is no configuration file {}", file.display()),
            Some(file) => Source::file(file)?,
            None if Path::new(FILE).is_file() => Source::file(Path::new(FILE))?,
            None => Source::default(),
        };
        let variables = Source::environment(environment)?;
        let unknown: Vec<_> = file.unknown.into_iter().chain(variables.unknown).collect();
        if !unknown.is_empty() {
            bail!("{}", unknown.join("\n"));
        }
        let written = |setting: &'static Setting| {
            variables.written.get(setting.name).or_else(|| file.written.get(setting.name)).map_or(setting.name, |origin| &origin.written)
        };
        let values = Figment::from(Serialized::defaults(&file.values)).merge(Serialized::defaults(&variables.values));
        // The library's own words quote the value, which may be a secret.
        let mut config: Self = values.extract().map_err(|error| match SETTINGS.iter().find(|setting| error.path.join(".").starts_with(setting.name)) {
            Some(setting) => anyhow::anyhow!("{} is {}, such as {}", written(setting), setting.kind.described(), setting.sample()),
            None => anyhow::anyhow!("the configuration cannot be read: {}", error.path.join(".")),
        })?;
        config.origins = file.written.into_iter().chain(variables.written).collect();
        config.providers.simplefin.settle()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let lowest = if self.environment == Environment::Development { 4 } else { 10 };
        if !(lowest..=16).contains(&self.passwords.cost) {
            bail!("passwords.cost is from {lowest} to 16");
        }
        if self.redis_url.as_ref().is_some_and(|url| !is_redis(url.expose_secret())) {
            bail!("redis_url is a URL such as redis://redis.example:6379, or rediss:// for TLS");
        }
        if !(1..=64).contains(&self.redis_prefix.len()) || !self.redis_prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("redis_prefix has 1 to 64 characters of ASCII, and no spaces");
        }
        self.rate_limits.allowances()?;
        if self.keys.wait_seconds > LONGEST_WAIT {
            bail!("keys.wait_seconds is from 0 to {LONGEST_WAIT}");
        }
        if self.payloads.keep_days > 3_650 {
            bail!("payloads.keep_days is 0 to 3650");
        }
        if !(50..=1000).contains(&self.sync.interval_percent) {
            bail!("sync.interval_percent is from 50 to 1000");
        }
        if !(1..=64).contains(&self.sync.at_once) {
            bail!("sync.at_once is from 1 to 64");
        }
        if self.audit.retention_days < 365 {
            bail!("audit.retention_days is 365 or more");
        }
        if !(365..=self.audit.retention_days).contains(&self.audit.routine_days()) {
            bail!("audit.routine_retention_days is 365 or more, and no more than audit.retention_days");
        }
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.path() != "/" || url.query().is_some() || url.host().is_none())
        {
            bail!("DASHTAM_PUBLIC_URL is a scheme, a host and perhaps a port, such as https://money.example.com");
        }
        if let Some(url) = &self.smtp.url {
            let url = Url::parse(url.expose_secret()).ok().filter(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host());
            url.context("DASHTAM_SMTP__URL is smtp://user:password@host:587?tls=required, or smtps://user:password@host")?;
            if self.environment == Environment::Production && self.smtp.from == Smtp::default().from {
                bail!("DASHTAM_SMTP__FROM is not set, and in production mails come from an address of yours, such as Dashtam <money@example.com>");
            }
        }
        if self.smtp.from.parse::<lettre::message::Mailbox>().is_err() {
            bail!("DASHTAM_SMTP__FROM is an address, or a name and an address, such as Dashtam <money@example.com>");
        }
        if self.documents.mode == DocumentMode::Strict && self.documents.manifest.is_none() {
            bail!("DASHTAM_DOCUMENTS__MANIFEST is not set, and with documents.mode = \"strict\" nothing runs but what stands in it");
        }
        for (name, value, range) in self.limits.ranges() {
            if !range.contains(&value) {
                bail!("{name} is from {} to {}", range.start(), range.end());
            }
        }
        self.cors.origins()?;
        self.providers.check()?;
        self.proxies()?;
        self.legal.documents()?;
        for allowed in &self.links.return_urls {
            let url = Url::parse(allowed).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
            url.with_context(|| format!("links.return_urls holds {allowed:?}, which is not an http or https URL"))?;
        }
        Ok(())
    }

    /// The networks of the proxies in front; a single address is a network of its own.
    pub fn proxies(&self) -> anyhow::Result<Vec<IpNet>> {
        let network = |text: &String| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|address| address.to_canonical().into()));
        let read = |text: &String| {
            network(text).with_context(|| format!("trusted_proxies holds {text:?}, which is neither an address nor a network such as 10.0.0.0/8"))
        };
        self.trusted_proxies.iter().map(read).collect()
    }

    /// Whether the database is a file of ours.
    pub fn is_embedded(&self) -> bool {
        self.database_url.as_ref().is_none_or(|url| url.expose_secret().starts_with("sqlite:"))
    }

    /// The URL of the database.
    pub fn database(&self) -> SecretString {
        self.database_url.clone().unwrap_or_else(|| SecretString::from(format!("sqlite://{}?mode=rwc", self.data_dir.join("dashtam.db").display())))
    }

    /// The server mails leave through; `None` in development, where they are kept in the data folder. Production does not start without.
    pub fn mail(&self) -> anyhow::Result<Option<&SecretString>> {
        if self.smtp.url.is_none() && self.environment == Environment::Production {
            bail!(
                "DASHTAM_SMTP__URL is not set, and in production nobody can register or reset a password without mail. Name the server mails leave through:\n  \
                 export DASHTAM_SMTP__URL=\"smtp://user:password@mail.example.com:587?tls=required\"\n  \
                 export DASHTAM_SMTP__FROM=\"Dashtam <money@example.com>\""
            );
        }
        Ok(self.smtp.url.as_ref())
    }

    /// How browsers reach a server that listens at `listening`.
    pub fn public_url(&self, listening: SocketAddr) -> String {
        let url = self.public_url.as_ref().map_or_else(
            || if listening.ip().is_unspecified() { format!("http://localhost:{}", listening.port()) } else { format!("http://{listening}") },
            ToString::to_string,
        );
        url.trim_end_matches('/').to_owned()
    }

    /// Whether the sandbox bank is there: in development, and only for this machine.
    pub fn has_sandbox(&self, listening: SocketAddr) -> bool {
        self.environment == Environment::Development && listening.ip().is_loopback()
    }
}

fn is_redis(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss") && url.has_host())
}
