//! Finding the program that plans a stack.
//!
//! Looks at the operator's paths, `PATH` and the cache directory; asks each program for its version once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use model::config::Directory;
use model::ports::IacError;
use model::stack::ResolvedTool;
use model::stack::{Tool, ToolChoice};

use super::IacSettings;
use super::version::{Constraint, Version};

/// Remembers versions by path and modification time.
#[derive(Debug)]
pub(super) struct Finder {
    settings: IacSettings,
    known: std::sync::Arc<Mutex<Known>>,
}

type Known = BTreeMap<(PathBuf, Option<SystemTime>), Option<(Tool, Version)>>;

/// What a stack asks for, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    tool: Option<Tool>,
    /// (constraint as written, meaning, where it is written)
    constraints: Vec<(String, Option<Constraint>, String)>,
}

impl Finder {
    pub(super) fn new(settings: IacSettings) -> Self {
        Self { settings, known: std::sync::Arc::default() }
    }

    pub(super) async fn resolve(
        &self,
        choice: Option<&ToolChoice>,
        directory: &Directory,
    ) -> Result<ResolvedTool, IacError> {
        let wanted = wanted(choice, directory);
        if let Some((text, _, place)) = wanted.constraints.iter().find(|(_, meaning, _)| meaning.is_none()) {
            return Err(IacError::NoTool {
                message: format!(
                    "{text:?} in {place} is not a version that can be looked for\n  do: write \"1.10\" (the newest 1.10.x) or \"=1.10.3\" there"
                ),
            });
        }
        let all = self.all().await;
        pick(&wanted, &all, self.settings.default).ok_or_else(|| self.nothing(&wanted, &all))
    }

    /// All programs, OpenTofu and terraform mixed, in the order of the places; newest first within the cache.
    pub(super) async fn all(&self) -> Vec<ResolvedTool> {
        let (settings, known) = (self.settings.clone(), self.known.clone());
        let found = tokio::task::spawn_blocking(move || {
            candidates(&settings).into_iter().filter_map(|path| version_of(&known, path)).collect()
        });
        found.await.unwrap_or_default()
    }

    fn nothing(&self, wanted: &Wanted, all: &[ResolvedTool]) -> IacError {
        let name = match wanted.tool {
            Some(tool) => tool.name(),
            None => "terraform or tofu",
        };
        let asked: Vec<String> =
            wanted.constraints.iter().map(|(text, _, place)| format!("{text:?} ({place})")).collect();
        let asked = if asked.is_empty() { String::new() } else { format!(" {}", asked.join(", ")) };
        let mut places: Vec<String> = self.settings.tools.iter().map(|path| path.display().to_string()).collect();
        if self.settings.search_path {
            places.push("PATH".to_owned());
        }
        places.extend(self.settings.cache.iter().map(|path| path.display().to_string()));
        let found: Vec<String> = all.iter().map(|tool| format!("{} {}", tool.tool.name(), tool.version)).collect();
        let found = if found.is_empty() { String::new() } else { format!("; there is {}", found.join(", ")) };
        let install = match wanted.tool {
            Some(Tool::Terraform) => "terraform (https://developer.hashicorp.com/terraform/install)",
            _ => "OpenTofu (https://opentofu.org/docs/intro/install)",
        };
        IacError::NoTool {
            message: format!(
                "no {name}{asked} found\n  looked in {}{found}\n  do: install {install}, or --tool /path/to/{}",
                if places.is_empty() { "no place: none is set".to_owned() } else { places.join(", ") },
                wanted.tool.map_or("terraform", Tool::program),
            ),
        }
    }
}

/// The first of these that speaks: the configuration, version files, `required_version`, the lock file's host.
fn wanted(choice: Option<&ToolChoice>, directory: &Directory) -> Wanted {
    let mut wanted = Wanted { tool: None, constraints: Vec::new() };
    if let Some(choice) = choice {
        wanted.tool = Some(choice.tool);
        if let Some(text) = &choice.version {
            let meaning = Constraint::chosen(text);
            wanted.constraints.push((text.clone(), meaning, "the configuration's `tool`".to_owned()));
            return wanted;
        }
    }
    let files = [(Tool::OpenTofu, &directory.opentofu_version), (Tool::Terraform, &directory.terraform_version)];
    for (tool, file) in files {
        if let Some((path, text)) = file
            && wanted.tool.is_none_or(|named| named == tool)
        {
            wanted.tool = Some(tool);
            let text = text.trim();
            if text.starts_with("latest") {
                break;
            }
            // A version file names one version when it writes it in full.
            wanted.constraints.push((text.to_owned(), Constraint::chosen(text), path.to_string()));
            return wanted;
        }
    }
    if let Some(text) = &directory.required_version {
        wanted.constraints.push((text.clone(), Constraint::required(text), "`required_version`".to_owned()));
    }
    if wanted.tool.is_none() {
        wanted.tool = host_tool(&directory.lock_hosts);
    }
    wanted
}

