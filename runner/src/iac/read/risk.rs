//! How dangerous a change is: what keeps data, and who may what.
//!
//! The tables name the types that matter of the large providers; an unknown type is judged by its action alone.

use std::collections::BTreeSet;

use model::plan::{Action, Risk};
use serde_json::Value;

use super::change::RawChange;
use super::diff::is_true;

pub(super) struct Verdict {
    pub(super) risk: Risk,
    pub(super) data_kind: Option<String>,
    pub(super) facts: Vec<(String, String)>,
}

pub(super) fn judge(raw: &RawChange, action: Action) -> Verdict {
    let destroys = matches!(action, Action::Delete | Action::DeleteCreate | Action::CreateDelete | Action::Other);
    if raw.mode == "data" {
        return Verdict { risk: Risk::None, data_kind: None, facts: Vec::new() };
    }
    if destroys && let Some(kind) = data_kind(&raw.resource_type) {
        return Verdict { risk: Risk::Data, data_kind: Some(kind.to_owned()), facts: facts(raw) };
    }
    let base = match action {
        Action::Read => Risk::None,
        Action::NoOp | Action::Create => Risk::Low,
        Action::Update | Action::Forget => Risk::Medium,
        Action::Delete | Action::DeleteCreate | Action::CreateDelete | Action::Other => Risk::High,
    };
    let risk = if matches!(action, Action::Create | Action::Update) && widens(raw) { Risk::High } else { base };
    Verdict { risk, data_kind: None, facts: Vec::new() }
}

/// Type, and what it is for people. A `*` at the end stands for any rest.
const DATA: [(&str, &str); 82] = [
    ("aws_db_instance", "database"),
    ("aws_db_cluster*", "database"),
    ("aws_rds_cluster", "database"),
    ("aws_rds_cluster_instance", "database"),
    ("aws_rds_global_cluster", "database"),
    ("aws_db_snapshot*", "database snapshot"),
    ("aws_dynamodb_table", "table"),
    ("aws_dynamodb_global_table", "table"),
    ("aws_redshift_cluster", "data warehouse"),
    ("aws_redshiftserverless_namespace", "data warehouse"),
    ("aws_docdb_cluster*", "database"),
    ("aws_neptune_cluster*", "database"),
    ("aws_keyspaces_*", "table"),
    ("aws_timestreamwrite_*", "database"),
    ("aws_memorydb_cluster", "database"),
    ("aws_elasticache_cluster", "cache"),
    ("aws_elasticache_replication_group", "cache"),
    ("aws_elasticsearch_domain", "search index"),
    ("aws_opensearch_domain", "search index"),
    ("aws_opensearchserverless_collection", "search index"),
    ("aws_s3_bucket", "bucket"),
    ("aws_s3_directory_bucket", "bucket"),
    ("aws_s3_object", "stored object"),
    ("aws_s3tables_*", "table"),
    ("aws_ebs_volume", "disk"),
    ("aws_ebs_snapshot*", "disk snapshot"),
    ("aws_efs_file_system", "file system"),
    ("aws_fsx_*", "file system"),
    ("aws_kinesis_stream", "stream"),
    ("aws_msk_cluster", "message log"),
    ("aws_sqs_queue", "queue"),
    ("aws_kms_key", "encryption key"),
    ("aws_kms_external_key", "encryption key"),
    ("aws_secretsmanager_secret", "secret"),
    ("aws_cognito_user_pool", "user directory"),
    ("aws_ecr_repository", "image registry"),
    ("aws_backup_vault", "backup vault"),
    ("aws_glacier_vault", "archive"),
    ("aws_qldb_ledger", "ledger"),
    ("aws_cloudwatch_log_group", "log group"),
    ("google_sql_database_instance", "database"),
    ("google_sql_database", "database"),
    ("google_alloydb_*", "database"),
    ("google_spanner_*", "database"),
    ("google_bigtable_*", "table"),
    ("google_bigquery_dataset", "data warehouse"),
    ("google_bigquery_table", "table"),
    ("google_firestore_database", "database"),
    ("google_storage_bucket", "bucket"),
    ("google_storage_bucket_object", "stored object"),
    ("google_compute_disk", "disk"),
    ("google_compute_region_disk", "disk"),
    ("google_compute_snapshot", "disk snapshot"),
    ("google_filestore_*", "file system"),
    ("google_redis_*", "cache"),
    ("google_memcache_instance", "cache"),
    ("google_kms_*", "encryption key"),
    ("google_secret_manager_secret", "secret"),
    ("google_artifact_registry_repository", "image registry"),
    ("google_pubsub_subscription", "queue"),
    ("azurerm_mssql_database", "database"),
    ("azurerm_mssql_server", "database"),
    ("azurerm_mssql_managed_*", "database"),
    ("azurerm_postgresql_*", "database"),
    ("azurerm_mysql_*", "database"),
    ("azurerm_mariadb_*", "database"),
    ("azurerm_cosmosdb_*", "database"),
    ("azurerm_redis_cache", "cache"),
    ("azurerm_storage_account", "storage account"),
    ("azurerm_storage_container", "bucket"),
    ("azurerm_storage_share", "file system"),
    ("azurerm_storage_blob", "stored object"),
    ("azurerm_managed_disk", "disk"),
    ("azurerm_netapp_volume", "file system"),
    ("azurerm_key_vault*", "key vault"),
    ("azurerm_container_registry", "image registry"),
    ("azurerm_eventhub*", "stream"),
    ("azurerm_log_analytics_workspace", "log store"),
    ("kubernetes_persistent_volume*", "volume"),
    ("digitalocean_database_cluster", "database"),
    ("digitalocean_volume", "disk"),
    ("mongodbatlas_*cluster", "database"),
];

