//! Owns requests for reviews, of people and of teams, and approvals that a push takes away.

use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::owners::Owner;
use crate::model::review::ReviewState;
use crate::shape;

impl Model {
    /// Asks for reviews. The author cannot be asked, nor who may not read the repository.
    pub(crate) fn ask_reviews(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        asked: impl IntoIterator<Item = Owner>,
    ) -> Result<(), Error> {
        for owner in asked {
            let it = self.repository(repository)?;
            let pull = it.pull(number)?;
            let refuse = |message: &str| Error::Unprocessable { message: message.into(), errors: Vec::new() };
            match owner {
                Owner::Person(id) if id == pull.author => {
                    return Err(refuse("Review cannot be requested from pull request author."));
                }
                Owner::Person(id) if self.role(id, it) < Some(Role::Read) => {
                    return Err(refuse(
                        "Reviews may only be requested from collaborators. One or more of the users or teams you \
                         specified is not a collaborator of the repository.",
                    ));
                }
                _ => {}
            }
            let pull = self.repository_mut(repository)?.pull_mut(number)?;
            if pull.asked.insert(owner) {
                self.tell_asked(repository, number, actor, owner, "review_requested")?;
            }
        }
        Ok(())
    }

    /// Asks no more.
    pub(crate) fn unask_reviews(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        asked: impl IntoIterator<Item = Owner>,
    ) -> Result<(), Error> {
        for owner in asked {
            let pull = self.repository_mut(repository)?.pull_mut(number)?;
            if pull.asked.remove(&owner) {
                self.tell_asked(repository, number, actor, owner, "review_request_removed")?;
            }
        }
        Ok(())
    }

    /// Code owners are asked by GitHub itself, once the pull request is no draft.
    pub(crate) fn ask_owners(&mut self, repository: u64, number: u64, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        if pull.draft {
            return Ok(());
        }
        let owners = self.asked_owners(it, pull)?;
        self.ask_reviews(repository, number, actor, owners)
    }

    /// A push takes approvals away where a rule says so.
    pub(crate) fn dismiss_stale(&mut self, repository: u64, number: u64, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        if !it.rules_on(&pull.base_ref).iter().any(|rules| rules.dismiss_stale) {
            return Ok(());
        }
        let stale = pull.reviews.iter().filter(|review| review.state == ReviewState::Approved);
        for id in stale.map(|review| review.id).collect::<Vec<_>>() {
            self.dismiss_review(repository, number, id, actor)?;
        }
        Ok(())
    }

    fn tell_asked(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        owner: Owner,
        action: &str,
    ) -> Result<(), Error> {
        let (field, value) = match owner {
            Owner::Person(id) => ("requested_reviewer", shape::user::user(self, id)),
            Owner::Team(id) => {
                let team = self.teams.get(&id).ok_or_else(|| Error::NotFound(format!("team {id}")))?;
                ("requested_team", shape::team::team(self, team, shape::Form::Webhook))
            }
        };
        self.tell_pull(repository, number, actor, action, &[(field, value)])
    }
}
