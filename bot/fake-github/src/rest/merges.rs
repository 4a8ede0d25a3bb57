//! Owns merging a pull request.

use serde_json::json;

use crate::model::account::Role;
use crate::model::landing::Method;
use crate::model::merge::MergeRequest;
use crate::rest::{Answer, Call, Refusal, pulls};

pub(crate) fn merged(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let merged = call.here()?.pull(pulls::number(call)?)?.merged_at.is_some();
    if merged { Answer::empty(204) } else { Err(Refusal::new(404, "Not Found")) }
}

pub(crate) fn merge(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (number, actor) = (pulls::number(call)?, call.actor()?);
    let how = MergeRequest {
        method: call.text("merge_method").as_deref().and_then(Method::from_name),
        sha: call.text("sha"),
        title: call.text("commit_title"),
        message: call.text("commit_message"),
    };
    let sha = call.model.merge_pull(call.repository, number, actor, &how)?;
    Answer::ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}))
}
