//! What can be wrong with a trail, each in a word.

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The event is not the one that was sealed.
    EventChanged,
    /// The event is gone.
    EventRemoved,
    /// The event has no position, and is too old to be waiting for one.
    EventAdded,
    /// Positions are gone.
    EntryRemoved,
    /// The position does not say of its event what was sealed, or not of the chain.
    EntryChanged,
    /// The position is there twice, or before the beginning.
    EntryAdded,
    /// The position does not follow from the one before it.
    OutOfOrder,
    /// A checkpoint, a cut or a key is not what was signed.
    Forged,
    /// A checkpoint is signed by a key nobody vouches for.
    UnknownKey,
    /// Checkpoints are gone.
    CheckpointRemoved,
    /// What was signed is not what stands there.
    Rewritten,
    /// What was signed is behind the end.
    CutOff,
    /// The end has no signature, and should have had one long since.
    Unsigned,
    /// What is kept of a person is not what the event was recorded with.
    PersonChanged,
    /// A line of an export cannot be read, or stands where it cannot.
    Unreadable,
}

impl Flaw {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventChanged => "event changed",
            Self::EventRemoved => "event removed",
            Self::EventAdded => "event added",
            Self::EntryRemoved => "entry removed",
            Self::EntryChanged => "entry changed",
            Self::EntryAdded => "entry added",
            Self::OutOfOrder => "out of order",
            Self::Forged => "forged",
            Self::UnknownKey => "unknown key",
            Self::CheckpointRemoved => "checkpoint removed",
            Self::Rewritten => "rewritten",
            Self::CutOff => "cut off",
            Self::Unsigned => "unsigned",
            Self::PersonChanged => "person changed",
            Self::Unreadable => "unreadable",
        }
    }
}
