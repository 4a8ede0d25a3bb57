//! Where else to look: branches that moved, rules and teams that changed, repositories, everything; and what pressed
//! buttons ask for.
//!
//! Invariant: nothing is decided here; it says which pull requests' facts are old.

use model::id::{InstallationId, RepoId};
use model::ports::ForgeError;
use model::publication::CheckAction;
use model::pull::Role;

use super::{Pass, Trouble};
use crate::store::{commands, gates, pulls};
use crate::world::{CommandRow, Key};

/// A branch moved: pull requests into it, all of them when it is the default branch, where trust is read.
pub(crate) async fn branch(pass: &Pass<'_>, repo: RepoId, branch: &str) -> Result<(), Trouble> {
    let mut tx = pass.write().await?;
    let row = pulls::repo(&mut tx, repo).await?;
    let default = row.and_then(|row| row.snapshot).is_some_and(|snapshot| snapshot.default_branch == branch);
    for number in pulls::open(&mut tx, repo, (!default).then_some(branch)).await? {
        pass.ask(&mut tx, repo, number).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// A repository: its facts, and every pull request that is not as it was.
pub(crate) async fn repository(pass: &Pass<'_>, id: RepoId) -> Result<(), Trouble> {
    let parts = pass.parts;
    let Some(row) = pulls::repo(&mut *parts.store.read().await?, id).await? else { return Ok(()) };
    let snapshot = parts.forge.repository(row.installation, &row.name).await?;
    let listed = match parts.forge.open_pulls(&snapshot).await {
        Err(ForgeError::Gone { .. }) => Vec::new(),
        listed => listed?,
    };
    let mut tx = pass.write().await?;
    pulls::set_repo(&mut tx, &snapshot, pass.now()).await?;
    let known = pulls::open(&mut tx, id, None).await?;
    for it in &listed {
        let row = pulls::pull(&mut tx, id, it.number).await?;
        let same = row
            .and_then(|row| row.snapshot)
            .is_some_and(|old| old.head == it.head && old.updated_at == it.updated_at && known.contains(&it.number));
        if !same {
            pass.ask(&mut tx, id, it.number).await?;
        }
    }
    for number in known.into_iter().filter(|number| !listed.iter().any(|it| it.number == *number)) {
        pass.ask(&mut tx, id, number).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// All repositories of all installations.
pub(crate) async fn everything(pass: &Pass<'_>) -> Result<(), Trouble> {
    let repositories = pass.parts.forge.repositories().await?;
    let mut tx = pass.write().await?;
    for snapshot in repositories {
        pulls::set_repo(&mut tx, &snapshot, pass.now()).await?;
        pass.mark(&mut tx, snapshot.id, &Key::Repository(snapshot.id)).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// What branches ask for changed: every pull request that is judged by it.
pub(crate) async fn rules(pass: &Pass<'_>, repo: RepoId) -> Result<(), Trouble> {
    let mut tx = pass.write().await?;
    for number in gates::judged(&mut tx, repo).await? {
        pass.ask(&mut tx, repo, number).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// Who is in which team changed: every pull request that is judged by teams.
pub(crate) async fn teams(pass: &Pass<'_>, installation: InstallationId) -> Result<(), Trouble> {
    let mut tx = pass.write().await?;
    for (repo, number) in gates::naming_teams(&mut tx, installation).await? {
        pass.ask(&mut tx, repo, number).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// A pressed button becomes a command of each open pull request with that head, by whoever pressed it and with the
/// right that GitHub says they have now: a button is a comment that was not typed.
pub(crate) async fn pressed(pass: &Pass<'_>, id: &str) -> Result<(), Trouble> {
    let waiting = commands::waiting_press(&mut *pass.parts.store.read().await?, id).await?;
    let Some((repo, button, at)) = waiting else { return Ok(()) };
    let role = match button.login.as_str() {
        "" => Role::None,
        login => pass.parts.forge.role(&pass.repository(repo).await?, login).await?,
    };
    let mut tx = pass.write().await?;
    let head = button.commit.as_str();
    let target = match button.check {
        Some(check) => commands::check_target(&mut tx, repo, check.get()).await?,
        None => None,
    };
    let verb = button.action.verb();
    let stack = target.as_deref().and_then(|target| target.split_once(&format!("{head}:{STACK_CHECK}")));
    let body = stack.map_or_else(|| format!("/buildit {verb}"), |(_, stack)| format!("/buildit {verb} -p {stack}"));
    // Of a check that we do not know we cannot say which stack it is of; to plan too much does no harm.
    let unknown = button.check.is_some() && target.is_none() && button.action != CheckAction::Replan;
    let pulls = if unknown { Vec::new() } else { pulls::with_head(&mut tx, repo, head).await? };
    for number in pulls {
        let row = CommandRow {
            id: format!("{id}:{number}"),
            comment: None,
            author: button.login.clone(),
            bot: button.bot,
            edited: false,
            body: body.clone(),
            created_at: at,
            role: Some(role),
            done: false,
            outcome: None,
        };
        commands::note(&mut tx, repo, number, &row).await?;
        pass.ask(&mut tx, repo, number).await?;
    }
    commands::end_press(&mut tx, id).await?;
    Ok(pass.commit(tx).await?)
}

/// Names of stacks' checks begin so.
const STACK_CHECK: &str = "plan: ";

#[cfg(test)]
mod tests {
    use model::publication::CheckName;

    use super::*;

    #[test]
    fn stacks_checks_begin_as_buttons_expect() {
        let stack = model::id::StackName::parse("network").expect("a name");
        assert_eq!(CheckName::Stack(stack).to_string(), format!("{STACK_CHECK}network"));
    }
}
