//! A Kickstart file taken apart: commands, sections and their lines, as the installer's parser sees them.

use super::line;

/// The longest line outside of scripts that is read, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;
/// The most files that one section includes.
const INCLUDES_MAX: usize = 1000;

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
    /// All between its head and its end, as written.
    pub(super) body: &'t str,
    /// Files it includes, and where.
    pub(super) includes: Vec<Include>,
    /// Whether its `%end` is there.
    pub(super) ended: bool,
    /// The number of the body's first line.
    pub(super) first: u32,
    only_newlines: bool,
}

/// An `%include` within a section.
#[derive(Debug)]
pub(super) struct Include {
    pub(super) line: u32,
    pub(super) words: Vec<String>,
    /// Where its line begins in the body.
    offset: usize,
}

impl<'t> Document<'t> {
    /// Takes a file apart; `is_section` knows the names of sections.
    pub(super) fn read(text: &'t str, is_section: &dyn Fn(&str) -> bool) -> Self {
        let mut document = Self::default();
        let mut open: Option<(SectionText<'t>, usize)> = None;
        let only_newlines = ends_lines_with_newlines_only(text);
        let mut lines = Lines { text, at: 0, number: 1, only_newlines };
        while let Some(Line { number, text: line, offset }) = lines.next() {
            let trimmed = line.trim_start();
            if open.is_some() && !trimmed.starts_with('%') {
                lines.skip_to_percent();
                continue;
            }
            let first = trimmed.split_whitespace().next().unwrap_or_default();
            if let Some((section, begin)) = &mut open {
                if !(matches!(first, "%end" | "%include") || is_section(first)) {
                    continue;
                }
                if first == "%include" {
                    if section.includes.len() == INCLUDES_MAX || line.len() > LINE_BYTES_MAX {
                        document.broken.push((number, format!("a section includes more than {INCLUDES_MAX} files")));
                        continue;
                    }
                    match line::split(line) {
                        Ok(words) => section.includes.push(Include { line: number, words, offset: offset - *begin }),
                        Err(why) => document.broken.push((number, format!("the line {why}"))),
                    }
                    continue;
                }
                let (mut section, begin) = open.take().expect("it is open");
                section.ended = first == "%end";
                section.body = &text[begin..offset];
                document.sections.push(section);
                if first == "%end" {
                    if trimmed != "%end"
                        && let Err(why) = line::split(line)
                    {
                        document.broken.push((number, format!("the line {why}")));
                    }
                    continue;
                }
            }
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if line.len() > LINE_BYTES_MAX {
                document
                    .broken
                    .push((number, format!("the line is longer than {LINE_BYTES_MAX} bytes: it was not read")));
                continue;
            }
            let words = match line::split(line) {
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
                        let section = SectionText {
                            line: number,
                            head: words,
                            body: "",
                            includes: vec![],
                            ended: false,
                            first: lines.number,
                            only_newlines,
                        };
                        open = Some((section, lines.at));
                    } else if name == "%end" {
                        document.broken.push((number, "'%end' ends no section".to_owned()));
                    } else {
                        document.broken.push((number, format!("unknown section '{name}'")));
                    }
                }
                Some(_) => document.commands.push(CommandLine { line: number, words }),
            }
        }
        document.sections.extend(open.map(|(section, begin)| SectionText { body: &text[begin..], ..section }));
        document
    }
}

impl<'t> SectionText<'t> {
    /// Its name (`%post`).
    pub(super) fn name(&self) -> &str {
        &self.head[0]
    }

    /// Its lines with their numbers; without those of its `%include`s.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u32, &'t str)> {
        let lines = Lines { text: self.body, at: 0, number: self.first, only_newlines: self.only_newlines };
        let is_include =
            |line: &Line<'_>| self.includes.binary_search_by_key(&line.offset, |include| include.offset).is_ok();
        lines.filter(move |line| !is_include(line)).map(|line| (line.number, line.text))
    }

    /// Its lines as one text.
    pub(super) fn text(&self) -> String {
        self.lines().flat_map(|(_, line)| [line, "\n"]).collect()
    }
}

/// One line of a text, without its end.
struct Line<'t> {
    number: u32,
    text: &'t str,
    offset: usize,
}

/// Lines as Python splits them, since the installer is written in it; numbered as editors number them, by newlines.
struct Lines<'t> {
    text: &'t str,
    /// Where the next line begins.
    at: usize,
    /// Its number.
    number: u32,
    /// Whether nothing but newlines ends a line in this text, as in most.
    only_newlines: bool,
}

