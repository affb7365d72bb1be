//! The invented person whose money the sandbox bank keeps, lived day by day from two years before the bank was first opened.
//!
//! What happens on a day depends on the seed, that day and the days before it, never on a later one: booked rows stay as they are. What
//! moves between two accounts moves on both on the same day. Some card purchases are announced first and booked two days later under
//! another id, restaurants with a tip on top.

use chrono::Datelike;

use crate::domain::time::LocalDate;

use super::{
    bank::{ACCOUNTS, Account, Book, Dice, Position, Row, Security, Units},
    shops::{CARD, EURO, LOCAL, MARKET, RETIREMENT, Shop},
};

/// Days of history on the day the bank is first opened.
pub const HISTORY_DAYS: i64 = 730;

/// Days from a purchase to its booking, where the bank announces it first.
const DAYS_TO_BOOK: i64 = 2;

/// The cents of a whole number of dollars or euros.
const fn whole(units: i64) -> i64 {
    units * 100
}

const SALARY: i64 = whole(3_150);
const RENT: i64 = whole(1_650);
const LOAN: i64 = whole(24_000);
const INSTALMENT: i64 = 46_847;

/// 2020-01-01, see [`Life::day_number`].
const MARKET_BEGAN: i64 = 737_425;

/// All books as they stand on `today`.
pub(super) fn live(seed: u64, opened_on: LocalDate, today: LocalDate) -> Vec<Book> {
    let first = opened_on.plus_days(-HISTORY_DAYS);
    let mut life = Life::new(seed, first);
    for offset in 0..=today.days_since(first) {
        life.day = first.plus_days(offset);
        life.live_day();
    }
    life.into_books()
}

/// A row before it has its id and its day.
struct Entry {
    code: &'static str,
    cents: i64,
    description: String,
    merchant: Option<&'static str>,
    category: Option<&'static str>,
    security: Option<&'static Security>,
    units: Option<Units>,
}

impl Entry {
    fn new(code: &'static str, cents: i64, description: impl Into<String>) -> Self {
        Self { code, cents, description: description.into(), merchant: None, category: None, security: None, units: None }
    }

    fn at(shop: &Shop, cents: i64) -> Self {
        Self { merchant: Some(shop.name), category: Some(shop.category), ..Self::new("POS", -cents, shop.line) }
    }

    fn bill(cents: i64, merchant: &'static str, category: &'static str) -> Self {
        Self { merchant: Some(merchant), category: Some(category), ..Self::new("BIL", -cents, format!("{} AUTOPAY", merchant.to_uppercase())) }
    }

    fn about(security: &'static Security, code: &'static str, cents: i64, word: &str) -> Self {
        Self { security: Some(security), ..Self::new(code, cents, format!("{word} {}", security.symbol)) }
    }

    fn in_category(self, category: &'static str) -> Self {
        Self { category: Some(category), ..self }
    }
}

/// How much of a security is held, and what was paid for it.
#[derive(Clone, Copy, Default)]
struct Stake {
    thousandths: i64,
    cost: i64,
}

impl Stake {
    /// More for what it cost, or less for its share of the cost (average cost).
    fn trade(&mut self, thousandths: i64, paid: i64) {
        self.cost += if thousandths < 0 { self.cost * thousandths / self.thousandths } else { paid };
        self.thousandths += thousandths;
    }
}

struct Life {
    seed: u64,
    first: LocalDate,
    day: LocalDate,
    books: Vec<Book>,
    /// What the last card statement asked for.
    statement: i64,
    /// Whether it was paid in part only, so that the rest bears interest.
    is_revolving: bool,
    /// What is held of each of [`MARKET`].
    positions: [Stake; MARKET.len()],
    /// What is held of [`RETIREMENT`].
    fund: Stake,
    cheques: u32,
}

impl Life {
    fn new(seed: u64, first: LocalDate) -> Self {
        let books = ACCOUNTS.iter().map(|spec| Book::new(seed, spec)).collect();
        Self {
            seed,
            first,
            day: first,
            books,
            statement: whole(640),
            is_revolving: false,
            positions: [Stake::default(); MARKET.len()],
            fund: Stake::default(),
            cheques: 1_040,
        }
    }

