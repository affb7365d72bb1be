//! Investment statements (OFX 2.2, section 13): trades, positions, cash and securities.
//!
//! A trade's TOTAL is its net effect on cash with all charges inside, as the broker signs it, but that what is bought costs and what is sold pays;
//! what moves securities alone moves no cash, and a reinvestment spends what it brings. Its day is that of the trade. Securities are listed at the end of a file, so rows and positions first hold what a security is known by and get its
//! symbol and name when everything is read.

use std::collections::HashMap;

use super::{
    super::values::{MAX_DESCRIPTION, MAX_NAME, characters, tidy},
    mapping::{Holder, in_its_currency, reference},
    outline::{CURRENCY, Leaves},
    values::{amount, day, instant},
};
use crate::domain::{
    balance::Balances,
    holding::ReportedHolding,
    money::{Amount, Currency, Quantity},
    provider::ReportedTransaction,
    time::Timestamp,
    transaction::{AssetType, Security, TransactionFacts, TransactionStatus, TransactionSubtype},
};

/// Securities of one file.
const MAX_SECURITIES: usize = 50_000;
/// Positions of one account.
const MAX_POSITIONS: usize = 10_000;

/// What securities are called, by what rows know them by.
#[derive(Default)]
pub(super) struct Securities(HashMap<String, Security>);

impl Securities {
    /// One of the list: STOCKINFO and the like, with SECINFO inside.
    pub(super) fn take(&mut self, kind: &str, leaves: &Leaves) {
        let Some(key) = key(leaves).filter(|_| self.0.len() < MAX_SECURITIES) else { return };
        let name = leaves.get("SECNAME").map(|name| characters(&tidy(name), MAX_NAME).to_owned());
        let symbol = leaves.get("TICKER").map_or_else(|| unique(&key).to_owned(), |ticker| characters(&tidy(ticker), MAX_NAME).to_owned());
        self.0.entry(key).or_insert(Security { symbol, name, asset_type: asset_type(kind) });
    }

    /// Symbol and name of a security that is known by its key so far.
    pub(super) fn name(&self, security: &mut Security) {
        match self.0.get(&security.symbol) {
            Some(known) => *security = known.clone(),
            None => security.symbol = unique(&security.symbol).to_owned(),
        }
    }

    /// The same for a row, which then says what it was in.
    pub(super) fn name_row(&self, mut row: ReportedTransaction) -> ReportedTransaction {
        if let Some(security) = &mut row.facts.security {
            self.name(security);
            if let Some(name) = &security.name {
                let described = if row.facts.description.is_empty() { name.clone() } else { format!("{} · {name}", row.facts.description) };
                characters(&described, MAX_DESCRIPTION).clone_into(&mut row.facts.description);
            }
        }
        row
    }
}

/// SECID: the kind of id and the id, which only together name a security.
fn key(leaves: &Leaves) -> Option<String> {
    let id = tidy(leaves.get("UNIQUEID")?);
    let kind = leaves.get("UNIQUEIDTYPE").map(|kind| tidy(kind).to_ascii_uppercase()).unwrap_or_default();
    (!id.is_empty() && id.len() <= 64).then(|| format!("{kind}:{id}"))
}

fn unique(key: &str) -> &str {
    key.split_once(':').map_or(key, |(_, id)| id)
}

/// STOCKINFO, POSSTOCK, BUYSTOCK and SELLSTOCK are of stocks; whether a stock is a fund on an exchange, OFX does not say.
fn asset_type(kind: &str) -> AssetType {
    let ends = |word| kind.contains(word);
    if ends("STOCK") {
        AssetType::Equity
    } else if ends("MF") {
        AssetType::MutualFund
    } else if ends("DEBT") {
        AssetType::FixedIncome
    } else if ends("OPT") {
        AssetType::Option
    } else {
        AssetType::Other
    }
}

fn security(kind: &str, leaves: &Leaves) -> Option<Security> {
    Some(Security { symbol: key(leaves)?, name: None, asset_type: asset_type(kind) })
}

/// The quantity of a leaf, exact; the error says what is wrong.
fn quantity(leaves: &Leaves, name: &str) -> Result<Option<Quantity>, String> {
    let written = leaves.get(name).map(|text| text.replace(',', "."));
    written.map(|text| Quantity::parse(&text).map_err(|reason| format!("{name} cannot be taken: {reason}"))).transpose()
}

