//! The state of a run's stack: the job's way to it, and what a plan saw of it.
//!
//! Invariant: a token is of one run, and a write token of one granted apply.

use bytes::Bytes;
use model::plan::StateSeen;
use model::ports::{IacError, StateAccess};
use model::stack::StateKind;

use super::{Pass, Trouble};
use crate::states::{self, Access, StateError, States};
use crate::store::Conn;
use crate::world::RunRow;

/// Where a stack's state is, before a token is made.
pub(super) enum Place {
    /// In its own backend.
    Own,
    /// It would be kept by a server, and there is none.
    Empty,
    /// Here, at this address.
    Kept(String),
}

/// Where the state of the run's stack is.
///
/// # Errors
/// It can be nowhere: the configuration contradicts itself.
pub(super) fn place(pass: &Pass<'_>, run: &RunRow) -> Result<Place, IacError> {
    let surveyed = &run.what.detail.surveyed;
    let kind = surveyed.stack.state_kind(&surveyed.directory);
    let refused = |message| IacError::Refused { message: format!("stack {}: {message}", surveyed.stack.name) };
    Ok(match (kind.map_err(refused)?, &pass.parts.settings.state_url) {
        (StateKind::Own, _) => Place::Own,
        (StateKind::Buildit, None) => Place::Empty,
        (StateKind::Buildit, Some(url)) => Place::Kept(format!("{url}{}", states::path(run.repo, &run.what.stack))),
    })
}

impl Place {
    /// The way of the run's job to it; a token is made within the transaction of the caller.
    pub(super) async fn access(
        self,
        pass: &Pass<'_>,
        conn: &mut Conn,
        run: &RunRow,
        access: Access,
    ) -> Result<StateAccess, StateError> {
        let address = match self {
            Self::Own => return Ok(StateAccess::Own),
            Self::Empty => return Ok(StateAccess::Empty),
            Self::Kept(address) => address,
        };
        let token = pass.parts.states.token(conn, run.id, run.repo, &run.what.stack, access).await?;
        Ok(StateAccess::Kept { address, token })
    }
}

/// The way of a plan's job to the state.
pub(super) async fn to_read(pass: &Pass<'_>, run: &RunRow) -> Result<StateAccess, Trouble> {
    let place = place(pass, run)?;
    let mut tx = pass.write().await?;
    let access = place.access(pass, &mut tx, run, Access::Read).await?;
    pass.commit(tx).await?;
    Ok(access)
}

/// The state that a plan was made on: its file says which; what is kept here by that number has a digest too.
/// A file that cannot be read was made on what is the state now, or is stale by that.
pub(super) async fn seen(pass: &Pass<'_>, run: &RunRow, plan: Option<&Bytes>) -> Result<Option<StateSeen>, Trouble> {
    let read = plan.and_then(|plan| pass.parts.iac.state_of_plan(plan));
    if !matches!(place(pass, run), Ok(Place::Kept(_))) {
        return Ok(read);
    }
    let mut conn = pass.parts.store.read().await?;
    Ok(Some(match read {
        Some(StateSeen::State(stamp)) => {
            StateSeen::State(States::stamp(&mut conn, run.repo, &run.what.stack, stamp).await?)
        }
        Some(StateSeen::None) => StateSeen::None,
        None => States::seen(&mut conn, run.repo, &run.what.stack).await?,
    }))
}

/// What the tool could not store becomes a version beside the heads, for people to promote.
pub(super) async fn keep_errored(pass: &Pass<'_>, run: &RunRow, body: Bytes) -> Result<(), Trouble> {
    let (Ok(Place::Kept(_)), Some(epoch)) = (place(pass, run), run.epoch) else { return Ok(()) };
    match pass.parts.states.keep_errored((run.id, epoch), run.repo, &run.what.stack, body).await {
        Ok(_) => Ok(()),
        // It stays as a file; what it is not cannot be kept as a state.
        Err(error @ (StateError::Document(_) | StateError::TooManyOrphans { .. })) => {
            tracing::warn!(run = %run.number, %error, "an errored state is no version");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
