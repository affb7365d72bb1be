//! The life of a link to Schwab, through the whole product and a week.

use chrono::Duration;
use dashtam::domain::time::Clock as _;
use serde_json::{Value, json};

use crate::harness::{
    app::{FRONTEND, TestApp},
    client::Client,
};

use super::stand_in::{CLIENT_ID, CLIENT_SECRET, StandIn, row};

async fn apps(stand_in: &StandIn) -> Vec<TestApp> {
    let url = stand_in.url.clone();
    TestApp::configured(move |config| {
        let schwab = &mut config.providers.schwab;
        (schwab.base_url, schwab.client_id, schwab.client_secret) = (Some(url.clone()), Some(CLIENT_ID.to_owned()), Some(CLIENT_SECRET.into()));
    })
    .await
}

/// Some rows of the last weeks.
fn rows(app: &TestApp) -> Vec<Value> {
    let day = |back: i64| app.store.clock.today().plus_days(-back);
    vec![
        row(1, "WIRE_IN", &format!("{}T15:00:00+0000", day(20)), 500.0, json!({})),
        row(2, "DIVIDEND_OR_INTEREST", &format!("{}T00:00:00+0000", day(3)), 1.5, json!({ "description": "CREDIT INTEREST" })),
    ]
}

async fn syncs(app: &TestApp, ann: &Client<'_>, link: &str) -> Value {
    ann.sync(link, true).await.succeeds();
    assert_eq!(app.work().await, 1);
    ann.link(link).await
}

