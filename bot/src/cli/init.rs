//! `buildit init`: writes `.buildit/stacks.kdl` from what the folder holds.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use model::config::Layout;
use model::id::StackName;

use super::folder;

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The repository's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Ask nothing: one approval by anyone who may review
    #[arg(long)]
    pub yes: bool,
}

/// Writes the file; an `Err` is wrong use, such as a file that exists.
pub fn run(args: &InitArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = args.dir.join(".buildit/stacks.kdl");
    if path.exists() {
        bail!("{} exists and is not overwritten\n  do: buildit check", path.display());
    }
    let layout = folder::layout(&args.dir)?;
    let ask = !args.yes && std::io::stdin().is_terminal();
    let approvers = if ask { asked(&mut std::io::stdin().lock(), out)? } else { Vec::new() };
    let text = configuration(&layout, &approvers);
    let folder = args.dir.join(".buildit");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let mut file = fs::File::create_new(&path).with_context(|| format!("failed to write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    writeln!(out, "wrote {}\n  next: buildit check --explain", path.display())?;
    Ok(())
}

fn asked(input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<Vec<String>> {
    loop {
        write!(out, "Who approves? team:NAME or user:NAME, several with spaces; empty: whoever may review\n> ")?;
        out.flush()?;
        let mut line = String::new();
        let end = input.read_line(&mut line)? == 0;
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match words.iter().find(|word| !principal(word)) {
            Some(_) if end => return Ok(Vec::new()),
            Some(wrong) => writeln!(out, "{wrong:?} is neither team:NAME nor user:NAME")?,
            None => return Ok(words),
        }
    }
}

fn principal(word: &str) -> bool {
    let name = word.strip_prefix("team:").or_else(|| word.strip_prefix("user:"));
    name.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
}

/// The file: discovery where it finds something, a `stack` for each directory that it cannot find.
fn configuration(layout: &Layout, approvers: &[String]) -> String {
    let marked = |d: &model::config::Directory| d.backend.is_some() || d.cloud || (d.provider && !d.used_as_module);
    let roots = layout.directories.values().filter(|d| marked(d)).count();
    let mut text = "buildit version=1\n".to_owned();
    if roots > 0 {
        let _ =
            write!(text, "\n// finds the directories with a backend, cloud or provider block: {roots} now\ndiscover\n");
    }
    let others = layout.directories.iter().filter(|(_, d)| !marked(d) && !d.used_as_module && !d.terragrunt);
    for (index, (path, _)) in others.enumerate() {
        if index == 0 {
            text.push_str("\n// without a backend, cloud or provider block; remove those that are modules\n");
        }
        match StackName::parse(path.as_str()) {
            _ if path.is_root() => text.push_str("stack root {\n    path \".\"\n}\n"),
            Ok(name) => {
                let _ = writeln!(text, "stack {:?}", name.as_str());
            }
            // Paths may hold what names may not, such as spaces.
            Err(_) => {
                let _ = writeln!(text, "stack {:?} {{\n    path {:?}\n}}", legal(path.as_str()), path.as_str());
            }
        }
    }
    let who = if approvers.is_empty() { String::new() } else { format!(" {{ any-of {} }}", approvers.join(" ")) };
    let _ = write!(
        text,
        "\ndefaults {{\n    apply on=merge\n    require {{\n        approvals 1{who}\n        undiverged\n        checks-passed\n    }}\n}}\n"
    );
    text
}

/// The path with `-` in the place of everything that a stack's name may not hold.
fn legal(path: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    let name: String = path.chars().map(|c| if kept(c) { c } else { '-' }).collect();
    name.trim_start_matches('-').replace("..", "-")
}

#[cfg(test)]
mod tests {
    use model::config::{ResolveInput, SourceFile, parse, resolve};

    use super::*;

    #[test]
    fn what_is_written_is_valid_and_finds_the_stacks() {
        let dir = tempfile::tempdir().expect("folder");
        for (path, text) in [
            ("a/main.tf", "provider \"local\" {}\nmodule \"m\" {\n  source = \"../mod\"\n}\n"),
            ("b/main.tf", "resource \"terraform_data\" \"x\" {}\n"),
            ("c d/e/main.tf", "resource \"terraform_data\" \"x\" {}\n"),
            ("mod/main.tf", "variable \"x\" {}\n"),
        ] {
            fs::create_dir_all(dir.path().join(path).parent().expect("above")).expect("folder");
            fs::write(dir.path().join(path), text).expect("file");
        }
        let layout = folder::layout(dir.path()).unwrap();
        let text = configuration(&layout, &["team:sre".to_owned()]);
        let parsed = parse(&[SourceFile { path: ".buildit/stacks.kdl".to_owned(), text: text.clone() }]);
        assert!(parsed.diagnostics.is_empty(), "{:?}\n{text}", parsed.diagnostics);
        let repo = folder::name(dir.path()).expect("name");
        let input = ResolveInput { repo: &repo, config: &parsed.config, organisation: None, layout: &layout };
        let names: Vec<String> = resolve(input).stacks.iter().map(|stack| stack.name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c-d/e"]);
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().expect("folder");
        let args = InitArgs { dir: dir.path().to_owned(), yes: true };
        run(&args, &mut Vec::new()).expect("first");
        let error = run(&args, &mut Vec::new()).expect_err("second").to_string();
        assert!(error.contains("not overwritten"), "{error}");
    }

    #[test]
    fn a_wrong_approver_is_asked_again() {
        let mut out = Vec::new();
        let who = asked(&mut "sre\nteam:sre user:ana\n".as_bytes(), &mut out).expect("answers");
        assert_eq!(who, ["team:sre", "user:ana"]);
        assert!(String::from_utf8_lossy(&out).contains("neither team:NAME nor user:NAME"));
    }
}
