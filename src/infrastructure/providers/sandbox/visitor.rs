//! A visitor: goes through the pages a person would, as a browser without script does.
//!
//! The demo links its user by it, over HTTP and through every page on the way, so that what it shows is what a person gets.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail, ensure};
use reqwest::{StatusCode, header};
use serde_json::Value;
use url::Url;

use crate::infrastructure::providers::http;

/// How many pages a walk may have before something is wrong.
const MAX_STEPS: usize = 10;

/// One person at one server.
pub struct Visitor {
    http: reqwest::Client,
    server: String,
}

impl Visitor {
    /// At the server of that address.
    pub fn new(server: &str) -> anyhow::Result<Self> {
        Ok(Self { http: http::client(Duration::from_secs(30))?, server: server.to_owned() })
    }

    /// Asks the graph, and answers `data`. Errors of the document are errors here.
    pub async fn ask(&self, access_token: Option<&str>, document: &str, variables: &Value) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}/graphql", self.server)).json(&serde_json::json!({ "query": document, "variables": variables }));
        if let Some(token) = access_token {
            request = request.bearer_auth(token);
        }
        let mut answer: Value = request.send().await?.json().await?;
        ensure!(answer["errors"].is_null(), "the graph answered with errors: {}", answer["errors"]);
        Ok(answer["data"].take())
    }

    /// Starts at our start page and agrees to everything, until a page without a form says how it ended.
    pub async fn agree(&self, authorization_url: &str) -> anyhow::Result<()> {
        let mut address = Url::parse(authorization_url)?;
        let mut form: Option<Vec<(String, String)>> = None;
        let mut cookies: BTreeMap<String, String> = BTreeMap::new();
        for _ in 0..MAX_STEPS {
            let request = match form.take() {
                Some(fields) => self.http.post(address.clone()).form(&fields),
                None => self.http.get(address.clone()),
            };
            let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = request.header(header::COOKIE, jar.join("; ")).send().await?;
            for cookie in answer.headers().get_all(header::SET_COOKIE).iter().filter_map(|value| cookie::Cookie::parse(value.to_str().ok()?).ok()) {
                cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
            if answer.status() == StatusCode::SEE_OTHER {
                let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).context("a redirect leads nowhere")?;
                address = address.join(location)?;
                continue;
            }
            ensure!(answer.status().is_success(), "a page on the way to the bank answered {}", answer.status());
            let page = answer.text().await?;
            match read_form(&page) {
                Some((action, fields)) => (address, form) = (address.join(&action)?, Some(fields)),
                None if page.contains("class=\"good\"") => return Ok(()),
                None => bail!("the bank was not linked; its last page says why"),
            }
        }
        bail!("the walk to the bank does not end")
    }
}

/// Where a page's form goes, and what it sends when every box stays ticked and its first button is pressed.
fn read_form(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let form = page.split_once("<form ")?.1.split_once("</form>")?.0;
    let action = attribute(form.split_once('>')?.0, "action")?;
    let tags = |name: &'static str| form.split(name).skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    let field = |tag: &str| Some((attribute(tag, "name")?, attribute(tag, "value")?));
    let inputs = tags("<input ").filter_map(field);
    let button = tags("<button ").find_map(field);
    Some((action, inputs.chain(button).collect()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!("{name}=\""))?.1.split_once('"')?.0;
    Some(value.replace("&quot;", "\"").replace("&#34;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}
