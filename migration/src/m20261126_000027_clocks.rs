//! Two clocks of each link: that of its bank's consent, which ends, and that of its credentials, which are renewed.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, UP).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, DOWN).await
    }
}

// Both clocks strike at once for what there is, and find out what is due. Consents that end are those of tokens.
const UP: &str = "
ALTER TABLE links ADD COLUMN consent_began_at {instant};
ALTER TABLE links ADD COLUMN consent_warned_at {instant};
ALTER TABLE links ADD COLUMN consent_due_at {instant};
UPDATE links SET consent_began_at = COALESCE((SELECT MAX(given_at) FROM consents WHERE consents.user_id = links.user_id AND consents.link_id = links.id), created_at),
    consent_due_at = created_at WHERE consent_expires_at IS NOT NULL;
CREATE INDEX ix_links_consent_due_at ON links (consent_due_at, id) WHERE status = 'active';
ALTER TABLE credentials ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE credentials ADD COLUMN expires_at {instant};
ALTER TABLE credentials ADD COLUMN renew_at {instant};
ALTER TABLE credentials ADD COLUMN held_until {instant};
UPDATE credentials SET renew_at = updated_at WHERE EXISTS (SELECT 1 FROM links WHERE links.id = credentials.link_id AND links.consent_expires_at IS NOT NULL);
CREATE INDEX ix_credentials_renew_at ON credentials (renew_at, link_id);
";

const DOWN: &str = "
DROP INDEX ix_credentials_renew_at;
ALTER TABLE credentials DROP COLUMN held_until;
ALTER TABLE credentials DROP COLUMN renew_at;
ALTER TABLE credentials DROP COLUMN expires_at;
ALTER TABLE credentials DROP COLUMN version;
DROP INDEX ix_links_consent_due_at;
ALTER TABLE links DROP COLUMN consent_due_at;
ALTER TABLE links DROP COLUMN consent_warned_at;
ALTER TABLE links DROP COLUMN consent_began_at;
";
