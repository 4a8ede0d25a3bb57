//! Identifiers that cannot be mixed up and cannot hold nonsense.
//!
//! Invariant: a value of a type here is well formed; parsing is the only way in.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not the identifier it should be. The message names the rule, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {rule}")]
pub struct InvalidId {
    /// What it should have been, for example "commit".
    pub kind: &'static str,
    /// The refused text.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

fn invalid(kind: &'static str, value: &str, rule: &'static str) -> InvalidId {
    InvalidId { kind, value: value.to_owned(), rule }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Takes GitHub's own number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }
            /// The number as GitHub and the database know it.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A repository, by GitHub's number: it survives renames and transfers.
    RepoId
);
number_id!(
    /// An installation of the App on one account.
    InstallationId
);
number_id!(
    /// The number of a pull request within its repository.
    PullNumber
);
number_id!(
    /// An issue comment on GitHub.
    CommentId
);
number_id!(
    /// The number of an issue within its repository.
    IssueNumber
);
number_id!(
    /// A deployment on GitHub.
    DeploymentId
);
number_id!(
    /// A check run on GitHub.
    CheckRunId
);
number_id!(
    /// A short number of a run for people and links ("run 1042"); counts up over the whole server.
    RunNumber
);

/// A run: UUIDv7, made by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// Wraps an id made by the port `Ids`.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }
    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
    /// Parses the stored text form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(text).map(Self).map_err(|_| invalid("run id", text, "a UUID"))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id!(
    /// A full commit id: 40 lower-case hexadecimal digits.
    CommitSha
);
text_id!(
    /// A Git tree id: 40 lower-case hexadecimal digits.
    TreeId
);
text_id!(
    /// A path inside a repository: `/`-separated, relative, without `.`, `..`, empty parts or control
    /// characters. The empty text is the repository's root.
    RelPath
);
text_id!(
    /// A stack's name, unique in its repository. `/` is legal; white space, control characters, and a
    /// leading `-` are not.
    StackName
);
text_id!(
    /// A workspace's name (semantics.md 1: no `/ \ .. $`, white space or control characters, no leading
    /// `-` or `~`).
    Workspace
);
text_id!(
    /// A secret's name: letters, digits, `_`, `-` and `.`.
    SecretName
);
text_id!(
    /// The deterministic name under which an executor finds a job again: lower-case letters, digits and
    /// `-`, at most 63 characters, so that it is a legal container and Kubernetes name.
    JobName
);
text_id!(
    /// The name of a file that a job leaves behind: one path component.
    FileName
);

fn forty_hex(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl CommitSha {
    /// Takes 40 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if forty_hex(text) { Ok(Self(text.to_owned())) } else { Err(invalid("commit", text, "40 hexadecimal digits")) }
    }
    /// The first seven digits, as people read it.
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

impl TreeId {
    /// Takes 40 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if forty_hex(text) { Ok(Self(text.to_owned())) } else { Err(invalid("tree", text, "40 hexadecimal digits")) }
    }
}

impl RelPath {
    /// The repository's root.
    pub const fn root() -> Self {
        Self(String::new())
    }
    /// Takes a clean relative path; see the type.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let rule = "a path inside the repository, without `.`, `..`, empty parts or a leading `/`";
        if text.is_empty() {
            return Ok(Self::root());
        }
        let clean = text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && !text.chars().any(|c| c.is_control() || c == '\\');
        if clean { Ok(Self(text.to_owned())) } else { Err(invalid("path", text, rule)) }
    }
    /// Resolves `relative`, which may hold `.` and `..`, against this directory. `None` when it leaves the
    /// repository.
    pub fn join(&self, relative: &str) -> Option<Self> {
        let mut parts: Vec<&str> = self.0.split('/').filter(|part| !part.is_empty()).collect();
        if relative.starts_with('/') {
            return None;
        }
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                other => parts.push(other),
            }
        }
        Self::parse(&parts.join("/")).ok()
    }
    /// The directory above; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map(|(dir, _)| dir.to_owned()).unwrap_or_default()))
    }
    /// The last component; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
    /// Is it `dir` itself or below it?
    pub fn is_within(&self, dir: &RelPath) -> bool {
        dir.0.is_empty()
            || self.0 == dir.0
            || (self.0.starts_with(&dir.0) && self.0.as_bytes().get(dir.0.len()) == Some(&b'/'))
    }
    /// Is it the repository's root?
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl StackName {
    /// Takes a name of 1 to 200 characters; see the type.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let rule =
            "1 to 200 characters, no white space, control characters, quotes or backticks, no leading `-`, no `..`";
        let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '\\' | '{' | '}');
        let fine = !text.is_empty()
            && text.chars().count() <= 200
            && !text.starts_with('-')
            && !text.contains("..")
            && !text.chars().any(bad);
        if fine { Ok(Self(text.to_owned())) } else { Err(invalid("stack name", text, rule)) }
    }
}

