//! Owns branches and the question whether they are protected (none is yet).

use serde_json::{Value, json};

use crate::rest::{Answer, Call, Refusal};
use crate::shape;

fn address(call: &Call<'_>) -> Result<String, Refusal> {
    Ok(format!("{}/repos/{}", call.model.api(), call.model.full_name(call.here()?)))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let api = address(call)?;
    let branches = call.here()?.git.refs("refs/heads/")?;
    let items = branches
        .iter()
        .map(|(name, sha)| -> Value {
            let name = name.trim_start_matches("refs/heads/");
            json!({"name": name, "commit": {"sha": sha, "url": format!("{api}/commits/{sha}")}, "protected": false})
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
        "protected": false,
        "protection": {"enabled": false, "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []}},
        "protection_url": format!("{url}/protection"),
    }))
}

pub(crate) fn protection(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let found = call.here()?.git.branch(call.param("branch"))?;
    Err(Refusal::new(404, if found.is_some() { "Branch not protected" } else { "Branch not found" }))
}
