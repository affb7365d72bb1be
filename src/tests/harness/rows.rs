//! Rows to put into a store: plain, valid, and different from one another only where a test says so.

use dashtam::{
    application::ports::{Randomness as _, Work},
    domain::{
        account::{Account, AccountFingerprint, AccountType, Corrections, MaskedNumber},
        balance::Balances,
        id::{AccountId, AuthorizationId, ChallengeId, LinkId, RecoveryCodeId, RefreshTokenId, SecondFactorId, SessionId, SyncId, TransactionId, UserId},
        link::{Authorization, Link, SealedCredentials},
        money::{Amount, Currency},
        second_factor::{Challenge, RecoveryCode, SecondFactor},
        security::{TokenMinimum, TokenMinimums},
        session::{RefreshToken, Session},
        sync::{Sync, SyncOrigin},
        time::{Clock as _, LocalDate, Timestamp},
        transaction::{Source, Transaction, TransactionFacts, TransactionStatus, TransactionSubtype},
        user::{EmailAddress, PasswordRecord, Role, SessionTier, User},
    },
};

use super::{
    clock::TestRandomness,
    stores::{TestStore, commit},
};

/// A user who may sign in, not stored yet.
pub(crate) fn user(email: &str, now: Timestamp) -> User {
    User {
        id: UserId(TestRandomness.id()),
        email: EmailAddress::parse(email).unwrap(),
        password: PasswordRecord("record".to_owned()),
        role: Role::User,
        tier: SessionTier::Basic,
        session_limit: None,
        email_verified_at: Some(now),
        is_active: true,
        display_name: None,
        created_at: now,
    }
}

/// A session that begins now, not stored yet.
pub(crate) fn session(user: UserId, now: Timestamp) -> Session {
    Session::begin(SessionId(TestRandomness.id()), user, Some("192.0.2.1".to_owned()), Some("a phone".to_owned()), now)
}

/// An unused refresh token, not stored yet.
pub(crate) fn refresh_token(session: &Session) -> RefreshToken {
    let id = TestRandomness.id();
    RefreshToken {
        id: RefreshTokenId(id),
        session: session.id,
        user: session.user,
        selector: id.to_string(),
        verifier_hash: "hash".to_owned(),
        key_id: "k1".to_owned(),
        versions: TokenMinimums { global: TokenMinimum::FIRST, user: TokenMinimum::FIRST }.current(),
        issued_at: session.created_at,
        expires_at: session.expires_at,
        used_at: None,
    }
}

/// A link on its way to a bank, not stored yet.
pub(crate) fn link(user: UserId, now: Timestamp) -> Link {
    Link::begin(LinkId(TestRandomness.id()), user, "sandbox", now)
}

/// Credentials that stand for sealed ones.
pub(crate) fn sealed(envelope: &str) -> SealedCredentials {
    SealedCredentials { envelope: envelope.as_bytes().to_vec(), expires_at: None, renew_at: None }
}

/// A walk to a bank, not stored yet.
pub(crate) fn authorization(link: &Link) -> Authorization {
    Authorization {
        id: AuthorizationId(TestRandomness.id()),
        link: link.id,
        user: link.user,
        provider: link.provider.clone(),
        ticket_hash: TestRandomness.secret().to_vec(),
        state_hash: TestRandomness.secret().to_vec(),
        cookie_hash: None,
        sealed_secrets: vec![1, 2, 3],
        redirect_uri: "https://dashtam.example/callback".to_owned(),
        return_url: Some("https://app.example/".to_owned()),
        expires_at: link.created_at.plus(chrono::Duration::minutes(10)),
        started_at: None,
        spent_at: None,
    }
}

