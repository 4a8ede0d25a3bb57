//! What happens in the demo: who does what, what GitHub shows then, and whether that is what should be there.
//!
//! Invariant: every line about a check or a comment was read back over HTTP; nothing is printed that nobody saw.

use std::io::Write;
use std::time::Duration;

use fake_github::{Change, FakeGitHub, NewPull, Verdict};
use model::ports::Clock as _;
use model::time::Timestamp;

use super::sample::{CACHE, File, MAIL, MAIL_FILE, NAME, OWNER, REPOSITORY, SLIP};
use crate::app::onlooker::{Onlooker, Seen, SeenCheck, SeenComment};
use crate::clock::SystemClock;
use crate::render::words;

/// One act may take so long.
const BOUND: Duration = Duration::from_secs(300);
/// The aggregate check.
const PLAN: &str = "buildit/plan";
/// The check of applies.
const APPLY: &str = "buildit/apply";
/// Who writes our comments.
const BOT: &str = "buildit[bot]";

/// The double, a person's eyes on it, and where it is told.
pub(super) struct Story<'a> {
    pub(super) github: &'a FakeGitHub,
    pub(super) eyes: Onlooker,
    pub(super) clock: SystemClock,
    pub(super) out: &'a mut dyn Write,
    /// The acts of the apply were played.
    pub(super) applied: bool,
    /// What should have happened and did not.
    pub(super) missing: Vec<String>,
}

