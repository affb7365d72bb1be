//! The doctor: looks at everything a server needs, and changes nothing.
//!
//! Each check answers in findings of its own, so that one that cannot be made leaves the others be. No finding repeats a secret.

mod keys;
mod queues;

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::Duration,
};

use chrono::Datelike as _;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::{
    config::{Config, Environment},
    domain::{
        chain::{UNSEALED_MINUTES, UNSIGNED_MINUTES},
        failure::causes as told,
        time::{Clock, Timestamp},
    },
    infrastructure::{
        database::inspection::{Inspection, sqlite_file},
        mail::smtp::greet,
        providers::http,
    },
};

use super::sharing;

/// The oldest PostgreSQL that will do, as the server writes it.
const OLDEST_POSTGRES: i32 = 150_000;

/// Below this nothing can be written soon, and below that one should know.
const NO_SPACE: u64 = 64 * 1024 * 1024;
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;

/// How far this machine's clock may be from the database's, in milliseconds: tokens and leases are a matter of minutes.
const NOTABLE_SKEW: i64 = 2_000;
const GRAVE_SKEW: i64 = 60_000;

/// Years a clock can show that somebody set.
const PLAUSIBLE_YEARS: std::ops::Range<i32> = 2026..2100;

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All is well.
    Ok,
    /// It works, and somebody should know.
    Warn,
    /// It does not work.
    Fail,
}

/// What a check found.
#[derive(Debug)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is meant.
    pub state: State,
    /// What was found, on one line.
    pub finding: String,
    /// What to do about it; empty when there is nothing to do.
    pub remedy: String,
}

impl Finding {
    fn ok(check: &'static str, finding: impl Into<String>) -> Self {
        Self { check, state: State::Ok, finding: finding.into(), remedy: String::new() }
    }

    fn warn(check: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, state: State::Warn, finding: finding.into(), remedy: remedy.into() }
    }

    /// It does not work.
    pub fn fail(check: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, state: State::Fail, finding: finding.into(), remedy: remedy.into() }
    }

    /// A start would be refused with these words: the first line says what is wrong, the others what to do.
    fn refused(check: &'static str, refusal: &anyhow::Error) -> Self {
        let words = told(refusal);
        let (finding, remedy) = words.split_once('\n').unwrap_or((&words, ""));
        let remedy: Vec<_> = remedy.lines().map(str::trim).collect();
        Self::fail(check, finding.trim_end_matches(':'), remedy.join("; "))
    }
}

/// Looks at everything, by the time of `clock`.
pub async fn examine(config: &Config, clock: &dyn Clock) -> Vec<Finding> {
    let mut findings = settings(config);
    findings.extend(data_folder(config));
    let inspection = match Inspection::open(config.database().expose_secret()).await {
        Ok(inspection) => inspection,
        Err(failure) => {
            findings.push(Finding::fail("database", told(&failure), database_remedy(config)));
            findings.push(Finding::warn("migrations", "not looked at: there is no database to ask", ""));
            findings.extend(keys::strength(config));
            findings.extend(keys::standing(config, None, clock.now()).await);
            findings.extend(the_rest(config, clock, None).await);
            return findings;
        }
    };
    findings.push(database(config, inspection.as_ref()).await);
    findings.push(migrations(inspection.as_ref()).await);
    findings.extend(keys::strength(config));
    findings.extend(keys::standing(config, inspection.as_ref(), clock.now()).await);
    findings.extend(audit(clock, inspection.as_ref()).await);
    findings.extend(queues::outbox(clock, inspection.as_ref()).await);
    findings.extend(queues::syncs(config, clock, inspection.as_ref()).await);
    findings.extend(the_rest(config, clock, inspection.as_ref()).await);
    if let Some(inspection) = inspection
        && let Err(failure) = inspection.close().await
    {
        findings.push(Finding::warn("database", told(&failure), ""));
    }
    findings
}

