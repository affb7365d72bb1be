//! Identifiers: one type per kind of thing, so that handing a user's id to a function that wants an account's does not compile.
//!
//! Every id is a UUIDv7 (RFC 9562) made by the [`crate::application::ports::Randomness`] port: creation time first, so ids sort
//! by age. The form clients see (`acct_…`) belongs to the presentation.

use uuid::Uuid;

macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

identifiers! {
    /// One person who can sign in.
    UserId;
    /// One sign-in on one device.
    SessionId;
    /// One issued refresh token; a session has had many.
    RefreshTokenId;
    /// One user's relation to one provider.
    LinkId;
    /// What a provider answered once.
    PayloadId;
    /// One walk of a browser to a bank and back.
    AuthorizationId;
    /// One account at a bank, a broker or in a statement file.
    AccountId;
    /// One transaction; the same from pending to posted and over re-linking.
    TransactionId;
    /// One position of one account; the same while it is held.
    HoldingId;
    /// One run, queued or done, that brings a link up to date.
    SyncId;
    /// One statement file that was taken in.
    ImportId;
    /// One message in the outbox, however often it is tried.
    MessageId;
    /// One secret that travels by mail.
    MailTokenId;
    /// One change of a user's address.
    EmailChangeId;
    /// One consent that was given.
    ConsentId;
    /// One document that was agreed to.
    AgreementId;
    /// One archive of everything kept about a user, for a few minutes.
    ExportId;
    /// One secret shared with a device for codes.
    SecondFactorId;
    /// One code that works once in place of a device.
    RecoveryCodeId;
    /// One sign-in that has shown a password and waits for a code.
    ChallengeId;
    /// One attempted command; its audit rows carry it.
    AttemptId;
    /// One row of the audit trail.
    AuditEventId;
}
