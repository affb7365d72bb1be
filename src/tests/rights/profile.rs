//! What somebody says of themselves.

use serde_json::{Value, json};

use dashtam::domain::user::Role;

use crate::harness::{
    app::TestApp,
    client::{Answer, Client},
};

async fn rename(client: &Client<'_>, name: Value) -> Answer {
    client.mutate("updateProfile", "user { displayName email }", json!({ "displayName": name })).await
}

async fn name(client: &Client<'_>) -> Value {
    client.ask("{ viewer { displayName } }").await.data()["viewer"]["displayName"].clone()
}

#[tokio::test]
async fn a_name_is_trimmed_kept_and_taken_away_and_what_is_none_is_refused() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
        assert_eq!(name(&ann).await, Value::Null);
        app.promote("ann", Role::Readonly).await;
        app.pass(chrono::Duration::seconds(1));
        assert_eq!(rename(&ann, json!("  Änn  O'Neill \u{1f9a6} ")).await.succeeds()["user"]["displayName"], "Änn  O'Neill \u{1f9a6}");
        let longest = "\u{e4}".repeat(100);
        let longer = format!("{longest}x");
        let hidden = ["\u{200d}", "\u{200b}x", "x\u{202e}y", "\u{2028}", "x\u{feff}"];
        for wrong in ["", "   ", "a\nb", "a\u{0}b", "\u{9b}x", &longer].into_iter().chain(hidden) {
            rename(&ann, json!(wrong)).await.is_refused("NAME_INVALID");
        }
        assert_eq!(name(&ann).await, "Änn  O'Neill \u{1f9a6}");
        rename(&ann, json!(longest)).await.succeeds();
        rename(&ann, json!("\u{1f468}\u{200d}\u{1f467} نام\u{200c}ها")).await.succeeds();
        rename(&app.nobody(), json!("x")).await.is_fault("UNAUTHENTICATED");
        assert_eq!(name(&bob).await, Value::Null);
        rename(&ann, Value::Null).await.succeeds();
        assert_eq!(name(&ann).await, Value::Null);
        app.every_attempt_ended_once().await;
    }
}
