//! `buildit serve` as an operator starts it: a process with a settings file.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::*;

#[expect(clippy::disallowed_methods, reason = "the program itself is what is tested")]
fn buildit(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildit"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).args(args);
    command
}

/// The program on a settings file, to its end.
fn ended(dir: &Path, settings: &str) -> (Option<i32>, String) {
    let file = dir.join("buildit.toml");
    std::fs::write(&file, settings).expect("written");
    let done: Output = buildit(&["serve", "--config", &file.display().to_string()]).output().expect("it runs");
    assert!(done.stdout.is_empty(), "nothing but the log is written, and that to standard error");
    let text = String::from_utf8_lossy(&done.stderr).replace(&dir.display().to_string(), "DIR");
    (done.status.code(), text)
}

/// A server that runs; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    log: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Running {
    /// The server of this GitHub's App, which is told of what happens; it runs jobs as processes.
    pub(super) fn with_github(dir: &Path, double: &FakeGitHub, app: &AppCredentials) -> Self {
        let rest = github(dir, &double.api_url(), &app.private_key_pem);
        let rest = format!("executor = \"process\"\nallow_process_executor = true\n{rest}");
        let file = dir.join("buildit.toml");
        std::fs::write(&file, settings(dir, &rest)).expect("written");
        let server = Self::start(&["serve", "--config", &file.display().to_string()]);
        double.set_webhook_url(app.app_id, &format!("{}/webhook", server.url)).expect("hooked");
        server
    }

    /// Reads the log until it listens.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = buildit(args).stderr(Stdio::piped()).spawn().expect("it starts");
        let log = child.stderr.take().map(BufReader::new);
        let mut server = Self { child, url: String::new(), log: log.expect("piped"), said: String::new() };
        while server.url.is_empty() {
            let mut line = String::new();
            let read = server.log.read_line(&mut line).expect("a line");
            server.said.push_str(&line);
            assert!(read > 0, "it ended before it listened");
            let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
            if line["message"] == "listening" {
                server.url = line["url"].as_str().expect("an address").to_owned();
            }
        }
        server
    }

    /// As on SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    #[expect(clippy::disallowed_methods, reason = "an operator stops it by a signal")]
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("the rest of the log");
        (self.child.wait().expect("it ends").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = self.log.read_to_string(&mut self.said);
            eprintln!("the server said:\n{}", self.said);
        }
    }
}

pub(super) fn settings(dir: &Path, rest: &str) -> String {
    let data = dir.join("data");
    format!("listen = \"127.0.0.1:0\"\nlog_format = \"json\"\ndata_dir = \"{}\"\n{rest}", data.display())
}

pub(super) fn github(dir: &Path, api_url: &str, pem: &str) -> String {
    let key = dir.join("app.pem");
    std::fs::write(&key, pem).expect("written");
    format!(
        "[github]\napp_id = 7\nkey_file = \"{}\"\nwebhook_secret = \"{SECRET}\"\napi_url = \"{api_url}\"\n",
        key.display()
    )
}

#[test]
fn what_is_wrong_is_told_with_exit_code_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut told = Vec::new();
    let key = dir.path().join("key.pem");
    std::fs::write(&key, "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n").expect("written");
    let damaged = format!("[github]\napp_id = 7\nkey_file = \"{}\"\nwebhook_secret = \"{SECRET}\"\n", key.display());
    for text in [
        "slots = 0\nlisen = \"127.0.0.1:1\"",
        &settings(dir.path(), "log = \"a=b=c\""),
        &settings(Path::new("/proc/nowhere"), ""),
        &settings(dir.path(), "database_url = \"postgres://ana:hunter2@127.0.0.1:1/x\""),
        &settings(dir.path(), &damaged),
    ] {
        let (code, error) = ended(dir.path(), text);
        assert_eq!(code, Some(2), "{error}");
        told.push(error);
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    error: 2 wrong settings
      lisen (DIR/buildit.toml): there is no such setting
        do: did you mean listen?
      slots (DIR/buildit.toml): out of range
        do: write a number from 1 to 100

    error: log (BUILDIT_LOG) is no filter
      "a=b=c": error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
      do: write a level such as info, or targets such as bot=debug,info

    error: the data directory /proc/nowhere/data cannot be made: No such file or directory (os error 2)
      do: set data_dir (BUILDIT_DATA_DIR) to a directory that this user may write to

    error: the database cannot be opened
      PostgreSQL (database_url): error communicating with database: Connection refused (os error 111)
      do: check that it runs, and the host, user, password and name in database_url (BUILDIT_DATABASE_URL)

    error: github.key_file cannot be used
      DIR/key.pem: not an RSA private key in PEM form of at least 2048 bits, as GitHub gives it to download (InvalidKeyFormat)
      do: name the .pem file that GitHub gave when the App's key was made
    "#);
}

