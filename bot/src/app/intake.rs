//! From a verified delivery of GitHub to the inbox of the brain.

use async_trait::async_trait;
use reconciler::inbox::{self, Delivery, Inbox};

use crate::github::webhook::{Hint, Intake};

/// Notes deliveries in the inbox.
#[derive(Debug, Clone)]
pub struct InboxIntake(pub Inbox);

#[async_trait]
impl Intake for InboxIntake {
    async fn accept(&self, delivery: &str, event: &str, hints: Vec<Hint>) -> Result<(), String> {
        let hints = hints.into_iter().map(hint).collect();
        let delivery = Delivery { id: delivery.to_owned(), event: event.to_owned(), action: None, hints };
        // A duplicate was noted before: nothing is left to do.
        self.0.note(delivery).await.map(drop).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {cause}")
        })
    }
}

fn hint(hint: Hint) -> inbox::Hint {
    match hint {
        Hint::Pull { repo, number } => {
            inbox::Hint::Pull { installation: repo.installation, repo: repo.id, name: repo.name, number }
        }
        Hint::Branch { repo, branch } => {
            inbox::Hint::Branch { installation: repo.installation, repo: repo.id, name: repo.name, branch }
        }
        Hint::Commit { repo, commit, by } => inbox::Hint::Commit { repo: repo.id, commit, by },
        Hint::Pressed { repo, commit, check, action, by } => inbox::Hint::Pressed {
            installation: repo.installation,
            repo: repo.id,
            name: repo.name,
            button: inbox::Button { commit, check, action, login: by.login, bot: by.bot },
        },
        Hint::Rules { installation, repo } => inbox::Hint::Rules { installation, repo: repo.map(|repo| repo.id) },
        Hint::Teams { installation } => inbox::Hint::Teams { installation },
        Hint::Repository { repo } => {
            inbox::Hint::Repository { installation: repo.installation, repo: repo.id, name: repo.name }
        }
        Hint::Installation { installation } => inbox::Hint::Installation { installation },
    }
}
