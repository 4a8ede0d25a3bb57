//! Owns merge queues: who waits, the commits and branches of groups, what passes together, what is thrown out.
//! Nothing happens by itself: every change that matters looks at the queue again, and time passes by [`Model::settle_queues`].

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::git::ZERO;
use crate::model::Model;
use crate::model::account::MERGE_QUEUE;
use crate::model::landing::{Method, Words};
use crate::model::repository::Repository;
use crate::model::verdict::{self, Standing};
use crate::shape;

const MINUTE: i64 = 60_000_000;

/// How a queue works, as a rule of its branch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRules {
    /// How its pull requests are merged.
    pub method: Method,
    /// So many are tested at the same time.
    pub build: usize,
    /// So many must be ready before they are merged together …
    pub min: usize,
    /// … or so many minutes must have passed since the first came.
    pub wait_minutes: u32,
    /// So many are merged together at most.
    pub max: usize,
    /// Every one of a group must pass; otherwise the last one of it.
    pub all_green: bool,
    /// Checks that take more minutes have failed.
    pub timeout_minutes: u32,
}

impl Default for QueueRules {
    /// GitHub's own.
    fn default() -> QueueRules {
        QueueRules {
            method: Method::Merge,
            build: 5,
            min: 1,
            wait_minutes: 5,
            max: 5,
            all_green: true,
            timeout_minutes: 60,
        }
    }
}

/// A pull request that waits.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) actor: u64,
    pub(crate) jump: bool,
    pub(crate) enqueued_at: i64,
    /// Its group, once it is tested.
    pub(crate) group: Option<Group>,
}

/// All before an entry and itself, on a branch of their own.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) base: String,
    pub(crate) commit: String,
    /// Without `refs/heads/`.
    pub(crate) branch: String,
    pub(crate) at: i64,
}

/// Why an entry or a group goes, in GitHub's words for a pull request and for a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    Manual,
    Failed,
    Late,
    Conflict,
}

impl Out {
    fn word(self) -> &'static str {
        match self {
            Out::Manual => "MANUAL",
            Out::Failed => "CI_FAILURE",
            Out::Late => "CI_TIMEOUT",
            Out::Conflict => "MERGE_CONFLICT",
        }
    }
}

impl Repository {
    /// The rules of a branch's queue, when it has one.
    pub(crate) fn queue_rules(&self, branch: &str) -> Option<&QueueRules> {
        self.rules_on(branch).into_iter().find_map(|rules| rules.queue.as_ref())
    }

    pub(crate) fn queue(&self, branch: &str) -> &[Entry] {
        self.queues.get(branch).map_or(&[], Vec::as_slice)
    }

    /// The entry of a pull request, with its base.
    pub(crate) fn queued(&self, number: u64) -> Option<(&str, &Entry)> {
        let all = self.queues.iter().flat_map(|(base, entries)| entries.iter().map(move |it| (base.as_str(), it)));
        all.into_iter().find(|(_, entry)| entry.number == number)
    }

    /// GitHub's word for how an entry stands.
    pub(crate) fn queue_state(&self, base: &str, entry: &Entry) -> &'static str {
        match &entry.group {
            None => "QUEUED",
            Some(group) => match self.tested(base, &group.commit) {
                Standing::Passed => "MERGEABLE",
                Standing::Waiting => "AWAITING_CHECKS",
                Standing::Failed => "UNMERGEABLE",
            },
        }
    }

    /// How the required checks of a branch stand on a commit; those that are not there are waited for.
    fn tested(&self, base: &str, sha: &str) -> Standing {
        let required = self.rules_on(base).into_iter().flat_map(|rules| &rules.checks);
        let all: Vec<Standing> = required
            .map(|(context, app)| verdict::standing(self, sha, context, *app).unwrap_or(Standing::Waiting))
            .collect();
        [Standing::Failed, Standing::Waiting].into_iter().find(|it| all.contains(it)).unwrap_or(Standing::Passed)
    }
}

impl Model {
    /// Puts a pull request into the queue of its base; answers both, as they were then.
    pub(crate) fn enqueue(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        head: Option<&str>,
        jump: bool,
    ) -> Result<(String, Entry), Error> {
        let refuse = |why: &str| Err(Error::NotAllowed(why.into()));
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let base = pull.base_ref.clone();
        if it.queue_rules(&base).is_none() {
            return refuse("A merge queue is not enabled for this branch");
        }
        let conflicts = match it.git.branch(&base)? {
            Some(tip) => it.git.merge_tree(&tip, &pull.head_sha)?.is_none(),
            None => true,
        };
        if !pull.open || pull.draft || conflicts {
            return refuse("Pull request is not in a mergeable state");
        }
        if head.is_some_and(|head| head != pull.head_sha) {
            return refuse("Head branch was modified. Review and try the merge again.");
        }
        if it.queued(number).is_some() {
            return refuse("Pull request is already in the queue");
        }
        if let Some(why) = self.blocked(it, pull)? {
            return refuse(&why);
        }
        let (id, enqueued_at) = (self.id(), self.now());
        let entry = Entry { id, number, actor, jump, enqueued_at, group: None };
        let entries = self.repository_mut(repository)?.queues.entry(base.clone()).or_default();
        let place = if jump { entries.iter().take_while(|it| it.jump).count() } else { entries.len() };
        entries.insert(place, entry.clone());
        self.tell_pull(repository, number, actor, "enqueued", &[])?;
        if jump {
            self.invalidate(repository, &base, place + 1)?;
        }
        self.settle_queue(repository, &base)?;
        Ok((base, entry))
    }

