//! The adapter: what is asked of Alpaca, and how far back.

use std::collections::HashSet;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::{
    application::ports::{Credentials, FinancialProvider, Pasted, ProviderFault, ReportedAccounts, TransactionPage, Visit},
    domain::{
        provider::{LinkMethod, Manifest, ProviderCategory, ReportedAccount, Served},
        rate_limit::Budget,
        time::{LocalDate, Timestamp},
    },
    infrastructure::providers::{
        http::{self, Line, Policy},
        nulls::{OrEmpty, id_in},
    },
};

use super::mapping::{self, AccountRecord, Classes};

/// Where keys of live accounts belong.
const LIVE: &str = "https://api.alpaca.markets";

/// Where keys of paper accounts belong.
const PAPER: &str = "https://paper-api.alpaca.markets";

/// What keys of paper accounts begin with.
const PAPER_KEY: &str = "PK";

/// The most activities Alpaca puts on a page.
const PAGE_SIZE: &str = "100";

/// Corrections and dividends are booked days after the day they are of, so activities are read on for as many days before a window.
const LATE_DAYS: i64 = 30;

static MANIFEST: Manifest = Manifest {
    slug: "alpaca",
    name: "Alpaca",
    description: "Shares, options and coins at Alpaca, live or paper, by an API key that you make in its dashboard.",
    category: ProviderCategory::Brokerage,
    method: LinkMethod::ApiKey,
    serves: &[Served::Balances, Served::Transactions, Served::Holdings],
    documentation: Some("https://docs.alpaca.markets/docs/trading-api"),
    for_each_link: POLICY.for_each_link,
    for_everyone: POLICY.for_everyone,
    history_days: None,
    consent_days: None,
    fresh_days: 1,
};

/// What Alpaca bears: 200 requests a minute for each account.
pub const POLICY: Policy = Policy { for_each_link: Some(Budget { at_once: 100, come_back: 100, within_minutes: 1 }), ..Policy::USUAL };

/// Alpaca as a provider.
pub struct AlpacaProvider {
    live: Url,
    paper: Url,
    line: Line,
}

impl AlpacaProvider {
    /// What it is and does.
    pub fn manifest() -> &'static Manifest {
        &MANIFEST
    }

    /// At `base_url` for every key, or else at Alpaca's own addresses.
    pub fn new(base_url: Option<&Url>, line: Line) -> anyhow::Result<Self> {
        let at = |own: &str| base_url.cloned().map_or_else(|| Url::parse(own), Ok);
        Ok(Self { live: at(LIVE)?, paper: at(PAPER)?, line })
    }

    /// Opens the account of a key, and answers what Alpaca says of it. A key is tried at the other address only when the one it looks like it
    /// belongs to has refused it.
    async fn open(&self, key: &SecretString, secret: &SecretString) -> Result<(Door, AccountRecord), ProviderFault> {
        let mut addresses = vec![&self.live, &self.paper];
        if key.expose_secret().starts_with(PAPER_KEY) {
            addresses.reverse();
        }
        addresses.dedup();
        for address in addresses {
            let door = Door { base_url: address.clone(), line: self.line.clone(), key: key.clone(), secret: secret.clone() };
            match door.get(&["v2", "account"], &[]).await {
                Err(ProviderFault::Refused) => {}
                answer => return answer.map(|account| (door, account)),
            }
        }
        Err(ProviderFault::Refused)
    }
}

#[async_trait]
impl FinancialProvider for AlpacaProvider {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    async fn connect(&self, pasted: &Pasted, now: Timestamp) -> Result<Credentials, ProviderFault> {
        let Pasted::ApiKey { key, secret } = pasted else { return Err(ProviderFault::Refused) };
        let (_, account) = self.open(key, secret).await?;
        mapping::account(&account, &[], now).ok_or(ProviderFault::Malformed)?;
        Ok(Credentials::ApiKey { key: key.clone(), secret: secret.clone() })
    }

