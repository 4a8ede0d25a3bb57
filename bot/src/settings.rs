//! Settings of the server: a TOML file, then `BUILDIT_…` variables, then flags; each wins over the one before.
//!
//! Owns: names, defaults, and the words about what is wrong. Invariant: a `Settings` is valid; everything wrong is
//! told at once, with its name, the reason and what to do, before anything starts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

/// Valid settings.
#[derive(Debug)]
pub struct Settings {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Where people reach the server; links in checks begin with it. No trailing `/`. `None`: where it listens.
    pub public_url: Option<String>,
    /// Where jobs reach the server, when that is another address. No trailing `/`.
    pub internal_url: Option<String>,
    /// May everybody who reaches the pages read them?
    pub public_read: bool,
    /// Keys, mirrors, jobs and the SQLite file live here.
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://…`.
    pub database: SecretString,
    /// The GitHub App; without it the server serves its pages only.
    pub github: Option<GitHubSettings>,
    /// Where jobs run.
    pub executor: ExecutorChoice,
    /// Plans that run at the same time.
    pub slots: u32,
    /// Programs `terraform` or `tofu` that are looked at before those on PATH.
    pub tools: Vec<PathBuf>,
    /// The CLI configuration file (`.terraformrc`) of all jobs: provider mirrors, credentials of registries.
    pub cli_config: Option<PathBuf>,
    /// How often everything open is looked at again, whatever webhooks said.
    pub resync: Duration,
    /// How long applies may go on when the server is stopped, before they are interrupted.
    pub drain: Duration,
    /// Which log lines are written, in the syntax of `RUST_LOG`.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
}

/// The App.
#[derive(Debug)]
pub struct GitHubSettings {
    /// Its id.
    pub app_id: u64,
    /// The file of its private key, for messages.
    pub key_file: PathBuf,
    /// Its private key in PEM.
    pub private_key: SecretString,
    /// Signs webhooks.
    pub webhook_secret: SecretString,
    /// `https://api.github.com` or `https://HOST/api/v3`.
    pub api_url: String,
}

/// How log lines are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorChoice {
    /// Nowhere: nothing was allowed. Plans say so.
    None,
    /// As plain processes of this machine.
    Process,
}

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    /// Its name in the file.
    pub name: String,
    /// Where the value is from.
    pub from: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: String,
}

/// All wrong settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct WrongSettings(pub Vec<WrongSetting>);

impl fmt::Display for WrongSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} wrong setting{}", if count == 1 { "" } else { "s" })?;
        for it in &self.0 {
            write!(f, "\n  {} ({}): {}\n    do: {}", it.name, it.from, it.reason, it.help)?;
        }
        Ok(())
    }
}

/// Every setting: its name in the file. The variable is `BUILDIT_` and the name in capitals, `.` as `_`.
const NAMES: [&str; 20] = [
    "listen",
    "public_url",
    "internal_url",
    "public_read",
    "data_dir",
    "database_url",
    "github.app_id",
    "github.key_file",
    "github.webhook_secret",
    "github.webhook_secret_file",
    "github.api_url",
    "executor",
    "allow_process_executor",
    "slots",
    "tools",
    "cli_config",
    "resync_seconds",
    "drain_seconds",
    "log",
    "log_format",
];

/// The variable of a setting.
fn variable(name: &str) -> String {
    format!("BUILDIT_{}", name.replace('.', "_").to_ascii_uppercase())
}

/// Where values come from.
#[derive(Debug, Default)]
pub struct Sources {
    /// The settings file, when `--config` names one: path and text.
    pub file: Option<(PathBuf, String)>,
    /// The process's environment.
    pub env: BTreeMap<String, String>,
    /// Flags of the command line: setting name to value.
    pub flags: BTreeMap<&'static str, String>,
}

impl Sources {
    /// Reads the file and the environment of the process.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_process(config: Option<&Path>, flags: BTreeMap<&'static str, String>) -> Result<Self, WrongSettings> {
        let file = match config {
            Some(path) => Some((path.to_owned(), read_file("--config", "the command line", path)?)),
            None => None,
        };
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("BUILDIT_") || name == "XDG_DATA_HOME" || name == "HOME")
            .collect();
        Ok(Self { file, env, flags })
    }
}

fn read_file(name: &str, from: &str, path: &Path) -> Result<String, WrongSettings> {
    std::fs::read_to_string(path).map_err(|error| {
        WrongSettings(vec![WrongSetting {
            name: name.to_owned(),
            from: from.to_owned(),
            reason: format!("{} cannot be read: {error}", path.display()),
            help: "name a file that this user may read".to_owned(),
        }])
    })
}

/// Values by name with their origin, and what was found wrong so far.
struct Reader {
    values: BTreeMap<String, (String, String)>,
    wrong: Vec<WrongSetting>,
}

