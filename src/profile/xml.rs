//! A small strict XML scanner: text in, tokens with byte offsets out. Entities other than the five of XML are left to
//! the caller, since here they are attributes of a host.
//!
//! Invariant: whatever it accepts has quoted attributes, no attribute twice, no bare `&` or `<`, and only characters
//! that XML 1.0 knows. It keeps no tree and no stack, so depth and balance are the caller's. It never expands
//! anything, so there is nothing to bomb.

use std::borrow::Cow;

/// The largest document that is read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// The most attributes of one element.
pub const ATTRIBUTES_PER_ELEMENT_MAX: usize = 256;
/// How deep elements may stand in each other.
pub const DEPTH_MAX: usize = 128;
/// The most elements of one document.
pub const ELEMENTS_MAX: usize = 200_000;
/// The most references (`&name;`, `&#10;`) of one document.
pub const REFERENCES_MAX: usize = 1_000_000;

/// A document that is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct XmlError {
    /// Where, in bytes from the start.
    pub offset: usize,
    /// What is wrong there.
    pub what: String,
}

/// A piece of text: as it is, or the name of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text, unescaped.
    Literal(Cow<'a, str>),
    /// `&name;`, none of the five of XML.
    Entity {
        /// The name.
        name: &'a str,
        /// Where its `&` stands.
        offset: usize,
    },
}

/// An attribute of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value, white space made blanks as XML has it.
    pub value: Vec<Piece<'a>>,
    /// Where its name stands.
    pub offset: usize,
}

