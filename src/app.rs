//! The composition root: the only file that names ports and adapters, with the files of its folder beside it.

pub mod audit;
mod collecting;
pub mod doctor;
mod edge;
pub mod embedded;
mod identity;
pub mod keys;
mod metrics;
mod providers;
mod sharing;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use axum::Router;
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    application::{
        Application,
        access::Access,
        account::AccountQueries,
        audit::{AuditQueries, Journal},
        balance::BalanceQueries,
        chain::{ChainKeeper, retention::Retention},
        change::ChangeQueries,
        erasure::Eraser,
        holding::HoldingQueries,
        link::LinkQueries,
        live::Live,
        mail::Courier,
        ports::{Authorizer, EventBus, FinancialProvider, Mailbox, Mailer, Randomness},
        schedule::Timekeeper,
        second_factor::SecondFactorQueries,
        session::SessionQueries,
        sync::{SyncEngine, SyncQueries},
        transaction::TransactionQueries,
        user::UserQueries,
        worker::{AtWork, Worker},
    },
    config::{Config, Environment},
    domain::time::Clock,
    infrastructure::{
        audit_file::CheckpointFile,
        database::{Database, Readers},
        machine::Machine,
        mail::{folder::MailFolder, smtp::SmtpMailer},
        metrics::Metrics,
        private_file,
        providers::statement::StatementFiles,
        security::{
            checkpoint::RingSigner,
            key_places::KeyPlaces,
            key_watch::KeyWatch,
            keys::KeysInForce,
            policy::{POLICY, PolarPolicy},
            sealer::AesSealer,
        },
    },
    presentation::http::{
        Streams,
        metrics::router as metrics_router,
        origins::Origins,
        server::{self, Patience},
    },
};

pub use crate::infrastructure::{providers::sandbox::visitor::Visitor, security::key_places::MadeUpKeys};
use edge::Surface;
use identity::{Ground, Identity};
use providers::Providers;
use sharing::Parts;

/// How long requests in flight may take to finish after a stop was asked for.
const GRACE: Duration = Duration::from_secs(30);

/// How long answers take at least that must not tell a known address from an unknown one: longer than hashing a password.
const UNHURRIED: Duration = Duration::from_millis(500);

/// What differs between the product and a test of it.
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub randomness: Arc<dyn Randomness>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Providers besides those that are configured.
    pub providers: Vec<Arc<dyn FinancialProvider>>,
    /// How long answers take at least that must not tell a known address from an unknown one.
    pub unhurried: Duration,
    /// What carries signals; as configured when it is not given.
    pub bus: Option<Arc<dyn EventBus>>,
}

impl Surroundings {
    /// The machine's clock and random numbers, the policy that ships, no other providers, and signals as configured.
    pub fn real() -> anyhow::Result<Self> {
        Ok(Self {
            clock: Arc::new(Machine),
            randomness: Arc::new(Machine),
            authorizer: Arc::new(PolarPolicy::read(POLICY)?),
            providers: Vec::new(),
            unhurried: UNHURRIED,
            bus: None,
        })
    }
}

/// 256 bits nobody can guess, for commands.
pub fn secret() -> [u8; 32] {
    Machine.secret()
}

/// One server, composed and not yet listening.
pub struct App {
    /// The use cases.
    pub application: Arc<Application>,
    /// Runs what is queued.
    pub engine: Arc<SyncEngine>,
    /// Does what is due by itself.
    pub timekeeper: Arc<Timekeeper>,
    /// Delivers mail.
    pub courier: Arc<Courier>,
    /// Keeps the chain over the audit trail.
    pub keeper: Arc<ChainKeeper>,
    /// Drops what of the trail is past its retention.
    pub retention: Arc<Retention>,
    /// Carries erasures out.
    pub eraser: Arc<Eraser>,
    /// Carries signals.
    pub bus: Arc<dyn EventBus>,
    /// Streams that are open.
    pub streams: Streams,
    /// Tells what is measured, and where.
    told: Arc<metrics::Told>,
    metrics_bind: Option<SocketAddr>,
    database: Arc<Database>,
    router: Router,
    patience: Patience,
    wake: Arc<Notify>,
    is_embedded: bool,
    at_once: u32,
    /// Over the keys, in a server that was opened with places to watch.
    watch: Option<KeyWatch>,
}

