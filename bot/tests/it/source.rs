//! Git fetches over real HTTP, protocol v2, from the double.

use fake_github::{Change, FakeGitHub, NewPull, Options};
use model::id::{CommitSha, RepoId, RepoName};
use model::ports::{FetchError, GitCredential, Source, SurveyRequest};
use model::survey::Survey;
use runner::source::{GitSettings, GitSource, Limits};
use tempfile::TempDir;

const SHOP: RepoId = RepoId::new(7);
const BACKEND: &str = "terraform {\n  backend \"s3\" {}\n}\n";

struct Scene {
    double: FakeGitHub,
    source: GitSource,
    mirrors: TempDir,
}

fn source(mirrors: &TempDir, limits: Limits) -> GitSource {
    GitSource::new(GitSettings { mirrors: mirrors.path().to_owned(), limits })
}

fn scene() -> Scene {
    let double = FakeGitHub::start(Options::default()).expect("the double starts");
    double.add_user("ana", "ana-token").expect("a user");
    double.add_organization("acme", &["ana"]).expect("an organization");
    let files = [
        (".buildit/stacks.kdl", "discover\n"),
        ("net/main.tf", BACKEND),
        ("app/main.tf", BACKEND),
        ("docs/one.md", "one\n"),
        ("docs/two.md", "two\n"),
    ];
    double.create_repository("acme", "shop", &files).expect("a repository");
    let mirrors = tempfile::tempdir().expect("a directory");
    let source = source(&mirrors, Limits::default());
    Scene { double, source, mirrors }
}

impl Scene {
    fn commit(&self, branch: &str, path: &str, content: &str) -> CommitSha {
        let change = [Change::write(path, content)];
        let sha = self.double.commit_files("acme/shop", branch, "ana", path, &change).expect("a commit");
        CommitSha::parse(&sha).expect("a commit's id")
    }

    fn main(&self) -> CommitSha {
        CommitSha::parse(&self.double.branch("acme/shop", "main").expect("a branch")).expect("a commit's id")
    }

    fn credential(&self, token: Option<&str>) -> GitCredential {
        use base64::Engine as _;
        let encoded = token.map(|token| base64::prelude::BASE64_STANDARD.encode(format!("x-access-token:{token}")));
        let authorization = encoded.map(|text| format!("Basic {text}").into());
        GitCredential { url: self.double.clone_url("acme/shop"), authorization }
    }

    async fn fetch(&self, commits: &[&CommitSha]) -> Result<(), FetchError> {
        let commits: Vec<CommitSha> = commits.iter().map(|commit| (*commit).clone()).collect();
        self.source.fetch(SHOP, &self.credential(Some("ana-token")), &commits).await
    }

    async fn lacks(&self, commit: &CommitSha) -> bool {
        let missing = self.source.missing(SHOP, std::slice::from_ref(commit)).await.expect("an answer");
        missing.contains(commit)
    }

    async fn survey(&self, base: &CommitSha, head: &CommitSha) -> Survey {
        let request = SurveyRequest {
            repo: SHOP,
            name: RepoName::parse("acme/shop").expect("a name"),
            base: base.clone(),
            base_branch: "main".to_owned(),
            default_tip: base.clone(),
            default_branch: "main".to_owned(),
            head: head.clone(),
            test_merge: None,
        };
        self.source.survey(request).await.expect("a survey")
    }

    /// Objects in each pack of the mirror, sorted.
    fn packs(&self) -> Vec<u32> {
        let folder = self.mirrors.path().join("7.git/objects/pack");
        let entries = std::fs::read_dir(folder).expect("packs").map(|entry| entry.expect("an entry").path());
        let mut counts: Vec<u32> = entries
            .filter(|path| path.extension().is_some_and(|end| end == "pack"))
            .map(|path| {
                let head = std::fs::read(path).expect("a pack");
                u32::from_be_bytes(head[8..12].try_into().expect("four bytes"))
            })
            .collect();
        counts.sort_unstable();
        counts
    }
}

/// Where nobody listens.
fn nowhere() -> GitCredential {
    GitCredential { url: "http://127.0.0.1:1/acme/shop.git".to_owned(), authorization: None }
}

fn names(survey: &Survey) -> Vec<String> {
    survey.affected.affected.iter().map(|one| one.stack.to_string()).collect()
}