/// What the scanner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<'a> {
    /// `<name ...>` or `<name .../>`; the latter is not followed by a `Close`.
    Open {
        /// The tag.
        name: &'a str,
        /// Its attributes in the order written.
        attributes: Vec<Attribute<'a>>,
        /// Whether it closes itself.
        empty: bool,
    },
    /// `</name>`.
    Close(&'a str),
    /// Text, an entity or a CDATA section; one run of text may be several tokens.
    Text(Piece<'a>),
    /// `<!DOCTYPE ...>`, what stands between.
    Doctype(&'a str),
}

/// Reads a document token by token.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    position: usize,
    /// Where the token last returned begins.
    token_offset: usize,
    elements: usize,
    references: usize,
}

impl<'a> Scanner<'a> {
    /// Begins to read; fails at the first character that XML does not know.
    pub fn new(text: &'a str) -> Result<Self, XmlError> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(XmlError { offset: 0, what: format!("is larger than {} MB", DOCUMENT_BYTES_MAX >> 20) });
        }
        if let Some((offset, character)) = first_bad_character(text) {
            return Err(XmlError { offset, what: format!("character U+{:04X} cannot stand in XML", character as u32) });
        }
        let position = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Ok(Self { text, position, token_offset: position, elements: 0, references: 0 })
    }

    /// Where the token last returned begins, in bytes.
    pub fn offset(&self) -> usize {
        self.token_offset
    }

    /// The next token, or none at the end. Comments, processing instructions and XML declarations are passed over.
    pub fn next_token(&mut self) -> Result<Option<Token<'a>>, XmlError> {
        loop {
            self.token_offset = self.position;
            let rest = &self.text[self.position..];
            let Some(first) = rest.as_bytes().first() else { return Ok(None) };
            if *first == b'&' {
                return self.reference().map(|piece| Some(Token::Text(piece)));
            }
            if *first != b'<' {
                return self.literal(rest).map(|piece| Some(Token::Text(piece)));
            }
            if rest.starts_with("<!--") {
                self.comment(rest)?;
            } else if let Some(inside) = rest.strip_prefix("<![CDATA[") {
                let end = inside.find("]]>").ok_or_else(|| self.error("CDATA section is not closed"))?;
                self.position += 9 + end + 3;
                return Ok(Some(Token::Text(Piece::Literal(line_ends(&inside[..end])))));
            } else if rest.starts_with("<?") {
                let end = rest.find("?>").ok_or_else(|| self.error("processing instruction is not closed"))?;
                self.position += end + 2;
            } else if rest.starts_with("<!DOCTYPE") {
                return self.doctype(rest).map(Some);
            } else if let Some(inside) = rest.strip_prefix("</") {
                let name = name_of(inside);
                let after = inside[name.len()..].trim_start_matches(is_blank);
                if name.is_empty() || !after.starts_with('>') {
                    return Err(self.error("closing tag is not well formed"));
                }
                self.position = self.text.len() - after.len() + 1;
                return Ok(Some(Token::Close(name)));
            } else {
                return self.open(rest).map(Some);
            }
        }
    }

    fn error(&self, what: impl Into<String>) -> XmlError {
        self.error_at(self.token_offset, what)
    }

    fn error_at(&self, offset: usize, what: impl Into<String>) -> XmlError {
        XmlError { offset, what: what.into() }
    }

    fn comment(&mut self, rest: &str) -> Result<(), XmlError> {
        let end = rest[4..].find("--").ok_or_else(|| self.error("comment is not closed"))? + 4;
        if !rest[end..].starts_with("-->") {
            return Err(self.error_at(self.position + end, "'--' cannot stand inside a comment"));
        }
        self.position += end + 3;
        Ok(())
    }

    fn literal(&mut self, rest: &'a str) -> Result<Piece<'a>, XmlError> {
        let end = rest.bytes().position(|b| b == b'<' || b == b'&').unwrap_or(rest.len());
        let text = &rest[..end];
        if let Some(at) = text.find("]]>") {
            return Err(self.error_at(self.position + at, "']]>' cannot stand in text"));
        }
        self.position += end;
        Ok(Piece::Literal(line_ends(text)))
    }

    /// Reads `&name;`, `&#10;` or `&#xA;` at the position.
    fn reference(&mut self) -> Result<Piece<'a>, XmlError> {
        let offset = self.position;
        self.references += 1;
        if self.references > REFERENCES_MAX {
            return Err(self.error_at(offset, format!("there are more than {REFERENCES_MAX} references ('&name;')")));
        }
        let rest = &self.text[offset + 1..];
        let bad = || XmlError { offset, what: "'&' is not followed by a name and ';' (write &amp;)".into() };
        if let Some(number) = rest.strip_prefix('#') {
            let end = number.bytes().take(12).position(|b| b == b';').ok_or_else(bad)?;
            let digits = &number[..end];
            let code = match digits.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => digits.parse(),
            };
            let character = code.ok().filter(|_| !digits.contains('+')).and_then(char::from_u32);
            let character = character.filter(|c| is_xml_character(*c));
            let character = character
                .ok_or_else(|| self.error_at(offset, format!("'&#{digits};' is no character that can stand in XML")))?;
            self.position += end + 3;
            return Ok(Piece::Literal(Cow::Owned(character.to_string())));
        }
        let name = name_of(rest);
        if name.is_empty() || !rest[name.len()..].starts_with(';') {
            return Err(bad());
        }
        self.position += name.len() + 2;
        let literal = match name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            _ => return Ok(Piece::Entity { name, offset }),
        };
        Ok(Piece::Literal(Cow::Borrowed(literal)))
    }

    fn open(&mut self, rest: &'a str) -> Result<Token<'a>, XmlError> {
        let name = name_of(&rest[1..]);
        if name.is_empty() {
            return Err(self.error("'<' is not followed by a name (write &lt;)"));
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(self.error(format!("there are more than {ELEMENTS_MAX} elements")));
        }
        self.position += 1 + name.len();
        let mut attributes: Vec<Attribute<'a>> = Vec::new();
        loop {
            let rest = &self.text[self.position..];
            let trimmed = rest.trim_start_matches(is_blank);
            let blanks = rest.len() - trimmed.len();
            self.position += blanks;
            if trimmed.starts_with('>') {
                self.position += 1;
                return Ok(Token::Open { name, attributes, empty: false });
            }
            if trimmed.starts_with("/>") {
                self.position += 2;
                return Ok(Token::Open { name, attributes, empty: true });
            }
            let key = name_of(trimmed);
            if trimmed.is_empty() {
                return Err(self.error(format!("tag '{name}' is not closed")));
            }
            if key.is_empty() || blanks == 0 {
                return Err(self.error_at(self.position, format!("tag '{name}' is not well formed")));
            }
            if attributes.iter().any(|known| known.name == key) {
                return Err(self.error_at(self.position, format!("attribute '{key}' is there twice")));
            }
            if attributes.len() == ATTRIBUTES_PER_ELEMENT_MAX {
                let what = format!("tag '{name}' has more than {ATTRIBUTES_PER_ELEMENT_MAX} attributes");
                return Err(self.error(what));
            }
            let offset = self.position;
            let value = self.attribute_value(&trimmed[key.len()..], key)?;
            attributes.push(Attribute { name: key, value, offset });
        }
    }

    /// Reads `= "value"` behind an attribute's name.
    fn attribute_value(&mut self, rest: &'a str, key: &str) -> Result<Vec<Piece<'a>>, XmlError> {
        let value = rest.trim_start_matches(is_blank).strip_prefix('=').map(|v| v.trim_start_matches(is_blank));
        let quote = value.and_then(|v| v.chars().next()).filter(|q| matches!(q, '"' | '\''));
        let (Some(value), Some(quote)) = (value, quote) else {
            return Err(self.error_at(self.position, format!("attribute '{key}' has no value in quotes")));
        };
        self.position = self.text.len() - value.len() + 1;
        let mut pieces = Vec::new();
        loop {
            let rest = &self.text[self.position..];
            let end = rest.bytes().position(|b| matches!(b, b'<' | b'&') || b == quote as u8);
            let Some(end) = end else {
                return Err(self.error_at(self.position, format!("value of attribute '{key}' is not closed")));
            };
            if end > 0 {
                pieces.push(Piece::Literal(blanks_of(&rest[..end])));
            }
            self.position += end;
            match rest.as_bytes()[end] {
                b'<' => {
                    let what = format!("'<' cannot stand in the value of attribute '{key}' (write &lt;)");
                    return Err(self.error_at(self.position, what));
                }
                b'&' => {
                    let piece = match self.reference()? {
                        Piece::Literal(Cow::Owned(text)) => Piece::Literal(Cow::Owned(blanks_of(&text).into_owned())),
                        piece => piece,
                    };
                    pieces.push(piece);
                }
                _ => {
                    self.position += 1;
                    return Ok(pieces);
                }
            }
        }
    }

    fn doctype(&mut self, rest: &'a str) -> Result<Token<'a>, XmlError> {
        let mut quote = None;
        let mut inside = false;
        for (i, byte) in rest.bytes().enumerate().skip("<!DOCTYPE".len()) {
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'[') => inside = true,
                (None, b']') => inside = false,
                (None, b'>') if !inside => {
                    self.position += i + 1;
                    return Ok(Token::Doctype(&rest["<!DOCTYPE".len()..i]));
                }
                _ => {}
            }
        }
        Err(self.error("'<!DOCTYPE' is not closed"))
    }
}

