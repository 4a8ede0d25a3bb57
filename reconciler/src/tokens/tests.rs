//! Tokens on both databases: each end with its allowed twin.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use model::id::InstallationId;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::*;
use crate::audit::Audit;
use crate::seal::tests::seal_with;
use crate::store::tests::stores;

struct Manual(AtomicI64);
impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

struct Counting(AtomicU64);
impl Ids for Counting {
    fn uuid(&self, _now: Timestamp) -> Uuid {
        Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Lab {
    tokens: Tokens,
    store: Store,
    clock: Arc<Manual>,
    _dir: Option<tempfile::TempDir>,
}

async fn labs(test: &str) -> Vec<Lab> {
    let mut all = Vec::new();
    for (store, dir) in stores(test).await {
        let clock = Arc::new(Manual(1_000.into()));
        let ids = Arc::new(Counting(0.into()));
        let tokens = Tokens::new(store.clone(), seal_with(&[("k", 1)]), clock.clone(), ids);
        all.push(Lab { tokens, store, clock, _dir: dir });
    }
    all
}

fn new(name: &str, scopes: &[Scope], bound: Bound) -> NewToken {
    let (name, owner) = (name.to_owned(), "ana".to_owned());
    NewToken { name, owner, scopes: scopes.iter().copied().collect(), bound, lasts: Some(Duration::from_secs(3600)) }
}

fn me() -> Actor {
    Actor::command_line()
}

#[tokio::test]
async fn a_token_is_shown_once_and_good_until_it_ends() {
    for lab in labs("api_token").await {
        let (token, text) =
            lab.tokens.create(new("laptop", &[Scope::StateRead], Bound::Everywhere), &me()).await.unwrap();
        assert!(text.expose_secret().starts_with("bit_") && text.expose_secret().len() == 47);
        let mut conn = lab.store.read().await.unwrap();
        let query = crate::store::db::sql("select hash from api_tokens where hash like 'bit_%'");
        assert!(crate::store::db::all(&mut conn, query).await.unwrap().is_empty(), "it is not stored");
        drop(conn);
        let caller = lab.tokens.authenticate(text.expose_secret()).await.unwrap();
        assert_eq!(
            (caller.token().id.as_str(), caller.actor().to_string()),
            (token.id.as_str(), "ana (token laptop)".to_owned())
        );
        assert_eq!(lab.tokens.list().await.unwrap()[0].used_at, Some(Timestamp::from_seconds(1_000)));
        for wrong in ["", "bit_", "bit_AAAA", &text.expose_secret()[..46], "bst_x"] {
            let refused = lab.tokens.authenticate(wrong).await.unwrap_err();
            assert!(matches!(refused, TokensError::Unknown), "{wrong}: {refused}");
        }
        lab.clock.0.store(1_000 + 3_599, Ordering::Relaxed);
        assert!(lab.tokens.authenticate(text.expose_secret()).await.is_ok());
        lab.clock.0.store(1_000 + 3_600, Ordering::Relaxed);
        let over = lab.tokens.authenticate(text.expose_secret()).await.unwrap_err();
        assert_eq!(over.to_string(), "the token laptop has ended (its time is over)");
    }
}

#[tokio::test]
async fn a_revoked_token_is_good_for_nothing_and_the_log_says_who_ended_it() {
    for lab in labs("api_revoke").await {
        let (token, text) = lab.tokens.create(new("a", &[Scope::Admin], Bound::Everywhere), &me()).await.unwrap();
        let (other, still) = lab.tokens.create(new("b", &[Scope::Admin], Bound::Everywhere), &me()).await.unwrap();
        let (_, _) = lab.tokens.create(new("b", &[Scope::Admin], Bound::Everywhere), &me()).await.unwrap();
        lab.tokens.revoke("a", &me()).await.unwrap();
        lab.tokens.revoke(&token.id, &me()).await.expect("again");
        assert!(matches!(lab.tokens.authenticate(text.expose_secret()).await, Err(TokensError::Ended { .. })));
        assert!(lab.tokens.authenticate(still.expose_secret()).await.is_ok());
        assert!(matches!(lab.tokens.revoke("a", &me()).await, Err(TokensError::NoToken { .. })));
        assert!(matches!(lab.tokens.revoke("b", &me()).await, Err(TokensError::Several { count: 2, .. })));
        lab.tokens.revoke(&other.id, &me()).await.unwrap();
        let mut said = Vec::new();
        let audit = Audit::new(lab.store.clone(), seal_with(&[("k", 1)]));
        audit.read(|entry| said.push(format!("{} {}", entry.action, entry.detail))).await.unwrap();
        assert_eq!(
            said,
            [
                "token.create a of ana: admin",
                "token.create b of ana: admin",
                "token.create b of ana: admin",
                "token.revoke a",
                "token.revoke b",
            ]
        );
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_and_its_place() {
    for lab in labs("api_scopes").await {
        let name = |text: &str| RepoName::parse(text).unwrap();
        let mut tx = lab.store.write().await.unwrap();
        let known = name("Acme/Infra");
        pulls::know_repo(&mut tx, RepoId::new(5), InstallationId::new(7), &known).await.unwrap();
        tx.commit().await.unwrap();
        let repository = lab.tokens.repository(&name("acme/infra")).await.unwrap();
        assert_eq!(repository, Bound::Repository(RepoId::new(5)));
        assert!(matches!(lab.tokens.repository(&name("acme/other")).await, Err(TokensError::NoRepository { .. })));
        let make = async |scopes: &[Scope], bound: &Bound| {
            let (_, text) = lab.tokens.create(new("t", scopes, bound.clone()), &me()).await.unwrap();
            lab.tokens.authenticate(text.expose_secret()).await.unwrap()
        };
        let writer = make(&[Scope::StateWrite], &repository).await;
        assert!(writer.has(Scope::StateWrite) && writer.has(Scope::StateRead));
        assert!(!writer.has(Scope::Secrets) && !writer.has(Scope::Admin) && !writer.has(Scope::Read));
        assert!(Scope::ALL.iter().all(|scope| !writer.has(Scope::Admin) || writer.has(*scope)));
        let admin = make(&[Scope::Admin], &Bound::Everywhere).await;
        assert!(Scope::ALL.iter().all(|scope| admin.has(*scope)));
        let of_acme = make(&[Scope::Read], &Bound::Owner("acme".to_owned())).await;
        let (five, six) = (RepoId::new(5), RepoId::new(6));
        // The repository itself, also under another name; its owner's; any.
        assert!(writer.reaches(five, &name("acme/renamed")) && !writer.reaches(six, &name("acme/infra")));
        assert!(of_acme.reaches(six, &name("ACME/x")) && !of_acme.reaches(five, &name("other/infra")));
        assert!(admin.reaches(six, &name("other/x")));
        assert!(of_acme.reaches_all_of("Acme") && !of_acme.reaches_all_of("other") && !writer.reaches_all_of("acme"));
    }
}

#[tokio::test]
async fn what_is_no_token_is_not_made() {
    for lab in labs("api_wrong").await {
        for (name, owner, scopes) in [
            ("", "ana", &[Scope::Read][..]),
            ("a b", "ana", &[Scope::Read]),
            ("a", "a\nb", &[Scope::Read]),
            ("a", "ana", &[]),
        ] {
            let mut wrong = new(name, scopes, Bound::Everywhere);
            wrong.owner = owner.to_owned();
            let refused = lab.tokens.create(wrong, &me()).await.unwrap_err();
            assert!(matches!(refused, TokensError::Wrong(_)), "{name} {owner}: {refused}");
        }
        assert!(lab.tokens.list().await.unwrap().is_empty());
    }
}
