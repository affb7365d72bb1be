//! Pages from the binary: the playground, and the pages of the walk to a bank.

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

#[tokio::test]
async fn the_playground_is_all_from_the_binary_under_a_strict_policy() {
    for app in TestApp::on_every_store().await {
        let nobody = app.nobody();
        let page = nobody.get("/playground").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert_eq!(inline(&page.text), Vec::<String>::new());
        let mut files = Vec::new();
        for name in ["src=\"", "href=\""] {
            files.extend(page.text.split(name).skip(1).filter_map(|rest| rest.split('"').next()).filter(|url| !url.starts_with("data:")));
        }
        assert!(files.len() >= 3 && files.iter().all(|url| url.starts_with('/')), "{files:?}");
        for path in files {
            let file = nobody.get(path).await;
            assert_eq!(file.status, 200, "{path}");
            assert!(!file.text.contains("innerHTML") && !file.text.contains("eval(") && !file.text.contains("localStorage"), "{path}");
            if path.starts_with("/playground/") {
                assert_eq!(file.header("content-security-policy"), page.header("content-security-policy"));
            }
        }
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
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
