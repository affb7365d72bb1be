//! Keys in files: renewed in place, by one process at a time, and watched.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dashtam::{
    application::{
        access::Requester,
        keys::RotateKeys,
        ports::{KeyShelf as _, RenewedKeys},
    },
    config::Config,
    infrastructure::security::{
        key_places::{Family, KeyPlaces, MadeUpKeys},
        key_watch::KeyWatch,
        keys::Keys,
    },
};
use secrecy::ExposeSecret as _;

use crate::harness::{app::TestApp, clock::TestRandomness, log::Log};

use super::{first_ring, ring_key, secret};

const WAIT: Duration = Duration::from_mins(2);

/// A folder with a file for each setting, and the configuration that names them.
struct Files {
    folder: tempfile::TempDir,
    config: Config,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ring"), first_ring() + "\n").unwrap();
        std::fs::write(folder.path().join("token"), secret('a')).unwrap();
        std::fs::write(folder.path().join("previous"), "").unwrap();
        let config = configured(&folder.path().join("ring"), &folder.path().join("token"), Some(&folder.path().join("previous")));
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn places(&self) -> KeyPlaces {
        places(&self.config)
    }
}

fn configured(ring: &Path, token: &Path, previous: Option<&Path>) -> Config {
    let files = [("DASHTAM_ENCRYPTION__KEYS_FILE", Some(ring)), ("DASHTAM_JWT__SECRET_FILE", Some(token)), ("DASHTAM_JWT__PREVIOUS_FILE", previous)];
    let environment = files.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?.to_str()?.to_owned())));
    Config::read(None, environment).unwrap()
}

fn places(config: &Config) -> KeyPlaces {
    KeyPlaces::find(config, MadeUpKeys::Make, Arc::new(TestRandomness)).unwrap()
}

fn made_up(folder: &Path) -> Config {
    Config { data_dir: folder.join("data"), ..Config::default() }
}

fn ring(keys: &Keys) -> String {
    keys.ring_ids().join(",")
}

