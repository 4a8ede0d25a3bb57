//! Flags and arguments of a command, and which of the tool's own arguments may be given.

use globset::Glob;

use crate::command::{Fault, Selector};
use crate::id::{RelPath, Workspace};

/// A flag of one verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Stands alone.
    Switch(&'static str),
    /// Takes a value, once.
    Text(&'static str),
    /// Takes an address, any number of times.
    Multi(&'static str),
}

impl Known {
    const fn name(self) -> &'static str {
        match self {
            Known::Switch(name) | Known::Text(name) | Known::Multi(name) => name,
        }
    }
}

/// The words behind a verb, sorted out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) select: Selector,
    pub(super) words: Vec<String>,
    pub(super) tool_args: Vec<String>,
    switches: Vec<&'static str>,
    values: Vec<(&'static str, String)>,
}

/// Arguments of the tool that are refused, with one `-`; whatever begins so is refused too.
const DENIED: [(&str, &str); 25] = [
    ("-chdir", "use -d to choose a directory"),
    ("-plugin-dir", "providers come from the registry or the server's mirror"),
    ("-state", "state is kept where the configuration says"),
    ("-backend", "the backend is part of the configuration"),
    ("-from-module", "the code is that of the pull request"),
    ("-backup", "state is kept where the configuration says"),
    ("-out", "the plan file is kept by BuildIt"),
    ("-lock", "plans never lock"),
    ("-var", "variables are set in .buildit/"),
    ("-refresh=", "a plan without refresh would not show what is there"),
    ("-input", "nobody could answer"),
    ("-json", "BuildIt reads the saved plan"),
    ("-no-color", "it is set already"),
    ("-detailed-exitcode", "it is set already"),
    ("-generate-config-out", "files of a plan are not kept"),
    ("-destroy", "write --destroy before the --"),
    ("-refresh-only", "write --refresh-only before the --"),
    ("-target", "write --target ADDRESS before the --"),
    ("-replace", "write --replace ADDRESS before the --"),
    ("-exclude-file", "write -exclude=ADDRESS"),
    ("-upgrade", "versions are pinned by the lock file"),
    ("-reconfigure", "the backend is part of the configuration"),
    ("-migrate-state", "state is kept where the configuration says"),
    ("-help", "see the tool's own documentation"),
    ("-version", "see the check's last line"),
];

impl Flags {
    /// Sorts the words behind a verb. `tool` allows `-- ARGS`.
    pub(super) fn read(words: &[String], selects: bool, known: &[Known], tool: bool) -> Result<Self, Fault> {
        let mut flags = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                flags.tool_args = rest.cloned().collect();
                break;
            }
            if !word.starts_with('-') || word == "-" {
                flags.words.push(plain(word)?);
                continue;
            }
            let (name, given) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = |wants: &str| {
                given.clone().or_else(|| rest.next().cloned()).map_or_else(
                    || Err(Fault::new(format!("`{name}` needs {wants}"))),
                    |value| checked_value(name, value),
                )
            };
            match name {
                "-p" if selects => flags.select.names.push(stack_glob(&value("a stack's name")?)?),
                "-d" if selects => flags.select.dirs.push(directory(&value("a directory")?)?),
                "-w" if selects => {
                    flags.select.workspace = Some(once("-w", flags.select.workspace.is_some(), value("a workspace")?)?)
                }
                "-t" if selects => flags.select.tags = Some(once("-t", flags.select.tags.is_some(), value("tags")?)?),
                _ => match known.iter().find(|k| k.name() == name) {
                    Some(Known::Switch(_)) if given.is_some() => {
                        return Err(Fault::new(format!("`{name}` takes no value")));
                    }
                    Some(Known::Switch(flag)) => flags.switches.push(flag),
                    Some(Known::Text(flag)) => {
                        let again = flags.text(flag).is_some();
                        flags.values.push((flag, once(flag, again, value("a value")?)?));
                    }
                    Some(Known::Multi(flag)) => flags.values.push((flag, value("an address")?)),
                    None => return Err(unknown(name, selects, known)),
                },
            }
        }
        flags.finish(tool)
    }

    fn finish(self, tool: bool) -> Result<Self, Fault> {
        let select = &self.select;
        if !select.names.is_empty() && (!select.dirs.is_empty() || select.workspace.is_some()) {
            return Err(Fault::new("`-p` excludes `-d` and `-w`")
                .hint("a stack's name says its directory and workspace already"));
        }
        if let Some(name) = &select.workspace {
            Workspace::parse(name).map_err(|bad| Fault::new(bad.to_string()))?;
        }
        if !tool && !self.tool_args.is_empty() {
            return Err(Fault::new("only `plan` takes arguments for the tool")
                .hint("what is applied is the plan as it was reviewed"));
        }
        self.tool_args.iter().try_for_each(|arg| tool_arg(arg))?;
        Ok(self)
    }

    /// Was the switch given?
    pub(super) fn has(&self, switch: &str) -> bool {
        self.switches.contains(&switch)
    }
    /// The value of a flag.
    pub(super) fn text(&self, flag: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == flag).map(|(_, value)| value.as_str())
    }
    /// All values of a flag, in order.
    pub(super) fn multi(&self, flag: &str) -> Vec<String> {
        self.values.iter().filter(|(name, _)| *name == flag).map(|(_, value)| value.clone()).collect()
    }
}

