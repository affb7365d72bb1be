//! The command line, beside a server that runs.

use std::{
    net::TcpListener,
    process::{Child, Command},
    time::Duration,
};

use dashtam::app::Visitor;
use serde_json::{Value, json};

use crate::harness::{binary::Binary, stores::every_store};

use super::{first_ring, kid, ring_key, secret};

const PASSWORD: &str = "correct horse battery";
const SIGN_IN: &str =
    r#"mutation { createSession(input: {email: "ann@example.com", password: "correct horse battery"}) { accessToken refreshToken userErrors { code } } }"#;

/// `dashtam serve`, whose log goes to a file.
struct Server {
    child: Child,
    visitor: Visitor,
}

impl Server {
    async fn start(binary: &Binary, address: &str) -> Self {
        let child = binary.shell("exec env DASHTAM_RATE_LIMITS__ENABLED=false dashtam serve 2> log").spawn().unwrap();
        let url = format!("http://{address}");
        let server = Self { child, visitor: Visitor::new(&url).unwrap() };
        let ready = async {
            while reqwest::get(format!("{url}/ready")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready).await.unwrap();
        server
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Access and refresh token of a new session.
    async fn sign_in(&self) -> (String, String) {
        tokens(&self.visitor.ask(None, SIGN_IN, &json!({})).await.unwrap()["createSession"])
    }

    async fn refresh(&self, refresh: &str) -> (String, String) {
        let exchange = "mutation($token: String!) { refreshSession(input: {refreshToken: $token}) { accessToken refreshToken userErrors { code } } }";
        tokens(&self.visitor.ask(None, exchange, &json!({ "token": refresh })).await.unwrap()["refreshSession"])
    }

    async fn knows(&self, access: &str) -> bool {
        self.visitor.ask(Some(access), "{ viewer { id } }", &json!({})).await.unwrap()["viewer"]["id"].is_string()
    }

    /// Signs in until a token is signed by another secret than this one.
    async fn sign_in_anew(&self, former: &str) -> (String, String) {
        let signing = async {
            loop {
                let (access, refresh) = self.sign_in().await;
                if kid(&access) != former {
                    return (access, refresh);
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), signing).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[track_caller]
fn tokens(answer: &Value) -> (String, String) {
    let text = |key: &str| answer[key].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    (text("accessToken"), text("refreshToken"))
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Every secret in these texts, cut into pieces that are long enough to tell.
fn pieces(texts: &[String]) -> Vec<String> {
    let secrets = texts.iter().flat_map(|text| text.split(|letter: char| ",:\"\n =".contains(letter))).filter(|part| part.len() >= 40);
    let cut = |secret: &str| (0..secret.len() / 10).map(|at| secret[at * 10..at * 10 + 10].to_owned()).collect::<Vec<_>>();
    secrets.flat_map(cut).collect()
}

#[tokio::test]
async fn a_running_server_takes_new_keys_up_and_lets_nobody_down() {
    for store in every_store().await {
        let address = free_address();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let read = || ["ring", "token", "previous"].map(|name| std::fs::read_to_string(file(name)).unwrap());
        std::fs::write(file("ring"), ring_key("k1", 5)).unwrap();
        std::fs::write(file("token"), "Zq3vT8yLw1NcRk5XoBd7HmJ2sFgUe9PaViKtQlYxWzM4").unwrap();
        std::fs::write(file("previous"), "").unwrap();
        let binary = Binary::with(&[
            ("DASHTAM_ENVIRONMENT", "development"),
            ("DASHTAM_PASSWORDS__COST", "4"),
            ("DASHTAM_KEYS__WAIT_SECONDS", "1"),
            ("DASHTAM_BIND", &address),
            ("DASHTAM_DATABASE_URL", &store.url),
            ("DASHTAM_ENCRYPTION__KEYS_FILE", &file("ring")),
            ("DASHTAM_JWT__SECRET_FILE", &file("token")),
            ("DASHTAM_JWT__PREVIOUS_FILE", &file("previous")),
        ]);
        binary.run_with_input(&["user", "create", "ann@example.com", "--tier", "pro", "--password-stdin"], PASSWORD).succeeds();
        binary.run_with_input(&["user", "create", "bob@example.com", "--password-stdin"], PASSWORD).succeeds();
        let server = Server::start(&binary, &address).await;
        let (first, refresh) = server.sign_in().await;
        let mut said = Vec::new();
        let mut secrets = read().to_vec();

        let rotated = binary.run(&["keys", "rotate"]);
        assert!(rotated.out.contains("ring: k2 is made") && rotated.out.contains("tokens: "), "{rotated:?}");
        said.push((rotated.out.clone(), rotated.err.clone()));
        rotated.succeeds();
        secrets.extend(read());
        let (second, _) = server.sign_in_anew(&kid(&first)).await;
        assert!(server.knows(&first).await && server.knows(&second).await);
        let (third, refresh) = server.refresh(&refresh).await;
        assert_eq!(kid(&third), kid(&second), "a session from before goes on, under the new secret");

        // What is broken stays outside, and SIGHUP ends nobody.
        let good = read();
        std::fs::write(file("ring"), "k3:canary-canary-canary").unwrap();
        server.signal("HUP");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(server.knows(&third).await);
        let (_, refresh) = server.refresh(&refresh).await;
        std::fs::write(file("ring"), &good[0]).unwrap();
        let log = std::fs::read_to_string(binary.folder().join("log")).unwrap();
        assert!(log.contains("the keys stay as they are") && log.contains("asked to look at the keys") && log.contains("new keys are used"), "{log}");

        // A second rotation signs nobody out; of two at once both count.
        let rotating: Vec<_> = (0..2).map(|_| binary.shell("dashtam keys rotate --tokens > /dev/null").spawn().unwrap()).collect();
        for mut rotating in rotating {
            assert!(rotating.wait().unwrap().success());
        }
        assert_eq!(read()[2].split(',').count(), 3, "the first, the second, and one of these two");
        secrets.extend(read());
        let (fourth, _) = server.sign_in_anew(&kid(&second)).await;
        assert!(server.knows(&first).await && server.knows(&fourth).await);
        server.refresh(&refresh).await;

        let resealed = binary.run(&["keys", "reseal"]);
        assert_eq!(resealed.out, "0 sealed anew under k2\n", "{resealed:?}");
        said.push((resealed.out, resealed.err));
        let status = binary.run(&["keys", "status"]);
        assert!(status.out.lines().any(|line| line.contains("k1") && line.contains("kept") && line.contains("1 passwords")), "bob's: {}", status.out);
        said.push((status.out, status.err));
        let status = binary.run(&["keys", "status", "--json"]);
        let told: Value = serde_json::from_str(&status.out).unwrap();
        assert_eq!(
            (&told["keys"][0]["id"], &told["keys"][0]["use"], &told["keys"][1]["hanging"]),
            (&json!("k2"), &json!("current"), &json!({ "passwords": 1 }))
        );
        assert_eq!((told["keys"].as_array().unwrap().len(), &told["missing"]), (6, &json!({})));
        said.push((status.out, status.err));

        // Everything that is left of the old key is bob's password.
        std::fs::write(file("ring"), good[0].split(',').next().unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        server.sign_in().await;
        let status = binary.run(&["keys", "status"]).succeeds();
        assert!(status.contains("missing: 1 passwords under keys that are not here"), "{status}");

        said.push((std::fs::read_to_string(binary.folder().join("log")).unwrap(), String::new()));
        let pieces = pieces(&secrets);
        assert!(pieces.len() > 20);
        for piece in &pieces {
            assert!(said.iter().all(|(out, err)| !out.contains(piece) && !err.contains(piece)), "{piece} in {said:?}");
            assert!(!store.spells(piece).await, "{piece} in {}", store.name);
        }
        assert!(said.iter().all(|(out, err)| !out.contains("canary") && !err.contains("canary")));
    }
}

#[tokio::test]
async fn made_up_keys_are_rotated_in_the_data_folder_below_a_running_server() {
    let address = free_address();
    let binary = Binary::with(&[
        ("DASHTAM_ENVIRONMENT", "development"),
        ("DASHTAM_PASSWORDS__COST", "4"),
        ("DASHTAM_KEYS__WAIT_SECONDS", "0"),
        ("DASHTAM_BIND", &address),
    ]);
    binary.run_with_input(&["user", "create", "ann@example.com", "--tier", "pro", "--password-stdin"], PASSWORD).succeeds();
    let server = Server::start(&binary, &address).await;
    let (first, refresh) = server.sign_in().await;
    binary.run(&["keys", "rotate", "--tokens"]).succeeds();
    let kept = std::fs::read_to_string(binary.folder().join("dashtam-data/keys.toml")).unwrap();
    assert!(kept.contains("jwt_previous") && kept.contains("\"k1:") && !kept.contains("k2:"), "only what was asked for is new");
    let (second, _) = server.sign_in_anew(&kid(&first)).await;
    assert!(server.knows(&first).await && server.knows(&second).await);
    server.refresh(&refresh).await;
}

#[test]
fn keys_in_variables_are_shown_and_nothing_is_changed() {
    let (ring, token) = (first_ring(), secret('a'));
    let binary = Binary::with(&[("DASHTAM_ENCRYPTION__KEYS", &ring), ("DASHTAM_JWT__SECRET", &token), ("DASHTAM_ENVIRONMENT", "development")]);
    let shown = binary.run(&["keys", "rotate"]);
    assert!(shown.err.contains("nothing was changed, since it is set by DASHTAM_ENCRYPTION__KEYS"), "{}", shown.err);
    assert!(!shown.err.contains(&ring[3..13]) && !shown.err.contains(&token[..10]), "what is secret goes to standard output alone");
    let lines: Vec<_> = shown.out.lines().map(|line| line.split_once('=').unwrap()).collect();
    assert_eq!(lines.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["DASHTAM_ENCRYPTION__KEYS", "DASHTAM_JWT__PREVIOUS", "DASHTAM_JWT__SECRET"]);
    assert_eq!((shown.code, lines[1].1), (Some(0), token.as_str()));
    assert!(!binary.folder().join("dashtam-data").exists(), "no database was made for it");
    // What was shown works.
    let next = Binary::with(&[lines[0], lines[1], lines[2], ("DASHTAM_ENVIRONMENT", "development")]);
    let status = next.run(&["keys", "status"]).succeeds();
    assert_eq!(status.lines().map(|line| line.split_whitespace().nth(2).unwrap()).collect::<Vec<_>>(), ["current", "kept", "current", "kept"], "{status}");
    assert!(status.contains("there is no database to ask"));
}

#[test]
fn what_belongs_into_a_file_is_shown_for_that_file() {
    let (ring, old) = (first_ring(), secret('a'));
    let binary = Binary::with(&[("DASHTAM_ENCRYPTION__KEYS", &ring), ("DASHTAM_JWT__SECRET_FILE", "token"), ("DASHTAM_ENVIRONMENT", "development")]);
    let file = binary.file("token", &old);
    let shown = binary.run(&["keys", "rotate", "--tokens"]);
    assert!(shown.err.contains("put what follows where it belongs, in this order"), "{}", shown.err);
    let lines: Vec<_> = shown.out.lines().collect();
    assert_eq!(lines[..2], [format!("DASHTAM_JWT__PREVIOUS={old}"), "# token, which DASHTAM_JWT__SECRET_FILE names:".to_owned()], "{lines:?}");
    assert_eq!((shown.code, lines.len(), std::fs::read_to_string(&file).unwrap()), (Some(0), 3, old.clone()));
    // What was shown works where it was shown for, with a line break behind it as an editor leaves it.
    std::fs::write(&file, format!("{}\n", lines[2])).unwrap();
    let next = [("DASHTAM_ENCRYPTION__KEYS", ring.as_str()), ("DASHTAM_JWT__SECRET_FILE", file.as_str()), ("DASHTAM_JWT__PREVIOUS", old.as_str())];
    let status = Binary::with(&next).run(&["keys", "status"]).succeeds();
    assert_eq!(status.lines().filter(|line| line.starts_with("tokens")).count(), 2, "{status}");
}

#[test]
fn without_keys_there_is_nothing_to_look_after() {
    let binary = Binary::with(&[]);
    for command in ["status", "rotate", "reseal"] {
        binary.run(&["keys", command]).fails_saying(&["DASHTAM_JWT__SECRET and DASHTAM_ENCRYPTION__KEYS are not set"]);
    }
}
