//! The second factor, through the whole product: enrolling a device, signing in in two steps, and everything an attacker would try there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod codes;
mod enrolment;
mod guesses;
mod operator;
mod recovery;
mod secrets;
mod sign_in;
mod step_up;

use chrono::Duration;
use dashtam::domain::time::Clock as _;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::harness::{
    app::{PASSWORD, TestApp},
    client::{Answer, Client},
};

/// A device that was shown a secret.
struct Device(Vec<u8>);

impl Device {
    /// With the secret as it was shown.
    fn told(secret: &str) -> Self {
        Self(Secret::try_from_base32(secret).unwrap().as_ref().to_vec())
    }

    /// What it shows so many seconds from now.
    fn shows(&self, app: &TestApp, seconds: i64) -> String {
        let at = u64::try_from(app.store.clock.now().unix() + seconds).unwrap();
        Builder::new().with_secret(self.0.as_slice()).build().unwrap().generate(at).to_string()
    }

    /// Waits for the next code.
    fn next(&self, app: &TestApp) -> String {
        app.pass(Duration::seconds(30));
        self.shows(app, 0)
    }

    /// Six digits that no accepted step has.
    fn wrong(&self, app: &TestApp) -> String {
        let right: Vec<_> = [-30, 0, 30].iter().map(|seconds| self.shows(app, *seconds)).collect();
        ["111111", "222222", "333333", "444444"].into_iter().find(|code| !right.iter().any(|right| right == code)).unwrap().to_owned()
    }
}

/// Everything somebody has who signs in with a device.
struct Enrolled<'a> {
    client: Client<'a>,
    device: Device,
    recovery_codes: Vec<String>,
}

/// A signed-in user with a device, and with a proof that counts.
async fn enrolled<'a>(app: &'a TestApp, name: &str) -> Enrolled<'a> {
    let client = app.signed_in(name).await;
    prove(&client, None).await.succeeds();
    let device = begun(&client).await;
    let codes = confirm(&client, &device.shows(app, 0)).await.succeeds();
    Enrolled { client, device, recovery_codes: texts(&codes["recoveryCodes"]) }
}

/// Lets whoever is signed in add a device of theirs.
pub(crate) async fn enrol(app: &TestApp, client: &Client<'_>) {
    prove(client, None).await.succeeds();
    let device = begun(client).await;
    confirm(client, &device.shows(app, 0)).await.succeeds();
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn prove(client: &Client<'_>, code: Option<&str>) -> Answer {
    client.mutate("reauthenticate", "validUntil", json!({ "password": PASSWORD, "code": code })).await
}

async fn begin(client: &Client<'_>) -> Answer {
    client.ask("mutation { beginSecondFactor { enrolment { secret otpauthUrl qrCode expiresAt } userErrors { code message field } } }").await
}

/// A device that waits to be confirmed.
async fn begun(client: &Client<'_>) -> Device {
    Device::told(begin(client).await.succeeds()["enrolment"]["secret"].as_str().unwrap())
}

async fn confirm(client: &Client<'_>, code: &str) -> Answer {
    client.mutate("confirmSecondFactor", "recoveryCodes", json!({ "code": code })).await
}

async fn disable(client: &Client<'_>) -> Answer {
    client.ask("mutation { disableSecondFactor { disabled userErrors { code message field } } }").await
}

async fn regenerate(client: &Client<'_>) -> Answer {
    client.ask("mutation { regenerateRecoveryCodes { recoveryCodes userErrors { code message field } } }").await
}

/// The right password of a user with a device, and the challenge it brings.
async fn challenge(app: &TestApp, name: &str) -> String {
    challenge_for(app, name, PASSWORD).await
}

async fn challenge_for(app: &TestApp, name: &str, password: &str) -> String {
    let payload = app.nobody().sign_in(&TestApp::email(name), password).await.succeeds();
    for key in ["session", "accessToken", "refreshToken", "expiresIn"] {
        assert!(payload[key].is_null(), "{key} before the code: {payload}");
    }
    payload["challenge"]["token"].as_str().unwrap().to_owned()
}

async fn verify(client: &Client<'_>, challenge: &str, code: &str) -> Answer {
    client.mutate("verifySecondFactor", "session { id } accessToken refreshToken expiresIn", json!({ "challenge": challenge, "code": code })).await
}

/// What the viewer sees of their second factor.
async fn state(client: &Client<'_>) -> Value {
    client.ask("{ viewer { secondFactor { enabledAt recoveryCodesLeft } } }").await.data()["viewer"]["secondFactor"].clone()
}

/// How many outcomes of an act have this reason.
async fn failed(app: &TestApp, act: &str, reason: &str) -> usize {
    app.outcomes(act).await.iter().filter(|(outcome, why)| outcome == "failed" && why.as_deref() == Some(reason)).count()
}

/// How many outcomes of an act are good ones.
async fn succeeded(app: &TestApp, act: &str) -> usize {
    app.outcomes(act).await.iter().filter(|(outcome, _)| outcome == "succeeded").count()
}

/// The subjects of the mails that were delivered, latest first.
async fn subjects(app: &TestApp) -> Vec<String> {
    app.mails().await.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
}
