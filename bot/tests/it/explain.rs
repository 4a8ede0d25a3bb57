//! `buildit explain` on a real clone, as a person runs it.

use std::path::Path;

use bot::cli::explain::{ExplainArgs, Format, run};

/// The repository that all cases start from: two stacks, one module, one file that code reads.
const FILES: [(&str, &str); 6] = [
    (".buildit/stacks.kdl", "discover { root \"infra/**\" }\nstack network {\n    path \"infra/network\"\n}\n"),
    (
        "infra/network/main.tf",
        "terraform {\n  backend \"local\" {}\n}\nmodule \"vpc\" {\n  source = \"../../modules/vpc\"\n}\n",
    ),
    (
        "infra/cache/main.tf",
        "provider \"null\" {}\nlocals {\n  rules = file(\"${path.module}/../../conf/rules.json\")\n}\n",
    ),
    ("modules/vpc/main.tf", "variable \"cidr\" {}\n"),
    ("conf/rules.json", "{}\n"),
    ("README.md", "# shop\n"),
];

#[expect(clippy::disallowed_methods, reason = "git makes the clone that the test explains")]
pub(crate) fn git(dir: &Path, args: &[&str]) {
    let who = ["-c", "user.name=ana", "-c", "user.email=ana@example.com"];
    let done = std::process::Command::new("git").arg("-C").arg(dir).args(who).args(args).output().expect("git runs");
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

/// What `explain` says when `files` change on a branch.
fn explain(files: &[(&str, &str)], stack: Option<&str>, format: Format) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    git(dir.path(), &["init", "--quiet", "--initial-branch=main"]);
    write(dir.path(), &FILES);
    git(dir.path(), &["add", "--all"]);
    git(dir.path(), &["commit", "--quiet", "--message=base"]);
    git(dir.path(), &["checkout", "--quiet", "-b", "change"]);
    write(dir.path(), files);
    git(dir.path(), &["add", "--all"]);
    git(dir.path(), &["commit", "--quiet", "--message=change"]);
    let args = ExplainArgs {
        stack: stack.map(str::to_owned),
        base: "main".to_owned(),
        head: "change".to_owned(),
        directory: dir.path().to_owned(),
        format,
    };
    let mut out = Vec::new();
    match run(&args, &mut out) {
        Ok(_) => String::from_utf8(out).expect("text"),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn a_module_affects_who_uses_it_and_names_the_line() {
    insta::assert_snapshot!(explain(&[("modules/vpc/main.tf", "variable \"range\" {}\n")], None, Format::Human), @"
    affected  network  (infra/network)
        modules/vpc/main.tf                              module ../../modules/vpc   infra/network/main.tf:5
    1 of 2 stacks affected, 0 removed, by 1 changed file
    ");
}

#[test]
fn a_file_that_code_reads_affects_its_reader() {
    let json = explain(&[("conf/rules.json", "[]\n")], None, Format::Json);
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["affected"][0]["stack"], "infra/cache", "{json}");
    assert_eq!(value["affected"][0]["why"][0]["at"], "infra/cache/main.tf:3");
    assert_eq!(value["affected"].as_array().map(Vec::len), Some(1));
    assert_eq!(value["removed"], serde_json::json!([]));
}

#[test]
fn prose_affects_nobody_and_a_stack_can_be_asked_for() {
    let prose = [("infra/network/README.md", "words\n")];
    insta::assert_snapshot!(explain(&prose, None, Format::Human), @"0 of 2 stacks affected, 0 removed, by 1 changed file");
    insta::assert_snapshot!(explain(&prose, Some("network"), Format::Human), @"
    network is not affected: 1 changed file and none belongs to it, to a module
    or file that it reads, or matches its `watch`.
    ");
    insta::assert_snapshot!(explain(&prose, Some("netwrk"), Format::Human), @"
    error: no stack is named netwrk
      do: one of infra/cache, network
    ");
}

#[test]
fn a_setting_in_the_configuration_is_a_reason() {
    let changed = "discover { root \"infra/**\" }\nstack network {\n    path \"infra/network\"\n    var { cidr \"10.0.0.0/8\" }\n}\n";
    let text = explain(&[(".buildit/stacks.kdl", changed)], None, Format::Human);
    assert!(text.starts_with("affected  network") && text.contains("1 of 2 stacks affected"), "{text}");
}
