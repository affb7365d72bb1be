//! The shape of the database, one concern a file. A migration is never edited after it has landed; a later one changes what it made.
//!
//! Tables are written as SQL, since that is what an operator sees in the database; `dialect` names the few types the two databases
//! spell differently. All pending migrations run in one transaction, so a failed upgrade leaves the database as it was.

use sea_orm_migration::prelude::*;

pub use sea_orm_migration::{MigrationStatus, MigratorTrait};

mod dialect;
mod m20261123_000001_users;
mod m20261123_000002_sessions;
mod m20261123_000003_links;
mod m20261123_000004_accounts;
mod m20261123_000005_transactions;
mod m20261123_000006_syncs;
mod m20261123_000007_imports;
mod m20261123_000008_audit;
mod m20261123_000009_outbox;
mod m20261124_000010_link_synced_at;
mod m20261124_000011_mail_tokens;
mod m20261124_000012_sign_in;
mod m20261125_000013_step_up;
mod m20261125_000014_second_factor;
mod m20261125_000015_rights;
mod m20261125_000016_audit_chain;
mod m20261125_000017_token_versions;
mod m20261125_000018_administration;
mod m20261126_000019_agreements;
mod m20261126_000020_outbox_order;
mod m20261126_000021_changes;
mod m20261126_000022_audit_thinnings;
mod m20261126_000024_holdings;
mod m20261126_000025_corrections;
mod m20261126_000026_sync_plans;
mod m20261126_000027_clocks;
mod m20261126_000028_link_budgets;
mod m20261126_000029_import_batches;
mod m20261126_000030_coverage;
mod m20261126_000031_payloads;
mod m20261126_000032_credential_rests;
mod m20261126_000033_sync_history;
mod m20261126_000034_import_befores;
mod m20261126_000035_sync_recency;
mod m20261126_000036_sync_refusals;
mod m20261126_000038_balances_of_files;
mod m20261126_000039_pauses;

/// Every migration, in the order they are applied.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_users::Migration),
            Box::new(m20261123_000002_sessions::Migration),
            Box::new(m20261123_000003_links::Migration),
            Box::new(m20261123_000004_accounts::Migration),
            Box::new(m20261123_000005_transactions::Migration),
            Box::new(m20261123_000006_syncs::Migration),
            Box::new(m20261123_000007_imports::Migration),
            Box::new(m20261123_000008_audit::Migration),
            Box::new(m20261123_000009_outbox::Migration),
            Box::new(m20261124_000010_link_synced_at::Migration),
            Box::new(m20261124_000011_mail_tokens::Migration),
            Box::new(m20261124_000012_sign_in::Migration),
            Box::new(m20261125_000013_step_up::Migration),
            Box::new(m20261125_000014_second_factor::Migration),
            Box::new(m20261125_000015_rights::Migration),
            Box::new(m20261125_000016_audit_chain::Migration),
            Box::new(m20261125_000017_token_versions::Migration),
            Box::new(m20261125_000018_administration::Migration),
            Box::new(m20261126_000019_agreements::Migration),
            Box::new(m20261126_000020_outbox_order::Migration),
            Box::new(m20261126_000021_changes::Migration),
            Box::new(m20261126_000022_audit_thinnings::Migration),
            Box::new(m20261126_000024_holdings::Migration),
            Box::new(m20261126_000025_corrections::Migration),
            Box::new(m20261126_000026_sync_plans::Migration),
            Box::new(m20261126_000027_clocks::Migration),
            Box::new(m20261126_000028_link_budgets::Migration),
            Box::new(m20261126_000029_import_batches::Migration),
            Box::new(m20261126_000030_coverage::Migration),
            Box::new(m20261126_000031_payloads::Migration),
            Box::new(m20261126_000032_credential_rests::Migration),
            Box::new(m20261126_000033_sync_history::Migration),
            Box::new(m20261126_000034_import_befores::Migration),
            Box::new(m20261126_000035_sync_recency::Migration),
            Box::new(m20261126_000036_sync_refusals::Migration),
            Box::new(m20261126_000038_balances_of_files::Migration),
            Box::new(m20261126_000039_pauses::Migration),
        ]
    }
}
