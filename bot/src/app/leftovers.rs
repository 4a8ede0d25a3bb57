//! Ending what a command began that does not go on without it: `preview` and `demo`. A server's jobs outlive it.

use std::path::Path;

use model::id::JobName;
use model::ports::Executor as _;
use runner::exec::Process;

/// Kills every job below `root` and removes it. A job that was just being started may come late, so it looks
/// until none is left.
///
/// # Errors
/// A process does not end, or its directory cannot be removed.
pub(super) async fn remove_jobs(executor: &Process, root: &Path) -> anyhow::Result<()> {
    loop {
        let mut left = 0;
        // Without the directory there never was a job.
        for entry in std::fs::read_dir(root).into_iter().flatten() {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Ok(job) = JobName::parse(&name) else { continue };
            left += 1;
            executor.remove(&job).await?;
        }
        if left == 0 {
            return Ok(());
        }
    }
}
