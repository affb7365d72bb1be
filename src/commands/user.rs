//! `dashtam user`: the first users, who is an administrator, and who has lost their second factor.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use clap::{Subcommand, ValueEnum};

use crate::{
    app::{App, MadeUpKeys, secret},
    application::{
        access::Requester,
        export::FetchExport,
        user::{AssignRole, ChangeAccess, CreateUser, Whom},
    },
    config::{Config, Environment},
    domain::user,
};

use super::say;

/// Makes and changes users.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  \
    dashtam user create ann@example.com --role admin\n  \
    dashtam user create bob@example.com --password-stdin < password.txt\n  \
    dashtam user promote bob@example.com\n  \
    dashtam user unlock bob@example.com\n  \
    dashtam user reset-second-factor bob@example.com\n  \
    dashtam user export bob@example.com --output bob.zip")]
pub(super) enum User {
    /// Make a user who can sign in at once; a password is made and shown unless one is given
    #[command(after_help = "Examples:\n  \
        dashtam user create ann@example.com --role admin\n  \
        dashtam user create bob@example.com --password-stdin < password.txt")]
    Create {
        /// The address to sign in with
        email: String,
        /// What they may do
        #[arg(long, value_enum, default_value_t = Role::User)]
        role: Role,
        /// How many live sessions they may have: 2, 3, 5, 10, or as many as wanted
        #[arg(long, value_enum, default_value_t = Tier::Basic)]
        tier: Tier,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give a user another role
    #[command(after_help = "Examples:\n  \
        dashtam user promote bob@example.com\n  \
        dashtam user promote bob@example.com --role readonly")]
    Promote {
        /// Whom
        email: String,
        /// The new role
        #[arg(long, value_enum, default_value_t = Role::Admin)]
        role: Role,
    },
    /// Write everything kept about a user into one ZIP archive, as `exportMyData` does for themselves
    #[command(after_help = "Examples:\n  \
        dashtam user export bob@example.com --output bob.zip\n\n\
        The file is readable by you alone, and must not be there yet. That it was made is on the audit trail, where the user sees it.")]
    Export {
        /// Whose
        email: String,
        /// Where it is written
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Take the second factor of a user away who has lost device and recovery codes; they are told by mail, and their sessions go on
    #[command(after_help = "Make sure first that it is them who ask: their password alone signs in afterwards.\n\n\
        Examples:\n  dashtam user reset-second-factor bob@example.com")]
    ResetSecondFactor {
        /// Whom
        email: String,
    },
    /// End a pause of somebody's sign-in that wrong passwords brought about
    #[command(after_help = "Examples:\n  \
        dashtam user unlock bob@example.com")]
    Unlock {
        /// Whom
        email: String,
    },
    /// Keep a user out: no sign-in, and every session ends
    #[command(after_help = "Examples:\n  \
        dashtam user deactivate bob@example.com")]
    Deactivate {
        /// Whom
        email: String,
    },
    /// Let a user in again who was kept out
    #[command(after_help = "Examples:\n  \
        dashtam user reactivate bob@example.com")]
    Reactivate {
        /// Whom
        email: String,
    },
}

/// The tiers, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Tier {
    /// Two live sessions
    Basic,
    /// Three
    Essential,
    /// Five
    Plus,
    /// Ten
    Premium,
    /// As many as wanted
    Pro,
}

impl From<Tier> for user::SessionTier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Basic => Self::Basic,
            Tier::Essential => Self::Essential,
            Tier::Plus => Self::Plus,
            Tier::Premium => Self::Premium,
            Tier::Pro => Self::Pro,
        }
    }
}

/// The roles, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Administers users, sessions and security
    Admin,
    /// Links banks and reads what is theirs
    User,
    /// Only reads what is theirs
    Readonly,
}

impl From<Role> for user::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::User => Self::User,
            Role::Readonly => Self::Readonly,
        }
    }
}

impl User {
    pub(super) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let app = App::open(config, config.bind, beside_a_server(config)).await?;
        let requester = Requester::command_line(None);
        match self {
            Self::Create { email, role, tier, password_stdin } => {
                let given = password_stdin.then(first_line).transpose()?;
                let password = given.clone().unwrap_or_else(made_up_password);
                let user =
                    app.application.users.create(CreateUser { requester, email, password: password.clone(), role: role.into(), tier: tier.into() }).await?;
                say(&format!("made {} ({})", user.email.written(), user.role.as_str()))?;
                if given.is_none() {
                    say(&format!("password: {password}"))?;
                }
            }
            Self::Export { email, output } => {
                let owner = app.application.user_queries.find_any_for_operator(&email).await?;
                // Before anything is read: who mistypes a path need not wait for it.
                let mut options = File::options();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let mut file = options.open(&output).with_context(|| format!("{} cannot be made; a file that is there stays as it is", output.display()))?;
                let fetched = app.application.rights.exports.fetch(FetchExport { requester: Requester::command_line(Some(owner.id)), export: None }).await;
                let written = fetched.map_err(anyhow::Error::from).and_then(|mut packed| {
                    let bytes = io::copy(&mut packed.file, &mut file)?;
                    file.sync_all()?;
                    Ok((packed.rows, bytes))
                });
                if written.is_err() {
                    // Half an archive helps nobody.
                    let _left = std::fs::remove_file(&output);
                }
                let (rows, bytes) = written.with_context(|| format!("{} was not written", output.display()))?;
                say(&format!("{}: {rows} rows of {}, {bytes} bytes", output.display(), owner.email.written()))?;
            }
            Self::Promote { email, role } => {
                let user = app.application.users.assign_role(AssignRole { requester, user: Whom::Address(email), role: role.into() }).await?;
                say(&format!("{} is {} now", user.email.written(), user.role.as_str()))?;
            }
            Self::ResetSecondFactor { email } => {
                let user = app.application.second_factors.reset_for_operator(requester, &email).await?;
                say(&format!("{} signs in without a code now", user.email.written()))?;
            }
            Self::Unlock { email } => {
                let user = app.application.users.unlock(ChangeAccess { requester, user: Whom::Address(email) }).await?;
                say(&format!("{} can sign in with a password again", user.email.written()))?;
            }
            Self::Deactivate { email } => {
                let user = app.application.users.deactivate(ChangeAccess { requester, user: Whom::Address(email) }).await?;
                say(&format!("{} is kept out, and every session has ended", user.email.written()))?;
            }
            Self::Reactivate { email } => {
                let user = app.application.users.reactivate(ChangeAccess { requester, user: Whom::Address(email) }).await?;
                say(&format!("{} can sign in again", user.email.written()))?;
            }
        }
        app.leave().await;
        Ok(())
    }
}

/// Commands use the keys a development server has made, and make some themselves only in development.
pub(super) fn beside_a_server(config: &Config) -> MadeUpKeys {
    match config.environment {
        Environment::Production => MadeUpKeys::Use,
        Environment::Development => MadeUpKeys::Make,
    }
}

/// 24 characters nobody can guess.
pub(super) fn made_up_password() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&secret()[..18])
}

fn first_line() -> anyhow::Result<String> {
    let mut input = String::new();
    std::io::stdin().take(4096).read_to_string(&mut input).context("the password cannot be read from standard input")?;
    Ok(input.lines().next().unwrap_or_default().to_owned())
}
