//! The part of the composition that gets money's data in: links, syncs and imports, and what their owner says of it.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    application::{
        account::AccountCommands,
        consent::ConsentClock,
        coverage::CoverageQueries,
        import::{ImportCommands, ImportQueries},
        link::{AbandonedLinks, LinkCommands, LinkSettings},
        ports::{Lines, Meter, StatementReader},
        provider::ProviderQueries,
        remap::RemapCommands,
        renewal::{Renewals, Renewer},
        schedule::{Scheduler, Timekeeper},
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
            pauses: self.database.pauses(),
            sealer: self.sealer.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            settings: LinkSettings { public_url: public_url.to_owned(), return_urls: config.links.return_urls.clone() },
            wake: wake.clone(),
        }
    }

    /// What looks at the catalogue.
    pub(super) fn providers(&self, config: &Config, lines: Arc<dyn Lines>) -> ProviderQueries {
        ProviderQueries {
            access: self.access.clone(),
            catalogue: self.catalogue.clone(),
            lines,
            pauses: self.database.pauses(),
            clock: self.clock.clone(),
            syncs_by_itself: config.sync.scheduled,
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

    /// What does by itself what is due.
    pub(super) fn timekeeper(&self, config: &Config, wake: &Arc<Notify>) -> Timekeeper {
        Timekeeper {
            consents: self.consent_clock(),
            abandoned: self.abandoned_links(),
            renewer: self.renewer(),
            scheduler: self.scheduler(),
            syncs_by_itself: config.sync.scheduled,
            wake: wake.clone(),
        }
    }

    /// What fails links that nobody came back for.
    fn abandoned_links(&self) -> AbandonedLinks {
        AbandonedLinks { journal: self.journal.clone(), store: self.store.clone(), schedule: self.database.schedule(), clock: self.clock.clone() }
    }

    /// What queues syncs whose time has come.
    fn scheduler(&self) -> Scheduler {
        Scheduler {
            journal: self.journal.clone(),
            store: self.store.clone(),
            schedule: self.database.schedule(),
            catalogue: self.catalogue.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
        }
    }

    /// What opens and renews what banks handed out.
    fn renewals(&self) -> Renewals {
        Renewals { store: self.store.clone(), links: self.database.readers(), sealer: self.sealer.clone(), clock: self.clock.clone() }
    }

    /// What renews tokens that nobody has used for long.
    fn renewer(&self) -> Renewer {
        Renewer {
            journal: self.journal.clone(),
            renewals: Arc::new(self.renewals()),
            schedule: self.database.schedule(),
            catalogue: self.catalogue.clone(),
            randomness: self.randomness.clone(),
        }
    }

    /// What warns of the end of consents, and ends links when it has come.
    fn consent_clock(&self) -> ConsentClock {
        ConsentClock {
            journal: self.journal.clone(),
            store: self.store.clone(),
            links: self.database.readers(),
            schedule: self.database.schedule(),
            clock: self.clock.clone(),
        }
    }

    /// What runs syncs.
    pub(super) fn engine(&self, config: &Config, meter: Arc<dyn Meter>) -> SyncEngine {
        let readers = self.database.readers();
        SyncEngine {
            journal: self.journal.clone(),
            store: self.store.clone(),
            queue: self.database.sync_queue(),
            links: readers.clone(),
            accounts: readers.clone(),
            coverages: readers.clone(),
            transactions: readers,
            catalogue: self.catalogue.clone(),
            renewals: Arc::new(self.renewals()),
            sealer: self.sealer.clone(),
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            keep_days: config.payloads.keep_days,
            pace: config.sync.pace(),
            meter,
        }
    }
}
