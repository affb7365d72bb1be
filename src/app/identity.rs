//! The part of the composition that knows who somebody is: users, registration, sessions, passwords, and the mail they need.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, Semaphore};

use crate::{
    application::{
        Rights,
        access::Access,
        agreement::{AgreementCommands, AgreementQueries},
        audit::Journal,
        consent::ConsentQueries,
        email_change::EmailChangeCommands,
        erasure::{Eraser, ErasureCommands},
        export::{ExportCommands, PACKED_AT_ONCE},
        guesses::Guesses,
        keys::KeyCommands,
        mail::{Courier, Writer},
        outbox::{OutboxCommands, OutboxQueries, Outgoing},
        password::PasswordCommands,
        ports::{EventBus, Mailer, Randomness, Sealer, Store},
        profile::ProfileCommands,
        provider::Catalogue,
        registration::RegistrationCommands,
        second_factor::{CodeGuesses, SecondFactorCommands},
        security::{SecurityCommands, SecurityQueries},
        session::{SessionCommands, SessionGate, TokenLifetimes},
        step_up::{StepUp, StepUpCommands},
        user::UserCommands,
    },
    config::Config,
    domain::{agreement::LegalDocuments, time::Clock},
    infrastructure::{
        archive::ZipArchiver,
        database::{Database, Readers},
        metrics::Metrics,
        security::{jwt::JwtIssuer, keys::KeysInForce, mail_token::HmacMailTokens, passwords::BcryptHasher, refresh::HmacMint, second_factor::Codes},
    },
};

use super::metrics::Told;

/// What every use case stands on.
pub(super) struct Ground {
    pub(super) database: Arc<Database>,
    pub(super) store: Arc<dyn Store>,
    pub(super) journal: Journal,
    pub(super) access: Access,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) randomness: Arc<dyn Randomness>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) sealer: Arc<dyn Sealer>,
    pub(super) bus: Arc<dyn EventBus>,
    pub(super) unhurried: Duration,
}

/// The use cases about who somebody is.
pub(super) struct Identity {
    pub(super) users: UserCommands,
    pub(super) registration: RegistrationCommands,
    pub(super) sessions: SessionCommands,
    pub(super) security: SecurityCommands,
    pub(super) security_queries: SecurityQueries,
    pub(super) step_up: StepUpCommands,
    pub(super) second_factors: SecondFactorCommands,
    pub(super) passwords: PasswordCommands,
    pub(super) rights: Rights,
    pub(super) gate: Arc<SessionGate>,
    pub(super) courier: Arc<Courier>,
    pub(super) eraser: Arc<Eraser>,
}

