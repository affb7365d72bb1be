//! Taking everything along: all of it, nobody else's, safe to open, in little memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read as _},
    time::Duration as Pause,
};

use chrono::Duration;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::harness::{
    app::TestApp,
    bank::{posted, reported_account},
    binary::Binary,
    client::{Answer, Client},
};

use super::prove;

async fn ask(client: &Client<'_>) -> Answer {
    client.ask("mutation { exportMyData { export { id path expiresAt } userErrors { code message } } }").await
}

/// Leave to fetch everything; answers the path.
async fn path(client: &Client<'_>) -> String {
    prove(client).await;
    ask(client).await.succeeds()["export"]["path"].as_str().unwrap().to_owned()
}

/// The files of an archive.
struct Unpacked(BTreeMap<String, String>);

impl Unpacked {
    fn read(bytes: &[u8]) -> Self {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut files = BTreeMap::new();
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).unwrap();
            let (name, mut text) = (entry.name().unwrap().into_owned(), String::new());
            entry.read_to_string(&mut text).unwrap();
            files.insert(name, text);
        }
        Self(files)
    }

    async fn fetch(client: &Client<'_>, path: &str) -> Self {
        let response = client.request(reqwest::Method::GET, path).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((response.status().as_u16(), header("content-type"), header("cache-control")), (200, "application/zip".to_owned(), "no-store".to_owned()));
        assert_eq!(header("content-disposition"), "attachment; filename=\"dashtam-export-2026-11-23.zip\"");
        Self::read(&response.bytes().await.unwrap())
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        self.0[&format!("{name}.jsonl")].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn csv(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        csv::Reader::from_reader(self.0[&format!("{name}.csv")].as_bytes()).deserialize().map(Result::unwrap).collect()
    }

    fn manifest(&self) -> Value {
        serde_json::from_str(&self.0["manifest.json"]).unwrap()
    }

    fn spells(&self, needle: &str) -> bool {
        self.0.values().any(|text| text.contains(needle))
    }
}

#[tokio::test]
async fn everything_of_ones_own_is_in_it_twice_and_the_manifest_names_it() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        bob.link_sandbox().await;
        ann.link_sandbox().await;
        ann.import("mine.ofx", include_str!("../fixtures/ofx/broken-rows.ofx"), None).await.succeeds();
        ann.mutate("requestPasswordReset", "accepted", json!({ "email": "ann@example.com" })).await.succeeds();
        let archive = Unpacked::fetch(&ann, &path(&ann).await).await;

        let manifest = archive.manifest();
        assert_eq!(
            (&manifest["format"], &manifest["schemaVersion"], &manifest["createdAt"]),
            (&json!("dashtam-export"), &json!(1), &json!("2026-11-23T12:00:00Z"))
        );
        let named: BTreeSet<_> = manifest["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect();
        let held: BTreeSet<_> = archive.0.keys().filter(|name| *name != "manifest.json").cloned().collect();
        assert_eq!(named, held);
        for file in manifest["files"].as_array().unwrap() {
            let (name, rows) = (file["name"].as_str().unwrap(), usize::try_from(file["rows"].as_u64().unwrap()).unwrap());
            let text = &archive.0[name];
            let digest = Sha256::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            assert_eq!((file["sha256"].as_str().unwrap(), file["bytes"].as_u64().unwrap()), (digest.as_str(), text.len() as u64), "{name}");
            let list = name.split_once('.').unwrap().0;
            assert_eq!((archive.rows(list).len(), archive.csv(list).len()), (rows, rows), "{name}");
            assert!(!file["about"].as_str().unwrap().is_empty());
        }

        let owner = app.user_id("ann").await;
        for list in [
            "accounts",
            "transactions",
            "transaction_references",
            "balance_snapshots",
            "holdings",
            "syncs",
            "imports",
            "sessions",
            "links",
            "outbox",
            "mail_tokens",
        ] {
            let rows = app.store.query(&format!("SELECT COUNT(*) AS n FROM {list} WHERE user_id = {}", app.store.literal(owner.0))).await;
            let expected = usize::try_from(rows[0].try_get::<i64>("", "n").unwrap()).unwrap();
            assert!(expected > 0 && archive.rows(list).len() == expected, "{list}: {expected}");
        }
        let profile = &archive.rows("profile")[0];
        assert_eq!((&profile["email"], &profile["isActive"], &profile["createdAt"]), (&json!("ann@example.com"), &json!(true), &json!("2026-11-23T12:00:00Z")));
        // As the graph has it: exact amounts as text, days and instants.
        let shown = ann.ask("{ viewer { transactions(first: 1) { totalCount nodes { postedOn description amount { amount currency } } } } }").await.data();
        let shown = &shown["viewer"]["transactions"]["nodes"][0];
        assert!(
            archive.rows("transactions").iter().any(|row| {
                row["description"] == shown["description"] && row["amount"] == shown["amount"]["amount"] && row["postedOn"] == shown["postedOn"]
            })
        );
        assert!(archive.rows("imports")[0]["problems"].as_array().is_some_and(|problems| !problems.is_empty()), "JSON stays JSON");
        assert!(
            archive
                .rows("audit_events")
                .iter()
                .any(|event| event["act"] == "import_statement" && event["outcome"] == "succeeded" && event["ip"] == "127.0.0.1")
        );
        assert!(archive.rows("audit_events").iter().any(|event| event["act"] == "fetch_export" && event["outcome"] == "attempted"));

        let of_bob = bob.ask("{ viewer { id transactions(first: 100) { nodes { id } } sessions(first: 10) { nodes { id } } } }").await.data();
        assert!(!archive.spells("bob@example.com") && !of_bob.to_string().is_empty());
        let bobs = app.user_id("bob").await.0.to_string();
        assert!(!archive.spells(&bobs));
        app.every_attempt_ended_once().await;
    }
}

