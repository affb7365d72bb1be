//! Reading ahead: what comes next is fetched and made sense of while what stands before it is looked at.

use anyhow::Context as _;
use tokio::{sync::mpsc, task::JoinHandle};

/// How many parts wait to be looked at, besides the one that is fetched.
const PARTS_AHEAD: usize = 2;

/// Some rows that follow each other.
pub(super) struct Part<K, T> {
    /// Where the last of them stands.
    pub(super) last: K,
    /// The rows, once they are made sense of.
    pub(super) read: JoinHandle<anyhow::Result<Vec<T>>>,
}

/// The parts of a walk in their order. Whoever drops it ends the fetching.
pub(super) struct Ahead<K, T> {
    /// Behind what the next part begins.
    behind: K,
    /// The last one is none.
    parts: mpsc::Receiver<anyhow::Result<Option<Part<K, T>>>>,
}

impl<K: Clone + PartialEq + Send + 'static, T: Send + 'static> Ahead<K, T> {
    /// The rows behind that place, out of the walk under way if it has come to just there; none at the end.
    pub(super) async fn next<F>(under_way: &mut Option<Self>, behind: K, fetch: impl Fn(K) -> F + Send + 'static) -> anyhow::Result<Vec<T>>
    where
        F: Future<Output = anyhow::Result<Option<Part<K, T>>>> + Send,
    {
        let mut ahead = under_way.take().filter(|ahead| ahead.behind == behind).unwrap_or_else(|| Self::begin(behind, fetch));
        // A walk that broke off is not one that came to its end.
        let Some(part) = ahead.parts.recv().await.context("reading the audit trail broke off")?? else { return Ok(Vec::new()) };
        let rows = part.read.await.context("reading the audit trail")??;
        ahead.behind = part.last;
        *under_way = Some(ahead);
        Ok(rows)
    }

    fn begin<F>(behind: K, fetch: impl Fn(K) -> F + Send + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<Option<Part<K, T>>>> + Send,
    {
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        let mut place = behind.clone();
        tokio::spawn(async move {
            loop {
                let part = fetch(place).await;
                let last = part.as_ref().ok().and_then(Option::as_ref).map(|part| part.last.clone());
                match (sender.send(part).await, last) {
                    (Ok(()), Some(last)) => place = last,
                    _ => return,
                }
            }
        });
        Self { behind, parts }
    }
}
