//! What processes tell each other of pauses: what one has found out at the cost of requests, the others need not.

use std::sync::{Mutex, PoisonError};

use chrono::Duration;

use crate::{
    application::ports::ProviderFault,
    domain::{
        pause::{Pause, PauseReason},
        time::Timestamp,
    },
};

use super::{Asked, Inner, Line, circuit::News};

/// How long what others told is not asked for again.
const LISTEN_EVERY: Duration = Duration::minutes(1);

/// What a line has heard.
#[derive(Default)]
pub(super) struct Heard {
    rests: Mutex<Rests>,
    /// When others were listened to last. Who comes meanwhile waits for what they say.
    at: tokio::sync::Mutex<Option<Timestamp>>,
}

/// Until when a provider wants to be left alone, where it counts for everyone together. What its token endpoint says of itself is heeded everywhere;
/// what is said of data keeps no code, which lives for seconds, from being exchanged.
#[derive(Default)]
struct Rests {
    all_until: Option<Timestamp>,
    data_until: Option<Timestamp>,
}

impl Heard {
    /// Until when something is not asked for because the provider wants to be left alone.
    pub(super) fn rests_until(&self, asked: Asked) -> Option<Timestamp> {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.all_until.max(rests.data_until.filter(|_| asked == Asked::Data))
    }

    fn rest(&self, pause: &Pause) {
        let mut rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = match pause.reason {
            PauseReason::Failing => return,
            PauseReason::Tokens => &mut rests.all_until,
            PauseReason::Data => &mut rests.data_until,
        };
        *rest = (*rest).max(Some(pause.until));
    }
}

impl Line {
    /// Hears what others told, unless that was a moment ago.
    pub(super) async fn listen(&self) {
        let Inner { provider, circuits, meter, clock, pauses, heard, .. } = &*self.0;
        let mut at = heard.at.lock().await;
        let now = clock.now();
        if at.is_some_and(|at| (Duration::zero()..LISTEN_EVERY).contains(&now.since(at))) {
            return;
        }
        *at = Some(now);
        match pauses.all_at(provider).await {
            Ok(told) => {
                circuits.hear(&told, meter.as_ref());
                for pause in &told {
                    heard.rest(pause);
                }
            }
            Err(failure) => tracing::warn!(provider, error = ?failure, "it is not known whether other processes leave a provider alone"),
        }
    }

    /// Tells others of circuits.
    pub(super) async fn tell(&self, news: Vec<News>) {
        let Inner { provider, pauses, .. } = &*self.0;
        for news in news {
            let told = match &news {
                News::Opened(pause) => pauses.begin(pause).await,
                News::Closed(link) => pauses.end(provider, *link).await,
            };
            self.note(told);
        }
    }

    /// Has everybody leave a provider alone that counts for everyone together and asks for that.
    pub(super) async fn rest(&self, asked: Asked, fault: ProviderFault) {
        let Inner { provider, policy, clock, pauses, heard, .. } = &*self.0;
        if let (Some(_), Some(length)) = (policy.for_everyone, fault.wait()) {
            let reason = if asked == Asked::Tokens { PauseReason::Tokens } else { PauseReason::Data };
            let pause = Pause { provider: (*provider).to_owned(), link: None, reason, until: clock.now().plus(length), length };
            heard.rest(&pause);
            self.note(pauses.begin(&pause).await);
        }
    }

    /// This process knows, and goes on.
    fn note(&self, told: anyhow::Result<()>) {
        if let Err(failure) = told {
            tracing::warn!(provider = self.0.provider, error = ?failure, "other processes could not be told whether a provider is left alone");
        }
    }
}
