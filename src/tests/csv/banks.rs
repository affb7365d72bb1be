//! What single banks write: marks for a direction, balances between rows, fees, several accounts, empty columns.

use dashtam::{
    application::ports::{StatementHints, StatementReader, StatementRefusal},
    domain::{
        account::AccountType,
        csv::{ColumnRole, CsvCorrection, CsvQuestion, NamedAccount},
        import::StatementFile,
        money::Currency,
        provider::AccountReference,
        time::LocalDate,
        transaction::TransactionStatus,
    },
    infrastructure::providers::statement::StatementFiles,
};

use super::{Told, hints, question, read, read_in, read_with, roles, row, rows};

/// The amounts of rows.
fn amounts(told: &Told) -> Vec<String> {
    rows(told).into_iter().map(|(_, amount, _)| amount).collect()
}

fn current(told: &Told) -> Option<String> {
    told.account.balances.current.map(|amount| amount.to_text(&told.account.currency))
}

#[test]
fn letters_beside_a_number_tell_which_way_it_went() {
    for (text, expected) in [
        ("Data;Histórico;Valor;Saldo\n30/01/2026;PAG;1.234,56 D;1.265,44 C\n29/01/2026;SALARIO;2.500,00 C;2.500,00 C\n", ["-1234.56", "2500.00"]),
        ("Datum;Text;Betrag\n30.01.2026;a;1.023,45 S\n29.01.2026;b;2.500,00 H\n", ["-1023.45", "2500.00"]),
        ("Datum;Text;Betrag\n30.01.2026;a;1.023,45S\n29.01.2026;b;2.500,00h\n", ["-1023.45", "2500.00"]),
        ("Date,Text,Amount\n30/01/2026,a,DR 12.34\n29/01/2026,b,CR12.00\n", ["-12.34", "12.00"]),
        ("Date,Text,Amount\n30/01/2026,a,12.34 dr\n29/01/2026,b,€ 12.00 Cr\n", ["-12.34", "12.00"]),
        ("Date,Text,Amount\n30/01/2026,a,EUR 12.34 D\n29/01/2026,b,€12.00 C\n", ["-12.34", "12.00"]),
    ] {
        let told = read(text);
        assert_eq!((amounts(&told), &told.problems), (expected.map(str::to_owned).to_vec(), &vec![]), "{text}");
    }
    // A dollar of Canada is no credit, and a crown no direction.
    for (currency, written, amount) in
        [("CAD", "C$-12.34", "-12.34"), ("CZK", "-5.00 Kč", "-5.00"), ("CHF", "Fr. 7.00", "7.00"), ("INR", "Rs. 7.00 Cr", "7.00")]
    {
        assert_eq!(amounts(&read_in(currency, &format!("Date,Text,Amount\n30/01/2026,a,{written}\n"))), [amount]);
    }
}

#[test]
fn where_only_what_came_in_is_marked_the_others_may_be_what_was_spent() {
    let text = "Date,Description,Amount\n30/01/2026,TESCO,12.34\n29/01/2026,PAYMENT,500.00CR\n";
    let said = |invert_sign| read_with(text.as_bytes(), &hints("GBP", CsvCorrection { invert_sign, ..CsvCorrection::default() })).unwrap();
    // A month without a payment does not say so, and must not be read the other way.
    let told = said(None);
    assert_eq!((amounts(&told), told.format.invert_sign), (vec!["12.34".to_owned(), "500.00".to_owned()], false));
    assert!(told.problems[0].message.contains("bring the file with invertSign"), "{:?}", told.problems);
    assert!(said(Some(true)).problems.is_empty() && said(Some(false)).problems.is_empty());
    assert_eq!(amounts(&said(Some(true))), ["-12.34", "500.00"], "a mark is not turned");
    assert_eq!(amounts(&said(Some(false))), ["12.34", "500.00"]);
    // Signs say it already.
    let signed = read("Date,Description,Amount\n30/01/2026,TESCO,-12.34\n28/01/2026,REFUND,2.00\n29/01/2026,PAYMENT,500.00CR\n");
    assert_eq!((amounts(&signed), signed.format.invert_sign), (["-12.34", "2.00", "500.00"].map(str::to_owned).to_vec(), false));
}

