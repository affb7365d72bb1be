use super::*;

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: serde_json::Value,
}

impl Answer {
    fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap().to_owned()
    }

    fn is_refused(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.body["error"].as_str()), (status, Some(error)));
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

async fn post(bank: &OpenBank, form: &[(&str, &str)]) -> Answer {
    let request = bank.browser.post(bank.at("token")).basic_auth(CLIENT_ID, Some(bank.secret()));
    read(request.form(form).send().await.unwrap()).await
}

async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.json().await.unwrap() }
}

async fn exchange(bank: &OpenBank, code: &str) -> Answer {
    exchange_with(bank, code, VERIFIER, CALLBACK).await
}

async fn exchange_with(bank: &OpenBank, code: &str, verifier: &str, redirect_uri: &str) -> Answer {
    post(bank, &[("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier), ("redirect_uri", redirect_uri)]).await
}

async fn refresh(bank: &OpenBank, token: &str) -> Answer {
    post(bank, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn opens(bank: &OpenBank, access_token: &str) -> bool {
    let response = bank.browser.get(bank.at("accounts")).bearer_auth(access_token).send().await.unwrap();
    if response.status() == 401 {
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"sandbox\", error=\"invalid_token\"");
    }
    response.status() == 200
}

#[tokio::test]
async fn a_code_becomes_tokens() {
    let bank = OpenBank::new().await;
    let answer = exchange(&bank, &bank.agreed(&["harbour-checking"]).await).await;
    assert_eq!(answer.status, 200);
    assert_eq!((answer.headers["cache-control"].to_str().unwrap(), answer.text("token_type").as_str()), ("no-store", "Bearer"));
    assert_eq!((answer.body["expires_in"].as_i64(), answer.body["consent_expires_in"].as_i64()), (Some(30 * 60), Some(90 * 24 * 3600)));
    assert!(opens(&bank, &answer.text("access_token")).await);
    bank.clock.advance(chrono::Duration::minutes(30));
    assert!(!opens(&bank, &answer.text("access_token")).await);
}

#[tokio::test]
async fn a_code_needs_its_own_verifier_and_address_and_is_spent_by_trying() {
    let bank = OpenBank::new().await;
    for (verifier, address) in [("another-verifier-of-at-least-forty-three-chars", CALLBACK), ("short", CALLBACK), (VERIFIER, "https://evil.example/callback")]
    {
        let code = bank.agreed(&["harbour-checking"]).await;
        exchange_with(&bank, &code, verifier, address).await.is_refused(400, "invalid_grant");
        exchange(&bank, &code).await.is_refused(400, "invalid_grant");
    }
    let code = bank.agreed(&["harbour-checking"]).await;
    post(&bank, &[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)]).await.is_refused(400, "invalid_request");
    post(&bank, &[("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)]).await.is_refused(400, "invalid_request");
}

#[tokio::test]
async fn a_code_lives_a_minute() {
    let bank = OpenBank::new().await;
    let code = bank.agreed(&["harbour-checking"]).await;
    bank.clock.advance(chrono::Duration::seconds(60));
    exchange(&bank, &code).await.is_refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_used_twice_ends_what_it_brought() {
    let bank = OpenBank::new().await;
    let code = bank.agreed(&["harbour-checking"]).await;
    let tokens = exchange(&bank, &code).await;
    let reopened = bank.reopened().await;
    exchange(&reopened, &code).await.is_refused(400, "invalid_grant");
    assert!(!opens(&reopened, &tokens.text("access_token")).await);
    refresh(&reopened, &tokens.text("refresh_token")).await.is_refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_consent() {
    let bank = OpenBank::new().await;
    let first = exchange(&bank, &bank.agreed(&["harbour-checking"]).await).await;
    let other = exchange(&bank, &bank.agreed(&["harbour-savings"]).await).await;
    let second = refresh(&bank, &first.text("refresh_token")).await;
    assert_eq!(second.status, 200);
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert!(opens(&bank, &second.text("access_token")).await);
    refresh(&bank, &first.text("refresh_token")).await.is_refused(400, "invalid_grant");
    assert!(!opens(&bank, &second.text("access_token")).await);
    refresh(&bank, &second.text("refresh_token")).await.is_refused(400, "invalid_grant");
    assert!(opens(&bank, &other.text("access_token")).await, "another consent goes on");
}

#[tokio::test]
async fn a_consent_ends_after_ninety_days_however_often_it_is_refreshed() {
    let bank = OpenBank::new().await;
    let mut tokens = exchange(&bank, &bank.agreed(&["harbour-checking"]).await).await;
    for _ in 0..8 {
        bank.clock.advance(chrono::Duration::days(11));
        tokens = refresh(&bank, &tokens.text("refresh_token")).await;
    }
    bank.clock.advance(chrono::Duration::minutes(2 * 24 * 60 - 10));
    tokens = refresh(&bank, &tokens.text("refresh_token")).await;
    assert_eq!((tokens.body["expires_in"].as_i64(), tokens.body["consent_expires_in"].as_i64()), (Some(600), Some(600)));
    bank.clock.advance(chrono::Duration::minutes(10));
    assert!(!opens(&bank, &tokens.text("access_token")).await);
    refresh(&bank, &tokens.text("refresh_token")).await.is_refused(400, "invalid_grant");
}

#[tokio::test]
async fn only_the_client_itself_gets_tokens() {
    let bank = OpenBank::new().await;
    let (code, secret) = (bank.agreed(&["harbour-checking"]).await, bank.secret());
    let form = vec![("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER), ("redirect_uri", CALLBACK)];
    let post = || bank.browser.post(bank.at("token"));
    let strangers = [
        post().form(&form),
        post().basic_auth("somebody", Some(&secret)).form(&form),
        post().basic_auth(CLIENT_ID, Some("a guess")).form(&form),
        post().header("authorization", "Basic %%%").form(&form),
        post().header("authorization", format!("Bearer {secret}")).form(&form),
        post().form(&[&form[..], &[("client_id", CLIENT_ID)]].concat()),
        post().form(&[&form[..], &[("client_id", "somebody"), ("client_secret", &secret)]].concat()),
    ];
    for stranger in strangers {
        let answer = read(stranger.send().await.unwrap()).await;
        answer.is_refused(401, "invalid_client");
        assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"sandbox\"");
    }
    let twice = post().basic_auth(CLIENT_ID, Some(&secret)).form(&[&form[..], &[("client_secret", &secret)]].concat());
    read(twice.send().await.unwrap()).await.is_refused(400, "invalid_request");
    let in_body = post().form(&[&form[..], &[("client_id", CLIENT_ID), ("client_secret", &secret)]].concat());
    assert_eq!(read(in_body.send().await.unwrap()).await.status, 200, "the code was not spent by strangers");
}

#[tokio::test]
async fn odd_requests_are_named() {
    let bank = OpenBank::new().await;
    post(&bank, &[]).await.is_refused(400, "invalid_request");
    post(&bank, &[("grant_type", "password")]).await.is_refused(400, "unsupported_grant_type");
    post(&bank, &[("grant_type", "refresh_token")]).await.is_refused(400, "invalid_request");
    post(&bank, &[("grant_type", "refresh_token"), ("grant_type", "refresh_token")]).await.is_refused(400, "invalid_request");
    refresh(&bank, "made-up").await.is_refused(400, "invalid_grant");
}

#[tokio::test]
async fn tokens_survive_a_restart_and_the_file_does_not_hold_them() {
    let bank = OpenBank::new().await;
    let code = bank.agreed(&["harbour-checking"]).await;
    let first = exchange(&bank, &code).await;
    let second = refresh(&bank, &first.text("refresh_token")).await;
    bank.clock.advance(chrono::Duration::minutes(5));

    let reopened = bank.reopened().await;
    assert_eq!(reopened.secret(), bank.secret());
    assert_eq!(reopened.bank.ledger(), bank.bank.ledger());
    assert!(opens(&reopened, &second.text("access_token")).await);
    assert_eq!(refresh(&reopened, &second.text("refresh_token")).await.status, 200);
    refresh(&reopened, &first.text("refresh_token")).await.is_refused(400, "invalid_grant");

    let kept = std::fs::read_to_string(&bank.state_file).unwrap();
    for secret in [code, first.text("access_token"), first.text("refresh_token"), second.text("access_token"), second.text("refresh_token")] {
        assert!(!kept.contains(&secret));
    }
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&bank.state_file).unwrap().permissions()) & 0o777, 0o600);
    let files: Vec<_> = std::fs::read_dir(bank.folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "no temporary file is left behind");
}

#[tokio::test]
async fn what_cannot_be_kept_has_not_happened() {
    let bank = OpenBank::new().await;
    let tokens = exchange(&bank, &bank.agreed(&["harbour-checking"]).await).await;
    // A folder in the file's place cannot be replaced by a file, not even by root.
    std::fs::remove_file(&bank.state_file).unwrap();
    std::fs::create_dir_all(bank.state_file.join("in the way")).unwrap();
    assert_eq!(refresh(&bank, &tokens.text("refresh_token")).await.status, 500);
    std::fs::remove_dir_all(&bank.state_file).unwrap();
    assert_eq!(refresh(&bank, &tokens.text("refresh_token")).await.status, 200);
}

#[tokio::test]
async fn an_unreadable_state_file_stops_the_opening() {
    let folder = tempfile::tempdir().unwrap();
    let state_file = folder.path().join("sandbox.json");
    std::fs::write(&state_file, "{").unwrap();
    assert!(SandboxBank::open(state_file.clone(), SEED, StillClock::at(2025, 1, 1), Arc::new(Counted)).is_err());
    assert_eq!(std::fs::read_to_string(&state_file).unwrap(), "{", "it is not overwritten");
}

#[tokio::test]
async fn a_state_file_is_of_one_seed() {
    let folder = tempfile::tempdir().unwrap();
    let state_file = folder.path().join("sandbox.json");
    let open = |seed| SandboxBank::open(state_file.clone(), seed, StillClock::at(2025, 1, 1), Arc::new(Counted)).map(drop);
    open(SEED).unwrap();
    assert_eq!(SandboxBank::kept_seed(&state_file).unwrap(), Some(SEED));
    assert!(format!("{:#}", open(SEED + 1).unwrap_err()).contains("is of the sandbox bank with the seed"));
    // A file from before it said so is of whichever it is opened with.
    let mut before: serde_json::Value = serde_json::from_slice(&std::fs::read(&state_file).unwrap()).unwrap();
    before.as_object_mut().unwrap().remove("seed");
    std::fs::write(&state_file, before.to_string()).unwrap();
    assert_eq!(SandboxBank::kept_seed(&state_file).unwrap(), None);
    open(SEED + 1).unwrap();
    assert_eq!(SandboxBank::kept_seed(&state_file).unwrap(), Some(SEED + 1));
}

async fn revoke(bank: &OpenBank, form: &[(&str, &str)], secret: &str) -> Answer {
    read(bank.browser.post(bank.at("revoke")).basic_auth(CLIENT_ID, Some(secret)).form(form).send().await.unwrap()).await
}

#[tokio::test]
async fn a_revoked_token_takes_its_consent_along_and_no_other() {
    let bank = OpenBank::new().await;
    let (kept, ended) = (exchange(&bank, &bank.agreed(&["harbour-checking"]).await).await, exchange(&bank, &bank.agreed(&["harbour-euro"]).await).await);
    let form = [("token", ended.text("refresh_token"))];
    let form = [(form[0].0, form[0].1.as_str())];
    revoke(&bank, &form, "not the secret").await.is_refused(401, "invalid_client");
    revoke(&bank, &[], &bank.secret()).await.is_refused(400, "invalid_request");
    assert!(opens(&bank, &ended.text("access_token")).await);
    for _ in 0..2 {
        assert_eq!(revoke(&bank, &form, &bank.secret()).await.status, 200, "what is over already is no error");
    }
    assert!(!opens(&bank, &ended.text("access_token")).await);
    refresh(&bank, &ended.text("refresh_token")).await.is_refused(400, "invalid_grant");
    assert!(opens(&bank, &kept.text("access_token")).await);
    assert_eq!(revoke(&bank, &[("token", kept.text("access_token").as_str())], &bank.secret()).await.status, 200);
    refresh(&bank, &kept.text("refresh_token")).await.is_refused(400, "invalid_grant");
}
