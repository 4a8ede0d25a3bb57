//! What happens when things die: a real server process, real jobs, the real tools, and the double of GitHub.
//!
//! Every wait is for a state, with a bound. `dev/test` runs a slice of each; `BUILDIT_CHAOS=full` (dev/chaos) runs
//! all of it.

mod gate;
mod life;
mod load;
mod matrix;
mod recover;
mod scene;

/// Runs all of a test of this room, not only its slice?
fn is_full() -> bool {
    std::env::var("BUILDIT_CHAOS").is_ok_and(|it| it == "full")
}
