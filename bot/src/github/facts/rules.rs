//! What is in force on the base branch, from rulesets and from classic protection together.

use std::collections::BTreeSet;

use hyper::http::Method;
use model::ports::ForgeError;
use model::pull::{Fact, GateWants, RequiredCheck};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Place, readable, unreadable};
use crate::github::auth::Scope;
use crate::github::client::Who;
use crate::github::read::escaped;
use crate::github::shape;

/// GitHub says so where the plan of the repository's owner has no rules: then none is in force.
const NOT_IN_THIS_PLAN: &str = "Upgrade to GitHub";

pub(super) struct Rules {
    pub(super) protected: Fact<bool>,
    pub(super) required: Fact<Vec<RequiredCheck>>,
    pub(super) code_owner_rule: Fact<bool>,
}

/// The branch as everyone who may read it sees it.
#[derive(Deserialize)]
struct Branch {
    protected: bool,
    protection: Option<Outline>,
}

/// Classic protection as everyone sees it.
#[derive(Deserialize)]
struct Outline {
    enabled: Option<bool>,
    required_status_checks: Option<StatusChecks>,
}

/// A rule of a ruleset.
#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    require_code_owner_review: bool,
    #[serde(default)]
    required_status_checks: Vec<RuleCheck>,
}

#[derive(Deserialize)]
struct RuleCheck {
    context: String,
    integration_id: Option<i64>,
}

/// Classic protection as administrators see it.
#[derive(Deserialize)]
struct Protection {
    required_status_checks: Option<StatusChecks>,
    required_pull_request_reviews: Option<PullReviews>,
}

#[derive(Deserialize)]
struct PullReviews {
    #[serde(default)]
    require_code_owner_reviews: bool,
}

#[derive(Deserialize)]
struct StatusChecks {
    #[serde(default)]
    contexts: Vec<String>,
    /// Absent on servers that know contexts only.
    checks: Option<Vec<ClassicCheck>>,
}

#[derive(Deserialize)]
struct ClassicCheck {
    context: String,
    app_id: Option<i64>,
}

/// What classic protection asks for.
struct Classic {
    required: Fact<Vec<RequiredCheck>>,
    code_owners: Fact<bool>,
}

pub(super) async fn read(place: &Place<'_>, wants: &GateWants) -> Result<Rules, ForgeError> {
    let base = escaped(&place.pull.base_branch);
    let path = format!("/repos/{}/branches/{base}", place.repo.name);
    let (branch, rules) = tokio::join!(get::<Branch>(place, Scope::Read, &path), rules(place, &base));
    let branch = readable(branch, "the base branch", "Contents: read")?;
    let rules = readable(rules, "the rules of the base branch", "Metadata: read")?;
    let protected = protected(&branch, &rules);
    if !wants.checks && !wants.codeowners {
        return Ok(Rules { protected, required: Fact::NotAsked, code_owner_rule: Fact::NotAsked });
    }
    let classic = classic(place, &path, &branch, &rules).await?;
    let required = match (&rules, classic.required) {
        (Fact::Is(rules), Fact::Is(classic)) => Fact::Is(united(rules, classic)),
        (Fact::Unreadable(why), _) => Fact::Unreadable(why.clone()),
        (_, unreadable) => unreadable,
    };
    let asks =
        |rules: &[Rule]| rules.iter().any(|it| it.kind == "pull_request" && it.parameters.require_code_owner_review);
    let code_owner_rule = match (&rules, classic.code_owners) {
        // One that asks for it is enough, whatever else there is.
        (Fact::Is(rules), _) if asks(rules) => Fact::Is(true),
        (_, Fact::Is(true)) => Fact::Is(true),
        (Fact::Unreadable(why), _) => Fact::Unreadable(why.clone()),
        (_, classic) => classic,
    };
    Ok(Rules {
        protected,
        required: if wants.checks { required } else { Fact::NotAsked },
        code_owner_rule: if wants.codeowners { code_owner_rule } else { Fact::NotAsked },
    })
}

async fn get<T: DeserializeOwned>(place: &Place<'_>, scope: Scope, path: &str) -> Result<T, ForgeError> {
    let answer = place.github.call(Who::Repo(place.repo, scope), Method::GET, path, None).await?;
    shape::read("a branch and its rules", answer.body)
}

