//! Facts for gates, all of one head.
//!
//! Invariant: what cannot be read says so and is never taken for "no". Must never judge: `reconciler::gate` does.

mod checks;
mod people;
mod rules;
mod talk;

use model::id::PullNumber;
use model::ports::ForgeError;
use model::pull::{Fact, GateFacts, GateWants, PullSnapshot, RepoSnapshot};

use super::client::GitHub;

/// How GitHub says that a permission is missing: of a token that is asked for, and of one that is used.
const MISSING: [&str; 2] =
    ["permissions requested are not granted to this installation", "Resource not accessible by integration"];

/// Of what facts are read.
struct Place<'a> {
    github: &'a GitHub,
    repo: &'a RepoSnapshot,
    pull: &'a PullSnapshot,
    /// How many commits GitHub counts in the pull request.
    commits: u64,
}

/// Reads what is wanted between two readings of the pull request.
pub(super) async fn gather(
    github: &GitHub,
    repo: &RepoSnapshot,
    number: PullNumber,
    wants: &GateWants,
) -> Result<GateFacts, ForgeError> {
    let before = github.read_pull(repo, number).await?;
    let place = Place { github, repo, pull: &before.snapshot, commits: before.commits };
    let (people, rules, checks, talk) = tokio::try_join!(
        people::read(&place, wants),
        rules::read(&place, wants),
        checks::read(&place, wants),
        talk::read(&place, wants),
    )?;
    // The second reading brings what GitHub computed meanwhile, and shows whether all is of one head.
    let after = github.read_pull(repo, number).await?;
    let (old, new) = (&before.snapshot, &after.snapshot);
    if (&old.head, &old.base_branch) != (&new.head, &new.base_branch) {
        let message = format!("pull request {number} changed while it was read");
        return Err(ForgeError::Passing { message });
    }
    Ok(GateFacts {
        mergeable_state: after.mergeable_state,
        protected: rules.protected,
        reviews: people.reviews,
        roles: people.roles,
        teams: people.teams,
        pushers: people.pushers,
        decision: talk.decision,
        code_owner_rule: rules.code_owner_rule,
        required: rules.required,
        checks,
        unresolved: talk.unresolved,
        unsigned: talk.unsigned,
        ..GateFacts::of(&after.snapshot, wants)
    })
}

/// A fact, where the App may read it. `what` is in the plural, `permission` as GitHub's settings name it.
fn readable<T>(read: Result<T, ForgeError>, what: &str, permission: &str) -> Result<Fact<T>, ForgeError> {
    match read {
        Ok(value) => Ok(Fact::Is(value)),
        Err(ForgeError::Denied { message }) => Ok(Fact::Unreadable(unreadable(what, permission, &message))),
        Err(ForgeError::Gone { what: asked }) => {
            Ok(Fact::Unreadable(unreadable(what, permission, &format!("{asked}: not found (404)"))))
        }
        Err(error) => Err(error),
    }
}

fn unreadable(what: &str, permission: &str, why: &str) -> String {
    let help = format!("give the App the permission \"{permission}\" and accept it where it is installed");
    // GitHub's words where they say no more than this.
    match MISSING.iter().any(|words| why.contains(words)) {
        true => format!("{what} cannot be read; {help}"),
        false => format!("{what} cannot be read ({why}); {help}"),
    }
}

/// What was read where it was wanted.
async fn if_wanted<T>(
    wanted: bool,
    read: impl Future<Output = Result<Fact<T>, ForgeError>>,
) -> Result<Fact<T>, ForgeError> {
    if wanted { read.await } else { Ok(Fact::NotAsked) }
}
