//! Who reviewed, with which right and in which team; who pushed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::http::Method;
use model::id::CommitSha;
use model::ports::{ForgeError, ForgeRead as _};
use model::pull::{Fact, GateWants, Pushers, Review, ReviewState, Role};
use model::who::Teams;
use serde::Deserialize;

use super::{Place, if_wanted, readable};
use crate::github::auth::Scope;
use crate::github::client::Who;
use crate::github::read::{escaped, person};
use crate::github::shape::{self, commit, time};

/// Questions about people under way at once.
const AT_ONCE: usize = 8;
/// A team that fills all pages of its list may have more members.
const LARGEST_TEAM: usize = 10_000;

pub(super) struct People {
    pub(super) reviews: Fact<Vec<Review>>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) teams: Teams,
    pub(super) pushers: Fact<Pushers>,
}

#[derive(Deserialize)]
struct ReviewShape {
    id: i64,
    user: Option<shape::User>,
    state: String,
    commit_id: Option<String>,
    /// Absent for one that its author has not submitted yet.
    submitted_at: Option<String>,
}

#[derive(Deserialize)]
struct Activity {
    after: String,
    actor: Option<shape::User>,
}

#[derive(Deserialize)]
struct CommitShape {
    sha: String,
    author: Option<Account>,
    committer: Option<Account>,
}

/// GitHub writes `{}` for some commits without an account.
#[derive(Deserialize)]
struct Account {
    login: Option<String>,
}

pub(super) async fn read(place: &Place<'_>, wants: &GateWants) -> Result<People, ForgeError> {
    let reviews_and_roles = async {
        let reviews =
            if_wanted(wants.reviews, async { readable(reviews(place).await, "reviews", "Pull requests: read") });
        let reviews = reviews.await?;
        let reviewed: &[Review] = if let Fact::Is(reviews) = &reviews { reviews } else { &[] };
        let roles = roles(place, reviewed, &wants.people).await?;
        Ok((reviews, roles))
    };
    let pushers = if_wanted(wants.pusher, pushers(place));
    let ((reviews, roles), teams, pushers) = tokio::try_join!(reviews_and_roles, teams(place, &wants.teams), pushers)?;
    Ok(People { reviews, roles, teams, pushers })
}

async fn reviews(place: &Place<'_>) -> Result<Vec<Review>, ForgeError> {
    let path = format!("/repos/{}/pulls/{}/reviews", place.repo.name, place.pull.number);
    let pick = |page| shape::read::<Vec<ReviewShape>>("reviews", page);
    let listed = place.github.repo_pages(place.repo, Scope::Read, &path, pick).await?;
    let mut reviews = Vec::new();
    for it in listed {
        let Some(submitted_at) = it.submitted_at else { continue };
        let state = match it.state.as_str() {
            "APPROVED" => ReviewState::Approved,
            "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
            "DISMISSED" => ReviewState::Dismissed,
            "COMMENTED" => ReviewState::Commented,
            other => {
                return Err(ForgeError::Bug { message: format!("a review with the unknown state {other:?}") });
            }
        };
        let (author, bot) = person(it.user);
        let commit = it.commit_id.as_deref().map(commit).transpose()?;
        reviews.push(Review { id: it.id, author, bot, state, commit, submitted_at: time(&submitted_at)? });
    }
    reviews.sort_by_key(|it| (it.submitted_at, it.id));
    Ok(reviews)
}

