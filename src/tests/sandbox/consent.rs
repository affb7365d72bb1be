use super::*;

/// A request that is in order but for the parameters given here; an empty value leaves one out.
async fn ask(bank: &OpenBank, changes: &[(&str, &str)]) -> reqwest::Response {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("state", "a-state"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    parameters.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    parameters.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    bank.browser.get(bank.at("authorize")).query(&parameters).send().await.unwrap()
}

#[tokio::test]
async fn the_page_names_who_asks_and_for_what_and_runs_no_script() {
    let bank = OpenBank::new().await;
    let page = ask(&bank, &[]).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:9 "), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
    assert_eq!(page.headers()["cache-control"], "no-store");
    let html = page.text().await.unwrap();
    assert!(html.contains("Share your accounts with Dashtam?") && html.contains("Meridian Card &#38; Credit") && !html.contains("<script"));
    assert_eq!((html.matches("type=\"checkbox\"").count(), html.matches(" checked").count(), html.matches("<label ").count()), (7, 7, 7));
    let whole_numbers = bank.bank.ledger();
    assert!(whole_numbers.books.iter().all(|book| !html.contains(&book.number)));
    let style = bank.get(&bank.at("sandbox.css")).await;
    assert_eq!(style.headers()["content-type"], "text/css; charset=utf-8");
}

#[tokio::test]
async fn a_stranger_or_an_unregistered_address_is_told_on_a_page_and_never_sent_on() {
    let bank = OpenBank::new().await;
    let slashed = format!("{CALLBACK}/");
    let attacks: [&[(&str, &str)]; 6] = [
        &[("client_id", "somebody")],
        &[("client_id", "")],
        &[("redirect_uri", "https://evil.example/callback")],
        &[("redirect_uri", &slashed)],
        &[("redirect_uri", "")],
        &[("redirect_uri", CALLBACK), ("redirect_uri", "https://evil.example/callback")],
    ];
    for attack in attacks {
        let answer = ask(&bank, attack).await;
        assert_eq!(answer.status(), 400, "{attack:?}");
        assert!(!answer.headers().contains_key("location"));
        let page = answer.text().await.unwrap();
        assert!(page.contains("Nothing was shared") && !page.contains("evil.example"));
    }
}

#[tokio::test]
async fn other_mistakes_are_told_to_the_client_with_its_state_and_the_issuer() {
    let bank = OpenBank::new().await;
    let mistakes: [(&[(&str, &str)], &str); 7] = [
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "too-short")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("response_type", "code"), ("response_type", "code")], "invalid_request"),
    ];
    for (mistake, error) in mistakes {
        let answer = ask(&bank, mistake).await;
        assert_eq!(answer.status(), 303, "{mistake:?}");
        let url = location(&answer);
        assert!(url.as_str().starts_with(CALLBACK));
        let issuer = Some(bank.base_url.to_string());
        assert_eq!((parameter(&url, "error").as_deref(), parameter(&url, "state").as_deref(), parameter(&url, "iss")), (Some(error), Some("a-state"), issuer));
        assert_eq!(parameter(&url, "code"), None);
    }
    let stateless = ask(&bank, &[("state", "")]).await;
    assert_eq!(parameter(&location(&stateless), "error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn declining_is_an_answer() {
    let bank = OpenBank::new().await;
    let ticket = bank.ticket(&walk()).await;
    let answer = bank.decide(&[("ticket", &ticket), ("decision", "decline"), ("account", "harbour-checking")]).await;
    assert_eq!(answer.status(), 303);
    let url = location(&answer);
    assert_eq!((parameter(&url, "error").as_deref(), parameter(&url, "state").as_deref()), (Some("access_denied"), Some("a-state")));
    assert_eq!(parameter(&url, "iss"), Some(bank.base_url.to_string()));
    assert_eq!(parameter(&url, "code"), None);
}

#[tokio::test]
async fn agreeing_to_nothing_asks_again() {
    let bank = OpenBank::new().await;
    let ticket = bank.ticket(&walk()).await;
    for chosen in ["", "no-such-account"] {
        let ticket = if chosen.is_empty() { ticket.clone() } else { bank.ticket(&walk()).await };
        let again = bank.decide(&[("ticket", &ticket), ("decision", "agree"), ("account", chosen)]).await;
        assert_eq!(again.status(), 422);
        let page = again.text().await.unwrap();
        assert!(page.contains("role=\"alert\"") && page.contains("Choose at least one account"));
        let answer = bank.decide(&[("ticket", &ticket_in(&page)), ("decision", "agree"), ("account", "harbour-euro")]).await;
        assert_eq!(answer.status(), 303);
    }
}

#[tokio::test]
async fn a_page_is_answered_once_and_in_time() {
    let bank = OpenBank::new().await;
    let ticket = bank.ticket(&walk()).await;
    let form = [("ticket", ticket.as_str()), ("decision", "agree"), ("account", "harbour-euro")];
    assert_eq!(bank.decide(&form).await.status(), 303);
    assert_eq!(bank.decide(&form).await.status(), 400);
    assert_eq!(bank.decide(&[("ticket", "made-up"), ("decision", "agree"), ("account", "harbour-euro")]).await.status(), 400);
    let late = bank.ticket(&walk()).await;
    bank.clock.advance(chrono::Duration::minutes(11));
    assert_eq!(bank.decide(&[("ticket", &late), ("decision", "agree"), ("account", "harbour-euro")]).await.status(), 400);
}

#[tokio::test]
async fn nobody_is_asked_before_the_client_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let bank = SandboxBank::open(folder.path().join("sandbox.json"), SEED, StillClock::at(2025, 1, 1), Arc::new(Counted)).unwrap();
    let request = axum::http::Request::get("/authorize?client_id=dashtam").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(bank.router(), request).await.unwrap();
    assert_eq!(answer.status(), 400);
}
