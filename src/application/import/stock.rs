//! Positions of accounts that files alone tell of: the youngest list counts, and when it is taken back the youngest of those that stay.

use anyhow::Context as _;

use crate::{
    application::{holding::take_stock, ports::Work},
    domain::{
        account::Account,
        import::{Import, ImportStatement, Stock},
        time::Timestamp,
    },
};

use super::{ImportCommands, batch::is_of_files};

impl ImportCommands {
    /// Positions, when the file lists them and neither it nor what is `known` of the account is older than another that did.
    pub(super) async fn stock(
        &self,
        work: &mut dyn Work,
        account: &Account,
        statement: &ImportStatement,
        import: &Import,
        known: Option<Timestamp>,
    ) -> anyhow::Result<()> {
        let now = import.committed_at.context("a batch has no time")?;
        let (Some(holdings), as_of) = (&statement.holdings, statement.balances.as_of) else { return Ok(()) };
        let last = work.imports().last_stock(account.user, account.id, import.id).await?;
        let is_youngest = as_of >= known && last.is_none_or(|Stock { as_of: last, .. }| as_of >= last);
        if is_youngest { take_stock(work, account, (holdings, &[]), now, self.randomness.as_ref()).await } else { Ok(()) }
    }

    /// Has the accounts of a batch that was taken back hold what the youngest of the others lists, or nothing that only the batch did.
    pub(super) async fn put_stock_back(&self, work: &mut dyn Work, import: &Import, statements: &[ImportStatement]) -> anyhow::Result<()> {
        let now = import.reverted_at.context("an import is taken back at no time")?;
        for statement in statements.iter().filter(|statement| statement.holdings.is_some()) {
            let Some(id) = statement.account else { continue };
            let Some(account) = work.accounts().find(import.user, id).await? else { continue };
            if is_of_files(work, &account, self.reader.manifest().slug).await? {
                let left = work.imports().last_stock(import.user, id, import.id).await?;
                let holdings = left.map(|stock| stock.holdings).unwrap_or_default();
                take_stock(work, &account, (&holdings, &[]), now, self.randomness.as_ref()).await?;
            }
        }
        Ok(())
    }
}
