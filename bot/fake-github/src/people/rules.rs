//! What owners and administrators do: teams, classic protection, rulesets. Thin: every rule is the model's.

use crate::FakeGitHub;
use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::protection::Rules;

/// Teams. `organization` is a login, a team its slug. Members need not be owners of the organisation.
impl FakeGitHub {
    /// Makes a team of these people, below another one if `parent` names it.
    ///
    /// # Errors
    /// The slug is taken or cannot be one; there is no such organisation, parent or person.
    pub fn add_team(
        &self,
        organization: &str,
        slug: &str,
        parent: Option<&str>,
        members: &[&str],
    ) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let owner = model.account(organization)?;
        let members = members.iter().map(|login| model.account(login)).collect::<Result<Vec<u64>, Error>>()?;
        let id = model.add_team(owner, slug, parent)?;
        members.into_iter().try_for_each(|member| model.set_team_member(id, member, true))?;
        Ok(id)
    }

    /// Takes a person into a team, or out of it.
    ///
    /// # Errors
    /// There is no such organisation, team or person.
    pub fn set_team_member(&self, organization: &str, slug: &str, login: &str, member: bool) -> Result<(), Error> {
        self.team(organization, slug, |model, team| {
            let person = model.account(login)?;
            model.set_team_member(team, person, member)
        })
    }

    /// What a team may do on a repository; `None` takes it away.
    ///
    /// # Errors
    /// There is no such organisation, team or repository.
    pub fn set_team_permission(
        &self,
        organization: &str,
        slug: &str,
        repository: &str,
        role: impl Into<Option<Role>>,
    ) -> Result<(), Error> {
        self.team(organization, slug, |model, team| {
            let id = model.repository_id(repository)?;
            model.set_team_role(team, id, role.into())
        })
    }

    /// Deletes a team and those below it.
    ///
    /// # Errors
    /// There is no such organisation or team.
    pub fn remove_team(&self, organization: &str, slug: &str) -> Result<(), Error> {
        self.team(organization, slug, Model::remove_team)
    }

    fn team<T>(
        &self,
        organization: &str,
        slug: &str,
        run: impl FnOnce(&mut Model, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut model = self.shared.model();
        let id = model.team(model.account(organization)?, slug)?.id;
        run(&mut model, id)
    }
}

/// What branches ask for. The owner of the repository is told to have done it.
impl FakeGitHub {
    /// Classic protection of a branch, or of all that fit a pattern with `*`; a second time changes it.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn protect(&self, repository: &str, pattern: &str, rules: Rules) -> Result<(), Error> {
        self.owned(repository, |model, id, owner| model.protect(id, pattern, owner, Some(rules)))
    }

    /// Takes classic protection away.
    ///
    /// # Errors
    /// There is no such repository or protection.
    pub fn unprotect(&self, repository: &str, pattern: &str) -> Result<(), Error> {
        self.owned(repository, |model, id, owner| model.protect(id, pattern, owner, None))
    }

    /// A ruleset in force on `~DEFAULT_BRANCH`, `~ALL` or `refs/heads/…` with `*`; a second time changes it.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_ruleset(&self, repository: &str, name: &str, include: &str, rules: Rules) -> Result<(), Error> {
        self.owned(repository, |model, id, owner| model.set_ruleset(id, name, owner, Some((include, true, rules))))
    }

    /// Takes a ruleset out of force, and leaves it there.
    ///
    /// # Errors
    /// There is no such repository or ruleset.
    pub fn disable_ruleset(&self, repository: &str, name: &str) -> Result<(), Error> {
        self.owned(repository, |model, id, owner| {
            let found = model.repository(id)?.rulesets.iter().find(|it| it.name == name).cloned();
            let it = found.ok_or_else(|| Error::NotFound(format!("ruleset {name}")))?;
            model.set_ruleset(id, name, owner, Some((&it.include, false, it.rules)))
        })
    }

    /// Takes a ruleset away.
    ///
    /// # Errors
    /// There is no such repository or ruleset.
    pub fn remove_ruleset(&self, repository: &str, name: &str) -> Result<(), Error> {
        self.owned(repository, |model, id, owner| model.set_ruleset(id, name, owner, None))
    }

    /// An account that pays nothing has no rules for its private repositories, and GitHub says so.
    ///
    /// # Errors
    /// There is no such account.
    pub fn set_free(&self, login: &str, free: bool) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.account(login)?;
        model.accounts.get_mut(&id).ok_or_else(|| Error::NotFound(format!("account {login}")))?.free = free;
        Ok(())
    }

    fn owned<T>(
        &self,
        repository: &str,
        run: impl FnOnce(&mut Model, u64, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        let owner = model.repository(id)?.owner;
        run(&mut model, id, owner)
    }
}
