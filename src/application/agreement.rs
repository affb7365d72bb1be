//! Agreements: what the operator asks people to agree to, and who did.
//!
//! A newcomer agrees to all of it while registering. When the operator puts a later version in force, a frontend sees it beside what its
//! user agreed to, and asks; nobody is locked out by a document.

use std::sync::Arc;

use crate::domain::{
    agreement::{Agreement, AgreementReader, Assent, AssentRefusal, LegalDocument, LegalDocuments},
    audit::Act,
    event::Event,
    failure::Reason,
    id::{AgreementId, UserId},
    page::{CreatedKey, Page, Slice},
    time::{Clock, Timestamp},
};

use super::{
    QueryError,
    access::{Access, Denied, Requester, Resource},
    audit::Journal,
    ports::{Randomness, Store, Work},
};

/// Why nothing was agreed to.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// To nothing at all, or to nothing that is in force.
    #[error(transparent)]
    Refused(#[from] AssentRefusal),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for AgreementError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

impl Reason for AssentRefusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "agreement_missing",
            Self::NotInForce => "agreement_not_in_force",
        }
    }
}

/// Agreeing to documents.
pub struct AgreeToDocuments {
    /// Who agrees.
    pub requester: Requester,
    /// To what.
    pub assents: Vec<Assent>,
}

/// Records agreements.
pub struct AgreementCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where agreements are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
    /// The documents in force.
    pub documents: LegalDocuments,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub randomness: Arc<dyn Randomness>,
}

impl AgreementCommands {
    /// Records that somebody agrees to documents in force; to one they agreed to before, nothing is added.
    pub async fn agree(&self, command: AgreeToDocuments) -> Result<(), AgreementError> {
        let attempt = self.journal.attempt(&command.requester, Act::AgreeToDocuments).await?;
        attempt
            .settle(async {
                let user = self.access.attempt(&command.requester, Act::AgreeToDocuments)?;
                let accepted = self.documents.accept(&command.assents)?;
                if accepted.is_empty() {
                    return Err(AssentRefusal::Missing.into());
                }
                let mut work = self.store.begin(&attempt).await?;
                work.sign_ins().take_turn(user).await?.filter(|user| user.is_active).ok_or(Denied::Unauthenticated)?;
                record(work.as_mut(), self.randomness.as_ref(), user, &accepted, self.clock.now()).await?;
                work.succeed(Event::DocumentsAgreedTo { user, documents: named(&accepted) }).await?;
                Ok(())
            })
            .await
    }
}

/// Records agreements of a user in a unit of work.
pub(super) async fn record(work: &mut dyn Work, randomness: &dyn Randomness, user: UserId, documents: &[&LegalDocument], now: Timestamp) -> anyhow::Result<()> {
    for document in documents {
        let agreement = Agreement { id: AgreementId(randomness.id()), user, kind: document.kind, version: document.version.clone(), agreed_at: now };
        work.agreements().insert(&agreement).await?;
    }
    Ok(())
}

/// The documents for the trail: `terms 2026-11, privacy 3`.
fn named(documents: &[&LegalDocument]) -> String {
    documents.iter().map(|document| format!("{} {}", document.kind.as_str(), document.version)).collect::<Vec<_>>().join(", ")
}

/// Looks at agreements.
pub struct AgreementQueries {
    /// What roles may do.
    pub access: Access,
    /// Where agreements are kept.
    pub agreements: Arc<dyn AgreementReader>,
    /// The documents in force.
    pub documents: LegalDocuments,
}

impl AgreementQueries {
    /// The documents in force, for anyone: who registers has to know them.
    pub fn in_force(&self) -> &[LegalDocument] {
        &self.documents.0
    }

    /// What `of` agreed to; nothing when that is somebody else.
    pub async fn page(&self, requester: &Requester, of: UserId, page: Page<CreatedKey>) -> Result<Slice<Agreement>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Profile, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.agreements.page(owner, page).await?)
    }
}