/// What is left out of an export, and why. Whatever else a table about users has must be in it.
const WITHHELD: [(&str, &str); 27] = [
    ("payloads.sealed", "made from what was brought in, without the numbers"),
    ("link_budgets.*", "how often a provider was asked lately"),
    ("link_pauses.*", "for how long a provider is not asked"),
    ("users.password", "a secret"),
    ("users.email_key", "made from the address"),
    ("users.erasure_began_at", "nobody can ask any more once it is set"),
    ("accounts.fingerprint_key_id", "what accounts are recognised by, under a key of ours"),
    ("accounts.fingerprint_hash", "what accounts are recognised by, under a key of ours"),
    ("transactions.amount_scale", "the amount is written out"),
    ("imports.digest", "a hash of a file its owner has"),
    ("import_statements.fingerprints", "what accounts are recognised by, under a key of ours"),
    ("outbox.payload", "ids of tokens"),
    ("outbox.lane", "which mails wait for one another"),
    ("outbox.position", "which mails wait for one another"),
    ("mail_tokens.key_id", "of a secret"),
    ("mail_tokens.hash", "of a secret"),
    ("second_factors.sealed_secret", "a secret"),
    ("second_factors.last_step", "what a device last showed"),
    ("recovery_codes.key_id", "of a secret"),
    ("recovery_codes.hash", "of a secret"),
    ("sign_in_challenges.hash", "of a secret"),
    ("sign_in_challenges.password_digest", "of a secret"),
    ("email_changes.confirmation_token_id", "of a secret"),
    ("email_changes.revert_token_id", "of a secret"),
    ("erased_users.*", "nobody is left to ask"),
    ("change_heads.*", "a count of the rows of changes"),
    ("audit_person.*", "read through audit_events"),
];

/// Tables of secrets and of walks to banks, of which other lists say that they were.
const SECRETS: [&str; 3] = ["refresh_tokens", "credentials", "authorizations"];

#[tokio::test]
async fn whatever_is_kept_about_a_user_is_exported_or_withheld_for_a_reason() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let archive = Unpacked::fetch(&ann, &path(&ann).await).await;
        let mut missing = Vec::new();
        for (table, columns) in app.store.columns().await {
            let is_about_users = table == "users" || columns.iter().any(|column| column == "user_id");
            let is_withheld = |column: &str| WITHHELD.iter().any(|(name, _)| *name == format!("{table}.{column}") || *name == format!("{table}.*"));
            if !is_about_users || SECRETS.contains(&table.as_str()) {
                continue;
            }
            let list = if table == "users" { "profile" } else { table.as_str() };
            let header = archive.0.get(&format!("{list}.csv")).and_then(|csv| csv.lines().next()).unwrap_or_default().to_owned();
            let shown: BTreeSet<_> = header.split(',').map(|name| name.trim_matches('"').to_owned()).collect();
            missing.extend(
                columns
                    .iter()
                    .filter(|column| *column != "user_id" && !is_withheld(column) && !shown.contains(&camel(column)))
                    .map(|column| format!("{table}.{column}")),
            );
        }
        assert_eq!(missing, [""; 0], "{}", app.store.name);
    }
}

