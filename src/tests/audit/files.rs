//! Files: published checkpoints and exports, and the commands that read and write them.

use crate::harness::binary::Binary;

/// A place where a server was started, used and stopped.
fn used() -> Binary {
    let binary = Binary::with(&[
        ("DASHTAM_ENVIRONMENT", "development"),
        ("DASHTAM_PASSWORDS__COST", "4"),
        ("DASHTAM_BIND", "127.0.0.1:0"),
        ("DASHTAM_AUDIT__CHECKPOINTS", "checkpoints.jsonl"),
    ]);
    binary.run(&["user", "create", "ann@example.com"]).succeeds();
    binary.run(&["user", "create", "not an address"]).fails_saying(&["address"]);
    run_for_a_moment(&binary);
    binary
}

/// Starts a server and stops it as soon as it has sealed something.
fn run_for_a_moment(binary: &Binary) {
    let server = binary.start(&["serve"]);
    let published = binary.folder().join("checkpoints.jsonl");
    let before = std::fs::read_to_string(&published).unwrap_or_default().len();
    for _ in 0..200 {
        if std::fs::read_to_string(&published).unwrap_or_default().len() > before {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
}

fn first_key(binary: &Binary) -> String {
    let keys = binary.run(&["audit", "key"]).succeeds();
    keys.lines().next().unwrap().split_once(' ').unwrap().1.to_owned()
}

#[test]
fn a_server_that_stopped_has_sealed_signed_and_published_everything() {
    let binary = used();
    let verified = binary.run(&["audit", "verify", "--checkpoint", "checkpoints.jsonl"]).succeeds();
    assert!(verified.starts_with("4 entries up to position 4; 1 checkpoints hold; 1 published checkpoints hold"), "{verified}");
    assert!(verified.ends_with("0 entries not signed yet; 0 events not sealed yet\n"), "{verified}");
    // One line is enough, and a wrong one is told.
    let line = std::fs::read_to_string(binary.folder().join("checkpoints.jsonl")).unwrap();
    let other = line.replace("\"number\":1", "\"number\":2");
    binary.file("other.jsonl", &other);
    let found = binary.run(&["audit", "verify", "--checkpoint", "other.jsonl"]);
    assert_eq!(found.code, Some(1));
    assert!(found.out.starts_with("position 4 · forged: published checkpoint 2 is not what was signed\n"), "{}", found.out);
    assert!(found.err.contains("1 findings"), "{}", found.err);
    binary.file("nothing.jsonl", "{\"header\":{}}\n");
    binary.run(&["audit", "verify", "--checkpoint", "nothing.jsonl"]).fails_saying(&["line 1", "no checkpoint"]);
    // What a command does beside no server waits for the next one.
    binary.run(&["user", "create", "bob@example.com"]).succeeds();
    let verified = binary.run(&["audit", "verify"]).succeeds();
    assert!(verified.contains("2 events not sealed yet"), "{verified}");
    // Another database is another trail.
    let verified = binary.run(&["audit", "verify", "--data-dir", "elsewhere"]);
    verified.fails_saying(&["there is no"]);
}

#[test]
fn the_key_that_is_shown_first_checks_the_trail_before_and_after_a_new_one_signs() {
    let binary = used();
    let first = first_key(&binary);
    binary.run(&["keys", "rotate", "--ring"]).succeeds();
    let shown = binary.run(&["audit", "key"]).succeeds();
    let keys: Vec<_> = shown.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    let [shown_first, second] = keys.as_slice() else { panic!("{shown}") };
    assert_eq!(*shown_first, first, "nothing is signed by the new one yet");
    let checks = |key: &str| {
        binary.run(&["audit", "export", "--output", "trail.jsonl"]).succeeds();
        binary.run(&["audit", "verify", "--from", "trail.jsonl", "--key", key]).code == Some(0)
    };
    assert!(checks(&first) && !checks(second));
    // One that starts uses the new key at once, which vouches for the old one.
    let server = binary.start(&["serve"]);
    let vouched = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        checks(second)
    });
    assert!(vouched);
    server.signal("TERM");
    assert_eq!(server.end().0, Some(0));
    assert_eq!(first_key(&binary), *second);
    assert!(checks(second) && !checks(&first));
}