impl Settings {
    /// Puts the sources together and checks every value.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read(sources: Sources) -> Result<Self, WrongSettings> {
        let default_data = default_data_dir(&sources.env);
        let mut reader = Reader { values: BTreeMap::new(), wrong: Vec::new() };
        if let Some((path, text)) = &sources.file {
            reader.add_file(path, text);
        }
        for name in NAMES {
            let variable = variable(name);
            if let Some(value) = sources.env.get(&variable) {
                reader.values.insert(name.to_owned(), (value.clone(), variable));
            }
        }
        for (name, value) in sources.flags {
            reader.values.insert(name.to_owned(), (value, "the command line".to_owned()));
        }
        let listen: Option<SocketAddr> =
            reader.parsed("listen", "127.0.0.1:8080", "an address and port, such as 127.0.0.1:8080 or 0.0.0.0:8080");
        let public_url = reader.url("public_url");
        let internal_url = reader.url("internal_url");
        let public_read = reader.flag("public_read");
        let slots: Option<u32> = reader.number("slots", "2", 1..=100, "a number from 1 to 100");
        let resync: Option<u64> = reader.number("resync_seconds", "300", 30..=u64::MAX, "seconds, at least 30");
        let drain: Option<u64> = reader.number("drain_seconds", "60", 0..=86_400, "seconds, at most 86400");
        let data_dir = reader.text("data_dir").map_or(default_data, PathBuf::from);
        let database = reader.database(&data_dir);
        let executor = reader.executor();
        let tools = reader.tools();
        let cli_config = reader.file("cli_config");
        let log_format = reader.log_format();
        let log = reader.text("log").unwrap_or_else(|| "info".to_owned());
        let github = reader.github();
        let Reader { wrong, .. } = reader;
        let (Some(listen), Some(slots), Some(resync), Some(drain), true) =
            (listen, slots, resync, drain, wrong.is_empty())
        else {
            return Err(WrongSettings(wrong));
        };
        Ok(Self {
            listen,
            public_url,
            internal_url,
            public_read,
            data_dir,
            database,
            github,
            executor,
            slots,
            tools,
            cli_config,
            resync: Duration::from_secs(resync),
            drain: Duration::from_secs(drain),
            log,
            log_format,
        })
    }
}

fn default_data_dir(env: &BTreeMap<String, String>) -> PathBuf {
    let xdg = env.get("XDG_DATA_HOME").filter(|it| it.starts_with('/')).map(PathBuf::from);
    let home = env.get("HOME").filter(|it| it.starts_with('/')).map(|home| Path::new(home).join(".local/share"));
    xdg.or(home).map_or_else(|| PathBuf::from("buildit-data"), |dir| dir.join("buildit"))
}

