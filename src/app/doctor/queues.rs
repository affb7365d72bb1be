//! The doctor's look at what waits: messages and syncs.

use crate::{
    config::Config,
    domain::{
        outbox::{Backlog, OVERDUE_MINUTES},
        sync,
        time::Clock,
    },
    infrastructure::database::inspection::Inspection,
};

use super::{Finding, told};

/// Whether what has to leave the house leaves it. Nothing is said of a database that has no tables yet.
pub(super) async fn outbox(clock: &dyn Clock, inspection: Option<&Inspection>) -> Option<Finding> {
    let inspection = inspection?;
    if !inspection.pending().await.is_ok_and(|(pending, _)| pending == 0) {
        return None;
    }
    let backlog = match inspection.backlog(clock.now()).await {
        Ok(backlog) => backlog,
        Err(failure) => return Some(Finding::fail("outbox", told(&failure), "")),
    };
    let sum = |of: fn(&Backlog) -> u64| backlog.iter().map(of).sum::<u64>();
    let (waiting, overdue, parked) = (sum(|topic| topic.waiting), sum(|topic| topic.overdue), sum(|topic| topic.parked));
    let found = format!("{waiting} messages wait, {overdue} of them for more than {OVERDUE_MINUTES} minutes; {parked} were given up");
    Some(match (overdue, parked) {
        (0, 0) => Finding::ok("outbox", found),
        (_, 0) => Finding::warn("outbox", found, "`dashtam outbox list` says why; if no try was made, start a server or a worker"),
        _ => Finding::warn("outbox", found, "`dashtam outbox list --parked` says which; then `dashtam outbox retry` or `drop`"),
    })
}

/// Whether links are brought up to date. Nothing is said of a database that has no tables yet.
pub(super) async fn syncs(config: &Config, clock: &dyn Clock, inspection: Option<&Inspection>) -> Option<Finding> {
    let inspection = inspection?;
    if !inspection.pending().await.is_ok_and(|(pending, _)| pending == 0) {
        return None;
    }
    let backlog = match inspection.syncs(clock.now()).await {
        Ok(backlog) => backlog,
        Err(failure) => return Some(Finding::fail("syncs", told(&failure), "")),
    };
    let sync::SyncBacklog { queued, running, dead, overdue, failing, failing_since } = backlog;
    let by_itself = if config.sync.scheduled { "" } else { "; links are not synced by themselves" };
    let found = format!("{queued} wait, {running} run{by_itself}");
    Some(if overdue + dead > 0 {
        Finding::warn(
            "syncs",
            format!("{found}; {overdue} could be taken for more than {} minutes, {dead} were left in the middle", sync::OVERDUE_MINUTES),
            "start a server or a worker; if one runs, its log says why it does not take them",
        )
    } else if let Some(since) = failing_since {
        Finding::warn(
            "syncs",
            format!("{found}; links whose last sync failed: {failing}, the first of them since {since}"),
            "they are tried again by themselves, ever more seldom; `Sync.problem` and the metrics of providers say why they fail",
        )
    } else {
        Finding::ok("syncs", found)
    })
}
