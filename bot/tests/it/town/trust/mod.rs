//! Trust: attacks on pull requests, each refused with a reason that a person reads, and each with its allowed twin.
//!
//! A case plays in one town: first the attack, then what would have been right. Rules are `decide`'s and no statement
//! of SQL is part of them, so that one database is enough. `BUILDIT_TRUST=12,13` plays some of them.

mod approvals;
mod bases;
mod merges;
mod rights;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fake_github::{Role, Verdict};

use super::machine::Database;
use super::trap::Trap;
use super::{Plan, SHOP, Town, main_tf};

/// One attack and its twin.
pub(super) struct Case {
    pub(super) number: u32,
    pub(super) what: &'static str,
    /// `.buildit/stacks.kdl` of the base.
    pub(super) config: &'static str,
    pub(super) play: fn(&mut Scene),
}

/// Both stacks are applied when someone asks.
pub(super) const ON_COMMENT: &str = "discover\ndefaults {\n    apply on=comment\n}\n";
/// They are applied on merge.
pub(super) const ON_MERGE: &str = "discover\n";

/// A town in which an attack is played. ana administers, ben and cat write, eve reads.
pub(super) struct Scene {
    pub(super) town: Town,
    refused: u32,
    allowed: u32,
}

impl Scene {
    fn new(config: &str) -> Self {
        let [network, cache] = grown(&[]);
        let files = [(".buildit/stacks.kdl", config), (network.0, &*network.1), (cache.0, &*cache.1)];
        let town = Town::new(&Plan { files: &files, slots: 4 }, &Database::Sqlite, Trap::open());
        town.double.add_user("cat", "cat-token").expect("a user");
        town.double.set_permission(SHOP, "cat", Role::Write).expect("a role");
        Self { town, refused: 0, allowed: 0 }
    }

    /// Nothing is applied by this, and a person reads why.
    pub(super) fn refused(&mut self, why: &str, act: impl FnOnce(&mut Town)) {
        let (made, before) = (self.town.reality.told(), self.read(why));
        act(&mut self.town);
        self.town.settle();
        assert_eq!(self.town.reality.told(), made, "the attack was carried out");
        self.told(why, before);
    }

    /// Nothing is done by this, and it is not even answered: it is no command.
    pub(super) fn ignored(&mut self, act: impl FnOnce(&mut Town)) {
        let seen = |town: &Town| {
            (town.reality.told(), town.jobs.started().len(), town.shown().matches("<!-- buildit:reply:").count())
        };
        let before = seen(&self.town);
        act(&mut self.town);
        self.town.settle();
        assert_eq!(seen(&self.town), before, "it was heard:\n{}", self.town.shown());
        self.refused += 1;
    }

    /// Something is applied by this.
    pub(super) fn allowed(&mut self, act: impl FnOnce(&mut Town)) {
        let made = self.town.reality.told();
        act(&mut self.town);
        self.town.settle();
        assert_ne!(self.town.reality.told(), made, "the twin was refused:\n{}", self.town.shown());
        self.allowed += 1;
    }

    /// No job is started by this, and a person reads why.
    pub(super) fn not_run(&mut self, why: &str, act: impl FnOnce(&mut Town)) {
        let (jobs, before) = (self.town.jobs.started().len(), self.read(why));
        act(&mut self.town);
        self.town.settle();
        assert_eq!(self.town.jobs.started().len(), jobs, "the attack was carried out");
        self.told(why, before);
    }

    /// Jobs are started by this.
    pub(super) fn run(&mut self, act: impl FnOnce(&mut Town)) {
        let jobs = self.town.jobs.started().len();
        act(&mut self.town);
        self.town.settle();
        assert_ne!(self.town.jobs.started().len(), jobs, "the twin was refused:\n{}", self.town.shown());
        self.allowed += 1;
    }

    /// How often a person reads this now; GitHub shows no backslash of Markdown.
    fn read(&self, text: &str) -> usize {
        self.town.shown().replace('\\', "").matches(text).count()
    }

    fn told(&mut self, why: &str, before: usize) {
        assert!(self.read(why) > before, "nobody reads {why:?}:\n{}", self.town.shown());
        self.refused += 1;
    }

    /// Ana's pull request of these changes, planned.
    pub(super) fn change(&mut self, branch: &str, changed: &[(&str, &str)]) -> u64 {
        let files = grown(changed);
        let number = self.town.open(branch, branch, &[(files[0].0, &*files[0].1), (files[1].0, &*files[1].1)]);
        self.town.settle();
        number
    }

    /// More of it.
    pub(super) fn push(&mut self, branch: &str, changed: &[(&str, &str)]) {
        let files = grown(changed);
        self.town.commit(branch, "More", &[(files[0].0, &*files[0].1), (files[1].0, &*files[1].1)]);
        self.town.settle();
    }
}

/// Two applied stacks in which pull requests can change different things: `changed` of these, the rest as it was.
pub(super) fn grown(changed: &[(&str, &str)]) -> [(&'static str, String); 2] {
    let of = |names: &[&'static str]| {
        let value = |name: &&'static str| changed.iter().find(|it| it.0 == *name).map_or("0", |it| it.1);
        let there: String = names.iter().map(|name| format!("# state: {name}=0\n")).collect();
        main_tf(&names.iter().map(|name| (*name, value(name))).collect::<Vec<_>>(), &there)
    };
    [("network/main.tf", of(&["vpc", "dns", "nat", "vpn"])), ("cache/main.tf", of(&["redis", "disk", "users", "tls"]))]
}

/// A person's word, some time after what they read.
pub(super) fn approve(town: &mut Town, number: u64, login: &str) -> u64 {
    town.advance(2);
    let review = town.double.review(SHOP, number, login, Verdict::Approve, "Fine.").expect("a review");
    town.settle();
    review
}

pub(super) fn say(town: &mut Town, number: u64, login: &str, body: &str) {
    town.advance(2);
    town.say(number, login, body);
    town.settle();
}

/// Presses a button of a check.
pub(super) fn press(town: &mut Town, number: u64, check: &str, button: &str, login: &str) {
    town.advance(2);
    let run = town.double.check_run(SHOP, number, check).expect("a check");
    town.double.offer(SHOP, run, &[(button, button)]).expect("offered");
    town.double.press(SHOP, run, button, login).expect("pressed");
    town.settle();
}

pub(super) fn merge(town: &mut Town, number: u64) {
    town.advance(2);
    town.double.merge(SHOP, number, "ana").expect("merged");
    town.settle();
}

/// Plays a room; every case that fails is told.
fn play(cases: &[Case]) {
    let wanted = std::env::var("BUILDIT_TRUST").ok();
    let is_wanted = |case: &&Case| {
        wanted.as_ref().is_none_or(|list| list.split(',').any(|it| it.trim() == case.number.to_string()))
    };
    let mut failed = Vec::new();
    for case in cases.iter().filter(is_wanted) {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut scene = Scene::new(case.config);
            (case.play)(&mut scene);
            assert_eq!(scene.town.double.violations(), Vec::<String>::new());
            assert!(scene.refused > 0, "no attack was refused");
            assert!(scene.allowed > 0, "no twin was allowed");
        }));
        if played.is_err() {
            failed.push(format!("{} {}", case.number, case.what));
        }
    }
    assert!(failed.is_empty(), "these fail:\n{}", failed.join("\n"));
}
