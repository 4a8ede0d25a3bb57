//! The base rules: each way around its gates with the allowed twin.

use insta::assert_snapshot;

use super::gates::asked;
use super::{file, layout, repo, shown};
use crate::config::{ResolveInput, Resolved, TrustInput, Trusted, parse, resolve, trusted, weakened};
use crate::stack::{ApplyMode, LockMode, Stack};

fn resolved(text: &str, roots: &[&str]) -> Resolved {
    super::resolved(text, roots)
}

/// Both sides, each with its configuration and its directories.
fn change(base: (&str, &[&str]), head: (&str, &[&str])) -> Trusted {
    let config = parse(&[file(base.0)]).config;
    let (base_layout, head_layout, repo) = (layout(base.1), layout(head.1), repo());
    let input = ResolveInput { repo: &repo, config: &config, organisation: None, layout: &base_layout };
    let (on_base, on_head) = (resolve(input), resolved(head.0, head.1));
    trusted(&TrustInput { base: input, on_base: &on_base, on_head: &on_head, head_layout: &head_layout })
}

fn only(trusted: &Trusted) -> &Stack {
    let [stack] = trusted.stacks.as_slice() else { panic!("{:?}", trusted.stacks) };
    stack
}

const STRICT: &str = "defaults { require { approvals 2 } }\ndefaults tag=\"env:prod\" { require { codeowners }; apply on=manual }\ndefaults path=\"prod/**\" { require { signed } }\n";

#[test]
fn what_the_head_says_of_gates_does_not_count() {
    let base = "stack a { apply on=comment after-upstream=ask; lock strict; require { approvals 2 }; hooks { before-plan x } }\naccess { deny apply { who \"user:mallory\" } }";
    let head = "stack a { apply on=push after-upstream=apply timeout=\"9h\"; lock none; require { approvals 0 } }\naccess { allow apply { who \"*\" } }";
    let found = change((base, &["a"]), (head, &["a"]));
    let stack = only(&found);
    assert_eq!(stack.apply, ApplyMode::Comment);
    assert_eq!(stack.lock.mode, LockMode::Strict);
    assert_eq!(stack.apply_options.timeout_seconds, 7200);
    assert_eq!(asked(stack), "approvals 2; checks-passed; undiverged");
    assert_eq!(stack.access.rules.len(), 1);
    assert!(stack.access.rules[0].deny && found.access.rules[0].deny);
    assert_eq!(stack.not_yet.len(), 1);
    assert_eq!(shown(&found.diagnostics) + &shown(&found.errors), "");
}

#[test]
fn selectors_look_at_what_the_base_has() {
    let base = format!("{STRICT}stack a {{ tags \"env:prod\" }}");
    // Without the tag, and moved out of the path.
    let head = "stack a { path \"dev/a\" }";
    let found = change((&base, &["a"]), (head, &["dev/a"]));
    assert_eq!(asked(only(&found)), "approvals 2; codeowners; checks-passed; undiverged");
    assert_eq!(only(&found).apply, ApplyMode::Manual);
    // The twin that never had the tag.
    let found = change((&format!("{STRICT}stack a"), &["a"]), ("stack a { tags \"env:prod\" }", &["a"]));
    assert_eq!(asked(only(&found)), "approvals 2; checks-passed; undiverged");
}

#[test]
fn a_stack_that_only_the_head_has_is_held_to_the_defaults_of_the_base() {
    let head = "defaults { require { approvals 0 } }\nstack new { apply on=push; require { approvals 0 } }";
    let found = change((STRICT, &[]), (head, &["new"]));
    assert_eq!(asked(only(&found)), "approvals 2; checks-passed; undiverged");
    assert_eq!(only(&found).apply, ApplyMode::Merge);
    // Matched by its own path and tags.
    let found = change((STRICT, &[]), ("stack new { path \"prod/new\"; tags \"env:prod\" }", &["prod/new"]));
    assert_eq!(asked(only(&found)), "approvals 2; codeowners; checks-passed; undiverged; signed");
    assert_eq!(only(&found).apply, ApplyMode::Manual);
    // Without any configuration on the base, what is built in holds.
    let found = change(("", &[]), (head, &["new"]));
    assert_eq!(asked(only(&found)), "approvals 1; checks-passed; undiverged");
}

#[test]
fn a_family_of_the_base_takes_in_what_the_head_declares_by_itself() {
    let base = "stack \"app-{env}\" { path \"apps/{env}\"; tags \"env:{env}\"; require { approvals 1 { any-of \"team:{env}\" } }; lock strict }";
    let head = "stack mine { path \"apps/prod\"; require { approvals 0 } }";
    let found = change((base, &["apps/dev"]), (head, &["apps/dev", "apps/prod"]));
    assert_eq!(asked(only(&found)), "approvals 1 any-of team:prod; checks-passed; undiverged");
    assert_eq!(only(&found).lock.mode, LockMode::Strict);
    // The twin outside of the family.
    let found = change((base, &["apps/dev"]), ("stack mine { path \"other\" }", &["other"]));
    assert_eq!(asked(only(&found)), "approvals 1; checks-passed; undiverged");
}