fn once(flag: &str, again: bool, value: String) -> Result<String, Fault> {
    if again { Err(Fault::new(format!("`{flag}` is given twice"))) } else { Ok(value) }
}

fn plain(word: &str) -> Result<String, Fault> {
    if word.contains('`') {
        return Err(Fault::new(format!("there is a backtick in {word}"))
            .hint("write names as plain words; only the whole command may stand in backticks"));
    }
    Ok(word.to_owned())
}

fn checked_value(flag: &str, value: String) -> Result<String, Fault> {
    if value.is_empty() || value.starts_with('-') {
        return Err(Fault::new(format!("`{flag}` needs a value, and `{value}` is none")));
    }
    if value.chars().count() > 500 {
        return Err(Fault::new(format!("the value of `{flag}` is longer than 500 characters")));
    }
    plain(&value)
}

fn stack_glob(name: &str) -> Result<String, Fault> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\');
    if name.chars().count() > 200 || name.contains("..") || name.chars().any(bad) {
        return Err(Fault::new(format!("`{name}` cannot be a stack's name")).hint("one name or glob per -p"));
    }
    Glob::new(name).map_err(|_| Fault::new(format!("`{name}` is not a glob")).hint("`*` stands for any characters"))?;
    Ok(name.to_owned())
}

fn directory(dir: &str) -> Result<String, Fault> {
    match RelPath::root().join(dir) {
        Some(path) => Ok(path.as_str().to_owned()),
        None => Err(Fault::new(format!("`{dir}` is not a directory inside the repository"))
            .hint("write it from the repository's root, such as `infra/network`")),
    }
}

/// Is the argument one that the tool may be given?
fn tool_arg(arg: &str) -> Result<(), Fault> {
    if arg.chars().any(char::is_control) {
        return Err(Fault::new("an argument for the tool holds a control character"));
    }
    if !arg.starts_with('-') {
        return Ok(());
    }
    // The tool takes `--out` for `-out`.
    let single = format!("-{}", arg.trim_start_matches('-').to_lowercase());
    if single == "-refresh=true" {
        return Ok(());
    }
    match DENIED.iter().find(|(denied, _)| single.starts_with(denied)) {
        Some((_, why)) => Err(Fault::new(format!("`{arg}` cannot be given to the tool")).hint(*why)),
        None => Ok(()),
    }
}

fn unknown(flag: &str, selects: bool, known: &[Known]) -> Fault {
    let fault = Fault::new(format!("there is no flag `{flag}` here"));
    let long = |short: &str| selects.then(|| format!("did you mean `{short}`?"));
    let hint = match flag {
        "--stack" | "--project" | "--name" => long("-p"),
        "--dir" | "--directory" => long("-d"),
        "--workspace" => long("-w"),
        "--tag" | "--tags" => long("-t"),
        _ => {
            let near = known.iter().map(|k| (strsim::osa_distance(flag, k.name()), k.name())).min();
            let dashes = known.iter().find(|k| k.name().trim_start_matches('-') == flag.trim_start_matches('-'));
            match (dashes, near) {
                (Some(same), _) => Some(format!("did you mean `{}`?", same.name())),
                (None, Some((distance, name))) if distance <= 3 => Some(format!("did you mean `{name}`?")),
                _ => None,
            }
        }
    };
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}
