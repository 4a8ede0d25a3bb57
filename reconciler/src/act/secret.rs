//! The secrets of a run: what its job gets, and what must not be shown.
//!
//! Invariant: a binding that the trusted base does not have gives nothing before somebody allowed the head.

use model::id::RepoName;
use secrecy::SecretString;

use super::{Pass, Trouble};
use crate::secrets::Given;
use crate::store::{Conn, StoreError, pulls};
use crate::world::RunRow;

/// The values that a run's stack is bound to, or why it gets none, in words.
pub(super) async fn give(pass: &Pass<'_>, run: &RunRow) -> Result<Result<Given, String>, Trouble> {
    let detail = &run.what.detail;
    if let Some(new) = detail.surveyed.new_secrets.first() {
        let commit = run.what.head.short();
        let (secret, more) = (&new.secret, "the trusted base does not have that");
        return Ok(Err(format!(
            "the change gives the secret {secret} to the stack ({new}), and {more}\nread the change, then a writer comments `buildit allow {commit}`"
        )));
    }
    let bindings = &detail.surveyed.stack.secrets;
    if bindings.is_empty() {
        return Ok(Ok(Given::default()));
    }
    let mut conn = pass.parts.store.read().await?;
    let name = name(&mut conn, run).await?;
    let given = pass.parts.secrets().give(&mut conn, (run.repo, &name), bindings).await?;
    if given.missing.is_empty() {
        return Ok(Ok(given));
    }
    let mut lines = Vec::new();
    for binding in &given.missing {
        let at = binding.at.as_ref().map(|at| format!(" (used in {}:{})", at.file, at.line)).unwrap_or_default();
        let secret = &binding.secret;
        lines
            .push(format!("secret {secret} is not set for {name}{at}\ndo: buildit secrets set {secret} --repo {name}"));
    }
    Ok(Err(lines.join("\n")))
}

/// All that a log, a plan or a failure of the run must not show: its secrets, and its tokens for the state.
pub(crate) async fn masks(pass: &Pass<'_>, run: &RunRow) -> Result<Vec<SecretString>, Trouble> {
    let mut all = pass.parts.states.tokens_of(run.id).await?;
    let bindings = &run.what.detail.surveyed.stack.secrets;
    if !bindings.is_empty() {
        let mut conn = pass.parts.store.read().await?;
        let name = name(&mut conn, run).await?;
        all.extend(pass.parts.secrets().masks(&mut conn, (run.repo, &name), bindings).await?);
    }
    Ok(all)
}

async fn name(conn: &mut Conn, run: &RunRow) -> Result<RepoName, StoreError> {
    Ok(pulls::repo(conn, run.repo).await?.ok_or(StoreError::NoRow)?.name)
}
