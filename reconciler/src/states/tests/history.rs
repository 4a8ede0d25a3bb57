//! Rollback, promotion, import, forced locks.

use model::run::RunState;

use super::*;

/// For closures that give a future.
fn net_ref() -> &'static StackName {
    static NET: std::sync::LazyLock<StackName> = std::sync::LazyLock::new(net);
    &NET
}

async fn three(lab: &Lab) {
    let apply = lab.apply(run(1)).await;
    for (serial, what) in [(1, "a"), (2, "b"), (5, "c")] {
        assert!(matches!(lab.write(&apply, state(serial, what)).await, Written::Head(_)));
    }
    lab.states.unlock(&apply, Some("LOCK")).await.unwrap();
}

#[tokio::test]
async fn a_rollback_is_a_new_version_above_all_serials() {
    for lab in labs("state_rollback").await {
        three(&lab).await;
        // A refused write with a higher serial was seen too.
        let late = lab.granted(run(2)).await;
        lab.write(&late, state(8, "orphan")).await;
        let back = lab.states.rollback(REPO, &net(), 2, &ana()).await.unwrap();
        assert_eq!(
            (back.serial, back.origin, back.actor.as_str()),
            (9, Origin::Rollback { from: 2 }, "ana (token laptop)")
        );
        assert_eq!(lab.now().await, Some((9, "b".to_owned())));
        let versions = lab.states.versions(REPO, &net()).await.unwrap();
        let shown: Vec<_> = versions.iter().map(|it| (it.number, it.serial, it.standing == Standing::Head)).collect();
        assert_eq!(shown, [(5, 9, true), (4, 8, false), (3, 5, false), (2, 2, false), (1, 1, false)]);
        // An apply goes on from there.
        let apply = lab.apply(run(3)).await;
        assert!(matches!(lab.write(&apply, state(10, "d")).await, Written::Head(_)));

        let told = |error: StateError| error.to_string();
        let locked = told(lab.states.rollback(REPO, &net(), 1, &ana()).await.unwrap_err());
        assert!(locked.starts_with("the state of infra/net is locked by run "), "{locked}");
        lab.states.unlock(&apply, Some("LOCK")).await.unwrap();
        for (number, why) in [
            (6, "version 6 of infra/net is the state already"),
            (4, "version 4 of infra/net never was the state; promote it instead"),
            (7, "infra/net has no version 7"),
        ] {
            assert_eq!(told(lab.states.rollback(REPO, &net(), number, &ana()).await.unwrap_err()), why);
        }
        let other = StackName::parse("other").unwrap();
        let none = told(lab.states.rollback(REPO, &other, 1, &ana()).await.unwrap_err());
        assert_eq!(none, "no state of other is kept here");
    }
}

#[tokio::test]
async fn a_refused_version_is_promoted_by_a_person() {
    for lab in labs("state_promote").await {
        three(&lab).await;
        let old = lab.apply(run(2)).await;
        lab.granted(run(3)).await;
        lab.write(&old, state(6, "late")).await;
        lab.states.unlock(&old, Some("LOCK")).await.unwrap();
        let promoted = lab.states.promote(REPO, &net(), 4, &ana()).await.unwrap();
        assert_eq!((promoted.serial, promoted.origin), (7, Origin::Promote { from: 4 }));
        assert_eq!(lab.now().await, Some((7, "late".to_owned())));
        let again = lab.states.promote(REPO, &net(), 5, &ana()).await.unwrap_err().to_string();
        assert_eq!(again, "version 5 of infra/net was the state once; roll back to it instead");
    }
}

