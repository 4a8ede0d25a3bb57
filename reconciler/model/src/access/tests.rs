//! Each rule with its attack and its allowed twin.

use super::*;
use crate::who::Teams;

fn teams() -> Teams {
    let mut teams = Teams::default();
    teams.note("sre", Some(["sre-person"]));
    teams.note("hidden", None::<[&str; 0]>);
    teams
}

fn rule(deny: bool, verb: &str, who: &[&str]) -> AccessRule {
    let right = Right::parse(verb).expect("a command");
    AccessRule { deny, rights: [right].into(), who: who.iter().map(|w| Who::parse(w).expect("a name")).collect() }
}

/// `login role verb` against rules.
fn asked(access: &Access, login: &str, role: Role, verb: &str) -> Result<(), String> {
    let teams = teams();
    let is_author = Some(login == "author-person");
    let bot = login.ends_with("[bot]");
    let person = Person { login, bot, role: Some(role), is_author, teams: &teams };
    access.may(Right::parse(verb).expect("a command"), &person)
}

#[test]
fn without_rules_the_roles_of_github_decide() {
    let access = Access { enabled: [Right::Import].into(), ..Access::default() };
    for (verb, least) in [
        ("why", Role::Read),
        ("status", Role::Read),
        ("plan", Role::Write),
        ("apply", Role::Write),
        ("unlock", Role::Write),
        ("discard", Role::Write),
        ("allow", Role::Write),
        ("approve state", Role::Maintain),
        ("approve lost", Role::Maintain),
        ("approve config", Role::Maintain),
        ("recover", Role::Maintain),
        ("abandon", Role::Maintain),
        ("import", Role::Admin),
    ] {
        let all = [Role::None, Role::Read, Role::Triage, Role::Write, Role::Maintain, Role::Admin];
        for role in all {
            assert_eq!(asked(&access, "ana", role, verb).is_ok(), role >= least, "{verb} with {role:?}");
        }
    }
    assert!(asked(&access, "ana", Role::Admin, "force-apply").is_err());
    assert!(asked(&access, "ana", Role::Admin, "approve").is_err());
}

#[test]
fn an_allow_takes_the_place_of_the_role() {
    let access = Access { rules: vec![rule(false, "apply", &["team:sre"])], ..Access::default() };
    assert_eq!(asked(&access, "sre-person", Role::Read, "apply"), Ok(()));
    let refused = asked(&access, "ana", Role::Admin, "apply");
    assert_eq!(refused, Err("`apply` is for team:sre".to_owned()));
    // Other commands keep theirs.
    assert_eq!(asked(&access, "ana", Role::Write, "plan"), Ok(()));
}

#[test]
fn deny_wins() {
    let rules = vec![rule(false, "apply", &["team:sre", "user:ana"]), rule(true, "apply", &["user:ana"])];
    let access = Access { rules, ..Access::default() };
    assert_eq!(asked(&access, "Ana", Role::Admin, "apply"), Err("`apply` is denied to user:ana".to_owned()));
    assert_eq!(asked(&access, "sre-person", Role::Write, "apply"), Ok(()));
    let nobody = Access { rules: vec![rule(true, "plan", &["*"])], ..Access::default() };
    assert!(asked(&nobody, "ana", Role::Admin, "plan").is_err());
    let author = Access { rules: vec![rule(true, "apply", &["author"])], ..Access::default() };
    assert!(asked(&author, "author-person", Role::Admin, "apply").is_err());
    assert_eq!(asked(&author, "ana", Role::Write, "apply"), Ok(()));
}

#[test]
fn what_cannot_be_read_lets_nobody_in() {
    let allowed = Access { rules: vec![rule(false, "apply", &["team:hidden"])], ..Access::default() };
    let refused = asked(&allowed, "ana", Role::Admin, "apply").expect_err("unknown membership");
    assert_eq!(refused, "`apply` is for team:hidden; whether that is so of team:hidden could not be read");
    let denied = Access { rules: vec![rule(true, "apply", &["team:hidden"])], ..Access::default() };
    assert!(asked(&denied, "ana", Role::Admin, "apply").is_err());
    let known = Access { rules: vec![rule(true, "apply", &["team:sre"])], ..Access::default() };
    assert_eq!(asked(&known, "ana", Role::Admin, "apply"), Ok(()));
    let person = Person { login: "ana", bot: false, role: None, is_author: None, teams: &Teams::default() };
    assert!(Access::default().may(Right::Apply, &person).is_err());
}

#[test]
fn programs_and_dangerous_commands_must_be_named() {
    let mut access = Access::default();
    assert!(asked(&access, "renovate[bot]", Role::Admin, "plan").is_err());
    access.bots.insert("renovate[bot]".to_owned());
    assert_eq!(asked(&access, "Renovate[bot]", Role::Write, "plan"), Ok(()));
    assert!(asked(&access, "renovate[bot]", Role::Read, "plan").is_err());
    let refused = asked(&access, "ana", Role::Admin, "state rm").expect_err("off");
    assert_eq!(refused, "`state rm` is off here; `commands { allow \"state rm\" }` turns it on");
    access.enabled.insert(Right::StateRm);
    assert_eq!(asked(&access, "ana", Role::Admin, "state rm"), Ok(()));
    // An allow does not turn it on.
    let allowed = Access { rules: vec![rule(false, "import", &["*"])], ..Access::default() };
    assert!(asked(&allowed, "ana", Role::Admin, "import").is_err());
}
