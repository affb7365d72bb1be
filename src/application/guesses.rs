//! Guesses: passwords that are typed by whoever, how they are compared, and what a wrong one costs.
//!
//! Comparing is slow and happens before a transaction is opened; what came of it counts only once it is the user's turn, if nothing else
//! has decided meanwhile.

use std::sync::Arc;

use chrono::Duration;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::{
    failure::Reason,
    id::UserId,
    mail::MailKind,
    sign_in::{KNOWN_NETWORK_DAYS, Network, SignInCounter, SignInReader},
    time::{Clock, Timestamp},
    user::{Password, User},
};

use super::{
    access::Origin,
    mail::Writer,
    ports::{PasswordHasher, Work},
};

/// How often at most a user is told that signing in is paused, in hours.
const TELL_HOURS: i64 = 24;

/// Compares passwords and counts wrong ones.
#[derive(Clone)]
pub struct Guesses {
    /// What is counted, before a transaction is opened.
    pub sign_ins: Arc<dyn SignInReader>,
    /// Compares.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Tells owners.
    pub writer: Writer,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What a comparison showed. Nothing is decided yet.
pub(super) struct Compared {
    /// The user as they were then.
    pub(super) user: User,
    /// Whether it was their password. Never while guessing was paused, when none is compared.
    pub(super) proven: bool,
    /// What was typed.
    pub(super) typed: Password,
    network: Option<Network>,
    paused: bool,
}

impl Compared {
    /// The network whose guesses count apart, if this one came from there.
    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }
}

/// What a comparison is worth once it is the user's turn.
pub(super) enum Verdict {
    /// The password is theirs; the unit of work goes on, with the user as they are now.
    Right(Box<dyn Work>, User),
    /// It is not, and that is counted and committed; or the user was changed meanwhile.
    Wrong,
    /// Too many were wrong before; this one is as good as not made.
    Paused,
}

impl Guesses {
    /// Compares what was typed with what is stored of a user. One comparison is made whatever is known of them; `None` when nothing is.
    pub(super) async fn compare(&self, user: Option<User>, typed: &SecretString, origin: &Origin) -> anyhow::Result<Option<Compared>> {
        let now = self.clock.now();
        let network = self.known_network(user.as_ref(), origin, now).await?;
        let paused = match &user {
            Some(user) => self.sign_ins.counter(user.id, network.as_ref()).await?.is_some_and(|counter| counter.is_paused(now)),
            None => false,
        };
        let typed = Password::typed(typed.expose_secret());
        // While paused not even the right password is compared.
        let record = user.as_ref().filter(|_| typed.is_some() && !paused).map(|user| &user.password);
        let typed = typed.unwrap_or_default();
        let proven = self.hasher.verify(&typed, record).await?;
        Ok(user.map(|user| Compared { user, proven, typed, network, paused }))
    }

    /// Decides what a comparison is worth, in the user's turn. Many guesses may have been compared at once: those that come here after a
    /// pause began are as good as not made, right ones too. A wrong one is committed with FAILED for `refusal`.
    pub(super) async fn decide(&self, mut work: Box<dyn Work>, compared: &Compared, refusal: &(dyn Reason + Sync)) -> anyhow::Result<Verdict> {
        let now = self.clock.now();
        let current = work.sign_ins().take_turn(compared.user.id).await?;
        let Some(user) = current.filter(|current| current.is_active && current.password == compared.user.password) else { return Ok(Verdict::Wrong) };
        let counter = work.sign_ins().counter(user.id, compared.network()).await?;
        if compared.paused || counter.as_ref().is_some_and(|counter| counter.is_paused(now)) {
            return Ok(Verdict::Paused);
        }
        if compared.proven {
            return Ok(Verdict::Right(work, user));
        }
        let counter = counter.unwrap_or_else(|| SignInCounter::new(user.id, compared.network.clone(), now));
        self.count(work, counter, refusal, now).await?;
        Ok(Verdict::Wrong)
    }

    /// Commits a wrong password with what it leads to.
    async fn count(&self, mut work: Box<dyn Work>, mut counter: SignInCounter, refusal: &(dyn Reason + Sync), now: Timestamp) -> anyhow::Result<()> {
        let pauses = counter.fail(now);
        work.sign_ins().save(&counter).await?;
        if pauses && !self.was_told_of_late(work.as_mut(), counter.user, now).await? {
            self.writer.queue(work.as_mut(), counter.user, MailKind::SignInPaused, now).await?;
        }
        work.refuse(refusal).await
    }

    async fn was_told_of_late(&self, work: &mut dyn Work, user: UserId, now: Timestamp) -> anyhow::Result<bool> {
        Ok(work.mails().queued_since(user, MailKind::SignInPaused, now.minus(Duration::hours(TELL_HOURS))).await? > 0)
    }

    /// The network whose guesses count apart: the origin's, if the user signed in from it lately.
    pub(super) async fn known_network(&self, user: Option<&User>, origin: &Origin, now: Timestamp) -> anyhow::Result<Option<Network>> {
        let (Some(user), Some(network)) = (user, origin.ip.as_deref().and_then(Network::of_text)) else { return Ok(None) };
        let since = now.minus(Duration::days(KNOWN_NETWORK_DAYS));
        Ok(self.sign_ins.knows_network(user.id, &network, since).await?.then_some(network))
    }
}
