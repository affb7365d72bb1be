//! Linking a link once more: the same walk to the bank, to the same link, so that its accounts keep their ids.

use crate::{
    application::access::Requester,
    domain::{
        audit::{Act, ResourceKind},
        event::Event,
        id::LinkId,
    },
};

use super::{BegunLink, LinkCommands, LinkError};

/// Linking a link once more.
pub struct Relink {
    /// Who asks.
    pub requester: Requester,
    /// Which link, wherever it stands.
    pub link: LinkId,
    /// Where the browser goes afterwards.
    pub return_url: Option<String>,
}

impl LinkCommands {
    /// Makes the URL that leads the user to the bank once more. The link stays as it is until they have agreed there.
    pub async fn relink(&self, command: Relink) -> Result<BegunLink, LinkError> {
        let attempt = self.journal.attempt(&command.requester, Act::Relink).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::Relink)?;
                let mut work = self.store.begin(&attempt).await?;
                // What is found out about it meanwhile is found out before, or sees the new walk.
                work.accounts().take_turn(owner).await?;
                let link = work.links().find(owner, command.link).await?.ok_or(LinkError::NotFound)?;
                attempt.upon(ResourceKind::Link, command.link.0);
                let provider = self.catalogue.linkable(&link.provider).ok_or(LinkError::NotRelinkable)?;
                if provider.oauth().is_none() {
                    return Err(LinkError::LinkedByHand);
                }
                self.is_asked(&link.provider).await?;
                let (begun, authorization) = self.way_to_bank(provider.as_ref(), link, command.return_url)?;
                work.links().insert_authorization(&authorization).await?;
                work.succeed(Event::LinkBegun { link: begun.link.id, user: owner }).await?;
                Ok(begun)
            })
            .await
    }
}
