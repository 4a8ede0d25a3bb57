//! The ports: everything that the brain wants from outside, as traits. The doc comment of each method is the
//! contract; one contract suite per port holds every implementor to it.
//!
//! Invariant: no tokio, no client, no clock here.

mod blobs;
mod executor;
mod forge;
mod iac;
mod small;
mod source;

pub use blobs::{BlobError, BlobKey, Blobs};
pub use executor::{ExecError, Executor, JobStatus, Started};
pub use forge::{
    BranchSnapshot, CommentSnapshot, ForgeError, ForgeRead, ForgeWrite, GitCredential, Merged, PullListing,
};
pub use iac::{ApplyLine, ApplyRequest, IacEngine, IacError, PlanRequest, StateAccess};
pub use small::{Clock, Ids, Keys, KeysError};
pub use source::{FetchError, Source, SourceError, SurveyRequest};

/// A boxed stream, as `futures` names it.
pub type BoxStream<'a, T> = std::pin::Pin<Box<dyn futures_core::Stream<Item = T> + Send + 'a>>;
