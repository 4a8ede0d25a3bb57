//! The scripted terraform: what a job prints and leaves follows from the files that it was given.
//!
//! `resource "terraform_data" "x"` with a literal `input` is what is wanted; a comment `# state: x=VALUE` is what
//! is there already. So a commit decides what its plan says, however often and by whichever server it is made.
//! What was applied is there too. Other comments decide how the job goes: `# town: waits`, `# town: stubborn`,
//! `# town: init fails`, `# town: apply waits`, `# town: apply hangs` (before its first change), `# town: apply fails`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use model::job::SourceTree;
use runner::exec::{Script, ScriptedJob};
use serde_json::{Value, json};

/// Made by terraform 1.11.4: one resource of each kind of change.
const RECORDED: &str = include_str!("recorded/terraform-1.11.4-one-of-each.json");
/// What its `init` says of an s3 backend without a key.
const INIT_FAILED: &str = include_str!("recorded/terraform-1.11.4-init-failed.txt");

/// A stack's `main.tf`: a backend, resources by name and input, and more lines.
pub(crate) fn main_tf(resources: &[(&str, &str)], more: &str) -> String {
    let mut text = "terraform {\n  backend \"local\" {}\n}\n".to_owned();
    for (name, input) in resources {
        text.push_str(&format!("resource \"terraform_data\" \"{name}\" {{\n  input = \"{input}\"\n}}\n"));
    }
    format!("{text}{more}")
}

/// Resources by name and input.
type Resources = BTreeMap<String, String>;

/// What was made by applies, by directory, and how often each directory was applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reality(Arc<Mutex<BTreeMap<String, (Resources, u32)>>>);

