//! Facts of a pull request, its commands, and the rows of its runs.
//!
//! Invariant: facts are stored with the number of the request that they answer, so that a hint during the reading
//! leaves them old.

use model::command;
use model::id::{CommitSha, PullNumber, RepoId, RunId};
use model::ports::{CommentSnapshot, FetchError, ForgeError, Merged, SurveyRequest};
use model::pull::{GateWants, PullSnapshot, PullState, RepoSnapshot};
use model::run::RunKind;
use model::stack::MergeMethod;
use model::survey::Survey;
use model::time::Timestamp;

use super::{Pass, Trouble, group, landing, recover};
use crate::decide;
use crate::decide::pull::Step;
use crate::states::States;
use crate::store::pulls::PullFacts;
use crate::store::{Conn, StoreError, commands, due, gates, landings, locks, pulls, runs, states};
use crate::world::{CommandRow, Key, LockKey, MergingRow, PullWorld};

/// Comments of a pull request that is new to us count when they are not older than this.
const FRESH: i64 = 24 * 3600 * 1_000_000;

/// Carries one step out.
pub(crate) async fn carry_out(pass: &Pass<'_>, world: &PullWorld, step: Step) -> Result<(), Trouble> {
    let place = (world.pull.repo, world.pull.number);
    match step {
        Step::Refresh => refresh(pass, place, world.pull.asked).await,
        Step::Survey { key } => survey(pass, world, &key).await,
        Step::Listen => listen(pass, world).await,
        Step::Answer { id, outcome, steps } => {
            let (outcome, steps) = recover::push(pass, place.0, (outcome, steps)).await?;
            let mut tx = pass.serial().await?;
            // Only once, whatever a restart repeats: its runs are created with its end.
            if commands::end(&mut tx, &id, outcome.as_deref()).await? {
                if !lock(pass, &mut tx, place, &steps).await? {
                    // Another took one meanwhile: what is told then is decided anew, and nothing is written.
                    return Ok(());
                }
                for step in steps {
                    rows(pass, &mut tx, place, step).await?;
                }
                if outcome.is_some_and(|outcome| outcome.config.is_some()) {
                    group::wake(pass, &mut tx, place.0).await?;
                }
            }
            pass.mark(&mut tx, place.0, &Key::Publish(place.0, place.1)).await?;
            Ok(pass.commit(tx).await?)
        }
        Step::ReadGates(wants) => read_gates(pass, world, &wants).await,
        Step::SurveyLanding { .. } => match &world.landing {
            Some(it) => landing::survey(pass, world.pull.repo, it).await,
            None => Ok(()),
        },
        Step::Merge { method } => merge(pass, world, method).await,
        Step::AskPull => {
            let mut tx = pass.write().await?;
            pass.ask(&mut tx, place.0, place.1).await?;
            Ok(pass.commit(tx).await?)
        }
        step @ (Step::Create(_)
        | Step::Take { .. }
        | Step::AskStack { .. }
        | Step::EndStack { .. }
        | Step::CloseLanding { .. }
        | Step::Allow { .. }
        | Step::Thaw { .. }
        | Step::TrustState { .. }
        | Step::PushState { .. }
        | Step::BreakLock { .. }
        | Step::Want { .. }
        | Step::Release { .. }
        | Step::Enter { .. }
        | Step::Leave { .. }) => {
            let mut tx = pass.serial().await?;
            if !lock(pass, &mut tx, place, std::slice::from_ref(&step)).await? {
                return Ok(());
            }
            rows(pass, &mut tx, place, step).await?;
            pass.mark(&mut tx, place.0, &Key::Publish(place.0, place.1)).await?;
            Ok(pass.commit(tx).await?)
        }
    }
}

/// Carries out a step that writes rows only, for what has no pull request.
pub(crate) async fn rows_of(pass: &Pass<'_>, place: (RepoId, PullNumber), step: Step) -> Result<(), StoreError> {
    let mut tx = pass.serial().await?;
    rows(pass, &mut tx, place, step).await?;
    pass.commit(tx).await
}

/// Takes the locks of all applies among the steps. False: one is another's.
async fn lock(
    pass: &Pass<'_>,
    conn: &mut Conn,
    (repo, number): (RepoId, PullNumber),
    steps: &[Step],
) -> Result<bool, StoreError> {
    let applies = steps.iter().filter_map(|step| match step {
        Step::Create(what) if what.kind == RunKind::Apply => {
            LockKey::of(&what.detail.surveyed.stack, &what.detail.into)
        }
        Step::Take { key } => Some(key.clone()),
        _ => None,
    });
    let keys: Vec<LockKey> = applies.collect();
    if keys.is_empty() {
        return Ok(true);
    }
    let taken = locks::take(conn, repo, number, &keys, pass.now()).await?;
    line_moved(pass, conn, repo).await?;
    Ok(taken)
}

