//! Owns surprises by order: a push that comes while a client is reading. Never decides what an answer is.

use crate::FakeGitHub;
use crate::error::Error;
use crate::model::Model;
use crate::{outage, rest};

/// A branch that moves just before a request is answered.
#[derive(Debug)]
pub(crate) struct Surprise {
    route: String,
    repository: u64,
    branch: String,
    sha: String,
    actor: u64,
}

impl FakeGitHub {
    /// Just before the next request to this route (as in [`FakeGitHub::fail_next`]) is answered, somebody points the
    /// branch at that commit.
    ///
    /// # Errors
    /// There is no such route, repository or person.
    pub fn push_before_next(
        &self,
        route: &str,
        repository: &str,
        branch: &str,
        sha: &str,
        actor: &str,
    ) -> Result<(), Error> {
        if !rest::known(route) && route != "POST /graphql" {
            return Err(Error::Use(format!("the double has no route `{route}`")));
        }
        let mut model = self.shared.model();
        let (repository, actor) = (model.repository_id(repository)?, model.account(actor)?);
        let (route, branch, sha) = (route.to_owned(), branch.to_owned(), sha.to_owned());
        model.surprises.push(Surprise { route, repository, branch, sha, actor });
        Ok(())
    }
}

/// Lets happen what was ordered for this request.
pub(crate) fn happen(model: &mut Model, method: &str, path: &str) {
    let Some(place) = model.surprises.iter().position(|it| outage::concerns(&it.route, method, path)) else { return };
    let Surprise { repository, branch, sha, actor, .. } = model.surprises.remove(place);
    if let Err(error) = model.move_ref(repository, &format!("refs/heads/{branch}"), &sha, actor) {
        model.violation(format!("a push that was ordered could not be made: {error}"));
    }
}
