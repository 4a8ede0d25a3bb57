//! Owns what follows from a moved ref: the `push` webhook, check suites, new heads of pull requests, merges by push.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::git::ZERO;
use crate::model::Model;
use crate::shape;

impl Model {
    /// Called after a ref of a repository was moved by anything.
    pub(crate) fn ref_changed(
        &mut self,
        repository: u64,
        reference: &str,
        before: &str,
        after: &str,
        actor: u64,
    ) -> Result<(), Error> {
        if before == after || reference.starts_with("refs/pull/") {
            return Ok(());
        }
        let now = self.now();
        let it = self.repository_mut(repository)?;
        (it.pushed_at, it.updated_at) = (now, now);
        self.settle_default_branch(repository, reference)?;
        self.note_activity(repository, reference, before, after, actor)?;
        self.tell_push(repository, reference, before, after, actor)?;
        let Some(branch) = reference.strip_prefix("refs/heads/") else { return Ok(()) };
        if after != ZERO {
            self.suites_for_push(repository, branch, before, after, actor)?;
        }
        self.heads_moved(repository, branch, before, after, actor)?;
        self.bases_moved(repository, branch, after, actor)?;
        self.settle_queue(repository, branch)
    }

    /// The first branch of an empty repository becomes its default, as on GitHub.
    fn settle_default_branch(&mut self, repository: u64, reference: &str) -> Result<(), Error> {
        let it = self.repository_mut(repository)?;
        let Some(branch) = reference.strip_prefix("refs/heads/") else { return Ok(()) };
        if branch != it.default_branch
            && it.git.branch(&it.default_branch)?.is_none()
            && it.git.branch(branch)?.is_some()
        {
            it.git.set_head(branch)?;
            it.default_branch = branch.to_owned();
        }
        Ok(())
    }

    fn tell_push(
        &mut self,
        repository: u64,
        reference: &str,
        before: &str,
        after: &str,
        actor: u64,
    ) -> Result<(), Error> {
        let (created, deleted) = (before == ZERO, after == ZERO);
        let it = self.repository(repository)?;
        let from = if created {
            it.git.branch(&it.default_branch)?.filter(|sha| sha != after)
        } else {
            Some(before.to_owned())
        };
        let commits = if deleted { Vec::new() } else { it.git.log(from.as_deref(), after, 20)? };
        let forced = !created && !deleted && !it.git.is_ancestor(before, after)?;
        let shaped: Vec<Value> =
            commits.iter().map(|commit| shape::commit::pushed(self, it, commit)).collect::<Result<_, _>>()?;
        let head = if deleted {
            Value::Null
        } else {
            match (shaped.last(), it.git.commit_object(after)?) {
                (Some(last), _) => last.clone(),
                (None, Some(commit)) => shape::commit::pushed(self, it, &commit)?,
                (None, None) => Value::Null,
            }
        };
        let url = format!("{}/{}", self.url, self.full_name(it));
        let login = self.login(actor);
        let mut fields = Map::new();
        for (name, value) in [
            ("ref", json!(reference)),
            ("before", json!(before)),
            ("after", json!(after)),
            ("created", json!(created)),
            ("deleted", json!(deleted)),
            ("forced", json!(forced)),
            ("base_ref", Value::Null),
            ("compare", json!(format!("{url}/compare/{before}...{after}"))),
            ("commits", json!(shaped)),
            ("head_commit", head),
            ("pusher", json!({"name": login, "email": format!("{login}@users.noreply.github.com")})),
        ] {
            fields.insert(name.into(), value);
        }
        self.tell(repository, actor, "push", None, fields);
        Ok(())
    }

    /// Pull requests whose head is this branch follow it, or close when it is gone.
    fn heads_moved(
        &mut self,
        head_repository: u64,
        branch: &str,
        before: &str,
        after: &str,
        actor: u64,
    ) -> Result<(), Error> {
        let mut touched = Vec::new();
        for (base, it) in &self.repositories {
            for pull in it.pulls.values().filter(|pull| pull.is_open()) {
                if pull.head_repository == Some(head_repository) && pull.head_ref == branch {
                    touched.push((*base, pull.number));
                }
            }
        }
        for (base, number) in touched {
            if after == ZERO {
                self.close_pull(base, number, actor)?;
                continue;
            }
            self.leave_queue(base, number, actor)?;
            self.take_head(base, number, head_repository, after)?;
            if self.merged_by_push(base, number, actor)? {
                continue;
            }
            self.refresh_merge(base, number)?;
            let more = [("before", json!(before)), ("after", json!(after))];
            self.tell_pull(base, number, actor, "synchronize", &more)?;
            self.dismiss_stale(base, number, actor)?;
        }
        Ok(())
    }

    /// Pull requests into this branch get a new test merge, or are merged when their head is in it, or
    /// close when it is gone.
    fn bases_moved(&mut self, repository: u64, branch: &str, after: &str, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let numbers: Vec<u64> = it
            .pulls
            .values()
            .filter(|pull| pull.is_open() && pull.base_ref == branch)
            .map(|pull| pull.number)
            .collect();
        for number in numbers {
            if after == ZERO {
                self.close_pull(repository, number, actor)?;
            } else if !self.merged_by_push(repository, number, actor)? {
                self.refresh_merge(repository, number)?;
            }
        }
        Ok(())
    }
}
