//! A Kickstart file taken apart: commands, sections and their lines, as the installer's parser sees them.

use super::line;
use crate::profile::xml;

/// A Kickstart file, taken apart. Lines count from 1.
#[derive(Debug, Default)]
pub(super) struct Document<'t> {
    /// The commands and `%include`s outside sections, in order.
    pub(super) commands: Vec<CommandLine>,
    /// The sections, in order.
    pub(super) sections: Vec<SectionText<'t>>,
    /// Lines that cannot be read at all: line number and what is wrong.
    pub(super) broken: Vec<(u32, String)>,
}

/// One line outside the sections.
#[derive(Debug)]
pub(super) struct CommandLine {
    pub(super) line: u32,
    /// Its words; the first is the command's name.
    pub(super) words: Vec<String>,
}

/// One section.
#[derive(Debug)]
pub(super) struct SectionText<'t> {
    /// The line of its head.
    pub(super) line: u32,
    /// The words of its head; the first is its name (`%post`).
    pub(super) head: Vec<String>,
    /// Its lines with their numbers; without those of its `%include`s.
    pub(super) lines: Vec<(u32, &'t str)>,
    /// Files it includes.
    pub(super) includes: Vec<(u32, Vec<String>)>,
    /// Whether its `%end` is there.
    pub(super) ended: bool,
}

impl<'t> Document<'t> {
    /// Takes a file apart; `is_section` knows the names of sections.
    pub(super) fn read(text: &'t str, is_section: &dyn Fn(&str) -> bool) -> Self {
        let mut document = Self::default();
        let mut open: Option<SectionText<'t>> = None;
        for (number, text) in (1..).zip(lines(text)) {
            let trimmed = text.trim_start();
            if let Some(section) = open.as_mut().filter(|_| !trimmed.starts_with('%')) {
                section.lines.push((number, text));
                continue;
            }
            let first = trimmed.split_whitespace().next().unwrap_or_default();
            if let Some(section) = &mut open {
                if !first.starts_with('%') || !(matches!(first, "%end" | "%include") || is_section(first)) {
                    section.lines.push((number, text));
                    continue;
                }
                if first == "%include" {
                    match line::split(text) {
                        Ok(words) => section.includes.push((number, words)),
                        Err(why) => document.broken.push((number, format!("the line {why}"))),
                    }
                    continue;
                }
                let mut section = open.take().expect("it is open");
                section.ended = first == "%end";
                document.sections.push(section);
                if first == "%end" {
                    if let Err(why) = line::split(text) {
                        document.broken.push((number, format!("the line {why}")));
                    }
                    continue;
                }
            }
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let words = match line::split(text) {
                Ok(words) => words,
                Err(why) => {
                    document.broken.push((number, format!("the line {why}")));
                    continue;
                }
            };
            match words.first().map(String::as_str) {
                None | Some("") => document.broken.push((number, "the line begins with an empty word".to_owned())),
                Some(name) if name.starts_with('%') && !matches!(name, "%include" | "%ksappend") => {
                    if is_section(name) {
                        let section =
                            SectionText { line: number, head: words, lines: vec![], includes: vec![], ended: false };
                        open = Some(section);
                    } else if name == "%end" {
                        document.broken.push((number, "'%end' ends no section".to_owned()));
                    } else {
                        document.broken.push((number, format!("unknown section '{name}'")));
                    }
                }
                Some(_) => document.commands.push(CommandLine { line: number, words }),
            }
        }
        document.sections.extend(open);
        document
    }
}

impl SectionText<'_> {
    /// Its name (`%post`).
    pub(super) fn name(&self) -> &str {
        &self.head[0]
    }

    /// Its lines as one text.
    pub(super) fn text(&self) -> String {
        self.lines.iter().flat_map(|(_, line)| [*line, "\n"]).collect()
    }
}

/// Lines as Python splits them, without their ends, since the installer is written in it.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    // Most files end lines in one way only.
    let plain = !xml::any_byte(text, |b| b >= 0x80 || (b < 0x20 && b != b'\n' && b != b'\t'));
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if plain {
            let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            return Some(line);
        }
        let ends = |c: char| {
            matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
        };
        match rest.find(ends) {
            None => Some(std::mem::take(&mut rest)),
            Some(at) => {
                let line = &rest[..at];
                let end = rest[at..].chars().next().map_or(0, char::len_utf8);
                let end = if rest[at..].starts_with("\r\n") { 2 } else { end };
                rest = &rest[at + end..];
                Some(line)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document<'_> {
        Document::read(text, &|name| matches!(name, "%packages" | "%post" | "%pre"))
    }

    #[test]
    fn a_file_is_taken_apart_as_the_installer_does() {
        let document = read(
            "lang x # y\n\n%include /a\n%post --log=/x\necho %hi\n%files\n  %include /b\n%end\n%packages\n@core\n",
        );
        assert_eq!(document.commands.iter().map(|c| c.words.join(" ")).collect::<Vec<_>>(), ["lang x", "%include /a"]);
        let [post, packages] = &document.sections[..] else { panic!("{document:?}") };
        assert_eq!(
            (post.line, post.ended, &post.head[..]),
            (4, true, &["%post".to_owned(), "--log=/x".to_owned()][..])
        );
        assert_eq!(post.lines, [(5, "echo %hi"), (6, "%files")]);
        assert_eq!(post.includes.len(), 1);
        assert!(!packages.ended);
        assert_eq!(document.broken, []);
    }

    #[test]
    fn a_section_that_does_not_end_is_ended_by_the_next() {
        let document = read("%post\na\n%pre\nb\n%end\n%end\n%what\n\"\n");
        assert_eq!(document.sections.iter().map(|s| s.ended).collect::<Vec<_>>(), [false, true]);
        assert_eq!(document.broken.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [6, 7, 8]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(%(end|post|include)|[\\\\ \"'#x\r\n\u{85}]){0,60}") {
            let document = read(&text);
            let counted = document.commands.len() + document.broken.len() + document.sections.len();
            proptest::prop_assert!(counted <= 2 * lines(&text).count());
        }
    }
}