    fn live_day(&mut self) {
        if self.day == self.first {
            self.open_accounts();
        }
        self.book_announced();
        self.earn();
        self.pay_bills();
        self.spend_locally();
        self.spend_on_card();
        self.settle_card();
        self.repay_loan();
        self.spend_euros();
        self.invest();
        self.provide_for_age();
        self.save();
    }

    fn open_accounts(&mut self) {
        self.book(Account::Checking, Entry::new("DEP", whole(4_200), "Opening deposit"));
        self.book(Account::Savings, Entry::new("DEP", whole(10_000), "Opening deposit"));
        self.book(Account::Euro, Entry::new("DEP", whole(2_500), "Opening deposit"));
        self.book(Account::Card, Entry::new("BAL", -whole(640), "Balance brought forward"));
        self.book(Account::Loan, Entry::new("DRW", -LOAN, "Loan paid out to Cedar Motors"));
        self.book(Account::Brokerage, Entry::new("DEP", whole(12_000), "Opening deposit"));
        self.book(Account::Roth, Entry::new("DEP", whole(8_000), "Opening deposit"));
    }

    fn earn(&mut self) {
        if self.day_number() % 14 == 5 {
            self.book(Account::Checking, Entry::new("SAL", SALARY, "PAYROLL ALDER ANALYTICS LLC").in_category("income"));
        }
        let mut dice = self.dice("interest");
        if self.is_last_of_month() {
            let interest = self.balance(Account::Savings) * 41 / 12_000;
            self.book(Account::Savings, Entry::new("INT", interest, "Interest paid"));
            if self.day.naive().month() == 12 {
                // A word no mapping knows: banks have such words too.
                self.book(Account::Savings, Entry::new("LYB", dice.cents(whole(10), whole(25)), "Loyalty bonus"));
            }
        }
    }

    fn pay_bills(&mut self) {
        let mut dice = self.dice("bills");
        let (month, winter) = (self.day.naive().month(), matches!(self.day.naive().month(), 1 | 2 | 11 | 12));
        let entry = match self.day.naive().day() {
            1 => Entry::bill(RENT, "Larkspur Apartments", "rent"),
            8 => Entry::bill(dice.cents(whole(62), whole(118)) + if winter { whole(45) } else { 0 }, "Springvale Electric", "utilities"),
            12 => Entry::bill(5_999, "Beacon Fiber", "utilities"),
            18 => Entry::bill(4_250, "Tern Mobile", "utilities"),
            22 if month % 3 == 0 => {
                self.cheques += 1;
                Entry::new("CHK", -dice.cents(whole(80), whole(240)), format!("Check {}", self.cheques))
            }
            _ => return,
        };
        self.book(Account::Checking, entry);
    }

    fn spend_locally(&mut self) {
        let mut dice = self.dice("local");
        if dice.once_in(4) {
            let (shop, cents) = visit(&LOCAL, &mut dice);
            self.book(Account::Checking, Entry::at(shop, cents));
        }
        if self.day.days_since(self.first) % 2 == 0 {
            self.announce(Account::Checking, &LOCAL, &mut dice);
        }
        if dice.once_in(12) {
            let cents = [whole(40), whole(60), whole(80), whole(100)][dice.roll(4) as usize];
            self.book(Account::Checking, Entry::new("ATM", -cents, "ATM WITHDRAWAL 0071 HARBOUR BANK").in_category("cash"));
        }
        if dice.once_in(90) {
            let (shop, cents) = visit(&LOCAL[..2], &mut dice);
            self.book(Account::Checking, Entry { code: "RET", cents: cents / 2, ..Entry::at(shop, cents) });
        }
    }

    fn spend_on_card(&mut self) {
        let mut dice = self.dice("card");
        // The issuer declines what would come near the line.
        if self.balance(Account::Card) < -whole(8_000) {
            return;
        }
        if dice.once_in(2) {
            let (shop, cents) = visit(&CARD, &mut dice);
            self.book(Account::Card, Entry::at(shop, cents));
        }
        self.announce(Account::Card, &CARD, &mut dice);
        if dice.once_in(45) {
            let (shop, cents) = visit(&CARD[7..9], &mut dice);
            self.book(Account::Card, Entry { code: "RET", cents, ..Entry::at(shop, cents) });
        }
    }

