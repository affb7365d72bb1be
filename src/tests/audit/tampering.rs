//! Tampering with rows: each column of each row, each row removed, added and moved, shows at its place.

use chrono::Duration;
use dashtam::application::chain::verification::Flaw;
use uuid::Uuid;

use super::Trail;

/// How long the small trail is.
const SMALL: usize = 6;

/// Every column of an event, with what makes it another value on either database.
const TEXTS: [(&str, bool); 8] = [
    ("act", false),
    ("outcome", false),
    ("actor_kind", false),
    ("resource_kind", true),
    ("reason", true),
    ("context", false),
    ("trace_id", true),
    ("class", false),
];

#[tokio::test]
async fn a_changed_column_of_an_event_is_that_event_changed() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        assert!(trail.found().await.is_empty());
        trail.break_in().await;
        let mut changes: Vec<String> = TEXTS.iter().map(|(column, _)| format!("{column} = COALESCE({column}, '') || 'x'")).collect();
        changes.extend(TEXTS.iter().filter(|(_, may_miss)| *may_miss).map(|(column, _)| format!("{column} = CASE WHEN {column} IS NULL THEN '' END")));
        for column in ["attempt_id", "resource_id"] {
            changes.push(format!("{column} = {}", trail.id(Uuid::from_u128(77))));
        }
        changes.push(format!("resource_id = CASE WHEN resource_id IS NULL THEN {} END", trail.id(Uuid::nil())));
        for column in ["actor_hash", "subject_hash"] {
            changes.push(format!("{column} = {}", trail.bytes(&[7; 32])));
        }
        changes.push(format!("subject_hash = CASE WHEN subject_hash IS NULL THEN {} END", trail.bytes(b"")));
        for (at, id) in ids.iter().enumerate() {
            for change in &changes {
                trail.execute(&format!("UPDATE audit_events SET {change} WHERE id = {}", trail.id(*id))).await;
                let found = trail.found().await;
                let person = change.contains("_hash");
                let first = found.first().copied();
                assert_eq!(first, Some((Flaw::EventChanged, Some(at as u64 + 1), Some(*id))), "{}: {change} of {at}: {found:?}", trail.store.name);
                // A changed hash of a person is no longer that of the person who is kept.
                assert!(found.len() == 1 || person && found[1..] == [(Flaw::PersonChanged, None, Some(*id))], "{change}: {found:?}");
                trail.restore().await;
            }
        }
        assert!(trail.found().await.is_empty());
    }
}

#[tokio::test]
async fn an_event_of_another_time_or_id_is_gone_from_its_place_and_new_at_another() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        let later = if trail.store.is_postgres() { "recorded_at + interval '1 microsecond'" } else { "replace(recorded_at, '+00:00', '.000001+00:00')" };
        for (at, id) in ids.iter().enumerate() {
            let other = Uuid::from_u128(1_000 + at as u128);
            for (change, named) in [(format!("recorded_at = {later}"), *id), (format!("id = {}", trail.id(other)), other)] {
                trail.execute(&format!("UPDATE audit_events SET {change} WHERE id = {}", trail.id(*id))).await;
                let expected = [(Flaw::EventRemoved, Some(at as u64 + 1), Some(*id)), (Flaw::EventAdded, None, Some(named))];
                let found = trail.found().await;
                assert_eq!(found[..2], expected, "{}: {change}", trail.store.name);
                // Who was in it stands beside an event of another time now.
                assert!(found[2..].iter().all(|finding| *finding == (Flaw::PersonChanged, None, Some(*id))), "{change}: {found:?}");
                trail.restore().await;
            }
        }
    }
}

#[tokio::test]
async fn removed_added_and_exchanged_events_are_named() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        for (at, id) in ids.iter().enumerate() {
            trail.execute(&format!("DELETE FROM audit_events WHERE id = {}", trail.id(*id))).await;
            assert_eq!(trail.found().await, [(Flaw::EventRemoved, Some(at as u64 + 1), Some(*id))], "{}", trail.store.name);
            trail.restore().await;

            let new = Uuid::from_u128(2_000);
            trail
                .execute(&format!(
                    "INSERT INTO audit_events SELECT {}, recorded_at, attempt_id, act, outcome, actor_kind, actor_hash, subject_hash, resource_kind, \
                     resource_id, reason, context, trace_id, class FROM audit_events WHERE id = {}",
                    trail.id(new),
                    trail.id(*id)
                ))
                .await;
            assert_eq!(trail.found().await, [(Flaw::EventAdded, None, Some(new))], "{}", trail.store.name);
            trail.restore().await;
        }
        // The contents of two events change places.
        let (first, third) = (trail.id(ids[0]), trail.id(ids[2]));
        let other = format!("(SELECT attempt_id FROM kept_audit_events WHERE id = CASE audit_events.id WHEN {first} THEN {third} ELSE {first} END)");
        trail.execute(&format!("UPDATE audit_events SET attempt_id = {other} WHERE id IN ({first}, {third})")).await;
        assert_eq!(trail.found().await, [(Flaw::EventChanged, Some(1), Some(ids[0])), (Flaw::EventChanged, Some(3), Some(ids[2]))]);
        trail.restore().await;
        // An event that had no position yet.
        let waiting = trail.record(1).await[0];
        trail.execute("INSERT INTO audit_unsealed SELECT recorded_at, id FROM audit_events ORDER BY recorded_at DESC LIMIT 1").await;
        assert!(trail.found().await.is_empty());
        trail.execute(&format!("DELETE FROM audit_events WHERE id = {}", trail.id(waiting))).await;
        assert_eq!(trail.found().await, [(Flaw::EventRemoved, None, Some(waiting))]);
    }
}

