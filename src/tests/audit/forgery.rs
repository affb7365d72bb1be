//! Forging signatures and rewriting history: with the database alone, and with the key.

use chrono::Duration;
use dashtam::{
    application::chain::{ChainKeeper, CheckpointSigner, verification::Flaw},
    domain::{
        chain::{Checkpoint, Head, StoredEvent},
        time::Timestamp,
    },
    infrastructure::security::checkpoint::{Ed25519Signer, RingSigner},
};
use tokio_util::sync::CancellationToken;

use crate::harness::app::keys;

use super::{Trail, rotated_keys, short, signer};

/// Changes the event at `position` and rewrites every position from there on, as somebody who has read the source can. Answers every place.
async fn rewrite(trail: &Trail, position: u64) -> Vec<Head> {
    let mut ledger = trail.store.database.readers().ledger().await.unwrap();
    let entries = ledger.entries(0).await.unwrap();
    drop(ledger);
    let mut head = Head::START;
    let mut heads = vec![head];
    for (entry, found) in entries {
        let dashtam::domain::chain::Found::Event(event) = found else { panic!("every event is there") };
        let mut event: StoredEvent = *event;
        if entry.position == position {
            event.reason = Some("not_me".to_owned());
            trail.execute(&format!("UPDATE audit_events SET reason = 'not_me' WHERE id = {}", trail.id(event.id))).await;
        }
        head = head.then(&event.hash());
        heads.push(head);
        let (event_hash, chain_hash) = (trail.bytes(&event.hash()), trail.bytes(&head.hash));
        trail.execute(&format!("UPDATE audit_chain SET event_hash = {event_hash}, chain_hash = {chain_hash} WHERE position = {}", entry.position)).await;
    }
    heads
}

/// Replaces every checkpoint by one over the chain as it stands now.
async fn sign_anew(trail: &Trail, heads: &[Head], signer: &Ed25519Signer) {
    for old in trail.published() {
        let head = heads[usize::try_from(old.head.position).unwrap()];
        let mut new = Checkpoint { head, key_id: signer.key_id().to_owned(), ..old };
        new.signature = signer.sign(&new.message()).unwrap();
        let (hash, signature) = (trail.bytes(&new.head.hash), trail.bytes(&new.signature));
        let update =
            format!("UPDATE audit_checkpoints SET chain_hash = {hash}, key_id = '{}', signature = {signature} WHERE number = {}", new.key_id, new.number);
        trail.execute(&update).await;
    }
}

#[tokio::test]
async fn a_history_rewritten_without_the_key_is_not_the_one_that_was_signed() {
    for trail in Trail::on_every_store().await {
        trail.sealed(8).await;
        trail.break_in().await;
        for position in 1..=8 {
            rewrite(&trail, position).await;
            let found = trail.found().await;
            let first = if position <= 4 { 4 } else { 8 };
            assert_eq!(found.first(), Some(&(Flaw::Rewritten, Some(first), None)), "{} {position}", trail.store.name);
            // Both checkpoints are behind what was done, or only the second; that nothing holds behind them is said too.
            let signed_until = if position <= 4 { 3 } else { 2 };
            assert_eq!(found.len(), signed_until, "{found:?}");
            trail.restore().await;
        }
        // With a key of the forger's own, who has put it among the stored ones.
        let stranger = Ed25519Signer::new(&rotated_keys()).unwrap();
        let heads = rewrite(&trail, 2).await;
        sign_anew(&trail, &heads, &stranger).await;
        for key in stranger.endorsements().unwrap() {
            trail
                .execute(&format!(
                    "INSERT INTO audit_keys SELECT '{}', '{}', {}, {}, recorded_at FROM audit_keys LIMIT 1",
                    key.key_id,
                    key.endorsed_by,
                    trail.bytes(&key.public_key),
                    trail.bytes(&key.signature)
                ))
                .await;
        }
        let found = trail.found().await;
        assert_eq!(found.iter().map(|(flaw, ..)| *flaw).collect::<Vec<_>>(), [Flaw::UnknownKey, Flaw::UnknownKey, Flaw::Unsigned], "{}", trail.store.name);
    }
}

