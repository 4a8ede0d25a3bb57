//! Proofs of the configuration language: its sample, its traps, its limits.

use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;

mod gates;
mod state;
mod trust;

use super::*;
use crate::id::{RelPath, RepoName};
use crate::stack::{Origin, Value};

fn file(text: &str) -> SourceFile {
    SourceFile { path: ".buildit/stacks.kdl".to_owned(), text: text.to_owned() }
}

fn layout(roots: &[&str]) -> Layout {
    let directory = Directory { provider: true, ..Directory::default() };
    let one = |path: &&str| (RelPath::parse(path).expect("a path"), directory.clone());
    Layout { directories: roots.iter().map(one).collect() }
}

fn repo() -> RepoName {
    RepoName::parse("acme/infra").expect("a name")
}

fn resolved(text: &str, roots: &[&str]) -> Resolved {
    let parsed = parse(&[file(text)]);
    assert!(!parsed.diagnostics.has_errors(), "{}", shown(&parsed.diagnostics));
    resolve(ResolveInput { repo: &repo(), config: &parsed.config, organisation: None, layout: &layout(roots) })
}

fn shown(found: &Diagnostics) -> String {
    let mut out = String::new();
    for d in found {
        let place = d.span.as_ref().map_or_else(String::new, |s| format!("{}:{} ", s.line, s.column));
        writeln!(
            out,
            "{place}{}: {}{}",
            d.code,
            d.summary,
            if d.help.is_empty() { String::new() } else { format!(" | {}", d.help) }
        )
        .expect("text");
    }
    out
}

fn refused(text: &str) -> String {
    shown(&parse(&[file(text)]).diagnostics)
}

fn names(resolved: &Resolved) -> Vec<&str> {
    resolved.stacks.iter().map(|stack| stack.name.as_str()).collect()
}

/// The sample of the reference: every kind of node once.
const SAMPLE: &str = include_str!("sample.kdl");

#[test]
fn the_sample_is_valid_and_gives_its_stacks() {
    let roots = [
        "infra/network",
        "infra/dev/eu/cluster",
        "infra/prod/eu/cluster",
        "infra/edge",
        "infra/modules/vpc",
        "infra/dns",
    ];
    let found = resolved(SAMPLE, &roots);
    assert_eq!(shown(&found.diagnostics), "");
    assert_eq!(
        names(&found),
        [
            "cluster-dev-eu",
            "cluster-prod-eu",
            "edge-dev-eu-west-1",
            "edge-prod-eu-west-1",
            "edge-prod-us-east-1",
            "infra/dns",
            "network"
        ]
    );
    let network = &found.stacks[6];
    assert_eq!(network.origin, Origin::Literal);
    assert_eq!(network.var.get("region"), Some(&Value::Plain("eu-west-1".into())));
    assert_eq!(network.env.get("AWS_REGION"), Some(&Value::Plain("eu-west-1".into())));
    let needs: Vec<&str> = network.not_yet.iter().map(|need| need.what.as_str()).collect();
    assert_eq!(needs, ["the identity `aws`"]);
    let secrets: Vec<String> = network.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(secrets, ["var cost_center secret=COST_CENTER", "var db_password secret=NETWORK_DB_PASSWORD"]);
    assert!(network.secrets.iter().all(|one| one.at.as_ref().is_some_and(|at| at.file == ".buildit/stacks.kdl")));
    assert_eq!(network.watch.patterns[0].glob, "config/*.yaml");
    let cluster = &found.stacks[1];
    assert!(cluster.tags.contains("env:prod"));
    assert!(cluster.not_yet.iter().any(|need| need.what == "the runner `prod-network`"), "{:?}", cluster.not_yet);
    assert!(!found.stacks[0].not_yet.iter().any(|need| need.what == "the runner `prod-network`"));
    assert_eq!(cluster.plan.timeout_seconds, 1800);
    assert_eq!(found.stacks[2].workspace.as_str(), "dev-eu-west-1");
}

