//! The codes themselves: RFC 6238's vectors, what counts as typed, and where a sealed secret opens.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use dashtam::{
    application::ports::{CodeBook as _, Place, Sealer as _},
    domain::{
        id::{LinkId, SecondFactorId, UserId},
        time::Timestamp,
        user::EmailAddress,
    },
    infrastructure::security::{
        keys::{Keys, KeysInForce},
        sealer::AesSealer,
        second_factor::Codes,
    },
};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use crate::harness::{
    app::{TOKEN_SECRET, keys},
    clock::TestRandomness,
};

/// RFC 6238, appendix B: the SHA-1 secret, and time with the last six of its eight digits.
const SECRET: &[u8] = b"12345678901234567890";
const VECTORS: [(i64, &str); 6] =
    [(59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"), (2_000_000_000, "279037"), (20_000_000_000, "353130")];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000).unwrap()
}

fn user(last: u128) -> UserId {
    UserId(Uuid::from_u128(last))
}

#[test]
fn the_vectors_of_rfc_6238_hold_within_one_step_and_no_further() {
    let codes = Codes::new(&keys()).unwrap();
    for (seconds, code) in VECTORS {
        let step = seconds / 30;
        for now in [step * 30 - 30, step * 30, seconds, step * 30 + 29, step * 30 + 59] {
            assert_eq!(codes.step(SECRET, &code.into(), at(now)).unwrap(), Some(step), "{code} at {now}");
        }
        for now in [step * 30 - 31, step * 30 + 60] {
            assert_eq!(codes.step(SECRET, &code.into(), at(now)).unwrap(), None, "{code} at {now}");
        }
    }
    assert_eq!(codes.step(SECRET, &"287082".into(), at(-59)).unwrap(), None, "before 1970");
    assert!(codes.step(&SECRET[..10], &"287082".into(), at(59)).is_err(), "a secret of ours has 160 bits");
}

#[test]
fn spaces_and_hyphens_do_not_count_and_anything_else_is_no_code() {
    let codes = Codes::new(&keys()).unwrap();
    for typed in ["287082", " 287 082 ", "287-082", "287\u{a0}082\n"] {
        assert_eq!(codes.step(SECRET, &typed.into(), at(59)).unwrap(), Some(1), "{typed:?}");
    }
    let huge = "287082".repeat(1000);
    for typed in ["", "28708", "2870822", "+87082", "２８７０８２", "287082\0", "94287082", "0x4616a", huge.as_str()] {
        assert_eq!(codes.step(SECRET, &typed.into(), at(59)).unwrap(), None, "{typed:?}");
        assert!(codes.recovery_hashes(user(1), &typed.into()).is_empty());
    }
}

#[test]
fn a_recovery_code_is_read_as_people_write_it_and_hashed_for_its_owner() {
    let codes = Codes::new(&keys()).unwrap();
    let mut random = [0; 32];
    random[..10].copy_from_slice(&[0, 0b0100_0010, 0, 0, 0, 0, 0, 0, 0, 31]);
    let (text, kept) = codes.recovery_code(user(1), &random).unwrap();
    assert_eq!(text.expose_secret(), "0110-0000-0000-000z", "five bits a letter, the first bits first");
    for typed in ["0110-0000-0000-000z", "0110 0000 0000 000Z", "OIlo0000oooo000z", "011000000000000z\n"] {
        assert_eq!(codes.recovery_hashes(user(1), &typed.into()), [kept.hash.as_slice()], "{typed:?}");
    }
    assert_ne!(codes.recovery_hashes(user(2), &"0110-0000-0000-000z".into()), [kept.hash.as_slice()], "another's is another");
    for typed in ["0110-0000-0000-000u", "0110-0000-0000-000", "0110-0000-0000-000z0", "0110-0000-0000-000é"] {
        assert!(codes.recovery_hashes(user(1), &typed.into()).is_empty(), "{typed:?}");
    }
    let rotated = format!("t2:{},t1:{}", BASE64_STANDARD.encode([7; 32]), BASE64_STANDARD.encode([0; 32]));
    let rotated = Codes::new(&KeysInForce::new(Keys::read(&rotated.into(), &TOKEN_SECRET.into(), None).unwrap())).unwrap();
    let hashes = rotated.recovery_hashes(user(1), &text);
    assert!(hashes.len() == 2 && hashes[1] == kept.hash, "codes outlive a new key in front");
    let (_, anew) = rotated.recovery_code(user(1), &random).unwrap();
    assert_eq!((anew.key_id.as_str(), &anew.hash), ("t2", &hashes[0]));
}

#[test]
fn what_a_device_is_shown_holds_the_secret_and_the_names_and_nothing_more() {
    let codes = Codes::new(&keys()).unwrap();
    let shown = codes.hand_over(SECRET, &EmailAddress::parse("ann+bank@example.com").unwrap()).unwrap();
    assert_eq!(shown.secret.expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let url = url::Url::parse(shown.url.expose_secret()).unwrap();
    assert_eq!((url.scheme(), url.host_str(), url.path()), ("otpauth", Some("totp"), "/Dashtam:ann%2Bbank%40example.com"));
    let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!((query["secret"].as_str(), query["issuer"].as_str()), ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "Dashtam"));
    for (name, default) in [("algorithm", "SHA1"), ("digits", "6"), ("period", "30")] {
        assert!(query.get(name).is_none_or(|given| given == default), "{name} is {:?}", query.get(name));
    }
    let drawing = BASE64_STANDARD.decode(shown.qr_code.expose_secret().strip_prefix("data:image/svg+xml;base64,").unwrap()).unwrap();
    let drawing = String::from_utf8(drawing).unwrap();
    assert!(drawing.contains("<svg ") && drawing.ends_with("</svg>") && !drawing.contains("script"), "{drawing}");
    let longest = EmailAddress::parse(&format!("{}@{}.example", "a".repeat(64), ["b".repeat(60), "c".repeat(60), "d".repeat(50)].join("."))).unwrap();
    codes.hand_over(SECRET, &longest).unwrap();
}

#[test]
fn a_sealed_value_opens_in_its_own_place_alone_and_so_does_what_was_sealed_long_ago() {
    let sealer = AesSealer::new(&keys(), Arc::new(TestRandomness)).unwrap();
    let id = Uuid::from_u128(0x0193_f000_0000_7000_8000_0000_0000_00b2);
    let owner = user(0x0193_f000_0000_7000_8000_0000_0000_00a1);
    // Made by another implementation, from what the first version of an envelope was said to be.
    let old = "01027431000102030405060708090a0ba7f237744af421b1d0fe21b4f92f1cfaaf3be345141c5cda21c1b42fa1c6e5";
    let old: Vec<u8> = (0..old.len()).step_by(2).map(|at| u8::from_str_radix(&old[at..at + 2], 16).unwrap()).collect();
    assert_eq!(sealer.open(Place::credentials(owner, LinkId(id)), &old).unwrap().as_slice(), b"a bank's tokens");

    let here = Place::second_factor(owner, SecondFactorId(id));
    let envelope = sealer.seal(here, SECRET).unwrap();
    assert_eq!(sealer.open(here, &envelope).unwrap().as_slice(), SECRET);
    let elsewhere = [
        Place::second_factor(user(1), SecondFactorId(id)),
        Place::second_factor(owner, SecondFactorId(Uuid::from_u128(1))),
        Place::credentials(owner, LinkId(id)),
        Place::authorization(owner, LinkId(id)),
    ];
    for place in elsewhere {
        assert!(sealer.open(place, &envelope).is_err(), "{place:?}");
    }
    assert!(sealer.open(here, &old).is_err());
}
