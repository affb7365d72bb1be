//! Completing a link whose redirect a frontend caught: only by the user who began it.

use dashtam::application::ports::ProviderFault;

use crate::harness::app::{FRONTEND, TestApp};

use super::{came_to_nothing, failed_for, is_active, is_spent, nothing_is_stored, told};

#[tokio::test]
async fn the_beginner_completes_without_our_pages() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let walk = ann.walk(Some(FRONTEND)).await;
        let link = ann.complete(&walk.state, "a-code").await.succeeds()["link"].clone();
        assert_eq!((&link["id"], &link["status"]), (&walk.link.clone().into(), &"ACTIVE".into()));
        is_active(&app, &ann, &walk.link).await;
        is_spent(&app, &ann, &walk).await;
        walk.look().await.is_page(410);
    }
}

#[tokio::test]
async fn anothers_state_answers_like_an_unknown_one_and_is_spent() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let walk = ann.walk(Some(FRONTEND)).await;
        let unknown = bob.complete("no-such-state", "a-code").await;
        unknown.is_refused("STATE_INVALID");
        assert_eq!(app.last_outcome("complete_link").await, ("failed".to_owned(), Some("unknown_state".to_owned())));
        let foreign = bob.complete(&walk.state, "a-code").await;
        assert_eq!(told(&foreign), told(&unknown));
        failed_for(&app, &ann, &walk.link, "wrong_user").await;
        assert_eq!(told(&bob.complete(&walk.state, "a-code").await), told(&unknown), "a spent one of another's answers alike");
        assert!(app.bank.script(|script| script.exchanges.is_empty()));
        is_spent(&app, &ann, &walk).await;
        nothing_is_stored(&app).await;
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn anothers_spent_state_takes_no_active_link_away() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let walk = ann.walk(Some(FRONTEND)).await;
        ann.complete(&walk.state, "a-code").await.succeeds();
        bob.complete(&walk.state, "a-code").await.is_refused("STATE_INVALID");
        assert_eq!(ann.link(&walk.link).await["status"], "ACTIVE");
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn an_exchange_that_fails_leaves_a_failed_link() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        app.bank.script(|script| script.exchange = Some(ProviderFault::Refused));
        let walk = ann.walk(Some(FRONTEND)).await;
        let answer = ann.complete(&walk.state, "a-code").await;
        answer.is_refused("LINK_FAILED");
        assert_eq!(answer.payload()["userErrors"][0]["message"], "nothing was linked: The bank did not accept its own answer any more.");
        came_to_nothing(&app, &ann, &walk, "exchange_refused").await;
    }
}

#[tokio::test]
async fn a_link_of_ones_own_is_nobody_elses_to_see() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        let link = ann.link_scripted().await;
        assert!(bob.link(&link).await.is_null());
        bob.sync(&link, true).await.is_refused("NOT_FOUND");
    }
}
