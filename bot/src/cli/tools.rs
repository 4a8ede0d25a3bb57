//! The terraform or tofu of a person's machine, for the commands that plan without a server.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use model::config::Directory;
use model::ports::IacEngine as _;
use model::stack::ResolvedTool;
use runner::iac::{Iac, IacSettings};

/// What the person has set for their own tool: its CLI configuration and plugin cache.
pub fn personal() -> IacSettings {
    let (cli_config, plugin_cache) = (variable("TF_CLI_CONFIG_FILE"), variable("TF_PLUGIN_CACHE_DIR"));
    IacSettings { cli_config, plugin_cache, ..IacSettings::default() }
}

/// Exactly this program, or whatever is on PATH and in the cache of `dev/setup`, PATH first.
///
/// # Errors
/// The named program is not there.
pub async fn iac(only: Option<&Path>, settings: IacSettings) -> anyhow::Result<Iac> {
    if let Some(path) = only {
        let path = path.canonicalize().with_context(|| format!("--tool {}: no such program", path.display()))?;
        return Ok(Iac::new(IacSettings { tools: vec![path], ..settings }));
    }
    let on_path = IacSettings { search_path: true, ..settings };
    let first = Iac::new(on_path.clone()).resolve(None, &Directory::default()).await;
    let cache = variable("BUILDIT_CACHE").or_else(|| variable("HOME").map(|home| home.join(".cache/buildit")));
    Ok(Iac::new(IacSettings { default: first.ok().map(|found| found.tool), cache, ..on_path }))
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// What plans a stack that asks for nothing.
///
/// # Errors
/// There is none; says what to do. `only` is the program that the person named.
pub async fn default(iac: &Iac, only: Option<&Path>) -> anyhow::Result<ResolvedTool> {
    let found = iac.resolve(None, &Directory::default()).await;
    match only {
        Some(path) => found.map_err(|_| {
            anyhow::anyhow!(
                "--tool {0} is neither terraform nor tofu\n  `{0} version` must begin with \"Terraform v\" or \"OpenTofu v\"",
                path.display()
            )
        }),
        None => Ok(found?),
    }
}
