//! The line of a node file that a line of a Kickstart file was written in.
//!
//! Text is copied as it stands, attributes aside, so the lines of an element and those made of it have a longest common
//! subsequence; a line that is not in it (a script's output, shell that a `<file>` became) has no line of its own.

use super::configuration::Configuration;
use crate::profile::Origin;

/// The most lines of an element that are compared.
const LINES_MAX: usize = 2000;

impl Configuration {
    /// The line in which the line numbered `wanted` of these was written; `made` are all lines made of the element
    /// written at `origin`, whose tag is `tag`.
    pub fn source_line(&self, origin: &Origin, tag: &str, made: &[&str], wanted: usize) -> Option<u32> {
        let begin = origin.line?;
        let (_, file) = self.node_files().find(|(_, file)| file.source.shown == origin.file)?;
        let text = file.source.read().ok()?;
        let end = format!("</{tag}>");
        let mut written = Vec::new();
        for line in text.lines().skip(begin as usize - 1).take(LINES_MAX) {
            written.push(Pattern::new(line));
            if line.contains(&end) {
                break;
            }
        }
        let found = align(&written, made.get(..LINES_MAX.min(made.len()))?, wanted)?;
        Some(begin + u32::try_from(found).ok()?)
    }
}

/// A line as written: what stands between its attributes, tags left out.
struct Pattern(Vec<String>);

impl Pattern {
    fn new(line: &str) -> Self {
        let mut plain = String::new();
        let mut rest = line.replace("<![CDATA[", "").replace("]]>", "");
        while let Some(at) = rest.find('<') {
            plain.push_str(&rest[..at]);
            match rest[at..].find('>') {
                Some(end) => rest.replace_range(..=at + end, ""),
                None => rest.clear(),
            }
        }
        plain.push_str(&rest);
        let mut pieces = vec![String::new()];
        let mut rest = plain.trim();
        while let Some((before, after)) = rest.split_once('&') {
            let last = pieces.last_mut().expect("there is one from the beginning");
            last.push_str(before);
            let Some((name, behind)) = after.split_once(';') else {
                last.push('&');
                rest = after;
                continue;
            };
            match name {
                "lt" => last.push('<'),
                "gt" => last.push('>'),
                "amp" => last.push('&'),
                "quot" => last.push('"'),
                "apos" => last.push('\''),
                _ => pieces.push(String::new()),
            }
            rest = behind;
        }
        pieces.last_mut().expect("there is one from the beginning").push_str(rest);
        Self(pieces)
    }

    /// Whether a line can have been made of it; nothing is sure of a line that is blank or an attribute alone.
    fn makes(&self, line: &str) -> bool {
        if self.0.iter().all(|piece| piece.trim().is_empty()) {
            return false;
        }
        let line = line.trim();
        let [first, middle @ .., last] = &self.0[..] else { return self.0.first().is_some_and(|only| only == line) };
        let Some(mut rest) = line.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
            return false;
        };
        middle.iter().all(|piece| match rest.split_once(piece.as_str()) {
            Some((_, behind)) => {
                rest = behind;
                true
            }
            None => false,
        })
    }
}

/// Which of the lines written belongs to the one made.
fn align(written: &[Pattern], made: &[&str], wanted: usize) -> Option<usize> {
    // The longest common subsequence of what follows, for each pair.
    let width = made.len() + 1;
    let mut longest = vec![0u16; (written.len() + 1) * width];
    let fits: Vec<bool> = written.iter().flat_map(|line| made.iter().map(|made| line.makes(made))).collect();
    for i in (0..written.len()).rev() {
        for j in (0..made.len()).rev() {
            longest[i * width + j] = match fits[i * made.len() + j] {
                true => longest[(i + 1) * width + j + 1] + 1,
                false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < written.len() && j < made.len() {
        if fits[i * made.len() + j] {
            if j == wanted {
                return Some(i);
            }
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_where_it_was_written() {
        let written =
            "<post>\nif [ x ]; then\necho &amp; &name; end\nfi\n<file name='/x'>\na &lt; b\n</file>\nfi\n</post>";
        let written: Vec<Pattern> = written.lines().map(Pattern::new).collect();
        let made = ["", "if [ x ]; then", "echo & some thing end", "fi", "cat > /x", "a < b", "EOF", "fi"];
        let found: Vec<_> = (0..made.len()).map(|wanted| align(&written, &made, wanted)).collect();
        assert_eq!(found, [None, Some(1), Some(2), Some(3), None, Some(5), None, Some(7)]);
    }

    #[test]
    fn an_attribute_alone_makes_no_line_sure() {
        assert!(!Pattern::new("&a;").makes("x"));
        assert!(!Pattern::new("").makes(""));
        assert!(Pattern::new("a&b;c&d;e").makes("a1c2e"));
        assert!(!Pattern::new("a&b;c&d;e").makes("ace-no"));
        assert!(!Pattern::new("aa&b;aa").makes("aaa"));
    }
}
