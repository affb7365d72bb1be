//! Live: wakes those who follow what is a user's.
//!
//! Who is woken looks for themselves; nothing is told here. Signals wake at once. Beside them one task of the process compares the marks of
//! all users who are followed, every second and while there are any, so that a signal that never came costs a second and nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::domain::{
    id::UserId,
    live::{Mark, MarkReader},
};

use super::ports::{EventBus, Heard};

/// How often marks are compared.
const EVERY: Duration = Duration::from_secs(1);

/// How many users one look is for.
const AT_ONCE: usize = 500;

/// How many streams one user has in one process.
pub const MAX_STREAMS: usize = 50;

/// A user has as many streams as one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("you have 50 streams open already; end one of them")]
pub struct TooManyStreams;

/// Who is followed in this process.
pub struct Live {
    bus: Arc<dyn EventBus>,
    marks: Arc<dyn MarkReader>,
    followed: Mutex<HashMap<UserId, Followed>>,
    /// Rings when there is somebody to look at.
    bell: Notify,
}

struct Followed {
    wakes: watch::Sender<()>,
    /// Where everything stood when it was last looked at.
    mark: Option<Mark>,
    streams: usize,
}

/// One stream's place among those who are woken; gives it up when it is dropped.
pub struct Following {
    live: Arc<Live>,
    user: UserId,
    wakes: watch::Receiver<()>,
}

impl Following {
    /// Waits until something of the user may have moved since this was last asked.
    pub async fn woken(&mut self) {
        if self.wakes.changed().await.is_err() {
            // Nobody is left to wake anyone.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followed = self.live.followed();
        if let Some(of_user) = followed.get_mut(&self.user) {
            of_user.streams -= 1;
            if of_user.streams == 0 {
                followed.remove(&self.user);
            }
        }
    }
}

impl Live {
    /// With nobody followed yet.
    pub fn new(bus: Arc<dyn EventBus>, marks: Arc<dyn MarkReader>) -> Self {
        Self { bus, marks, followed: Mutex::default(), bell: Notify::new() }
    }

    /// Follows a user from now on.
    pub fn follow(self: &Arc<Self>, user: UserId) -> Result<Following, TooManyStreams> {
        let mut followed = self.followed();
        let of_user = followed.entry(user).or_insert_with(|| Followed { wakes: watch::Sender::new(()), mark: None, streams: 0 });
        if of_user.streams >= MAX_STREAMS {
            return Err(TooManyStreams);
        }
        of_user.streams += 1;
        let wakes = of_user.wakes.subscribe();
        drop(followed);
        self.bell.notify_one();
        Ok(Following { live: self.clone(), user, wakes })
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.followed().values().map(|followed| followed.streams).sum()
    }

    /// Wakes whoever has to look, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.hear() => {}
            () = self.compare() => {}
        }
    }

    async fn hear(&self) {
        let mut heard = self.bus.subscribe();
        while let Some(heard) = heard.next().await {
            match heard {
                Heard::Signal { signal, .. } => self.wake(signal.user()),
                Heard::Missed => self.wake(None),
            }
        }
        // The bus is gone; comparing goes on.
        std::future::pending::<()>().await;
    }

    /// Wakes those who follow a user, or everyone.
    fn wake(&self, user: Option<UserId>) {
        let followed = self.followed();
        match user {
            Some(user) => followed.get(&user).into_iter().for_each(|followed| followed.wakes.send_modify(|()| {})),
            None => followed.values().for_each(|followed| followed.wakes.send_modify(|()| {})),
        }
    }

    async fn compare(&self) {
        let mut is_failing = false;
        loop {
            let users: Vec<UserId> = self.followed().keys().copied().collect();
            if users.is_empty() {
                self.bell.notified().await;
                continue;
            }
            match self.look(&users).await {
                Ok(()) => is_failing = false,
                Err(failure) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(error = ?failure, "it could not be seen whether streams have something new to tell");
                }
                Err(_) => {}
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn look(&self, users: &[UserId]) -> anyhow::Result<()> {
        for users in users.chunks(AT_ONCE) {
            let mut marks = self.marks.marks(users).await?;
            let mut followed = self.followed();
            for user in users {
                let mark = marks.remove(user).unwrap_or_default();
                if let Some(of_user) = followed.get_mut(user)
                    && of_user.mark.as_ref() != Some(&mark)
                {
                    // The first mark may be younger than somebody's first look.
                    of_user.mark = Some(mark);
                    of_user.wakes.send_modify(|()| {});
                }
            }
        }
        Ok(())
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<UserId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