/// Rights of those whose word may count. Who may not be asked about is left out, so that nobody takes it for "none".
async fn roles(
    place: &Place<'_>,
    reviews: &[Review],
    people: &BTreeSet<String>,
) -> Result<BTreeMap<String, Role>, ForgeError> {
    let counts = |it: &&Review| matches!(it.state, ReviewState::Approved | ReviewState::ChangesRequested);
    let reviewers = reviews.iter().filter(counts).map(|it| it.author.to_ascii_lowercase());
    let logins: BTreeSet<String> = reviewers.chain(people.iter().cloned()).collect();
    let asked = stream::iter(logins).map(|login| async move {
        match place.github.role(place.repo, &login).await {
            Ok(role) => Ok(Some((login, role))),
            Err(ForgeError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let known: Vec<Option<(String, Role)>> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(known.into_iter().flatten().collect())
}

/// Members of the teams; GitHub's list holds those of child teams as well.
async fn teams(place: &Place<'_>, slugs: &BTreeSet<String>) -> Result<Teams, ForgeError> {
    let asked = stream::iter(slugs.clone()).map(|slug| async move {
        let path = format!("/orgs/{}/teams/{}/members", place.repo.name.owner(), escaped(&slug));
        let pick = |page| shape::read::<Vec<shape::User>>("members", page);
        match place.github.repo_pages(place.repo, Scope::Members, &path, pick).await {
            Ok(members) => Ok((slug, Some(members).filter(|all| all.len() < LARGEST_TEAM))),
            Err(ForgeError::Denied { .. } | ForgeError::Gone { .. }) => Ok((slug, None)),
            Err(error) => Err(error),
        }
    });
    let mut teams = Teams::default();
    for (slug, members) in asked.buffered(AT_ONCE).try_collect::<Vec<_>>().await? {
        teams.note(&slug, members.as_ref().map(|all| all.iter().map(|it| it.login.as_str())));
    }
    Ok(teams)
}

/// The account that pushed the head. A fork's pushes are not told, and a program pushes for somebody: then it may have
/// been everyone with a commit.
async fn pushers(place: &Place<'_>) -> Result<Fact<Pushers>, ForgeError> {
    let last = if place.pull.fork { None } else { last_pusher(place).await? };
    if let Some((login, false)) = last {
        return Ok(Fact::Is(Pushers::Last(login)));
    }
    let committers = committers(place).await;
    let mut pushers = readable(committers, "commits of the pull request", "Pull requests: read")?;
    if let (Fact::Is(Pushers::Committers { logins, .. }), Some((login, _))) = (&mut pushers, last) {
        logins.insert(login);
    }
    if let Fact::Is(Pushers::Committers { logins, unknown }) = &pushers {
        let listed = logins.len() + unknown.len();
        if listed == 0 {
            return Ok(Fact::Unreadable("GitHub lists no commit of the pull request; push again".to_owned()));
        }
    }
    Ok(pushers)
}

/// The account that made the branch point to the head, and whether it is a program's; `None` when nobody can tell.
async fn last_pusher(place: &Place<'_>) -> Result<Option<(String, bool)>, ForgeError> {
    let reference = escaped(&format!("refs/heads/{}", place.pull.head_branch));
    let path = format!("/repos/{}/activity?ref={reference}&per_page=100", place.repo.name);
    let listed = match place.github.call(Who::Repo(place.repo, Scope::Read), Method::GET, &path, None).await {
        Ok(answer) => shape::read::<Vec<Activity>>("activity", answer.body)?,
        Err(ForgeError::Denied { .. } | ForgeError::Gone { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let newest = listed.into_iter().find(|it| it.after == place.pull.head.as_str());
    Ok(newest.and_then(|it| it.actor).map(|actor| person(Some(actor))))
}

async fn committers(place: &Place<'_>) -> Result<Pushers, ForgeError> {
    let path = format!("/repos/{}/pulls/{}/commits", place.repo.name, place.pull.number);
    let pick = |page| shape::read::<Vec<CommitShape>>("commits", page);
    let listed = place.github.repo_pages(place.repo, Scope::Read, &path, pick).await?;
    let (mut logins, mut unknown): (BTreeSet<String>, Vec<CommitSha>) = Default::default();
    if u64::try_from(listed.len()).unwrap_or(u64::MAX) < place.commits {
        let message = format!("GitHub lists {} of its {} commits only", listed.len(), place.commits);
        return Err(ForgeError::Denied { message });
    }
    for it in listed {
        let named = [it.author, it.committer].map(|account| account.and_then(|account| account.login));
        if named.iter().any(Option::is_none) {
            unknown.push(commit(&it.sha)?);
        }
        logins.extend(named.into_iter().flatten());
    }
    Ok(Pushers::Committers { logins, unknown })
}
