//! Plans by the real tools.

use std::collections::BTreeMap;
use std::path::Path;

use model::config::Directory;
use model::id::{RelPath, StackName, Workspace};
use model::job::{JobEnd, SourceTree};
use model::plan::PlanDocument;
use model::ports::{Executor, IacEngine, PlanOptions, PlanRequest};
use model::stack::{ApplyMode, Origin, PlanSettings, Stack, Tool, Value, Watch};
use runner::exec::Process;
use runner::iac::Iac;

use crate::lab::{ProcessLab, content, end, job, output, path};
use crate::tools;

pub(crate) fn stack(at: &str) -> Stack {
    Stack {
        name: StackName::parse("net").expect("a name"),
        path: path(at),
        workspace: Workspace::default_workspace(),
        origin: Origin::Literal,
        declared_at: None,
        was: Vec::new(),
        tool: None,
        tags: Default::default(),
        var: BTreeMap::new(),
        env: BTreeMap::new(),
        var_files: Vec::new(),
        watch: Watch::default(),
        depends_on: Vec::new(),
        plan: PlanSettings::default(),
        apply: ApplyMode::Merge,
        state: None,
        not_yet: Vec::new(),
    }
}

pub(crate) fn tree(files: &[(&str, &str)]) -> SourceTree {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, text.as_bytes()).expect("appended");
    }
    SourceTree::Tar(builder.into_inner().expect("an archive").into())
}

pub(crate) struct Planned {
    pub(crate) end: JobEnd,
    pub(crate) log: String,
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) engine: Iac,
}

impl Planned {
    pub(crate) fn document(&self) -> PlanDocument {
        let json = self.json.as_deref().unwrap_or_else(|| panic!("no plan: {:?}\n{}", self.end, self.log));
        self.engine.read_plan(json, &key()).expect("a readable plan")
    }
}

pub(crate) fn key() -> secrecy::SecretString {
    "a key of the stack".to_owned().into()
}

/// Plans through the process executor.
pub(crate) async fn plan(engine: Iac, name: &str, stack: &Stack, source: SourceTree, options: PlanOptions) -> Planned {
    let lab = ProcessLab::new();
    plan_in(&lab.process(), engine, name, stack, source, options).await
}

async fn plan_in(
    executor: &Process,
    engine: Iac,
    name: &str,
    stack: &Stack,
    source: SourceTree,
    options: PlanOptions,
) -> Planned {
    let tool = engine.resolve(stack.tool.as_ref(), &Directory::default()).await.expect("a tool");
    let request = PlanRequest { stack, tool: &tool, source, secret_var: BTreeMap::new(), options };
    let spec = engine.plan_job(request).expect("a job");
    let job = job(name);
    executor.start(&job, spec).await.expect("started");
    let end = end(executor, &job).await;
    let log = output(executor, &job).await;
    let json = content(executor, &job, "plan.json").await.ok();
    Planned { end, log, json, engine }
}

macro_rules! with_both_tools {
    ($($case:ident),* $(,)?) => {
        mod terraform {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(program) = super::tools::program(model::stack::Tool::Terraform) {
                    super::$case(&program).await;
                }
            })*
        }
        mod tofu {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(program) = super::tools::program(model::stack::Tool::OpenTofu) {
                    super::$case(&program).await;
                }
            })*
        }
    };
}

with_both_tools!(a_plan_with_changes, variables_env_and_workspace_reach_the_plan);

const MAIN: &str = r#"
variable "region" { default = "none" }
resource "terraform_data" "a" { input = "${var.region} ${terraform.workspace}" }
output "where" { value = terraform_data.a.input }
"#;

async fn a_plan_with_changes(program: &Path) {
    let source = tree(&[("infra/net/main.tf", MAIN)]);
    let planned =
        plan(tools::engine(program.to_owned(), None), "changes", &stack("infra/net"), source, PlanOptions::default())
            .await;
    let document = planned.document();
    assert_eq!((document.counts.add, document.counts.outputs), (1, 1), "{document:#?}\n{}", planned.log);
    assert_eq!(document.changes[0].address, "terraform_data.a");
    assert_eq!(planned.end.step("plan").and_then(|step| step.code), Some(2));
}

async fn variables_env_and_workspace_reach_the_plan(program: &Path) {
    let mut stack = stack("infra/net");
    stack.workspace = Workspace::parse("prod").expect("a workspace");
    stack.var_files = vec![path("infra/net/x.tfvars"), path("common.tfvars")];
    stack.env.insert("TF_VAR_c".to_owned(), Value::Plain("from-env".into()));
    stack.var.insert("b".to_owned(), Value::Plain("from-var".into()));
    stack.var.insert("list".to_owned(), Value::Plain(serde_json::json!(["x", 1])));
    stack.var.insert("undeclared".to_owned(), Value::Plain("ignored".into()));
    let main = r#"
variable "a" {}
variable "b" {}
variable "c" {}
variable "list" { type = list(string) }
output "all" { value = "${var.a} ${var.b} ${var.c} ${join("+", var.list)} ${terraform.workspace}" }
"#;
    let source = tree(&[
        ("infra/net/main.tf", main),
        ("infra/net/x.tfvars", "a = \"x\"\nb = \"x\"\n"),
        ("common.tfvars", "a = \"common\"\n"),
    ]);
    let planned = plan(tools::engine(program.to_owned(), None), "vars", &stack, source, PlanOptions::default()).await;
    let document = planned.document();
    let model::plan::Shown::Value(text) = document.outputs[0].after.clone().expect("a value") else {
        panic!("a value")
    };
    assert_eq!(text, "\"common from-var from-env x+1 prod\"");
}

#[test]
fn unused_yet() {
    let _ = (RelPath::root(), Tool::Terraform);
}
