//! Configuration: defaults, then `dashtam.toml`, then the environment.
//!
//! A variable is `DASHTAM_` and the setting's name in capitals; two underscores step into a section: `DASHTAM_JWT__SECRET` is `secret`
//! in `[jwt]`. Each secret can also be read from a file named by the variable with `_FILE` at its end. Names nobody knows are refused.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;

/// Settings whose values are taken as text, whatever they look like, and may come from a file.
const SECRETS: [&str; 4] = ["database_url", "jwt.secret", "jwt.previous", "encryption.keys"];

/// Settings that other parts of a deployment may set already, and that this version does not use.
const WITHOUT_EFFECT: [&str; 6] = ["redis_url", "rate_limits", "trusted_proxies", "cors", "smtp", "providers"];

/// Settings that are text even where it looks like a number, such as a folder called `2026`.
const TEXTS: [&str; 2] = ["data_dir", "public_url"];

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
    /// Where the binary runs.
    pub environment: Environment,
    /// Where the embedded database, made-up keys and the sandbox bank's state are kept.
    pub data_dir: PathBuf,
    /// `postgres://…`; the embedded database in `data_dir` when it is not set.
    pub database_url: Option<SecretString>,
    /// Access and refresh tokens.
    pub jwt: Jwt,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// Password hashing.
    pub passwords: Passwords,
    /// Linking.
    pub links: Links,
    /// The sandbox bank.
    pub sandbox: Sandbox,
    /// The playground.
    pub playground: Playground,
}

/// `[jwt]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jwt {
    /// Signs tokens: 32 bytes of text or more.
    pub secret: Option<SecretString>,
    /// The secret before it, still accepted.
    pub previous: Option<SecretString>,
}

/// `[encryption]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Encryption {
    /// `id:base64 of 32 bytes[,…]`; the first seals, all open.
    pub keys: Option<SecretString>,
}

/// `[passwords]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Passwords {
    /// bcrypt's cost, 10 to 16; in development from 4.
    pub cost: u32,
}

/// `[links]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// What a frontend's `returnUrl` must begin with: origins, or origins with a path; a list, or text with commas.
    #[serde(deserialize_with = "list")]
    pub return_urls: Vec<String>,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            environment: Environment::Production,
            data_dir: PathBuf::from("dashtam-data"),
            database_url: None,
            jwt: Jwt::default(),
            encryption: Encryption::default(),
            passwords: Passwords::default(),
            links: Links::default(),
            sandbox: Sandbox::default(),
            playground: Playground::default(),
        }
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self { cost: 12 }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { seed: 7 }
    }
}

impl Default for Playground {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Config {
    /// Reads `file` if it is named, else `dashtam.toml` if it is there, and then `environment` (pairs of name and value).
    pub fn read(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Self> {
        let toml = match file {
            Some(file) if !file.is_file() => bail!("there is no configuration file {}", file.display()),
            Some(file) => Figment::from(Toml::file_exact(file)),
            None if Path::new("dashtam.toml").is_file() => Figment::from(Toml::file_exact("dashtam.toml")),
            None => Figment::new(),
        };
        let config: Self = toml.merge(Serialized::defaults(from_environment(environment)?)).extract().context("the configuration cannot be read")?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let lowest = if self.environment == Environment::Development { 4 } else { 10 };
        if !(lowest..=16).contains(&self.passwords.cost) {
            bail!("passwords.cost is from {lowest} to 16");
        }
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.path() != "/" || url.query().is_some() || url.host().is_none())
        {
            bail!("DASHTAM_PUBLIC_URL is a scheme, a host and perhaps a port, such as https://money.example.com");
        }
        for allowed in &self.links.return_urls {
            let url = Url::parse(allowed).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
            url.with_context(|| format!("links.return_urls holds {allowed:?}, which is not an http or https URL"))?;
        }
        Ok(())
    }

    /// Whether the database is a file of ours.
    pub fn is_embedded(&self) -> bool {
        self.database_url.as_ref().is_none_or(|url| url.expose_secret().starts_with("sqlite:"))
    }

    /// The URL of the database.
    pub fn database(&self) -> SecretString {
        self.database_url.clone().unwrap_or_else(|| SecretString::from(format!("sqlite://{}?mode=rwc", self.data_dir.join("dashtam.db").display())))
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

/// Names of variables that are set and have no effect in this version.
pub fn without_effect(environment: impl Iterator<Item = (String, String)>) -> Vec<String> {
    environment.map(|(name, _)| name).filter(|name| setting(name).is_some_and(|setting| is_without_effect(&setting))).collect()
}

fn is_without_effect(setting: &str) -> bool {
    WITHOUT_EFFECT.iter().any(|known| setting == *known || setting.strip_prefix(known).is_some_and(|rest| rest.starts_with('.') || rest == "_file"))
}

/// `jwt.secret` for `DASHTAM_JWT__SECRET`.
fn setting(variable: &str) -> Option<String> {
    // What the build was asked for (build.rs) may still be set when the server starts.
    let name = variable.strip_prefix("DASHTAM_").filter(|name| *name != "REQUIRE_PLAYGROUND")?;
    Some(name.to_ascii_lowercase().replace("__", "."))
}

fn from_environment(environment: impl Iterator<Item = (String, String)>) -> anyhow::Result<Dict> {
    let mut settings = Dict::new();
    let mut own_database = false;
    for (variable, value) in environment {
        if variable == "DATABASE_URL" && !own_database {
            put(&mut settings, "database_url", Value::from(value));
            continue;
        }
        let Some(mut name) = setting(&variable).filter(|name| !is_without_effect(name)) else { continue };
        let from_file = name.strip_suffix("_file").map(str::to_owned).filter(|secret| SECRETS.contains(&secret.as_str()));
        let value = if let Some(secret) = from_file {
            name = secret;
            let text = std::fs::read_to_string(&value).with_context(|| format!("the file {variable} names cannot be read"))?;
            Value::from(text.trim_end_matches(['\r', '\n']).to_owned())
        } else if SECRETS.contains(&name.as_str()) || TEXTS.contains(&name.as_str()) || value.is_empty() {
            Value::from(value)
        } else {
            value.parse().unwrap_or_else(|never| match never {})
        };
        own_database |= name == "database_url";
        put(&mut settings, &name, value);
    }
    Ok(settings)
}

fn put(settings: &mut Dict, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            settings.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let mut inner = match settings.remove(section) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            put(&mut inner, rest, value);
            settings.insert(section.to_owned(), Value::from(inner));
        }
    }
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
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
