//! Months whose routine events were dropped: what is gone of them has to be what was signed.

use crate::domain::chain::{Entry, Hash, Thinning, ThinningCount};

use super::{Flaw, Verifier, unknown};

/// A thinned month, and what of it was found to be gone so far.
pub(super) struct Thinned {
    thinning: Thinning,
    gone: ThinningCount,
}

impl Verifier<'_> {
    /// Takes in of which months events were dropped by their class. Each has to be what was signed, and no two may be about the same days.
    pub fn thinnings(&mut self, thinnings: &[Thinning]) {
        let (mut taken, begins) = (None, self.beginning.events_before);
        for thinning in thinnings.iter().filter(|thinning| begins.is_none_or(|begins| begins < thinning.before)) {
            let what = format!("the thinning of the month from {}", thinning.from);
            match self.keys.holds(&thinning.key_id, &thinning.message(), &thinning.signature, self.check) {
                Some(true) if taken.is_none_or(|taken| taken <= thinning.from) && thinning.from < thinning.before => {
                    taken = Some(thinning.before);
                    self.thinned.insert(thinning.from, Thinned { thinning: thinning.clone(), gone: ThinningCount::default() });
                }
                Some(true) => self.find(Flaw::Forged, None, None, format!("{what} is about days that another one is about, or about none")),
                Some(false) => self.find(Flaw::Forged, None, None, format!("{what} is not what was signed")),
                None => self.find(Flaw::UnknownKey, None, None, unknown(&what, &thinning.key_id)),
            }
        }
    }

    /// Whether an event may be gone because its month was thinned; which ones went is held against the thinning at the end.
    pub(super) fn was_thinned(&mut self, entry: &Entry) -> bool {
        let month = self.thinned.range_mut(..=entry.event.recorded_at).next_back().map(|(_, month)| month);
        let Some(month) = month.filter(|month| entry.event.recorded_at < month.thinning.before) else { return false };
        let hash = Hash::try_from(entry.event_hash.as_slice()).unwrap_or_default();
        month.gone.take(entry.position, &hash);
        true
    }

    /// What is gone of each thinned month has to be what was dropped.
    pub(super) fn compare_thinned(&mut self) {
        for (_, Thinned { thinning, gone }) in std::mem::take(&mut self.thinned) {
            let gone = gone.taken();
            if gone != thinning.dropped {
                let detail = format!(
                    "{} events are gone of the month from {}, and they are not the {} that were dropped since {} events are kept for less long",
                    gone.events, thinning.from, thinning.dropped.events, thinning.class
                );
                self.find(Flaw::EventRemoved, None, None, detail);
            }
        }
    }
}