#[tokio::test]
async fn a_consent_is_given_renewed_every_half_hour_and_over_after_seven_days() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        stand_in.goes_by(app.store.clock.clone());
        stand_in.has_account("12345678", "A1B2", rows(&app));
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk_to("schwab", None).await;
        walk.leave().await;
        let answer = walk.come_back(&[("code", "C0.b2F@"), ("session", "7f3b-canary")]).await;
        answer.is_page(200);
        let link = walk.link.clone();
        let ends = app.store.clock.now().plus(Duration::days(7)).to_string();
        let told = ann.link(&link).await;
        assert_eq!((&told["status"], &told["consent"]["expiresAt"]), (&json!("ACTIVE"), &json!(ends)));
        let form = stand_in.script(|script| script.forms.pop().unwrap());
        assert_eq!((form["code"].as_str(), form["code_verifier"].len()), ("C0.b2F@", 43), "PKCE is sent");
        assert!(form["redirect_uri"].ends_with("/oauth/schwab/callback"));
        assert_eq!(app.work().await, 1);
        assert_eq!(ann.link(&link).await["lastSync"]["status"], "SUCCEEDED");
        let (accounts, ids) = (ann.accounts().await, ann.transaction_ids().await);
        assert_eq!((accounts.len(), &accounts[0]["maskedNumber"], ids.len()), (1, &json!("••••5678"), 2));
        assert!(stand_in.script(|script| script.paths.iter().all(|path| !path.contains("12345678"))));

        app.pass(Duration::days(2));
        let ann = app.signed_in("ann").await;
        let told = syncs(&app, &ann, &link).await;
        assert_eq!((&told["lastSync"]["status"], &told["consent"]["expiresAt"]), (&json!("SUCCEEDED"), &json!(ends)), "renewing extends nothing");
        assert_eq!(stand_in.script(|script| script.forms.pop().unwrap())["grant_type"], "refresh_token");

        app.pass(Duration::days(5));
        let ann = app.signed_in("ann").await;
        let told = syncs(&app, &ann, &link).await;
        assert_eq!((&told["status"], &told["reason"], &told["nextAction"]), (&json!("EXPIRED"), &json!("CONSENT_ENDED"), &json!("RELINK")));
        assert_eq!((ann.accounts().await.len(), ann.transaction_ids().await), (1, ids.clone()), "what is there stays");

        let begun = ann.relink(&link, Some(FRONTEND)).await.succeeds();
        let url = url::Url::parse(begun["providerAuthorizationUrl"].as_str().unwrap()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        assert_eq!(ann.complete(&state, "C0.again%40").await.succeeds()["link"]["status"], "ACTIVE");
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!((&told["lastSync"]["status"], &told["reason"]), (&json!("SUCCEEDED"), &json!(null)));
        assert_eq!(ann.accounts().await[0]["id"], accounts[0]["id"]);
        assert_eq!((ann.accounts().await.len(), ann.transaction_ids().await), (1, ids));
        for canary in ["12345678", "schwab-access-canary", "schwab-refresh-canary", "an-app-secret-canary"] {
            assert!(!app.store.spells(canary).await, "{canary} in {}", app.store.name);
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_code_that_schwab_refuses_links_nothing() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        stand_in.goes_by(app.store.clock.clone());
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk_to("schwab", None).await;
        walk.leave().await;
        let answer = walk.come_back(&[("code", "not-a-code"), ("session", "7f3b-canary")]).await;
        assert!(!answer.text.contains("canary"), "{}", answer.text);
        let told = ann.link(&walk.link).await;
        assert_eq!((&told["status"], &told["reason"]), (&json!("FAILED"), &json!("EXCHANGE_REFUSED")));
        ann.link_with_key(json!({ "provider": "schwab", "key": "k", "secret": "s" })).await.is_refused("LINK_METHOD_MISMATCH");
        app.holds(&[("credentials", 0), ("accounts", 0), ("syncs", 0)]).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn tokens_with_an_odd_lifetime_are_kept_and_unusable_ones_are_not() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        stand_in.goes_by(app.store.clock.clone());
        stand_in.has_account("12345678", "A1B2", rows(&app));
        for lifetime in [json!("1800"), json!(1800.0), json!(-1), json!("soon"), json!(null), json!([1800]), json!(1e30)] {
            stand_in.script(|script| script.odd = json!({ "expires_in": lifetime }));
            let ann = app.signed_in("ann").await;
            let mut walk = ann.walk_to("schwab", None).await;
            walk.leave().await;
            walk.come_back(&[("code", "C0.b2F@")]).await.is_page(200);
            assert_eq!(ann.link(&walk.link).await["status"], "ACTIVE", "{lifetime} {}", app.store.name);
            app.work().await;
            app.pass(Duration::hours(1));
            let ann = app.signed_in("ann").await;
            assert_eq!(syncs(&app, &ann, &walk.link).await["lastSync"]["status"], "SUCCEEDED", "{lifetime}: the token that took its place was kept");
            ann.unlink(&walk.link, false).await.succeeds();
        }
        let kept = app.count("credentials").await;
        for token in ["", "a\r\nb", "ü", "a b"] {
            stand_in.script(|script| script.odd = json!({ "access_token": token }));
            let ann = app.signed_in("ann").await;
            let mut walk = ann.walk_to("schwab", None).await;
            walk.leave().await;
            walk.come_back(&[("code", "C0.b2F@")]).await.is_page(200);
            let told = ann.link(&walk.link).await;
            assert_eq!((&told["status"], &told["reason"]), (&json!("FAILED"), &json!("MALFORMED_ANSWER")), "{token:?}");
        }
        assert_eq!((kept, app.count("credentials").await), (0, 0));
        stand_in.script(|script| script.odd = json!(null));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn nobody_is_sent_to_a_bank_whose_token_endpoint_asked_for_a_pause() {
    let stand_in = StandIn::open().await;
    for app in apps(&stand_in).await {
        stand_in.goes_by(app.store.clock.clone());
        stand_in.has_account("12345678", "A1B2", Vec::new());
        stand_in.script(|script| script.rests = Some(600));
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let mut walk = ann.walk_to("schwab", None).await;
        walk.leave().await;
        walk.come_back(&[("code", "C0.b2F@")]).await.is_page(200);
        let told = ann.link(&walk.link).await;
        assert_eq!((&told["status"], &told["reason"]), (&json!("FAILED"), &json!("RATE_LIMITED")));
        stand_in.script(|script| script.rests = None);
        ann.relink(&walk.link, None).await.is_refused("PROVIDER_RATE_LIMITED");
        bob.begin_link("schwab", None).await.is_refused("PROVIDER_RATE_LIMITED");
        assert_eq!(app.last_outcome("begin_link").await, ("failed".to_owned(), Some("rate_limited".to_owned())));
        assert_eq!(app.last_outcome("relink").await, ("failed".to_owned(), Some("rate_limited".to_owned())));
        app.holds(&[("links", 1), ("authorizations", 1)]).await;

        app.pass(Duration::seconds(600));
        let mut walk = bob.walk_to("schwab", None).await;
        walk.leave().await;
        walk.come_back(&[("code", "C0.b2F@")]).await.is_page(200);
        assert_eq!(bob.link(&walk.link).await["status"], "ACTIVE");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn without_an_app_schwab_is_in_the_catalogue_and_cannot_be_linked() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let told =
            ann.ask(r#"{ provider(slug: "schwab") { name linkMethod available unavailableReason consentDays category } }"#).await.data()["provider"].clone();
        let reason = told["unavailableReason"].as_str().unwrap();
        assert!(reason.contains("DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID and DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET"), "{reason}");
        assert_eq!((&told["available"], &told["linkMethod"], &told["consentDays"]), (&json!(false), &json!("OAUTH"), &json!(7)));
        ann.begin_link("schwab", None).await.is_refused("PROVIDER_UNAVAILABLE");
        assert_eq!(app.last_outcome("begin_link").await, ("failed".to_owned(), Some("unavailable_provider".to_owned())));
        app.holds(&[("links", 0), ("authorizations", 0)]).await;
    }
}
