//! Applies of saved plans by the real tools.

use std::collections::BTreeMap;
use std::path::Path;

use model::job::{JobEnd, Outcome, SourceTree};
use model::plan::{Action, PlanOptions};
use model::ports::{ApplyRequest, Executor, IacEngine, StateAccess};
use model::stack::Stack;
use runner::exec::Process;
use runner::iac::Iac;

use crate::engine::{request, stack, tree};
use crate::lab::{ProcessLab, content, end, job, output};
use crate::tools::{self, with_both_tools};

const BACKEND: &str = "terraform {\n  backend \"local\" {\n    path = \"STATE\"\n  }\n}\n";
const MAIN: &str = r#"
resource "terraform_data" "a" {
  input = file("${path.module}/a.txt")
  provisioner "local-exec" {
    command = "cat ${abspath(path.module)}/a.txt"
  }
}
"#;

/// A stack with a local state outside of its job, and its files.
fn scene(state: &Path, main: &str) -> (Stack, SourceTree) {
    let backend = BACKEND.replace("STATE", &state.join("s.tfstate").display().to_string());
    let files = [("net/main.tf", main), ("net/backend.tf", backend.as_str()), ("net/a.txt", "from the plan\n")];
    (stack("net"), tree(&files))
}

/// Plans, removes the plan's job, and applies at its place.
async fn plan_and_apply(program: &Path, stack: &Stack, source: &SourceTree, executor: &Process) -> (JobEnd, String) {
    let engine = tools::engine(program.to_owned(), None);
    let tool = engine.resolve(None, &Default::default()).await.expect("a tool");
    let options = PlanOptions::default();
    let request = request(stack, &tool, source.clone(), options);
    let place = job("b-plan-1");
    executor.start(&place, engine.plan_job(request).expect("a job")).await.expect("started");
    let planned = end(executor, &place).await;
    assert_eq!(planned.outcome, Outcome::Completed, "{}", output(executor, &place).await);
    let plan = content(executor, &place, "plan.bin").await.expect("a plan file");
    let lock = content(executor, &place, "lock.hcl").await.ok();
    executor.remove(&place).await.expect("removed");
    apply(&engine, stack, &tool, source.clone(), plan, lock, executor).await
}

async fn apply(
    engine: &Iac,
    stack: &Stack,
    tool: &model::stack::ResolvedTool,
    source: SourceTree,
    plan: Vec<u8>,
    lock: Option<Vec<u8>>,
    executor: &Process,
) -> (JobEnd, String) {
    let request = ApplyRequest {
        stack,
        tool,
        source,
        place: job("b-plan-1"),
        plan,
        lock,
        secret_var: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        state: StateAccess::Own,
    };
    let name = job("b-apply-1");
    executor.start(&name, engine.apply_job(request).expect("a job")).await.expect("started");
    let ended = end(executor, &name).await;
    (ended, output(executor, &name).await)
}

async fn the_reviewed_plan_is_applied_with_the_files_that_it_saw(program: &Path) {
    let (lab, state) = (ProcessLab::new(), tempfile::tempdir().expect("a directory"));
    let (stack, source) = scene(state.path(), MAIN);
    let executor = lab.process();
    let (end, log) = plan_and_apply(program, &stack, &source, &executor).await;
    assert_eq!(end.outcome, Outcome::Completed, "{log}");
    let engine = tools::engine(program.to_owned(), None);
    let lines: Vec<_> = log.lines().map(|line| engine.apply_line(line)).collect();
    let done: Vec<_> = lines.iter().filter_map(|line| line.done.clone()).collect();
    assert_eq!(done.len(), 1, "{log}");
    assert_eq!((done[0].address.as_str(), done[0].action), ("terraform_data.a", Action::Create));
    assert!(done[0].id.as_ref().is_some_and(|(key, id)| key == "id" && id.len() == 36), "{done:?}");
    assert!(lines.iter().any(|line| line.text.contains("from the plan")), "the provisioner read its file: {log}");
    assert!(std::fs::read_to_string(state.path().join("s.tfstate")).expect("a state").contains("terraform_data"));
    executor.remove(&job("b-apply-1")).await.expect("removed");
    assert!(executor.status(&job("b-plan-1")).await.is_ok());
}

async fn a_plan_is_applied_once_and_then_it_is_stale(program: &Path) {
    let (lab, state) = (ProcessLab::new(), tempfile::tempdir().expect("a directory"));
    let (stack, source) = scene(state.path(), MAIN);
    let executor = lab.process();
    let engine = tools::engine(program.to_owned(), None);
    let tool = engine.resolve(None, &Default::default()).await.expect("a tool");
    let request = request(&stack, &tool, source.clone(), PlanOptions::default());
    let place = job("b-plan-1");
    executor.start(&place, engine.plan_job(request).expect("a job")).await.expect("started");
    end(&executor, &place).await;
    let plan = content(&executor, &place, "plan.bin").await.expect("a plan file");
    executor.remove(&place).await.expect("removed");
    let (first, log) = apply(&engine, &stack, &tool, source.clone(), plan.clone(), None, &executor).await;
    assert_eq!(first.outcome, Outcome::Completed, "{log}");
    executor.remove(&job("b-apply-1")).await.expect("removed");
    let (second, log) = apply(&engine, &stack, &tool, source, plan, None, &executor).await;
    assert_eq!(second.outcome, Outcome::StepFailed { step: "apply".to_owned() }, "{log}");
    let text: Vec<String> = log.lines().map(|line| engine.apply_line(line).text).collect();
    let failure = engine.explain_failure(&second, &text.join("\n"));
    assert!(failure.headline.starts_with("Saved plan is stale"), "{failure:?}");
}

with_both_tools!(the_reviewed_plan_is_applied_with_the_files_that_it_saw, a_plan_is_applied_once_and_then_it_is_stale,);