#[tokio::test]
async fn a_history_rewritten_with_the_key_is_not_the_one_that_was_published() {
    for trail in Trail::on_every_store().await {
        trail.sealed(8).await;
        trail.break_in().await;
        assert!(trail.found_with_published().await.is_empty());
        for position in [1, 4, 5, 8] {
            let heads = rewrite(&trail, position).await;
            sign_anew(&trail, &heads, &signer()).await;
            assert!(trail.found().await.is_empty(), "within the database nothing tells");
            let found = trail.found_with_published().await;
            let first = if position <= 4 { 4 } else { 8 };
            assert_eq!(found.first(), Some(&(Flaw::Rewritten, Some(first), None)), "{} {position}: {found:?}", trail.store.name);
            trail.restore().await;
        }
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found_by_what_was_published() {
    for trail in Trail::on_every_store().await {
        trail.sealed(8).await;
        trail.break_in().await;
        for table in ["audit_person", "audit_events"] {
            let id = if table == "audit_events" { "id" } else { "event_id" };
            trail.execute(&format!("DELETE FROM {table} WHERE {id} IN (SELECT event_id FROM audit_chain WHERE position > 4)")).await;
        }
        trail.execute("DELETE FROM audit_chain WHERE position > 4").await;
        assert_eq!(trail.found().await, [(Flaw::CutOff, Some(8), None)], "{}", trail.store.name);
        trail.execute("DELETE FROM audit_checkpoints WHERE position > 4").await;
        assert!(trail.found().await.is_empty(), "within the database nothing tells");
        assert_eq!(trail.found_with_published().await, [(Flaw::CutOff, Some(8), None)]);
        for table in ["audit_person", "audit_events", "audit_chain", "audit_checkpoints"] {
            trail.execute(&format!("DELETE FROM {table}")).await;
        }
        assert_eq!(trail.found_with_published().await, [(Flaw::CutOff, Some(4), None), (Flaw::CutOff, Some(8), None)]);
    }
}

#[tokio::test]
async fn a_changed_or_removed_checkpoint_is_named() {
    for trail in Trail::on_every_store().await {
        trail.sealed(8).await;
        trail.record(2).await;
        trail.keeper.close().await.unwrap();
        trail.store.clock.pass(Duration::hours(1));
        trail.break_in().await;
        let instant = if trail.store.is_postgres() { "'2026-11-24T00:00:00Z'" } else { "'2026-11-24T00:00:00+00:00'" };
        let zeros = trail.bytes(&[0; 32]);
        for (number, position) in [(1, 4), (2, 8), (3, 10)] {
            for (change, flaw) in [
                (format!("chain_hash = {zeros}"), Flaw::Forged),
                (format!("signed_at = {instant}"), Flaw::Forged),
                (format!("signature = {zeros}"), Flaw::Forged),
                ("key_id = 'another'".to_owned(), Flaw::UnknownKey),
            ] {
                trail.execute(&format!("UPDATE audit_checkpoints SET {change} WHERE number = {number}")).await;
                assert_eq!(trail.found().await.first(), Some(&(flaw, Some(position), None)), "{} {number}: {change}", trail.store.name);
                trail.restore().await;
            }
            for (change, flaws) in [("position = position - 1", [Flaw::Forged].as_slice()), ("number = number + 10", &[Flaw::CheckpointRemoved, Flaw::Forged])]
            {
                trail.execute(&format!("UPDATE audit_checkpoints SET {change} WHERE number = {number}")).await;
                let found: Vec<_> = trail.found().await.iter().map(|(flaw, ..)| *flaw).collect();
                assert!(flaws.iter().all(|flaw| found.contains(flaw)), "{change} of {number}: {found:?}");
                trail.restore().await;
            }
            trail.execute(&format!("DELETE FROM audit_checkpoints WHERE number = {number}")).await;
            let expected = if number == 3 { (Flaw::Unsigned, Some(10)) } else { (Flaw::CheckpointRemoved, Some(if number == 1 { 8 } else { 10 })) };
            assert_eq!(trail.found().await.iter().map(|(flaw, at, _)| (*flaw, *at)).collect::<Vec<_>>(), [expected], "{}", trail.store.name);
            trail.restore().await;
        }
        // A hash that is not one, and one that somebody published who has no key.
        trail.execute(&format!("UPDATE audit_checkpoints SET chain_hash = {} WHERE number = 1", trail.bytes(b"short"))).await;
        assert_eq!(trail.found().await, [(Flaw::Forged, Some(4), None)]);
        trail.restore().await;
        let mut published = trail.published();
        published[0].signed_at = Timestamp::from_micros(0).unwrap();
        published[1].key_id = "another".to_owned();
        let (findings, tally) = trail.check_against(signer().public_keys().to_vec(), published).await;
        let found: Vec<_> = findings.iter().map(short).collect();
        assert_eq!(found, [(Flaw::Forged, Some(4), None), (Flaw::UnknownKey, Some(8), None)]);
        assert_eq!((tally.published, tally.checkpoints), (1, 3));
    }
}

#[tokio::test]
async fn a_new_key_vouches_for_the_old_one_and_nobody_else_can() {
    for trail in Trail::on_every_store().await {
        trail.sealed(4).await;
        let in_force = keys();
        let rotating = std::sync::Arc::new(RingSigner::new(&in_force).unwrap());
        let alone = vec![Ed25519Signer::new(&rotated_keys()).unwrap().public_keys()[0].clone()];
        let (findings, _) = trail.check_against(alone.clone(), Vec::new()).await;
        assert!(findings.iter().any(|finding| finding.flaw == Flaw::UnknownKey), "before it has said so");
        let keeper =
            ChainKeeper { store: trail.store.database.chain_store(), signer: rotating, publisher: trail.publisher(), clock: trail.store.clock.clone() };
        let stop = CancellationToken::new();
        let keeping = tokio::spawn({
            let stop = stop.clone();
            async move { keeper.run(stop).await }
        });
        // While it runs, the ring gets another key in front.
        trail.record(1).await;
        trail.is_sealed().await;
        // What is sealed is signed a moment later.
        while trail.published().len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        in_force.adopt(rotated_keys()).unwrap();
        trail.record(1).await;
        trail.is_sealed().await;
        stop.cancel();
        keeping.await.unwrap();
        trail.keeper.introduce().await.unwrap();
        // With the new key and nothing else, as once the old one has left the ring.
        let (findings, tally) = trail.check_against(alone.clone(), trail.published()).await;
        assert!(findings.is_empty(), "{}: {findings:?}", trail.store.name);
        assert_eq!((tally.checkpoints, tally.published), (4, 4));
        assert_eq!(trail.published().iter().filter(|checkpoint| checkpoint.key_id == signer().key_id()).count(), 3, "the last is by the new key");
        trail.break_in().await;
        for change in ["public_key", "signature"] {
            trail.execute(&format!("UPDATE audit_keys SET {change} = {} WHERE key_id <> endorsed_by", trail.bytes(&[5; 64]))).await;
            let (findings, _) = trail.check_against(alone.clone(), Vec::new()).await;
            let flaws: Vec<_> = findings.iter().map(|finding| finding.flaw).collect();
            assert_eq!(flaws, [Flaw::Forged, Flaw::UnknownKey, Flaw::UnknownKey, Flaw::UnknownKey], "{}: {change}", trail.store.name);
            trail.restore().await;
        }
    }
}
