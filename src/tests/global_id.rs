//! Global ids against the examples of the TypeID specification 0.3, with our kinds for its prefixes.

use dashtam::{
    domain::id::{AccountId, UserId},
    presentation::graphql::global_id::{GlobalId, InvalidId, Kind},
};
use proptest::prelude::*;
use uuid::{Uuid, uuid};

const VALID: [(&str, Uuid); 8] = [
    ("00000000000000000000000000", uuid!("00000000-0000-0000-0000-000000000000")),
    ("00000000000000000000000001", uuid!("00000000-0000-0000-0000-000000000001")),
    ("0000000000000000000000000a", uuid!("00000000-0000-0000-0000-00000000000a")),
    ("0000000000000000000000000g", uuid!("00000000-0000-0000-0000-000000000010")),
    ("00000000000000000000000010", uuid!("00000000-0000-0000-0000-000000000020")),
    ("7zzzzzzzzzzzzzzzzzzzzzzzzz", uuid!("ffffffff-ffff-ffff-ffff-ffffffffffff")),
    ("0123456789abcdefghjkmnpqrs", uuid!("0110c853-1d09-52d8-d73e-1194e95b5f19")),
    ("01h455vb4pex5vsknk084sn02q", uuid!("01890a5d-ac96-774b-bcce-b302099a8057")),
];

const INVALID: [&str; 20] = [
    "",
    "USER_00000000000000000000000000",
    "12345_00000000000000000000000000",
    "us.er_00000000000000000000000000",
    "usér_00000000000000000000000000",
    "  user_00000000000000000000000000",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl_00000000000000000000000000",
    "_00000000000000000000000000",
    "_",
    "user_1234567890123456789012345",
    "user_123456789012345678901234567",
    "user_1234567890123456789012345 ",
    "user_0123456789ABCDEFGHJKMNPQRS",
    "user_123456789-123456789-123456",
    "user_ooooooiiiiiiuuuuuuulllllll",
    "user_i23456789ol23456789oi23456",
    "user_123456789-0123456789-0123456",
    "user_8zzzzzzzzzzzzzzzzzzzzzzzzz",
    "_user_00000000000000000000000000",
    "user__00000000000000000000000000",
];

#[test]
fn the_examples_of_the_specification() {
    for (suffix, id) in VALID {
        for kind in Kind::ALL {
            let text = format!("{}_{suffix}", kind.prefix());
            assert_eq!(text.parse(), Ok(GlobalId { kind, id }));
            assert_eq!(GlobalId { kind, id }.to_string(), text);
        }
    }
    for text in INVALID {
        assert_eq!(text.parse::<GlobalId>(), Err(InvalidId), "{text}");
    }
    for text in ["00000000000000000000000000", "card_00000000000000000000000000", "user_é123456789abcdefghjkmnpqr", "user_0123456789abcdefghjkmnpqé"] {
        assert_eq!(text.parse::<GlobalId>(), Err(InvalidId), "{text}");
    }
}

#[test]
fn an_id_of_another_kind_is_none() {
    let account = GlobalId::from(AccountId(VALID[7].1));
    assert_eq!(account.to_id().as_str(), "acct_01h455vb4pex5vsknk084sn02q");
    assert_eq!(account.of(), Ok(AccountId(VALID[7].1)));
    assert_eq!(account.of::<UserId>(), Err(InvalidId));
}

proptest! {
    #[test]
    fn every_id_comes_back(bits in any::<u128>()) {
        let id = GlobalId { kind: Kind::Transaction, id: Uuid::from_u128(bits) };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn ids_sort_as_their_texts_do(one in any::<u128>(), other in any::<u128>()) {
        let text = |bits| GlobalId { kind: Kind::Link, id: Uuid::from_u128(bits) }.to_string();
        prop_assert_eq!(one.cmp(&other), text(one).cmp(&text(other)));
    }

    #[test]
    fn what_is_read_is_the_only_text_of_its_id(text in "(user|txn)_[0-9a-zA-Z]{26}") {
        if let Ok(id) = text.parse::<GlobalId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
