//! Owns carrying a change to another place of history, in a bare repository without a work tree.

use crate::git::{Git, GitError, Person};

impl Git {
    /// The tree of `onto` with what leads from one commit to another; `None` when that conflicts.
    ///
    /// Merging finds its base by parents: two commits that stand in for both sides have `from` as theirs.
    pub(crate) fn replay(&self, from: &str, to: &str, onto: &str) -> Result<Option<String>, GitError> {
        let nobody = Person { name: "replay".into(), email: "replay@localhost".into(), at: 0 };
        let stand_in = |name: &str, of: &str| {
            let tree = format!("{of}^{{tree}}");
            self.commit_tree(&tree, &[from], &nobody, &nobody, name)
        };
        self.merge_tree(&stand_in("ours", onto)?, &stand_in("theirs", to)?)
    }
}
