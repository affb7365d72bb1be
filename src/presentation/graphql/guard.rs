//! Guards: what a role may do at all, asked before a field is resolved.
//!
//! Every root field and object type has one, or says why it needs none. The use cases ask the same question again; a guard's refusal of a
//! mutation is put on the audit trail here, since no use case begins.

use async_graphql::{Context, Guard, Result};

use crate::{
    application::access::{Action, Denied, Resource, Scope},
    domain::audit::Act,
};

use super::{ContextExt, error::Fault};

/// Only who may do this gets further.
pub struct Allow(Permission);

enum Permission {
    Read(Resource, Scope),
    Attempt(Act),
}

impl Allow {
    /// Looking at a resource.
    pub fn read(resource: Resource) -> Self {
        Self(Permission::Read(resource, Scope::Own))
    }

    /// Looking at everyone's.
    pub fn read_any(resource: Resource) -> Self {
        Self(Permission::Read(resource, Scope::Any))
    }

    /// Attempting an act.
    pub fn attempt(act: Act) -> Self {
        Self(Permission::Attempt(act))
    }
}

impl Guard for Allow {
    async fn check(&self, ctx: &Context<'_>) -> Result<()> {
        let request = ctx.of_request()?;
        let access = &request.application.access;
        match self.0 {
            Permission::Read(resource, reach) => {
                let (_, scope) = access.allow(&request.requester, Action::Read, resource).map_err(Fault::from)?;
                if scope < reach {
                    return Err(Fault::from(Denied::Forbidden).into());
                }
            }
            Permission::Attempt(act) => {
                if let Err(denied) = access.permit(&request.requester, act) {
                    request.application.journal.denied(&request.requester, act, denied).await.map_err(|cause| Fault::internal(&cause))?;
                    return Err(Fault::from(denied).into());
                }
            }
        }
        Ok(())
    }
}

/// Anyone gets further, for a reason that is written down.
pub struct Public(pub &'static str);

impl Guard for Public {
    async fn check(&self, _: &Context<'_>) -> Result<()> {
        Ok(())
    }
}
