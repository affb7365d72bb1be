//! The walk through a database.

use std::collections::VecDeque;

use crate::{application::chain::Ledger, domain::chain::Checkpoint};

use super::{Tally, Verifier};

/// Walks a whole database; with `persons` also who is kept for each event.
pub async fn verify(mut ledger: Box<dyn Ledger>, mut verifier: Verifier<'_>, persons: bool, progress: &(dyn Fn(u64) + Sync)) -> anyhow::Result<Tally> {
    verifier.keys(&ledger.endorsements().await?);
    verifier.cuts(&ledger.cuts().await?);
    verifier.thinnings(&ledger.thinnings().await?);
    let mut checkpoints = Checkpoints { waiting: VecDeque::new(), number: 0 };
    // From the very beginning: what stands before a cut should not be there.
    let mut behind = 0;
    loop {
        let entries = ledger.entries(behind).await?;
        let Some((last, _)) = entries.last() else { break };
        behind = last.position;
        for (entry, found) in &entries {
            while let Some(checkpoint) = checkpoints.next(ledger.as_mut(), verifier.position()).await? {
                verifier.checkpoint(&checkpoint);
            }
            verifier.entry(entry, found);
        }
        progress(behind);
    }
    while let Some(checkpoint) = checkpoints.next(ledger.as_mut(), u64::MAX).await? {
        verifier.checkpoint(&checkpoint);
    }
    // As many events as positions that found theirs, and each of another event: then none is without, and nobody has to look for it.
    let (events, named) = ledger.counts().await?;
    if events != verifier.found || named != verifier.tally.entries {
        let mut behind = None;
        loop {
            let events = ledger.unsealed(behind).await?;
            let Some((last, _)) = events.last() else { break };
            behind = Some(*last);
            for (event, found) in &events {
                verifier.unsealed(*event, found);
            }
        }
    }
    for event in ledger.vanished().await? {
        verifier.vanished(event);
    }
    if persons {
        walk_persons(ledger.as_mut(), &mut verifier).await?;
    }
    Ok(verifier.end(true))
}

async fn walk_persons(ledger: &mut dyn Ledger, verifier: &mut Verifier<'_>) -> anyhow::Result<()> {
    let mut behind = None;
    loop {
        let persons = ledger.persons(behind).await?;
        let Some((last, _)) = persons.last() else { return Ok(()) };
        behind = Some((last.event.id, last.part.clone()));
        for (person, hash) in &persons {
            verifier.person(person, hash.as_deref());
        }
    }
}

/// The checkpoints of a ledger, some at a time.
struct Checkpoints {
    waiting: VecDeque<Checkpoint>,
    number: u64,
}

impl Checkpoints {
    /// The next one up to that position.
    async fn next(&mut self, ledger: &mut dyn Ledger, up_to: u64) -> anyhow::Result<Option<Checkpoint>> {
        if self.waiting.is_empty() && self.number != u64::MAX {
            self.waiting.extend(ledger.checkpoints(self.number).await?);
            // Asked once more at the end, a ledger has nothing more to say.
            self.number = self.waiting.back().map_or(u64::MAX, |last| last.number);
        }
        if self.waiting.front().is_some_and(|next| next.head.position <= up_to) { Ok(self.waiting.pop_front()) } else { Ok(None) }
    }
}