fn camel(column: &str) -> String {
    let mut words = column.split('_');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |text, word| text + &word[..1].to_uppercase() + &word[1..])
}

#[tokio::test]
async fn no_secret_leaves_with_it() {
    for app in TestApp::on_every_store().await {
        let mut account = reported_account("1234567890123", 100);
        "Everyday".clone_into(&mut account.name);
        app.bank.script(|script| script.accounts = vec![(account, vec![posted("r1", "2026-11-20", -100, "Coffee")])]);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        let user = app.stored_user("ann").await;
        let archive = Unpacked::fetch(&ann, &path(&ann).await).await;
        let refresh = ann.refresh_token.clone().unwrap();
        let (selector, verifier) = refresh.split_once('.').unwrap();
        for secret in
            [user.password.0.as_str(), "first-access-canary", "first-refresh-canary", "1234567890123", selector, verifier, ann.access_token.as_ref().unwrap()]
        {
            assert!(!archive.spells(secret), "{secret}");
        }
    }
}

#[tokio::test]
async fn it_takes_a_fresh_proof_and_ones_own_token_for_five_minutes() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        ask(&ann).await.is_refused("REAUTHENTICATION_REQUIRED");
        ask(&app.nobody()).await.is_fault("UNAUTHENTICATED");
        assert_eq!(app.count("exports").await, 0);
        let path = path(&ann).await;
        app.nobody().get(&path).await.is_problem(401, "UNAUTHENTICATED");
        let token = ann.access_token.clone().unwrap();
        app.nobody().get(&format!("{path}?access_token={token}")).await.is_problem(401, "UNAUTHENTICATED");
        app.nobody().bearing("nonsense").get(&path).await.is_problem(401, "UNAUTHENTICATED");
        let absent = "/exports/export_01h455vb4pex5vsknk084sn02q";
        let foreign = bob.get(&path).await;
        foreign.is_problem(404, "NOT_FOUND");
        assert_eq!(foreign.comparable().replace(&path, ""), bob.get(absent).await.comparable().replace(absent, ""));
        ann.get("/exports/x").await.is_problem(404, "NOT_FOUND");
        let head = ann.send(ann.request(reqwest::Method::HEAD, &path)).await;
        assert_eq!(head.status, 405, "what is packed is meant to be read");
        app.pass(Duration::minutes(5) - Duration::microseconds(1));
        for _ in 0..2 {
            assert_eq!(Unpacked::fetch(&ann, &path).await.rows("profile").len(), 1, "it works until its time is over");
        }
        app.pass(Duration::microseconds(1));
        ann.get(&path).await.is_problem(404, "NOT_FOUND");
        ann.revoke(ann.session_id.as_ref().unwrap()).await.succeeds();
        ann.get(&path).await.is_problem(401, "UNAUTHENTICATED");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_spreadsheet_takes_nothing_in_it_for_a_formula() {
    for app in TestApp::on_every_store().await {
        let armed =
            ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "  =1", "'=1", "\u{ff1d}1", "a\"=1\",\r\n=2", "ordinary; text, with \"quotes\""];
        let rows = armed.iter().enumerate().map(|(at, text)| posted(&format!("r{at}"), "2026-11-20", -1250, text)).collect();
        app.bank.reports(rows);
        let ann = app.signed_in("ann").await;
        ann.link_scripted().await;
        app.work().await;
        let archive = Unpacked::fetch(&ann, &path(&ann).await).await;
        let as_it_is: BTreeSet<_> = archive.rows("transactions").iter().map(|row| row["description"].as_str().unwrap().to_owned()).collect();
        let stored = app.store.query("SELECT description FROM transactions").await;
        let stored: BTreeSet<String> = stored.iter().map(|row| row.try_get("", "description").unwrap()).collect();
        assert_eq!(as_it_is, stored, "JSON Lines has every text as it is");
        assert_eq!(as_it_is.len(), armed.len());
        for row in archive.csv("transactions") {
            let text = &row["description"];
            let first = text.trim_start().chars().next().unwrap();
            assert!(!"=+-@\u{ff1d}".contains(first) && !text.starts_with(char::is_control), "{text:?}");
            assert!(as_it_is.contains(text) || as_it_is.contains(text.strip_prefix('\'').unwrap()), "{text:?}");
            assert_eq!(row["amount"], "-12.50", "numbers of ours stay numbers");
        }
    }
}

