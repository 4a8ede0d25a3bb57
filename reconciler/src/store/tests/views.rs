//! Lists for pages.

use model::id::{CommitSha, RunNumber};
use model::plan::{Counts, Risk};
use model::pull::{PullSnapshot, PullState};
use model::run::RunState;

use super::*;
use crate::brief::{PlanBrief, SurveyBrief};
use crate::store::pulls::PullFacts;
use crate::views::{PullCard, Views};

fn sha(digit: char) -> CommitSha {
    CommitSha::parse(&digit.to_string().repeat(40)).unwrap()
}

fn snapshot(number: i64, change: fn(&mut PullSnapshot)) -> PullSnapshot {
    let mut snapshot = PullSnapshot {
        number: PullNumber::new(number),
        title: format!("Title {number}"),
        author: "ann".to_owned(),
        author_is_bot: false,
        state: PullState::Open,
        draft: false,
        head: sha('a'),
        head_branch: "topic".to_owned(),
        fork: false,
        base: sha('b'),
        base_branch: "main".to_owned(),
        merge_commit: None,
        mergeable: None,
        labels: Vec::new(),
        updated_at: Timestamp::from_seconds(1_000 - number),
    };
    change(&mut snapshot);
    snapshot
}

fn brief(affected: &[&str]) -> SurveyBrief {
    let affected = affected.iter().map(|name| name.parse().unwrap()).collect();
    SurveyBrief { obstacle: None, planned_base: true, affected }
}

/// A pull request as an inbox, a refresh and a survey leave it.
async fn pull(store: &Store, snapshot: PullSnapshot, brief: Option<SurveyBrief>) {
    let mut tx = store.write().await.unwrap();
    let repo = RepoId::new(1);
    let name = RepoName::parse("Acme/Shop").unwrap();
    pulls::know_repo(&mut tx, repo, InstallationId::new(7), &name).await.unwrap();
    pulls::ask(&mut tx, repo, snapshot.number, NOW).await.unwrap();
    let number = snapshot.number;
    let facts = PullFacts { snapshot, default_tip: sha('b'), seen: 1 };
    pulls::set_facts(&mut tx, repo, &facts, NOW).await.unwrap();
    let query = db::sql("update pulls set brief=$2, changed_at=$3 where number=$1").bind(number.get());
    let query = query.bind(brief.map(|brief| db::to_json(&brief).unwrap()));
    db::run(&mut tx, query.bind(facts.snapshot.updated_at.micros())).await.unwrap();
    tx.commit().await.unwrap();
}

