//! Codes: those a device shows (TOTP, RFC 6238) and those a user keeps on paper.
//!
//! A device and we share 160 random bits and the time: HMAC-SHA-1 of the thirty seconds it is, cut to six digits, since that is what every
//! authenticator app reads. SHA-1's collisions do not matter there (RFC 4226, appendix B.2).
//!
//! A recovery code holds 80 random bits, so nobody guesses one from its hash however fast hashing is, and a slow one would slow nobody
//! but us. It is hashed under a key derived from the ring, with its owner: a stolen table alone tells not even whose codes are alike.

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use qrcode::{EcLevel, QrCode, render::svg};
use secrecy::{ExposeSecret, SecretString};
use totp_rs::{Algorithm, Builder, Totp};

use crate::{
    application::ports::{CodeBook, HandedOver, HashedCode},
    domain::{id::UserId, time::Timestamp, user::EmailAddress},
};

use super::keys::{Derived, KeysInForce, NamedKey, Purpose};

/// Who issues codes, as authenticator apps show it.
const ISSUER: &str = "Dashtam";

/// Seconds of one code.
const STEP_SECONDS: u64 = 30;

/// How many steps before and after the present one are accepted (RFC 6238, section 5.2).
const WINDOW: u16 = 1;

/// Digits of a code.
const DIGITS: u8 = 6;

/// The least side of a QR code, in pixels.
const QR_PIXELS: u32 = 240;

/// Bytes of a recovery code.
const RECOVERY_BYTES: usize = 10;

/// Letters of a recovery code: five bits each, without those that are read for one another (as Crockford's base 32 has them, in lower case).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Letters of a recovery code in all, and in each of its groups.
const RECOVERY_LETTERS: usize = 16;
const GROUP: usize = 4;

/// Makes and reads codes.
pub struct Codes {
    keys: Derived<Vec<NamedKey>>,
}

impl Codes {
    /// Recovery codes are hashed under keys derived from the ring, since they outlive the token secrets.
    pub fn new(keys: &KeysInForce) -> anyhow::Result<Self> {
        Ok(Self { keys: keys.derived(|keys| keys.derive(Purpose::RecoveryCode))? })
    }
}

fn totp(secret: &[u8]) -> anyhow::Result<Builder> {
    anyhow::ensure!(secret.len() == 20, "a secret of a second factor has 160 bits");
    Ok(Builder::new().with_algorithm(Algorithm::SHA1).with_digits(DIGITS).with_skew(WINDOW).with_step_duration(STEP_SECONDS).with_secret(secret))
}

fn built(builder: Builder) -> anyhow::Result<Totp> {
    // What the library says of its refusal may quote what it was given.
    builder.build().map_err(|_| anyhow::anyhow!("the authenticator library refuses the secret or the names beside it"))
}

impl CodeBook for Codes {
    fn hand_over(&self, secret: &[u8], account: &EmailAddress) -> anyhow::Result<HandedOver> {
        let totp = built(totp(secret)?.with_issuer(Some(ISSUER)).with_account_name(account.written()))?;
        let url = SecretString::from(totp.to_url().map_err(|_| anyhow::anyhow!("the authenticator library writes no URL"))?);
        let drawing = QrCode::with_error_correction_level(url.expose_secret(), EcLevel::M).context("the URL does not fit a QR code")?;
        let drawing = drawing.render::<svg::Color>().min_dimensions(QR_PIXELS, QR_PIXELS).build();
        let qr_code = SecretString::from(format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(drawing)));
        Ok(HandedOver { secret: totp.secret().to_base32().into(), url, qr_code })
    }

    fn step(&self, secret: &[u8], typed: &SecretString, now: Timestamp) -> anyhow::Result<Option<i64>> {
        let Ok(seconds) = u64::try_from(now.unix()) else { return Ok(None) };
        let step = built(totp(secret)?)?.check(&squeezed(typed), seconds);
        Ok(step.map(i64::try_from).transpose()?)
    }

    fn recovery_code(&self, user: UserId, random: &[u8; 32]) -> anyhow::Result<(SecretString, HashedCode)> {
        let keys = self.keys.now();
        let key = keys.first().context("the key ring is empty")?;
        let bits = random[..RECOVERY_BYTES].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let letter = |at: usize| char::from(LETTERS[usize::try_from(bits >> (5 * (RECOVERY_LETTERS - 1 - at)) & 31).unwrap_or_default()]);
        let text: String = (0..RECOVERY_LETTERS).map(letter).collect();
        let hash = HashedCode { key_id: key.id.clone(), hash: hash(key, user, &text) };
        let groups: Vec<_> = (0..RECOVERY_LETTERS / GROUP).map(|at| &text[at * GROUP..(at + 1) * GROUP]).collect();
        Ok((groups.join("-").into(), hash))
    }

    fn recovery_hashes(&self, user: UserId, typed: &SecretString) -> Vec<Vec<u8>> {
        let Some(text) = recovery_text(&squeezed(typed)) else { return Vec::new() };
        self.keys.now().iter().map(|key| hash(key, user, &text)).collect()
    }
}

fn hash(key: &NamedKey, user: UserId, text: &str) -> Vec<u8> {
    key.hmac(&[user.0.as_bytes(), text.as_bytes()]).to_vec()
}

/// Without the spaces and hyphens that people put between groups; empty when it is too long to be a code of any kind.
fn squeezed(typed: &SecretString) -> String {
    let typed = typed.expose_secret();
    if typed.len() > 64 { String::new() } else { typed.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect() }
}

/// A recovery code as it is hashed: lower case, and with the letters that look like digits read as those.
fn recovery_text(typed: &str) -> Option<String> {
    let read = |letter: char| match letter.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        letter => letter,
    };
    let text: String = typed.chars().map(read).collect();
    (text.len() == RECOVERY_LETTERS && text.bytes().all(|letter| LETTERS.contains(&letter))).then_some(text)
}
