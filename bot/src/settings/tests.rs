//! What is read, what wins, and what is told.

use secrecy::ExposeSecret as _;

use super::*;

fn sources(file: &str, env: &[(&str, &str)]) -> Sources {
    Sources {
        file: Some((PathBuf::from("buildit.toml"), file.to_owned())),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: BTreeMap::new(),
    }
}

#[test]
fn nothing_set_is_sqlite_on_loopback() {
    let settings = Settings::read(sources("", &[("HOME", "/home/ana")])).expect("valid");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url, None);
    assert_eq!(settings.database.expose_secret(), "sqlite:/home/ana/.local/share/buildit/buildit.db");
    assert_eq!(settings.executor, ExecutorChoice::None);
    assert!(settings.github.is_none() && !settings.public_read);
}

#[test]
fn times_have_bounds() {
    let read = |text: &str| Settings::read(sources(text, &[("HOME", "/home/ana")]));
    let settings = read("drain_seconds = 0\nresync_seconds = 30").expect("valid");
    assert_eq!((settings.drain.as_secs(), settings.resync.as_secs()), (0, 30));
    let wrong = read("drain_seconds = 86401\nresync_seconds = 29").expect_err("out of range");
    assert_eq!(wrong.0.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["resync_seconds", "drain_seconds"]);
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let mut sources =
        sources("slots = 3\nlisten = \"127.0.0.1:1\"", &[("BUILDIT_SLOTS", "4"), ("BUILDIT_LISTEN", "127.0.0.1:2")]);
    sources.flags.insert("listen", "127.0.0.1:3".to_owned());
    let settings = Settings::read(sources).expect("valid");
    assert_eq!((settings.slots, settings.listen.port()), (4, 3));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let file = r#"
        lisen = "x"
        slots = 0
        executor = "process"
        tools = ["/nowhere/tofu"]
        cli_config = "relative.rc"
        log_format = "xml"
        public_url = "ftp://x"
        database_url = "mysql://root:hunter2@x"
        [github]
        app_id = "abc"
        webhook_secret = "short"
    "#;
    let wrong = Settings::read(sources(file, &[("BUILDIT_PUBLIC_READ", "maybe")])).expect_err("wrong").to_string();
    assert!(!wrong.contains("hunter2"), "{wrong}");
    insta::assert_snapshot!(wrong, @r#"
    12 wrong settings
      lisen (buildit.toml): there is no such setting
        do: did you mean listen?
      public_url (buildit.toml): "ftp://x" is not an http(s) URL without user and query
        do: write it as https://HOST or https://HOST/PATH
      public_read (BUILDIT_PUBLIC_READ): "maybe" is not true or false
        do: write true or false
      slots (buildit.toml): out of range
        do: write a number from 1 to 100
      database_url (buildit.toml): neither sqlite:PATH nor postgres://USER@HOST/DATABASE
        do: write one of them, or leave it out for SQLite in data_dir
      executor (buildit.toml): process runs the code of pull requests as this user, without walls
        do: only if you trust all of that code: allow_process_executor = true
      tools (buildit.toml): /nowhere/tofu is not there, or is no file
        do: name the programs terraform or tofu themselves, or leave it out to search PATH
      cli_config (buildit.toml): relative.rc is not the absolute path of a file
        do: write an absolute path, since jobs run in directories of their own
      log_format (buildit.toml): "xml" is no format of logs
        do: write text or json
      github.app_id (buildit.toml): "abc" is not a number
        do: write the App ID from the App's settings page
      github.key_file (not set): missing
        do: name the .pem file that GitHub gave when the App's key was made
      github.webhook_secret (buildit.toml): shorter than 8 characters
        do: make one: openssl rand -hex 32
    "#);
}

#[test]
fn every_setting_is_documented() {
    let docs = include_str!("../../../docs/operations.md");
    for name in NAMES {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
}
