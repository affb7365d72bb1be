//! The doctor: each check is shown a place where all is well, and one that was broken for it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::mpsc,
};

use chrono::Duration;
use dashtam::{
    app::{
        Surroundings, Visitor,
        doctor::{Finding, State, examine},
    },
    application::ports::ProviderFault,
    config::{Config, Environment},
    domain::time::Clock,
};
use serde_json::{Value, json};

use crate::harness::{
    app::{PASSWORD, TOKEN_SECRET, TestApp},
    binary::Binary,
    clock::TestClock,
    redis::redis,
    stores::{ServerDatabase, TestStore, every_store},
};

const JWT: (&str, &str) = ("DASHTAM_JWT__SECRET", "uS0c7Qm2vXnYt5LkPz8RbHaD4wGjE6fTq1iNsOyKdBeWlCrM");
const RING: (&str, &str) = ("DASHTAM_ENCRYPTION__KEYS", "k7:vJ2mX0qLr9TzKc4WbYh7NsEa1PdGf8Ui5OoQxRtM3lE=");
const DEVELOPMENT: (&str, &str) = ("DASHTAM_ENVIRONMENT", "development");
const FREE: (&str, &str) = ("DASHTAM_BIND", "127.0.0.1:0");
const PUBLIC: [(&str, &str); 2] = [("DASHTAM_PUBLIC_URL", "https://money.example.com"), ("DASHTAM_TRUSTED_PROXIES", "10.0.0.0/8")];

/// What a doctor found, from the binary or from the library.
struct Report(Vec<(String, &'static str, String)>);

impl Report {
    fn of(findings: Vec<Finding>) -> Self {
        let state = |state| match state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        let entry = |finding: Finding| (finding.check.to_owned(), state(finding.state), format!("{} → {}", finding.finding, finding.remedy));
        Self(findings.into_iter().map(entry).collect())
    }

    /// Asserts that a check found something of that state, in those words.
    #[track_caller]
    fn says(&self, check: &str, state: &str, words: &[&str]) -> &Self {
        let found = self.0.iter().any(|(of, as_state, text)| of == check && *as_state == state && words.iter().all(|word| text.contains(word)));
        assert!(found, "no {state} of {check} with {words:?} in {:#?}", self.0);
        self
    }

    /// Asserts that a check found nothing to complain of.
    #[track_caller]
    fn is_content_with(&self, check: &str) -> &Self {
        let mut of_it = self.0.iter().filter(|(of, ..)| of == check).peekable();
        assert!(of_it.peek().is_some() && of_it.all(|(_, state, _)| *state == "ok"), "{check}: {:#?}", self.0);
        self
    }

    /// Asserts that nothing failed.
    #[track_caller]
    fn is_healthy(&self) -> &Self {
        assert!(self.0.iter().all(|(_, state, _)| *state != "fail"), "{:#?}", self.0);
        self
    }
}

/// Runs the binary's doctor: its exit code is 1 when something failed, and its answer is one line of JSON.
#[track_caller]
fn doctor(binary: &Binary, arguments: &[&str]) -> Report {
    let finished = binary.run(&[&["doctor", "--json"], arguments].concat());
    assert!(!finished.out.contains("canary") && !finished.err.contains("canary"), "a secret was told: {finished:?}");
    let answer: Value = serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("{finished:?}"));
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = answer["checks"].as_array().unwrap().iter();
    let state = |check: &Value| ["ok", "warn", "fail"].into_iter().find(|state| check["state"] == *state).unwrap();
    let report = Report(checks.map(|check| (text(check, "check"), state(check), format!("{} → {}", text(check, "finding"), text(check, "remedy")))).collect());
    let failed = report.0.iter().any(|(_, state, _)| *state == "fail");
    assert_eq!((answer["healthy"].as_bool(), finished.code), (Some(!failed), Some(i32::from(failed))), "{finished:?}");
    report
}

fn development(more: &[(&str, &str)]) -> Binary {
    Binary::with(&[&[DEVELOPMENT, FREE], more].concat())
}

/// The library's doctor over a store, by this machine's clock, in a data folder of its own.
async fn over(store: &TestStore, change: impl FnOnce(&mut Config)) -> Report {
    let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    let mut config = Config { environment: Environment::Development, data_dir: folder.path().to_owned(), ..Config::default() };
    config.bind = FREE.1.parse().unwrap();
    config.database_url = Some(store.url.clone().into());
    config.jwt.secret = Some(JWT.1.into());
    config.encryption.keys = Some(RING.1.into());
    change(&mut config);
    Report::of(examine(&config, Surroundings::real().unwrap().clock.as_ref()).await)
}

/// A mail server that answers with these words first, and tells what it was told.
fn mail_server(greeting: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        write!(stream, "{greeting}\r\n").unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            let answer = if line == "QUIT" { "221 bye" } else { "250 mail.example.com" };
            // Whoever hung up hears nothing, and not every test listens.
            let _unheard = write!(stream, "{answer}\r\n");
            let _untold = told.send(line);
        }
    });
    (url, heard)
}

