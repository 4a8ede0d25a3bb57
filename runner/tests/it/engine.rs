//! Plans by the real tools.

use std::collections::BTreeMap;
use std::path::Path;

use model::config::Directory;
use model::id::{StackName, Workspace};
use model::job::{JobEnd, Outcome, SourceTree};
use model::plan::PlanOptions;
use model::plan::{Counts, PlanDocument, Risk};
use model::ports::{Executor, IacEngine, PlanRequest, StateAccess};
use model::stack::ResolvedTool;
use model::stack::{ApplyMode, Origin, PlanSettings, Stack, StateChoice, Tool, ToolChoice, Value, Watch};
use runner::exec::Process;
use runner::iac::{Iac, IacSettings};

use crate::lab::{ProcessLab, content, end, job, output, path};
use crate::tools::{self, with_both_tools};

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
        secrets: Vec::new(),
        var_files: Vec::new(),
        watch: Watch::default(),
        depends_on: Vec::new(),
        plan: PlanSettings::default(),
        apply: ApplyMode::Merge,
        apply_options: Default::default(),
        lock: Default::default(),
        require: Default::default(),
        access: Default::default(),
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

/// A plan of a stack with its own backend, without secrets.
pub(crate) fn request<'a>(
    stack: &'a Stack,
    tool: &'a ResolvedTool,
    source: SourceTree,
    options: PlanOptions,
) -> PlanRequest<'a> {
    let (secret_var, secret_env) = (BTreeMap::new(), BTreeMap::new());
    PlanRequest {
        stack,
        tool,
        source,
        secret_var,
        secret_env,
        state: StateAccess::Own,
        inputs: BTreeMap::new(),
        options,
        import: Vec::new(),
    }
}

pub(crate) struct Planned {
    pub(crate) end: JobEnd,
    pub(crate) log: String,
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) engine: Iac,
}

impl Planned {
    async fn engine_is_tofu(&self) -> bool {
        self.engine.tools().await.iter().all(|tool| tool.tool == Tool::OpenTofu)
    }

