//! `POST /imports`: a form with one file.

use std::io;

use chrono::Duration;
use dashtam::domain::user::Role;
use serde_json::json;

use crate::harness::{
    app::TestApp,
    client::{Client, form_part},
};

use super::{CHECKING, counts};

const MEBIBYTE: usize = 1024 * 1024;

/// A part that begins as given and goes on for `bytes` more, sent as it is made.
fn endless_part(disposition: &str, bytes: usize) -> reqwest::Body {
    let chunk = vec![b'x'; MEBIBYTE / 16];
    let middle = std::iter::repeat_n(chunk.clone(), bytes / chunk.len()).chain([chunk[..bytes % chunk.len()].to_vec()]);
    let parts = [form_part(disposition, b"<OFX>")[..].trim_ascii_end().to_vec()].into_iter().chain(middle).chain([b"\r\n--edge--\r\n".to_vec()]);
    reqwest::Body::wrap_stream(futures_util::stream::iter(parts.map(Ok::<_, io::Error>)))
}

async fn nothing_came_in(app: &TestApp) {
    app.holds(&[("imports", 0), ("accounts", 0), ("transactions", 0), ("links", 0)]).await;
    app.every_attempt_ended_once().await;
}

#[tokio::test]
async fn a_form_brings_a_file_in_and_is_told_what_the_graph_tells() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let answer = ann.upload("folder/november.ofx", CHECKING.as_bytes(), None).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text);
        let import = &answer.body["import"];
        assert_eq!((counts(import), &import["filename"], &answer.body["userErrors"]), ((1, 4, 0), &json!("november.ofx"), &json!([])));
        assert!(import["id"].as_str().unwrap().starts_with("import_"));
        let document =
            "{ viewer { imports(first: 1) { nodes { statements { account { id } isNew name type maskedNumber currency balance { amount currency } } } } } }";
        let told = ann.ask(document).await.data()["viewer"]["imports"]["nodes"][0]["statements"].clone();
        assert_eq!(import["statements"], told);
        assert_eq!((&told[0]["type"], told[0]["balance"].is_object()), (&json!("CHECKING"), true));
        let account = ann.accounts().await[0]["id"].as_str().unwrap().to_owned();
        let again = ann.upload("november.ofx", CHECKING.as_bytes(), Some(&format!(" {account}\r\n"))).await;
        assert_eq!((again.status, counts(&again.body["import"])), (200, (0, 0, 4)), "{}", again.text);
        assert_eq!(app.outcomes("import_statement").await, vec![("succeeded".to_owned(), None); 2]);
    }
}

#[tokio::test]
async fn who_may_not_import_is_turned_away_and_on_the_trail() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let answer = nobody.upload("a.ofx", CHECKING.as_bytes(), None).await;
        answer.is_problem(401, "UNAUTHENTICATED");
        assert_eq!((answer.header("www-authenticate"), &answer.body["instance"]), ("Bearer", &json!("/imports")));
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("unauthenticated".to_owned())));
        nobody.upload_body("not even a form").await.is_problem(401, "UNAUTHENTICATED");

        let late = app.signed_in("bob").await;
        app.pass(Duration::minutes(16));
        let answer = late.upload("a.ofx", CHECKING.as_bytes(), None).await;
        answer.is_problem(401, "UNAUTHENTICATED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");

        app.user("ann").await;
        app.promote("ann", Role::Readonly).await;
        let ann = app.signed_in("ann").await;
        ann.upload("a.ofx", CHECKING.as_bytes(), None).await.is_problem(403, "FORBIDDEN");
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("forbidden".to_owned())));
        ann.import("a.ofx", CHECKING, None).await.is_fault("FORBIDDEN");
        nobody.import("a.ofx", CHECKING, None).await.is_fault("UNAUTHENTICATED");
        nothing_came_in(&app).await;
    }
}

