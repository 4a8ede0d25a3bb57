//! A repository on this disk: its `.buildit/*.kdl` and the directories that hold configuration files.
//!
//! Reads only; follows no link to a directory. Shared by `check`, `fmt` and `init`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use model::config::{Layout, SourceFile};
use model::id::RepoName;

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
pub fn layout(root: &Path) -> anyhow::Result<Layout> {
    Ok(runner::source::layout(root)?)
}
