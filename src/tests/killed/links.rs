//! Links that are made, renewed and synced by themselves at servers that die.
//!
//! Before each life everything is due, as if a day had passed; so a server begins with renewing and syncing while people link, and is ended
//! somewhere in there. The sandbox bank dies with it, having written down which tokens it has voided.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dashtam::app::Visitor;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    alpaca::stand_in::StandIn,
    harness::{smtp::SmtpServer, stores::every_store},
    simplefin::bridge::Bridge,
};

use super::{Place, every_attempt_ends_once, finish, seed, settle};

/// How many people link at once.
const PEOPLE: usize = 5;

/// How many servers die in each kind of store.
const DEATHS: usize = 5;

/// The longest a server lives, in milliseconds from its first answer.
const LIFE: u64 = 600;

/// The longest one lives from its first renewal, in milliseconds.
const RENEWING: u64 = 60;

/// How many keys and setup tokens one of them brings.
const MOST: usize = 8;

const PASSWORD: &str = "correct horse battery";

/// Somebody who links whatever they can.
struct Linker {
    at: usize,
    made: usize,
    access: Option<String>,
    bank: Option<String>,
    /// Whether the bank has agreed once.
    is_linked: bool,
    http: reqwest::Client,
    chance: StdRng,
}

/// Nobody answered, or not to the end.
struct Gone;

impl From<reqwest::Error> for Gone {
    fn from(_: reqwest::Error) -> Self {
        Self
    }
}

impl Linker {
    fn new(at: usize, seed: u64) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { at, made: 0, access: None, bank: None, is_linked: false, http, chance: StdRng::seed_from_u64(seed.wrapping_add(at as u64 + 101)) }
    }

    fn email(&self) -> String {
        format!("linker{}@example.com", self.at)
    }

    async fn mutate(&self, url: &str, mutation: &str, fields: &str, input: Value) -> Result<Value, Gone> {
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let document = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ code }} }} }}");
        let mut request = self.http.post(format!("{url}/graphql")).json(&json!({ "query": document, "variables": { "input": input } }));
        if let Some(access) = &self.access {
            request = request.bearer_auth(access);
        }
        let mut answer: Value = request.send().await?.json().await?;
        Ok(answer["data"][mutation].take())
    }

    async fn work(&mut self, url: &str, setup_token: &dyn Fn(&str) -> String) {
        while self.step(url, setup_token).await.is_ok() {}
    }

    async fn step(&mut self, url: &str, setup_token: &dyn Fn(&str) -> String) -> Result<(), Gone> {
        if self.access.is_none() {
            let signed_in = self.mutate(url, "createSession", "accessToken", json!({ "email": self.email(), "password": PASSWORD })).await?;
            self.access = signed_in["accessToken"].as_str().map(str::to_owned);
            return Ok(());
        }
        match self.chance.random_range(0..4) {
            0 if self.made < MOST => {
                self.made += 1;
                let input = json!({ "provider": "alpaca", "key": "AKTEST", "secret": "a-secret-canary" });
                self.mutate(url, "linkWithApiKey", "link { id }", input).await.map(drop)
            }
            1 if self.made < MOST => {
                self.made += 1;
                let token = setup_token(&format!("of-{}-{}", self.at, self.made));
                self.mutate(url, "linkWithSetupToken", "link { id }", json!({ "provider": "simplefin", "setupToken": token })).await.map(drop)
            }
            2 if self.is_linked => {
                let input = json!({ "linkId": self.bank, "force": true });
                self.mutate(url, "syncLink", "sync { id }", input).await.map(drop)
            }
            _ => self.agree(url).await,
        }
    }

    /// Goes to the bank, for the first time or once more.
    async fn agree(&mut self, url: &str) -> Result<(), Gone> {
        let fields = "link { id } authorizationUrl";
        let begun = match &self.bank {
            None => self.mutate(url, "beginLink", fields, json!({ "provider": "sandbox" })).await?,
            Some(link) => self.mutate(url, "relink", fields, json!({ "linkId": link })).await?,
        };
        let (Some(link), Some(address)) = (begun["link"]["id"].as_str(), begun["authorizationUrl"].as_str()) else { return Ok(()) };
        self.bank = Some(link.to_owned());
        Visitor::new(url).unwrap().agree(address).await.map_err(|_| Gone)?;
        self.is_linked = true;
        Ok(())
    }
}