    /// The statement closes on the 25th and is paid on the 15th, now and then in part.
    fn settle_card(&mut self) {
        let mut dice = self.dice("statement");
        let owed = -self.balance(Account::Card);
        match self.day.naive().day() {
            15 if owed > 0 => {
                let asked = self.statement.min(owed);
                self.is_revolving = dice.once_in(6) || self.balance(Account::Checking) < asked + whole(300);
                let paid = if self.is_revolving { asked * 2 / 5 } else { asked };
                if paid > 0 {
                    self.book(Account::Checking, Entry::new("CPY", -paid, "MERIDIAN CARD PAYMENT"));
                    self.book(Account::Card, Entry::new("CPY", paid, "Payment received, thank you"));
                }
            }
            25 => {
                if self.is_revolving {
                    self.book(Account::Card, Entry::new("FIN", -(owed * 219 / 12_000).max(whole(1)), "Interest charge on purchases"));
                    if dice.once_in(3) {
                        self.book(Account::Card, Entry::new("LFE", -whole(29), "Late payment fee"));
                    }
                }
                if self.day.naive().month() == 9 {
                    self.book(Account::Card, Entry::new("AFE", -whole(95), "Annual fee"));
                }
                self.statement = -self.balance(Account::Card);
                self.is_revolving = false;
            }
            _ => {}
        }
    }

    fn repay_loan(&mut self) {
        let owed = -self.balance(Account::Loan);
        if self.day.naive().day() != 5 || owed <= 0 {
            return;
        }
        let interest = owed * 64 / 12_000;
        let paid = INSTALMENT.min(owed + interest);
        self.book(Account::Loan, Entry::new("FIN", -interest, "Interest charged"));
        self.book(Account::Checking, Entry::new("LPY", -paid, "MERIDIAN LOAN INSTALMENT"));
        self.book(Account::Loan, Entry::new("LPY", paid, "Instalment received"));
    }

    fn spend_euros(&mut self) {
        let mut dice = self.dice("euro");
        match self.day.naive().day() {
            3 => self.book(Account::Euro, Entry::new("WIR", whole(890), "SEPA CREDIT STUDIO LINDQVIST RECHNUNG").in_category("income")),
            4 => self.book(Account::Euro, Entry::bill(whole(350), "Werkraum Coworking", "office")),
            9 => self.book(Account::Euro, Entry::bill(1_299, "Nimbus Hosting", "software")),
            _ => {}
        }
        if self.balance(Account::Euro) < whole(200) {
            return;
        }
        // Two coffees at one till on one day are two rows alike in everything but their id.
        if self.day_number() % 14 == 13 {
            for _ in 0..2 {
                let coffee = Entry::new("POS", -340, "CAFÉ MIRABEL");
                self.book(Account::Euro, Entry { merchant: Some("Café Mirabel"), category: Some("coffee"), ..coffee });
            }
        }
        if dice.once_in(5) {
            let (shop, cents) = visit(&EURO, &mut dice);
            self.book(Account::Euro, Entry::at(shop, cents));
        }
    }

    fn invest(&mut self) {
        let mut dice = self.dice("market");
        let chosen = dice.roll(4) as usize;
        let (month, day) = (self.day.naive().month(), self.day.naive().day());
        match day {
            3 if month == 1 => self.book(Account::Brokerage, Entry::new("ADV", -whole(25), "Annual account fee")),
            10 if month % 3 == 0 => self.sell(chosen),
            16 => self.move_money(Account::Checking, Account::Brokerage, whole(300)),
            18 => self.buy(chosen),
            20 if month % 3 == 0 => self.collect_dividends(),
            _ => {}
        }
    }

    fn buy(&mut self, chosen: usize) {
        let security = &MARKET[chosen];
        let price = self.price(security);
        let spend = (self.balance(Account::Brokerage) - whole(50)).min(whole(2_500)) - security.commission;
        // Only the fund is sold in fractions.
        let thousandths = if security.class == "ETF" { spend * 1_000 / price } else { spend / price * 1_000 };
        if thousandths > 0 {
            let paid = self.trade(Account::Brokerage, security, "BUY", thousandths);
            self.positions[chosen].trade(thousandths, paid);
        }
    }

