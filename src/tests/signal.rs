//! Signals: hints that travel between processes, by whatever there is, and that nothing depends on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod contract;
mod gate;
mod redis;

use dashtam::domain::{
    id::{LinkId, SessionId, SyncId, UserId},
    signal::Signal,
};
use uuid::Uuid;

/// One of every kind.
fn every_signal() -> [Signal; 6] {
    let [user, other, third] = [Uuid::from_u128(1), Uuid::from_u128(u128::MAX), Uuid::from_u128(3)];
    let user = UserId(user);
    [
        Signal::SessionEnded { user, session: SessionId(other) },
        Signal::UserChanged { user },
        Signal::EveryoneChanged,
        Signal::ChangesLogged { user },
        Signal::LinkChanged { user, link: LinkId(other) },
        Signal::SyncProgressed { user, link: LinkId(other), sync: SyncId(third) },
    ]
}

#[test]
fn a_signal_is_read_as_it_was_written_and_carries_ids_alone() {
    for signal in every_signal() {
        let text = signal.to_string();
        assert_eq!(Signal::parse(&text), Some(signal), "{text}");
        assert!(text.len() < 128 && text.is_ascii() && !text.contains('\n'), "{text}");
        assert!(text.split(' ').skip(2).all(|id| Uuid::try_parse(id).is_ok()), "{text}");
        assert_eq!(signal.user().is_none(), signal == Signal::EveryoneChanged);
    }
    let session = every_signal()[0].to_string();
    for unknown in [
        "",
        " ",
        "1",
        "2 everyone_changed",
        "1 everyone_changed 1",
        "1 user_changed",
        "1 user_changed x",
        "1 later_thing",
        &session[..60],
        &format!("{session} 1"),
    ] {
        assert_eq!(Signal::parse(unknown), None, "{unknown:?}");
    }
}
