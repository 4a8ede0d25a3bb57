//! Git as it is, with what a preview is about: the stacks that the person asked for in the place of the affected ones,
//! and no secret.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use model::affected::{Affected, AffectedStack, Why};
use model::id::{CommitSha, RelPath, RepoId, StackName, TreeId};
use model::ports::{FetchError, GitCredential, Source, SourceError, SurveyRequest};
use model::stack::NotYet;
use model::survey::Survey;

/// A source whose surveys are about these stacks alone; about all of them when none is named.
pub(super) struct Selected {
    pub(super) inner: Arc<dyn Source>,
    pub(super) stacks: Vec<StackName>,
}

#[async_trait]
impl Source for Selected {
    async fn fetch(&self, repo: RepoId, from: &GitCredential, commits: &[CommitSha]) -> Result<(), FetchError> {
        self.inner.fetch(repo, from, commits).await
    }
    async fn missing(&self, repo: RepoId, commits: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError> {
        self.inner.missing(repo, commits).await
    }
    async fn parents(&self, repo: RepoId, commit: &CommitSha) -> Result<Vec<CommitSha>, SourceError> {
        self.inner.parents(repo, commit).await
    }
    async fn survey(&self, request: SurveyRequest) -> Result<Survey, SourceError> {
        let mut survey = self.inner.survey(request).await?;
        for stack in survey.stacks.iter_mut().map(|one| &mut one.stack) {
            let what = |secret| format!("the secret `{secret}`, which only a server has");
            let needs = stack.secrets.iter().map(|one| NotYet { what: what(&one.secret), at: one.at.clone() });
            stack.not_yet.extend(needs.collect::<Vec<_>>());
        }
        if !self.stacks.is_empty() {
            survey.affected = select(&survey, &self.stacks);
        }
        Ok(survey)
    }
    async fn tar(&self, repo: RepoId, tree: &TreeId, paths: &[RelPath]) -> Result<Bytes, SourceError> {
        self.inner.tar(repo, tree, paths).await
    }
}

/// A stack that is not affected is planned because it was asked for.
fn select(survey: &Survey, wanted: &[StackName]) -> Affected {
    let chosen = survey.stacks.iter().map(|one| &one.stack).filter(|stack| wanted.contains(&stack.name));
    let affected = chosen.map(|stack| {
        let known = survey.affected.affected.iter().find(|hit| hit.stack == stack.name);
        known.cloned().unwrap_or_else(|| AffectedStack {
            stack: stack.name.clone(),
            path: stack.path.clone(),
            why: vec![Why { file: format!("-p {}", stack.name), rule: "asked for".to_owned(), at: None }],
        })
    });
    let diagnostics = survey.affected.diagnostics.clone();
    Affected { affected: affected.collect(), diagnostics, ..Affected::default() }
}
