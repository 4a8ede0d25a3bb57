//! Approving reviews: whose, for what, and of whom none is missing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::gate::{Gate, Outcome};
use model::id::CommitSha;
use model::pull::{GateFacts, Pushers, Review, ReviewState};
use model::requirement::Approvals;
use model::time::Timestamp;
use model::who::{Person, Who, listed};

use super::{PlanFacts, unknown};

/// The number of the word of whoever asked for exactly this plan; GitHub's are not negative.
const ASKED: i64 = -1;

/// Judges one rule.
pub(super) fn judge(rule: &Approvals, facts: &GateFacts, plan: &PlanFacts<'_>) -> Gate {
    let mut reviews = match facts.reviews.known() {
        Err(why) => return unknown("approvals", why).titled(format!("approvals of {}", rule.count)),
        Ok(reviews) => reviews.clone(),
    };
    let mut facts = Cow::Borrowed(facts);
    if let Some(asked) = plan.asked {
        let login = asked.login.to_ascii_lowercase();
        // Their word is newer than any approval of theirs; a later "no" is newer than their word.
        reviews.retain(|it| !it.author.eq_ignore_ascii_case(&login) || it.state != ReviewState::Approved);
        reviews.push(Review {
            id: ASKED,
            author: asked.login.to_owned(),
            bot: asked.bot,
            state: ReviewState::Approved,
            commit: Some(facts.head.clone()),
            submitted_at: asked.at,
        });
        if let Some(role) = asked.role {
            facts.to_mut().roles.entry(login).or_insert(role);
        }
    }
    let facts = facts.as_ref();
    let last = last_words(&reviews);
    let named = rule.counted();
    let (mut counted, mut any, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    let mut unsure = false;
    for review in last.values().copied().filter(|review| review.state == ReviewState::Approved) {
        if let Some(Aside { reason, unknown }) = set_aside(rule, review, facts, plan) {
            unsure |= unknown;
            dropped.push(format!("{} ({reason})", review.author));
            continue;
        }
        counted.push(review);
        if means(&named, review, facts) {
            any.push(review);
        } else if let Some(who) = named.iter().find(|who| who.means(&person(review, facts)).is_none()) {
            unsure = true;
            dropped.push(format!("{} (whether that is {who} could not be read)", review.author));
        } else {
            dropped.push(format!("{} (not {})", review.author, listed(&named)));
        }
    }
    let missing: Vec<&Who> =
        rule.all_of.iter().filter(|who| !counted.iter().any(|it| means([*who], it, facts))).collect();
    let against: Vec<&str> = last
        .values()
        .filter(|review| review.state == ReviewState::ChangesRequested)
        .filter(|review| might_count(rule, review, facts))
        .map(|review| review.author.as_str())
        .collect();
    let enough = any.len() >= usize::try_from(rule.count).unwrap_or(usize::MAX);
    let outcome = match (against.is_empty(), enough && missing.is_empty()) {
        (false, _) => Outcome::Fail,
        (true, true) => Outcome::Pass,
        (true, false) if unsure => Outcome::Fail,
        (true, false) => Outcome::Pending,
    };
    let mut told = Vec::new();
    if !any.is_empty() {
        told.push(format!("approved by {}", any.iter().map(|it| named_so(it)).collect::<Vec<_>>().join(", ")));
    }
    if !enough && !rule.any_of.is_empty() {
        told.push(format!("from {}", listed(&rule.any_of)));
    }
    if !missing.is_empty() {
        told.push(format!("nobody of {} approved", listed(missing)));
    }
    if !against.is_empty() {
        told.push(format!("{} asked for changes", against.join(", ")));
    }
    if !dropped.is_empty() {
        told.push(format!("not counted: {}", dropped.join(", ")));
    }
    let whose = if rule.any_of.is_empty() { String::new() } else { format!(" ({})", listed(&rule.any_of)) };
    let title = format!("approvals {} of {}{whose}", any.len().min(rule.count as usize), rule.count);
    let evidence = if told.is_empty() { "nobody approved".to_owned() } else { told.join("; ") };
    Gate::new("approvals", outcome, evidence).titled(title)
}

fn named_so(review: &Review) -> String {
    let how = if review.id == ASKED { ", who asked for it" } else { "" };
    format!("{}{how}", review.author)
}

/// The last review of each person that says yes, no, or was taken back; remarks change nothing.
fn last_words(reviews: &[Review]) -> BTreeMap<String, &Review> {
    let mut speaking: Vec<&Review> = reviews.iter().filter(|review| review.state != ReviewState::Commented).collect();
    speaking.sort_by_key(|review| (review.submitted_at, review.id));
    speaking.into_iter().map(|review| (review.author.to_ascii_lowercase(), review)).collect()
}

fn person<'a>(review: &'a Review, facts: &'a GateFacts) -> Person<'a> {
    let login = review.author.to_ascii_lowercase();
    Person {
        login: &review.author,
        bot: review.bot,
        role: facts.roles.get(&login).copied(),
        is_author: Some(facts.author.eq_ignore_ascii_case(&review.author)),
        teams: &facts.teams,
    }
}

fn means<'a>(who: impl IntoIterator<Item = &'a Who>, review: &Review, facts: &GateFacts) -> bool {
    who.into_iter().any(|who| who.means(&person(review, facts)) == Some(true))
}

