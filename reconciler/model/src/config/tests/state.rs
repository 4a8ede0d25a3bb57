//! Where a stack's state is kept: what is written, and what the directory holds.

use super::*;
use crate::stack::{Stack, StateKind};

fn stack(more: &str) -> Stack {
    resolved(&format!("stack net {{ {more} }}"), &["net"]).stacks.remove(0)
}

fn directory(backend: Option<&str>, backend_empty: bool, cloud: bool) -> Directory {
    Directory { backend: backend.map(str::to_owned), backend_empty, cloud, ..Directory::default() }
}

#[test]
fn a_block_decides_unless_the_configuration_does() {
    let table = [
        ("", directory(None, false, false), Ok(StateKind::Buildit)),
        ("", directory(Some("http"), true, false), Ok(StateKind::Buildit)),
        ("", directory(Some("http"), false, false), Ok(StateKind::Own)),
        ("", directory(Some("s3"), true, false), Ok(StateKind::Own)),
        ("", directory(None, false, true), Ok(StateKind::Own)),
        ("state own", directory(None, false, false), Ok(StateKind::Own)),
        ("state own", directory(Some("http"), true, false), Ok(StateKind::Own)),
        ("state buildit", directory(None, false, false), Ok(StateKind::Buildit)),
        ("state buildit", directory(Some("http"), true, false), Ok(StateKind::Buildit)),
        ("state buildit", directory(Some("s3"), true, false), Err("a `backend \"s3\"` block")),
        ("state buildit", directory(Some("http"), false, false), Err("a `backend \"http\"` block")),
        ("state buildit", directory(None, false, true), Err("a `cloud` block")),
    ];
    for (written, directory, expected) in table {
        let stack = stack(written);
        assert_eq!(stack.not_yet, [], "{written}");
        match (stack.state_kind(&directory), expected) {
            (Ok(kind), Ok(expected)) => assert_eq!(kind, expected, "{written} {directory:?}"),
            (Err(refusal), Err(text)) => assert!(refusal.to_string().contains(text), "{refusal}"),
            (other, expected) => panic!("{other:?} against {expected:?} of {written} {directory:?}"),
        }
    }
}

#[test]
fn a_workspace_is_refused_where_the_protocol_knows_none() {
    let blue = stack("workspace blue");
    let refusal = blue.state_kind(&Directory::default()).expect_err("refused").to_string();
    assert!(refusal.contains("the http backend knows no workspaces (blue)"), "{refusal}");
    assert_eq!(blue.state_kind(&directory(Some("s3"), false, false)), Ok(StateKind::Own));
    let refusal = stack("workspace blue; state buildit").state_kind(&Directory::default());
    assert!(refusal.is_err(), "{refusal:?}");
}
