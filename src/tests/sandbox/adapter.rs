use std::collections::HashSet;

use dashtam::{
    application::ports::{FinancialProvider, OauthDoor, ProviderFault, Tokens, TransactionPage},
    domain::{
        account::AccountType,
        provider::{ReportedAccount, ReportedTransaction},
        transaction::{AssetType, TransactionStatus, TransactionSubtype},
    },
};

use super::*;

const ALL: [&str; 7] = ["harbour-checking", "harbour-savings", "harbour-euro", "meridian-card", "meridian-loan", "northwind-brokerage", "northwind-roth"];

async fn linked(bank: &OpenBank, accounts: &[&str]) -> Tokens {
    let code = bank.agreed(accounts).await;
    bank.provider().exchange(&code, &walk(), bank.clock.now()).await.unwrap()
}

/// All pages of an account.
async fn history(bank: &OpenBank, tokens: &Tokens, account: &ReportedAccount) -> Vec<ReportedTransaction> {
    let (provider, to) = (bank.provider(), bank.clock.today());
    let from = to.plus_days(-i64::from(provider.manifest().history_days.unwrap()));
    let mut visit = bank.visit(tokens).await;
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let page: TransactionPage = visit.transactions(account, from, to, cursor.as_deref()).await.unwrap();
        assert_eq!(page.refused, 0);
        assert!(page.transactions.len() <= 200);
        rows.extend(page.transactions);
        cursor = page.next;
        if cursor.is_none() {
            return rows;
        }
    }
}

fn named<'a>(accounts: &'a [ReportedAccount], id: &str) -> &'a ReportedAccount {
    accounts.iter().find(|account| account.reference.expose() == id).unwrap()
}

fn of(rows: &[ReportedTransaction], subtype: TransactionSubtype) -> Vec<&ReportedTransaction> {
    rows.iter().filter(|row| row.facts.subtype == subtype).collect()
}

#[tokio::test]
async fn every_row_comes_once_and_posted_rows_and_holdings_add_up_to_the_balance() {
    let bank = OpenBank::new().await;
    for days in [0, 1, 40] {
        bank.clock.advance(chrono::Duration::days(days));
        let tokens = linked(&bank, &ALL).await;
        let accounts = bank.accounts(&tokens).await.unwrap();
        assert_eq!(accounts.len(), 7);
        for account in &accounts {
            let rows = history(&bank, &tokens, account).await;
            let kept = bank.bank.ledger().book(account.reference.expose()).unwrap().rows.len();
            let references: HashSet<_> = rows.iter().map(|row| row.reference.clone().unwrap()).collect();
            assert_eq!((rows.len(), references.len()), (kept, kept), "{}", account.name);
            let posted = rows.iter().filter(|row| row.facts.status == TransactionStatus::Posted);
            let sum: i64 = posted.map(|row| row.facts.amount.units()).sum();
            let invested: i64 = account.holdings.iter().flatten().map(|holding| holding.market_value.unwrap().units()).sum();
            assert_eq!(sum + invested, account.balances.current.unwrap().units(), "{}", account.name);
        }
    }
}

#[tokio::test]
async fn accounts_are_told_in_the_owners_words() {
    let bank = OpenBank::new().await;
    let tokens = linked(&bank, &ALL).await;
    let accounts = bank.accounts(&tokens).await.unwrap();
    let kinds: Vec<_> = accounts.iter().map(|account| account.kind).collect();
    assert_eq!(
        kinds,
        [
            AccountType::Checking,
            AccountType::Savings,
            AccountType::Checking,
            AccountType::CreditCard,
            AccountType::Loan,
            AccountType::Brokerage,
            AccountType::RothIra
        ]
    );
    let (card, loan, euro) = (named(&accounts, "meridian-card"), named(&accounts, "meridian-loan"), named(&accounts, "harbour-euro"));
    assert!(card.balances.current.unwrap().is_negative() && loan.balances.current.unwrap().is_negative());
    assert!(!card.balances.available.unwrap().is_negative());
    assert_eq!(card.balances.limit.unwrap().to_text(&card.currency), "9000.00");
    assert_eq!((loan.balances.available, loan.balances.limit), (None, None));
    assert_eq!((euro.currency.code(), euro.institution.as_deref()), ("EUR", Some("Harbour Bank")));
    for account in &accounts {
        assert_eq!((account.balances.as_of, account.is_active), (Some(bank.clock.now()), true));
        let number = account.masked_number.as_ref().unwrap().as_str();
        assert_eq!((number.chars().count(), number.starts_with("••••")), (8, true));
    }
}