#[test]
fn an_export_is_checked_without_a_database_and_any_change_of_a_line_shows() {
    let binary = used();
    binary.run(&["user", "create", "bob@example.com"]).succeeds();
    let exported = binary.run(&["audit", "export", "--output", "trail.jsonl", "--with-persons"]).succeeds();
    assert_eq!(exported, "4 entries in trail.jsonl\n");
    let key = first_key(&binary);
    let trail = std::fs::read_to_string(binary.folder().join("trail.jsonl")).unwrap();
    // On standard output, without persons: what was on the trail, how the first one ended, and that there is another one.
    let lines = trail.lines().filter(|line| !line.starts_with("{\"person\"")).count();
    assert_eq!(binary.run(&["audit", "export"]).succeeds().lines().count(), lines + 2);

    let elsewhere = Binary::with(&[]);
    let check = |text: &str, arguments: &[&str]| {
        elsewhere.file("trail.jsonl", text);
        elsewhere.run(&[&["audit", "verify", "--from", "trail.jsonl", "--key", &key], arguments].concat())
    };
    let verified = check(&trail, &[]).succeeds();
    assert!(verified.starts_with("4 entries up to position 4; 1 checkpoints hold; "), "{verified}");
    // Two of the command, and that the trail was taken.
    assert!(verified.ends_with("3 events not sealed yet\n"), "{verified}");
    let checkpoints = std::fs::read_to_string(binary.folder().join("checkpoints.jsonl")).unwrap();
    elsewhere.file("checkpoints.jsonl", &checkpoints);
    check(&trail, &["--checkpoint", "checkpoints.jsonl"]).succeeds();

    let lines: Vec<_> = trail.lines().collect();
    for at in 0..lines.len() {
        let without: String = lines.iter().enumerate().filter(|(other, _)| *other != at).fold(String::new(), |text, (_, line)| text + line + "\n");
        // Without its last signature the trail is only not signed yet.
        let is_of_no_account = ["{\"person\"", "{\"unsealed\"", "{\"key\"", "{\"checkpoint\""].iter().any(|kind| lines[at].starts_with(kind));
        let found = check(&without, &[]);
        assert_eq!(found.code, Some(i32::from(!is_of_no_account)), "without line {at} {}: {} {}", lines[at], found.out, found.err);
    }
    for (what, with, word) in [
        ("\"outcome\":\"succeeded\"", "\"outcome\":\"failed\"", "position 2 · event changed"),
        ("\"reason\":\"invalid_email\"", "\"reason\":null", "position 4 · event changed"),
        ("\"position\":2", "\"position\":3", "entry removed"),
        ("\"signedAt\":\"2", "\"signedAt\":\"3", "forged"),
        ("\"entries\":4", "\"entries\":5", "unreadable"),
        ("\"userAgent\":null", "\"userAgent\":\"x\"", "person changed"),
    ] {
        assert!(trail.contains(what), "{what} is not in the export: {trail}");
        let found = check(&trail.replacen(what, with, 1), &[]);
        assert!(found.code == Some(1) && found.out.contains(word), "{what} → {with}: {} {}", found.out, found.err);
    }
    // Another key, no key, no export.
    check(&trail, &[]).succeeds();
    let other = elsewhere.run(&["audit", "verify", "--from", "trail.jsonl", "--key", &("A".repeat(43) + "=")]);
    assert!(other.code == Some(1) && other.out.contains("unknown key"), "{other:?}");
    elsewhere.run(&["audit", "verify", "--from", "trail.jsonl"]).fails_saying(&["--key"]);
    elsewhere.file("empty.jsonl", "");
    elsewhere.run(&["audit", "verify", "--from", "empty.jsonl", "--key", &key]).fails_saying(&["empty"]);
    elsewhere.file("other.jsonl", "{}\n");
    elsewhere.run(&["audit", "verify", "--from", "other.jsonl", "--key", &key]).fails_saying(&["no export"]);
}

#[test]
fn a_part_of_a_trail_is_an_export_like_a_whole_one() {
    let binary = used();
    let key = first_key(&binary);
    for (arguments, entries) in [
        (["--from", "2020-01-01", "--to", "2199-01-01"], "4"),
        (["--from", "2199-01-01", "--to", "2199-01-02"], "0"),
        (["--from", "2020-01-01", "--to", "2020-01-02"], "0"),
    ] {
        let exported = binary.run(&[&["audit", "export", "--output", "part.jsonl"], arguments.as_slice()].concat()).succeeds();
        assert_eq!(exported, format!("{entries} entries in part.jsonl\n"), "{arguments:?}");
        let verified = binary.run(&["audit", "verify", "--from", "part.jsonl", "--key", &key]).succeeds();
        assert!(verified.starts_with(&format!("{entries} entries")), "{verified}");
    }
}
