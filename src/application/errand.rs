//! Errands: what the asking of a provider belongs to. It goes along with the work, beside what adapters are told, so that budgets, logs and the
//! provider's own log find their way back to it.

use crate::domain::id::LinkId;

tokio::task_local! {
    static TRACE: String;
    static LINK: LinkId;
}

/// The trace id of the work being done, 32 hex digits; `None` outside of any.
pub fn trace() -> Option<String> {
    TRACE.try_with(Clone::clone).ok().filter(|trace| !trace.is_empty())
}

/// The link a provider is asked for; `None` when it is asked for none in particular.
pub fn link() -> Option<LinkId> {
    LINK.try_with(|link| *link).ok()
}

/// Does `work` under a trace.
pub fn traced<T>(trace: String, work: impl Future<Output = T>) -> impl Future<Output = T> {
    TRACE.scope(trace, work)
}

/// The same with what does not wait.
pub fn traced_at_once<T>(trace: String, work: impl FnOnce() -> T) -> T {
    TRACE.sync_scope(trace, work)
}

/// Does `work` for a link.
pub fn on_behalf_of<T>(link: LinkId, work: impl Future<Output = T>) -> impl Future<Output = T> {
    LINK.scope(link, work)
}
