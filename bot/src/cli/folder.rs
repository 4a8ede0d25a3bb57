//! A repository on this disk: its `.buildit/*.kdl` and the directories that hold configuration files.
//!
//! Reads only; follows no link to a directory. Shared by `check`, `fmt` and `init`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use hcl_edit::structure::Body;
use model::config::{Directory, Layout, SourceFile};
use model::id::{RelPath, RepoName};

/// Files above this size are not configuration written by people.
const LARGEST: u64 = 4 << 20;

/// The KDL files below `.buildit/`, by name. An error when there is no such folder.
pub fn configuration(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let folder = root.join(".buildit");
    let entries = fs::read_dir(&folder).with_context(|| {
        format!(
            "no configuration: {} cannot be read\n  do: buildit init, or give the repository's folder",
            folder.display()
        )
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("failed to list {}", folder.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "kdl") || !path.is_file() {
            continue;
        }
        let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(SourceFile { path: format!(".buildit/{name}"), text: String::from_utf8_lossy(&bytes).into_owned() });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// A name for the repository, after its folder.
pub fn name(root: &Path) -> anyhow::Result<RepoName> {
    let full = root.canonicalize().with_context(|| format!("no such folder: {}", root.display()))?;
    let folder = full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let clean: String = folder
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    RepoName::parse(&format!("local/{clean}")).or_else(|_| RepoName::parse("local/repository")).map_err(Into::into)
}

/// The directories with terraform, OpenTofu or terragrunt files.
pub fn layout(root: &Path) -> Layout {
    let mut walk = Walk::default();
    walk.folder(root, &RelPath::root());
    for module in &walk.modules {
        if let Some(directory) = walk.layout.directories.get_mut(module) {
            directory.used_as_module = true;
        }
    }
    walk.layout
}

#[derive(Debug, Default)]
struct Walk {
    layout: Layout,
    modules: Vec<RelPath>,
}

impl Walk {
    fn folder(&mut self, on_disk: &Path, path: &RelPath) {
        let Ok(entries) = fs::read_dir(on_disk) else { return };
        let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
        let mut folders = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !matches!(name.as_str(), ".git" | ".terraform") => folders.push(name),
                Ok(kind) if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) => {
                    files.insert(name, entry.path());
                }
                _ => {}
            }
        }
        if let Some(directory) = self.directory(&files, path) {
            self.layout.directories.insert(path.clone(), directory);
        }
        for name in folders {
            if let Some(below) = path.join(&name) {
                self.folder(&on_disk.join(&name), &below);
            }
        }
    }

    fn directory(&mut self, files: &BTreeMap<String, PathBuf>, path: &RelPath) -> Option<Directory> {
        let mut directory = Directory { terragrunt: files.contains_key("terragrunt.hcl"), ..Directory::default() };
        let mut any = directory.terragrunt;
        for (name, file) in files {
            let json = name.ends_with(".tf.json") || name.ends_with(".tofu.json");
            if !json && !name.ends_with(".tf") && !name.ends_with(".tofu") {
                continue;
            }
            any = true;
            let small = fs::metadata(file).is_ok_and(|meta| meta.len() <= LARGEST);
            let Some(text) = small.then(|| fs::read_to_string(file).ok()).flatten() else { continue };
            if json {
                self.json(&text, &mut directory, path);
            } else if let Ok(body) = hcl_edit::parser::parse_body(&text) {
                self.hcl(&body, &mut directory, path);
            }
        }
        any.then_some(directory)
    }

    fn hcl(&mut self, body: &Body, directory: &mut Directory, path: &RelPath) {
        directory.provider |= body.has_blocks("provider");
        for settings in body.get_blocks("terraform") {
            directory.cloud |= settings.body.has_blocks("cloud");
            if let Some(backend) = settings.body.get_blocks("backend").next() {
                directory.backend = Some(backend.labels.first().map_or("", |label| label.as_str()).to_owned());
            }
            let version = settings.body.get_attribute("required_version").and_then(|a| a.value.as_str());
            directory.required_version = version.map(str::to_owned).or(directory.required_version.take());
        }
        for module in body.get_blocks("module") {
            let source = module.body.get_attribute("source").and_then(|a| a.value.as_str());
            self.module(source, path);
        }
    }

    fn json(&mut self, text: &str, directory: &mut Directory, path: &RelPath) {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return };
        directory.provider |= value.get("provider").is_some();
        directory.cloud |= value.pointer("/terraform/cloud").is_some();
        let backend = value.pointer("/terraform/backend").and_then(|b| b.as_object()).and_then(|b| b.keys().next());
        directory.backend = backend.cloned().or(directory.backend.take());
        for module in value.get("module").and_then(|m| m.as_object()).into_iter().flat_map(|m| m.values()) {
            self.module(module.get("source").and_then(|s| s.as_str()), path);
        }
    }

    fn module(&mut self, source: Option<&str>, path: &RelPath) {
        let local = source.filter(|source| source.starts_with("./") || source.starts_with("../"));
        self.modules.extend(local.and_then(|source| path.join(source)));
    }
}
