//! Owns classic protection and rulesets as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::protection::{Protection, Rules, Ruleset};
use crate::model::repository::Repository;
use crate::shape::node;

fn api_url(model: &Model, repository: &Repository) -> String {
    format!("{}/repos/{}", model.api(), model.full_name(repository))
}

fn contexts(rules: &Rules) -> Vec<&str> {
    rules.checks.iter().map(|(name, _)| name.as_str()).collect()
}

/// What everyone who may read a branch sees of its classic protection.
pub(crate) fn outline(protection: Option<&Protection>) -> Value {
    let asked = protection.map(|it| &it.rules).filter(|rules| !rules.checks.is_empty());
    let checks: Vec<Value> = asked
        .into_iter()
        .flat_map(|rules| &rules.checks)
        .map(|(context, app)| json!({"context": context, "app_id": app}))
        .collect();
    json!({
        "enabled": protection.is_some(),
        "required_status_checks": {
            "enforcement_level": if asked.is_some() { "everyone" } else { "off" },
            "contexts": asked.map(contexts).unwrap_or_default(),
            "checks": checks,
        },
    })
}

/// Classic protection as administrators see it.
pub(crate) fn classic(model: &Model, it: &Repository, branch: &str, protection: &Protection) -> Value {
    let url = format!("{}/branches/{branch}/protection", api_url(model, it));
    let rules = &protection.rules;
    let mut shaped = json!({
        "url": url,
        "required_signatures": {"url": format!("{url}/required_signatures"), "enabled": rules.signatures},
        "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": true},
        "required_linear_history": {"enabled": rules.linear},
        "allow_force_pushes": {"enabled": false},
        "allow_deletions": {"enabled": false},
        "block_creations": {"enabled": false},
        "required_conversation_resolution": {"enabled": rules.conversations},
        "lock_branch": {"enabled": false},
        "allow_fork_syncing": {"enabled": false},
    });
    if !rules.checks.is_empty() {
        let checks: Vec<Value> =
            rules.checks.iter().map(|(context, app)| json!({"context": context, "app_id": app})).collect();
        shaped["required_status_checks"] = json!({
            "url": format!("{url}/required_status_checks"),
            "strict": rules.strict,
            "contexts": contexts(rules),
            "contexts_url": format!("{url}/required_status_checks/contexts"),
            "checks": checks,
        });
    }
    if rules.asks_reviews() {
        shaped["required_pull_request_reviews"] = json!({
            "url": format!("{url}/required_pull_request_reviews"),
            "dismiss_stale_reviews": rules.dismiss_stale,
            "require_code_owner_reviews": rules.code_owners,
            "require_last_push_approval": rules.last_push_approval,
            "required_approving_review_count": rules.approvals.unwrap_or(0),
        });
    }
    shaped
}

/// Classic protection as its webhook has it.
pub(crate) fn classic_webhook(repository: u64, it: &Protection) -> Value {
    let rules = &it.rules;
    let level = |asked: bool| if asked { "everyone" } else { "off" };
    json!({
        "id": it.id,
        "repository_id": repository,
        "name": it.pattern,
        "created_at": rfc3339(it.created_at),
        "updated_at": rfc3339(it.updated_at),
        "pull_request_reviews_enforcement_level": level(rules.asks_reviews()),
        "required_approving_review_count": rules.approvals.unwrap_or(0),
        "dismiss_stale_reviews_on_push": rules.dismiss_stale,
        "require_code_owner_review": rules.code_owners,
        "require_last_push_approval": rules.last_push_approval,
        "authorized_dismissal_actors_only": false,
        "ignore_approvals_from_contributors": false,
        "required_status_checks": contexts(rules),
        "required_status_checks_enforcement_level": level(!rules.checks.is_empty()),
        "strict_required_status_checks_policy": rules.strict,
        "signature_requirement_enforcement_level": level(rules.signatures),
        "linear_history_requirement_enforcement_level": level(rules.linear),
        "admin_enforced": true,
        "allow_force_pushes_enforcement_level": "off",
        "allow_deletions_enforcement_level": "off",
        "merge_queue_enforcement_level": level(rules.queue.is_some()),
        "required_deployments_enforcement_level": "off",
        "required_conversation_resolution_level": level(rules.conversations),
        "authorized_actors_only": false,
        "authorized_actor_names": [],
    })
}