/// A run of (pull request, stack, head) in a state, with a plan of that risk when it is planned.
async fn run(store: &Store, number: i64, (pull, stack, head): (i64, &str, char), state: RunState, risk: Risk) {
    let mut tx = store.write().await.unwrap();
    let id = format!("00000000-0000-7000-8000-{number:012}");
    let query = db::sql(
        "insert into runs (id, number, repo, pull, stack, path, head, base, tree, inputs, detail, options, state, \
         wanted, created_at, started_at, ended_at) \
         values ($1, $2, 1, $3, $4, '', $5, '', '', '', '{}', '{}', $6, 'run', $7, $8, $9)",
    );
    let query = query.bind(id.clone()).bind(number).bind(pull).bind(stack.to_owned()).bind(sha(head).to_string());
    let ended = state.is_terminal().then_some(3_500_000_i64);
    db::run(&mut tx, query.bind(state.name()).bind(1_000_000_i64).bind(2_000_000_i64).bind(ended)).await.unwrap();
    if state == RunState::Planned {
        let brief = PlanBrief { counts: Counts { add: 1, ..Counts::default() }, risk };
        let query = db::sql("insert into plans (run, document, brief) values ($1, 'not read', $2)").bind(id);
        db::run(&mut tx, query.bind(db::to_json(&brief).unwrap())).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn line(card: &PullCard) -> String {
    let PullCard { number, trouble, quiet, states, risk, .. } = card;
    let because = trouble.as_ref().map(|it| format!(" trouble: {it}")).unwrap_or_default();
    let quiet = quiet.as_ref().map(|it| format!(" quiet: {it}")).unwrap_or_default();
    format!("{number} {states:?} {risk:?}{because}{quiet}")
}

#[tokio::test]
async fn pull_requests_are_listed_with_their_current_runs() {
    use RunState::{Failed, NoChange, Planned, Planning, Superseded};
    for (store, _dir) in stores("view_pulls").await {
        pull(&store, snapshot(1, |_| {}), Some(brief(&["net", "dns", "db"]))).await;
        run(&store, 1, (1, "net", 'c'), Planned, Risk::Data).await;
        run(&store, 2, (1, "net", 'a'), Planned, Risk::High).await;
        run(&store, 3, (1, "dns", 'c'), Failed, Risk::None).await;
        run(&store, 4, (1, "db", 'c'), NoChange, Risk::None).await;
        run(&store, 5, (1, "gone", 'a'), Planned, Risk::Data).await;
        pull(&store, snapshot(2, |_| {}), None).await;
        pull(&store, snapshot(3, |it| it.state = PullState::Merged), Some(brief(&["net"]))).await;
        pull(&store, snapshot(4, |it| it.fork = true), Some(brief(&["net"]))).await;
        pull(&store, snapshot(5, |_| {}), Some(SurveyBrief { planned_base: false, ..brief(&["net"]) })).await;
        let obstacle = Some("conflicts in a.tf".to_owned());
        pull(&store, snapshot(6, |_| {}), Some(SurveyBrief { obstacle, ..brief(&[]) })).await;
        pull(&store, snapshot(7, |it| it.draft = true), Some(brief(&["net"]))).await;
        pull(&store, snapshot(8, |_| {}), Some(brief(&[]))).await;
        pull(&store, snapshot(9, |_| {}), Some(brief(&["net"]))).await;
        run(&store, 6, (9, "net", 'a'), Superseded, Risk::None).await;
        run(&store, 7, (9, "net", 'a'), Planning, Risk::None).await;
        let mut tx = store.write().await.unwrap();
        let (repo, number) = (RepoId::new(1), PullNumber::new(2));
        pulls::set_trouble(&mut tx, repo, number, Some("git: no")).await.unwrap();
        tx.commit().await.unwrap();

        let views = Views::new(store.clone(), "https://b".to_owned());
        views.ready().await.unwrap();
        let cards = views.recent_pulls(50).await.unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(cards.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
            1 [Planned, NoChange] High
            2 [] None trouble: git: no
            4 [] None quiet: from a fork: nothing was run
            5 [] None quiet: into main, whose pull requests are not planned
            6 [] None trouble: conflicts in a.tf
            7 [] None quiet: a draft: nothing planned yet
            8 [] None
            9 [Planning] None
            ");
        }
        assert_eq!((cards[0].repo.to_string().as_str(), cards[0].title.as_str()), ("Acme/Shop", "Title 1"));
        let three = views.recent_pulls(3).await.unwrap();
        assert_eq!(three, cards[..3], "a shorter list is the beginning of the longer one");
    }
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    for (store, _dir) in stores("view_runs").await {
        pull(&store, snapshot(1, |_| {}), None).await;
        run(&store, 1, (1, "net", 'a'), RunState::Planned, Risk::Data).await;
        run(&store, 2, (1, "dns", 'a'), RunState::Planning, Risk::None).await;
        let views = Views::new(store.clone(), "https://b".to_owned());
        let cards = views.recent_runs(50).await.unwrap();
        let lines: Vec<_> = cards.iter().map(|run| (run.number.get(), run.counts, run.risk, run.millis)).collect();
        let counts = Counts { add: 1, ..Counts::default() };
        assert_eq!(lines, [(2, None, Risk::None, None), (1, Some(counts), Risk::Data, Some(1_500))]);
        assert_eq!(views.recent_runs(1).await.unwrap(), cards[..1]);
        let id = views.run_id(RunNumber::new(2)).await.unwrap().unwrap();
        assert_eq!(id.to_string(), "00000000-0000-7000-8000-000000000002");
        assert_eq!(views.run_id(RunNumber::new(3)).await.unwrap(), None);
    }
}
