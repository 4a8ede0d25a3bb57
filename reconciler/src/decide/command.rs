//! What comes of a comment: runs, ends of runs, and an answer.
//!
//! Owns: who may use which verb and what each does. A command counts only as first written, by a person with the
//! right on the repository; whatever is refused says why. Must never act on facts older than the comment.

use model::access::Right;
use model::affected::Why;
use model::command::{self, Command, Selector, Verb};
use model::id::{RunId, StackName};
use model::plan::PlanOptions;
use model::publication::{ReplyPart, Standing};
use model::pull::{PullSnapshot, PullState, Role};
use model::run::Wanted;
use model::survey::{BaseTrust, Survey, SurveyedStack};
use model::who::{Person, Teams};

use super::pull::{Step, into, new_run};
use super::{apply, config, current_survey, gates, is_allowed, landing, line, publish, recover};
use crate::world::{CommandRow, Outcome, PullWorld, RunRow};

/// Answers to the commands that wait, oldest first.
pub(crate) fn decide(world: &PullWorld) -> Vec<Step> {
    let Some(snapshot) = &world.pull.snapshot else { return Vec::new() };
    let Some(survey) = current_survey(world) else { return Vec::new() };
    let waiting = world.commands.iter().filter(|row| !row.done && row.role.is_some());
    waiting.map(|row| answer(&Scene::new(world, snapshot, survey, row), row)).collect()
}

/// All that an answer depends on.
pub(super) struct Scene<'a> {
    pub(super) world: &'a PullWorld,
    pub(super) snapshot: &'a PullSnapshot,
    pub(super) survey: &'a Survey,
    pub(super) row: &'a CommandRow,
    teams: &'a Teams,
}

impl<'a> Scene<'a> {
    fn new(world: &'a PullWorld, snapshot: &'a PullSnapshot, survey: &'a Survey, row: &'a CommandRow) -> Self {
        static NOBODY_ASKED: Teams = Teams::none();
        let teams = gates::facts(world).map_or(&NOBODY_ASKED, |facts| &facts.teams);
        Self { world, snapshot, survey, row, teams }
    }

    /// Who gave the command.
    pub(super) fn person(&self) -> Person<'_> {
        Person {
            login: &self.row.author,
            bot: self.row.bot,
            role: self.row.role,
            is_author: Some(self.row.author.eq_ignore_ascii_case(&self.snapshot.author)),
            teams: self.teams,
        }
    }

    /// May they do this to each of these stacks?
    pub(super) fn may(&self, right: Right, stacks: &[&SurveyedStack]) -> Result<(), String> {
        let person = self.person();
        stacks.iter().try_for_each(|stack| {
            let name = &stack.stack.name;
            stack.stack.access.may(right, &person).map_err(|reason| format!("`{name}`: {reason}"))
        })
    }
}

/// What a line comes to, or why it is refused.
pub(super) type Line = Result<(Vec<Step>, Option<ReplyPart>), String>;

fn answer(scene: &Scene<'_>, row: &CommandRow) -> Step {
    let done = |outcome| Step::Answer { id: row.id.clone(), outcome, steps: Vec::new() };
    let lines = command::parse(&row.body, &scene.survey.prefixes, &scene.world.slug);
    let heard_bot = scene.survey.access.bots.contains(&row.author.to_ascii_lowercase());
    if (row.bot && !heard_bot) || lines.is_empty() {
        return done(None);
    }
    let role = row.role.unwrap_or(Role::None);
    // GitHub knows no role of an App; what a listed one may do say the rules.
    if role < Role::Read && !(row.bot && heard_bot) {
        // Not even told that this is a place where commands are heard.
        return done(Some(Box::new(Outcome { refused: true, ..Outcome::default() })));
    }
    if row.edited {
        let reason = "the comment was edited, and only what was first written counts; please write a new one";
        return done(Some(Box::new(Outcome {
            refused: true,
            parts: vec![refused(reason.to_owned())],
            ..Outcome::default()
        })));
    }
    let mut outcome = Outcome::default();
    let mut steps = Vec::new();
    for line in lines {
        let wish = match &line {
            Ok(Command { verb: Verb::Apply { merge, .. }, .. }) => merge.clone(),
            _ => None,
        };
        let word = match &line {
            Ok(Command { verb: Verb::Approve { what, reject, clear, .. }, .. }) if what == "config" => {
                config::command(scene, config::said(*reject, *clear)).ok()
            }
            _ => None,
        };
        let come = match line {
            Ok(command) => carry_out(scene, &command, role).map_err(refused),
            Err(error) => Err(ReplyPart::Error(error)),
        };
        match come {
            Ok((more, part)) => {
                outcome.accepted = true;
                outcome.merge = wish.or(outcome.merge);
                outcome.config = word.or(outcome.config);
                steps.extend(more);
                outcome.parts.extend(part);
            }
            Err(part) => {
                outcome.refused = true;
                outcome.parts.push(part);
            }
        }
    }
    Step::Answer { id: row.id.clone(), outcome: Some(Box::new(outcome)), steps }
}

