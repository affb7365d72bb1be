//! The binary as people run it: what each command says, how it ends, and what it leaves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod embedded;

use std::{collections::BTreeSet, net::TcpListener, time::Duration};

use dashtam::app::Visitor;
use serde_json::{Value, json};

use crate::harness::{
    binary::{Binary, Demo},
    stores::every_store,
};

const CONTRACT: &str = "{ viewer { id email accounts(first: 10) { nodes { id name type currency balances { current { amount } } transactions(first: 20) { nodes { id postedOn amount { amount currency } description category } } } } } }";
const SIGN_IN: &str = r#"mutation { createSession(input: {email: "demo@example.com", password: "wrong wrong wrong"}) { userErrors { code } } }"#;
const STATEMENT: &str = include_str!("fixtures/ofx/checking-sgml.ofx");

/// Two variables without which a server for production does not start.
const KEYS: [&str; 2] = ["DASHTAM_JWT__SECRET", "DASHTAM_ENCRYPTION__KEYS"];

/// Both, set.
const KEY_VALUES: [(&str, &str); 2] =
    [("DASHTAM_ENCRYPTION__KEYS", "k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="), ("DASHTAM_JWT__SECRET", "a token secret of thirty-two bytes or more")];

/// The third.
const MAIL: &str = "DASHTAM_SMTP__URL is not set";