#[test]
fn a_new_key_goes_in_front_and_the_old_one_stays_whole_and_private() {
    let files = Files::new();
    let before = files.places().read().unwrap();
    let renewed = files.places().renew(true, true).unwrap();
    let after = files.places().read().unwrap();
    assert_eq!((renewed.ring.as_deref(), ring(&after).as_str()), (Some("k2"), "k2,t1"), "t1 has number one, so the next is two");
    assert_eq!(after.token_ids(), [renewed.tokens.as_deref().unwrap(), before.token_ids()[0]]);
    assert!(files.text("ring").ends_with(&first_ring()), "{}", files.text("ring").len());
    assert_eq!(files.text("previous"), secret('a'));
    for name in ["ring", "token", "previous"] {
        assert_eq!(files.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(std::fs::read_dir(files.folder.path()).unwrap().count(), 3, "nothing is left beside them");
    assert_eq!(files.places().renew(true, false).unwrap(), RenewedKeys { ring: Some("k3".to_owned()), tokens: None });
    files.places().renew(false, true).unwrap();
    let last = files.places().read().unwrap();
    assert_eq!((ring(&last).as_str(), last.token_ids().len()), ("k3,k2,t1", 3), "a second rotation keeps the first one's keys");
}

#[test]
fn rotations_at_once_take_turns_and_none_is_lost() {
    let (files, folder) = (Files::new(), tempfile::tempdir().unwrap());
    for config in [files.config.clone(), made_up(folder.path())] {
        let first = places(&config).read().unwrap();
        let rotating: Vec<_> = (0..8)
            .map(|_| {
                let config = config.clone();
                std::thread::spawn(move || places(&config).renew(true, true).unwrap())
            })
            .collect();
        let renewed: Vec<_> = rotating.into_iter().map(|rotating| rotating.join().unwrap()).collect();
        let after = places(&config).read().unwrap();
        assert_eq!((after.ring_ids().len(), after.token_ids().len()), (9, 9));
        for made in &renewed {
            assert!(after.ring_ids().contains(&made.ring.as_deref().unwrap()) && after.token_ids().contains(&made.tokens.as_deref().unwrap()));
        }
        assert!(after.ring_ids().contains(&first.ring_ids()[0]) && after.token_ids().contains(&first.token_ids()[0]));
    }
}

#[test]
fn keys_that_are_made_up_by_many_at_once_are_the_same_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let making: Vec<_> = (0..8)
        .map(|_| {
            let config = made_up(folder.path());
            std::thread::spawn(move || places(&config).read().unwrap().token_ids()[0].to_owned())
        })
        .collect();
    let mut made: Vec<_> = making.into_iter().map(|making| making.join().unwrap()).collect();
    made.dedup();
    assert_eq!(made.len(), 1);
    assert_eq!(folder.path().join("data").metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_stands_in_no_file_of_ours_is_shown_and_nothing_changes() {
    let files = Files::new();
    let without = configured(&files.path("ring"), &files.path("token"), None);
    let why = places(&without).can_renew(Family::Tokens).unwrap_err();
    assert!(why.contains("DASHTAM_JWT__PREVIOUS_FILE"), "{why}");
    assert!(places(&without).renew(true, true).is_err());
    assert_eq!((files.text("ring"), files.text("token")), (first_ring() + "\n", secret('a')), "not even the half that could be written");

    let variables = [("DASHTAM_ENCRYPTION__KEYS", first_ring()), ("DASHTAM_JWT__SECRET", secret('a')), ("DASHTAM_JWT__PREVIOUS", secret('b'))];
    let set = Config::read(None, variables.into_iter().map(|(name, value)| (name.to_owned(), value))).unwrap();
    assert!(places(&set).can_renew(Family::Ring).unwrap_err().contains("DASHTAM_ENCRYPTION__KEYS"));
    let proposed = |family| places(&set).propose(family).unwrap();
    let ring = proposed(Family::Ring);
    assert!(ring[0].value.expose_secret().starts_with("k2:") && ring[0].value.expose_secret().ends_with(&format!(",{}", first_ring())));
    let tokens = proposed(Family::Tokens);
    assert_eq!((tokens[0].setting, tokens[0].value.expose_secret()), ("DASHTAM_JWT__PREVIOUS", format!("{},{}", secret('a'), secret('b')).as_str()));
    assert_eq!((tokens[1].setting, tokens[1].value.expose_secret().len()), ("DASHTAM_JWT__SECRET", 44));
    assert!(ring.iter().chain(&tokens).all(|proposal| proposal.file.is_none()));
    // What is read from a file belongs into that file, since the setting itself is not to be set beside it.
    let filed = |family| files.places().propose(family).unwrap().into_iter().map(|proposal| proposal.file).collect::<Vec<_>>();
    assert_eq!(filed(Family::Ring), [Some(files.path("ring"))]);
    assert_eq!(filed(Family::Tokens), [Some(files.path("previous")), Some(files.path("token"))]);
}

#[test]
fn a_new_key_is_accepted_at_once_and_used_when_everyone_has_seen_it() {
    let files = Files::new();
    let mut watch = KeyWatch::begin(files.places(), WAIT).unwrap();
    let (in_force, begun) = (watch.keys(), Instant::now());
    let first = in_force.now().token_ids()[0].to_owned();
    watch.look(begun);
    assert_eq!(ring(&in_force.now()), "t1");
    let made = files.places().renew(true, true).unwrap();
    watch.look(begun);
    assert_eq!((ring(&in_force.now()).as_str(), in_force.now().token_ids()), ("t1,k2", vec![first.as_str(), made.tokens.as_deref().unwrap()]));
    watch.look(begun + Duration::from_secs(119));
    assert_eq!(ring(&in_force.now()), "t1,k2");
    // A third key meanwhile waits for itself.
    files.places().renew(true, false).unwrap();
    watch.look(begun + Duration::from_secs(119));
    assert_eq!(ring(&in_force.now()), "t1,k3,k2");
    watch.look(begun + WAIT * 2);
    assert_eq!((ring(&in_force.now()).as_str(), in_force.now().token_ids()[0]), ("k3,k2,t1", made.tokens.as_deref().unwrap()));
    // Taken away, it is gone at once: whoever does that has a reason.
    std::fs::write(files.path("ring"), files.text("ring").rsplit_once(',').unwrap().0).unwrap();
    std::fs::write(files.path("previous"), "").unwrap();
    watch.look(begun + WAIT * 2);
    assert_eq!((ring(&in_force.now()).as_str(), in_force.now().token_ids().len()), ("k3,k2", 1));
}

#[test]
fn files_that_hold_no_keys_change_nothing_are_told_once_and_never_repeated() {
    let files = Files::new();
    let log = Log::capture();
    let mut watch = KeyWatch::begin(files.places(), Duration::ZERO).unwrap();
    let in_force = watch.keys();
    let first = in_force.now().token_ids()[0].to_owned();
    let told = |log: &Log| log.text().matches("the keys stay as they are").count();
    for (at, (name, broken)) in [
        ("ring", "k2:canary-canary-canary-canary-canary"),
        ("ring", ""),
        ("ring", "canary-without-a-colon"),
        ("token", "short-canary"),
        ("token", "canary-with-a-comma-that-is-long-enough,canary-with-a-comma-that-is-long-enough"),
        ("previous", "short-canary"),
    ]
    .into_iter()
    .enumerate()
    {
        let good = files.text(name);
        std::fs::write(files.path(name), broken).unwrap();
        for _ in 0..3 {
            watch.look(Instant::now());
        }
        assert_eq!((ring(&in_force.now()).as_str(), in_force.now().token_ids()), ("t1", vec![first.as_str()]), "{name}: {broken}");
        assert_eq!(told(&log), at + 1, "once: {}", log.text());
        std::fs::write(files.path(name), good).unwrap();
        watch.look(Instant::now());
    }
    let before = told(&log);
    std::fs::write(files.path("ring"), [0xff, 0xfe, b'c', b'a', b'n', b'a', b'r', b'y']).unwrap();
    watch.look(Instant::now());
    std::fs::remove_file(files.path("ring")).unwrap();
    watch.look(Instant::now());
    assert_eq!((told(&log), ring(&in_force.now()).as_str()), (before + 1, "t1"));
    std::fs::write(files.path("ring"), ring_key("k9", 9)).unwrap();
    watch.look(Instant::now());
    assert_eq!(ring(&in_force.now()), "k9", "and good ones are taken up as soon as they are there");
    let text = log.text();
    assert!(!text.contains("canary") && !text.contains(&"A".repeat(8)) && !text.contains(&"a".repeat(8)), "{text}");
}

#[test]
fn a_folder_that_is_exchanged_by_a_link_is_seen_as_kubernetes_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let version = |name: &str, ring: &str, token: &str, previous: &str| {
        std::fs::create_dir(at(name)).unwrap();
        for (file, text) in [("ring", ring), ("token", token), ("previous", previous)] {
            std::fs::write(at(name).join(file), text).unwrap();
        }
    };
    version("..1", &first_ring(), &secret('a'), "");
    version("..2", &format!("{},{}", ring_key("k2", 2), first_ring()), &secret('b'), &secret('a'));
    symlink("..1", at("..data")).unwrap();
    for file in ["ring", "token", "previous"] {
        symlink(Path::new("..data").join(file), at(file)).unwrap();
    }
    let config = configured(&at("ring"), &at("token"), Some(&at("previous")));
    let mut watch = KeyWatch::begin(places(&config), Duration::ZERO).unwrap();
    symlink("..2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    watch.look(Instant::now());
    watch.look(Instant::now());
    assert_eq!((ring(&watch.keys().now()).as_str(), watch.keys().now().token_ids().len()), ("k2,t1", 2));
    // Where we may write, a link stays a link.
    places(&config).renew(true, false).unwrap();
    assert!(at("ring").is_symlink() && std::fs::read_to_string(at("..2").join("ring")).unwrap().starts_with("k3:"));
}

#[tokio::test]
async fn a_rotation_is_on_the_trail_by_the_ids_of_its_keys() {
    for app in TestApp::on_every_store().await {
        let files = Files::new();
        let rotate = |ring, tokens| RotateKeys { requester: Requester::command_line(None), ring, tokens };
        let made = app.app.application.keys.rotate(rotate(true, true), Arc::new(files.places())).await.unwrap();
        let told = app.store.query("SELECT CAST(context AS TEXT) AS told FROM audit_events WHERE act = 'rotate_keys' AND outcome = 'succeeded'").await;
        let told: String = told[0].try_get("", "told").unwrap();
        assert!(told.contains("k2") && told.contains(made.tokens.as_deref().unwrap()), "{told}");
        for secrets in [files.text("ring"), files.text("token"), files.text("previous")] {
            for secret in secrets.split([',', ':']).filter(|part| part.len() > 8) {
                assert!(!app.store.spells(&secret[..12]).await, "{}", app.store.name);
            }
        }
        // What cannot be written is a failure, and nothing is written.
        std::fs::remove_file(files.path("previous")).unwrap();
        let before = (files.text("ring"), files.text("token"));
        assert!(app.app.application.keys.rotate(rotate(true, true), Arc::new(files.places())).await.is_err());
        assert_eq!((files.text("ring"), files.text("token")), before);
        assert_eq!(app.last_outcome("rotate_keys").await, ("failed".to_owned(), Some("internal".to_owned())));
        app.every_attempt_ended_once().await;
    }
}