#[tokio::test]
async fn a_trail_that_nobody_seals_or_signs_is_told() {
    for store in every_store().await {
        over(&store, |_| {}).await.says("audit", "ok", &["position 0, 0 events not sealed yet, nothing signed yet"]);
        // Recorded by the test's clock, which is behind this machine's.
        store.clock.pass(Duration::days(-400));
        store.user("ann@example.com").await;
        over(&store, |_| {}).await.says("audit", "warn", &["position 0, 2 events not sealed yet", "start a server"]).is_healthy();
        let trail = crate::audit::Trail::over(store);
        trail.keeper.close().await.unwrap();
        over(&trail.store, |_| {}).await.says("audit", "ok", &["position 2, 0 events not sealed yet, signed up to 2 at 2025-"]);
        trail.store.user("bob@example.com").await;
        trail.store.database.chain_store().seal().await.unwrap();
        over(&trail.store, |_| {}).await.says("audit", "warn", &["position 4", "signed up to 2", "signs the rest"]).is_healthy();
    }
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    found.sort();
    found
}

#[test]
fn before_the_first_start_all_is_well_in_development_and_nothing_is_made() {
    let binary = development(&[]);
    let report = doctor(&binary, &[]);
    for check in ["configuration", "data folder", "disk", "database", "migrations", "keys", "mail", "providers", "clock", "address"] {
        report.is_content_with(check);
    }
    assert_eq!(contents(binary.folder()), []);
    let spoken = binary.run(&["doctor"]).succeeds();
    assert_eq!(spoken.lines().count(), 10, "{spoken}");
    assert!(spoken.lines().all(|line| line.starts_with("ok    ")) && !spoken.contains('\x1b'), "{spoken}");
}

#[test]
fn states_are_coloured_on_a_terminal_and_nowhere_else() {
    let coloured = development(&[]).run_on_a_terminal(&["doctor"]);
    assert!(coloured.out.contains("\x1b[32mok  \x1b[0m  configuration"), "{coloured:?}");
    let failing = Binary::with(&[FREE]).run_on_a_terminal(&["doctor"]);
    assert!(failing.code == Some(1) && failing.out.contains("\x1b[33mwarn\x1b[0m") && failing.out.contains("\x1b[31mFAIL\x1b[0m"), "{failing:?}");
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = development(&[plain]).run_on_a_terminal(&["doctor"]);
        assert!(plain.out.starts_with("ok    configuration") && !plain.out.contains('\x1b'), "{plain:?}");
    }
    assert!(development(&[("NO_COLOR", "")]).run_on_a_terminal(&["doctor"]).out.contains("\x1b[32m"), "empty is as good as not set");
}

#[test]
fn a_production_that_lacks_everything_is_told_all_of_it_at_once() {
    let binary = Binary::with(&[FREE]);
    doctor(&binary, &[])
        .says("configuration", "warn", &["http://127.0.0.1:0", "DASHTAM_PUBLIC_URL"])
        .says("keys", "fail", &["DASHTAM_JWT__SECRET and DASHTAM_ENCRYPTION__KEYS are not set", "openssl rand"])
        .says("mail", "fail", &["DASHTAM_SMTP__URL is not set", "export DASHTAM_SMTP__URL"]);
    let finished = binary.run(&["doctor"]);
    assert!(finished.code == Some(1) && finished.err.contains("2 of 10 checks failed"), "{finished:?}");
    assert!(finished.out.lines().any(|line| line.starts_with("FAIL  mail ") && line.contains(" → ")), "{finished:?}");
}

