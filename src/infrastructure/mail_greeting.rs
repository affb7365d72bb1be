//! Whether a mail server takes our greeting: connection, TLS and sign-in (RFC 5321, 3207, 4954), and no mail.

use std::time::Duration;

use anyhow::{Context, ensure};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

/// How long a server may take for each step of it.
const TIME_OUT: Duration = Duration::from_secs(5);

/// Greets the server at `url` and says goodbye. No error repeats the URL, which may hold a password.
pub async fn greet(url: &SecretString) -> anyhow::Result<()> {
    let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret()).map_err(|_| anyhow::anyhow!("DASHTAM_SMTP__URL cannot be read"))?;
    let greeting: AsyncSmtpTransport<Tokio1Executor> = server.timeout(Some(TIME_OUT)).build();
    // The name is looked up without a limit of its own.
    let greeted = tokio::time::timeout(TIME_OUT * 4, greeting.test_connection()).await.context("it does not answer in time")?;
    ensure!(greeted.map_err(|failure| anyhow::anyhow!("{failure}"))?, "it hung up");
    Ok(())
}
