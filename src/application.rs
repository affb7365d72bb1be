//! The use cases: each told once, top to bottom, in the words of the domain.
//!
//! Sees the domain and nothing else of the house. What it needs from outside stands in [`ports`]; who asks and what they may do
//! stands in [`access`]; that every act is on the trail is the business of [`audit`].

pub mod access;
pub mod account;
pub mod agreement;
pub mod audit;
pub mod balance;
pub mod chain;
pub mod change;
pub mod consent;
pub mod coverage;
pub mod credentials;
pub mod edge;
pub mod email_change;
pub mod erasure;
pub mod errand;
pub mod export;
pub mod guesses;
pub mod handlers;
pub mod holding;
pub mod import;
pub mod ingest;
pub mod keys;
pub mod link;
pub mod live;
pub mod mail;
pub mod outbox;
pub mod password;
pub mod payload;
pub mod ports;
pub mod profile;
pub mod provider;
pub mod rate_limit;
pub mod registration;
pub mod remap;
pub mod renewal;
pub mod schedule;
pub mod second_factor;
pub mod security;
pub mod session;
pub mod step_up;
mod storing;
pub mod sync;
pub mod tape;
pub mod transaction;
pub mod user;
pub mod worker;

use std::sync::Arc;

use access::{Access, Denied};

/// Every use case of one server, as the edge and the command line use them.
pub struct Application {
    /// What roles may do.
    pub access: Access,
    /// Where refusals of guards are written.
    pub journal: audit::Journal,
    /// Looks at the audit trail.
    pub audit: audit::AuditQueries,
    /// Tells whom a request's token stands for.
    pub gate: Arc<session::SessionGate>,
    /// Charges requests for what they want.
    pub rates: rate_limit::RateLimits,
    /// Looks at users.
    pub user_queries: user::UserQueries,
    /// Changes users.
    pub users: user::UserCommands,
    /// Registers people.
    pub registration: registration::RegistrationCommands,
    /// Looks at sessions.
    pub session_queries: session::SessionQueries,
    /// Changes sessions.
    pub sessions: session::SessionCommands,
    /// The outbox, for the operator.
    pub outbox: outbox::Outgoing,
    /// Looks at what is in force for everyone's tokens.
    pub security_queries: security::SecurityQueries,
    /// Rotates tokens.
    pub security: security::SecurityCommands,
    /// Rotates keys and seals anew.
    pub keys: keys::KeyCommands,
    /// Takes proofs of who is behind a session.
    pub step_up: step_up::StepUpCommands,
    /// Looks at second factors.
    pub second_factor_queries: second_factor::SecondFactorQueries,
    /// Changes second factors.
    pub second_factors: second_factor::SecondFactorCommands,
    /// Changes passwords.
    pub passwords: password::PasswordCommands,
    /// What people may do with what is kept about them.
    pub rights: Rights,
    /// Looks at the catalogue.
    pub providers: provider::ProviderQueries,
    /// Looks at links.
    pub link_queries: link::LinkQueries,
    /// Changes links.
    pub links: link::LinkCommands,
    /// Maps once more what providers answered.
    pub remaps: remap::RemapCommands,
    /// Looks at syncs.
    pub sync_queries: sync::SyncQueries,
    /// Asks for syncs.
    pub syncs: sync::SyncCommands,
    /// Looks at accounts.
    pub accounts: account::AccountQueries,
    /// Changes what is the owner's to say of accounts.
    pub account_commands: account::AccountCommands,
    /// Tells how much of accounts is here.
    pub coverage: coverage::CoverageQueries,
    /// Looks at transactions.
    pub transactions: transaction::TransactionQueries,
    /// Looks at holdings.
    pub holdings: holding::HoldingQueries,
    /// Looks at the history of balances, and at what they come to.
    pub balances: balance::BalanceQueries,
    /// Follows changes.
    pub changes: change::ChangeQueries,
    /// Wakes those who follow.
    pub live: Arc<live::Live>,
    /// Looks at imports.
    pub import_queries: import::ImportQueries,
    /// Takes statement files in.
    pub imports: import::ImportCommands,
}

/// What people may do with what is kept about them, whatever their role.
pub struct Rights {
    /// Changes profiles.
    pub profiles: profile::ProfileCommands,
    /// Looks at consents.
    pub consents: consent::ConsentQueries,
    /// Looks at what is to be agreed to, and at who did.
    pub agreements: agreement::AgreementQueries,
    /// Records agreements.
    pub agreeing: agreement::AgreementCommands,
    /// Changes addresses.
    pub email_changes: email_change::EmailChangeCommands,
    /// Takes erasures in.
    pub erasures: erasure::ErasureCommands,
    /// Exports what is kept about users.
    pub exports: export::ExportCommands,
}

/// Why a question about one's own data is not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
