//! One line of the command section, split into words as the installer splits it.

/// Splits a line into words: quotes and backslashes as in a POSIX shell, `#` begins a comment wherever it stands
/// outside quotes.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let bytes = line.as_bytes();
    if memchr::memchr3(b'"', b'\'', b'\\', bytes).is_none() {
        let plain = &line[..memchr::memchr(b'#', bytes).unwrap_or(line.len())];
        let words = plain.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
        return Ok(words.map(str::to_owned).collect());
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' => break,
            '\\' => {
                let next = characters.next().ok_or("ends with a backslash")?;
                word.get_or_insert_default().push(next);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or("has a quote that is never closed")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().ok_or("has a quote that is never closed")? {
                        '"' => break,
                        '\\' => match characters.next().ok_or("has a quote that is never closed")? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// A word that `split` reads back as this text.
pub(super) fn quote(text: &str) -> String {
    if !text.is_empty() && !text.contains([' ', '\t', '\r', '\n', '#', '\\', '\'', '"']) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_split_as_the_installer_splits_them() {
        let words = |line| split(line).map(|words| words.join("|"));
        assert_eq!(words("part / --size=1 # root"), Ok("part|/|--size=1".to_owned()));
        assert_eq!(words("rootpw abc#def"), Ok("rootpw|abc".to_owned()));
        assert_eq!(words(r#"a "b c"d 'e\f' g\ h "x\"y\z" """#), Ok(r#"a|b cd|e\f|g h|x"y\z|"#.to_owned()));
        assert_eq!(words("a 'b"), Err("has a quote that is never closed"));
        assert_eq!(words("a \\"), Err("ends with a backslash"));
    }

    proptest! {
        #[test]
        fn plain_lines_are_split_as_others(text in "[ab= \t\r\u{a0}#-]{0,30}") {
            // A quoted word at its end, and the line is no longer plain.
            let quoted = match text.contains('#') {
                true => text.replacen('#', " '' #", 1),
                false => format!("{text} ''"),
            };
            let mut words = split(&quoted).expect("its quotes are closed");
            prop_assert_eq!(words.pop(), Some(String::new()));
            prop_assert_eq!(split(&text), Ok(words));
        }

        #[test]
        fn quoted_words_come_back(text in any::<String>()) {
            prop_assert_eq!(split(&quote(&text)), Ok(vec![text]));
        }
    }
}
