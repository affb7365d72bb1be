//! The unit of work: one transaction that carries an attempt's rows and its outcome, and is rolled back unless it settles.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use tokio::sync::Notify;

use crate::{
    application::{
        audit::{Attempt, AuditEntry},
        chain::retention::ChainWork,
        handlers,
        ports::{EventBus, Randomness, Store, Work},
    },
    domain::{
        account::Accounts,
        agreement::Agreements,
        audit::{Outcome, ResourceKind},
        balance::BalanceSnapshots,
        consent::Consents,
        coverage::Coverages,
        email_change::EmailChanges,
        erasure::Erasures,
        event::Event,
        export::Exports,
        failure::Reason,
        holding::Holdings,
        id::{LinkId, MessageId, UserId},
        import::Imports,
        keys::SealedSecrets,
        link::Links,
        mail::{Mail, MailKind, Mails},
        outbox::Outbox,
        payload::Payloads,
        second_factor::SecondFactors,
        security::Rotations,
        session::Sessions,
        sign_in::SignIns,
        sync::Syncs,
        transaction::Transactions,
        user::Users,
    },
};

use super::{
    DatabaseStore, audit,
    change::{Noted, tell_changes},
    error::broken,
};

/// An open transaction of one attempt. Each feature's file implements its trait for it.
pub(super) struct DatabaseWork {
    pub(super) transaction: DatabaseTransaction,
    pub(super) randomness: Arc<dyn Randomness>,
    pub(super) noted: Noted,
    /// Whose changes have positions.
    pub(super) logged: BTreeSet<UserId>,
    pub(super) bus: Option<Arc<dyn EventBus>>,
    /// The mails that were queued in it.
    pub(super) mails: Vec<MailKind>,
    /// Whether a courier has something to do once it is committed.
    pub(super) rings: bool,
    bell: Arc<Notify>,
    attempt: Attempt,
}

#[async_trait]
impl Store for DatabaseStore {
    async fn begin(&self, attempt: &Attempt) -> anyhow::Result<Box<dyn Work>> {
        let transaction = self.transaction().await?;
        Ok(Box::new(DatabaseWork {
            transaction,
            randomness: Arc::clone(&self.randomness),
            noted: Noted::default(),
            logged: BTreeSet::new(),
            bus: self.bus.get().cloned(),
            mails: Vec::new(),
            rings: false,
            bell: Arc::clone(&self.bell),
            attempt: attempt.clone(),
        }))
    }
}

impl DatabaseWork {
    async fn settle(mut self, entry: AuditEntry) -> anyhow::Result<()> {
        self.log_changes().await?;
        audit::append(&self.transaction, &entry, self.randomness.as_ref()).await?;
        self.attempt.mark_settled();
        self.transaction.commit().await.map_err(broken("committing a unit of work"))?;
        tell_changes(&self.logged, self.bus.as_ref());
        if self.rings {
            self.bell.notify_one();
        }
        Ok(())
    }
}

#[async_trait]
impl Work for DatabaseWork {
    fn users(&mut self) -> &mut dyn Users {
        self
    }

    fn sessions(&mut self) -> &mut dyn Sessions {
        self
    }

    fn links(&mut self) -> &mut dyn Links {
        self
    }

    fn accounts(&mut self) -> &mut dyn Accounts {
        self
    }

    fn transactions(&mut self) -> &mut dyn Transactions {
        self
    }

    fn snapshots(&mut self) -> &mut dyn BalanceSnapshots {
        self
    }

    fn coverages(&mut self) -> &mut dyn Coverages {
        self
    }

    fn holdings(&mut self) -> &mut dyn Holdings {
        self
    }

    fn payloads(&mut self) -> &mut dyn Payloads {
        self
    }

    fn syncs(&mut self) -> &mut dyn Syncs {
        self
    }

    fn rotations(&mut self) -> &mut dyn Rotations {
        self
    }

    fn sign_ins(&mut self) -> &mut dyn SignIns {
        self
    }

    fn second_factors(&mut self) -> &mut dyn SecondFactors {
        self
    }

    fn mails(&mut self) -> &mut dyn Mails {
        self
    }

    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }

    fn sealed_secrets(&mut self) -> &mut dyn SealedSecrets {
        self
    }

    fn agreements(&mut self) -> &mut dyn Agreements {
        self
    }

    fn consents(&mut self) -> &mut dyn Consents {
        self
    }

    fn email_changes(&mut self) -> &mut dyn EmailChanges {
        self
    }

    fn erasures(&mut self) -> &mut dyn Erasures {
        self
    }

    fn exports(&mut self) -> &mut dyn Exports {
        self
    }

    fn imports(&mut self) -> &mut dyn Imports {
        self
    }

    fn chain(&mut self) -> &mut dyn ChainWork {
        self
    }

    async fn checkpoint(mut self: Box<Self>) -> anyhow::Result<()> {
        anyhow::ensure!(self.mails.is_empty(), "a mail follows from an outcome, and was queued before there was one");
        self.log_changes().await?;
        let Self { transaction, logged, bus, .. } = *self;
        transaction.commit().await.map_err(broken("committing what must stand before a bank is asked"))?;
        tell_changes(&logged, bus.as_ref());
        Ok(())
    }

    async fn succeed(mut self: Box<Self>, event: Event) -> anyhow::Result<()> {
        let entry = self.attempt.entry(Outcome::Succeeded, Some(&event), None);
        if let Some((user, kind)) = handlers::notice(&event, &self.mails)? {
            let mail = Mail::new(MessageId(self.randomness.id()), user, kind, None, entry.recorded_at);
            let (about, id) = event.resource();
            let link = id.filter(|_| about == ResourceKind::Link).map(LinkId);
            self.queue(&Mail { link, ..mail }).await?;
        }
        self.settle(entry).await
    }

    async fn refuse(self: Box<Self>, refusal: &(dyn Reason + Sync)) -> anyhow::Result<()> {
        handlers::check_refusal(refusal.reason(), &self.mails)?;
        let entry = self.attempt.entry(Outcome::Failed, None, Some(refusal.reason()));
        self.settle(entry).await
    }
}
