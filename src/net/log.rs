//! Where daemons say what happened: one event a line, `key=value`, as the journal likes it. The library prints
//! nothing; who starts a daemon hands it a place for its lines. Values that name a secret never get here.

use std::fmt::Write;
use std::sync::Arc;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The daily round.
    Info,
    /// Somebody should look.
    Warning,
}

/// A place for log lines.
#[derive(Clone)]
pub struct Log(Arc<Sink>);

/// What takes a line.
type Sink = dyn Fn(Level, &str) + Send + Sync;

impl Log {
    /// Lines go to this function.
    pub fn new(sink: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Lines go nowhere.
    pub fn silent() -> Self {
        Self::new(|_, _| {})
    }

    /// Notes an event of the daily round: its name, then its fields.
    pub fn info(&self, event: &str, fields: &[(&str, &dyn std::fmt::Display)]) {
        self.line(Level::Info, event, fields);
    }

    /// Notes an event that somebody should look at.
    pub fn warning(&self, event: &str, fields: &[(&str, &dyn std::fmt::Display)]) {
        self.line(Level::Warning, event, fields);
    }

    fn line(&self, level: Level, event: &str, fields: &[(&str, &dyn std::fmt::Display)]) {
        let mut line = format!("event={event}");
        for (key, value) in fields {
            let value = value.to_string();
            let _ = write!(line, " {key}=");
            push_value(&mut line, &value);
        }
        (self.0)(level, &line);
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

/// Whether a text from outside may have this character where a person reads it: none that moves the cursor, ends a line or
/// turns the direction of what stands around it.
pub(super) fn is_shown(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A bare word stays bare; anything else is quoted, so that a value never forges a field or a line.
fn push_value(line: &mut String, value: &str) {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_.:/,@%+[]".contains(c);
    if !value.is_empty() && value.chars().all(bare) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            c if is_shown(c) => line.push(c),
            _ => line.push(' '),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_value_forges_neither_field_nor_line() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let log = Log::new(move |level, line| seen.lock().expect("one thread").push((level, line.to_owned())));
        log.warning("denied", &[("path", &"/a b\n\"event=fine\u{202e}\u{1b}c"), ("status", &403), ("none", &"")]);
        let lines = lines.lock().expect("one thread");
        assert_eq!(
            lines[0],
            (Level::Warning, r#"event=denied path="/a b\n\"event=fine  c" status=403 none="""#.to_owned())
        );
    }
}