#[test]
fn unknown_letters_beside_a_number_cost_the_row() {
    let told = read(
        "Date,Text,Amount\n30/01/2026,a,1.00 Q\n29/01/2026,b,2.00\n28/01/2026,c,3.00 ABC\n27/01/2026,d,-4.00 eur\n26/01/2026,e,5.00 D C\n25/01/2026,f,6.00\n24/01/2026,g,7.00\n23/01/2026,h,8.00\n22/01/2026,i,9.00\n21/01/2026,j,1.00\n",
    );
    assert_eq!(told.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 4, 6]);
    assert!(told.problems.iter().all(|problem| problem.message.contains("letters stand beside it")), "{:?}", told.problems);
    assert_eq!(rows(&told).len(), 7);
}

#[test]
fn a_column_of_nothing_but_directions_is_one_without_a_heading_too() {
    let text = "\"Buchungstag\";\"Valuta\";\"Auftraggeber/Zahlungsempfänger\";\"Vorgang/Verwendungszweck\";\"Kundenreferenz\";\"Währung\";\"Umsatz\";\" \"\n\
        \"30.01.2026\";\"30.01.2026\";\"REWE\";\"Einkauf\";\"\";\"EUR\";\"1.234,56\";\"S\"\n\
        \"29.01.2026\";\"29.01.2026\";\"Firma\";\"Gehalt\";\"\";\"EUR\";\"2.500,00\";\"H\"\n\
        \"01.01.2026\";\"\";\"\";\"\";\"Anfangssaldo\";\"EUR\";\"100,00\";\"H\"\n\
        \"31.01.2026\";\"\";\"\";\"\";\"Endsaldo\";\"EUR\";\"1.365,44\";\"H\"\n";
    let told = read(text);
    assert_eq!(amounts(&told), ["-1234.56", "2500.00"]);
    assert_eq!(roles(&told.format).last(), Some(&"direction"));
    assert_eq!((current(&told).as_deref(), told.account.balances.as_of.map(|at| at.to_string()).as_deref()), (Some("1365.44"), Some("2026-01-31T00:00:00Z")));
}

#[test]
fn balances_between_the_rows_are_not_booked() {
    let text = "Date,Description,Amount,Balance\n01/01/2026,Beginning balance as of 01/01/2026,,500.00\n30/01/2026,Rent,-1.00,499.00\n\
                31/01/2026,Closing balance,497.00,497.00\n31/01/2026,Closing balance transfer to savings,-2.00,497.00\n";
    let told = read(text);
    assert_eq!(amounts(&told), ["-1.00", "-2.00"]);
    let said: Vec<_> = told.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    let message = |which| format!("the row is {which} balance and no transaction, so it is not booked");
    assert_eq!(said, [(2, message("an opening").as_str()), (4, message("a closing").as_str())]);
    assert_eq!(current(&told).as_deref(), Some("497.00"));
    let bradesco =
        read_in("BRL", "Data;Histórico;Docto.;Crédito (R$);Débito (R$);Saldo (R$)\n28/01/2026;SALDO ANTERIOR;;;;1.000,00\n29/01/2026;PIX;1;500,00;;1.500,00\n");
    assert_eq!((rows(&bradesco).len(), bradesco.problems.len()), (1, 1));
    // Somebody's reference is no balance.
    assert_eq!(rows(&read("Date,Payee,Description,Amount\n2026-01-31,John,Closing balance,-5.00\n")).len(), 1);
}

#[test]
fn a_row_of_a_day_to_come_says_nothing_of_what_an_account_holds() {
    let mut hints = hints("EUR", CsvCorrection::default());
    hints.today = LocalDate::new(2026, 11, 26);
    let text = "Date,Description,Amount,Balance\n2026-11-20,a,-1,100\n2027-11-30,scheduled,-50,50\n2027-12-01,Closing balance,,50\n";
    let told = read_with(text.as_bytes(), &hints).unwrap();
    assert_eq!((rows(&told).len(), current(&told).as_deref()), (2, Some("100.00")));
    assert_eq!(told.account.balances.as_of.unwrap().to_string(), "2026-11-20T00:00:00Z");
}

#[test]
fn an_empty_column_holds_nothing_where_others_are_filled() {
    let text =
        "Buchungstag;Wert;Verwendungszweck;Betrag;Soll;Haben;Währung\n30.1.2026;30.1.2026;Einkauf;;-12,34;;EUR\n29.1.2026;29.1.2026;Gehalt;;;500,00;EUR\n";
    let told = read(text);
    assert_eq!((amounts(&told), roles(&told.format)[3]), (vec!["-12.34".to_owned(), "500.00".to_owned()], "ignored"));
    let filled = read(&text.replace("Einkauf;;-12,34;", "Einkauf;-12,34;;").replace("Gehalt;;;500,00", "Gehalt;500,00;;"));
    assert_eq!(amounts(&filled), ["-12.34", "500.00"]);
}

