//! `buildit fmt`: writes `.buildit/*.kdl` in the one way of writing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use model::config::format;

use super::folder;
use crate::cli::diagnostics;

/// Arguments of `fmt`.
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// The repository's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Change nothing; name the files that would change and end with 1
    #[arg(long)]
    pub check: bool,
}

/// Formats; true when a file is unreadable or, with `--check`, would change (exit code 1).
pub fn run(args: &FmtArgs, out: &mut dyn Write) -> anyhow::Result<bool> {
    let mut findings = false;
    for file in folder::configuration(&args.dir)? {
        let text = match format(&file) {
            Ok(text) => text,
            Err(found) => {
                findings = true;
                let sources = BTreeMap::from([(file.path.clone(), file.text.clone())]);
                out.write_all(diagnostics::human(&found, &sources, false).as_bytes())?;
                continue;
            }
        };
        if text == file.text {
            continue;
        }
        if args.check {
            findings = true;
            writeln!(out, "{} is not formatted; do: buildit fmt", file.path)?;
            continue;
        }
        let path = args.dir.join(&file.path);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        writeln!(out, "formatted {}", file.path)?;
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_changes_nothing_and_fmt_does() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join(".buildit/a.kdl");
        fs::create_dir_all(dir.path().join(".buildit")).expect("folder");
        let before = "stack infra { tool terraform version=1.10 }\n";
        fs::write(&file, before).expect("file");
        let call = |check| run(&FmtArgs { dir: dir.path().to_owned(), check }, &mut Vec::new()).expect("runs");
        assert!(call(true));
        assert_eq!(fs::read_to_string(&file).expect("file"), before);
        assert!(!call(false));
        assert!(fs::read_to_string(&file).expect("file").contains("version=\"1.10\""));
        assert!(!call(true));
    }
}
