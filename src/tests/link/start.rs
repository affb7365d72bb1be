//! Our start page: looking is free, leaving works once.

use chrono::Duration;

use crate::harness::app::TestApp;

#[tokio::test]
async fn looking_at_the_start_page_uses_nothing_up_and_leaving_uses_up_the_ticket() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        for _ in 0..2 {
            let page = walk.look().await;
            page.is_page(200);
            assert!(page.text.contains("Scripted &#60;b&#62;Bank") && !page.text.contains("ann@example.com"), "{}", page.text);
            assert!(page.header("set-cookie").is_empty());
        }
        let left = walk.leave().await;
        assert!(left.header("location").starts_with("https://bank.example/authorize?"), "{}", left.header("location"));
        assert_eq!(app.last_outcome("start_authorization").await, ("succeeded".to_owned(), None));
        for used in [walk.look().await, walk.leave_by("/oauth/scripted/start").await] {
            used.is_page(410);
            assert!(used.header("set-cookie").is_empty());
        }
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_ticket_works_for_ten_minutes_and_at_its_own_bank() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        for path in ["/oauth/sandbox/start", "/oauth/nobank/start"] {
            walk.leave_by(path).await.is_page(410);
            ann.get(&format!("{path}?ticket={}", walk.ticket)).await.is_page(410);
        }
        app.pass(Duration::minutes(10) - Duration::microseconds(1));
        walk.look().await.is_page(200);
        walk.leave().await;

        let late = ann.walk(None).await;
        app.pass(Duration::minutes(10));
        late.look().await.is_page(410);
        late.leave_by("/oauth/scripted/start").await.is_page(410);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_leave_with_one_ticket_at_once_one_does() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let walk = ann.walk(None).await;
        let path = "/oauth/scripted/start";
        let (one, other) = tokio::join!(walk.leave_by(path), walk.leave_by(path));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 410], "{}", app.store.name);
        app.every_attempt_ended_once().await;
    }
}

#[tokio::test]
async fn a_start_without_a_ticket_that_reads_is_a_page_too() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        for path in [
            "/oauth/scripted/start",
            "/oauth/scripted/start?ticket=",
            "/oauth/scripted/start?ticket=a&ticket=b",
            "/oauth/scripted/start?ticket=%3Cscript%3E%ff",
        ] {
            nobody.get(path).await.is_page(410);
        }
        for (body, content_type) in [("ticket=a&ticket=b", "application/x-www-form-urlencoded"), ("{}", "application/json"), ("", "text/plain")] {
            let request = nobody.request(reqwest::Method::POST, "/oauth/scripted/start").header("content-type", content_type).body(body);
            nobody.send(request).await.is_page(410);
        }
    }
}

#[tokio::test]
async fn the_cookie_is_for_this_host_only_and_for_no_script() {
    for app in TestApp::on_every_store().await {
        let cookie = app.signed_in("ann").await.walk(None).await.leave().await.header("set-cookie").to_owned();
        assert!(cookie.starts_with("dashtam-link-"), "{cookie}");
        assert_eq!(attributes(&cookie), ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax"], "{cookie}");
    }
    for app in TestApp::behind("https://money.example").await {
        let ann = app.signed_in("ann").await;
        let mut walk = ann.walk(None).await;
        let cookie = walk.leave().await.header("set-cookie").to_owned();
        assert!(cookie.starts_with("__Host-dashtam-link-"), "{cookie}");
        assert_eq!(attributes(&cookie), ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax", "Secure"], "{cookie}");
        let back = walk.come_back(&[("code", "a-code")]).await;
        back.is_page(200);
        assert_eq!(attributes(back.header("set-cookie")), ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"], "the cookie goes as it came");
    }
}

fn attributes(cookie: &str) -> Vec<&str> {
    let mut attributes: Vec<_> = cookie.split("; ").skip(1).collect();
    attributes.sort_unstable();
    attributes
}
