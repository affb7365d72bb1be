//! Sealing anew: everything moves, beside what others write, and the old key may go.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use dashtam::{
    application::{
        access::Requester,
        keys::{KeyCommands, Resealed},
        ports::{Place, Sealer as _},
        remap::RemapLink,
    },
    domain::{
        id::{LinkId, UserId},
        keys::{SealedKind, SealedSecret, SealedSecretReader},
        time::Timestamp,
    },
    infrastructure::security::sealer::{AesSealer, envelope_begins_with},
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{Mutex, oneshot};
use uuid::Uuid;

use crate::harness::{
    app::{PASSWORD, TestApp},
    bank::posted,
    clock::TestRandomness,
};

use super::{first_ring, first_secret, keys, ring_key, usage};

async fn reseal(app: &TestApp) -> Resealed {
    app.app.application.keys.reseal(&Requester::command_line(None), &|_| {}).await.unwrap()
}

/// A second key in front of the first.
fn rotate(app: &TestApp) {
    app.keys.adopt(keys(&[ring_key("t2", 7), first_ring()], &[first_secret()])).unwrap();
}

/// Every envelope of a link's credentials, with its place.
async fn credentials(app: &TestApp) -> Vec<(Place, Vec<u8>)> {
    let rows = app.store.query("SELECT link_id, user_id, sealed FROM credentials ORDER BY link_id").await;
    let of = |row: &sea_orm::QueryResult| {
        let id = |column: &str| row.try_get::<Uuid>("", column).unwrap();
        (Place::credentials(UserId(id("user_id")), LinkId(id("link_id"))), row.try_get::<Vec<u8>>("", "sealed").unwrap())
    };
    rows.iter().map(of).collect()
}

#[tokio::test]
async fn after_sealing_anew_the_old_key_may_go_but_for_what_only_people_can_bring() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        app.user("bob").await;
        let link = ann.link_scripted().await;
        app.work().await;
        ann.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
        ann.ask("mutation { beginSecondFactor { userErrors { code } } }").await.succeeds();
        ann.begin_link("scripted", None).await.succeeds();
        rotate(&app);
        let before = usage(&app).await;
        let counted = [("sealed credentials", 1), ("sealed authorizations", 1), ("sealed second factors", 1), ("passwords", 2), ("accounts", 1)];
        assert_eq!(before.ring["t1"], counted, "{}", app.store.name);

        assert_eq!(reseal(&app).await, Resealed { resealed: 3, unopened: vec![] });
        for (_, envelope) in credentials(&app).await {
            assert!(envelope.starts_with(&envelope_begins_with("t2").unwrap()));
        }
        let moved = [app.store.contents("credentials").await, app.store.contents("second_factors").await];
        assert_eq!(reseal(&app).await, Resealed::default(), "once more changes nothing");
        assert_eq!([app.store.contents("credentials").await, app.store.contents("second_factors").await], moved);

        // A sync moves the account, a sign-in the password.
        let ann = app.signed_in("ann").await;
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(usage(&app).await.ring["t1"], [("passwords", 1)], "bob has not signed in since");
        app.keys.adopt(keys(&[ring_key("t2", 7)], &[first_secret()])).unwrap();
        assert_eq!(usage(&app).await.foreign, [("passwords", 1)]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED", "the credentials open");
        assert_eq!((ann.accounts().await.len(), ann.transactions().await.len()), (1, 1), "and the account is the same");
        app.nobody().sign_in("bob@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        assert_eq!(app.outcomes("reseal_secrets").await, [("succeeded".to_owned(), None), ("succeeded".to_owned(), None)]);
        let told =
            app.store.query("SELECT CAST(context AS TEXT) AS told FROM audit_events WHERE act = 'reseal_secrets' AND outcome = 'succeeded' ORDER BY id").await;
        let told: String = told[0].try_get("", "told").unwrap();
        assert!(told.contains("resealed") && told.contains('3') && told.contains("unopened"), "{told}");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_does_not_open_is_named_and_left_and_the_rest_is_moved() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for _ in 0..3 {
            ann.link_scripted().await;
        }
        let before = credentials(&app).await;
        // Cut to its first half: the ring has the key it names, and still nothing opens it. And one that was moved to another row.
        let broken: Vec<Uuid> =
            app.store.query("SELECT link_id FROM credentials ORDER BY link_id").await.iter().map(|row| row.try_get("", "link_id").unwrap()).collect();
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let literal = |bytes: &[u8]| if app.store.is_postgres() { format!("'\\x{}'", hex(bytes)) } else { format!("x'{}'", hex(bytes)) };
        let row = |at: usize| if app.store.is_postgres() { format!("'{}'", broken[at]) } else { format!("x'{}'", broken[at].simple()) };
        for (at, bytes) in [(0, &before[0].1[..20]), (1, &before[2].1[..])] {
            let changed = app.store.execute(&format!("UPDATE credentials SET sealed = {} WHERE link_id = {}", literal(bytes), row(at))).await.unwrap();
            assert_eq!(changed.rows_affected(), 1);
        }
        rotate(&app);
        let done = reseal(&app).await;
        assert_eq!((done.resealed, done.unopened), (1, vec![(SealedKind::Credentials, broken[0]), (SealedKind::Credentials, broken[1])]));
        let after = credentials(&app).await;
        assert_eq!((after[0].1.as_slice(), after[1].1.as_slice()), (&before[0].1[..20], before[2].1.as_slice()), "left as they were");
        assert!(after[2].1.starts_with(&envelope_begins_with("t2").unwrap()));
        app.every_attempt_ended_once().await;
    }
}

