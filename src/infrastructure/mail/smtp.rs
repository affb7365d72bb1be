//! SMTP (RFC 5321) with TLS, by lettre.

use anyhow::{Context, ensure};
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

/// How long a server may take for each step of a greeting.
const GREETING_TIME_OUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Greets the server at `url` (connection, TLS and sign-in: RFC 5321, 3207, 4954) and says goodbye. No error repeats the URL, which may
/// hold a password.
pub async fn greet(url: &SecretString) -> anyhow::Result<()> {
    let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret()).map_err(|_| anyhow::anyhow!("DASHTAM_SMTP__URL cannot be read"))?;
    let greeting: AsyncSmtpTransport<Tokio1Executor> = server.timeout(Some(GREETING_TIME_OUT)).build();
    // The name is looked up without a limit of its own.
    let greeted = tokio::time::timeout(GREETING_TIME_OUT * 4, greeting.test_connection()).await.context("it does not answer in time")?;
    ensure!(greeted.map_err(|failure| anyhow::anyhow!("{failure}"))?, "it hung up");
    Ok(())
}
