//! Somebody who works at a server that may die at any moment, and who knows what they cannot know then.

use dashtam::app::Visitor;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::harness::smtp::Taken;

/// What every password begins with.
pub(super) const PASSWORD: &str = "correct horse battery";

/// How somebody's work ended.
pub(super) enum Met {
    /// In the middle of this.
    Cut(&'static str),
    /// Nobody answered the door.
    Nobody,
}

/// Somebody.
pub(super) struct Person {
    pub(super) email: String,
    /// How often the password was changed, as far as is known.
    pub(super) version: usize,
    /// Whether it may have been changed once more.
    is_unsure: bool,
    at: usize,
    made: usize,
    session: Option<Signed>,
    link: Option<String>,
    chance: StdRng,
    http: reqwest::Client,
}

#[derive(Clone)]
struct Signed {
    access: String,
    refresh: String,
    id: String,
}

/// The server answered, or the work is cut.
type Told = Result<Value, Met>;

impl Person {
    pub(super) fn new(at: usize, seed: u64) -> Self {
        let chance = StdRng::seed_from_u64(seed.wrapping_add(at as u64 + 1));
        // A connection for each request: one that the dead left open says nothing of the living.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { email: format!("person{at}@example.com"), version: 0, is_unsure: false, at, made: 0, session: None, link: None, chance, http }
    }

    pub(super) fn password(&self) -> String {
        Self::password_of(self.version)
    }

    fn password_of(version: usize) -> String {
        format!("{PASSWORD} {version}")
    }

    /// Works until the server is gone.
    pub(super) async fn work(&mut self, url: &str, mails: &[Taken]) -> Met {
        loop {
            if let Err(met) = self.step(url, mails).await {
                return met;
            }
        }
    }

    /// Signs in by whichever password works; the server does not die here.
    pub(super) async fn find_out_the_password(&mut self, url: &str) {
        self.session = None;
        let is_in = self.sign_in(url).await.is_ok() && self.session.is_some();
        assert!(is_in, "{} cannot sign in with what they know of their password (version {}, unsure: {})", self.email, self.version, self.is_unsure);
    }

    async fn step(&mut self, url: &str, mails: &[Taken]) -> Result<(), Met> {
        let Some(session) = self.session.clone() else { return self.sign_in(url).await };
        self.made += 1;
        match self.chance.random_range(0..12) {
            0 | 1 => self.register(url).await,
            2 => self.verify(url, mails).await,
            3 => self.refresh(url, &session).await,
            4 => self.another_session(url, &session).await,
            5 => self.change_password(url, &session).await,
            6 => {
                let input = json!({ "sessionId": session.id, "name": format!("device {}", self.made) });
                self.mutate(url, Some(&session.access), "rename", "renameSession", "session { id }", input).await.map(drop)
            }
            7 => {
                let input = json!({ "displayName": format!("Person {}", self.made) });
                self.mutate(url, Some(&session.access), "profile", "updateProfile", "user { id }", input).await.map(drop)
            }
            8 => self.mutate(url, None, "reset", "requestPasswordReset", "accepted", json!({ "email": self.email })).await.map(drop),
            9 => self.import(url, &session).await,
            _ => self.link(url, &session).await,
        }
    }

    async fn sign_in(&mut self, url: &str) -> Result<(), Met> {
        let candidates = if self.is_unsure { vec![self.version + 1, self.version] } else { vec![self.version] };
        for version in candidates {
            let input = json!({ "email": self.email, "password": Self::password_of(version) });
            let payload = self.mutate(url, None, "sign-in", "createSession", "accessToken refreshToken session { id }", input).await?;
            if let Some(session) = signed(&payload) {
                (self.version, self.is_unsure, self.session) = (version, false, Some(session));
                return Ok(());
            }
        }
        // Guessing is paused, since too many sign-ins were cut between a wrong and a right one.
        Err(Met::Nobody)
    }

    async fn register(&mut self, url: &str) -> Result<(), Met> {
        let input = json!({ "email": format!("new{}-{}@example.com", self.at, self.made), "password": PASSWORD });
        self.mutate(url, None, "register", "registerUser", "accepted", input).await.map(drop)
    }

    async fn verify(&mut self, url: &str, mails: &[Taken]) -> Result<(), Met> {
        let own = format!("new{}-", self.at);
        let mine: Vec<_> = mails.iter().filter(|mail| mail.to[0].starts_with(&own) && mail.message.contains("/verify-email?token=")).collect();
        let Some(mail) = mine.get(self.chance.random_range(0..mine.len().max(1))) else { return Ok(()) };
        let token = mail.message.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
        self.mutate(url, None, "verify", "verifyEmail", "verified", json!({ "token": token })).await.map(drop)
    }

