//! The job of a plan.
//!
//! Steps: `init`, `plan` (never takes a lock), `show`. What we generate lives in one directory at the top of the
//! job's root; paths to it are relative, so that the same plan made elsewhere has the same arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use model::id::{FileName, RelPath};
use model::job::{JobSpec, Stdout, Step};
use model::ports::{IacError, PlanRequest};
use model::stack::{Stack, StateChoice, Tool, Value};
use secrecy::SecretString;

use super::state::{Purpose, lead};
use super::version::Version;
use super::{IacSettings, env};

/// Where we keep our own files in the job's root.
pub(super) const OURS: &str = ".buildit-run";
/// The file of import blocks, in the stack's directory.
const IMPORT: &str = "buildit_recover.tf";
/// After the interrupt; long enough to end a provider's call and write what is known.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// Bytes of log.
pub(super) const LOG_LIMIT: u64 = 64 << 20;
/// Tool arguments that nobody may give after `--`, by prefix (semantics.md section 1).
const DENIED_ARGUMENTS: [&str; 13] = [
    "-chdir",
    "-plugin-dir",
    "-state",
    "-backend",
    "-backup",
    "-out",
    "-lock",
    "-var",
    "-refresh=false",
    "-input",
    "-detailed-exitcode",
    "-json",
    "-generate-config-out",
];

pub(super) fn plan_job(settings: &IacSettings, request: PlanRequest<'_>) -> Result<JobSpec, IacError> {
    let PlanRequest { stack, tool, source, secret_var, secret_env, state, inputs, options, import } = request;
    let up = up_from(&stack.path);
    let mut plain = variables(stack, &secret_var)?;
    plain.extend(inputs);
    let env = environment(settings, stack, tool, &secret_env)?;
    let mut secret_env = secrets(stack, secret_var, secret_env)?;
    let mut files = BTreeMap::new();
    let mut plan = words(&["plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode"]);
    plan.push(format!("-out={up}{OURS}/plan.bin"));
    plan.extend(stack.var_files.iter().map(|file| format!("-var-file={up}{file}")));
    if !plain.is_empty() {
        // Last: what the configuration says in `var` wins over files.
        let json = serde_json::to_vec(&plain).map_err(|error| refused(stack, &error.to_string()))?;
        files.insert(ours("stack.tfvars.json")?, json);
        plan.push(format!("-var-file={up}{OURS}/stack.tfvars.json"));
    }
    plan.extend(options.destroy.then(|| "-destroy".to_owned()));
    plan.extend(options.refresh_only.then(|| "-refresh-only".to_owned()));
    plan.extend(options.target.iter().map(|address| format!("-target={address}")));
    plan.extend(options.replace.iter().map(|address| format!("-replace={address}")));
    for argument in &options.args {
        check_argument(stack, argument)?;
        plan.push(argument.clone());
    }
    let show = words(&["show", "-json", "-no-color", &format!("{up}{OURS}/plan.bin")]);
    lead(stack, state, Purpose::Read, &mut files, &mut secret_env)?;
    if !import.is_empty() {
        let path = stack.path.join(IMPORT).ok_or_else(|| refused(stack, "its path is not usable"))?;
        files.insert(path, blocks(&import).into_bytes());
    }
    // A file in our directory makes the directory.
    files.insert(ours("about")?, b"Made by BuildIt for this job.\n".to_vec());
    let program = tool.path.to_string_lossy().into_owned();
    let step = |name: &str, arguments: Vec<String>, stdout: Stdout, ok: &[i32]| Step {
        name: name.to_owned(),
        argv: std::iter::once(program.clone()).chain(arguments).collect(),
        dir: stack.path.clone(),
        stdout,
        ok: ok.to_vec(),
    };
    Ok(JobSpec {
        source,
        place: None,
        steps: vec![
            step("init", init(stack, &up), Stdout::Log, &[0]),
            step("plan", plan, Stdout::Log, &[0, 2]),
            step("show", show, Stdout::File(ours("plan.json")?), &[0]),
        ],
        env,
        secret_env,
        files,
        collect: collected(stack)?,
        timeout: Duration::from_secs(stack.plan.timeout_seconds),
        grace: GRACE,
        log_limit: LOG_LIMIT,
    })
}

/// An import block for each.
fn blocks(import: &[(String, String)]) -> String {
    let block = |(address, id): &(String, String)| format!("import {{\n  to = {address}\n  id = {}\n}}\n", literal(id));
    import.iter().map(block).collect()
}

/// A string of the tools' language that means exactly this text.
fn literal(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace("${", "$${").replace("%{", "%%{")
}

pub(super) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn refused(stack: &Stack, message: &str) -> IacError {
    IacError::Refused { message: format!("stack {}: {message}", stack.name) }
}

