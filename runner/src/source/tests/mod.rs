//! Surveys and archives of real repositories.

mod edges;
mod scene;

use insta::assert_snapshot;
use scene::{BACKEND, Files, Scene, said};

/// Three stacks: two use the module `vpc`, which uses `sub`; `app` reads two files of `texts`.
fn small() -> Files {
    let uses = |more: &str| format!("{BACKEND}module \"vpc\" {{\n  source = \"../modules/vpc\"\n}}\n{more}");
    let app = uses(concat!(
        "locals {\n  policy = file(\"../texts/policy.json\")\n",
        "  text = templatefile(\"${path.module}/../texts/text.tftpl\", {})\n}\n"
    ));
    Files::default()
        .with(".buildit/stacks.kdl", "discover\n")
        .with("net/main.tf", &uses(""))
        .with("app/main.tf", &app)
        .with("app/README.md", "# app\n")
        .with("dns/main.tf", BACKEND)
        .with("modules/vpc/main.tf", "module \"sub\" {\n  source = \"../sub\"\n}\n")
        .with("modules/vpc/README.md", "# vpc\n")
        .with("modules/sub/main.tf", "variable \"a\" {}\n")
        .with("texts/policy.json", "{}\n")
        .with("texts/text.tftpl", "hello\n")
}

async fn changed(path: &str) -> String {
    said(&Scene::new().change(&small(), &small().with(path, "# changed\n")).await)
}