#[test]
fn the_shortest_files_work() {
    assert_eq!(names(&resolved("discover", &["a", "b/c"])), ["a", "b/c"]);
    assert_eq!(names(&resolved("discover", &[""])), ["infra"]);
    assert_eq!(names(&resolved("stack \"infra\"", &["infra", "other"])), ["infra"]);
}

#[test]
fn slips_have_their_own_words() {
    assert_snapshot!(refused("stack a { aproval 1 }"), @"1:11 unknown-node: unknown node `aproval` | here may stand: path, workspace, tool, apply, plan, require, runner, image, identity, var, env, var-file, watch, drift, tags, depends-on, input, policies, lock, hooks, steps, state, matrix, use");
    assert_snapshot!(refused("stack a { require { aprovals 1 } }"), @"1:21 unknown-node: unknown node `aprovals` | did you mean `approvals`?");
    assert_snapshot!(refused("stack a { plan auto=#true auto=#false }"), @"1:27 duplicate-property: `auto` is given twice | a property takes one value; several values are arguments of a node");
    assert_snapshot!(refused("stack a { path infra/a }"), @"1:16 syntax: `infra/a` holds a `/` and needs quotes | write \"infra/a\"");
    assert_snapshot!(refused("stack a { plan auto=true }"), @"1:21 syntax: `auto=true`: true, false and null begin with # | write auto=#true");
    assert_snapshot!(refused("stack a { apply on=coment }"), @"1:17 unknown-value: `coment` is not one of merge, comment, push, manual, never | did you mean `comment`?");
    assert_snapshot!(refused("stack a { plan timeout=30 }"), @"1:16 not-a-duration: `30` is not a duration | write a number and s, m, h or d, such as 30m");
    assert_snapshot!(refused("buildit version=2"), @"1:9 version: this server knows version 1 of the language, not 2 | update the server, or write version=1");
    assert_snapshot!(refused("stack a; stack a"), @"1:16 duplicate-name: a second stack named `a` | names are unique per kind");
}

#[test]
fn orders_are_orders() {
    assert_snapshot!(refused("pipeline p { stage a { needs b }; stage b { needs a } }"), @"1:51 circle: a circle of stages: a → b → a | remove one of the edges");
    assert_snapshot!(refused("pipeline p { stage build { run x }; stage b { needs biuld } }"), @"1:53 unknown-name: unknown stage `biuld` | did you mean `build`?");
    assert_snapshot!(refused("fragment f { use f }\nstack a { use f }"), @"1:18 fragment-circle: f uses itself");
    let found = resolved("stack a { depends-on b }\nstack b { depends-on a }", &["a", "b"]);
    assert_eq!(found.diagnostics.errors().count(), 1, "{}", shown(&found.diagnostics));
}

#[test]
fn a_literal_wins_and_inherits_from_the_family() {
    let text = "stack \"app-{env}\" { path \"apps/{env}\"; var { size small; env \"{env}\" } }\nstack special { path \"apps/prod\"; var { size large } }";
    let found = resolved(text, &["apps/dev", "apps/prod"]);
    assert_eq!(names(&found), ["app-dev", "special"]);
    assert_eq!(found.stacks[1].var.get("size"), Some(&Value::Plain("large".into())));
}

#[test]
fn paths_cannot_leave_the_repository() {
    let found = resolved("stack a { watch \"../../x\"; var-file \"../../../etc/passwd\" }", &["a"]);
    assert_eq!(found.diagnostics.errors().count(), 2, "{}", shown(&found.diagnostics));
    assert!(found.stacks[0].var_files.is_empty());
}

#[test]
fn bombs_are_refused_before_the_parser() {
    for bomb in ["a /-{".repeat(18), "a {".repeat(2000), "/*".repeat(4000), "x ".repeat(60_000), " ".repeat(300_000)] {
        let found = parse(&[file(&bomb)]);
        assert!(found.diagnostics.has_errors(), "{}", &bomb[..20]);
    }
    // The allowed twins.
    assert_eq!(refused("/- stack a { path x }\nstack b { /- path y\n }\n/* one */ // two\n"), "");
    assert_eq!(refused(&format!("stack a {{ tags {} }}", "\"{{{{{{\" ".repeat(30))), "");
}

