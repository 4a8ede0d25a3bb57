//! What a lost apply made, as far as it told, and the state that it could not store.

use std::collections::BTreeSet;

use model::id::{RepoId, StackName};
use model::plan::Action;
use model::publication::ReplyPart;

use super::{Pass, Trouble};
use crate::audit::Actor;
use crate::decide::pull::Step;
use crate::states::{Origin, StateError, States};
use crate::store::runs;
use crate::world::{Outcome, RunRow};

/// What a lost apply made that the state does not know, with the id of each: the tools store their state every 20
/// seconds only. If it brought in what another had lost, what is still missing of that too.
pub(super) async fn missing(pass: &Pass<'_>, lost: &RunRow) -> Result<Vec<(String, String)>, Trouble> {
    let known = pass.parts.states.addresses(lost.repo, &lost.what.stack).await?.unwrap_or_default();
    let mut conn = pass.parts.store.read().await?;
    let (mut all, mut seen, mut next) = (Vec::new(), BTreeSet::new(), Some(lost.id));
    while let Some(id) = next.take().filter(|id| seen.insert(*id)) {
        for item in runs::done(&mut conn, id).await? {
            if let (Action::Create, Some((_, id))) = (item.action, item.id)
                && !known.contains(&item.address)
                && !all.iter().any(|(address, _)| *address == item.address)
            {
                all.push((item.address, id));
            }
        }
        let plan = match runs::by_id(&mut conn, id).await?.and_then(|run| run.what.plan) {
            Some(plan) => runs::by_id(&mut conn, plan).await?,
            None => None,
        };
        next = plan.and_then(|plan| plan.what.options.recovers);
    }
    Ok(all)
}

/// What the plan of a run brings in: what is missing by now.
pub(super) async fn import(pass: &Pass<'_>, plan: &RunRow) -> Result<Vec<(String, String)>, Trouble> {
    let Some(id) = plan.what.options.recovers else { return Ok(Vec::new()) };
    let lost = runs::by_id(&mut *pass.parts.store.read().await?, id).await?;
    match lost {
        Some(lost) => missing(pass, &lost).await,
        None => Ok(Vec::new()),
    }
}

/// Stores the states that an answer stores, before it is given. What cannot be stored now makes it a refusal.
pub(super) async fn push(
    pass: &Pass<'_>,
    repo: RepoId,
    (outcome, steps): (Option<Box<Outcome>>, Vec<Step>),
) -> Result<(Option<Box<Outcome>>, Vec<Step>), Trouble> {
    for step in &steps {
        let Step::PushState { stack, version, by } = step else { continue };
        match one(pass, repo, stack, (*version, by)).await {
            Ok(()) => {}
            Err(Trouble::State(error @ (StateError::Locked { .. } | StateError::Conflict { .. }))) => {
                let parts = vec![ReplyPart::Refused { reason: error.to_string() }];
                return Ok((Some(Box::new(Outcome { refused: true, parts, ..Outcome::default() })), Vec::new()));
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok((outcome, steps))
}

async fn one(pass: &Pass<'_>, repo: RepoId, stack: &StackName, (version, by): (i64, &str)) -> Result<(), Trouble> {
    let states = &pass.parts.states;
    let versions = states.versions(repo, stack).await?;
    if versions.iter().any(|it| it.origin == Origin::Promote { from: version }) {
        // A server did it that died before it could say so.
        return Ok(());
    }
    let mut tx = pass.write().await?;
    States::let_go(&mut tx, repo, stack).await?;
    pass.commit(tx).await?;
    states.promote(repo, stack, version, &Actor { name: by.to_owned(), token: None }).await?;
    Ok(())
}
