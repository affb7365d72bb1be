//! A browser's walk to a bank, mostly the scripted one, and back, step by step, so that a test can go wrong at each.

use reqwest::{Method, header};

use super::client::{Answer, Client};

/// One walk.
pub(crate) struct Walk<'a> {
    browser: Client<'a>,
    provider: String,
    /// The link it is to complete.
    pub(crate) link: String,
    /// What our start page takes.
    pub(crate) ticket: String,
    /// What the bank gives back; empty until it is known.
    pub(crate) state: String,
    /// The cookie's name and value, once the browser has left.
    pub(crate) cookie: Option<String>,
}

impl<'a> Client<'a> {
    /// Begins to link the scripted bank.
    pub(crate) async fn walk(&self, return_url: Option<&str>) -> Walk<'a> {
        self.walk_to("scripted", return_url).await
    }

    /// Begins to link a provider.
    pub(crate) async fn walk_to(&self, provider: &str, return_url: Option<&str>) -> Walk<'a> {
        self.walk_as_told(provider, &self.begin_link(provider, return_url).await.succeeds())
    }

    /// Begins to link a link of the scripted bank once more.
    pub(crate) async fn walk_again(&self, link: &str, return_url: Option<&str>) -> Walk<'a> {
        self.walk_as_told("scripted", &self.relink(link, return_url).await.succeeds())
    }

    fn walk_as_told(&self, provider: &str, begun: &serde_json::Value) -> Walk<'a> {
        let parameter = |url: &str, name: &str| {
            let url = url::Url::parse(begun[url].as_str()?).ok()?;
            url.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
        };
        Walk {
            browser: self.stranger(),
            provider: provider.to_owned(),
            link: begun["link"]["id"].as_str().unwrap().to_owned(),
            ticket: parameter("authorizationUrl", "ticket").unwrap(),
            state: parameter("providerAuthorizationUrl", "state").unwrap_or_default(),
            cookie: None,
        }
    }
}

impl Walk<'_> {
    /// Looks at our start page.
    pub(crate) async fn look(&self) -> Answer {
        self.browser.get(&format!("/oauth/{}/start?ticket={}", self.provider, self.ticket)).await
    }

    /// Leaves our start page for the bank.
    pub(crate) async fn leave(&mut self) -> Answer {
        let answer = self.leave_by(&format!("/oauth/{}/start", self.provider)).await;
        self.cookie = answer.header("set-cookie").split(';').next().map(str::to_owned);
        self.state.clone_from(&answer.redirects().1["state"]);
        answer
    }

    /// Sends the start page's form to a path.
    pub(crate) async fn leave_by(&self, path: &str) -> Answer {
        self.browser.send(self.browser.request(Method::POST, path).form(&[("ticket", &self.ticket)])).await
    }

    /// The bank sends the browser back with the state and this.
    pub(crate) async fn come_back(&self, query: &[(&str, &str)]) -> Answer {
        let query: Vec<_> = [("state", self.state.as_str())].into_iter().chain(query.iter().copied()).collect();
        self.come_back_to(&format!("/oauth/{}/callback", self.provider), &query).await
    }

    /// The bank sends the browser to a path with this and nothing else.
    pub(crate) async fn come_back_to(&self, path: &str, query: &[(&str, &str)]) -> Answer {
        let mut request = self.browser.request(Method::GET, path).query(query);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        self.browser.send(request).await
    }
}
