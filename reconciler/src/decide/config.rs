//! What a pull request does to the configuration that it will be judged by once it is merged, and who agreed to that.
//!
//! Owns: `approve config` and the check `buildit/config`. A word counts for exactly what was loosened when it was given;
//! nothing of it opens a gate of the pull request itself, which is held to its base.

use std::collections::BTreeMap;

use model::access::Right;
use model::publication::ConfigView;
use model::survey::Survey;
use ring::digest;

use super::apply;
use super::command::{Line, Scene};
use crate::world::{ConfigWord, PullWorld, Said};

/// What is said of the configuration; `None` where nothing of it is changed.
pub(super) fn view(world: &PullWorld, survey: &Survey) -> Option<ConfigView> {
    if survey.config_changed.is_empty() || !apply::is_trusted(survey) {
        return None;
    }
    let words = words(world, &digest(survey));
    let who_said = |said: Said| words.iter().filter(|it| it.1.1 == said).map(|it| it.1.0.clone()).collect();
    Some(ConfigView {
        added: survey.added.clone(),
        removed: survey.affected.removed.iter().map(|hit| hit.stack.clone()).collect(),
        weakened: survey.weakened.clone(),
        approved: who_said(Said::Approve),
        rejected: who_said(Said::Reject),
        who: survey.access.describe(Right::ApproveConfig),
        error: survey.diagnostics.errors().next().map(|error| error.summary.clone()),
    })
}

/// The last word of each person on exactly this, by login in lower case.
fn words(world: &PullWorld, digest: &str) -> BTreeMap<String, (String, Said)> {
    let mut last = BTreeMap::new();
    for row in &world.commands {
        let word = row.outcome.as_ref().and_then(|outcome| outcome.config.as_ref());
        if let Some(word) = word.filter(|word| word.digest == digest) {
            last.insert(row.author.to_ascii_lowercase(), (row.author.clone(), word.said));
        }
    }
    last
}

/// Stands for all that is loosened, wherever it is written.
fn digest(survey: &Survey) -> String {
    let lines: Vec<_> = survey.weakened.iter().map(|one| (&one.stack, &one.what, &one.from, &one.to)).collect();
    let text = serde_json::to_string(&lines).expect("names and words are plain data");
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// `buildit approve config`, and its opposites.
pub(super) fn command(scene: &Scene<'_>, said: Said) -> Result<ConfigWord, String> {
    scene.survey.access.may(Right::ApproveConfig, &scene.person())?;
    if scene.survey.weakened.is_empty() {
        return Err("nothing of the configuration is loosened here, so nothing waits for that".to_owned());
    }
    let (world, written) = (scene.world, scene.row.created_at);
    if world.pull.head_since.is_some_and(|since| since > written) {
        return Err(
            "the pull request was pushed to since the comment; read what it loosens, then comment again".to_owned()
        );
    }
    Ok(ConfigWord { digest: digest(scene.survey), said })
}

/// As the answer to a line: the word itself stands in the command's outcome.
pub(super) fn line(scene: &Scene<'_>, said: Said) -> Line {
    command(scene, said).map(|_| (Vec::new(), None))
}

/// What a line says of the configuration.
pub(super) fn said(reject: bool, clear: bool) -> Said {
    match (clear, reject) {
        (true, _) => Said::Nothing,
        (false, true) => Said::Reject,
        (false, false) => Said::Approve,
    }
}
