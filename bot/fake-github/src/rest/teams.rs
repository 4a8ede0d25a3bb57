//! Owns teams of organisations and their members.

use serde_json::Value;

use crate::model::team::Team;
use crate::rest::{Answer, Call, Refusal};
use crate::shape::{self, Form};

fn organization(call: &Call<'_>) -> Result<u64, Refusal> {
    Ok(call.model.account(call.param("org"))?)
}

fn find<'a>(call: &'a Call<'_>) -> Result<&'a Team, Refusal> {
    Ok(call.model.team(organization(call)?, call.param("team_slug"))?)
}

fn listed<'a>(call: &Call<'_>, teams: impl Iterator<Item = &'a Team>) -> Vec<Value> {
    teams.map(|team| shape::team::team(call.model, team, Form::Rest)).collect()
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let organization = organization(call)?;
    call.list(listed(call, call.model.teams.values().filter(|team| team.organization == organization)))
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shape::team::whole(call.model, find(call)?))
}

pub(crate) fn children(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = find(call)?.id;
    call.list(listed(call, call.model.teams.values().filter(|team| team.parent == Some(id))))
}

/// Those of child teams are in the list, as on GitHub. Nobody maintains a team here.
pub(crate) fn members(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let members = call.model.team_members(find(call)?.id);
    let none = call.query("role") == Some("maintainer");
    let shown = members.into_iter().filter(|_| !none).map(|id| shape::user::user(call.model, id)).collect();
    call.list(shown)
}