#[tokio::test]
async fn a_fresh_fetch_and_then_only_what_is_new() {
    let scene = scene();
    let base = scene.main();
    assert!(scene.lacks(&base).await);
    scene.fetch(&[&base]).await.expect("fetched");
    assert!(!scene.lacks(&base).await);
    // A commit, five trees (two of them equal), five files (two of them equal).
    assert_eq!(scene.packs(), [9]);
    let head = scene.commit("change", "net/more.tf", "locals {}\n");
    scene.fetch(&[&base, &head]).await.expect("fetched");
    let packs = scene.packs();
    // The commit, two trees, the file and perhaps what the trees are deltas of, of eleven objects in all: the
    // rest was offered as `have`.
    assert!(packs.len() == 2 && (4..=6).contains(&packs[0]), "{packs:?}");
    // What is there costs nothing: nobody is asked.
    scene.source.fetch(SHOP, &nowhere(), &[base.clone(), head.clone()]).await.expect("nothing to do");
    let survey = scene.survey(&base, &head).await;
    assert_eq!(names(&survey), ["net"]);
    // Nothing came into the base since: nothing was merged.
    assert!(survey.configured && !survey.ours && survey.plan_tree.is_some());
    scene.double.finish().expect("no violations");
}

#[tokio::test]
async fn our_merge_finds_its_base_from_a_shallow_mirror() {
    let scene = scene();
    let first = scene.main();
    scene.commit("main", "docs.md", "one\n");
    scene.commit("change", "app/more.tf", "locals {}\n");
    let head = scene.commit("change", "app/less.tf", "locals {}\n");
    scene.commit("main", "net/more.tf", "locals {}\n");
    let base = scene.commit("main", "net/less.tf", "locals {}\n");
    scene.fetch(&[&base, &head]).await.expect("fetched");
    let survey = scene.survey(&base, &head).await;
    assert!(survey.ours && survey.conflicts.is_empty(), "{survey:?}");
    assert_eq!(names(&survey), ["app"], "what the base gained is no change of the pull request");
    let changed: Vec<&str> = survey.changed.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(changed, ["app/less.tf", "app/more.tf"]);
    // History came without trees: a commit of it still counts as missing, and can be fetched.
    assert!(scene.lacks(&first).await);
    scene.fetch(&[&first]).await.expect("fetched");
    let survey = scene.survey(&first, &head).await;
    assert_eq!(names(&survey), ["app"]);
    scene.double.finish().expect("no violations");
}

#[tokio::test]
async fn a_conflict_is_listed_after_a_fetch() {
    let scene = scene();
    let head = scene.commit("change", "app/main.tf", "# mine\n");
    let base = scene.commit("main", "app/main.tf", "# theirs\n");
    scene.fetch(&[&base, &head]).await.expect("fetched");
    let survey = scene.survey(&base, &head).await;
    let conflicts: Vec<&str> = survey.conflicts.iter().map(|path| path.as_str()).collect();
    assert_eq!((conflicts, survey.plan_tree), (vec!["app/main.tf"], None));
}

#[tokio::test]
async fn the_test_merge_of_the_forge_is_taken() {
    let scene = scene();
    let head = scene.commit("change", "app/more.tf", "locals {}\n");
    let pull = NewPull { title: "More".into(), head: "change".into(), base: "main".into(), ..NewPull::default() };
    scene.double.open_pull("acme/shop", "ana", &pull).expect("a pull request");
    // On the double a merge of the pull request has the parents (base, head), as the test merge has.
    let base = scene.main();
    scene.double.merge("acme/shop", 1, "ana").expect("merged");
    let merge = scene.main();
    scene.fetch(&[&base, &head, &merge]).await.expect("fetched");
    let request = SurveyRequest {
        repo: SHOP,
        name: RepoName::parse("acme/shop").expect("a name"),
        base: base.clone(),
        base_branch: "main".to_owned(),
        default_tip: base,
        default_branch: "main".to_owned(),
        head,
        test_merge: Some(merge),
    };
    let survey = scene.source.survey(request).await.expect("a survey");
    assert!(!survey.ours);
    assert_eq!(names(&survey), ["app"]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let scene = scene();
    let base = scene.main();
    for token in [Some("stolen"), None] {
        let denied = scene.source.fetch(SHOP, &scene.credential(token), std::slice::from_ref(&base)).await;
        assert!(matches!(denied, Err(FetchError::Denied)), "{denied:?}");
    }
    let unknown = CommitSha::parse(&"ab".repeat(20)).expect("an id");
    let absent = scene.fetch(&[&base, &unknown]).await;
    assert!(matches!(&absent, Err(FetchError::NoCommit { commit }) if *commit == unknown), "{absent:?}");
    let small = source(&scene.mirrors, Limits { bytes: 100, ..Limits::default() });
    let stopped = small.fetch(SHOP, &scene.credential(Some("ana-token")), std::slice::from_ref(&base)).await;
    assert!(matches!(stopped, Err(FetchError::TooLarge { .. })), "{stopped:?}");
    assert!(scene.lacks(&base).await);
    let passing = scene.source.fetch(SHOP, &nowhere(), std::slice::from_ref(&base)).await;
    assert!(matches!(passing, Err(FetchError::Passing { .. })), "{passing:?}");
    // None of it spoiled the mirror.
    scene.fetch(&[&base]).await.expect("fetched");
}
