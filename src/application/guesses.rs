//! Guesses: passwords that are typed by whoever, and what a wrong one costs.

use std::sync::Arc;

use chrono::Duration;

use crate::domain::{
    failure::Reason,
    id::UserId,
    mail::MailKind,
    sign_in::{KNOWN_NETWORK_DAYS, Network, SignInCounter, SignInReader},
    time::Timestamp,
    user::User,
};

use super::{access::Origin, mail::Writer, ports::Work};

/// How often at most a user is told that signing in is paused, in hours.
const TELL_HOURS: i64 = 24;

/// Counts wrong passwords of one server.
#[derive(Clone)]
pub struct Guesses {
    /// What is counted, before a transaction is opened.
    pub sign_ins: Arc<dyn SignInReader>,
    /// Tells owners.
    pub writer: Writer,
}

impl Guesses {
    /// The network whose guesses count apart: the origin's, if the user signed in from it lately.
    pub(super) async fn network(&self, user: Option<&User>, origin: &Origin, now: Timestamp) -> anyhow::Result<Option<Network>> {
        let (Some(user), Some(network)) = (user, origin.ip.as_deref().and_then(Network::of_text)) else { return Ok(None) };
        let since = now.minus(Duration::days(KNOWN_NETWORK_DAYS));
        Ok(self.sign_ins.knows_network(user.id, &network, since).await?.then_some(network))
    }

    /// Whether no password of this user is compared now, as far as can be told before a transaction.
    pub(super) async fn are_paused(&self, user: Option<&User>, network: Option<&Network>, now: Timestamp) -> anyhow::Result<bool> {
        let Some(user) = user else { return Ok(false) };
        Ok(self.sign_ins.counter(user.id, network).await?.is_some_and(|counter| counter.is_paused(now)))
    }

    /// The same, inside a unit of work whose turn it is. Many guesses may have been compared at once: those that come here after the pause
    /// began are as good as not made, right ones too.
    pub(super) async fn are_paused_by_now(&self, work: &mut dyn Work, user: UserId, network: Option<&Network>, now: Timestamp) -> anyhow::Result<bool> {
        Ok(work.sign_ins().counter(user, network).await?.is_some_and(|counter| counter.is_paused(now)))
    }

    /// Commits a wrong password with what it leads to, and FAILED for `refusal`.
    pub(super) async fn count(
        &self,
        mut work: Box<dyn Work>,
        user: UserId,
        network: Option<Network>,
        refusal: &(dyn Reason + Sync),
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let counter = work.sign_ins().counter(user, network.as_ref()).await?;
        let mut counter = counter.unwrap_or_else(|| SignInCounter::new(user, network, now));
        let pauses = counter.fail(now);
        work.sign_ins().save(&counter).await?;
        if pauses && work.mails().queued_since(user, MailKind::SignInPaused, now.minus(Duration::hours(TELL_HOURS))).await? == 0 {
            self.writer.queue(work.as_mut(), user, MailKind::SignInPaused, now).await?;
        }
        work.refuse(refusal).await?;
        self.writer.ring();
        Ok(())
    }
}
