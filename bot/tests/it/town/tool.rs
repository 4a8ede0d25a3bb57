//! The scripted terraform: what a job prints and leaves follows from the files that it was given.
//!
//! `resource "terraform_data" "x"` with a literal `input` is what is wanted; a comment `# state: x=VALUE` is what
//! is there already. So a commit decides what its plan says, however often and by whichever server it is made.
//! Other comments decide how the job goes: `# town: waits`, `# town: stubborn`, `# town: init fails`.

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

/// Plays one job.
pub(crate) fn play(job: &ScriptedJob) -> Script {
    let dir = job.steps.first().expect("a plan has steps").dir.to_string();
    let text = file(&job.source, &format!("{dir}/main.tf"));
    let told = |what: &str| text.contains(&format!("# town: {what}\n"));
    if told("init fails") {
        return Script::new().step("init", INIT_FAILED, 1);
    }
    let document = document(&text);
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
        .file("plan.bin", "a plan file")
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

/// A plan document: the recorded changes, once per resource of the text.
fn document(text: &str) -> Value {
    let wanted = pairs(text);
    let there: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# state: ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let find = |all: &[(String, String)], name: &str| all.iter().find(|it| it.0 == name).map(|it| it.1.clone());
    let mut recorded: Value = serde_json::from_str(RECORDED).expect("JSON");
    let templates = recorded["resource_changes"].clone();
    let mut changes = Vec::new();
    for (name, after) in &wanted {
        changes.push(match find(&there, name) {
            None => change(&templates, "create", name, None, Some(after)),
            Some(before) if before == *after => change(&templates, "no-op", name, Some(&before), Some(after)),
            Some(before) => change(&templates, "update", name, Some(&before), Some(after)),
        });
    }
    for (name, before) in there.iter().filter(|(name, _)| find(&wanted, name).is_none()) {
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
fn pairs(text: &str) -> Vec<(String, String)> {
    let quoted = |line: &str, at: usize| line.split('"').nth(at).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    let mut name = None;
    for line in text.lines() {
        if line.starts_with("resource \"terraform_data\"") {
            name = Some(quoted(line, 3));
        } else if line.trim_start().starts_with("input")
            && let Some(name) = name.take()
        {
            found.push((name, quoted(line, 1)));
        }
    }
    found
}

/// The text of a file of the job's source; a job without it is a defect of what made it.
fn file(source: &SourceTree, path: &str) -> String {
    let SourceTree::Tar(bytes) = source else { panic!("a plan without source") };
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut seen = Vec::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").display().to_string();
        if name == path {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).expect("text");
            return text;
        }
        seen.push(name);
    }
    panic!("{path} is not in the job's source: {seen:?}")
}

#[test]
fn what_it_makes_is_read_as_the_text_says() {
    use model::ports::IacEngine as _;
    let text = main_tf(
        &[("new", "a"), ("same", "b"), ("other", "c")],
        "# state: same=b\n# state: other=before\n# state: gone=d\n",
    );
    let iac = runner::iac::Iac::new(runner::iac::IacSettings::default());
    let read = iac.read_plan(document(&text).to_string().as_bytes(), &"a key".to_owned().into()).expect("a plan");
    let counts = (read.counts.add, read.counts.change, read.counts.destroy, read.counts.replace);
    assert_eq!(counts, (1, 1, 1, 0), "{read:?}");
    let changed: Vec<&str> = read.changes.iter().map(|it| it.address.as_str()).collect();
    assert_eq!(changed, ["terraform_data.gone", "terraform_data.other", "terraform_data.new"]);
}
