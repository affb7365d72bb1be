//! Ports to mail: where it goes, and where it is kept instead.

use async_trait::async_trait;

use crate::application::mail::Letter;

/// Why a mail did not go out. A server's own words never travel; they may quote the mail.
#[derive(Debug, thiserror::Error)]
pub enum MailerFault {
    /// No connection, no answer in time, or a passing refusal (4xx).
    #[error("the mail server could not be reached, or asked for patience")]
    Unreachable,
    /// The server will never take this mail (5xx).
    #[error("the mail server refused the mail")]
    Refused,
    /// Broken.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl MailerFault {
    /// A word for the operator.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Unexpected(_) => "internal",
        }
    }

    /// Whether another try is of no use.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over. The same one may come again.
    async fn send(&self, letter: &Letter) -> Result<(), MailerFault>;
}

/// A mail that was kept instead of sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMail {
    /// Its reader's address.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// When it was written (RFC 3339).
    pub sent_at: String,
    /// Its plain text.
    pub text: String,
    /// Its HTML.
    pub html: String,
}

/// Mails that were kept instead of sent, for development.
pub trait Mailbox: Send + Sync {
    /// The latest first. Blocking: call it off the runtime's threads.
    fn latest(&self) -> anyhow::Result<Vec<KeptMail>>;
}
