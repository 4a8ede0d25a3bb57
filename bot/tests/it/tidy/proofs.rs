//! Each rule against a small text that breaks it, and its allowed twin.

use super::{floors, rust_findings, text};

/// The rules broken by a file with this body under a proper header.
fn broken(path: &str, body: &str) -> Vec<String> {
    let source = format!("//! A room.\n{body}\n");
    rust_findings(path, &source).into_iter().map(|finding| finding.what).collect()
}

#[track_caller]
fn refused(path: &str, body: &str, because: &str) {
    let found = broken(path, body);
    assert!(found.iter().any(|what| what.contains(because)), "{path}: `{body}` gave {found:?}, not {because:?}");
}

#[track_caller]
fn accepted(path: &str, body: &str) {
    assert_eq!(broken(path, body), Vec::<String>::new(), "{path}: `{body}`");
}

#[test]
fn a_client_is_refused_outside_its_room_in_every_spelling() {
    let elsewhere = "reconciler/src/engine.rs";
    for body in [
        "use sqlx::Row;",
        "use sqlx;",
        "use sqlx as db;",
        "use ::sqlx::Row;",
        "use {sqlx::Row, std::fmt};",
        "extern crate sqlx;",
        "fn f() { sqlx::query!(\"select 1\"); }",
        "fn f(x: &sqlx::AnyPool) {}",
        "#[derive(sqlx::FromRow)] struct A;",
        "#[sqlx(rename_all = \"lowercase\")] struct A;",
        "fn f() -> Vec<sqlx :: Error> {}",
    ] {
        refused(elsewhere, body, "`sqlx` belongs to reconciler/src/store");
    }
    accepted("reconciler/src/store/runs.rs", "use sqlx::Row;");
    for body in [
        "// sqlx::query is used by store",
        "/* use sqlx::Row; /* nested */ sqlx::Row */",
        "const A: &str = \"sqlx::Row\";",
        "const A: &str = r#\"use sqlx::Row; \" \"#;",
        "const A: char = '\"'; const B: &str = \"sqlx::Row\";",
        "fn f<'a>(x: &'a str) { let sqlx = x; sqlx.len(); }",
    ] {
        accepted(elsewhere, body);
    }
}

#[test]
fn every_client_is_refused_in_a_room_that_is_not_its_own() {
    for client in floors::CLIENTS {
        // No client lives in this room.
        let room = "bot/src/nowhere.rs";
        let body = match client.path {
            "println" | "eprintln" => format!("fn f() {{ {}!(\"x\"); }}", client.path),
            path => format!("use {path}::Thing;"),
        };
        refused(room, &body, "belongs to");
        // In its own rooms it is not refused for this reason.
        for own in client.rooms {
            let path = if own.ends_with(".rs") { (*own).to_owned() } else { format!("{own}/x.rs") };
            let found = broken(&path, &body);
            assert!(!found.iter().any(|what| what.contains("belongs to")), "{path}: {found:?}");
        }
    }
}

#[test]
fn every_wall_refuses_what_it_names() {
    for wall in floors::WALLS {
        let slash = if wall.room.ends_with('/') { "" } else { "/" };
        let path = format!("{}{slash}x.rs", wall.room);
        let path = path.replace("reconciler/x.rs", "reconciler/src/x.rs").replace("model/x.rs", "model/src/x.rs");
        let path = path.replace("entry/x.rs", "entry/src/x.rs").replace("fake-github/x.rs", "fake-github/src/x.rs");
        for &never in wall.never {
            if never == path.split('/').next().unwrap_or_default() {
                continue;
            }
            let body = match never {
                "async" => "async fn f() {}".to_owned(),
                "await" => "fn f() { g().await }".to_owned(),
                _ => format!("use {never}::Thing;"),
            };
            let found = broken(&path, &body);
            let named = format!("must not use `{never}`: {}", wall.why);
            assert!(found.contains(&named), "{path}: `{body}` gave {found:?}");
        }
        if let Some((from, rooms)) = wall.only {
            refused(&path, &format!("use {from}::decide::World;"), "must not use");
            for room in rooms {
                let found = broken(&path, &format!("use {from}::{room}::Thing;"));
                assert!(!found.iter().any(|what| what.contains(&format!("{from}::{room}"))), "{found:?}");
            }
        }
    }
}

