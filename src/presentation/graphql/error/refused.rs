//! Refusals of mutations: what a client learns of each error of a use case.

mod import;

use async_graphql::{Enum, SimpleObject};

use crate::{
    application::{
        account::AccountError,
        agreement::AgreementError,
        email_change::EmailChangeError,
        erasure::ErasureError,
        export::ExportError,
        link::{Brought, LinkError},
        password::PasswordError,
        ports::ProviderFault,
        profile::ProfileError,
        registration::RegistrationError,
        second_factor::{CodeRefusal, SecondFactorError},
        security::SecurityError,
        session::SessionError,
        step_up::ReauthenticationError,
        sync::SyncError,
        user,
    },
    domain::agreement::AssentRefusal,
};

use super::{super::guard::Public, Fault};

/// Why a mutation did not do what was asked. New codes may be added.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserErrorCode {
    /// The text is not an e-mail address.
    EmailInvalid,
    /// The password is too short or too long, or holds what it must not; the message says which.
    PasswordUnacceptable,
    /// Not every document of `legalDocuments` was agreed to.
    AgreementMissing,
    /// The version agreed to is not the one in force; `legalDocuments` has that.
    AgreementNotInForce,
    /// Nobody can register on this server.
    RegistrationClosed,
    /// The token is unknown, was used or replaced, or is too old; ask for a new mail.
    TokenInvalid,
    /// E-mail or password is wrong, or sign-in is paused; which of them is not told.
    InvalidCredentials,
    /// This needs a proof of who is behind the session that is at most five minutes old: call `reauthenticate` first.
    ReauthenticationRequired,
    /// This user has a second factor: a code is needed beside the password.
    SecondFactorCodeRequired,
    /// The code is wrong, past its time, or was used before.
    SecondFactorCodeInvalid,
    /// Too many codes were wrong within an hour; none is looked at before the hour has passed.
    SecondFactorPaused,
    /// The challenge is unknown, was answered, took five wrong codes, or is past its time or its password; sign in again.
    ChallengeInvalid,
    /// A second factor is enabled already.
    SecondFactorEnabled,
    /// No second factor is enabled.
    SecondFactorNotEnabled,
    /// No second factor waits to be confirmed, or it waited too long; begin again.
    SecondFactorNotBegun,
    /// The e-mail address is not verified yet.
    EmailUnverified,
    /// This is the user's e-mail address already.
    EmailUnchanged,
    /// The e-mail address belongs to another account by now. Told only to who has proved to read its mailbox.
    EmailTaken,
    /// This is not a refresh token of ours.
    RefreshTokenInvalid,
    /// The refresh token was used before, so its session was ended; sign in again.
    RefreshTokenReused,
    /// The session has ended; sign in again.
    SessionEnded,
    /// What is to be rotated is contradictory or out of range; the message says how.
    RotationInvalid,
    /// Somebody has to administer: this is the last active administrator.
    LastAdministrator,
    /// A limit of one's own is 1 to 1000 sessions.
    LimitInvalid,
    /// The name is empty, too long, or holds characters for control.
    NameInvalid,
    /// The id is malformed, of another kind, absent, or someone else's.
    NotFound,
    /// No provider of this name can be linked here.
    ProviderUnknown,
    /// The provider is in the catalogue and cannot be linked on this server; `Provider.unavailableReason` says why.
    ProviderUnavailable,
    /// The provider is linked in another way; `Provider.linkMethod` says in which.
    LinkMethodMismatch,
    /// The link is to another provider than the one that was named.
    LinkProviderMismatch,
    /// What was brought is empty, longer than 4096 characters, or holds spaces or characters outside of ASCII.
    CredentialInvalid,
    /// The provider does not accept this key with this secret.
    KeyRefused,
    /// The provider does not accept this setup token: it is not one, or it was used before. If it was not you who used it, it was stolen.
    SetupTokenRefused,
    /// The provider could not be reached, or took too long.
    ProviderUnreachable,
    /// The provider reported an error of its own.
    ProviderError,
    /// The provider asked for fewer requests.
    ProviderRateLimited,
    /// The provider's answer could not be read.
    ProviderUnreadable,
    /// The return URL is not on the server's allow-list.
    ReturnUrlNotAllowed,
    /// The state belongs to no link of yours.
    StateInvalid,
    /// The state was used before.
    StateUsed,
    /// Linking failed; the link says why.
    LinkFailed,
    /// The link is not active; link again.
    LinkNotActive,
    /// The link was unlinked, before or while its bank was asked.
    LinkUnlinked,
    /// There is no bank to go to for this link: its files are imported, or this server no longer knows its provider.
    LinkNotRelinkable,
    /// There is nothing to ask for this link: its files are imported.
    LinkNotSyncable,
    /// A sync of this link is under way.
    SyncUnderWay,
    /// The last sync is less than five minutes old; `force` syncs all the same.
    SyncTooSoon,
    /// Nothing of the file can be read.
    FileUnreadable,
    /// The file is larger than 50 MiB.
    FileTooLarge,
    /// A CSV file does not say of itself what has to be known; the message and `field` say what, and `csv` in the answer what was found out.
    FileUndecided,
    /// The file has more rows than a preview keeps; import it without one, or a shorter period at a time.
    FileTooLongForPreview,
    /// The preview is too old; bring the file again.
    PreviewExpired,
    /// The import is committed already.
    ImportCommitted,
    /// The import is a preview, and nothing of it is in yet.
    ImportNotCommitted,
    /// The import was reverted already.
    ImportReverted,
    /// What the import added was not kept apart, or is removed already, so it cannot be taken back.
    ImportNotRevertible,
    /// The file holds several accounts and cannot go into a single one.
    FileHoldsSeveralAccounts,
    /// The name beside a CSV file stands for several accounts, and the file does not say which of them it is of.
    AccountUnclear,
    /// The account is in another currency than the file.
    CurrencyMismatch,
}

