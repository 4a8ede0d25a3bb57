//! `buildit preview` and `buildit demo` as a person runs them: the built program, real git, a real tool.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::explain::git;

const BOUND: Duration = Duration::from_secs(60);
/// Two stacks and a module of one; the tool needs no provider for them.
const FILES: [(&str, &str); 4] = [
    (".buildit/stacks.kdl", "stack \"{name}\" {\n    path \"infra/{name}\"\n}\n"),
    (
        "infra/network/main.tf",
        "module \"subnet\" {\n  source = \"../../modules/subnet\"\n  cidr   = \"10.0.1.0/24\"\n}\n",
    ),
    ("infra/dns/main.tf", "resource \"terraform_data\" \"zone\" {\n  input = \"shop.example\"\n}\n"),
    (
        "modules/subnet/main.tf",
        "variable \"cidr\" {}\nresource \"terraform_data\" \"subnet\" {\n  input = var.cidr\n}\n",
    ),
];

/// A program that calls itself terraform and, for all but `version`, runs `script`.
fn fake_tool(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("terraform");
    let text = format!("#!/bin/sh\nif [ \"$1\" = version ]; then echo 'Terraform v1.11.4'; exit 0; fi\n{script}\n");
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// terraform or tofu of this machine; says loudly when there is none.
fn real_tool() -> Option<PathBuf> {
    let tofu = std::env::var_os("BUILDIT_TOFU").map(PathBuf::from).filter(|path| path.is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = tofu.or_else(|| {
        let places = std::env::split_paths(&path).flat_map(|dir| [dir.join("terraform"), dir.join("tofu")]);
        places.into_iter().find(|path| path.is_file())
    });
    if found.is_none() {
        let required = std::env::var("BUILDIT_REQUIRE").unwrap_or_default();
        assert!(!required.contains("tofu"), "a tool is required (BUILDIT_REQUIRE) and not there");
        eprintln!("SKIPPED: neither terraform nor tofu is on this machine; run dev/setup");
    }
    found
}

struct Scene {
    /// The clone, on the branch `change`.
    clone: tempfile::TempDir,
    /// What the program takes for the machine's temporary directory.
    temporary: tempfile::TempDir,
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

fn scene(change: &[(&str, &str)]) -> Scene {
    let clone = tempfile::tempdir().expect("a folder");
    let dir = clone.path();
    git(dir, &["init", "--quiet", "--initial-branch=main"]);
    write(dir, &FILES);
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message=base"]);
    git(dir, &["checkout", "--quiet", "-b", "change"]);
    write(dir, change);
    git(dir, &["add", "--all"]);
    git(dir, &["commit", "--quiet", "--message=change"]);
    Scene { clone, temporary: tempfile::tempdir().expect("a folder") }
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "the program under test")]
    fn command(&self, tool: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildit"));
        command.arg("preview").arg("--repo").arg(self.clone.path()).arg("--tool").arg(tool).args(args);
        command.env("TMPDIR", self.temporary.path()).env_remove("TF_CLI_CONFIG_FILE").stdin(Stdio::null());
        command
    }

    fn run(&self, tool: &Path, args: &[&str]) -> Output {
        let output = self.command(tool, args).output().expect("it runs");
        assert_eq!(self.left(), Vec::<PathBuf>::new(), "nothing is left behind");
        output
    }

    fn json(&self, tool: &Path, args: &[&str]) -> (Value, Output) {
        let output = self.run(tool, &[&["--format", "json"], args].concat());
        let value = serde_json::from_slice(&output.stdout);
        (value.unwrap_or_else(|_| panic!("JSON, not {output:?}")), output)
    }

    fn left(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.temporary.path()).expect("there").map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn results(report: &Value) -> String {
    let stacks = report["stacks"].as_array().cloned().unwrap_or_default();
    let one = |it: &Value| format!("{} {}", it["name"].as_str().unwrap_or("?"), it["result"].as_str().unwrap_or("?"));
    stacks.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_change_of_a_module_plans_its_user_and_is_no_finding() {
    let Some(tool) = real_tool() else { return };
    let owned = "variable \"cidr\" {}\nresource \"terraform_data\" \"subnet\" {\n  input = [var.cidr, \"ana\"]\n}\n";
    let scene = scene(&[("modules/subnet/main.tf", owned)]);
    std::fs::write(scene.clone.path().join("note.txt"), "not committed").expect("written");
    let (report, output) = scene.json(&tool, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(results(&report), "network changes");
    assert_eq!((&report["good"], &report["counts"]["add"]), (&Value::Bool(true), &Value::from(1)));
    let change = &report["stacks"][0]["plan"]["changes"][0];
    assert_eq!(change["address"], "module.subnet.terraform_data.subnet");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("change (") && told.contains(") into main ("), "{told}");
    assert!(told.contains("note: 1 file is not committed, and so not planned\n"), "{told}");
    assert!(told.contains("network: planned in ") && !told.contains('\u{1b}'), "{told}");

    let comment = String::from_utf8(scene.run(&tool, &["--format", "markdown"]).stdout).expect("text");
    assert!(comment.starts_with("<!-- buildit:summary:v1 -->\n### `network`: 1 to add"), "{comment}");
    assert!(comment.contains("+ module.subnet.terraform_data.subnet"), "{comment}");

    let (report, _) = scene.json(&tool, &["-p", "dns"]);
    assert_eq!(results(&report), "dns changes", "what is asked for is planned instead");
    let terminal = String::from_utf8(scene.run(&tool, &["-p", "dns", "-p", "network"]).stdout).expect("text");
    assert!(terminal.starts_with("2 stacks change: 2 to add, nothing destroyed\n"), "{terminal}");
}

#[test]
fn what_fails_is_a_finding() {
    let Some(tool) = real_tool() else { return };
    let scene = scene(&[("infra/dns/main.tf", "resource \"terraform_data\" \"zone\" {\n  input = local.nme\n}\n")]);
    let (report, output) = scene.json(&tool, &[]);
    assert_eq!((output.status.code(), results(&report).as_str()), (Some(1), "dns failed"));
    let failure = &report["stacks"][0]["failure"];
    assert_eq!((&failure["file"], &failure["line"]), (&Value::from("infra/dns/main.tf"), &Value::from(2)));
}

#[test]
fn a_wrong_configuration_is_a_finding_and_runs_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let tool = fake_tool(dir.path(), &format!("touch {}/ran", dir.path().display()));
    let scene = scene(&[(".buildit/stacks.kdl", "stack \"infra/dns\" {\n    aply on=merge\n}\n")]);
    let (report, output) = scene.json(&tool, &[]);
    assert_eq!((output.status.code(), &report["result"]), (Some(1), &Value::from("config-errors")));
    assert_eq!(report["errors"][0]["span"]["line"], 2);
    assert!(!dir.path().join("ran").exists(), "no tool ran");
}

#[test]
fn wrong_use_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let tool = fake_tool(dir.path(), "exit 1");
    let scene = scene(&[("infra/dns/main.tf", "")]);
    let error = |args: &[&str]| {
        let output = scene.run(&tool, args);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &[][..]), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(error(&["-p", "dsn"]), "error: no stack is named dsn\n  do: one of dns, network\n");
    let same = error(&["--head", "main"]);
    assert!(same.contains("main and main are the same commit") && same.contains("do: "), "{same}");
    assert!(error(&["--base", "nope"]).contains("do: --base REF"));
    let other = scene.run(Path::new("/bin/ls"), &[]);
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(other.status.code() == Some(2) && told.contains("/bin/ls is neither terraform nor tofu"), "{told}");
    git(scene.clone.path(), &["rm", "-rq", "--cached", ".buildit"]);
    git(scene.clone.path(), &["commit", "--quiet", "--message=without"]);
    git(scene.clone.path(), &["checkout", "--quiet", "--orphan", "bare"]);
    git(scene.clone.path(), &["commit", "--quiet", "--message=other"]);
    let unconfigured = error(&["--base", "bare", "--head", "bare~0"]);
    assert!(unconfigured.contains("same commit"), "{unconfigured}");
    std::fs::write(scene.clone.path().join("file"), "").expect("written");
    git(scene.clone.path(), &["add", "file"]);
    git(scene.clone.path(), &["commit", "--quiet", "--message=more"]);
    let unconfigured = error(&["--base", "bare~1"]);
    assert!(unconfigured.contains("no .buildit/ in bare~1 or bare, only in the working tree"), "{unconfigured}");
    assert!(unconfigured.contains("do: git add .buildit"), "{unconfigured}");
}

#[test]
fn a_shallow_clone_is_told_how_to_get_deeper() {
    let dir = tempfile::tempdir().expect("a folder");
    let tool = fake_tool(dir.path(), "exit 1");
    let deep = scene(&[("infra/dns/main.tf", "")]);
    git(deep.clone.path(), &["checkout", "--quiet", "main"]);
    git(deep.clone.path(), &["commit", "--quiet", "--allow-empty", "--message=later"]);
    let shallow = scene(&[("file", "")]);
    let from = format!("file://{}", deep.clone.path().display());
    git(shallow.clone.path(), &["fetch", "--quiet", "--depth=1", &from, "main:theirs", "change:ours"]);
    let output = shallow.run(&tool, &["--base", "theirs", "--head", "ours"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.starts_with("error: this clone lacks what it takes to merge ours into theirs\n"), "{told}");
    assert!(told.contains("do: git fetch --unshallow"), "{told}");
}

#[test]
fn ctrl_c_ends_the_jobs_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = dir.path().join("pid");
    let tool = fake_tool(dir.path(), &format!("echo $$ > {0}.new && mv {0}.new {0}; exec sleep 600", place.display()));
    let scene = scene(&[("infra/dns/main.tf", "")]);
    let mut child = scene.command(&tool, &[]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    until("the job runs", || place.exists());
    let job = std::fs::read_to_string(&place).expect("the job's process id");
    interrupt(&child);
    let mut code = None;
    until("it ends", || {
        code = child.try_wait().expect("a child").map(|status| status.code());
        code.is_some()
    });
    assert_eq!(code, Some(Some(130)));
    until("the job is gone", || !Path::new("/proc").join(job.trim()).exists());
    assert_eq!(scene.left(), Vec::<PathBuf>::new());
}

#[test]
fn a_demo_whose_plans_fail_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let tool = fake_tool(dir.path(), "echo 'Error: no such thing' >&2; exit 1");
    let temporary = tempfile::tempdir().expect("a folder");
    let output = demo(temporary.path()).arg("--tool").arg(&tool).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("missing: 1: two stacks change\n") && told.contains("missing: 2: network is"), "{told}");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("there").count(), 0, "nothing is left");
}

#[test]
fn the_demo_happens_and_can_be_kept() {
    let Some(tool) = real_tool() else { return };
    let temporary = tempfile::tempdir().expect("a folder");
    let output = demo(temporary.path()).arg("--keep").arg("--tool").arg(&tool).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let kept = told.lines().find_map(|line| line.strip_prefix("kept: ")).expect("it says where");
    assert!(Path::new(kept).starts_with(temporary.path()) && Path::new(kept).join("buildit.db").is_file(), "{told}");
}

#[expect(clippy::disallowed_methods, reason = "the program under test")]
fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildit"));
    command.args(["demo", "--once", "--port", "18080"]);
    command.env("TMPDIR", temporary).env_remove("TF_CLI_CONFIG_FILE").stdin(Stdio::null());
    command
}

#[expect(clippy::disallowed_methods, reason = "the signal of a terminal, sent by hand")]
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// Looks until it is so.
#[expect(clippy::disallowed_methods, reason = "a bounded wait for another process")]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
