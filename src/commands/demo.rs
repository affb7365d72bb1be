//! `dashtam demo`: everything in one command, by the ways a user would go.
//!
//! The user signs in over GraphQL, the bank is linked by walking a browser's way through its pages, and the first sync is waited for.
//! Nothing is put into the database behind the server's back but the user.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::{Host, Url};

use crate::{
    app::{App, MadeUpKeys, Visitor, embedded, write_private_file},
    application::{
        access::Requester,
        user::{CreateUser, UserError},
    },
    config::{Config, Origin},
    domain::{
        failure::causes,
        user::{Role, SessionTier},
    },
};

use super::{mention, say, serve::listen, stop_on_signal, terminal::Progress, user::made_up_password};

/// What a second start must know, in the data folder.
const REMEMBERED: &str = "demo.toml";

const EMAIL: &str = "demo@example.com";

/// How long the first sync may take.
const FIRST_SYNC: Duration = Duration::from_mins(2);

const SIGN_IN: &str = "mutation($input: CreateSessionInput!) { createSession(input: $input) { accessToken userErrors { message } } }";
const LINKS: &str = "{ viewer { links(first: 100) { nodes { id status provider { slug } lastSync { status problem accounts added } } } } }";
const SYNC: &str = "mutation($input: SyncLinkInput!) { syncLink(input: $input) { userErrors { message } } }";
const BEGIN: &str = "mutation { beginLink(input: {provider: \"sandbox\"}) { authorizationUrl userErrors { message } } }";
const RELINK: &str = "mutation($input: RelinkInput!) { relink(input: $input) { authorizationUrl userErrors { message } } }";
const TRY: &str = "{ viewer { accounts(first: 10) { nodes { name type balances { current { amount currency } } transactions(first: 3) { nodes { postedOn description amount { amount } } } } } } }";

/// Shows everything.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dashtam demo\n  \
    dashtam demo --bind 127.0.0.1:0 --json    any free port, and one line for a program to read\n  \
    dashtam demo --data-dir elsewhere         another bank, another user\n\n\
    Everything is in the data folder. What settings say of a database, a Redis, an address elsewhere or a file of checkpoints is\n\
    a real server's: it is left out, and named. A folder that has users and was no demo's is refused.\n\n\
    Ctrl-C ends it. The next start finds its data again; delete the data folder to begin anew.")]
pub(super) struct Demo {
    /// The address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,
    /// The same seed makes the same bank
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The demo user's password, the first time [default: made up, and kept in the data folder]
    #[arg(long, value_name = "TEXT")]
    password: Option<SecretString>,
    /// Print one line of JSON once everything is ready
    #[arg(long)]
    json: bool,
}

/// What a second start must know.
#[derive(Serialize, Deserialize)]
struct Remembered {
    email: String,
    password: String,
}

/// The one line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    url: &'a str,
    playground: &'a str,
    bank: &'a str,
    email: &'a str,
    password: &'a str,
    access_token: &'a str,
}

impl Demo {
    pub(super) async fn run(self, mut config: Config) -> anyhow::Result<()> {
        config.bind = self.bind.unwrap_or(config.bind);
        if let Some(seed) = self.seed {
            config.sandbox.seed = seed;
            config.origins.insert("sandbox.seed", Origin { written: "--seed".to_owned(), file: None });
        }
        ensure!(
            config.bind.ip().is_loopback(),
            "the demo has a bank without locks and a known user, so it listens on this machine only; try --bind 127.0.0.1:8080"
        );
        for left_out in leave_out_what_is_real(&mut config) {
            mention(&left_out)?;
        }
        let has_users = embedded::has_users(&config).await?;
        refuse_what_is_somebodys(&config, has_users)?;
        let stop = stop_on_signal()?;
        let _alone = embedded::take(&config)?;
        let listener = listen(config.bind).await?;
        let listening = listener.local_addr()?;
        let url = config.public_url(listening);
        let app = App::open(&config, listening, MadeUpKeys::Make).await?;
        let user = self.remembered_user(&app, &config.data_dir, has_users).await?;
        let running = tokio::spawn(app.run(listener, stop.clone()));
        let shown = tokio::select! {
            shown = self.show(&url, &user) => shown,
            () = stop.cancelled() => Ok(()),
        };
        if shown.is_err() {
            stop.cancel();
        }
        let ran = running.await.context("the server's task stopped")?;
        shown.and(ran)
    }

