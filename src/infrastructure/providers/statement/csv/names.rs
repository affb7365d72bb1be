//! What columns are called at banks, in several languages.

use unicode_normalization::UnicodeNormalization as _;

use crate::domain::{csv::ColumnRole, money::Currency};

/// Letters without case and accents, digits, and single spaces; what stands in brackets is left out: `Betrag (EUR)` is `betrag`.
pub(super) fn plain(text: &str) -> String {
    let mut depth = 0_u32;
    let mut plain = String::new();
    for char in text.nfkd().filter(|char| !matches!(char, '\u{300}'..='\u{36f}')).flat_map(char::to_lowercase) {
        match char {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            'ß' => plain.push_str("ss"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            _ if char.is_alphanumeric() => plain.push(char),
            _ if !plain.ends_with(' ') => plain.push(' '),
            _ => {}
        }
    }
    plain.trim().to_owned()
}

/// Names of the day a row was booked, the surest first, between bars as in every list here. Those of the day it was made and of the value date come last: they stand in when a
/// file has no other.
const DAYS: &str = "posting date|posted date|date posted|post date|posted|posted on|booking date|booked|booked on|completed date|date completed|\
    buchungstag|buchungsdatum|buchung|boekdatum|boekingsdatum|date comptable|date de comptabilisation|fecha contable|data contabile|\
    bokforingsdag|bokforingsdatum|bogforingsdato|bokforingsdato|kirjauspaiva|data ksiegowania|datum zauctovani|datum provedeni|\
    data do lancamento|konyveles datuma|date|datum|fecha|data|dato|paiva|paivamaara|datum transakce|data operacji|fecha operacion|\
    fecha de operacion|data operazione|data movimento|data do movimento|date operation|date de l operation|date d operation|\
    date de fin|fecha de finalizacion|data di completamento|datum des abschlusses|transactiedatum|run date|trade date";

/// Names of the day a row was made.
const MADE: &str = "transaction date|trans date|date of transaction|started date|purchase date|transaktionsdatum|date transaction|kaufdatum|\
    date de debut|fecha de inicio|data di inizio|datum des beginns";

/// Names of the value date, or of the day a trade was settled, which is neither; it stands in when a file has no other day.
const VALUED: &str = "settlement date|settle date|value date|valuta|valutadatum|wertstellung|wert|date valeur|date de valeur|fecha valor|data valuta|data valor|rentedatum|\
    valutadag";

const AMOUNT: &str = "amount|transaction amount|net amount|billing amount|value|betrag|umsatz|betrag in eur|umsatz in eur|montant|montant en euros|\
    montant de l operation|importe|importe eur|monto|cantidad|importo|bedrag|bedrag eur|belopp|belob|belop|summa|maara|valor|\
    quantia|montante|kwota|kwota operacji|castka|objem|osszeg|net";
/// Of these, the ones of what is left after charges, and those that may be.
const AFTER_CHARGES: &str = "net|net amount|transaction amount|billing amount|value|valor";
const DEBIT: &str = "debit|debits|debit amount|withdrawal|withdrawals|withdrawal amount|withdrawal amt|money out|paid out|out|outgoing|payments|expense|spent|soll|\
    belastung|belastungen|lastschrift|ausgaben|ausgang|debito|debitos|cargo|cargos|uscite|addebito|addebiti|dare|uit|debet|\
    utgift|ut|ut fra konto|saida|saidas|obciazenia|vydaje|depenses|debit eur";
const CREDIT: &str = "credit|credits|credit amount|deposit|deposits|deposit amount|deposit amt|money in|paid in|in|incoming|income|received|haben|gutschrift|\
    gutschriften|einnahmen|eingang|credito|creditos|abono|abonos|entrate|accredito|accrediti|avere|bij|kredit|inkomst|inn|\
    inn pa konto|entrada|entradas|uznania|prijmy|recettes|credit eur";
const DIRECTION: &str = "af bij|dr cr|cr dr|debit credit|credit debit|debit or credit|credit debit indicator|soll haben|s h|d c|c d|direction|sign|\
    indicator|type|transaction type|sens|soll haben kennzeichen|s h kennzeichen|d h|dare avere|debe haber|uttag insattning|\
    obciazenie uznanie|money out money in";
/// Of these, the ones that may as well be of what kind a row is.
const EITHER_DIRECTION: &str = "type|transaction type|indicator|sign";
const DESCRIPTION: &str = "description|transaction description|original description|extended description|statement description|details|detail|\
    transaction details|payment details|narrative|particulars|memo|note|notes|text|transaction|message|verwendungszweck|buchungstext|\
    umsatztext|beschreibung|libelle|libelle operation|libelle de l operation|nature de l operation|concepto|descripcion|observaciones|causale|\
    descrizione|descrizione operazione|omschrijving|omschrijving 1|omschrijving 2|omschrijving 3|mededelingen|beskrivning|meddelande|tekst|forklaring|tapahtuma|selite|viesti|\
    rubrik|opis|opis operacji|tytul|popis|zprava pro prijemce|kozlemeny|descricao|historico|descritivo";
/// Names of what somebody writes beside a row later on, whether it is taken or not.
const NOTES: &str = "note|notes|my notes|notes and tags|comment|comments|remark|remarks|label|labels|tag|tags|bemerkung|bemerkungen|notiz|notizen|\
    commentaire|commentaires|nota|notas|opmerking|opmerkingen|poznamka";
const MERCHANT: &str = "payee|merchant|merchant name|name|counterparty|counterparty name|beneficiary|payee name|paid to|beguenstigter zahlungspflichtiger|\
    begunstigter zahlungspflichtiger|auftraggeber empfanger|auftraggeber begunstigter|auftraggeber zahlungsempfanger|\
    empfanger zahlungspflichtiger|partner name|counter party|name zahlungsbeteiligter|zahlungsempfanger|\
    zahlungsempfanger in|empfanger|auftraggeber|naam omschrijving|naam tegenpartij|tegenpartij|beneficiaire|contrepartie|beneficiario|\
    comercio|esercente|namn|mottagare|mottaker|saaja|saaja maksaja|odbiorca|nadawca odbiorca|nazev protiuctu|partner neve";
/// Names of who paid, where whom was paid stands in a column of its own.
const PAYER: &str = "zahlungspflichtige r|zahlungspflichtiger|payer|payer name|paid by|avsandare";
const BALANCE: &str = "balance|running balance|running bal|account balance|closing balance|balance after|balance after transaction|saldo|kontostand|\
    saldo nach buchung|saldo na trn|solde|saldo contable|saldo contabile|saldo na mutatie|kontosaldo|bokfort saldo|saldo efter|zustatek|zustatek po|\
    saldo po operacji|egyenleg|tilin saldo";
const CURRENCY: &str = "currency|ccy|currency code|wahrung|waehrung|devise|divisa|moneda|valuta|moeda|waluta|mena|devizanem|munt|valuutta";
/// Names of the id that a bank makes for each row.
const REFERENCE: &str = "transaction id|transaktions id|unique id|fitid|transaction number|transaktions nr|transaktionsnummer|buchungsreferenz|\
    reference number|transaction reference number|bank reference|numero operation|volgnr|id transakcji|id pohybu|id operace|transferwise id|id";
/// Names of what a payer says a payment is for. It may be another in every row, and is the same every month for all that.
const PAYMENT_REFERENCE: &str = "reference|ref|ref no|payment reference|transaction reference|referenz|referencia|riferimento|referentie|\
    transactiereferentie";
const CATEGORY: &str = "category|kategorie|categorie|categoria|kategori|kategoria|rubriek|luokka";
const STATUS: &str = "status|state|statut|etat|stato|estado|info";
const FEE: &str = "fee|gebuhr|frais|comision|costo|kosten|avgift|gebyr";
/// Names of charges that brokers and others have in their amounts.
const CHARGES: &str = "fees|fee amount|total fees|fees comm|fees and comm|commission|commissions|gebuhren|entgelt|comisiones|commissione|commissioni";
/// Names of the account that a row is of, the surest first: the last ones are of its kind or product alone.
const ACCOUNT: &str = "iban auftragskonto|auftragskonto|iban bban|accountnum|account id|rekening|rekeningnummer|numero de compte|numero compte|account number|\
    account no|numero de cuenta|kontonummer|konto nr|kontonr|iban|bank account|account|konto|compte|cuenta|conto|conta|rachunek|tili|\
    account name|account nickname|accountlabel|account label|card number|card no|kortnummer|product|produkt|produit|producto|prodotto|account type|kontoart";
/// Of these, the ones that may as well be of the account on the other side.
const EITHER_ACCOUNT: &str = "account number|account no|numero de cuenta|kontonummer|konto nr|kontonr|iban|account|konto|compte|cuenta|conto|conta|\
    rachunek|tili";
/// And the ones that are of the account only if it has no other number: elsewhere they say which card was used.
const CARD: &str = "card number|card no|kortnummer";
/// What the kinds of account are called that a bank counts as its products; others are what was bought.
const PRODUCTS: &str = "current|savings|saving|deposit|checking|chequing|pocket|pockets|vault|joint|personal|business|investment|investments|credit|flexible cash funds|\
    giro|girokonto|sparkonto|tagesgeld|tagesgeldkonto|festgeld|depot|aktuell|ersparnisse|actuel|courant|epargne|actual|corriente|ahorro|ahorros|\
    attuale|corrente|risparmi|commodities|crypto";

/// What a heading says that its column holds, and how surely, 0 being the surest. `is_date` tells whether its cells are days, since some
/// words mean a day at one bank and a currency at the next.
pub(super) fn role(heading: &str, is_date: bool) -> Option<(ColumnRole, usize)> {
    let plain = plain(heading);
    let without_currency = without_currency(&plain);
    let exactly = |names: &str, plain: &str| names.split('|').position(|name| name == plain);
    let place = |names: &str| exactly(names, &plain).or_else(|| exactly(names, without_currency?));
    if is_date {
        let days = place(DAYS).map(|at| (ColumnRole::PostedOn, at));
        let made = || place(MADE).map(|at| (ColumnRole::AuthorizedOn, at));
        let valued = || place(VALUED).map(|at| (ColumnRole::Ignored, at));
        // A sort code looks like a day.
        let account = || place(ACCOUNT).map(|at| (ColumnRole::Account, at));
        return days.or_else(made).or_else(valued).or_else(account);
    }
    let others = [
        (ColumnRole::Amount, AMOUNT),
        (ColumnRole::Debit, DEBIT),
        (ColumnRole::Credit, CREDIT),
        (ColumnRole::Balance, BALANCE),
        (ColumnRole::Currency, CURRENCY),
        (ColumnRole::Direction, DIRECTION),
        (ColumnRole::Description, DESCRIPTION),
        (ColumnRole::Merchant, MERCHANT),
        (ColumnRole::Payer, PAYER),
        (ColumnRole::Reference, REFERENCE),
        (ColumnRole::Description, PAYMENT_REFERENCE),
        (ColumnRole::Category, CATEGORY),
        (ColumnRole::Status, STATUS),
        (ColumnRole::Fee, FEE),
        (ColumnRole::Fee, CHARGES),
        (ColumnRole::Account, ACCOUNT),
    ];
    // `Account #` is of a card, of which one account has several.
    let is_of_card = |role| role == ColumnRole::Account && heading.contains('#');
    others.into_iter().find_map(|(role, names)| place(names).map(|at| (role, at))).filter(|(role, _)| !is_of_card(*role))
}

/// A heading without the currency at its end: `Gutschrift in CHF` is `gutschrift`.
fn without_currency(plain: &str) -> Option<&str> {
    let (before, code) = plain.rsplit_once(' ')?;
    let is_code = code == "euros" || (code.len() == 3 && Currency::parse(&code.to_ascii_uppercase()).is_ok_and(|currency| currency.is_iso()));
    is_code.then(|| before.strip_suffix(" in").or_else(|| before.strip_suffix(" en")).unwrap_or(before))
}

fn is_one_of(names: &str, heading: &str) -> bool {
    let plain = plain(heading);
    names.split('|').any(|name| name == plain)
}

/// Whether a column holds what somebody writes beside a row later on.
pub(super) fn names_notes(heading: &str) -> bool {
    is_one_of(NOTES, heading)
}

/// Whether a column says who was paid, or paid.
pub(super) fn names_a_party(heading: &str) -> bool {
    is_one_of(MERCHANT, heading) || is_one_of(PAYER, heading)
}

/// Whether a column holds what is charged on top of amounts, rather than as a part of them.
pub(super) fn names_a_fee(heading: &str) -> bool {
    is_one_of(FEE, heading)
}

/// Whether a column holds amounts as they are before charges.
pub(super) fn names_a_gross_amount(heading: &str) -> bool {
    is_one_of(AMOUNT, heading) && !is_one_of(AFTER_CHARGES, heading)
}

/// Whether a column that may tell directions may as well tell kinds of rows.
pub(super) fn names_either_direction(heading: &str) -> bool {
    is_one_of(EITHER_DIRECTION, heading)
}

/// Whether a column of accounts may be of the other side.
pub(super) fn names_either_account(heading: &str) -> bool {
    is_one_of(EITHER_ACCOUNT, heading)
}

/// Whether a column may say which card was used.
pub(super) fn names_a_card(heading: &str) -> bool {
    is_one_of(CARD, heading)
}

/// Whether a column counts a bank's products, of which only accounts are meant.
pub(super) fn names_products(heading: &str) -> bool {
    is_one_of("product|produkt|produit|producto|prodotto", heading)
}

/// Whether a word is the kind of an account.
pub(super) fn is_product(word: &str) -> bool {
    is_one_of(PRODUCTS, word)
}

/// Whether a heading names a day of any kind.
pub(super) fn names_a_day(heading: &str) -> bool {
    let plain = plain(heading);
    [DAYS, MADE, VALUED].iter().any(|names| names.split('|').any(|name| name == plain))
}

/// Whether a heading names an amount of any kind.
pub(super) fn names_an_amount(heading: &str) -> bool {
    let plain = plain(heading);
    let forms = [Some(plain.as_str()), without_currency(&plain)];
    [AMOUNT, DEBIT, CREDIT].iter().any(|names| names.split('|').any(|name| forms.contains(&Some(name))))
}

/// Whether words are those of a day, and of what stands before one.
pub(super) fn words_of_dates(plain: &str) -> bool {
    const BEFORE: &str = "as|of|at|on|in|am|vom|per|zum|au|du|le|a|al|del|de|em|op|den|til|pr|eur|usd|gbp|chf";
    let is_of_date =
        |word: &str| word.starts_with(|char: char| char.is_ascii_digit()) || BEFORE.split('|').any(|known| known == word) || super::dates::is_month(word);
    plain.split_whitespace().all(is_of_date)
}

/// Whether letters beside a number say that it left (`true`) or came in.
pub(super) fn is_outgoing_mark(word: &str) -> Option<bool> {
    match plain(word).as_str() {
        "d" | "dr" | "db" | "dt" | "s" | "soll" | "debit" => Some(true),
        "c" | "cr" | "h" | "haben" | "credit" => Some(false),
        _ => None,
    }
}

/// Whether a word says that money left (`true`) or came in.
pub(super) fn is_outgoing(word: &str) -> Option<bool> {
    let plain = plain(word);
    match plain.as_str() {
        "debet" | "dbit" | "debito" | "cargo" | "debe" | "dare" | "uscita" | "af" | "out" | "outgoing" | "money out" | "withdrawal" | "lastschrift"
        | "belastung" | "ausgang" | "uttag" | "obciazenie" | "expense" => Some(true),
        "crdt" | "credito" | "abono" | "haber" | "avere" | "entrata" | "bij" | "in" | "incoming" | "money in" | "deposit" | "gutschrift" | "eingang"
        | "insattning" | "uznanie" | "kredit" | "income" => Some(false),
        plain => is_outgoing_mark(plain),
    }
}
