//! Second factors in the graph: enrolling a device, recovery codes, and giving both up.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    application::{
        access::Resource,
        second_factor::{ConfirmSecondFactor, Enrolment},
    },
    domain::{audit::Act, second_factor::SecondFactorState},
};

use super::{
    ContextExt,
    error::{Fault, UserError, outcome},
    guard::Allow,
    scalar::DateTime,
};

/// What signing in takes beside the password.
#[derive(SimpleObject)]
#[graphql(name = "SecondFactor", serial, guard = Allow::read(Resource::Security))]
pub struct SecondFactorNode {
    /// Since when signing in takes a code.
    enabled_at: DateTime,
    /// How many recovery codes are unused. When few are left, `regenerateRecoveryCodes` makes ten new ones.
    recovery_codes_left: u32,
}

impl From<SecondFactorState> for SecondFactorNode {
    fn from(state: SecondFactorState) -> Self {
        Self { enabled_at: DateTime(state.enabled_at), recovery_codes_left: state.recovery_codes_left }
    }
}

/// A secret that waits for the first code of the device it is shown to.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::BeginSecondFactor))]
pub struct SecondFactorEnrolment {
    /// The secret in base 32, to be typed into an authenticator app by hand. It is shown this once.
    secret: String,
    /// The same as an `otpauth://` URL, which an app on the same device opens.
    otpauth_url: String,
    /// The same as an image to be scanned: a `data:` URI of an SVG drawing, fit for the `src` of an `<img>`.
    qr_code: String,
    /// When it is void, unless `confirmSecondFactor` comes before: ten minutes from now.
    expires_at: DateTime,
}

impl From<Enrolment> for SecondFactorEnrolment {
    fn from(Enrolment { handed_over, expires_at }: Enrolment) -> Self {
        Self {
            secret: handed_over.secret.expose_secret().to_owned(),
            otpauth_url: handed_over.url.expose_secret().to_owned(),
            qr_code: handed_over.qr_code.expose_secret().to_owned(),
            expires_at: DateTime(expires_at),
        }
    }
}

/// Confirming a second factor.
#[derive(InputObject)]
pub struct ConfirmSecondFactorInput {
    /// The six digits the device shows now. Spaces do not count.
    code: String,
}

/// A secret for a device, or why there is none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::BeginSecondFactor))]
pub struct BeginSecondFactorPayload {
    /// What the device has to know; null when nothing was begun.
    enrolment: Option<SecondFactorEnrolment>,
    /// Why nothing was begun; empty when something was.
    user_errors: Vec<UserError>,
}

/// Recovery codes of a second factor that counts now, or why it does not.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::ConfirmSecondFactor))]
pub struct ConfirmSecondFactorPayload {
    /// Ten codes, each good once in place of the device. They are shown this once: the user writes them down. Null when nothing was enabled.
    recovery_codes: Option<Vec<String>>,
    /// Why nothing was enabled; empty when it was.
    user_errors: Vec<UserError>,
}

/// Whether a second factor was taken away.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::DisableSecondFactor))]
pub struct DisableSecondFactorPayload {
    /// True when signing in takes no code any more.
    disabled: bool,
    /// Why it still does; empty when it does not.
    user_errors: Vec<UserError>,
}

/// Other recovery codes, or why there are none.
#[derive(SimpleObject)]
#[graphql(serial, guard = Allow::attempt(Act::RegenerateRecoveryCodes))]
pub struct RegenerateRecoveryCodesPayload {
    /// Ten codes, each good once in place of the device. They are shown this once, and all earlier ones are void. Null when nothing was replaced.
    recovery_codes: Option<Vec<String>>,
    /// Why nothing was replaced; empty when it was.
    user_errors: Vec<UserError>,
}

/// Changes second factors.
#[derive(Default)]
pub struct SecondFactorMutation;

#[Object(serial)]
impl SecondFactorMutation {
    /// Makes a secret for an authenticator app (TOTP, RFC 6238: SHA-1, six digits, thirty seconds). Signing in does not ask for it before
    /// `confirmSecondFactor`. It takes the place of an earlier one that waits. Needs a proof (`reauthenticate`).
    #[graphql(guard = Allow::attempt(Act::BeginSecondFactor))]
    async fn begin_second_factor(&self, ctx: &Context<'_>) -> Result<BeginSecondFactorPayload, Fault> {
        let request = ctx.of_request()?;
        let (enrolment, user_errors) = outcome(request.application.second_factors.begin(request.requester.clone()).await)?;
        Ok(BeginSecondFactorPayload { enrolment: enrolment.map(Into::into), user_errors })
    }

    /// Enables the second factor that was begun, by the first code of its device. From now on signing in takes a code. Needs a proof
    /// (`reauthenticate`).
    #[graphql(guard = Allow::attempt(Act::ConfirmSecondFactor))]
    async fn confirm_second_factor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first code.")] input: ConfirmSecondFactorInput,
    ) -> Result<ConfirmSecondFactorPayload, Fault> {
        let request = ctx.of_request()?;
        let command = ConfirmSecondFactor { requester: request.requester.clone(), code: input.code.into() };
        let (codes, user_errors) = outcome(request.application.second_factors.confirm(command).await)?;
        Ok(ConfirmSecondFactorPayload { recovery_codes: codes.as_deref().map(shown), user_errors })
    }

    /// Takes one's second factor away, with its recovery codes and with sign-ins that wait for a code. Needs a proof (`reauthenticate`).
    #[graphql(guard = Allow::attempt(Act::DisableSecondFactor))]
    async fn disable_second_factor(&self, ctx: &Context<'_>) -> Result<DisableSecondFactorPayload, Fault> {
        let request = ctx.of_request()?;
        let (done, user_errors) = outcome(request.application.second_factors.disable(request.requester.clone()).await)?;
        Ok(DisableSecondFactorPayload { disabled: done.is_some(), user_errors })
    }

    /// Makes ten new recovery codes; all earlier ones are void. Needs a proof (`reauthenticate`).
    #[graphql(guard = Allow::attempt(Act::RegenerateRecoveryCodes))]
    async fn regenerate_recovery_codes(&self, ctx: &Context<'_>) -> Result<RegenerateRecoveryCodesPayload, Fault> {
        let request = ctx.of_request()?;
        let (codes, user_errors) = outcome(request.application.second_factors.regenerate(request.requester.clone()).await)?;
        Ok(RegenerateRecoveryCodesPayload { recovery_codes: codes.as_deref().map(shown), user_errors })
    }
}

fn shown(codes: &[SecretString]) -> Vec<String> {
    codes.iter().map(|code| code.expose_secret().to_owned()).collect()
}
