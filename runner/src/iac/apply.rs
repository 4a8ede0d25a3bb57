//! The job of an apply, and its stream of JSON lines.
//!
//! Must never apply anything but the plan file it was given: no variables, no flags of people, no retry.

use std::collections::BTreeMap;

use model::id::FileName;
use model::job::{JobSpec, Stdout, Step};
use model::plan::{APPLY_TIMEOUT, Action, AppliedItem};
use model::ports::{ApplyLine, ApplyRequest, IacError};
use serde::Deserialize;

use super::IacSettings;
use super::job::{GRACE, LOG_LIMIT, OURS, environment, init, ours, refused, secrets, up_from, words};
use super::state::{Purpose, lead};

pub(super) fn apply_job(settings: &IacSettings, request: ApplyRequest<'_>) -> Result<JobSpec, IacError> {
    let ApplyRequest { stack, tool, source, place, plan, lock, secret_var, secret_env, state } = request;
    let up = up_from(&stack.path);
    let within = |name: &str| stack.path.join(name).ok_or_else(|| refused(stack, "its path is not usable"));
    let mut files = BTreeMap::from([(ours("plan.bin")?, plan)]);
    let mut init = init(stack, &up);
    if let Some(lock) = lock {
        files.insert(within(".terraform.lock.hcl")?, lock);
        init.push("-lockfile=readonly".to_owned());
    }
    let mut apply = words(&["apply", "-input=false", "-no-color", "-json", "-lock-timeout=0s"]);
    apply.push(format!("{up}{OURS}/plan.bin"));
    let program = tool.path.to_string_lossy().into_owned();
    let step = |name: &str, arguments: Vec<String>| Step {
        name: name.to_owned(),
        argv: std::iter::once(program.clone()).chain(arguments).collect(),
        dir: stack.path.clone(),
        stdout: Stdout::Log,
        ok: vec![0],
    };
    let errored = FileName::parse("errored.tfstate").map_err(|error| refused(stack, &error.to_string()))?;
    let env = environment(settings, stack, tool, &secret_env)?;
    let mut secret_env = secrets(stack, secret_var, secret_env)?;
    lead(stack, state, Purpose::Write, &mut files, &mut secret_env)?;
    Ok(JobSpec {
        source,
        place: Some(place),
        steps: vec![step("init", init), step("apply", apply)],
        env,
        secret_env,
        files,
        collect: BTreeMap::from([(errored, within("errored.tfstate")?)]),
        timeout: APPLY_TIMEOUT,
        grace: GRACE,
        log_limit: LOG_LIMIT,
    })
}

/// The machine-readable UI of terraform and OpenTofu
/// (<https://developer.hashicorp.com/terraform/internals/machine-readable-ui>), as far as it is read.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "@message")]
    text: String,
    #[serde(rename = "type", default)]
    kind: String,
    hook: Option<Hook>,
    diagnostic: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Hook {
    resource: Resource,
    action: Option<String>,
    id_key: Option<String>,
    id_value: Option<String>,
}

#[derive(Deserialize)]
struct Resource {
    addr: String,
}

#[derive(Deserialize)]
struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    detail: String,
    range: Option<Range>,
}

#[derive(Deserialize)]
struct Range {
    filename: String,
    start: Position,
}

#[derive(Deserialize)]
struct Position {
    line: u32,
}

/// Reads a line; one that is no message (a provisioner's own output, a crash) stays as it is.
pub(super) fn line(line: &str) -> ApplyLine {
    let Ok(message) = serde_json::from_str::<Message>(line) else {
        return ApplyLine { text: line.to_owned(), done: None };
    };
    if let Some(diagnostic) = message.diagnostic {
        return ApplyLine { text: boxed(&diagnostic), done: None };
    }
    let done = message.hook.filter(|_| message.kind == "apply_complete").map(|hook| AppliedItem {
        address: hook.resource.addr,
        action: match hook.action.as_deref() {
            Some("create") => Action::Create,
            Some("update") => Action::Update,
            Some("delete") => Action::Delete,
            Some("read") => Action::Read,
            Some("noop") => Action::NoOp,
            _ => Action::Other,
        },
        id: hook.id_key.zip(hook.id_value),
    });
    ApplyLine { text: message.text, done }
}

/// As the tools draw it for people, so that failures are read as those of plans are.
fn boxed(it: &Diagnostic) -> String {
    let kind = if it.severity == "error" { "Error" } else { "Warning" };
    let mut lines = vec![format!("{kind}: {}", it.summary), String::new()];
    if let Some(range) = &it.range {
        lines.extend([format!("  on {} line {}:", range.filename, range.start.line), String::new()]);
    }
    lines.extend(it.detail.lines().map(str::to_owned));
    let body: Vec<String> = lines.iter().map(|line| format!("│ {line}").trim_end().to_owned()).collect();
    format!("╷\n{}\n╵", body.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_lines_for_people() {
        let done = line(
            r#"{"@level":"info","@message":"a.b: Creation complete after 0s [id=7]","type":"apply_complete","hook":{"resource":{"addr":"a.b"},"action":"create","id_key":"id","id_value":"7"}}"#,
        );
        assert_eq!(done.text, "a.b: Creation complete after 0s [id=7]");
        let item = done.done.expect("an item");
        assert_eq!((item.address.as_str(), item.action), ("a.b", Action::Create));
        assert_eq!(item.id, Some(("id".to_owned(), "7".to_owned())));
        let start = line(
            r#"{"@message":"a.b: Creating...","type":"apply_start","hook":{"resource":{"addr":"a.b"},"action":"create"}}"#,
        );
        assert_eq!((start.text.as_str(), start.done), ("a.b: Creating...", None));
        assert_eq!(line("plain {").text, "plain {");
    }

    #[test]
    fn errors_are_drawn_as_the_tools_draw_them() {
        let error = line(
            r#"{"@message":"Error: no","type":"diagnostic","diagnostic":{"severity":"error","summary":"no","detail":"why\nso","range":{"filename":"main.tf","start":{"line":3,"column":1,"byte":0},"end":{"line":3,"column":2,"byte":1}}}}"#,
        );
        insta::assert_snapshot!(error.text, @r"
        ╷
        │ Error: no
        │
        │   on main.tf line 3:
        │
        │ why
        │ so
        ╵
        ");
    }
}