#[test]
fn a_place_changes_its_name_only_by_saying_so() {
    let base = "stack network { path \"infra/network\"; require { approvals 3 } }";
    let renamed = |was: &str| format!("stack net {was} {{ path \"infra/network\" }}");
    let roots: &[&str] = &["infra/network"];
    let found = change((base, roots), (&renamed(""), roots));
    assert_snapshot!(shown(&found.diagnostics), @r#"1:1 displaced: stack `net` takes the directory of stack `network` of the base | write was="network" so that state, lock and history move along"#);
    assert_eq!(asked(only(&found)), "approvals 3; checks-passed; undiverged");
    for was in ["was=network", "was=\"infra/network\""] {
        let found = change((base, roots), (&renamed(was), roots));
        assert_eq!(shown(&found.diagnostics), "");
        assert_eq!(asked(only(&found)), "approvals 3; checks-passed; undiverged", "{was}");
    }
    // With the move of the directory too, the name that it was brings the rules along.
    let found = change((base, roots), ("stack net was=network { path \"x\" }", &["x"]));
    assert_eq!(shown(&found.diagnostics), "");
    assert_eq!(asked(only(&found)), "approvals 3; checks-passed; undiverged");
    // Another workspace of the same directory is another place.
    let beside = "stack network { path \"infra/network\"; require { approvals 3 } }\nstack beside { path \"infra/network\"; workspace two }";
    let found = change((base, roots), (beside, roots));
    assert_eq!(shown(&found.diagnostics), "");
    // The directory of one that stays.
    let taken = "stack network { path \"infra/other\" }\nstack thief was=network { path \"infra/network\" }";
    let found = change((base, roots), (taken, &["infra/network", "infra/other"]));
    assert_snapshot!(shown(&found.diagnostics), @r"2:1 displaced: stack `thief` takes the directory of stack `network` of the base | give it a directory of its own; `network` still exists");
}

#[test]
fn rules_of_the_base_that_cannot_be_read_are_errors_of_the_base() {
    let base = "defaults { require { approvals 1 { any-of \"team:{env}\" } } }";
    let found = change((base, &[]), ("stack new", &["new"]));
    assert_snapshot!(shown(&found.errors), @r"
    1:22 unknown-brace: unknown `{env}` | this stack has no captures or axes
    1:22 who: `team:{env}` names nobody | write the team's slug, without its organisation: team:sre
    ");
    let found = change((&format!("{base}\nstack old"), &["old"]), ("stack old", &["old"]));
    assert!(found.errors.has_errors());
    // The twins: a team that is written out, and a family that fills the brace in.
    let found = change(("defaults { require { approvals 1 { any-of team:a } } }", &[]), ("stack new", &["new"]));
    assert!(!found.errors.has_errors());
    let family = format!("{base}\nstack \"app-{{env}}\" {{ path \"apps/{{env}}\" }}");
    let found = change((&family, &["apps/dev"]), (&family, &["apps/dev", "apps/prod"]));
    assert_eq!(shown(&found.errors), "");
    assert_eq!(asked(&found.stacks[1]), "approvals 1 any-of team:prod; checks-passed; undiverged");
}

fn loosened(base: &str, head: &str) -> String {
    let (base, head) = (resolved(base, &["a", "b"]), resolved(head, &["a", "b"]));
    let line = |one: &super::Weakened| {
        let stack = one.stack.as_ref().map_or("everywhere", |name| name.as_str());
        let at = one.at.as_ref().map_or_else(String::new, |at| format!(" at line {}", at.line));
        format!("{stack}: {}: {} → {}{at}", one.what, one.from, one.to)
    };
    weakened(&base, &head, &[]).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_change_that_loosens_is_found() {
    let base = "stack a {\n apply on=comment\n lock strict\n require {\n  approvals 2 { any-of team:sre }\n  codeowners; signed; conversation-resolved\n  undiverged scope=repository\n  cost-below 10\n  window cron=\"0 9 * * *\" duration=\"8h\"\n }\n policies cost\n}";
    assert_snapshot!(loosened(base, "stack a {\n apply on=merge after-upstream=apply\n lock apply per=base-branch\n require {\n  approvals 1 { any-of team:sre }\n  checks-passed { ignore lint }\n  undiverged\n  cost-below 11\n  window cron=\"0 8 * * *\" duration=\"8h\"\n }\n}"), @r#"
    a: approvals: approvals 2 any-of team:sre → approvals 1 any-of team:sre at line 5
    a: codeowners: codeowners → nothing
    a: checks-passed: checks-passed → checks-passed ignoring lint at line 6
    a: undiverged: undiverged scope=repository → undiverged at line 7
    a: conversation-resolved: conversation-resolved → nothing
    a: signed: signed → nothing
    a: window: window "0 9 * * *" for 8h UTC → window "0 8 * * *" for 8h UTC at line 9
    a: cost-below: cost-below 10 → cost-below 11 at line 8
    a: policy: policy cost → nothing
    a: apply: on=comment → on=merge at line 2
    a: apply after-upstream: ask → apply at line 2
    a: lock: strict → apply per=base-branch at line 3
    "#);
    // The twins: the same in other words, and stricter.
    assert_eq!(loosened(base, base), "");
    let stricter = base.replace("approvals 2", "approvals 3").replace("cost-below 10", "cost-below 9");
    assert_eq!(loosened(base, &stricter.replace("on=comment", "on=never")), "");
    assert_eq!(loosened("stack a", "stack a { require { approvals 1; undiverged; checks-passed } }\nstack b"), "");
    assert_snapshot!(loosened(base, "stack b was=a"), @r#"
    b: approvals: approvals 2 any-of team:sre → approvals 1
    b: codeowners: codeowners → nothing
    b: undiverged: undiverged scope=repository → undiverged
    b: conversation-resolved: conversation-resolved → nothing
    b: signed: signed → nothing
    b: window: window "0 9 * * *" for 8h UTC → nothing
    b: cost-below: cost-below 10 → nothing
    b: policy: policy cost → nothing
    b: apply: on=comment → on=merge
    b: lock: strict → apply
    "#);
}

#[test]
fn rights_that_someone_gains_are_found() {
    let base = "discover\naccess {\n allow apply { who team:sre }\n deny plan { who \"user:mallory\" }\n allow unlock { who role:maintain; on \"stack:a\" }\n}";
    let head = "discover\naccess {\n allow apply { who team:sre user:mallory }\n allow unlock { who role:maintain; on \"stack:b\" }\n allow force-apply { who team:sre }\n}\ncommands { allow import; bots x }";
    assert_snapshot!(loosened(base, head), @r"
    everywhere: access plan: role:write, not user:mallory → role:write
    everywhere: access apply: team:sre → user:mallory, team:sre
    everywhere: access import: off → role:admin
    everywhere: access force-apply: nobody → team:sre
    everywhere: bots: nothing → x
    a: access unlock: role:maintain → role:write
    ");
    assert_eq!(loosened(base, base), "");
    let stricter = base.replace("allow apply {", "deny apply { who author }\n allow apply {");
    assert_eq!(loosened(base, &stricter.replace("role:maintain", "role:admin")), "");
}

/// The bindings of the only stack that the base has not, a line each.
fn new_secrets(base: &str, head: &str) -> String {
    let found = change((base, &["a"]), (head, &["a", "b"]));
    let lines = found.new_secrets.iter().flat_map(|(stack, all)| all.iter().map(move |one| format!("{stack}: {one}")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_secret_that_the_change_would_bring_is_noted() {
    let base = "stack a { var { x secret=A }; env { TOKEN secret=T } }";
    // The base's own bindings, in whatever order and place.
    assert_eq!(new_secrets(base, base), "");
    assert_eq!(new_secrets(base, "// moved\nstack a { env { TOKEN secret=T }; var { x secret=A } }"), "");
    assert_eq!(new_secrets(base, "stack a { var { x plain } }"), "");
    // Another secret, another variable, another kind.
    assert_eq!(new_secrets(base, "stack a { var { x secret=B } }"), "a: var x secret=B");
    assert_eq!(new_secrets(base, "stack a { var { x secret=A; y secret=A } }"), "a: var y secret=A");
    assert_eq!(new_secrets(base, "stack a { env { x secret=A } }"), "a: env x secret=A");
    assert_eq!(new_secrets("stack a", base), "a: var x secret=A\na: env TOKEN secret=T");
}

#[test]
fn a_new_stack_has_the_secrets_of_the_bases_layers_and_no_others() {
    let layers = "fragment f { env { TOKEN secret=T } }\ndefaults { var { x secret=A }; use f }\n";
    let (base, head) = (format!("{layers}stack a"), format!("{layers}stack a\nstack b"));
    assert_eq!(new_secrets(&base, &head), "");
    let greedy = format!("{layers}stack a\nstack b {{ var {{ y secret=A }} }}");
    assert_eq!(new_secrets(&base, &greedy), "b: var y secret=A");
    // A renamed stack keeps what it had; a fragment of the head brings nothing.
    let renamed = "stack b was=a { path a; var { x secret=A } }";
    assert_eq!(new_secrets("stack a { var { x secret=A } }", renamed), "");
    let fragment = "fragment f { env { TOKEN secret=T } }\nstack a { use f }";
    assert_eq!(new_secrets("stack a", fragment), "a: env TOKEN secret=T");
}

#[test]
fn a_secrets_name_is_one() {
    assert!(super::refused("stack a { var { x secret=\"a b\" } }").is_empty(), "only resolving tells");
    let parsed = parse(&[file("stack a { var { x secret=\"a b\" } }")]);
    let found =
        resolve(ResolveInput { repo: &repo(), config: &parsed.config, organisation: None, layout: &layout(&["a"]) });
    assert!(shown(&found.diagnostics).contains("secret-name"), "{}", shown(&found.diagnostics));
}
