//! Owns repositories and branches as JSON.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::repository::Repository;
use crate::shape::{Form, node, user};

/// The addresses below a repository's API address, with GitHub's templates.
const URLS: [(&str, &str); 37] = [
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
    ("url", ""),
];

fn api_url(model: &Model, repository: &Repository) -> String {
    format!("{}/repos/{}", model.api(), model.full_name(repository))
}

/// The fields that every form of a repository has.
pub(crate) fn minimal(model: &Model, repository: &Repository) -> Map<String, Value> {
    let (api, name) = (api_url(model, repository), model.full_name(repository));
    let mut map: Map<String, Value> =
        URLS.iter().map(|(field, path)| ((*field).to_owned(), json!(format!("{api}{path}")))).collect();
    let more = [
        ("id", json!(repository.id)),
        ("node_id", json!(node("R", repository.id))),
        ("name", json!(repository.name)),
        ("full_name", json!(name)),
        ("private", json!(repository.private)),
        ("owner", user::user(model, repository.owner)),
        ("html_url", json!(format!("{}/{name}", model.url))),
        ("description", json!(repository.description)),
        ("fork", json!(repository.parent.is_some())),
    ];
    map.extend(more.map(|(name, value)| (name.to_owned(), value)));
    map
}

/// The whole repository; answers have some fields that webhooks do not.
pub(crate) fn whole(model: &Model, repository: &Repository, form: Form) -> Value {
    let name = model.full_name(repository);
    let page = format!("{}/{name}", model.url);
    let open = repository.pulls.values().filter(|pull| pull.is_open()).count()
        + repository.issues.values().filter(|issue| issue.open).count();
    let forks = model.repositories.values().filter(|it| it.parent == Some(repository.id)).count();
    let mut map = minimal(model, repository);
    let more = json!({
        "created_at": rfc3339(repository.created_at),
        "updated_at": rfc3339(repository.updated_at),
        "pushed_at": rfc3339(repository.pushed_at),
        "git_url": format!("git://{}/{name}.git", model.url.trim_start_matches("http://")),
        "ssh_url": format!("git@localhost:{name}.git"),
        "clone_url": format!("{page}.git"),
        "svn_url": page,
        "homepage": null,
        "size": 1, "stargazers_count": 0, "watchers_count": 0, "language": "HCL",
        "has_issues": repository.has_issues, "has_projects": false, "has_downloads": true, "has_wiki": false, "has_pages": false,
        "has_discussions": false, "forks_count": forks, "mirror_url": null, "archived": false, "disabled": false,
        "open_issues_count": open, "license": null, "allow_forking": true, "is_template": false,
        "web_commit_signoff_required": false, "topics": [],
        "visibility": if repository.private { "private" } else { "public" },
        "forks": forks, "open_issues": open, "watchers": 0,
        "default_branch": repository.default_branch,
        "custom_properties": {},
    });
    if let Value::Object(more) = more {
        map.extend(more);
    }
    if form == Form::Rest {
        map.insert("network_count".into(), json!(forks));
        map.insert("subscribers_count".into(), json!(0));
        map.insert("permissions".into(), user::flags(Some(Role::Read)));
    }
    Value::Object(map)
}

/// The five fields in installation webhooks.
pub(crate) fn brief(model: &Model, repository: &Repository) -> Value {
    json!({
        "id": repository.id,
        "node_id": node("R", repository.id),
        "name": repository.name,
        "full_name": model.full_name(repository),
        "private": repository.private,
    })
}

/// The three fields in the pull requests of a check.
pub(crate) fn reference(model: &Model, repository: &Repository) -> Value {
    json!({"id": repository.id, "url": api_url(model, repository), "name": repository.name})
}
