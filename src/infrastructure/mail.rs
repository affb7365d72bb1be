//! Mail: letters become messages (RFC 5322), and go out over SMTP or into a folder.
//!
//! The text part is ASCII and travels as it is written, so that a token in it can be copied out of the raw message too.

use askama::Template;
use lettre::{
    Message,
    message::{
        Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    application::mail::{Letter, LetterContent},
    domain::time::Timestamp,
};

pub mod folder;
pub mod smtp;

#[derive(Template)]
#[template(path = "mail/verification.txt")]
struct VerificationText<'a> {
    page: &'a str,
    token: &'a str,
    hours: i64,
}

#[derive(Template)]
#[template(path = "mail/verification.html")]
struct VerificationHtml<'a> {
    page: &'a str,
    hours: i64,
}

#[derive(Template)]
#[template(path = "mail/password_reset.txt")]
struct PasswordResetText<'a> {
    page: &'a str,
    token: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "mail/password_reset.html")]
struct PasswordResetHtml<'a> {
    page: &'a str,
    minutes: i64,
}

/// A mail that asks for something: a page with a button, and a token for frontends of one's own.
#[derive(Template)]
#[template(path = "mail/action.txt")]
struct ActionText<'a> {
    what: &'a str,
    page: &'a str,
    token: &'a str,
    next: &'a str,
}

#[derive(Template)]
#[template(path = "mail/action.html")]
struct ActionHtml<'a> {
    subject: &'a str,
    what: &'a str,
    page: &'a str,
    button: &'a str,
    next: &'a str,
}

/// A mail that only tells something.
#[derive(Template)]
#[template(path = "mail/notice.txt")]
struct NoticeText<'a> {
    what: &'a str,
    next: &'a str,
}

#[derive(Template)]
#[template(path = "mail/notice.html")]
struct NoticeHtml<'a> {
    subject: &'a str,
    what: &'a str,
    next: &'a str,
}

/// Subject, text and HTML.
struct Words {
    subject: &'static str,
    text: String,
    html: String,
}

impl Words {
    fn of(content: &LetterContent) -> anyhow::Result<Self> {
        Ok(match content {
            LetterContent::Verification { page, token, hours } => {
                let (page, token, hours) = (page.expose_secret(), token.expose_secret(), *hours);
                Self {
                    subject: "Confirm your e-mail address",
                    text: VerificationText { page, token, hours }.render()?,
                    html: VerificationHtml { page, hours }.render()?,
                }
            }
            LetterContent::PasswordReset { page, token, minutes } => {
                let (page, token, minutes) = (page.expose_secret(), token.expose_secret(), *minutes);
                Self {
                    subject: "Choose a new password",
                    text: PasswordResetText { page, token, minutes }.render()?,
                    html: PasswordResetHtml { page, minutes }.render()?,
                }
            }
            LetterContent::AlreadyRegistered => Self::notice(
                "You have a Dashtam account already",
                "Somebody tried to use this e-mail address for an account at Dashtam, where it has one already. Nothing was changed.",
                "If it was you, sign in with the password you have, or reset it. If it was not you, there is nothing to do.",
            )?,
            LetterContent::EmailChange { page, token, hours } => Self::action(
                "Confirm your new e-mail address",
                "Somebody wants this address to become that of their Dashtam account. If it was you, confirm it:",
                (page, "Use this address", token),
                &format!("It works once, within {hours} hours. If it was not you, do nothing: without this step nothing changes."),
            )?,
            LetterContent::EmailChanged { page, token, days } => Self::action(
                "Your e-mail address was changed",
                "Another e-mail address took the place of this one at your Dashtam account. If it was you, there is nothing to do. If it was not:",
                (page, "Take my address back", token),
                &format!("It works once, within {days} days. Every session ends, and what was mailed to the other address opens nothing any more."),
            )?,
            LetterContent::EmailReverted => Self::notice(
                "Your e-mail address is back",
                "This address is that of your Dashtam account again, every session has ended, and other changes of address are void.",
                "If somebody else changed it, they knew your password: reset it now, before they sign in again.",
            )?,
            LetterContent::ErasureScheduled { page, token, hours } => Self::action(
                "Your account is going to be erased",
                &format!("Your Dashtam account will be erased in {hours} hours, with everything in it. Every session has ended. If you changed your mind:"),
                (page, "Keep my account", token),
                "It works until then. Banks have to be linked again. If it was not you who asked, keep the account and change your password.",
            )?,
            LetterContent::PasswordChanged => Self::notice(
                "Your password was changed",
                "The password of your Dashtam account is another one now, and other sessions have ended.",
                "If it was not you, reset your password at once: whoever did it knew the old one or reads your mail.",
            )?,
            LetterContent::SecondFactorEnabled => Self::notice(
                "Signing in takes a code from now on",
                "A second factor was enabled for your Dashtam account. Signing in takes a code of your device from now on, or one of your recovery codes.",
                "If it was not you, reset your password at once, and ask whoever runs this server to take the second factor away.",
            )?,
            LetterContent::SecondFactorDisabled => Self::notice(
                "Signing in takes no code any more",
                "The second factor of your Dashtam account is gone, and with it its recovery codes. Your password alone signs you in.",
                "If it was neither you nor somebody you asked, reset your password at once and enable a second factor again.",
            )?,
            LetterContent::RecoveryCodesReplaced => Self::notice(
                "Your recovery codes were replaced",
                "Your Dashtam account has new recovery codes. All earlier ones work no more.",
                "If it was not you, reset your password at once: whoever did it knew it, and had your device or a code.",
            )?,
            LetterContent::RecoveryCodeUsed => Self::notice(
                "A recovery code was used",
                "One of the recovery codes of your Dashtam account was used in place of your device. It works no more.",
                "If it was not you, reset your password at once and replace your recovery codes. If few are left, replace them too.",
            )?,
            LetterContent::CodesGuessed => Self::notice(
                "Somebody tries codes on your account",
                "Ten wrong codes were tried on your Dashtam account within an hour, so no code is accepted until that hour has passed.",
                "Only who knows your password is asked for a code. If it was not you, reset your password. You are told of this once a day at most.",
            )?,
            LetterContent::SignInPaused { minutes } => Self::notice(
                "Somebody tries passwords on your account",
                &format!("Wrong passwords were tried on your Dashtam account, so signing in with a password is paused for {minutes} minutes."),
                "Where you are signed in you stay signed in. If it was you, wait, or reset your password. You are told of this once a day at most.",
            )?,
            LetterContent::ConsentEnding { provider, ends_at } => Self::consent_ending(provider, *ends_at)?,
            LetterContent::LinkExpired { provider, has_ended } => Self::link_expired(provider, *has_ended)?,
            LetterContent::RefreshTokenReused => Self::notice(
                "One of your sessions was ended",
                "A token that renews a session of your Dashtam account was used twice, so somebody else may hold a copy of it. That session has ended.",
                "Sign in again on that device. If you see this more than once, look at your sessions, end those you do not know, and change your password.",
            )?,
        })
    }