/// Tokens that nobody has come to yet, or that somebody is at: a renewal that has ended is further away, however it ended.
fn renewals(place: &Place<'_>) -> String {
    let soon = if place.store.is_postgres() { "now() + interval '50 minutes'" } else { "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '+50 minutes')" };
    format!("credentials c JOIN links l ON l.id = c.link_id WHERE l.status = 'active' AND c.renew_at < {soon}")
}

/// As if a day had passed: everything is due, and what the dead held is free.
async fn a_day_passes(place: &Place<'_>) {
    let past = if place.store.is_postgres() { "now() - interval '1 day'" } else { "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', '-1 day')" };
    for change in [
        format!("UPDATE links SET sync_due_at = {past} WHERE status = 'active'"),
        format!("UPDATE credentials SET renew_at = {past}, held_until = NULL WHERE expires_at IS NOT NULL"),
        format!("UPDATE syncs SET started_at = {past} WHERE status = 'running'"),
    ] {
        place.store.execute(&change).await.unwrap();
    }
}

/// A server renews what is due before anything else; this one ends so long after it began to.
async fn dies_over_renewals(place: &Place<'_>, into_it: Duration) {
    a_day_passes(place).await;
    if versions(place).await.is_empty() {
        return;
    }
    // Tokens are left to a sync that is under way.
    let over = "UPDATE syncs SET status = 'failed', problem = 'superseded' WHERE status IN ('queued', 'running')";
    place.store.execute(over).await.unwrap();
    let tried = async || place.count("audit_events WHERE act = 'renew_credentials' AND outcome = 'attempted'").await;
    let (before, began, mut server) = (tried().await, Instant::now(), place.spawn());
    while tried().await == before {
        assert!(began.elapsed().as_secs() < 60, "nothing is renewed: {}", place.log());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(into_it).await;
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The attempts that nobody has ended, by act.
async fn cut(place: &Place<'_>) -> BTreeMap<String, i64> {
    let sql = "SELECT act, COUNT(*) AS n FROM audit_events AS begun WHERE outcome = 'attempted' AND NOT EXISTS (SELECT 1 FROM audit_events AS ended \
               WHERE ended.attempt_id = begun.attempt_id AND ended.outcome <> 'attempted') GROUP BY act";
    place.store.query(sql).await.iter().map(|row| (row.try_get("", "act").unwrap(), row.try_get("", "n").unwrap())).collect()
}

/// The versions of what the bank handed out, by link.
async fn versions(place: &Place<'_>) -> BTreeMap<uuid::Uuid, i64> {
    let sql = "SELECT c.link_id AS link, c.version AS version FROM credentials c JOIN links l ON l.id = c.link_id WHERE l.provider = 'sandbox' AND l.status = 'active'";
    place.store.query(sql).await.iter().map(|row| (row.try_get("", "link").unwrap(), row.try_get("", "version").unwrap())).collect()
}

async fn everything_that_was_handed_out_is_there(place: &Place<'_>, claims: usize) {
    let name = place.store.name;
    let (by_key, by_token, by_walk) =
        (place.succeeded("link_with_api_key").await, place.succeeded("link_with_setup_token").await, place.succeeded("complete_link").await);
    assert_eq!(place.count("links WHERE provider = 'alpaca' AND status = 'active'").await, by_key, "{name}");
    assert_eq!(place.count("links WHERE provider = 'simplefin' AND status = 'active'").await, by_token, "{name}");
    assert!(by_token <= i64::try_from(claims).unwrap(), "{name}");
    assert_eq!(place.count("consents").await, by_key + by_token + by_walk, "each agreement is on record, {name}");
    assert_eq!(place.count("credentials").await, place.count("links WHERE status IN ('active', 'expired')").await, "no link lost its credentials, {name}");
    let stored = "(SELECT COALESCE(SUM(version % 1048576), 0) AS stored FROM credentials) AS sums";
    let stored = place.store.query(&format!("SELECT CAST(stored AS BIGINT) AS n FROM {stored}")).await[0].try_get::<i64>("", "n").unwrap();
    assert_eq!(stored, by_key + by_token + by_walk + place.succeeded("renew_credentials").await, "what is said to be renewed is stored, {name}");
    assert_eq!(place.count("links WHERE status = 'expired' AND reason IS DISTINCT FROM 'credentials_rejected'").await, 0, "none ends in silence, {name}");
    let lost = place.count("links WHERE status = 'expired'").await;
    assert!(place.count("outbox WHERE topic = 'mail.access_lost'").await >= lost, "nor without a mail, {name}");
    // Each sync was begun by one who had the right to; what a request finds waiting it hurries, and calls its own.
    let (scheduled, requested) = (place.succeeded("schedule_sync").await, place.succeeded("request_sync").await);
    let (begun, least) = (place.count("syncs").await, scheduled + place.count("links WHERE status IN ('active', 'expired')").await);
    assert!((least..=scheduled + requested + by_key + by_token + by_walk).contains(&begun), "{begun} syncs, of which {scheduled} by the clock, {name}");
    assert!(place.count("syncs WHERE origin = 'scheduled'").await <= scheduled, "{name}");
    for twice in [
        "SELECT 1 AS n FROM transaction_references GROUP BY account_id, source, reference HAVING COUNT(*) > 1",
        "SELECT 1 AS n FROM accounts a JOIN links l ON l.id = a.link_id WHERE l.provider = 'alpaca' GROUP BY a.link_id HAVING COUNT(*) > 1",
        "SELECT 1 AS n FROM syncs WHERE status IN ('queued', 'running') GROUP BY link_id HAVING COUNT(*) > 1",
    ] {
        assert_eq!(place.store.query(twice).await.len(), 0, "{twice}, {name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_that_are_made_renewed_and_synced_while_servers_die_lose_nothing_and_double_nothing() {
    let (smtp, seed) = (SmtpServer::start().await, seed());
    let (alpaca, mut all_cut) = (StandIn::open().await, BTreeMap::<String, i64>::new());
    for store in every_store().await {
        let bridge = Bridge::with(Vec::new()).await;
        let place =
            Place::with(&store, &smtp, &[("DASHTAM_PROVIDERS__ALPACA__BASE_URL", alpaca.url.as_str()), ("DASHTAM_PROVIDERS__SIMPLEFIN__HOSTS", "127.0.0.1")]);
        let mut chance = StdRng::seed_from_u64(seed);
        let mut people: Vec<Linker> = (0..PEOPLE).map(|at| Linker::new(at, seed)).collect();
        for person in &people {
            place.binary.run_with_input(&["user", "create", &person.email(), "--tier", "pro", "--password-stdin"], PASSWORD).succeeds();
        }
        for _ in 0..DEATHS {
            dies_over_renewals(&place, Duration::from_millis(chance.random_range(0..RENEWING))).await;
            a_day_passes(&place).await;
            let mut server = place.start().await;
            let (url, token) = (place.url.clone(), |name: &str| bridge.token(name));
            let death = async {
                tokio::time::sleep(Duration::from_millis(chance.random_range(50..LIFE))).await;
                server.kill().unwrap();
                server.wait().unwrap();
            };
            let at_work = futures_util::future::join_all(people.iter_mut().map(|person| person.work(&url, &token)));
            tokio::join!(death, at_work);
        }
        for (act, times) in cut(&place).await {
            *all_cut.entry(act).or_default() += times;
        }
        // Whom every death has kept from it links the bank now.
        let mut server = place.start().await;
        for person in &mut people {
            for _ in 0..20 {
                if !person.is_linked {
                    let done = if person.access.is_none() { person.step(&place.url, &|_| String::new()).await } else { person.agree(&place.url).await };
                    assert!(done.is_ok(), "{}", place.log());
                }
            }
            assert!(person.is_linked, "{} cannot link the bank", person.email());
        }
        server.kill().unwrap();
        server.wait().unwrap();
        finish(&place).await;
        a_day_passes(&place).await;
        let before = versions(&place).await;
        settle(&place, &[&renewals(&place)]).await;
        let after = versions(&place).await;
        let is_renewed = |(link, version): (&uuid::Uuid, &i64)| before.get(link).is_none_or(|before| version > before);
        assert!(!before.is_empty() && after.iter().all(is_renewed), "what is stored opens the bank, {}: {before:?} {after:?}", store.name);
        everything_that_was_handed_out_is_there(&place, bridge.books(|books| books.claims)).await;
        assert_eq!(place.binary.run(&["audit", "verify"]).code, Some(0), "{}", store.name);
        every_attempt_ends_once(&store).await;
        let (links, expired) = (place.count("links").await, place.count("links WHERE status = 'expired'").await);
        println!("{}: {links} links, of which {expired} lost their tokens with a server", store.name);
    }
    println!("cut: {all_cut:?}");
    assert!(all_cut.len() >= 3, "work of several kinds was cut: {all_cut:?}");
}
