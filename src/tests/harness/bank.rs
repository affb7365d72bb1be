//! A bank that does as a test says: the provider `scripted`.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dashtam::{
    application::ports::{
        Credentials, FinancialProvider, OauthDoor, Pasted, ProviderFault, ReportedAccounts, Revocation, Tokens, TransactionPage, Visit, Walk,
    },
    domain::{
        account::{AccountType, MaskedNumber},
        balance::Balances,
        holding::ReportedHolding,
        money::{Amount, Currency, Money, Quantity},
        provider::{AccountReference, LinkMethod, Manifest, ProviderCategory, ReportedAccount, ReportedTransaction, Served},
        time::{LocalDate, Timestamp},
        transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype},
    },
};
use secrecy::ExposeSecret as _;
use tokio::sync::Notify;

const MANIFEST: Manifest = Manifest {
    slug: "scripted",
    name: "Scripted <b>Bank</b>",
    description: "A bank that does as a test says.",
    category: ProviderCategory::Bank,
    method: LinkMethod::Oauth,
    serves: &[Served::Balances, Served::Transactions, Served::Holdings],
    documentation: Some("https://bank.example/docs"),
    for_each_link: None,
    for_everyone: None,
    history_days: Some(730),
    consent_days: Some(90),
    fresh_days: 1,
};

const BY_KEY: Manifest = Manifest { slug: "keyed", name: "Keyed Broker", method: LinkMethod::ApiKey, consent_days: None, ..MANIFEST };

const BY_TOKEN: Manifest = Manifest { slug: "tokened", name: "Tokened Bridge", method: LinkMethod::SetupToken, consent_days: None, ..MANIFEST };

/// What the bank does next; tests change it as they go.
#[derive(Default)]
pub(crate) struct Script {
    /// Refuses the next exchanges.
    pub(crate) exchange: Option<ProviderFault>,
    /// Refuses the next refreshes.
    pub(crate) refresh: Option<ProviderFault>,
    /// Refuses to list accounts.
    pub(crate) accounts_fault: Option<ProviderFault>,
    /// Refuses the page of transactions of that number, counted from 0 over all accounts.
    pub(crate) page_fault: Option<(usize, ProviderFault)>,
    /// The accounts there are, with all their transactions.
    pub(crate) accounts: Vec<(ReportedAccount, Vec<ReportedTransaction>)>,
    /// Rows a page; 0 means all on one.
    pub(crate) page_size: usize,
    /// Leaves accounts out, and says so.
    pub(crate) hides_accounts: bool,
    /// Accounts that do not answer for their transactions.
    pub(crate) unanswering: Vec<String>,
    /// Accounts whose transactions it does not tell, and why.
    pub(crate) faulty: Vec<(String, ProviderFault)>,
    /// Tells of what is pending like of what is posted: of the days it is asked for alone.
    pub(crate) pending_by_day: bool,
    /// Rows it pretends not to be able to map.
    pub(crate) refused: u32,
    /// What of those has an id.
    pub(crate) refused_ids: Vec<String>,
    /// Codes exchanged so far.
    pub(crate) exchanges: Vec<String>,
    /// Refreshes made so far.
    pub(crate) refreshes: usize,
    /// Refresh tokens it was told are void.
    pub(crate) revoked: Vec<String>,
    /// Refuses to be told.
    pub(crate) revoke_fault: Option<ProviderFault>,
    /// Windows asked for so far.
    pub(crate) windows: Vec<(LocalDate, LocalDate)>,
    /// Pages served so far.
    pub(crate) pages: usize,
    /// Keeps whoever asks for the page of that number waiting, once.
    pub(crate) hold_page: Option<(usize, Arc<Gate>)>,
    /// Refuses the next keys and setup tokens.
    pub(crate) connect: Option<ProviderFault>,
    /// Keys and setup tokens it was asked about so far.
    pub(crate) connects: Vec<String>,
    /// Keeps whoever brings a key or a setup token waiting, once.
    pub(crate) hold_connect: Option<Arc<Gate>>,
    /// Keeps whoever exchanges a code waiting, once.
    pub(crate) hold_exchange: Option<Arc<Gate>>,
    /// Keeps whoever renews tokens waiting for the answer, once.
    pub(crate) hold_refresh: Option<Arc<Gate>>,
    /// The refresh token it gave last. With it no other is taken.
    pub(crate) rotates: Option<String>,
    /// How long consents last, if not 90 days.
    pub(crate) consent: Option<chrono::Duration>,
}

