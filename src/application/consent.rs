//! Consents: looked at by whoever gave them. They are given by linking, and withdrawn by unlinking and erasing.

mod clock;

use std::sync::Arc;

use crate::domain::{
    consent::{Consent, ConsentReader},
    id::UserId,
    page::{CreatedKey, Page, Slice},
};

use super::{
    QueryError,
    access::{Access, Requester, Resource},
};

pub use clock::ConsentClock;

/// Looks at consents.
pub struct ConsentQueries {
    /// What roles may do.
    pub access: Access,
    /// Where consents are kept.
    pub consents: Arc<dyn ConsentReader>,
}

impl ConsentQueries {
    /// The consents of `of`, withdrawn ones included; none when that is somebody else.
    pub async fn page(&self, requester: &Requester, of: UserId, page: Page<CreatedKey>) -> Result<Slice<Consent>, QueryError> {
        let Some(owner) = self.access.reader_of(requester, Resource::Profile, of)? else { return Ok(Slice::none(&page)) };
        Ok(self.consents.page(owner, page).await?)
    }
}
