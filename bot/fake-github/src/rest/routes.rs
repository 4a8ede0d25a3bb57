//! Owns the table of REST endpoints: GitHub's own templates, what each needs, who answers.
//! `dev/github-description` reads the templates here when it makes the extract.

use crate::rest::Handler;
use crate::rest::{
    activity, apps, asking, branches, checks, collaborators, comments, commits, contents, deployments, git,
    installations, issues, merges, meta, pulls, reactions, repositories, reviews, rules, statuses, teams, threads,
    users,
};

/// Reading or writing, as permissions of apps are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Read,
    Write,
}

/// What a caller must show.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// Nothing.
    Nobody,
    /// A person's token.
    Person,
    /// The app's JWT.
    Jwt,
    /// An installation's token.
    Installation,
    /// Sight of the repository in the path and, for an installation, one of these permissions.
    Repository(&'static [(&'static str, Level)]),
    /// Membership in the organisation in the path, or an installation's token that may read this.
    Organization(&'static str),
}

/// One endpoint.
pub(crate) struct Route {
    /// `METHOD /template`, as in GitHub's description.
    pub(crate) key: &'static str,
    pub(crate) need: Need,
    pub(crate) run: Handler,
}

const fn route(key: &'static str, need: Need, run: Handler) -> Route {
    Route { key, need, run }
}

use Level::{Read, Write};
use Need::{Installation, Jwt, Nobody, Person};

const METADATA: Need = Need::Repository(&[("metadata", Read)]);
const CONTENTS: Need = Need::Repository(&[("contents", Read)]);
const CONTENTS_WRITE: Need = Need::Repository(&[("contents", Write)]);
const PULLS: Need = Need::Repository(&[("pull_requests", Read)]);
const PULLS_WRITE: Need = Need::Repository(&[("pull_requests", Write)]);
const TALK: Need = Need::Repository(&[("issues", Read), ("pull_requests", Read)]);
const TALK_WRITE: Need = Need::Repository(&[("issues", Write), ("pull_requests", Write)]);
const DEPLOYMENTS: Need = Need::Repository(&[("deployments", Read)]);
const DEPLOYMENTS_WRITE: Need = Need::Repository(&[("deployments", Write)]);
const ISSUES_WRITE: Need = Need::Repository(&[("issues", Write)]);
const CHECKS: Need = Need::Repository(&[("checks", Read)]);
const CHECKS_WRITE: Need = Need::Repository(&[("checks", Write)]);
const STATUSES: Need = Need::Repository(&[("statuses", Read)]);
const STATUSES_WRITE: Need = Need::Repository(&[("statuses", Write)]);
const MEMBERS: Need = Need::Organization("members");
const ADMIN: Need = Need::Repository(&[("administration", Read)]);
const ADMIN_WRITE: Need = Need::Repository(&[("administration", Write)]);

