//! Events: what follows from each, and that nothing else is ever committed with it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use dashtam::{
    application::{
        handlers::{Hint, Mailing, hint, mailing, refusals},
        ports::{Heard, Randomness as _, Signals, Work},
    },
    domain::{
        event::Event,
        failure::Reason,
        id::{LinkId, MessageId, SessionId, UserId},
        mail::{Mail, MailKind},
        second_factor::Factor,
        session::RevocationReason,
        signal::Signal,
        time::Clock as _,
        user::Role,
    },
};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::Client,
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
        Event::ConsentEnding { link: LinkId(user.0), user, minutes: 120 },
        Event::ConsentEnded { link: LinkId(user.0), user },
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

/// The signals of this process that came in since this was last asked.
fn heard(signals: &mut Signals) -> Vec<Signal> {
    let mut heard = Vec::new();
    while let Some(Some(next)) = signals.next().now_or_never() {
        match next {
            Heard::Signal { signal, is_ours: true } => heard.push(signal),
            Heard::Signal { is_ours: false, .. } | Heard::Missed => {}
        }
    }
    heard
}

/// What the list says is heard of an event of a user with whom `ended` sessions ended.
fn declared(event: &Event, user: UserId, ended: usize) -> Vec<String> {
    match hint(event) {
        Hint::Nobody => Vec::new(),
        Hint::EndedSessions => vec!["session_ended".to_owned(); ended],
        Hint::Subject => vec![Signal::UserChanged { user }.to_string()],
        Hint::Everyone => vec![Signal::EveryoneChanged.to_string()],
    }
}

#[tokio::test]
async fn what_is_heard_of_an_event_is_what_the_list_says() {
    for app in TestApp::on_every_store().await {
        let mut signals = app.app.bus.subscribe();
        let root = app.signed_in("root").await;
        app.promote("root", Role::Admin).await;
        let (ann, phone) = (app.signed_in("ann").await, app.signed_in("ann").await);
        for _ in 0..2 {
            app.signed_in("ann").await;
        }
        let user = app.user_id("ann").await;
        let prove = async |client: &Client<'_>| {
            client.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD })).await.succeeds();
        };
        prove(&root).await;
        heard(&mut signals);
        let id = ann.ask("{ viewer { id } }").await.data()["viewer"]["id"].clone();
        let any = SessionId(TestRandomness.id());
        let mut check = |event: Event, ended: usize| {
            let found: Vec<_> = heard(&mut signals)
                .into_iter()
                .map(
                    |signal| {
                        if matches!(signal, Signal::SessionEnded { user: of, .. } if of == user) { "session_ended".to_owned() } else { signal.to_string() }
                    },
                )
                .collect();
            assert_eq!(found, declared(&event, user, ended), "{event:?}, {}", app.store.name);
        };
        ann.mutate("updateProfile", "user { id }", json!({ "displayName": "Ann" })).await.succeeds();
        check(Event::ProfileUpdated { user }, 0);
        ann.revoke(phone.session_id.as_deref().unwrap()).await.succeeds();
        check(Event::SessionRevoked { session: any, user, reason: RevocationReason::Requested }, 1);
        let new = "a river runs through town";
        ann.mutate("changePassword", "changed", json!({ "currentPassword": PASSWORD, "newPassword": new })).await.succeeds();
        check(Event::PasswordChanged { user, ended: 2 }, 2);
        let mut other = app.nobody();
        other.sign_in("ann@example.com", new).await.succeeds();
        check(Event::SessionCreated { session: any, user, evicted: 0, factor: None }, 0);
        ann.ask("mutation { revokeOtherSessions { revoked userErrors { code } } }").await;
        check(Event::SessionsRevoked { user, ended: 1 }, 1);
        root.mutate("assignRole", "user { role }", json!({ "userId": id, "role": "READONLY" })).await.succeeds();
        check(Event::RoleAssigned { user, role: Role::Readonly }, 0);
        root.mutate("assignTier", "user { id }", json!({ "userId": id, "tier": "PLUS" })).await.succeeds();
        check(Event::TierAssigned { user, tier: dashtam::domain::user::SessionTier::Plus }, 0);
        root.mutate("rotateTokens", "rotation { version }", json!({ "scope": "USER", "userId": id, "reason": "a test" })).await.succeeds();
        check(Event::TokensRotated { user: Some(user), version: 2 }, 0);
        root.mutate("deactivateUser", "user { id }", json!({ "userId": id })).await.succeeds();
        check(Event::UserDeactivated { user, ended: 1 }, 1);
        root.mutate("reactivateUser", "user { id }", json!({ "userId": id })).await.succeeds();
        check(Event::UserReactivated { user }, 0);
        root.mutate("rotateTokens", "rotation { version }", json!({ "scope": "GLOBAL", "reason": "a test" })).await.succeeds();
        check(Event::TokensRotated { user: None, version: 2 }, 0);
    }
}