#[test]
fn ignored_directories_that_keep_state_are_roots_all_the_same() {
    let parsed = parse(&[file("discover { ignore \"**/test/**\" \"old/**\" }")]);
    let mut layout = layout(&["a/test", "b/test/x", "old/a"]);
    for directory in layout.directories.values_mut() {
        directory.backend = Some("s3".to_owned());
    }
    layout.directories.get_mut(&RelPath::parse("b/test/x").expect("path")).expect("there").backend = None;
    let found = resolve(ResolveInput { repo: &repo(), config: &parsed.config, organisation: None, layout: &layout });
    assert_eq!(names(&found), ["a/test"]);
}

#[test]
fn branches_are_trusted_by_name() {
    use crate::survey::BaseTrust;
    let config = parse(&[file("branches main \"release/*\" { preview \"feature/*\" }")]).config;
    let rules = config.branch_rules("trunk");
    for (branch, trust) in [
        ("trunk", BaseTrust::Trusted),
        ("release/1", BaseTrust::Trusted),
        ("feature/x", BaseTrust::Preview),
        ("other", BaseTrust::Untrusted),
    ] {
        assert_eq!(rules.trust(branch), trust, "{branch}");
    }
}

#[test]
fn the_organisation_lies_below() {
    let organisation = parse(&[file(
        "repository \"infra*\" { discover; defaults { var { team core; size s } } }\nrepository other { discover }",
    )]);
    assert_eq!(shown(&organisation.diagnostics), "");
    let own = parse(&[file("defaults { var { size m } }")]).config;
    let found = resolve(ResolveInput {
        repo: &repo(),
        config: &own,
        organisation: Some(&organisation.config),
        layout: &layout(&["net"]),
    });
    assert_eq!(names(&found), ["net"]);
    assert_eq!(found.stacks[0].var.get("team"), Some(&Value::Plain("core".into())));
    assert_eq!(found.stacks[0].var.get("size"), Some(&Value::Plain("m".into())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_panics(text in "[a-z{}\"#/\\-=\n ;$*!,0-9\\\\\u{e9}]{0,200}") {
        let parsed = parse(&[file(&text)]);
        resolve(ResolveInput { repo: &repo(), config: &parsed.config, organisation: Some(&parsed.config), layout: &layout(&["a", "b"]) });
    }

    #[test]
    fn a_mutated_sample_does_not_panic(at in 0usize..4000, insert in "[{}\"#=/ \n]{1,3}") {
        let mut text = SAMPLE.to_owned();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &insert);
        let parsed = parse(&[file(&text)]);
        resolve(ResolveInput { repo: &repo(), config: &parsed.config, organisation: None, layout: &layout(&["infra/network"]) });
    }
}

#[test]
fn what_people_get_wrong_has_its_own_message() {
    for (text, code, part) in [
        ("pipeline p { on push; concurrency g cancel-previous=true; stage s { image a; run x } }", "syntax", "#true"),
        ("stack infra { tool terraform version>=1.9 }", "comparison", "=1.9.3"),
        ("stack infra { var { a \"${foo.bar}\" } }", "unknown-reference", "known are"),
        ("pipeline p { on push; stage s { image a; run x; when { expr \"a(\" } } }", "expression", "CEL"),
        ("pipeline p { on push; stage s { image a; run \"echo '${git.sha}'\" } }", "single-quotes", "double quotes"),
    ] {
        let parsed = parse(&[SourceFile { path: ".buildit/a.kdl".to_owned(), text: text.to_owned() }]);
        let fits = |d: &&crate::diagnostic::Diagnostic| d.code == code && d.help.contains(part);
        assert!(parsed.diagnostics.iter().find(fits).is_some(), "{text}\n{:?}", parsed.diagnostics);
    }
}
