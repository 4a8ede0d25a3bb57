//! Owns branches and their classic protection.

use serde_json::{Value, json};

use crate::rest::{Answer, Call, Refusal, rules};
use crate::shape;

fn address(call: &Call<'_>) -> Result<String, Refusal> {
    Ok(format!("{}/repos/{}", call.model.api(), call.model.full_name(call.here()?)))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let api = address(call)?;
    let it = call.here()?;
    let branches = it.git.refs("refs/heads/")?;
    let items = branches
        .iter()
        .map(|(name, sha)| -> Value {
            let name = name.trim_start_matches("refs/heads/");
            let commit = json!({"sha": sha, "url": format!("{api}/commits/{sha}")});
            json!({"name": name, "commit": commit, "protected": it.is_protected(name)})
        })
        .collect();
    call.list(items)
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (name, api) = (call.param("branch").to_owned(), address(call)?);
    let it = call.here()?;
    let sha = it.git.branch(&name)?.ok_or_else(|| Refusal::new(404, "Branch not found"))?;
    let commit = it.git.commit_object(&sha)?.ok_or_else(|| Refusal::new(404, "Branch not found"))?;
    let url = format!("{api}/branches/{name}");
    Answer::ok(json!({
        "name": name,
        "commit": shape::commit::commit(call.model, it, &commit),
        "_links": {"html": format!("{}/{}/tree/{name}", call.model.url, call.model.full_name(it)), "self": url},
        "protected": it.is_protected(&name),
        "protection": shape::rules::outline(it.protection(&name)),
        "protection_url": format!("{url}/protection"),
    }))
}

pub(crate) fn protection(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    rules::paid(call)?;
    let (name, it) = (call.param("branch"), call.here()?);
    if it.git.branch(name)?.is_none() {
        return Err(Refusal::new(404, "Branch not found"));
    }
    match it.protection(name) {
        Some(found) => Answer::ok(shape::rules::classic(call.model, it, name, found)),
        None => Err(Refusal::new(404, "Branch not protected")),
    }
}
