//! The texts of surface.md, held word for word.

mod budget;
mod comment;
mod hostile;
mod notice;
mod terminal;

use insta::assert_snapshot;
use model::affected::{Affected, AffectedStack, ChangeKind, ChangedFile, Why};
use model::command::CommandError;
use model::diagnostic::{Diagnostic, Diagnostics, Span};
use model::id::{CommentId, PullNumber, RelPath, RepoName};
use model::publication::{
    Check, CheckName, PullView, Reply, ReplyPart, RowStatus, SinceLast, StackRow, Standing, Summary, View,
};
use model::pull::Role;
use model::run::RunState;
use model::stack::NotYet;
use model::survey::BaseTrust;
use model::time::Timestamp;

use super::sample::{database, failure, many, network, planned, row, sha, view};
use super::*;

fn comment_of(standing: Standing) -> String {
    summary(&Summary { view: view(standing) })
}

fn stacks(rows: Vec<StackRow>) -> Standing {
    Standing::Stacks(rows)
}

fn span(file: &str, line: u32) -> Span {
    Span { file: file.to_owned(), line, column: 3, end_line: line, end_column: 10, offset: 0, length: 7 }
}

fn config_errors() -> Standing {
    let first = Diagnostic::error("unknown-node", "unknown node `aproval`")
        .help("did you mean `approval`?")
        .at(span(".buildit/stacks.kdl", 12));
    let mut found = Diagnostics::new();
    found.push(first);
    Standing::ConfigErrors(found)
}

fn check_of(standing: Standing) -> RenderedCheck {
    check(&Check {
        name: CheckName::Plan,
        external_id: "x".to_owned(),
        details_url: "https://buildit.example".to_owned(),
        view: View::Pull(Box::new(view(standing))),
        started_at: None,
        completed_at: None,
        actions: Vec::new(),
    })
}

fn stack_check(row: StackRow) -> RenderedCheck {
    check(&Check {
        name: CheckName::Stack(row.stack.clone()),
        external_id: "x".to_owned(),
        details_url: "https://buildit.example".to_owned(),
        view: View::Stack(Box::new(row)),
        started_at: None,
        completed_at: None,
        actions: Vec::new(),
    })
}

fn queued(name: &str, position: u32) -> StackRow {
    row(name, 1, RowStatus::Queued { position: Some(position), since: Timestamp::from_seconds(1_795_000_000) })
}

/// Every standing, by name: the tables of headlines and of checks.
fn blocked(reason: &str) -> RowStatus {
    RowStatus::Blocked { reason: reason.to_owned(), since: Timestamp::from_seconds(1_795_000_000) }
}

fn standings() -> Vec<(&'static str, Standing)> {
    let changed =
        |path: &str| ChangedFile { path: RelPath::parse(path).expect("valid"), from: None, kind: ChangeKind::Modified };
    let secret = NotYet { what: "the secret `COST_CENTER`".to_owned(), at: Some(span(".buildit/stacks.kdl", 14)) };
    let timed_out = RowStatus::TimedOut { seconds: 1800, tail: "Still creating...".to_owned() };
    let running = RowStatus::Running(RunState::Initializing);
    vec![
        ("reading", Standing::Reading),
        ("fork", Standing::Fork),
        ("untrusted", Standing::UntrustedBase { trust: BaseTrust::Untrusted }),
        ("draft", Standing::Draft),
        ("config errors", config_errors()),
        ("conflicts", Standing::Conflicts(vec![RelPath::parse("infra/a.tf").expect("valid")])),
        ("unaffected", Standing::Unaffected { changed: vec![changed("docs/a.md"), changed("README.md")] }),
        ("trouble", Standing::Trouble { message: "GitHub did not answer; tried again at 10:42 UTC".to_owned() }),
        ("queued", stacks(vec![queued("a", 3), queued("b", 4)])),
        ("one queued", stacks(vec![queued("a", 3)])),
        ("running", stacks(vec![queued("a", 1), row("b", 2, running.clone()), row("c", 3, RowStatus::NoChange)])),
        ("one running", stacks(vec![row("b", 2, running)])),
        ("planned", stacks(vec![row("a", 1, planned(network())), row("b", 2, RowStatus::NoChange)])),
        ("one planned", stacks(vec![row("network", 1, planned(network()))])),
        ("destroys data", stacks(vec![row("a", 1, planned(network())), row("b", 2, planned(database()))])),
        ("one destroys", stacks(vec![row("database", 2, planned(database()))])),
        ("no changes", stacks(vec![row("a", 1, RowStatus::NoChange), row("b", 2, RowStatus::NoChange)])),
        ("one unchanged", stacks(vec![row("network", 1, RowStatus::NoChange)])),
        ("failed", stacks(many())),
        ("one failed", stacks(vec![row("cluster", 2, RowStatus::Failed(failure()))])),
        ("timed out", stacks(vec![row("database", 2, timed_out.clone()), row("b", 2, RowStatus::NoChange)])),
        ("one timed out", stacks(vec![row("database", 2, timed_out)])),
        (
            "not yet",
            stacks(vec![row("a", 1, RowStatus::NotYet(vec![secret.clone()])), row("b", 2, RowStatus::NoChange)]),
        ),
        ("one not yet", stacks(vec![row("a", 1, RowStatus::NotYet(vec![secret]))])),
        ("cancelled", stacks(vec![row("a", 1, RowStatus::Cancelled), row("b", 2, RowStatus::NoChange)])),
        (
            "blocked",
            stacks(vec![
                row("a", 1, blocked("no disk is left in `/jobs`; free some")),
                row("b", 2, RowStatus::NoChange),
            ]),
        ),
        ("one blocked", stacks(vec![row("a", 1, blocked("no disk is left in `/jobs`; free some"))])),
        ("closed", stacks(vec![row("a", 1, RowStatus::Closed), row("b", 2, RowStatus::NoChange)])),
        ("one closed", stacks(vec![row("a", 1, RowStatus::Closed)])),
        ("superseded", stacks(vec![row("a", 1, RowStatus::Superseded), row("b", 2, RowStatus::Superseded)])),
    ]
}