#[tokio::test]
async fn encrypted_states_are_kept_as_they_are() {
    let encrypted = |serial: i64, data: &str| {
        let text =
            format!(r#"{{"serial":{serial},"lineage":"l","encrypted_data":"{data}","encryption_version":"v0"}}"#);
        Bytes::from(text)
    };
    for lab in labs("state_encrypted").await {
        let apply = lab.apply(run(1)).await;
        lab.write(&apply, encrypted(1, "AA")).await;
        lab.write(&apply, encrypted(2, "BB")).await;
        lab.granted(run(2)).await;
        lab.write(&apply, encrypted(3, "CC")).await;
        lab.states.unlock(&apply, Some("LOCK")).await.unwrap();
        let (head, bytes) = lab.states.current(REPO, &net()).await.unwrap().unwrap();
        assert_eq!((head.serial, head.encrypted, bytes), (2, true, encrypted(2, "BB")));
        // No other content ever had serial 3; but 1 cannot come back without OpenTofu.
        let promoted = lab.states.promote(REPO, &net(), 3, &ana()).await.unwrap();
        assert_eq!(promoted.serial, 3);
        let refused = lab.states.rollback(REPO, &net(), 1, &ana()).await.unwrap_err();
        assert!(matches!(refused, StateError::Document(DocumentError::Encrypted)), "{refused}");
        let outputs = lab.states.outputs_of(REPO, &net(), 1).await.unwrap_err();
        assert!(matches!(outputs, StateError::Document(DocumentError::Encrypted)), "{outputs}");
    }
}

#[tokio::test]
async fn a_state_comes_in_from_elsewhere() {
    for lab in labs("state_import").await {
        let import = async |body: Bytes, how: Import| lab.states.import(REPO, net_ref(), body, how, &ana()).await;
        let first = import(state(4, "a"), Import::Follow).await.unwrap();
        assert_eq!((first.number, first.serial, first.origin), (1, 4, Origin::Import));
        assert_eq!(import(state(4, "a"), Import::Follow).await.unwrap(), first, "again");
        assert_eq!(import(state(6, "b"), Import::Follow).await.unwrap().serial, 6);
        let told = |error: StateError| error.to_string();
        assert_eq!(
            told(import(state(5, "c"), Import::Follow).await.unwrap_err()),
            "the state of infra/net is not replaced: its serial 5 is not above 6, which was seen already"
        );
        assert_eq!(
            told(import(of("m", 1, "c"), Import::Follow).await.unwrap_err()),
            "the state of infra/net is not replaced: its lineage is m, and the stack's is l"
        );
        assert_eq!(import(of("m", 1, "c"), Import::Replace).await.unwrap().serial, 1);
        assert_eq!(import(state(5, "d"), Import::Replace).await.unwrap().serial, 7, "above all of its lineage");
        assert_eq!(lab.now().await, Some((7, "d".to_owned())));
        let nonsense = told(import(Bytes::from("{}"), Import::Follow).await.unwrap_err());
        assert_eq!(nonsense, "the state cannot be used: it is not the JSON of a state: line 1, column 2");
        let apply = lab.apply(run(1)).await;
        assert!(matches!(import(state(9, "e"), Import::Replace).await, Err(StateError::Locked { .. })));
        assert!(matches!(lab.write(&apply, state(8, "f")).await, Written::Head(_)));
    }
}

#[tokio::test]
async fn a_person_forces_the_lock_of_a_run_that_has_ended() {
    for lab in labs("state_force").await {
        lab.begin_run(run(1), 12, RunState::Planning).await;
        let dead = lab.apply(run(1)).await;
        let force = async |id: &'static str| lab.states.force_unlock(REPO, net_ref(), id, &ana()).await;
        assert_eq!(
            force("LOCK").await.unwrap_err().to_string(),
            "run 12 works with the state of infra/net and has not ended; wait for it, or cancel it"
        );
        lab.change("update runs set state='failed'").await;
        let other = force("OTHER").await.unwrap_err().to_string();
        assert_eq!(other, "the state of infra/net is not locked by OTHER");
        let holder = force("LOCK").await.unwrap();
        assert_eq!((holder.actor.as_str(), holder.who.as_str()), ("run 12", "ci@host"));
        assert!(force("LOCK").await.is_err(), "it is free now");
        // Whatever is still alive of the holder changes nothing.
        assert!(matches!(lab.write(&dead, state(1, "late")).await, Written::Kept { .. }));
        assert_eq!(lab.now().await, None);
        lab.states.unlock(&dead, Some("LOCK")).await.expect("its lock is gone, which is what it wants");
        let next = lab.apply(run(2)).await;
        assert!(matches!(lab.write(&next, state(1, "a")).await, Written::Head(_)));
    }
}

#[tokio::test]
async fn stacks_are_listed_with_lock_and_freeze() {
    for lab in labs("state_list").await {
        lab.apply(run(1)).await;
        let mut tx = lab.store.write().await.unwrap();
        let at = lab.clock.now();
        States::freeze(&mut tx, REPO, net_ref(), Some(("its apply lost its worker", at))).await.unwrap();
        tx.commit().await.unwrap();
        let all: Vec<StackState> = lab.states.stacks().await.unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].repo, &all[0].stack, all[0].epoch, &all[0].head), (REPO, &net(), 1, &None));
        assert_eq!(all[0].lock.as_ref().map(|it| it.id.as_str()), Some("LOCK"));
        assert_eq!(all[0].frozen, Some(("its apply lost its worker".to_owned(), at)));
        let mut tx = lab.store.write().await.unwrap();
        States::freeze(&mut tx, REPO, net_ref(), None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(lab.states.stack(REPO, net_ref()).await.unwrap().unwrap().frozen, None);
    }
}

