//! `ForgeWrite` over the App's HTTP client. Every write is an upsert by our own key: repeating one changes nothing.

use async_trait::async_trait;
use hyper::http::Method;
use model::id::{CheckRunId, CommentId, CommitSha, DeploymentId, IssueNumber, PullNumber, StackName};
use model::ports::{ForgeError, ForgeWrite, Merged};
use model::publication::{Check, CheckName, Deployment, Issue, Notice, Reaction, Reply, Summary};
use model::pull::RepoSnapshot;
use model::stack::MergeMethod;
use serde_json::{Value, json};

use super::auth::Scope;
use super::client::{GitHub, Who};
use super::shape::{self, written};
use super::{deployment, issue, merge};
use crate::render::{self, RenderedCheck};

/// Annotations that GitHub takes in one request.
const ANNOTATIONS: usize = 50;
const MINIMIZE: &str =
    "mutation($id:ID!){minimizeComment(input:{subjectId:$id,classifier:OUTDATED}){minimizedComment{isMinimized}}}";

#[async_trait]
impl ForgeWrite for GitHub {
    fn render_version(&self) -> u32 {
        render::VERSION
    }

    async fn put_check(
        &self,
        repo: &RepoSnapshot,
        commit: &CommitSha,
        check: &Check,
        known: Option<CheckRunId>,
    ) -> Result<CheckRunId, ForgeError> {
        let rendered = render::check(check);
        let found = match known {
            Some(id) => Some(id),
            None => self.find_check(repo, commit, check).await?,
        };
        let fresh = self.fresh_annotations(repo, found, &rendered.annotations).await?;
        let mut rest = fresh.chunks(ANNOTATIONS);
        let first = rest.next().unwrap_or_default();
        let mut body = check_body(check, &rendered, first);
        let answer = match found {
            Some(id) => {
                let path = format!("/repos/{}/check-runs/{id}", repo.name);
                self.call(Who::Repo(repo, Scope::Checks), Method::PATCH, &path, Some(&body)).await?
            }
            None => {
                body["head_sha"] = json!(commit.as_str());
                let path = format!("/repos/{}/check-runs", repo.name);
                self.call(Who::Repo(repo, Scope::Checks), Method::POST, &path, Some(&body)).await?
            }
        };
        let id = shape::read::<shape::CheckRun>("a check run", answer.body)?.id;
        for batch in rest {
            let path = format!("/repos/{}/check-runs/{id}", repo.name);
            let body = json!({"output": output(&rendered, batch)});
            self.call(Who::Repo(repo, Scope::Checks), Method::PATCH, &path, Some(&body)).await?;
        }
        Ok(CheckRunId::new(id))
    }

