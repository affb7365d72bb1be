//! Agreements: which of the operator's documents somebody agreed to here, in which version, and when.

use async_trait::async_trait;
use url::Url;

use super::{
    id::{AgreementId, UserId},
    page::{CreatedKey, Page, Slice},
    time::Timestamp,
    transaction::words,
};

words! {
    /// What the operator may ask people to agree to.
    LegalDocumentKind {
        /// The terms of service.
        Terms = "terms",
        /// The privacy notice.
        Privacy = "privacy",
    }
}

/// A document the operator asks people to agree to, as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalDocument {
    /// Which.
    pub kind: LegalDocumentKind,
    /// What the operator calls this version of it.
    pub version: String,
    /// Where it can be read.
    pub url: Url,
}

/// A person's word that they agree to one version of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assent {
    /// Which document.
    pub kind: LegalDocumentKind,
    /// Which version of it.
    pub version: String,
}

/// Why an assent does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssentRefusal {
    /// A document in force was left out.
    #[error("agree to every document of legalDocuments, in the version it has there")]
    Missing,
    /// No document in force has this version.
    #[error("this version is not in force; legalDocuments has the ones that are")]
    NotInForce,
}

/// The documents in force.
#[derive(Debug, Clone, Default)]
pub struct LegalDocuments(pub Vec<LegalDocument>);

impl LegalDocuments {
    /// Accepts assents to documents in force, and to nothing else; a repeated one counts once.
    pub fn accept(&self, assents: &[Assent]) -> Result<Vec<&LegalDocument>, AssentRefusal> {
        let is_of = |document: &LegalDocument, assent: &Assent| document.kind == assent.kind && document.version == assent.version;
        if !assents.iter().all(|assent| self.0.iter().any(|document| is_of(document, assent))) {
            return Err(AssentRefusal::NotInForce);
        }
        Ok(self.0.iter().filter(|document| assents.iter().any(|assent| is_of(document, assent))).collect())
    }

    /// Accepts assents to every document in force, as a newcomer has to give.
    pub fn accept_all(&self, assents: &[Assent]) -> Result<Vec<&LegalDocument>, AssentRefusal> {
        let accepted = self.accept(assents)?;
        if accepted.len() < self.0.len() { Err(AssentRefusal::Missing) } else { Ok(accepted) }
    }
}

/// What somebody agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Never changes.
    pub id: AgreementId,
    /// Whose it is.
    pub user: UserId,
    /// To which document.
    pub kind: LegalDocumentKind,
    /// To which version of it.
    pub version: String,
    /// When they first did.
    pub agreed_at: Timestamp,
}

/// Agreements, inside a unit of work.
#[async_trait]
pub trait Agreements: Send {
    /// Records an agreement, unless the same is on record.
    async fn insert(&mut self, agreement: &Agreement) -> anyhow::Result<()>;
    /// Drops those of `owner`, whose registration another one took the place of before the address was confirmed.
    async fn drop_all(&mut self, owner: UserId) -> anyhow::Result<()>;
}

/// Agreements for queries.
#[async_trait]
pub trait AgreementReader: Send + Sync {
    /// The agreements of `owner`, oldest first.
    async fn page(&self, owner: UserId, page: Page<CreatedKey>) -> anyhow::Result<Slice<Agreement>>;
}