    fn consent_ending(provider: &str, ends_at: Timestamp) -> anyhow::Result<Self> {
        let until = ends_at.utc().format("%-d %B %Y at %H:%M");
        Self::notice(
            "Link your bank again soon",
            &format!("Your consent that Dashtam reads {provider} for you ends on {until} UTC. Until then everything goes on."),
            "To go on after that, link it once more from your app, now or later. Your accounts and their history stay as they are.",
        )
    }

    fn link_expired(provider: &str, has_ended: bool) -> anyhow::Result<Self> {
        let subject = "Your bank is not read any more";
        if has_ended {
            return Self::notice(
                subject,
                &format!("Your consent that Dashtam reads {provider} for you has ended, as banks have it, so nothing new comes from there."),
                "Link it once more from your app to go on. Your accounts and their history stay as they are.",
            );
        }
        Self::notice(
            subject,
            &format!("{provider} no longer accepts what it once gave Dashtam to read it for you, so nothing new comes from there."),
            "Link it once more from your app to go on, unless you took your consent back. Your accounts and their history stay as they are.",
        )
    }

    fn action(subject: &'static str, what: &str, (page, button, token): (&SecretString, &str, &SecretString), next: &str) -> anyhow::Result<Self> {
        let (page, token) = (page.expose_secret(), token.expose_secret());
        Ok(Self { subject, text: ActionText { what, page, token, next }.render()?, html: ActionHtml { subject, what, page, button, next }.render()? })
    }

    fn notice(subject: &'static str, what: &str, next: &str) -> anyhow::Result<Self> {
        Ok(Self { subject, text: NoticeText { what, next }.render()?, html: NoticeHtml { subject, what, next }.render()? })
    }
}

/// The message of a letter. The same letter makes the same Message-ID each time, so that a repeated one can be told.
fn message(letter: &Letter, from: &Mailbox) -> anyhow::Result<Message> {
    let Words { subject, text, html } = Words::of(&letter.content)?;
    let text = as_written(&text)?;
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, letter.to.deliverable().parse()?))
        .date(letter.written_at.utc().into())
        .message_id(Some(format!("<{}@{}>", letter.id.0, from.email.domain())))
        .subject(subject)
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .multipart(MultiPart::alternative().singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text)).singlepart(SinglePart::html(html)))?;
    Ok(message)
}

/// A text that is sent as it is (7bit, RFC 2045, section 6.2). Left to itself the library cuts lines over 76 characters, which a page's
/// address with a token is.
fn as_written(text: &str) -> anyhow::Result<Body> {
    let fits = text.lines().all(|line| line.len() <= 998 && line.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
    anyhow::ensure!(fits, "the text of a mail is not ASCII, or a line of it is too long");
    let lines: String = text.lines().flat_map(|line| [line, "\r\n"]).collect();
    Ok(Body::dangerous_pre_encoded(lines.into_bytes(), ContentTransferEncoding::SevenBit))
}