#[tokio::test]
async fn a_file_of_more_than_fifty_mebibytes_is_refused_and_nothing_is_kept() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = "name=\"file\"; filename=\"a.ofx\"";
        ann.upload_body(endless_part(file, 50 * MEBIBYTE)).await.is_problem(413, "FILE_TOO_LARGE");
        // What stands around the file is bounded too.
        ann.upload_body(endless_part("name=\"accountId\"", 51 * MEBIBYTE)).await.is_problem(413, "FILE_TOO_LARGE");
        nothing_came_in(&app).await;
        ann.upload("a.ofx", CHECKING.as_bytes(), None).await.is_taken_in();
    }
}

#[tokio::test]
async fn an_unreadable_file_is_named_by_line_and_reason() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for (file, line) in [("", 1), ("\n\nhello", 3), ("<OFX>\n</OFX>", 2)] {
            let answer = ann.upload("a.ofx", file.as_bytes(), None).await;
            answer.is_problem(422, "UNREADABLE_FILE");
            let error = &answer.body["errors"][0];
            assert!(
                error["line"].as_u64().is_some_and(|told| told <= line) && error["message"].as_str().is_some_and(|text| !text.is_empty()),
                "{}",
                answer.text
            );
        }
        assert_eq!(app.last_outcome("import_statement").await, ("failed".to_owned(), Some("unreadable_file".to_owned())));
        nothing_came_in(&app).await;
    }
}

#[tokio::test]
async fn what_is_no_form_is_refused_as_such() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        for content_type in [
            "application/octet-stream",
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data",
            "multipart/mixed; boundary=edge",
        ] {
            let request = ann.request(reqwest::Method::POST, "/imports").header("content-type", content_type).body(CHECKING);
            ann.send(request).await.is_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let request = ann.request(reqwest::Method::POST, "/imports");
        ann.send(request).await.is_problem(415, "UNSUPPORTED_MEDIA_TYPE");
        ann.get("/imports").await.is_problem(405, "METHOD_NOT_ALLOWED");
        nothing_came_in(&app).await;
    }
}

#[tokio::test]
async fn a_form_that_is_broken_is_refused_as_such() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let file = form_part("name=\"file\"; filename=\"a.ofx\"", CHECKING.as_bytes());
        let other = form_part("name=\"other\"", b"1");
        for body in [
            b"".to_vec(),
            b"--edge--\r\n".to_vec(),
            b"no edge anywhere".to_vec(),
            b"--edge\r\n".to_vec(),
            b"--edge\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nnever ends".to_vec(),
            file.clone(),
            b"--edge\r\n\r\nno header\r\n--edge--\r\n".to_vec(),
            b"--edge\r\ncontent-disposition: \xff\xfe\r\n\r\nx\r\n--edge--\r\n".to_vec(),
            [&other[..], b"--edge--\r\n"].concat(),
            [&file[..], &other, b"--edge--\r\n"].concat(),
            [&file[..], &file, b"--edge--\r\n"].concat(),
            [form_part("name=\"accountId\"", b"acct_x"), b"--edge--\r\n".to_vec()].concat(),
        ] {
            let answer = ann.upload_body(body.clone()).await;
            answer.is_problem(400, "BAD_USER_INPUT");
        }
        nothing_came_in(&app).await;
    }
}

#[tokio::test]
async fn names_in_the_form_are_taken_for_names() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let name_of = async |client: &Client<'_>, filename: &str| {
            let answer = client.upload(filename, CHECKING.as_bytes(), None).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.body["import"]["filename"].as_str().unwrap().to_owned()
        };
        assert_eq!(name_of(&ann, "../../../etc/passwd").await, "passwd");
        assert_eq!(name_of(&ann, "4111111111111111.ofx").await, "••••1111.ofx");
        assert_eq!(name_of(&ann, &"x".repeat(5_000)).await, "x".repeat(255));
        assert_eq!(name_of(&ann, "März.ofx").await, "März.ofx");
        let answer = ann.upload_parts(&form_part("name=\"file\"", CHECKING.as_bytes())).await;
        assert_eq!((answer.status, answer.body["import"]["filename"].as_str()), (200, Some("statement")), "{}", answer.text);
    }
}