/// The lock file names one registry's host and not the other's.
fn host_tool(hosts: &[String]) -> Option<Tool> {
    let has = |host: &str| hosts.iter().any(|found| found == host);
    match (has("registry.opentofu.org"), has("registry.terraform.io")) {
        (true, false) => Some(Tool::OpenTofu),
        (false, true) => Some(Tool::Terraform),
        _ => None,
    }
}

/// A lock file's host only prefers: when that program is not there but the other is, the other plans.
fn pick(wanted: &Wanted, all: &[ResolvedTool], default: Option<Tool>) -> Option<ResolvedTool> {
    let fits = |tool: &&ResolvedTool| {
        let Some(version) = Version::parse(&tool.version) else { return wanted.constraints.is_empty() };
        wanted.constraints.iter().all(|(_, meaning, _)| meaning.as_ref().is_some_and(|meaning| meaning.holds(&version)))
    };
    let newest = |kind: Tool| {
        all.iter().filter(|tool| tool.tool == kind).filter(fits).max_by(|a, b| {
            // The first place wins among equals: `max_by` would take the last.
            Version::parse(&a.version).cmp(&Version::parse(&b.version)).then(std::cmp::Ordering::Greater)
        })
    };
    let order = match (wanted.tool, default) {
        (Some(tool), _) => vec![tool],
        (None, Some(tool)) => vec![tool, other(tool)],
        (None, None) => vec![Tool::OpenTofu, Tool::Terraform],
    };
    order.into_iter().find_map(newest).cloned()
}

fn other(tool: Tool) -> Tool {
    match tool {
        Tool::Terraform => Tool::OpenTofu,
        Tool::OpenTofu => Tool::Terraform,
    }
}

fn candidates(settings: &IacSettings) -> Vec<PathBuf> {
    let mut paths = settings.tools.clone();
    if settings.search_path
        && let Some(path) = std::env::var_os("PATH")
    {
        for directory in std::env::split_paths(&path) {
            paths.extend([Tool::OpenTofu, Tool::Terraform].map(|tool| directory.join(tool.program())));
        }
    }
    if let Some(cache) = &settings.cache {
        in_cache(cache, 3, &mut paths);
    }
    let mut seen = std::collections::BTreeSet::new();
    paths.retain(|path| path.is_file() && seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    paths
}

fn in_cache(directory: &Path, depth: u32, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_file() && (name == Tool::OpenTofu.program() || name == Tool::Terraform.program()) {
            paths.push(path);
        } else if depth > 1 && path.is_dir() {
            in_cache(&path, depth - 1, paths);
        }
    }
}

fn version_of(known: &Mutex<Known>, path: PathBuf) -> Option<ResolvedTool> {
    let modified = fs::metadata(&path).and_then(|found| found.modified()).ok();
    let key = (path.clone(), modified);
    let cached = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let found = cached.unwrap_or_else(|| {
        let asked = ask(&path);
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, asked.clone());
        asked
    });
    found.map(|(tool, version)| ResolvedTool { tool, version: version.to_string(), path })
}

/// Runs `PROGRAM version` in an empty environment; its first line is `Terraform v1.11.4` or `OpenTofu v1.12.6`.
#[expect(clippy::disallowed_methods, reason = "asks a program of the operator for its version; no repository code")]
fn ask(path: &Path) -> Option<(Tool, Version)> {
    let output = Command::new(path)
        .arg("version")
        .env_clear()
        .env("CHECKPOINT_DISABLE", "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| {
        let (name, version) = line.split_once(" v")?;
        let tool = match name.trim() {
            "Terraform" => Tool::Terraform,
            "OpenTofu" => Tool::OpenTofu,
            _ => return None,
        };
        Some((tool, Version::parse(version)?))
    })
}