/// Whether a text is an XML name (letters, digits, `_ - . :`, anything beyond ASCII; no digit first).
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && name_of(text).len() == text.len()
}

/// Whether XML 1.0 knows a character.
pub fn is_xml_character(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a byte of a text is such a one: looked at many at once, since most texts have none.
fn any_byte(text: &str, is: impl Fn(u8) -> bool) -> bool {
    text.as_bytes().chunks(128).any(|bytes| bytes.iter().fold(false, |found, byte| found | is(*byte)))
}

/// The first character of a text that XML 1.0 does not know, and where it stands.
pub fn first_bad_character(text: &str) -> Option<(usize, char)> {
    // Bytes first: what is not to be found below 0x20 nor begins with 0xEF needs no decoding.
    if !any_byte(text, |b| (b < 0x20 && b != b'\t' && b != b'\n' && b != b'\r') || b == 0xef) {
        return None;
    }
    text.char_indices().find(|(_, c)| !is_xml_character(*c))
}

/// Line and column, both from 1, of a byte offset; the column counts characters.
pub fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line as u32, before[start..].chars().count() as u32 + 1)
}

/// Appends a text with `& < >` written as entities and carriage returns kept.
pub fn escape_text(text: &str, into: &mut String) {
    escape(text, into, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends a text as it may stand in an attribute's double quotes.
pub fn escape_attribute(text: &str, into: &mut String) {
    escape(text, into, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends a text as it may stand in an entity's declaration.
pub(super) fn escape_entity(text: &str, into: &mut String) {
    escape(text, into, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\'' => Some("&#39;"),
        b'%' => Some("&#37;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

fn escape(text: &str, into: &mut String, replacement: impl Fn(u8) -> Option<&'static str>) {
    let mut copied = 0;
    for (i, byte) in text.bytes().enumerate() {
        if let Some(entity) = replacement(byte) {
            into.push_str(&text[copied..i]);
            into.push_str(entity);
            copied = i + 1;
        }
    }
    into.push_str(&text[copied..]);
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The XML name that a text begins with, or nothing.
fn name_of(text: &str) -> &str {
    let first = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b':') || b >= 0x80;
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|b| first(*b)) {
        return "";
    }
    let end = bytes.iter().position(|b| !(first(*b) || b.is_ascii_digit() || matches!(b, b'-' | b'.')));
    &text[..end.unwrap_or(text.len())]
}

/// Line ends as XML has them: `\r\n` and a lone `\r` are `\n`.
pub fn line_ends(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
    }
}

/// White space in an attribute's value as XML has it: blanks.
pub fn blanks_of(text: &str) -> Cow<'_, str> {
    match text.contains(['\t', '\n', '\r']) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> Result<Vec<Token<'_>>, XmlError> {
        let mut scanner = Scanner::new(text)?;
        let mut all = Vec::new();
        while let Some(token) = scanner.next_token()? {
            all.push(token);
        }
        Ok(all)
    }

    fn literal(text: &str) -> Piece<'_> {
        Piece::Literal(Cow::Borrowed(text))
    }

    #[test]
    fn documents_become_tokens() {
        let text = "<?xml version=\"1.0\"?><a x='1&lt;&host;'\n y=\"&#65;\"><!-- no --><b/>t&amp;<![CDATA[<&]]></a >";
        let attributes = vec![
            Attribute {
                name: "x",
                value: vec![literal("1"), literal("<"), Piece::Entity { name: "host", offset: 32 }],
                offset: 24,
            },
            Attribute { name: "y", value: vec![Piece::Literal(Cow::Owned("A".into()))], offset: 41 },
        ];
        assert_eq!(
            tokens(text),
            Ok(vec![
                Token::Open { name: "a", attributes, empty: false },
                Token::Open { name: "b", attributes: vec![], empty: true },
                Token::Text(literal("t")),
                Token::Text(literal("&")),
                Token::Text(literal("<&")),
                Token::Close("a"),
            ])
        );
    }

    #[test]
    fn elements_and_references_are_counted() {
        let references = |count: usize| format!("<a b='{}'>{}</a>", "&x;".repeat(count / 2), "&#65;".repeat(count / 2));
        assert!(tokens(&references(REFERENCES_MAX)).is_ok());
        let many = tokens(&references(REFERENCES_MAX + 2)).expect_err("too many");
        assert_eq!(many.what, "there are more than 1000000 references ('&name;')");
        assert!(tokens(&"<a/>".repeat(ELEMENTS_MAX)).is_ok());
        let many = tokens(&"<a/>".repeat(ELEMENTS_MAX + 1)).expect_err("too many");
        assert_eq!((many.offset, many.what.as_str()), (4 * ELEMENTS_MAX, "there are more than 200000 elements"));
    }

    #[test]
    fn what_is_not_well_formed_is_refused_where_it_is() {
        for (text, offset) in [
            ("<a b>", 3),
            ("<a b=c>", 3),
            ("<a b='<'>", 6),
            ("<a b='1' b='2'>", 9),
            ("a & b", 2),
            ("a < b", 2),
            ("<a", 0),
            ("<a b='", 6),
            ("x ]]> y", 2),
            ("<!-- a -- b -->", 7),
            ("<![CDATA[ x", 0),
            ("&#0;", 0),
            ("&#+5;", 0),
            ("a\u{1}b", 1),
            ("<a b='1'c='2'>", 8),
            ("<!DOCTYPE a [", 0),
        ] {
            assert_eq!(tokens(text).map_err(|e| e.offset), Err(offset), "{text}");
        }
    }

    #[test]
    fn places_are_lines_and_columns() {
        assert_eq!(line_and_column("a\nüb", 4), (2, 2));
        assert_eq!(line_and_column("a", 9), (1, 2));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_scanner_panic_or_stall(text in "[<>&;!a'\"= /\\[\\]\\-?#x1\\n]{0,40}") {
            let _ = tokens(&text);
        }

        #[test]
        fn escaped_text_reads_back(text in any::<String>()) {
            let text: String = text.chars().filter(|c| is_xml_character(*c)).collect();
            let mut document = String::from("<a b=\"");
            escape_attribute(&text.replace(['\t', '\n', '\r'], " "), &mut document);
            document.push_str("\">");
            escape_text(&text, &mut document);
            let read = tokens(&document).expect("escaped");
            let mut found = String::new();
            for token in &read {
                match token {
                    Token::Open { attributes, .. } => {
                        let value: String = attributes[0].value.iter().map(|piece| match piece {
                            Piece::Literal(text) => text.as_ref(),
                            Piece::Entity { name, .. } => name,
                        }).collect();
                        prop_assert_eq!(value, text.replace(['\t', '\n', '\r'], " "));
                    }
                    Token::Text(Piece::Literal(piece)) => found.push_str(piece),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(found, text);
        }
    }
}
