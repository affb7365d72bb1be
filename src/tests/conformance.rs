//! What every adapter does alike, whichever provider it speaks to: it reads to the end, names each failure, repeats only what is safe, panics
//! over no answer, and tells the log nothing. A new adapter adds itself to [`adapters`].
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod alike;
mod days;
mod masking;
mod stand_in;

use std::{sync::Arc, time::Duration};

use dashtam::{
    application::ports::{Credentials, FinancialProvider, ProviderFault, Tokens},
    domain::time::Clock as _,
    infrastructure::providers::{
        alpaca::AlpacaProvider,
        http::{Line, Policy, outside::Reach},
        sandbox::{SandboxProvider, authorization::CLIENT_ID},
        schwab::SchwabProvider,
        simplefin::SimpleFinProvider,
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::{
    clock::TestClock,
    lines::{QUICK, line},
};
use stand_in::StandIn;

/// One adapter before a stand-in that answers as its provider does.
struct Adapter {
    name: &'static str,
    provider: Box<dyn FinancialProvider>,
    credentials: Credentials,
    stand_in: StandIn,
    clock: Arc<TestClock>,
}

/// All rows of all accounts.
struct Everything {
    accounts: usize,
    rows: usize,
    refused: u32,
}

impl Adapter {
    /// Reads all there is of the last thirty days, as a sync does.
    async fn read(&self) -> Result<Everything, ProviderFault> {
        let (now, today) = (self.clock.now(), self.clock.today());
        let mut visit = self.provider.visit(&self.credentials, now).await?;
        let reported = visit.accounts().await?;
        let mut everything = Everything { accounts: reported.accounts.len(), rows: 0, refused: 0 };
        for account in &reported.accounts {
            let mut page: Option<String> = None;
            for _ in 0..20 {
                let answer = visit.transactions(account, today.plus_days(-30), today, page.as_deref()).await?;
                everything.rows += answer.transactions.len();
                everything.refused += answer.refused;
                page = answer.next;
                if page.is_none() {
                    break;
                }
            }
            assert_eq!(page, None, "{} never comes to an end", self.name);
        }
        Ok(everything)
    }
}

/// A line that is as quick as a test wants, and a circuit that has seen nothing.
fn quick(clock: &Arc<TestClock>) -> Line {
    line(Policy { time_out: Duration::from_secs(5), reach: Reach::OutsideOrHere, ..QUICK }, clock.clone())
}

/// Every adapter there is, each with a line of its own.
async fn adapters() -> Vec<Adapter> {
    let clock = Arc::new(TestClock::new());
    let secret = || SecretString::from("canary-credential");
    let tokens = || {
        let access_expires_at = clock.now().plus(chrono::Duration::minutes(30));
        Credentials::Oauth(Tokens { access_token: secret(), refresh_token: secret(), access_expires_at, consent_expires_at: None })
    };
    let mut adapters = Vec::new();

    let stand_in = StandIn::saying(sandbox).await;
    let provider = Box::new(SandboxProvider::new(stand_in.url.clone(), CLIENT_ID, &secret(), quick(&clock)).unwrap());
    adapters.push(Adapter { name: "sandbox", provider, credentials: tokens(), stand_in, clock: clock.clone() });

    let stand_in = StandIn::saying(simplefin).await;
    let access = stand_in.url.as_str().replace("http://", "http://user:canary-credential@") + "simplefin";
    let provider = Box::new(SimpleFinProvider::over(quick(&clock), &["127.0.0.1".to_owned()]).unwrap());
    adapters.push(Adapter { name: "simplefin", provider, credentials: Credentials::AccessUrl(access.into()), stand_in, clock: clock.clone() });

    let stand_in = StandIn::saying(alpaca).await;
    let provider = Box::new(AlpacaProvider::new(Some(&stand_in.url), quick(&clock)).unwrap());
    let credentials = Credentials::ApiKey { key: secret(), secret: secret() };
    adapters.push(Adapter { name: "alpaca", provider, credentials, stand_in, clock: clock.clone() });

    let stand_in = StandIn::saying(schwab).await;
    let provider = Box::new(SchwabProvider::new(Some(&stand_in.url), "an-app", &secret(), quick(&clock)).unwrap());
    adapters.push(Adapter { name: "schwab", provider, credentials: tokens(), stand_in, clock: clock.clone() });
    adapters
}

fn sandbox(path: &str, _: &str) -> Option<Value> {
    Some(match path {
        "/accounts" => json!({ "accounts": [{
            "id": "canary-account", "institution": "Canary Bank", "name": "Canary Checking", "type": "DDA", "number": "4111111111111111", "currency": "USD",
            "status": "open", "balances": { "current": "10.00", "available": "9.00", "limit": null, "as_of": "2026-11-22T12:00:00Z" },
        }] }),
        "/accounts/canary-account/transactions" => json!({ "transactions": [{
            "id": "canary-row", "status": "booked", "date": "2026-11-20", "code": "POS", "amount": "-1.25", "description": "Canary Shop",
        }], "next": null }),
        _ => return None,
    })
}

fn simplefin(path: &str, _: &str) -> Option<Value> {
    (path == "/simplefin/accounts").then(|| {
        json!({
            "errlist": [], "connections": [{ "conn_id": "canary-connection", "name": "Canary", "org_name": "Canary Bank" }],
            "accounts": [{
                "id": "canary-account", "conn_id": "canary-connection", "name": "Canary Checking 4111111111111111", "currency": "USD", "balance": "10.00",
                "available-balance": "9.00", "balance-date": 1_795_348_800,
                "transactions": [{ "id": "canary-row", "posted": 1_795_176_000, "amount": "-1.25", "description": "Canary Shop" }],
                "holdings": [{ "id": "canary-holding", "symbol": "VTI", "shares": "1.5", "market_value": "300.00", "cost_basis": "200.00" }],
            }],
        })
    })
}

fn alpaca(path: &str, query: &str) -> Option<Value> {
    Some(match path {
        "/v2/account" => json!({
            "id": "canary-account", "account_number": "4111111111111111", "status": "ACTIVE", "currency": "USD", "cash": "10.00", "equity": "310.00",
            "portfolio_value": "310.00", "created_at": "2019-06-12T22:47:07.99658Z",
        }),
        "/v2/account/activities" if query.contains("page_token") => json!([]),
        "/v2/account/activities" => json!([{
            "id": "20261120000000000::canary-row", "activity_type": "DIV", "date": "2026-11-20", "net_amount": "1.25", "symbol": "VTI", "qty": "2", "per_share_amount": "0.625",
            "description": "Canary dividend",
        }]),
        "/v2/positions" => json!([]),
        _ => return None,
    })
}

fn schwab(path: &str, _: &str) -> Option<Value> {
    Some(match path {
        "/trader/v1/accounts/accountNumbers" => json!([{ "accountNumber": "4111111111111111", "hashValue": "CANARYHASH" }]),
        "/trader/v1/accounts" => json!([{ "securitiesAccount": {
            "type": "MARGIN", "accountNumber": "4111111111111111", "isClosingOnlyRestricted": false, "positions": [], "initialBalances": {},
            "currentBalances": { "liquidationValue": 310.5, "cashBalance": 10.5, "availableFunds": 9.5 }, "projectedBalances": {},
        } }]),
        "/trader/v1/userPreference" => json!({ "accounts": [{ "accountNumber": "4111111111111111", "type": "BROKERAGE", "nickName": "Canary nest egg" }] }),
        "/trader/v1/accounts/CANARYHASH/transactions" => json!([{
            "activityId": 1, "time": "2026-11-20T15:23:16+0000", "type": "ACH_RECEIPT", "status": "VALID", "description": "Canary payroll", "netAmount": 1.25, "transferItems": [],
        }]),
        _ => return None,
    })
}