/// Types under these families that only configure something: no data goes with them.
const NOT_DATA: [&str; 12] = [
    "_policy",
    "_parameter_group",
    "_firewall_rule",
    "_configuration",
    "_iam_member",
    "_iam_binding",
    "_iam_policy",
    "_access_policy",
    "_virtual_network_rule",
    "_role_assignment",
    "_copy",
    "_flexible_server_active_directory_administrator",
];

fn data_kind(resource_type: &str) -> Option<&'static str> {
    if NOT_DATA.iter().any(|end| resource_type.ends_with(end)) {
        return None;
    }
    let fits = |pattern: &str| match pattern.split_once('*') {
        Some((begin, end)) => resource_type.starts_with(begin) && resource_type.ends_with(end),
        None => resource_type == pattern,
    };
    DATA.iter().find(|(pattern, _)| fits(pattern)).map(|(_, kind)| *kind)
}

/// What a person wants to know before it is gone. Never a sensitive value.
fn facts(raw: &RawChange) -> Vec<(String, String)> {
    let before = &raw.change.before;
    let get = |name: &str| {
        let value = before.get(name)?;
        let marked = is_true(&raw.change.before_sensitive) || is_true(&raw.change.before_sensitive[name]);
        if marked { None } else { scalar(value) }
    };
    let mut facts = Vec::new();
    if let Some(engine) = get("engine").or_else(|| get("database_version")) {
        let version = get("engine_version").or_else(|| get("version")).map(|v| format!(" {v}")).unwrap_or_default();
        facts.push(("engine".to_owned(), format!("{engine}{version}")));
    }
    for (name, unit) in [
        ("allocated_storage", "GiB"),
        ("size", "GiB"),
        ("disk_size_gb", "GiB"),
        ("storage_mb", "MiB"),
        ("size_gb", "GiB"),
    ] {
        if let Some(size) = get(name).filter(|size| size.parse::<u64>().is_ok_and(|size| size > 0)) {
            facts.push(("size".to_owned(), format!("{size} {unit}")));
            break;
        }
    }
    for name in [
        "instance_class",
        "deletion_protection",
        "deletion_protection_enabled",
        "skip_final_snapshot",
        "final_snapshot_identifier",
        "backup_retention_period",
        "delete_automated_backups",
        "force_destroy",
        "force_delete",
        "point_in_time_recovery",
        "deletion_window_in_days",
        "recovery_window_in_days",
        "purge_protection_enabled",
        "prevent_destroy",
    ] {
        facts.extend(get(name).map(|value| (name.to_owned(), value)));
    }
    facts
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= 100 && !text.contains('\n') => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Types that give somebody a right by being there.
const GRANTS: [&str; 21] = [
    "aws_iam_role_policy_attachment",
    "aws_iam_user_policy_attachment",
    "aws_iam_group_policy_attachment",
    "aws_iam_policy_attachment",
    "aws_iam_user_group_membership",
    "aws_iam_group_membership",
    "aws_iam_access_key",
    "aws_iam_user_login_profile",
    "aws_lambda_permission",
    "aws_eks_access_policy_association",
    "aws_eks_access_entry",
    "aws_ssoadmin_account_assignment",
    "aws_kms_grant",
    "azurerm_role_assignment",
    "azuread_app_role_assignment",
    "azuread_directory_role_assignment",
    "azurerm_key_vault_access_policy",
    "kubernetes_cluster_role_binding",
    "kubernetes_role_binding",
    "github_team_membership",
    "google_service_account_key",
];

/// Does it let somebody do more than before, or the world in?
fn widens(raw: &RawChange) -> bool {
    let kind = raw.resource_type.as_str();
    let google_iam = kind.starts_with("google_")
        && ["_iam_member", "_iam_binding", "_iam_policy"].iter().any(|end| kind.ends_with(end));
    let created = raw.change.before.is_null();
    if GRANTS.contains(&kind) || google_iam {
        return created || raw.change.before != raw.change.after || super::diff::any_true(&raw.change.after_unknown);
    }
    policy_widens(raw) || opens_to_the_world(raw)
}

/// Attributes that hold policy documents, and types whose policies speak of rights.
fn policy_widens(raw: &RawChange) -> bool {
    let body = &raw.change;
    ["policy", "assume_role_policy", "inline_policy", "key_policy", "access_policies"].iter().any(|name| {
        let speaks = raw.resource_type.contains("iam")
            || raw.resource_type.ends_with("_policy")
            || raw.resource_type.contains("kms")
            || *name == "assume_role_policy";
        if !speaks {
            return false;
        }
        // Not known yet: it may be anything.
        if super::diff::any_true(&body.after_unknown[*name]) {
            return true;
        }
        let allowed = grants(&body.after[*name]);
        let before = grants(&body.before[*name]);
        !allowed.is_subset(&before)
    })
}

/// (who, what, on which) of all `Allow` statements, one by one.
fn grants(value: &Value) -> BTreeSet<String> {
    let parsed = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let document = parsed.as_ref().unwrap_or(value);
    let mut all = BTreeSet::new();
    for statement in listed(&document["Statement"]) {
        if statement["Effect"] != "Allow" {
            continue;
        }
        let principals: Vec<String> = if statement["Principal"].is_object() {
            let kinds = statement["Principal"].as_object().into_iter().flatten();
            kinds.flat_map(|(kind, who)| listed(who).into_iter().map(move |who| format!("{kind}:{who}"))).collect()
        } else {
            vec![statement["Principal"].to_string()]
        };
        let condition = statement["Condition"].to_string();
        for principal in &principals {
            for action in listed(&statement["Action"]).into_iter().chain(listed(&statement["NotAction"])) {
                for resource in listed(&statement["Resource"]) {
                    all.insert(format!("{principal} {action} {resource} {condition}"));
                }
            }
        }
    }
    all
}

/// A list, or the one thing that stands where a list may stand; nothing counts as one nothing.
fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

/// New `0.0.0.0/0` and the like in what is let in, and switches that make something public.
fn opens_to_the_world(raw: &RawChange) -> bool {
    let (before, after) = (&raw.change.before, &raw.change.after);
    let became = |name: &str, value: &Value| after[name] == *value && before[name] != *value;
    let public_acl = ["acl"].iter().any(|name| {
        after[*name].as_str().is_some_and(|acl| acl.starts_with("public")) && before[*name] != after[*name]
    });
    let unblocked = raw.resource_type.ends_with("public_access_block")
        && ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
            .iter()
            .any(|name| became(name, &Value::Bool(false)));
    let public = ["publicly_accessible", "public_network_access_enabled", "allow_blob_public_access"]
        .iter()
        .any(|name| became(name, &Value::Bool(true)));
    let outward = after["type"] == "egress" || after["direction"] == "EGRESS" || after["direction"] == "Outbound";
    let world = !outward
        && !raw.resource_type.ends_with("egress_rule")
        && ["security_group", "firewall", "network_acl", "network_security"]
            .iter()
            .any(|part| raw.resource_type.contains(part))
        && world_count(after) > world_count(before);
    public_acl || unblocked || public || world
}

fn world_count(value: &Value) -> usize {
    match value {
        Value::String(text) => usize::from(matches!(text.as_str(), "0.0.0.0/0" | "::/0" | "*" | "Internet")),
        Value::Array(items) => items.iter().map(world_count).sum(),
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| !key.starts_with("egress") && !key.starts_with("destination") && !key.contains("port"))
            .map(|(_, value)| world_count(value))
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::data_kind;

    #[test]
    fn stores_are_told_from_what_configures_them() {
        assert_eq!(data_kind("aws_db_instance"), Some("database"));
        assert_eq!(data_kind("azurerm_postgresql_flexible_server"), Some("database"));
        assert_eq!(data_kind("azurerm_postgresql_firewall_rule"), None);
        assert_eq!(data_kind("aws_db_parameter_group"), None);
        assert_eq!(data_kind("aws_s3_bucket_policy"), None);
        assert_eq!(data_kind("aws_s3_bucket"), Some("bucket"));
        assert_eq!(data_kind("aws_subnet"), None);
    }
}
