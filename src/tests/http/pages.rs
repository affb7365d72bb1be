//! Pages from the binary: the playground, and the pages of the walk to a bank.

use std::io::Write as _;

use crate::harness::app::TestApp;

/// Whether a page holds script or style of its own, or an attribute that is script.
fn inline(page: &str) -> Vec<String> {
    let lower = page.to_ascii_lowercase();
    let mut found = Vec::new();
    for tag in lower.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').unwrap_or((tag, ""));
        let name = tag.split_whitespace().next().unwrap_or_default();
        let attributes = tag.split_whitespace().skip(1);
        if (name == "script" && (!tag.contains("src=") || !text.trim().is_empty())) || name == "style" {
            found.push(tag.to_owned());
        }
        found.extend(
            attributes
                .filter(|attribute| attribute.starts_with("on") || attribute.starts_with("style=") || attribute.contains("javascript:"))
                .map(str::to_owned),
        );
    }
    found
}

/// What a page loads and leads to, but what it brings itself.
fn named(page: &str) -> Vec<&str> {
    let after = |name: &'static str| page.split(name).skip(1).filter_map(|rest| rest.split('"').next());
    after("src=\"").chain(after("href=\"")).filter(|url| !url.starts_with("data:")).collect()
}

#[tokio::test]
async fn both_playgrounds_are_all_from_the_binary_under_a_strict_policy() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        for path in ["/playground", "/playground/plain"] {
            let page = nobody.get(path).await;
            assert_eq!((page.status, page.header("content-type"), page.header("cache-control")), (200, "text/html; charset=utf-8", "no-cache"), "{path}");
            assert_eq!(inline(&page.text), Vec::<String>::new(), "{path}");
            let policy = page.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
            let files = named(&page.text);
            assert!(files.len() >= 2 && files.iter().all(|url| url.starts_with('/')), "{files:?}");
            for url in files {
                let file = nobody.get(url).await;
                assert_eq!(file.status, 200, "{url}");
                let kind = match url.rsplit_once('.') {
                    Some((_, "js")) => "text/javascript; charset=utf-8",
                    Some((_, "css")) => "text/css; charset=utf-8",
                    _ => continue,
                };
                assert_eq!((file.header("content-type"), file.header("content-security-policy")), (kind, policy), "{url}");
            }
        }
    }
}

#[tokio::test]
async fn the_plain_playground_writes_no_markup_and_stores_nothing() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let page = nobody.get("/playground/plain").await;
        assert!(page.text.contains("Node 20") && page.text.contains("DASHTAM_REQUIRE_PLAYGROUND=1"), "{}", page.text);
        for name in ["playground.js", "playground.css"] {
            let file = nobody.get(&format!("/playground/{name}")).await;
            assert_eq!((file.status, file.header("cache-control")), (200, "no-cache"), "{name}");
            assert!(!file.text.contains("innerHTML") && !file.text.contains("eval(") && !file.text.contains("localStorage"), "{name}");
        }
    }
}

#[tokio::test]
async fn what_graphiql_loads_is_kept_for_good_under_names_that_change_with_it() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let page = nobody.get("/playground").await.text;
        let files: Vec<_> = named(&page).into_iter().filter(|url| url.starts_with("/playground/graphiql-")).collect();
        if files.is_empty() {
            writeln!(std::io::stderr(), "SKIPPED GraphiQL: this build had no Node").unwrap();
            assert_eq!(page, nobody.get("/playground/plain").await.text);
            return;
        }
        assert_eq!(files.len(), 2, "{files:?}");
        for url in files {
            assert_eq!(nobody.get(url).await.header("cache-control"), "public, max-age=31536000, immutable", "{url}");
            let (before, digest) = url.split_once('-').unwrap();
            let (digest, kind) = digest.split_once('.').unwrap();
            assert!(digest.len() == 12 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{url}");
            let another = format!("{before}-{}.{kind}", digest.chars().rev().collect::<String>());
            assert_eq!(nobody.get(&another).await.status, 404, "{another}");
        }
        for path in ["/playground/index.html", "/playground/graphiql.js", "/playground/build.mjs", "/playground/..%2f..%2fCargo.toml", "/playground/"] {
            assert_eq!(nobody.get(path).await.status, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn a_server_may_have_no_playground() {
    for app in TestApp::configured(|config| config.playground.enabled = false).await {
        let nobody = app.nobody();
        for path in ["/playground", "/playground/plain", "/playground/playground.js"] {
            let answer = nobody.get(path).await;
            assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"), "{path}");
        }
    }
}

/// A browser names the origin of a form as its page's referrer policy has it, and a start that comes from nowhere is refused.
#[tokio::test]
async fn the_start_page_lets_its_form_say_where_it_comes_from_and_no_page_tells_its_address() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let begun = ann.begin_link("sandbox", None).await.succeeds();
        let start = begun["authorizationUrl"].as_str().unwrap().strip_prefix(&app.url).unwrap().to_owned();
        assert_eq!(app.nobody().get(&start).await.header("referrer-policy"), "strict-origin");
        assert_eq!(app.nobody().get("/oauth/sandbox/callback?state=a&code=b").await.header("referrer-policy"), "no-referrer");
        let (path, query) = start.split_once('?').unwrap();
        let send = |origin: String| {
            let request = app.nobody().request(reqwest::Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
            request.header("origin", origin).header("sec-fetch-site", "same-origin").body(query.to_owned())
        };
        assert_eq!(app.nobody().send(send("null".to_owned())).await.status, 410);
        assert_eq!(app.nobody().send(send(app.url.clone())).await.status, 303);
    }
}

#[tokio::test]
async fn the_pages_of_the_walk_hold_no_script_and_are_kept_by_nobody() {
    for app in TestApp::on_every_store().await {
        let ann = app.signed_in("ann").await;
        let begun = ann.begin_link("sandbox", None).await.succeeds();
        let start = begun["authorizationUrl"].as_str().unwrap().strip_prefix(&app.url).unwrap();
        for path in [start, "/oauth/sandbox/callback?state=%3Cscript%3E&error=%3Cscript%3E", "/oauth/%3Cscript%3E/start?ticket=%3Cscript%3E"] {
            let page = app.nobody().get(path).await;
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
            assert_eq!(inline(&page.text), Vec::<String>::new(), "{path}");
            assert!(!page.text.contains("<script") && page.header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"), "{path}");
            assert_eq!(page.header("cache-control"), "no-store", "{path}");
        }
    }
}