#[tokio::test]
async fn rows_are_told_from_the_owners_view() {
    let bank = OpenBank::new().await;
    let tokens = linked(&bank, &ALL).await;
    let accounts = bank.accounts(&tokens).await.unwrap();

    let card = history(&bank, &tokens, named(&accounts, "meridian-card")).await;
    assert!(of(&card, TransactionSubtype::Purchase).iter().all(|row| row.facts.amount.is_negative()));
    for paid in [TransactionSubtype::Refund, TransactionSubtype::BillPayment] {
        assert!(!of(&card, paid).is_empty() && of(&card, paid).iter().all(|row| !row.facts.amount.is_negative()));
    }
    let loan = history(&bank, &tokens, named(&accounts, "meridian-loan")).await;
    assert!(loan[0].facts.amount.is_negative() && loan[0].facts.subtype == TransactionSubtype::Withdrawal);
    assert!(of(&loan, TransactionSubtype::InterestCharge).iter().all(|row| row.facts.amount.is_negative()));
    assert!(of(&loan, TransactionSubtype::LoanPayment).iter().all(|row| !row.facts.amount.is_negative()));

    let brokerage = history(&bank, &tokens, named(&accounts, "northwind-brokerage")).await;
    let (bought, sold) = (of(&brokerage, TransactionSubtype::Buy), of(&brokerage, TransactionSubtype::Sell));
    assert!(!bought.is_empty() && !sold.is_empty());
    assert!(bought.iter().all(|row| row.facts.amount.is_negative() && row.facts.quantity.unwrap().decimal().is_sign_positive()));
    assert!(sold.iter().all(|row| !row.facts.amount.is_negative() && row.facts.quantity.unwrap().decimal().is_sign_negative()));
    assert!(bought.iter().all(|row| row.facts.unit_price.is_some() && !row.facts.fees.unwrap().is_negative()));
    assert!(of(&brokerage, TransactionSubtype::TaxWithheld).iter().all(|row| row.facts.amount.is_negative()));
    let kinds: HashSet<_> = bought.iter().map(|row| row.facts.security.as_ref().unwrap().asset_type).collect();
    assert!(kinds.contains(&AssetType::Equity) && kinds.contains(&AssetType::Etf));

    let savings = history(&bank, &tokens, named(&accounts, "harbour-savings")).await;
    assert!(of(&savings, TransactionSubtype::Unknown).iter().all(|row| row.facts.description == "Loyalty bonus"));
    assert!(!of(&savings, TransactionSubtype::Unknown).is_empty() && !of(&savings, TransactionSubtype::Interest).is_empty());
}

#[tokio::test]
async fn the_banks_day_stands_beside_the_instant() {
    let bank = OpenBank::new().await;
    let tokens = linked(&bank, &["meridian-card"]).await;
    let accounts = bank.accounts(&tokens).await.unwrap();
    let rows = history(&bank, &tokens, &accounts[0]).await;
    let replaced: Vec<_> = rows.iter().filter(|row| !row.replaces.is_empty()).collect();
    assert!(replaced.iter().all(|row| row.facts.occurred_at.is_some() && row.facts.posted_on.days_since(row.facts.authorized_on.unwrap()) == 2));
    let over_midnight = replaced.iter().filter(|row| row.facts.occurred_at.unwrap().day() > row.facts.authorized_on.unwrap());
    assert!(over_midnight.count() > 10, "late purchases are made on the next day of UTC");
    assert!(rows.iter().all(|row| row.facts.occurred_at.is_none_or(|at| at <= bank.clock.now())));
}

