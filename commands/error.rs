//! Errors for people: one line `rocks: ...`, a `hint: ...` where one helps, the exit status of the house. The only
//! place that decides an exit status.

use std::process::ExitCode;

/// Why a command ended, as its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 1: it was tried and did not work.
    Failed = 1,
    /// 2: the words make no sense.
    Usage = 2,
    /// 3: what was named does not exist.
    NotFound = 3,
    /// 4: what was given is not valid.
    Invalid = 4,
    /// 5: it clashes with what is there.
    Conflict = 5,
}

/// An error with its exit status and, where one helps, a hint.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// An error of this kind.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Adds what to type or look at next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Prints what went wrong and gives the exit status.
pub(crate) fn finish(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    crate::ui::complain(&format!("rocks: {error:#}"));
    let failure = error.downcast_ref::<Failure>();
    if let Some(hint) = failure.and_then(|failure| failure.hint.as_ref()) {
        crate::ui::complain(&format!("hint: {hint}"));
    }
    ExitCode::from(failure.map_or(Kind::Failed, |failure| failure.kind) as u8)
}
