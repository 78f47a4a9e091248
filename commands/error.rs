//! Errors for people: one line `rocks: ...`, a `hint: ...` where one helps, the exit status of the house. The only
//! place that decides an exit status.

use crate::ui;
use rocks::cluster::InvalidNoun;
use rocks::distribution::DistributionError;
use rocks::graph::GraphError;
use rocks::net::NetError;
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
    ui::complain(&format!("rocks: {}", in_a_line(&error)));
    if let Some(hint) = hint {
        ui::complain(&format!("hint: {hint}"));
    }
    ExitCode::from(kind as u8)
}

/// An error and its causes as people are told them.
pub(crate) fn in_a_line(error: &anyhow::Error) -> String {
    without_error_numbers(&chain(error))
}

/// Prints what is wrong with the words that were typed, in the house's form, or the help that was asked for.
pub(crate) fn finish_usage(error: &clap::Error, command: &clap::Command) -> ExitCode {
    use clap::error::ErrorKind;
    if !error.use_stderr() {
        let text = error.render();
        let text = if ui::stdout_is_coloured() { text.ansi().to_string() } else { text.to_string() };
        return finish(ui::print(&text));
    }
    if matches!(error.kind(), ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        ui::complain(command.clone().render_help().to_string().trim_end());
        return ExitCode::from(Kind::Usage as u8);
    }
    if let (ErrorKind::ValueValidation, Some(source)) = (error.kind(), std::error::Error::source(error)) {
        let failure = source.downcast_ref::<Failure>();
        if failure.is_some() || source.is::<InvalidNoun>() {
            ui::complain(&format!("rocks: {source}"));
            failure.and_then(|f| f.hint.as_ref()).into_iter().for_each(|hint| ui::complain(&format!("hint: {hint}")));
            return ExitCode::from(Kind::Invalid as u8);
        }
    }
    for line in usage_lines(&error.render().to_string()) {
        ui::complain(&line);
    }
    if std::error::Error::source(error).is_some_and(|source| source.is::<std::net::AddrParseError>()) {
        ui::complain("hint: addresses are written as in 10.1.1.1, with a port as in 10.1.1.1:8080");
    }
    let kind = if error.kind() == ErrorKind::ValueValidation { Kind::Invalid } else { Kind::Usage };
    ExitCode::from(kind as u8)
}

/// What the parser of the command line says, in the house's form: a line for the error, one for each hint, one for
/// the usage.
fn usage_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("For more information")) {
        match line.trim().split_once(": ") {
            Some(("error", rest)) => lines.push(format!("rocks: {rest}")),
            Some(("tip", rest)) => lines.push(format!("hint: {rest}")),
            Some(("Usage", usage)) => lines.push(format!("usage: {}", usage.replace("--cluster <DIR>", "[OPTIONS]"))),
            _ => match lines.last_mut() {
                Some(last) => {
                    last.push(' ');
                    last.push_str(line.trim());
                }
                None => lines.push(line.to_owned()),
            },
        }
    }
    lines
}

/// Says that there is no such command, and which was meant.
pub(crate) fn unknown_command(words: &[String], verbs: &[String]) -> ExitCode {
    let first = words.first().map_or("", String::as_str);
    let alike = |name: &str| rocks::cluster::similar(name, verbs.iter().map(String::as_str));
    let joined = (2..=3).rev().filter_map(|n| words.get(..n)).find_map(|words| alike(&words.join("-")));
    let beginning: Vec<&str> =
        verbs.iter().filter(|verb| verb.starts_with(&format!("{first}-"))).map(String::as_str).collect();
    let hint = match joined.or_else(|| alike(first)) {
        Some(verb) => format!("did you mean 'rocks {verb}'?"),
        None if beginning.is_empty() => "see them all with: rocks --help".to_owned(),
        None => format!("there are {}", beginning.join(", ")),
    };
    finish(Err(Failure::new(Kind::Usage, format!("no command '{first}'")).hint(hint).into()))
}

/// Makes a defect of ours one line for the user instead of a backtrace, with what to tell us.
pub(crate) fn promise_no_backtrace() {
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        ui::complain(&format!("rocks: a defect in rocks itself at {place}: {}", panic.payload_as_str().unwrap_or("")));
        ui::complain("hint: please report it; RUST_BACKTRACE=1 shows more");
    }));
}

/// The error and its causes in one line, without a cause whose words the error before it has said already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    // What cannot be listened at says why in its own words.
    let last = error.chain().position(|cause| matches!(cause.downcast_ref(), Some(NetError::Listen { .. })));
    let causes = error.chain().take(last.map_or(usize::MAX, |at| at + 1));
    for cause in causes.map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// `No such file or directory (os error 2)` as `no such file or directory`.
fn without_error_numbers(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(" (os error ") {
        let said = rest[..at].rfind(": ").map_or(0, |colon| colon + 2);
        plain.push_str(&rest[..said]);
        plain.push_str(&rest[said..said + 1].to_lowercase());
        plain.push_str(&rest[said + 1..at]);
        rest = rest[at..].split_once(')').map_or("", |(_, after)| after);
    }
    plain + rest
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
        if let Some(error) = cause.downcast_ref::<DistributionError>() {
            return judge_distribution(error);
        }
        if let Some(error) = cause.downcast_ref::<GraphError>() {
            return judge_graph(error);
        }
        if let Some(error) = cause.downcast_ref::<NetError>() {
            return judge_net(error);
        }
        if cause.is::<InvalidNoun>() {
            return (Kind::Invalid, None);
        }
    }
    (Kind::Failed, None)
}