/// One action. The error says why it cannot be taken.
pub(super) fn trade(kind: &'static str, leaves: &Leaves, line: u64, holder: &Holder) -> Result<ReportedTransaction, String> {
    let date = leaves.get("DTTRADE").ok_or("the transaction has no date (DTTRADE)")?;
    let posted_on = day(date).ok_or("the transaction's date (DTTRADE) is not a day of the calendar written YYYYMMDD")?;
    let currency = &holder.account.currency;
    in_its_currency(leaves, currency)?;
    let money = |name: &str| -> Result<Option<Amount>, String> {
        leaves.get(name).map(|text| amount(text, currency).map_err(|reason| format!("the transaction's {name} cannot be taken: {reason}"))).transpose()
    };
    let total = money("TOTAL")?;
    // A reinvestment is income and purchase in one: what comes in goes out again, and its TOTAL is neither alone.
    let moves_cash = !matches!(kind, "TRANSFER" | "SPLIT" | "JRNLSEC" | "JRNLFUND" | "CLOSUREOPT" | "REINVEST");
    let net = match total {
        Some(total) if moves_cash => total,
        None if moves_cash => return Err("the transaction has no amount (TOTAL)".to_owned()),
        // A split that leaves a fraction pays it out.
        _ if kind == "SPLIT" => money("FRACCASH")?.unwrap_or(Amount::ZERO),
        _ => Amount::ZERO,
    };
    let mut fees = None;
    for name in ["COMMISSION", "FEES", "TAXES", "LOAD"] {
        if let Some(charge) = money(name)? {
            fees = Some(fees.unwrap_or(Amount::ZERO).checked_add(charge.abs()).ok_or("the transaction's charges are out of range")?);
        }
    }
    // Units below zero say themselves that a purchase is undone.
    let is_undone = kind.starts_with("BUY") && quantity(leaves, "UNITS")?.is_some_and(|units| units.decimal().is_sign_negative());
    let signed = if is_undone { net } else { signed(kind, net, fees) };
    let reference = reference(leaves, &holder.redaction);
    // It may be stored with the sign the broker wrote, from before that was looked at.
    let replaces = reference.iter().filter(|_| signed != net).cloned().collect();
    let facts = TransactionFacts {
        amount: signed,
        subtype: subtype(kind, leaves),
        status: TransactionStatus::Posted,
        posted_on,
        authorized_on: None,
        occurred_at: None,
        description: characters(&holder.redaction.text(&tidy(leaves.get("MEMO").unwrap_or_default())), MAX_DESCRIPTION).to_owned(),
        merchant_name: None,
        category: None,
        security: security(kind, leaves),
        quantity: moved(kind, leaves)?,
        unit_price: quantity(leaves, "UNITPRICE")?,
        fees,
    };
    Ok(ReportedTransaction { reference, replaces, facts, line: Some(line) })
}

/// Some brokers leave the sign out here, too. A sale takes money only when its charges are more than it brought.
fn signed(kind: &str, net: Amount, fees: Option<Amount>) -> Amount {
    let charges = fees.unwrap_or(Amount::ZERO);
    if kind.starts_with("BUY") && !net.is_negative() || kind.starts_with("SELL") && net.is_negative() && net.abs() > charges { net.negated() } else { net }
}

/// How many units came in, or went out and are negative. Brokers leave the sign out, so what the action is decides.
fn moved(kind: &str, leaves: &Leaves) -> Result<Option<Quantity>, String> {
    let turned = |quantity: Quantity, is_out: bool| Quantity::new(if is_out { -quantity.decimal().abs() } else { quantity.decimal().abs() }).ok();
    if kind == "SPLIT" {
        let (Some(old), Some(new)) = (quantity(leaves, "OLDUNITS")?, quantity(leaves, "NEWUNITS")?) else { return Ok(None) };
        return Ok(new.decimal().checked_sub(old.decimal()).and_then(|more| Quantity::new(more).ok()));
    }
    let Some(units) = quantity(leaves, "UNITS")? else { return Ok(None) };
    Ok(match kind {
        "TRANSFER" => turned(units, leaves.get("TFERACTION").is_some_and(|action| action.eq_ignore_ascii_case("OUT"))),
        "REINVEST" => turned(units, false),
        "CLOSUREOPT" => Some(units),
        _ if kind.starts_with("BUY") => turned(units, false),
        _ if kind.starts_with("SELL") => turned(units, true),
        // Between parts of one account nothing comes or goes.
        _ => None,
    })
}

fn subtype(kind: &str, leaves: &Leaves) -> TransactionSubtype {
    use TransactionSubtype as Subtype;
    let said = |name: &str| leaves.get(name).map(|word| word.trim().to_ascii_uppercase()).unwrap_or_default();
    match kind {
        "BUYSTOCK" if said("BUYTYPE") == "BUYTOCOVER" => Subtype::BuyToCover,
        "BUYOPT" if said("OPTBUYTYPE") == "BUYTOCLOSE" => Subtype::BuyToCover,
        "SELLSTOCK" if said("SELLTYPE") == "SELLSHORT" => Subtype::ShortSell,
        "SELLOPT" if said("OPTSELLTYPE") == "SELLTOOPEN" => Subtype::ShortSell,
        "REINVEST" => Subtype::Reinvestment,
        "INCOME" => match said("INCOMETYPE").as_str() {
            "DIV" => Subtype::Dividend,
            "INTEREST" => Subtype::Interest,
            "CGLONG" | "CGSHORT" => Subtype::CapitalGain,
            _ => Subtype::Distribution,
        },
        "INVEXPENSE" => Subtype::OtherFee,
        "MARGININTEREST" => Subtype::MarginInterest,
        "JRNLFUND" | "JRNLSEC" => Subtype::Journal,
        "TRANSFER" if said("TFERACTION") == "OUT" => Subtype::TransferOut,
        "TRANSFER" => Subtype::TransferIn,
        "RETOFCAP" => Subtype::ReturnOfCapital,
        "SPLIT" => Subtype::Split,
        "CLOSUREOPT" => match said("OPTACTION").as_str() {
            "EXERCISE" => Subtype::Exercise,
            "ASSIGN" => Subtype::Assignment,
            _ => Subtype::Expiration,
        },
        _ if kind.starts_with("BUY") => Subtype::Buy,
        _ if kind.starts_with("SELL") => Subtype::Sell,
        _ => Subtype::Unknown,
    }
}

