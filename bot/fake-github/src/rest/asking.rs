//! Owns requests for reviews.

use serde_json::{Value, json};

use crate::model::account::Role;
use crate::model::owners::Owner;
use crate::rest::{Answer, Call, Refusal, pulls};
use crate::shape::{self, Form};

fn named(call: &Call<'_>) -> Result<Vec<Owner>, Refusal> {
    let names = |field: &str| -> Vec<String> {
        call.body[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let owner = call.here()?.owner;
    let person = |login: String| call.model.account(&login).map(Owner::Person);
    let team = |slug: String| call.model.team(owner, &slug).map(|team| Owner::Team(team.id));
    let people = names("reviewers").into_iter().map(person);
    let all: Result<Vec<Owner>, _> = people.chain(names("team_reviewers").into_iter().map(team)).collect();
    all.map_err(|_| Refusal::new(422, "Could not resolve to a node"))
}

fn shaped(call: &Call<'_>, number: u64) -> Result<Value, Refusal> {
    let it = call.here()?;
    Ok(shape::pull::simple(call.model, it, it.pull(number)?, Form::Rest)?)
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let pull = shaped(call, pulls::number(call)?)?;
    Answer::ok(json!({"users": pull["requested_reviewers"], "teams": pull["requested_teams"]}))
}

pub(crate) fn add(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Triage)?;
    let (number, actor, named) = (pulls::number(call)?, call.actor()?, named(call)?);
    call.model.ask_reviews(call.repository, number, actor, named)?;
    Answer::created(shaped(call, number)?)
}

pub(crate) fn remove(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Triage)?;
    let (number, actor, named) = (pulls::number(call)?, call.actor()?, named(call)?);
    call.model.unask_reviews(call.repository, number, actor, named)?;
    Answer::ok(shaped(call, number)?)
}