fn judge_distribution(error: &DistributionError) -> (Kind, Option<String>) {
    use DistributionError as E;
    match error {
        E::NoRepodata { path } => {
            (Kind::Invalid, Some(format!("make the metadata with: createrepo_c '{}'", path.display())))
        }
        E::Faults { .. } => {
            (Kind::Invalid, Some("mend these files, or make the metadata anew with createrepo_c".to_owned()))
        }
        E::File { error, .. } if error.kind() == std::io::ErrorKind::NotFound => (Kind::NotFound, None),
        E::File { path, error } => (Kind::Failed, io_hint(error, path)),
        E::Key { .. } => {
            (Kind::Invalid, Some("give an ASCII-armoured key, such as /etc/pki/rpm-gpg/RPM-GPG-KEY-*".to_owned()))
        }
        E::Metadata { .. } | E::Xml { .. } | E::Metainfo(_) => (Kind::Invalid, None),
        E::Index(_) => (Kind::Failed, Some("publish it again with: rocks add-distribution NAME PATH".to_owned())),
    }
}

fn judge_net(error: &NetError) -> (Kind, Option<String>) {
    use std::io::ErrorKind;
    match error {
        NetError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            (Kind::Conflict, Some("another rocks may run here already; choose another port, or end it".to_owned()))
        }
        NetError::Connect { .. } => {
            (Kind::Failed, Some("is 'rocks serve' running there, and its port open to this machine?".to_owned()))
        }
        NetError::Url { .. } => (Kind::Invalid, Some("a frontend's URL is like http://10.1.1.1:8080".to_owned())),
        _ => (Kind::Failed, None),
    }
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
        E::NewerDocument { .. } => {
            (Kind::Invalid, Some("import it with the rocks that wrote it, or a newer one".to_owned()))
        }
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
        E::Io { cause, path, .. } => (Kind::Failed, io_hint(cause, path)),
        E::Record { .. } | E::Database { .. } => (Kind::Failed, None),
    }
}

fn judge_graph(error: &GraphError) -> (Kind, Option<String>) {
    use GraphError as E;
    match error {
        E::Unreadable { .. } => (Kind::Failed, None),
        E::Eval { .. } => (Kind::Failed, Some("see its script with: rocks compile-graph ... --evals off".to_owned())),
        E::NoGraph { .. } => (Kind::NotFound, Some("the attribute 'graph' names it".to_owned())),
        E::RootNotInGraph { .. } => (Kind::NotFound, Some("see the nodes with: rocks list-graph".to_owned())),
        E::ShellValue { name, .. } => {
            (Kind::Invalid, Some(format!("if the script is written for it, allow it with: --evals-allow {name}")))
        }
        E::BadAttribute { name, .. } => {
            (Kind::Invalid, Some(format!("see where it is set with: rocks list-attribute {name}")))
        }
        E::Malformed { .. }
        | E::Condition { .. }
        | E::MissingNode { .. }
        | E::OrderCycle { .. }
        | E::ManyAttributes { .. }
        | E::TooLarge { .. } => (Kind::Invalid, None),
    }
}

fn not_found_hint(noun: &str, similar: Option<&str>) -> String {
    match similar {
        Some(similar) => format!("did you mean '{similar}'?"),
        None if noun == "interface" => "see them all with: rocks list-host".to_owned(),
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

/// Lines that stand before the last word: each wrong line of a list, each faulty file of a distribution.
fn details(error: &anyhow::Error) -> Vec<String> {
    let faults = error.chain().filter_map(|cause| match cause.downcast_ref::<DistributionError>() {
        Some(DistributionError::Faults { faults }) => Some(faults),
        _ => None,
    });
    error
        .chain()
        .filter_map(|cause| match cause.downcast_ref::<StoreError>() {
            Some(StoreError::Lines { name, errors }) => Some((name, errors)),
            _ => None,
        })
        .flat_map(|(name, errors)| errors.iter().map(move |(line, why)| format!("{name}:{line}: {why}")))
        .chain(faults.flatten().map(ToString::to_string))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let refused = std::io::Error::other("refused");
        let error = anyhow::Error::new(refused).context("cannot connect: refused").context("asking");
        assert_eq!(chain(&error), "asking: cannot connect: refused");
    }

    #[test]
    fn what_the_system_says_is_said_in_our_form() {
        for (said, ours) in [
            ("cannot open '/x': Permission denied (os error 13)", "cannot open '/x': permission denied"),
            ("a: B (os error 1): c: D (os error 2) e", "a: b: c: d e"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_error_numbers(said), ours);
        }
    }

    #[test]
    fn an_error_of_the_command_line_is_one_line() {
        let text =
            "error: required:\n  <NAME>...\n\nUsage: rocks x --cluster <DIR> <NAME>...\n\nFor more information, try";
        assert_eq!(usage_lines(text), ["rocks: required: <NAME>...", "usage: rocks x [OPTIONS] <NAME>..."]);
    }
}
