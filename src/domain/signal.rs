//! Signals: what other parts of the house, in this process and in others, should look at again.
//!
//! A signal is a hint without content. It says where something may have changed, never what it is now: whoever hears one reads the store.
//! So a lost signal costs time and a doubled one costs a look, and neither can make anybody believe what is not so.

use std::fmt;

use uuid::Uuid;

use super::id::{LinkId, SessionId, SyncId, UserId};

/// The first word of every written signal. Whoever reads another one was written for other signals.
const VERSION: &str = "1";

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// A session is over.
    SessionEnded {
        /// Whose it was.
        user: UserId,
        /// Which one.
        session: SessionId,
    },
    /// A user's role, activity or token versions are others.
    UserChanged {
        /// Whose.
        user: UserId,
    },
    /// Something is other that concerns every user.
    EveryoneChanged,
    /// The change log of a user goes on.
    ChangesLogged {
        /// Whose.
        user: UserId,
    },
    /// A link has another state.
    LinkChanged {
        /// Whose it is.
        user: UserId,
        /// Which one.
        link: LinkId,
    },
    /// A sync got further, or ended.
    SyncProgressed {
        /// Whose link it is.
        user: UserId,
        /// Which link.
        link: LinkId,
        /// Which run.
        sync: SyncId,
    },
}

impl Signal {
    /// Whom it concerns; `None` for everyone.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::EveryoneChanged => None,
            Self::SessionEnded { user, .. }
            | Self::UserChanged { user }
            | Self::ChangesLogged { user }
            | Self::LinkChanged { user, .. }
            | Self::SyncProgressed { user, .. } => Some(user),
        }
    }

    /// What [`Display`](fmt::Display) wrote; `None` for whatever else, such as a signal of a later version.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let name = words.next()?;
        let mut ids = Vec::new();
        for word in words {
            ids.push(Uuid::try_parse(word).ok()?);
        }
        Some(match (name, ids.as_slice()) {
            ("session_ended", &[user, session]) => Self::SessionEnded { user: UserId(user), session: SessionId(session) },
            ("user_changed", &[user]) => Self::UserChanged { user: UserId(user) },
            ("everyone_changed", &[]) => Self::EveryoneChanged,
            ("changes_logged", &[user]) => Self::ChangesLogged { user: UserId(user) },
            ("link_changed", &[user, link]) => Self::LinkChanged { user: UserId(user), link: LinkId(link) },
            ("sync_progressed", &[user, link, sync]) => Self::SyncProgressed { user: UserId(user), link: LinkId(link), sync: SyncId(sync) },
            _ => return None,
        })
    }
}

/// One line of ASCII: the version, the name, the ids. It travels between processes that may be of different versions.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SessionEnded { user, session } => write!(f, "{VERSION} session_ended {} {}", user.0.simple(), session.0.simple()),
            Self::UserChanged { user } => write!(f, "{VERSION} user_changed {}", user.0.simple()),
            Self::EveryoneChanged => write!(f, "{VERSION} everyone_changed"),
            Self::ChangesLogged { user } => write!(f, "{VERSION} changes_logged {}", user.0.simple()),
            Self::LinkChanged { user, link } => write!(f, "{VERSION} link_changed {} {}", user.0.simple(), link.0.simple()),
            Self::SyncProgressed { user, link, sync } => {
                write!(f, "{VERSION} sync_progressed {} {} {}", user.0.simple(), link.0.simple(), sync.0.simple())
            }
        }
    }
}