#[test]
fn headlines_and_next_steps() {
    let seen: Vec<String> = standings()
        .into_iter()
        .map(|(name, standing)| {
            let verdict = pull_verdict(&view(standing));
            format!("{name}: {}\n    {}", verdict.headline, verdict.next)
        })
        .collect();
    assert_snapshot!(seen.join("\n"), @r#"
    reading: Reading the pull request
        **Next:** nothing to do; the plans follow.
    fork: From a fork: nothing was run
        **Next:** read the diff, then a writer comments `buildit allow a1b2c3d`.
    untrusted: Not planned: `main` is not a trusted branch
        **Next:** nothing to do. To have it planned, name the branch in `branches` of the default branch's `.buildit/`.
    draft: Draft: planned when it is ready for review
        **Next:** mark it as ready for review, or comment `buildit plan`.
    config errors: .buildit/stacks.kdl line 12: unknown node `aproval`. Did you mean `approval`?
        **Next:** correct it, then push. Nothing runs before.
    conflicts: Conflicts with `main` in 1 file
        **Next:** merge or rebase onto `main`, then push.
    unaffected: No stacks affected
        **Next:** nothing to apply.
    trouble: Waiting: GitHub did not answer; tried again at 10:42 UTC
        **Next:** nothing to do here; it is tried again.
    queued: Planning 2 stacks: 0 done
        **Next:** nothing to do; this follows the plans.
    one queued: Planning `a`: waits for a runner
        **Next:** nothing to do; this follows the plan.
    running: Planning 3 stacks: 1 done
        **Next:** nothing to do; this follows the plans.
    one running: Planning `b`: initializing
        **Next:** nothing to do; this follows the plan.
    planned: 2 stacks: 1 with changes, 1 unchanged
        **Next:** review the plan. Nothing is applied from here.
    one planned: `network`: 1 to add, 1 to change, nothing destroyed
        **Next:** review the plan. Nothing is applied from here.
    destroys data: 2 stacks change: 1 to add, 1 to change, **1 to replace** · **1 database would be destroyed**
        **Next:** review the plan. Nothing is applied from here.
    one destroys: `database`: **1 to replace** · **1 database would be destroyed**
        **Next:** review the plan. Nothing is applied from here.
    no changes: No changes in 2 stacks
        **Next:** nothing to apply.
    one unchanged: No changes in `network`
        **Next:** nothing to apply.
    failed: 6 stacks: 1 failed, 3 with changes, 2 unchanged · **1 database would be destroyed**
        **Next:** mend `cluster`, then push and review the other plans.
    one failed: `cluster`: init failed
        **Next:** correct `infra/cluster/backend.tf:4`, then push.
    timed out: 2 stacks: 1 failed, 1 unchanged
        **Next:** mend `database`, then push.
    one timed out: `database`: no end after 30 min
        **Next:** look at the last lines; make it faster or raise `timeout`.
    not yet: 2 stacks: 1 not planned, 1 unchanged
        **Next:** review the plan. Nothing is applied from here.
    one not yet: `a` is not planned: it needs the secret `COST_CENTER`
        **Next:** this version cannot give it; plan by hand, or take it out of the configuration.
    cancelled: 2 stacks: 1 cancelled, 1 unchanged
        **Next:** comment `buildit plan` to plan again.
    blocked: Planning 2 stacks: 1 done
        **Next:** nothing to do here; the operator of this server mends it, and it goes on by itself.
    one blocked: Planning `a`: cannot start yet. No disk is left in `/jobs`; free some
        **Next:** nothing to do here; the operator of this server mends it, and it goes on by itself.
    closed: 2 stacks: 1 cancelled, 1 unchanged
        **Next:** nothing to do.
    one closed: `a`: cancelled, the pull request ended first
        **Next:** nothing to do.
    superseded: 2 stacks: 2 replaced by a newer push
        **Next:** nothing to do.
    "#);
}

#[test]
fn checks() {
    let seen: Vec<String> = standings()
        .into_iter()
        .map(|(name, standing)| {
            let check = check_of(standing);
            format!("{name} | {} {} | {}", check.status, check.conclusion.unwrap_or("-"), check.title)
        })
        .collect();
    assert_snapshot!(seen.join("\n"), @r#"
    reading | in_progress - | Reading the pull request
    fork | completed action_required | A writer must allow a1b2c3d
    untrusted | completed neutral | Not planned: main is not a trusted branch
    draft | queued - | Draft: planned when it is ready for review
    config errors | completed failure | stacks.kdl:12: unknown node "aproval"
    conflicts | completed failure | Conflicts with main in 1 file
    unaffected | completed success | No stacks affected
    trouble | queued - | Waiting: GitHub did not answer; tried again at 10:42 UTC
    queued | queued - | Waiting for a runner: 3rd in queue
    one queued | queued - | Waiting for a runner: 3rd in queue
    running | in_progress - | Planning 3 stacks: 1 done
    one running | in_progress - | Planning b: initializing
    planned | completed success | 1 of 2 stacks change: +1 ~1 −0
    one planned | completed success | network: +1 ~1 −0
    destroys data | completed success | Destroys 1 database: +2 ~1 −1
    one destroys | completed success | Destroys 1 database: +1 ~0 −1
    no changes | completed success | No changes in 2 stacks
    one unchanged | completed success | No changes in network
    failed | completed failure | cluster: init failed (5 of 6 planned)
    one failed | completed failure | cluster: init failed
    timed out | completed timed_out | database: no end after 30 min (1 of 2 planned)
    one timed out | completed timed_out | database: no end after 30 min
    not yet | completed action_required | a needs the secret COST_CENTER
    one not yet | completed action_required | a needs the secret COST_CENTER
    cancelled | completed cancelled | Cancelled: 1 of 2 planned
    blocked | queued - | Waiting: no disk is left in /jobs; free some
    one blocked | queued - | Waiting: no disk is left in /jobs; free some
    closed | completed cancelled | The pull request ended first: 1 of 2 planned
    one closed | completed cancelled | The pull request ended first
    superseded | completed cancelled | Replaced by a newer push
    "#);
}

#[test]
fn titles_fit_and_waiting_is_never_red() {
    let long = "a-very-long-stack-name-that-somebody-chose-without-much-thought-of-titles/and-more";
    let mut all: Vec<PullView> = standings().into_iter().map(|(_, standing)| view(standing)).collect();
    for status in [planned(network()), planned(database()), RowStatus::Failed(failure()), RowStatus::NoChange] {
        all.push(view(stacks(vec![row(long, 1, status.clone())])));
        all.push(view(stacks(vec![row(long, 1, status), row("b", 1, RowStatus::NoChange)])));
    }
    for view in all {
        let verdict = pull_verdict(&view);
        assert!(verdict.title.chars().count() <= 60, "{}", verdict.title);
        assert_eq!(verdict.status.status == "completed", verdict.status.conclusion.is_some(), "{}", verdict.title);
        let waits = match &view.standing {
            Standing::Stacks(rows) => rows.iter().any(|row| {
                matches!(row.status, RowStatus::Queued { .. } | RowStatus::Blocked { .. } | RowStatus::Running(_))
            }),
            Standing::Reading | Standing::Draft | Standing::Trouble { .. } => true,
            _ => false,
        };
        assert_eq!(waits, verdict.status.conclusion.is_none(), "{}", verdict.title);
    }
}

#[test]
fn a_stack_check() {
    let mut database = row("database", 1045, planned(database()));
    database.since_last = Some(SinceLast { head: sha("4f2c91e0"), changed: vec!["aws_db_instance.main".to_owned()] });
    database.state_known = Some(false);
    let check = stack_check(database);
    assert_snapshot!(format!("{}\n--\n{}\n--\n{}", check.title, check.summary, check.text), @r#"
    Destroys 1 database: +1 ~0 −1
    --
    `database`: **1 to replace** · **1 database would be destroyed**

    **Next:** review the plan. Nothing is applied from here.

    > [!CAUTION]
    > `database` replaces, and so destroys, **`aws_db_instance.main`** (database): `deletion_protection = false`, `skip_final_snapshot = true`. Why: cannot be changed in place: engine\_version.

    Since your last push (4f2c91e): `aws_db_instance.main` changed.

    There is no backend: planned on an empty state, so that everything is to add.

    [Run 1045](https://buildit.example/r/1045)

    --
    ```diff
    - aws_db_instance.main (destroyed, then created anew)
          # cannot be changed in place: engine_version
    -     engine_version = "15.4"  # forces the replacement
    +     engine_version = "16.3"  # forces the replacement
    !     password       = (sensitive value, it changes)
          # 31 unchanged attributes
    ```
    "#);
}

#[test]
fn annotations_stand_on_their_lines() {
    let check = check_of(config_errors());
    assert_eq!(check.annotations.len(), 1);
    let one = &check.annotations[0];
    assert_eq!(
        (one.path.as_str(), one.start_line, one.end_line, one.level),
        (".buildit/stacks.kdl", 12, 12, Level::Failure)
    );
    assert_eq!(one.message, "Unknown node `aproval`\nDid you mean `approval`?");
    let failed = check_of(stacks(many()));
    assert_eq!(failed.annotations.len(), 1);
    assert_eq!(failed.annotations[0].path, "infra/cluster/backend.tf");
}

#[test]
fn replies() {
    let why = Affected {
        affected: vec![AffectedStack {
            stack: "network".parse().expect("valid"),
            path: RelPath::parse("infra/network").expect("valid"),
            why: vec![Why {
                file: "infra/network/main.tf".to_owned(),
                rule: "in the stack's directory".to_owned(),
                at: Some(".buildit/stacks.kdl:3".to_owned()),
            }],
        }],
        ..Affected::default()
    };
    let error = CommandError {
        line: "/buildit plna".to_owned(),
        problem: "there is no command `plna`".to_owned(),
        hint: Some("did you mean `buildit plan`?".to_owned()),
    };
    let text = reply(
        &Reply {
            to: CommentId::new(77),
            parts: vec![
                ReplyPart::Help { role: Role::Write, url: "https://buildit.example/docs".to_owned() },
                ReplyPart::Why {
                    view: Box::new(view(stacks(vec![
                        queued("network", 3),
                        row("cluster", 2, RowStatus::Failed(failure())),
                    ]))),
                    affected: why,
                },
                ReplyPart::Version,
                ReplyPart::Config("stack network {\n}".to_owned()),
                ReplyPart::Error(error),
                ReplyPart::Refused { reason: "`plan` needs the right to write".to_owned() },
                ReplyPart::Done { message: "Planning `network` again.".to_owned() },
            ],
        },
        "0.1.0",
    );
    assert_snapshot!(text, @r#"
    <!-- buildit:reply:77:v1 -->
    ```
    buildit plan            plan the affected stacks again     -p NAME for one
    buildit apply           apply what is ready                -p NAME for one
    buildit why             what waits, for what, since when
    buildit status          where everything stands
    buildit config          the effective configuration        -p NAME for one
    buildit cancel          end what is queued or running      -p NAME for one
    buildit unlock   ·   buildit version   ·   buildit help
    ```
    Here you may: all of these, where the configuration does not say otherwise. [All commands](https://buildit.example/docs)

    - `cluster` waits for a fix in `infra/cluster/backend.tf:4`: S3 bucket "acme-tfstate-prod" does not exist
    - `network` waits for a runner, 3rd in queue, since 18 Nov 2026, 11:06 UTC

    **Why these stacks**
    - `network`: `infra/network/main.tf` (in the stack's directory, `.buildit/stacks.kdl:3`)

    BuildIt 0.1.0.

    ```
    stack network {
    }
    ```

    `/buildit plna`: There is no command `plna`. Did you mean `buildit plan`?

    **Refused:** `plan` needs the right to write

    Planning `network` again.
    "#);
}

#[test]
fn equal_views_give_equal_texts() {
    let one = PullView {
        repo: RepoName::parse("Acme/infra").expect("valid"),
        number: PullNumber::new(142),
        ..view(stacks(many()))
    };
    assert_eq!(summary(&Summary { view: one.clone() }), summary(&Summary { view: one }));
}
