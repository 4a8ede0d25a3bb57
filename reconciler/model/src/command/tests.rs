//! Proofs of reading commands: the grammar, its refusals, and that no text panics.

use super::*;
use proptest::prelude::*;

/// One line per result: what would run, or the problem and the hint.
fn seen(body: &str) -> String {
    let prefixes = ["atlantis".to_owned()];
    parse(body, &prefixes, "buildit-acme")
        .into_iter()
        .map(|result| match result {
            Ok(command) => {
                let mut line = match &command.verb {
                    Verb::Plan(o) => {
                        let mut text = "plan".to_owned();
                        for (on, word) in [(o.destroy, " destroy"), (o.refresh_only, " refresh-only")] {
                            text.push_str(if on { word } else { "" });
                        }
                        o.target.iter().for_each(|t| text.push_str(&format!(" target={t}")));
                        o.replace.iter().for_each(|t| text.push_str(&format!(" replace={t}")));
                        o.args.iter().for_each(|t| text.push_str(&format!(" arg={t}")));
                        text
                    }
                    Verb::Cancel { now } => format!("cancel now={now}"),
                    Verb::Apply { destroy, merge } => {
                        let merge = match merge {
                            None => String::new(),
                            Some(MergeWish::No) => " no merge".to_owned(),
                            Some(MergeWish::By(method)) => format!(" by {method}"),
                        };
                        format!("apply{}{merge}", if *destroy { " destroy" } else { "" })
                    }
                    Verb::Unlock { pulls, accept_ahead } => {
                        let mut text = "unlock".to_owned();
                        pulls.iter().for_each(|pull| text.push_str(&format!(" {pull}")));
                        text + if *accept_ahead { " ahead" } else { "" }
                    }
                    Verb::Approve { what, reason, reject, clear } => {
                        let word = if *reject { "reject" } else { "approve" };
                        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                        format!("{word} {what}{reason}{}", if *clear { " clear" } else { "" })
                    }
                    Verb::Discard { reason } => format!("discard: {reason}"),
                    Verb::Abandon { reason } => format!("abandon: {reason}"),
                    Verb::ForceApply { reason } => format!("force-apply: {reason}"),
                    Verb::Allow { commit } => format!("allow {commit}"),
                    Verb::Import { address, id } => format!("import {address} {id}"),
                    Verb::StateRm { addresses } => format!("state rm {}", addresses.join(" ")),
                    Verb::StateMv { from, to } => format!("state mv {from} {to}"),
                    Verb::ForceUnlock { lock } => format!("force-unlock {lock}"),
                    Verb::Rerun { stage, failed } => {
                        let stage = stage.as_ref().map(|stage| format!(" {stage}")).unwrap_or_default();
                        format!("rerun{stage} failed={failed}")
                    }
                    Verb::Recover => "recover".to_owned(),
                    Verb::Why | Verb::Status | Verb::Config | Verb::Help | Verb::Version => {
                        format!("{:?}", command.verb).to_lowercase()
                    }
                };
                command.select.names.iter().for_each(|n| line.push_str(&format!(" p={n}")));
                command.select.dirs.iter().for_each(|n| line.push_str(&format!(" d={n}")));
                command.select.workspace.iter().for_each(|n| line.push_str(&format!(" w={n}")));
                command.select.tags.iter().for_each(|n| line.push_str(&format!(" t={n}")));
                line
            }
            Err(e) => format!("! {} ({})", e.problem, e.hint.unwrap_or_default()),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn what_runs() {
    for (body, want) in [
        ("buildit plan", "plan"),
        ("BuildIt PLAN", "plan"),
        ("/buildit plan", "plan"),
        ("@buildit-acme plan", "plan"),
        ("atlantis plan -p a", "plan p=a"),
        ("  buildit plan\n\nthanks", "plan"),
        ("please:\nbuildit plan -p a\nbuildit status", "plan p=a\nstatus"),
        ("buildit plan\r\nbuildit why -p a\r\n", "plan\nwhy p=a"),
        ("buildit plan -p a -p 'prod-*'", "plan p=a p=prod-*"),
        ("buildit plan -p a*b*c -p *x*", "plan p=a*b*c p=*x*"),
        ("buildit plan -p=a --target=aws_x.y", "plan target=aws_x.y p=a"),
        ("buildit plan --target 'aws_x.y[\"k\"]' --replace a.b", "plan target=aws_x.y[\"k\"] replace=a.b"),
        ("buildit plan -d ./infra/network/ -w prod", "plan d=infra/network w=prod"),
        ("buildit plan -d .", "plan d="),
        ("buildit plan -t env:prod", "plan t=env:prod"),
        ("buildit plan --destroy -p a", "plan destroy p=a"),
        ("buildit plan -- -parallelism=5 -compact-warnings", "plan arg=-parallelism=5 arg=-compact-warnings"),
        ("buildit plan -- -refresh=true", "plan arg=-refresh=true"),
        ("buildit plan\u{a0}-p\u{a0}a", "plan p=a"),
        ("`buildit plan -p a`", "plan p=a"),
        ("`buildit plan`\n`buildit status`", "plan\nstatus"),
        ("buildit plan\\\nbuildit why", "plan\nwhy"),
        ("buildit", "help"),
        ("/buildit", "help"),
        ("some words\n/buildit", "help"),
        ("buildit -h", "help"),
        ("@buildit-acme --help", "help"),
        ("buildit help plan", "help"),
        ("buildit version", "version"),
        ("buildit config -p a", "config p=a"),
        ("buildit cancel --now -p a", "cancel now=true p=a"),
        ("buildit apply -p a --merge-method squash", "apply by squash p=a"),
        ("buildit apply --no-merge", "apply no merge"),
        ("buildit apply --destroy -p a", "apply destroy p=a"),
        ("buildit approve no-public-buckets \"we need it\"", "approve no-public-buckets: we need it"),
        ("buildit approve lost -p database", "approve lost p=database"),
        ("buildit unlock #118 119 --accept-ahead", "unlock 118 119 ahead"),
        ("buildit unlock -p a", "unlock p=a"),
        ("buildit state rm -p a 'x.y[\"a b\"]'", "state rm x.y[\"a b\"] p=a"),
        ("buildit state mv a.b c.d -p a", "state mv a.b c.d p=a"),
        ("buildit import a.b i-123", "import a.b i-123"),
        ("buildit rerun --failed", "rerun failed=true"),
        ("buildit allow a1b2c3d", "allow a1b2c3d"),
        ("buildit discard -p a 'not wanted'", "discard: not wanted p=a"),
        ("buildit force-apply -p a --reason 'it burns'", "force-apply: it burns p=a"),
    ] {
        assert_eq!(seen(body), want, "{body:?}");
    }
}

#[test]
fn what_is_prose() {
    for body in [
        "",
        "We use buildit plan here",
        "buildit is great",
        "buildit, plan it",
        "buildit's plan",
        "buildits plan",
        "wrapped prose about\nbuildit\nand more",
        "terraform plan",
        "> buildit plan",
        "> quoted\nbuildit plan",
        "- buildit plan",
        "1. buildit plan",
        "- a\n  - b\n\n    buildit plan",
        "- [ ] buildit plan",
        "# buildit plan",
        "buildit plan\n---",
        "buildit plan\n===",
        "    buildit plan",
        "```\nbuildit plan\n```",
        "~~~sh\nbuildit plan",
        "text `code\nbuildit plan\n`",
        "~~struck\nbuildit plan\nout~~",
        "**bold\nbuildit plan\nbold**",
        "[buildit plan](https://x)",
        "![a\nbuildit plan\n](https://x/y.png)",
        "[a\nbuildit plan\n](https://x)",
        "<!--\nbuildit plan\n-->",
        "text <!--\nbuildit plan\n-->",
        "<div>\nbuildit plan\n</div>",
        "<details>\n\nbuildit plan\n\n</details>",
        "<blockquote>\n\nbuildit plan\n\n</blockquote>",
        "<details><summary>a</summary>\n\n/buildit plan",
        "<pre>\n\nbuildit plan\n\n</pre>",
        "text <del>\nbuildit plan\n</del>",
        "| a |\n|---|\n| buildit plan |",
        "buildit plan | b\n--|--\nc | d",
        "[^1]: buildit plan",
        "[x]: https://x\n'\nbuildit plan\n'",
        "bu\u{456}ldit plan",
        "\u{200b}buildit plan",
        "\u{202e}buildit plan",
        "buildit\u{200b} plan",
        "buildit pl\u{430}nned",
        "**buildit plan**",
        "*buildit* plan",
        "~~buildit plan~~",
        "\\buildit plan",
        "/build plan",
        "@buildit-acme2 plan",
        "@buildit plan",
    ] {
        assert_eq!(seen(body), "", "{body:?}");
    }
}

#[test]
fn what_is_answered() {
    for (body, want) in [
        ("/buildit plna", "! there is no command `plna` (did you mean `buildit plan`?)"),
        ("buildit plans", "! there is no command `plans` (did you mean `buildit plan`?)"),
        ("/buildit xylophone", "! there is no command `xylophone` (`buildit help` lists them)"),
        ("@buildit-acme hello there", "! there is no command `hello` (did you mean `buildit help`?)"),
        ("/buildit pl\u{430}n", "! there is no command `pl\u{430}n` (did you mean `buildit plan`?)"),
        (
            "buildit state",
            "! there is no command `state` (write `buildit state rm ADDRESS…` or `buildit state mv ADDRESS ADDRESS`)",
        ),
        ("buildit plan --destory", "! there is no flag `--destory` here (did you mean `--destroy`?)"),
        ("buildit plan -destroy", "! there is no flag `-destroy` here (did you mean `--destroy`?)"),
        ("buildit plan --stack a", "! there is no flag `--stack` here (did you mean `-p`?)"),
        ("buildit why --destroy", "! there is no flag `--destroy` here (write `buildit why [-p NAME]`)"),
        (
            "buildit plan network",
            "! unexpected `network` (write `buildit plan [-p NAME] [-d DIR] [-w WORKSPACE] [-t TAGS] [--destroy] [--refresh-only] [--target ADDRESS] [--replace ADDRESS] [-- ARGS]`)",
        ),
        (
            "buildit plan -p 'a",
            "! a quote is not closed (close it, or put a \\ in front of a quote that is meant as such)",
        ),
        ("buildit why -p", "! `-p` needs a stack's name (write `buildit why [-p NAME]`)"),
        ("buildit why -p -d", "! `-p` needs a value, and `-d` is none (write `buildit why [-p NAME]`)"),
        (
            "buildit plan -p a -d b",
            "! `-p` excludes `-d` and `-w` (a stack's name says its directory and workspace already)",
        ),
        (
            "buildit plan -p a -w b",
            "! `-p` excludes `-d` and `-w` (a stack's name says its directory and workspace already)",
        ),
        (
            "buildit plan -d ../x",
            "! `../x` is not a directory inside the repository (write it from the repository's root, such as `infra/network`)",
        ),
        (
            "buildit plan -d /etc",
            "! `/etc` is not a directory inside the repository (write it from the repository's root, such as `infra/network`)",
        ),
        (
            "buildit plan -p [x](https://y)",
            "! a command is plain text, without links, images or HTML (write the names as plain words; put the whole command into one pair of backticks if you like)",
        ),
        (
            "buildit plan <!-- -p a -->",
            "! a command is plain text, without links, images or HTML (write the names as plain words; put the whole command into one pair of backticks if you like)",
        ),
        (
            "buildit plan -p `a`",
            "! there is a backtick in `a` (write names as plain words; only the whole command may stand in backticks)",
        ),
        (
            "buildit plan \u{202e}-p a",
            "! there is a character that cannot be seen (U+202E) (type the line anew instead of pasting it)",
        ),
        ("buildit plan —destroy", "! `—destroy` begins with a dash that is none (write flags with - or --)"),
        ("buildit approve x “because”", "! `“` does not quote here (use the straight quotes \" or ')"),
        (
            "buildit approve x we need it",
            "! too many words, from `need` on (put the reason in quotes: write `buildit approve POLICY \"reason\"`)",
        ),
        (
            "buildit apply -- -parallelism=5",
            "! only `plan` takes arguments for the tool (what is applied is the plan as it was reviewed)",
        ),
        (
            "buildit apply --target a.b",
            "! there is no flag `--target` here (write `buildit apply [-p NAME] [--destroy] [--no-merge] [--merge-method METHOD]`)",
        ),
        (
            "buildit allow xyz",
            "! `xyz` is not the beginning of a commit id (write the first 7 digits of the pull request's head, or more)",
        ),
        ("buildit recover", "! `recover` needs the stack by name (write `buildit recover -p NAME`)"),
        (
            "buildit plan --destroy --refresh-only",
            "! `--destroy` and `--refresh-only` exclude each other (ask for one of them)",
        ),
    ] {
        assert_eq!(seen(body), want, "{body:?}");
    }
}

#[test]
fn workspaces_are_checked() {
    for bad in ["a/b", "a\\\\b", "..", "'$x'", "'a b'", "~x", "-x"] {
        assert!(seen(&format!("buildit plan -w {bad}")).starts_with("! "), "{bad}");
    }
    assert!(seen("buildit plan -w a -w b").starts_with("! `-w` is given twice"));
}

#[test]
fn tool_arguments_are_checked() {
    for bad in [
        "-chdir=/",
        "--chdir=/",
        "-plugin-dir=x",
        "-state=x",
        "-state-out=x",
        "-backend-config=x",
        "-backend=false",
        "-backup=x",
        "-out=x",
        "--out x",
        "-lock=false",
        "-lock-timeout=1s",
        "-lockfile=x",
        "-var=a=b",
        "-var a=b",
        "-var-file=x",
        "-refresh=false",
        "-refresh=0",
        "--refresh=F",
        "-target=x",
        "-VAR=a",
        "-json",
        "-destroy",
        "'-out\u{1}'",
    ] {
        let told = seen(&format!("/buildit plan -- -parallelism=2 {bad}"));
        assert!(told.starts_with("! "), "{bad}: {told}");
    }
}

#[test]
fn a_flood_is_cut() {
    let body = "buildit plan\n".repeat(500);
    let found = parse(&body, &[], "buildit");
    assert_eq!(found.len(), MAX_COMMANDS + 1);
    assert!(found.last().is_some_and(Result::is_err));
    let long = format!("/buildit {}", "x".repeat(5000));
    let told = parse(&long, &[], "buildit");
    assert_eq!(told[0].as_ref().map_err(|e| e.line.chars().count()), Err(200));
}

proptest! {
    #[test]
    fn never_panics(body in any::<String>()) {
        let _ = parse(&body, &["atlantis".to_owned(), "ä".to_owned()], "slug");
    }

    #[test]
    fn never_panics_on_near_commands(body in "((/?buildit|@slug|>|-|`{1,4}|<details>|<!--|plan|-p|--|'|\"|\\\\|\\*|\\[|\\]|\\(|\\)|#|\u{e4}|\u{200b}| |\n|\r\n){0,3}){0,20}") {
        let _ = parse(&body, &["atlantis".to_owned()], "slug");
    }

    #[test]
    fn quoting_a_comment_never_runs_it(body in "(buildit plan|a|`|\n|- |> |<b>){1,12}") {
        let quoted: String = body.lines().map(|line| format!("> {line}\n")).collect();
        prop_assert_eq!(parse(&quoted, &[], "slug"), vec![]);
    }
}