async fn the_rest(config: &Config, clock: &dyn Clock, inspection: Option<&Inspection>) -> Vec<Finding> {
    let mut findings: Vec<_> = redis(config).await.into_iter().collect();
    findings.extend([mail(config).await, providers(config), self::clock(clock, inspection).await, address(config).await]);
    findings
}

fn settings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_plain = config.public_url.as_ref().is_none_or(|url| url.scheme() == "http");
    if config.environment == Environment::Production && is_plain {
        findings.push(Finding::warn(
            "configuration",
            format!("browsers and banks are told {}", config.public_url(config.bind)),
            "set DASHTAM_PUBLIC_URL to the https address of the proxy in front",
        ));
    }
    if config.environment == Environment::Production && !is_plain && config.trusted_proxies.is_empty() {
        findings.push(Finding::warn(
            "configuration",
            "something in front of this server speaks TLS, and everyone seems to come from there".to_owned(),
            "name it in DASHTAM_TRUSTED_PROXIES, so that its X-Forwarded-For is believed",
        ));
    }
    if findings.is_empty() {
        let environment = match config.environment {
            Environment::Production => "production",
            Environment::Development => "development",
        };
        findings.push(Finding::ok("configuration", format!("{environment}, reached at {}", config.public_url(config.bind))));
    }
    findings
}

/// The folder, who may read it, and how much room it has.
fn data_folder(config: &Config) -> Vec<Finding> {
    let folder = &config.data_dir;
    let shown = folder.display();
    if config.environment == Environment::Production && !config.is_embedded() {
        return vec![Finding::ok("data folder", "not needed: database, keys and mail are elsewhere")];
    }
    let Some(existing) = folder.ancestors().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).find(|folder| folder.exists())
    else {
        return vec![Finding::fail("data folder", format!("{shown} is nowhere"), "set DASHTAM_DATA_DIR to a folder")];
    };
    let mut findings = vec![disk(existing)];
    // A file without a name: nothing is left behind, not even for a moment.
    if let Err(error) = tempfile::tempfile_in(existing) {
        let found = format!("nothing can be written in {}: {error}", existing.display());
        findings.push(Finding::fail("data folder", found, "set DASHTAM_DATA_DIR to a folder of yours"));
        return findings;
    }
    for (path, mode) in [(folder.clone(), "700"), (folder.join("dashtam.db"), "600"), (folder.join("keys.toml"), "600")] {
        let shown = path.display();
        if path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            findings.push(Finding::warn("data folder", format!("others on this machine may look into {shown}"), format!("chmod {mode} {shown}")));
        }
    }
    if findings.len() == 1 {
        let found = if folder.exists() { format!("{shown} can be written, by its owner alone") } else { format!("{shown} will be made at the first start") };
        findings.push(Finding::ok("data folder", found));
    }
    findings
}

fn disk(folder: &Path) -> Finding {
    let remedy = "make room, or move the data folder";
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return Finding::warn("disk", format!("its free space is not known: {error}"), ""),
    };
    let found = format!("{} MiB free", free / (1024 * 1024));
    match free {
        0..NO_SPACE => Finding::fail("disk", found, remedy),
        NO_SPACE..LITTLE_SPACE => Finding::warn("disk", found, remedy),
        _ => Finding::ok("disk", found),
    }
}

fn database_remedy(config: &Config) -> &'static str {
    if config.is_embedded() {
        "restore the file from a backup, or set DASHTAM_DATA_DIR to where it is"
    } else {
        "start PostgreSQL, or correct DASHTAM_DATABASE_URL"
    }
}

