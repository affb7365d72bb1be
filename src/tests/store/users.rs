use dashtam::domain::{
    id::UserId,
    time::Clock as _,
    user::{EmailAddress, Role, UserReader},
};

use crate::harness::{
    rows,
    stores::{commit, every_store},
};

#[tokio::test]
async fn a_user_is_kept_as_given_and_found_by_id_and_by_the_address_in_any_case() {
    for store in every_store().await {
        let user = store.user("Ann@Example.com").await;
        let readers = store.database.readers();
        let found = UserReader::find(readers.as_ref(), user.id).await.unwrap().unwrap();
        assert_eq!(found.email.written(), "Ann@Example.com");
        assert_eq!((found.id, found.role, found.tier, found.is_active), (user.id, user.role, user.tier, user.is_active));
        assert_eq!((found.password, found.email_verified_at, found.created_at), (user.password, user.email_verified_at, user.created_at));

        let other_case = EmailAddress::parse("ann@EXAMPLE.com").unwrap();
        assert_eq!(readers.find_any_by_email(other_case.key()).await.unwrap().unwrap().id, user.id);
        let mut work = store.begin().await;
        assert_eq!(work.users().find_any_by_email(other_case.key()).await.unwrap().unwrap().id, user.id);
        let stranger = EmailAddress::parse("bob@example.com").unwrap();
        assert!(work.users().find_any_by_email(stranger.key()).await.unwrap().is_none());
        assert!(UserReader::find(readers.as_ref(), UserId(uuid::Uuid::nil())).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_address_belongs_to_one_user_and_the_work_goes_on_after_a_refusal() {
    for store in every_store().await {
        let ann = store.user("ann@example.com").await;
        let mut work = store.begin().await;
        assert!(!work.users().insert(&rows::user("ANN@example.com", store.clock.now())).await.unwrap());
        assert!(work.users().insert(&rows::user("bob@example.com", store.clock.now())).await.unwrap());
        commit(work).await;
        let readers = store.database.readers();
        assert_eq!(readers.find_any_by_email(ann.email.key()).await.unwrap().unwrap().id, ann.id);
        assert!(readers.find_any_by_email(EmailAddress::parse("bob@example.com").unwrap().key()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_role_is_assigned_alone_and_the_last_administrator_stays_one() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        let assign = async |id, role| {
            let mut work = store.begin().await;
            let assigned = work.users().assign_role(id, role).await.unwrap();
            commit(work).await;
            assigned
        };
        assert!(assign(ann.id, Role::Admin).await);
        assert!(!assign(ann.id, Role::User).await, "{}: nobody else administers", store.name);
        assert!(assign(ann.id, Role::Admin).await && assign(bob.id, Role::Admin).await && assign(ann.id, Role::Readonly).await);
        let found = UserReader::find(store.database.readers().as_ref(), ann.id).await.unwrap().unwrap();
        assert_eq!((found.role, found.password, found.tier, found.is_active), (Role::Readonly, ann.password, ann.tier, true));
        let mut work = store.begin().await;
        assert!(work.users().assign_role(UserId(uuid::Uuid::nil()), Role::User).await.is_err());
    }
}

#[tokio::test]
async fn two_administrators_stepping_down_at_once_leave_one() {
    for store in every_store().await {
        let (ann, bob) = (store.user("ann@example.com").await, store.user("bob@example.com").await);
        store.execute("UPDATE users SET role = 'admin'").await.unwrap();
        let step_down = async |id| {
            let mut work = store.begin().await;
            let stepped = work.users().assign_role(id, Role::User).await.unwrap();
            commit(work).await;
            stepped
        };
        let (one, other) = tokio::join!(step_down(ann.id), step_down(bob.id));
        assert!(one != other, "{}: exactly one steps down", store.name);
    }
}

#[tokio::test]
async fn a_word_the_domain_does_not_know_is_an_error_that_names_its_column_and_not_the_word() {
    for store in every_store().await {
        let user = store.user("ann@example.com").await;
        store.execute("UPDATE users SET role = 'overlord'").await.unwrap();
        let failure = format!("{:?}", UserReader::find(store.database.readers().as_ref(), user.id).await.unwrap_err());
        assert!(failure.contains("users.role") && !failure.contains("overlord"), "{}: {failure}", store.name);
    }
}