#[tokio::test]
async fn a_removed_state_is_none_until_another_begins_or_it_is_brought_back() {
    for lab in labs("state_removed").await {
        let apply = lab.apply(run(1)).await;
        lab.states.remove(&apply).await.expect("there is none");
        lab.write(&apply, state(1, "a")).await;
        let token = lab.token(run(2), Access::Write { epoch: 1 }).await;
        let other = lab.grant(&token).await;
        assert!(matches!(lab.states.remove(&other).await, Err(StateError::Conflict { .. })), "another holds the lock");
        lab.states.remove(&apply).await.unwrap();
        lab.states.remove(&apply).await.expect("asked again");
        assert_eq!((lab.now().await, lab.states.head(REPO, &net()).await.unwrap()), (None, None));
        let versions = lab.states.versions(REPO, &net()).await.unwrap();
        assert_eq!(versions.iter().map(|it| it.origin).collect::<Vec<_>>(), [Origin::Removal, Origin::Write]);
        assert!(matches!(lab.write(&apply, state(1, "a")).await, Written::Kept { .. }), "its serial was seen");
        lab.states.unlock(&apply, None).await.unwrap();
        let back = lab.states.rollback(REPO, &net(), 1, &ana()).await.unwrap();
        assert_eq!((back.serial, lab.now().await), (2, Some((2, "a".to_owned()))));
    }
}

#[tokio::test]
async fn what_a_tool_could_not_store_is_kept_once_and_can_be_promoted() {
    for lab in labs("state_errored").await {
        let apply = lab.apply(run(1)).await;
        lab.write(&apply, state(1, "a")).await;
        let keep = async |body| lab.states.keep_errored((run(1), 1), REPO, &net(), body).await.unwrap();
        assert_eq!(keep(state(1, "a")).await, None, "its reply was lost, nothing else");
        let kept = keep(state(2, "b")).await.expect("kept");
        assert_eq!(keep(state(2, "b")).await.as_ref(), Some(&kept), "told again");
        let refused = Standing::Orphan { refused: "the tool could not store it".to_owned() };
        assert_eq!((kept.standing, kept.run), (refused, Some(run(1))));
        assert_eq!(lab.now().await, Some((1, "a".to_owned())));
        lab.states.unlock(&apply, None).await.unwrap();
        lab.states.promote(REPO, &net(), kept.number, &ana()).await.unwrap();
        assert_eq!(lab.now().await, Some((3, "b".to_owned())));
    }
}
