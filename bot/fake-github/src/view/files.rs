//! Owns the changed files of a pull request on its page: names, counts, and the patch folded away.

use crate::error::Error;
use crate::git::FileChange;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::view::markdown::{coloured, escaped};

/// Patches are shown up to so many characters; a clone shows all.
const LONGEST: usize = 20_000;

/// What the pull request changes since it left its base.
pub(crate) fn changed(it: &Repository, pull: &Pull) -> Result<String, Error> {
    let from = it.git.merge_base(&pull.base_sha, &pull.head_sha)?.unwrap_or_else(|| pull.base_sha.clone());
    let changes = it.git.diff(&from, &pull.head_sha)?;
    let rows: String = changes.iter().map(row).collect();
    Ok(if rows.is_empty() { rows } else { format!("<h2>Files changed</h2><div class=\"box\">{rows}</div>") })
}

fn row(change: &FileChange) -> String {
    let before = change.previous.as_ref().map_or(String::new(), |old| format!("{} → ", escaped(old)));
    let patch = match &change.patch {
        Some(patch) if patch.len() <= LONGEST => coloured(patch),
        Some(_) => "<p class=\"mute\">Too long for this page.</p>".to_owned(),
        None => "<p class=\"mute\">No text.</p>".to_owned(),
    };
    format!(
        "<details class=\"row\"><summary>{before}<code>{}</code> <span class=\"mute\">{}</span> \
         <span class=\"success\">+{}</span> <span class=\"failure\">−{}</span></summary>{patch}</details>",
        escaped(&change.path),
        change.status,
        change.additions,
        change.deletions
    )
}