/// Opens the configured database, without touching its schema.
pub async fn open_database(config: &Config) -> anyhow::Result<Database> {
    if config.is_embedded() {
        private_file::make_folder(&config.data_dir)?;
    }
    let failed = || match config.origins.get("database_url") {
        Some(origin) if !config.is_embedded() => format!("the database cannot be opened; start PostgreSQL, or correct {}", origin.written),
        _ => "the database cannot be opened".to_owned(),
    };
    Database::connect(config.database().expose_secret(), Arc::new(Machine), Arc::new(Machine)).await.with_context(failed)
}

impl App {
    /// Opens database and keys, brings the schema up to date, composes everything. `listening` is where it will be reached.
    pub async fn open(config: &Config, listening: SocketAddr, made_up_keys: MadeUpKeys) -> anyhow::Result<Self> {
        let surroundings = Surroundings::real()?;
        let places = keys::find(config, made_up_keys, surroundings.randomness.clone()).await?;
        let watch = KeyWatch::begin(places, Duration::from_secs(config.keys.wait_seconds.into()))?;
        let database = open_database(config).await?;
        database.migrate_up().await.context("the database's schema cannot be brought up to date")?;
        let app = Self::compose(config, listening, &watch.keys(), Arc::new(database), surroundings)?;
        Ok(Self { watch: Some(watch), ..app })
    }

    /// Composes everything over an open database.
    pub fn compose(config: &Config, listening: SocketAddr, keys: &KeysInForce, database: Arc<Database>, surroundings: Surroundings) -> anyhow::Result<Self> {
        let Surroundings { clock, randomness, authorizer, providers, unhurried, bus } = surroundings;
        let public_url = config.public_url(listening);
        let (wake, meter, redis) = (Arc::new(Notify::new()), Arc::new(Metrics::new()), sharing::redis(config)?);
        let limiter = sharing::limiter(redis.clone(), &clock);
        let switchboard = sharing::switchboard(redis.as_ref(), &database, &limiter, meter.clone(), (clock.clone(), randomness.clone()));
        let mut providers = Providers::open(config, listening, &switchboard, providers)?;
        let (sandbox, readers, store) = (providers.sandbox.take(), database.readers(), database.store());
        let (access, journal) = (Access::new(authorizer), Journal::new(database.audit_log(), clock.clone(), randomness.clone()));
        let sealer = Arc::new(AesSealer::new(keys, randomness.clone())?);
        let files = Arc::new(StatementFiles);
        let catalogue = Arc::new(providers.catalogue(files.as_ref()));
        let (keeper, retention) = trail(config, keys, &database, &journal, &access, &clock)?;
        let bus = bus.unwrap_or_else(|| sharing::bus(redis.as_ref(), &database, randomness.as_ref()));
        database.tell(bus.clone());
        let (mailer, mailbox) = mailer(config, listening)?;
        let ground = Ground {
            database: database.clone(),
            store: store.clone(),
            journal: journal.clone(),
            access: access.clone(),
            clock: clock.clone(),
            randomness: randomness.clone(),
            catalogue: catalogue.clone(),
            sealer: sealer.clone(),
            bus: bus.clone(),
            unhurried,
        };
        let Identity { users, registration, sessions, security, security_queries, step_up, second_factors, passwords, rights, gate, courier, eraser } =
            ground.identity(config, keys, &public_url, mailer)?;
        let application = Arc::new(Application {
            user_queries: UserQueries { access: access.clone(), users: readers.clone() },
            users,
            registration,
            session_queries: SessionQueries { access: access.clone(), sessions: readers.clone() },
            sessions,
            security,
            security_queries,
            step_up,
            second_factor_queries: SecondFactorQueries { access: access.clone(), factors: readers.clone() },
            second_factors,
            keys: ground.keys(sealer.clone()),
            passwords,
            rights,
            providers: ground.providers(config, switchboard),
            link_queries: LinkQueries { access: access.clone(), links: readers.clone() },
            links: ground.links(config, &public_url, &wake),
            remaps: ground.remaps(),
            sync_queries: SyncQueries { access: access.clone(), syncs: readers.clone() },
            syncs: ground.syncs(&wake),
            accounts: AccountQueries { access: access.clone(), accounts: readers.clone() },
            account_commands: ground.accounts(),
            coverage: ground.coverage(),
            transactions: TransactionQueries { access: access.clone(), transactions: readers.clone() },
            holdings: HoldingQueries { access: access.clone(), holdings: readers.clone() },
            balances: BalanceQueries { access: access.clone(), balances: readers.clone() },
            changes: changes(&access, &readers),
            live: Arc::new(Live::new(bus.clone(), readers.clone())),
            import_queries: ground.import_queries(),
            imports: ground.imports(files),
            outbox: ground.outbox(),
            audit: AuditQueries { journal: journal.clone(), store: store.clone(), access: access.clone(), events: readers.clone() },
            rates: sharing::rates(config, limiter, &readers, &clock, meter.clone())?,
            access,
            journal: journal.clone(),
            gate,
        });
        let streams = Streams::new(Origins::new(&public_url, &config.cors.origins()?, listening.ip().is_loopback()));
        let surface = Surface {
            config,
            listening,
            public_url,
            application: &application,
            parts: Parts { database: database.clone(), redis },
            clock: &clock,
            mailbox,
            sandbox,
            streams: streams.clone(),
            meter: meter.clone(),
        };
        let router = surface.router()?;
        Ok(Self {
            engine: Arc::new(ground.engine(config, meter.clone())),
            told: ground.told(meter),
            metrics_bind: config.metrics.bind,
            application,
            timekeeper: Arc::new(ground.timekeeper(config, &wake)),
            courier,
            keeper,
            retention,
            eraser,
            bus,
            streams,
            router,
            database,
            patience: edge::patience(config),
            wake,
            is_embedded: config.is_embedded(),
            at_once: config.sync.at_once,
            watch: None,
        })
    }