impl<'t> Iterator for Lines<'t> {
    type Item = Line<'t>;

    fn next(&mut self) -> Option<Line<'t>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (length, end) = match self.only_newlines {
            true => (memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len()), 1),
            false => {
                let length = rest.find(ends_a_line).unwrap_or(rest.len());
                let end = rest[length..].chars().next().map_or(0, char::len_utf8);
                (length, if rest[length..].starts_with("\r\n") { 2 } else { end })
            }
        };
        let line = Line { number: self.number, text: &rest[..length], offset: self.at };
        let next = (length + end).min(rest.len());
        self.number += u32::from(rest[length..next].ends_with('\n'));
        self.at += next;
        Some(line)
    }
}

impl Lines<'_> {
    /// Passes over lines that do not begin with `%`, blanks aside, where they are quick to pass over.
    fn skip_to_percent(&mut self) {
        if !self.only_newlines {
            return;
        }
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let found = loop {
            let Some(percent) = memchr::memchr(b'%', &bytes[at..]).map(|found| at + found) else { break bytes.len() };
            let line = memchr::memrchr(b'\n', &bytes[at..percent]).map_or(at, |newline| at + newline + 1);
            if self.text[line..percent].trim_start().is_empty() {
                break line;
            }
            at = memchr::memchr(b'\n', &bytes[percent..]).map_or(bytes.len(), |newline| percent + newline + 1);
        };
        let newlines = memchr::memchr_iter(b'\n', &bytes[self.at..found]).count();
        self.number += u32::try_from(newlines).expect("a text has fewer lines");
        self.at = found;
    }
}

/// What ends a line for Python, `\r\n` beside.
fn ends_a_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn ends_lines_with_newlines_only(text: &str) -> bool {
    let bytes = text.as_bytes();
    let wide = |at: usize| text[at..].starts_with(['\u{85}', '\u{2028}', '\u{2029}']);
    memchr::memchr3(b'\r', 0xb, 0xc, bytes).is_none()
        && memchr::memchr3(0x1c, 0x1d, 0x1e, bytes).is_none()
        && !memchr::memchr2_iter(0xc2, 0xe2, bytes).any(wide)
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
        assert_eq!(post.lines().collect::<Vec<_>>(), [(5, "echo %hi"), (6, "%files")]);
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

    #[test]
    fn lines_end_as_the_installer_ends_them_and_are_numbered_as_an_editor_numbers_them() {
        let document = read("a\u{b}b\r\n%post\u{2028}x\u{85}%include /y\ry\nz\n%end\u{c}c\n%include q");
        let commands: Vec<_> = document.commands.iter().map(|c| (c.line, c.words.join(" "))).collect();
        let command = |line, words: &str| (line, words.to_owned());
        assert_eq!(commands, [command(1, "a"), command(1, "b"), command(4, "c"), command(5, "%include q")]);
        let [post] = &document.sections[..] else { panic!("{document:?}") };
        assert_eq!(post.lines().collect::<Vec<_>>(), [(2, "x"), (2, "y"), (3, "z")]);
        assert_eq!(post.includes.iter().map(|include| include.line).collect::<Vec<_>>(), [2]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_passed_over_changes_nothing(text in "(%(end|post|include x)|[ax%\u{e9}\u{2003} \n]){0,40}") {
            let quick = read(&text);
            // One strange line end at the very end, and every line is looked at.
            let strange = format!("{text}\r");
            let slow = read(&strange);
            let lines = |document: &Document<'_>| -> Vec<_> {
                let of = |section: &SectionText<'_>| -> Vec<_> {
                    section.lines().map(|(line, text)| (line, text.to_owned())).filter(|(_, text)| !text.is_empty()).collect()
                };
                document.sections.iter().map(|section| (section.line, section.ended, of(section))).collect()
            };
            proptest::prop_assert_eq!(lines(&quick), lines(&slow));
            proptest::prop_assert_eq!(quick.broken, slow.broken);
        }

        #[test]
        fn no_text_is_too_strange(text in "(%(end|post|include)|[\\\\ \"'#x\r\n\u{85}]){0,60}") {
            let document = read(&text);
            let counted = document.commands.len() + document.broken.len() + document.sections.len();
            proptest::prop_assert!(counted <= 2 * text.split(ends_a_line).count());
        }
    }
}
