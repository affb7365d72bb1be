//! `[providers]`: where each provider is reached, and what it knows this server by.

use anyhow::bail;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::sections::list;

/// `[providers]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Providers {
    /// Alpaca.
    pub alpaca: Alpaca,
    /// Schwab.
    pub schwab: Schwab,
    /// `SimpleFIN`.
    pub simplefin: SimpleFin,
}

/// `[providers.alpaca]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alpaca {
    /// Where its API is; its own two addresses when it is not set.
    pub base_url: Option<Url>,
}

/// `[providers.schwab]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schwab {
    /// Where its API is; its own address when it is not set.
    pub base_url: Option<Url>,
    /// What it calls this server.
    pub client_id: Option<String>,
    /// What proves it.
    pub client_secret: Option<SecretString>,
}

/// `[providers.simplefin]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimpleFin {
    /// The servers whose setup tokens are taken.
    #[serde(deserialize_with = "list")]
    pub hosts: Vec<String>,
}

impl Default for SimpleFin {
    fn default() -> Self {
        Self { hosts: ["bridge.simplefin.org", "beta-bridge.simplefin.org"].map(str::to_owned).to_vec() }
    }
}

impl SimpleFin {
    /// Spells each server as URLs spell their host. What is more than a host name, perhaps with its port, would never match one.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        for written in &mut self.hosts {
            let is_more = |text: &str| text.is_empty() || text.contains(['/', '\\', '?', '#', '@']) || text.contains(char::is_whitespace);
            let url = Some(written.trim()).filter(|text| !is_more(text)).and_then(|text| Url::parse(&format!("https://{text}")).ok());
            let host = url.as_ref().and_then(|url| {
                let host = url.host_str()?;
                Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
            });
            let Some(host) = host else {
                bail!("providers.simplefin.hosts holds {written:?}; a server is a host name such as bridge.simplefin.org, perhaps with a port, and no more");
            };
            *written = host;
        }
        Ok(())
    }
}

impl Providers {
    /// Addresses are ones that paths can be put behind.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (name, url) in [("providers.alpaca.base_url", &self.alpaca.base_url), ("providers.schwab.base_url", &self.schwab.base_url)] {
            let is_base = |url: &Url| {
                matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
            };
            if url.as_ref().is_some_and(|url| !is_base(url) || url.password().is_some()) {
                bail!("{name} is an http or https URL without a user, a query or a fragment");
            }
        }
        Ok(())
    }
}