    async fn put_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        self.put_comment(repo, number, render::SUMMARY_MARKER, &render::summary(summary), known).await
    }

    async fn move_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        old: CommentId,
        crowd: usize,
    ) -> Result<CommentId, ForgeError> {
        let author = format!("{}[bot]", self.app_slug().await?);
        let mut below = self.list_comments(repo, number, None).await?;
        below.retain(|it| it.id > old.get());
        let text = render::summary(summary);
        let ours = |it: &&shape::Comment| is_ours(it, &author, render::SUMMARY_MARKER);
        // One that an earlier try wrote is taken up.
        let known = below.iter().find(ours).map(|it| CommentId::new(it.id));
        if known.is_none() && below.len() < crowd {
            return self.put_comment(repo, number, render::SUMMARY_MARKER, &text, Some(old)).await;
        }
        let id = match known {
            Some(id) => self.edit_comment(repo, id, &json!({"body": text})).await.map(|()| id)?,
            None => self.new_comment(repo, number, &text).await?,
        };
        self.minimize(repo, old).await?;
        Ok(id)
    }

    async fn put_notice(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        notice: &Notice,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        self.put_comment(repo, number, &render::notice_marker(&notice.key), &render::notice(notice), known).await
    }

    async fn put_issue(
        &self,
        repo: &RepoSnapshot,
        issue: &Issue,
        known: Option<IssueNumber>,
    ) -> Result<IssueNumber, ForgeError> {
        issue::put(self, repo, issue, known).await
    }

    async fn put_deployment(
        &self,
        repo: &RepoSnapshot,
        deployment: &Deployment,
        known: Option<DeploymentId>,
    ) -> Result<DeploymentId, ForgeError> {
        deployment::put(self, repo, deployment, known).await
    }

    async fn merge(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        head: &CommitSha,
        method: Option<MergeMethod>,
    ) -> Result<Merged, ForgeError> {
        merge::merge(self, repo, number, head, method).await
    }

    async fn put_reply(&self, repo: &RepoSnapshot, number: PullNumber, reply: &Reply) -> Result<CommentId, ForgeError> {
        let text = render::reply(reply, env!("CARGO_PKG_VERSION"));
        self.put_comment(repo, number, &render::reply_marker(reply.to), &text, None).await
    }

    async fn react(&self, repo: &RepoSnapshot, comment: CommentId, reaction: Reaction) -> Result<(), ForgeError> {
        let content = match reaction {
            Reaction::Eyes => "eyes",
            Reaction::ThumbsDown => "-1",
        };
        let path = format!("/repos/{}/issues/comments/{comment}/reactions", repo.name);
        let body = json!({"content": content});
        self.call(Who::Repo(repo, Scope::Comments), Method::POST, &path, Some(&body)).await.map(drop)
    }

    async fn minimize(&self, repo: &RepoSnapshot, comment: CommentId) -> Result<(), ForgeError> {
        let path = format!("/repos/{}/issues/comments/{comment}", repo.name);
        let answer = match self.call(Who::Repo(repo, Scope::Read), Method::GET, &path, None).await {
            Ok(answer) => answer,
            Err(ForgeError::Gone { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let it: shape::Comment = shape::read("a comment", answer.body)?;
        let query = json!({"query": MINIMIZE, "variables": {"id": it.node_id}});
        self.query(repo, Scope::Comments, query).await.map(drop)
    }

    async fn checks(
        &self,
        repo: &RepoSnapshot,
        commit: &CommitSha,
    ) -> Result<Vec<(CheckName, CheckRunId)>, ForgeError> {
        let runs = self.list_checks(repo, commit).await?;
        Ok(runs.into_iter().filter_map(|it| Some((check_name(&it.name)?, CheckRunId::new(it.id)))).collect())
    }
}

impl GitHub {
    async fn list_checks(&self, repo: &RepoSnapshot, commit: &CommitSha) -> Result<Vec<shape::CheckRun>, ForgeError> {
        let app = self.options.key.app_id();
        let path = format!("/repos/{}/commits/{commit}/check-runs?filter=all&app_id={app}", repo.name);
        let pick = |page| shape::read::<shape::CheckRuns>("check runs", page).map(|it| it.check_runs);
        let mut runs = self.repo_pages(repo, Scope::Checks, &path, pick).await?;
        runs.retain(|it| it.app.as_ref().is_some_and(|it| it.id == app));
        Ok(runs)
    }

    /// The newest check run of that external id.
    async fn find_check(
        &self,
        repo: &RepoSnapshot,
        commit: &CommitSha,
        check: &Check,
    ) -> Result<Option<CheckRunId>, ForgeError> {
        let runs = self.list_checks(repo, commit).await?;
        let same = |it: &&shape::CheckRun| it.external_id.as_deref() == Some(check.external_id.as_str());
        Ok(runs.iter().filter(same).map(|it| CheckRunId::new(it.id)).max())
    }

    /// Those that the check run does not have yet: GitHub adds what is sent to what is there.
    async fn fresh_annotations(
        &self,
        repo: &RepoSnapshot,
        run: Option<CheckRunId>,
        wanted: &[render::Annotation],
    ) -> Result<Vec<render::Annotation>, ForgeError> {
        let Some(id) = run.filter(|_| !wanted.is_empty()) else { return Ok(wanted.to_vec()) };
        let path = format!("/repos/{}/check-runs/{id}/annotations", repo.name);
        let pick = |page| shape::read::<Vec<shape::Annotation>>("annotations", page);
        let there = self.repo_pages(repo, Scope::Checks, &path, pick).await?;
        let sent = |it: &render::Annotation| {
            there.iter().any(|old| {
                old.path == it.path && old.start_line == it.start_line && old.message.as_deref() == Some(&it.message)
            })
        };
        Ok(wanted.iter().filter(|it| !sent(it)).cloned().collect())
    }

    /// Edits the known comment, else the one of ours that begins with the marker, else writes one.
    async fn put_comment(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        marker: &str,
        text: &str,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        let body = json!({"body": text});
        if let Some(id) = known {
            match self.edit_comment(repo, id, &body).await {
                // Somebody deleted it; look for another, else write a new one.
                Err(ForgeError::Gone { .. }) => {}
                done => return done.map(|()| id),
            }
        }
        let author = format!("{}[bot]", self.app_slug().await?);
        let ours = |it: &&shape::Comment| is_ours(it, &author, marker);
        let listed = self.list_comments(repo, number, None).await?;
        if let Some(found) = listed.iter().filter(ours).max_by_key(|it| it.id) {
            let id = CommentId::new(found.id);
            if found.body.as_deref() != Some(text) {
                self.edit_comment(repo, id, &body).await?;
            }
            return Ok(id);
        }
        self.new_comment(repo, number, text).await
    }

    async fn new_comment(&self, repo: &RepoSnapshot, number: PullNumber, text: &str) -> Result<CommentId, ForgeError> {
        let path = format!("/repos/{}/issues/{number}/comments", repo.name);
        let body = json!({"body": text});
        let answer = self.call(Who::Repo(repo, Scope::Comments), Method::POST, &path, Some(&body)).await?;
        Ok(CommentId::new(shape::read::<shape::Comment>("a comment", answer.body)?.id))
    }

    async fn edit_comment(&self, repo: &RepoSnapshot, id: CommentId, body: &Value) -> Result<(), ForgeError> {
        let path = format!("/repos/{}/issues/comments/{id}", repo.name);
        self.call(Who::Repo(repo, Scope::Comments), Method::PATCH, &path, Some(body)).await.map(drop)
    }
}

fn is_ours(it: &shape::Comment, author: &str, marker: &str) -> bool {
    it.user.as_ref().is_some_and(|user| user.login == author)
        && it.body.as_deref().is_some_and(|body| body.starts_with(marker))
}

fn check_name(name: &str) -> Option<CheckName> {
    if let Some(aggregate) = CheckName::AGGREGATES.into_iter().find(|it| it.to_string() == name) {
        return Some(aggregate);
    }
    StackName::parse(name.strip_prefix("plan: ")?).ok().map(CheckName::Stack)
}

fn check_body(check: &Check, rendered: &RenderedCheck, annotations: &[render::Annotation]) -> Value {
    let mut body = json!({
        "name": check.name.to_string(),
        "external_id": check.external_id,
        "details_url": check.details_url,
        "status": rendered.status,
        "output": output(rendered, annotations),
        // Said each time: what is not said stays as it was.
        "actions": rendered.buttons.iter().map(button).collect::<Vec<_>>(),
    });
    if let Some(at) = check.started_at {
        body["started_at"] = json!(written(at));
    }
    if let Some(conclusion) = rendered.conclusion {
        body["conclusion"] = json!(conclusion);
        if let Some(at) = check.completed_at {
            body["completed_at"] = json!(written(at));
        }
    }
    body
}

fn output(rendered: &RenderedCheck, annotations: &[render::Annotation]) -> Value {
    let mut output = json!({"title": rendered.title, "summary": rendered.summary});
    if !rendered.text.is_empty() {
        output["text"] = json!(rendered.text);
    }
    if !annotations.is_empty() {
        output["annotations"] = annotations.iter().map(annotation).collect();
    }
    output
}

fn button(it: &render::Button) -> Value {
    json!({"label": it.label, "description": it.description, "identifier": it.identifier})
}

fn annotation(it: &render::Annotation) -> Value {
    json!({
        "path": it.path,
        "start_line": it.start_line,
        "end_line": it.end_line,
        "annotation_level": it.level.name(),
        "message": it.message,
        "title": it.title,
    })
}
