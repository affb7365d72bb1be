//! Agreements in the graph: what the operator asks people to agree to, and what somebody agreed to.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};

use crate::{
    application::{access::Resource, agreement::AgreeToDocuments},
    domain::{
        agreement::{self, Agreement, Assent, LegalDocument},
        audit::Act,
        page::CreatedKey,
    },
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::{Allow, Public},
    page::connection,
    scalar::{DateTime, WebUrl},
};

/// What the operator may ask people to agree to.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "agreement::LegalDocumentKind")]
pub enum LegalDocumentKind {
    /// The terms of service.
    Terms,
    /// The privacy notice.
    Privacy,
}

/// A document the operator asks people to agree to, as the graph shows it.
#[derive(Clone)]
pub struct LegalDocumentObject(LegalDocument);

/// A document the operator asks people to agree to, as it is in force.
#[Object(name = "LegalDocument", serial, guard = Public("who registers has to read it first"))]
impl LegalDocumentObject {
    /// Which.
    async fn kind(&self) -> LegalDocumentKind {
        self.0.kind.into()
    }

    /// What the operator calls this version of it.
    async fn version(&self) -> &str {
        &self.0.version
    }

    /// Where it can be read.
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn url(&self) -> Result<WebUrl, Fault> {
        WebUrl::try_from(self.0.url.clone()).map_err(|broken| Fault::internal(&broken.into()))
    }
}

/// The word of a person that they agree to one version of a document.
#[derive(InputObject)]
pub struct AgreementInput {
    /// Which document.
    kind: LegalDocumentKind,
    /// Which version of it: the one `legalDocuments` has.
    version: String,
}

impl From<AgreementInput> for Assent {
    fn from(input: AgreementInput) -> Self {
        Self { kind: input.kind.into(), version: input.version }
    }
}

/// Agreeing to documents.
#[derive(InputObject)]
pub struct AgreeToDocumentsInput {
    /// To which.
    agreements: Vec<AgreementInput>,
}

/// Whether the agreement is on record.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::AgreeToDocuments))]
pub struct AgreeToDocumentsPayload {
    /// True when it is on record; `User.agreements` has it.
    agreed: bool,
    /// Why it is not; empty when it is.
    user_errors: Vec<UserError>,
}

/// What somebody agreed to, as the graph shows it.
#[derive(Clone)]
pub struct AgreementNode(pub Arc<Agreement>);

impl AgreementNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.agreed_at, id: self.0.id.0 }
    }
}

/// That a user agreed to one version of a document of the operator.
#[Object(name = "Agreement", serial, guard = Allow::read(Resource::Profile))]
impl AgreementNode {
    /// To which document.
    async fn kind(&self) -> LegalDocumentKind {
        self.0.kind.into()
    }

    /// To which version of it.
    async fn version(&self) -> &str {
        &self.0.version
    }

    /// When they first did.
    async fn agreed_at(&self) -> DateTime {
        DateTime(self.0.agreed_at)
    }
}

connection!(
    /// A page of agreements.
    AgreementConnection,
    /// An agreement in a page.
    AgreementEdge,
    AgreementNode,
    CreatedKey,
    Profile
);

/// Looks at the documents in force.
#[derive(Default)]
pub struct AgreementQuery;

#[Object(serial)]
impl AgreementQuery {
    /// What whoever registers has to agree to, in the versions in force; empty when the operator asks for nothing.
    #[graphql(guard = Public("who registers has to read it first"))]
    #[expect(clippy::unused_async, reason = "the library takes async resolvers only")]
    async fn legal_documents(&self, ctx: &Context<'_>) -> Result<Vec<LegalDocumentObject>, Fault> {
        let in_force = ctx.of_request()?.application.rights.agreements.in_force();
        Ok(in_force.iter().cloned().map(LegalDocumentObject).collect())
    }
}

/// Records agreements.
#[derive(Default)]
pub struct AgreementMutation;

#[Object(serial)]
impl AgreementMutation {
    /// Agrees to documents in force, as when a later version took the place of the one agreed to while registering.
    #[graphql(guard = Allow::attempt(Act::AgreeToDocuments))]
    async fn agree_to_documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "To what.")] input: AgreeToDocumentsInput,
    ) -> Result<AgreeToDocumentsPayload, Fault> {
        let request = ctx.of_request()?;
        let assents = input.agreements.into_iter().map(Into::into).collect();
        let command = AgreeToDocuments { requester: request.requester.clone(), assents };
        let (agreed, user_errors) = outcome(request.application.rights.agreeing.agree(command).await)?;
        Ok(AgreeToDocumentsPayload { agreed: agreed.is_some(), user_errors })
    }
}
