//! What providers answered: kept sealed and without numbers, for a while, and mapped once more.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod keeping;
mod redaction;
mod remapping;

use dashtam::{
    application::{
        access::Requester,
        payload::{self, Stage},
        remap::{RemapError, RemapLink, Remapped},
    },
    domain::{
        id::{LinkId, UserId},
        time::Clock as _,
    },
};

use crate::harness::app::TestApp;

/// The one link of which anything is kept.
async fn kept_link(app: &TestApp) -> (UserId, LinkId) {
    let links = app.app.application.remaps.links().await.unwrap();
    assert_eq!(links.len(), 1, "{}", app.store.name);
    links[0]
}

/// Every stage that is kept of it, youngest first.
async fn stages(app: &TestApp) -> Vec<Stage> {
    let (owner, link) = kept_link(app).await;
    let remaps = &app.app.application.remaps;
    let mut stages = Vec::new();
    for id in remaps.payloads.of_link(owner, link, app.store.clock.now()).await.unwrap() {
        let kept = remaps.payloads.find(owner, id).await.unwrap().unwrap();
        stages.push(payload::open(remaps.sealer.as_ref(), payload::place(owner, link), &kept.sealed).unwrap());
    }
    stages
}

async fn try_to_remap(app: &TestApp, owner: UserId, link: LinkId, is_rehearsal: bool) -> Result<Remapped, RemapError> {
    let command = RemapLink { requester: Requester::command_line(Some(owner)), link, is_rehearsal };
    app.app.application.remaps.remap(command).await
}

/// Maps once more what is kept of the one link.
async fn remap(app: &TestApp, is_rehearsal: bool) -> Remapped {
    let (owner, link) = kept_link(app).await;
    try_to_remap(app, owner, link, is_rehearsal).await.unwrap()
}
