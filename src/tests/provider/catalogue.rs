//! What the catalogue says of providers.

use serde_json::json;

use crate::harness::app::TestApp;

#[tokio::test]
async fn the_catalogue_says_what_is_served_what_is_borne_and_where_to_read_on() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let asked = "{ providers { slug serves documentation requestBudgets { scope atOnce comeBack withinMinutes } } }";
        let told = ann.ask(asked).await.data()["providers"].clone();
        let of = |slug: &str| told.as_array().unwrap().iter().find(|one| one["slug"] == slug).unwrap().clone();
        let day = json!([{ "scope": "EACH_LINK", "atOnce": 14, "comeBack": 10, "withinMinutes": 1440 }]);
        assert_eq!(of("simplefin")["requestBudgets"], day);
        assert_eq!(of("schwab")["requestBudgets"][0]["scope"], "EVERYONE");
        assert_eq!((&of("sandbox")["requestBudgets"], &of("sandbox")["documentation"]), (&json!([]), &json!(null)));
        assert_eq!(of("alpaca")["serves"], json!(["BALANCES", "TRANSACTIONS", "HOLDINGS"]));
        assert!(of("alpaca")["documentation"].as_str().unwrap().starts_with("https://docs.alpaca.markets/"));
    }
}
