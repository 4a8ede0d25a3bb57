//! One stack from its layers: the nearest scalar wins, maps merge by key, lists grow.

use std::collections::BTreeMap;

use super::family::Bindings;
use super::read::{Body, Raw, Setting, What, fill, open_braces};
use super::resolve::Explained;
use crate::access::Access;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::id::{RelPath, SecretName, StackName, Workspace};
use crate::requirement::{Requirement, Requirements};
use crate::stack::{
    AfterUpstream, ApplyMode, ApplyOptions, Automerge, Dependency, InputBinding, Lock, LockMode, MergeMethod, NotYet,
    Origin, PlanSettings, Stack, StateChoice, Tool, ToolChoice, Value, Watch, WatchPattern,
};

/// A stack while layers are applied.
pub(super) struct Building<'a> {
    pub(super) stack: Stack,
    pub(super) bindings: &'a Bindings,
    /// The last layer that set each key.
    pub(super) explained: BTreeMap<String, Explained>,
    /// What layers ask for, with its place and whether it is enforced.
    pub(super) required: Vec<(Requirement, Span, bool)>,
    /// Is the layer an `enforce`?
    pub(super) enforcing: bool,
}

impl<'a> Building<'a> {
    pub(super) fn new(name: StackName, path: RelPath, origin: Origin, bindings: &'a Bindings) -> Self {
        let stack = Stack {
            name,
            path,
            workspace: Workspace::default_workspace(),
            origin,
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
            apply_options: ApplyOptions::default(),
            lock: Lock::default(),
            require: Requirements::default(),
            access: Access::default(),
            state: None,
            not_yet: Vec::new(),
        };
        Self { stack, bindings, explained: BTreeMap::new(), required: Vec::new(), enforcing: false }
    }

    /// Applies one layer.
    pub(super) fn apply(&mut self, body: &Body, found: &mut Diagnostics) {
        for setting in &body.settings {
            self.set(setting, found);
        }
    }

    /// Fills captures in; braces that stay open are a finding.
    pub(super) fn text(&self, text: &str, at: &Span, found: &mut Diagnostics) -> String {
        let filled = fill(text, self.bindings);
        for name in open_braces(&filled) {
            let known: Vec<&str> = self.bindings.keys().map(String::as_str).collect();
            let help = if known.is_empty() {
                "this stack has no captures or axes".to_owned()
            } else {
                format!("known here: {}", known.join(", "))
            };
            found.push(Diagnostic::error("unknown-brace", format!("unknown `{{{name}}}`")).help(help).at(at.clone()));
        }
        filled
    }

    fn explain(&mut self, key: impl Into<String>, value: impl Into<String>, at: &Span) {
        let key = key.into();
        self.explained.insert(key.clone(), Explained { key, value: value.into(), at: Some(at.clone()) });
    }

    fn relative(&self, text: &str, at: &Span, found: &mut Diagnostics) -> Option<RelPath> {
        let path = self.stack.path.join(text);
        if path.is_none() {
            let summary = format!("`{text}` leaves the repository");
            let help = format!("paths here start at `{}`", self.stack.path);
            found.push(Diagnostic::error("path-leaves", summary).help(help).at(at.clone()));
        }
        path
    }