fn refused(reason: String) -> ReplyPart {
    ReplyPart::Refused { reason }
}

fn carry_out(scene: &Scene<'_>, command: &Command, role: Role) -> Line {
    let world = scene.world;
    let told = |part| Ok((Vec::new(), Some(part)));
    let view =
        || publish::view(world).map(Box::new).ok_or_else(|| "nothing is known of this pull request yet".to_owned());
    if needs_trust(&command.verb) && !apply::is_trusted(scene.survey) {
        let branch = &scene.snapshot.base_branch;
        return Err(format!("`{branch}` is not a trusted branch: its rules say nothing about who may do that"));
    }
    match &command.verb {
        Verb::Help => told(ReplyPart::Help { role, url: format!("{}/help/comments", world.base_url) }),
        Verb::Version => told(ReplyPart::Version),
        Verb::Status => told(ReplyPart::Status(view()?)),
        Verb::Why => {
            let picked = picked(scene, &command.select)?;
            let mut affected = scene.survey.affected.clone();
            let meant = |name: &StackName| picked.iter().any(|stack| &stack.stack.name == name);
            affected.affected.retain(|hit| meant(&hit.stack));
            let mut view = view()?;
            if let Standing::Stacks(rows) = &mut view.standing
                && !command.select.is_empty()
            {
                rows.retain(|row| meant(&row.stack));
            }
            told(ReplyPart::Why { view, affected })
        }
        Verb::Config => {
            let stacks = picked(scene, &command.select)?;
            let texts: Vec<String> = stacks.iter().map(|stack| stack.stack.describe()).collect();
            told(ReplyPart::Config(texts.join("\n")))
        }
        Verb::Plan(options) => plan(scene, &command.select, options),
        Verb::Cancel { now } => cancel(scene, &command.select, *now),
        Verb::Apply { destroy, .. } => apply::command(scene, &command.select, *destroy),
        Verb::Unlock { pulls, accept_ahead } => line::unlock(scene, &command.select, pulls, *accept_ahead),
        Verb::ForceUnlock { lock } => apply::force_unlock(scene, &command.select, lock),
        Verb::ForceApply { reason } => apply::force(scene, &command.select, reason),
        Verb::Discard { reason } => landing::discard(scene, &command.select, reason),
        Verb::Rerun { .. } => Err("there is no pipeline here: this version runs plans and applies only".to_owned()),
        Verb::Approve { what, reject, clear, .. } if what == "config" => {
            config::line(scene, config::said(*reject, *clear))
        }
        Verb::Approve { what, reject: false, clear: false, .. } if what == "lost" => {
            recover::approve_lost(scene, &command.select)
        }
        Verb::Approve { what, reject: false, clear: false, .. } if what == "state" => {
            apply::approve_state(scene, &command.select)
        }
        Verb::Approve { what, .. } => Err(format!("there is no policy or gate `{what}` here that people approve")),
        Verb::Allow { commit } => allow(scene, commit),
        Verb::Recover => recover::command(scene, &command.select),
        Verb::Abandon { .. } | Verb::Import { .. } | Verb::StateRm { .. } | Verb::StateMv { .. } => {
            Err("this version does not carry that out".to_owned())
        }
    }
}

/// Does the verb act on more than this pull request's own plans? Who may do so stands in the trusted base alone.
fn needs_trust(verb: &Verb) -> bool {
    match verb {
        Verb::Help
        | Verb::Version
        | Verb::Status
        | Verb::Why
        | Verb::Config
        | Verb::Plan(_)
        | Verb::Cancel { .. }
        | Verb::Rerun { .. } => false,
        Verb::Apply { .. }
        | Verb::Unlock { .. }
        | Verb::ForceUnlock { .. }
        | Verb::ForceApply { .. }
        | Verb::Discard { .. }
        | Verb::Approve { .. }
        | Verb::Allow { .. }
        | Verb::Recover
        | Verb::Abandon { .. }
        | Verb::Import { .. }
        | Verb::StateRm { .. }
        | Verb::StateMv { .. } => true,
    }
}