impl Story<'_> {
    /// All acts, in order.
    pub(super) async fn tell(&mut self) -> anyhow::Result<()> {
        let first = self.a_cache().await?;
        self.an_owner(&first).await?;
        // Nobody approves what has no plan, and nothing would come of it.
        if self.missing.is_empty() {
            self.an_approval().await?;
            self.an_apply().await?;
            self.a_merge().await?;
            self.a_name().await?;
        }
        self.a_slip().await?;
        self.doors();
        Ok(())
    }

    async fn a_cache(&mut self) -> anyhow::Result<Seen> {
        self.title(1, "ana opens pull request 1, \"Add a cache\"")?;
        let began = self.clock.now();
        self.push("ana", "cache", "Add a cache", &CACHE)?;
        self.open("ana", "cache", "Add a cache", "A small cache beside the web servers, in a subnet of its own.")?;
        let seen = self.concluded(1, began).await?;
        self.expect(title(&seen, PLAN).starts_with("2 of 2 stacks change"), "1: two stacks change");
        for stack in ["cache", "network"] {
            let check = seen.check(&format!("plan: {stack}"));
            self.expect(check.is_some_and(|check| is(check, "success")), &format!("1: {stack} has a plan"));
        }
        self.expect(seen.check("plan: dns").is_none(), "1: dns is not affected");
        let body = only_comment(&seen).map_or("", |comment| &comment.body);
        self.expect(body.contains("+ terraform_data.node[0]"), "1: one comment shows what is added");
        Ok(seen)
    }

    async fn an_owner(&mut self, before: &Seen) -> anyhow::Result<()> {
        self.title(2, "ana pushes \"Set an owner\"")?;
        let began = self.clock.now();
        self.push("ana", "cache", "Set an owner", &OWNER)?;
        let seen = self.concluded(1, began).await?;
        for stack in ["cache", "network"] {
            let sentence = seen.check(&format!("plan: {stack}")).and_then(since_last).unwrap_or_default().to_owned();
            writeln!(self.out, "       {stack:<16} {sentence}")?;
            let right = match stack {
                "network" => sentence.ends_with("same plan."),
                _ => sentence.contains("`terraform_data.settings`"),
            };
            self.expect(right, &format!("2: {stack} is compared with the plan before"));
        }
        self.expect(seen.head != before.head, "2: the head moved");
        let edited = match (only_comment(before), only_comment(&seen)) {
            (Some(old), Some(new)) => old.id == new.id && old.body != new.body,
            _ => false,
        };
        if edited {
            writeln!(self.out, "       {:<16} edited: the same one", "comment")?;
        }
        self.expect(edited, "2: the one comment was edited");
        Ok(())
    }

    async fn an_approval(&mut self) -> anyhow::Result<()> {
        self.applied = true;
        self.title(3, "ben approves")?;
        self.eyes.reads().await;
        self.github.review(REPOSITORY, 1, "ben", Verdict::Approve, "Small and clear.")?;
        let ready = |seen: &Seen| title(seen, APPLY).starts_with("Ready");
        let seen = self.until(1, "3: the apply is ready", ready).await?;
        self.check(&seen, APPLY)
    }

    async fn an_apply(&mut self) -> anyhow::Result<()> {
        self.title(4, "ana comments \"buildit apply\"")?;
        self.eyes.reads().await;
        self.github.comment(REPOSITORY, 1, "ana", "buildit apply")?;
        let ended = |seen: &Seen| seen.check(APPLY).is_some_and(|check| check.status == "completed");
        let seen = self.until(1, "4: the apply ends", ended).await?;
        self.check(&seen, APPLY)?;
        let applied = seen.check(APPLY).map(|check| applied(check)).unwrap_or_default();
        for (stack, what) in &applied {
            writeln!(self.out, "       {stack:<16} applied {what}")?;
        }
        let names: Vec<&str> = applied.iter().map(|(stack, _)| *stack).collect();
        self.expect(names == ["cache", "network"], "4: both stacks are applied");
        Ok(())
    }

    async fn a_merge(&mut self) -> anyhow::Result<()> {
        self.title(5, "all of it is applied: BuildIt merges it, and its locks go")?;
        let seen = self.until(1, "5: it is merged", |seen| seen.merged).await?;
        if seen.merged {
            writeln!(self.out, "       {:<16} merged", "pull request 1")?;
        }
        Ok(())
    }

    async fn a_name(&mut self) -> anyhow::Result<()> {
        self.title(6, "ben opens pull request 2, \"Add a name\"")?;
        let began = self.clock.now();
        self.push("ben", "name", "Add a name", &NAME)?;
        self.open("ben", "name", "Add a name", "People want to see whether the shop is up.")?;
        self.concluded(2, began).await?;
        let waits = |seen: &Seen| title(seen, APPLY).contains("approvals 0 of 1");
        self.until(2, "6: it waits for an approval", waits).await.map(drop)
    }

    async fn a_slip(&mut self) -> anyhow::Result<()> {
        self.title(7, "ben opens pull request 3, \"Route the mail\"")?;
        let began = self.clock.now();
        self.push("ben", "mail", "Route the mail", &MAIL)?;
        self.open("ben", "mail", "Route the mail", "Mail for the shop goes to the new host.")?;
        let number = if self.applied { 3 } else { 2 };
        let seen = self.concluded(number, began).await?;
        self.expect(seen.check(PLAN).is_some_and(|check| is(check, "failure")), "7: the plan fails");
        let (line, wrong, _) = SLIP;
        let body = only_comment(&seen).map_or("", |comment| &comment.body);
        let named = body.lines().find(|it| it.contains("dns/mail.tf") && it.contains(&line.to_string()));
        self.expect(named.is_some(), &format!("7: the comment names {MAIL_FILE} line {line}"));
        self.expect(body.contains(wrong), &format!("7: the comment shows {wrong}"));
        Ok(())
    }

    /// Webhooks that were refused, requests that GitHub would not have taken.
    fn doors(&mut self) {
        for delivery in self.github.deliveries() {
            let taken = delivery.status == Some(202);
            self.expect(taken, &format!("the webhook {} was answered {:?}", delivery.event, delivery.status));
        }
        for violation in self.github.violations() {
            self.missing.push(format!("a request that GitHub would refuse: {violation}"));
        }
    }

    fn title(&mut self, number: u32, what: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "  {number}  {what}")?)
    }

    fn expect(&mut self, holds: bool, what: &str) {
        if !holds {
            self.missing.push(what.to_owned());
        }
    }

    fn push(&self, who: &str, branch: &str, message: &str, files: &[File]) -> anyhow::Result<()> {
        let changes: Vec<Change> = files.iter().map(|(path, text)| Change::write(*path, text)).collect();
        self.github.commit_files(REPOSITORY, branch, who, message, &changes)?;
        Ok(())
    }

    fn open(&self, who: &str, branch: &str, title: &str, body: &str) -> anyhow::Result<()> {
        let pull = NewPull {
            title: title.to_owned(),
            body: Some(body.to_owned()),
            head: branch.to_owned(),
            base: "main".to_owned(),
            draft: false,
        };
        self.github.open_pull(REPOSITORY, who, &pull)?;
        Ok(())
    }

    /// Waits for a state of a pull request; one that does not come is told at the end.
    async fn until(&mut self, number: u64, what: &str, holds: impl Fn(&Seen) -> bool) -> anyhow::Result<Seen> {
        Ok(match self.eyes.until(REPOSITORY, number, BOUND, holds).await? {
            Ok(seen) => seen,
            Err(seen) => {
                self.missing.push(what.to_owned());
                seen
            }
        })
    }

    /// Tells of one check.
    fn check(&mut self, seen: &Seen, name: &str) -> anyhow::Result<()> {
        if let Some(check) = seen.check(name) {
            let line = format!("       {:<16} {:<8} {}", check.name, word(check), check.title);
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Waits until the head has its verdict and the comment is about it; then tells what stands there.
    async fn concluded(&mut self, number: u64, began: Timestamp) -> anyhow::Result<Seen> {
        let looked = self.eyes.until(REPOSITORY, number, BOUND, is_concluded).await?;
        let took = u64::try_from(self.clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
        let seen = match looked {
            Ok(seen) => seen,
            Err(seen) => {
                self.missing.push(format!("pull request {number} had no verdict after {} s", BOUND.as_secs()));
                seen
            }
        };
        let mut checks: Vec<&SeenCheck> = seen.checks.iter().collect();
        checks.sort_by_key(|check| (check.name != PLAN, &check.name));
        for check in checks {
            let time = if check.name == PLAN { words::duration(took) } else { String::new() };
            let line = format!("       {:<16} {:<8} {:<46} {time}", check.name, word(check), check.title);
            writeln!(self.out, "{}", line.trim_end())?;
        }
        self.expect(only_comment(&seen).is_some(), &format!("pull request {number} has exactly one comment of ours"));
        for check in &seen.checks {
            let url = check.details_url.clone().unwrap_or_default();
            let opens = self.eyes.opens(&url).await;
            self.expect(opens, &format!("the details of {} open ({url})", check.name));
        }
        Ok(seen)
    }
}

/// Has the newest head a conclusion, and does the comment speak about that head?
fn is_concluded(seen: &Seen) -> bool {
    // The apply waits for people.
    let mut plans = seen.checks.iter().filter(|check| check.name != APPLY);
    let done = !seen.checks.is_empty() && plans.all(|check| check.status == "completed");
    let short = seen.head.get(..7).unwrap_or(&seen.head);
    done && seen.check(PLAN).is_some() && only_comment(seen).is_some_and(|comment| comment.body.contains(short))
}

fn only_comment(seen: &Seen) -> Option<&SeenComment> {
    let mut ours = seen.comments.iter().filter(|comment| comment.author == BOT);
    let first = ours.next()?;
    ours.next().is_none().then_some(first)
}

fn title<'s>(seen: &'s Seen, name: &str) -> &'s str {
    seen.check(name).map_or("", |check| &check.title)
}