#[test]
fn a_served_directory_is_held_and_a_signal_ends_it_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data").display().to_string();
    let file = dir.path().join("buildit.toml");
    std::fs::write(&file, "log_format = \"json\"\n").expect("written");
    let file = file.display().to_string();
    let args = ["serve", "--config", &file, "--data-dir", &data, "--listen", "127.0.0.1:0"];
    let server = Running::start(&args);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (status, page) = runtime.block_on(get(&server.url));
    assert!(status == 200 && page.contains("No GitHub App is configured"), "{status} {page}");

    let second = buildit(&args).output().expect("it runs");
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(error.contains(&format!("in use by another buildit (process {})", server.child.id())), "{error}");
    assert_eq!(second.status.code(), Some(2));

    let (code, rest) = server.stop();
    assert!(code == Some(0) && rest.contains("\"stopped\""), "{code:?} {rest}");
    let (code, _) = Running::start(&args).stop();
    assert_eq!(code, Some(0), "the next start finds it free");
}

#[test]
fn a_key_of_another_app_ends_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let (double, _) = double();
    let other = include_str!("../../../fake-github/demo-only-other-key.pem");
    let (code, error) = ended(dir.path(), &settings(dir.path(), &github(dir.path(), &double.api_url(), other)));
    assert_eq!(code, Some(2), "{error}");
    let error = &error[error.find("error: ").expect("an error")..];
    let error = error.replace(double.url(), "GITHUB");
    insta::assert_snapshot!(error, @r"
    error: GitHub refused the App key
      GET /app: A JSON web token could not be decoded; the App key belongs to another App or was deleted, or this machine's clock is wrong
      App 7, key file DIR/app.pem (fingerprint SHA256:xqGI2KuXNQGk6wMNer2/KW2+ymI4bw6SBwi9RhGVCbQ=), API GITHUB/api/v3
      do: compare the App ID and the fingerprint with the App's settings page, or make a new key there
    ");
}

#[test]
fn a_settings_file_is_all_that_a_plan_needs() {
    if terraform().is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (double, app) = double();
    let server = Running::with_github(dir.path(), &double, &app);
    let number = open_pull(&double);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(planned(&double, number));
    let (_, page) = runtime.block_on(get(&format!("{}/r/1", server.url)));
    let link = format!("href=\"{}/acme/shop/pull/{number}\"", double.url());
    assert!(page.contains("terraform_data.vpc") && page.contains("without walls"), "{page}");
    let (_, page) = runtime.block_on(get(&format!("{}/acme/shop/pull/{number}", server.url)));
    assert!(page.contains(&link), "{link}: {page}");
    let (code, rest) = server.stop();
    assert_eq!(code, Some(0), "{rest}");
}

/// An address of this machine where nobody listens now.
pub(crate) fn free_address() -> String {
    std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("bound").to_string()
}

/// A terraform whose `plan` says on one pipe that it begins and waits on another for a word.
#[expect(clippy::disallowed_methods, reason = "pipes make the steps of the test wait for each other")]
fn waiting_terraform(dir: &Path, program: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    for pipe in ["begun", "go"] {
        assert!(Command::new("mkfifo").arg(dir.join(pipe)).status().expect("mkfifo runs").success());
    }
    let (tool, here, program) = (dir.join("waiting"), dir.display(), program.display());
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = plan ]; then echo begun >\"{here}/begun\"; read word <\"{here}/go\"; fi\nexec \"{program}\" \"$@\"\n"
    );
    std::fs::write(&tool, script).expect("written");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).expect("executable");
    tool
}

/// The other end of a pipe may never come: no wait without a bound.
pub(super) fn within<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(BOUND).expect("the other end comes in time").expect("a pipe")
}

#[test]
fn a_server_that_is_killed_while_it_plans_finds_the_plan_again() {
    let Some(program) = terraform() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let tool = waiting_terraform(dir.path(), &program);
    let (double, app) = double();
    let rest = github(dir.path(), &double.api_url(), &app.private_key_pem);
    let tools = format!("tools = [\"{}\"]", tool.display());
    let rest = format!("executor = \"process\"\nallow_process_executor = true\n{tools}\n{rest}");
    let file = dir.path().join("buildit.toml");
    std::fs::write(&file, settings(dir.path(), &rest)).expect("written");
    let file = file.display().to_string();
    let number = open_pull(&double);
    // The next one listens there too: the job reads its state from it, and asks again while nobody answers.
    let listen = free_address();
    let server = Running::start(&["serve", "--config", &file, "--listen", &listen]);
    // Nobody told it by a webhook: the look at the start finds the pull request.
    let (begun, go) = (dir.path().join("begun"), dir.path().join("go"));
    assert_eq!(within(move || std::fs::read_to_string(begun)), "begun\n");
    drop(server);
    within(move || std::fs::write(go, "go\n"));

    let server = Running::start(&["serve", "--config", &file, "--listen", &listen]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A second plan would wait for a word that nobody says.
    runtime.block_on(planned(&double, number));
    let (_, page) = runtime.block_on(get(&format!("{}/r/1", server.url)));
    assert!(page.contains("terraform_data.vpc"), "{page}");
    assert_eq!(runtime.block_on(get(&format!("{}/r/2", server.url))).0, 404, "one run");
    assert_eq!(server.stop().0, Some(0));
}
