//! The providers of one server: an adapter for each that is configured, and the reason why another is not.

use std::{net::SocketAddr, sync::Arc};

use url::Url;

use crate::{
    application::{
        ports::{FinancialProvider, Randomness, StatementReader},
        provider::Catalogue,
    },
    config::Config,
    domain::{provider::CatalogueEntry, time::Clock},
    infrastructure::{
        private_file,
        providers::{
            http,
            sandbox::{SandboxBank, SandboxProvider, authorization::CLIENT_ID},
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
    pub(super) fn open(
        config: &Config,
        listening: SocketAddr,
        clock: &Arc<dyn Clock>,
        randomness: &Arc<dyn Randomness>,
        given: Vec<Arc<dyn FinancialProvider>>,
    ) -> anyhow::Result<Self> {
        let mut providers = Self { linkable: given, unavailable: Vec::new(), sandbox: None };
        if config.has_sandbox(listening) {
            providers.open_sandbox(config, &config.public_url(listening), clock, randomness)?;
        }
        Ok(providers)
    }

    /// The catalogue of all of them, and of files.
    pub(super) fn catalogue(self, files: &dyn StatementReader) -> Catalogue {
        Catalogue::new(self.linkable, self.unavailable, files)
    }

    /// Opens the bank over its state in the data folder, and adds the adapter that reaches it over HTTP as any other.
    fn open_sandbox(&mut self, config: &Config, public_url: &str, clock: &Arc<dyn Clock>, randomness: &Arc<dyn Randomness>) -> anyhow::Result<()> {
        private_file::make_folder(&config.data_dir)?;
        let bank = SandboxBank::open(config.data_dir.join("sandbox.json"), config.sandbox.seed, clock.clone(), randomness.clone())?;
        let address = Url::parse(&format!("{public_url}/sandbox"))?;
        bank.register_redirect(&address, &format!("{public_url}/oauth/sandbox/callback"))?;
        self.linkable.push(Arc::new(SandboxProvider::new(address, CLIENT_ID, &bank.client_secret(), http::client(http::TIME_OUT)?)?));
        self.sandbox = Some(bank);
        Ok(())
    }
}