impl SecretName {
    /// Takes a name of 1 to 100 characters; see the type.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fine = (1..=100).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        let rule = "1 to 100 letters, digits, `_`, `-` and `.`, beginning with a letter or `_`";
        if fine { Ok(Self(text.to_owned())) } else { Err(invalid("secret", text, rule)) }
    }
}

impl Workspace {
    /// Terraform's own first workspace.
    pub fn default_workspace() -> Self {
        Self("default".to_owned())
    }
    /// Takes a name of 1 to 90 characters; see the type.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let rule = "1 to 90 characters without `/`, `\\`, `..`, `$`, white space or control characters, not starting with `-` or `~`";
        let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '$');
        let fine = !text.is_empty()
            && text.chars().count() <= 90
            && !text.starts_with(['-', '~'])
            && !text.contains("..")
            && !text.chars().any(bad);
        if fine { Ok(Self(text.to_owned())) } else { Err(invalid("workspace", text, rule)) }
    }
    /// Is it terraform's `default`?
    pub fn is_default(&self) -> bool {
        self.0 == "default"
    }
}

impl JobName {
    /// Takes a name; see the type.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fine = !text.is_empty() && text.len() <= 63 && !text.starts_with('-') && text.bytes().all(ok);
        if fine { Ok(Self(text.to_owned())) } else { Err(invalid("job name", text, "1 to 63 of a-z, 0-9 and `-`")) }
    }
    /// The name of an attempt at a run: the same run and attempt always give the same name.
    pub fn for_run(run: RunId, attempt: u32) -> Self {
        Self(format!("b-{}-{attempt}", run.uuid().simple()))
    }
}

impl FileName {
    /// Takes one path component.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fine = !text.is_empty()
            && text != "."
            && text != ".."
            && !text.chars().any(|c| c == '/' || c == '\\' || c.is_control());
        if fine { Ok(Self(text.to_owned())) } else { Err(invalid("file name", text, "one path component")) }
    }
}

/// A repository's `owner/name`. Compares without regard to case, as GitHub does; shows as written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoName {
    owner: String,
    name: String,
}

impl std::str::FromStr for RepoName {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl RepoName {
    /// Takes `owner/name` of letters, digits, `-`, `_` and `.`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let rule = "owner/name of letters, digits, `-`, `_` and `.`";
        let part = |p: &str| {
            !p.is_empty()
                && p.len() <= 100
                && p != "."
                && p != ".."
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if part(owner) && part(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(invalid("repository", text, rule)),
        }
    }
    /// The account that owns it.
    pub fn owner(&self) -> &str {
        &self.owner
    }
    /// Its name below the owner.
    pub fn name(&self) -> &str {
        &self.name
    }
    fn key(&self) -> (String, String) {
        (self.owner.to_ascii_lowercase(), self.name.to_ascii_lowercase())
    }
}

impl PartialEq for RepoName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for RepoName {}
impl PartialOrd for RepoName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for RepoName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
impl std::hash::Hash for RepoName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}
impl fmt::Debug for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
impl TryFrom<String> for RepoName {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}
impl From<RepoName> for String {
    fn from(name: RepoName) -> String {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert!(RelPath::parse("infra/network").is_ok());
        for bad in ["/etc", "a/../b", "./a", "a//b", "a/", "a\\b", "a\nb"] {
            assert!(RelPath::parse(bad).is_err(), "{bad:?}");
        }
        let dir = RelPath::parse("infra/network").expect("valid");
        assert_eq!(dir.join("../../modules/vpc").map(String::from), Some("modules/vpc".to_owned()));
        assert_eq!(dir.join("../../../x"), None);
        assert_eq!(dir.join("/abs"), None);
        assert!(RelPath::parse("infra/network/a.tf").expect("valid").is_within(&dir));
        assert!(!RelPath::parse("infra/network2/a.tf").expect("valid").is_within(&dir));
        assert!(dir.is_within(&RelPath::root()));
    }

    #[test]
    fn names_are_strict() {
        assert!(CommitSha::parse("ABCDEF0123456789ABCDEF0123456789ABCDEF01").is_err());
        assert!(CommitSha::parse(&"a1".repeat(20)).is_ok());
        assert_eq!(RepoName::parse("Acme/Infra").expect("valid"), RepoName::parse("acme/infra").expect("valid"));
        assert!(
            RepoName::parse("acme").is_err() && RepoName::parse("a/b/c").is_err() && RepoName::parse("../x").is_err()
        );
        assert!(
            Workspace::parse("prod-eu").is_ok() && Workspace::parse("-x").is_err() && Workspace::parse("a b").is_err()
        );
        assert!(
            StackName::parse("infra/network").is_ok()
                && StackName::parse("a b").is_err()
                && StackName::parse("-a").is_err()
        );
        assert_eq!(JobName::for_run(RunId::new(Uuid::nil()), 1).as_str().len(), 36);
        assert!(JobName::parse(JobName::for_run(RunId::new(Uuid::nil()), 12).as_str()).is_ok());
    }
}