    async fn visit(&self, credentials: &Credentials, now: Timestamp) -> Result<Box<dyn Visit>, ProviderFault> {
        let Credentials::ApiKey { key, secret } = credentials else { return Err(ProviderFault::Refused) };
        let (door, account) = self.open(key, secret).await?;
        Ok(Box::new(AlpacaVisit { door, account, now, classes: Classes::default(), seen: HashSet::new() }))
    }
}

/// The API, opened by one key.
struct Door {
    base_url: Url,
    line: Line,
    key: SecretString,
    secret: SecretString,
}

impl Door {
    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, ProviderFault> {
        let mut url = self.base_url.clone();
        url.path_segments_mut().map_err(|()| ProviderFault::Unreachable)?.pop_if_empty().extend(path);
        let request = self.line.get(url).query(query);
        let request = request.header("APCA-API-KEY-ID", self.key.expose_secret()).header("APCA-API-SECRET-KEY", self.secret.expose_secret());
        http::json(&self.line, request.build().map_err(|_| ProviderFault::Refused)?).await
    }
}

/// One account while it is read.
struct AlpacaVisit {
    door: Door,
    account: AccountRecord,
    now: Timestamp,
    /// What is held, by symbol, since activities do not say what they are in.
    classes: Classes,
    /// Ids of activities read so far, since pages shift while they are read.
    seen: HashSet<String>,
}

#[async_trait]
impl Visit for AlpacaVisit {
    async fn accounts(&mut self) -> Result<ReportedAccounts, ProviderFault> {
        let OrEmpty(positions): OrEmpty<Vec<serde_json::Value>> = self.door.get(&["v2", "positions"], &[]).await?;
        self.classes = mapping::classes(&positions);
        let account = mapping::account(&self.account, &positions, self.now).ok_or(ProviderFault::Malformed)?;
        Ok(ReportedAccounts::all(vec![account]))
    }

    async fn transactions(&mut self, account: &ReportedAccount, from: LocalDate, to: LocalDate, page: Option<&str>) -> Result<TransactionPage, ProviderFault> {
        if page.is_none() {
            self.seen.clear();
        }
        let mut query = vec![("direction", "desc"), ("page_size", PAGE_SIZE)];
        query.extend(page.map(|last| ("page_token", last)));
        let OrEmpty(rows): OrEmpty<Vec<Value>> = self.door.get(&["v2", "account", "activities"], &query).await?;
        // Rows are read one by one, so that a broken one spoils none of the others; but without ids there is no way on.
        let ids: Vec<String> = rows.iter().filter_map(|row| row.get("id")?.as_str()).map(str::to_owned).collect();
        let (Some(last), false) = (ids.last(), rows.is_empty()) else {
            return if rows.is_empty() { Ok(TransactionPage::default()) } else { Err(ProviderFault::Malformed) };
        };
        let known = self.seen.len();
        self.seen.extend(ids.iter().cloned());
        // A page of nothing but rows that were read before leads round in a circle.
        if self.seen.len() == known {
            return Err(ProviderFault::Malformed);
        }
        let mut answer = TransactionPage { next: Some(last.clone()), ..TransactionPage::default() };
        let mut days = Vec::new();
        for row in rows {
            let id = id_in(&row, "id");
            match mapping::transaction(row, account, &self.classes) {
                Some(transaction) => {
                    days.push(transaction.facts.posted_on);
                    answer.transactions.push(transaction);
                }
                None => answer.refuse(id),
            }
        }
        // Only newest first says that everything behind is older still.
        let comes_newest_first = days.first() > days.last();
        if comes_newest_first && days.iter().all(|day| *day < from.plus_days(-LATE_DAYS)) {
            answer.next = None;
        }
        answer.transactions.retain(|row| (from..=to).contains(&row.facts.posted_on));
        Ok(answer)
    }
}
