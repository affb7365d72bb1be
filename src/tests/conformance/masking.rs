use std::sync::Arc as Shared;

use dashtam::{
    application::{
        edge::Edge,
        payload::{self, Stage},
        ports::{Place, Sealer},
        tape,
    },
    domain::{
        id::{AccountId, LinkId, UserId},
        provider::{ReportedAccount, ReportedTransaction},
    },
    infrastructure::security::sealer::AesSealer,
};
use uuid::Uuid;

use super::{
    stand_in::{CARD, Mood, NUMBER},
    *,
};
use crate::harness::{
    app::{TestApp, keys},
    clock::TestRandomness,
    log::Log,
};

pub(super) type Read = Vec<(ReportedAccount, Vec<ReportedTransaction>)>;

impl Adapter {
    /// Everything of the last thirty days, as it comes from the adapter.
    pub(super) async fn read_all(&self) -> Read {
        let (now, today) = (self.clock.now(), self.clock.today());
        let mut visit = self.provider.visit(&self.credentials, now).await.unwrap();
        let mut read = Vec::new();
        for account in visit.accounts().await.unwrap().accounts {
            let (mut rows, mut page) = (Vec::new(), None::<String>);
            loop {
                let answer = visit.transactions(&account, today.plus_days(-30), today, page.as_deref()).await.unwrap();
                rows.extend(answer.transactions);
                page = answer.next;
                if page.is_none() {
                    break;
                }
            }
            read.push((account, rows));
        }
        read
    }
}

/// As it is stored; references of accounts are not.
fn stored(edge: &Edge<'_>, read: Read) -> String {
    let cut = read.into_iter().map(|(account, mut rows)| {
        for row in &mut rows {
            edge.cut_row(row);
        }
        (edge.cut_account(account), rows)
    });
    format!("{:#?}", cut.collect::<Vec<_>>())
}

/// Nothing of what is planted is in it, however it is written.
fn is_clean(text: &str, name: &str, knows_numbers: bool) {
    for card in [CARD.to_owned(), CARD.replace(' ', "-"), CARD.replace(' ', ""), CARD.replace(' ', "%20"), CARD.replace(' ', "+")] {
        assert!(!text.contains(&card), "{name}: {text}");
    }
    assert!(!knows_numbers || !text.contains(NUMBER), "{name}: {text}");
}

#[tokio::test]
async fn planted_numbers_are_in_nothing_that_is_stored_or_kept_and_what_is_kept_reads_the_same() {
    let sealer: Shared<dyn Sealer> = Shared::new(AesSealer::new(&keys(), Shared::new(TestRandomness)).unwrap());
    let user = UserId(Uuid::from_u128(1));
    for adapter in adapters().await {
        let name = adapter.provider.manifest().slug;
        // SimpleFIN tells no number of an account, so none is known to be one.
        let knows_numbers = name != "simplefin";
        adapter.stand_in.is(Mood::Planted);
        let (read, recording) = tape::recorded(adapter.read_all()).await;
        assert!(!recording.answers.is_empty() && format!("{read:?}").contains("1111"), "{name}: the search finds what is planted");
        let references: Vec<_> = read.iter().map(|(account, _)| account.reference.clone()).collect();
        let packed = payload::pack(&sealer, user, name, recording, references.clone()).await.unwrap();
        let numbers = packed.numbers.clone();
        let edge = Edge::new(sealer.as_ref(), user, name, &numbers);
        let live = stored(&edge, read);
        is_clean(&live, name, knows_numbers);
        assert!(live.contains("••••1111"), "{name}: {live}");

        let today = adapter.clock.today();
        let accounts: Vec<_> = references.into_iter().map(|reference| (reference, AccountId(Uuid::nil()), today.plus_days(-30), true)).collect();
        let place = Place::payload(user, LinkId(Uuid::from_u128(2)));
        let envelope = payload::seal(sealer.as_ref(), place, &packed, today, &accounts).unwrap();
        let Stage { answers, accounts, .. } = payload::open(sealer.as_ref(), place, &envelope).unwrap();
        for answer in &answers {
            is_clean(&format!("{} {}", answer.asked, String::from_utf8_lossy(&answer.body)), name, knows_numbers);
        }
        for kept in &accounts {
            is_clean(&kept.reference, name, knows_numbers);
        }
        adapter.stand_in.is(Mood::Status(500));
        let played = tape::played(answers, adapter.read_all()).await;
        assert!(adapter.stand_in.asked().is_empty(), "{name}: nobody is asked");
        assert!(played.iter().zip(&accounts).all(|((account, _), kept)| account.reference.expose() == kept.reference), "{name}");
        let edge = Edge::new(sealer.as_ref(), user, name, &[]);
        assert_eq!(stored(&edge, played), live, "{name}");
    }
}

#[tokio::test]
async fn planted_numbers_are_nowhere_after_a_sync_through_the_whole_product() {
    let log = Log::capture();
    let adapter = adapters().await.into_iter().find(|adapter| adapter.name == "alpaca").unwrap();
    for app in TestApp::configured(|config| config.providers.alpaca.base_url = Some(adapter.stand_in.url.clone())).await {
        adapter.stand_in.is(Mood::Well);
        let ann = app.signed_in("ann").await;
        let link = ann.link_with_key(json!({ "provider": "alpaca", "key": "canary-key", "secret": "canary-credential" })).await.succeeds();
        let link = link["link"]["id"].as_str().unwrap().to_owned();
        adapter.stand_in.is(Mood::Planted);
        assert_eq!(app.work().await, 1);
        let told = ann.link(&link).await;
        assert_eq!(told["lastSync"]["status"], "SUCCEEDED", "{told}");
        let rows = ann.transactions().await;
        assert!(!rows.is_empty() && format!("{rows:?}").contains("••••"), "{rows:?}");
        adapter.stand_in.is(Mood::Status(500));
        ann.sync(&link, true).await.succeeds();
        app.work().await;
        let told = format!("{rows:?} {:?} {}", ann.accounts().await, log.text());
        is_clean(&told, "told", true);
        for number in [CARD.to_owned(), CARD.replace(' ', ""), CARD.replace(' ', "-"), NUMBER.to_owned(), "canary-credential".to_owned()] {
            assert!(!app.store.spells(&number).await, "{number} in {}", app.store.name);
        }
        assert!(!told.contains("canary-credential") && !told.contains("canary-body"));
    }
}
