//! Which account a statement is of.

use std::collections::HashSet;

use crate::{
    application::ports::Work,
    domain::{
        account::{Account, AccountFingerprint},
        id::AccountId,
        import::{Import, ImportStatement, Recognition},
    },
};

use super::ImportError;

/// Why the name that a file was given does not say which account it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnclearAccount {
    /// Files of that name told several accounts apart, and this one does not.
    #[error("files of that name were of several accounts, and this one does not say of which; say it with accountId")]
    OneOfSeveral,
    /// An account of that name has a number that ends alike.
    #[error(
        "there is an account of that name whose number ends like the one in this file; if it is that one, say so with accountId, \
         or else give this one another name"
    )]
    EndsAlike,
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
pub(super) async fn find(work: &mut dyn Work, import: &Import, recognition: &Recognition, accounts: &[Account]) -> Result<Found, ImportError> {
    if let Some(account) = recognition.find(accounts) {
        return Ok(Found::Itself(account.id));
    }
    if accounts.iter().any(|account| recognition.together.contains(&account.fingerprint)) {
        return Err(UnclearAccount::SeveralOfOne.into());
    }
    let mut earlier = work.imports().recognitions(import.user, import.id).await?;
    earlier.retain(|(id, _)| accounts.iter().any(|account| account.id == *id));
    if earlier.iter().any(|(_, other)| recognition.is_like(other)) {
        return Err(UnclearAccount::EndsAlike.into());
    }
    let told: HashSet<AccountId> = earlier.into_iter().filter(|(_, other)| recognition.is_told_by(other)).map(|(id, _)| id).collect();
    match told.into_iter().collect::<Vec<_>>()[..] {
        [] => Ok(Found::Nowhere),
        [one] => Ok(Found::ByName(one)),
        _ => Err(UnclearAccount::OneOfSeveral.into()),
    }
}

/// Accounts of which an import alone had told more than their name go by their name again once it is taken back.
pub(super) async fn put_back(work: &mut dyn Work, import: &Import, statements: &[ImportStatement]) -> anyhow::Result<()> {
    if import.target.is_some() {
        return Ok(());
    }
    let left = work.imports().recognitions(import.user, import.id).await?;
    for ImportStatement { account, recognition, .. } in statements {
        let Some(mut account) = (match account {
            Some(id) => work.accounts().find(import.user, *id).await?,
            None => None,
        }) else {
            continue;
        };
        let is_told = |known: &[AccountFingerprint]| {
            left.iter().any(|(id, other)| *id == account.id && other.exactly.iter().any(|fingerprint| known.contains(fingerprint)))
        };
        let is_told_by_it = recognition.exactly.contains(&account.fingerprint) && !is_told(&recognition.exactly);
        let before = [&recognition.alike, &recognition.formerly].into_iter().find(|known| is_told(known)).and_then(|known| known.first());
        if let Some(before) = before.filter(|_| is_told_by_it) {
            account.fingerprint = before.clone();
            work.accounts().save(&account).await?;
        }
    }
    Ok(())
}
