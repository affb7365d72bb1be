//! A role of PostgreSQL that may add to the trail and do nothing else to it, granted as the guide says.

use std::sync::Arc;

use dashtam::{
    application::{access::Requester, audit::Journal},
    domain::{audit::Act, event::Event, id::UserId, user::Role},
    infrastructure::database::Database,
};
use url::Url;
use uuid::Uuid;

use crate::harness::{
    clock::TestRandomness,
    stores::{TestStore, every_store},
};
use dashtam::application::ports::Randomness as _;

use super::Trail;

const GUIDE: &str = include_str!("../../../docs/guides/audit.md");

/// The statements of the guide's SQL block.
fn grants(role: &str) -> String {
    let block = GUIDE.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(block.contains("dashtam_app"));
    block.replace("dashtam_app", role)
}

#[tokio::test]
async fn a_role_that_only_inserts_works_for_everything_and_can_change_nothing_of_the_trail() {
    for store in every_store().await.into_iter().filter(TestStore::is_postgres) {
        let trail = Trail::over(store);
        trail.sealed(4).await;
        let role = format!("app_{}", TestRandomness.id().simple());
        trail.execute(&grants(&role)).await;
        let mut url = Url::parse(&trail.store.url).unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("change me")).unwrap();
        let database = Database::connect(url.as_str(), trail.store.clock.clone(), Arc::new(TestRandomness)).await.unwrap();
        // What the application does: acts, with everything they change, sealing and signing.
        let journal = Journal::new(database.audit_log(), trail.store.clock.clone(), Arc::new(TestRandomness));
        let attempt = journal.attempt(&Requester::command_line(None), Act::CreateUser).await.unwrap();
        let mut work = database.store().begin(&attempt).await.unwrap();
        let user = crate::harness::rows::user("ann@example.com", dashtam::domain::time::Clock::now(trail.store.clock.as_ref()));
        assert!(work.users().insert(&user).await.unwrap());
        work.succeed(Event::UserCreated { user: UserId(Uuid::from_u128(1)), role: Role::User }).await.unwrap();
        assert_eq!(database.chain_store().seal().await.unwrap(), Some(2));
        trail.keeper.close().await.unwrap();
        assert!(trail.found().await.is_empty());
        // And what it cannot, with triggers or without.
        trail.break_in().await;
        let own = sea_orm::Database::connect(url.as_str()).await.unwrap();
        for table in ["audit_events", "audit_events_2026_11", "audit_chain", "audit_checkpoints", "audit_cuts", "audit_thinnings", "audit_keys"] {
            let column = if table.starts_with("audit_events") {
                "id"
            } else if matches!(table, "audit_keys" | "audit_thinnings") {
                "key_id"
            } else {
                "position"
            };
            for attack in [
                format!("UPDATE {table} SET {column} = {column}"),
                format!("DELETE FROM {table}"),
                format!("TRUNCATE {table}"),
                format!("DROP TABLE {table}"),
                format!("ALTER TABLE {table} DISABLE TRIGGER ALL"),
            ] {
                let refused = sea_orm::ConnectionTrait::execute_unprepared(&own, &attack).await;
                let text = refused.map(|_| ()).unwrap_err().to_string();
                assert!(text.contains("permission denied") || text.contains("must be owner"), "{attack}: {text}");
            }
        }
        own.close().await.unwrap();
        database.close().await.unwrap();
        trail.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}