#[tokio::test]
async fn a_change_affects_whoever_sees_it() {
    assert_snapshot!(changed("dns/more.tf").await, @"dns: dns/more.tf (in the stack's directory)");
    assert_snapshot!(changed("modules/sub/more.tf").await, @r"
    app: modules/sub/more.tf (module ../sub at modules/vpc/main.tf:2)
    net: modules/sub/more.tf (module ../sub at modules/vpc/main.tf:2)
    ");
    assert_snapshot!(changed("texts/policy.json").await, @"app: texts/policy.json (reads ../texts/policy.json at app/main.tf:8)");
    assert_snapshot!(changed("texts/text.tftpl").await, @"app: texts/text.tftpl (reads ../texts/text.tftpl at app/main.tf:9)");
    // A folder without configuration files belongs to the stack above it.
    assert_snapshot!(changed("dns/files/a/b.yaml").await, @"dns: dns/files/a/b.yaml (in the stack's directory)");
}

#[tokio::test]
async fn what_nobody_sees_affects_nobody() {
    for path in ["README.md", "app/README.md", "modules/vpc/README.md", "texts/other.json", "ci/build.sh"] {
        assert_eq!(changed(path).await, "", "{path}");
    }
    assert_snapshot!(changed("texts/prod.tfvars").await, @"unclaimed texts/prod.tfvars");
    let survey = Scene::new().change(&small(), &small()).await;
    assert!(survey.configured && survey.changed.is_empty());
    assert_eq!(survey.stacks.iter().map(|one| one.stack.name.as_str()).collect::<Vec<_>>(), ["app", "dns", "net"]);
}

#[tokio::test]
async fn without_configuration_nothing_is_said() {
    for text in ["", "// discover\n"] {
        let old = small().with(".buildit/stacks.kdl", text);
        let survey = Scene::new().change(&old, &old.clone().with("dns/more.tf", "# more\n")).await;
        assert!(!survey.configured);
        assert_eq!(said(&survey), "");
        assert_eq!(survey.changed.len(), 1);
    }
}

#[tokio::test]
async fn watched_files_count_and_the_last_match_wins() {
    let text = "discover\nstack dns {\n  watch \"../zones/**\" \"!../zones/old/**\" \"!*.md\" \"notes.md\"\n}\n";
    let base = small().with(".buildit/stacks.kdl", text);
    let after = |path: &str| {
        let (old, new) = (base.clone(), base.clone().with(path, "# changed\n"));
        async move { said(&Scene::new().change(&old, &new).await) }
    };
    assert_snapshot!(after("zones/acme.yaml").await, @"dns: zones/acme.yaml (watch zones/** at .buildit/stacks.kdl:3)");
    assert_eq!(after("zones/old/acme.yaml").await, "");
    assert_snapshot!(after("dns/notes.md").await, @"dns: dns/notes.md (watch dns/notes.md at .buildit/stacks.kdl:3)");
    assert_snapshot!(after("dns/more.tf").await, @"dns: dns/more.tf (in the stack's directory)");
}

#[tokio::test]
async fn stacks_come_go_and_move() {
    let said_of = |new: Files| async move { said(&Scene::new().change(&small(), &new).await) };
    assert_snapshot!(said_of(small().with("new/main.tf", BACKEND)).await, @"new: new/main.tf (in the stack's directory), .buildit/stacks.kdl (new stack at .buildit/stacks.kdl:1)");
    assert_snapshot!(said_of(small().without("dns/main.tf")).await, @"removed dns: dns/main.tf (in the stack's directory)");
    // Its own change took the marker away.
    assert_snapshot!(said_of(small().with("dns/main.tf", "locals {}\n")).await, @"removed dns: dns/main.tf (in the stack's directory)");
    // The configuration does not name it any more, but it is there.
    assert_snapshot!(said_of(small().with(".buildit/stacks.kdl", "discover { ignore dns }\n")).await, @"stack-vanished: the stack dns is not in the configuration any more, but its directory dns is");
    // Its files reappear under another name.
    assert_snapshot!(said_of(small().without("dns/main.tf").with("names/main.tf", BACKEND)).await, @r"
    names: names/main.tf (in the stack's directory), .buildit/stacks.kdl (new stack at .buildit/stacks.kdl:1)
    stack-renamed: the stack dns is gone and its files reappear in names
    ");
    let was = small().without("dns/main.tf").with("names/main.tf", BACKEND);
    assert_snapshot!(said_of(was.with(".buildit/stacks.kdl", "discover\nstack names was=dns\n")).await, @r"
    names: names/main.tf (in the stack's directory), .buildit/stacks.kdl (new stack at .buildit/stacks.kdl:2)
    moved names: dns to names
    ");
}

#[tokio::test]
async fn one_name_in_another_directory_is_a_move() {
    let old = Files::default().with(".buildit/a.kdl", "stack dns\n").with("dns/main.tf", BACKEND);
    let text = "stack dns { path \"infra/dns\" }\n";
    let new = Files::default().with(".buildit/a.kdl", text).with("infra/dns/main.tf", BACKEND);
    assert_snapshot!(said(&Scene::new().change(&old, &new).await), @r"
    dns: infra/dns/main.tf (in the stack's directory), dns/main.tf (in the stack's directory), .buildit/a.kdl (its directory moved at .buildit/a.kdl:1)
    moved dns: dns to infra/dns
    ");
}

#[tokio::test]
async fn a_file_that_does_not_parse_removes_nothing() {
    let broken = format!("{BACKEND}module \"vpc\" {{\n  source = \"../modules/vpc\"\n");
    let scene = Scene::new();
    let survey = scene.change(&small(), &small().with("net/main.tf", &broken)).await;
    assert!(said(&survey).starts_with("net: net/main.tf (in the stack's directory)\n"), "{}", said(&survey));
    assert!(said(&survey).contains("unparseable-file: net/main.tf:"), "{}", said(&survey));
    let old = small().with("net/main.tf", &broken);
    let survey = scene.change(&old, &old.clone().with("modules/vpc/more.tf", "locals {}\n")).await;
    assert!(said(&survey).contains("net: modules/vpc/more.tf (module ../modules/vpc"), "{}", said(&survey));
}

#[tokio::test]
async fn symbolic_links_lead_to_their_targets() {
    let old =
        small().with("common/provider.tf", "provider \"aws\" {}\n").link("web/provider.tf", "../common/provider.tf");
    let old = old.link("dns/data", "../texts").with("texts/data.yaml", "a: 1\n");
    let scene = Scene::new();
    let survey = scene.change(&old, &old.clone().with("common/provider.tf", "provider \"aws\" {\n}\n")).await;
    // `common` holds nothing but what others link: it is no stack.
    assert_snapshot!(said(&survey), @"web: common/provider.tf (symbolic link to common/provider.tf at web/provider.tf)");
    let survey = scene.change(&old, &old.clone().with("texts/data.yaml", "a: 2\n")).await;
    assert_snapshot!(said(&survey), @"dns: texts/data.yaml (symbolic link to texts at dns/data)");
}

#[tokio::test]
async fn our_merge_the_forges_and_conflicts() {
    let scene = Scene::new();
    let first = scene.commit(&small(), &[]);
    let base = scene.commit(&small().with("net/more.tf", "locals {}\n"), &[&first]);
    let head = scene.commit(&small().with("dns/more.tf", "locals {}\n"), &[&first]);
    let both = small().with("net/more.tf", "locals {}\n").with("dns/more.tf", "locals {}\n");
    let survey = scene.survey(&base, &head, None).await;
    assert!(survey.ours && survey.conflicts.is_empty());
    assert_eq!(survey.plan_tree.as_ref().expect("a tree").as_str(), scene.tree(&both).to_string());
    assert_snapshot!(said(&survey), @"dns: dns/more.tf (in the stack's directory)");
    // GitHub's is taken as it is when its parents fit, whatever it holds.
    let theirs = both.clone().with("app/more.tf", "locals {}\n");
    let merge = scene.commit(&theirs, &[&base, &head]);
    let survey = scene.survey(&base, &head, Some(&merge)).await;
    assert!(!survey.ours);
    assert_eq!(survey.plan_tree.as_ref().expect("a tree").as_str(), scene.tree(&theirs).to_string());
    for parents in [[&first, &head], [&head, &base]] {
        let stale = scene.commit(&theirs, &parents);
        assert!(scene.survey(&base, &head, Some(&stale)).await.ours, "its parents are others");
    }
    let clash = scene.commit(&small().with("net/more.tf", "# other\n").with("dns/more.tf", "x\n"), &[&first]);
    let survey = scene.survey(&base, &clash, None).await;
    assert_eq!(survey.plan_tree, None);
    assert_eq!(survey.conflicts.iter().map(|path| path.as_str()).collect::<Vec<_>>(), ["net/more.tf"]);
}

#[tokio::test]
async fn lines_of_one_file_merge() {
    let scene = Scene::new();
    let lines = |first: &str, last: &str| format!("{first}\n# 2\n# 3\n# 4\n# 5\n# 6\n# 7\n{last}\n");
    let of = |first: &str, last: &str| small().with("dns/long.tf", &lines(first, last));
    let root = scene.commit(&of("# 1", "# 8"), &[]);
    let base = scene.commit(&of("# one", "# 8"), &[&root]);
    let head = scene.commit(&of("# 1", "# eight"), &[&root]);
    let survey = scene.survey(&base, &head, None).await;
    let tree = survey.plan_tree.expect("no conflict");
    assert_eq!(tree.as_str(), scene.tree(&of("# one", "# eight")).to_string());
}

#[tokio::test]
async fn the_digest_follows_what_a_stack_sees() {
    let scene = Scene::new();
    let digest = |path: &'static str| {
        let scene = &scene;
        async move {
            let survey = scene.change(&small(), &small().with(path, "changed\n")).await;
            let app = survey.stacks.into_iter().find(|one| one.stack.name.as_str() == "app").expect("the stack");
            (app.inputs_digest, app.paths.iter().map(ToString::to_string).collect::<Vec<_>>())
        }
    };
    let (same, paths) = digest("dns/more.tf").await;
    assert_eq!(paths, ["app", "modules/sub", "modules/vpc", "texts/policy.json", "texts/text.tftpl"]);
    assert_eq!(digest("ci/build.sh").await.0, same);
    for path in ["app/x", "modules/sub/x", "texts/policy.json"] {
        assert_ne!(digest(path).await.0, same, "{path}");
    }
}

#[tokio::test]
async fn archives_are_equal_for_equal_trees_and_hold_what_was_asked() {
    let scene = Scene::new();
    let files = small().link("dns/texts", "../texts");
    let (names, bytes) = scene.tar(scene.tree(&files), &["dns", "texts/policy.json"]).await.expect("an archive");
    assert_eq!(names, ["dns/main.tf", "dns/texts", "texts/policy.json"]);
    // Another order of the paths and another tree around them: the same bytes.
    let other = scene.tree(&files.clone().with("net/other.tf", "# other\n"));
    assert_eq!(scene.tar(other, &["texts/policy.json", "dns"]).await.expect("an archive").1, bytes);
    let whole = scene.tar(scene.tree(&files), &[]).await.expect("an archive").0;
    assert_eq!(whole.len(), 11);
    assert!(whole.is_sorted(), "{whole:?}");
}

#[tokio::test]
async fn a_link_out_of_the_repository_is_refused() {
    let scene = Scene::new();
    for target in ["../../etc/passwd", "/etc/passwd", "a/../../../x", "up/../../x"] {
        // `up/../../x` stays inside as a text, and leads out where `up` leads up.
        let tree = scene.tree(&small().link("dns/up", "..").link("dns/escape", target));
        let refused = scene.tar(tree, &["dns"]).await.expect_err("refused").to_string();
        assert!(refused.contains("the symbolic link dns/escape leads out of the repository"), "{refused}");
        assert!(scene.tar(tree, &["net"]).await.is_ok(), "who does not see it can plan");
    }
}
