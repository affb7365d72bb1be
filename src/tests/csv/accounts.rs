//! Columns that say which account a row is of, and columns that hold the numbers of others.

use super::banks::several;

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