pub(super) fn ours(name: &str) -> Result<RelPath, IacError> {
    RelPath::parse(&format!("{OURS}/{name}")).map_err(|error| IacError::Refused { message: error.to_string() })
}

/// From the stack's directory to the job's root: `../../`, or nothing.
pub(super) fn up_from(path: &RelPath) -> String {
    if path.is_root() { String::new() } else { "../".repeat(path.as_str().split('/').count()) }
}

/// No `-lockfile=readonly`: what the lock file records is verified anyway, and a provider that it lacks is
/// recorded in the copy that we keep; the apply is then held to exactly that copy.
pub(super) fn init(stack: &Stack, up: &str) -> Vec<String> {
    let mut init = words(&["init", "-input=false", "-no-color"]);
    if let Some(StateChoice::Own { config }) = &stack.state {
        init.extend(config.iter().map(|file| format!("-backend-config={up}{file}")));
    }
    init
}

pub(super) type Plain = BTreeMap<String, serde_json::Value>;
pub(super) type Secrets = BTreeMap<String, SecretString>;

/// Plain variables for the file.
fn variables(stack: &Stack, secret_var: &Secrets) -> Result<Plain, IacError> {
    let mut plain = BTreeMap::new();
    for (name, value) in &stack.var {
        if secret_var.contains_key(name) {
            continue;
        }
        plain.insert(name.clone(), known(stack, "var", name, value)?.clone());
    }
    Ok(plain)
}

/// Secret variables and environment, all for the environment (`TF_VAR_…`).
pub(super) fn secrets(stack: &Stack, var: Secrets, mut env: Secrets) -> Result<Secrets, IacError> {
    for name in env.keys() {
        env::check(stack.name.as_str(), name)?;
    }
    env.extend(var.into_iter().map(|(name, value)| (format!("TF_VAR_{name}"), value)));
    Ok(env)
}

fn known<'a>(stack: &Stack, node: &str, name: &str, value: &'a Value) -> Result<&'a serde_json::Value, IacError> {
    match value {
        Value::Plain(value) => Ok(value),
        Value::Secret(secret) => {
            Err(refused(stack, &format!("{node} {name:?} needs the secret {secret}, which this run does not have")))
        }
        Value::AtStart(text) => {
            Err(refused(stack, &format!("{node} {name:?} needs {text:?}, which this version does not fill in")))
        }
    }
}

pub(super) fn environment(
    settings: &IacSettings,
    stack: &Stack,
    tool: &model::stack::ResolvedTool,
    secret: &Secrets,
) -> Result<BTreeMap<String, String>, IacError> {
    let mut all = BTreeMap::new();
    for (name, value) in stack.env.iter().filter(|(name, _)| !secret.contains_key(*name)) {
        env::check(stack.name.as_str(), name)?;
        let value = match known(stack, "env", name, value)? {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        all.insert(name.clone(), value);
    }
    for (name, value) in [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")] {
        all.insert(name.to_owned(), value.to_owned());
    }
    // By environment, not by `workspace select`: a plan must not create a workspace in the backend.
    if !stack.workspace.is_default() {
        all.insert("TF_WORKSPACE".to_owned(), stack.workspace.to_string());
    }
    if let Some(path) = &settings.cli_config {
        all.insert("TF_CLI_CONFIG_FILE".to_owned(), path.display().to_string());
    }
    let locks_cache = tool.tool == Tool::OpenTofu
        && Version::parse(&tool.version).is_some_and(|version| version.numbers >= [1, 10, 0]);
    if let Some(path) = settings.plugin_cache.as_ref().filter(|_| locks_cache) {
        all.insert("TF_PLUGIN_CACHE_DIR".to_owned(), path.display().to_string());
    }
    Ok(all)
}

fn check_argument(stack: &Stack, argument: &str) -> Result<(), IacError> {
    let single = format!("-{}", argument.trim_start_matches('-'));
    if !argument.starts_with('-') {
        return Err(refused(stack, &format!("the argument {argument:?} is not a flag; write it as -flag=value")));
    }
    if DENIED_ARGUMENTS.iter().any(|denied| single.starts_with(denied)) {
        return Err(refused(stack, &format!("the argument {argument:?} is not allowed; leave it out")));
    }
    Ok(())
}

fn collected(stack: &Stack) -> Result<BTreeMap<FileName, RelPath>, IacError> {
    let lock = stack.path.join(".terraform.lock.hcl").ok_or_else(|| refused(stack, "its path is not usable"))?;
    let files = [("plan.bin", ours("plan.bin")?), ("plan.json", ours("plan.json")?), ("lock.hcl", lock)];
    files
        .into_iter()
        .map(|(name, path)| Ok((FileName::parse(name).map_err(|error| refused(stack, &error.to_string()))?, path)))
        .collect()
}