    /// All routes, for a listener or a test.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// `/metrics`, for a listener of its own or a test.
    pub fn metrics_router(&self) -> Router {
        metrics_router(self.told.clone())
    }

    /// Answers at `listener` until `stop`, and does no other work.
    pub fn answer(&self, listener: TcpListener, stop: CancellationToken) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        server::serve(listener, self.router.clone(), self.patience, stop)
    }

    /// Statements the readers have run.
    pub fn statements(&self) -> u64 {
        self.database.statements()
    }

    /// Lets SIGHUP ask for a look at the keys, instead of ending the process.
    pub fn look_at_keys_on_hangup(&mut self) -> anyhow::Result<()> {
        self.watch.as_mut().map_or(Ok(()), KeyWatch::look_on_hangup)
    }

    /// Hears what other processes do to sessions, and reads ahead what requests will ask, until `stop`.
    pub fn hear(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let (gate, live, bus) = (self.application.gate.clone(), self.application.live.clone(), self.bus.clone());
        async move {
            tokio::join!(gate.run(stop.clone()), live.run(stop.clone()), bus.listen(stop));
        }
    }

    /// Ends a command: what it tells other processes is out before the program is.
    pub async fn leave(self) {
        self.bus.settle().await;
    }

    /// Serves and works until `stop`; then requests in flight and the sync at work finish.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        self.until(stop, Some(listener), true).await
    }

    /// Serves alone, and leaves what is queued to others.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        self.until(stop, Some(listener), false).await
    }

    /// Works alone, and listens nowhere.
    pub async fn work(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.until(stop, None, true).await
    }

    /// What it does not do waits for `stop` as well, so that one story is told of all three.
    async fn until(mut self, stop: CancellationToken, listener: Option<TcpListener>, works: bool) -> anyhow::Result<()> {
        let worker = Worker {
            engine: self.engine.clone(),
            journal: self.application.journal.clone(),
            wake: self.wake.clone(),
            at_once: self.at_once,
            at_work: AtWork::default(),
            is_alone: self.is_embedded,
        };
        let timekeeper = self.timekeeper.clone();
        let (courier, retention, eraser, stopped) = (self.courier.clone(), self.retention.clone(), self.eraser.clone(), stop.clone());
        let mut working = tokio::spawn(async move {
            if works {
                let (working, timing) = (worker.run(stopped.clone()), timekeeper.run(stopped.clone()));
                tokio::join!(working, timing, courier.run(stopped.clone()), eraser.run(stopped.clone()), retention.run(stopped));
            } else {
                stopped.cancelled().await;
            }
        });
        let hearing = listener.is_some().then(|| tokio::spawn(self.hear(stop.clone())));
        let (watch, stopped) = (self.watch.take(), stop.clone());
        let watching = tokio::spawn(async move {
            match watch {
                Some(watch) => watch.run(stopped).await,
                None => stopped.cancelled().await,
            }
        });
        let mut measuring = tokio::spawn(metrics::tell(self.metrics_bind, self.told.clone(), self.patience, stop.clone()));
        // It goes on until the others have written their last.
        let (keeper, last) = (self.keeper.clone(), CancellationToken::new());
        let ended = last.clone();
        let mut keeping = tokio::spawn(async move { keeper.run(ended).await });
        let journal = self.application.journal.clone();
        let telling = tokio::spawn(journal.clone().tell_refusals_until(stop.clone()));
        let stopped = stop.clone();
        let answering = listener.map(|listener| self.answer(listener, stopped.clone()));
        let mut serving = tokio::spawn(async move {
            let Some(answering) = answering else {
                stopped.cancelled().await;
                return Ok(());
            };
            answering.await
        });
        // Neither ends by itself. If one does, half a server is worse than none: whoever supervises it starts a new one.
        tokio::select! {
            // First: once a stop is asked for, both end because of it.
            biased;
            () = stop.cancelled() => {}
            ended = &mut working => bail!("the worker ended by itself: {ended:?}"),
            ended = &mut serving => bail!("the server ended by itself: {ended:?}"),
            ended = &mut keeping => bail!("the keeper of the audit chain ended by itself: {ended:?}"),
            ended = &mut measuring => {
                ended.context("the task that tells metrics stopped")??;
                bail!("the listener for metrics ended by itself");
            }
        }
        let ended = tokio::time::timeout(GRACE, async {
            // First of all: a stream is a request that would not end by itself.
            self.streams.end().await;
            serving.await.context("the server's task stopped")?.context("the server stopped")?;
            watching.await.context("the task that watches the keys stopped")?;
            measuring.await.context("the task that tells metrics stopped")??;
            working.await.context("the worker's task stopped")
        })
        .await;
        telling.await.context("the task that tells refusals stopped")?;
        if let Err(failure) = journal.tell_refusals(true).await {
            tracing::error!(error = ?failure, "refusals that were counted could not be written");
        }
        last.cancel();
        keeping.await.context("the task that keeps the audit chain stopped")?;
        if let Some(hearing) = hearing {
            hearing.await.context("the task that hears other processes stopped")?;
        }
        self.bus.settle().await;
        self.database.close().await?;
        ended.unwrap_or_else(|_| bail!("requests were still in flight {} seconds after the stop; they were cut off", GRACE.as_secs()))
    }
}