/// `buildit allow`: a person has read the diff of a fork, which runs code of whoever wrote it, or of a change that gives
/// secrets to more of that code.
fn allow(scene: &Scene<'_>, commit: &str) -> Line {
    let snapshot = scene.snapshot;
    scene.survey.access.may(Right::Allow, &scene.person())?;
    let brings = scene.survey.stacks.iter().any(|stack| !stack.new_secrets.is_empty());
    if snapshot.state != PullState::Open || !(snapshot.fork || brings) {
        let why = "the pull request is not an open one from a fork, and gives no stack another secret";
        return Err(format!("nothing here waits for that: {why}"));
    }
    if !snapshot.head.as_str().starts_with(commit) {
        return Err(format!("the head is {} now; read what is new, then allow that", snapshot.head.short()));
    }
    Ok((vec![Step::Allow { head: snapshot.head.to_string() }], None))
}

/// The stacks that a selector means; without one the affected stacks.
pub(super) fn picked<'a>(scene: &Scene<'a>, select: &Selector) -> Result<Vec<&'a SurveyedStack>, String> {
    let survey = scene.survey;
    let affected = |stack: &SurveyedStack| survey.affected.affected.iter().any(|hit| hit.stack == stack.stack.name);
    if select.is_empty() {
        return Ok(survey.stacks.iter().filter(|stack| affected(stack)).collect());
    }
    if let Some(name) = select.names.iter().find(|name| !survey.stacks.iter().any(|s| named(name).picks(&s.stack))) {
        let near = survey.stacks.iter().map(|stack| stack.stack.name.as_str());
        let near = near.max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no stack `{name}` here{hint}"));
    }
    let stacks: Vec<_> = survey.stacks.iter().filter(|stack| select.picks(&stack.stack)).collect();
    if stacks.is_empty() { Err("no stack is selected by this".to_owned()) } else { Ok(stacks) }
}

fn named(name: &str) -> Selector {
    Selector { names: vec![name.to_owned()], ..Selector::default() }
}

fn plan(scene: &Scene<'_>, select: &Selector, options: &PlanOptions) -> Line {
    let Scene { snapshot, survey, row, .. } = scene;
    let stacks = picked(scene, select)?;
    scene.may(Right::Plan, &stacks)?;
    if let Some(reason) = obstacle(scene.world, snapshot, survey) {
        return Err(reason);
    }
    let why = |stack: &SurveyedStack| survey.affected.affected.iter().find(|hit| hit.stack == stack.stack.name);
    let mut steps = Vec::new();
    for stack in stacks {
        let name = &stack.stack.name;
        let restricted = stack.stack.plan.restrict && why(stack).is_none();
        if restricted {
            return Err(format!("`{name}` is not affected here, and its configuration restricts plans to that"));
        }
        if let Some(needs) = stack.stack.not_yet.first() {
            if select.is_empty() {
                continue;
            }
            return Err(format!("a plan of `{name}` needs {}, which this version cannot give", needs.what));
        }
        let reasons: Vec<Why> = why(stack).map(|hit| hit.why.clone()).unwrap_or_default();
        let recovers = recover::of(scene.world, name).recovers.filter(|_| options.is_whole());
        let options = PlanOptions { recovers, ..options.clone() };
        let run = new_run(survey, stack, &reasons, options, Some(row.id.clone()));
        let run = run.map(|run| into(snapshot, run));
        steps.extend(run.map(|run| Step::Create(Box::new(run))));
    }
    let told = steps.is_empty().then(|| ReplyPart::Done { message: "There is nothing to plan here.".to_owned() });
    Ok((steps, told))
}

