//! Owns the one error of the model. Says what GitHub would refuse and why; how that looks in HTTP is `rest`'s business.

use crate::git::GitError;

/// One entry of the `errors` list in a 422 of GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The noun, as `PullRequest`.
    pub resource: &'static str,
    /// The field of the request, as `head`.
    pub field: &'static str,
    /// GitHub's code: `missing_field`, `invalid`, `custom`, …
    pub code: &'static str,
    /// The sentence for people; GitHub gives it with the code `custom`.
    pub message: Option<String>,
}

/// Why the double refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 404: the thing does not exist, or the caller may not see it.
    #[error("not found: {0}")]
    NotFound(String),
    /// 403.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// 405: the merge is not allowed now.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// 410: turned off.
    #[error("gone: {0}")]
    Gone(String),
    /// 409: a sha did not match, or the reference is not there yet.
    #[error("conflict: {0}")]
    Conflict(String),
    /// 422 with GitHub's message and details.
    #[error("unprocessable: {message} {errors:?}")]
    Unprocessable {
        /// The sentence at the top, usually `Validation Failed`.
        message: String,
        /// What is wrong, by field.
        errors: Vec<FieldError>,
    },
    /// The `git` program failed or is missing.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file or socket could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The double was called in a way that it cannot answer.
    #[error("{0}")]
    Use(String),
}

impl Error {
    pub(crate) fn invalid(resource: &'static str, field: &'static str, message: impl Into<String>) -> Error {
        Error::Unprocessable {
            message: "Validation Failed".into(),
            errors: vec![FieldError { resource, field, code: "custom", message: Some(message.into()) }],
        }
    }

    pub(crate) fn field(resource: &'static str, field: &'static str, code: &'static str) -> Error {
        Error::Unprocessable {
            message: "Validation Failed".into(),
            errors: vec![FieldError { resource, field, code, message: None }],
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}