/// Would an approval of this person count, as far as one knows?
fn might_count(rule: &Approvals, review: &Review, facts: &GateFacts) -> bool {
    let named = rule.counted();
    named.iter().chain(&rule.all_of).any(|who| who.means(&person(review, facts)) != Some(false))
}

/// Why an approval does not count.
struct Aside {
    reason: String,
    /// Because something is not known.
    unknown: bool,
}

/// Why an approval does not count, whoever gave it.
fn set_aside(rule: &Approvals, review: &Review, facts: &GateFacts, plan: &PlanFacts<'_>) -> Option<Aside> {
    let aside = |reason: String| Some(Aside { reason, unknown: false });
    let unsure = |reason: String| Some(Aside { reason, unknown: true });
    let same = |login: &str| login.eq_ignore_ascii_case(&review.author);
    // A workflow of the very change may hold a token that approves.
    let by_name = || rule.any_of.iter().chain(&rule.all_of).any(|who| matches!(who, Who::User(login) if same(login)));
    if review.bot && !by_name() {
        return aside("a program".to_owned());
    }
    if rule.not_author && same(&facts.author) {
        return aside("the author".to_owned());
    }
    if rule.not_pusher {
        match facts.pushers.known() {
            Err(why) => return unsure(format!("who pushed is {why}")),
            Ok(Pushers::Last(login)) if same(login) => return aside("pushed the head".to_owned()),
            Ok(Pushers::Last(_)) => {}
            Ok(Pushers::Committers { logins, unknown }) => {
                if let Some(commit) = unknown.first() {
                    return unsure(format!("who pushed is not known, and {} belongs to no account", commit.short()));
                }
                if logins.iter().any(|login| same(login)) {
                    return aside("has a commit in it, and who pushed is not known".to_owned());
                }
            }
        }
    }
    if review.id == ASKED {
        return None;
    }
    let Some(commit) = &review.commit else { return aside("for a commit that is not known any more".to_owned()) };
    if rule.on_latest_push && *commit != facts.head {
        return aside(format!("for {}, not for the newest push", commit.short()));
    }
    if plan.since.is_some_and(|since| review.submitted_at < since) {
        return aside(format!("given before the pull request went into `{}`", facts.base_branch));
    }
    match seen(plan, commit, review.submitted_at) {
        Some(fingerprint) if fingerprint == plan.fingerprint || plan.within == Some(fingerprint) => None,
        Some(_) => aside(format!("for another plan, at {}", commit.short())),
        None => aside(format!("for {}, of which no plan of this stack was shown", commit.short())),
    }
}

/// The fingerprint that the reviewer saw: the newest shown for the commit when the review was submitted; given
/// earlier, the first of that commit.
fn seen<'a>(plan: &PlanFacts<'a>, commit: &CommitSha, at: Timestamp) -> Option<&'a str> {
    let of_commit = || plan.shown.iter().filter(|shown| shown.head == *commit);
    let before = of_commit().filter(|shown| shown.at <= at).max_by_key(|shown| shown.at);
    before.or_else(|| of_commit().min_by_key(|shown| shown.at)).map(|shown| shown.fingerprint.as_str())
}
