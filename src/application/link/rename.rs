//! Naming a link.

use crate::{
    application::access::Requester,
    domain::{
        audit::{Act, ResourceKind},
        event::Event,
        id::LinkId,
        link::Link,
        name,
    },
};

use super::{LinkCommands, LinkError};

/// Giving a link a name.
pub struct RenameLink {
    /// Who asks.
    pub requester: Requester,
    /// Which link.
    pub link: LinkId,
    /// As it was typed; `None` takes the name away.
    pub alias: Option<String>,
}

impl LinkCommands {
    /// Gives a link a name, or takes it away.
    pub async fn rename(&self, command: RenameLink) -> Result<Link, LinkError> {
        let attempt = self.journal.attempt(&command.requester, Act::RenameLink).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::RenameLink)?;
                let alias = command.alias.map(|typed| name::read(&typed)).transpose()?;
                let mut work = self.store.begin(&attempt).await?;
                // Whoever changes a link waits for who is changing a lot, or each would come to wait for the other.
                work.accounts().take_turn(owner).await?;
                let mut link = work.links().find(owner, command.link).await?.ok_or(LinkError::NotFound)?;
                attempt.upon(ResourceKind::Link, command.link.0);
                link.alias = alias;
                work.links().rename(&link).await?;
                work.succeed(Event::LinkRenamed { link: link.id, user: owner }).await?;
                Ok(link)
            })
            .await
    }
}