#[tokio::test]
async fn a_changed_column_of_a_position_is_that_position_changed() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        for (at, id) in ids.iter().enumerate() {
            let position = at as u64 + 1;
            for column in ["event_hash", "chain_hash"] {
                for bytes in [&[9_u8; 32][..], &[9; 31], &[]] {
                    trail.execute(&format!("UPDATE audit_chain SET {column} = {} WHERE position = {position}", trail.bytes(bytes))).await;
                    let found = trail.found().await;
                    assert_eq!(found.first(), Some(&(Flaw::EntryChanged, Some(position), Some(*id))), "{}: {column} {bytes:?}: {found:?}", trail.store.name);
                    assert!(bytes.len() != 32 || found.len() == 1, "{column}: {found:?}");
                    trail.restore().await;
                }
            }
            // Of another event: the one it was of has no position now.
            trail.execute(&format!("UPDATE audit_chain SET event_id = {} WHERE position = {position}", trail.id(Uuid::from_u128(5)))).await;
            let expected = [(Flaw::EventRemoved, Some(position), Some(Uuid::from_u128(5))), (Flaw::EventAdded, None, Some(*id))];
            assert_eq!(trail.found().await, expected, "{}", trail.store.name);
            trail.restore().await;
            let other = if trail.store.is_postgres() { "'2026-11-01'" } else { "'2026-11-01T00:00:00+00:00'" };
            trail.execute(&format!("UPDATE audit_chain SET event_recorded_at = {other} WHERE position = {position}")).await;
            assert_eq!(trail.found().await, [(Flaw::EventRemoved, Some(position), Some(*id)), (Flaw::EventAdded, None, Some(*id))]);
            trail.restore().await;
            // Somewhere else, and nowhere.
            trail.execute(&format!("UPDATE audit_chain SET position = 1000 WHERE position = {position}")).await;
            assert_eq!(trail.found().await.first(), Some(&(Flaw::EntryRemoved, Some(position), None)), "{}: {at}", trail.store.name);
            trail.restore().await;
            for nowhere in ["0", "-5"] {
                trail.execute(&format!("UPDATE audit_chain SET position = {nowhere} WHERE position = {position}")).await;
                let found = trail.found().await;
                assert!(found.contains(&(Flaw::EventAdded, None, Some(*id))), "nothing hides behind position {nowhere}: {found:?}");
                trail.restore().await;
            }
        }
    }
}

#[tokio::test]
async fn a_removed_position_is_missed_and_exchanged_ones_are_out_of_order() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        for (at, id) in ids.iter().enumerate() {
            let position = at as u64 + 1;
            trail.execute(&format!("DELETE FROM audit_chain WHERE position = {position}")).await;
            let found = trail.found().await;
            let gone = if at + 1 == SMALL { Flaw::CutOff } else { Flaw::EntryRemoved };
            assert_eq!(found.first().map(|(flaw, at, _)| (*flaw, *at)), Some((gone, Some(position))), "{}: {found:?}", trail.store.name);
            assert!(found.contains(&(Flaw::EventAdded, None, Some(*id))), "{found:?}");
            trail.restore().await;
        }
        for (position, second) in ids.iter().enumerate().skip(1) {
            // Two positions take each other's event, hash and all; in the second round their chain hashes go along.
            for with_chain_hash in [false, true] {
                let next = position + 1;
                trail.execute(&format!("DELETE FROM audit_chain WHERE position IN ({position}, {next})")).await;
                let hash = if with_chain_hash { "k.chain_hash" } else { "o.chain_hash" };
                trail
                    .execute(&format!(
                        "INSERT INTO audit_chain SELECT o.position, k.event_recorded_at, k.event_id, k.event_hash, {hash} FROM kept_audit_chain AS k \
                         JOIN kept_audit_chain AS o ON o.position = {position} + {next} - k.position WHERE k.position IN ({position}, {next})"
                    ))
                    .await;
                let found = trail.found().await;
                let at = Some(position as u64);
                assert!(found.contains(&(Flaw::OutOfOrder, at, Some(*second))), "{} {position} {with_chain_hash}: {found:?}", trail.store.name);
                trail.restore().await;
            }
        }
        // A row above the first position, as if there had been a cut.
        trail.execute("DELETE FROM audit_chain WHERE position <= 2").await;
        assert_eq!(trail.found().await.first(), Some(&(Flaw::EntryRemoved, Some(1), None)));
    }
}

