//! Sessions, through the whole product.

use super::harness::app::TestApp;

#[tokio::test]
async fn a_revoked_session_stops_at_once() {
    for app in TestApp::on_every_store().await {
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        ann.revoke(phone.session_id.as_ref().unwrap()).await.succeeds();
        let answer = phone.ask("{ viewer { id } providers { slug } }").await;
        answer.is_fault("UNAUTHENTICATED");
        assert_eq!(answer.body["extensions"]["authentication"], "SESSION_ENDED");
        phone.refresh().await.is_refused("SESSION_ENDED");
        assert_eq!(app.last_outcome("revoke_session").await, ("succeeded".to_owned(), None));
        assert_eq!(app.last_outcome("refresh_session").await, ("failed".to_owned(), Some("session_ended".to_owned())));
    }
}

#[tokio::test]
async fn the_sandbox_bank_is_linked_through_its_pages() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        ann.link_sandbox().await;
        let data = ann.ask("{ viewer { accounts(first: 10) { nodes { name balances { current { amount currency } } transactions(first: 20) { nodes { description } } } } } }").await.data();
        assert_eq!(data["viewer"]["accounts"]["nodes"].as_array().map(Vec::len), Some(7));
    }
}