/// Who follows changes.
fn changes(access: &Access, readers: &Arc<Readers>) -> ChangeQueries {
    ChangeQueries {
        access: access.clone(),
        changes: readers.clone(),
        links: readers.clone(),
        accounts: readers.clone(),
        transactions: readers.clone(),
        holdings: readers.clone(),
    }
}

/// Who keeps the chain over the trail, and who drops what is past its retention.
fn trail(
    config: &Config,
    keys: &KeysInForce,
    database: &Database,
    journal: &Journal,
    access: &Access,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Arc<ChainKeeper>, Arc<Retention>)> {
    let signer = Arc::new(RingSigner::new(keys)?);
    let retention = Retention {
        journal: journal.clone(),
        store: database.store(),
        months: database.trail_months(),
        signer: signer.clone(),
        access: access.clone(),
        clock: clock.clone(),
        days: config.audit.retention_days,
        routine_days: config.audit.routine_days(),
    };
    let publisher = Arc::new(CheckpointFile::new(config.audit.checkpoints.clone()));
    let keeper = ChainKeeper { store: database.chain_store(), signer, publisher, clock: clock.clone() };
    Ok((Arc::new(keeper), Arc::new(retention)))
}

/// Where mail goes, and where it is shown if it is kept.
type MailWay = (Arc<dyn Mailer>, Option<Arc<dyn Mailbox>>);

/// Mail goes to the configured server; without one, in development, into a folder that `/dev/mail` shows to this machine.
fn mailer(config: &Config, listening: SocketAddr) -> anyhow::Result<MailWay> {
    if let Some(url) = &config.smtp.url {
        return Ok((Arc::new(SmtpMailer::new(url, &config.smtp.from)?), None));
    }
    let folder = Arc::new(MailFolder::new(config.data_dir.join("mail"), &config.smtp.from)?);
    let is_shown = config.environment == Environment::Development && listening.ip().is_loopback();
    let mailbox = is_shown.then(|| folder.clone() as Arc<dyn Mailbox>);
    Ok((folder, mailbox))
}

/// Whether the configured keys can be read, and none has to be made up.
pub fn check_keys(config: &Config) -> anyhow::Result<()> {
    KeyPlaces::find(config, MadeUpKeys::Refuse, Arc::new(Machine))?.read().map(drop)
}

/// Writes a file only its owner reads, whole or not at all.
pub fn write_private_file(file: &Path, content: &str) -> anyhow::Result<()> {
    private_file::write(file, content)
}