#[tokio::test]
async fn one_that_cannot_be_finished_is_not_handed_out() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let path = path(&ann).await;
        ann.link_scripted().await;
        app.store.execute("ALTER TABLE outbox RENAME TO hidden").await.unwrap();
        ann.get(&path).await.is_problem(500, "INTERNAL");
        app.store.execute("ALTER TABLE hidden RENAME TO outbox").await.unwrap();
        assert_eq!(app.outcomes("fetch_export").await, [("failed".to_owned(), Some("internal".to_owned()))]);
        Unpacked::fetch(&ann, &path).await;
        app.every_attempt_ended_once().await;
    }
}

#[test]
fn the_operator_writes_one_to_a_file_of_their_own_and_it_takes_little_memory() {
    let binary = Binary::in_development();
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    let small = peak_of_an_export(&binary, "small.zip");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = 40_000;
    runtime.block_on(fill(&binary, rows));
    let large = peak_of_an_export(&binary, "large.zip");
    // Forty megabytes of text are in it.
    assert!(large < small + 16 * 1024, "{small} kB for nothing, {large} kB for {rows} rows");
    let archive = Unpacked::read(&std::fs::read(binary.folder().join("large.zip")).unwrap());
    assert_eq!(archive.rows("transactions").len(), rows);
    assert!(archive.rows("audit_events").iter().any(|event| event["act"] == "fetch_export" && event["actorKind"] == "command_line"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(binary.folder().join("large.zip")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = binary.run(&["user", "export", "ann@example.com", "--output", "small.zip"]);
    assert!(again.code == Some(1) && again.err.contains("a file that is there stays as it is"), "{again:?}");
    assert_eq!(binary.run(&["user", "export", "nobody@example.com", "--output", "nobody.zip"]).code, Some(1));
    assert!(!binary.folder().join("nobody.zip").exists());
}

/// Exports by command; answers the most memory it took, in kB.
fn peak_of_an_export(binary: &Binary, output: &str) -> u64 {
    let mut child = binary.shell(&format!("exec dashtam user export ann@example.com --output {output}")).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().trim_end_matches(" kB").parse().ok());
        peak = now.unwrap_or(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Pause::from_millis(5));
    };
    assert!(ended.success() && peak > 0);
    peak
}

/// Gives the one user an account with many transactions of a thousand characters each.
async fn fill(binary: &Binary, rows: usize) {
    use sea_orm::ConnectionTrait as _;
    let file = binary.folder().join("dashtam-data/dashtam.db");
    let database = sea_orm::Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    let at = "'2026-11-23T12:00:00+00:00'";
    let statements = [
        format!(
            "INSERT INTO links (id, user_id, provider, status, created_at) SELECT x'01900000000070008000000000000001', id, 'sandbox', 'active', {at} FROM users"
        ),
        format!(
            "INSERT INTO accounts (id, user_id, link_id, fingerprint_key_id, fingerprint_hash, name, type, currency, is_active, created_at) \
             SELECT x'01900000000070008000000000000002', id, x'01900000000070008000000000000001', 'k', x'00', 'Everyday', 'checking', 'USD', TRUE, {at} FROM users"
        ),
        format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows}) \
             INSERT INTO transactions (id, user_id, account_id, amount, amount_scale, currency, type, subtype, status, posted_on, description, created_at, updated_at) \
             SELECT randomblob(16), users.id, x'01900000000070008000000000000002', -n, 4, 'USD', 'payment', 'purchase', 'posted', '2026-11-23', hex(randomblob(500)), {at}, {at} \
             FROM numbers, users"
        ),
    ];
    for statement in statements {
        database.execute_unprepared(&statement).await.unwrap();
    }
    database.close().await.unwrap();
}
