//! Where configuration leads, one kind of edge at a time.

use insta::assert_snapshot;

use super::scene::{BACKEND, Files, Scene, said};

/// One declared stack, `a`, whose file `main.tf` holds this after its marker.
fn stack(text: &str) -> Files {
    Files::default().with(".buildit/stacks.kdl", "discover\n").with("a/main.tf", &format!("{BACKEND}{text}"))
}

/// What adding or changing `path` says.
async fn touched(files: &Files, path: &str) -> String {
    said(&Scene::new().change(files, &files.clone().with(path, "# touched\n")).await)
}

#[tokio::test]
async fn interpolations_and_filesets_match_one_component() {
    let files = stack("locals {\n  a = file(\"${path.module}/../conf/${var.env}.yaml\")\n}\n");
    assert_snapshot!(touched(&files, "conf/prod.yaml").await, @"a: conf/prod.yaml (reads ../conf/*.yaml at a/main.tf:5)");
    assert_eq!(touched(&files, "conf/deep/prod.yaml").await, "");
    assert_eq!(touched(&files, "conf/prod.json").await, "");
    let files = stack("locals {\n  a = fileset(\"../conf\", \"**/*.json\")\n}\n");
    assert_snapshot!(touched(&files, "conf/deep/prod.json").await, @"a: conf/deep/prod.json (reads ../conf/**/*.json at a/main.tf:5)");
    assert_eq!(touched(&files, "other/prod.json").await, "");
}

#[tokio::test]
async fn a_named_markdown_file_counts() {
    let files = stack("locals {\n  a = file(\"../docs/notes.md\")\n}\n");
    assert_snapshot!(touched(&files, "docs/notes.md").await, @"a: docs/notes.md (reads ../docs/notes.md at a/main.tf:5)");
    assert_eq!(touched(&files, "docs/other.md").await, "");
}

#[tokio::test]
async fn an_edge_of_the_base_counts_when_the_head_drops_it() {
    let files = stack("module \"m\" {\n  source = \"../m\"\n}\n").with("m/main.tf", "# m\n");
    let after = stack("");
    let said = said(&Scene::new().change(&files, &after).await);
    assert!(said.contains("m/main.tf (module ../m at a/main.tf:5)"), "{said}");
}

#[tokio::test]
async fn json_configuration_is_read_too() {
    let json = r#"{"terraform": {"backend": {"s3": {}}}, "module": {"m": {"source": "../m"}}}"#;
    let files = Files::default().with(".buildit/stacks.kdl", "discover\n").with("j/main.tf.json", json);
    let files = files.with("m/main.tf", "# m\n");
    assert_snapshot!(touched(&files, "m/main.tf").await, @"j: m/main.tf (module ../m at j/main.tf.json:1)");
}

#[tokio::test]
async fn the_nearest_version_file_counts_until_a_version_is_pinned() {
    let files = stack("").with("b/main.tf", BACKEND).with("b/.opentofu-version", "1.10.0\n");
    let files = files.with(".opentofu-version", "1.9.0\n");
    assert_snapshot!(touched(&files, ".opentofu-version").await, @"a: .opentofu-version (version file)");
    let pinned = "discover\nstack a { tool opentofu version=\"1.10\" }\n";
    assert_eq!(touched(&files.with(".buildit/stacks.kdl", pinned), ".opentofu-version").await, "");
}

#[tokio::test]
async fn dependents_follow_and_variable_files_count() {
    let text = "discover\nstack b { depends-on a }\nstack c { depends-on b; var-file \"../vars/c.tfvars\" }\n";
    let files = stack("").with("b/main.tf", BACKEND).with("c/main.tf", BACKEND).with("vars/c.tfvars", "");
    let files = files.with(".buildit/stacks.kdl", text);
    assert_snapshot!(touched(&files, "a/more.tf").await, @r"
    a: a/more.tf (in the stack's directory)
    b: a (depends-on at .buildit/stacks.kdl:2)
    c: b (depends-on at .buildit/stacks.kdl:3)
    ");
    assert_snapshot!(touched(&files, "vars/c.tfvars").await, @"c: vars/c.tfvars (variable file at .buildit/stacks.kdl:3)");
}

#[tokio::test]
async fn sources_that_are_not_there_and_circles_of_links_are_skipped() {
    let files = stack("module \"m\" {\n  source = \"../gone\"\n}\nmodule \"out\" {\n  source = \"../../out\"\n}\n");
    let files = files.link("a/one", "two").link("a/two", "one").link("a/out", "../../../etc");
    assert_snapshot!(touched(&files, "a/more.tf").await, @"a: a/more.tf (in the stack's directory)");
    assert_eq!(touched(&files, "elsewhere/x.yaml").await, "");
}

#[tokio::test]
async fn one_side_deletes_what_the_other_changes() {
    let scene = Scene::new();
    let first = stack("").with("a/x.tf", "# 1\n").with("b/main.tf", BACKEND);
    let root = scene.commit(&first, &[]);
    let base = scene.commit(&first.clone().without("a/x.tf"), &[&root]);
    let head = scene.commit(&first.clone().with("a/x.tf", "# 2\n"), &[&root]);
    let survey = scene.survey(&base, &head, None).await;
    assert_eq!(survey.plan_tree, None);
    assert_eq!(survey.conflicts.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["a/x.tf"]);
    // A whole directory that one side deletes and the other leaves alone goes.
    let head = scene.commit(&first.clone().without("b/main.tf"), &[&root]);
    let survey = scene.survey(&base, &head, None).await;
    let merged = first.without("a/x.tf").without("b/main.tf");
    assert_eq!(survey.plan_tree.as_ref().expect("a tree").as_str(), scene.tree(&merged).to_string());
    assert_snapshot!(said(&survey), @"removed b: b/main.tf (in the stack's directory)");
}

#[tokio::test]
async fn of_backend_blocks_the_one_counts_that_says_where_the_state_is() {
    let backend = |body: &str| format!("terraform {{\n  backend {body}\n}}\n");
    let json = |body: &str| format!("{{\"terraform\": {{\"backend\": {body}}}}}");
    let (empty, named) = (backend("\"http\" {}"), backend("\"http\" {\n    address = \"http://a.test\"\n  }"));
    let cases: [(&[(&str, &str)], _, _); 8] = [
        (&[("main.tf", "provider \"a\" {}\n")], None, false),
        (&[("main.tf", &empty)], Some("http"), true),
        (&[("main.tf", &named)], Some("http"), false),
        (&[("main.tf.json", &json("{\"http\": {}}"))], Some("http"), true),
        (&[("main.tf.json", &json("[{\"http\": {\"address\": \"x\"}}]"))], Some("http"), false),
        // Whatever the order of the files' names.
        (&[("a.tf", &empty), ("override.tf", &backend("\"s3\" {}"))], Some("s3"), true),
        (&[("z.tf", &empty), ("a_override.tf", &named)], Some("http"), false),
        // A file that does not parse says nothing about what is inside.
        (&[("main.tf", &format!("{empty}resource {{"))], Some("http"), false),
    ];
    for (files, kind, is_empty) in cases {
        let mut all = Files::default().with(".buildit/stacks.kdl", "stack net\n");
        for (name, text) in files {
            all = all.with(&format!("net/{name}"), text);
        }
        let survey = Scene::new().change(&all, &all.clone().with("net/x.txt", "")).await;
        let directory = &survey.stacks.first().expect("the stack").directory;
        assert_eq!((directory.backend.as_deref(), directory.backend_empty), (kind, is_empty), "{files:?}");
    }
}