/// What stands in the way of every plan.
pub(super) fn obstacle(world: &PullWorld, snapshot: &PullSnapshot, survey: &Survey) -> Option<String> {
    let reason = if snapshot.state != PullState::Open {
        "the pull request is not open"
    } else if snapshot.fork && !is_allowed(world, snapshot) {
        "the pull request comes from a fork; read the diff, then a writer comments `buildit allow` with its head"
    } else if survey.base_trust == BaseTrust::Untrusted {
        "the base branch is not one that the configuration trusts"
    } else if survey.diagnostics.has_errors() {
        "the configuration has errors; they stand in the check `buildit/plan`"
    } else if !survey.conflicts.is_empty() || survey.plan_tree.is_none() {
        "the pull request has merge conflicts"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

/// Ends plans and applies: what waits is taken out, what runs is interrupted.
fn cancel(scene: &Scene<'_>, select: &Selector, now: bool) -> Line {
    let world = scene.world;
    let wanted = if now { Wanted::CancelNow } else { Wanted::Cancel };
    let stacks = if select.is_empty() { scene.survey.stacks.iter().collect() } else { picked(scene, select)? };
    let stops = |run: &&RunRow| run.wanted == Wanted::Run || (now && run.wanted == Wanted::Cancel);
    let mut steps = Vec::new();
    for stack in stacks {
        let name = &stack.stack.name;
        let runs = world.runs.iter().chain(&world.applies).filter(|run| &run.what.stack == name);
        let live: Vec<RunId> = runs.filter(|run| !run.state.is_terminal()).filter(stops).map(|run| run.id).collect();
        let left: Vec<Step> = line::leaves(world, stack).collect();
        if !live.is_empty() || !left.is_empty() {
            scene.may(Right::Cancel, &[stack])?;
        }
        steps.extend(live.into_iter().map(|run| Step::Want { run, wanted }));
        steps.extend(left);
    }
    if steps.is_empty() {
        return Err("no plan or apply is queued or running".to_owned());
    }
    Ok((steps, None))
}

#[cfg(test)]
mod tests {
    use model::id::CommentId;
    use model::run::RunState;

    use super::super::sample::{self, SURVEYS};
    use super::*;

    fn said(world: &mut PullWorld, body: &str, change: impl FnOnce(&mut CommandRow)) -> String {
        let mut row = CommandRow {
            id: "c".to_owned(),
            comment: Some(CommentId::new(1)),
            author: "ann".to_owned(),
            bot: false,
            edited: false,
            body: body.to_owned(),
            created_at: model::time::Timestamp::from_seconds(50),
            role: Some(Role::Write),
            done: false,
            outcome: None,
        };
        change(&mut row);
        world.commands = vec![row];
        match decide(world).as_slice() {
            [Step::Answer { outcome, steps, .. }] => told(world, outcome.as_deref(), steps),
            other => format!("{other:?}"),
        }
    }

    fn told(world: &PullWorld, outcome: Option<&Outcome>, steps: &[Step]) -> String {
        let Some(outcome) = outcome else { return "ignored".to_owned() };
        let mut out = vec![match (outcome.accepted, outcome.refused) {
            (_, true) => "👎".to_owned(),
            (true, false) => "👀".to_owned(),
            (false, false) => "?".to_owned(),
        }];
        out.extend(steps.iter().map(|step| match step {
            Step::Create(run) => format!("plan {}", run.stack),
            Step::Want { run, wanted } => {
                let row = world.runs.iter().find(|row| row.id == *run).expect("a run of this world");
                format!("{} {}", wanted.name(), row.what.stack)
            }
            other => format!("{other:?}"),
        }));
        out.extend(outcome.parts.iter().map(|part| match part {
            ReplyPart::Refused { reason } => format!("refused: {reason}"),
            ReplyPart::Error(error) => format!("error: {}", error.problem),
            ReplyPart::Help { role, .. } => format!("help for {role:?}"),
            ReplyPart::Status(_) => "status".to_owned(),
            ReplyPart::Why { affected, .. } => format!("why of {}", affected.affected.len()),
            ReplyPart::Version => "version".to_owned(),
            ReplyPart::Config(text) => format!("config {}", text.lines().next().unwrap_or_default()),
            ReplyPart::Done { message } => message.clone(),
        }));
        out.join(" · ")
    }

    fn plain(body: &str) -> String {
        said(&mut sample::world(), body, |_| {})
    }

    #[test]
    fn each_verb_does_its_work() {
        let lines = [
            "buildit plan",
            "buildit plan -p other",
            "buildit plan -p 'o*' -t prod",
            "buildit plan -p netwrk",
            "buildit plan -d nowhere",
            "buildit cancel",
            "buildit status",
            "buildit why",
            "buildit why -p dns",
            "buildit config -p dns",
            "buildit version",
            "buildit help",
            "buildit apply",
            "/buildit pan",
            "buildit help\nbuildit plan -p dns",
        ];
        let table: Vec<String> = lines.iter().map(|line| format!("{line}: {}", plain(line))).collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
        buildit plan: 👀 · plan dns · plan network
        buildit plan -p other: 👀 · plan other
        buildit plan -p 'o*' -t prod: 👎 · refused: no stack is selected by this
        buildit plan -p netwrk: 👎 · refused: there is no stack `netwrk` here; did you mean `network`?
        buildit plan -d nowhere: 👎 · refused: no stack is selected by this
        buildit cancel: 👎 · refused: no plan or apply is queued or running
        buildit status: 👀 · status
        buildit why: 👀 · why of 2
        buildit why -p dns: 👀 · why of 1
        buildit config -p dns: 👀 · config stack "dns" path="dns"
        buildit version: 👀 · version
        buildit help: 👀 · help for Write
        buildit apply: 👎 · refused: nothing is applied from here
        /buildit pan: 👎 · error: there is no command `pan`
        buildit help
        buildit plan -p dns: 👀 · plan dns · help for Write
        "#);
    }

    #[test]
    fn who_may_not_is_told_or_ignored() {
        let who = |role, body: &str| said(&mut sample::world(), body, |row| row.role = Some(role));
        for role in [Role::Read, Role::Triage] {
            assert!(
                who(role, "buildit plan")
                    .contains("👎 · refused: `dns`: `plan` needs the right to write here; yours is")
            );
            assert_eq!(who(role, "buildit cancel"), "👎 · refused: no plan or apply is queued or running");
            assert_eq!(who(role, "buildit status"), "👀 · status");
        }
        assert_eq!(who(Role::None, "buildit status"), "👎");
        for role in [Role::Write, Role::Maintain, Role::Admin] {
            assert_eq!(who(role, "buildit plan -p dns"), "👀 · plan dns");
        }
        assert_eq!(said(&mut sample::world(), "buildit plan", |row| row.bot = true), "ignored");
        let edited = said(&mut sample::world(), "buildit plan", |row| row.edited = true);
        assert!(edited.starts_with("👎 · refused: the comment was edited"), "{edited}");
    }

    #[test]
    fn nothing_is_planned_where_nothing_may_be() {
        for (name, change) in SURVEYS.iter().filter(|(name, _)| !["draft", "unaffected", "unconfigured"].contains(name))
        {
            let mut world = sample::world();
            change(&mut world);
            let answer = said(&mut world, "buildit plan -p dns", |_| {});
            assert!(answer.starts_with("👎 · refused"), "{name}: {answer}");
        }
        let mut world = sample::world();
        world.pull.snapshot.as_mut().expect("sampled").state = PullState::Closed;
        assert_eq!(said(&mut world, "buildit plan", |_| {}), "👎 · refused: the pull request is not open");
        assert_eq!(said(&mut world, "buildit status", |_| {}), "👀 · status");
    }

    #[test]
    fn a_restricted_stack_is_planned_only_where_it_is_affected() {
        let mut world = sample::world();
        for stack in &mut world.pull.survey.as_mut().expect("sampled").stacks {
            stack.stack.plan.restrict = true;
        }
        assert_eq!(said(&mut world, "buildit plan -p dns", |_| {}), "👀 · plan dns");
        assert!(said(&mut world, "buildit plan -p other", |_| {}).starts_with("👎 · refused: `other` is not affected"));
    }

    #[test]
    fn cancel_ends_what_is_live_and_only_that() {
        let mut world = sample::world();
        sample::settle(&mut world);
        world.runs[0].state = RunState::Planned;
        assert_eq!(said(&mut world, "buildit cancel", |_| {}), "👀 · cancel network");
        assert_eq!(said(&mut world, "buildit cancel --now", |_| {}), "👀 · cancel-now network");
        assert_eq!(
            said(&mut world, "buildit cancel -p dns", |_| {}),
            "👎 · refused: no plan or apply is queued or running"
        );
        world.runs[1].wanted = Wanted::Cancel;
        assert_eq!(said(&mut world, "buildit cancel", |_| {}), "👎 · refused: no plan or apply is queued or running");
        assert_eq!(said(&mut world, "buildit cancel --now", |_| {}), "👀 · cancel-now network");
    }

    #[test]
    fn a_command_is_answered_once_and_then_all_rests() {
        for body in ["buildit plan", "buildit plan -p other", "buildit cancel", "buildit status", "/buildit nope"] {
            let mut world = sample::world();
            sample::settle(&mut world);
            said(&mut world, body, |_| {});
            for _ in 0..4 {
                sample::settle(&mut world);
            }
            assert_eq!(super::super::pull::decide(&world), [], "{body}");
            assert!(world.commands[0].done, "{body}");
        }
    }
}
