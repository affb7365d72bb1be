//! Keys that are exchanged below a running server: chains of tokens, replicas that learn of them later, and passwords.

use chrono::Duration;
use dashtam::infrastructure::security::keys::{Keys, KeysInForce};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::Client,
};

use super::{first_ring, first_secret, keys, kid, ring_key, secret, usage};

async fn is_live(client: &Client<'_>) -> bool {
    client.ask("{ viewer { id } }").await.data()["viewer"]["id"].is_string()
}

/// The chain's next tokens: access and refresh.
async fn next(app: &TestApp, refresh: &str) -> (String, String) {
    let answer = app.nobody().refresh_with(refresh).await.succeeds();
    (answer["accessToken"].as_str().unwrap().to_owned(), answer["refreshToken"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_chain_of_refreshes_goes_on_across_two_rotations_within_seven_days() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let (first_access, first) = (ann.access_token.clone().unwrap(), ann.refresh_token.clone().unwrap());
        let first_kid = kid(&first_access);

        app.keys.adopt(keys(&[first_ring()], &[secret('b'), first_secret()])).unwrap();
        assert!(is_live(&ann).await, "what was signed before is still accepted");
        let (access, second) = next(&app, &first).await;
        assert_ne!(kid(&access), first_kid, "new tokens are signed by the new secret");
        assert!(is_live(&app.nobody().bearing(&access)).await);
        app.pass(Duration::seconds(5));
        assert_eq!(next(&app, &first).await.1, second, "the successor of a token is derived under its own key, whichever is current");

        app.pass(Duration::days(1));
        app.keys.adopt(keys(&[first_ring()], &[secret('c'), secret('b'), first_secret()])).unwrap();
        let (access, third) = next(&app, &second).await;
        assert!(is_live(&app.nobody().bearing(&access)).await);
        let (_, fourth) = next(&app, &third).await;

        // The first secret made nothing that still counts, and so it may go.
        assert!(!usage(&app).await.tokens.contains_key(&first_kid), "{}", app.store.name);
        app.keys.adopt(keys(&[first_ring()], &[secret('c'), secret('b')])).unwrap();
        let (access, fifth) = next(&app, &fourth).await;
        assert!(is_live(&app.nobody().bearing(&access)).await);
        assert!(!is_live(&app.nobody().bearing(&first_access)).await);

        // Whoever takes all of them away signs everyone out, and nothing is stored for it.
        let before = app.store.contents("refresh_tokens").await;
        app.keys.adopt(keys(&[first_ring()], &[secret('d')])).unwrap();
        assert!(!is_live(&app.nobody().bearing(&access)).await);
        app.nobody().refresh_with(&fifth).await.is_refused("REFRESH_TOKEN_INVALID");
        assert_eq!(app.store.contents("refresh_tokens").await, before);
        assert!(usage(&app).await.foreign.iter().any(|(what, count)| *what == "refresh tokens" && *count == 1));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_replica_that_accepts_a_new_secret_verifies_it_before_anyone_signs_with_it() {
    for app in TestApp::on_every_store().await {
        let other = app.second_process().await;
        let renewed = keys(&[ring_key("t2", 7), first_ring()], &[secret('b'), first_secret()]);
        let waiting = renewed.waiting_behind(&app.keys.now()).unwrap();
        let ann = app.signed_in("ann").await;
        let before = kid(ann.access_token.as_deref().unwrap());
        let sealed_under = async || ann.link_scripted().await;
        app.keys.adopt(waiting).unwrap();
        let again = app.signed_in("ann").await;
        assert_eq!(kid(again.access_token.as_deref().unwrap()), before, "accepted, and not used yet");
        sealed_under().await;
        assert!(is_live(&app.nobody().at(&other).bearing(again.access_token.as_deref().unwrap())).await, "which is why the other one still knows it");
        // Without the wait the other process would turn such a token away.
        app.keys.adopt(renewed).unwrap();
        let early = app.signed_in("ann").await;
        assert!(!is_live(&app.nobody().at(&other).bearing(early.access_token.as_deref().unwrap())).await);
        assert!(is_live(&early).await);
    }
}

#[test]
fn only_what_is_new_waits_and_only_behind_what_is_kept() {
    let before = keys(&[ring_key("a", 1)], &[secret('a')]);
    let order = |keys: &Keys| format!("{} {}", keys.ring_ids().join(","), keys.token_ids().len());
    let both = keys(&[ring_key("b", 2), ring_key("a", 1)], &[secret('b'), secret('a')]);
    let waiting = both.waiting_behind(&before).unwrap();
    assert_eq!((order(&waiting).as_str(), waiting.token_ids()[0]), ("a,b 2", before.token_ids()[0]));
    // Another rotation meanwhile: what is in force stays in front of both.
    let thrice = keys(&[ring_key("c", 3), ring_key("b", 2), ring_key("a", 1)], &[secret('c'), secret('b'), secret('a')]);
    assert_eq!(order(&thrice.waiting_behind(&waiting).unwrap()), "a,c,b 3");
    // Known already: an operator has let every server accept it before.
    assert!(both.waiting_behind(&waiting).is_none());
    // Whatever leaked is gone: there is nothing to wait behind.
    assert!(keys(&[ring_key("b", 2)], &[secret('b')]).waiting_behind(&before).is_none());
    assert!(before.waiting_behind(&before).is_none());
}

#[test]
fn keys_of_which_something_cannot_be_derived_are_adopted_nowhere() {
    let (first, second) = (keys(&[ring_key("a", 1)], &[secret('a')]), keys(&[ring_key("b", 2)], &[secret('b')]));
    let in_force = KeysInForce::new(first);
    let ids = |keys: &Keys| Ok(keys.ring_ids().join(","));
    let good = in_force.derived(ids).unwrap();
    let picky = in_force.derived(|keys| if keys.ring_ids() == ["b"] { anyhow::bail!("not this one") } else { Ok(()) }).unwrap();
    assert!(in_force.adopt(second.clone()).is_err());
    assert_eq!((good.now().as_str(), in_force.now().ring_ids()), ("a", vec!["a"]));
    drop(picky);
    in_force.adopt(second).unwrap();
    assert_eq!((good.now().as_str(), in_force.now().ring_ids()), ("b", vec!["b"]));
}

#[test]
fn a_comma_in_a_secret_is_refused_and_a_list_of_previous_ones_is_read() {
    let read = |token: &str, previous: Option<&str>| {
        let keys = Keys::read(&first_ring().into(), &token.into(), previous.map(Into::into).as_ref());
        keys.map(|keys| keys.token_ids().len()).map_err(|refusal| format!("{refusal:#}"))
    };
    let with_comma = format!("{},{}", secret('a'), secret('b'));
    let refusal = read(&with_comma, None).unwrap_err();
    assert!(refusal.contains("DASHTAM_JWT__SECRET holds a comma") && !refusal.contains("aaaa"), "{refusal}");
    assert_eq!(read(&secret('a'), Some(&format!("{} , {},", secret('b'), secret('c')))), Ok(3));
    assert_eq!(read(&secret('a'), Some("")), Ok(1), "an empty file is none");
    assert_eq!(read(&secret('a'), Some(&secret('a'))), Ok(1), "between the two writes of a rotation it stands in both");
    let refusal = read(&secret('a'), Some(&format!("{},canary", secret('b')))).unwrap_err();
    assert!(refusal.contains("DASHTAM_JWT__PREVIOUS is shorter than 32 bytes") && !refusal.contains("canary"), "{refusal}");
}

#[tokio::test]
async fn a_pepper_is_renewed_at_the_next_sign_in_and_the_others_are_counted() {
    for app in TestApp::on_every_store().await {
        app.user("ann").await;
        app.user("bob").await;
        app.keys.adopt(keys(&[ring_key("t2", 7), first_ring()], &[first_secret()])).unwrap();
        assert_eq!(usage(&app).await.ring["t1"], [("passwords", 2)]);
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        let counted = usage(&app).await;
        assert_eq!((&counted.ring["t1"], &counted.ring["t2"]), (&vec![("passwords", 1)], &vec![("passwords", 1)]), "{}", app.store.name);
        app.keys.adopt(keys(&[ring_key("t2", 7)], &[first_secret()])).unwrap();
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        app.nobody().sign_in("bob@example.com", PASSWORD).await.is_refused("INVALID_CREDENTIALS");
        assert_eq!(usage(&app).await.foreign, [("passwords", 1)]);
        app.every_attempt_ended_once().await;
    }
}
