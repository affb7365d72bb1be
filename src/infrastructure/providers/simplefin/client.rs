//! The adapter: claims setup tokens, and reads windows of days.

use std::{collections::HashSet, time::Duration};

use ::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use async_trait::async_trait;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use chrono::NaiveTime;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    mapping::{self, AccountSet, Answer},
    windows::Window,
};
use crate::{
    application::ports::{Credentials, FinancialProvider, Pasted, ProviderFault, ReportedAccounts, TransactionPage, Visit},
    domain::{
        provider::{LinkMethod, Manifest, ProviderCategory, ReportedAccount, ReportedTransaction, Served},
        rate_limit::Budget,
        time::{LocalDate, Timestamp},
        transaction::TransactionStatus,
    },
    infrastructure::providers::http::{self, Asked, Line, OutsideUrl, Policy, Switchboard, outside::Reach},
};

/// What this provider is and does.
pub static MANIFEST: Manifest = Manifest {
    slug: "simplefin",
    name: "SimpleFIN",
    description: "Banks and brokers in North America, through a SimpleFIN server such as the SimpleFIN Bridge.",
    category: ProviderCategory::Aggregator,
    method: LinkMethod::SetupToken,
    serves: &[Served::Balances, Served::Transactions, Served::Holdings],
    documentation: Some("https://www.simplefin.org/protocol.html"),
    for_each_link: POLICY.for_each_link,
    for_everyone: POLICY.for_everyone,
    history_days: Some(365),
    consent_days: None,
    fresh_days: 2,
};

/// People copy tokens with and without the signs at their end.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What SimpleFIN bears: 24 requests of a link within any day, of which 14 may come at once.
pub const POLICY: Policy = Policy {
    // It asks banks while it is asked.
    time_out: Duration::from_mins(1),
    all_tries: Duration::from_secs(90),
    // Each try counts.
    tries: 2,
    for_each_link: Some(Budget { at_once: 14, come_back: 10, within_minutes: 24 * 60 }),
    // Another server does not know every token.
    own_faults: |status, asked| match (status.as_u16(), asked) {
        (402, _) => Some(ProviderFault::Unpaid),
        (401 | 403 | 404 | 410, Asked::Tokens) => Some(ProviderFault::Refused),
        _ => None,
    },
    ..Policy::USUAL
};

/// SimpleFIN as a provider.
pub struct SimpleFinProvider {
    line: Line,
    /// The servers whose claims are taken.
    hosts: Vec<String>,
}

impl SimpleFinProvider {
    /// A provider that takes the claims of `hosts`, at addresses within `reach`.
    pub fn new(switchboard: &Switchboard, hosts: &[String], reach: Reach) -> anyhow::Result<Self> {
        Self::over(switchboard.line(MANIFEST.slug, Policy { reach, ..POLICY })?, hosts)
    }

    /// The same over a line that is there.
    pub fn over(line: Line, hosts: &[String]) -> anyhow::Result<Self> {
        Ok(Self { line, hosts: hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect() })
    }

    /// The claim URL in a setup token; `None` for what is none, or one of another server's.
    fn claim_url(&self, token: &SecretString) -> Option<OutsideUrl> {
        let token = token.expose_secret().trim_ascii();
        let alphabet = if token.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
        let decoded = zeroize::Zeroizing::new(GeneralPurpose::new(&alphabet, LENIENT).decode(token).ok()?);
        let url = OutsideUrl::parse(std::str::from_utf8(&decoded).ok()?.trim_ascii(), self.line.reach()).ok()?;
        url.is_of(&self.hosts).then_some(url)
    }
}

#[async_trait]
impl FinancialProvider for SimpleFinProvider {
    fn manifest(&self) -> &Manifest {
        &MANIFEST
    }

    async fn connect(&self, pasted: &Pasted, _now: Timestamp) -> Result<Credentials, ProviderFault> {
        let Pasted::SetupToken(token) = pasted else { return Err(ProviderFault::Refused) };
        let claim = self.claim_url(token).ok_or(ProviderFault::Refused)?;
        let mut request = self.line.post(claim.url().clone()).header(CONTENT_LENGTH, "0");
        if let Some(login) = claim.authorization() {
            request = request.header(AUTHORIZATION, login.clone());
        }
        let answer = http::ask(&self.line, request.build().map_err(|_| ProviderFault::Refused)?, Asked::Tokens).await?;
        let access = zeroize::Zeroizing::new(String::from_utf8(answer.into_body()).map_err(|_| ProviderFault::Malformed)?);
        let access = access.trim_ascii();
        match OutsideUrl::parse(access, self.line.reach()) {
            Ok(url) if url.authorization().is_some() => Ok(Credentials::AccessUrl(SecretString::from(access))),
            _ => Err(ProviderFault::Malformed),
        }
    }

    async fn visit(&self, credentials: &Credentials, now: Timestamp) -> Result<Box<dyn Visit>, ProviderFault> {
        let Credentials::AccessUrl(access) = credentials else { return Err(ProviderFault::Refused) };
        let access = OutsideUrl::parse(access.expose_secret(), self.line.reach()).map_err(|_| ProviderFault::Refused)?;
        Ok(Box::new(SimpleFinVisit { line: self.line.clone(), access, now, read: Vec::new(), rests_until: None, needs_user: false }))
    }
}

