//! SMTP (RFC 5321) with TLS, by lettre.

use anyhow::Context;
use async_trait::async_trait;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor, message::Mailbox};
use secrecy::{ExposeSecret, SecretString};

use crate::application::{
    mail::Letter,
    ports::{Mailer, MailerFault},
};

/// How long one conversation may take.
const TIME_OUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Hands mails to a server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// `url` is `smtp://user:password@host:587?tls=required` or `smtps://…`; `from` an address, perhaps with a name before it.
    pub fn new(url: &SecretString, from: &str) -> anyhow::Result<Self> {
        // The library's error may quote the URL, and with it the password.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_| anyhow::anyhow!("DASHTAM_SMTP__URL is not like smtp://user:password@mail.example.com:587?tls=required"))?;
        let from = from.parse().context("DASHTAM_SMTP__FROM is not like Dashtam <dashtam@example.com>")?;
        Ok(Self { transport: transport.timeout(Some(TIME_OUT)).build(), from })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, letter: &Letter) -> Result<(), MailerFault> {
        let message = super::message(letter, &self.from)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            // The server's words may quote the mail; the class of its answer says enough.
            Err(refused) if refused.is_permanent() => Err(MailerFault::Refused),
            Err(_) => Err(MailerFault::Unreachable),
        }
    }
}