impl Ground {
    /// Composes them over the configured keys.
    pub(super) fn identity(&self, config: &Config, keys: &KeysInForce, public_url: &str, mailer: Arc<dyn Mailer>) -> anyhow::Result<Identity> {
        let readers = self.database.readers();
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let hasher = Arc::new(BcryptHasher::new(keys, config.passwords.cost, workers)?);
        let issuer = Arc::new(JwtIssuer::new(keys, public_url, self.randomness.clone())?);
        let gate = Arc::new(SessionGate::new(issuer.clone(), readers.clone(), self.clock.clone(), self.bus.clone()));
        let tokens = Arc::new(HmacMailTokens::new(keys)?);
        let writer = Writer { mint: tokens.clone(), randomness: self.randomness.clone() };
        let guesses = Guesses { sign_ins: readers.clone(), hasher: hasher.clone(), writer: writer.clone(), clock: self.clock.clone() };
        let step_up = StepUp { sessions: readers.clone(), clock: self.clock.clone() };
        let codes = CodeGuesses { sealer: self.sealer.clone(), codes: Arc::new(Codes::new(keys)?), writer: writer.clone(), clock: self.clock.clone() };
        let lifetimes = TokenLifetimes { access: chrono::Duration::minutes(15), refresh_idle: chrono::Duration::days(7) };
        Ok(Identity {
            rights: self.rights(&config.legal.documents()?, &step_up, &gate, &writer),
            eraser: Arc::new(self.eraser()),
            users: UserCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                access: self.access.clone(),
                step_up: step_up.clone(),
                hasher: hasher.clone(),
                gate: gate.clone(),
                clock: self.clock.clone(),
                randomness: self.randomness.clone(),
            },
            registration: RegistrationCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                hasher: hasher.clone(),
                writer: writer.clone(),
                clock: self.clock.clone(),
                randomness: self.randomness.clone(),
                documents: config.legal.documents()?,
                is_open: config.registration.enabled,
                unhurried: self.unhurried,
            },
            sessions: SessionCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                users: readers.clone(),
                sessions: readers.clone(),
                rotations: readers.clone(),
                access: self.access.clone(),
                hasher: hasher.clone(),
                guesses: guesses.clone(),
                factors: readers.clone(),
                codes: codes.clone(),
                issuer,
                mint: Arc::new(HmacMint::new(keys, self.randomness.clone())?),
                gate: gate.clone(),
                clock: self.clock.clone(),
                randomness: self.randomness.clone(),
                lifetimes,
                unhurried: self.unhurried,
            },
            courier: Arc::new(self.courier(readers.clone(), tokens, mailer, public_url)),
            security: SecurityCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                access: self.access.clone(),
                step_up: step_up.clone(),
                gate: gate.clone(),
                clock: self.clock.clone(),
            },
            security_queries: SecurityQueries { access: self.access.clone(), rotations: readers.clone(), lifetimes },
            step_up: StepUpCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                users: readers.clone(),
                access: self.access.clone(),
                guesses: guesses.clone(),
                codes: codes.clone(),
                clock: self.clock.clone(),
            },
            second_factors: self.second_factors(&readers, codes, step_up.clone()),
            passwords: PasswordCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                users: readers.clone(),
                access: self.access.clone(),
                hasher,
                tokens: readers.clone(),
                guesses,
                factors: readers,
                step_up,
                gate: gate.clone(),
                writer,
                clock: self.clock.clone(),
                unhurried: self.unhurried,
            },
            gate,
        })
    }

    /// The use cases about what people may do with what is kept about them.
    fn rights(&self, documents: &LegalDocuments, step_up: &StepUp, gate: &Arc<SessionGate>, writer: &Writer) -> Rights {
        let readers = self.database.readers();
        Rights {
            profiles: ProfileCommands { journal: self.journal.clone(), store: self.store.clone(), access: self.access.clone() },
            agreements: AgreementQueries { access: self.access.clone(), agreements: readers.clone(), documents: documents.clone() },
            agreeing: AgreementCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                access: self.access.clone(),
                documents: documents.clone(),
                clock: self.clock.clone(),
                randomness: self.randomness.clone(),
            },
            consents: ConsentQueries { access: self.access.clone(), consents: readers.clone() },
            email_changes: EmailChangeCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                access: self.access.clone(),
                step_up: step_up.clone(),
                tokens: readers.clone(),
                gate: gate.clone(),
                writer: writer.clone(),
                clock: self.clock.clone(),
                randomness: self.randomness.clone(),
                unhurried: self.unhurried,
            },
            erasures: ErasureCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                access: self.access.clone(),
                step_up: step_up.clone(),
                tokens: readers.clone(),
                catalogue: self.catalogue.clone(),
                sealer: self.sealer.clone(),
                gate: gate.clone(),
                writer: writer.clone(),
                clock: self.clock.clone(),
            },
            exports: ExportCommands {
                journal: self.journal.clone(),
                store: self.store.clone(),
                exports: readers.clone(),
                snapshots: readers,
                archiver: Arc::new(ZipArchiver),
                access: self.access.clone(),
                step_up: step_up.clone(),
                clock: self.clock.clone(),
                randomness: self.randomness.clone(),
                turns: Arc::new(Semaphore::new(PACKED_AT_ONCE)),
            },
        }
    }

    /// What carries erasures out.
    fn eraser(&self) -> Eraser {
        Eraser { journal: self.journal.clone(), store: self.store.clone(), queue: self.database.erasure_queue(), clock: self.clock.clone() }
    }

    /// Composes what an operator does with the outbox.
    pub(super) fn outbox(&self) -> Outgoing {
        let (journal, store, access, clock) = (self.journal.clone(), self.store.clone(), self.access.clone(), self.clock.clone());
        Outgoing { queries: OutboxQueries { messages: self.database.readers() }, commands: OutboxCommands { journal, store, access, clock } }
    }

    /// Composes what tells what is measured.
    pub(super) fn told(&self, metrics: Arc<Metrics>) -> Arc<Told> {
        Arc::new(Told {
            metrics,
            outbox: self.database.readers(),
            syncs: self.database.sync_queue(),
            chain: self.database.chain_store(),
            bus: self.bus.clone(),
            clock: self.clock.clone(),
            turn: Mutex::default(),
        })
    }

    /// Composes what looks after keys.
    pub(super) fn keys(&self, sealer: Arc<dyn Sealer>) -> KeyCommands {
        KeyCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            sealed: self.database.readers(),
            access: self.access.clone(),
            sealer,
            clock: self.clock.clone(),
        }
    }

    fn second_factors(&self, users: &Arc<Readers>, guesses: CodeGuesses, step_up: StepUp) -> SecondFactorCommands {
        SecondFactorCommands {
            journal: self.journal.clone(),
            store: self.store.clone(),
            users: users.clone(),
            access: self.access.clone(),
            step_up,
            guesses,
            randomness: self.randomness.clone(),
        }
    }

    fn courier(&self, users: Arc<Readers>, mint: Arc<HmacMailTokens>, mailer: Arc<dyn Mailer>, public_url: &str) -> Courier {
        let (queue, clock, randomness) = (self.database.mail_queue(), self.clock.clone(), self.randomness.clone());
        let (links, catalogue) = (users.clone(), self.catalogue.clone());
        Courier { queue, users, links, catalogue, mint, mailer, clock, randomness, public_url: public_url.to_owned(), bell: self.database.mail_bell() }
    }
}