async fn database(config: &Config, inspection: Option<&Inspection>) -> Finding {
    let Some(inspection) = inspection else { return Finding::ok("database", "embedded; its file is made at the first start") };
    match inspection.version().await {
        Ok(None) => {
            let file = sqlite_file(config.database().expose_secret()).unwrap_or_default();
            Finding::ok("database", format!("embedded, {}", file.display()))
        }
        Ok(Some(version)) if version >= OLDEST_POSTGRES => Finding::ok("database", format!("PostgreSQL {}", written(version))),
        Ok(Some(version)) => Finding::fail("database", format!("PostgreSQL {} is too old", written(version)), "use PostgreSQL 15 or later"),
        Err(failure) => Finding::fail("database", told(&failure), database_remedy(config)),
    }
}

/// `17.2` for 170002.
fn written(version: i32) -> String {
    format!("{}.{}", version / 10_000, version % 10_000)
}

async fn migrations(inspection: Option<&Inspection>) -> Finding {
    let starts = "`dashtam serve` applies them when it starts; `dashtam migrate up` does so now";
    let Some(inspection) = inspection else { return Finding::ok("migrations", "none applied; the first start applies them") };
    match inspection.pending().await {
        Ok((0, all)) => Finding::ok("migrations", format!("all {all} are applied")),
        Ok((pending, all)) => Finding::warn("migrations", format!("{pending} of {all} are pending"), starts),
        Err(failure) => Finding::fail("migrations", told(&failure), "run the version of Dashtam that this database was last used with, or a later one"),
    }
}

/// How far the chain over the audit trail has come, and whether somebody sees to it. Nothing is said of a database that has no tables yet.
async fn audit(clock: &dyn Clock, inspection: Option<&Inspection>) -> Option<Finding> {
    let inspection = inspection?;
    if !inspection.pending().await.is_ok_and(|(pending, _)| pending == 0) {
        return None;
    }
    let standing = match inspection.standing().await {
        Ok(standing) => standing,
        Err(failure) => return Some(Finding::fail("audit", told(&failure), "`dashtam audit verify` says more")),
    };
    let signed = standing.signed.map_or("nothing signed yet".to_owned(), |(position, at)| format!("signed up to {position} at {at}"));
    let found = format!("position {}, {} events not sealed yet, {signed}", standing.position, standing.unsealed);
    let now = clock.now();
    let is_late = |since: Timestamp, minutes: i64| now.since(since) > chrono::Duration::minutes(minutes);
    let waits = standing.oldest_unsealed.filter(|oldest| is_late(*oldest, UNSEALED_MINUTES));
    let is_unsigned = standing.signed.is_some_and(|(position, at)| standing.position > position && is_late(at, UNSIGNED_MINUTES));
    Some(match waits {
        Some(oldest) => Finding::warn(
            "audit",
            format!("{found}; the oldest of them is of {oldest}"),
            "start a server, which seals them; if one runs, its log says why it does not",
        ),
        None if is_unsigned => Finding::warn("audit", found, "start a server, which signs the rest; if one runs, its log says why it does not"),
        None => Finding::ok("audit", found),
    })
}

/// Whether what servers share is there, where it is configured.
async fn redis(config: &Config) -> Option<Finding> {
    let redis = match sharing::redis(config) {
        Ok(redis) => redis?,
        Err(refusal) => return Some(Finding::refused("redis", &refusal)),
    };
    Some(match redis.version().await {
        Ok(version) => Finding::ok("redis", format!("Redis {version}")),
        Err(failure) => Finding::warn(
            "redis",
            format!("{}; servers go on without it", told(&failure)),
            "start Redis, or correct DASHTAM_REDIS_URL; without it each server counts for itself, and hears of others within a second instead of at once",
        ),
    })
}

async fn mail(config: &Config) -> Finding {
    let url = match config.mail() {
        Ok(Some(url)) => url,
        Ok(None) => {
            return Finding::ok("mail", format!("no server, and none needed in development: mails are kept in {}", config.data_dir.join("mail").display()));
        }
        Err(refusal) => return Finding::refused("mail", &refusal),
    };
    match greet(url).await {
        Ok(()) => Finding::ok("mail", "the server takes our greeting"),
        Err(failure) => Finding::fail(
            "mail",
            format!("the server does not take our greeting: {}", told(&failure)),
            "correct DASHTAM_SMTP__URL, or let this machine reach that server",
        ),
    }
}

