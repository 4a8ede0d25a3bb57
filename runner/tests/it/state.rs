//! How jobs are led to a state, and what plan files say of the one that they saw.

use std::collections::BTreeMap;
use std::path::Path;

use model::job::{JobSpec, Outcome, SourceTree};
use model::plan::{PlanOptions, StateSeen, StateStamp};
use model::ports::{ApplyRequest, Executor, IacEngine, PlanRequest, StateAccess};
use model::stack::{ResolvedTool, Stack, Tool, Value};
use runner::iac::{Iac, IacSettings};
use secrecy::ExposeSecret as _;

use crate::engine::{request, stack, tree};
use crate::lab::{ProcessLab, content, end, job, output, path};
use crate::tools::{self, with_both_tools};

const OVERRIDE: &str = "net/zz_buildit_override.tf";

fn kept() -> StateAccess {
    StateAccess::Kept { address: "https://buildit.test/state/5/net".to_owned(), token: "bst_x".to_owned().into() }
}

fn tool() -> ResolvedTool {
    ResolvedTool { tool: Tool::OpenTofu, version: "1.12.6".to_owned(), path: "/bin/tofu".into() }
}

fn plan_job(stack: &Stack, state: StateAccess) -> Result<JobSpec, String> {
    let tool = tool();
    let request = PlanRequest { state, ..request(stack, &tool, SourceTree::Empty, PlanOptions::default()) };
    Iac::new(IacSettings::default()).plan_job(request).map_err(|error| error.to_string())
}

fn apply_job(stack: &Stack, state: StateAccess) -> Result<JobSpec, String> {
    let tool = tool();
    let request = ApplyRequest {
        stack,
        tool: &tool,
        source: SourceTree::Empty,
        place: job("b-plan-1"),
        plan: Vec::new(),
        lock: None,
        secret_var: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        state,
    };
    Iac::new(IacSettings::default()).apply_job(request).map_err(|error| error.to_string())
}

/// Secret environment, a line each.
fn secrets(spec: &JobSpec) -> String {
    let lines = spec.secret_env.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plan_reads_and_an_apply_locks_and_writes() {
    let plan = plan_job(&stack("net"), kept()).expect("a job");
    insta::assert_snapshot!(secrets(&plan), @r"
    TF_HTTP_ADDRESS=https://buildit.test/state/5/net
    TF_HTTP_PASSWORD=bst_x
    TF_HTTP_RETRY_MAX=5
    TF_HTTP_USERNAME=buildit
    ");
    let apply = apply_job(&stack("net"), kept()).expect("a job");
    insta::assert_snapshot!(secrets(&apply), @r"
    TF_HTTP_ADDRESS=https://buildit.test/state/5/net
    TF_HTTP_LOCK_ADDRESS=https://buildit.test/state/5/net
    TF_HTTP_PASSWORD=bst_x
    TF_HTTP_RETRY_MAX=5
    TF_HTTP_UNLOCK_ADDRESS=https://buildit.test/state/5/net
    TF_HTTP_USERNAME=buildit
    ");
    assert!(plan.steps[1].argv.contains(&"-lock=false".to_owned()), "{:?}", plan.steps[1].argv);
    for spec in [plan, apply] {
        let text = String::from_utf8_lossy(&spec.files[&path(OVERRIDE)]).into_owned();
        assert_eq!(text, "terraform {\n  backend \"http\" {}\n}\n");
        assert!(!spec.env.keys().any(|name| name.starts_with("TF_HTTP")));
    }
}

#[test]
fn a_stack_with_its_own_backend_is_left_alone() {
    for spec in [plan_job(&stack("net"), StateAccess::Own), apply_job(&stack("net"), StateAccess::Own)] {
        let spec = spec.expect("a job");
        assert!(spec.secret_env.is_empty() && !spec.files.contains_key(&path(OVERRIDE)));
    }
    // And may name its own http backend's settings.
    let mut own = stack("net");
    own.env.insert("TF_HTTP_ADDRESS".to_owned(), Value::Plain("https://gitlab.test".into()));
    assert!(plan_job(&own, StateAccess::Own).is_ok());
}

#[test]
fn no_repository_leads_a_token_elsewhere() {
    for name in ["TF_HTTP_ADDRESS", "tf_http_address", "TF_HTTP_UPDATE_METHOD", "TF_HTTP_SKIP_CERT_VERIFICATION"] {
        let mut thief = stack("net");
        thief.env.insert(name.to_owned(), Value::Plain("https://evil.test".into()));
        for refused in [plan_job(&thief, kept()), apply_job(&thief, kept())] {
            let refused = refused.expect_err("refused");
            assert!(refused.contains(name) && refused.contains("is set by BuildIt"), "{refused}");
        }
    }
}

#[test]
fn without_a_server_nothing_is_applied_and_plans_are_on_an_empty_state() {
    let plan = plan_job(&stack("net"), StateAccess::Empty).expect("a job");
    assert_eq!(plan.files[&path(OVERRIDE)], b"terraform {\n  backend \"local\" {}\n}\n");
    assert!(plan.secret_env.is_empty());
    let refused = apply_job(&stack("net"), StateAccess::Empty).expect_err("refused");
    assert!(refused.contains("nothing is applied"), "{refused}");
}

async fn a_plan_file_tells_the_state_that_it_saw(program: &Path) {
    let engine = tools::engine(program.to_owned(), None);
    let tool = engine.resolve(None, &Default::default()).await.expect("a tool");
    let (lab, folder) = (ProcessLab::new(), tempfile::tempdir().expect("a directory"));
    let file = folder.path().join("s.tfstate");
    let main = format!(
        "terraform {{\n  backend \"local\" {{\n    path = \"{}\"\n  }}\n}}\nresource \"terraform_data\" \"a\" {{}}\n",
        file.display()
    );
    let state =
        r#"{"version":4,"terraform_version":"1.5.0","serial":41,"lineage":"a-lineage","outputs":{},"resources":[]}"#;
    for (name, there) in [("b-none-1", None), ("b-some-1", Some(state))] {
        if let Some(state) = there {
            std::fs::write(&file, state).expect("written");
        }
        let stack = stack("net");
        let request = request(&stack, &tool, tree(&[("net/main.tf", &main)]), PlanOptions::default());
        let name = job(name);
        lab.process().start(&name, engine.plan_job(request).expect("a job")).await.expect("started");
        let ended = end(&lab.process(), &name).await;
        assert_eq!(ended.outcome, Outcome::Completed, "{}", output(&lab.process(), &name).await);
        let plan = content(&lab.process(), &name, "plan.bin").await.expect("a plan file");
        let stamp = StateStamp { lineage: "a-lineage".to_owned(), serial: 41, digest: None };
        assert_eq!(engine.state_of_plan(&plan), Some(StateSeen::of(there.map(|_| stamp))));
        for cut in [0, 10, plan.len() / 2] {
            assert_eq!(engine.state_of_plan(&plan[..cut]), None, "what is no plan file says nothing");
        }
    }
}

with_both_tools!(a_plan_file_tells_the_state_that_it_saw);
