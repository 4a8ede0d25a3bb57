//! What people do at a state by an API token: the lock is their turn, and everything is noted.

use model::run::RunState;

use super::*;
use crate::audit::Audit;
use crate::states::judge::Refusal;
use crate::store::due;

fn laptop(who: &str, writes: bool) -> Grant {
    let actor = Actor { name: who.to_owned(), token: Some((format!("t-{who}"), "laptop".to_owned())) };
    Grant::person(REPO, net(), actor, writes)
}

async fn noted(lab: &Lab) -> Vec<String> {
    let mut all = Vec::new();
    let audit = Audit::new(lab.store.clone(), seal_with(&[("k", 1)]));
    audit.read(|it| all.push(format!("{} {}: {}", it.actor, it.action, it.detail))).await.unwrap();
    all
}

#[tokio::test]
async fn a_laptop_works_under_its_lock_and_leaves_its_name() {
    for lab in labs("people_work").await {
        let (ana, ben) = (laptop("ana", true), laptop("ben", true));
        assert!(ana.may_read());
        lab.states.lock(&ana, &lock_info("LOCK")).await.unwrap();
        lab.states.lock(&ana, &lock_info("LOCK")).await.expect("asked again");
        let held = lab.states.lock(&ben, &lock_info("BEN")).await.unwrap_err().to_string();
        assert_eq!(held, "the state is locked by token t-ana, lock LOCK (OperationTypeApply by ci@host)");
        assert!(matches!(lab.write(&ana, state(1, "a")).await, Written::Head(_)));
        let kept = lab.write(&ben, state(2, "b")).await;
        assert!(matches!(&kept, Written::Kept { refusal: Refusal::OtherLock { .. }, .. }), "{kept:?}");
        assert_eq!(lab.write(&ben, state(2, "b")).await, kept, "the same request again");
        lab.states.unlock(&ana, Some("LOCK")).await.unwrap();
        let late = lab.write(&ana, state(2, "late")).await;
        assert!(matches!(&late, Written::Kept { refusal: Refusal::NotLocked, .. }), "{late:?}");
        let head = lab.states.head(REPO, &net()).await.unwrap().unwrap();
        assert_eq!((head.run, head.epoch, head.actor.as_str()), (None, None, "ana (token laptop)"));
        assert_eq!(
            noted(&lab).await,
            [
                "ana state.lock: lock LOCK",
                "ana state.write: version 1, serial 1",
                "ben state.write: version 2, serial 2; refused and kept beside: another holds the lock (LOCK)",
                "ana state.unlock: lock LOCK",
                "ana state.write: version 3, serial 2; refused and kept beside: the write names no lock that is held; \
                 state is written under its lock only",
            ]
        );
    }
}

