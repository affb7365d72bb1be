//! The chain over the audit trail: nothing that was committed is missed, and nothing that is tampered with goes unseen.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod files;
mod forgery;
mod million;
mod queries;
mod retention;
mod role;
mod sealing;
mod tampering;
mod thinning;

use std::sync::{Arc, Mutex};

use chrono::Duration;
use dashtam::{
    application::{
        audit::{AuditEntry, Person},
        chain::{
            ChainKeeper, CheckpointPublisher,
            verification::{Finding, Flaw, Tally, TrustedKeys, Verifier, verify},
        },
        ports::Randomness as _,
    },
    domain::{
        audit::{Act, Outcome, ResourceKind},
        chain::Checkpoint,
        id::{AttemptId, AuditEventId, UserId},
        time::{Clock as _, Timestamp},
    },
    infrastructure::security::{
        checkpoint::{Ed25519Check, Ed25519Signer, RingSigner},
        keys::Keys,
    },
};
use uuid::Uuid;

use crate::harness::{
    app::keys,
    clock::TestRandomness,
    stores::{TestStore, every_store},
};

/// Keeps what is published.
#[derive(Default)]
pub(crate) struct Published(Mutex<Vec<Checkpoint>>);

impl CheckpointPublisher for Published {
    fn publish(&self, checkpoint: &Checkpoint) -> anyhow::Result<()> {
        self.0.lock().unwrap().push(checkpoint.clone());
        Ok(())
    }
}

/// A store with a chain that a test keeps and tampers with.
pub(crate) struct Trail {
    pub(crate) store: TestStore,
    pub(crate) keeper: ChainKeeper,
    published: Arc<Published>,
}

/// What is found, in short: flaw, position, event.
pub(crate) type Short = (Flaw, Option<u64>, Option<Uuid>);

pub(crate) fn signer() -> Arc<Ed25519Signer> {
    Arc::new(Ed25519Signer::new(&keys().now()).unwrap())
}

/// Signs as a server does whose keys are those of the tests.
pub(crate) fn ring_signer() -> Arc<RingSigner> {
    Arc::new(RingSigner::new(&keys()).unwrap())
}

/// Another ring: a new key in front, and the tests' own behind it.
fn rotated_keys() -> Keys {
    let ring = format!("t2:{},t1:{}", "B".repeat(43) + "=", "A".repeat(43) + "=").replace("BBB=", "BBA=");
    Keys::read(&ring.into(), &crate::harness::app::TOKEN_SECRET.into(), None).unwrap()
}

pub(crate) fn entry(recorded_at: Timestamp) -> AuditEntry {
    AuditEntry {
        id: AuditEventId(TestRandomness.id()),
        attempt: AttemptId(TestRandomness.id()),
        recorded_at,
        act: Act::CreateSession,
        outcome: Outcome::Attempted,
        actor_kind: "nobody",
        actor: Person { user: None, email: Some("ann@example.com".to_owned()), ip: Some("192.0.2.1".to_owned()), user_agent: None },
        subject: Some(Person { user: Some(UserId(Uuid::from_u128(9))), ..Person::default() }),
        resource: Some((ResourceKind::Session, Some(Uuid::from_u128(5)))),
        reason: None,
        context: vec![("role", "user".to_owned())],
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    }
}

impl Trail {
    pub(crate) fn over(store: TestStore) -> Self {
        let published = Arc::new(Published::default());
        let keeper = ChainKeeper { store: store.database.chain_store(), signer: ring_signer(), publisher: published.clone(), clock: store.clock.clone() };
        Self { store, keeper, published }
    }

    pub(crate) async fn on_every_store() -> Vec<Self> {
        every_store().await.into_iter().map(Self::over).collect()
    }

    /// Routine events, one second apart; answers their ids.
    pub(crate) async fn record_routine(&self, events: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for number in 0..events {
            self.store.clock.pass(Duration::seconds(1));
            let outcome = if number % 2 == 0 { Outcome::Attempted } else { Outcome::Succeeded };
            let entry = AuditEntry { act: Act::SyncLink, outcome, ..entry(self.store.clock.now()) };
            self.store.database.audit_log().record(&entry).await.unwrap();
            ids.push(entry.id.0);
        }
        ids
    }

    /// Some events, a few of them with less in them, one second apart; answers their ids.
    pub(crate) async fn record(&self, events: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for number in 0..events {
            self.store.clock.pass(Duration::seconds(1));
            let mut entry = entry(self.store.clock.now());
            if number % 3 == 1 {
                entry.subject = None;
                entry.resource = None;
                entry.trace_id = None;
                entry.reason = Some("not_found");
            }
            self.store.database.audit_log().record(&entry).await.unwrap();
            ids.push(entry.id.0);
        }
        ids
    }

