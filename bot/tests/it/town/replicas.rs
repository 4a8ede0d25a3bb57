//! Two servers over one PostgreSQL: together they do each thing once, and one goes on when the other is gone.

use super::machine::{Database, missing};
use super::opening::FILES;
use super::trap::Trap;
use super::{Plan, Town, delivering, main_tf, same};

/// A town with two replicas, where there is a PostgreSQL.
fn town() -> Option<Town> {
    let Ok(url) = std::env::var("BUILDIT_TEST_POSTGRES") else {
        missing("postgres", "BUILDIT_TEST_POSTGRES is not set");
        return None;
    };
    let mut town = Town::new(&Plan { files: &FILES, slots: 4 }, &Database::Postgres(url), Trap::open());
    town.add_replica();
    Some(town)
}

#[test]
fn two_do_what_one_would_do() {
    let Some(mut town) = town() else { return };
    delivering::walk(&mut town, |_| {});
    town.tell("at the end");
    same(&town.story, delivering::plain(), "two replicas against one");
    let mut names: Vec<_> = town.jobs.started().into_iter().map(|job| job.name).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "no job was started twice");
    assert_eq!(town.double.violations(), Vec::<String>::new());
}

#[test]
fn one_goes_on_when_the_other_is_gone() {
    let Some(mut town) = town() else { return };
    let waits = main_tf(&[("vpc", "a")], "# town: waits\n");
    let files = [("network/main.tf", &*waits), ("cache/main.tf", &*waits)];
    town.open("topic", "Grow", &files);
    // Alone, the second takes all of it: the jobs are started and read by it.
    town.work_of_replica();
    assert_eq!(town.jobs.running().len(), 2);
    town.lose_replica();
    for job in town.jobs.running() {
        town.jobs.release(&job);
    }
    town.settle();
    assert!(town.shown().contains("in_progress"), "nobody else may read them yet:\n{}", town.shown());
    town.advance(30);
    assert!(town.shown().contains("in_progress"), "its leases hold for a minute:\n{}", town.shown());
    town.advance(31);
    assert!(town.shown().contains("2 of 2 stacks change"), "{}", town.shown());
    assert_eq!(town.jobs.started().len(), 2);
    assert_eq!(town.double.violations(), Vec::<String>::new());
}
