//! Writes, locks and tokens of runs.

use futures_util::future::{join, join_all};
use model::run::RunState;

use super::super::judge::Refusal;
use super::*;

fn head(written: &Written) -> (i64, i64) {
    match written {
        Written::Head(version) => (version.number, version.serial),
        Written::Kept { refusal, .. } => panic!("kept: {refusal}"),
    }
}

fn refusal(written: &Written) -> (i64, &Refusal) {
    match written {
        Written::Kept { refusal, version } => (version.number, refusal),
        Written::Head(version) => panic!("the head: {version:?}"),
    }
}

#[tokio::test]
async fn writes_follow_each_other_and_a_repeated_one_is_the_same() {
    for lab in labs("state_writes").await {
        assert_eq!(lab.states.head(REPO, &net()).await.unwrap(), None);
        let apply = lab.apply(run(1)).await;
        assert_eq!(lab.now().await, None);
        assert_eq!(head(&lab.write(&apply, state(1, "a")).await), (1, 1));
        assert_eq!(head(&lab.write(&apply, state(1, "a")).await), (1, 1), "again");
        assert_eq!(head(&lab.write(&apply, state(3, "b")).await), (2, 3));
        assert_eq!(lab.now().await, Some((3, "b".to_owned())));
        let version = lab.states.head(REPO, &net()).await.unwrap().unwrap();
        assert_eq!((version.lineage.as_str(), version.serial, version.digest.len()), ("l", 3, 64));
        assert_eq!((version.tool.as_deref(), version.run, version.epoch), (Some("1.11.4"), Some(run(1)), Some(1)));

        let other = [
            (state(2, "c"), Refusal::OldSerial { head: 3, found: 2 }),
            (state(3, "c"), Refusal::SerialTaken { serial: 3 }),
            (of("m", 9, "c"), Refusal::Lineage { expected: "l".to_owned(), found: "m".to_owned() }),
        ];
        for (at, (body, why)) in (3..).zip(other) {
            let kept = lab.write(&apply, body.clone()).await;
            assert_eq!(refusal(&kept), (at, &why));
            assert_eq!(lab.write(&apply, body.clone()).await, kept, "the same request again");
            assert_eq!(lab.states.read_version(REPO, &net(), at).await.unwrap().1, body);
        }
        assert_eq!(lab.now().await, Some((3, "b".to_owned())));
        assert_eq!(lab.count("select count(*) as n from blobs").await, 5);
    }
}

#[tokio::test]
async fn an_older_apply_changes_nothing_and_what_it_writes_is_kept() {
    for lab in labs("state_epoch").await {
        let old = lab.apply(run(1)).await;
        lab.write(&old, state(1, "a")).await;
        let new = lab.granted(run(2)).await;
        let kept = lab.write(&old, state(2, "late")).await;
        assert_eq!(refusal(&kept), (2, &Refusal::OldEpoch));
        assert_eq!(lab.now().await, Some((1, "a".to_owned())));
        // It still holds the lock, and says so; then it lets go, and may not take it again.
        let held = lab.states.lock(&new, &lock_info("MINE")).await.unwrap_err();
        assert!(matches!(&held, LockError::Held(holder) if holder.run == Some(run(1))), "{held}");
        lab.states.unlock(&old, Some("LOCK")).await.unwrap();
        assert!(matches!(lab.states.lock(&old, &lock_info("LOCK")).await, Err(LockError::Over)));
        lab.states.lock(&new, &lock_info("MINE")).await.unwrap();
        let written = lab.states.write(&new, Some("MINE"), state(2, "b")).await.unwrap();
        assert_eq!(head(&written), (3, 2));
    }
}

#[tokio::test]
async fn a_state_is_written_under_its_lock_only() {
    for lab in labs("state_locked").await {
        let apply = lab.granted(run(1)).await;
        for lock in [None, Some("LOCK")] {
            let kept = lab.states.write(&apply, lock, state(1, "a")).await.unwrap();
            assert_eq!(refusal(&kept), (1, &Refusal::NotLocked));
        }
        lab.states.lock(&apply, &lock_info("LOCK")).await.unwrap();
        let kept = lab.states.write(&apply, Some("OTHER"), state(1, "a")).await.unwrap();
        assert_eq!(refusal(&kept).1, &Refusal::OtherLock { holder: "LOCK".to_owned() });
        assert_eq!(head(&lab.write(&apply, state(1, "a")).await), (2, 1));
    }
}

#[tokio::test]
async fn locks_are_idempotent_by_id_and_tell_their_holder() {
    for lab in labs("state_lock").await {
        lab.begin_run(run(1), 12, RunState::Planning).await;
        let apply = lab.apply(run(1)).await;
        lab.states.lock(&apply, &lock_info("LOCK")).await.unwrap();
        let held = lab.states.lock(&apply, &lock_info("SECOND")).await.unwrap_err();
        assert_eq!(held.to_string(), "the state is locked by run 12, lock LOCK (OperationTypeApply by ci@host)");
        // Whoever knows the id is not yet the holder.
        let mut tx = lab.store.write().await.unwrap();
        let access = Access::Write { epoch: 1 };
        let token = lab.states.token(&mut tx, run(9), REPO, &net(), access).await.unwrap();
        tx.commit().await.unwrap();
        let thief = lab.grant(&token).await;
        assert!(matches!(lab.states.lock(&thief, &lock_info("LOCK")).await, Err(LockError::Held(_))));
        assert!(matches!(lab.states.unlock(&thief, Some("LOCK")).await, Err(LockError::Held(_))));
        assert!(matches!(lab.states.unlock(&apply, Some("SECOND")).await, Err(LockError::Held(_))));
        assert!(matches!(lab.states.unlock(&thief, None).await, Err(LockError::Held(_))));
        lab.states.unlock(&apply, Some("LOCK")).await.unwrap();
        lab.states.unlock(&apply, Some("LOCK")).await.unwrap();
        lab.states.lock(&apply, &lock_info("LOCK")).await.unwrap();
        lab.states.unlock(&apply, None).await.expect("whichever it holds");
        lab.states.lock(&apply, &lock_info("SECOND")).await.unwrap();
        lab.states.unlock(&apply, Some("LOCK")).await.expect("a late repetition of what was released");
        assert!(lab.states.lock(&apply, &lock_info("LOCK")).await.is_err(), "SECOND is still held");
    }
}