    /// Takes a pull request out of its queue by hand.
    pub(crate) fn dequeue(&mut self, repository: u64, number: u64, actor: u64) -> Result<(String, Entry), Error> {
        let found = self.repository(repository)?.queued(number).map(|(base, entry)| (base.to_owned(), entry.clone()));
        let (base, entry) = found.ok_or_else(|| Error::NotAllowed("Pull request is not in the queue".into()))?;
        self.throw_out(repository, &base, number, actor, Out::Manual)?;
        self.settle_queue(repository, &base)?;
        Ok((base, entry))
    }

    /// A pull request that got a new head or was closed waits no more.
    pub(crate) fn leave_queue(&mut self, repository: u64, number: u64, actor: u64) -> Result<(), Error> {
        match self.repository(repository)?.queued(number) {
            Some(_) => self.dequeue(repository, number, actor).map(drop),
            None => Ok(()),
        }
    }

    /// Looks at all queues of a repository again, as GitHub does when a check ends or time has passed.
    pub(crate) fn settle_queues(&mut self, repository: u64) -> Result<(), Error> {
        let bases: Vec<String> = self.repository(repository)?.queues.keys().cloned().collect();
        bases.into_iter().try_for_each(|base| self.settle_queue(repository, &base))
    }

    /// Throws out what failed, merges what passed, tests what may be tested, until nothing moves.
    pub(crate) fn settle_queue(&mut self, repository: u64, base: &str) -> Result<(), Error> {
        while self.repository(repository)?.queue_rules(base).is_some() {
            self.check_base(repository, base)?;
            if let Some((number, out)) = self.failed(repository, base)? {
                self.throw_out(repository, base, number, MERGE_QUEUE, out)?;
            } else if let Some(count) = self.ready(repository, base)? {
                self.merge_queued(repository, base, count)?;
            } else if !self.build(repository, base)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A base that moved by other means makes every group void.
    fn check_base(&mut self, repository: u64, base: &str) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let tip = it.git.branch(base)?;
        let first = it.queue(base).first().and_then(|entry| entry.group.as_ref());
        match first {
            Some(group) if tip.as_deref() != Some(&group.base) => self.invalidate(repository, base, 0),
            _ => Ok(()),
        }
    }

    /// The first entry that cannot pass.
    fn failed(&self, repository: u64, base: &str) -> Result<Option<(u64, Out)>, Error> {
        let it = self.repository(repository)?;
        let Some(rules) = it.queue_rules(base) else { return Ok(None) };
        let entries = it.queue(base);
        let standing = |group: &Group| it.tested(base, &group.commit);
        for (place, entry) in entries.iter().enumerate() {
            let Some(group) = &entry.group else { break };
            // Where the last one of a group counts, one behind may still pass for all.
            let behind = entries[place + 1..].iter().filter_map(|it| it.group.as_ref());
            let saved = !rules.all_green && behind.map(standing).any(|it| it != Standing::Failed);
            match standing(group) {
                Standing::Failed if !saved => return Ok(Some((entry.number, Out::Failed))),
                Standing::Waiting if self.now() >= group.at + i64::from(rules.timeout_minutes) * MINUTE => {
                    return Ok(Some((entry.number, Out::Late)));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// How many entries can be merged together now.
    fn ready(&self, repository: u64, base: &str) -> Result<Option<usize>, Error> {
        let it = self.repository(repository)?;
        let Some(rules) = it.queue_rules(base) else { return Ok(None) };
        let entries = it.queue(base);
        let passed = |entry: &Entry| {
            entry.group.as_ref().is_some_and(|group| it.tested(base, &group.commit) == Standing::Passed)
        };
        let first = entries.iter().take(rules.max.max(1));
        let count = if rules.all_green {
            first.take_while(|entry| passed(entry)).count()
        } else {
            first.enumerate().filter(|(_, entry)| passed(entry)).map(|(place, _)| place + 1).next_back().unwrap_or(0)
        };
        let waited = entries
            .first()
            .is_some_and(|entry| self.now() >= entry.enqueued_at + i64::from(rules.wait_minutes) * MINUTE);
        Ok((count > 0 && (count >= rules.min || waited)).then_some(count))
    }

    /// Makes the group of the next entry that may be tested; was there one?
    fn build(&mut self, repository: u64, base: &str) -> Result<bool, Error> {
        let it = self.repository(repository)?;
        let Some(rules) = it.queue_rules(base).cloned() else { return Ok(false) };
        let place = it.queue(base).iter().take(rules.build.max(1)).position(|entry| entry.group.is_none());
        let Some(place) = place else { return Ok(false) };
        let (number, actor) = (it.queue(base)[place].number, it.queue(base)[place].actor);
        let before = place.checked_sub(1).and_then(|before| it.queue(base)[before].group.as_ref());
        let parent = match before {
            Some(group) => Some(group.commit.clone()),
            None => it.git.branch(base)?,
        };
        let Some(parent) = parent else { return Ok(false) };
        let pull = it.pull(number)?;
        let commit = match self.landing(it, pull, &parent, actor, rules.method, Words::default()) {
            Ok(commit) => commit,
            Err(Error::NotAllowed(_)) => {
                self.throw_out(repository, base, number, MERGE_QUEUE, Out::Conflict)?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let branch = format!("gh-readonly-queue/{base}/pr-{number}-{parent}");
        let group = Group { base: parent, commit: commit.clone(), branch: branch.clone(), at: self.now() };
        let it = self.repository_mut(repository)?;
        if rules.method != Method::Rebase {
            it.signatures.insert(commit.clone(), "valid".into());
        }
        if let Some(entry) = it.queues.get_mut(base).and_then(|entries| entries.get_mut(place)) {
            entry.group = Some(group.clone());
        }
        self.repository(repository)?.git.set_ref(&format!("refs/heads/{branch}"), &commit)?;
        self.ref_changed(repository, &format!("refs/heads/{branch}"), ZERO, &commit, MERGE_QUEUE)?;
        self.tell_group(repository, base, &group, "checks_requested", None)?;
        Ok(true)
    }

    /// Fast-forwards the base over the first entries.
    fn merge_queued(&mut self, repository: u64, base: &str, count: usize) -> Result<(), Error> {
        let it = self.repository_mut(repository)?;
        let entries = it.queues.get_mut(base).map(|entries| entries.drain(..count.min(entries.len())).collect());
        let entries: Vec<Entry> = entries.unwrap_or_default();
        let method = it.queue_rules(base).map_or(Method::Merge, |rules| rules.method);
        let groups: Vec<(u64, Group)> =
            entries.into_iter().filter_map(|entry| Some((entry.number, entry.group?))).collect();
        let landed: Vec<(u64, String)> = groups.iter().map(|(number, it)| (*number, it.commit.clone())).collect();
        self.land(repository, base, MERGE_QUEUE, method, &landed)?;
        for (number, group) in &groups {
            self.tell_dequeued(repository, *number, MERGE_QUEUE, "MERGE")?;
            self.end_group(repository, base, group, "merged")?;
        }
        Ok(())
    }

    fn throw_out(&mut self, repository: u64, base: &str, number: u64, actor: u64, out: Out) -> Result<(), Error> {
        let it = self.repository_mut(repository)?;
        let Some(entries) = it.queues.get_mut(base) else { return Ok(()) };
        let Some(place) = entries.iter().position(|entry| entry.number == number) else { return Ok(()) };
        let entry = entries.remove(place);
        self.tell_dequeued(repository, number, actor, out.word())?;
        if let Some(group) = &entry.group {
            self.end_group(repository, base, group, "dequeued")?;
        }
        self.invalidate(repository, base, place)
    }

    /// What stands behind that place was built on what is no more.
    fn invalidate(&mut self, repository: u64, base: &str, from: usize) -> Result<(), Error> {
        let it = self.repository_mut(repository)?;
        let behind = it.queues.get_mut(base).map(|entries| entries.iter_mut().skip(from)).into_iter().flatten();
        let groups: Vec<Group> = behind.filter_map(|entry| entry.group.take()).collect();
        groups.iter().try_for_each(|group| self.end_group(repository, base, group, "invalidated"))
    }

    fn end_group(&mut self, repository: u64, base: &str, group: &Group, reason: &str) -> Result<(), Error> {
        self.tell_group(repository, base, group, "destroyed", Some(reason))?;
        let reference = format!("refs/heads/{}", group.branch);
        let it = self.repository(repository)?;
        if it.git.commit(&reference)?.is_some() {
            it.git.delete_ref(&reference)?;
            self.ref_changed(repository, &reference, &group.commit, ZERO, MERGE_QUEUE)?;
        }
        Ok(())
    }

    fn tell_dequeued(&mut self, repository: u64, number: u64, actor: u64, reason: &str) -> Result<(), Error> {
        self.tell_pull(repository, number, actor, "dequeued", &[("reason", json!(reason))])
    }

    fn tell_group(
        &mut self,
        repository: u64,
        base: &str,
        group: &Group,
        action: &str,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let commit = it.git.commit_object(&group.commit)?;
        let shaped = json!({
            "head_sha": group.commit,
            "head_ref": format!("refs/heads/{}", group.branch),
            "base_sha": group.base,
            "base_ref": format!("refs/heads/{base}"),
            "head_commit": commit.as_ref().map(shape::commit::simple),
        });
        let mut fields = Map::from_iter([("merge_group".to_owned(), shaped)]);
        fields.extend(reason.map(|reason| ("reason".to_owned(), Value::from(reason))));
        self.tell(repository, MERGE_QUEUE, "merge_group", Some(action), fields);
        Ok(())
    }
}
