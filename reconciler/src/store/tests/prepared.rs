//! Every statement of the store is one that both databases understand.

use std::fs;
use std::path::Path;

use sqlx::{Executor as _, SqlSafeStr as _};

use super::*;

/// The text of the Rust string literal that `source` begins with, behind its first quote.
fn literal(source: &str) -> String {
    let mut text = String::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' if chars.peek() == Some(&'\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

/// The literals behind `call`, white space between them aside.
fn behind(source: &str, call: &str) -> Vec<String> {
    let found = source.match_indices(call).map(|(at, _)| source[at + call.len()..].trim_start());
    found.filter_map(|rest| rest.strip_prefix('"')).map(literal).collect()
}

fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "rs")
            || ["dialect.rs", "tests.rs"].iter().any(|name| path.ends_with(name))
        {
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        all.extend(behind(&source, "sql("));
        // Statements over all columns: the columns stand in the macro.
        if let Some(columns) = source.split("concat!(").nth(1).and_then(|rest| rest.split("$rest").next()) {
            let columns: String = columns.split('"').skip(1).step_by(2).collect();
            all.extend(behind(&source, "select!(").into_iter().map(|rest| format!("{columns}{rest}")));
        }
    }
    all
}

#[tokio::test]
async fn every_statement_can_be_prepared() {
    let statements = statements();
    assert!(statements.len() > 40, "only {} were found", statements.len());
    for (store, _dir) in stores("prepared").await {
        let mut tx = store.write().await.unwrap();
        for text in &statements {
            if text.contains("pg_advisory") && store.dialect() == super::super::Dialect::Sqlite {
                continue;
            }
            let prepared = tx.prepare(sqlx::AssertSqlSafe(text.clone()).into_sql_str()).await;
            assert!(prepared.is_ok(), "{:?}: {text}: {:?}", store.dialect(), prepared.err());
        }
        tx.rollback().await.unwrap();
        store.close().await;
    }
}

#[test]
fn literals_are_read_as_rust_reads_them() {
    let source = "sql(\"select \\\n   1\").bind(x); sql(\n  \"a \\\" b\"\n)";
    assert_eq!(behind(source, "sql("), ["select 1", "a \" b"]);
}
