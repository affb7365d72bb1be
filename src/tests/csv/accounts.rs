//! Columns that say which account a row is of, and columns that hold the numbers of others.

use super::{banks::several, read, rows};

/// How many accounts two rows of a column are of.
fn accounts(heading: &str, cells: [&str; 2]) -> usize {
    let [one, other] = cells;
    several(&format!("{heading};Date;Text;Amount\n{one};2026-01-29;a;-1.00\n{other};2026-01-30;b;-2.00\n")).len()
}

#[test]
fn accounts_are_told_apart_whatever_banks_call_their_column() {
    let called = ["Bank Account", "Compte", "Cuenta", "Conto", "Conta", "Rachunek", "Tili", "Número de cuenta"];
    for heading in called {
        assert_eq!(accounts(heading, ["032123456789", "032987654321"]), 2, "{heading}");
    }
    assert_eq!(accounts("Account Nickname", ["Household", "Holidays"]), 2);
    // Behind a payee, and where some rows have none, it is the other side's.
    for heading in &called[1..] {
        let others = format!("Date;Payee;{heading};Text;Amount\n2026-01-29;Ann;032123456789;a;-1.00\n2026-01-30;Bob;032987654321;b;-2.00\n");
        assert_eq!((several(&others).len(), accounts(heading, ["032123456789", ""])), (1, 1), "{heading}");
    }
}

#[test]
fn a_card_is_an_account_where_every_row_has_its_whole_number() {
    for heading in ["Card No.", "Card Number", "Kortnummer"] {
        assert_eq!(accounts(heading, ["4510 1234 5678 1235", "5500000000000004"]), 2, "{heading}");
        for cells in [["1235", "0004"], ["4510123456781235", ""], ["451012******1235", "550000******0004"], ["4510123456781235", "4510123456781235"]] {
            assert_eq!(accounts(heading, cells), 1, "{heading} {cells:?}");
        }
    }
    assert_eq!(accounts("Card", ["4510123456781235", "5500000000000004"]), 1, "the card that was used");
}

#[test]
fn the_number_of_an_account_is_no_payee() {
    let nordea = read(
        "Bokföringsdag;Belopp;Avsändare;Mottagare;Namn;Rubrik;Saldo;Valuta\n2026/01/31;-12,34;1234 56 78901;;ICA MAXI;Kortköp 260130 ICA MAXI;987,66;EUR\n\
         2026/01/30;1000,00;;1234 56 78901;Acme AB;Lön till 1234-56 78901;1000,00;EUR\n2026/01/29;-5,00;1234 56 78901;9876 54 32109;;Överföring 98765432109;0,00;EUR\n",
    );
    let told: Vec<_> = nordea.rows.iter().map(|row| (row.facts.merchant_name.as_deref(), row.facts.description.as_str())).collect();
    let expected = [(Some("ICA MAXI"), "Kortköp 260130 ICA MAXI"), (Some("Acme AB"), "Lön till ••••8901"), (None, "Överföring ••••2109")];
    assert_eq!(told, expected);
    for heading in ["Mottagare", "Payee", "Empfänger"] {
        let numbers = read(&format!("Date;{heading};Text;Amount\n2026-01-29;DE12 5001 0517 0648 4898 90;a;-1.00\n2026-01-30;1234 56-78901;b;-2.00\n"));
        assert!(numbers.rows.iter().all(|row| row.facts.merchant_name.is_none()), "{heading}: {:?}", numbers.rows);
    }
    // One number among names is shown by its end.
    let mixed = read("Date;Payee;Amount\n2026-01-29;Ann;-1.00\n2026-01-30;1234 56-78901;-2.00\n2026-01-31;Bob;-3.00\n");
    assert_eq!(rows(&mixed).iter().map(|(_, _, text)| *text).collect::<Vec<_>>(), ["Ann", "••••8901", "Bob"]);
}
