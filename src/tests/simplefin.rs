//! SimpleFIN: what is claimed, asked and read, against a bridge that speaks as the real one does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod adapter;
pub(crate) mod bridge;
mod claims;
mod engine;
mod rows;
mod standing;

use std::{sync::Arc, time::Duration};

use dashtam::{
    application::ports::{Credentials, FinancialProvider as _, Pasted, ProviderFault, ReportedAccounts, TransactionPage, Visit},
    domain::{
        provider::ReportedAccount,
        time::{Clock as _, LocalDate},
    },
    infrastructure::providers::{
        http::{Policy, outside::Reach},
        simplefin::{SimpleFinProvider, client::POLICY},
    },
};
use serde_json::{Value, json};

use crate::harness::{clock::TestClock, lines::line};
use bridge::Bridge;

/// Real but for its patience, over a clock that stands still at 2026-11-23T12:00:00Z.
fn provider(clock: &Arc<TestClock>) -> SimpleFinProvider {
    let policy = Policy { time_out: Duration::from_secs(5), pause: Duration::from_millis(2), reach: Reach::OutsideOrHere, ..POLICY };
    SimpleFinProvider::over(line(policy, clock.clone()), &["127.0.0.1".to_owned()]).unwrap()
}

/// A linked provider.
struct Linked {
    provider: SimpleFinProvider,
    credentials: Credentials,
    clock: Arc<TestClock>,
}

impl Linked {
    async fn to(bridge: &Bridge) -> Self {
        let clock = Arc::new(TestClock::new());
        let provider = provider(&clock);
        let credentials = provider.connect(&Pasted::SetupToken(bridge.token("first").into()), clock.now()).await.unwrap();
        Self { provider, credentials, clock }
    }

    async fn visit(&self) -> Box<dyn Visit> {
        self.provider.visit(&self.credentials, self.clock.now()).await.unwrap()
    }

    async fn accounts(&self) -> Result<ReportedAccounts, ProviderFault> {
        self.visit().await.accounts().await
    }

    /// What was posted in the last thirty days, of one account.
    async fn recent(&self, account: &ReportedAccount) -> TransactionPage {
        let today = self.clock.today();
        self.visit().await.transactions(account, today.plus_days(-30), today, None).await.unwrap()
    }
}

fn day(text: &str) -> LocalDate {
    LocalDate::parse(text).unwrap()
}

/// Seconds since 1970, of noon of a day.
fn noon(text: &str) -> i64 {
    day(text).naive().and_hms_opt(12, 0, 0).unwrap().and_utc().timestamp()
}

/// An account as the bridge tells of it.
pub(crate) fn account(connection: &str, id: &str, name: &str, rows: &[Value]) -> Value {
    json!({
        "id": id, "conn_id": connection, "name": name, "currency": "USD", "balance": "100.23", "available-balance": "75.23",
        "balance-date": noon("2026-11-22"), "transactions": rows,
    })
}

/// A row that was posted.
pub(crate) fn row(id: &str, on: &str, amount: &str) -> Value {
    json!({ "id": id, "posted": noon(on), "amount": amount, "description": format!("Row {id}") })
}