    pub(crate) fn document(&self) -> PlanDocument {
        let json = self.json.as_deref().unwrap_or_else(|| panic!("no plan: {:?}\n{}", self.end, self.log));
        self.engine.read_plan(json, &key(), &[]).expect("a readable plan")
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
    let request = request(stack, &tool, source, options);
    let spec = engine.plan_job(request).expect("a job");
    let job = job(name);
    executor.start(&job, spec).await.expect("started");
    let end = end(executor, &job).await;
    let log = output(executor, &job).await;
    let json = content(executor, &job, "plan.json").await.ok();
    Planned { end, log, json, engine }
}

with_both_tools!(
    a_plan_with_changes,
    variables_env_and_workspace_reach_the_plan,
    no_changes,
    errors_are_explained,
    sensitive_values_do_not_leave,
    bound_secrets_do_not_leave,
    a_stack_uses_its_own_backend_files,
    a_real_provider_plans,
    flags_reach_the_plan,
);

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

async fn no_changes(program: &Path) {
    let source = tree(&[("main.tf", "locals { a = 1 }\n")]);
    let planned =
        plan(tools::engine(program.to_owned(), None), "same", &stack(""), source, PlanOptions::default()).await;
    let document = planned.document();
    assert_eq!((document.counts, document.risk), (Counts::default(), Risk::None));
    assert!(document.changes.is_empty() && document.outputs.is_empty() && document.complete && !document.errored);
    assert_eq!(planned.end.step("plan").and_then(|step| step.code), Some(0));
}

async fn errors_are_explained(program: &Path) {
    let engine = || tools::engine(program.to_owned(), None);
    let source = tree(&[("infra/net/main.tf", "resource \"terraform_data\" \"a\" {\n  input = var.nope\n}\n")]);
    let planned = plan(engine(), "error", &stack("infra/net"), source, PlanOptions::default()).await;
    assert_eq!(planned.end.outcome, Outcome::StepFailed { step: "plan".to_owned() });
    assert!(planned.json.is_none());
    let failure = planned.engine.explain_failure(&planned.end, &planned.log);
    assert_eq!(
        failure.headline,
        "Reference to undeclared input variable: An input variable with the name \"nope\" has not been declared"
    );
    assert_eq!((failure.file.as_deref(), failure.line), (Some("main.tf"), Some(2)));
    assert!(failure.detail.contains("input variable with the name \"nope\""), "{}", failure.detail);

    let source = tree(&[("main.tf", "resource \"terraform_data\" \"a\" {\n  input = \n}\n")]);
    let planned = plan(engine(), "syntax", &stack(""), source, PlanOptions::default()).await;
    let failure = planned.engine.explain_failure(&planned.end, &planned.log);
    assert_eq!((failure.phase.as_str(), failure.line), ("init", Some(2)), "{}", planned.log);
    assert!(failure.headline.starts_with("Invalid expression"), "{}", failure.headline);

    let source = tree(&[("main.tf", "variable \"needed\" {}\n")]);
    let planned = plan(engine(), "needed", &stack(""), source, PlanOptions::default()).await;
    let failure = planned.engine.explain_failure(&planned.end, &planned.log);
    assert_eq!(
        (failure.phase.as_str(), failure.headline.as_str()),
        (
            "plan",
            "No value for required variable: The root module input variable \"needed\" is not set, and has no default value"
        )
    );
}

async fn sensitive_values_do_not_leave(program: &Path) {
    let main = r#"
variable "password" { sensitive = true }
resource "terraform_data" "a" { input = { user = "ana", password = var.password } }
resource "terraform_data" "b" { input = nonsensitive("x-${var.password}-x") }
output "p" {
  value     = var.password
  sensitive = true
}
"#;
    let tool = tools::engine(program.to_owned(), None);
    let stack = stack("");
    let lab = ProcessLab::new();
    let resolved = tool.resolve(None, &Directory::default()).await.expect("a tool");
    let spec = |secret: &str| {
        let secret_var = BTreeMap::from([("password".to_owned(), secret.to_owned().into())]);
        let source = tree(&[("main.tf", main)]);
        let request = PlanRequest { secret_var, ..request(&stack, &resolved, source, PlanOptions::default()) };
        tool.plan_job(request).expect("a job")
    };
    let mut roots = Vec::new();
    for (name, secret) in [("one", "correct-horse"), ("two", "correct-horse"), ("three", "battery-staple")] {
        let job = job(name);
        lab.process().start(&job, spec(secret)).await.expect("started");
        end(&lab.process(), &job).await;
        let json = content(&lab.process(), &job, "plan.json").await.expect("a plan");
        assert!(String::from_utf8_lossy(&json).contains(secret), "the tool's own document holds it");
        let document = tool.read_plan(&json, &key(), &[]).expect("readable");
        let shown = serde_json::to_string(&document).expect("json");
        assert!(!shown.contains(secret), "{shown}");
        assert!(shown.contains("ana"));
        let masked = runner::iac::masked_json(&json, &[]).expect("masked");
        assert!(!String::from_utf8_lossy(&masked).contains(secret));
        assert!(!output(&lab.process(), &job).await.contains("\"correct-horse\""));
        roots.push(document.fingerprint.root);
    }
    assert_eq!(roots[0], roots[1], "the same plan twice is the same plan");
    assert_ne!(roots[0], roots[2], "another password is another plan");
}

async fn a_stack_uses_its_own_backend_files(program: &Path) {
    let main = "terraform {\n  backend \"local\" {}\n}\nresource \"terraform_data\" \"a\" {}\n";
    let state = r#"{"version":4,"terraform_version":"1.6.0","serial":1,"lineage":"x","outputs":{},"resources":[
        {"mode":"managed","type":"terraform_data","name":"gone","provider":"provider[\"terraform.io/builtin/terraform\"]",
         "instances":[{"schema_version":0,"attributes":{"id":"i","input":null,"output":null,"triggers_replace":null}}]}]}"#;
    let mut stack = stack("net");
    stack.state = Some(StateChoice::Own { config: vec![path("env/prod.tfbackend")] });
    let source = tree(&[
        ("net/main.tf", main),
        ("env/prod.tfbackend", "path = \"prod.tfstate\"\n"),
        ("net/prod.tfstate", state),
    ]);
    let planned =
        plan(tools::engine(program.to_owned(), None), "backend", &stack, source, PlanOptions::default()).await;
    let document = planned.document();
    assert_eq!((document.counts.add, document.counts.destroy), (1, 1), "{}", planned.log);
    assert_eq!(document.changes[0].reason.as_deref(), Some("it is no longer in the configuration"));
}

