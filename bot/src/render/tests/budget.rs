//! Nothing is longer than its place, and what gives way is the least dangerous.

use model::plan::{Action, PlanDocument, Risk};
use model::publication::{RowStatus, Summary};
use pulldown_cmark::{Event, Parser, Tag};

use super::super::sample::{attribute, change, database, failure, plan, planned, row, value, view};
use super::super::*;
use super::{check_of, stacks};

fn large(resources: usize, risk: Risk) -> PlanDocument {
    let changes = (0..resources)
        .map(|n| {
            let mut one = change(
                &format!("aws_thing.number[{n}]"),
                Action::Create,
                vec![attribute("content", None, value(&format!("\"{}\"", "x".repeat(150))))],
            );
            one.risk = risk;
            one
        })
        .collect();
    plan(changes, Vec::new())
}

/// Every fence is closed: the last event of the text lies outside of code, and our footer is text.
fn whole(text: &str) {
    let mut open = 0;
    let mut foot = false;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => open += 1,
            Event::End(pulldown_cmark::TagEnd::CodeBlock) => open -= 1,
            Event::InlineHtml(tag) | Event::Html(tag) if open == 0 && tag.contains("<sub>") => foot = true,
            _ => {}
        }
    }
    assert_eq!(open, 0);
    assert!(foot, "the footer is inside of something: {}", &text[text.len().saturating_sub(300)..]);
}

#[test]
fn diffs_give_way_from_the_least_dangerous() {
    let mut rows = vec![row("z-danger", 1, planned(database()))];
    rows.extend((0..12).map(|n| row(&format!("big-{n:02}"), 100 + n, planned(large(40, Risk::Low)))));
    rows.push(row("a-medium", 50, planned(large(40, Risk::Medium))));
    let text = summary(&Summary { view: view(stacks(rows)) });
    assert!(text.chars().count() <= BUDGET, "{}", text.chars().count());
    whole(&text);
    assert!(text.contains("- aws_db_instance.main"), "the most dangerous diff is there");
    assert!(text.contains("<b>a-medium</b>"), "the next dangerous one is there");
    assert!(text.contains("[plan of big-11: +40](https://buildit.example/r/111)"), "the last gave way to its link");
    assert!(!text.contains("<b>big-11</b>"));
}

#[test]
fn one_huge_diff_is_cut_between_resources() {
    let text = summary(&Summary { view: view(stacks(vec![row("a", 1, planned(large(5_000, Risk::Low)))])) });
    assert!(text.chars().count() <= BUDGET);
    whole(&text);
    assert!(text.contains("+ aws_thing.number[0]\n"));
    assert!(text.contains("more changes](https://buildit.example/r/1)"), "{}", &text[text.len() - 600..]);
}

#[test]
fn two_hundred_stacks_that_all_fail_still_fit() {
    let mut error = failure();
    error.detail = "Error: something\n".repeat(2_000);
    for number in [2, 30, 200, 2_000] {
        let rows: Vec<_> =
            (0..number).map(|n| row(&format!("stack-number-{n}"), n, RowStatus::Failed(error.clone()))).collect();
        let text = summary(&Summary { view: view(stacks(rows.clone())) });
        assert!(text.chars().count() <= BUDGET, "{number}: {}", text.chars().count());
        whole(&text);
        let check = check_of(stacks(rows));
        assert!(check.summary.chars().count() <= BUDGET && check.text.chars().count() <= BUDGET);
    }
}

#[test]
fn two_hundred_planned_stacks_keep_their_rows() {
    let rows: Vec<_> = (0..200).map(|n| row(&format!("stack-{n:03}"), n, planned(large(3, Risk::Low)))).collect();
    let text = summary(&Summary { view: view(stacks(rows)) });
    assert!(text.chars().count() <= BUDGET);
    whole(&text);
    for n in 0..200 {
        assert!(text.contains(&format!("| [stack-{n:03}](https://buildit.example/r/{n})")), "row {n}");
    }
}

#[test]
fn no_rows_are_no_stacks() {
    let text = summary(&Summary { view: view(stacks(Vec::new())) });
    assert!(text.contains("### No stacks affected"), "{text}");
}