/// The single rules of a ruleset.
fn single(rules: &Rules) -> Vec<Value> {
    let mut all = Vec::new();
    if rules.asks_reviews() || rules.conversations {
        all.push(json!({
            "type": "pull_request",
            "parameters": {
                "required_approving_review_count": rules.approvals.unwrap_or(0),
                "dismiss_stale_reviews_on_push": rules.dismiss_stale,
                "require_code_owner_review": rules.code_owners,
                "require_last_push_approval": rules.last_push_approval,
                "required_review_thread_resolution": rules.conversations,
                "allowed_merge_methods": ["merge", "squash", "rebase"],
            },
        }));
    }
    if !rules.checks.is_empty() {
        let check = |(context, app): &(String, Option<u64>)| {
            let mut it = json!({"context": context});
            if let Some(app) = app {
                it["integration_id"] = json!(app);
            }
            it
        };
        all.push(json!({
            "type": "required_status_checks",
            "parameters": {
                "strict_required_status_checks_policy": rules.strict,
                "do_not_enforce_on_create": false,
                "required_status_checks": rules.checks.iter().map(check).collect::<Vec<_>>(),
            },
        }));
    }
    if let Some(queue) = &rules.queue {
        all.push(json!({
            "type": "merge_queue",
            "parameters": {
                "check_response_timeout_minutes": queue.timeout_minutes,
                "grouping_strategy": if queue.all_green { "ALLGREEN" } else { "HEADGREEN" },
                "max_entries_to_build": queue.build,
                "max_entries_to_merge": queue.max,
                "merge_method": queue.method.name().to_uppercase(),
                "min_entries_to_merge": queue.min,
                "min_entries_to_merge_wait_minutes": queue.wait_minutes,
            },
        }));
    }
    if rules.linear {
        all.push(json!({"type": "required_linear_history"}));
    }
    if rules.signatures {
        all.push(json!({"type": "required_signatures"}));
    }
    all
}

/// The rules in force on a branch, each with its ruleset.
pub(crate) fn in_force(model: &Model, it: &Repository, branch: &str) -> Vec<Value> {
    let source = model.full_name(it);
    let of = |ruleset: &Ruleset| {
        let more = json!({"ruleset_source_type": "Repository", "ruleset_source": source, "ruleset_id": ruleset.id});
        let with = |mut rule: Value| {
            if let (Some(rule), Value::Object(more)) = (rule.as_object_mut(), more.clone()) {
                rule.extend(more);
            }
            rule
        };
        single(&ruleset.rules).into_iter().map(with).collect::<Vec<_>>()
    };
    it.rulesets_on(branch).flat_map(of).collect()
}

/// A ruleset.
pub(crate) fn ruleset(model: &Model, it: &Repository, ruleset: &Ruleset) -> Value {
    let name = model.full_name(it);
    json!({
        "id": ruleset.id,
        "node_id": node("RRS", ruleset.id),
        "name": ruleset.name,
        "target": "branch",
        "source_type": "Repository",
        "source": name,
        "enforcement": if ruleset.active { "active" } else { "disabled" },
        "bypass_actors": [],
        "current_user_can_bypass": "never",
        "conditions": {"ref_name": {"include": [ruleset.include], "exclude": []}},
        "rules": single(&ruleset.rules),
        "created_at": rfc3339(ruleset.created_at),
        "updated_at": rfc3339(ruleset.updated_at),
        "_links": {
            "self": {"href": format!("{}/rulesets/{}", api_url(model, it), ruleset.id)},
            "html": {"href": format!("{}/{name}/rules/{}", model.url, ruleset.id)},
        },
    })
}