/// One reason why a mutation did not do what was asked.
#[derive(SimpleObject, Debug, Clone)]
#[graphql(guard = Public("tells the caller about their own input"))]
pub struct UserError {
    /// For programs.
    pub code: UserErrorCode,
    /// For people.
    pub message: String,
    /// Where in `input` the cause is; null when it is not in one place.
    pub field: Option<Vec<String>>,
}

/// A failed mutation: the client's business, or ours.
pub enum Refused {
    /// Data of the payload.
    User(UserError),
    /// A top-level error.
    Fault(Fault),
}

impl Refused {
    fn user(code: UserErrorCode, message: &impl ToString, field: Option<&str>) -> Self {
        Self::User(UserError { code, message: message.to_string(), field: field.map(|field| vec![field.to_owned()]) })
    }
}

/// Splits what a use case answered into the payload's object and its `userErrors`; faults go up.
pub fn outcome<T, E: Into<Refused>>(result: Result<T, E>) -> Result<(Option<T>, Vec<UserError>), Fault> {
    match result.map_err(Into::into) {
        Ok(done) => Ok((Some(done), Vec::new())),
        Err(Refused::User(error)) => Ok((None, vec![error])),
        Err(Refused::Fault(fault)) => Err(fault),
    }
}

impl From<RegistrationError> for Refused {
    fn from(error: RegistrationError) -> Self {
        let (code, field) = match &error {
            RegistrationError::InvalidEmail(_) => (UserErrorCode::EmailInvalid, Some("email")),
            RegistrationError::WeakPassword(_) => (UserErrorCode::PasswordUnacceptable, Some("password")),
            RegistrationError::Disagreed(refusal) => of_assent(*refusal),
            RegistrationError::Closed => (UserErrorCode::RegistrationClosed, None),
            RegistrationError::InvalidToken => (UserErrorCode::TokenInvalid, Some("token")),
            // The use case keeps this to itself: an answer must not tell it.
            RegistrationError::NothingToSend(reason) => return Self::Fault(Fault::internal(&anyhow::anyhow!("{reason} left registration"))),
            RegistrationError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<PasswordError> for Refused {
    fn from(error: PasswordError) -> Self {
        let (code, field) = match &error {
            PasswordError::WrongPassword => (UserErrorCode::InvalidCredentials, Some("currentPassword")),
            PasswordError::WeakPassword(_) => (UserErrorCode::PasswordUnacceptable, Some("newPassword")),
            PasswordError::InvalidEmail(_) => (UserErrorCode::EmailInvalid, Some("email")),
            PasswordError::Unproven(_) => (UserErrorCode::ReauthenticationRequired, None),
            PasswordError::InvalidToken => (UserErrorCode::TokenInvalid, Some("token")),
            // The use case keeps this to itself: an answer must not tell it.
            PasswordError::NothingToSend(reason) => return Self::Fault(Fault::internal(&anyhow::anyhow!("{reason} left the use case"))),
            PasswordError::Denied(denied) => return Self::Fault((*denied).into()),
            PasswordError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

/// What a client learns of documents that are not agreed to; all inputs call them `agreements`.
fn of_assent(refusal: AssentRefusal) -> (UserErrorCode, Option<&'static str>) {
    let code = match refusal {
        AssentRefusal::Missing => UserErrorCode::AgreementMissing,
        AssentRefusal::NotInForce => UserErrorCode::AgreementNotInForce,
    };
    (code, Some("agreements"))
}

impl From<AgreementError> for Refused {
    fn from(error: AgreementError) -> Self {
        let (code, field) = match &error {
            AgreementError::Refused(refusal) => of_assent(*refusal),
            AgreementError::Denied(denied) => return Self::Fault((*denied).into()),
            AgreementError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

/// What a client learns of a code that is not accepted; all inputs with a code call it `code`.
fn of_code(refusal: CodeRefusal) -> (UserErrorCode, Option<&'static str>) {
    let code = match refusal {
        CodeRefusal::Missing => UserErrorCode::SecondFactorCodeRequired,
        CodeRefusal::Wrong => UserErrorCode::SecondFactorCodeInvalid,
        CodeRefusal::TooMany => UserErrorCode::SecondFactorPaused,
    };
    (code, Some("code"))
}

impl From<SecondFactorError> for Refused {
    fn from(error: SecondFactorError) -> Self {
        let (code, field) = match &error {
            SecondFactorError::Code(refusal) => of_code(*refusal),
            SecondFactorError::AlreadyEnabled => (UserErrorCode::SecondFactorEnabled, None),
            SecondFactorError::NotEnabled => (UserErrorCode::SecondFactorNotEnabled, None),
            SecondFactorError::NothingPending => (UserErrorCode::SecondFactorNotBegun, None),
            SecondFactorError::Unproven(_) => (UserErrorCode::ReauthenticationRequired, None),
            SecondFactorError::InvalidEmail(_) => (UserErrorCode::EmailInvalid, Some("email")),
            SecondFactorError::NotFound => (UserErrorCode::NotFound, Some("email")),
            SecondFactorError::Denied(denied) => return Self::Fault((*denied).into()),
            SecondFactorError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<SecurityError> for Refused {
    fn from(error: SecurityError) -> Self {
        let (code, field) = match &error {
            SecurityError::InvalidScope => (UserErrorCode::RotationInvalid, Some("userId")),
            SecurityError::InvalidReason => (UserErrorCode::RotationInvalid, Some("reason")),
            SecurityError::InvalidGrace => (UserErrorCode::RotationInvalid, Some("graceSeconds")),
            SecurityError::NotFound => (UserErrorCode::NotFound, Some("userId")),
            SecurityError::ReauthenticationRequired(_) => (UserErrorCode::ReauthenticationRequired, None),
            SecurityError::Denied(denied) => return Self::Fault((*denied).into()),
            SecurityError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<user::UserError> for Refused {
    fn from(error: user::UserError) -> Self {
        let (code, field) = match &error {
            user::UserError::InvalidEmail(_) => (UserErrorCode::EmailInvalid, Some("email")),
            user::UserError::WeakPassword(_) => (UserErrorCode::PasswordUnacceptable, Some("password")),
            user::UserError::NotFound => (UserErrorCode::NotFound, Some("userId")),
            user::UserError::Unverified => (UserErrorCode::EmailUnverified, Some("userId")),
            user::UserError::LastAdministrator => (UserErrorCode::LastAdministrator, Some("userId")),
            user::UserError::InvalidLimit => (UserErrorCode::LimitInvalid, Some("sessionLimit")),
            user::UserError::ReauthenticationRequired(_) => (UserErrorCode::ReauthenticationRequired, None),
            // Users are made on the command line alone.
            user::UserError::EmailTaken => return Self::Fault(Fault::internal(&anyhow::anyhow!("a user was made over the API"))),
            user::UserError::Denied(denied) => return Self::Fault((*denied).into()),
            user::UserError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<EmailChangeError> for Refused {
    fn from(error: EmailChangeError) -> Self {
        let (code, field) = match &error {
            EmailChangeError::InvalidEmail(_) => (UserErrorCode::EmailInvalid, Some("email")),
            EmailChangeError::Unchanged => (UserErrorCode::EmailUnchanged, Some("email")),
            EmailChangeError::InvalidToken => (UserErrorCode::TokenInvalid, Some("token")),
            EmailChangeError::EmailTaken => (UserErrorCode::EmailTaken, None),
            EmailChangeError::Unproven(_) => (UserErrorCode::ReauthenticationRequired, None),
            // The use case keeps this to itself: an answer must not tell it.
            EmailChangeError::NothingToSend(reason) => return Self::Fault(Fault::internal(&anyhow::anyhow!("{reason} left the use case"))),
            EmailChangeError::Denied(denied) => return Self::Fault((*denied).into()),
            EmailChangeError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<ErasureError> for Refused {
    fn from(error: ErasureError) -> Self {
        let (code, field) = match &error {
            ErasureError::LastAdministrator => (UserErrorCode::LastAdministrator, None),
            ErasureError::InvalidToken => (UserErrorCode::TokenInvalid, Some("token")),
            ErasureError::Unproven(_) => (UserErrorCode::ReauthenticationRequired, None),
            ErasureError::Denied(denied) => return Self::Fault((*denied).into()),
            ErasureError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<ExportError> for Refused {
    fn from(error: ExportError) -> Self {
        let (code, field) = match &error {
            ExportError::NotFound => (UserErrorCode::NotFound, None),
            ExportError::Unproven(_) => (UserErrorCode::ReauthenticationRequired, None),
            ExportError::Denied(denied) => return Self::Fault((*denied).into()),
            ExportError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<ProfileError> for Refused {
    fn from(error: ProfileError) -> Self {
        let (code, field) = match &error {
            ProfileError::InvalidName(_) => (UserErrorCode::NameInvalid, Some("displayName")),
            ProfileError::Denied(denied) => return Self::Fault((*denied).into()),
            ProfileError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<ReauthenticationError> for Refused {
    fn from(error: ReauthenticationError) -> Self {
        let (code, field) = match &error {
            ReauthenticationError::WrongPassword => (UserErrorCode::InvalidCredentials, Some("password")),
            ReauthenticationError::Code(refusal) => of_code(*refusal),
            ReauthenticationError::Ended => (UserErrorCode::SessionEnded, None),
            ReauthenticationError::Denied(denied) => return Self::Fault((*denied).into()),
            ReauthenticationError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        let (code, field) = match &error {
            SessionError::InvalidCredentials | SessionError::Paused => (UserErrorCode::InvalidCredentials, None),
            SessionError::InvalidName(_) => (UserErrorCode::NameInvalid, Some("name")),
            SessionError::Unverified => (UserErrorCode::EmailUnverified, Some("email")),
            SessionError::Code(refusal) => of_code(*refusal),
            SessionError::Challenge(_) => (UserErrorCode::ChallengeInvalid, Some("challenge")),
            SessionError::InvalidRefreshToken => (UserErrorCode::RefreshTokenInvalid, Some("refreshToken")),
            SessionError::RefreshTokenReused => (UserErrorCode::RefreshTokenReused, Some("refreshToken")),
            SessionError::Ended | SessionError::TokensRotated => (UserErrorCode::SessionEnded, None),
            SessionError::NotFound => (UserErrorCode::NotFound, Some("sessionId")),
            SessionError::Denied(denied) => return Self::Fault((*denied).into()),
            SessionError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

/// What a provider's fault means for whoever wanted to link it.
fn unanswered(fault: ProviderFault) -> UserErrorCode {
    match fault {
        ProviderFault::Unreachable | ProviderFault::Unavailable { .. } => UserErrorCode::ProviderUnreachable,
        ProviderFault::ServerError | ProviderFault::AppRefused | ProviderFault::Unpaid => UserErrorCode::ProviderError,
        ProviderFault::RateLimited { .. } => UserErrorCode::ProviderRateLimited,
        ProviderFault::Refused => UserErrorCode::KeyRefused,
        ProviderFault::Malformed | ProviderFault::Incomplete => UserErrorCode::ProviderUnreadable,
    }
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        let (code, field) = match &error {
            LinkError::UnknownProvider => (UserErrorCode::ProviderUnknown, Some("provider")),
            LinkError::UnavailableProvider => (UserErrorCode::ProviderUnavailable, Some("provider")),
            LinkError::OtherMethod => (UserErrorCode::LinkMethodMismatch, Some("provider")),
            LinkError::OtherProvider => (UserErrorCode::LinkProviderMismatch, Some("linkId")),
            LinkError::Unreadable(Brought::Key) => (UserErrorCode::CredentialInvalid, Some("key")),
            LinkError::Unreadable(Brought::Secret) => (UserErrorCode::CredentialInvalid, Some("secret")),
            LinkError::Unreadable(Brought::SetupToken) => (UserErrorCode::CredentialInvalid, Some("setupToken")),
            LinkError::KeyRefused => (UserErrorCode::KeyRefused, Some("key")),
            LinkError::TokenRefused => (UserErrorCode::SetupTokenRefused, Some("setupToken")),
            LinkError::Unanswered(fault) => (unanswered(*fault), None),
            LinkError::ReturnUrlNotAllowed => (UserErrorCode::ReturnUrlNotAllowed, Some("returnUrl")),
            LinkError::UnknownTicket | LinkError::UnknownState | LinkError::OtherBrowser => (UserErrorCode::StateInvalid, Some("state")),
            LinkError::SpentState | LinkError::Undecided => (UserErrorCode::StateUsed, Some("state")),
            LinkError::Failed(_) => (UserErrorCode::LinkFailed, None),
            LinkError::NotRelinkable => (UserErrorCode::LinkNotRelinkable, Some("linkId")),
            LinkError::LinkedByHand => (UserErrorCode::LinkMethodMismatch, Some("linkId")),
            LinkError::ProviderRests(_) => (UserErrorCode::ProviderRateLimited, None),
            LinkError::Unlinked => (UserErrorCode::LinkUnlinked, None),
            LinkError::InvalidName(_) => (UserErrorCode::NameInvalid, Some("alias")),
            LinkError::NotFound => (UserErrorCode::NotFound, Some("linkId")),
            LinkError::Denied(denied) => return Self::Fault((*denied).into()),
            LinkError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<AccountError> for Refused {
    fn from(error: AccountError) -> Self {
        let (code, field) = match &error {
            AccountError::NotFound => (UserErrorCode::NotFound, Some("accountId")),
            AccountError::NotOfLink => (UserErrorCode::NotFound, Some("accountIds")),
            AccountError::NoSuchLink => (UserErrorCode::NotFound, Some("linkId")),
            AccountError::NotSyncable => (UserErrorCode::LinkNotSyncable, Some("linkId")),
            AccountError::Denied(denied) => return Self::Fault((*denied).into()),
            AccountError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}

impl From<SyncError> for Refused {
    fn from(error: SyncError) -> Self {
        let (code, field) = match &error {
            SyncError::NotFound => (UserErrorCode::NotFound, Some("linkId")),
            SyncError::NotActive => (UserErrorCode::LinkNotActive, Some("linkId")),
            SyncError::NotSyncable => (UserErrorCode::LinkNotSyncable, Some("linkId")),
            SyncError::UnderWay => (UserErrorCode::SyncUnderWay, None),
            SyncError::ProviderRests(_) => (UserErrorCode::ProviderRateLimited, None),
            SyncError::TooSoon => (UserErrorCode::SyncTooSoon, Some("force")),
            SyncError::Denied(denied) => return Self::Fault((*denied).into()),
            SyncError::Unexpected(cause) => return Self::Fault(Fault::internal(cause)),
        };
        Self::user(code, &error, field)
    }
}
