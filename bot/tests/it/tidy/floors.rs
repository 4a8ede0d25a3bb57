//! The floors as rules: which client lives in which room, which room may not reach for
//! which, and what the manifests may name. docs/architecture.md says why in prose.

use super::Finding;
use super::lex::{Mention, mentions};

/// A package that only the named rooms may mention.
pub(super) struct Client {
    pub(super) path: &'static str,
    pub(super) rooms: &'static [&'static str],
}

const fn client(path: &'static str, rooms: &'static [&'static str]) -> Client {
    Client { path, rooms }
}

/// Rooms that speak HTTP.
const WIRE: &[&str] =
    &["runner/src/source", "runner/src/iac", "bot/src/github", "bot/src/web", "bot/src/app", "bot/fake-github/"];

pub(super) const CLIENTS: &[Client] = &[
    client("sqlx", &["reconciler/src/store"]),
    client("octocrab", &["bot/src/github"]),
    client("jsonwebtoken", &["bot/src/github/auth"]),
    client("git2", &["runner/src/source"]),
    client("hcl_edit", &["runner/src/source"]),
    client("kdl", &["reconciler/model/src/config"]),
    client("axum", &["bot/src/web", "bot/src/github/webhook", "bot/src/app", "bot/fake-github/"]),
    client("askama", &["bot/src/render", "bot/src/web"]),
    client("hyper", WIRE),
    client("hyper_util", WIRE),
    client("hyper_rustls", WIRE),
    client("http_body_util", WIRE),
    client("rustls", &["runner/src/source", "runner/src/iac", "bot/src/main.rs", "bot/src/app"]),
    client("bollard", &["runner/src/exec/docker"]),
    client("kube", &["runner/src/exec/kubernetes"]),
    client("k8s_openapi", &["runner/src/exec/kubernetes"]),
    client("opa_wasm", &["runner/src/policy"]),
    client("regorus", &["runner/src/policy"]),
    client("rustix", &["runner/src/exec", "runner/entry/", "bot/src/cli"]),
    client("clap", &["bot/src/cli", "bot/src/main.rs", "bot/fake-github/src/main.rs"]),
    client("miette", &["bot/src/cli"]),
    client("toml", &["bot/src/settings"]),
    client("anyhow", &["bot/src/main.rs", "bot/src/cli", "bot/src/app", "bot/fake-github/src/main.rs"]),
    client(
        "std::process::Command",
        &["runner/src/exec", "runner/src/iac/find", "runner/entry/", "bot/fake-github/src/git"],
    ),
    client("tokio::process", &["runner/src/exec", "bot/fake-github/src/git"]),
    client("println", &["bot/src/cli", "bot/src/main.rs", "bot/fake-github/src/main.rs", "runner/entry/src/main.rs"]),
    client("eprintln", &["bot/src/cli", "bot/src/main.rs", "bot/fake-github/src/main.rs", "runner/entry/src/main.rs"]),
    client("bot::app", &["bot/src/app", "bot/src/cli", "bot/src/main.rs"]),
];

/// What a room may not reach for. Paths are absolute: `crate::` and `super::` are resolved.
pub(super) struct Wall {
    pub(super) room: &'static str,
    /// The parts of the room that this wall does not bind.
    pub(super) doors: &'static [&'static str],
    pub(super) never: &'static [&'static str],
    /// (a crate, the only rooms of it that may be used).
    pub(super) only: Option<(&'static str, &'static [&'static str])>,
    pub(super) why: &'static str,
}

const fn wall(room: &'static str, never: &'static [&'static str], why: &'static str) -> Wall {
    Wall { room, doors: &[], never, only: None, why }
}

impl Wall {
    const fn only(mut self, name: &'static str, rooms: &'static [&'static str]) -> Wall {
        self.only = Some((name, rooms));
        self
    }
    const fn but(mut self, doors: &'static [&'static str]) -> Wall {
        self.doors = doors;
        self
    }
}

const PURE: &[&str] = &[
    "reconciler::store",
    "model::ports",
    "tokio",
    "async",
    "await",
    "std::time::SystemTime",
    "std::env",
    "std::fs",
    "std::net",
];
const STORE_FREE: &[&str] = &["reconciler::decide", "reconciler::engine", "reconciler::act", "reconciler::observe"];

pub(super) const WALLS: &[Wall] = &[
    wall(
        "reconciler/model/",
        &["tokio", "reqwest", "std::net", "std::fs", "std::process", "std::env"],
        "model is the language: it touches nothing",
    ),
    wall("reconciler/src/decide", PURE, "decide is pure: a World goes in, a Decision comes out"),
    wall("reconciler/src/gate", PURE, "gates judge values"),
    wall("reconciler/src/world", PURE, "the world is values"),
    wall("reconciler/src/store", STORE_FREE, "store knows statements, not the flow"),
    wall(
        "reconciler/src/observe",
        &["reconciler::decide", "reconciler::act", "reconciler::engine"],
        "observe reads, nothing else",
    ),
    wall(
        "reconciler/src/act",
        &["reconciler::observe", "reconciler::engine"],
        "what an action causes is seen by the next observe",
    ),
    wall("reconciler/", &["runner", "bot"], "reconciler and runner never see each other"),
    wall("runner/src/", &["reconciler", "bot"], "reconciler and runner never see each other"),
    wall(
        "runner/src/exec",
        &["runner::iac", "runner::policy", "runner::source", "runner::deploy"],
        "adapters of runner do not see each other",
    ),
    wall(
        "runner/src/iac",
        &["runner::exec", "runner::policy", "runner::source", "runner::deploy"],
        "adapters of runner do not see each other",
    ),
    wall(
        "runner/src/policy",
        &["runner::exec", "runner::iac", "runner::source", "runner::deploy"],
        "adapters of runner do not see each other",
    ),
    wall(
        "runner/src/source",
        &["runner::exec", "runner::iac", "runner::policy", "runner::deploy"],
        "adapters of runner do not see each other",
    ),
    wall(
        "runner/entry/",
        &["model", "runner", "tokio", "std::net"],
        "entry stands beside foreign code: no network, nothing of the server",
    ),
    wall(
        "bot/fake-github/",
        &["model", "reconciler", "runner", "bot", "octocrab"],
        "the double is GitHub: it knows nothing of BuildIt",
    ),
    wall(
        "bot/src/render",
        &[
            "runner",
            "bot::github",
            "bot::web",
            "bot::app",
            "bot::cli",
            "bot::local",
            "bot::settings",
            "tokio",
            "async",
            "await",
            "std::fs",
            "std::env",
        ],
        "render is pure: a publication goes in, text comes out",
    )
    .only("reconciler", &[]),
    wall(
        "bot/src/github",
        &["runner", "bot::web", "bot::app", "bot::cli", "bot::local"],
        "github is an adapter: only its webhook hands hints to the inbox",
    )
    .only("reconciler", &["inbox"]),
    wall("bot/src/github", &["reconciler", "axum"], "only the webhook speaks to the inbox")
        .but(&["bot/src/github/webhook"]),
    wall(
        "bot/src/local",
        &["reconciler", "bot::github", "bot::web", "bot::app", "bot::cli"],
        "the local forge is an adapter",
    ),
    wall(
        "bot/src/web",
        &["runner", "bot::github", "bot::app", "bot::cli", "bot::local"],
        "web shows views and hands commands to desk",
    )
    .only("reconciler", &["inbox", "views", "logs", "desk", "states"]),
    wall("bot/src/settings", &["reconciler", "runner", "bot::github", "bot::web", "bot::app"], "settings are values"),
];

/// The crate that a file belongs to, and its folder.
const CRATES: &[(&str, &str)] = &[
    ("bot/fake-github/src/", "fake_github"),
    ("bot/src/", "bot"),
    ("reconciler/model/src/", "model"),
    ("reconciler/src/", "reconciler"),
    ("runner/entry/src/", "entry"),
    ("runner/src/", "runner"),
];

/// What the clients and walls say about one file.
pub(super) fn findings(path: &str, code: &str) -> Vec<Finding> {
    // A crate's `tests/` and `benches/` are outside: they may see everything.
    let Some((folder, name)) = CRATES.iter().find(|(folder, _)| path.starts_with(folder)) else {
        return Vec::new();
    };
    let mentioned = mentions(code);
    // A module that this file declares hides a package of the same name.
    let declared: Vec<String> = mentioned
        .windows(2)
        .filter(|pair| pair[0].path == ["mod"] && pair[1].path.len() == 1)
        .map(|pair| pair[1].path[0].clone())
        .collect();
    let tests_from = super::text::tests_line(code);
    let mut out = Vec::new();
    for mention in mentioned {
        let inner = tests_from.is_some_and(|from| mention.line > from);
        let mut reached = absolute(&mention, name, &path[folder.len()..], inner);
        if declared.contains(&mention.path[0]) {
            reached = format!("{name}::{reached}");
        }
        for client in CLIENTS.iter().filter(|c| touches(&mention, &reached, c.path)) {
            let is_test = inner || path.ends_with("/tests.rs") || path.contains("/tests/");
            let open_to_tests = is_test && matches!(client.path, "anyhow" | "eprintln");
            if !client.rooms.iter().any(|room| path.starts_with(room)) && !open_to_tests {
                let what = format!("`{}` belongs to {}", client.path, client.rooms.join(", "));
                out.push(Finding::new(path, mention.line, what));
            }
        }
        for wall in WALLS.iter().filter(|wall| binds(wall, path)) {
            if let Some(what) = breach(wall, name, &mention, &reached) {
                out.push(Finding::new(path, mention.line, format!("{what}: {}", wall.why)));
            }
        }
    }
    out
}

fn binds(wall: &Wall, path: &str) -> bool {
    path.starts_with(wall.room) && !wall.doors.iter().any(|door| path.starts_with(door))
}

fn breach(wall: &Wall, own: &str, mention: &Mention, reached: &str) -> Option<String> {
    let never = wall.never.iter().find(|&&path| path != own && touches(mention, reached, path));
    if let Some(never) = never {
        return Some(format!("must not use `{never}`"));
    }
    let (from, rooms) = wall.only?;
    if !touches(mention, reached, from) {
        return None;
    }
    let room = reached.split("::").nth(1).unwrap_or("*");
    (!rooms.contains(&room)).then(|| format!("must not use `{from}::{room}`"))
}

/// Does the mention reach `path` or something inside it?
fn touches(mention: &Mention, reached: &str, path: &str) -> bool {
    let inside = reached == path || reached.strip_prefix(path).is_some_and(|rest| rest.starts_with("::"));
    let is_word = matches!(path, "async" | "await" | "println" | "eprintln");
    inside && (mention.reaches || is_word)
}

/// The path with `crate`, `self` and `super` resolved by the file's place.
/// `inner`: inside the file's own `mod tests`, one step deeper.
fn absolute(mention: &Mention, name: &str, file: &str, inner: bool) -> String {
    let mut module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if matches!(module.last(), Some(&("mod" | "lib" | "main"))) {
        module.pop();
    }
    if inner {
        module.push("tests");
    }
    let path: Vec<&str> = mention.path.iter().map(String::as_str).collect();
    let supers = path.iter().take_while(|&&part| part == "super").count();
    let rest = match path[0] {
        "crate" => {
            module.clear();
            &path[1..]
        }
        "self" if path.len() > 1 => &path[1..],
        "super" => {
            module.truncate(module.len().saturating_sub(supers));
            &path[supers..]
        }
        _ => return path.join("::"),
    };
    [&[name], module.as_slice(), rest].concat().join("::")
}

/// Packages that a crate's manifest must not name, whatever its code does with them.
pub(super) const MANIFESTS: &[(&str, &[&str])] = &[
    (
        "reconciler/model/Cargo.toml",
        &[
            "tokio",
            "sqlx",
            "octocrab",
            "git2",
            "axum",
            "askama",
            "hyper",
            "rustls",
            "reconciler",
            "runner",
            "bot",
            "anyhow",
            "tempfile",
        ],
    ),
    (
        "reconciler/Cargo.toml",
        &["runner", "bot", "octocrab", "git2", "axum", "askama", "hyper", "kdl", "bollard", "kube", "anyhow"],
    ),
    ("runner/Cargo.toml", &["reconciler", "bot", "octocrab", "sqlx", "axum", "askama", "kdl", "anyhow"]),
    ("runner/entry/Cargo.toml", &["model", "runner", "reconciler", "tokio", "hyper", "rustls", "anyhow"]),
    ("bot/fake-github/Cargo.toml", &["model", "reconciler", "runner", "bot", "octocrab", "sqlx", "git2", "kdl"]),
    ("bot/Cargo.toml", &["sqlx", "git2", "kdl", "bollard", "kube", "opa-wasm", "regorus", "hcl-edit"]),
];

/// What the manifests may not say.
pub(super) fn manifest_findings(path: &str, manifest: &str) -> Vec<Finding> {
    let mut out = Vec::new();
    let banned = MANIFESTS.iter().find(|(of, _)| *of == path).map_or(&[] as &[&str], |(_, banned)| banned);
    let mut section = "";
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let is_dependency = section.ends_with("dependencies") && !line.starts_with('[');
        let Some((left, _)) = line.split_once('=').filter(|_| is_dependency) else { continue };
        let package = left.trim().split('.').next().unwrap_or_default().trim();
        let mut finding = |what: String| out.push(Finding::new(path, index + 1, what));
        if section == "dependencies" && banned.contains(&package) {
            finding(format!("`{package}` must not enter this crate"));
        }
        if !line.contains("workspace = true") {
            finding(format!("`{package}`: versions stand in the workspace manifest (`{package}.workspace = true`)"));
        }
    }
    out
}