    /// A trail that is sealed and signed, half of it by an earlier checkpoint, and from an hour ago; answers the ids in the order of their positions.
    pub(crate) async fn sealed(&self, events: usize) -> Vec<Uuid> {
        self.keeper.introduce().await.unwrap();
        let mut ids = self.record(events / 2).await;
        self.keeper.close().await.unwrap();
        ids.extend(self.record(events - events / 2).await);
        self.keeper.close().await.unwrap();
        self.store.clock.pass(Duration::hours(1));
        ids
    }

    /// Where a keeper of the same trail publishes.
    pub(crate) fn publisher(&self) -> Arc<Published> {
        self.published.clone()
    }

    /// Seals and signs to the end. A unit of work that was refused is rolled back behind everyone's back, and may have its turn at the chain
    /// for a moment still: who seals leaves it to them then.
    pub(crate) async fn close_after_a_refusal(&self) {
        for _ in 0..200 {
            self.keeper.close().await.unwrap();
            if self.store.query("SELECT 1 FROM audit_unsealed").await.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{}: the chain is never let go", self.store.name);
    }

    /// Waits until a keeper that runs has come by.
    pub(crate) async fn is_sealed(&self) {
        for _ in 0..200 {
            if self.store.query("SELECT 1 FROM audit_unsealed").await.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{}: nobody seals", self.store.name);
    }

    pub(crate) fn published(&self) -> Vec<Checkpoint> {
        self.published.0.lock().unwrap().clone()
    }

    /// Verifies with the tests' keys.
    pub(crate) async fn check(&self) -> (Vec<Finding>, Tally) {
        self.check_against(signer().public_keys().to_vec(), Vec::new()).await
    }

    pub(crate) async fn check_against(&self, trusted: Vec<Vec<u8>>, published: Vec<Checkpoint>) -> (Vec<Finding>, Tally) {
        let mut findings = Vec::new();
        let mut report = |finding| findings.push(finding);
        let verifier = Verifier::new(&Ed25519Check, TrustedKeys::given(trusted), published, self.store.clock.now(), &mut report);
        let ledger = self.store.database.readers().ledger().await.unwrap();
        let tally = verify(ledger, verifier, true, &|_| {}).await.unwrap();
        assert_eq!(tally.findings, findings.len() as u64);
        (findings, tally)
    }

    /// What is found, in short.
    pub(crate) async fn found(&self) -> Vec<Short> {
        self.check().await.0.iter().map(short).collect()
    }

    /// What is found when it is held against what was published.
    pub(crate) async fn found_with_published(&self) -> Vec<Short> {
        self.check_against(signer().public_keys().to_vec(), self.published()).await.0.iter().map(short).collect()
    }

    /// Takes every trigger away, as who owns the database can, and keeps a copy of everything.
    pub(crate) async fn break_in(&self) {
        if self.store.is_postgres() {
            self.execute(
                "DROP FUNCTION audit_events_refuse_change() CASCADE; DROP FUNCTION audit_chain_refuse_change() CASCADE; \
                 DROP FUNCTION audit_events_await_seal() CASCADE",
            )
            .await;
        } else {
            for row in self.store.query("SELECT name FROM sqlite_master WHERE type = 'trigger'").await {
                self.execute(&format!("DROP TRIGGER {}", row.try_get::<String>("", "name").unwrap())).await;
            }
        }
        for table in TABLES {
            self.execute(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
        }
    }

    /// Puts back what was there at the break-in.
    pub(crate) async fn restore(&self) {
        for table in TABLES {
            self.execute(&format!("DELETE FROM {table}")).await;
            self.execute(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
        }
    }

    pub(crate) async fn execute(&self, sql: &str) {
        if let Err(failure) = self.store.execute(sql).await {
            panic!("{}: {sql}: {failure}", self.store.name);
        }
    }

    /// An id as the database writes it.
    pub(crate) fn id(&self, id: Uuid) -> String {
        if self.store.is_postgres() { format!("'{id}'::uuid") } else { format!("x'{}'", id.simple()) }
    }

    /// Bytes as the database writes them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let hex = bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        if self.store.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    }
}

const TABLES: [&str; 8] = ["audit_events", "audit_person", "audit_unsealed", "audit_chain", "audit_checkpoints", "audit_cuts", "audit_thinnings", "audit_keys"];

pub(crate) fn short(finding: &Finding) -> Short {
    (finding.flaw, finding.position, finding.event.map(|event| event.id))
}