#[tokio::test]
async fn a_window_holds_its_days_and_everything_pending() {
    let bank = OpenBank::new().await;
    let tokens = linked(&bank, &["harbour-checking"]).await;
    let account = bank.accounts(&tokens).await.unwrap().remove(0);
    let (from, to) = (bank.clock.today().plus_days(-90), bank.clock.today().plus_days(-60));
    let page = bank.visit(&tokens).await.transactions(&account, from, to, None).await.unwrap();
    let (pending, posted): (Vec<_>, Vec<_>) = page.transactions.iter().partition(|row| row.facts.status == TransactionStatus::Pending);
    assert!(!pending.is_empty() && pending.iter().all(|row| row.facts.posted_on > to));
    assert!(posted.len() > 20 && posted.iter().all(|row| (from..=to).contains(&row.facts.posted_on)));
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn accounts_that_were_not_chosen_do_not_exist() {
    let bank = OpenBank::new().await;
    let all = linked(&bank, &ALL).await;
    let one = linked(&bank, &["harbour-euro"]).await;
    let accounts = bank.accounts(&all).await.unwrap();
    let chosen = bank.accounts(&one).await.unwrap();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].reference, named(&accounts, "harbour-euro").reference);
    let foreign = bank.at("accounts/harbour-checking/transactions?from=2025-01-01&to=2025-01-31");
    let answer = bank.browser.get(foreign).bearer_auth(one.access_token.expose_secret()).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let cursor = bank.at("accounts/harbour-euro/transactions?from=2025-01-01&to=2025-01-31&cursor=made-up");
    let answer = bank.browser.get(cursor).bearer_auth(one.access_token.expose_secret()).send().await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn refreshing_rotates_both_tokens_and_keeps_the_consents_end() {
    let bank = OpenBank::new().await;
    let (provider, old) = (bank.provider(), linked(&bank, &ALL).await);
    assert_eq!(old.access_expires_at, bank.clock.now().plus(chrono::Duration::minutes(30)));
    assert_eq!(old.consent_expires_at, Some(bank.clock.now().plus(chrono::Duration::days(90))));
    bank.clock.advance(chrono::Duration::hours(5));
    assert_eq!(bank.accounts(&old).await.unwrap_err(), ProviderFault::Refused);
    let new = provider.refresh(&old, bank.clock.now()).await.unwrap();
    assert_eq!(new.consent_expires_at, old.consent_expires_at);
    assert!(bank.accounts(&new).await.is_ok());
    assert_eq!(provider.refresh(&old, bank.clock.now()).await.err(), Some(ProviderFault::Refused));
    assert_eq!(bank.accounts(&new).await.unwrap_err(), ProviderFault::Refused, "the theft ended the consent");
}

#[tokio::test]
async fn the_browser_is_sent_with_everything_the_bank_needs() {
    let bank = OpenBank::new().await;
    let provider = bank.provider();
    let url = Url::parse(&provider.authorization_url(&walk()).unwrap()).unwrap();
    assert_eq!(url.path(), "/sandbox/authorize");
    let sent = |name| parameter(&url, name).unwrap();
    assert_eq!((sent("response_type"), sent("client_id"), sent("state")), ("code".into(), CLIENT_ID.into(), "a-state".into()));
    assert_eq!((sent("redirect_uri"), sent("code_challenge_method"), sent("code_challenge").len()), (CALLBACK.into(), "S256".into(), 43));
    assert!(!url.as_str().contains(VERIFIER) && !url.as_str().contains(&bank.secret()));
    assert_eq!(provider.issuer(), Some(bank.base_url.to_string()));
    let short = Walk { code_verifier: "short".into(), ..walk() };
    assert!(provider.authorization_url(&short).is_err());
    assert_eq!(provider.exchange("code", &short, bank.clock.now()).await.err(), Some(ProviderFault::Refused));
}

#[tokio::test]
async fn brokers_accounts_tell_their_positions_and_the_others_say_nothing() {
    let bank = OpenBank::new().await;
    let tokens = linked(&bank, &ALL).await;
    for account in bank.accounts(&tokens).await.unwrap() {
        let Some(holdings) = &account.holdings else {
            assert!(!matches!(account.kind, AccountType::Brokerage | AccountType::RothIra), "{}", account.name);
            continue;
        };
        assert!(matches!(account.kind, AccountType::Brokerage | AccountType::RothIra) && !holdings.is_empty(), "{}", account.name);
        for holding in holdings {
            let known = [AssetType::Etf, AssetType::Equity, AssetType::MutualFund];
            assert!(known.contains(&holding.security.asset_type) && holding.security.name.is_some(), "{holding:?}");
            assert!(holding.quantity.decimal() > rust_decimal::Decimal::ZERO && holding.price.is_some());
            assert_eq!(holding.cost_basis.as_ref().unwrap().currency, holding.currency);
            assert_eq!(holding.as_of, Some(bank.clock.now()));
        }
    }
}
