//! How a person's words about a clone become commits.

use std::path::Path;

use bot::cli::clone;
use runner::source::LocalClone;

use crate::explain::git;

/// A repository with one commit on `main`, and a branch `change` that is checked out.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    git(dir.path(), &["init", "--quiet", "--initial-branch=main"]);
    for branch in ["main", "change"] {
        if branch != "main" {
            git(dir.path(), &["checkout", "--quiet", "-b", branch]);
        }
        std::fs::write(dir.path().join("file"), branch).expect("written");
        git(dir.path(), &["add", "--all"]);
        git(dir.path(), &["commit", "--quiet", "--message", branch]);
    }
    dir
}

fn opened(path: &Path) -> LocalClone {
    clone::open(path, "--repo").expect("a clone")
}

#[test]
fn what_is_checked_out_goes_into_main() {
    let dir = repository();
    let here = opened(dir.path());
    let (head, base) = (clone::head(&here, None).expect("a head"), clone::base(&here, None).expect("a base"));
    assert_eq!((head.name.as_str(), base.name.as_str()), ("change", "main"));
    assert_eq!(head.commit, here.commit("change").expect("there"));
    assert_eq!(base.commit, here.commit("main").expect("there"));
}

#[test]
fn a_clone_goes_into_what_its_origin_calls_head() {
    let dir = repository();
    git(dir.path(), &["branch", "trunk", "main"]);
    git(dir.path(), &["checkout", "--quiet", "trunk"]);
    let copy = tempfile::tempdir().expect("a folder");
    let from = dir.path().to_str().expect("text");
    git(copy.path(), &["clone", "--quiet", from, "."]);
    assert_eq!(clone::base(&opened(copy.path()), None).expect("a base").name, "origin/trunk");
    git(copy.path(), &["remote", "set-head", "origin", "--delete"]);
    assert_eq!(clone::base(&opened(copy.path()), None).expect("a base").name, "origin/main");
}

#[test]
fn a_head_without_branch_has_its_commits_name() {
    let dir = repository();
    git(dir.path(), &["checkout", "--quiet", "--detach"]);
    let head = clone::head(&opened(dir.path()), None).expect("a head");
    assert_eq!(head.name, head.commit.short());
}

#[test]
fn files_that_are_not_committed_are_counted() {
    let dir = repository();
    let count = || opened(dir.path()).uncommitted().expect("an answer");
    assert_eq!(count(), 0);
    std::fs::write(dir.path().join("file"), "other").expect("written");
    std::fs::write(dir.path().join("new"), "new").expect("written");
    assert_eq!(count(), 2);
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let error = clone::open(nowhere.path(), "--repo").expect_err("no repository").to_string();
    assert!(
        error.contains("is not a git repository") && error.ends_with("do: name a clone with --repo DIR"),
        "{error}"
    );
    git(nowhere.path(), &["init", "--quiet", "--initial-branch=trunk"]);
    let empty = opened(nowhere.path());
    insta::assert_snapshot!(clone::head(&empty, None).expect_err("no commit"), @r"
    this clone has no commit yet
      do: commit first, or name one with --head REF
    ");
    insta::assert_snapshot!(clone::base(&empty, None).expect_err("no branch"), @r"
    which branch would this be merged into?
      looked for origin/HEAD, main and master
      do: --base REF
    ");
    insta::assert_snapshot!(clone::head(&empty, Some("nope")).expect_err("no such branch"), @r#"
    no branch, tag or commit is named "nope"
      do: --head REF, such as --head origin/main
    "#);
}

#[test]
fn a_bare_repository_is_named_without_its_ending() {
    let dir = tempfile::tempdir().expect("a folder");
    git(dir.path(), &["init", "--quiet", "--bare", "shop.git"]);
    let name = |path: &str| clone::name(&opened(&dir.path().join(path))).expect("a name").to_string();
    assert_eq!(name("shop.git"), "local/shop");
    git(dir.path(), &["init", "--quiet", "my shop"]);
    assert_eq!(name("my shop"), "local/repository");
}
