//! One entry of `resource_changes`.

use model::plan::{Action, Change};
use model::ports::IacError;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::diff::{Sides, diff, path_text};
use super::{Secrets, reasons, risk, unreadable};

/// As the document has it.
#[derive(Deserialize)]
pub(super) struct RawChange {
    pub(super) address: String,
    #[serde(default)]
    pub(super) previous_address: Option<String>,
    #[serde(default)]
    pub(super) mode: String,
    #[serde(rename = "type", default)]
    pub(super) resource_type: String,
    #[serde(default)]
    pub(super) provider_name: String,
    #[serde(default)]
    pub(super) deposed: Option<String>,
    #[serde(default)]
    pub(super) action_reason: Option<String>,
    pub(super) change: RawBody,
}

#[derive(Deserialize)]
pub(super) struct RawBody {
    #[serde(default)]
    pub(super) actions: Vec<String>,
    #[serde(default)]
    pub(super) before: Value,
    #[serde(default)]
    pub(super) after: Value,
    #[serde(default)]
    pub(super) after_unknown: Value,
    #[serde(default)]
    pub(super) before_sensitive: Value,
    #[serde(default)]
    pub(super) after_sensitive: Value,
    #[serde(default)]
    pub(super) replace_paths: Option<Vec<Vec<Value>>>,
    #[serde(default)]
    pub(super) importing: Option<Value>,
}

/// Nothing happens to it and it stays where it is. Looks at as little as possible: most entries are so.
pub(super) fn is_pure_no_op(raw: &RawValue) -> Result<bool, IacError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(default)]
        address: String,
        #[serde(default)]
        previous_address: Option<String>,
        #[serde(borrow)]
        change: HeadBody<'a>,
    }
    #[derive(Deserialize)]
    struct HeadBody<'a> {
        #[serde(borrow, default)]
        actions: Vec<std::borrow::Cow<'a, str>>,
        #[serde(borrow, default)]
        importing: Option<&'a RawValue>,
    }
    let head: Head<'_> = serde_json::from_str(raw.get()).map_err(|error| unreadable("a resource change", &error))?;
    let moved = head.previous_address.is_some_and(|previous| previous != head.address);
    Ok(head.change.actions == ["no-op"] && head.change.importing.is_none() && !moved)
}

/// What the list of actions means.
pub(super) fn actions(actions: &[String]) -> Action {
    let words: Vec<&str> = actions.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["no-op"] => Action::NoOp,
        ["create"] => Action::Create,
        ["read"] => Action::Read,
        ["update"] => Action::Update,
        ["delete"] => Action::Delete,
        ["delete", "create"] => Action::DeleteCreate,
        ["create", "delete"] => Action::CreateDelete,
        ["forget"] => Action::Forget,
        _ => Action::Other,
    }
}

impl RawChange {
    pub(super) fn parse(raw: &RawValue) -> Result<Self, IacError> {
        serde_json::from_str(raw.get()).map_err(|error| unreadable("a resource change", &error))
    }

    pub(super) fn action(&self) -> Action {
        actions(&self.change.actions)
    }

    pub(super) fn moved_from(&self) -> Option<&str> {
        self.previous_address.as_deref().filter(|previous| *previous != self.address)
    }

    pub(super) fn import_id(&self) -> Option<String> {
        let importing = self.change.importing.as_ref()?;
        Some(match (&importing["id"], &importing["identity"]) {
            (Value::String(id), _) => id.clone(),
            (_, Value::Null) => "(known after apply)".to_owned(),
            (_, identity) => identity.to_string(),
        })
    }

    pub(super) fn sides(&self) -> Sides<'_> {
        Sides {
            before: &self.change.before,
            after: &self.change.after,
            unknown: &self.change.after_unknown,
            before_sensitive: &self.change.before_sensitive,
            after_sensitive: &self.change.after_sensitive,
        }
    }

    pub(super) fn note_secrets(&self, secrets: &mut Secrets) {
        super::masked::note_marked(&self.change.before, &self.change.before_sensitive, secrets);
        super::masked::note_marked(&self.change.after, &self.change.after_sensitive, secrets);
    }

    /// The change for people; `None` when nothing of it is worth a line.
    pub(super) fn change(&self, secrets: &mut Secrets) -> Option<Change> {
        self.note_secrets(secrets);
        let action = self.action();
        let moved = self.moved_from().map(str::to_owned);
        let import_id = self.import_id();
        if action == Action::NoOp && moved.is_none() && import_id.is_none() {
            return None;
        }
        let forcing: Vec<Vec<Value>> = self.change.replace_paths.clone().unwrap_or_default();
        let found = diff(self.sides(), &forcing);
        let reason = match action {
            Action::Other => Some(format!("unknown action {:?}", self.change.actions.join(", "))),
            _ => self.action_reason.as_deref().and_then(reasons::action),
        };
        let verdict = risk::judge(self, action);
        Some(Change {
            address: self.address.clone(),
            previous_address: moved,
            resource_type: self.resource_type.clone(),
            deposed: self.deposed.clone(),
            import_id,
            action,
            reason,
            replace_paths: forcing.iter().map(|path| path_text(path)).collect(),
            attributes: found.attributes,
            unchanged: found.unchanged,
            risk: verdict.risk,
            data_kind: verdict.data_kind,
            facts: verdict.facts,
        })
    }
}
