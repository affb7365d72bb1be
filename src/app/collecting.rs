//! The part of the composition that gets money's data in: links, syncs and imports, and what their owner says of it.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    application::{
        account::AccountCommands,
        coverage::CoverageQueries,
        import::{ImportCommands, ImportQueries},
        link::{LinkCommands, LinkSettings},
        ports::{Meter, StatementReader},
        remap::RemapCommands,
        sync::{SyncCommands, SyncEngine},
    },
    config::Config,
};

use super::identity::Ground;

impl Ground {
    /// What changes links; `wake` rings for the worker.
    pub(super) fn links(&self, config: &Config, public_url: &str, wake: &Arc<Notify>) -> LinkCommands {
        let readers = self.database.readers();
        LinkCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            links: readers.clone(),
            users: readers,
            access: self.access.clone(),
            catalogue: self.catalogue.clone(),
            sealer: self.sealer.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            settings: LinkSettings { public_url: public_url.to_owned(), return_urls: config.links.return_urls.clone() },
            wake: wake.clone(),
        }
    }

    /// What changes accounts.
    pub(super) fn accounts(&self) -> AccountCommands {
        AccountCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            access: self.access.clone(),
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
        }
    }

    /// What queues syncs.
    pub(super) fn syncs(&self, wake: &Arc<Notify>) -> SyncCommands {
        SyncCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            access: self.access.clone(),
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            wake: wake.clone(),
        }
    }

    /// What tells how much of accounts is here.
    pub(super) fn coverage(&self) -> CoverageQueries {
        let readers = self.database.readers();
        CoverageQueries {
            access: self.access.clone(),
            accounts: readers.clone(),
            links: readers.clone(),
            syncs: readers.clone(),
            coverages: readers,
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
        }
    }

    /// What looks at imports.
    pub(super) fn import_queries(&self) -> ImportQueries {
        ImportQueries { access: self.access.clone(), imports: self.database.readers(), accounts: self.database.readers(), clock: self.clock.clone() }
    }

    /// What takes statement files in.
    pub(super) fn imports(&self, reader: Arc<dyn StatementReader>) -> ImportCommands {
        ImportCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            access: self.access.clone(),
            accounts: self.database.readers(),
            reader,
            sealer: self.sealer.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
        }
    }

    /// What maps once more what providers answered.
    pub(super) fn remaps(&self) -> RemapCommands {
        let readers = self.database.readers();
        RemapCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            access: self.access.clone(),
            links: readers.clone(),
            payloads: readers,
            catalogue: self.catalogue.clone(),
            sealer: self.sealer.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
        }
    }

    /// What runs syncs.
    pub(super) fn engine(&self, meter: Arc<dyn Meter>, keep_days: u32) -> SyncEngine {
        let readers = self.database.readers();
        SyncEngine {
            journal: self.journal.clone(),
            store: self.store.clone(),
            queue: self.database.sync_queue(),
            links: readers.clone(),
            accounts: readers.clone(),
            coverages: readers,
            catalogue: self.catalogue.clone(),
            sealer: self.sealer.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            keep_days,
            meter,
        }
    }
}