#[test]
fn a_file_without_a_single_row_that_can_be_taken_is_refused() {
    for (text, line, says) in [
        ("Date,Description,Amount\n2026-01-30,a,1.00001\n2026-02-31,b,1.00\n", 2, "cannot be taken"),
        ("Date,Description,Amount\n", 1, "holds no transactions"),
        ("Date,Description,Amount,Currency\n2026-01-30,a,1.00,USD\n", 2, "another currency"),
    ] {
        match read_with(text.as_bytes(), &hints("EUR", CsvCorrection::default())) {
            Err(StatementRefusal::Unreadable(file)) => assert!(file.problem.line == line && file.problem.message.contains(says), "{file}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_announced_is_pending_wherever_the_cell_says_so() {
    let told = read(
        "\"Auftragskonto\";\"Buchungstag\";\"Verwendungszweck\";\"Betrag\";\"Info\"\n\"DE12\";\"30.01.26\";\"x\";\"-12,34\";\"Umsatz vorgemerkt\"\n\
         \"DE12\";\"28.01.26\";\"y\";\"2500,00\";\"Umsatz gebucht\"\n",
    );
    assert_eq!(told.rows.iter().map(|row| row.facts.status).collect::<Vec<_>>(), [TransactionStatus::Pending, TransactionStatus::Posted]);
    let told = read("Date,Text,Amount,Status\n2026-01-30,a,1.00,Card pending\n2026-01-30,b,1.00,Pre-authorised\n");
    assert!(told.rows.iter().all(|row| row.facts.status == TransactionStatus::Pending));
}

#[test]
fn what_is_not_booked_is_told_in_many_languages() {
    let status = |word: &str| read(&format!("Date,Text,Amount,Status\n2026-01-30,a,1.00,{word}\n2026-01-31,b,1.00,\n")).rows[0].facts.status;
    let pending = "Ausstehend|Offen|In Bearbeitung|Vorgemerkt|Nicht gebucht|Umsatz nicht gebucht|Venter|Odottaa|Oczekująca|In sospeso|Non contabilizzata|\
                   Hold|On hold|Held|Processing|In progress|Scheduled|Not booked|Pendiente|En attente|Pendente";
    for word in pending.split('|') {
        assert_eq!(status(word), TransactionStatus::Pending, "{word}");
    }
    for word in ["Reversed", "Returned", "Zurückgebucht", "RÜCKGÄNGIG GEMACHT", "Storniert"] {
        assert_eq!(status(word), TransactionStatus::Cancelled, "{word}");
    }
    for word in ["Booked", "Gebucht", "Umsatz gebucht", "Abgeschlossen", "Processed", "Udført", "Completed", "Household"] {
        assert_eq!(status(word), TransactionStatus::Posted, "{word}");
    }
}

#[test]
fn a_fee_beside_an_amount_is_in_it_as_the_balance_tells() {
    let file = |rows: &str| format!("Completed Date,Description,Amount,Fee,Currency,State,Balance\n{rows}");
    let told = read(&file("2026-01-29,Tesco,-12.34,0.00,EUR,COMPLETED,987.66\n2026-01-30,To Bob,-100.00,5.00,EUR,COMPLETED,882.66\n"));
    let fees = |told: &Told| told.rows.iter().map(|row| row.facts.fees.map(|fee| fee.to_text(&told.account.currency))).collect::<Vec<_>>();
    assert_eq!((amounts(&told), fees(&told)), (vec!["-12.34".to_owned(), "-105.00".to_owned()], vec![None, Some("5.00".to_owned())]));
    assert_eq!(current(&told).as_deref(), Some("882.66"));
    let inside = read(&file("2026-01-29,Tesco,-12.34,0.00,EUR,COMPLETED,987.66\n2026-01-30,To Bob,-105.00,5.00,EUR,COMPLETED,882.66\n"));
    assert_eq!((amounts(&inside)[1].as_str(), fees(&inside)[1].as_deref()), ("-105.00", Some("5.00")));
    let falling = read(&file("2026-01-30,To Bob,-100.00,5.00,EUR,COMPLETED,882.66\n2026-01-29,Tesco,-12.34,0.00,EUR,COMPLETED,987.66\n"));
    assert_eq!(amounts(&falling)[0], "-105.00");
    // Nothing tells: what a payment service calls net has its fee inside, and so has what a broker calls an amount.
    let net = read("Date,Name,Gross,Fee,Net\n2026-01-29,Bob,100.00,-3.40,96.60\n");
    assert_eq!((amounts(&net), fees(&net)), (vec!["96.60".to_owned()], vec![Some("3.40".to_owned())]));
    let broker = read_in("USD", "Date,Action,Fees & Comm,Amount\n2026-01-29,Buy,$0.01,-$1500.01\n");
    assert_eq!((amounts(&broker), fees(&broker)), (vec!["-1500.01".to_owned()], vec![Some("0.01".to_owned())]));
}

#[test]
fn a_fee_comes_on_top_in_every_language_where_no_balance_tells() {
    for (date, amount, fee) in [
        ("Completed Date", "Amount", "Fee"),
        ("Datum des Abschlusses", "Betrag", "Gebühr"),
        ("Date de fin", "Montant", "Frais"),
        ("Fecha de finalización", "Importe", "Comisión"),
        ("Data di completamento", "Importo", "Costo"),
        ("Datum", "Bedrag (EUR)", "Kosten"),
    ] {
        let told = read(&format!("{date},Text,{amount},{fee}\n2026-01-03,Cash,-100.00,2.00\n"));
        assert_eq!(
            (amounts(&told)[0].as_str(), told.rows[0].facts.fees.map(|fee| fee.to_text(&told.account.currency)).as_deref()),
            ("-102.00", Some("2.00")),
            "{amount}"
        );
    }
    for (amount, fee) in [("Net Amount", "Fee"), ("Amount", "Commission"), ("Net", "Fee"), ("Betrag", "Entgelt")] {
        assert_eq!(amounts(&read(&format!("Date,Text,{amount},{fee}\n2026-01-03,Cash,-100.00,2.00\n"))), ["-100.00"], "{amount} {fee}");
    }
}

#[test]
fn tables_whose_columns_cannot_be_told_are_shown_so_that_they_can_be() {
    for text in [
        "01/30/2026,GROCERY,12.34,,987.66\n01/29/2026,PAYROLL,,500.00,1000.00\n",
        "30/01/2026,\"-12.34\",\"COLES\",\"+987.66\"\n29/01/2026,\"+500.00\",\"SALARY\",\"+1000.00\"\n",
    ] {
        let (asked, format) = question(text, &hints("USD", CsvCorrection::default()));
        let format = format.unwrap();
        assert_eq!((asked, format.columns.len(), roles(&format)[0]), (CsvQuestion::Columns, text.lines().next().unwrap().split(',').count(), "posted_on"));
    }
    let columns = vec![(3, ColumnRole::Debit), (4, ColumnRole::Credit), (5, ColumnRole::Balance)];
    let text = "01/30/2026,GROCERY,12.34,,987.66\n01/29/2026,PAYROLL,,500.00,1000.00\n";
    let told = read_with(text.as_bytes(), &hints("USD", CsvCorrection { columns, ..CsvCorrection::default() })).unwrap();
    assert_eq!(rows(&told), [row("2026-01-30", "-12.34", "GROCERY"), row("2026-01-29", "500.00", "PAYROLL")]);
    let swiss = read_in(
        "CHF",
        "Datum von:;=\"01.01.2026\"\nWährung:;=\"CHF\"\n\nDatum;Bewegungstyp;Avisierungstext;Gutschrift in CHF;Lastschrift in CHF;Label;Kategorie\n\
         30.01.2026;Buchung;KAUF;;-12.35;;\n29.01.2026;Gutschrift;LOHN;5'000.00;;;\n",
    );
    assert_eq!(amounts(&swiss), ["-12.35", "5000.00"]);
    let french = read("Date;Libellé;Débit euros;Crédit euros;\n30/01/2026;PAIEMENT;12,34;;\n29/01/2026;VIREMENT;;2 500,00;\n");
    assert_eq!(amounts(&french), ["-12.34", "2500.00"]);
}

#[test]
fn a_word_that_is_no_direction_costs_its_row_and_turns_no_other() {
    let file = "Date,Description,Type,Amount\n2026-01-05,a,Debit,10.00\n2026-01-06,b,Debit,11.00\n2026-01-07,c,Check,25.00\n2026-01-08,d,Credit,1000.00\n";
    let told = read(file);
    assert_eq!(amounts(&told), ["-10.00", "-11.00", "1000.00"]);
    assert!(told.problems.iter().any(|problem| problem.line == 4 && problem.message.contains("which way")), "{:?}", told.problems);
    // Signs of their own say it without words.
    let signed = "Date,Description,Type,Amount\n2026-01-05,a,Debit,-10.00\n2026-01-07,c,Check,-25.00\n2026-01-08,d,Credit,1000.00\n";
    assert_eq!(amounts(&read(signed)), ["-10.00", "-25.00", "1000.00"]);
}

#[test]
fn balances_that_go_another_way_than_the_amounts_are_asked_about() {
    let newest_first = "Date,Description,Amount,Balance\n2026-01-20,shop,5.00,95.00\n2026-01-19,salary,100.00,100.00\n";
    let turned = "Date,Description,Amount,Balance\n2026-01-05,a,10.00,90.00\n2026-01-06,b,10.00,80.00\n2026-01-07,c,-5.00,85.00\n";
    for file in [newest_first, turned] {
        assert_eq!(question(file, &hints("USD", CsvCorrection::default())).0, CsvQuestion::Sign);
        // On a card what is owed rises with what is spent.
        let mut card = hints("USD", CsvCorrection::default());
        card.account.as_mut().unwrap().kind = AccountType::CreditCard;
        read_with(file.as_bytes(), &card).unwrap();
    }
    let told = |invert_sign| read_with(turned.as_bytes(), &hints("USD", CsvCorrection { invert_sign: Some(invert_sign), ..CsvCorrection::default() })).unwrap();
    assert_eq!(amounts(&told(true)), ["-10.00", "-10.00", "5.00"]);
    assert_eq!(amounts(&told(false)), ["10.00", "10.00", "-5.00"]);
    let both_ways = "Date,Description,Amount,Balance\n2026-01-05,a,-10.00,90.00\n2026-01-05,b,-10.00,80.00\n2026-01-06,c,-7.00,200.00\n";
    assert_eq!((amounts(&read(both_ways)).len(), current(&read(both_ways))), (3, None), "balances that do not follow say nothing");
}

#[test]
fn of_a_column_with_both_signs_most_rows_say_which_is_usual() {
    let rows: Vec<_> = (1..=4).map(|day| format!("2026-01-0{day};achat;-10,00;;{},00\n", 100 - day * 10)).collect();
    let told = read(&format!("Date;Libellé;Débit;Crédit;Solde\n{}2026-01-05;annulation;0,50;;60,50\n2026-01-06;salaire;;100,00;160,50\n", rows.concat()));
    assert_eq!(amounts(&told), ["-10.00", "-10.00", "-10.00", "-10.00", "0.50", "100.00"]);
    assert_eq!(current(&told).as_deref(), Some("160.50"));
    let positive = read("Date;Text;Debit;Credit\n2026-01-01;a;10.00;\n2026-01-02;b;12.00;\n2026-01-03;reversal;-3.00;\n");
    assert_eq!(amounts(&positive), ["-10.00", "-12.00", "3.00"]);
}

#[test]
fn what_is_not_booked_has_the_day_it_was_made() {
    let told = read(
        "Type,Produit,Date de début,Date de fin,Description,Montant,Frais,Devise,État,Solde\n\
         Paiement,Actuel,2026-01-05 10:00:00,2026-01-06 10:00:00,Café,-4.00,0.00,EUR,TERMINÉ,96.00\n\
         Paiement,Actuel,2026-01-07 10:00:00,,Taxi,-5.00,0.00,EUR,EN ATTENTE,\n\
         Paiement,Actuel,2026-01-08 10:00:00,,Hôtel,-6.00,0.00,EUR,ANNULÉ,\n",
    );
    let statuses: Vec<_> = told.rows.iter().map(|row| (row.facts.posted_on.to_string(), row.facts.status)).collect();
    let day = |day: &str, status| (day.to_owned(), status);
    let expected =
        [day("2026-01-06", TransactionStatus::Posted), day("2026-01-07", TransactionStatus::Pending), day("2026-01-08", TransactionStatus::Cancelled)];
    assert_eq!(statuses, expected);
    assert_eq!(current(&told).as_deref(), Some("96.00"));
    let booked = read("Started Date,Completed Date,Description,Amount,State\n2026-01-05,,a,-1.00,COMPLETED\n2026-01-05,2026-01-06,b,-1.00,COMPLETED\n");
    assert_eq!(rows(&booked), [row("2026-01-06", "-1.00", "b")], "what is booked has a day it was booked on");
}

#[test]
fn banks_that_name_both_sides_name_the_other_one() {
    let told = read(
        "Buchungsdatum;Zahlungspflichtige*r;Zahlungsempfänger*in;Verwendungszweck;Betrag (€)\n\
         02.01.26;ACME AG;Ann Schmidt;Lohn;2.000,00\n03.01.26;Ann Schmidt;Tesco;Einkauf;-12,50\n",
    );
    assert_eq!(told.rows.iter().map(|row| row.facts.merchant_name.as_deref().unwrap()).collect::<Vec<_>>(), ["ACME AG", "Tesco"]);
    let rabo = read(
        "IBAN/BBAN;Munt;Volgnr;Datum;Bedrag;Saldo na trn;Naam tegenpartij;Transactiereferentie;Omschrijving-1;Omschrijving-2\n\
         NL44RABO0123456789;EUR;000000007;2026-01-02;-2,50;97,50;Cafe;;Koffie;pas 1\n\
         NL44RABO0123456789;EUR;000000008;2026-01-02;-2,50;95,00;Cafe;RENT;Koffie;\n",
    );
    let named: Vec<_> = rabo.rows.iter().map(|row| (row.reference.as_deref().unwrap(), row.facts.description.as_str())).collect();
    assert_eq!(named, [("000000007", "Koffie · pas 1"), ("000000008", "RENT · Koffie")]);
    assert_eq!(current(&rabo).as_deref(), Some("95.00"));
}

/// Each account of a file with its number, and the descriptions of its rows.
fn accounts(file: StatementFile) -> Vec<(String, Option<String>, Vec<String>)> {
    let rows: Vec<_> = file.rows.map(Result::unwrap).collect();
    let of = |number: u32| rows.iter().filter(|(statement, _)| *statement == number).map(|(_, row)| row.facts.description.clone()).collect();
    file.statements
        .into_iter()
        .map(|statement| (statement.account.name, statement.account.masked_number.map(|mask| mask.as_str().to_owned()), of(statement.number)))
        .collect()
}

pub(super) fn several(text: &str) -> Vec<(String, Option<String>, Vec<String>)> {
    accounts(StatementFiles.read(&mut text.as_bytes(), &hints("EUR", CsvCorrection::default())).unwrap())
}

#[test]
fn a_file_of_several_accounts_makes_a_statement_of_each() {
    let account = |name: &str, mask: Option<&str>, rows: &[&str]| {
        (name.to_owned(), mask.map(str::to_owned), rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(
        several(
            "Account Type,Account Number,Transaction Date,Description 1,Description,Amount\nChequing,1234-1234567,1/30/2026,x,from 1234-1234567,-1.00\nSavings,1234-7654321,1/29/2026,x,interest,0.50\nChequing,1234-1234567,1/28/2026,x,food,-2.00\n"
        ),
        [account("Everyday ••••4567", Some("••••4567"), &["food", "from ••••4567"]), account("Everyday ••••4321", Some("••••4321"), &["interest"])]
    );
    assert_eq!(
        several(
            "Type,Product,Completed Date,Description,Amount,Balance\nCARD,Current,2026-01-29,Tesco,-12.34,987.66\nCARD,Savings,2026-01-31,Vault,50.00,50.00\n"
        ),
        [account("Everyday Current", None, &["Tesco"]), account("Everyday Savings", None, &["Vault"])]
    );
    // One account is called what it is called, and so is one whose other sides have numbers.
    let one = "IBAN,Date,Text,Amount\nDE12500105170648489890,2026-01-29,a,-1.00\nDE12500105170648489890,2026-01-30,b,-2.00\n";
    assert_eq!(several(one), [account("Everyday", Some("••••9890"), &["a", "b"])]);
    let others = "Date,Payee,Account number,Text,Amount\n2026-01-29,Ann,DE12500105170648489890,a,-1.00\n2026-01-30,Bob,DE99500105170648489891,b,-2.00\n";
    assert_eq!(several(others), [account("Everyday", None, &["a", "b"])]);
    let bought = "Date,Product,Description,Amount\n2026-01-29,APPLE INC,buy,-1.00\n2026-01-30,SHELL PLC,buy,-2.00\n";
    assert_eq!(several(bought).len(), 1);
    // What banks write below the table does not count, and a sort code is no day.
    let below = "The data and information in this file is provided for information\n".repeat(9);
    let numbered = format!("Date,Account,Account Number,Text,Amount\n2026-01-29,Own,Z12345678,a,-1.00\n2026-01-30,Roth,223456789,b,-2.00\n\n{below}");
    assert_eq!(several(&numbered).len(), 2);
    let sorted = "Number,Date,Account,Amount,Memo\n1,29/01/2026,20-12-34 12345678,-1.00,a 20-12-34 12345678\n2,30/01/2026,20-12-34 87654321,-2.00,b\n";
    let (first, second) = (account("Everyday ••••5678", Some("••••5678"), &["a ••••5678"]), account("Everyday ••••4321", Some("••••4321"), &["b"]));
    assert_eq!(several(sorted), [first, second]);
    let unknown = "Product,Completed Date,Description,Amount\nCurrent,2026-01-29,a,-1.00\nSavings,2026-01-30,b,2.00\nStars,2026-01-30,c,3.00\n";
    assert_eq!(several(unknown).len(), 3);
    let card = "Date,Description,Card Member,Account #,Amount\n2026-01-30,a,ANN,-12345,-1.00\n2026-01-30,b,BOB,-12346,-1.00\n";
    assert_eq!(several(card).len(), 1, "one card account has several cards");
}

#[test]
fn an_account_is_known_by_its_name_and_number_whatever_else_is_in_the_file() {
    let known = |name: &str, rows: &str| {
        let kind = AccountType::Checking;
        let account = Some(NamedAccount { name: name.to_owned(), kind, currency: Some(Currency::parse("EUR").unwrap()) });
        let text = format!("IBAN;Date;Text;Amount\n{rows}");
        let file = StatementFiles.read(&mut text.as_bytes(), &StatementHints { account, ..StatementHints::default() }).unwrap();
        file.statements
            .into_iter()
            .map(|statement| (statement.account.reference, (statement.alike, statement.formerly, statement.together)))
            .collect::<Vec<_>>()
    };
    let (one, other) = ("DE12500105170648489890;2026-01-29;a;-1.00\n", "DE99500105170648481111;2026-01-30;b;-2.00\n");
    let (alone, both) = (known("Giro", one), known("giro", &format!("{other}{one}")));
    assert_eq!((both.len(), &both[1].0), (2, &alone[0].0));
    assert_eq!(known("Giro ••••9890", &one.replace("DE12500105", "de12 5001 05"))[0].0, alone[0].0, "whoever names it as it is shown means it");
    assert_ne!(known("Savings", one)[0].0, alone[0].0);
    assert_ne!(known("Giro", &one.replace("DE12", "DE13"))[0].0, alone[0].0, "numbers may end alike");
    let reference = |text: &str| AccountReference::new(text);
    let (alike, by_name) = (Some(reference("csv:giro ••••9890")), Some(reference("csv:giro")));
    assert_eq!(alone[0].1, (alike.clone(), by_name.clone(), None));
    assert_eq!(both[1].1, (alike, None, by_name));
    assert_eq!(known("Mu\u{308}ller", one), known("MÜLLER", one), "however letters are composed");
    let blank = known("Giro", &format!("{};2026-01-30;b;-2.00\n", one.repeat(4)));
    assert_eq!(blank, alone, "a row that names none is of the only one");
}

#[test]
fn accounts_of_one_file_are_told_apart_by_more_than_the_end_of_their_numbers() {
    let text = "Auftragskonto,Date,Text,Amount\n111-0001,2026-01-29,a,-1.00\n222-0001,2026-01-30,b,-2.00\n,2026-01-30,c,-3.00\n";
    let hints = StatementHints {
        account: Some(NamedAccount { name: "A".to_owned(), kind: AccountType::Checking, currency: Some(Currency::parse("EUR").unwrap()) }),
        ..StatementHints::default()
    };
    let file = StatementFiles.read(&mut text.as_bytes(), &hints).unwrap();
    assert_ne!(file.statements[0].account.reference, file.statements[1].account.reference);
    assert_eq!(
        file.problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect::<Vec<_>>(),
        [(4, "the row does not say which account it is of")]
    );
}
