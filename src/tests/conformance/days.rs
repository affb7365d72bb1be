use super::{stand_in::Mood, *};

/// What stands for the day of an adapter's row, and what to say instead with the day that is to come of it.
fn cases(name: &str) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match name {
        // A calendar day, whoever reads it.
        "sandbox" | "alpaca" => ("\"2026-11-20\"", &[("\"2026-11-20\"", "2026-11-20"), ("\"2026-11-01\"", "2026-11-01"), ("\"2026-10-31\"", "2026-10-31")]),
        // The day in UTC, up to its last second.
        "simplefin" => {
            ("1795176000", &[("1795132800", "2026-11-20"), ("1795219199", "2026-11-20"), ("1795219200", "2026-11-21"), ("1795132799", "2026-11-19")])
        }
        // Midnight in UTC is a date; any other instant is a day in New York, four or five hours behind.
        "schwab" => (
            "2026-11-20T15:23:16+0000",
            &[
                ("2026-11-20T00:00:00+0000", "2026-11-20"),
                ("2026-11-20T00:00:01+0000", "2026-11-19"),
                ("2026-11-20T04:59:59+0000", "2026-11-19"),
                ("2026-11-20T05:00:00+0000", "2026-11-20"),
                ("2026-11-01T03:59:59+0000", "2026-10-31"),
                ("2026-11-01T04:00:00+0000", "2026-11-01"),
            ],
        ),
        other => panic!("{other} has no days to try"),
    }
}

#[tokio::test]
async fn days_are_the_banks_on_both_sides_of_midnight() {
    for adapter in adapters().await {
        let name = adapter.provider.manifest().slug;
        let (written, cases) = cases(name);
        for (instead, day) in cases {
            adapter.stand_in.is(Mood::Instead(written, instead));
            let read = adapter.read_all().await;
            let days: Vec<_> = read.iter().flat_map(|(_, rows)| rows).map(|row| row.facts.posted_on.to_string()).collect();
            assert_eq!(days, [*day], "{name}: {instead}");
        }
    }
}
