//! The server dies at every call that it makes to the outside, before and after the effect, and is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::machine::Database;
use super::trap::{Side, Trap};
use super::{Plan, Settled, Town, main_tf, same};

/// What must be the same, wherever it died: what people see, how often anything was written, which jobs ran.
#[derive(Debug, PartialEq)]
struct End {
    shown: String,
    comments: usize,
    /// Starts by job name.
    most_starts_of_a_job: usize,
    jobs: usize,
}

/// Opens, plans, pushes while a plan runs, plans.
fn walk(trap: &Arc<Trap>) -> End {
    let empty = main_tf(&[], "");
    let files = [(".buildit/stacks.kdl", "discover\n"), ("network/main.tf", &*empty), ("cache/main.tf", &*empty)];
    let mut town = Town::new(&Plan { files: &files, slots: 2 }, &Database::Sqlite, trap.clone());
    alive(&mut town);
    let waits = main_tf(&[("c", "a")], "# town: waits\n");
    let number =
        town.open("topic", "Grow", &[("network/main.tf", &main_tf(&[("vpc", "a")], "")), ("cache/main.tf", &waits)]);
    settle(&mut town);
    town.commit("topic", "More", &[("cache/main.tf", &main_tf(&[("c", "b")], "")), ("README.md", "# more\n")]);
    settle(&mut town);
    town.say(number, "ben", "buildit plan -p network\nbuildit version");
    settle(&mut town);
    let mut starts = BTreeMap::new();
    for job in town.jobs.started() {
        *starts.entry(job.name).or_insert(0) += 1;
    }
    let shown = town.shown();
    let end = End {
        comments: shown.matches("-- comment by").count(),
        shown,
        most_starts_of_a_job: starts.values().copied().max().unwrap_or(0),
        jobs: starts.len(),
    };
    assert_eq!(town.double.violations(), Vec::<String>::new());
    end
}

/// Starts it again where it is dead.
fn alive(town: &mut Town) {
    while town.is_down() {
        town.start();
    }
    // What failed while it died is tried again after a pause.
    if town.settle() == Settled::Killed {
        alive(town);
    }
}

fn settle(town: &mut Town) {
    if town.settle() == Settled::Killed {
        alive(town);
    }
}

/// Whose calls have an effect: dying before it and after it differ.
const EFFECTS: [&str; 10] =
    ["put_check", "put_summary", "put_reply", "react", "fetch", "start", "interrupt", "remove", "put", "delete"];

/// The places to die at. `BUILDIT_KILL=every` takes all; else those whose last three calls were not seen before, for
/// a server that dies in the fourth `event` in a row is like one that dies in the third.
fn places(calls: &[&'static str]) -> Vec<(usize, Side)> {
    let every = std::env::var("BUILDIT_KILL").is_ok_and(|it| it == "every");
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for (at, name) in calls.iter().enumerate() {
        if seen.insert(&calls[at.saturating_sub(2)..=at]) || every {
            places.push((at, Side::Before));
            places.extend(EFFECTS.contains(name).then_some((at, Side::After)));
        }
    }
    places
}

#[test]
fn it_may_die_anywhere() {
    let open = Trap::open();
    let undisturbed = walk(&open);
    let calls = open.names();
    assert_eq!((undisturbed.most_starts_of_a_job, undisturbed.jobs), (1, 4), "{}", undisturbed.shown);
    let places = places(&calls);
    let died: BTreeSet<&str> = places.iter().map(|(at, _)| calls[*at]).collect();
    for name in ["put_check", "put_summary", "put_reply", "react", "start", "event", "fetch", "survey", "put", "remove"]
    {
        assert!(died.contains(name), "it never dies at {name}: {died:?}");
    }
    let die = |(at, side): &(usize, Side)| {
        let trap = Trap::set(*at as u64, *side);
        let end = walk(&trap);
        let place = format!("it died {side:?} call {at} ({})", calls[*at]);
        assert!(!trap.is_set(), "{place}: never");
        same(&end.shown, &undisturbed.shown, &place);
        assert_eq!(end, undisturbed, "{place}");
    };
    // A walk waits more than it works.
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (places, die) = (&places, &die);
            scope.spawn(move || places.iter().skip(worker).step_by(3).for_each(die));
        }
    });
}
