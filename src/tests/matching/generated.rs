//! What holds of all rows there are, made up by the dozen: nothing is doubled, nothing is lost, and each row gets one answer.

use proptest::{prelude::*, sample::subsequence};

use super::*;

/// Days, cents and words are few, so that rows look alike.
fn facts() -> impl Strategy<Value = (u32, i64, &'static str)> {
    (1_u32..=4, prop::sample::select(vec![-500_i64, -900]), prop::sample::select(vec!["Coffee", "Tea"]))
}

/// How an export names its rows.
#[derive(Debug, Clone, Copy)]
enum Naming {
    /// The bank's own ids, the same in each export.
    Kept,
    /// Ids that are new in each export.
    Reissued,
    /// None.
    Absent,
}

fn naming() -> impl Strategy<Value = Naming> {
    prop::sample::select(vec![Naming::Kept, Naming::Reissued, Naming::Absent])
}

fn export(truth: &[(u32, i64, &'static str)], days: (u32, u32), naming: Naming, number: usize) -> Vec<ReportedTransaction> {
    let inside = truth.iter().enumerate().filter(|(_, (day, ..))| (days.0..=days.1).contains(day));
    inside
        .map(|(at, (day, cents, description))| {
            let row = unnamed(&format!("2026-11-{day:02}"), *cents, description);
            let reference = match naming {
                Naming::Kept => Some(format!("id{at}")),
                Naming::Reissued => Some(format!("export{number}-{at}")),
                Naming::Absent => None,
            };
            ReportedTransaction { reference, ..row }
        })
        .collect()
}

fn source() -> impl Strategy<Value = Source> {
    prop::sample::select(vec![Source::Feed, Source::File])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_rows_again_are_all_known(truth in prop::collection::vec(facts(), 0..12), naming in naming(), source in source(), vouched in any::<bool>()) {
        let mut ledger = Ledger::default();
        let rows = export(&truth, (1, 4), naming, 1);
        let period = vouched.then_some((november(1), november(4)));
        ledger.take(source, period, &rows);
        let before = ledger.counts();
        prop_assert_eq!(&before, &counts(rows.iter().map(|row| &row.facts)));
        let again = ledger.take(source, period, &rows);
        prop_assert!(is_known(&again) && again.withdrawn.is_empty(), "{:?}", again);
        prop_assert_eq!(before, ledger.counts());
    }

    #[test]
    fn overlapping_exports_add_up_to_what_there_is(
        truth in prop::collection::vec(facts(), 0..12),
        exports in prop::collection::vec((1_u32..=4, 1_u32..=4, naming(), source()), 1..5),
    ) {
        let mut ledger = Ledger::default();
        let mut covered = std::collections::BTreeSet::new();
        for (number, (one, other, naming, source)) in exports.into_iter().enumerate() {
            let days = (one.min(other), one.max(other));
            covered.extend(days.0..=days.1);
            let plan = ledger.take(source, Some((november(days.0), november(days.1))), &export(&truth, days, naming, number));
            prop_assert!(plan.withdrawn.is_empty(), "{:?}", plan);
        }
        let expected: Vec<_> = truth.iter().copied().filter(|(day, ..)| covered.contains(day)).collect();
        let expected = export(&expected, (1, 4), Naming::Absent, 0);
        prop_assert_eq!(ledger.counts(), counts(expected.iter().map(|row| &row.facts)));
    }

    #[test]
    fn files_that_saw_different_rows_add_up_to_the_most_that_one_saw(
        (one, other) in prop::collection::vec(facts(), 0..12).prop_flat_map(|truth| {
            let size = 0..=truth.len();
            (subsequence(truth.clone(), size.clone()), subsequence(truth, size))
        }),
        reissued in any::<bool>(),
    ) {
        let mut ledger = Ledger::default();
        let files = [one, other].map(|rows| export(&rows, (1, 4), if reissued { Naming::Reissued } else { Naming::Absent }, rows.len()));
        let mut most = Counts::new();
        for (number, file) in files.into_iter().enumerate() {
            let file: Vec<_> = file.into_iter().map(|row| ReportedTransaction { reference: row.reference.map(|id| format!("{number}{id}")), ..row }).collect();
            for (key, seen) in counts(file.iter().map(|row| &row.facts)) {
                let most = most.entry(key).or_default();
                *most = seen.max(*most);
            }
            ledger.file(&file);
        }
        prop_assert_eq!(ledger.counts(), most);
    }

    #[test]
    fn exports_that_word_everything_anew_double_nothing_beside_a_feed_and_nothing_unsaid_without(
        truth in prop::collection::vec(facts(), 1..12),
        exports in prop::collection::vec(naming(), 1..5),
        beside_feed in any::<bool>(),
    ) {
        let mut ledger = Ledger::default();
        if beside_feed {
            ledger.feed(&export(&truth, (1, 4), Naming::Kept, 0));
        }
        for (number, naming) in exports.into_iter().enumerate() {
            let mut rows = export(&truth, (1, 4), naming, number);
            for row in &mut rows {
                row.facts.description = format!("EXPORT {number} {}", row.facts.description);
                row.reference = row.reference.take().map(|id| format!("{number}/{id}"));
            }
            let plan = ledger.file(&rows);
            let is_told = |found: &Match| if beside_feed { matches!(found, Match::Known(_)) } else { number == 0 || matches!(found, Match::Doubtful(_)) };
            prop_assert!(plan.rows.iter().all(|(_, found)| is_told(found)), "{:?}", plan);
            prop_assert!(is_known(&ledger.file(&rows)), "the same file again");
        }
        prop_assert!(!beside_feed || ledger.0.len() == truth.len());
    }

    #[test]
    fn each_row_gets_one_answer_and_no_stored_row_answers_twice(
        stored in prop::collection::vec((facts(), any::<bool>(), source(), 0_u32..6), 0..10),
        reported in prop::collection::vec((facts(), any::<bool>(), prop::option::of(0_u32..6), prop::option::of(0_u32..6)), 0..10),
        source in source(),
        vouched in any::<bool>(),
    ) {
        let status = |is_pending| if is_pending { TransactionStatus::Pending } else { TransactionStatus::Posted };
        let known: Vec<_> = stored.iter().enumerate().map(|(at, ((day, cents, text), is_pending, source, name))| {
            let mut facts = unnamed(&format!("2026-11-{day:02}"), *cents, text).facts;
            facts.status = status(*is_pending);
            KnownTransaction { id: TransactionId(Uuid::from_u128(at as u128)), facts, references: vec![(*source, format!("id{name}"))], removed: at % 4 == 3 }
        }).collect();
        let rows: Vec<_> = reported.iter().map(|((day, cents, text), is_pending, name, replaces)| {
            let mut row = unnamed(&format!("2026-11-{day:02}"), *cents, text);
            row.facts.status = status(*is_pending);
            ReportedTransaction { reference: name.map(|name| format!("id{name}")), replaces: replaces.map(|name| format!("id{name}")).into_iter().collect(), ..row }
        }).collect();
        let plan = plan(&known, &rows, source, vouched.then_some((november(1), november(4))), Waiting::All);
        prop_assert_eq!(plan.rows.len(), rows.len());
        let mut answers: Vec<_> = plan.rows.iter().filter_map(|(_, found)| match found {
            Match::New => None,
            Match::Known(id) | Match::Doubtful(id) => Some(*id),
        }).chain(plan.withdrawn.iter().copied()).collect();
        let all = answers.len();
        answers.sort();
        answers.dedup();
        prop_assert_eq!(answers.len(), all, "{:?}", plan);
        prop_assert!(source == Source::Feed && vouched || plan.withdrawn.is_empty());
        for (row, (_, found)) in rows.iter().zip(&plan.rows) {
            if let Match::Doubtful(id) = found {
                let like = known.iter().find(|known| known.id == *id).map(|known| known.facts.amount);
                prop_assert_eq!(like, Some(row.facts.amount), "a doubt is about an equal amount");
            }
        }
    }
}