#[tokio::test]
async fn a_person_who_was_made_another_is_found_and_one_who_was_forgotten_is_not() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        let nobody = trail.id(Uuid::from_u128(66));
        let changes = [
            format!("user_id = {nobody}"),
            "user_id = NULL".to_owned(),
            "email = 'bob@example.com'".to_owned(),
            "ip = '192.0.2.99'".to_owned(),
            "user_agent = 'curl'".to_owned(),
            format!("salt = {}", trail.bytes(&[1; 32])),
        ];
        for id in &ids {
            for change in &changes {
                trail.execute(&format!("UPDATE audit_person SET {change} WHERE event_id = {} AND role = 'actor'", trail.id(*id))).await;
                let found = trail.found().await;
                let is_the_same = change.starts_with("user_id = NULL");
                let expected = if is_the_same { Vec::new() } else { vec![(Flaw::PersonChanged, None, Some(*id))] };
                assert_eq!(found, expected, "{}: {change}", trail.store.name);
                trail.restore().await;
            }
            trail.execute(&format!("DELETE FROM audit_person WHERE event_id = {}", trail.id(*id))).await;
            assert!(trail.found().await.is_empty());
            trail.restore().await;
        }
    }
}

#[tokio::test]
async fn whatever_is_done_to_a_longer_trail_shows_where_it_was_done() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(120).await;
        trail.break_in().await;
        // A small generator of its own: the same attacks in every run.
        let mut state = 20_261_125_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..40 {
            let position = random(120) + 1;
            let id = ids[usize::try_from(position - 1).unwrap()];
            let (what, expected) = match random(5) {
                0 => (format!("UPDATE audit_events SET context = '{{}}' WHERE id = {}", trail.id(id)), Flaw::EventChanged),
                1 => (format!("DELETE FROM audit_events WHERE id = {}", trail.id(id)), Flaw::EventRemoved),
                2 => (format!("UPDATE audit_chain SET event_hash = {} WHERE position = {position}", trail.bytes(&[3; 32])), Flaw::EntryChanged),
                3 => (format!("UPDATE audit_chain SET chain_hash = {} WHERE position = {position}", trail.bytes(&[3; 32])), Flaw::EntryChanged),
                _ => (format!("DELETE FROM audit_chain WHERE position = {position}"), if position == 120 { Flaw::CutOff } else { Flaw::EntryRemoved }),
            };
            trail.execute(&what).await;
            let found = trail.found().await;
            assert!(found.iter().any(|(flaw, at, _)| (*flaw, *at) == (expected, Some(position))), "{} round {round}: {what}: {found:?}", trail.store.name);
            trail.restore().await;
        }
        trail.store.clock.pass(Duration::days(1));
        assert!(trail.found().await.is_empty());
    }
}

/// Adds a copy of an event under another id and at a time as it is written.
async fn add_at(trail: &Trail, of: Uuid, id: Uuid, written: &str) {
    let copy = "attempt_id, act, outcome, actor_kind, actor_hash, subject_hash, resource_kind, resource_id, reason, context, trace_id, class";
    let sql = format!("INSERT INTO audit_events SELECT {}, '{written}', {copy} FROM audit_events WHERE id = {}", trail.id(id), trail.id(of));
    trail.execute(&sql).await;
}

#[tokio::test]
async fn an_event_added_with_a_time_to_come_or_spelled_otherwise_shows_and_the_walk_ends() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        let new = Uuid::from_u128(3_000);
        // The last is spelled as the server would not: as a text it stands behind its own time.
        for written in ["2099-01-01T00:00:00.123456+00:00", "2027-06-01T00:00:00+00:00", "2026-11-20T21:00:00.000000+00:00"] {
            add_at(&trail, ids[0], new, written).await;
            assert_eq!(trail.found().await, [(Flaw::EventAdded, None, Some(new))], "{}: {written}", trail.store.name);
            trail.restore().await;
        }
    }
}

#[tokio::test]
async fn a_person_moved_away_from_their_event_is_not_who_it_was_recorded_with() {
    for trail in Trail::on_every_store().await {
        let ids = trail.sealed(SMALL).await;
        trail.break_in().await;
        let moved = if trail.store.is_postgres() { "recorded_at + interval '1 microsecond'" } else { "replace(recorded_at, 'T', ' ')" };
        for id in &ids {
            let change = format!("UPDATE audit_person SET ip = '6.6.6.6', recorded_at = {moved} WHERE role = 'actor' AND event_id = {}", trail.id(*id));
            trail.execute(&change).await;
            assert_eq!(trail.found().await, [(Flaw::PersonChanged, None, Some(*id))], "{}", trail.store.name);
            trail.restore().await;
        }
    }
}