    /// The demo user: the one of an earlier start, or a new one.
    async fn remembered_user(&self, app: &App, data_dir: &Path, has_users: bool) -> anyhow::Result<Remembered> {
        let file = data_dir.join(REMEMBERED);
        let given = self.password.as_ref().map(|password| secrecy::ExposeSecret::expose_secret(password).to_owned());
        // What is left of a database that is gone says nothing of a new one.
        if has_users && file.is_file() {
            let kept: Remembered = toml::from_str(&std::fs::read_to_string(&file)?).map_err(|_| anyhow::anyhow!("{} is damaged", file.display()))?;
            ensure!(
                given.is_none_or(|given| given == kept.password),
                "the demo user of this data folder has another password; leave --password out, or take another --data-dir"
            );
            return Ok(kept);
        }
        let user = Remembered { email: EMAIL.to_owned(), password: given.unwrap_or_else(made_up_password) };
        let command = CreateUser {
            requester: Requester::command_line(None),
            email: user.email.clone(),
            password: user.password.clone(),
            role: Role::User,
            tier: SessionTier::Pro,
        };
        match app.application.users.create(command).await {
            Ok(_) => {}
            Err(UserError::EmailTaken) => bail!("this database has a user {EMAIL} already, whose password nobody remembers; take another --data-dir"),
            Err(failure) => return Err(failure.into()),
        }
        std::fs::create_dir_all(data_dir)?;
        write_private_file(&file, &toml::to_string(&user)?)?;
        Ok(user)
    }

    /// Signs in, links the bank unless it is linked, waits for the first sync, and says what to try.
    async fn show(&self, url: &str, user: &Remembered) -> anyhow::Result<()> {
        let visitor = Visitor::new(url)?;
        self.progress("signing in")?;
        let signed_in = visitor.ask(None, SIGN_IN, &json!({ "input": { "email": user.email, "password": user.password } })).await?;
        let token = signed_in["createSession"]["accessToken"].as_str().context("the demo user cannot sign in")?.to_owned();
        let links = visitor.ask(Some(&token), LINKS, &json!({})).await?;
        let had_link = sandbox_link(&links).is_some();
        match self.link_and_sync(&visitor, &token, &links).await {
            // What the bank was told to do outlives a restart, and only a server that runs can take it back.
            Err(failure) if had_link => {
                mention(&format!("the bank is not up to date: {}; {url}/sandbox shows what it was told, and resets it", causes(&failure)))?;
            }
            done => done?,
        }
        self.report(url, user, &token)
    }

    /// Links the bank unless it is linked, and waits for its sync.
    async fn link_and_sync(&self, visitor: &Visitor, token: &str, links: &Value) -> anyhow::Result<()> {
        match sandbox_link(links) {
            Some(link) if link["status"] != "ACTIVE" => {
                self.progress("linking the sandbox bank once more through its consent page")?;
                let begun = visitor.ask(Some(token), RELINK, &json!({ "input": { "linkId": link["id"] } })).await?;
                visitor.agree(begun["relink"]["authorizationUrl"].as_str().context("the sandbox bank cannot be linked once more")?).await?;
                self.progress("waiting for the sync")?;
            }
            Some(link) if link["lastSync"]["status"] == "FAILED" => {
                self.progress("the last sync failed; asking for another")?;
                visitor.ask(Some(token), SYNC, &json!({ "input": { "linkId": link["id"], "force": true } })).await?;
            }
            Some(_) => {}
            None => {
                self.progress("linking the sandbox bank through its consent page")?;
                let begun = visitor.ask(Some(token), BEGIN, &json!({})).await?;
                visitor.agree(begun["beginLink"]["authorizationUrl"].as_str().context("the sandbox bank cannot be linked")?).await?;
                self.progress("waiting for the first sync")?;
            }
        }
        self.wait_for_sync(visitor, token).await
    }