async fn ask(demo: &Demo, document: &str) -> Value {
    let text = |key: &str| demo.ready[key].as_str().unwrap_or_default().to_owned();
    let request = reqwest::Client::new().post(format!("{}/graphql", text("url"))).bearer_auth(text("accessToken")).json(&json!({ "query": document }));
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

fn account_ids(answer: &Value) -> BTreeSet<String> {
    let nodes = answer["data"]["viewer"]["accounts"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
    nodes.iter().map(|node| node["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_demo_says_one_line_answers_and_finds_everything_again_at_its_next_start() {
    let binary = Binary::in_development();
    let demo = binary.demo();
    let ready = demo.ready.clone();
    let keys: BTreeSet<_> = ready.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["accessToken", "bank", "email", "password", "playground", "url"]));
    let first = ask(&demo, CONTRACT).await;
    let accounts = account_ids(&first);
    assert_eq!((accounts.len(), &first["data"]["viewer"]["email"]), (7, &ready["email"]));
    assert_eq!(reqwest::get(ready["bank"].as_str().unwrap()).await.unwrap().status(), 200);
    let page = reqwest::get(ready["playground"].as_str().unwrap()).await.unwrap();
    assert!(page.status().is_success());

    let taken = ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    binary.run(&["demo", "--bind", &taken, "--data-dir", "other"]).fails_saying(&["cannot listen on", &taken, "--bind"]);

    demo.signal("TERM");
    assert_eq!(demo.end(), (Some(0), String::new()), "nothing but the one line");

    let demo = binary.demo();
    assert_eq!((&demo.ready["email"], &demo.ready["password"]), (&ready["email"], &ready["password"]));
    assert_eq!(account_ids(&ask(&demo, CONTRACT).await), accounts);
    demo.signal("INT");
    assert_eq!(demo.end(), (Some(0), String::new()));
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_server_ends() {
    let binary = Binary::with(&[("DASHTAM_PASSWORDS__COST", "13")]);
    let demo = binary.demo();
    let (answer, ()) = tokio::join!(ask(&demo, SIGN_IN), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        demo.signal("TERM");
    });
    assert_eq!(answer["data"]["createSession"]["userErrors"][0]["code"], "INVALID_CREDENTIALS", "{answer}");
    assert_eq!(demo.end().0, Some(0));
}

#[test]
fn a_demo_is_for_this_machine_and_for_no_other_programs_database() {
    let binary = Binary::with(&[("DATABASE_URL", "postgres://127.0.0.1:1/other")]);
    binary.run(&["demo", "--bind", "0.0.0.0:0"]).fails_saying(&["this machine only", "--bind 127.0.0.1:8080"]);
    let demo = binary.demo();
    demo.signal("TERM");
    assert_eq!(demo.end().0, Some(0));
}

#[test]
fn a_server_for_production_starts_with_keys_of_its_own_or_not_at_all() {
    Binary::with(&[]).run(&["serve", "--bind", "127.0.0.1:0"]).fails_saying(&[&KEYS[..], &[MAIL]].concat());
    let postgres = ("DASHTAM_DATABASE_URL", "postgres://127.0.0.1:1/nothing");
    Binary::with(&[postgres]).run(&["serve", "--bind", "127.0.0.1:0"]).fails_saying(&KEYS);
    Binary::with(&[postgres, ("DASHTAM_ENVIRONMENT", "development")]).run(&["serve", "--bind", "127.0.0.1:0"]).fails_saying(&KEYS);
    Binary::with(&[postgres]).run(&["user", "create", "ann@example.com"]).fails_saying(&KEYS);
    let one = Binary::with(&[("DASHTAM_JWT__SECRET", "a token secret of thirty-two bytes or more")]).run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(one.err.contains("DASHTAM_ENCRYPTION__KEYS is not set"), "{one:?}");
    let ring = ("DASHTAM_ENCRYPTION__KEYS", "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    Binary::with(&[ring, ("DASHTAM_JWT__SECRET", "short-canary")]).run(&["serve"]).fails_saying(&["DASHTAM_JWT__SECRET is shorter than 32 bytes"]);
    let keys = [("DASHTAM_ENCRYPTION__KEYS", "k1:canary"), ("DASHTAM_JWT__SECRET", "a token secret of thirty-two bytes or more")];
    let damaged = Binary::with(&keys).run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(damaged.err.contains("\"k1\"") && !damaged.err.contains("canary"), "{damaged:?}");
}

#[test]
fn a_server_and_a_worker_for_production_have_a_mail_server() {
    let keys = KEY_VALUES;
    Binary::with(&keys).run(&["serve", "--bind", "127.0.0.1:0"]).fails_saying(&[MAIL]);
    let postgres = ("DASHTAM_DATABASE_URL", "postgres://dashtam:canary@127.0.0.1:1/nothing");
    Binary::with(&[&keys[..], &[postgres]].concat()).run(&["worker"]).fails_saying(&[MAIL]);
    let mail = [("DASHTAM_SMTP__URL", "smtp://127.0.0.1:1"), ("DASHTAM_SMTP__FROM", "money@example.com")];
    let ready = Binary::with(&[&keys[..], &[postgres], &mail].concat());
    for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["worker"]] {
        let missing_database = ready.run(command);
        assert!(missing_database.err.contains("DASHTAM_PUBLIC_URL is not set") && !missing_database.err.contains(MAIL), "{missing_database:?}");
        let why = [
            "the database cannot be opened; start PostgreSQL, or correct DASHTAM_DATABASE_URL",
            "connecting to PostgreSQL at 127.0.0.1:1",
            "connection refused",
        ];
        assert!(!missing_database.err.contains("canary") && !missing_database.err.contains("became free"), "{missing_database:?}");
        missing_database.fails_saying(&why);
    }
}

#[test]
fn one_of_several_processes_is_told_when_nobody_named_the_address_they_share() {
    let unreadable = ("DASHTAM_DATABASE_URL", "postgres://127.0.0.1:no-port/nothing");
    let several = |more: &[(&str, &str)]| Binary::with(&[&[("DASHTAM_ENVIRONMENT", "development"), unreadable], &KEY_VALUES[..], more].concat());
    for command in [&["serve", "--no-worker", "--bind", "127.0.0.1:0"][..], &["worker"]] {
        several(&[]).run(command).fails_saying(&["DASHTAM_PUBLIC_URL is not set", "the same for every server and worker"]);
        let told = several(&[("DASHTAM_PUBLIC_URL", "https://money.example.com")]).run(command);
        assert!(!told.err.contains("DASHTAM_PUBLIC_URL"), "{told:?}");
    }
    let alone = several(&[]).run(&["serve", "--bind", "127.0.0.1:0"]);
    assert!(!alone.err.contains("DASHTAM_PUBLIC_URL"), "{alone:?}");
}

#[test]
fn the_embedded_database_has_one_process_that_serves_and_works() {
    let binary = Binary::in_development();
    binary.run(&["worker"]).fails_saying(&["one file for one process", "DASHTAM_DATABASE_URL"]);
    binary.run(&["serve", "--no-worker", "--bind", "127.0.0.1:0"]).fails_saying(&["--no-worker needs PostgreSQL", "DASHTAM_DATABASE_URL"]);
}

#[test]
fn a_setting_nobody_knows_stops_every_command() {
    for command in [&["serve"][..], &["migrate", "status"], &["user", "create", "ann@example.com"]] {
        Binary::with(&[("DASHTAM_NONSENSE", "1")]).run(command).fails_saying(&["DASHTAM_NONSENSE is not a setting"]);
        Binary::with(&[]).run(&[command, &["--config", "missing.toml"]].concat()).fails_saying(&["missing.toml"]);
    }
    Binary::with(&[("DASHTAM_LOG", "=")]).run(&["migrate", "status"]).fails_saying(&["DASHTAM_LOG"]);
}

#[test]
fn the_schema_of_the_database_goes_up_and_down_and_says_where_it_stands() {
    let binary = Binary::with(&[]);
    let standing = || {
        let out = binary.run(&["migrate", "status"]).succeeds();
        let count = |word: &str| out.lines().filter(|line| line.starts_with(word)).count();
        (count("applied"), count("pending"))
    };
    let (none, all) = standing();
    assert!(none == 0 && all > 0);
    assert!(binary.run(&["migrate", "up"]).succeeds().starts_with(&format!("{all} applied")));
    assert!(binary.run(&["migrate", "up"]).succeeds().starts_with("0 applied"));
    assert_eq!(standing(), (all, 0));
    binary.run(&["migrate", "down"]).succeeds();
    assert_eq!(standing(), (all - 1, 1));
    binary.run(&["migrate", "down", "--steps", "100"]).succeeds();
    assert_eq!(standing(), (0, all));
    binary.run(&["migrate", "up"]).succeeds();
    assert_eq!(standing(), (all, 0));
}

#[test]
fn the_schema_of_the_graph_is_printed_as_it_is_checked_in_and_needs_no_settings() {
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    assert_eq!(Binary::with(&[("DASHTAM_NONSENSE", "1")]).run(&["schema"]).succeeds().trim_end(), kept.trim_end());
}

#[test]
fn users_are_made_once_with_a_password_worth_having_and_promoted_by_address() {
    let binary = Binary::in_development();
    let made = binary.run(&["user", "create", "ann@example.com"]).succeeds();
    let lines: Vec<_> = made.lines().collect();
    assert_eq!(lines[0], "made ann@example.com (user)");
    assert!(lines.len() == 2 && lines[1].strip_prefix("password: ").is_some_and(|password| password.len() == 24), "{made}");
    binary.run(&["user", "create", "ANN@example.com"]).fails_saying(&["exists already"]);
    let given = |email: &str, password: &str| binary.run_with_input(&["user", "create", email, "--password-stdin", "--role", "readonly"], password);
    assert_eq!(
        given("bob@example.com", "correct horse battery\nsecond line\n").succeeds(),
        "made bob@example.com (readonly)\n",
        "a password that was given is not shown"
    );
    given("cleo@example.com", "short\n").fails_saying(&["at least 12 characters"]);
    given("cleo@example.com", "").fails_saying(&["at least 12 characters"]);
    given("cleo@example.com", &"x".repeat(129)).fails_saying(&["at most 128 characters"]);
    given("cleopatra@example.com", "my name is cleopatra").fails_saying(&["e-mail address"]);
    given("nonsense", "correct horse battery").fails_saying(&["e-mail address looks like"]);
    assert_eq!(binary.run(&["user", "promote", "Bob@Example.com"]).succeeds(), "bob@example.com is admin now\n");
    binary.run(&["user", "promote", "bob@example.com", "--role", "user"]).fails_saying(&["last administrator"]);
    binary.run(&["user", "create", "root@example.com", "--role", "admin"]).succeeds();
    assert_eq!(binary.run(&["user", "promote", "bob@example.com", "--role", "user"]).succeeds(), "bob@example.com is user now\n");
    binary.run(&["user", "promote", "nobody@example.com"]).fails_saying(&["no user has this id or e-mail address"]);
    binary.run(&["user", "reset-second-factor", "bob@example.com"]).fails_saying(&["no second factor is enabled"]);
    binary.run(&["user", "reset-second-factor", "nobody@example.com"]).fails_saying(&["no user has this e-mail address"]);
}

#[test]
fn a_statement_file_is_taken_in_once_and_what_cannot_be_read_is_named_by_its_line() {
    let binary = Binary::in_development();
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    let statement = binary.file("january.ofx", STATEMENT);
    let import = |file: &str, user: &str| binary.run(&["import", file, "--user", user]);
    let first = import(&statement, "ann@example.com").succeeds();
    assert!(first.starts_with("january.ofx: 1 new accounts, ") && first.contains(", 0 known before"), "{first}");
    let again = import(&statement, "ann@example.com").succeeds();
    assert!(again.starts_with("january.ofx: 0 new accounts, 0 new transactions, "), "{again}");
    import(&binary.file("letter.txt", "Dear bank,\n\nplease find enclosed\n"), "ann@example.com").fails_saying(&["line 1", ": "]);
    import(&binary.file("empty.ofx", ""), "ann@example.com").fails_saying(&["line 1"]);
    import("missing.ofx", "ann@example.com").fails_saying(&["missing.ofx cannot be opened"]);
    import(&statement, "bob@example.com").fails_saying(&["no user has this id or e-mail address"]);
    binary.run(&["import", &statement, "--user", "ann@example.com", "--account", "nonsense"]).fails_saying(&["acct_"]);
    binary.run(&["import", &statement, "--user", "ann@example.com", "--account", "acct_00000000000000000000000000"]).fails_saying(&["no such account"]);
}

#[test]
fn an_import_shows_how_far_it_is_on_a_terminal_and_leaves_only_the_result() {
    let binary = Binary::in_development();
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    let statement = binary.file("january.ofx", STATEMENT);
    let import = ["import", &statement, "--user", "ann@example.com"];
    let watched = binary.run_on_a_terminal(&import).succeeds();
    assert!(watched.contains("\rjanuary.ofx: ") && watched.contains(" read, 100 %\x1b[K") && watched.contains("read, storing what is new"), "{watched:?}");
    let (_, result) = watched.rsplit_once("\r\x1b[K").unwrap_or_else(|| panic!("the line is gone at the end: {watched:?}"));
    assert!(result.starts_with("january.ofx: 1 new accounts"), "{result:?}");
    let piped = binary.run(&import);
    assert!(!piped.out.contains('\r') && !piped.err.contains("% of") && !piped.err.contains('\r'), "{piped:?}");
}

#[test]
fn every_shell_gets_its_completions_and_logs_are_coloured_only_on_a_terminal() {
    let binary = Binary::with(&[("DASHTAM_NONSENSE", "1")]);
    for (shell, word) in [
        ("bash", "_dashtam()"),
        ("zsh", "#compdef dashtam"),
        ("fish", "complete -c dashtam"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = binary.run(&["completions", shell]).succeeds();
        assert!(script.contains(word) && script.contains("doctor") && script.contains("no-worker"), "{shell}: {script}");
    }
    assert_eq!(binary.run(&["completions", "tcsh"]).code, Some(2));
    for (more, is_coloured) in [(None, true), (Some(("NO_COLOR", "1")), false)] {
        let settings: Vec<_> = [("DASHTAM_ENVIRONMENT", "development"), ("DASHTAM_LOG", "info")].into_iter().chain(more).collect();
        let logged = Binary::with(&settings).run_on_a_terminal(&["migrate", "up"]).succeeds();
        assert_eq!((logged.contains('\x1b'), logged.contains("Applying migration")), (is_coloured, true), "{logged:?}");
    }
}

#[tokio::test]
async fn on_postgresql_servers_and_workers_are_processes_of_their_own() {
    for store in every_store().await.iter().filter(|store| store.is_postgres()) {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let url = format!("http://{address}");
        let binary = Binary::with(&[
            ("DASHTAM_ENVIRONMENT", "development"),
            ("DASHTAM_PASSWORDS__COST", "4"),
            ("DASHTAM_BIND", &address),
            ("DASHTAM_DATABASE_URL", &store.url),
            ("DASHTAM_ENCRYPTION__KEYS", "k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="),
            ("DASHTAM_JWT__SECRET", "a token secret of thirty-two bytes or more"),
        ]);
        binary.run_with_input(&["user", "create", "ann@example.com", "--password-stdin"], "correct horse battery").succeeds();
        let server = binary.start(&["serve", "--no-worker"]);
        let visitor = Visitor::new(&url).unwrap();
        while reqwest::get(format!("{url}/ready")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let sign_in = r#"mutation { createSession(input: {email: "ann@example.com", password: "correct horse battery"}) { accessToken } }"#;
        let signed_in = visitor.ask(None, sign_in, &json!({})).await.unwrap();
        let token = signed_in["createSession"]["accessToken"].as_str().unwrap();
        let begun = visitor.ask(Some(token), "mutation { beginLink(input: {provider: \"sandbox\"}) { authorizationUrl } }", &json!({})).await.unwrap();
        visitor.agree(begun["beginLink"]["authorizationUrl"].as_str().unwrap()).await.unwrap();
        let status = async || {
            let links = visitor.ask(Some(token), "{ viewer { links(first: 1) { nodes { lastSync { status } } } } }", &json!({})).await.unwrap();
            links["viewer"]["links"]["nodes"][0]["lastSync"]["status"].as_str().unwrap().to_owned()
        };
        // Longer than any worker leaves its queue alone.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(status().await, "QUEUED", "a server without a worker leaves the work to others");

        let workers = [binary.start(&["worker"]), binary.start(&["worker"])];
        let working = async {
            while status().await != "SUCCEEDED" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), working).await.unwrap();
        for (running, signal) in workers.into_iter().zip(["TERM", "INT"]).chain([(server, "TERM")]) {
            running.signal(signal);
            assert_eq!(running.end(), (Some(0), String::new()));
        }
    }
}

#[test]
fn every_command_explains_itself_and_wrong_usage_is_exit_code_two() {
    let binary = Binary::with(&[]);
    let help = binary.run(&["--help"]).succeeds();
    for word in [
        "demo",
        "serve",
        "worker",
        "doctor",
        "reference",
        "completions",
        "migrate",
        "schema",
        "user",
        "keys",
        "import",
        "--data-dir",
        "--config",
        "Start with `dashtam demo`",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for command in [
        &["demo"][..],
        &["serve"],
        &["worker"],
        &["doctor"],
        &["migrate"],
        &["schema"],
        &["user"],
        &["user", "create"],
        &["user", "promote"],
        &["user", "reset-second-factor"],
        &["keys"],
        &["keys", "status"],
        &["keys", "rotate"],
        &["keys", "reseal"],
        &["import"],
        &["reference"],
        &["completions"],
    ] {
        let help = binary.run(&[command, &["--help"]].concat()).succeeds();
        assert!(help.contains("Usage: dashtam") && help.contains("--data-dir") && help.contains("Examples:\n  dashtam "), "{command:?}: {help}");
    }
    assert!(binary.run(&["--version"]).succeeds().starts_with("dashtam "));
    for wrong in
        [&[][..], &["nonsense"], &["serve", "--bind", "nowhere"], &["import", "x.ofx"], &["user", "create"], &["user", "create", "a@b.c", "--role", "root"]]
    {
        assert_eq!(binary.run(wrong).code, Some(2), "{wrong:?}");
    }
}
