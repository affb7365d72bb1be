//! Killed: a server that is ended by SIGKILL in the middle of whatever it does, again and again, has neither half a change nor half a trail
//! afterwards, and says everything it had to say.
//!
//! The choices of a run come out of one number, which is printed; `DASHTAM_TEST_SEED` makes the same ones again. When the server dies among
//! them is a matter of the machine.

#![expect(clippy::print_stdout, reason = "a run that failed is run once more by its seed")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod links;
mod person;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    process::Child,
    sync::Arc,
    time::{Duration, Instant},
};

use dashtam::{
    application::{audit::Journal, ports::Randomness as _},
    domain::time::Clock as _,
    infrastructure::machine::Machine,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use crate::harness::{
    app::TOKEN_SECRET,
    binary::Binary,
    clock::TestRandomness,
    smtp::SmtpServer,
    stores::{TestStore, every_store},
};

use person::{Met, Person};

/// How many people are at work at once.
const PEOPLE: usize = 10;

/// The longest the first server lives, in milliseconds from the first request.
const LIFE: u64 = 250;

/// One place for a server to live and die in.
struct Place<'a> {
    binary: Binary,
    url: String,
    store: &'a TestStore,
    smtp: &'a SmtpServer,
}

impl<'a> Place<'a> {
    fn over(store: &'a TestStore, smtp: &'a SmtpServer) -> Self {
        Self::with(store, smtp, &[])
    }

    /// The same with more of its environment.
    fn with(store: &'a TestStore, smtp: &'a SmtpServer, more: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let keys = format!("t1:{}=", "A".repeat(43));
        let usual = [
            ("DASHTAM_ENVIRONMENT", "development"),
            ("DASHTAM_PASSWORDS__COST", "4"),
            ("DASHTAM_RATE_LIMITS__ENABLED", "false"),
            ("DASHTAM_LOG", "warn"),
            ("DASHTAM_BIND", &address),
            ("DASHTAM_DATABASE_URL", &store.url),
            ("DASHTAM_SMTP__URL", &smtp.url),
            ("DASHTAM_JWT__SECRET", TOKEN_SECRET),
            ("DASHTAM_ENCRYPTION__KEYS", &keys),
        ];
        let binary = Binary::with(&[&usual, more].concat());
        Self { binary, url: format!("http://{address}"), store, smtp }
    }

    /// A server that is about to answer.
    fn spawn(&self) -> Child {
        self.binary.shell("exec dashtam serve 2>> log").spawn().unwrap()
    }

