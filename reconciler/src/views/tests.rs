//! Lists and pages on both databases.

use model::id::{InstallationId, RepoId};
use model::pull::{PullSnapshot, PullState};

use super::*;
use crate::brief::PlanBrief;
use crate::decide::sample;
use crate::store::pulls::PullFacts;
use crate::store::tests::{Fixed, NOW, stores};
use crate::store::{db, pulls};
use crate::world::PullWorld;

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
        merged_at: None,
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
    let query = db::sql("update pulls set brief=$2 where number=$1").bind(number.get());
    db::run(&mut tx, query.bind(brief.map(|brief| db::to_json(&brief).unwrap()))).await.unwrap();
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

        let views = Views::new(store.clone(), "https://b".to_owned(), Arc::new(Fixed(NOW)));
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
        let views = Views::new(store.clone(), "https://b".to_owned(), Arc::new(Fixed(NOW)));
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

/// The rows of a world.
async fn store_world(store: &Store, world: &PullWorld) {
    let mut tx = store.serial().await.unwrap();
    let (repo, number) = (world.pull.repo, world.pull.number);
    pulls::know_repo(&mut tx, repo, world.repo.installation, &world.repo.name).await.unwrap();
    pulls::ask(&mut tx, repo, number, world.pull.first_seen).await.unwrap();
    let snapshot = world.pull.snapshot.clone().unwrap();
    let facts = PullFacts { snapshot, default_tip: world.pull.default_tip.clone().unwrap(), seen: 1 };
    pulls::set_facts(&mut tx, repo, &facts, NOW).await.unwrap();
    let (survey, key) = (world.pull.survey.as_ref().unwrap(), world.pull.survey_key.as_ref().unwrap());
    pulls::set_survey(&mut tx, repo, number, survey, key).await.unwrap();
    for run in &world.runs {
        runs::insert(&mut tx, run.id, (repo, number), &run.what, run.created_at).await.unwrap();
        runs::save(&mut tx, run).await.unwrap();
        if let Some(document) = &run.document {
            runs::set_document(&mut tx, run.id, document).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn pages_show_what_is_published() {
    let mut world = sample::world();
    sample::settle(&mut world);
    for (run, item) in world.runs.iter_mut().zip(["a", "b"]) {
        run.state = RunState::Planned;
        run.document = Some(sample::document(&[(item, "1")]));
    }
    sample::push(&mut world, 'c');
    world.pull.survey.as_mut().unwrap().stacks[1].inputs_digest = "other".to_owned();
    sample::settle(&mut world);
    let last = world.runs.last_mut().unwrap();
    (last.state, last.document) = (RunState::Planned, Some(sample::document(&[("b", "2")])));
    (last.started_at, last.ended_at) = (Some(Timestamp::from_seconds(3)), Some(Timestamp::from_seconds(5)));
    world.queue.clear();
    for (store, _dir) in stores("view_pages").await {
        store_world(&store, &world).await;
        let views = Views::new(store.clone(), world.base_url.clone(), Arc::new(Fixed(NOW)));
        let name = RepoName::parse("ACME/infra").unwrap();
        let page = views.pull(&name, PullNumber::new(7)).await.unwrap().unwrap();
        assert_eq!(Some(page.view), publish::view(&world), "the same value as the comment's");
        assert_eq!((page.title.as_str(), page.author.as_str()), ("t", "ann"));
        let numbers: Vec<_> = page.runs.iter().map(|run| (run.number.get(), run.stack.to_string())).collect();
        let net = || "network".to_owned();
        assert_eq!(numbers, [(3, net()), (2, net()), (1, "dns".to_owned())]);
        for run in &world.runs {
            let page = views.run(run.number).await.unwrap().unwrap();
            assert_eq!(page.row, publish::of_run(&world, run));
            assert_eq!((page.head, page.ended_at), (run.what.head.clone(), run.ended_at));
        }
        let row = views.run(RunNumber::new(3)).await.unwrap().unwrap().row;
        assert_eq!((row.millis, row.since_last.unwrap().changed), (Some(2_000), vec!["b".to_owned()]));
        let first = views.run(RunNumber::new(1)).await.unwrap().unwrap();
        assert_eq!((first.row.since_last, first.card.risk), (None, Risk::Low));

        assert_eq!(views.pull(&name, PullNumber::new(8)).await.unwrap(), None);
        assert_eq!(views.pull(&RepoName::parse("acme/other").unwrap(), PullNumber::new(7)).await.unwrap(), None);
        assert_eq!(views.run(RunNumber::new(4)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_repository_without_a_configuration_has_no_page() {
    let mut world = sample::world();
    world.pull.survey.as_mut().unwrap().configured = false;
    for (store, _dir) in stores("view_silent").await {
        store_world(&store, &world).await;
        let views = Views::new(store.clone(), world.base_url.clone(), Arc::new(Fixed(NOW)));
        assert_eq!(views.pull(&world.repo.name, world.pull.number).await.unwrap(), None);
        assert_eq!(views.recent_pulls(5).await.unwrap(), []);
    }
}
