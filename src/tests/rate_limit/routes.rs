//! Limits of routes outside the graph.

use reqwest::Method;

use crate::harness::app::TestApp;

#[tokio::test]
async fn a_route_that_was_asked_too_often_answers_a_problem_and_does_nothing() {
    for app in TestApp::configured(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.write = "3/1".to_owned();
    })
    .await
    {
        let nobody = app.nobody();
        for left in ["2", "1", "0"] {
            let page = nobody.get("/verify-email?token=x").await;
            assert_eq!((page.status, page.header("x-ratelimit-limit"), page.header("x-ratelimit-remaining")), (200, "3", left), "{}", page.text);
        }
        let before = app.count("audit_events").await;
        for path in ["/verify-email", "/reset-password", "/confirm-email", "/revert-email", "/cancel-erasure", "/oauth/scripted/start"] {
            let refused = nobody.send(nobody.request(Method::POST, path).form(&[("token", "x")])).await;
            refused.is_problem(429, "RATE_LIMITED");
            assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0 && refused.header("x-ratelimit-remaining") == "0");
        }
        nobody.get("/oauth/scripted/callback?state=x").await.is_problem(429, "RATE_LIMITED");
        nobody.get("/exports/export_00000000000000000000000000").await.is_problem(429, "RATE_LIMITED");
        nobody.upload("x.ofx", b"x", None).await.is_problem(429, "RATE_LIMITED");
        assert_eq!(app.count("audit_events").await, before, "{}: limits come before the trail", app.store.name);
        // Somebody who is signed in has writes of their own, which the address did not use up.
        let ann = app.signed_in("ann").await;
        let upload = ann.upload("x.ofx", b"x", None).await;
        assert_eq!((upload.status, upload.header("x-ratelimit-remaining")), (422, "2"), "{}", upload.text);
        // What only shows something of ours is not limited.
        for path in ["/health", "/ready", "/schema.graphql", "/oauth/pages.css"] {
            assert_eq!(nobody.get(path).await.status, 200);
        }
        app.pass(chrono::Duration::minutes(1));
        assert_eq!(nobody.get("/verify-email?token=x").await.status, 200);
    }
}