async fn a_real_provider_plans(program: &Path) {
    let Some(cli_config) = tools::local_provider() else { return };
    let main = "terraform {\n  required_providers {\n    local = { source = \"hashicorp/local\" }\n  }\n}\n\
        resource \"local_file\" \"f\" {\n  filename = abspath(\"${path.module}/x\")\n  content = \"a\\nb\\n\"\n}\n";
    let lab = ProcessLab::new();
    let mut roots = Vec::new();
    for name in ["b-00000000000000000000000000000001-1", "b-00000000000000000000000000000002-1"] {
        let engine = tools::engine(program.to_owned(), Some(cli_config.clone()));
        let source = tree(&[("net/main.tf", main)]);
        let planned = plan_in(&lab.process(), engine, name, &stack("net"), source, PlanOptions::default()).await;
        let document = planned.document();
        assert_eq!(document.counts.add, 1, "{}", planned.log);
        let lock = content(&lab.process(), &job(name), "lock.hcl").await.expect("a lock file");
        assert!(String::from_utf8_lossy(&lock).contains("hashicorp/local"));
        assert!(!content(&lab.process(), &job(name), "plan.bin").await.expect("a plan file").is_empty());
        roots.push(document.fingerprint.root);
    }
    assert_eq!(roots[0], roots[1], "the job's own directory is no part of the fingerprint");
}

/// A bound secret is one, whatever the configuration says of its variable.
async fn bound_secrets_do_not_leave(program: &Path) {
    let main = r#"
variable "token" {}
resource "terraform_data" "a" { input = { user = "ana", header = "Bearer ${var.token}" } }
resource "terraform_data" "b" {
  for_each = toset([var.token])
  input    = jsonencode({ deep = [var.token] })
  provisioner "local-exec" { command = "true ${var.token}" }
}
output "o" { value = "x-${var.token}" }
"#;
    let engine = tools::engine(program.to_owned(), None);
    let stack = stack("");
    let tool = engine.resolve(None, &Directory::default()).await.expect("a tool");
    let lab = ProcessLab::new();
    let mut roots = Vec::new();
    for (name, secret) in [("one", "correct-horse"), ("two", "correct-horse"), ("three", "battery-staple")] {
        let secret_var = BTreeMap::from([("token".to_owned(), secret.to_owned().into())]);
        let source = tree(&[("main.tf", main)]);
        let request = PlanRequest { secret_var, ..request(&stack, &tool, source, PlanOptions::default()) };
        let job = job(name);
        lab.process().start(&job, engine.plan_job(request).expect("a job")).await.expect("started");
        end(&lab.process(), &job).await;
        let json = content(&lab.process(), &job, "plan.json").await.expect("a plan");
        let known = [secret.to_owned().into()];
        let document = engine.read_plan(&json, &key(), &known).expect("readable");
        let shown = serde_json::to_string(&document).expect("json");
        assert!(!shown.contains(secret) && shown.contains("Bearer ***"), "{shown}");
        let masked = String::from_utf8(engine.mask_plan(&json, &known).expect("masked")).expect("text");
        assert!(!masked.contains(secret) && masked.contains("Bearer ***"), "{masked}");
        roots.push(document.fingerprint.root);
    }
    assert_eq!(roots[0], roots[1]);
    assert_ne!(roots[0], roots[2], "another value is another plan");
}

