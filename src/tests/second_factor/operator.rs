//! The operator helps somebody in who has lost device and codes.

use dashtam::application::{access::Requester, second_factor::SecondFactorError};

use crate::harness::app::{PASSWORD, TestApp};

use super::{begun, challenge, enrolled, prove, state, subjects, verify};

#[tokio::test]
async fn the_operator_takes_a_second_factor_away_and_the_owner_is_told() {
    for app in TestApp::on_every_store().await {
        let (ann, bob) = (enrolled(&app, "ann").await, enrolled(&app, "bob").await);
        let token = challenge(&app, "ann").await;
        let operator = || Requester::command_line(None);
        let factors = &app.app.application.second_factors;
        let helped = factors.reset_for_operator(operator(), "Ann@Example.com").await.unwrap();
        assert_eq!(helped.email.written(), "ann@example.com");
        assert_eq!(app.last_outcome("reset_second_factor").await, ("succeeded".to_owned(), None));
        verify(&app.nobody(), &token, &ann.recovery_codes[0]).await.is_refused("CHALLENGE_INVALID");
        app.nobody().sign_in("ann@example.com", PASSWORD).await.succeeds();
        assert!(state(&ann.client).await.is_null(), "and the session goes on");
        assert_eq!(state(&bob.client).await["recoveryCodesLeft"], 10);
        assert_eq!(subjects(&app).await[0], "Signing in takes no code any more");

        assert!(matches!(factors.reset_for_operator(operator(), "ann@example.com").await, Err(SecondFactorError::NotEnabled)));
        assert!(matches!(factors.reset_for_operator(operator(), "nobody@example.com").await, Err(SecondFactorError::NotFound)));
        assert!(matches!(factors.reset_for_operator(operator(), "nonsense").await, Err(SecondFactorError::InvalidEmail(_))));
        prove(&ann.client, None).await.succeeds();
        begun(&ann.client).await;
        assert!(matches!(factors.reset_for_operator(operator(), "ann@example.com").await, Err(SecondFactorError::NotEnabled)), "pending is not enabled");
        let nobody = Requester { actor: dashtam::application::access::Actor::Nobody, ..operator() };
        assert!(matches!(factors.reset_for_operator(nobody, "bob@example.com").await, Err(SecondFactorError::Denied(_))));
        assert_eq!(state(&bob.client).await["recoveryCodesLeft"], 10);
        app.every_attempt_ended_once().await;
    }
}