impl Reader {
    fn add_file(&mut self, path: &Path, text: &str) {
        let from = path.display().to_string();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                self.add_wrong(&from, &from, format!("not TOML: {}", error.message()), "correct the file");
                return;
            }
        };
        for (name, value) in flat(&table) {
            if !NAMES.contains(&name.as_str()) {
                let near = NAMES
                    .iter()
                    .max_by(|a, b| strsim::jaro_winkler(a, &name).total_cmp(&strsim::jaro_winkler(b, &name)));
                let help = near.map(|near| format!("did you mean {near}?")).unwrap_or_default();
                self.add_wrong(&name, &from, "there is no such setting".to_owned(), &help);
            } else if let Some(value) = value {
                self.values.insert(name, (value, from.clone()));
            } else {
                self.add_wrong(&name, &from, "not a text, number or yes/no".to_owned(), "write one value");
            }
        }
    }

    fn add_wrong(&mut self, name: &str, from: &str, reason: String, help: &str) {
        self.wrong.push(WrongSetting { name: name.to_owned(), from: from.to_owned(), reason, help: help.to_owned() });
    }

    fn complain(&mut self, name: &str, reason: impl Into<String>, help: &str) {
        let from = self.values.get(name).map_or_else(|| "not set".to_owned(), |(_, from)| from.clone());
        self.add_wrong(name, &from, reason.into(), help);
    }

    fn text(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|(value, _)| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, default: &str, shape: &str) -> Option<T> {
        let text = self.text(name).unwrap_or_else(|| default.to_owned());
        let value = text.parse().ok();
        if value.is_none() {
            self.complain(name, format!("{text:?} is not {shape}"), &format!("write {shape}"));
        }
        value
    }

    fn number<T>(&mut self, name: &str, default: &str, range: RangeInclusive<T>, shape: &str) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd,
    {
        let value: T = self.parsed(name, default, shape)?;
        if !range.contains(&value) {
            self.complain(name, "out of range", &format!("write {shape}"));
        }
        Some(value)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.parsed(name, "false", "true or false").unwrap_or(false)
    }

    fn url(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#' | '"' | '<' | '>' | '\\');
        let fine = !host.is_empty() && !rest.contains(odd);
        if !fine {
            let reason = format!("{text:?} is not an http(s) URL without user and query");
            self.complain(name, reason, "write it as https://HOST or https://HOST/PATH");
            return None;
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    fn database(&mut self, data_dir: &Path) -> SecretString {
        let default = || format!("sqlite:{}", data_dir.join("buildit.db").display());
        let text = self.text("database_url").unwrap_or_else(default);
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if !known {
            // The value may hold a password, so it is not shown.
            self.complain(
                "database_url",
                "neither sqlite:PATH nor postgres://USER@HOST/DATABASE",
                "write one of them, or leave it out for SQLite in data_dir",
            );
        }
        SecretString::from(text)
    }

    fn tools(&mut self) -> Vec<PathBuf> {
        let text = self.text("tools").unwrap_or_default();
        let tools: Vec<PathBuf> = text.split(':').filter(|part| !part.is_empty()).map(PathBuf::from).collect();
        for tool in tools.iter().filter(|tool| !tool.is_file()) {
            let reason = format!("{} is not there, or is no file", tool.display());
            self.complain(
                "tools",
                reason,
                "name the programs terraform or tofu themselves, or leave it out to search PATH",
            );
        }
        // Jobs run in directories of their own.
        tools.into_iter().map(|tool| std::path::absolute(&tool).unwrap_or(tool)).collect()
    }

    /// A file that jobs read by its path.
    fn file(&mut self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.text(name)?);
        if !path.is_absolute() || !path.is_file() {
            let reason = format!("{} is not the absolute path of a file", path.display());
            self.complain(name, reason, "write an absolute path, since jobs run in directories of their own");
        }
        Some(path)
    }

    fn log_format(&mut self) -> LogFormat {
        match self.text("log_format").as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let reason = format!("{other:?} is no format of logs");
                self.complain("log_format", reason, "write text or json");
                LogFormat::Text
            }
        }
    }

    fn executor(&mut self) -> ExecutorChoice {
        let allowed = self.flag("allow_process_executor");
        match self.text("executor").as_deref() {
            Some("process") if allowed => ExecutorChoice::Process,
            Some("process") => {
                self.complain(
                    "executor",
                    "process runs the code of pull requests as this user, without walls",
                    "only if you trust all of that code: allow_process_executor = true",
                );
                ExecutorChoice::None
            }
            Some(other) => {
                let reason = format!("{other:?} is not an executor of this version");
                self.complain("executor", reason, "write \"process\", or leave it out to run nothing");
                ExecutorChoice::None
            }
            None => ExecutorChoice::None,
        }
    }

    fn github(&mut self) -> Option<GitHubSettings> {
        if !self.values.keys().any(|name| name.starts_with("github.")) {
            return None;
        }
        let before = self.wrong.len();
        let id = self.text("github.app_id");
        let app_id: Option<u64> = id.as_deref().and_then(|id| id.parse().ok());
        if app_id.is_none() {
            let reason = id.map_or("missing".to_owned(), |id| format!("{id:?} is not a number"));
            self.complain("github.app_id", reason, "write the App ID from the App's settings page");
        }
        let key = self.private_key();
        let secret = self.webhook_secret();
        let given = self.text("github.api_url").is_some();
        let api_url = self.url("github.api_url");
        let api_url = if given { api_url } else { Some("https://api.github.com".to_owned()) };
        match (app_id, key, secret, api_url) {
            (Some(app_id), Some((key_file, private_key)), Some(webhook_secret), Some(api_url))
                if self.wrong.len() == before =>
            {
                Some(GitHubSettings { app_id, key_file, private_key, webhook_secret, api_url })
            }
            _ => None,
        }
    }

    fn private_key(&mut self) -> Option<(PathBuf, SecretString)> {
        let name = "github.key_file";
        let Some(path) = self.text(name) else {
            self.complain(name, "missing", "name the .pem file that GitHub gave when the App's key was made");
            return None;
        };
        match std::fs::read_to_string(&path) {
            Ok(pem) if pem.contains("PRIVATE KEY-----") => Some((PathBuf::from(path), SecretString::from(pem))),
            Ok(_) => {
                self.complain(
                    name,
                    format!("{path} holds no private key in PEM form"),
                    "name the .pem file that GitHub gave when the App's key was made",
                );
                None
            }
            Err(error) => {
                self.complain(name, format!("{path} cannot be read: {error}"), "name a file that this user may read");
                None
            }
        }
    }

    fn webhook_secret(&mut self) -> Option<SecretString> {
        let name = "github.webhook_secret";
        let text = match self.text("github.webhook_secret_file") {
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => Some(text.trim().to_owned()),
                Err(error) => {
                    let reason = format!("{path} cannot be read: {error}");
                    self.complain("github.webhook_secret_file", reason, "name a file that this user may read");
                    return None;
                }
            },
            None => self.text(name),
        };
        match text {
            Some(text) if text.len() >= 8 => Some(SecretString::from(text)),
            Some(_) => {
                self.complain(name, "shorter than 8 characters", "make one: openssl rand -hex 32");
                None
            }
            None => {
                self.complain(name, "missing", "write the webhook secret of the App, or github.webhook_secret_file");
                None
            }
        }
    }
}

/// `[github] app_id = 1` as `github.app_id`; `None` for what is no scalar (a list of texts is joined by `:`).
fn flat(table: &toml::Table) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Table(inner) => {
                all.extend(flat(inner).into_iter().map(|(below, value)| (format!("{name}.{below}"), value)));
            }
            other => all.push((name.clone(), scalar(other))),
        }
    }
    all
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(":"))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests;
