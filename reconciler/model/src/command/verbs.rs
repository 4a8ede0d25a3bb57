//! The verbs of the grammar: what each takes, and which of them this version carries out.

use crate::command::flags::{Flags, Known};
use crate::command::{Command, Fault, MergeWish, Verb};
use crate::id::PullNumber;
use crate::plan::PlanOptions;

/// A verb of the grammar.
struct Spec {
    /// Its words.
    name: &'static str,
    /// Takes `-p -d -w -t`?
    selects: bool,
    /// Its own flags.
    flags: &'static [Known],
    /// How many words it takes: least and most.
    words: (usize, usize),
    /// What to write, for errors.
    usage: &'static str,
}

const fn spec(
    name: &'static str,
    selects: bool,
    flags: &'static [Known],
    words: (usize, usize),
    usage: &'static str,
) -> Spec {
    Spec { name, selects, flags, words, usage }
}

use Known::{Multi, Switch, Text};

const MANY: usize = 50;

const VERBS: [Spec; 22] = [
    spec(
        "plan",
        true,
        &[Switch("--destroy"), Switch("--refresh-only"), Multi("--target"), Multi("--replace")],
        (0, 0),
        "plan [-p NAME] [-d DIR] [-w WORKSPACE] [-t TAGS] [--destroy] [--refresh-only] [--target ADDRESS] [--replace ADDRESS] [-- ARGS]",
    ),
    spec(
        "apply",
        true,
        &[Switch("--destroy"), Switch("--no-merge"), Text("--merge-method")],
        (0, 0),
        "apply [-p NAME] [--destroy] [--no-merge] [--merge-method METHOD]",
    ),
    spec("approve", true, &[Switch("--clear")], (1, 2), "approve POLICY \"reason\""),
    spec("reject", true, &[Switch("--clear")], (1, 2), "reject POLICY \"reason\""),
    spec("unlock", true, &[Switch("--accept-ahead")], (0, MANY), "unlock [-p NAME] [PULL-REQUEST…]"),
    spec("cancel", true, &[Switch("--now")], (0, 0), "cancel [-p NAME] [--now]"),
    spec("import", true, &[], (2, 2), "import [-p NAME] ADDRESS ID"),
    spec("state rm", true, &[], (1, MANY), "state rm [-p NAME] ADDRESS…"),
    spec("state mv", true, &[], (2, 2), "state mv [-p NAME] ADDRESS ADDRESS"),
    spec("force-unlock", true, &[], (1, 1), "force-unlock [-p NAME] LOCK-ID"),
    spec("rerun", false, &[Switch("--failed")], (0, 1), "rerun [STAGE] [--failed]"),
    spec("discard", true, &[], (1, 1), "discard -p NAME \"reason\""),
    spec("recover", true, &[], (0, 0), "recover -p NAME"),
    spec("abandon", true, &[], (1, 1), "abandon -p NAME \"reason\""),
    spec("allow", false, &[], (1, 1), "allow COMMIT"),
    spec("force-apply", true, &[Text("--reason")], (0, 0), "force-apply -p NAME --reason \"reason\""),
    spec("why", true, &[], (0, 0), "why [-p NAME]"),
    spec("config", true, &[], (0, 0), "config [-p NAME]"),
    spec("status", true, &[], (0, 0), "status [-p NAME]"),
    spec("help", false, &[], (0, 2), "help"),
    spec("version", false, &[], (0, 0), "version"),
    spec("-h", false, &[], (0, 0), "help"),
];

/// Is the word the first one of a verb, or one edit from it?
pub(super) fn is_near_verb(word: &str) -> bool {
    let word = word.to_lowercase();
    word == "--help" || first_words().any(|verb| strsim::osa_distance(&word, verb) <= usize::from(verb != "-h"))
}

fn first_words() -> impl Iterator<Item = &'static str> {
    VERBS.iter().filter_map(|spec| spec.name.split(' ').next())
}

/// Reads the words behind the prefix.
pub(super) fn read(words: &[String]) -> Result<Command, Fault> {
    let Some(first) = words.first() else { return Err(Fault::new("there is no command").hint("try `buildit help`")) };
    let first = first.to_lowercase();
    let second = words.get(1).map(|w| w.to_lowercase()).unwrap_or_default();
    let found = VERBS.iter().find_map(|spec| {
        if spec.name == first || (spec.name == "-h" && first == "--help") {
            return Some((spec, 1));
        }
        (spec.name == format!("{first} {second}")).then_some((spec, 2))
    });
    let Some((spec, used)) = found else { return Err(unknown_verb(&first)) };
    let flags = Flags::read(&words[used..], spec.selects, spec.flags, spec.name == "plan")
        .map_err(|fault| if fault.hint.is_none() { fault.hint(usage(spec)) } else { fault })?;
    check(spec, &flags)?;
    Ok(Command { verb: verb(spec.name, &flags), select: flags.select })
}

fn usage(spec: &Spec) -> String {
    format!("write `buildit {}`", spec.usage)
}

