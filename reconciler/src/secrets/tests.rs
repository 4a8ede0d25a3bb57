//! Secrets on both databases: whose value counts, what is told, what is masked.

use std::sync::atomic::{AtomicI64, Ordering};

use model::id::{InstallationId, PullNumber};

use super::*;
use crate::seal::tests::seal_with;
use crate::store::tests::stores;
use crate::store::{db, due};

struct Manual(AtomicI64);
impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

struct Lab {
    secrets: Secrets,
    store: Store,
    clock: Arc<Manual>,
    _dir: Option<tempfile::TempDir>,
}

const REPO: RepoId = RepoId::new(5);

fn infra() -> RepoName {
    RepoName::parse("Acme/infra").unwrap()
}

async fn labs(test: &str) -> Vec<Lab> {
    let mut all = Vec::new();
    for (store, dir) in stores(test).await {
        let clock = Arc::new(Manual(1_000.into()));
        let secrets = Secrets::new(store.clone(), seal_with(&[("k", 1)]), clock.clone());
        let mut tx = store.write().await.unwrap();
        pulls::know_repo(&mut tx, REPO, InstallationId::new(7), &infra()).await.unwrap();
        pulls::ask(&mut tx, REPO, PullNumber::new(1), Timestamp::from_seconds(1)).await.unwrap();
        tx.commit().await.unwrap();
        all.push(Lab { secrets, store, clock, _dir: dir });
    }
    all
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn ours() -> SecretScope {
    SecretScope::Repository(REPO)
}

fn shared_by_acme() -> SecretScope {
    SecretScope::Owner("acme".to_owned())
}

fn binding(bound: Bound, variable: &str, secret: &str) -> SecretBinding {
    SecretBinding { bound, name: variable.to_owned(), secret: name(secret), at: None }
}

impl Lab {
    async fn set(&self, scope: &SecretScope, secret: &str, value: &str) -> i64 {
        let value = SecretString::from(value.to_owned());
        self.secrets.set(scope, &name(secret), &value, &Actor::command_line()).await.unwrap()
    }

    async fn given(&self, bindings: &[SecretBinding]) -> Given {
        let mut conn = self.store.read().await.unwrap();
        self.secrets.give(&mut conn, (REPO, &infra()), bindings).await.unwrap()
    }

    async fn masks(&self, bindings: &[SecretBinding]) -> Vec<String> {
        let mut conn = self.store.read().await.unwrap();
        let all = self.secrets.masks(&mut conn, (REPO, &infra()), bindings).await.unwrap();
        all.iter().map(|it| it.expose_secret().to_owned()).collect()
    }

    async fn change(&self, text: &'static str) {
        let mut tx = self.store.write().await.unwrap();
        assert!(db::run(&mut tx, db::sql(text)).await.unwrap() > 0, "{text}");
        tx.commit().await.unwrap();
    }
}

fn shown(values: &BTreeMap<String, SecretString>) -> Vec<(&str, &str)> {
    values.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect()
}

#[tokio::test]
async fn a_repositorys_own_value_wins_over_its_owners() {
    for lab in labs("secret_scope").await {
        assert_eq!(lab.set(&shared_by_acme(), "TOKEN", "of-acme").await, 1);
        let bindings = [binding(Bound::Env, "API_TOKEN", "TOKEN"), binding(Bound::Var, "db", "DB_PASSWORD")];
        let given = lab.given(&bindings).await;
        assert_eq!((shown(&given.env), shown(&given.var)), (vec![("API_TOKEN", "of-acme")], vec![]));
        assert_eq!(given.missing, [bindings[1].clone()]);
        assert_eq!(lab.set(&ours(), "TOKEN", "of-infra").await, 1);
        assert_eq!(lab.set(&ours(), "TOKEN", "of-infra-2").await, 2);
        lab.set(&SecretScope::Repository(RepoId::new(6)), "DB_PASSWORD", "of-another").await;
        lab.set(&SecretScope::Owner("other".to_owned()), "DB_PASSWORD", "of-another").await;
        let given = lab.given(&bindings).await;
        assert_eq!(shown(&given.env), [("API_TOKEN", "of-infra-2")]);
        assert_eq!(given.missing.len(), 1, "nobody else's");
        let version = SecretVersion { secret: name("TOKEN"), scope: "repo:5".to_owned(), version: 2 };
        assert_eq!(given.versions, [version]);
        // Removed, the owner's counts again; set again, it is another version.
        let me = Actor::command_line();
        assert!(lab.secrets.remove(&ours(), &name("TOKEN"), &me).await.unwrap());
        assert!(!lab.secrets.remove(&ours(), &name("TOKEN"), &me).await.unwrap());
        assert_eq!(shown(&lab.given(&bindings).await.env), [("API_TOKEN", "of-acme")]);
        assert_eq!(lab.set(&ours(), "TOKEN", "of-infra").await, 4);
        let listed = lab.secrets.list(&ours()).await.unwrap();
        assert_eq!(listed.iter().map(|it| (it.name.as_str(), it.version)).collect::<Vec<_>>(), [("TOKEN", 4)]);
    }
}

#[tokio::test]
async fn a_change_makes_plans_look_again() {
    for lab in labs("secret_due").await {
        for scope in [ours(), shared_by_acme()] {
            let mut tx = lab.store.write().await.unwrap();
            db::run(&mut tx, db::sql("delete from due")).await.unwrap();
            tx.commit().await.unwrap();
            lab.set(&scope, "TOKEN", "a-value").await;
            let next = due::next(&lab.store).await.unwrap();
            assert_eq!(next, Some(Timestamp::from_seconds(1_000)), "{scope}");
        }
        let mut tx = lab.store.write().await.unwrap();
        db::run(&mut tx, db::sql("delete from due")).await.unwrap();
        tx.commit().await.unwrap();
        lab.set(&SecretScope::Owner("acm".to_owned()), "TOKEN", "a-value").await;
        assert_eq!(due::next(&lab.store).await.unwrap(), None, "another owner");
    }
}

#[tokio::test]
async fn old_values_are_masked_as_long_as_something_may_run_with_them() {
    for lab in labs("secret_masks").await {
        let bindings = [binding(Bound::Var, "db", "DB")];
        lab.set(&ours(), "DB", "first-value").await;
        lab.set(&ours(), "DB", "second-value").await;
        lab.set(&ours(), "OTHER", "not-bound").await;
        assert_eq!(lab.masks(&bindings).await, ["second-value", "first-value"]);
        lab.secrets.remove(&ours(), &name("DB"), &Actor::command_line()).await.unwrap();
        assert_eq!(lab.masks(&bindings).await, ["first-value", "second-value"]);
        lab.clock.0.fetch_add(48 * 3600 + 1, Ordering::Relaxed);
        lab.set(&ours(), "OTHER", "anything").await;
        assert_eq!(lab.masks(&bindings).await, Vec::<String>::new());
        lab.set(&ours(), "DB", r#"{"user":"an-account","keys":["key-one"]}"#).await;
        assert_eq!(lab.masks(&bindings).await[1..], ["key-one", "an-account"], "a tool shows what is inside");
    }
}

#[tokio::test]
async fn a_value_is_sealed_and_of_its_place() {
    for lab in labs("secret_sealed").await {
        lab.set(&ours(), "A", "value-of-a").await;
        lab.set(&ours(), "B", "value-of-b").await;
        let mut conn = lab.store.read().await.unwrap();
        let rows = secrets::of_scopes(&mut conn, "repo:5", "repo:5").await.unwrap();
        drop(conn);
        assert!(rows.iter().all(|row| !row.sealed.as_ref().unwrap().windows(5).any(|part| part == b"value")));
        lab.change("update secrets set sealed=(select sealed from secrets where name='B') where name='A'").await;
        let mut conn = lab.store.read().await.unwrap();
        let read = lab.secrets.give(&mut conn, (REPO, &infra()), &[binding(Bound::Var, "a", "A")]).await;
        assert!(matches!(read, Err(SecretError::Damaged { .. })), "{read:?}");
        drop(conn);
        // The same value under another version: somebody brought an old one back.
        lab.change("update secrets set version=7 where name='B'").await;
        let mut conn = lab.store.read().await.unwrap();
        let read = lab.secrets.give(&mut conn, (REPO, &infra()), &[binding(Bound::Var, "b", "B")]).await;
        assert!(matches!(read, Err(SecretError::Damaged { .. })), "{read:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_masked_or_given_is_not_taken() {
    for lab in labs("secret_wrong").await {
        let long = "x".repeat(LONGEST + 1);
        for value in ["", "abc", " ab ", "true", "null", "a\0bcdef", &long] {
            let value = SecretString::from(value.to_owned());
            let set = lab.secrets.set(&ours(), &name("A"), &value, &Actor::command_line()).await;
            assert!(matches!(set, Err(SecretError::Short | SecretError::Unfit)), "{set:?}");
        }
        for text in ["", "1A", "A B", "A/B", "-A", "A=B", "ä"] {
            assert!(SecretName::parse(text).is_err(), "{text}");
        }
        assert!(lab.secrets.list(&ours()).await.unwrap().is_empty());
    }
}