/// Where the product waits until the test lets it go on.
#[derive(Default)]
pub(crate) struct Gate {
    reached: Notify,
    opened: Notify,
}

impl Gate {
    /// Waits until the product stands before it.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the product go on.
    pub(crate) fn open(&self) {
        self.opened.notify_one();
    }

    async fn pass(&self) {
        self.reached.notify_one();
        self.opened.notified().await;
    }
}

/// The bank.
#[derive(Default)]
pub(crate) struct ScriptedBank(Arc<Mutex<Script>>);

impl ScriptedBank {
    /// Reads or changes what it does.
    pub(crate) fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        ScriptedVisit(self.0.clone()).script(change)
    }

    /// Replaces all there is by one account with these transactions.
    pub(crate) fn reports(&self, transactions: Vec<ReportedTransaction>) {
        self.script(|script| script.accounts = vec![(reported_account("1234567890", 10_000), transactions)]);
    }

    /// The windows asked for since the last time.
    pub(crate) fn windows(&self) -> Vec<(String, String)> {
        let windows = self.script(|script| std::mem::take(&mut script.windows));
        windows.into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect()
    }

    /// Keeps whoever asks for the page of that number, counted from now, waiting before the gate.
    pub(crate) fn hold_page(&self, number: usize) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.script(|script| script.hold_page = Some((script.pages + number, gate.clone())));
        gate
    }

    /// Keeps whoever exchanges the next code waiting before the gate.
    pub(crate) fn hold_exchange(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.script(|script| script.hold_exchange = Some(gate.clone()));
        gate
    }

    /// Keeps whoever has tokens renewed next waiting for the answer, once the older ones are void.
    pub(crate) fn hold_refresh(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.script(|script| script.hold_refresh = Some(gate.clone()));
        gate
    }

    /// Keeps whoever brings the next key or setup token waiting before the gate.
    pub(crate) fn hold_connect(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.script(|script| script.hold_connect = Some(gate.clone()));
        gate
    }

    /// The same bank, linked by keys (`keyed`) and by setup tokens (`tokened`).
    pub(crate) fn by_hand(&self) -> [ByHand; 2] {
        [&BY_KEY, &BY_TOKEN].map(|manifest| ByHand { manifest, visit: ScriptedVisit(self.0.clone()) })
    }

    /// Refuses the page of that number, counted from now.
    pub(crate) fn refuse_page(&self, number: usize, fault: ProviderFault) {
        self.script(|script| script.page_fault = Some((script.pages + number, fault)));
    }
}

/// A posted purchase as the bank reports it, in cents.
pub(crate) fn posted(reference: &str, day: &str, cents: i64, description: &str) -> ReportedTransaction {
    let facts = TransactionFacts {
        amount: Amount::from_units(cents * 100).unwrap(),
        subtype: TransactionSubtype::Purchase,
        status: TransactionStatus::Posted,
        posted_on: LocalDate::parse(day).unwrap(),
        authorized_on: None,
        occurred_at: None,
        description: description.to_owned(),
        merchant_name: None,
        category: None,
        security: None,
        quantity: None,
        unit_price: None,
        fees: None,
    };
    ReportedTransaction { reference: Some(reference.to_owned()), replaces: Vec::new(), facts, line: None }
}

/// The same while it is pending.
pub(crate) fn pending(reference: &str, day: &str, cents: i64, description: &str) -> ReportedTransaction {
    let mut row = posted(reference, day, cents, description);
    row.facts.status = TransactionStatus::Pending;
    row
}

/// An account of the bank, with a balance in cents.
pub(crate) fn reported_account(reference: &str, cents: i64) -> ReportedAccount {
    ReportedAccount {
        reference: AccountReference::new(reference),
        institution: None,
        name: format!("Account {reference}"),
        kind: AccountType::Checking,
        masked_number: MaskedNumber::cut(reference),
        currency: Currency::parse("USD").unwrap(),
        balances: Balances { current: Some(Amount::from_units(cents * 100).unwrap()), ..Balances::default() },
        is_active: true,
        holdings: None,
        unread_holdings: Vec::new(),
    }
}