async fn flags_reach_the_plan(program: &Path) {
    let main = "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {}\n";
    let options = PlanOptions { target: vec!["terraform_data.b".to_owned()], ..PlanOptions::default() };
    let engine = tools::engine(program.to_owned(), None);
    let planned = plan(engine, "target", &stack(""), tree(&[("main.tf", main)]), options).await;
    let addresses: Vec<String> = planned.document().changes.into_iter().map(|change| change.address).collect();
    assert_eq!(addresses, ["terraform_data.b"]);
    // OpenTofu's documents do not say it.
    let says = String::from_utf8_lossy(planned.json.as_deref().unwrap_or_default()).contains("\"complete\":");
    assert!(!says || !planned.document().complete, "a targeted plan is not complete");
    assert!(says || planned.engine_is_tofu().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_cannot_have_is_refused_with_its_name() {
    let engine = Iac::new(IacSettings::default());
    let tool = ResolvedTool { tool: Tool::OpenTofu, version: "1.12.6".to_owned(), path: "/bin/tofu".into() };
    let refused = |stack: &Stack, options: PlanOptions| {
        let request = request(stack, &tool, SourceTree::Empty, options);
        engine.plan_job(request).expect_err("refused").to_string()
    };
    let mut secret = stack("");
    secret.var.insert("p".to_owned(), Value::Secret("DB_PASSWORD".to_owned()));
    insta::assert_snapshot!(refused(&secret, PlanOptions::default()), @r#"stack net: var "p" needs the secret DB_PASSWORD, which this run does not have"#);
    let mut env = stack("");
    env.env.insert("TF_CLI_ARGS_plan".to_owned(), Value::Plain("-destroy".into()));
    insta::assert_snapshot!(refused(&env, PlanOptions::default()), @r#"stack net: env "TF_CLI_ARGS_plan" may not be set by a repository: it changes which code runs; remove it"#);
    for argument in ["-out=x", "--var=a=b", "-var-file=/etc/passwd", "-lock=true", "-chdir=/", "-refresh=false", "x"] {
        let options = PlanOptions { args: vec![argument.to_owned()], ..PlanOptions::default() };
        assert!(refused(&stack(""), options).contains(argument), "{argument}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tool_is_chosen_by_who_speaks_first() {
    let root = tempfile::tempdir().expect("a directory");
    let fake = |directory: &str, program: &str, line: &str| {
        let directory = root.path().join(directory);
        std::fs::create_dir_all(&directory).expect("made");
        let path = directory.join(program);
        std::fs::write(&path, format!("#!/bin/sh\n[ \"$1\" = version ] && [ $# = 1 ] && echo '{line}'\n"))
            .expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    };
    fake("t-1", "terraform", "Terraform v1.11.4");
    fake("t-2", "terraform", "Terraform v1.10.5");
    fake("o-1", "tofu", "OpenTofu v1.10.3");
    fake("o-2", "tofu", "OpenTofu v1.10.7");
    fake("o-3", "tofu", "OpenTofu v1.12.0");
    let engine = |cache: &str| Iac::new(IacSettings { cache: Some(root.path().join(cache)), ..IacSettings::default() });
    let all = engine("");
    let choice = |tool, version: Option<&str>| ToolChoice { tool, version: version.map(str::to_owned) };
    let of = |text: &str| Some((path(".tool"), text.to_owned()));
    let plain = Directory::default();
    let opentofu = Directory { opentofu_version: of("1.10.3"), terraform_version: of("1.10.5"), ..plain.clone() };
    let terraform =
        Directory { terraform_version: of("1.10"), lock_hosts: vec!["registry.opentofu.org".into()], ..plain.clone() };
    let required = Directory { required_version: Some("~> 1.10.0".into()), ..plain.clone() };
    let locked = Directory { lock_hosts: vec!["registry.terraform.io".into()], ..plain.clone() };
    for (chosen, directory, expected) in [
        (None, &plain, "opentofu 1.12.0"),
        (Some(choice(Tool::OpenTofu, Some("1.10"))), &opentofu, "opentofu 1.10.7"),
        (Some(choice(Tool::OpenTofu, Some("=1.10.3"))), &plain, "opentofu 1.10.3"),
        (Some(choice(Tool::Terraform, None)), &opentofu, "terraform 1.10.5"),
        (None, &opentofu, "opentofu 1.10.3"),
        (None, &terraform, "terraform 1.10.5"),
        (None, &required, "opentofu 1.10.7"),
        (None, &locked, "terraform 1.11.4"),
    ] {
        let found = all.resolve(chosen.as_ref(), directory).await.expect("a tool");
        assert_eq!(format!("{} {}", found.tool.name(), found.version), expected, "{chosen:?} {directory:?}");
    }
    // Nothing pins the other: the one that is there plans.
    let found = engine("t-1").resolve(None, &plain).await.expect("a tool");
    assert_eq!(found.tool, Tool::Terraform);
    let error = engine("t-1").resolve(Some(&choice(Tool::OpenTofu, Some("1.10"))), &plain).await.expect_err("none");
    let text = error.to_string().replace(&root.path().display().to_string(), "CACHE");
    insta::assert_snapshot!(text, @r#"
    no opentofu "1.10" (the configuration's `tool`) found
      looked in CACHE/t-1; there is terraform 1.11.4
      do: install OpenTofu (https://opentofu.org/docs/intro/install), or --tool /path/to/tofu
    "#);
    let error = all.resolve(Some(&choice(Tool::OpenTofu, Some("newest"))), &plain).await.expect_err("none");
    assert!(error.to_string().contains("\"newest\" in the configuration's `tool`"), "{error}");
}
