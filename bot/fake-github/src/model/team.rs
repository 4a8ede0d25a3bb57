//! Owns teams of organisations: who is in them, their child teams, and what they may do on repositories.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, json};

use crate::error::Error;
use crate::model::Model;
use crate::model::account::{Kind, Role};
use crate::model::repository::Repository;
use crate::shape;

#[derive(Debug, Clone)]
pub(crate) struct Team {
    pub(crate) id: u64,
    pub(crate) organization: u64,
    pub(crate) slug: String,
    pub(crate) parent: Option<u64>,
    /// Its own; those of child teams are members too.
    pub(crate) members: BTreeSet<u64>,
    pub(crate) repositories: BTreeMap<u64, Role>,
    pub(crate) created_at: i64,
}

impl Model {
    pub(crate) fn add_team(&mut self, organization: u64, slug: &str, parent: Option<&str>) -> Result<u64, Error> {
        if self.accounts.get(&organization).is_none_or(|it| it.kind != Kind::Organization) {
            return Err(Error::Use(format!("{} is no organisation", self.login(organization))));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if slug.is_empty() || !slug.chars().all(plain) {
            return Err(Error::Use(format!("`{slug}` cannot be a slug: small letters, digits, - and _ only")));
        }
        if self.team(organization, slug).is_ok() {
            return Err(Error::invalid("Team", "name", "Name must be unique for this org"));
        }
        let parent = parent.map(|slug| self.team(organization, slug).map(|team| team.id)).transpose()?;
        let (id, created_at) = (self.id(), self.now());
        let (slug, members, repositories) = (slug.to_owned(), BTreeSet::new(), BTreeMap::new());
        self.teams.insert(id, Team { id, organization, slug, parent, members, repositories, created_at });
        self.tell_team(id, "created", None)?;
        Ok(id)
    }

    pub(crate) fn team(&self, organization: u64, slug: &str) -> Result<&Team, Error> {
        let found = self.teams.values().find(|it| it.organization == organization && it.slug == slug);
        found.ok_or_else(|| Error::NotFound(format!("team {slug}")))
    }

    fn team_mut(&mut self, id: u64) -> Result<&mut Team, Error> {
        self.teams.get_mut(&id).ok_or_else(|| Error::NotFound(format!("team {id}")))
    }

    /// Members of the team and of all teams below it.
    pub(crate) fn team_members(&self, id: u64) -> BTreeSet<u64> {
        self.teams.values().filter(|team| self.is_below(team, id)).flat_map(|team| team.members.clone()).collect()
    }

    fn is_below(&self, team: &Team, above: u64) -> bool {
        let parent = |team: &Team| team.parent.and_then(|id| self.teams.get(&id));
        team.id == above || parent(team).is_some_and(|parent| self.is_below(parent, above))
    }

    /// What teams let an account do on a repository; child teams have what their parents have.
    pub(crate) fn team_role(&self, account: u64, repository: &Repository) -> Option<Role> {
        let here = self.teams.values().filter(|team| team.organization == repository.owner);
        let given = here.filter_map(|team| Some((team.id, *team.repositories.get(&repository.id)?)));
        given.filter(|(team, _)| self.team_members(*team).contains(&account)).map(|(_, role)| role).max()
    }

    /// Is the account an owner of the organisation, or in one of its teams?
    pub(crate) fn is_member(&self, organization: u64, account: u64) -> bool {
        let owners = self.accounts.get(&organization).map(|it| it.members.as_slice()).unwrap_or_default();
        let teams = self.teams.values().filter(|team| team.organization == organization);
        owners.contains(&account) || teams.into_iter().any(|team| team.members.contains(&account))
    }

    pub(crate) fn set_team_member(&mut self, team: u64, account: u64, member: bool) -> Result<(), Error> {
        let it = self.team_mut(team)?;
        let changed = if member { it.members.insert(account) } else { it.members.remove(&account) };
        if !changed {
            return Ok(());
        }
        let it = self.teams.get(&team).ok_or_else(|| Error::NotFound(format!("team {team}")))?;
        let organization = it.organization;
        let mut fields = Map::new();
        fields.insert("scope".into(), json!("team"));
        fields.insert("member".into(), shape::user::user(self, account));
        fields.insert("team".into(), shape::team::team(self, it, shape::Form::Webhook));
        self.tell_organization(organization, "membership", if member { "added" } else { "removed" }, fields);
        Ok(())
    }

    pub(crate) fn set_team_role(&mut self, team: u64, repository: u64, role: Option<Role>) -> Result<(), Error> {
        let it = self.team_mut(team)?;
        let action = match role {
            Some(role) => {
                it.repositories.insert(repository, role);
                "added_to_repository"
            }
            None => {
                it.repositories.remove(&repository);
                "removed_from_repository"
            }
        };
        self.tell_team(team, action, Some(repository))
    }

    pub(crate) fn remove_team(&mut self, team: u64) -> Result<(), Error> {
        self.tell_team(team, "deleted", None)?;
        self.teams.retain(|_, it| it.id != team && it.parent != Some(team));
        Ok(())
    }

    fn tell_team(&mut self, team: u64, action: &str, repository: Option<u64>) -> Result<(), Error> {
        let it = self.teams.get(&team).ok_or_else(|| Error::NotFound(format!("team {team}")))?;
        let organization = it.organization;
        let mut fields = Map::new();
        fields.insert("team".into(), shape::team::team(self, it, shape::Form::Webhook));
        if let Some(repository) = repository {
            let it = self.repository(repository)?;
            fields.insert("repository".into(), shape::repository::whole(self, it, shape::Form::Webhook));
        }
        self.tell_organization(organization, "team", action, fields);
        Ok(())
    }
}