    fn set(&mut self, setting: &Setting, found: &mut Diagnostics) {
        let at = &setting.at;
        match &setting.what {
            What::Path(_) => self.explain("path", self.stack.path.as_str().to_owned(), at),
            What::Workspace(text) => self.workspace(text, at, found),
            What::Tool { name, version } => self.tool(name, version.as_deref(), at, found),
            What::ApplyOn(on) => {
                // `validate` refused everything else.
                self.stack.apply = ApplyMode::parse(on).unwrap_or(ApplyMode::Never);
                self.explain("apply on", on.clone(), at);
            }
            What::AfterUpstream(then) => {
                let apply = then == AfterUpstream::Apply.name();
                let options = &mut self.stack.apply_options;
                options.after_upstream = if apply { AfterUpstream::Apply } else { AfterUpstream::Ask };
                self.explain("apply after-upstream", then.clone(), at);
            }
            What::ApplyTimeout(seconds) => {
                self.stack.apply_options.timeout_seconds = *seconds;
                self.explain("apply timeout", format!("{seconds} s"), at);
            }
            What::Automerge(method) => {
                let read = method.as_deref().and_then(MergeMethod::parse);
                self.stack.apply_options.automerge = Some(Automerge { method: read });
                self.explain("apply automerge", method.clone().unwrap_or_default(), at);
            }
            What::Lock { mode, per_base_branch } => {
                let mode = LockMode::parse(mode).unwrap_or(LockMode::Strict);
                self.stack.lock = Lock { mode, per_base_branch: *per_base_branch };
                self.explain("lock", self.stack.lock.to_string(), at);
            }
            What::Require(asked) => self.require(asked, at, found),
            What::PlanAuto(on) => self.plan("auto", on.to_string(), at, |plan| plan.auto = *on),
            What::PlanDrafts(on) => self.plan("drafts", on.to_string(), at, |plan| plan.drafts = *on),
            What::PlanRestrict(on) => self.plan("restrict", on.to_string(), at, |plan| plan.restrict = *on),
            What::PlanTtl(seconds) => self.plan("ttl", format!("{seconds} s"), at, |plan| plan.ttl_seconds = *seconds),
            What::PlanTimeout(seconds) => {
                self.plan("timeout", format!("{seconds} s"), at, |plan| plan.timeout_seconds = *seconds);
            }
            What::Var(key, raw) => self.value("var", key, raw, at, found),
            What::Env(key, raw) => self.value("env", key, raw, at, found),
            What::VarFile(text) => {
                let text = self.text(text, at, found);
                if let Some(path) = self.relative(&text, at, found) {
                    self.explain(format!("var-file {text}"), path.as_str(), at);
                    self.stack.var_files.push(path);
                }
            }
            What::Watch { pattern, only } => self.watch(pattern, *only, at, found),
            What::Tag(tag) => {
                let tag = self.text(tag, at, found);
                self.explain(format!("tag {tag}"), "", at);
                self.stack.tags.insert(tag);
            }
            What::DependsOn { stack, only_if_changed } => self.depends(stack, *only_if_changed, None, at, found),
            What::Input { variable, from, sensitive, only_if_changed } => {
                self.input(variable, from, *sensitive, *only_if_changed, at, found);
            }
            What::State { own, config } => self.state(*own, config, at, found),
            What::NotYet(what) => {
                self.explain(what.clone(), "", at);
                self.stack.not_yet.push(NotYet { what: what.clone(), at: Some(at.clone()) });
            }
            What::Other { key, value } => self.explain(key.clone(), value.clone(), at),
        }
    }

    fn plan(&mut self, key: &str, shown: String, at: &Span, set: impl FnOnce(&mut PlanSettings)) {
        set(&mut self.stack.plan);
        self.explain(format!("plan {key}"), shown, at);
    }

    fn workspace(&mut self, text: &str, at: &Span, found: &mut Diagnostics) {
        let text = self.text(text, at, found);
        match Workspace::parse(&text) {
            Ok(workspace) => self.stack.workspace = workspace,
            Err(error) => found.push(Diagnostic::error("workspace", error.to_string()).at(at.clone())),
        }
        self.explain("workspace", text, at);
    }

    fn tool(&mut self, name: &str, version: Option<&str>, at: &Span, found: &mut Diagnostics) {
        let tool = match name {
            "opentofu" | "tofu" => Tool::OpenTofu,
            "terraform" => Tool::Terraform,
            other => {
                let summary = format!("unknown tool `{other}`");
                found.push(
                    Diagnostic::error("unknown-tool", summary)
                        .help("write opentofu, terraform or terragrunt")
                        .at(at.clone()),
                );
                return;
            }
        };
        self.explain("tool", format!("{} {}", tool.name(), version.unwrap_or("any version")), at);
        self.stack.tool = Some(ToolChoice { tool, version: version.map(str::to_owned) });
    }