/// One stage of one sync, with every window it has read.
struct SimpleFinVisit {
    line: Line,
    access: OutsideUrl,
    now: Timestamp,
    read: Vec<(Window, Answer)>,
    /// Tomorrow, once it was warned: beyond its quota a token is disabled, not slowed.
    rests_until: Option<Timestamp>,
    needs_user: bool,
}

impl SimpleFinVisit {
    /// The answer of a window, asked for once.
    async fn answer(&mut self, window: Window) -> Result<&Answer, ProviderFault> {
        let place = self.read.iter().position(|(known, _)| *known == window);
        if place.is_none() {
            let answer = self.ask(window).await?;
            self.read.push((window, answer));
        }
        let read = place.map_or_else(|| self.read.last(), |place| self.read.get(place));
        read.map(|(_, answer)| answer).ok_or(ProviderFault::Malformed)
    }

    async fn ask(&mut self, window: Window) -> Result<Answer, ProviderFault> {
        if let Some(until) = self.rests_until {
            return Err(ProviderFault::rests_until(until, self.now));
        }
        let midnight = |day: LocalDate| day.naive().and_time(NaiveTime::MIN).and_utc().timestamp().to_string();
        let mut query = vec![("version", "2".to_owned()), ("start-date", midnight(window.from)), ("pending", "1".to_owned())];
        query.extend(window.until.map(|until| ("end-date", midnight(until))));
        let url = self.access.below(&["accounts"]).map_err(|_| ProviderFault::Refused)?;
        let mut request = self.line.get(url).query(&query);
        if let Some(login) = self.access.authorization() {
            request = request.header(AUTHORIZATION, login.clone());
        }
        let set: AccountSet = http::json(&self.line, request.build().map_err(|_| ProviderFault::Refused)?).await?;
        let answer = mapping::answer(set, self.now);
        self.needs_user |= answer.needs_user;
        if answer.is_last_of_the_day {
            tracing::warn!("SimpleFIN warns that it was asked too often; nothing more is asked for this link today");
            self.rests_until = Some(Timestamp::new(self.now.day().plus_days(1).naive().and_time(NaiveTime::MIN).and_utc()));
        }
        Ok(answer)
    }
}

fn is_booked(row: &ReportedTransaction) -> bool {
    row.facts.status == TransactionStatus::Posted
}

/// What windows have in common once, and nothing that waits beside what it has become. Two of one id that differ in day or amount are two.
fn once_each(mut rows: Vec<ReportedTransaction>) -> Vec<ReportedTransaction> {
    let booked: HashSet<_> = rows.iter().filter(|row| is_booked(row)).filter_map(|row| row.reference.clone()).collect();
    let mut seen = HashSet::new();
    rows.retain(|row| {
        let has_become = !is_booked(row) && row.reference.as_ref().is_some_and(|name| booked.contains(name));
        !has_become && seen.insert((row.reference.clone(), row.facts.posted_on, row.facts.amount))
    });
    rows
}

#[async_trait]
impl Visit for SimpleFinVisit {
    async fn accounts(&mut self) -> Result<ReportedAccounts, ProviderFault> {
        let answer = self.answer(Window::recent(self.now.day())).await?;
        Ok(ReportedAccounts { accounts: answer.accounts.iter().map(|answered| answered.account.clone()).collect(), complete: answer.complete })
    }

    async fn transactions(&mut self, account: &ReportedAccount, from: LocalDate, to: LocalDate, _page: Option<&str>) -> Result<TransactionPage, ProviderFault> {
        let (mut page, mut rows) = (TransactionPage::default(), Vec::new());
        let today = self.now.day();
        // Whoever asks for the days up to now hears of those that banks are ahead, too.
        let last = if to >= today { Window::last_day(today).max(to) } else { to };
        for window in Window::over(from, to, today) {
            // What waits has no certain day: the window without an end holds all of it.
            page.all_pending |= window.until.is_none();
            let answer = self.answer(window).await?;
            let Some(answered) = answer.accounts.iter().find(|answered| answered.account.reference == account.reference) else {
                page.complete = false;
                continue;
            };
            page.complete &= answered.complete;
            page.refused += answered.refused;
            page.refused_ids.extend(answered.refused_ids.iter().cloned());
            rows.extend(answered.rows.iter().cloned());
        }
        for row in once_each(rows) {
            if !is_booked(&row) || (from..=last).contains(&row.facts.posted_on) {
                page.transactions.push(row);
            } else if to >= today && row.facts.posted_on > last {
                // It is there, and is not taken for that day yet.
                page.refuse(row.reference);
            }
        }
        page.transactions.sort_by(|left, right| (left.facts.posted_on, &left.reference).cmp(&(right.facts.posted_on, &right.reference)));
        Ok(page)
    }

    fn has_news_of(&self, account: &ReportedAccount) -> bool {
        let recent = Window::recent(self.now.day());
        let mut told = self.read.iter().filter(|(window, _)| *window == recent).flat_map(|(_, answer)| &answer.accounts);
        told.find(|answered| answered.account.reference == account.reference).is_none_or(|answered| answered.has_news)
    }

    fn last_day(&self) -> Option<LocalDate> {
        Some(Window::last_day(self.now.day()))
    }

    fn rests_until(&self) -> Option<Timestamp> {
        self.rests_until
    }

    fn needs_user(&self) -> bool {
        self.needs_user
    }
}
