//! A row or a value that somebody changed, moved or restored is noticed, and nothing of it is served.

use super::*;

async fn two(lab: &Lab) {
    let apply = lab.apply(run(1)).await;
    lab.write(&apply, state(1, "a")).await;
    lab.write(&apply, state(2, "b")).await;
}

#[tokio::test]
async fn changed_rows_and_values_are_noticed() {
    let tampering = [
        // Another serial, lineage or content in the row of the head.
        "update state_versions set serial=7 where number=2",
        "update state_versions set lineage='m' where number=2",
        "update state_versions set digest='00' where number=2",
        "update state_versions set previous='' where number=2",
        "update state_versions set number=9 where number=2",
        "update state_versions set stack='other'; update state_stacks set stack='other'",
        "update state_versions set repo=6; update state_stacks set repo=6",
        // The head set back, with and without its version.
        "update state_stacks set head=(select id from state_versions where number=1)",
        "update state_stacks set head=null",
        "delete from state_versions where number=2",
        "delete from state_versions where number=1",
        "update state_versions set kind='orphan' where number=2",
        // The content of one under the row of the other.
        "update state_versions set binding=(select binding from state_versions where number=1) where number=2",
        "update state_versions set id='x' where number=2; update state_stacks set head='x'",
        "delete from blobs",
        "delete from blob_chunks",
        "update blob_chunks set key=(select key from blobs order by key limit 1)||key; update blobs set key=(select key from blobs order by key limit 1)||key",
    ];
    for text in tampering {
        for lab in labs("state_tamper").await {
            two(&lab).await;
            for one in text.split("; ") {
                assert!(lab.change(one).await > 0, "{one}");
            }
            for (repo, stack) in [(REPO, "infra/net"), (RepoId::new(6), "infra/net"), (REPO, "other")] {
                let read = lab.states.current(repo, &StackName::parse(stack).unwrap()).await;
                assert!(!matches!(read, Ok(Some(_))), "{text}: {stack}");
            }
            crate::store::tests::drop_schema(&lab.store).await;
        }
    }
}

#[tokio::test]
async fn a_restored_row_of_the_stack_is_noticed() {
    for lab in labs("state_restored").await {
        let apply = lab.apply(run(1)).await;
        lab.write(&apply, state(1, "a")).await;
        lab.change("create table saved as select * from state_stacks").await;
        lab.write(&apply, state(2, "b")).await;
        lab.change("delete from state_stacks").await;
        lab.change("insert into state_stacks select * from saved").await;
        let read = lab.states.current(REPO, &net()).await.unwrap_err();
        assert_eq!(
            read.to_string(),
            "the stored state of infra/net is damaged: its head is not its newest version; \
             restore the database and its values from one backup"
        );
        // Nothing is written over it either.
        let write = lab.states.write(&apply, Some("LOCK"), state(3, "c")).await;
        assert!(matches!(write, Err(StateError::Damaged { .. })), "{write:?}");
        let listed = lab.states.stacks().await.unwrap();
        assert!(matches!(listed.as_slice(), [Err(StateError::Damaged { .. })]));
    }
}

#[tokio::test]
async fn a_server_that_dies_while_it_stores_leaves_nothing_behind() {
    for lab in labs("state_dead").await {
        let apply = lab.apply(run(1)).await;
        lab.write(&apply, state(1, "a")).await;
        // As if it had died before the head was set.
        lab.write(&apply, state(2, "b")).await;
        lab.change("update state_versions set kind='pending' where number=2").await;
        lab.change("update state_stacks set head=(select id from state_versions where number=1)").await;
        assert_eq!(lab.now().await, Some((1, "a".to_owned())));
        // The client tries again; an hour later nothing is left of the first try.
        assert!(matches!(lab.write(&apply, state(2, "b")).await, Written::Head(it) if it.number == 3));
        assert_eq!(lab.count("select count(*) as n from blobs").await, 3);
        lab.pass(3_601);
        lab.write(&apply, state(3, "c")).await;
        assert_eq!(lab.count("select count(*) as n from blobs").await, 3);
        assert_eq!(lab.count("select count(*) as n from state_versions where kind='pending'").await, 0);
        assert_eq!(lab.now().await, Some((3, "c".to_owned())));
    }
}
