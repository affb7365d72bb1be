//! Profiles: what somebody says of themselves.

use std::sync::Arc;

use crate::domain::{
    audit::Act,
    event::Event,
    failure::Reason,
    name::{self, InvalidName},
    user::User,
};

use super::{
    access::{Access, Denied, Requester},
    audit::Journal,
    ports::Store,
};

/// Why a profile stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Not a name.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The requester may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl Reason for ProfileError {
    fn reason(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "invalid_name",
            Self::Denied(denied) => denied.reason(),
            Self::Unexpected(_) => "internal",
        }
    }
}

/// Saying something else of oneself.
pub struct UpdateProfile {
    /// Who asks.
    pub requester: Requester,
    /// As typed; `None` takes the name away.
    pub display_name: Option<String>,
}

/// Changes profiles.
pub struct ProfileCommands {
    /// Where attempts are written.
    pub journal: Journal,
    /// Where users are kept.
    pub store: Arc<dyn Store>,
    /// What roles may do.
    pub access: Access,
}

impl ProfileCommands {
    /// Gives oneself a name, or none.
    pub async fn update(&self, command: UpdateProfile) -> Result<User, ProfileError> {
        let attempt = self.journal.attempt(&command.requester, Act::UpdateProfile).await?;
        attempt
            .settle(async {
                let owner = self.access.attempt(&command.requester, Act::UpdateProfile)?;
                let name = command.display_name.as_deref().map(name::read).transpose()?;
                let mut work = self.store.begin(&attempt).await?;
                let mut user = work.sign_ins().take_turn(owner).await?.filter(|user| user.is_active).ok_or(Denied::Unauthenticated)?;
                work.users().rename(owner, name.as_deref()).await?;
                user.display_name = name;
                work.succeed(Event::ProfileUpdated { user: owner }).await?;
                Ok(user)
            })
            .await
    }
}
