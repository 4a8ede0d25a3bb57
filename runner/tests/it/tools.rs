//! The real tools and the real provider, when they are there.

use std::path::PathBuf;

use model::stack::Tool;
use runner::iac::{Iac, IacSettings};

/// Says loudly what is skipped; `BUILDIT_REQUIRE` makes it a failure.
pub(crate) fn missing(what: &str) {
    let required = std::env::var("BUILDIT_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == what), "{what} is required (BUILDIT_REQUIRE) and not there");
    eprintln!("SKIPPED: {what} is not on this machine; run dev/setup");
}

/// The program, when this machine has it.
pub(crate) fn program(tool: Tool) -> Option<PathBuf> {
    let named = match tool {
        Tool::OpenTofu => std::env::var_os("BUILDIT_TOFU").map(PathBuf::from),
        Tool::Terraform => None,
    };
    let found = named.filter(|path| path.is_file()).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|directory| directory.join(tool.program())).find(|path| path.is_file())
    });
    if found.is_none() {
        missing(tool.program());
    }
    found
}

/// A CLI configuration that knows a local mirror with hashicorp/local; the tests never use the user's own.
pub(crate) fn local_provider() -> Option<PathBuf> {
    let found = std::env::var_os("TF_CLI_CONFIG_FILE")
        .map(PathBuf::from)
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("filesystem_mirror")));
    if found.is_none() {
        missing("provider-local");
    }
    found
}

/// An engine over exactly this program, without the user's CLI configuration.
pub(crate) fn engine(program: PathBuf, cli_config: Option<PathBuf>) -> Iac {
    Iac::new(IacSettings { tools: vec![program], cli_config, ..IacSettings::default() })
}

/// Each case as a test with terraform and one with OpenTofu; a missing tool is told by `program`.
macro_rules! with_both_tools {
    ($($case:ident),* $(,)?) => {
        mod terraform {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(program) = crate::tools::program(model::stack::Tool::Terraform) {
                    super::$case(&program).await;
                }
            })*
        }
        mod tofu {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(program) = crate::tools::program(model::stack::Tool::OpenTofu) {
                    super::$case(&program).await;
                }
            })*
        }
    };
}
pub(crate) use with_both_tools;
