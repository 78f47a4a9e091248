//! Errors for people: one line `rocks: ...`, a `hint: ...` where one helps, the exit status of the house. The only
//! place that decides an exit status.

use crate::ui;
use rocks::cluster::InvalidNoun;
use rocks::store::StoreError;
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
    let (kind, hint) = judge(&error);
    for line in details(&error) {
        ui::complain(&line);
    }
    ui::complain(&format!("rocks: {error:#}"));
    if let Some(hint) = hint {
        ui::complain(&format!("hint: {hint}"));
    }
    ExitCode::from(kind as u8)
}

/// The exit status and the hint of the first cause that has an opinion.
fn judge(error: &anyhow::Error) -> (Kind, Option<String>) {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return (failure.kind, failure.hint.clone());
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return judge_store(error);
        }
        if cause.is::<InvalidNoun>() {
            return (Kind::Invalid, None);
        }
    }
    (Kind::Failed, None)
}

fn judge_store(error: &StoreError) -> (Kind, Option<String>) {
    use StoreError as E;
    match error {
        E::Missing { .. } => (
            Kind::NotFound,
            Some("the first command that writes creates it, such as: rocks add-host compute-0-0 ...".to_owned()),
        ),
        E::NotAStore { .. } => {
            (Kind::Failed, Some("move it away, then bring back a backup with: rocks import FILE.json".to_owned()))
        }
        E::Newer { .. } => (Kind::Failed, Some("use the newer rocks, or its 'rocks export' and edit".to_owned())),
        E::Busy { holder } => {
            let frozen = holder.pid.filter(|_| holder.stopped);
            (Kind::Conflict, frozen.map(|pid| format!("let it go on with: kill -CONT {pid}")))
        }
        E::NotFound { noun, similar, .. } => (Kind::NotFound, Some(not_found_hint(noun, similar.as_deref()))),
        E::Exists { noun, name } => (Kind::Conflict, exists_hint(noun, name)),
        E::Taken { .. } | E::InUse { .. } | E::Overlap { .. } => (Kind::Conflict, None),
        E::OutsideNetworks { networks, .. } => (
            Kind::Invalid,
            Some(format!("the networks are {}; another with: rocks add-network NAME SUBNET", networks.join(", "))),
        ),
        E::WrongNetwork { .. } | E::ReservedAddress { .. } => (Kind::Invalid, None),
        E::Invalid(_) | E::Lines { .. } | E::Import { .. } => (Kind::Invalid, None),
        E::Io { source, path, .. } => (Kind::Failed, io_hint(source, path)),
        E::Record { .. } | E::Database { .. } => (Kind::Failed, None),
    }
}

fn not_found_hint(noun: &str, similar: Option<&str>) -> String {
    match similar {
        Some(similar) => format!("did you mean '{similar}'?"),
        None => format!("see them all with: rocks list-{noun}"),
    }
}

fn exists_hint(noun: &str, name: &str) -> Option<String> {
    match noun {
        "host" => Some(format!("change it with: rocks set-host {name} ...")),
        "interface" => Some(format!("change it with: rocks set-host {} --interface NAME ...", first_word(name))),
        _ => None,
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

fn io_hint(error: &std::io::Error, path: &std::path::Path) -> Option<String> {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            Some("use --cluster DIR or ROCKS_CLUSTER for a cluster of your own, or become the user that owns it".into())
        }
        std::io::ErrorKind::StorageFull => {
            let folder = path.parent().unwrap_or(path);
            Some(format!("nothing was changed; make room in '{}' and say it again", folder.display()))
        }
        _ => None,
    }
}

/// Lines that stand before the last word: each wrong line of a list.
fn details(error: &anyhow::Error) -> Vec<String> {
    error
        .chain()
        .filter_map(|cause| match cause.downcast_ref::<StoreError>() {
            Some(StoreError::Lines { name, errors }) => Some((name, errors)),
            _ => None,
        })
        .flat_map(|(name, errors)| errors.iter().map(move |(line, why)| format!("{name}:{line}: {why}")))
        .collect()
}