/// A position in dollars as a bank might report it, worth `value` and paid `cost` for.
pub(crate) fn position(symbol: &str, quantity: &str, value: &str, cost: &str) -> ReportedHolding {
    let usd = Currency::parse("USD").unwrap();
    let amount = |text: &str| Amount::parse(text, &usd).unwrap();
    ReportedHolding {
        reference: None,
        security: Security { symbol: symbol.to_owned(), name: Some(format!("{symbol} Incorporated")), asset_type: AssetType::Equity },
        cusip: None,
        isin: None,
        quantity: Quantity::parse(quantity).unwrap(),
        currency: usd.clone(),
        price: Some(Quantity::parse("12.3456789012").unwrap()),
        market_value: Some(amount(value)),
        cost_basis: Some(Money { amount: amount(cost), currency: usd.clone() }),
        as_of: None,
    }
}

#[async_trait]
impl FinancialProvider for ScriptedBank {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    fn oauth(&self) -> Option<&dyn OauthDoor> {
        Some(self)
    }

    async fn revoke(&self, credentials: &Credentials) -> Result<Revocation, ProviderFault> {
        let Credentials::Oauth(tokens) = credentials else { return Err(ProviderFault::Refused) };
        self.script(|script| {
            script.revoked.push(tokens.refresh_token.expose_secret().to_owned());
            script.revoke_fault.map_or(Ok(Revocation::Told), Err)
        })
    }

    async fn visit(&self, _: &Credentials, _: Timestamp) -> Result<Box<dyn Visit>, ProviderFault> {
        Ok(Box::new(ScriptedVisit(self.0.clone())))
    }
}

#[async_trait]
impl OauthDoor for ScriptedBank {
    fn issuer(&self) -> Option<String> {
        Some("https://bank.example".to_owned())
    }

    fn authorization_url(&self, walk: &Walk) -> anyhow::Result<String> {
        let mut url = url::Url::parse("https://bank.example/authorize")?;
        url.query_pairs_mut().append_pair("state", walk.state.expose_secret()).append_pair("redirect_uri", &walk.redirect_uri);
        Ok(url.into())
    }

    async fn exchange(&self, code: &str, _: &Walk, now: Timestamp) -> Result<Tokens, ProviderFault> {
        let gate = self.script(|script| script.hold_exchange.take());
        if let Some(gate) = gate {
            gate.pass().await;
        }
        self.script(|script| {
            script.exchanges.push(code.to_owned());
            script.exchange.map_or_else(|| Ok(tokens("first", now.plus(script.consent.unwrap_or(CONSENT)), now)), Err)
        })
    }

    async fn refresh(&self, old: &Tokens, now: Timestamp) -> Result<Tokens, ProviderFault> {
        let (answer, gate) = self.script(|script| {
            script.refreshes += 1;
            let end = old.consent_expires_at.unwrap();
            let mut answer = script.refresh.map_or_else(|| Ok(tokens("renewed", end, now)), Err);
            if let (Some(last), Ok(fresh)) = (&script.rotates, &mut answer) {
                if old.refresh_token.expose_secret() == last {
                    fresh.refresh_token = format!("renewed-{}-refresh-canary", script.refreshes).into();
                    script.rotates = Some(fresh.refresh_token.expose_secret().to_owned());
                } else {
                    answer = Err(ProviderFault::Refused);
                }
            }
            (answer, script.hold_refresh.take())
        });
        if let Some(gate) = gate {
            gate.pass().await;
        }
        answer
    }
}

/// The bank for people who bring a key or a setup token, each of which works once.
pub(crate) struct ByHand {
    manifest: &'static Manifest,
    visit: ScriptedVisit,
}

#[async_trait]
impl FinancialProvider for ByHand {
    fn manifest(&self) -> &Manifest {
        self.manifest
    }

