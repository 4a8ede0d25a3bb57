//! The keys that become due.

use model::id::{InstallationId, PullNumber, RepoId, RunId};

/// What a pass works on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// A pull request: facts, commands, which runs there are.
    Pull(RepoId, PullNumber),
    /// A branch whose tip moved.
    Branch(RepoId, String),
    /// A repository: list its open pull requests.
    Repository(RepoId),
    /// All repositories of all installations.
    Everything,
    /// A run.
    Run(RunId),
    /// A job whose events are to be read.
    Attend(RunId),
    /// What GitHub shows of a pull request.
    Publish(RepoId, PullNumber),
    /// A pressed button of a check.
    Rerun(String),
    /// A repository whose rules changed.
    Rules(RepoId),
    /// An organisation whose teams changed.
    Teams(InstallationId),
}

impl Key {
    /// The stored form.
    pub(crate) fn text(&self) -> String {
        match self {
            Key::Pull(repo, number) => format!("pull:{repo}:{number}"),
            Key::Branch(repo, name) => format!("branch:{repo}:{name}"),
            Key::Repository(repo) => format!("repository:{repo}"),
            Key::Everything => "everything".to_owned(),
            Key::Run(run) => format!("run:{run}"),
            Key::Attend(run) => format!("attend:{run}"),
            Key::Publish(repo, number) => format!("publish:{repo}:{number}"),
            Key::Rerun(id) => format!("rerun:{id}"),
            Key::Rules(repo) => format!("rules:{repo}"),
            Key::Teams(installation) => format!("teams:{installation}"),
        }
    }
    /// Reads the stored form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let repo = |t: &str| t.parse().ok().map(RepoId::new);
        let pair = || {
            let (r, n) = rest.split_once(':')?;
            Some((repo(r)?, n))
        };
        let number = |n: &str| n.parse().ok().map(PullNumber::new);
        Some(match kind {
            "pull" => pair().and_then(|(r, n)| Some(Key::Pull(r, number(n)?)))?,
            "publish" => pair().and_then(|(r, n)| Some(Key::Publish(r, number(n)?)))?,
            "branch" => pair().map(|(r, n)| Key::Branch(r, n.to_owned()))?,
            "repository" => Key::Repository(repo(rest)?),
            "everything" => Key::Everything,
            "run" => Key::Run(RunId::parse(rest).ok()?),
            "attend" => Key::Attend(RunId::parse(rest).ok()?),
            "rerun" => Key::Rerun(rest.to_owned()),
            "rules" => Key::Rules(repo(rest)?),
            "teams" => Key::Teams(InstallationId::new(rest.parse().ok()?)),
            _ => return None,
        })
    }
}