    async fn refresh(&mut self, url: &str, session: &Signed) -> Result<(), Met> {
        // Asked again after a cut, the same token gets the same answer for ten seconds, and then costs the session.
        let payload = self.mutate(url, None, "refresh", "refreshSession", "accessToken refreshToken", json!({ "refreshToken": session.refresh })).await?;
        self.session = match (payload["accessToken"].as_str(), payload["refreshToken"].as_str()) {
            (Some(access), Some(refresh)) => Some(Signed { access: access.to_owned(), refresh: refresh.to_owned(), id: session.id.clone() }),
            _ => None,
        };
        Ok(())
    }

    async fn another_session(&mut self, url: &str, session: &Signed) -> Result<(), Met> {
        let input = json!({ "email": self.email, "password": self.password() });
        let payload = self.mutate(url, None, "sign-in", "createSession", "accessToken refreshToken session { id }", input).await?;
        let Some(other) = signed(&payload) else { return Ok(()) };
        self.mutate(url, Some(&session.access), "revoke", "revokeSession", "session { id }", json!({ "sessionId": other.id })).await.map(drop)
    }

    async fn change_password(&mut self, url: &str, session: &Signed) -> Result<(), Met> {
        let input = json!({ "currentPassword": self.password(), "newPassword": Self::password_of(self.version + 1) });
        self.is_unsure = true;
        let payload = self.mutate(url, Some(&session.access), "password", "changePassword", "changed", input).await;
        match payload {
            Ok(payload) => {
                self.version += usize::from(payload["changed"] == true);
                self.is_unsure = false;
                Ok(())
            }
            Err(met) => {
                // Which one it is shows at the next sign-in.
                self.session = None;
                Err(met)
            }
        }
    }

    async fn import(&mut self, url: &str, session: &Signed) -> Result<(), Met> {
        let own = format!("7751~{:02}{:04}", self.at, self.made);
        let content = include_str!("../fixtures/ofx/checking-sgml.ofx").replace("7751~00482", &own);
        let input = json!({ "filename": format!("{own}.ofx"), "content": content });
        self.mutate(url, Some(&session.access), "import", "importStatement", "import { id }", input).await.map(drop)
    }

    /// Links the bank, or asks for a sync once it is linked.
    async fn link(&mut self, url: &str, session: &Signed) -> Result<(), Met> {
        if let Some(link) = &self.link {
            let input = json!({ "linkId": link, "force": true });
            return self.mutate(url, Some(&session.access), "sync", "syncLink", "sync { id }", input).await.map(drop);
        }
        let payload = self.mutate(url, Some(&session.access), "link", "beginLink", "link { id } authorizationUrl", json!({ "provider": "sandbox" })).await?;
        let (Some(link), Some(address)) = (payload["link"]["id"].as_str(), payload["authorizationUrl"].as_str()) else { return Ok(()) };
        match Visitor::new(url).unwrap().agree(address).await {
            Ok(()) => self.link = Some(link.to_owned()),
            Err(failure) => {
                if let Some(broken) = failure.downcast_ref::<reqwest::Error>() {
                    return Err(if broken.is_connect() { Met::Nobody } else { Met::Cut("link") });
                }
            }
        }
        Ok(())
    }
}

fn signed(payload: &Value) -> Option<Signed> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Signed { access: text(&payload["accessToken"])?, refresh: text(&payload["refreshToken"])?, id: text(&payload["session"]["id"])? })
}

impl Person {
    /// The payload of a mutation; whatever the server answers is an answer.
    async fn mutate(&self, url: &str, access: Option<&str>, what: &'static str, mutation: &str, fields: &str, input: Value) -> Told {
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let document = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ code }} }} }}");
        let mut request = self.http.post(format!("{url}/graphql")).json(&json!({ "query": document, "variables": { "input": input } }));
        if let Some(access) = access {
            request = request.bearer_auth(access);
        }
        let met = |failure: &reqwest::Error| if failure.is_connect() { Met::Nobody } else { Met::Cut(what) };
        let answer = request.send().await.map_err(|failure| met(&failure))?;
        let mut answer: Value = answer.json().await.map_err(|failure| met(&failure))?;
        // Refused tokens and faults are answers too; an unfinished body is none.
        Ok(answer["data"][mutation].take())
    }
}
