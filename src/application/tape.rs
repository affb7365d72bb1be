//! Tapes: what a provider answered while one stage of a sync read it, and the same played back to the same adapter.
//!
//! Like an errand, a tape goes along with the work, beside what adapters are told: whatever asks for data over a line is recorded, or
//! answered from the tape, without knowing of it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::payload::redaction;

/// The most bytes of answers that are recorded of one stage.
pub const MOST_RECORDED: usize = 32 * 1024 * 1024;

tokio::task_local! {
    static TAPE: Tape;
}

#[derive(Clone)]
enum Tape {
    Recording(Arc<Mutex<Recording>>),
    Playing(Arc<Mutex<Vec<Played>>>),
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for: path and query, without host and credentials.
    pub asked: String,
    /// What was answered.
    pub body: Vec<u8>,
}

/// All answers of one stage, in order.
#[derive(Debug, Default)]
pub struct Recording {
    /// The answers; none when there was too much.
    pub answers: Vec<Answer>,
    /// Numbers of accounts that were told by what there was too much of.
    pub numbers: BTreeSet<String>,
    bytes: usize,
    /// Whether there was too much to be recorded.
    pub is_too_long: bool,
}

impl Recording {
    /// Whether anything was answered.
    pub fn has_something(&self) -> bool {
        self.is_too_long || !self.answers.is_empty()
    }
}

struct Played {
    answer: Answer,
    was_played: bool,
}

/// Does `work`, and answers besides what providers answered meanwhile.
pub async fn recorded<T>(work: impl Future<Output = T>) -> (T, Recording) {
    let recording = Arc::new(Mutex::new(Recording::default()));
    let done = TAPE.scope(Tape::Recording(recording.clone()), work).await;
    let recording = std::mem::take(&mut *recording.lock().unwrap_or_else(PoisonError::into_inner));
    (done, recording)
}

/// Does `work` without asking any provider: whatever is asked for is answered from these.
pub fn played<T>(answers: Vec<Answer>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    let answers = answers.into_iter().map(|answer| Played { answer, was_played: false }).collect();
    TAPE.scope(Tape::Playing(Arc::new(Mutex::new(answers))), work)
}

/// Takes an answer down, if anyone records.
pub fn take_down(asked: &str, body: &[u8]) {
    let Ok(Tape::Recording(recording)) = TAPE.try_with(Clone::clone) else { return };
    let mut recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
    recording.bytes = recording.bytes.saturating_add(body.len());
    if recording.bytes > MOST_RECORDED {
        recording.is_too_long = true;
        // What is not kept still tells what is to be cut out of the texts that are.
        let Recording { answers, numbers, .. } = &mut *recording;
        let told = std::mem::take(answers).into_iter().map(|answer| serde_json::from_slice(&answer.body)).chain([serde_json::from_slice(body)]);
        for body in told.flatten() {
            redaction::collect(&body, numbers);
        }
    } else {
        recording.answers.push(Answer { asked: asked.to_owned(), body: body.to_vec() });
    }
}

/// What a tape answers; `None` when none is played and the provider has to be asked, `Some(None)` when the tape does not have it. What was asked
/// for several times is answered in its order. An address may have been longer then, since some providers hand out addresses of their own.
pub fn answer(asked: &str) -> Option<Option<Vec<u8>>> {
    let Ok(Tape::Playing(answers)) = TAPE.try_with(Clone::clone) else { return None };
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |played: &Played| played.answer.asked.ends_with(asked);
    let place = answers.iter().position(|played| !played.was_played && fits(played)).or_else(|| answers.iter().rposition(fits));
    Some(place.and_then(|place| answers.get_mut(place)).map(|played| {
        played.was_played = true;
        played.answer.body.clone()
    }))
}
