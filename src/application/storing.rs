//! Storing what nobody else will: what a bank handed out, of which there is no other copy, and how a sync failed. A database that is away is waited
//! for.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{failure::is_unavailable, id::LinkId};

/// How long it is tried.
const LONGEST: Duration = Duration::from_secs(90);

/// How long after a database that was away it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Patience with a database.
pub(super) struct Storing {
    link: LinkId,
    began: Instant,
}

impl Storing {
    /// Of what is to be known of a link, from now on.
    pub(super) fn begin(link: LinkId) -> Self {
        Self { link, began: Instant::now() }
    }

    /// Whether it is worth another try, after a pause.
    pub(super) async fn goes_on_after(&self, failure: &anyhow::Error) -> bool {
        let goes_on = is_unavailable(failure) && self.began.elapsed() < LONGEST;
        if goes_on {
            tracing::warn!(link = %self.link.0, reason = %failure, "what is to be stored of a link has to wait");
            tokio::time::sleep(AGAIN).await;
        }
        goes_on
    }
}
