//! What `check` reports: one thing that is wrong, with its place and the line shown.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It may be meant so.
    Warning,
    /// An installation would fail, or install something else than written.
    Error,
}

impl Severity {
    /// The word a reader sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// The file, as the reader knows it (`graphs/default/base.xml`); empty where it is none.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// A short name of this kind of finding (`unknown-node`).
    pub code: &'static str,
    /// What is wrong: lower case, no full stop, subject in quotes.
    pub message: String,
    /// The line of the file.
    pub shown: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The longest part of a line that is shown, in characters.
const SHOWN_CHARACTERS_MAX: usize = 160;

impl Finding {
    /// A finding without a place.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { file: String::new(), line: None, column: None, severity, code, message, shown: None, hint: None }
    }

    /// Puts it in a file at a line and column, both from 1.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: u32, column: u32) -> Self {
        (self.file, self.line, self.column) = (file.into(), Some(line), Some(column));
        self
    }

    /// Shows the line it stands in, taken out of the file's text.
    #[must_use]
    pub fn show(self, text: &str) -> Self {
        match self.line.and_then(|line| nth_line(text, line.saturating_sub(1) as usize)) {
            Some(line) => self.show_line(line),
            None => self,
        }
    }

    /// Shows a line.
    #[must_use]
    pub fn show_line(mut self, line: &str) -> Self {
        // A terminal is told nothing by what a file has in it.
        let harmless = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
        self.shown = Some(line.trim_end().chars().take(SHOWN_CHARACTERS_MAX).map(harmless).collect());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A line of a text, by its number from 0.
fn nth_line(text: &str, number: usize) -> Option<&str> {
    let begin = match number {
        0 => 0,
        number => memchr::memchr_iter(b'\n', text.as_bytes()).nth(number - 1)? + 1,
    };
    text.get(begin..)?.lines().next()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
            if let Some(line) = self.line {
                write!(f, "{line}:{}:", self.column.unwrap_or(1))?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: {} [{}]", self.severity.as_str(), self.message, self.code)?;
        if let Some(shown) = &self.shown {
            write!(f, "\n    | {shown}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    = {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_place_line_and_hint() {
        let finding = Finding::new(Severity::Error, "unknown-node", "edge to unknown node 'bas'")
            .at("graphs/default/base.xml", 2, 5)
            .show("<graph>\n    <edge from=\"a\" to=\"bas\"/>\n</graph>")
            .hint("did you mean 'base'?");
        assert_eq!(
            finding.to_string(),
            "graphs/default/base.xml:2:5: error: edge to unknown node 'bas' [unknown-node]\n    |     \
             <edge from=\"a\" to=\"bas\"/>\n    = did you mean 'base'?"
        );
    }
}