/// An account of `link`, not stored yet.
pub(crate) fn account(link: &Link, currency: &str, now: Timestamp) -> Account {
    Account {
        id: AccountId(TestRandomness.id()),
        user: link.user,
        link: link.id,
        fingerprint: AccountFingerprint { key_id: "k1".to_owned(), hash: TestRandomness.secret().to_vec() },
        institution: Some("First Bank".to_owned()),
        name: "Everyday".to_owned(),
        kind: AccountType::Checking,
        masked_number: MaskedNumber::cut("12345678"),
        currency: Currency::parse(currency).unwrap(),
        balances: Balances { current: Some(Amount::from_units(-5).unwrap()), available: None, limit: Some(Amount::ZERO), as_of: Some(now) },
        is_active: true,
        is_selected: true,
        synced_at: None,
        corrections: Corrections::default(),
        created_at: now,
    }
}

/// What a provider might say of a purchase.
pub(crate) fn facts(units: i64, posted_on: LocalDate) -> TransactionFacts {
    TransactionFacts {
        amount: Amount::from_units(units).unwrap(),
        subtype: TransactionSubtype::Purchase,
        status: TransactionStatus::Posted,
        posted_on,
        authorized_on: None,
        occurred_at: None,
        description: "Corner shop".to_owned(),
        merchant_name: None,
        category: None,
        security: None,
        quantity: None,
        unit_price: None,
        fees: None,
    }
}

/// A transaction of `account`, not stored yet.
pub(crate) fn transaction(account: &Account, facts: TransactionFacts) -> Transaction {
    let id = TransactionId(TestRandomness.id());
    Transaction { id, user: account.user, account: account.id, currency: account.currency.clone(), facts, created_at: account.created_at }
}

/// Transactions as the store takes them, each named by its own id at its feed.
pub(crate) fn from_feed(transactions: &[Transaction]) -> Vec<(Transaction, Source, String)> {
    transactions.iter().map(|transaction| (transaction.clone(), Source::Feed, transaction.id.0.to_string())).collect()
}

/// A sync that may run at once, not stored yet.
pub(crate) fn sync(link: &Link, now: Timestamp) -> Sync {
    Sync::request(SyncId(TestRandomness.id()), link.id, link.user, SyncOrigin::Requested, now)
}

/// Everything a second factor leaves, of a user who has none yet.
pub(crate) async fn second_factor(work: &mut dyn Work, user: UserId, now: Timestamp) {
    let hash = || TestRandomness.secret().to_vec();
    let factor = SecondFactor::begin(SecondFactorId(TestRandomness.id()), user, hash(), now);
    let code = RecoveryCode { id: RecoveryCodeId(TestRandomness.id()), user, key_id: "k1".to_owned(), hash: hash() };
    let id = ChallengeId(TestRandomness.id());
    let challenge = Challenge { id, user, hash: hash(), password_digest: hash(), created_at: now, failures: 0, spent_at: None };
    assert!(work.second_factors().replace_pending(&factor).await.unwrap());
    work.second_factors().replace_recovery_codes(user, &[code]).await.unwrap();
    work.second_factors().insert_challenge(&challenge).await.unwrap();
    work.second_factors().fail(user, now, now).await.unwrap();
}

/// A day of November 2026.
pub(crate) fn november(day: u32) -> LocalDate {
    LocalDate::new(2026, 11, day).unwrap()
}

impl TestStore {
    /// A stored user.
    pub(crate) async fn user(&self, email: &str) -> User {
        let user = user(email, self.clock.now());
        let mut work = self.begin().await;
        assert!(work.users().insert(&user).await.unwrap());
        commit(work).await;
        user
    }

    /// A stored link of `user`.
    pub(crate) async fn link(&self, user: UserId) -> Link {
        let link = link(user, self.clock.now());
        let mut work = self.begin().await;
        work.links().insert(&link).await.unwrap();
        commit(work).await;
        link
    }

    /// A stored account of `link`.
    pub(crate) async fn account(&self, link: &Link, currency: &str) -> Account {
        let account = account(link, currency, self.clock.now());
        let mut work = self.begin().await;
        work.accounts().insert(&account).await.unwrap();
        commit(work).await;
        account
    }

    /// Stores transactions.
    pub(crate) async fn store(&self, transactions: &[Transaction]) {
        let mut work = self.begin().await;
        work.transactions().insert(&from_feed(transactions)).await.unwrap();
        commit(work).await;
    }
}