#[test]
fn paths_are_followed_through_groups_and_relative_names() {
    let why = "must not use `reconciler::store`";
    refused("reconciler/src/decide/plan.rs", "use crate::{world::World, store::{runs, Store}};", why);
    refused("reconciler/src/decide/plan.rs", "use super::super::store::Store;", why);
    refused("reconciler/src/decide/mod.rs", "use super::store::Store;", why);
    refused("reconciler/src/decide/mod.rs", "fn f(x: crate::store::Store) {}", why);
    refused("reconciler/src/gate.rs", "mod tests {\n    use super::super::store::Store;\n}", why);
    accepted("reconciler/src/decide/plan.rs", "use super::store::Store;");
    accepted("reconciler/src/decide/mod.rs", "use crate::world::World;");
    refused("reconciler/src/decide/mod.rs", "use model::{ports::*, id::Sha};", "must not use `model::ports`");
    refused("reconciler/src/decide/mod.rs", "fn f(x: &dyn model::ports::Clock) {}", "must not use `model::ports`");
    accepted("reconciler/src/engine.rs", "use crate::store::Store;");
    refused("bot/fake-github/src/git.rs", "use model::id::Sha;", "knows nothing of BuildIt");
    accepted("bot/fake-github/src/lib.rs", "mod model;\npub use model::App;");
    refused("bot/src/web/pages.rs", "use reconciler::{views, decide};", "must not use `reconciler::decide`");
    refused("bot/src/web/pages.rs", "use reconciler::*;", "must not use `reconciler::*`");
    accepted("bot/src/web/pages.rs", "use reconciler::{views, logs};");
    refused("bot/src/github/read.rs", "use reconciler::inbox::Inbox;", "only the webhook");
    accepted("bot/src/github/webhook.rs", "use reconciler::inbox::Inbox;");
    refused("reconciler/src/decide/plan.rs", "fn f() { x.await }", "must not use `await`");
}

#[test]
fn files_are_written_by_the_house_rules() {
    let path = "reconciler/src/engine.rs";
    refused(path, "#[allow(dead_code)]\nfn f() {}", "#[expect(");
    refused(path, "#![allow(dead_code)]", "#![expect(");
    refused(path, "#[ allow (dead_code)]", "#[expect(");
    refused(path, "#[test]\n#[ignore = \"slow\"]\nfn f() {}", "a test runs");
    refused(path, "fn f() { todo!() }", "finish it");
    refused(path, "fn f() { unimplemented!() }", "finish it");
    refused(path, concat!("/", "/ TODO: later"), "open ends");
    refused(path, &"\n".repeat(600), "at most 600");
    accepted(path, &"\n".repeat(590));
    refused("reconciler/src/utils.rs", "", "names nothing");
    refused("bot/src/helpers/mod.rs", "", "names nothing");
    accepted(path, "#[expect(dead_code, reason = \"…\")]\nfn f() {}");
    accepted(path, "const A: &str = \"#[allow(x)] todo!\";");

    let headless = rust_findings(path, "fn f() {}\n");
    assert!(headless.iter().any(|finding| finding.what.contains("header")), "{headless:?}");
}

#[test]
fn test_code_stands_in_mod_tests_only() {
    let path = "reconciler/src/engine.rs";
    refused(path, "#[cfg(test)]\nfn f() {}", "stands above");
    refused(path, "#[cfg(test)]\nimpl A {}\n#[cfg(test)]\nmod tests {}", "stands above");
    refused(path, "#[cfg(test)] fn f() {}", "line of its own");
    refused(path, "#[cfg_attr(test, derive(Debug))] struct A;\nfn f() { if cfg!(test) {} }", "does not know");
    refused(path, "#[cfg(not(test))]\nfn f() {}", "does not know");
    accepted(path, "#[cfg(test)]\nmod tests {}");
    accepted(path, "#[cfg(test)]\npub(crate) mod sample;\n#[cfg(test)]\nmod tests;");
    accepted(path, "#[cfg(test)]\n#[expect(clippy::disallowed_methods, reason = \"…\")]\nmod tests {}");
}

#[test]
fn manifests_hold_only_what_their_floor_may_use() {
    let check = |path: &str, manifest: &str| -> Vec<String> {
        floors::manifest_findings(path, manifest).into_iter().map(|f| f.what).collect()
    };
    for (path, banned) in floors::MANIFESTS {
        let package = banned[0];
        let found = check(path, &format!("[dependencies]\n{package}.workspace = true\n"));
        assert!(found.iter().any(|what| what.contains("must not enter")), "{path}: {found:?}");
    }
    let model = "reconciler/model/Cargo.toml";
    let found = check(model, "[dependencies]\ntokio.workspace = true\n");
    assert_eq!(found, ["`tokio` must not enter this crate"]);
    let found = check(model, "[dependencies]\nserde = \"1\"\n");
    assert!(found[0].contains("workspace manifest"), "{found:?}");
    let found = check(
        model,
        "[dependencies]\nserde.workspace = true\n[dev-dependencies]\ntokio = { workspace = true, features = [\"rt\"] }\n",
    );
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn documents_stay_inside_the_project_and_the_top_level_is_fixed() {
    let outside = format!("see {}/design", concat!("..", "/shared"));
    assert_eq!(text::document_findings("docs/a.md", &outside).len(), 1);
    assert_eq!(text::document_findings("docs/a.md", "see ../docs and shared things"), []);

    let entries = ["bot", "README.md", ".ci", "notes.txt"].map(str::to_owned);
    let found: Vec<String> = text::top_findings(&entries).into_iter().map(|f| f.path).collect();
    assert_eq!(found, ["notes.txt"]);
}