    /// A server that answers.
    async fn start(&self) -> Child {
        let mut child = self.spawn();
        let began = Instant::now();
        while reqwest::get(format!("{}/health", self.url)).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the server did not start: {}", self.log());
            assert!(began.elapsed().as_secs() < 60, "the server does not answer: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.binary.folder().join("log")).unwrap_or_default();
        log.chars().skip(log.chars().count().saturating_sub(4000)).collect()
    }

    async fn count(&self, sql: &str) -> i64 {
        self.store.query(&format!("SELECT COUNT(*) AS n FROM {sql}")).await[0].try_get("", "n").unwrap()
    }

    /// How often an act succeeded.
    async fn succeeded(&self, act: &str) -> i64 {
        self.count(&format!("audit_events WHERE act = '{act}' AND outcome = 'succeeded'")).await
    }
}

/// Lets people work at servers that die, until so many workflows were cut; answers the people.
async fn live_and_die(place: &Place<'_>, seed: u64, cuts: usize) -> Vec<Person> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut people: Vec<Person> = (0..PEOPLE).map(|at| Person::new(at, seed)).collect();
    for person in &people {
        place.binary.run_with_input(&["user", "create", &person.email, "--tier", "pro", "--password-stdin"], &person.password()).succeeds();
    }
    let (mut cut, mut kinds, mut longest) = (0, BTreeMap::<&str, usize>::new(), LIFE);
    while cut < cuts {
        let mut server = place.start().await;
        let at_work: Vec<_> = people
            .drain(..)
            .map(|mut person| {
                let (url, mails) = (place.url.clone(), place.smtp.taken());
                tokio::spawn(async move {
                    let met = person.work(&url, &mails).await;
                    (person, met)
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(chance.random_range(20..longest))).await;
        // SIGKILL: no goodbye, no flush, no destructor.
        server.kill().unwrap();
        server.wait().unwrap();
        let mut got_nowhere = true;
        for worker in at_work {
            let (person, met) = worker.await.unwrap();
            if let Met::Cut(what) = met {
                cut += 1;
                got_nowhere &= what == "sign-in";
                *kinds.entry(what).or_default() += 1;
            }
            people.push(person);
        }
        // On a machine that is busy with other things nobody would come further than the door.
        if got_nowhere {
            longest = (longest * 2).min(8 * LIFE);
        }
    }
    println!("{}: {cut} workflows were cut: {kinds:?}", place.store.name);
    assert!(kinds.len() >= 6, "workflows of many kinds: {kinds:?}");
    people
}

/// A last server, which lives until everything that was left is done.
async fn finish(place: &Place<'_>) {
    settle(place, &[]).await;
}

/// The same until these rows are gone besides.
async fn settle(place: &Place<'_>, besides: &[&str]) {
    // What the dead held is free once its lease is over.
    let past = if place.store.is_postgres() { "now() - interval '1 day'" } else { "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-1 day')" };
    place.store.execute(&format!("UPDATE outbox SET available_at = {past} WHERE delivered_at IS NULL")).await.unwrap();
    place.store.execute(&format!("UPDATE syncs SET started_at = {past} WHERE status = 'running'")).await.unwrap();
    let (mut server, began) = (place.start().await, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let left = [
            place.count("outbox WHERE delivered_at IS NULL").await,
            place.count("syncs WHERE status IN ('queued', 'running')").await,
            place.count("audit_unsealed").await,
        ];
        let mut more = 0;
        for rows in besides {
            more += place.count(rows).await;
        }
        if left == [0; 3] && more == 0 {
            break;
        }
        assert!(began.elapsed().as_secs() < 120, "mails, syncs and events are left: {left:?}; {}", place.log());
    }
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &server.id().to_string()]).status().unwrap().success());
    assert!(server.wait().unwrap().success(), "{}", place.log());
}

/// Every change has its SUCCEEDED, and every SUCCEEDED its change.
async fn changes_are_what_the_trail_says(place: &Place<'_>, people: &[Person]) {
    let name = place.store.name;
    let even = async |act: &str, sql: &str| assert_eq!(place.succeeded(act).await, place.count(sql).await, "{act}, {name}");
    even("register_user", "users WHERE email LIKE 'new%'").await;
    even("verify_email", "users WHERE email LIKE 'new%' AND email_verified_at IS NOT NULL").await;
    even("create_session", "sessions").await;
    even("revoke_session", "sessions WHERE revoked_reason = 'requested'").await;
    even("import_statement", "imports").await;
    even("begin_link", "links WHERE provider = 'sandbox'").await;
    // Of tokens that a bank had handed out and nobody had stored the link says that they are gone.
    even("complete_link", "links WHERE provider = 'sandbox' AND status IN ('active', 'expired')").await;
    even("request_password_reset", "mail_tokens WHERE purpose = 'password_reset'").await;
    even("request_password_reset", "outbox WHERE topic = 'mail.password_reset'").await;
    even("register_user", "outbox WHERE topic = 'mail.verification'").await;
    even("change_password", "outbox WHERE topic = 'mail.password_changed'").await;
    let versions: usize = people.iter().map(|person| person.version).sum();
    assert_eq!(place.succeeded("change_password").await, i64::try_from(versions).unwrap(), "passwords that work, {name}");
    // A repeated exchange answers the same successor, and adds none.
    let (used, issued, sessions) =
        (place.count("refresh_tokens WHERE used_at IS NOT NULL").await, place.count("refresh_tokens").await, place.count("sessions").await);
    assert_eq!(issued, used + sessions, "each used token has its one successor, {name}");
    assert!(used <= place.succeeded("refresh_session").await, "{name}");
    let created = "SELECT COALESCE(SUM(transactions_created), 0) AS n FROM imports";
    let created = place.store.query(&format!("SELECT CAST(n AS BIGINT) AS n FROM ({created}) AS created")).await[0].try_get::<i64>("", "n").unwrap();
    let imported = "transactions WHERE account_id IN (SELECT a.id FROM accounts a JOIN links l ON l.id = a.link_id WHERE l.provider <> 'sandbox')";
    assert_eq!(created, place.count(imported).await, "{name}");
    let doubled = "SELECT 1 AS n FROM transaction_references r JOIN accounts a ON a.id = r.account_id JOIN links l ON l.id = a.link_id \
                   WHERE l.provider = 'sandbox' GROUP BY r.account_id, r.source, r.reference HAVING COUNT(*) > 1";
    assert_eq!(place.store.query(doubled).await.len(), 0, "transactions are there twice, {name}");
}

/// Whoever receives mail has every one of them, and can tell the repeated ones.
async fn mails_are_all_there(place: &Place<'_>, before: usize) {
    let rows = place.store.query("SELECT id, last_error FROM outbox").await;
    let all: BTreeSet<String> = rows.iter().map(|row| row.try_get::<Uuid>("", "id").unwrap().to_string()).collect();
    let sent = rows.iter().filter(|row| row.try_get::<Option<String>>("", "last_error").unwrap().is_none());
    let sent: BTreeSet<String> = sent.map(|row| row.try_get::<Uuid>("", "id").unwrap().to_string()).collect();
    let mut received: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for mail in &place.smtp.taken()[before..] {
        let key = mail.message.lines().find_map(|line| line.strip_prefix("Message-ID: <")).unwrap().split('@').next().unwrap().to_owned();
        let subject = mail.message.lines().find(|line| line.starts_with("Subject: ")).unwrap().to_owned();
        let first = received.entry(key).or_insert_with(|| (mail.to.clone(), subject.clone()));
        assert_eq!(*first, (mail.to.clone(), subject), "under one key there is one mail");
    }
    let received: BTreeSet<String> = received.into_keys().collect();
    assert!(sent.is_subset(&received), "lost: {:?}", sent.difference(&received));
    assert!(received.is_subset(&all), "made up: {:?}", received.difference(&all));
    assert!(!sent.is_empty());
}

/// Once the attempts of the dead are closed, each attempt has one outcome.
async fn every_attempt_ends_once(store: &TestStore) {
    let twice = "SELECT 1 AS n FROM audit_events WHERE outcome <> 'attempted' GROUP BY attempt_id HAVING COUNT(*) > 1";
    assert_eq!(store.query(twice).await.len(), 0, "two outcomes of one attempt, {}", store.name);
    store.clock.pass(Machine.now().since(store.clock.now()) + chrono::Duration::hours(2));
    let journal = Journal::new(store.database.audit_log(), store.clock.clone(), Arc::new(TestRandomness));
    let closed = journal.close_orphans(true).await.unwrap();
    assert!(closed > 0, "nothing was cut in the middle, {}", store.name);
    let uneven = "SELECT 1 AS n FROM audit_events GROUP BY attempt_id HAVING COUNT(*) <> 2 OR SUM(CASE WHEN outcome = 'attempted' THEN 1 ELSE 0 END) <> 1";
    assert_eq!(store.query(uneven).await.len(), 0, "{}", store.name);
    // A sync whose workers died too often is given up by the next one, in the same word.
    let interrupted = store.query("SELECT 1 AS n FROM audit_events WHERE reason = 'interrupted'").await.len() as u64;
    let given_up = store.query("SELECT 1 AS n FROM syncs WHERE status = 'failed' AND problem = 'interrupted'").await.len() as u64;
    assert_eq!(interrupted, closed + given_up, "{}: {closed} closed, {given_up} syncs given up", store.name);
    println!("{}: {closed} attempts of the dead were closed, {given_up} syncs were given up", store.name);
}

fn seed() -> u64 {
    let given = std::env::var("DASHTAM_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from_le_bytes(TestRandomness.secret()[..8].try_into().unwrap()));
    println!("DASHTAM_TEST_SEED={seed}");
    seed
}

async fn kill(cuts: usize) {
    let smtp = SmtpServer::start().await;
    let seed = seed();
    for store in every_store().await {
        let before = smtp.taken().len();
        let place = Place::over(&store, &smtp);
        let mut people = live_and_die(&place, seed, cuts).await;
        store.execute("DELETE FROM sign_in_counters").await.unwrap();
        let mut server = place.start().await;
        for person in &mut people {
            person.find_out_the_password(&place.url).await;
        }
        server.kill().unwrap();
        server.wait().unwrap();
        finish(&place).await;
        changes_are_what_the_trail_says(&place, &people).await;
        mails_are_all_there(&place, before).await;
        let verified = place.binary.run(&["audit", "verify"]);
        assert_eq!(verified.code, Some(0), "{}: {verified:?}", store.name);
        every_attempt_ends_once(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_workflows_that_are_cut_by_sigkill_leave_nothing_half_done() {
    kill(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes many minutes; for changes to units of work, the outbox or the trail"]
async fn two_thousand_workflows_that_are_cut_by_sigkill_leave_nothing_half_done() {
    kill(1000).await;
}
