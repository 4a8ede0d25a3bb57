//! Commands in comments: the grammar, pure.
//!
//! Owns: which lines of a comment are commands, and what they ask. It never decides whether the author may.
//!
//! Invariants: only what a reader of the rendered comment sees as plain paragraph text can run, never code
//! blocks, quotes, lists, headings, links, images or HTML. One command per line, and the line must begin with
//! a prefix. Nothing here panics, whatever the text.

mod flags;
mod lines;
mod verbs;

use serde::{Deserialize, Serialize};

use crate::id::PullNumber;
use crate::plan::PlanOptions;
use crate::stack::Stack;

/// More commands than this in one comment are one error.
pub const MAX_COMMANDS: usize = 20;

/// What one line of a comment asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What to do.
    pub verb: Verb,
    /// For which stacks; empty selects all that the verb means by default.
    pub select: Selector,
}

/// Which stacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// `-p`: names or globs.
    pub names: Vec<String>,
    /// `-d`: directories from the repository's root, clean; the empty text is the root.
    pub dirs: Vec<String>,
    /// `-w`: a workspace.
    pub workspace: Option<String>,
    /// `-t`: a tag expression.
    pub tags: Option<String>,
}

impl Selector {
    /// Selects nothing in particular?
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.dirs.is_empty() && self.workspace.is_none() && self.tags.is_none()
    }

    /// Does it select this stack? All that it names must hold; of several names, or directories, one is enough.
    /// `tags` are separated by commas and must all be there; one with `!` in front must not.
    pub fn picks(&self, stack: &Stack) -> bool {
        let named = |pattern: &String| {
            let glob = globset::GlobBuilder::new(pattern).build();
            pattern == stack.name.as_str() || glob.is_ok_and(|g| g.compile_matcher().is_match(stack.name.as_str()))
        };
        let tagged = |tag: &str| match tag.trim().strip_prefix('!') {
            Some(tag) => !stack.tags.contains(tag),
            None => stack.tags.contains(tag.trim()),
        };
        (self.names.is_empty() || self.names.iter().any(named))
            && (self.dirs.is_empty() || self.dirs.iter().any(|dir| dir == stack.path.as_str()))
            && self.workspace.as_ref().is_none_or(|workspace| workspace == stack.workspace.as_str())
            && self.tags.as_ref().is_none_or(|tags| tags.split(',').all(tagged))
    }
}

/// A verb with its own arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Plan again.
    Plan(PlanOptions),
    /// What waits, for what, since when.
    Why,
    /// Where everything stands.
    Status,
    /// The effective configuration.
    Config,
    /// The help text.
    Help,
    /// The server's version.
    Version,
    /// End queued and running plans.
    Cancel {
        /// Kill instead of interrupting.
        now: bool,
    },
    /// Apply what is ready, or what is selected.
    Apply {
        /// Selects a removed stack's destroy plan.
        destroy: bool,
        /// Merge afterwards, in spite of the configuration or with this method; `None`: as configured.
        merge: Option<MergeWish>,
    },
    /// Let go of locks, and of the plans made under them.
    Unlock {
        /// Whose; empty: this pull request's.
        pulls: Vec<PullNumber>,
        /// Also of stacks that are ahead of the trusted branch.
        accept_ahead: bool,
    },
    /// Count the author for something that waits for people, or against it.
    Approve {
        /// A policy, a gate, or `state`, `lost`, `config`.
        what: String,
        /// Why.
        reason: Option<String>,
        /// Against it.
        reject: bool,
        /// Take back what was said.
        clear: bool,
    },
    /// Give a merged change up; it shows in the next plan.
    Discard {
        /// Why.
        reason: String,
    },
    /// Plan the import of what a killed apply created.
    Recover,
    /// End an orphaned stack without destroying what it made.
    Abandon {
        /// Why.
        reason: String,
    },
    /// Let a commit be planned that needs a person's word.
    Allow {
        /// At least 7 digits that begin the head.
        commit: String,
    },
    /// Apply whatever requirements say.
    ForceApply {
        /// Why.
        reason: String,
    },
    /// `import ADDRESS ID`.
    Import {
        /// Where in the state.
        address: String,
        /// The provider's id.
        id: String,
    },
    /// `state rm`.
    StateRm {
        /// What is forgotten.
        addresses: Vec<String>,
    },
    /// `state mv`.
    StateMv {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Break the lock of a state.
    ForceUnlock {
        /// The lock's id.
        lock: String,
    },
    /// Run CI stages again.
    Rerun {
        /// Which; `None`: all.
        stage: Option<String>,
        /// Only those that failed.
        failed: bool,
    },
}

/// What a command says about merging after the apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeWish {
    /// `--no-merge`.
    No,
    /// `--merge-method`: "merge", "squash" or "rebase".
    By(String),
}

/// A line that was meant as a command and is not one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// The line, cut to 200 characters.
    pub line: String,
    /// What is wrong. Lower-case start, no full stop.
    pub problem: String,
    /// The nearest that exists, or what to write.
    pub hint: Option<String>,
}

