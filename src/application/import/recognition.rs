//! Which account a statement is of.

use std::collections::HashSet;

use crate::{
    application::ports::Work,
    domain::{
        account::Account,
        id::{AccountId, UserId},
        import::Recognition,
    },
};

use super::ImportError;

/// Why the name that a file was given does not say which account it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnclearAccount {
    /// Files of that name told several accounts apart, and this one does not.
    #[error("files of that name were of several accounts, and this one does not say of which; say it with accountId")]
    OneOfSeveral,
    /// There is one account of that name, from files that did not tell accounts apart, and this one does.
    #[error(
        "the file holds several accounts, and does not say which of them the account of that name is; bring a file of that one alone first, \
         or give the accounts of this file another name"
    )]
    SeveralOfOne,
}

/// How a statement's account was found.
pub(super) enum Found {
    /// By what it is known by, or by less than the file tells.
    Itself(AccountId),
    /// By what it went by in an earlier file that told more of it.
    ByName(AccountId),
    /// It is not there yet.
    Nowhere,
}

/// The account of a statement among those that files have made. Where that would be a guess, the file is refused.
pub(super) async fn find(work: &mut dyn Work, owner: UserId, recognition: &Recognition, accounts: &[Account]) -> Result<Found, ImportError> {
    if let Some(account) = recognition.find(accounts) {
        return Ok(Found::Itself(account.id));
    }
    if accounts.iter().any(|account| recognition.together.contains(&account.fingerprint)) {
        return Err(UnclearAccount::SeveralOfOne.into());
    }
    let is_there = |id: &AccountId| accounts.iter().any(|account| account.id == *id);
    let earlier = work.imports().recognitions(owner).await?;
    let called: HashSet<AccountId> = earlier.into_iter().filter(|(id, other)| is_there(id) && recognition.was_named_by(other)).map(|(id, _)| id).collect();
    match called.into_iter().collect::<Vec<_>>()[..] {
        [] => Ok(Found::Nowhere),
        [one] => Ok(Found::ByName(one)),
        _ => Err(UnclearAccount::OneOfSeveral.into()),
    }
}