#[tokio::test]
async fn who_only_reads_does_nothing_else() {
    for lab in labs("people_read").await {
        let reader = laptop("ana", false);
        assert!(reader.may_read());
        assert!(matches!(lab.states.lock(&reader, &lock_info("L")).await, Err(LockError::ReadOnly)));
        assert!(matches!(lab.states.unlock(&reader, None).await, Err(LockError::ReadOnly)));
        assert!(matches!(lab.states.write(&reader, Some("L"), state(1, "a")).await, Err(StateError::ReadOnly)));
        assert!(matches!(lab.states.remove(&reader).await, Err(StateError::ReadOnly)));
        assert_eq!(noted(&lab).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_frozen_state_and_one_that_is_applied_are_not_for_laptops() {
    for lab in labs("people_frozen").await {
        let ana = laptop("ana", true);
        let mut tx = lab.store.write().await.unwrap();
        let why = Some(("its apply lost its worker", Timestamp::from_seconds(1)));
        States::freeze(&mut tx, REPO, &net(), why).await.unwrap();
        tx.commit().await.unwrap();
        let frozen = lab.states.lock(&ana, &lock_info("L")).await.unwrap_err().to_string();
        assert_eq!(frozen, "the state is frozen: its apply lost its worker");
        let mut tx = lab.store.write().await.unwrap();
        States::freeze(&mut tx, REPO, &net(), None).await.unwrap();
        tx.commit().await.unwrap();
        lab.change("insert into freezes (scope, why, actor, at) values ('5', 'we move', 'eve', 0)").await;
        let frozen = lab.states.lock(&ana, &lock_info("L")).await.unwrap_err().to_string();
        assert_eq!(frozen, "the state is frozen: eve froze applies: we move");
        lab.change("delete from freezes").await;

        // An apply that was granted and has not locked yet.
        lab.begin_run(run(1), 12, RunState::Preparing).await;
        lab.change("update runs set kind='apply', epoch=1, stack='infra/net'").await;
        let running = lab.states.lock(&ana, &lock_info("L")).await.unwrap_err().to_string();
        assert_eq!(running, "run 12 works with the state and has not ended; wait for it, or cancel it");
        let imported = lab.states.import(REPO, &net(), state(1, "a"), Import::Follow, &super::ana()).await;
        assert!(matches!(imported, Err(StateError::Running { .. })), "{imported:?}");
        lab.change("update runs set state='applied'").await;
        lab.states.lock(&ana, &lock_info("L")).await.expect("it has ended");
    }
}

#[tokio::test]
async fn a_person_forces_a_dead_lock_by_its_id_or_as_terraform_does_by_none() {
    for lab in labs("people_force").await {
        let (ana, ben) = (laptop("ana", true), laptop("ben", true));
        for id in [Some("LOCK"), None] {
            lab.states.lock(&ben, &lock_info("LOCK")).await.unwrap();
            assert!(matches!(lab.states.unlock(&ana, Some("OTHER")).await, Err(LockError::Held(_))));
            lab.states.unlock(&ana, id).await.unwrap();
            let kept = lab.write(&ben, state(1, "late")).await;
            assert!(matches!(kept, Written::Kept { .. }), "{kept:?}");
        }
        // Not a run's that has no end.
        lab.begin_run(run(1), 12, RunState::Applying).await;
        let apply = lab.granted(run(1)).await;
        lab.states.lock(&apply, &lock_info("LOCK")).await.unwrap();
        assert!(matches!(lab.states.unlock(&ana, None).await, Err(LockError::Running(run)) if run == "run 12"));
        lab.change("update runs set state='lost'").await;
        lab.states.unlock(&ana, Some("LOCK")).await.unwrap();
        assert!(matches!(lab.write(&apply, state(1, "late")).await, Written::Kept { .. }));
        let said = noted(&lab).await;
        assert_eq!(said.last().unwrap(), "ana state.force-unlock: lock LOCK of run 12");
    }
}

#[tokio::test]
async fn a_changed_state_makes_plans_look_again() {
    for lab in labs("people_due").await {
        let mut tx = lab.store.write().await.unwrap();
        let (number, at) = (model::id::PullNumber::new(3), Timestamp::from_seconds(1));
        crate::store::pulls::ask(&mut tx, REPO, number, at).await.unwrap();
        tx.commit().await.unwrap();
        let ana = laptop("ana", true);
        lab.states.lock(&ana, &lock_info("LOCK")).await.unwrap();
        assert_eq!(due::next(&lab.store).await.unwrap(), None);
        lab.write(&ana, state(1, "a")).await;
        assert_eq!(due::next(&lab.store).await.unwrap(), Some(lab.clock.now()));
    }
}

#[tokio::test]
async fn one_token_cannot_fill_the_storage() {
    for lab in labs("people_orphans").await {
        let ana = laptop("ana", true);
        for serial in 1..=20 {
            lab.write(&ana, state(serial, "x")).await;
        }
        let refused = lab.states.write(&ana, Some("LOCK"), state(21, "x")).await.unwrap_err();
        assert!(matches!(refused, StateError::TooManyOrphans { count: 20 }), "{refused}");
        assert!(matches!(lab.write(&laptop("ben", true), state(21, "x")).await, Written::Kept { .. }));
    }
}
