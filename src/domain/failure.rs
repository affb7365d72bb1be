//! What can go wrong that is nobody's refusal.
//!
//! Absent is an `Option`, refused is a variant of a feature's error enum, and everything else is broken: one `anyhow::Error`
//! whose text is for the log and never for a client. [`Unavailable`] may stand inside that error; whoever maps it looks for it.

/// A part the work needs is overloaded or gone for the moment; the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{part} is unavailable")]
pub struct Unavailable {
    /// Which part, in words an operator knows: `database`, `password hashing`.
    pub part: &'static str,
    /// When to ask again, in seconds.
    pub retry_after: u32,
}

/// A code for the audit trail: why an attempt failed. Lower-case words joined by underscores, never a value of a person.
pub trait Reason {
    /// The code, such as `not_found`.
    fn reason(&self) -> &'static str;
}

/// An error with its causes, for whoever runs this. That a part is [`Unavailable`] is said by what it was asked for.
pub fn causes(failure: &anyhow::Error) -> String {
    let causes: Vec<_> = failure.chain().filter(|cause| !cause.is::<Unavailable>()).map(ToString::to_string).collect();
    if causes.is_empty() { failure.to_string() } else { causes.join(": ") }
}

/// Whether something failed only because a part of us is [`Unavailable`] for the moment.
pub fn is_unavailable(failure: &anyhow::Error) -> bool {
    failure.downcast_ref::<Unavailable>().is_some()
}
