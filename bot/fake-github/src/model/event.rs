//! Owns the queue and the record of webhooks: which app is told what, with a payload as it is at that moment.
//! Never sends anything; `webhook` does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::error::Error;
use crate::mishap::Mishaps;
use crate::model::Model;
use crate::model::app::random_word;
use crate::shape;

/// One webhook to one app, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    pub(crate) guid: String,
    pub(crate) app: u64,
    pub(crate) installation: Option<u64>,
    pub(crate) repository: Option<u64>,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    pub(crate) payload: String,
    pub(crate) redelivery: bool,
    pub(crate) created_at: i64,
    /// Status and answer of the last attempt; status 0 when no connection could be made. `None`: not sent yet.
    pub(crate) answer: Option<(u16, String)>,
    /// It was taken out of the queue unsent, as a lost one.
    pub(crate) dropped: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    pub(crate) pending: VecDeque<u64>,
    pub(crate) mishaps: Mishaps,
    pub(crate) records: BTreeMap<u64, Delivery>,
    pub(crate) wake: Arc<Notify>,
}

impl Model {
    /// Tells every app that is installed on the repository and subscribed to the event.
    pub(crate) fn tell(
        &mut self,
        repository: u64,
        actor: u64,
        event: &str,
        action: Option<&str>,
        fields: Map<String, Value>,
    ) {
        self.tell_only(repository, actor, event, action, fields, None);
    }

    /// As `tell`, but only one app when `only` names it.
    pub(crate) fn tell_only(
        &mut self,
        repository: u64,
        actor: u64,
        event: &str,
        action: Option<&str>,
        fields: Map<String, Value>,
        only: Option<u64>,
    ) {
        let listening: Vec<(u64, u64)> = self
            .installations
            .values()
            .filter(|it| it.repositories.contains(&repository) && it.events.iter().any(|name| name == event))
            .filter(|it| only.is_none_or(|app| app == it.app))
            .map(|it| (it.id, it.app))
            .collect();
        let Some(it) = self.repositories.get(&repository) else { return };
        if listening.is_empty() {
            return;
        }
        let mut payload = fields;
        if let Some(action) = action {
            payload.insert("action".into(), json!(action));
        }
        payload.insert("repository".into(), shape::repository::whole(self, it, shape::Form::Webhook));
        payload.insert("sender".into(), shape::user::user(self, actor));
        if let Some(organization) = shape::user::organization(self, it.owner) {
            payload.insert("organization".into(), organization);
        }
        for (installation, app) in listening {
            let mut payload = payload.clone();
            payload.insert(
                "installation".into(),
                json!({"id": installation, "node_id": shape::node("MDIzOk", installation)}),
            );
            self.queue(app, Some(installation), Some(repository), event, action, Value::Object(payload));
        }
    }

    /// Tells every app that is installed in the organisation and subscribed, about no repository in particular. What
    /// happens to teams is done by an owner here.
    pub(crate) fn tell_organization(
        &mut self,
        organization: u64,
        event: &str,
        action: &str,
        fields: Map<String, Value>,
    ) {
        let Some(shaped) = shape::user::organization(self, organization) else { return };
        let owner = self.accounts.get(&organization).and_then(|it| it.members.first().copied());
        let mut payload = fields;
        payload.insert("action".into(), json!(action));
        payload.insert("organization".into(), shaped);
        payload.insert("sender".into(), shape::user::user(self, owner.unwrap_or(organization)));
        let subscribed = |it: &&crate::model::app::Installation| {
            it.account == organization && it.events.iter().any(|name| name == event)
        };
        let listening: Vec<(u64, u64)> =
            self.installations.values().filter(subscribed).map(|it| (it.id, it.app)).collect();
        for (installation, app) in listening {
            let mut payload = payload.clone();
            let node = shape::node("MDIzOk", installation);
            payload.insert("installation".into(), json!({"id": installation, "node_id": node}));
            self.queue(app, Some(installation), None, event, Some(action), Value::Object(payload));
        }
    }

    pub(crate) fn tell_installation(&mut self, id: u64, action: &str) {
        let Some(installation) = self.installations.get(&id) else { return };
        let app = installation.app;
        let repositories: Vec<Value> = installation
            .repositories
            .iter()
            .filter_map(|id| self.repositories.get(id))
            .map(|it| shape::repository::brief(self, it))
            .collect();
        let payload = json!({
            "action": action,
            "installation": shape::app::installation(self, installation, shape::Form::Webhook),
            "repositories": repositories,
            "sender": shape::user::user(self, installation.account),
        });
        self.queue(app, Some(id), None, "installation", Some(action), payload);
    }

    pub(crate) fn tell_repositories(&mut self, id: u64, repositories: &[u64], added: bool) {
        let Some(installation) = self.installations.get(&id) else { return };
        let app = installation.app;
        let named: Vec<Value> = repositories
            .iter()
            .filter_map(|id| self.repositories.get(id))
            .map(|it| shape::repository::brief(self, it))
            .collect();
        let action = if added { "added" } else { "removed" };
        let (more, less) = if added { (named, Vec::new()) } else { (Vec::new(), named) };
        let payload = json!({
            "action": action,
            "installation": shape::app::installation(self, installation, shape::Form::Webhook),
            "repository_selection": "selected",
            "repositories_added": more,
            "repositories_removed": less,
            "requester": null,
            "sender": shape::user::user(self, installation.account),
        });
        self.queue(app, Some(id), None, "installation_repositories", Some(action), payload);
    }

    /// The first webhook of an app that has an address.
    pub(crate) fn tell_ping(&mut self, app: u64) {
        let Some(payload) = shape::app::ping(self, app) else { return };
        self.queue(app, None, None, "ping", None, payload);
    }

    fn queue(
        &mut self,
        app: u64,
        installation: Option<u64>,
        repository: Option<u64>,
        event: &str,
        action: Option<&str>,
        payload: Value,
    ) {
        if self.apps.get(&app).is_none_or(|app| app.webhook_url.is_none()) {
            return;
        }
        if self.validate
            && let Err(why) = crate::description::webhook(event, action, &payload)
        {
            self.violation(format!(
                "the double's own webhook {event} {} is not as GitHub describes it: {why}",
                action.unwrap_or_default()
            ));
        }
        let (id, created_at) = (self.id(), self.now());
        let delivery = Delivery {
            id,
            guid: self.guid(),
            app,
            installation,
            repository,
            event: event.into(),
            action: action.map(str::to_owned),
            payload: payload.to_string(),
            redelivery: false,
            created_at,
            answer: None,
            dropped: false,
        };
        self.deliveries.records.insert(id, delivery);
        self.deliveries.arrive(id);
    }

    /// A fresh `X-GitHub-Delivery`.
    fn guid(&mut self) -> String {
        let word = random_word().unwrap_or_else(|_| format!("{:036}", self.next_id));
        format!("{}-{}-{}-{}-{}", &word[..8], &word[8..12], &word[12..16], &word[16..20], &word[20..32])
    }

    /// Queues a delivery again, with the same `X-GitHub-Delivery`, and answers the new record.
    pub(crate) fn redeliver(&mut self, id: u64) -> Result<u64, Error> {
        let again =
            self.deliveries.records.get(&id).cloned().ok_or_else(|| Error::NotFound(format!("delivery {id}")))?;
        let (id, created_at) = (self.id(), self.now());
        self.deliveries
            .records
            .insert(id, Delivery { id, created_at, redelivery: true, answer: None, dropped: false, ..again });
        self.deliveries.pending.push_back(id);
        self.deliveries.wake.notify_one();
        Ok(id)
    }
}
