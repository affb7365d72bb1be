//! Users in the graph: oneself, and for administrators everyone.

pub mod administration;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};

use crate::{
    application::access::Resource,
    domain::{
        account::AccountFilter,
        audit::Act,
        audit::AuditFilter,
        holding::HoldingFilter,
        page::CreatedKey,
        transaction::TransactionFilter,
        user::{self, EmailAddress, User, UserFilter},
    },
};

use super::{
    ContextExt,
    account::{AccountConnection, AccountFilterInput, AccountNode},
    agreement::{AgreementConnection, AgreementNode},
    audit::{AuditEventConnection, AuditEventNode, OwnAuditFilterInput},
    change::{self, ChangePage},
    consent::{ConsentNode, LinkConsentConnection},
    error::{Code, Fault},
    global_id::GlobalId,
    guard::{Allow, Public},
    holding::{HoldingConnection, HoldingFilterInput, HoldingNode},
    import::{ImportConnection, ImportNode},
    link::{LinkConnection, LinkNode},
    loader::SessionsOf,
    page::{PageArguments, connection},
    scalar::{DateTime, Money},
    second_factor::SecondFactorNode,
    session::{SessionConnection, SessionNode},
    transaction::{TransactionConnection, TransactionFilterInput, TransactionNode},
};

/// What a user may do. Whatever the role, money is only ever one's own.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "user::Role")]
pub enum Role {
    /// Administers users, sessions and security; has no way to anyone else's money.
    Admin,
    /// Links banks, imports files, reads what is theirs.
    User,
    /// Reads what is theirs and keeps the rights to their identity.
    Readonly,
}

/// How many live sessions a user may have. One more sign-in ends the oldest.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "user::SessionTier")]
pub enum SessionTier {
    /// Two live sessions.
    Basic,
    /// Three live sessions.
    Essential,
    /// Five live sessions.
    Plus,
    /// Ten live sessions.
    Premium,
    /// As many as wanted.
    Pro,
}

/// One user, as the graph shows them.
#[derive(Clone)]
pub struct UserNode(pub Arc<User>);

impl UserNode {
    pub(crate) fn key(&self) -> CreatedKey {
        CreatedKey { created_at: self.0.created_at, id: self.0.id.0 }
    }
}

/// A person who can sign in. Money below is theirs alone; administrators see who they are and their sessions.
#[Object(name = "User", serial, guard = Allow::read(Resource::Users))]
impl UserNode {
    /// The global id, `user_…`.
    pub async fn id(&self) -> ID {
        GlobalId::from(self.0.id).to_id()
    }

    /// The e-mail address, as its owner wrote it.
    async fn email(&self) -> &str {
        self.0.email.written()
    }

    /// What this user wants to be called; null when they did not say.
    async fn display_name(&self) -> Option<&str> {
        self.0.display_name.as_deref()
    }

    /// What this user may do.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// How many live sessions this user may have.
    async fn tier(&self) -> SessionTier {
        self.0.tier.into()
    }

    /// How many live sessions this user may have whatever the tier; null when the tier decides.
    async fn session_limit(&self) -> Option<u32> {
        self.0.session_limit
    }

    /// False while an administrator keeps this user out, and while they wait to be erased.
    async fn is_active(&self) -> bool {
        self.0.is_active
    }

    /// When the address was confirmed; null before that.
    async fn email_verified_at(&self) -> Option<DateTime> {
        self.0.email_verified_at.map(DateTime)
    }

    /// When this user came to be.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// What signing in takes beside the password; null for nothing.
    #[graphql(guard = Allow::read(Resource::Security))]
    async fn second_factor(&self, ctx: &Context<'_>) -> Result<Option<SecondFactorNode>, Fault> {
        let request = ctx.of_request()?;
        Ok(request.application.second_factor_queries.of(&request.requester, self.0.id).await?.map(Into::into))
    }