/// Steps that only write rows.
async fn rows(
    pass: &Pass<'_>,
    conn: &mut Conn,
    (repo, number): (RepoId, PullNumber),
    step: Step,
) -> Result<(), StoreError> {
    match step {
        Step::Create(what) => {
            let now = pass.now();
            let id = RunId::new(pass.parts.ids.uuid(now));
            runs::insert(conn, id, (repo, number), &what, now).await?;
            pass.mark(conn, repo, &Key::Run(id)).await
        }
        Step::TrustState { stack, lineage } => {
            states::set_lineage(conn, repo, &stack, lineage.as_deref()).await?;
            line_moved(pass, conn, repo).await
        }
        Step::BreakLock { stack, lock } => Ok(States::break_lock(conn, repo, &stack, &lock).await?),
        Step::Release { key, pull } => {
            locks::release(conn, repo, pull, &key).await?;
            line_moved(pass, conn, repo).await
        }
        Step::Leave { key } => {
            locks::leave(conn, repo, number, &key).await?;
            line_moved(pass, conn, repo).await
        }
        Step::Enter { key, waiter } => {
            locks::wait(conn, repo, &key, &waiter).await?;
            line_moved(pass, conn, repo).await
        }
        Step::Want { run, wanted } => {
            runs::want(conn, run, wanted).await?;
            pass.mark(conn, repo, &Key::Run(run)).await
        }
        Step::AskStack { landing, stack, plan, by, request } => {
            landings::ask_stack(conn, repo, (landing, &stack), (plan, &by, &request)).await?;
            branch_due(pass, conn, repo, landing).await
        }
        Step::EndStack { landing, stack, outcome, why, actor } => {
            landings::end_stack(conn, repo, (landing, &stack), (outcome, &why, &actor), pass.now()).await?;
            branch_due(pass, conn, repo, landing).await
        }
        Step::Allow { head } => pulls::allow(conn, repo, number, &head).await,
        Step::Thaw { stack } => {
            States::freeze(conn, repo, &stack, None).await?;
            States::let_go(conn, repo, &stack).await?;
            line_moved(pass, conn, repo).await
        }
        Step::CloseLanding { landing } => landings::close(conn, repo, landing).await,
        // Its lock was taken above, or its state stored.
        Step::Take { .. }
        | Step::PushState { .. }
        | Step::AskPull
        | Step::SurveyLanding { .. }
        | Step::Merge { .. }
        | Step::Refresh
        | Step::Survey { .. }
        | Step::Listen
        | Step::ReadGates(_)
        | Step::Answer { .. } => Ok(()),
    }
}

/// What landed on the branch, this and what comes behind it, is looked at again.
async fn branch_due(pass: &Pass<'_>, conn: &mut Conn, repo: RepoId, landing: i64) -> Result<(), StoreError> {
    match landings::by_id(conn, repo, landing).await? {
        Some(row) => pass.mark(conn, repo, &Key::Branch(repo, row.branch)).await,
        None => Ok(()),
    }
}

/// Merges the head that was seen; what GitHub refuses is tried again a few times, and then shown.
async fn merge(pass: &Pass<'_>, world: &PullWorld, method: Option<MergeMethod>) -> Result<(), Trouble> {
    let Some(snapshot) = &world.pull.snapshot else { return Ok(()) };
    let place = (world.pull.repo, world.pull.number);
    let repo = pass.repository(place.0).await?;
    let merged = pass.parts.publisher.merge(&repo, place.1, &snapshot.head, method).await?;
    let before = &world.pull.merging;
    let head = Some(snapshot.head.to_string());
    let tries = if before.head == head { before.tries } else { 0 };
    let row = match &merged {
        // What follows is GitHub's: it is not asked for again.
        Merged::Done(_) | Merged::Queued => MergingRow { head, tries: 0, at: None, why: None },
        Merged::Not { why } => {
            let at = decide::merge::pause(tries).map(|pause| pass.now().after(pause));
            MergingRow { head, tries: tries + 1, at, why: Some(why.clone()) }
        }
    };
    let mut tx = pass.write().await?;
    pulls::set_merging(&mut tx, place.0, place.1, &row).await?;
    if !matches!(merged, Merged::Not { .. }) {
        pass.ask(&mut tx, place.0, place.1).await?;
    }
    pass.mark(&mut tx, place.0, &Key::Publish(place.0, place.1)).await?;
    Ok(pass.commit(tx).await?)
}

