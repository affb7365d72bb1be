//! Events: what follows from each, and that nothing else is ever committed with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dashtam::{
    application::{
        handlers::{Mailing, mailing, refusals},
        ports::{Randomness as _, Work},
    },
    domain::{
        event::Event,
        failure::Reason,
        id::{MessageId, SessionId, UserId},
        mail::{Mail, MailKind},
        second_factor::Factor,
        time::Clock as _,
    },
};

use crate::harness::{
    clock::TestRandomness,
    stores::{TestStore, every_store},
};

/// The events that a user is told of, one of each.
fn told(user: UserId) -> Vec<Event> {
    let session = SessionId(user.0);
    vec![
        Event::UserRegistered { user, mailed: true },
        Event::VerificationRequested { user },
        Event::PasswordResetRequested { user },
        Event::PasswordChanged { user, ended: 0 },
        Event::PasswordReset { user, ended: 0 },
        Event::EmailChangeRequested { user },
        Event::EmailChanged { user, replaced: false },
        Event::EmailChangeReverted { user, undone: 1, ended: 0 },
        Event::ErasureRequested { user, ended: 0, wiped: 0 },
        Event::SecondFactorEnabled { user },
        Event::SecondFactorDisabled { user },
        Event::RecoveryCodesReplaced { user },
        Event::SessionCreated { session, user, evicted: 0, factor: Some(Factor::RecoveryCode) },
        Event::Reauthenticated { session, user, factor: Some(Factor::RecoveryCode) },
    ]
}

#[test]
fn every_mail_follows_from_an_event_or_from_a_refusal_and_never_from_both() {
    let of_events: Vec<_> = told(UserId(TestRandomness.id()))
        .iter()
        .map(|event| match mailing(event) {
            Mailing::Notice(kind) | Mailing::Token(kind) => kind,
            Mailing::Silent(why) => panic!("{event:?} is told of no more: {why}"),
        })
        .collect();
    for kind in MailKind::ALL {
        assert_ne!(of_events.contains(kind), !refusals(*kind).is_empty(), "{kind:?}");
    }
}

/// A refusal for that reason.
struct Refusal(&'static str);

impl Reason for Refusal {
    fn reason(&self) -> &'static str {
        self.0
    }
}

/// A unit of work in which these mails were queued for a user.
async fn having_queued(store: &TestStore, user: UserId, kinds: &[MailKind]) -> Box<dyn Work> {
    let mut work = store.begin().await;
    for kind in kinds {
        work.mails().queue(&Mail::new(MessageId(TestRandomness.id()), user, *kind, None, store.clock.now())).await.unwrap();
    }
    work
}

/// How many rows there are of outcomes and of mails.
async fn written(store: &TestStore) -> (i64, i64) {
    let count = async |sql: &str| store.query(sql).await[0].try_get::<i64>("", "n").unwrap();
    (count("SELECT COUNT(*) AS n FROM audit_events WHERE outcome <> 'attempted'").await, count("SELECT COUNT(*) AS n FROM outbox").await)
}

#[tokio::test]
async fn an_event_is_committed_with_its_own_mail_and_with_nothing_else() {
    for store in every_store().await {
        let user = store.user("ann@example.com").await.id;
        for event in told(user) {
            let (outcomes, mails) = written(&store).await;
            let (kind, own, strays): (_, &[MailKind], Vec<Vec<MailKind>>) = match mailing(&event) {
                Mailing::Notice(kind) => (kind, &[], vec![vec![kind], vec![MailKind::SignInPaused]]),
                Mailing::Token(kind) => (kind, &[kind], vec![vec![], vec![kind, kind], vec![MailKind::SignInPaused], vec![kind, MailKind::PasswordChanged]]),
                Mailing::Silent(_) => unreachable!(),
            };
            for stray in strays {
                let refused = having_queued(&store, user, &stray).await.succeed(event.clone()).await;
                assert!(refused.is_err(), "{event:?} with {stray:?}");
                assert_eq!(written(&store).await, (outcomes, mails), "{event:?} with {stray:?}");
            }
            having_queued(&store, user, own).await.succeed(event.clone()).await.unwrap();
            assert_eq!(written(&store).await, (outcomes + 1, mails + 1), "{event:?}");
            let last = store.query("SELECT topic FROM outbox ORDER BY position DESC LIMIT 1").await;
            let topic = if kind == MailKind::EmailChange { continue } else { last[0].try_get::<String>("", "topic").unwrap() };
            assert_eq!(topic, format!("mail.{}", kind.as_str()));
        }
    }
}

#[tokio::test]
async fn an_event_that_nobody_is_told_of_is_committed_without_a_mail() {
    for store in every_store().await {
        let user = store.user("ann@example.com").await.id;
        for event in [Event::EmailVerified { user }, Event::UserRegistered { user, mailed: false }, Event::KeysRotated { ring: None, tokens: None }] {
            let before = written(&store).await;
            assert!(having_queued(&store, user, &[MailKind::Verification]).await.succeed(event.clone()).await.is_err(), "{event:?}");
            assert_eq!(written(&store).await, before);
            having_queued(&store, user, &[]).await.succeed(event).await.unwrap();
            assert_eq!(written(&store).await, (before.0 + 1, before.1));
        }
        let unsettled = having_queued(&store, user, &[MailKind::PasswordChanged]).await.checkpoint().await;
        assert!(unsettled.is_err(), "there is no outcome yet");
        assert_eq!(written(&store).await.1, 0);
    }
}

#[tokio::test]
async fn a_refusal_is_committed_with_a_mail_only_if_it_is_about_that_refusal() {
    for store in every_store().await {
        let user = store.user("ann@example.com").await.id;
        for kind in MailKind::ALL {
            let before = written(&store).await;
            assert!(having_queued(&store, user, &[*kind]).await.refuse(&Refusal("not_found")).await.is_err(), "{kind:?}");
            assert_eq!(written(&store).await, before, "{kind:?}");
            for reason in refusals(*kind) {
                let before = written(&store).await;
                having_queued(&store, user, &[*kind]).await.refuse(&Refusal(reason)).await.unwrap();
                assert_eq!(written(&store).await, (before.0 + 1, before.1 + 1), "{kind:?}");
            }
        }
    }
}
