//! Owns what a test sees of the double from outside: webhooks moved by hand, requests counted, rules broken.
//! It never decides what an answer is; it only reports.

use crate::error::Error;
use crate::{FakeGitHub, webhook};

/// One webhook as it was queued, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its number; [`FakeGitHub::redeliver`] takes it.
    pub id: u64,
    /// `X-GitHub-Delivery`; the same for a redelivery.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The payload's `action`.
    pub action: Option<String>,
    /// The body.
    pub payload: String,
    /// The status of the answer: `None` before it was sent, 0 when nobody answered.
    pub status: Option<u16>,
    /// The body of the answer.
    pub answer: Option<String>,
    /// It was lost on purpose.
    pub dropped: bool,
}

/// A deployment as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentRecord {
    /// The environment.
    pub environment: String,
    /// The commit.
    pub sha: String,
    /// The states of its statuses, oldest first.
    pub states: Vec<String>,
}

/// What came of work.
impl FakeGitHub {
    /// The deployments of a repository, oldest first.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn deployments(&self, repository: &str) -> Result<Vec<DeploymentRecord>, Error> {
        let model = self.shared.model();
        let it = model.repository(model.repository_id(repository)?)?;
        let shaped = it.deployments.values().map(|it| DeploymentRecord {
            environment: it.environment.clone(),
            sha: it.sha.clone(),
            states: it.statuses.iter().map(|status| status.state.clone()).collect(),
        });
        Ok(shaped.collect())
    }
}

/// Webhooks by hand, and what went wrong.
impl FakeGitHub {
    /// How many webhooks wait.
    pub fn pending_deliveries(&self) -> usize {
        self.shared.model().deliveries.pending.len()
    }

    /// Every webhook that was ever queued, oldest first.
    pub fn deliveries(&self) -> Vec<DeliveryRecord> {
        let model = self.shared.model();
        let shaped = model.deliveries.records.values().map(|it| DeliveryRecord {
            id: it.id,
            guid: it.guid.clone(),
            event: it.event.clone(),
            action: it.action.clone(),
            payload: it.payload.clone(),
            status: it.answer.as_ref().map(|(status, _)| *status),
            answer: it.answer.as_ref().map(|(_, body)| body.clone()),
            dropped: it.dropped,
        });
        shaped.collect()
    }

    /// Sends the oldest waiting webhook; answers the status (0: nobody answered), `None` when none waits.
    pub async fn deliver_next(&self) -> Option<u16> {
        let id = self.shared.model().deliveries.pending.pop_front()?;
        let shared = std::sync::Arc::clone(&self.shared);
        let sent = self.runtime.spawn(async move { webhook::send(&shared, id).await });
        Some(sent.await.unwrap_or(0))
    }

    /// Sends all waiting webhooks in order; answers how many.
    pub async fn deliver_all(&self) -> usize {
        let mut sent = 0;
        while self.deliver_next().await.is_some() {
            sent += 1;
        }
        sent
    }

    /// Loses the oldest waiting webhook; false when none waits.
    pub fn drop_next(&self) -> bool {
        let mut model = self.shared.model();
        let Some(id) = model.deliveries.pending.pop_front() else { return false };
        model.deliveries.lose(id);
        true
    }

    /// Queues the oldest waiting webhook a second time, right behind itself; false when none waits.
    pub fn duplicate_next(&self) -> bool {
        let mut model = self.shared.model();
        let Some(id) = model.deliveries.pending.front().copied() else { return false };
        model.deliveries.pending.insert(1, id);
        true
    }

    /// Puts the waiting webhooks in another order: `order[i]` is the old place of the new i-th. Others keep theirs behind.
    pub fn reorder(&self, order: &[usize]) {
        let mut model = self.shared.model();
        let old: Vec<u64> = model.deliveries.pending.iter().copied().collect();
        let first: Vec<usize> = order.iter().copied().filter(|place| *place < old.len()).collect();
        let rest = (0..old.len()).filter(|place| !first.contains(place));
        model.deliveries.pending = first.iter().copied().chain(rest).map(|place| old[place]).collect();
    }

    /// Queues a delivery again, as the button on GitHub's page does.
    ///
    /// # Errors
    /// There is no such delivery.
    pub fn redeliver(&self, id: u64) -> Result<(), Error> {
        self.shared.model().redeliver(id).map(drop)
    }

    /// How many REST and GraphQL requests came.
    pub fn requests(&self) -> u64 {
        self.shared.model().requests
    }

    /// What a correct client would not have sent, and what the double itself did wrong.
    pub fn violations(&self) -> Vec<String> {
        self.shared.model().violations.clone()
    }

    /// GraphQL questions that were answered, oldest first: `{"query", "variables", "data"}`, to be held against
    /// GitHub's schema.
    pub fn questions(&self) -> Vec<serde_json::Value> {
        self.shared.model().questions.clone()
    }

    /// Takes the violations away, for a test that causes one on purpose.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.model().violations)
    }

    /// Stops; an error lists every violation.
    ///
    /// # Errors
    /// Anything was recorded.
    pub fn finish(self) -> Result<(), Error> {
        let violations = self.take_violations();
        if violations.is_empty() {
            return Ok(());
        }
        Err(Error::Use(format!("the double recorded {} violations:\n- {}", violations.len(), violations.join("\n- "))))
    }

    /// Everything that a person would see on each pull request, as stable text.
    pub fn transcript(&self) -> String {
        crate::transcript::transcript(&self.shared.model())
    }

    /// The newest checks of any commit, as in the transcript.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn checks_of(&self, repository: &str, sha: &str) -> Result<String, Error> {
        let model = self.shared.model();
        Ok(crate::transcript::commit(model.repository(model.repository_id(repository)?)?, sha))
    }
}