/// What an investment account holds: positions, and cash.
#[derive(Default)]
pub(super) struct Portfolio {
    /// `None` as long as no list of positions came.
    pub(super) positions: Option<Vec<ReportedHolding>>,
    cash: Option<Amount>,
    available: Option<Amount>,
    /// Whether something of it could not be read, so that no sum of it is one.
    is_broken: bool,
}

impl Portfolio {
    /// The list of positions has begun.
    pub(super) fn list(&mut self) {
        self.positions.get_or_insert_default();
    }

    /// One position. The error says why it cannot be taken; then nothing is summed up any more.
    pub(super) fn position(&mut self, kind: &'static str, leaves: &Leaves, currency: &Currency) -> Result<(), String> {
        let read = position(kind, leaves, currency);
        self.is_broken |= read.is_err();
        let positions = self.positions.get_or_insert_default();
        if positions.len() == MAX_POSITIONS {
            self.is_broken = true;
            return Err(format!("more than {MAX_POSITIONS} positions; this one is left out"));
        }
        positions.push(read?);
        Ok(())
    }

    /// INVBAL: cash, and what margin and shorts add to it or take away.
    pub(super) fn balance(&mut self, leaves: &Leaves, currency: &Currency) -> Result<(), String> {
        let money = |name: &str| {
            leaves.get(name).map(|text| amount(text, currency).map_err(|reason| format!("the balance's {name} cannot be taken: {reason}"))).transpose()
        };
        let read = || -> Result<_, String> { Ok((money("AVAILCASH")?, money("MARGINBALANCE")?, money("SHORTBALANCE")?)) };
        let (available, margin, short) = read().inspect_err(|_| self.is_broken = true)?;
        let parts = [margin, short].into_iter().flatten();
        self.cash = available.and_then(|cash| parts.into_iter().try_fold(cash, Amount::checked_add));
        self.available = available;
        Ok(())
    }

    /// The account's balance: cash and everything held, when all of it is known in the account's currency. Cash alone is not what an account holds.
    pub(super) fn balances(&self, currency: &Currency, as_of: Option<Timestamp>) -> Balances {
        let valued = |held: &ReportedHolding| held.market_value.filter(|_| held.currency == *currency);
        let held = self.positions.as_deref().filter(|_| !self.is_broken);
        let current = self.cash.zip(held).and_then(|(cash, held)| held.iter().map(valued).try_fold(cash, |sum, value| sum.checked_add(value?)));
        Balances { current, available: self.available.filter(|cash| !cash.is_negative()), limit: None, as_of }
    }
}

fn position(kind: &'static str, leaves: &Leaves, statement: &Currency) -> Result<ReportedHolding, String> {
    let security = security(kind, leaves).ok_or("the position does not say of which security it is (SECID); it is left out")?;
    let currency = leaves.get(CURRENCY).and_then(|code| Currency::parse(&code.to_ascii_uppercase()).ok()).unwrap_or_else(|| statement.clone());
    let units = quantity(leaves, "UNITS")?.ok_or("the position has no number of units (UNITS); it is left out")?;
    let is_short = leaves.get("POSTYPE").is_some_and(|word| word.trim().eq_ignore_ascii_case("SHORT"));
    let signed = if is_short { Quantity::new(-units.decimal().abs()).unwrap_or(units) } else { units };
    let value = leaves
        .get("MKTVAL")
        .map(|text| amount(text, &currency).map_err(|reason| format!("the position's value (MKTVAL) cannot be taken: {reason}")))
        .transpose()?;
    let (id, kind_of_id) = (unique(&security.symbol).to_owned(), leaves.get("UNIQUEIDTYPE").map(|word| word.trim().to_ascii_uppercase()));
    let of_kind = |wanted: &str, length: usize| (kind_of_id.as_deref() == Some(wanted) && id.len() == length).then(|| id.clone());
    Ok(ReportedHolding {
        reference: Some(security.symbol.clone()),
        cusip: of_kind("CUSIP", 9),
        isin: of_kind("ISIN", 12),
        security,
        quantity: signed,
        price: quantity(leaves, "UNITPRICE")?,
        market_value: value.map(|value| if is_short { value.abs().negated() } else { value }),
        currency,
        cost_basis: None,
        as_of: leaves.get("DTPRICEASOF").and_then(instant),
    })
}
