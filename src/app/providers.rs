//! The providers of one server: an adapter for each that is configured, and the reason why another is not.

use std::{net::SocketAddr, sync::Arc};

use anyhow::bail;
use url::Url;

use crate::{
    application::{
        ports::{FinancialProvider, StatementReader},
        provider::Catalogue,
    },
    config::Config,
    domain::provider::CatalogueEntry,
    infrastructure::{
        private_file,
        providers::{
            alpaca::{self, AlpacaProvider},
            http::{Policy, Switchboard, outside::Reach},
            sandbox::{self, SandboxBank, SandboxProvider, authorization::CLIENT_ID},
            schwab::{self, SchwabProvider},
            simplefin, statement,
        },
    },
};

/// What can be linked here, and what cannot.
pub(super) struct Providers {
    linkable: Vec<Arc<dyn FinancialProvider>>,
    unavailable: Vec<CatalogueEntry>,
    /// The bank that is a part of this server.
    pub(super) sandbox: Option<Arc<SandboxBank>>,
}

impl Providers {
    /// Those that are configured for a server that listens at `listening`, after `given`.
    pub(super) fn open(config: &Config, listening: SocketAddr, switchboard: &Switchboard, given: Vec<Arc<dyn FinancialProvider>>) -> anyhow::Result<Self> {
        let mut providers = Self { linkable: given, unavailable: Vec::new(), sandbox: None };
        let public_url = config.public_url(listening);
        if config.has_sandbox(listening) {
            providers.open_sandbox(config, &public_url, switchboard)?;
        }
        providers.open_alpaca(config, switchboard)?;
        providers.open_schwab(config, &public_url, switchboard)?;
        providers.open_simplefin(config, listening, switchboard)?;
        Ok(providers)
    }

    fn open_alpaca(&mut self, config: &Config, switchboard: &Switchboard) -> anyhow::Result<()> {
        let line = switchboard.line(AlpacaProvider::manifest().slug, alpaca::client::POLICY)?;
        self.linkable.push(Arc::new(AlpacaProvider::new(config.providers.alpaca.base_url.as_ref(), line)?));
        Ok(())
    }

    fn open_schwab(&mut self, config: &Config, public_url: &str, switchboard: &Switchboard) -> anyhow::Result<()> {
        let settings = &config.providers.schwab;
        match (&settings.client_id, &settings.client_secret, what_schwab_lacks(config, public_url)) {
            (Some(client_id), Some(client_secret), None) => {
                let line = switchboard.line(SchwabProvider::manifest().slug, schwab::client::POLICY)?;
                self.linkable.push(Arc::new(SchwabProvider::new(settings.base_url.as_ref(), client_id, client_secret, line)?));
            }
            (.., lacking) => self.unavailable.push(CatalogueEntry { manifest: SchwabProvider::manifest().clone(), unavailable: lacking }),
        }
        Ok(())
    }

    /// The catalogue of all of them, and of files.
    pub(super) fn catalogue(self, files: &dyn StatementReader) -> Catalogue {
        Catalogue::new(self.linkable, self.unavailable, files)
    }

    /// SimpleFIN, at the servers that are configured. In development one on this machine counts too.
    fn open_simplefin(&mut self, config: &Config, listening: SocketAddr, switchboard: &Switchboard) -> anyhow::Result<()> {
        if let Some(lacking) = what_simplefin_lacks(config) {
            self.unavailable.push(CatalogueEntry { manifest: simplefin::client::MANIFEST.clone(), unavailable: Some(lacking) });
            return Ok(());
        }
        let hosts = &config.providers.simplefin.hosts;
        let reach = if config.has_sandbox(listening) { Reach::OutsideOrHere } else { Reach::Outside };
        self.linkable.push(Arc::new(simplefin::SimpleFinProvider::new(switchboard, hosts, reach)?));
        Ok(())
    }

    /// Opens the bank over its state in the data folder, and adds the adapter that reaches it over HTTP as any other.
    fn open_sandbox(&mut self, config: &Config, public_url: &str, switchboard: &Switchboard) -> anyhow::Result<()> {
        private_file::make_folder(&config.data_dir)?;
        let state_file = config.data_dir.join("sandbox.json");
        let seed = match (SandboxBank::kept_seed(&state_file)?, config.origins.get("sandbox.seed")) {
            (Some(kept), Some(origin)) if kept != config.sandbox.seed => bail!(
                "the sandbox bank in {} is made up from the seed {kept}, and {} says {}: its links would get another bank's money beside what they have. \
                 Leave the seed out, or take another folder with --data-dir",
                config.data_dir.display(),
                origin.written,
                config.sandbox.seed
            ),
            (Some(kept), _) => kept,
            (None, _) => config.sandbox.seed,
        };
        let bank = SandboxBank::open(state_file, seed, switchboard.clock.clone(), switchboard.randomness.clone())?;
        let address = Url::parse(&format!("{public_url}/sandbox"))?;
        bank.register_redirect(&address, &format!("{public_url}/oauth/sandbox/callback"))?;
        let line = switchboard.line("sandbox", Policy::USUAL)?;
        self.linkable.push(Arc::new(SandboxProvider::new(address, CLIENT_ID, &bank.client_secret(), line)?));
        self.sandbox = Some(bank);
        Ok(())
    }
}

/// The name of each provider in the catalogue of a server that listens at `listening`, with the reason why it cannot be linked there.
pub(super) fn known(config: &Config, listening: SocketAddr) -> Vec<(&'static str, Option<String>)> {
    let sandbox = config.has_sandbox(listening).then_some((sandbox::client::MANIFEST.name, None));
    let others = [
        (AlpacaProvider::manifest().name, None),
        (SchwabProvider::manifest().name, what_schwab_lacks(config, &config.public_url(listening))),
        (simplefin::client::MANIFEST.name, what_simplefin_lacks(config)),
        (statement::MANIFEST.name, None),
    ];
    sandbox.into_iter().chain(others).collect()
}

fn what_simplefin_lacks(config: &Config) -> Option<String> {
    config.providers.simplefin.hosts.is_empty().then(|| "No server is listed in DASHTAM_PROVIDERS__SIMPLEFIN__HOSTS.".to_owned())
}

/// What this server would have to have for Schwab to be linked; `None` when it has it.
pub(super) fn what_schwab_lacks(config: &Config, public_url: &str) -> Option<String> {
    let settings = &config.providers.schwab;
    let unset = [
        (settings.client_id.is_none(), "DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID"),
        (settings.client_secret.is_none(), "DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET"),
    ];
    let unset: Vec<_> = unset.into_iter().filter_map(|(is_unset, name)| is_unset.then_some(name)).collect();
    if !unset.is_empty() {
        return Some(format!("This server has no app at Schwab: {} not set.", unset.join(" and ")));
    }
    // Schwab itself sends browsers to https addresses only; what stands in for it may not.
    let is_schwab = settings.base_url.as_ref().is_none_or(|url| url.scheme() == "https");
    (is_schwab && !public_url.starts_with("https:")).then(|| "Schwab sends browsers back to https addresses only, and DASHTAM_PUBLIC_URL is none.".to_owned())
}