/// What is wrong with the words behind the prefix; the line is added by `parse`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    problem: String,
    hint: Option<String>,
}

impl Fault {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Which prefix a line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// `buildit`: a word of prose too, so that only a verb behind it makes a command.
    Bare,
    /// `/buildit`, `@slug` or a configured one: whatever follows is meant for us.
    Explicit,
}

/// The commands of a comment, in order, and the lines that were meant as one and are none.
///
/// `body` is the comment as first written. `prefixes` are the configured ones of the trusted base, `slug` is
/// the App's slug (`@slug` is a prefix). Lines without a prefix are prose and give nothing.
pub fn parse(body: &str, prefixes: &[String], slug: &str) -> Vec<Result<Command, CommandError>> {
    let mut found = Vec::new();
    for line in lines::plain(body) {
        let Some(result) = command(&line, prefixes, slug) else { continue };
        if found.len() == MAX_COMMANDS {
            let fault = Fault::new(format!("more than {MAX_COMMANDS} commands in one comment"))
                .hint("the rest is not read; write them in another comment");
            found.push(Err(error(&line.text, fault)));
            break;
        }
        found.push(result.map_err(|fault| error(&line.text, fault)));
    }
    found
}

fn error(line: &str, fault: Fault) -> CommandError {
    CommandError { line: line.chars().take(200).collect(), problem: fault.problem, hint: fault.hint }
}

fn command(line: &lines::Line, prefixes: &[String], slug: &str) -> Option<Result<Command, Fault>> {
    let (prefix, rest) = split_prefix(&line.text, prefixes, slug)?;
    let first = rest.split_whitespace().next();
    if prefix == Prefix::Bare {
        let meant = first.map_or(line.alone, verbs::is_near_verb);
        if !meant {
            return None;
        }
    }
    if first.is_none() {
        return Some(Ok(Command { verb: Verb::Help, select: Selector::default() }));
    }
    Some(words(line, rest).and_then(|words| verbs::read(&words)))
}

/// The prefix that the line begins with, and what stands behind it.
fn split_prefix<'a>(line: &'a str, prefixes: &[String], slug: &str) -> Option<(Prefix, &'a str)> {
    let mention = format!("@{slug}");
    let explicit = std::iter::once("/buildit")
        .chain((!slug.is_empty()).then_some(mention.as_str()))
        .chain(prefixes.iter().map(|p| p.trim()).filter(|p| !p.is_empty() && !p.eq_ignore_ascii_case("buildit")));
    for prefix in explicit {
        if let Some(rest) = after_prefix(line, prefix) {
            return Some((Prefix::Explicit, rest));
        }
    }
    after_prefix(line, "buildit").map(|rest| (Prefix::Bare, rest))
}

/// What stands behind `prefix`, which must end at white space or at the line's end.
fn after_prefix<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let head = line.get(..prefix.len())?;
    let rest = line.get(prefix.len()..)?;
    let fits = head.eq_ignore_ascii_case(prefix) && rest.chars().next().is_none_or(char::is_whitespace);
    fits.then(|| rest.trim())
}

/// The words behind the prefix, with shell-style quoting.
fn words(line: &lines::Line, rest: &str) -> Result<Vec<String>, Fault> {
    if line.decorated {
        return Err(Fault::new("a command is plain text, without links, images or HTML")
            .hint("write the names as plain words; put the whole command into one pair of backticks if you like"));
    }
    if let Some(c) = rest.chars().find(|c| is_hidden(*c)) {
        return Err(Fault::new(format!("there is a character that cannot be seen (U+{:04X})", u32::from(c)))
            .hint("type the line anew instead of pasting it"));
    }
    if let Some(c) = rest.chars().find(|c| matches!(c, '\u{2018}'..='\u{201f}')) {
        return Err(Fault::new(format!("`{c}` does not quote here")).hint("use the straight quotes \" or '"));
    }
    if let Some(word) = rest.split_whitespace().find(|w| w.starts_with(['\u{2010}', '\u{2011}', '\u{2012}', '–', '—']))
    {
        return Err(Fault::new(format!("`{word}` begins with a dash that is none")).hint("write flags with - or --"));
    }
    let spaced = keep_hashes(&rest.replace(['\u{a0}', '\u{202f}'], " "));
    shlex::split(&spaced).ok_or_else(|| {
        Fault::new("a quote is not closed").hint("close it, or put a \\ in front of a quote that is meant as such")
    })
}

/// Does the character change what a reader sees without being seen?
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(u32::from(c),
            0xad | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
            | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
}

/// `shlex` takes a word that begins with `#` for a comment; here it is `#118`, a pull request.
fn keep_hashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    let mut quote = None;
    let mut before = ' ';
    for c in text.chars() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"') && before != '\\' => quote = Some(c),
            None if c == '#' && before.is_whitespace() => out.push('\\'),
            None => {}
        }
        out.push(c);
        before = c;
    }
    out
}

#[cfg(test)]
mod tests;
