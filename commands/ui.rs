//! The only file that prints: data on stdout, everything else on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// How a listing is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

/// Writes data to stdout; a reader that has gone away ends the program quietly.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(text.as_bytes())
}

/// As [`print`], for data that need not be text.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => Ok(result?),
    }
}

/// Writes one line for people to stderr.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Tells people something beside the result, on stderr: `rocks: 16 hosts added`.
pub(crate) fn note(line: &str) {
    complain(&format!("rocks: {line}"));
}

/// Prints a listing: `records` as a JSON array, or `rows` under `headings`.
pub(crate) fn list(
    format: Format,
    records: &[impl serde::Serialize],
    headings: &[&str],
    rows: impl FnOnce() -> Vec<Vec<String>>,
) -> anyhow::Result<()> {
    match format {
        Format::Json => json(&records),
        Format::Table => table(headings, &rows()),
    }
}

/// Prints a value as JSON, readable.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Prints rows under headings, columns as wide as their widest cell; nothing where there is no row.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let start = text.len();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        let end = text[start..].trim_end().len() + start;
        text.truncate(end);
        text.push('\n');
    };
    line(&mut headings.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    print(&text)
}

/// A cell for a value that may be absent.
pub(crate) fn cell(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Whether stdout shows colours: a terminal, and nobody asked for none.
pub(crate) fn stdout_is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A word that is typed as it stands, bold where help is shown on a terminal (clap strips it elsewhere).
pub(crate) fn literal(word: &str) -> String {
    let bold = clap::builder::styling::Style::new().bold();
    format!("{bold}{word}{bold:#}")
}

/// A progress bar over bytes on stderr where that is a terminal, else nothing.
pub(crate) fn byte_progress(total_bytes: u64, what: &str) -> ProgressBar {
    progress(total_bytes, what, "{msg:<24} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
}

/// A progress bar over things that are counted, on stderr where that is a terminal, else nothing.
pub(crate) fn count_progress(total: u64, what: &str) -> ProgressBar {
    progress(total, what, "{msg:<24} {wide_bar} {pos}/{len} {eta}")
}

fn progress(total: u64, what: &str, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).expect("the templates stand above");
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
        .with_style(style)
        .with_message(what.to_owned())
}

/// The largest text that is read from a file or from standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Reads the whole of a file, or of standard input where it is `-`, if it is no larger than a text may be.
pub(crate) fn read_bytes(path: &str) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, ErrorKind, Read};
    let mut bytes = Vec::new();
    match path {
        "-" => std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?,
        _ => std::fs::File::open(path)?.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?,
    };
    match bytes.len() as u64 > INPUT_BYTES_MAX {
        true => Err(Error::new(ErrorKind::FileTooLarge, format!("is larger than {} MB", INPUT_BYTES_MAX >> 20))),
        false => Ok(bytes),
    }
}

/// The same as text.
pub(crate) fn read_input(path: &str) -> anyhow::Result<String> {
    use crate::error::{Failure, Kind};
    let name = if path == "-" { "standard input" } else { path };
    let invalid = || Failure::new(Kind::Invalid, format!("'{name}' is not UTF-8 text"));
    let bytes = read_bytes(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            std::io::ErrorKind::FileTooLarge => Kind::Invalid,
            _ => Kind::Failed,
        };
        Failure::new(kind, format!("cannot read '{name}': {error}"))
    })?;
    Ok(String::from_utf8(bytes).map_err(|_| invalid())?)
}

/// One event of a daemon, for the journal: its level, then its keys and values.
pub(crate) fn log(level: rocks::net::log::Level, line: &str) {
    use rocks::net::log::Level;
    let word = match level {
        Level::Info => "info",
        Level::Warning => "warning",
    };
    complain(&format!("level={word} {line}"));
}

/// Bytes for people: `32.5 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    rocks::cluster::ByteSize::from_bytes(bytes).to_string()
}
