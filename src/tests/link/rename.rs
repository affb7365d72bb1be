//! A link's name.

use dashtam::domain::user::Role;
use serde_json::{Value, json};

use crate::harness::app::TestApp;

use super::{everything, no_links, synced};

#[tokio::test]
async fn a_name_is_kept_over_syncs_and_taken_away_when_it_is_left_out() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let other = ann.link_scripted().await;
        for (typed, kept) in [
            ("Main bank", "Main bank"),
            ("  Hauptkonto \u{1f3e6}  ", "Hauptkonto \u{1f3e6}"),
            (&"x".repeat(100), &"x".repeat(100)),
            ("Giro DE89370400440532013000", "Giro ••••3000"),
            ("Visa 4111 1111 1111 1111", "Visa ••••1111"),
        ] {
            let told = ann.rename_link(&link, Some(typed)).await.succeeds()["link"].clone();
            assert_eq!(told, json!({ "id": link, "alias": kept, "status": "ACTIVE" }));
            ann.sync(&link, true).await.succeeds();
            app.work().await;
            assert_eq!(ann.link(&link).await["alias"], *kept, "what was answered is stored, {}", app.store.name);
        }
        assert_eq!(ann.link(&other).await["alias"], Value::Null, "another link has its own name");
        ann.rename_link(&other, Some("Main bank")).await.succeeds();
        ann.rename_link(&link, None).await.succeeds();
        assert_eq!(ann.link(&link).await["alias"], Value::Null);
        ann.rename_link(&link, Some("Main bank")).await.succeeds();
        ann.mutate("renameLink", "link { alias }", json!({ "linkId": link })).await.succeeds();
        assert_eq!((ann.link(&link).await["alias"].clone(), ann.link(&other).await["alias"].clone()), (Value::Null, json!("Main bank")));
        assert_eq!(app.last_outcome("rename_link").await, ("succeeded".to_owned(), None));
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn what_is_no_name_changes_nothing() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        ann.rename_link(&link, Some("Main bank")).await.succeeds();
        let before = everything(&app).await;
        for typed in ["", "   ", "\u{200b}", "line\nbreak", "nul\u{0}", "turned \u{202e}round", &"x".repeat(101), &"\u{1f3e6}".repeat(101)] {
            let refused = ann.rename_link(&link, Some(typed)).await;
            refused.is_refused("NAME_INVALID");
            assert_eq!((&refused.payload()["userErrors"][0]["field"], &refused.payload()["link"]), (&json!(["alias"]), &Value::Null));
            assert_eq!(app.last_outcome("rename_link").await, ("failed".to_owned(), Some("invalid_name".to_owned())));
        }
        assert_eq!(before, everything(&app).await);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn only_ones_own_links_are_named_and_not_by_readers() {
    for app in TestApp::on_every_store().await {
        let (ann, link) = synced(&app, vec![]).await;
        let bob = app.signed_in("bob").await;
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        let before = everything(&app).await;
        bob.rename_link(&link, Some("Mine")).await.is_refused("NOT_FOUND");
        for id in no_links(&link, &account) {
            ann.rename_link(&id, Some("Mine")).await.is_refused("NOT_FOUND");
            assert_eq!(app.last_outcome("rename_link").await, ("failed".to_owned(), Some("not_found".to_owned())));
        }
        app.nobody().rename_link(&link, Some("Mine")).await.is_fault("UNAUTHENTICATED");
        app.promote("ann", Role::Readonly).await;
        app.pass(chrono::Duration::seconds(1));
        ann.rename_link(&link, Some("Mine")).await.is_fault("FORBIDDEN");
        assert_eq!(app.last_outcome("rename_link").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        assert_eq!(before, everything(&app).await);
        app.every_attempt_ended_once().await;
    }
}
