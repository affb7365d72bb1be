//! Marks: what shows that something of a user moved, for many users at once.

use std::collections::HashMap;

use anyhow::Context as _;
use async_trait::async_trait;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::domain::{
    change::ChangeReader as _,
    id::{SyncId, UserId},
    live::{Mark, MarkReader},
    sync::SyncStatus,
};

use super::{
    Readers,
    error::broken,
    session::sessions,
    sync::{OPEN, syncs},
};

#[async_trait]
impl MarkReader for Readers {
    async fn marks(&self, users: &[UserId]) -> anyhow::Result<HashMap<UserId, Mark>> {
        let ids = || users.iter().map(|user| user.0);
        let mut marks: HashMap<UserId, Mark> =
            self.heads(users).await?.into_iter().map(|(user, changes)| (user, Mark { changes, ..Mark::default() })).collect();
        let open: Vec<(Uuid, Uuid, i64, String)> = syncs::Entity::find()
            .select_only()
            .columns([syncs::Column::UserId, syncs::Column::Id, syncs::Column::Attempts, syncs::Column::Status])
            .filter(Expr::cust(OPEN))
            .filter(syncs::Column::UserId.is_in(ids()))
            .order_by_asc(syncs::Column::Id)
            .into_tuple()
            .all(&self.connection)
            .await
            .map_err(broken("looking at syncs that are not over"))?;
        for (user, sync, attempts, status) in open {
            let attempts = u32::try_from(attempts).context("syncs.attempts is not a count")?;
            marks.entry(UserId(user)).or_default().syncs.push((SyncId(sync), attempts, status == SyncStatus::Running.as_str()));
        }
        let ended: Vec<(Uuid, i64)> = sessions::Entity::find()
            .select_only()
            .column(sessions::Column::UserId)
            .column_as(Expr::col(sessions::Column::Id).count(), "ended")
            .filter(sessions::Column::UserId.is_in(ids()))
            .filter(sessions::Column::RevokedAt.is_not_null())
            .group_by(sessions::Column::UserId)
            .into_tuple()
            .all(&self.connection)
            .await
            .map_err(broken("looking at sessions that were ended"))?;
        for (user, ended) in ended {
            marks.entry(UserId(user)).or_default().ended_sessions = ended;
        }
        Ok(marks)
    }
}