/// Lets somebody else write between the reading of a page and the writing of it, once.
struct Meddled {
    inner: Arc<dyn SealedSecretReader>,
    /// Told once, and answered when it is over.
    meddle: Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>,
}

#[async_trait]
impl SealedSecretReader for Meddled {
    async fn sealed_otherwise(&self, kind: SealedKind, current: &[u8], after: Option<Uuid>, limit: u64, now: Timestamp) -> anyhow::Result<Vec<SealedSecret>> {
        let page = self.inner.sealed_otherwise(kind, current, after, limit, now).await?;
        if !page.is_empty()
            && let Some(meddle) = self.meddle.lock().await.take()
        {
            let (done, over) = oneshot::channel();
            meddle.send(done).unwrap();
            over.await.unwrap();
        }
        Ok(page)
    }
}

#[tokio::test]
async fn a_sync_that_stores_new_tokens_meanwhile_is_not_undone() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        app.later(Duration::minutes(28), "ann").await.sync(&link, false).await.succeeds();
        let keys_of = &app.app.application.keys;
        let (meddle, meddled) = oneshot::channel();
        let commands = KeyCommands {
            journal: keys_of.journal.clone(),
            store: keys_of.store.clone(),
            sealed: Arc::new(Meddled { inner: keys_of.sealed.clone(), meddle: Mutex::new(Some(meddle)) }),
            access: keys_of.access.clone(),
            sealer: keys_of.sealer.clone(),
            clock: keys_of.clock.clone(),
        };
        // The sync is run by another process, which has not taken the new key up yet: it seals under the old one.
        let other = app.beside().await;
        rotate(&app);
        let requester = Requester::command_line(None);
        let syncing = async {
            let done = meddled.await.unwrap();
            assert!(other.engine.run_next().await.unwrap());
            done.send(()).unwrap();
        };
        let (resealed, ()) = tokio::join!(commands.reseal(&requester, &|_| {}), syncing);
        assert_eq!(resealed.unwrap(), Resealed { resealed: 1, unopened: vec![] }, "the row is found again as the sync has left it");
        let (place, envelope) = credentials(&app).await.pop().unwrap();
        let sealer = AesSealer::new(&app.keys, Arc::new(TestRandomness)).unwrap();
        let opened = sealer.open(place, &envelope).unwrap();
        assert!(String::from_utf8_lossy(&opened).contains("renewed-refresh-canary"), "the bank's new token won: the old one is worthless by now");
        assert!(envelope.starts_with(&envelope_begins_with("t2").unwrap()));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_at_once_and_syncs_beside_them_lose_nothing() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("x", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let mut links = Vec::new();
        for _ in 0..4 {
            links.push(ann.link_scripted().await);
        }
        app.work().await;
        let ann = app.later(Duration::minutes(28), "ann").await;
        for link in &links {
            ann.sync(link, false).await.succeeds();
        }
        rotate(&app);
        let other = app.beside().await;
        let requester = Requester::command_line(None);
        let nobody = |_: &Resealed| {};
        let resealing = join_all((0..3).map(|_| app.app.application.keys.reseal(&requester, &nobody)));
        let syncing = async { tokio::join!(app.work(), async { while other.engine.run_next().await.unwrap() {} }) };
        let (resealed, _) = tokio::join!(resealing, syncing);
        for done in resealed {
            assert_eq!(done.unwrap().unopened, []);
        }
        let sealer = AesSealer::new(&app.keys, Arc::new(TestRandomness)).unwrap();
        for (place, envelope) in credentials(&app).await {
            let opened = sealer.open(place, &envelope).unwrap();
            assert!(String::from_utf8_lossy(&opened).contains("renewed-refresh-canary"), "{}", app.store.name);
            assert!(envelope.starts_with(&envelope_begins_with("t2").unwrap()));
        }
        for link in &links {
            assert_eq!(ann.link(link).await["lastSync"]["status"], "SUCCEEDED", "{}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_providers_answered_is_moved_too_and_can_still_be_mapped() {
    for app in TestApp::on_every_store().await {
        app.signed_in("ann").await.link_sandbox().await;
        rotate(&app);
        assert_eq!(usage(&app).await.ring["t1"][1], ("sealed payloads", 2), "{}", app.store.name);
        assert_eq!(reseal(&app).await.unopened, []);
        app.keys.adopt(keys(&[ring_key("t2", 7)], &[first_secret()])).unwrap();
        let remaps = &app.app.application.remaps;
        let (owner, link) = remaps.links().await.unwrap()[0];
        let command = RemapLink { requester: Requester::command_line(Some(owner)), link, is_rehearsal: false };
        let done = remaps.remap(command).await.unwrap();
        assert_eq!((done.payloads, done.unread), (2, 0));
    }
}

#[tokio::test]
async fn every_column_that_holds_something_sealed_is_sealed_anew() {
    for app in TestApp::on_every_store().await {
        let columns = if app.store.is_postgres() {
            "SELECT table_name || '.' || column_name AS place FROM information_schema.columns WHERE table_schema = 'public' AND column_name LIKE 'sealed%' ORDER BY 1"
        } else {
            "SELECT m.name || '.' || c.name AS place FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' AND c.name LIKE 'sealed%' ORDER BY 1"
        };
        let found: Vec<String> = app.store.query(columns).await.iter().map(|row| row.try_get("", "place").unwrap()).collect();
        assert_eq!(
            found,
            ["authorizations.sealed_secrets", "credentials.sealed", "payloads.sealed", "second_factors.sealed_secret"],
            "SealedKind knows each of them"
        );
    }
}

#[tokio::test]
async fn a_row_that_goes_by_a_cards_number_is_the_same_row_under_a_new_key() {
    for app in TestApp::on_every_store().await {
        app.bank.reports(vec![posted("4111111111111111", "2026-11-20", -900, "Shoes")]);
        let ann = app.signed_in("ann").await;
        let link = ann.link_scripted().await;
        app.work().await;
        let before = ann.transaction_ids().await;
        rotate(&app);
        // Nothing but its id is as it was.
        app.bank.reports(vec![posted("4111111111111111", "2026-11-21", -950, "Shoes and socks")]);
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        assert_eq!(ann.transaction_ids().await, before, "{}", app.store.name);
        assert_eq!(ann.transactions().await[0]["amount"]["amount"], "-9.50");
        assert!(!app.store.spells("4111111111111111").await);
    }
}
