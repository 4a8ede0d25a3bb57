//! What only GraphQL tells: the verdict on reviews, conversations, signatures.

use model::ports::ForgeError;
use model::pull::{Decision, Fact, GateWants, Unsigned};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Place, if_wanted, readable};
use crate::github::auth::Scope;
use crate::github::shape::{self, commit};

/// What stands around each question: the pull request.
macro_rules! of_pull {
    ($fields:literal) => {
        concat!(
            "query($owner:String!,$name:String!,$number:Int!,$after:String){repository(owner:$owner,name:$name){\
             pullRequest(number:$number){",
            $fields,
            "}}}"
        )
    };
}

const DECISION: &str = "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){\
                        pullRequest(number:$number){reviewDecision}}}";
const THREADS: &str =
    of_pull!("all:reviewThreads(first:100,after:$after){totalCount pageInfo{hasNextPage endCursor} nodes{isResolved}}");
const COMMITS: &str = of_pull!(
    "all:commits(first:100,after:$after){totalCount pageInfo{hasNextPage endCursor} \
     nodes{commit{oid signature{isValid state}}}}"
);
/// Pages that are read at most.
const PAGES: usize = 50;

pub(super) struct Talk {
    pub(super) decision: Fact<Option<Decision>>,
    pub(super) unresolved: Fact<u32>,
    pub(super) unsigned: Fact<Vec<Unsigned>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    total_count: u64,
    page_info: PageInfo,
    nodes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    is_resolved: bool,
}

#[derive(Deserialize)]
struct CommitNode {
    commit: CommitShape,
}

#[derive(Deserialize)]
struct CommitShape {
    oid: String,
    signature: Option<Signature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    is_valid: bool,
    state: String,
}

pub(super) async fn read(place: &Place<'_>, wants: &GateWants) -> Result<Talk, ForgeError> {
    let permission = "Pull requests: read";
    let (decision, unresolved, unsigned) = tokio::try_join!(
        if_wanted(wants.codeowners, async {
            readable(decision(place).await, "GitHub's verdict on reviews", permission)
        }),
        if_wanted(wants.threads, async { readable(unresolved(place).await, "conversations", permission) }),
        if_wanted(wants.signatures, async { readable(unsigned(place).await, "signatures", "Contents: read") }),
    )?;
    Ok(Talk { decision, unresolved, unsigned })
}

async fn decision(place: &Place<'_>) -> Result<Option<Decision>, ForgeError> {
    let pull = ask(place, DECISION, None).await?;
    match pull["reviewDecision"].as_str() {
        None => Ok(None),
        Some("APPROVED") => Ok(Some(Decision::Approved)),
        Some("CHANGES_REQUESTED") => Ok(Some(Decision::ChangesRequested)),
        Some("REVIEW_REQUIRED") => Ok(Some(Decision::ReviewRequired)),
        Some(other) => Err(ForgeError::Bug { message: format!("the unknown review decision {other:?}") }),
    }
}

async fn unresolved(place: &Place<'_>) -> Result<u32, ForgeError> {
    let threads: Vec<Thread> = all(place, THREADS, "conversations", 0).await?;
    let open = threads.iter().filter(|it| !it.is_resolved).count();
    Ok(u32::try_from(open).unwrap_or(u32::MAX))
}

async fn unsigned(place: &Place<'_>) -> Result<Vec<Unsigned>, ForgeError> {
    let commits: Vec<CommitNode> = all(place, COMMITS, "commits", place.commits).await?;
    let mut unsigned = Vec::new();
    for CommitNode { commit: it } in commits {
        let reason = match it.signature {
            Some(Signature { is_valid: true, .. }) => continue,
            Some(signature) => signature.state.to_ascii_lowercase(),
            None => "unsigned".to_owned(),
        };
        unsigned.push(Unsigned { commit: commit(&it.oid)?, reason });
    }
    Ok(unsigned)
}

/// All nodes of the connection `all`. Fewer than GitHub counts, or than `least`, are as good as none: what is not
/// listed may be what matters.
async fn all<T: DeserializeOwned>(
    place: &Place<'_>,
    query: &str,
    what: &str,
    least: u64,
) -> Result<Vec<T>, ForgeError> {
    let (mut nodes, mut after, mut total) = (Vec::new(), None, least);
    for _ in 0..PAGES {
        let mut pull = ask(place, query, after.as_deref()).await?;
        let page: Connection = shape::read(what, pull["all"].take())?;
        total = total.max(page.total_count);
        for node in page.nodes {
            nodes.push(shape::read(what, node)?);
        }
        after = page.page_info.end_cursor.filter(|_| page.page_info.has_next_page);
        if after.is_none() {
            break;
        }
    }
    if u64::try_from(nodes.len()).unwrap_or(u64::MAX) < total {
        return Err(ForgeError::Denied { message: format!("GitHub lists {} of {total} {what} only", nodes.len()) });
    }
    Ok(nodes)
}

async fn ask(place: &Place<'_>, query: &str, after: Option<&str>) -> Result<Value, ForgeError> {
    let mut variables = json!({
        "owner": place.repo.name.owner(),
        "name": place.repo.name.name(),
        "number": place.pull.number.get(),
    });
    if query != DECISION {
        variables["after"] = json!(after);
    }
    let question = json!({"query": query, "variables": variables});
    let mut data = place.github.query(place.repo, Scope::Read, question).await?;
    match data["repository"]["pullRequest"].take() {
        Value::Null => Err(ForgeError::Gone { what: format!("pull request {}", place.pull.number) }),
        pull => Ok(pull),
    }
}