    fn sell(&mut self, chosen: usize) {
        let thousandths = self.positions[chosen].thousandths / 2_000 * 1_000;
        if thousandths > 0 {
            let paid = self.trade(Account::Brokerage, &MARKET[chosen], "SLL", -thousandths);
            self.positions[chosen].trade(-thousandths, paid);
        }
    }

    fn collect_dividends(&mut self) {
        for (security, held) in MARKET.iter().zip(self.positions) {
            let dividend = held.thousandths * security.dividend / 1_000;
            if dividend > 0 {
                self.book(Account::Brokerage, Entry::about(security, "DIV", dividend, "Dividend"));
            }
            let withheld = dividend * 15 / 100;
            if security.withheld && withheld > 0 {
                self.book(Account::Brokerage, Entry::about(security, "TWH", -withheld, "Tax withheld abroad"));
            }
        }
    }

    /// Monthly into one fund; what it pays out buys more of it.
    fn provide_for_age(&mut self) {
        let (month, day) = (self.day.naive().month(), self.day.naive().day());
        match day {
            17 => self.move_money(Account::Checking, Account::Roth, whole(200)),
            19 => {
                let thousandths = (self.balance(Account::Roth) - whole(20)).min(whole(2_000)) * 1_000 / self.price(&RETIREMENT);
                if thousandths > 0 {
                    let paid = self.trade(Account::Roth, &RETIREMENT, "BUY", thousandths);
                    self.fund.trade(thousandths, paid);
                }
            }
            21 if month % 3 == 0 => {
                let dividend = self.fund.thousandths * RETIREMENT.dividend / 1_000;
                let thousandths = dividend * 1_000 / self.price(&RETIREMENT);
                if thousandths > 0 {
                    self.book(Account::Roth, Entry::about(&RETIREMENT, "DIV", dividend, "Dividend"));
                    let paid = self.trade(Account::Roth, &RETIREMENT, "DRP", thousandths);
                    self.fund.trade(thousandths, paid);
                }
            }
            _ => {}
        }
    }

    /// What is left over goes to savings; what is missing comes from there.
    fn save(&mut self) {
        let balance = self.balance(Account::Checking);
        let saved = (balance - whole(5_000)) / 2 / whole(50) * whole(50);
        let missing = ((whole(500) - balance) / whole(100) + 1) * whole(100);
        if self.day.naive().day() == 2 && saved > 0 {
            self.move_inside(Account::Checking, Account::Savings, saved);
        } else if balance < whole(300) && self.balance(Account::Savings) >= missing {
            self.move_inside(Account::Savings, Account::Checking, missing);
        }
    }

    /// Answers what was paid, charges included; negative for what was received.
    fn trade(&mut self, account: Account, security: &'static Security, code: &'static str, thousandths: i64) -> i64 {
        let price = self.price(security);
        let fees = if code == "DRP" { 0 } else { security.commission };
        // To the nearest cent, as a broker settles.
        let value = (thousandths.abs() * price + 500) / 1_000;
        let (cents, word) = match code {
            "SLL" => (value - fees, "Sold"),
            "DRP" => (-value, "Dividend reinvested in"),
            _ => (-value - fees, "Bought"),
        };
        let entry = Entry { units: Some(Units { thousandths, price, fees }), ..Entry::about(security, code, cents, word) };
        self.book(account, entry);
        -cents
    }

    /// What one unit costs this week, in cents.
    fn price(&self, security: &Security) -> i64 {
        let days = self.day_number() - MARKET_BEGAN;
        let week = format!("{}|{}", security.symbol, self.day_number() / 7);
        let mood = i64::from(Dice::new(self.seed, &week, None).roll(1_200)) - 600;
        (security.base_price * (10_000 + security.drift * days / 365 + mood) / 10_000).max(whole(1))
    }

    fn move_money(&mut self, from: Account, to: Account, cents: i64) {
        let (source, target) = (ACCOUNTS[from as usize].institution, ACCOUNTS[to as usize].institution);
        self.book(from, Entry::new("XTO", -cents, format!("Transfer to {target}")));
        self.book(to, Entry::new("XTI", cents, format!("Transfer from {source}")));
    }