    fn value(&mut self, kind: &str, key: &str, raw: &Raw, at: &Span, found: &mut Diagnostics) {
        let key = self.text(key, at, found);
        let value = match raw {
            Raw::Secret(name) => {
                if let Err(error) = SecretName::parse(name) {
                    found.push(Diagnostic::error("secret-name", error.to_string()).at(at.clone()));
                }
                Value::Secret(name.clone())
            }
            Raw::Json(json) => {
                let json = self.filled(json, at, found);
                match json.as_str() {
                    Some(text) if text.contains("${") => {
                        let what = format!("`{text}`, a value that is known when the run starts");
                        self.stack.not_yet.push(NotYet { what, at: Some(at.clone()) });
                        Value::AtStart(text.to_owned())
                    }
                    _ => Value::Plain(json),
                }
            }
        };
        let shown = match &value {
            Value::Secret(name) => format!("secret {name}"),
            Value::AtStart(text) => text.clone(),
            Value::Plain(json) => json.to_string(),
        };
        self.explain(format!("{kind} {key}"), shown, at);
        let map = if kind == "var" { &mut self.stack.var } else { &mut self.stack.env };
        map.insert(key, value);
    }

    fn filled(&self, json: &serde_json::Value, at: &Span, found: &mut Diagnostics) -> serde_json::Value {
        match json {
            serde_json::Value::String(text) => self.text(text, at, found).into(),
            serde_json::Value::Array(items) => items.iter().map(|item| self.filled(item, at, found)).collect(),
            serde_json::Value::Object(map) => {
                map.iter().map(|(key, value)| (key.clone(), self.filled(value, at, found))).collect()
            }
            other => other.clone(),
        }
    }

    fn watch(&mut self, pattern: &str, only: bool, at: &Span, found: &mut Diagnostics) {
        let text = self.text(pattern, at, found);
        let negated = text.starts_with('!');
        let Some(glob) = self.relative(text.trim_start_matches('!'), at, found) else { return };
        self.explain(format!("watch {text}"), glob.as_str(), at);
        self.stack.watch.only |= only;
        self.stack.watch.patterns.push(WatchPattern { glob: glob.as_str().to_owned(), negated, at: Some(at.clone()) });
    }

    fn depends(
        &mut self,
        stack: &str,
        only_if_changed: bool,
        input: Option<InputBinding>,
        at: &Span,
        found: &mut Diagnostics,
    ) {
        let text = self.text(stack, at, found);
        match StackName::parse(&text) {
            Ok(stack) => {
                self.explain(format!("depends-on {stack}"), "", at);
                self.stack.depends_on.push(Dependency { stack, only_if_changed, input, at: Some(at.clone()) });
            }
            Err(error) => found.push(Diagnostic::error("stack-name", error.to_string()).at(at.clone())),
        }
    }

    fn input(
        &mut self,
        variable: &str,
        from: &str,
        sensitive: bool,
        only_if_changed: bool,
        at: &Span,
        found: &mut Diagnostics,
    ) {
        let from = self.text(from, at, found);
        let Some((stack, output)) = from.rsplit_once('.') else {
            let summary = format!("`{from}` is not STACK.OUTPUT");
            found.push(Diagnostic::error("input-from", summary).help("write from=\"network.vpc_id\"").at(at.clone()));
            return;
        };
        let binding = InputBinding { variable: variable.to_owned(), output: output.to_owned(), sensitive };
        self.depends(stack, only_if_changed, Some(binding), at, found);
    }

    fn state(&mut self, own: bool, config: &[String], at: &Span, found: &mut Diagnostics) {
        self.explain("state", if own { "own" } else { "buildit" }, at);
        if !own {
            self.stack.state = Some(StateChoice::Buildit);
            return;
        }
        let texts: Vec<String> = config.iter().map(|text| self.text(text, at, found)).collect();
        let config = texts.iter().filter_map(|text| self.relative(text, at, found)).collect();
        self.stack.state = Some(StateChoice::Own { config });
    }
}
