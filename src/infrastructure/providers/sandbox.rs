//! The sandbox bank, and the adapter that links it.
//!
//! A bank made up for trying Dashtam out: an authorization server with a page that asks, and a data API over the money of one invented
//! person at three institutions. It is a bank and not this product's edge, which is why it may speak HTTP from in here; it uses nothing of
//! the house but the domain, and [`client`] reaches it as it would any other bank, over the wire.
//!
//! - [`bank`], [`life`], `shops`: the accounts and what happens in them; pure.
//! - [`authorization`], [`register`]: the rules of consent, codes and tokens, and what is remembered over a restart.
//! - `script`, [`faults`]: what it can be told to do: move its clock, treat its books as real banks do, answer badly.
//! - `server`, [`control`], `pages`, [`answers`]: the same over HTTP.
//! - [`client`], [`mapping`]: the adapter.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, ensure};
use axum::response::Response;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;
use url::Url;

use crate::{
    application::ports::Randomness,
    domain::time::{Clock, LocalDate, Timestamp},
};

pub mod answers;
pub mod authorization;
pub mod bank;
pub mod client;
pub mod control;
pub mod faults;
pub mod life;
pub mod mapping;
mod pages;
mod parameters;
pub mod register;
mod script;
mod server;
mod shops;
pub mod visitor;

pub use client::SandboxProvider;

use authorization::{Desk, Registration, TokenRefusal};
use bank::Ledger;
use parameters::Parameters;
use register::{Issued, Register, TokenPair};
use script::Changes;

/// The bank: its books, and whom it lets see them.
pub struct SandboxBank {
    state_file: PathBuf,
    seed: u64,
    opened_on: LocalDate,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    desk: Mutex<Desk>,
    /// The books as they were last asked for.
    ledger: Mutex<Option<(LocalDate, Changes, Arc<Ledger>)>>,
}

impl SandboxBank {
    /// The seed of the bank that a state file is of; `None` when there is no file yet, or it is from before they said so.
    pub fn kept_seed(state_file: &Path) -> anyhow::Result<Option<u64>> {
        Ok(Register::load(state_file)?.and_then(|register| register.seed))
    }

    /// Opens the bank over its state file, which is made the first time. One file is of one bank: another seed is refused.
    pub fn open(state_file: PathBuf, seed: u64, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> anyhow::Result<Arc<Self>> {
        let kept = Register::load(&state_file)?;
        let is_complete = kept.as_ref().is_some_and(|register| register.seed.is_some());
        let mut register = kept.unwrap_or_else(|| Register::new(clock.today(), seed, BASE64_URL_SAFE_NO_PAD.encode(randomness.secret())));
        let made_from = *register.seed.get_or_insert(seed);
        ensure!(made_from == seed, "{} is of the sandbox bank with the seed {made_from}, not {seed}", state_file.display());
        if !is_complete {
            register.save(&state_file)?;
        }
        let opened_on = register.opened_on()?;
        Ok(Arc::new(Self { state_file, seed, opened_on, clock, randomness, desk: Mutex::new(Desk::new(register)), ledger: Mutex::default() }))
    }

    /// Says under which address this bank is reached, which is its issuer identifier, and where its one client,
    /// [`authorization::CLIENT_ID`], takes answers. Until then nobody can ask for consent.
    pub fn register_redirect(&self, base_url: &Url, redirect_uri: &str) -> anyhow::Result<()> {
        let redirect_to = Url::parse(redirect_uri).context("the sandbox bank's redirect URI is not a URL")?;
        let issuer = client::issuer(base_url);
        self.desk().registration = Some(Registration { issuer, redirect_uri: redirect_uri.to_owned(), redirect_to });
        Ok(())
    }

    /// The secret of its one client, made when the bank was first opened.
    pub fn client_secret(&self) -> SecretString {
        self.desk().register.client_secret.clone().into()
    }

    /// The bank's time, which may be ahead of ours.
    fn now(&self) -> Timestamp {
        self.desk().register.script.time(self.clock.now())
    }

    /// The books as they stand today.
    pub fn ledger(&self) -> Arc<Ledger> {
        let script = self.desk().register.script.clone();
        let (today, changes) = (script.time(self.clock.now()).day(), script.changes);
        let mut kept = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., ledger)) = kept.as_ref().filter(|(day, done, _)| *day == today && *done == changes) {
            return ledger.clone();
        }
        let ledger = Arc::new(Ledger::changed(self.seed, self.opened_on, today, &changes));
        *kept = Some((today, changes, ledger.clone()));
        ledger
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn secret(&self, prefix: &str) -> String {
        format!("{prefix}_{}", BASE64_URL_SAFE_NO_PAD.encode(self.randomness.secret()))
    }

    /// Answers a token request.
    fn token(&self, credentials: Option<&(String, String)>, form: &Parameters) -> anyhow::Result<Result<Issued, TokenRefusal>> {
        let (fresh, now) = (TokenPair { access: self.secret("sba"), refresh: self.secret("sbr") }, self.now());
        self.keep(|desk| desk.token(credentials, form, fresh, now))
    }

    /// Answers a revocation request.
    fn revoke(&self, credentials: Option<&(String, String)>, form: &Parameters) -> anyhow::Result<Result<(), TokenRefusal>> {
        self.keep(|desk| desk.revoke(credentials, form))
    }

    /// Changes what the bank remembers, or answers that it could not.
    async fn told<T: Send + 'static>(self: &Arc<Self>, order: impl FnOnce(&mut Register) -> T + Send + 'static) -> Result<T, Response> {
        let bank = self.clone();
        server::kept(move || bank.keep(|desk| order(&mut desk.register))).await
    }

    /// What an answer changes is on the disk before it is given; what cannot be written has not happened.
    fn keep<T>(&self, answer: impl FnOnce(&mut Desk) -> T) -> anyhow::Result<T> {
        let mut desk = self.desk();
        let before = desk.register.clone();
        let answer = answer(&mut desk);
        if desk.register != before
            && let Err(error) = desk.register.save(&self.state_file)
        {
            desk.register = before;
            return Err(error);
        }
        Ok(answer)
    }
}