    /// The sessions of this user, ended ones included, oldest first.
    #[graphql(guard = Allow::read(Resource::Sessions))]
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<SessionConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = request.loaders.sessions(SessionsOf { user: self.0.id, page }).await?;
        Ok(SessionConnection { slice: slice.map(|session| SessionNode(Arc::new(session))), page })
    }

    /// Which documents of the operator this user agreed to, oldest first. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Profile))]
    async fn agreements(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<AgreementConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = request.application.rights.agreements.page(&request.requester, self.0.id, page).await?;
        Ok(AgreementConnection { slice: slice.map(|agreement| AgreementNode(Arc::new(agreement))), page })
    }

    /// What this user agreed to be read at providers, oldest first, withdrawn consents included. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Profile))]
    async fn consents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<LinkConsentConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = request.application.rights.consents.page(&request.requester, self.0.id, page).await?;
        Ok(LinkConsentConnection { slice: slice.map(|consent| ConsentNode(Arc::new(consent))), page })
    }

    /// The links of this user to providers, oldest first. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Links))]
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<LinkConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = request.application.link_queries.page(&request.requester, self.0.id, page).await?;
        Ok(LinkConnection { slice: slice.map(|link| LinkNode(Arc::new(link))), page })
    }

    /// The accounts of this user, oldest first. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<AccountFilterInput>,
    ) -> Result<AccountConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(AccountFilter::from).unwrap_or_default();
        let slice = request.application.accounts.page(&request.requester, self.0.id, &filter, page).await?;
        Ok(AccountConnection { slice: slice.map(|account| AccountNode(Arc::new(account))), page })
    }

    /// The transactions of all accounts of this user, latest day first. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Transactions))]
    async fn transactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<TransactionFilterInput>,
    ) -> Result<TransactionConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(TransactionFilter::try_from).transpose()?.unwrap_or_default();
        let slice = request.application.transactions.page(&request.requester, self.0.id, &filter, page).await?;
        Ok(TransactionConnection { slice: slice.map(|transaction| TransactionNode(Arc::new(transaction))), page })
    }

    /// The statement files of this user, oldest first: those that were taken in, those that were taken back, and previews as long as they can be
    /// committed. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Transactions))]
    async fn imports(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
    ) -> Result<ImportConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let slice = request.application.import_queries.page(&request.requester, self.0.id, page).await?;
        Ok(ImportConnection { slice: slice.map(|import| ImportNode(Arc::new(import))), page })
    }

    /// The positions in all accounts of this user, oldest first. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn holdings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<HoldingFilterInput>,
    ) -> Result<HoldingConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(HoldingFilter::try_from).transpose()?.unwrap_or_default();
        let slice = request.application.holdings.page(&request.requester, self.0.id, &filter, page).await?;
        Ok(HoldingConnection { slice: slice.map(|holding| HoldingNode(Arc::new(holding))), page })
    }

    /// What this user has less what they owe, one entry a currency, by its code: the `current` balances of all active accounts whose link was
    /// not taken away. A debt counts as negative. An account whose balance is not known is left out, holdings are inside the balances already,
    /// and nothing is converted. Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Accounts))]
    async fn net_worth(&self, ctx: &Context<'_>) -> Result<Vec<Money>, Fault> {
        let request = ctx.of_request()?;
        let sums = request.application.balances.net_worth(&request.requester, self.0.id).await?;
        Ok(sums.into_iter().map(Into::into).collect())
    }

    /// What of this user's links, accounts, transactions and holdings came, changed and went since a cursor; without one, everything there is as added.
    /// Empty for administrators who look at somebody else.
    #[graphql(guard = Allow::read(Resource::Changes))]
    async fn changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only what happened after this cursor, an earlier answer's `endCursor` or `latestCursor`.")] after: Option<String>,
        #[graphql(desc = "How many changes, 1 to 100; 100 when it is not given.")] first: Option<i32>,
    ) -> Result<ChangePage, Fault> {
        let request = ctx.of_request()?;
        let (after, limit) = change::read_arguments(after, first)?;
        Ok(request.application.changes.page(&request.requester, self.0.id, after, limit).await?.into())
    }

    /// What this user did and what was done to them, oldest first. Who did it, if it was somebody who administers, is not told
    /// to them. Looking at somebody else's is an act itself.
    #[graphql(guard = Allow::read(Resource::Audit))]
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100: the latest.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<OwnAuditFilterInput>,
    ) -> Result<AuditEventConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(AuditFilter::from).unwrap_or_default();
        let slice = request.application.audit.of(&request.requester, self.0.id, filter, page).await?;
        Ok(AuditEventConnection { slice: slice.map(|event| AuditEventNode(Arc::new(event))), page })
    }
}

connection!(
    /// A page of users.
    UserConnection,
    /// A user in a page.
    UserEdge,
    UserNode,
    CreatedKey,
    Users
);

/// Which users are wanted; every field narrows.
#[derive(InputObject)]
pub struct UserFilterInput {
    /// Only the one of this e-mail address, compared without regard to case in ASCII.
    email: Option<String>,
    /// Only those of this role.
    role: Option<Role>,
    /// Only those who are active, or only those who are kept out.
    is_active: Option<bool>,
}

impl UserFilterInput {
    fn read(self) -> Result<UserFilter, Fault> {
        let email = self.email.map(|email| EmailAddress::parse(&email).map(|email| email.key().clone())).transpose();
        let email = email.map_err(|invalid| Fault::new(Code::BadUserInput, &invalid.to_string()))?;
        Ok(UserFilter { email, role: self.role.map(Into::into), is_active: self.is_active })
    }
}

/// Who is asking, and for administrators who there is.
#[derive(Default)]
pub struct UserQuery;

#[Object(serial)]
impl UserQuery {
    /// The signed-in user; null for nobody. Where everything begins.
    #[graphql(guard = Public("answers null for nobody"))]
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Option<UserNode>, Fault> {
        let request = ctx.of_request()?;
        if request.requester.user().is_none() {
            return Ok(None);
        }
        Ok(request.application.user_queries.me(&request.requester).await?.map(|user| UserNode(Arc::new(user))))
    }

    /// Everyone, oldest first; for administrators.
    #[graphql(guard = Allow::attempt(Act::ReadUsers))]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the front, 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the back, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(desc = "Only those that match; every field narrows.")] filter: Option<UserFilterInput>,
    ) -> Result<UserConnection, Fault> {
        let request = ctx.of_request()?;
        let page = PageArguments { first, after, last, before }.read(ctx)?;
        let filter = filter.map(UserFilterInput::read).transpose()?.unwrap_or_default();
        let slice = request.application.user_queries.page(&request.requester, &filter, page).await?;
        Ok(UserConnection { slice: slice.map(|user| UserNode(Arc::new(user))), page })
    }
}