#[tokio::test]
async fn a_redis_is_looked_for_where_one_is_configured() {
    doctor(&development(&[("DASHTAM_REDIS_URL", "redis://:canary@127.0.0.1:1")]), &[])
        .says("redis", "warn", &["no connection", "DASHTAM_REDIS_URL"])
        .is_healthy();
    let report = doctor(&development(&[]), &[]);
    assert!(report.0.iter().all(|(check, ..)| check != "redis"), "{:?}", report.0);
    if let Some(redis) = redis().await {
        let url = redis.url.clone();
        let report = tokio::task::spawn_blocking(move || doctor(&development(&[("DASHTAM_REDIS_URL", &url)]), &[])).await.unwrap();
        report.says("redis", "ok", &["Redis "]).is_healthy();
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_finding_and_the_only_one() {
    let report = doctor(&development(&[("DASHTAM_NONSENSE", "canary"), ("DASHTAM_BINDD", "canary")]), &[]);
    report.says("configuration", "fail", &["DASHTAM_NONSENSE is not a setting", "did you mean DASHTAM_BIND?"]);
    assert_eq!(report.0.len(), 1);
    doctor(&development(&[]), &["--config", "missing.toml"]).says("configuration", "fail", &["missing.toml"]);
    doctor(&development(&[("DASHTAM_CORS__ORIGINS", "canary")]), &[]).says("configuration", "fail", &["DASHTAM_CORS__ORIGINS, number 1, is not an origin"]);
    doctor(&development(&[("DASHTAM_RATE_LIMITS__ENABLED", "canary")]), &[]).says("configuration", "fail", &["DASHTAM_RATE_LIMITS__ENABLED is true or false"]);
}

#[test]
fn a_data_folder_that_cannot_be_written_or_that_others_read_is_told() {
    let binary = development(&[]);
    let file = binary.file("plain", "a file is no folder");
    doctor(&binary, &["--data-dir", &file]).says("data folder", "fail", &["plain", "DASHTAM_DATA_DIR"]);
    // Where nothing can be written, not even by root, and where no room is left.
    if cfg!(target_os = "linux") {
        doctor(&binary, &["--data-dir", "/proc/dashtam"]).says("data folder", "fail", &["/proc"]).says("disk", "fail", &["0 MiB free", "make room"]);
    }
    let folder = binary.folder().join("open");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("keys.toml"), "").unwrap();
    for (path, mode) in [(folder.clone(), 0o755), (folder.join("keys.toml"), 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let report = doctor(&binary, &["--data-dir", "open"]);
    report.says("data folder", "warn", &["open", "chmod 700 open"]).says("data folder", "warn", &["chmod 600 open/keys.toml"]);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(folder.join("keys.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    doctor(&binary, &["--data-dir", "open"]).is_content_with("data folder").says("keys", "fail", &["keys.toml is damaged"]);
}

#[test]
fn a_database_that_is_none_or_does_not_answer_is_told_and_the_rest_is_looked_at() {
    let binary = development(&[]);
    binary.file("dashtam.db", &"this is a letter and no database; ".repeat(100));
    let folder = binary.folder().to_str().unwrap().to_owned();
    let report = doctor(&binary, &["--data-dir", &folder]);
    report
        .says("database", "fail", &["not a database", "DASHTAM_DATA_DIR"])
        .says("migrations", "warn", &["not looked at"])
        .is_content_with("mail")
        .is_content_with("address");
    let gone = development(&[("DASHTAM_DATABASE_URL", "postgres://dashtam:canary@127.0.0.1:1/nothing"), JWT, RING]);
    let report = doctor(&gone, &[]);
    report.says("database", "fail", &["refused", "DASHTAM_DATABASE_URL"]).says("migrations", "warn", &["not looked at"]);
    report.is_content_with("keys").is_content_with("clock").is_content_with("address");
    doctor(&development(&[("DASHTAM_DATABASE_URL", "mysql://canary"), JWT, RING]), &[]).says("database", "fail", &["must begin with sqlite: or postgres:"]);
}

#[tokio::test]
async fn a_store_in_use_is_well_and_looking_at_it_changes_nothing() {
    for store in every_store().await {
        let report = over(&store, |_| {}).await;
        for check in ["data folder", "database", "migrations", "keys", "clock", "address"] {
            report.is_content_with(check);
        }
        if store.is_postgres() {
            report.says("database", "ok", &["PostgreSQL 1"]).says("clock", "ok", &["ms from the database's clock"]);
        }
    }
    // At rest, a file gets no log beside it, and not one byte of it moves.
    let binary = development(&[]);
    binary.run(&["migrate", "up"]).succeeds();
    let before = contents(&binary.folder().join("dashtam-data"));
    doctor(&binary, &[]).is_content_with("database").is_content_with("migrations");
    assert!(before == contents(&binary.folder().join("dashtam-data")) && before.len() == 1);
}

#[tokio::test]
async fn migrations_that_are_pending_or_of_a_later_version_are_told() {
    for store in every_store().await {
        store.database.migrate_down(1).await.unwrap();
        over(&store, |_| {}).await.says("migrations", "warn", &["1 of ", "pending", "dashtam migrate up"]).is_healthy();
        store.database.migrate_up().await.unwrap();
        store.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m99991231_000001_of_tomorrow', 0)").await.unwrap();
        over(&store, |_| {}).await.says("migrations", "fail", &["m99991231_000001_of_tomorrow", "a later one"]);
    }
}

#[tokio::test]
async fn a_postgresql_that_is_too_old_or_lacks_the_database_is_told() {
    let Ok(server) = std::env::var("TEST_DATABASE_URL") else { return every_store().await.truncate(0) };
    for store in every_store().await.iter().filter(|store| store.is_postgres()) {
        let url: url::Url = store.url.parse().unwrap();
        let database = url.path().trim_start_matches('/');
        // In front of the server's own functions stands one that tells another version.
        store.execute("CREATE SCHEMA old").await.unwrap();
        store.execute("CREATE FUNCTION old.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT '140012' $$").await.unwrap();
        store.execute(&format!("ALTER DATABASE {database} SET search_path = old, pg_catalog, public")).await.unwrap();
        over(store, |_| {}).await.says("database", "fail", &["PostgreSQL 14.12 is too old", "15 or later"]);
    }
    let dropped = ServerDatabase::create(&server, None).await;
    let url = dropped.url();
    drop(dropped);
    let missing = development(&[("DASHTAM_DATABASE_URL", &url), JWT, RING]);
    doctor(&missing, &[]).says("database", "fail", &["does not exist", "DASHTAM_DATABASE_URL"]);
}

#[test]
fn keys_that_are_missing_short_guessable_or_those_of_the_manual_are_told() {
    let with = |jwt: &str, ring: &str| doctor(&development(&[("DASHTAM_JWT__SECRET", jwt), ("DASHTAM_ENCRYPTION__KEYS", ring)]), &[]);
    with(JWT.1, RING.1).is_content_with("keys");
    with("short-canary", RING.1).says("keys", "fail", &["DASHTAM_JWT__SECRET is shorter than 32 bytes"]);
    with(JWT.1, "k1:canary").says("keys", "fail", &["\"k1\""]);
    with(&"canary".repeat(10), RING.1).says("keys", "fail", &["DASHTAM_JWT__SECRET can be guessed", "openssl rand"]);
    let zeros = format!("k2:{}=", "A".repeat(43));
    with(JWT.1, &format!("{},{zeros}", RING.1)).says("keys", "fail", &["DASHTAM_ENCRYPTION__KEYS can be guessed"]);
    with(JWT.1, "k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=").says("keys", "fail", &["the one of the manual"]);
    doctor(&development(&[JWT]), &[]).says("keys", "fail", &["DASHTAM_ENCRYPTION__KEYS is not set"]);
    doctor(&development(&[JWT, RING, ("DASHTAM_JWT__PREVIOUS", &"0123".repeat(16))]), &[]).says("keys", "fail", &["DASHTAM_JWT__PREVIOUS can be guessed"]);
}

#[tokio::test]
async fn keys_that_do_not_open_what_was_sealed_are_told() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        ann.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
        ann.ask("mutation { beginSecondFactor { userErrors { code } } }").await.succeeds();
        let theirs = format!("t1:{}=", "A".repeat(43));
        let with =
            async |ring: String| over(&app.store, |config| (config.jwt.secret, config.encryption.keys) = (Some(TOKEN_SECRET.into()), Some(ring.into()))).await;
        with(theirs.clone()).await.says("keys", "ok", &["they open what was sealed with them (2 tried)"]);
        with(format!("{},{theirs}", RING.1)).await.says("keys", "ok", &["(2 tried)"]);
        let idle = "the old key k7 is kept, and nothing needs it";
        with(format!("{theirs},{}", RING.1)).await.says("keys", "warn", &[idle, "take it out of"]);
        assert!(!with(format!("{},{theirs}", RING.1)).await.0.iter().any(|(_, _, text)| text.contains("the old key")), "theirs is needed");
        with(RING.1.to_owned()).await.says("keys", "fail", &["2 of 2 sealed secrets", "put the key that sealed them back"]);
    }
}

#[test]
fn a_mail_server_is_greeted_and_sent_nothing_or_its_absence_is_told() {
    let with = |url: &str| {
        doctor(&Binary::with(&[FREE, PUBLIC[0], PUBLIC[1], JWT, RING, ("DASHTAM_SMTP__URL", url), ("DASHTAM_SMTP__FROM", "money@example.com")]), &[])
    };
    let (url, heard) = mail_server("220 mail.example.com ESMTP");
    let report = with(&url);
    report.is_healthy().says("mail", "ok", &["takes our greeting"]).is_content_with("configuration");
    doctor(&Binary::with(&[FREE, PUBLIC[0]]), &[]).says("configuration", "warn", &["everyone seems to come from there", "DASHTAM_TRUSTED_PROXIES"]);
    let told: Vec<String> = heard.iter().collect();
    assert!(told.iter().any(|line| line.starts_with("EHLO")) && told.iter().all(|line| !line.starts_with("MAIL")), "{told:?}");
    with(&mail_server("554 go away").0).says("mail", "fail", &["554", "DASHTAM_SMTP__URL"]);
    with("smtp://dashtam:canary@127.0.0.1:1").says("mail", "fail", &["refused"]);
    with(&format!("{}?tls=required", mail_server("220 without TLS").0)).says("mail", "fail", &["does not take our greeting"]);
    with("smtp://127.0.0.1:1?tls=canary").says("mail", "fail", &["cannot be read"]);
}

#[test]
fn what_can_be_linked_is_told() {
    let lacking = "Charles Schwab cannot: This server has no app at Schwab: DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID and DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET";
    let linkable = "Sandbox Bank, Alpaca, SimpleFIN, Statement files can be linked";
    doctor(&development(&[]), &[]).says("providers", "ok", &[linkable, lacking]);
    let without = development(&[("DASHTAM_PROVIDERS__SIMPLEFIN__HOSTS", "")]);
    doctor(&without, &[]).says("providers", "ok", &["SimpleFIN cannot: No server is listed in DASHTAM_PROVIDERS__SIMPLEFIN__HOSTS"]);
    let half = development(&[("DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET", "canary")]);
    doctor(&half, &[]).says("providers", "warn", &["DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID not set"]);
    let plain = development(&[("DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET", "canary"), ("DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID", "x")]);
    doctor(&plain, &[]).says("providers", "warn", &["https"]);
}

#[tokio::test]
async fn a_clock_that_is_far_from_the_databases_or_from_any_year_is_told() {
    for store in every_store().await {
        let by = async |clock: &dyn Clock| {
            let config = Config { database_url: Some(store.url.clone().into()), bind: FREE.1.parse().unwrap(), ..Config::default() };
            Report::of(examine(&config, clock).await)
        };
        let of_1971 = TestClock::new();
        of_1971.pass(-Duration::days(365 * 55 + 14));
        by(&of_1971).await.says("clock", "fail", &["the year 1971", "NTP"]);
        let now = Surroundings::real().unwrap().clock.now();
        for (seconds, state) in [(-3600, "fail"), (-10, "warn"), (0, "ok"), (10, "warn"), (3600, "fail")] {
            let clock = TestClock::new();
            clock.pass(now.since(clock.now()) + Duration::seconds(seconds));
            let report = by(&clock).await;
            // The embedded database has no clock to be away from.
            if store.is_postgres() {
                report.says("clock", state, &["from the database's clock"])
            } else {
                report.is_content_with("clock")
            };
        }
    }
}

#[tokio::test]
async fn an_address_that_is_taken_foreign_or_too_open_is_told_unless_we_have_it_ourselves() {
    let at = |bind: &str| doctor(&Binary::with(&[DEVELOPMENT, ("DASHTAM_BIND", "192.0.2.1:80")]), &["--bind", bind]);
    at("127.0.0.1:0").is_content_with("address");
    at("192.0.2.1:80").says("address", "fail", &["nobody can listen on 192.0.2.1:80", "DASHTAM_BIND"]);
    at("0.0.0.0:0").says("address", "warn", &["no sandbox bank"]);
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    at(&foreign.local_addr().unwrap().to_string()).says("address", "fail", &["in use"]);

    let binary = Binary::in_development();
    let demo = binary.demo();
    let ours = demo.ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let report = doctor(&binary, &["--bind", &ours, "--data-dir", "demo"]);
    report.says("address", "ok", &["a server of ours"]).says("keys", "ok", &["they open what was sealed with them"]).is_healthy();
    // Of all that its catalogue has.
    let catalogue = Visitor::new(demo.ready["url"].as_str().unwrap()).unwrap();
    let catalogue = catalogue.ask(demo.ready["accessToken"].as_str(), "{ providers { name } }", &json!({})).await.unwrap();
    let names: Vec<_> = catalogue["providers"].as_array().unwrap().iter().map(|provider| provider["name"].as_str().unwrap()).collect();
    assert!(names.len() == 5, "{names:?}");
    report.says("providers", "ok", &names);
    demo.signal("TERM");
    assert_eq!(demo.end().0, Some(0));
}

#[tokio::test]
async fn links_that_keep_failing_and_syncs_that_nobody_takes_are_told() {
    for app in TestApp::on_every_store().await {
        over(&app.store, |_| {}).await.says("syncs", "ok", &["0 wait, 0 run"]);
        over(&app.store, |config| config.sync.scheduled = false).await.says("syncs", "ok", &["links are not synced by themselves"]);
        app.bank.reports(vec![]);
        let link = app.signed_in("ann").await.link_scripted().await;
        app.pass(Duration::minutes(16));
        let waits = ["1 wait", "1 could be taken for more than 15 minutes", "start a server or a worker"];
        // The doctor looks by this machine's clock, which is later.
        over(&app.store, |_| {}).await.says("syncs", "warn", &waits);
        app.work().await;
        over(&app.store, |_| {}).await.is_content_with("syncs");
        app.bank.script(|script| script.accounts_fault = Some(ProviderFault::ServerError));
        app.signed_in("ann").await.sync(&link, true).await.succeeds();
        for _ in 0..5 {
            app.work().await;
            app.pass(Duration::minutes(15));
        }
        let failing = ["links whose last sync failed: 1, the first of them since 2026-11-23T13:", "tried again by themselves"];
        over(&app.store, |_| {}).await.says("syncs", "warn", &failing);
        app.bank.script(|script| script.accounts_fault = None);
        app.signed_in("ann").await.sync(&link, true).await.succeeds();
        app.work().await;
        over(&app.store, |_| {}).await.is_content_with("syncs");
    }
}