impl Reality {
    /// What there is in a directory: what was applied, or before that what its text says.
    fn of(&self, dir: &str, text: &str) -> Resources {
        let said = text.lines().filter_map(|line| line.strip_prefix("# state: ")?.split_once('='));
        let said = || said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.0.lock().expect("not poisoned").get(dir).map_or_else(said, |it| it.0.clone())
    }
    /// Somebody applied this.
    fn set(&self, dir: &str, all: Resources) {
        let mut known = self.0.lock().expect("not poisoned");
        let entry = known.entry(dir.to_owned()).or_default();
        *entry = (all, entry.1 + 1);
    }
    /// What a person finds in the cloud: each directory's resources and how often it was applied.
    pub(crate) fn told(&self) -> String {
        let known = self.0.lock().expect("not poisoned");
        let line = |(dir, (all, times)): (&String, &(Resources, u32))| format!("{dir}: {all:?}, applied {times} times");
        known.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

/// Plays one job.
pub(crate) fn play(reality: &Reality, job: &ScriptedJob) -> Script {
    let dir = job.steps.first().expect("a job has steps").dir.to_string();
    let text = text(&job.source, &dir);
    let told = |what: &str| text.contains(&format!("# town: {what}\n"));
    if job.steps.iter().any(|step| step.name == "apply") {
        return apply(reality, job, &dir, &told);
    }
    if told("init fails") {
        return Script::new().step("init", INIT_FAILED, 1);
    }
    let (wanted, there) = (pairs(&text), reality.of(&dir, &text));
    let document = document(&wanted, &there);
    let plan = json!({"wanted": wanted, "there": there}).to_string();
    let count = |action: &str| {
        let changes = document["resource_changes"].as_array().expect("a list").iter();
        changes.filter(|it| it["change"]["actions"] == json!([action])).count()
    };
    let (add, change, destroy) = (count("create"), count("update"), count("delete"));
    let (said, code) = if add + change + destroy == 0 {
        ("No changes. Your infrastructure matches the configuration.\n".to_owned(), 0)
    } else {
        (format!("Plan: {add} to add, {change} to change, {destroy} to destroy.\n"), 2)
    };
    let mut script = Script::new()
        .step("init", "Terraform has been successfully initialized!\n", 0)
        .step("plan", &said, code)
        .file("plan.bin", plan)
        .file("plan.json", document.to_string())
        .file("lock.hcl", "# a lock file\n");
    if told("waits") || told("stubborn") {
        script = script.waits();
    }
    if told("stubborn") {
        script = script.ignores_interrupt();
    }
    script
}

/// Applies exactly what the plan file holds.
fn apply(reality: &Reality, job: &ScriptedJob, dir: &str, told: &dyn Fn(&str) -> bool) -> Script {
    let plan = job.files.iter().find(|(path, _)| path.as_str().ends_with("plan.bin")).expect("an apply has a plan").1;
    let plan: Value = serde_json::from_slice(plan).expect("JSON");
    let resources = |side: &str| serde_json::from_value::<Resources>(plan[side].clone()).expect("resources");
    let (wanted, there) = (resources("wanted"), resources("there"));
    let script = Script::new().step("init", "Terraform has been successfully initialized!\n", 0);
    let now = reality.of(dir, "");
    if !now.is_empty() && now != there {
        let line = json!({"@message": "Error: Saved plan is stale", "type": "diagnostic",
            "diagnostic": {"severity": "error", "summary": "Saved plan is stale", "detail": "The given plan file can no longer be applied."}});
        return script.step("apply", &format!("{line}\n"), 1);
    }
    let mut changes: Vec<(&str, &String)> = Vec::new();
    changes.extend(wanted.iter().filter(|(name, _)| !there.contains_key(*name)).map(|(name, _)| ("create", name)));
    let differs = |(name, value): &(&String, &String)| there.get(*name).is_some_and(|old| old != *value);
    changes.extend(wanted.iter().filter(differs).map(|(name, _)| ("update", name)));
    changes.extend(there.keys().filter(|name| !wanted.contains_key(*name)).map(|name| ("delete", name)));
    if told("apply hangs") {
        return script.waits().exits_when_interrupted(1);
    }
    let fails = told("apply fails");
    let done = if fails { 1.min(changes.len()) } else { changes.len() };
    let mut after = there.clone();
    let mut said = String::new();
    for (action, name) in &changes[..done] {
        match wanted.get(*name) {
            Some(value) => after.insert((*name).clone(), value.clone()),
            None => after.remove(*name),
        };
        let address = format!("terraform_data.{name}");
        let line = json!({"@message": format!("{address}: {action} complete"), "type": "apply_complete",
            "hook": {"resource": {"addr": address}, "action": action, "id_key": "id", "id_value": format!("id-{name}")}});
        said.push_str(&format!("{line}\n"));
    }
    reality.set(dir, after);
    if fails {
        let line = json!({"@message": "Error: no quota", "type": "diagnostic",
            "diagnostic": {"severity": "error", "summary": "no quota", "detail": "Ask for more."}});
        return script.step("apply", &format!("{said}{line}\n"), 1);
    }
    let script = script.step("apply", &said, 0);
    if told("apply waits") { script.waits() } else { script }
}

/// A plan document: the recorded changes, once per resource.
fn document(wanted: &Resources, there: &Resources) -> Value {
    let mut recorded: Value = serde_json::from_str(RECORDED).expect("JSON");
    let templates = recorded["resource_changes"].clone();
    let mut changes = Vec::new();
    for (name, after) in wanted {
        changes.push(match there.get(name) {
            None => change(&templates, "create", name, None, Some(after)),
            Some(before) if before == after => change(&templates, "no-op", name, Some(before), Some(after)),
            Some(before) => change(&templates, "update", name, Some(before), Some(after)),
        });
    }
    for (name, before) in there.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        changes.push(change(&templates, "delete", name, Some(before), None));
    }
    recorded["resource_changes"] = Value::Array(changes);
    let resources = wanted.iter().map(|(name, input)| {
        json!({"address": format!("terraform_data.{name}"), "mode": "managed", "type": "terraform_data", "name": name,
            "provider_config_key": "terraform", "expressions": {"input": {"constant_value": input}}, "schema_version": 0})
    });
    recorded["configuration"]["root_module"]["resources"] = resources.collect();
    // The sections that nothing reads would tell of other resources.
    for section in ["planned_values", "prior_state"] {
        recorded.as_object_mut().expect("an object").remove(section);
    }
    recorded
}

fn change(templates: &Value, action: &str, name: &str, before: Option<&str>, after: Option<&str>) -> Value {
    let templates = templates.as_array().expect("a list");
    let template = templates.iter().find(|it| it["change"]["actions"][0] == json!(action));
    let mut change = template.expect("recorded").clone();
    change["name"] = json!(name);
    change["address"] = json!(format!("terraform_data.{name}"));
    for (side, value) in [("before", before), ("after", after)] {
        let sides = change["change"][side].as_object_mut().into_iter();
        for (_, leaf) in sides.flatten().filter(|(key, _)| matches!(key.as_str(), "input" | "output")) {
            *leaf = json!(value);
        }
    }
    change
}

/// Resources by name and input.
fn pairs(text: &str) -> Resources {
    let quoted = |line: &str, at: usize| line.split('"').nth(at).unwrap_or_default().to_owned();
    let mut found = Resources::new();
    let mut name = None;
    for line in text.lines() {
        if line.starts_with("resource \"terraform_data\"") {
            name = Some(quoted(line, 3));
        } else if line.trim_start().starts_with("input")
            && let Some(name) = name.take()
        {
            found.insert(name, quoted(line, 1));
        }
    }
    found
}

/// What a directory of the job's source says: `main_override.tf` wins over `main.tf`, as with terraform.
fn text(source: &SourceTree, dir: &str) -> String {
    let SourceTree::Tar(bytes) = source else { panic!("a plan without source") };
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut seen = BTreeMap::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut text).expect("bytes");
        seen.insert(name, String::from_utf8_lossy(&text).into_owned());
    }
    let main = seen.get(&format!("{dir}/main.tf"));
    let main = main.unwrap_or_else(|| panic!("{dir}/main.tf is not in the job's source: {:?}", seen.keys()));
    format!("{main}{}", seen.get(&format!("{dir}/main_override.tf")).map_or("", |text| text.as_str()))
}

#[test]
fn what_it_makes_is_read_as_the_text_says() {
    use model::ports::IacEngine as _;
    let text = main_tf(
        &[("new", "a"), ("same", "b"), ("other", "c")],
        "# state: same=b\n# state: other=before\n# state: gone=d\n",
    );
    let iac = runner::iac::Iac::new(runner::iac::IacSettings::default());
    let read = iac
        .read_plan(
            document(&pairs(&text), &Reality::default().of("x", &text)).to_string().as_bytes(),
            &"a key".to_owned().into(),
            &[],
        )
        .expect("a plan");
    let counts = (read.counts.add, read.counts.change, read.counts.destroy, read.counts.replace);
    assert_eq!(counts, (1, 1, 1, 0), "{read:?}");
    let changed: Vec<&str> = read.changes.iter().map(|it| it.address.as_str()).collect();
    assert_eq!(changed, ["terraform_data.gone", "terraform_data.other", "terraform_data.new"]);
}