#[tokio::test]
async fn tokens_are_of_one_run_and_one_stack_and_end_with_the_run() {
    for lab in labs("state_tokens").await {
        let read = lab.token(run(1), Access::Read).await;
        assert_eq!(lab.token(run(1), Access::Read).await.expose_secret(), read.expose_secret());
        assert_ne!(lab.token(run(2), Access::Read).await.expose_secret(), read.expose_secret());
        let stored = lab.count("select count(*) as n from state_tokens where hash like 'bst_%'").await;
        assert_eq!((stored, lab.count("select count(*) as n from state_tokens").await), (0, 2));
        let grant = lab.grant(&read).await;
        assert!(matches!(lab.states.write(&grant, None, state(1, "a")).await, Err(StateError::ReadOnly)));
        assert!(matches!(lab.states.lock(&grant, &lock_info("L")).await, Err(LockError::ReadOnly)));
        assert!(matches!(lab.states.unlock(&grant, Some("L")).await, Err(LockError::ReadOnly)));
        let elsewhere = StackName::parse("infra/other").unwrap();
        for (repo, stack, token) in [
            (REPO, &elsewhere, read.expose_secret()),
            (RepoId::new(6), &net(), read.expose_secret()),
            (REPO, &net(), "bst_AAAA"),
            (REPO, &net(), ""),
        ] {
            assert!(matches!(lab.states.authenticate(repo, stack, token).await, Err(TokenError::Unknown)), "{token}");
        }
        let masks: Vec<_> = lab.states.tokens_of(run(1)).await.unwrap();
        assert_eq!(masks.iter().map(|it| it.expose_secret()).collect::<Vec<_>>(), [read.expose_secret()]);
        lab.end(run(1)).await;
        let ended = lab.states.authenticate(REPO, &net(), read.expose_secret()).await;
        assert!(matches!(ended, Err(TokenError::Unknown)), "{ended:?}");
        let again = lab.token(run(1), Access::Read).await;
        assert_ne!(again.expose_secret(), read.expose_secret(), "an ended token does not come back");
    }
}

#[tokio::test]
async fn what_an_ended_run_still_writes_is_kept_for_an_hour() {
    for lab in labs("state_ended").await {
        let mut tx = lab.store.write().await.unwrap();
        let epoch = States::grant_epoch(&mut tx, REPO, &net()).await.unwrap();
        tx.commit().await.unwrap();
        let token = lab.token(run(1), Access::Write { epoch }).await;
        lab.states.lock(&lab.grant(&token).await, &lock_info("LOCK")).await.unwrap();
        lab.end(run(1)).await;
        lab.pass(3_600);
        let late = lab.grant(&token).await;
        assert!(!late.may_read());
        assert_eq!(refusal(&lab.write(&late, state(1, "late")).await), (1, &Refusal::Ended));
        assert!(matches!(lab.states.unlock(&late, Some("LOCK")).await, Err(LockError::Over)));
        lab.pass(1);
        let gone = lab.states.authenticate(REPO, &net(), token.expose_secret()).await;
        assert!(matches!(gone, Err(TokenError::Unknown)), "{gone:?}");
    }
}

#[tokio::test]
async fn one_run_cannot_fill_the_storage() {
    for lab in labs("state_orphans").await {
        let apply = lab.granted(run(1)).await;
        for serial in 1..=20 {
            lab.write(&apply, state(serial, "x")).await;
        }
        let refused = lab.states.write(&apply, Some("LOCK"), state(21, "x")).await.unwrap_err();
        assert!(matches!(refused, StateError::TooManyOrphans { count: 20 }), "{refused}");
        assert_eq!(refusal(&lab.write(&apply, state(20, "x")).await).0, 20, "a repetition is still answered");
    }
}

#[tokio::test]
async fn writes_at_once_end_in_one_order() {
    for lab in labs("state_race").await {
        let apply = lab.apply(run(1)).await;
        let writes = join_all((1..=8).map(|serial| lab.write(&apply, state(serial, "x"))));
        let again = join_all((1..=8).map(|serial| lab.write(&apply, state(serial, "x"))));
        let (one, two) = join(writes, again).await;
        let heads: Vec<i64> = one
            .iter()
            .chain(&two)
            .filter_map(|it| match it {
                Written::Head(version) => Some(version.serial),
                Written::Kept { .. } => None,
            })
            .collect();
        assert!(heads.contains(&8), "{heads:?}");
        assert_eq!(lab.now().await, Some((8, "x".to_owned())));
        let versions = lab.states.versions(REPO, &net()).await.unwrap();
        let accepted = versions.iter().filter(|it| !matches!(it.standing, Standing::Orphan { .. }));
        let serials: Vec<i64> = accepted.map(|it| it.serial).collect();
        assert!(serials.windows(2).all(|pair| pair[0] > pair[1]), "{serials:?}");
        assert_eq!(lab.count("select count(*) as n from state_versions where kind='pending'").await, 0);
        let kept = i64::try_from(versions.len()).unwrap();
        assert_eq!(lab.count("select count(*) as n from blobs").await, kept);
    }
}