/// Whoever is next looks again; so do all who show this lock.
async fn line_moved(pass: &Pass<'_>, conn: &mut Conn, repo: RepoId) -> Result<(), StoreError> {
    for pull in pulls::open(conn, repo, None).await? {
        pass.mark(conn, repo, &Key::Pull(repo, pull)).await?;
        pass.mark(conn, repo, &Key::Publish(repo, pull)).await?;
    }
    for (pull, branch) in landings::waiting(conn, repo).await? {
        pass.mark(conn, repo, &Key::Branch(repo, branch)).await?;
        if let Some(pull) = pull {
            pass.mark(conn, repo, &Key::Publish(repo, pull)).await?;
        }
    }
    Ok(())
}

/// Reads what GitHub says of the requirements; applies that wait for it go on.
async fn read_gates(pass: &Pass<'_>, world: &PullWorld, wants: &GateWants) -> Result<(), Trouble> {
    let forge = &pass.parts.forge;
    let repo = pass.repository(world.pull.repo).await?;
    let app = forge.app_id().await?;
    let facts = forge.gate_facts(&repo, world.pull.number, wants).await?;
    let place = (world.pull.repo, world.pull.number);
    let moved = world.pull.snapshot.as_ref().is_none_or(|known| {
        (&known.head, known.state, &known.base_branch) != (&facts.head, facts.state, &facts.base_branch)
    });
    let mut tx = pass.write().await?;
    due::set_setting(&mut tx, due::APP, &app.to_string()).await?;
    gates::set_facts(&mut tx, place, &facts, world.pull.seen, pass.now()).await?;
    if moved {
        // It moved since it was refreshed: all of it is read again.
        pulls::ask(&mut tx, place.0, place.1, pass.now()).await?;
    }
    if let Some(landing) = world.landing.as_ref().filter(|landing| !landing.done) {
        pass.mark(&mut tx, place.0, &Key::Branch(place.0, landing.branch.clone())).await?;
    }
    for run in world.applies.iter().filter(|run| run.asked.is_some() && !run.job_started && !run.state.is_terminal()) {
        pass.mark(&mut tx, place.0, &Key::Run(run.id)).await?;
    }
    pass.mark(&mut tx, place.0, &Key::Publish(place.0, place.1)).await?;
    Ok(pass.commit(tx).await?)
}

async fn refresh(pass: &Pass<'_>, (id, number): (RepoId, PullNumber), asked: i64) -> Result<(), Trouble> {
    let forge = &pass.parts.forge;
    let repo = pass.repository(id).await?;
    let mut snapshot = match forge.pull(&repo, number).await {
        Err(ForgeError::Gone { .. }) => {
            let mut tx = pass.write().await?;
            pulls::close(&mut tx, id, number, asked).await?;
            return Ok(pass.commit(tx).await?);
        }
        read => read?,
    };
    // What a pull request says of its base is as old as its last push.
    if let Some(branch) = forge.branch(&repo, &snapshot.base_branch).await? {
        snapshot.base = branch.tip;
    }
    let default_tip = default_tip(pass, &repo, &snapshot).await?;
    let facts = PullFacts { snapshot, default_tip, seen: asked };
    let PullSnapshot { state, base_branch, base, .. } = &facts.snapshot;
    let mut tx = pass.write().await?;
    pulls::set_facts(&mut tx, id, &facts, pass.now()).await?;
    landings::begin(&mut tx, id, base_branch, base).await?;
    if *state == PullState::Merged {
        // What landed is served by the branch.
        landings::ask(&mut tx, id, base_branch).await?;
        pass.mark(&mut tx, id, &Key::Branch(id, base_branch.clone())).await?;
    }
    pass.mark(&mut tx, id, &Key::Publish(id, number)).await?;
    Ok(pass.commit(tx).await?)
}

/// The tip of the default branch, where `branches` is read.
async fn default_tip(pass: &Pass<'_>, repo: &RepoSnapshot, pull: &PullSnapshot) -> Result<CommitSha, Trouble> {
    if pull.base_branch == repo.default_branch {
        return Ok(pull.base.clone());
    }
    let branch = pass.parts.forge.branch(repo, &repo.default_branch).await?;
    branch.map(|branch| branch.tip).ok_or_else(|| {
        // Renamed since; its webhook or the next resync brings the new name.
        ForgeError::Passing { message: format!("the default branch {} is not there", repo.default_branch) }.into()
    })
}