fn unknown_verb(word: &str) -> Fault {
    let fault = Fault::new(format!("there is no command `{word}`"));
    if word == "state" {
        return fault.hint("write `buildit state rm ADDRESS…` or `buildit state mv ADDRESS ADDRESS`");
    }
    let near = first_words().filter(|verb| *verb != "-h").map(|verb| (strsim::osa_distance(word, verb), verb)).min();
    match near {
        Some((distance, verb)) if distance <= 2 && distance < verb.len() => {
            fault.hint(format!("did you mean `buildit {verb}`?"))
        }
        _ => fault.hint("`buildit help` lists them"),
    }
}

/// What a verb asks of its words and flags beyond their number of arguments.
fn check(spec: &Spec, flags: &Flags) -> Result<(), Fault> {
    let (least, most) = spec.words;
    if flags.words.len() > most {
        let extra = &flags.words[most];
        let what =
            if most == 0 { format!("unexpected `{extra}`") } else { format!("too many words, from `{extra}` on") };
        let reason = matches!(spec.name, "approve" | "reject" | "discard" | "abandon");
        let hint = if reason { format!("put the reason in quotes: {}", usage(spec)) } else { usage(spec) };
        return Err(Fault::new(what).hint(hint));
    }
    if flags.words.len() < least {
        return Err(Fault::new(format!("`{}` needs more", spec.name)).hint(usage(spec)));
    }
    if matches!(spec.name, "discard" | "recover" | "abandon" | "force-apply") && flags.select.is_empty() {
        return Err(Fault::new(format!("`{}` needs the stack by name", spec.name)).hint(usage(spec)));
    }
    match spec.name {
        "plan" if flags.has("--destroy") && flags.has("--refresh-only") => {
            Err(Fault::new("`--destroy` and `--refresh-only` exclude each other").hint("ask for one of them"))
        }
        "allow" => allow(&flags.words[0]),
        "unlock" => flags.words.iter().try_for_each(|word| pull_number(word)),
        "apply" => merge_method(flags),
        "force-apply" if flags.text("--reason").is_none() => {
            Err(Fault::new("`force-apply` needs a reason").hint(usage(spec)))
        }
        _ => Ok(()),
    }
}

fn allow(commit: &str) -> Result<(), Fault> {
    let fine = (7..=40).contains(&commit.len()) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let fault = || Fault::new(format!("`{commit}` is not the beginning of a commit id"));
    if fine { Ok(()) } else { Err(fault().hint("write the first 7 digits of the pull request's head, or more")) }
}

fn pull_number(word: &str) -> Result<(), Fault> {
    let digits = word.strip_prefix('#').unwrap_or(word);
    let fine = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    if fine { Ok(()) } else { Err(Fault::new(format!("`{word}` is not the number of a pull request"))) }
}

fn merge_method(flags: &Flags) -> Result<(), Fault> {
    match flags.text("--merge-method") {
        None | Some("merge" | "squash" | "rebase") => Ok(()),
        Some(other) => {
            Err(Fault::new(format!("there is no merge method `{other}`")).hint("write `merge`, `squash` or `rebase`"))
        }
    }
}

fn merge_wish(flags: &Flags) -> Option<MergeWish> {
    match flags.text("--merge-method") {
        Some(method) => Some(MergeWish::By(method.to_owned())),
        None => flags.has("--no-merge").then_some(MergeWish::No),
    }
}

fn verb(name: &str, flags: &Flags) -> Verb {
    match name {
        "plan" => Verb::Plan(PlanOptions {
            recovers: None,
            destroy: flags.has("--destroy"),
            refresh_only: flags.has("--refresh-only"),
            target: flags.multi("--target"),
            replace: flags.multi("--replace"),
            args: flags.tool_args.clone(),
        }),
        "why" => Verb::Why,
        "status" => Verb::Status,
        "config" => Verb::Config,
        "help" | "-h" => Verb::Help,
        "version" => Verb::Version,
        "cancel" => Verb::Cancel { now: flags.has("--now") },
        "apply" => Verb::Apply { destroy: flags.has("--destroy"), merge: merge_wish(flags) },
        "unlock" => Verb::Unlock {
            pulls: flags
                .words
                .iter()
                .filter_map(|word| word.trim_start_matches('#').parse().ok())
                .map(PullNumber::new)
                .collect(),
            accept_ahead: flags.has("--accept-ahead"),
        },
        "approve" | "reject" => Verb::Approve {
            what: word(flags, 0),
            reason: flags.words.get(1).cloned(),
            reject: name == "reject",
            clear: flags.has("--clear"),
        },
        "discard" => Verb::Discard { reason: word(flags, 0) },
        "recover" => Verb::Recover,
        "abandon" => Verb::Abandon { reason: word(flags, 0) },
        "allow" => Verb::Allow { commit: word(flags, 0).to_lowercase() },
        "force-apply" => Verb::ForceApply { reason: flags.text("--reason").unwrap_or_default().to_owned() },
        "import" => Verb::Import { address: word(flags, 0), id: word(flags, 1) },
        "state rm" => Verb::StateRm { addresses: flags.words.clone() },
        "state mv" => Verb::StateMv { from: word(flags, 0), to: word(flags, 1) },
        "force-unlock" => Verb::ForceUnlock { lock: word(flags, 0) },
        // The table has no other name.
        _ => Verb::Rerun { stage: flags.words.first().cloned(), failed: flags.has("--failed") },
    }
}

/// A word that `check` has counted.
fn word(flags: &Flags, at: usize) -> String {
    flags.words.get(at).cloned().unwrap_or_default()
}