    async fn connect(&self, pasted: &Pasted, _: Timestamp) -> Result<Credentials, ProviderFault> {
        if let Some(gate) = self.visit.script(|script| script.hold_connect.take()) {
            gate.pass().await;
        }
        self.visit.script(|script| {
            let (brought, credentials) = match pasted {
                Pasted::ApiKey { key, secret } => {
                    let brought = format!("{}:{}", key.expose_secret(), secret.expose_secret());
                    (brought, Credentials::ApiKey { key: key.clone(), secret: secret.clone() })
                }
                Pasted::SetupToken(token) => {
                    let url = format!("https://user:{}-access-canary@bridge.example", token.expose_secret());
                    (token.expose_secret().to_owned(), Credentials::AccessUrl(url.into()))
                }
            };
            let is_spent = matches!(pasted, Pasted::SetupToken(_)) && script.connects.contains(&brought);
            script.connects.push(brought);
            match script.connect {
                None if is_spent => Err(ProviderFault::Refused),
                None => Ok(credentials),
                Some(fault) => Err(fault),
            }
        })
    }

    async fn revoke(&self, credentials: &Credentials) -> Result<Revocation, ProviderFault> {
        let opened = match credentials {
            Credentials::Oauth(_) => return Err(ProviderFault::Refused),
            Credentials::ApiKey { key, .. } => key,
            Credentials::AccessUrl(url) => url,
        };
        self.visit.script(|script| script.revoked.push(opened.expose_secret().to_owned()));
        Ok(Revocation::Told)
    }

    async fn visit(&self, credentials: &Credentials, _: Timestamp) -> Result<Box<dyn Visit>, ProviderFault> {
        match credentials {
            Credentials::Oauth(_) => Err(ProviderFault::Refused),
            Credentials::ApiKey { .. } | Credentials::AccessUrl(_) => Ok(Box::new(ScriptedVisit(self.visit.0.clone()))),
        }
    }
}

/// The bank while a sync reads it.
struct ScriptedVisit(Arc<Mutex<Script>>);

impl ScriptedVisit {
    fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

#[async_trait]
impl Visit for ScriptedVisit {
    async fn accounts(&mut self) -> Result<ReportedAccounts, ProviderFault> {
        self.script(|script| {
            let accounts = script.accounts.iter().map(|(account, _)| account.clone()).collect();
            script.accounts_fault.map_or(Ok(ReportedAccounts { accounts, complete: !script.hides_accounts }), Err)
        })
    }

    async fn transactions(&mut self, account: &ReportedAccount, from: LocalDate, to: LocalDate, page: Option<&str>) -> Result<TransactionPage, ProviderFault> {
        let gate = self.script(|script| {
            let pages = script.pages;
            script.hold_page.take_if(|(number, _)| *number == pages)
        });
        if let Some((_, gate)) = gate {
            gate.pass().await;
        }
        self.script(|script| {
            script.windows.push((from, to));
            script.pages += 1;
            if let Some((number, fault)) = script.page_fault
                && number == script.pages - 1
            {
                return Err(fault);
            }
            if let Some((_, fault)) = script.faulty.iter().find(|(faulty, _)| faulty == account.reference.expose()) {
                return Err(*fault);
            }
            let all = script.accounts.iter().find(|(known, _)| known.reference == account.reference).map(|(_, rows)| rows.clone()).unwrap_or_default();
            let all_pending = !script.pending_by_day;
            let is_told = |row: &TransactionFacts| all_pending && row.status == TransactionStatus::Pending || (from..=to).contains(&row.posted_on);
            let wanted: Vec<_> = all.into_iter().filter(|row| is_told(&row.facts)).collect();
            let start: usize = page.map_or(0, |page| page.parse().unwrap());
            let size = if script.page_size == 0 { usize::MAX } else { script.page_size };
            let end = start.saturating_add(size).min(wanted.len());
            let next = (end < wanted.len()).then(|| end.to_string());
            let complete = !script.unanswering.iter().any(|silent| silent == account.reference.expose());
            let transactions = if complete { wanted[start..end].to_vec() } else { Vec::new() };
            Ok(TransactionPage { transactions, next, refused: script.refused, refused_ids: script.refused_ids.clone(), complete, all_pending })
        })
    }
}

/// How long a consent lasts.
const CONSENT: chrono::Duration = chrono::Duration::days(90);

fn tokens(which: &str, consent_expires_at: Timestamp, now: Timestamp) -> Tokens {
    Tokens {
        access_token: format!("{which}-access-canary").into(),
        refresh_token: format!("{which}-refresh-canary").into(),
        access_expires_at: now.plus(chrono::Duration::minutes(30)),
        consent_expires_at: Some(consent_expires_at),
    }
}