fn is(check: &SeenCheck, conclusion: &str) -> bool {
    check.conclusion.as_deref() == Some(conclusion)
}

fn word(check: &SeenCheck) -> &str {
    match check.conclusion.as_deref() {
        Some("success") => "ok",
        Some("failure" | "timed_out") => "failed",
        Some("action_required") => "decide",
        Some(other) => other,
        None => "waits",
    }
}

/// What the check of applies says of each stack that is applied: "- cache: [applied, 3 of 3 changes](…)".
fn applied(check: &SeenCheck) -> Vec<(&str, &str)> {
    let told = check.summary.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": [applied, "));
    told.map(|(stack, rest)| (stack, rest.split(']').next().unwrap_or_default())).collect()
}

/// The check's comparison with the plan before.
fn since_last(check: &SeenCheck) -> Option<&str> {
    check.summary.lines().find(|line| line.starts_with("Since your last push"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: &str) -> SeenCheck {
        SeenCheck {
            name: PLAN.to_owned(),
            status: status.to_owned(),
            conclusion: None,
            title: String::new(),
            summary: String::new(),
            details_url: None,
        }
    }

    fn comment(author: &str, body: &str) -> SeenComment {
        SeenComment { id: 1, author: author.to_owned(), body: body.to_owned() }
    }

    #[test]
    fn a_verdict_is_of_this_head_and_in_one_comment() {
        let head = "a1b2c3d".repeat(5);
        let seen = |checks: Vec<SeenCheck>, comments: Vec<SeenComment>| Seen {
            head: head.clone(),
            merged: false,
            checks,
            comments,
        };
        let ours = || comment(BOT, "a1b2c3d on main");
        assert!(is_concluded(&seen(vec![check("completed")], vec![comment("ana", "hi"), ours()])));
        assert!(!is_concluded(&seen(vec![], vec![ours()])), "no check yet");
        assert!(!is_concluded(&seen(vec![check("completed"), check("in_progress")], vec![ours()])), "one runs");
        assert!(!is_concluded(&seen(vec![check("completed")], vec![])), "no comment yet");
        assert!(!is_concluded(&seen(vec![check("completed")], vec![comment(BOT, "0000000")])), "of an older head");
        assert!(!is_concluded(&seen(vec![check("completed")], vec![ours(), ours()])), "two comments");
    }
}
