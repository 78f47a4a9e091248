//! Shell that says exactly what was meant: quoting, here-documents whose end never stands in their content, and the
//! armour for text that a Kickstart file cannot carry.
//!
//! A Kickstart section ends at a line that begins with `%end` or another section's name, whoever wrote that line, and
//! the installer reads its file with line ends unified. Text that would be cut or changed travels as base64.

use std::fmt::Write;

/// A delimiter, like `wanted`, that is nowhere in the text.
pub(super) fn delimiter(wanted: &str, text: &str) -> String {
    if !text.contains(wanted) && !text.contains("\\\n") {
        return wanted.to_owned();
    }
    // Where a here-document is expanded, a backslash at the end of a line joins the next one to it.
    let mentions = |word: &str| {
        text.lines().any(|line| line.trim_end() == word)
            || (text.contains("\\\n") && text.replace("\\\n", "").lines().any(|line| line == word))
    };
    if !mentions(wanted) {
        return wanted.to_owned();
    }
    (1u32..).map(|n| format!("{wanted}-{n}")).find(|word| !mentions(word)).expect("a text has finitely many lines")
}

/// Whether a Kickstart section can carry this text as it is.
pub(super) fn fits_a_section(text: &str) -> bool {
    if memchr::memchr(b'\r', text.as_bytes()).is_some() {
        return false;
    }
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return true;
    }
    // What Python calls a line end, since that is how the installer splits its file.
    let ends =
        |c: char| matches!(c, '\n' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    !text.split(ends).any(is_directive)
}

fn is_directive(line: &str) -> bool {
    let Some(rest) = line.trim_start().strip_prefix('%') else { return false };
    let name = rest.split(char::is_whitespace).next().unwrap_or_default();
    matches!(
        name,
        "end"
            | "include"
            | "ksappend"
            | "addon"
            | "anaconda"
            | "certificate"
            | "onerror"
            | "packages"
            | "post"
            | "pre"
            | "pre-install"
            | "traceback"
    )
}

/// A word that the shell reads back as this text; variables in it are still expanded where `expand` is set.
pub(super) fn word(text: &str, expand: bool) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ':' | '@' | ',' | '=' | '%');
    if !text.is_empty() && text.chars().all(|c| plain(c) || (expand && matches!(c, '$' | '{' | '}'))) {
        return text.to_owned();
    }
    if expand && text.contains('$') {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('`', "\\`"));
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Base64 in lines of 76 characters, each with its newline.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + bytes.len() / 57 + 4);
    for line in bytes.chunks(57) {
        for group in line.chunks(3) {
            let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for place in 0..4 {
                let index = (bits >> (18 - 6 * place)) as usize & 63;
                out.push(if place <= group.len() { char::from(ALPHABET[index]) } else { '=' });
            }
        }
        out.push('\n');
    }
    out
}

/// How a here-document writes a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    /// The delimiter, where the text does not have it.
    pub(super) end: &'static str,
    /// Adds to the file instead of beginning it.
    pub(super) append: bool,
    /// Lets the shell expand variables and commands in the text.
    pub(super) expand: bool,
}

/// A here-document that begins a file with exactly this text.
pub(super) const LITERAL: Here = Here { end: "EOF", append: false, expand: false };

/// Appends the commands that write `text` into the file `target` (already a shell word).
///
/// A newline that begins the text is the line break after the here-document's head, as in the original; a text
/// without a final newline gets one.
pub(super) fn write_file(out: &mut String, target: &str, text: &str, here: Here) {
    let body = text.strip_prefix('\n').unwrap_or(text);
    let redirect = if here.append { ">>" } else { ">" };
    if !here.expand && !fits_a_section(body) {
        let mut bytes = body.to_owned();
        if !body.ends_with('\n') {
            bytes.push('\n');
        }
        let _ = write!(out, "base64 -d {redirect} {target} << 'EOF'\n{}EOF\n", base64(bytes.as_bytes()));
        return;
    }
    let end = delimiter(here.end, body);
    let quote = if here.expand { "" } else { "'" };
    let _ = write!(out, "cat {redirect} {target} << {quote}{end}{quote}\n{body}");
    if !body.is_empty() && !body.ends_with('\n') {
        out.push('\n');
    }
    let _ = writeln!(out, "{end}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_nowhere_in_the_text() {
        assert_eq!(delimiter("EOF", "a\nb"), "EOF");
        assert_eq!(delimiter("EOF", "a\nEOF\n"), "EOF-1");
        assert_eq!(delimiter("EOF", "EOF\nEOF-1"), "EOF-2");
        assert_eq!(delimiter("EOF", "EO\\\nF\n"), "EOF-1");
    }

    #[test]
    fn text_that_would_end_a_section_does_not_fit() {
        for text in ["%end", "a\n %end x", "a\r\nb", "a\u{2028}%post", "x\n%include /y", "\u{c}%packages"] {
            assert!(!fits_a_section(text), "{text:?}");
        }
        for text in ["", "100%end", "a\n%ending", "%h %l", "%files\n", "%{name}"] {
            assert!(fits_a_section(text), "{text:?}");
        }
    }

    #[test]
    fn words_are_quoted_only_where_needed() {
        assert_eq!(word("/etc/a-b.conf", false), "/etc/a-b.conf");
        assert_eq!(word("/etc/a b", false), "'/etc/a b'");
        assert_eq!(word("it's", false), "'it'\\''s'");
        assert_eq!(word("$HOME/x", true), "$HOME/x");
        assert_eq!(word("$HOME/x y", true), "\"$HOME/x y\"");
        assert_eq!(word("$HOME", false), "'$HOME'");
        assert_eq!(word("", false), "''");
    }

    #[test]
    fn base64_is_the_usual_one() {
        for (bytes, text) in [("", ""), ("f", "Zg==\n"), ("fo", "Zm8=\n"), ("foo", "Zm9v\n"), ("foobar", "Zm9vYmFy\n")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[255; 58]).lines().map(str::len).collect::<Vec<_>>(), [76, 4]);
    }
}
