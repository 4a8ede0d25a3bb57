//! `buildit tokens`, `state`, `secrets` and `audit` as programs, over a server that runs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

/// How a command ended.
struct Ran {
    code: Option<i32>,
    out: String,
    error: String,
}

struct Shell<'a> {
    scene: &'a Scene,
    token: String,
}

impl Shell<'_> {
    #[expect(clippy::disallowed_methods, reason = "the program itself is what is tested")]
    fn run(&self, words: &[&str], input: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildit"));
        command.env_clear().env("BUILDIT_SERVER", &self.scene.url).env("BUILDIT_TOKEN", &self.token).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
        let done = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&self.scene.url, "SERVER");
        Ran { code: done.status.code(), out: text(&done.stdout), error: text(&done.stderr) }
    }

    fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words, "");
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.error);
        ran.out
    }

    fn here(&self) -> String {
        self.scene.dir.path().display().to_string()
    }
}

/// Without what differs from run to run.
fn plain(text: &str) -> String {
    let is_time = |word: &str| word.len() == 10 && word.starts_with("20") && word.matches('-').count() == 2;
    let mut words = Vec::new();
    for line in text.lines() {
        let mut line: Vec<&str> = line.split_whitespace().collect();
        while let Some(at) = line.iter().position(|word| is_time(word)) {
            line.splice(at..(at + 3).min(line.len()), ["TIME"]);
        }
        words.push(line.join(" "));
    }
    words.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_are_seen_and_mended_by_commands() {
    let scene = known(&Database::Sqlite).await;
    three(&scene).await;
    let token = token(&scene, &[Scope::StateWrite], Bound::Repository(REPO)).await;
    let shell = Shell { scene: &scene, token };
    let repo = ["--repo", "acme/infra"];
    let state = |words: &[&str]| shell.ok(&[&["state"], words, &repo].concat());
    let run = format!("run {}", crate::state::run(1));
    insta::assert_snapshot!(plain(&state(&["versions", "infra/net"])).replace(&run, "RUN"), @r"
    VERSION STANDING SERIAL WRITTEN BY NOTE
    3 orphan 2 TIME RUN refused: the head has the serial 2 with other content
    2 head 2 TIME RUN
    1 earlier 1 TIME RUN
    ");
    insta::assert_snapshot!(state(&["rollback", "infra/net", "1"]), @"version 4 is the state of infra/net, serial 3");
    insta::assert_snapshot!(state(&["promote", "infra/net", "3"]), @"version 5 is the state of infra/net, serial 4");
    assert_eq!(state(&["pull", "infra/net"]), crate::state::state(4, "refused"));
    assert_eq!(state(&["pull", "infra/net", "--version", "1"]), crate::state::state(1, "first"));
    let file = scene.dir.path().join("out.json");
    state(&["pull", "infra/net", "-o", &file.display().to_string()]);
    let ran = shell.run(&[&["state", "import", "infra/new", "-"], &repo[..]].concat(), &crate::state::state(3, "mine"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "version 1 is the state of infra/new, serial 3\n"));

    let apply = scene.apply(2).await;
    scene.ask("LOCK", Some(&apply), "", info("A", "ci@host")).await;
    let run = format!("run {}", crate::state::run(2));
    insta::assert_snapshot!(plain(&state(&["list"])).replace(&run, "RUN"), @r"
    STACK VERSION LOCKED BY NOTE
    infra/net 5 (serial 4) RUN since TIME lock A
    infra/new 1 (serial 3)
    ");
    insta::assert_snapshot!(state(&["unlock", "infra/net", "A"]).replace(&run, "RUN"), @"infra/net is unlocked; RUN held it");
    let json: Value = serde_json::from_str(&state(&["list", "--format", "json"])).expect("JSON");
    assert_eq!(json["stacks"][1]["stack"], "infra/new");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_so_ends_with_1_and_what_is_wrong_with_2() {
    let scene = known(&Database::Sqlite).await;
    three(&scene).await;
    let token = token(&scene, &[Scope::StateRead], Bound::Repository(REPO)).await;
    let shell = Shell { scene: &scene, token };
    let nobody = Shell { scene: &scene, token: String::new() };
    let mut told = String::new();
    for (shell, words) in [
        (&shell, &["state", "versions", "infra/gone", "--repo", "acme/infra"][..]),
        (&shell, &["state", "pull", "infra/net", "--version", "9", "--repo", "acme/infra"]),
        (&shell, &["state", "list", "--repo", "acme/gone"]),
        (&shell, &["state", "rollback", "infra/net", "1", "--repo", "acme/infra"]),
        (&nobody, &["state", "list", "--repo", "acme/infra"]),
        (&shell, &["state", "list", "--repo", "acme/infra", "--server", "http://127.0.0.1:1"]),
        (&shell, &["state", "list", "--repo", "acme/infra", "--server", "nowhere"]),
        (&shell, &["secrets", "list", "--repo", "acme/infra"]),
    ] {
        let ran = shell.run(words, "");
        assert_eq!(ran.out, "", "{words:?}");
        told.push_str(&format!("{:?} {}", ran.code.expect("it ended"), ran.error));
    }
    insta::assert_snapshot!(told, @r#"
    1 error: no state of infra/gone is kept here
      do: apply the stack once, or bring a state in: buildit state import
    1 error: infra/net has no version 9
      do: buildit state versions shows them
    1 error: the repository acme/gone is not known here, or the token is not good for it
      do: check the name, that the App is installed there, and what the token is bound to
    2 error: the token laptop has not the scope state:write
      do: make a token with it: buildit tokens create --scope state:write
    2 error: BUILDIT_TOKEN is not set
      do: make a token on the server's machine (buildit tokens create), and put it into BUILDIT_TOKEN
    2 error: http://127.0.0.1:1 does not answer
      Connection refused (os error 111)
      do: check --server (BUILDIT_SERVER), and that the server runs
    2 error: "nowhere" is no URL
      invalid format
      do: --server https://HOST
    2 error: the token laptop has not the scope secrets
      do: make a token with it: buildit tokens create --scope secrets
    "#);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_set_from_standard_input() {
    let scene = known(&Database::Sqlite).await;
    let token = token(&scene, &[Scope::Secrets], Bound::Owner("acme".to_owned())).await;
    let shell = Shell { scene: &scene, token };
    let set = shell.run(&["secrets", "set", "NETWORK_DB_PASSWORD", "--repo", "acme/infra"], "correct-horse\n");
    assert_eq!(set.out, "NETWORK_DB_PASSWORD is set for acme/infra (version 1)\n", "{}", set.error);
    let set = shell.run(&["secrets", "set", "SHARED", "--org", "acme"], "correct-horse");
    assert_eq!(set.out, "SHARED is set for acme (version 1)\n", "{}", set.error);
    insta::assert_snapshot!(plain(&shell.ok(&["secrets", "list", "--repo", "acme/infra"])), @r"
    NAME VERSION SET BY
    NETWORK_DB_PASSWORD 1 TIME ana (token laptop)
    ");
    assert_eq!(shell.ok(&["secrets", "rm", "SHARED", "--org", "acme"]), "SHARED is removed from acme\n");
    let gone = shell.run(&["secrets", "rm", "SHARED", "--org", "acme"], "");
    assert_eq!(gone.code, Some(1), "{}", gone.error);
    let short = shell.run(&["secrets", "set", "A", "--repo", "acme/infra"], "x\n");
    assert!(short.code == Some(1) && short.error.contains("cannot be masked"), "{}", short.error);
    // Of nobody, or of two: wrong use.
    assert_eq!(shell.run(&["secrets", "list"], "").code, Some(2));
    assert_eq!(shell.run(&["secrets", "list", "--repo", "acme/infra", "--org", "acme"], "").code, Some(2));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_made_on_the_servers_machine_beside_it() {
    let scene = known(&Database::Sqlite).await;
    three(&scene).await;
    let mut shell = Shell { scene: &scene, token: String::new() };
    let here = shell.here();
    let here = ["--data-dir", &here];
    let tokens = |shell: &Shell<'_>, words: &[&str]| shell.run(&[&["tokens"], words, &here].concat(), "");
    let words = ["create", "--name", "ci", "--owner", "ana", "--scope", "state:read", "--repo", "acme/infra"];
    let made = tokens(&shell, &words);
    assert!(made.code == Some(0) && made.out.starts_with("bit_"), "{}", made.error);
    assert!(
        made.error.contains("ci: state:read, until 20") && made.error.contains("shown this once"),
        "{}",
        made.error
    );
    shell.token = made.out.trim().to_owned();
    assert!(shell.ok(&["state", "list", "--repo", "acme/infra"]).contains("infra/net"));
    let listed = tokens(&shell, &["list"]);
    assert!(listed.out.contains("state:read") && !listed.out.contains("bit_"), "{}", listed.out);
    assert_eq!(tokens(&shell, &["revoke", "ci"]).code, Some(0));
    let over = shell.run(&["state", "list", "--repo", "acme/infra"], "");
    assert!(over.code == Some(2) && over.error.contains("the token ci has ended (it was revoked)"), "{}", over.error);
    assert_eq!(tokens(&shell, &["revoke", "ci"]).code, Some(1));
    let unknown = tokens(&shell, &["create", "--name", "x", "--owner", "x", "--scope", "read", "--repo", "acme/gone"]);
    assert!(unknown.code == Some(2) && unknown.error.contains("acme/gone is not known here"), "{}", unknown.error);
    assert_eq!(tokens(&shell, &["create", "--name", "x", "--owner", "x", "--scope", "write"]).code, Some(2));

    let audit = shell.run(&[&["audit"], &here[..]].concat(), "");
    assert!(audit.code == Some(0) && audit.error.contains("2 entries"), "{}", audit.error);
    assert!(audit.out.contains("token.create") && audit.out.contains("token.revoke"), "{}", audit.out);
    let mut tx = crate::state::begin(&scene.database).await;
    sqlx::query("update audit set actor='nobody' where seq=1").execute(&mut tx).await.expect("changed");
    crate::state::end(tx).await;
    let audit = shell.run(&[&["audit"], &here[..]].concat(), "");
    assert!(audit.code == Some(1) && audit.error.contains("damaged at entry 1"), "{}", audit.error);

    // Where no server ran there is nothing to make one for.
    let nowhere = shell.run(&["tokens", "list", "--data-dir", "/nowhere"], "");
    assert!(nowhere.code == Some(2) && nowhere.error.contains("no server has run"), "{}", nowhere.error);
    scene.end().await;
}