    async fn wait_for_sync(&self, visitor: &Visitor, token: &str) -> anyhow::Result<()> {
        let (progress, begun) = (Progress::new(), Instant::now());
        let waiting = async {
            loop {
                let links = visitor.ask(Some(token), LINKS, &json!({})).await?;
                let link = sandbox_link(&links).filter(|link| link["status"] == "ACTIVE");
                let sync = link.map(|link| &link["lastSync"]).context("the bank ended the link meanwhile; the next start links it once more")?;
                match sync["status"].as_str() {
                    Some("SUCCEEDED") => return anyhow::Ok(()),
                    Some("FAILED") => bail!("the sync failed: {}", sync["problem"]),
                    _ if self.json => {}
                    _ => progress.passing(&format!(
                        "… {} transactions of {} accounts so far, {} s",
                        sync["added"].as_u64().unwrap_or_default(),
                        sync["accounts"].as_u64().unwrap_or_default(),
                        begun.elapsed().as_secs()
                    )),
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(FIRST_SYNC, waiting).await.context("the first sync took longer than two minutes")?
    }

    fn report(&self, url: &str, user: &Remembered, token: &str) -> anyhow::Result<()> {
        let (playground, bank) = (format!("{url}/playground"), format!("{url}/sandbox"));
        if self.json {
            let line = Ready { url, playground: &playground, bank: &bank, email: &user.email, password: &user.password, access_token: token };
            return say(&serde_json::to_string(&line)?);
        }
        say(&format!(
            "\nDashtam is ready at {url}\n\n  \
             playground  {playground}\n  \
             bank        {bank}\n  \
             e-mail      {}\n  \
             password    {}\n\n\
             Try a query (the token works for 15 minutes):\n\n  \
             curl -s {url}/graphql \\\n    \
             -H 'Content-Type: application/json' \\\n    \
             -H 'Authorization: Bearer {token}' \\\n    \
             -d '{}'\n\n\
             Ctrl-C ends it; the data stays for the next start.",
            user.email,
            user.password,
            json!({ "query": TRY }),
        ))
    }

    fn progress(&self, step: &str) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { say(&format!("… {step}")) }
    }
}

/// The link to the sandbox bank: the one that works, or else one that can be linked once more, so that no money is there twice.
fn sandbox_link(links: &Value) -> Option<&Value> {
    let links = links["viewer"]["links"]["nodes"].as_array().into_iter().flatten();
    let links = links.filter(|link| link["provider"]["slug"] == "sandbox" && link["status"] != "UNLINKED");
    links.min_by_key(|link| link["status"] != "ACTIVE")
}

/// Leaves out what belongs to a server in earnest: a demo has a user whose password it shows, and a bank without locks. Answers what that was.
fn leave_out_what_is_real(config: &mut Config) -> Vec<String> {
    let elsewhere = config.public_url.take_if(|url| !is_here(url, config.bind)).is_some();
    let real = [
        ("database_url", config.database_url.take().is_some(), "runs on the embedded database of its data folder alone"),
        ("redis_url", config.redis_url.take().is_some(), "shares nothing with other servers"),
        ("audit.checkpoints", config.audit.checkpoints.take().is_some(), "publishes nothing where the checkpoints of a real trail are kept"),
        ("public_url", elsewhere, "is reached on this machine and nowhere else"),
    ];
    let written = |name: &'static str| config.origins.get(name).map_or(name.to_owned(), |origin| origin.written.clone());
    real.into_iter().filter(|(_, is_set, _)| *is_set).map(|(name, _, instead)| format!("{} is left out: a demo {instead}", written(name))).collect()
}

/// Refuses a folder in which somebody has data of their own, before anything is written.
fn refuse_what_is_somebodys(config: &Config, has_users: bool) -> anyhow::Result<()> {
    ensure!(
        config.data_dir.join(REMEMBERED).is_file() || !has_users,
        "the database in {} has users, and no demo made them; take another folder, such as dashtam demo --data-dir demo-data",
        config.data_dir.display()
    );
    Ok(())
}

/// Whether an address is the one that is listened on.
fn is_here(url: &Url, bind: SocketAddr) -> bool {
    let is_host = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => bind.ip() == address,
        Some(Host::Ipv6(address)) => bind.ip() == address,
        None => false,
    };
    is_host && url.scheme() == "http" && url.port_or_known_default() == Some(bind.port())
}