/// Every endpoint that the double has. More specific templates stand before those that would swallow them.
pub(crate) const ROUTES: &[Route] = &[
    route("GET /meta", Nobody, meta::meta),
    route("GET /rate_limit", Nobody, meta::rate_limit),
    route("GET /user", Person, users::me),
    route("GET /users/{username}", Nobody, users::get),
    route("GET /users/{username}/installation", Jwt, installations::of_user),
    route("GET /orgs/{org}/installation", Jwt, installations::of_organization),
    route("GET /orgs/{org}/teams", MEMBERS, teams::list),
    route("GET /orgs/{org}/teams/{team_slug}", MEMBERS, teams::get),
    route("GET /orgs/{org}/teams/{team_slug}/members", MEMBERS, teams::members),
    route("GET /orgs/{org}/teams/{team_slug}/teams", MEMBERS, teams::children),
    route("POST /user/repos", Person, repositories::create_mine),
    route("GET /user/repos", Person, repositories::list_mine),
    route("POST /orgs/{org}/repos", Person, repositories::create_in_organization),
    route("GET /app", Jwt, apps::me),
    route("GET /app/installations", Jwt, installations::list),
    route("GET /app/installations/{installation_id}", Jwt, installations::get),
    route("POST /app/installations/{installation_id}/access_tokens", Jwt, installations::token),
    route("GET /app/hook/deliveries", Jwt, apps::deliveries),
    route("GET /app/hook/deliveries/{delivery_id}", Jwt, apps::delivery),
    route("POST /app/hook/deliveries/{delivery_id}/attempts", Jwt, apps::redeliver),
    route("GET /installation/repositories", Installation, installations::repositories),
    route("DELETE /installation/token", Installation, installations::revoke),
    route("GET /repos/{owner}/{repo}/installation", Jwt, installations::of_repository),
    route("GET /repos/{owner}/{repo}", METADATA, repositories::get),
    route("PATCH /repos/{owner}/{repo}", ADMIN_WRITE, repositories::update),
    route("DELETE /repos/{owner}/{repo}", ADMIN_WRITE, repositories::delete),
    route("POST /repos/{owner}/{repo}/forks", METADATA, repositories::fork),
    route("GET /repos/{owner}/{repo}/collaborators/{username}/permission", METADATA, collaborators::permission),
    route("PUT /repos/{owner}/{repo}/collaborators/{username}", ADMIN_WRITE, collaborators::add),
    route("GET /repos/{owner}/{repo}/activity", CONTENTS, activity::list),
    route("GET /repos/{owner}/{repo}/rules/branches/{branch}", METADATA, rules::of_branch),
    route("GET /repos/{owner}/{repo}/rulesets", METADATA, rules::list),
    route("GET /repos/{owner}/{repo}/rulesets/{ruleset_id}", METADATA, rules::get),
    route("GET /repos/{owner}/{repo}/branches", CONTENTS, branches::list),
    route("GET /repos/{owner}/{repo}/branches/{branch}/protection", ADMIN, branches::protection),
    route("GET /repos/{owner}/{repo}/branches/{branch}", CONTENTS, branches::get),
    route("GET /repos/{owner}/{repo}/git/ref/{ref}", CONTENTS, git::get_ref),
    route("GET /repos/{owner}/{repo}/git/matching-refs/{ref}", CONTENTS, git::matching_refs),
    route("POST /repos/{owner}/{repo}/git/refs", CONTENTS_WRITE, git::create_ref),
    route("PATCH /repos/{owner}/{repo}/git/refs/{ref}", CONTENTS_WRITE, git::update_ref),
    route("DELETE /repos/{owner}/{repo}/git/refs/{ref}", CONTENTS_WRITE, git::delete_ref),
    route("GET /repos/{owner}/{repo}/git/commits/{commit_sha}", CONTENTS, git::get_commit),
    route("GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls", PULLS, commits::pulls),
    route("GET /repos/{owner}/{repo}/commits/{ref}/check-runs", CHECKS, checks::list_for_ref),
    route("GET /repos/{owner}/{repo}/commits/{ref}/check-suites", CHECKS, checks::suites_for_ref),
    route("GET /repos/{owner}/{repo}/commits/{ref}/status", STATUSES, statuses::combined),
    route("GET /repos/{owner}/{repo}/commits/{ref}/statuses", STATUSES, statuses::list),
    route("POST /repos/{owner}/{repo}/statuses/{sha}", STATUSES_WRITE, statuses::create),
    route("GET /repos/{owner}/{repo}/commits", CONTENTS, commits::list),
    route("GET /repos/{owner}/{repo}/commits/{ref}", CONTENTS, commits::get),
    route("GET /repos/{owner}/{repo}/contents/{path}", CONTENTS, contents::get),
    route("PUT /repos/{owner}/{repo}/contents/{path}", CONTENTS_WRITE, contents::put),
    route("GET /repos/{owner}/{repo}/pulls", PULLS, pulls::list),
    route("POST /repos/{owner}/{repo}/pulls", PULLS_WRITE, pulls::create),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}", PULLS, pulls::get),
    route("PATCH /repos/{owner}/{repo}/pulls/{pull_number}", PULLS_WRITE, pulls::update),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/commits", PULLS, pulls::commits),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/files", PULLS, pulls::files),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/merge", PULLS, merges::merged),
    route("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", CONTENTS_WRITE, merges::merge),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews", PULLS, reviews::list),
    route("POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews", PULLS_WRITE, reviews::create),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}", PULLS, reviews::get),
    route(
        "PUT /repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals",
        PULLS_WRITE,
        reviews::dismiss,
    ),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/comments", PULLS, threads::list),
    route("POST /repos/{owner}/{repo}/pulls/{pull_number}/comments", PULLS_WRITE, threads::create),
    route("GET /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", PULLS, asking::list),
    route("POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", PULLS_WRITE, asking::add),
    route("DELETE /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", PULLS_WRITE, asking::remove),
    route("GET /repos/{owner}/{repo}/issues/comments/{comment_id}", TALK, comments::get),
    route("PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}", TALK_WRITE, comments::update),
    route("DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}", TALK_WRITE, comments::delete),
    route("GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", TALK, reactions::list),
    route("POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", TALK_WRITE, reactions::create),
    route(
        "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}",
        TALK_WRITE,
        reactions::delete,
    ),
    route("GET /repos/{owner}/{repo}/issues", TALK, issues::list),
    route("POST /repos/{owner}/{repo}/issues", ISSUES_WRITE, issues::create),
    route("GET /repos/{owner}/{repo}/issues/{issue_number}", TALK, issues::get),
    route("PATCH /repos/{owner}/{repo}/issues/{issue_number}", TALK_WRITE, issues::update),
    route("GET /repos/{owner}/{repo}/issues/{issue_number}/comments", TALK, comments::list),
    route("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", TALK_WRITE, comments::create),
    route("PUT /repos/{owner}/{repo}/issues/{issue_number}/labels", TALK_WRITE, pulls::set_labels),
    route("POST /repos/{owner}/{repo}/issues/{issue_number}/labels", TALK_WRITE, pulls::add_labels),
    route("GET /repos/{owner}/{repo}/deployments", DEPLOYMENTS, deployments::list),
    route("POST /repos/{owner}/{repo}/deployments", DEPLOYMENTS_WRITE, deployments::create),
    route("GET /repos/{owner}/{repo}/deployments/{deployment_id}", DEPLOYMENTS, deployments::get),
    route("GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses", DEPLOYMENTS, deployments::statuses),
    route(
        "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        DEPLOYMENTS_WRITE,
        deployments::create_status,
    ),
    route(
        "GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses/{status_id}",
        DEPLOYMENTS,
        deployments::status,
    ),
    route("POST /repos/{owner}/{repo}/check-runs", CHECKS_WRITE, checks::create),
    route("GET /repos/{owner}/{repo}/check-runs/{check_run_id}", CHECKS, checks::get),
    route("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", CHECKS_WRITE, checks::update),
    route("GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", CHECKS, checks::annotations),
    route("POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest", CHECKS_WRITE, checks::rerequest_run),
    route("GET /repos/{owner}/{repo}/check-suites/{check_suite_id}", CHECKS, checks::get_suite),
    route("GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs", CHECKS, checks::list_for_suite),
    route("POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest", CHECKS_WRITE, checks::rerequest_suite),
];