async fn rules(place: &Place<'_>, base: &str) -> Result<Vec<Rule>, ForgeError> {
    let path = format!("/repos/{}/rules/branches/{base}", place.repo.name);
    let pick = |page| shape::read::<Vec<Rule>>("rules", page);
    match place.github.repo_pages(place.repo, Scope::Read, &path, pick).await {
        Err(ForgeError::Denied { message }) if message.contains(NOT_IN_THIS_PLAN) => Ok(Vec::new()),
        read => read,
    }
}

fn protected(branch: &Fact<Branch>, rules: &Fact<Vec<Rule>>) -> Fact<bool> {
    match (branch, rules) {
        (Fact::Is(branch), _) if branch.protected => Fact::Is(true),
        (_, Fact::Is(rules)) if !rules.is_empty() => Fact::Is(true),
        (Fact::Is(_), Fact::Is(_)) => Fact::Is(false),
        (Fact::Unreadable(why), _) | (_, Fact::Unreadable(why)) => Fact::Unreadable(why.clone()),
        (Fact::NotAsked, _) | (_, Fact::NotAsked) => Fact::NotAsked,
    }
}

/// As administrators see it; where the App is none, as much as everyone sees.
async fn classic(
    place: &Place<'_>,
    branch_path: &str,
    branch: &Fact<Branch>,
    rules: &Fact<Vec<Rule>>,
) -> Result<Classic, ForgeError> {
    let branch = match branch {
        Fact::Is(branch) => Some(branch),
        Fact::NotAsked | Fact::Unreadable(_) => None,
    };
    let outline = branch.and_then(|it| it.protection.as_ref());
    let enabled = outline.and_then(|it| it.enabled);
    let asked = get::<Protection>(place, Scope::Administration, &format!("{branch_path}/protection")).await;
    let why = match asked {
        Ok(it) => return Ok(Classic::of(&it)),
        Err(ForgeError::Denied { message }) if message.contains(NOT_IN_THIS_PLAN) => return Ok(Classic::none()),
        // "Branch not protected", unless the branch says otherwise.
        Err(ForgeError::Gone { .. }) if enabled != Some(true) => return Ok(Classic::none()),
        Err(ForgeError::Gone { what }) => format!("{what}: not found (404)"),
        Err(ForgeError::Denied { message }) => message,
        Err(error) => return Err(error),
    };
    let unreadable = unreadable("classic protection of the base branch", "Administration: read", &why);
    // What protects the branch is the rulesets; "protected" by neither would be a contradiction.
    let by_rules = matches!(rules, Fact::Is(rules) if !rules.is_empty());
    if enabled == Some(false) && branch.is_some_and(|it| !it.protected || by_rules) {
        return Ok(Classic::none());
    }
    let outlined = outline.filter(|_| enabled == Some(true)).and_then(|it| it.required_status_checks.as_ref());
    let required = outlined.map_or_else(|| Fact::Unreadable(unreadable.clone()), |it| Fact::Is(it.required()));
    Ok(Classic { required, code_owners: Fact::Unreadable(unreadable) })
}

impl Classic {
    fn none() -> Self {
        Self { required: Fact::Is(Vec::new()), code_owners: Fact::Is(false) }
    }

    fn of(it: &Protection) -> Self {
        let owners = it.required_pull_request_reviews.as_ref().is_some_and(|it| it.require_code_owner_reviews);
        let required = it.required_status_checks.as_ref().map(StatusChecks::required).unwrap_or_default();
        Self { required: Fact::Is(required), code_owners: Fact::Is(owners) }
    }
}

impl StatusChecks {
    fn required(&self) -> Vec<RequiredCheck> {
        // -1 lets every App set it.
        let pinned = |app: Option<i64>| app.filter(|id| *id > 0);
        match &self.checks {
            Some(checks) => {
                checks.iter().map(|it| RequiredCheck { context: it.context.clone(), app: pinned(it.app_id) }).collect()
            }
            None => self.contexts.iter().map(|it| RequiredCheck { context: it.clone(), app: None }).collect(),
        }
    }
}

fn united(rules: &[Rule], classic: Vec<RequiredCheck>) -> Vec<RequiredCheck> {
    let of_rules = rules.iter().filter(|it| it.kind == "required_status_checks");
    let of_rules = of_rules.flat_map(|it| &it.parameters.required_status_checks);
    let of_rules = of_rules.map(|it| RequiredCheck { context: it.context.clone(), app: it.integration_id });
    let all: BTreeSet<RequiredCheck> = of_rules.chain(classic).collect();
    all.into_iter().collect()
}
