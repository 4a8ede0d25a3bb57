//! Text of other people cannot do anything: CommonMark itself is the judge.

use model::diagnostic::{Diagnostic, Diagnostics};
use model::plan::{Action, PlanFailure, Shown};
use model::publication::{Issue, Notice, NoticeKind, RowStatus, Standing, Summary};
use model::stack::NotYet;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::super::sample::{attribute, change, plan, planned, row, view};
use super::super::*;

/// What a reader's browser would act on: text outside of code, links and raw HTML.
#[derive(Debug, Default)]
struct Seen {
    text: String,
    links: Vec<String>,
    html: String,
    code: String,
}

fn read(markdown: &str) -> Seen {
    let mut seen = Seen::default();
    let mut code = false;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM)
    {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                seen.links.push(dest_url.to_string())
            }
            Event::Text(text) if code => seen.code.push_str(&text),
            Event::Code(text) => seen.code.push_str(&text),
            Event::Text(text) => seen.text.push_str(&text),
            Event::Html(text) | Event::InlineHtml(text) => seen.html.push_str(&text),
            _ => seen.text.push(' '),
        }
    }
    seen
}

/// Fails when `markdown`, made with hostile text, has any effect.
fn harmless(markdown: &str) -> Result<(), TestCaseError> {
    let seen = read(markdown);
    for link in &seen.links {
        prop_assert!(link.starts_with("https://buildit.example/"), "link {link} in\n{markdown}");
    }
    let acted = format!("{} {}", seen.text, seen.html.replace("https://buildit.example", ""));
    let at = |needle: &str| acted.find(needle).map(|at| acted[at..].chars().take(40).collect::<String>());
    for needle in ["@victim", "#999", "http://", "https://", "www.evil", "GH-9"] {
        prop_assert!(at(needle).is_none(), "{:?} in\n{markdown}", at(needle));
    }
    let known =
        ["details", "/details", "details open", "summary", "/summary", "b", "/b", "code", "/code", "sub", "/sub", "br"];
    for tag in seen.html.split('<').skip(1).filter_map(|piece| piece.split('>').next()) {
        let ours =
            known.contains(&tag) || tag.starts_with("!-- buildit:") || tag.starts_with("a href=\"https://buildit");
        prop_assert!(ours, "element <{tag}> in\n{markdown}");
    }
    for c in markdown.chars() {
        prop_assert!(c == '\n' || c == '\t' || !text::is_hidden(c), "hidden {c:?} in\n{markdown:?}");
    }
    Ok(())
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("@victim"),
        Just(" @victim/team"),
        Just("#999"),
        Just("acme/infra#999"),
        Just("GH-9"),
        Just("```"),
        Just("`"),
        Just("~~~"),
        Just("``````"),
        Just("\n"),
        Just("\n\n"),
        Just("\r"),
        Just("<script>"),
        Just("</details>"),
        Just("<!--"),
        Just("-->"),
        Just("<img src=x>"),
        Just("](https://evil)"),
        Just("[x](https://evil)"),
        Just("https://evil"),
        Just("www.evil.com"),
        Just("![x](http://evil)"),
        Just("\u{1b}[31m"),
        Just("\u{1b}]8;;http://evil\u{7}"),
        Just("\u{202e}"),
        Just("\u{200b}"),
        Just("\u{e0041}"),
        Just("|"),
        Just("\\"),
        Just("\\|"),
        Just("&#64;victim"),
        Just("&lt;"),
        Just("**"),
        Just("_"),
        Just("> "),
        Just("# "),
        Just("- "),
        Just("    "),
        Just("\t"),
        Just("a"),
        Just(" "),
        Just("$"),
        Just("</summary>"),
        Just("</sub>"),
        Just("[x]: https://evil\n"),
        Just("\u{9b}31m"),
        Just("<https://evil>"),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_failure_is_harmless(a in hostile(), b in hostile(), c in hostile()) {
        let failed = PlanFailure { phase: a.clone(), headline: b.clone(), detail: c.clone(), file: Some(a.clone()), line: Some(1) };
        let rows = vec![row("x", 1, RowStatus::Failed(failed.clone())), row("y", 2, RowStatus::TimedOut { seconds: 1, tail: b })];
        harmless(&summary(&Summary { view: view(Standing::Stacks(rows)) }))?;
        harmless(&summary(&Summary { view: view(Standing::Stacks(vec![row("x", 1, RowStatus::Failed(failed))])) }))?;
    }

    #[test]
    fn a_plan_is_harmless(address in hostile(), path in hostile(), value in hostile(), fact in hostile(), branch in hostile()) {
        let mut one = change(&address, Action::DeleteCreate, vec![
            attribute(&path, Some(Shown::Value(value.clone())), Some(Shown::Lines(value.clone()))),
            attribute(&path, Some(Shown::Lines(address.clone())), Some(Shown::Lines(value.clone()))),
        ]);
        one.risk = model::plan::Risk::Data;
        one.data_kind = Some(fact.clone());
        one.facts = vec![(fact.clone(), value.clone())];
        one.reason = Some(fact.clone());
        one.import_id = Some(value.clone());
        let mut document = plan(vec![one], vec![model::plan::OutputChange {
            name: path.clone(), action: Action::Create, before: None, after: Some(Shown::Value(value)),
        }]);
        document.warnings = vec![fact];
        let mut view = view(Standing::Stacks(vec![row("x", 1, planned(document.clone())), row("y", 1, RowStatus::NoChange)]));
        view.base_branch = branch;
        harmless(&summary(&Summary { view: view.clone() }))?;
        view.standing = Standing::Stacks(vec![row("x", 1, planned(document))]);
        harmless(&summary(&Summary { view }))?;
    }

    #[test]
    fn other_texts_are_harmless(a in hostile(), b in hostile()) {
        let mut found = Diagnostics::new();
        for text in [&a, &b] {
            found.push(Diagnostic::error("x", text.clone()).help(b.clone()));
        }
        let mut view = view(Standing::ConfigErrors(found));
        view.notes.not_yet = vec![NotYet { what: a.clone(), at: None }];
        view.notes.warnings = vec![Diagnostic::warning("x", b.clone()).help(a.clone())];
        harmless(&summary(&Summary { view: view.clone() }))?;
        view.standing = Standing::Trouble { message: a.clone() };
        harmless(&summary(&Summary { view: view.clone() }))?;
        let error = model::command::CommandError { line: a.clone(), problem: b.clone(), hint: Some(a.clone()) };
        let parts = vec![
            model::publication::ReplyPart::Error(error),
            model::publication::ReplyPart::Config(b.clone()),
            model::publication::ReplyPart::Refused { reason: a },
            model::publication::ReplyPart::Done { message: b },
        ];
        harmless(&reply(&model::publication::Reply { to: CommentId::new(1), parts }, "0.1.0"))?;
    }

    #[test]
    fn notices_are_harmless(a in hostile(), b in hostile(), key in hostile()) {
        let (stack, url) = (nasty(), "https://buildit.example/x".to_owned());
        let run = model::publication::RunLink { number: model::id::RunNumber::new(1), url: url.clone() };
        let progress = model::publication::Progress { done: 1, total: 2 };
        let (commit, counts) = (super::super::sample::sha("ab"), model::plan::Counts::default());
        for what in [
            NoticeKind::MergedNotApplied { stack: stack.clone(), why: a.clone(), delta: vec![b.clone()], run: Some(run.clone()), url },
            NoticeKind::Lost { stack: stack.clone(), progress, run: run.clone(), unknown: vec![a.clone(), b.clone()], unstored: false },
            NoticeKind::Unreviewed { stack: stack.clone(), commit, branch: b, counts, run },
            NoticeKind::Settled { stack, how: a },
        ] {
            harmless(&notice(&Notice { key: key.clone(), what: what.clone() }))?;
            let it = Issue { key: key.clone(), closed: false, what };
            harmless(&issue(&it))?;
            prop_assert!(!issue_title(&it).contains('\n') && !issue_title(&it).chars().any(text::is_hidden));
        }
    }

    #[test]
    fn a_code_span_keeps_its_text(text in "[a`| \\\\]{0,20}") {
        let seen = read(&format!("x {} y", text::code(&text)));
        if !text.trim().is_empty() {
            prop_assert_eq!(seen.code.trim(), text.trim());
        }
    }

    #[test]
    fn a_fence_keeps_its_text(text in "[a`~ \n]{0,40}") {
        let fenced = text::fence("", &text);
        let seen = read(&fenced);
        prop_assert_eq!(seen.code.trim_end_matches('\n'), text.trim_end_matches('\n'));
        prop_assert_eq!(seen.text.trim(), "");
    }

    #[test]
    fn stripping_never_panics_and_leaves_no_escape(text in any::<String>(), tail in "(\u{1b}|\\[|\\]|m|;|\u{7}|\u{9b}|P|\\\\){0,12}") {
        let clean = text::strip_ansi(&format!("{text}{tail}"));
        let escape = char::from(27);
        prop_assert!(!clean.contains(escape));
    }
}

/// Everything that a stack's name may hold.
fn nasty() -> model::id::StackName {
    model::id::StackName::parse("a|b<i>@victim#999*_~$&amp;[x](https://evil)").expect("a legal name")
}

#[test]
fn names_of_stacks_are_harmless() {
    // Everything that a stack's name may hold.
    let name = "a|b<i>@victim#999*_~$&amp;[x](https://evil)";
    for status in [RowStatus::NoChange, planned(super::super::sample::network())] {
        let rows = vec![row("x", 1, status.clone()), named(name, status)];
        harmless(&summary(&Summary { view: view(Standing::Stacks(rows)) })).expect("harmless");
    }
}

fn named(name: &str, status: RowStatus) -> model::publication::StackRow {
    let mut row = row("plain", 2, status);
    row.stack = model::id::StackName::parse(name).expect("a legal name");
    row
}