    fn move_inside(&mut self, from: Account, to: Account, cents: i64) {
        self.book(from, Entry::new("XFI", -cents, format!("Transfer to {}", ACCOUNTS[to as usize].name)));
        self.book(to, Entry::new("XFI", cents, format!("Transfer from {}", ACCOUNTS[from as usize].name)));
    }

    /// A purchase that is pending today and tomorrow.
    fn announce(&mut self, account: Account, shops: &'static [Shop], dice: &mut Dice) {
        let (shop, cents) = visit(shops, dice);
        let tip = if shop.is_tipped() { cents * i64::from(15 + dice.roll(8)) / 100 } else { 0 };
        let id = format!("{}-{}-p", ACCOUNTS[account as usize].prefix, self.day.naive().format("%Y%m%d"));
        let row = Row { pending: true, minute: Some(7 * 60 + dice.roll(16 * 60 + 50)), ..row(id, self.day, Entry::at(shop, cents)) };
        self.books[account as usize].waiting.push((row, -cents - tip));
    }

    fn book_announced(&mut self) {
        let due = self.day.plus_days(-DAYS_TO_BOOK);
        for index in 0..self.books.len() {
            let (ready, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.books[index].waiting).into_iter().partition(|(row, _)| row.date <= due);
            self.books[index].waiting = waiting;
            for (announced, cents) in ready {
                let id = self.next_id(index);
                let booked = Row { id, replaces: Some(announced.id), date: self.day, made_on: Some(announced.date), pending: false, cents, ..announced };
                self.push(index, booked);
            }
        }
    }

    fn book(&mut self, account: Account, entry: Entry) {
        let id = self.next_id(account as usize);
        let row = row(id, self.day, entry);
        self.push(account as usize, row);
    }

    fn push(&mut self, index: usize, row: Row) {
        self.books[index].booked += row.cents;
        self.books[index].rows.push(row);
    }

    fn next_id(&mut self, index: usize) -> String {
        let book = &mut self.books[index];
        let place = if book.last_place.0 == Some(self.day) { book.last_place.1 + 1 } else { 1 };
        book.last_place = (Some(self.day), place);
        format!("{}-{}-{place:02}", book.spec.prefix, self.day.naive().format("%Y%m%d"))
    }

    fn balance(&self, account: Account) -> i64 {
        self.books[account as usize].booked
    }

    fn dice(&self, subject: &str) -> Dice {
        Dice::new(self.seed, subject, Some(self.day))
    }

    /// Days since the year 1, which began with a Monday: 5 modulo 7 is a Friday.
    fn day_number(&self) -> i64 {
        i64::from(self.day.naive().num_days_from_ce())
    }

    fn is_last_of_month(&self) -> bool {
        self.day.plus_days(1).naive().day() == 1
    }

    /// What still waits is pending today; when and by whom it will be booked is not known yet.
    fn into_books(self) -> Vec<Book> {
        let position = |(security, stake): (&'static Security, Stake)| {
            let Stake { thousandths, cost } = stake;
            (thousandths > 0).then(|| Position { security, thousandths, price: self.price(security), cost })
        };
        let market = MARKET.iter().zip(self.positions).filter_map(position).collect();
        let retirement = [(&RETIREMENT, self.fund)].into_iter().filter_map(position).collect();
        let mut books = self.books;
        books[Account::Brokerage as usize].positions = Some(market);
        books[Account::Roth as usize].positions = Some(retirement);
        for book in &mut books {
            let waiting = std::mem::take(&mut book.waiting);
            book.rows.extend(waiting.into_iter().map(|(row, _)| Row { minute: None, ..row }));
        }
        books
    }
}

fn visit<'a>(shops: &'a [Shop], dice: &mut Dice) -> (&'a Shop, i64) {
    let chosen = dice.roll(u32::try_from(shops.len()).unwrap_or(1)) as usize;
    let shop = &shops[chosen];
    (shop, dice.cents(shop.from, shop.to))
}

fn row(id: String, date: LocalDate, entry: Entry) -> Row {
    let Entry { code, cents, description, merchant, category, security, units } = entry;
    Row { id, replaces: None, date, made_on: None, minute: None, pending: false, code, cents, description, merchant, category, security, units }
}
