//! What an owner says of accounts, in the graph: corrections, and which are kept synced.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use crate::{
    application::{
        access::Resource,
        account::{KindCorrection, SelectAccounts, UpdateAccount},
    },
    domain::audit::Act,
    presentation::graphql::{
        ContextExt,
        error::{Fault, UserError, outcome},
        global_id::id_or_nothing,
        guard::Allow,
        link::LinkNode,
    },
};

use super::{AccountNode, AccountType};

/// Correcting an account. What is left out stays as it is.
#[derive(InputObject)]
pub struct UpdateAccountInput {
    /// One of one's own accounts.
    account_id: ID,
    /// What kind it is; null goes back to what the provider or the file tells.
    r#type: MaybeUndefined<AccountType>,
    /// Whether the signs of its provider are the other way round, so that purchases come as money received and debts as money had. Turns the
    /// amounts of all of its transactions and its current balances, those stored and those to come, and what goes by another name in the other
    /// direction: a refund becomes a purchase, what comes into a debt a payment of it. Other types, what it can spend and its credit line stay.
    /// Said and taken back, it leaves everything as it was.
    invert_sign: Option<bool>,
}

/// Choosing which accounts of a link are kept synced.
#[derive(InputObject)]
pub struct SelectAccountsInput {
    /// One of one's own links.
    link_id: ID,
    /// All accounts of the link that are to be kept synced; its others are not.
    account_ids: Vec<ID>,
}

/// The corrected account, or why it is not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Accounts))]
pub struct UpdateAccountPayload {
    /// The account; null when it was not corrected.
    account: Option<AccountNode>,
    /// Why it was not corrected; empty when it was.
    user_errors: Vec<UserError>,
}

/// The link with the accounts that are kept synced, or why nothing was chosen.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::read(Resource::Links))]
pub struct SelectAccountsPayload {
    /// The link; null when nothing was chosen.
    link: Option<LinkNode>,
    /// Why nothing was chosen; empty when something was.
    user_errors: Vec<UserError>,
}

/// Changes what is the owner's to say of accounts.
#[derive(Default)]
pub struct AccountMutation;

#[Object(serial)]
impl AccountMutation {
    /// Corrects what the provider or the file says of an account. Syncs and imports keep it.
    #[graphql(guard = Allow::attempt(Act::UpdateAccount))]
    async fn update_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which account, and what is to be corrected.")] input: UpdateAccountInput,
    ) -> Result<UpdateAccountPayload, Fault> {
        let request = ctx.of_request()?;
        let command = UpdateAccount {
            requester: request.requester.clone(),
            account: id_or_nothing(&input.account_id),
            kind: match input.r#type {
                MaybeUndefined::Undefined => KindCorrection::Unchanged,
                MaybeUndefined::Null => KindCorrection::Withdrawn,
                MaybeUndefined::Value(kind) => KindCorrection::Is(kind.into()),
            },
            is_inverted: input.invert_sign,
        };
        let (account, user_errors) = outcome(request.application.account_commands.update(command).await)?;
        Ok(UpdateAccountPayload { account: account.map(|account| AccountNode(Arc::new(account))), user_errors })
    }

    /// Chooses which accounts of a link are kept synced. One that is not any more is closed at once and keeps its rows; one that is again
    /// opens with the next sync, which brings in what was missed. Accounts that are new at the bank are kept synced.
    #[graphql(guard = Allow::attempt(Act::SelectAccounts))]
    async fn select_accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which link, and which of its accounts.")] input: SelectAccountsInput,
    ) -> Result<SelectAccountsPayload, Fault> {
        let request = ctx.of_request()?;
        let accounts = input.account_ids.iter().map(|id| id_or_nothing(id)).collect();
        let command = SelectAccounts { requester: request.requester.clone(), link: id_or_nothing(&input.link_id), accounts };
        let (link, user_errors) = outcome(request.application.account_commands.select(command).await)?;
        Ok(SelectAccountsPayload { link: link.map(|link| LinkNode(Arc::new(link))), user_errors })
    }
}
