//! One life of a server: a real process, its log in a file, ended by a signal.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::serving::{BOUND, get};

/// How a process is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Politely.
    Term,
    /// At once.
    Kill,
}

/// Sends it; a process that is gone is none.
#[expect(clippy::disallowed_methods, reason = "processes are killed as an operator would")]
pub(super) fn send(pid: i32, signal: Signal) {
    let name = match signal {
        Signal::Term => "-TERM",
        Signal::Kill => "-KILL",
    };
    let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status().expect("kill runs");
}

/// For how long something takes, which is told and bounded by other means.
#[expect(clippy::disallowed_methods, reason = "real processes have no clock of ours")]
pub(super) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Until it is so.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            pause().await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {BOUND:?}"));
}

/// Between two looks at the state of another process.
#[expect(clippy::disallowed_methods, reason = "another process does not tell when its state changes")]
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// A server that runs; killed when it is dropped.
pub(super) struct Life {
    child: Child,
    log: PathBuf,
}

impl Life {
    /// Starts it and waits until it answers at `url`.
    #[expect(clippy::disallowed_methods, reason = "the program itself is what is tested")]
    pub(super) async fn start(config: &Path, url: &str, log: PathBuf) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_buildit"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["serve", "--config", &config.display().to_string()]);
        command.stdin(Stdio::null()).stderr(File::create(&log).expect("a log"));
        let mut life = Self { child: command.spawn().expect("it starts"), log };
        let ready = format!("{url}/readyz");
        let started = async {
            loop {
                let listens = std::net::TcpStream::connect(url.trim_start_matches("http://")).is_ok();
                if listens && get(&ready).await.0 == 200 {
                    return;
                }
                assert!(life.is_alive(), "it ended at its start");
                pause().await;
            }
        };
        tokio::time::timeout(BOUND, started).await.expect("it answers in time");
        life
    }

    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number")
    }

    pub(super) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// As on SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Until it has ended by itself; gives its exit code.
    pub(super) async fn ended(&mut self) -> Option<i32> {
        until("the server's end", || !self.is_alive()).await;
        self.child.wait().expect("ended").code()
    }

    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.said());
        }
    }
}