async fn survey(pass: &Pass<'_>, world: &PullWorld, key: &str) -> Result<(), Trouble> {
    let (Some(facts), Some(default_tip)) = (&world.pull.snapshot, &world.pull.default_tip) else { return Ok(()) };
    let repo = pass.repository(world.pull.repo).await?;
    let test_merge = fetch(pass, &repo, facts, default_tip).await?;
    let request = SurveyRequest {
        repo: repo.id,
        name: repo.name.clone(),
        base: facts.base.clone(),
        base_branch: facts.base_branch.clone(),
        default_tip: default_tip.clone(),
        default_branch: repo.default_branch.clone(),
        head: facts.head.clone(),
        test_merge,
    };
    let survey: Survey = pass.parts.source.survey(request).await?;
    let mut tx = pass.write().await?;
    pulls::set_survey(&mut tx, repo.id, world.pull.number, &survey, key).await?;
    pass.mark(&mut tx, repo.id, &Key::Publish(repo.id, world.pull.number)).await?;
    Ok(pass.commit(tx).await?)
}

/// Brings the commits; gives GitHub's test merge when it could be had.
async fn fetch(
    pass: &Pass<'_>,
    repo: &RepoSnapshot,
    facts: &PullSnapshot,
    default_tip: &CommitSha,
) -> Result<Option<CommitSha>, Trouble> {
    let source = &pass.parts.source;
    let needed = [facts.base.clone(), default_tip.clone(), facts.head.clone()];
    let mut wanted = needed.to_vec();
    wanted.extend(facts.merge_commit.clone());
    wanted.sort();
    wanted.dedup();
    let missing = source.missing(repo.id, &wanted).await?;
    if missing.is_empty() {
        return Ok(facts.merge_commit.clone());
    }
    let credential = pass.parts.forge.credential(repo).await?;
    match source.fetch(repo.id, &credential, &missing).await {
        Ok(()) => Ok(facts.merge_commit.clone()),
        // GitHub makes test merges anew at will: without it we merge by ourselves.
        Err(FetchError::NoCommit { commit }) if !needed.contains(&commit) => {
            let rest: Vec<CommitSha> = missing.into_iter().filter(|sha| *sha != commit).collect();
            if !rest.is_empty() {
                source.fetch(repo.id, &credential, &rest).await?;
            }
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn listen(pass: &Pass<'_>, world: &PullWorld) -> Result<(), Trouble> {
    let forge = &pass.parts.forge;
    let repo = pass.repository(world.pull.repo).await?;
    let slug = forge.slug().await?;
    let prefixes = world.pull.survey.as_ref().map(|survey| survey.prefixes.clone()).unwrap_or_default();
    // What was asked long before we first looked is not asked any more.
    let oldest = Timestamp::from_micros(world.pull.first_seen.micros() - FRESH);
    let since = world.pull.cursor.unwrap_or(oldest);
    let comments = forge.comments(&repo, world.pull.number, Some(since)).await?;
    let cursor = comments.iter().map(|comment| comment.created_at).max().unwrap_or(since);
    let ours = format!("{slug}[bot]");
    let mut heard = Vec::new();
    for comment in comments {
        let known = world.commands.iter().any(|row| row.comment == Some(comment.id));
        let spoken = comment.author != ours && !command::parse(&comment.body, &prefixes, &slug).is_empty();
        if !known && spoken {
            let role = forge.role(&repo, &comment.author).await?;
            heard.push(CommandRow { role: Some(role), ..noted(comment) });
        }
    }
    let mut tx = pass.write().await?;
    due::set_setting(&mut tx, due::SLUG, &slug).await?;
    for row in &heard {
        commands::note(&mut tx, repo.id, world.pull.number, row).await?;
    }
    pulls::set_heard(&mut tx, repo.id, world.pull.number, world.pull.asked, Some(cursor)).await?;
    Ok(pass.commit(tx).await?)
}

fn noted(comment: CommentSnapshot) -> CommandRow {
    CommandRow {
        id: format!("comment:{}", comment.id),
        comment: Some(comment.id),
        author: comment.author,
        bot: comment.author_is_bot,
        edited: comment.edited,
        body: comment.body,
        created_at: comment.created_at,
        role: None,
        done: false,
        outcome: None,
    }
}
