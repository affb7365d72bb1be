//! The embedded database and what stands beside it: whose it is, who serves from it, and what a demo leaves alone.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use dashtam::app::Visitor;
use serde_json::{Value, json};

use crate::harness::binary::{Binary, Demo};

const STANDING: &str =
    "{ viewer { links(first: 10) { nodes { id status provider { slug } } } accounts(first: 50) { nodes { id } } netWorth { amount currency } } }";

/// Every file below a folder with its bytes, but for what SQLite makes to read its log.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_none_or(|name| name != "db-shm"));
    let mut found: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    found.sort();
    found
}

async fn ask(demo: &Demo, document: &str, variables: Value) -> Value {
    let text = |key: &str| demo.ready[key].as_str().unwrap().to_owned();
    Visitor::new(&text("url")).unwrap().ask(Some(&text("accessToken")), document, &variables).await.unwrap()
}

#[test]
fn a_demo_leaves_alone_what_is_set_for_a_real_server() {
    let real = [
        ("DASHTAM_REDIS_URL", "redis://:canary@127.0.0.1:1"),
        ("DASHTAM_PUBLIC_URL", "https://money.example.com"),
        ("DASHTAM_AUDIT__CHECKPOINTS", "real.jsonl"),
        ("DASHTAM_DATABASE_URL", "postgres://dashtam:canary@127.0.0.1:1/real"),
    ];
    let binary = Binary::with(&real);
    let mut demo = binary.shell("exec dashtam demo --json --bind 127.0.0.1:0 --data-dir demo 2> told").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut line).unwrap();
    demo.kill().unwrap();
    demo.wait().unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert!(ready["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let told = std::fs::read_to_string(binary.folder().join("told")).unwrap();
    for (name, _) in real {
        assert!(told.contains(&format!("{name} is left out")), "{told}");
    }
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn a_demo_leaves_alone_a_folder_with_users_of_its_own() {
    let binary = Binary::in_development();
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    let folder = binary.folder().join("dashtam-data");
    let before = contents(&folder);
    binary.run(&["demo", "--bind", "127.0.0.1:0"]).fails_saying(&["the database in dashtam-data has users", "--data-dir"]);
    assert_eq!(contents(&folder), before);
}

#[test]
fn keys_are_not_made_up_once_more_for_a_database_that_has_users() {
    let binary = Binary::in_development();
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    let keys = binary.folder().join("dashtam-data/keys.toml");
    let kept = std::fs::read(&keys).unwrap();
    std::fs::remove_file(&keys).unwrap();
    for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["keys", "status"], &["user", "create", "bob@example.com"]] {
        binary.run(command).fails_saying(&["dashtam-data/keys.toml is missing", "put the file back", "DASHTAM_ENCRYPTION__KEYS", "--data-dir"]);
        assert!(!keys.exists(), "{command:?}");
    }
    let examined = binary.run(&["doctor", "--bind", "127.0.0.1:0"]);
    assert!(examined.code == Some(1) && examined.out.contains("keys.toml is missing"), "{examined:?}");
    std::fs::write(&keys, kept).unwrap();
    binary.run(&["keys", "status"]).succeeds();
}

/// Waits until a process has written its id into the lock.
fn is_locked_by(lock: &Path, id: u32) {
    for _ in 0..200 {
        if std::fs::read_to_string(lock).is_ok_and(|holder| holder.trim() == id.to_string()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("{} was not taken by {id}", lock.display());
}

#[test]
fn an_embedded_database_has_one_server_at_a_time_however_that_ends() {
    let binary = Binary::in_development();
    let lock = binary.folder().join("dashtam-data/dashtam.db.lock");
    let serve = ["serve", "--bind", "127.0.0.1:0"];
    let server = binary.start(&serve);
    is_locked_by(&lock, server.id());
    let taken = ["another dashtam serves from dashtam-data/dashtam.db", &format!("(process {})", server.id()), "--data-dir"];
    binary.run(&serve).fails_saying(&taken);
    binary.run(&["demo", "--bind", "127.0.0.1:0"]).fails_saying(&taken);
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    binary.run(&["doctor", "--bind", "127.0.0.1:0"]).succeeds();
    server.signal("KILL");
    server.end();
    let next = binary.start(&serve);
    is_locked_by(&lock, next.id());
    next.signal("KILL");
    next.end();
}

#[tokio::test]
async fn a_demo_whose_consent_ended_links_its_bank_once_more_and_doubles_nothing() {
    let binary = Binary::in_development();
    let demo = binary.demo();
    let before = ask(&demo, STANDING, json!({})).await;
    assert_eq!(before["viewer"]["links"]["nodes"].as_array().map(Vec::len), Some(1), "{before}");
    let events = format!("{}/events", demo.ready["bank"].as_str().unwrap());
    let told = reqwest::Client::new().post(events).form(&[("event", "end_consents")]).send().await.unwrap();
    assert!(told.status().is_success() || told.status().is_redirection(), "{}", told.status());
    let input = json!({ "input": { "linkId": before["viewer"]["links"]["nodes"][0]["id"], "force": true } });
    ask(&demo, "mutation($input: SyncLinkInput!) { syncLink(input: $input) { sync { id } userErrors { message } } }", input).await;
    let ended = async {
        while ask(&demo, STANDING, json!({})).await["viewer"]["links"]["nodes"][0]["status"] == "ACTIVE" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    demo.signal("TERM");
    assert_eq!(demo.end().0, Some(0));

    let demo = binary.demo();
    assert_eq!(ask(&demo, STANDING, json!({})).await, before);
    demo.signal("TERM");
    assert_eq!(demo.end().0, Some(0));
    // The same folder is of the same bank.
    let another = binary.run(&["demo", "--bind", "127.0.0.1:0", "--data-dir", "demo", "--seed", "8"]);
    another.fails_saying(&["made up from the seed 7", "--seed says 8", "--data-dir"]);
}

#[tokio::test]
async fn a_demo_whose_bank_was_told_to_fail_starts_all_the_same() {
    let binary = Binary::with(&[]);
    let demo = binary.demo();
    let tell = async |form: &[(&str, &str)], path: &str, demo: &Demo| {
        let told = reqwest::Client::new().post(format!("{}/{path}", demo.ready["bank"].as_str().unwrap())).form(form).send().await.unwrap();
        assert_eq!(told.status(), 200);
    };
    tell(&[("event", "end_consents")], "events", &demo).await;
    tell(&[("fault", "server_error")], "faults", &demo).await;
    let link = ask(&demo, STANDING, json!({})).await["viewer"]["links"]["nodes"][0]["id"].clone();
    let sync = "mutation($input: SyncLinkInput!) { syncLink(input: $input) { sync { id } } }";
    ask(&demo, sync, json!({ "input": { "linkId": link, "force": true } })).await;
    for _ in 0..200 {
        if ask(&demo, STANDING, json!({})).await["viewer"]["links"]["nodes"][0]["status"] == "EXPIRED" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    demo.signal("TERM");
    demo.end();
    let again = binary.demo();
    assert_eq!(ask(&again, STANDING, json!({})).await["viewer"]["links"]["nodes"][0]["status"], "FAILED");
    tell(&[("part", "all")], "reset", &again).await;
    again.signal("TERM");
    again.end();
    // What is left of a database that is gone says nothing of a new one.
    for file in std::fs::read_dir(binary.folder().join("demo")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.to_string_lossy().contains("dashtam.db") {
            std::fs::remove_file(file).unwrap();
        }
    }
    let anew = binary.demo();
    assert_eq!(ask(&anew, STANDING, json!({})).await["viewer"]["links"]["nodes"][0]["status"], "ACTIVE");
}