fn providers(config: &Config) -> Finding {
    let lacking = super::providers::what_schwab_lacks(config, &config.public_url(config.bind));
    let schwab = &config.providers.schwab;
    let is_wanted = schwab.client_id.is_some() || schwab.client_secret.is_some();
    let known = super::providers::known(config, config.bind);
    let there: Vec<_> = known.iter().filter(|(_, lacking)| lacking.is_none()).map(|(name, _)| *name).collect();
    let mut found = vec![format!("{} can be linked", there.join(", "))];
    found.extend(known.iter().filter_map(|(name, lacking)| Some(format!("{name} cannot: {}", lacking.as_ref()?.trim_end_matches('.')))));
    let found = found.join("; ");
    if lacking.is_some() && is_wanted {
        Finding::warn("providers", found, "set both, and an https DASHTAM_PUBLIC_URL, or take away what is set")
    } else {
        Finding::ok("providers", found)
    }
}

async fn clock(clock: &dyn Clock, inspection: Option<&Inspection>) -> Finding {
    let set_it = "set this machine's clock, and keep it right with NTP";
    let before = clock.now();
    if !PLAUSIBLE_YEARS.contains(&before.utc().year()) {
        return Finding::fail("clock", format!("this machine believes it is the year {}", before.utc().year()), set_it);
    }
    let theirs = match inspection {
        Some(inspection) => inspection.now().await,
        None => Ok(None),
    };
    let theirs = match theirs {
        Ok(Some(theirs)) => theirs,
        Ok(None) => return Finding::ok("clock", format!("{} UTC", before.utc().format("%F %T"))),
        Err(failure) => return Finding::warn("clock", format!("the database's clock cannot be asked: {}", told(&failure)), ""),
    };
    let skew = skew(before, theirs, clock.now());
    let found = format!("{} ms from the database's clock", skew.abs());
    match skew.abs() {
        0..NOTABLE_SKEW => Finding::ok("clock", format!("{} UTC, {found}", before.utc().format("%F %T"))),
        NOTABLE_SKEW..GRAVE_SKEW => Finding::warn("clock", found, set_it),
        _ => Finding::fail("clock", found, set_it),
    }
}

/// How far an answer's clock is ahead of ours in milliseconds; it was read somewhere between question and answer.
fn skew(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> i64 {
    let early = theirs.since(answered).num_milliseconds();
    let late = theirs.since(asked).num_milliseconds();
    if early <= 0 && late >= 0 {
        0
    } else if early.abs() < late.abs() {
        early
    } else {
        late
    }
}

async fn address(config: &Config) -> Finding {
    let bind = config.bind;
    match TcpListener::bind(bind).await {
        Ok(_) if config.environment == Environment::Development && !bind.ip().is_loopback() => {
            Finding::warn("address", format!("{bind} is reached from other machines, so there is no sandbox bank"), "bind to 127.0.0.1 in development")
        }
        Ok(_) => Finding::ok("address", format!("{bind} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_ours(bind).await => {
            Finding::ok("address", format!("a server of ours listens on {bind}"))
        }
        Err(error) => Finding::fail("address", format!("nobody can listen on {bind}: {error}"), "set DASHTAM_BIND to an address of this machine that is free"),
    }
}

/// Whether who listens there answers as we do.
async fn is_ours(address: SocketAddr) -> bool {
    let host = if address.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())) } else { address };
    let asked = async { http::client(Duration::from_secs(2))?.get(format!("http://{host}/health")).send().await?.text().await.map_err(anyhow::Error::from) };
    asked.await.is_ok_and(|answer| answer == r#"{"status":"healthy"}"#)
}
