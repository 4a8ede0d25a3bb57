//! The document's reason words, in plain words.

/// `action_reason`. An unknown one is shown as it is; `None` for those that say nothing.
pub(super) fn action(reason: &str) -> Option<String> {
    let text = match reason {
        "" | "none" => return None,
        "replace_because_tainted" => "it is marked as tainted: an earlier apply left it half made",
        "replace_because_cannot_update" => "an attribute changes that cannot be changed in place",
        "replace_by_request" => "asked for with --replace",
        "replace_by_triggers" => "replace_triggered_by names something that changes",
        "delete_because_no_resource_config" => "it is no longer in the configuration",
        "delete_because_wrong_repetition" => "it no longer fits its count or for_each",
        "delete_because_count_index" => "its index is beyond count",
        "delete_because_each_key" => "its key is no longer in for_each",
        "delete_because_no_module" => "its module is no longer in the configuration",
        "delete_because_no_move_target" => "it was moved to an address that is not in the configuration",
        "delete_because_enabled_false" => "enabled is false",
        "delete_because_exclude" => "everything that depends on it is excluded",
        "read_because_config_unknown" => "its configuration is known after apply",
        "read_because_dependency_pending" => "something that it depends on changes",
        "read_because_check_nested" => "a check reads it",
        other => return Some(other.replace('_', " ")),
    };
    Some(text.to_owned())
}

/// `deferred_changes.*.reason`.
pub(super) fn deferred(reason: &str) -> String {
    match reason {
        "instance_count_unknown" => "how many there will be is known later".to_owned(),
        "resource_config_unknown" => "its configuration is known later".to_owned(),
        "provider_config_unknown" => "its provider's configuration is known later".to_owned(),
        "absent_prereq" => "something that it needs is not there yet".to_owned(),
        "deferred_prereq" => "something that it needs is deferred itself".to_owned(),
        "" | "unknown" => "the provider does not say why".to_owned(),
        other => other.replace('_', " "),
    }
}
