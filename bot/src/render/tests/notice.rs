//! Comments of their own and issues, word for word.

use insta::assert_snapshot;
use model::id::{RunNumber, StackName};
use model::plan::Counts;
use model::publication::{Issue, Notice, NoticeKind, Progress, RunLink};

use super::super::sample::sha;
use super::super::*;

fn stack() -> StackName {
    StackName::parse("database").expect("valid")
}

fn run() -> RunLink {
    RunLink { number: RunNumber::new(1051), url: "https://buildit.example/r/1051".to_owned() }
}

fn notice_of(what: NoticeKind) -> String {
    notice(&Notice { key: "merged:database".to_owned(), what })
}

fn issue_of(what: NoticeKind) -> String {
    let it = Issue { key: "push:database:main".to_owned(), closed: false, what };
    format!("{}\n====\n{}", issue_title(&it), issue(&it))
}

#[test]
fn a_merge_that_was_not_applied_says_what_differs_and_the_one_command() {
    let what = NoticeKind::MergedNotApplied {
        stack: stack(),
        why: "the state changed since the review".to_owned(),
        delta: vec!["aws_db_parameter_group.main".to_owned(), "aws_db_instance.main[\"a\"]".to_owned()],
        run: Some(run()),
        url: "https://buildit.example/acme/infra/pull/142".to_owned(),
    };
    assert_snapshot!(notice_of(what.clone()), @r#"
    <!-- buildit:notice:merged:database:v1 -->
    ### `database` is merged, **not applied**

    The state changed since the review.

    Its plan ([run 1051](https://buildit.example/r/1051)) now differs from the reviewed one:
    - `aws_db_parameter_group.main`
    - `aws_db_instance.main["a"]`

    **Next:** [approve it](https://buildit.example/acme/infra/pull/142), or comment this. The stack stays locked until then.
    ```
    buildit apply -p database
    ```
    "#);
    let NoticeKind::MergedNotApplied { stack, url, .. } = what else { return };
    let why = "`network`, which it depends on, failed".to_owned();
    assert_snapshot!(notice_of(NoticeKind::MergedNotApplied { stack, why, delta: Vec::new(), run: None, url }), @r"
    <!-- buildit:notice:merged:database:v1 -->
    ### `database` is merged, **not applied**

    `network`, which it depends on, failed.

    **Next:** [approve it](https://buildit.example/acme/infra/pull/142), or comment this. The stack stays locked until then.
    ```
    buildit apply -p database
    ```
    ");
}

#[test]
fn a_lost_apply_says_what_is_known_and_who_can_go_on() {
    let progress = Progress { done: 3, total: 7 };
    let unknown = vec!["aws_instance.web[0]".to_owned(), "aws_instance.web[1]".to_owned()];
    let lost = |unknown, unstored| NoticeKind::Lost { stack: stack(), progress, run: run(), unknown, unstored };
    assert_snapshot!(notice_of(lost(unknown.clone(), false)), @r"
    <!-- buildit:notice:merged:database:v1 -->
    ### The apply of `database` lost its worker after 3 of 7 changes

    Nothing was started again ([run 1051](https://buildit.example/r/1051)).
    2 resources exist that the state does not know; the import is ready:
    - `aws_instance.web[0]`
    - `aws_instance.web[1]`

    **Next:** look at what was made, then import it with the button of the check, or comment this. The stack is frozen until then.
    ```
    buildit recover -p database
    ```
    ");
    assert_snapshot!(notice_of(lost(unknown, true)), @r"
    <!-- buildit:notice:merged:database:v1 -->
    ### The apply of `database` lost its worker after 3 of 7 changes

    Nothing was started again ([run 1051](https://buildit.example/r/1051)).
    Its tool could not store the state; it is kept, and can be stored now.

    **Next:** store it with the button of the check, or comment this. The stack is frozen until then.
    ```
    buildit approve state -p database
    ```
    ");
    assert_snapshot!(issue_of(lost(Vec::new(), false)), @r"
    database: the apply lost its worker after 3 of 7 changes
    ====
    <!-- buildit:issue:push:database:main:v1 -->
    ### The apply of `database` lost its worker after 3 of 7 changes

    Nothing was started again ([run 1051](https://buildit.example/r/1051)).

    **Next:** look at what was made. The stack is frozen until then.
    ");
}

#[test]
fn a_push_without_a_review_and_a_plan_that_is_not_empty_ask_in_an_issue() {
    let counts = Counts { add: 1, change: 2, ..Counts::default() };
    let commit = sha("a1b2c3d4");
    let what = NoticeKind::Unreviewed {
        stack: stack(),
        commit: commit.clone(),
        branch: "main".to_owned(),
        counts,
        run: run(),
    };
    assert_snapshot!(issue_of(what), @r"
    database: a1b2c3d was pushed to main without a review
    ====
    <!-- buildit:issue:push:database:main:v1 -->
    ### `database`: pushed without a review

    a1b2c3d was pushed to `main` without a pull request. Applied, it would change `database`: 1 to add, 2 to change, nothing destroyed.

    **Next:** read [run 1051](https://buildit.example/r/1051) and approve it there, or take the commit back. Nothing is applied until then.
    ");
    assert_snapshot!(issue_of(NoticeKind::NotEmptyAfterMerge { stack: stack(), commit, run: run() }), @r"
    database still changes something after its merge (a1b2c3d)
    ====
    <!-- buildit:issue:push:database:main:v1 -->
    ### `database` is applied, and its merge changes something again

    It was applied before the merge, so that the plan of the merge commit a1b2c3d should be empty; it is not ([run 1051](https://buildit.example/r/1051)).

    **Next:** read [run 1051](https://buildit.example/r/1051) and approve it there. Nothing more is applied until then.
    ");
    let how = "applied with run 1052".to_owned();
    assert_snapshot!(issue_of(NoticeKind::Settled { stack: stack(), how }), @r"
    database: applied with run 1052
    ====
    <!-- buildit:issue:push:database:main:v1 -->
    ### `database`: settled

    Applied with run 1052. Nothing is left to do here.
    ");
}

#[test]
fn a_key_cannot_end_its_marker_and_keys_stay_different() {
    assert_eq!(notice_marker("a--><b>"), "<!-- buildit:notice:a%2D%2D%3E%3Cb%3E:v1 -->");
    assert_ne!(issue_marker("a%3E"), issue_marker("a>"));
}

#[test]
fn many_addresses_and_long_reasons_stay_within_bounds() {
    let what = NoticeKind::MergedNotApplied {
        stack: stack(),
        why: "x".repeat(100_000),
        delta: (0..5000).map(|n| format!("aws_instance.web[{n}]{}", "y".repeat(10_000))).collect(),
        run: Some(run()),
        url: "https://buildit.example".to_owned(),
    };
    let text = notice_of(what);
    assert!(text.chars().count() < BUDGET && text.contains("and 4980 more"), "{}", text.chars().count());
    let long = NoticeKind::Settled { stack: stack(), how: "z".repeat(10_000) };
    assert!(issue_title(&Issue { key: "k".to_owned(), closed: true, what: long }).chars().count() <= 120);
}
