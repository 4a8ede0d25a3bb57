//! Stricter is stricter: unions, and what counts as loosened.

use proptest::prelude::*;

use super::*;

fn who(text: &str) -> Who {
    Who::parse(text).expect("a name")
}

fn sre(count: u32) -> Approvals {
    Approvals { any_of: [who("team:sre")].into(), ..Approvals::plain(count) }
}

fn shown(all: &Requirements) -> String {
    all.items().iter().map(Requirement::to_string).collect::<Vec<_>>().join("; ")
}

fn ignoring(globs: &[&str]) -> Requirement {
    Requirement::ChecksPassed(ChecksPassed { ignore: globs.iter().map(|glob| (*glob).to_owned()).collect() })
}

fn windows(crons: &[&str]) -> Windows {
    let one = |cron: &&str| Window { cron: (*cron).to_owned(), seconds: 3600, tz: "UTC".to_owned() };
    Windows { any: crons.iter().map(one).collect() }
}

#[test]
fn layers_add_and_the_stricter_wins() {
    use Requirement as R;
    let cases: [(&[Requirement], &[Requirement], &str); 9] = [
        (&[], &[], "approvals 1; checks-passed; undiverged"),
        (&[R::Codeowners], &[], "approvals 1; codeowners; checks-passed; undiverged"),
        (&[R::Approvals(Approvals::plain(0))], &[], "checks-passed; undiverged"),
        (
            &[R::Approvals(Approvals::plain(0))],
            &[R::Approvals(sre(1))],
            "approvals 1 any-of team:sre; checks-passed; undiverged",
        ),
        (
            &[R::Approvals(Approvals::plain(2)), R::Approvals(Approvals::plain(1)), R::Approvals(sre(1))],
            &[],
            "approvals 1 any-of team:sre; approvals 2; checks-passed; undiverged",
        ),
        (
            &[R::Undiverged(Scope::Repository), R::Undiverged(Scope::Stack)],
            &[],
            "approvals 1; checks-passed; undiverged scope=repository",
        ),
        (&[ignoring(&["a", "b"]), ignoring(&["b", "c"])], &[], "approvals 1; checks-passed ignoring b; undiverged"),
        (&[ignoring(&["a"])], &[ignoring(&[])], "approvals 1; checks-passed; undiverged"),
        (
            &[R::CostBelow(5.0), R::CostBelow(3.5), R::Signed],
            &[R::CostBelow(9.0)],
            "approvals 1; checks-passed; undiverged; signed; cost-below 3.5",
        ),
    ];
    for (layers, enforced, expected) in cases {
        assert_eq!(shown(&Requirements::union(layers, enforced)), expected);
    }
}

#[test]
fn one_approval_rule_implies_another_only_when_it_is_no_looser() {
    let not_author_off = Approvals { not_author: false, ..Approvals::plain(1) };
    let latest = Approvals { on_latest_push: true, ..Approvals::plain(1) };
    let all = Approvals { all_of: [who("team:sec")].into(), ..Approvals::plain(1) };
    let maintainers = Approvals { any_of: [who("role:maintain")].into(), ..Approvals::plain(1) };
    let outsiders = Approvals { any_of: [who("role:read")].into(), ..Approvals::plain(3) };
    for (strict, loose) in [
        (Approvals::plain(2), Approvals::plain(1)),
        (Approvals::plain(1), not_author_off.clone()),
        (latest, Approvals::plain(1)),
        (all, Approvals::plain(1)),
        (maintainers, Approvals::plain(1)),
        (sre(2), sre(1)),
        (sre(1), Approvals { any_of: [who("team:sre"), who("team:dba")].into(), ..Approvals::plain(1) }),
    ] {
        assert!(strict.implies(&loose), "{strict} implies {loose}");
        assert!(!loose.implies(&strict), "{loose} does not imply {strict}");
    }
    for (one, other) in [(sre(2), Approvals::plain(1)), (outsiders, Approvals::plain(1)), (sre(1), not_author_off)] {
        assert!(!one.implies(&other) && !other.implies(&one), "{one} and {other} are different questions");
    }
}

#[test]
fn windows_of_layers_must_all_be_open_and_those_of_one_are_alternatives() {
    let both = Requirement::Windows(windows(&["0 9 * * *", "0 18 * * *"]));
    let morning = Requirement::Windows(windows(&["0 9 * * *"]));
    let other = Requirement::Windows(windows(&["0 3 * * *"]));
    let all = Requirements::union([&both, &morning, &other], []);
    assert_eq!(all.windows, [windows(&["0 3 * * *"]), windows(&["0 9 * * *"])]);
    assert!(all.covers(&both) && all.covers(&morning));
    assert!(!Requirements::union([&both], []).covers(&morning));
}

fn approvals() -> impl Strategy<Value = Approvals> {
    let names =
        || proptest::sample::subsequence(vec!["team:a", "team:b", "role:read", "role:admin", "*", "author"], 0..3);
    (0u32..4, names(), names(), any::<(bool, bool, bool)>()).prop_map(|(count, any_of, all_of, flags)| Approvals {
        count,
        any_of: any_of.into_iter().map(who).collect(),
        all_of: all_of.into_iter().map(who).collect(),
        not_author: flags.0,
        not_pusher: flags.1,
        on_latest_push: flags.2,
    })
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let globs = proptest::sample::subsequence(vec!["a", "b", "c"], 0..3);
    let crons = proptest::sample::subsequence(vec!["0 1 * * *", "0 2 * * *", "0 3 * * *"], 1..3);
    prop_oneof![
        approvals().prop_map(Requirement::Approvals),
        any::<bool>().prop_map(|wide| Requirement::Undiverged(if wide { Scope::Repository } else { Scope::Stack })),
        globs.prop_map(|globs| ignoring(&globs)),
        Just(Requirement::Codeowners),
        Just(Requirement::ConversationResolved),
        Just(Requirement::Signed),
        crons.prop_map(|crons| Requirement::Windows(windows(&crons))),
        (0u32..9).prop_map(|limit| Requirement::CostBelow(limit.into())),
        "[ab]".prop_map(Requirement::Policy),
    ]
}

proptest! {
    #[test]
    fn what_was_asked_is_still_asked_after_more_is(
        layers in proptest::collection::vec(requirement(), 0..5),
        enforced in proptest::collection::vec(requirement(), 0..3),
        more in requirement(),
    ) {
        let mut all = Requirements::union(&layers, &enforced);
        for item in layers.iter().chain(&enforced) {
            prop_assert!(all.covers(item), "{} covers {item}", shown(&all));
        }
        let before = all.clone();
        all.tighten(&more);
        prop_assert!(all.covers(&more));
        for item in before.items() {
            prop_assert!(all.covers(&item), "{} covers {item}", shown(&all));
        }
    }

    #[test]
    fn the_order_of_layers_does_not_matter(layers in proptest::collection::vec(requirement(), 0..5)) {
        let turned: Vec<_> = layers.iter().rev().cloned().collect();
        prop_assert_eq!(Requirements::union(&layers, []), Requirements::union(&turned, []));
    }

    #[test]
    fn requirements_survive_a_row(layers in proptest::collection::vec(requirement(), 0..5)) {
        let all = Requirements::union(&layers, []);
        let text = serde_json::to_string(&all).expect("plain data");
        prop_assert_eq!(serde_json::from_str::<Requirements>(&text).expect("readable"), all);
    }
}
