//! Where the invented person spends and what they invest in. All names are made up.

use super::bank::Security;

/// Someone who takes money.
pub(super) struct Shop {
    pub(super) name: &'static str,
    /// As the statement prints it.
    pub(super) line: &'static str,
    pub(super) category: &'static str,
    /// The least a visit costs, in cents.
    pub(super) from: i64,
    /// What no visit costs, in cents.
    pub(super) to: i64,
}

impl Shop {
    const fn new(name: &'static str, line: &'static str, category: &'static str, from: i64, to: i64) -> Self {
        Self { name, line, category, from, to }
    }

    /// Where a tip is added before the purchase is booked.
    pub(super) fn is_tipped(&self) -> bool {
        self.category == "restaurants"
    }
}

/// Paid for with the debit card.
pub(super) static LOCAL: [Shop; 6] = [
    Shop::new("Fernway Market", "POS FERNWAY MARKET 0142", "groceries", 1_250, 9_800),
    Shop::new("Fernway Market", "POS FERNWAY MARKET 0142", "groceries", 600, 3_400),
    Shop::new("Metro Transit", "METRO TRANSIT FARE", "transport", 275, 276),
    Shop::new("Corner Bakery & Deli", "POS CORNER BAKERY & DELI", "restaurants", 480, 1_650),
    Shop::new("Bellweather Pharmacy", "BELLWEATHER PHARMACY #31", "health", 590, 3_900),
    Shop::new("Laurel Street Barber", "LAUREL ST BARBER", "personal_care", 2_800, 3_200),
];

/// Paid for with the credit card.
pub(super) static CARD: [Shop; 10] = [
    Shop::new("Greenleaf Grocers", "GREENLEAF GROCERS 88 SPRINGVALE", "groceries", 1_900, 11_200),
    Shop::new("Greenleaf Grocers", "GREENLEAF GROCERS 88 SPRINGVALE", "groceries", 900, 5_200),
    Shop::new("Osteria Lupo", "OSTERIA LUPO SPRINGVALE", "restaurants", 2_400, 8_600),
    Shop::new("Noodle Harbor", "SQ *NOODLE HARBOR", "restaurants", 1_150, 3_200),
    Shop::new("Juniper Coffee", "JUNIPER COFFEE 04", "coffee", 375, 890),
    Shop::new("Pinemont Fuel", "PINEMONT FUEL 2217", "transport", 2_100, 5_400),
    Shop::new("Ridewell", "RIDEWELL *TRIP HELP.RIDEWELL.EXAMPLE", "transport", 780, 3_600),
    Shop::new("Marlowe Books", "MARLOWE BOOKS", "shopping", 900, 4_200),
    Shop::new("Tidewater Outfitters", "TIDEWATER OUTFITTERS WEB", "shopping", 2_500, 14_900),
    Shop::new("Cinema Aurora", "CINEMA AURORA TICKETS", "entertainment", 1_300, 3_800),
];

/// Paid for in euros.
pub(super) static EURO: [Shop; 4] = [
    Shop::new("Markthalle Süd", "MARKTHALLE SÜD KARTENZAHLUNG", "groceries", 1_400, 6_200),
    Shop::new("Trattoria Nonna", "TRATTORIA NONNA", "eating_out", 1_800, 5_400),
    Shop::new("Bahn Regional", "BAHN REGIONAL TICKET", "transport", 320, 4_900),
    Shop::new("Papeterie Lumière", "PAPETERIE LUMIÈRE", "shopping", 450, 2_900),
];

/// Bought and sold in the brokerage account.
pub(super) static MARKET: [Security; 4] = [
    Security { symbol: "NWTM", name: "Northwind Total Market ETF", class: "ETF", base_price: 14_210, drift: 820, dividend: 58, withheld: false, commission: 0 },
    Security { symbol: "HLYA", name: "Halyard Instruments Inc.", class: "CS", base_price: 8_845, drift: 1_150, dividend: 35, withheld: false, commission: 495 },
    Security { symbol: "FJRD", name: "Fjordkraft Maritime ASA", class: "ADR", base_price: 3_120, drift: 430, dividend: 41, withheld: true, commission: 495 },
    Security { symbol: "CRBT", name: "Cobalt Robotics Corp.", class: "CS", base_price: 21_760, drift: 1_900, dividend: 0, withheld: false, commission: 495 },
];

/// Bought in the retirement account.
pub(super) static RETIREMENT: Security = Security {
    symbol: "NWRTX",
    name: "Northwind Retirement 2055 Fund",
    class: "MF",
    base_price: 2_745,
    drift: 610,
    dividend: 13,
    withheld: false,
    commission: 0,
};
