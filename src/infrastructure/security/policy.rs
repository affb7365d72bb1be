//! The policy: one Polar file, read by oso.
//!
//! oso takes 50 to 250 microseconds a question, so every question there is (role × action × resource) is asked once, at start, and the
//! answers are kept. An answer is a scope, never a yes about one row: a kept yes would leak other people's rows.

use std::collections::HashMap;

use anyhow::Context;
use oso::{Oso, PolarValue};

use crate::{
    application::{
        access::{Action, Resource, Scope},
        ports::Authorizer,
    },
    domain::user::Role,
};

/// The policy that ships.
pub const POLICY: &str = include_str!("policy.polar");

/// The answers of one policy.
pub struct PolarPolicy {
    scopes: HashMap<(Role, Action, Resource), Scope>,
}

impl PolarPolicy {
    /// Reads a policy and asks it everything. A policy that does not parse, or grants a reach it does not know, is an error.
    pub fn read(policy: &str) -> anyhow::Result<Self> {
        let mut oso = Oso::new();
        oso.load_str(policy).context("the policy does not parse")?;
        let mut scopes = HashMap::new();
        for role in Role::ALL {
            for action in Action::ALL {
                for resource in Resource::ALL {
                    scopes.insert((role, *action, *resource), widest(&oso, role, *action, *resource)?);
                }
            }
        }
        Ok(Self { scopes })
    }
}

fn widest(oso: &Oso, role: Role, action: Action, resource: Resource) -> anyhow::Result<Scope> {
    let question = format!("scope(\"{}\", \"{}\", \"{}\", reach)", role.as_str(), action.as_str(), resource.as_str());
    let mut widest = Scope::None;
    for answer in oso.query(&question)? {
        let reach = match answer?.get("reach") {
            Some(PolarValue::String(reach)) if reach == "own" => Scope::Own,
            Some(PolarValue::String(reach)) if reach == "any" => Scope::Any,
            _ => anyhow::bail!("the policy grants {question} with a reach that is neither \"own\" nor \"any\""),
        };
        widest = widest.max(reach);
    }
    Ok(widest)
}

impl Authorizer for PolarPolicy {
    fn scope(&self, role: Role, action: Action, resource: Resource) -> Scope {
        self.scopes.get(&(role, action, resource)).copied().unwrap_or(Scope::None)
    }
}
