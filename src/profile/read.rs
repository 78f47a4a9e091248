//! A profile read back from XML: ours, and that of the original compiler.
//!
//! The host's attributes are read from the entity declarations alone; the original's Python dictionary in
//! `attrs="..."` is never evaluated.

use super::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_BYTES_MAX, ATTRIBUTES_MAX, Content, Element, Origin, Profile, xml};
use std::collections::BTreeMap;
use std::sync::Arc;
use xml::{Piece, Scanner, Token, XmlError};

/// How large a document's text may become by what its entities stand for, in bytes.
const EXPANDED_BYTES_MAX: usize = 2 * xml::DOCUMENT_BYTES_MAX;

/// A document that is no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profile:{line}:{column}: {what}")]
pub struct ProfileError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong there.
    pub what: String,
}

impl Profile {
    /// Reads a profile.
    pub fn from_xml(text: &str) -> Result<Self, ProfileError> {
        read(text).map_err(|XmlError { offset, what }| {
            let (line, column) = xml::line_and_column(text, offset);
            ProfileError { line, column, what }
        })
    }
}

/// An element whose end has not been seen.
struct Unfinished<'a> {
    tag: &'a str,
    element: Element,
    text: String,
}

/// Strings seen before, so that `post` and `./nodes/base.xml` are kept once.
#[derive(Default)]
struct Interned(BTreeMap<Box<str>, Arc<str>>);

impl Interned {
    fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(text.into(), new.clone());
        new
    }
}

fn read(text: &str) -> Result<Profile, XmlError> {
    let mut scanner = Scanner::new(text)?;
    let mut entities = BTreeMap::new();
    let mut root = None;
    let mut closed = false;
    let mut interned = Interned::default();
    let mut expanded = 0;
    let mut stack: Vec<Unfinished<'_>> = Vec::new();
    let mut elements = Vec::new();
    while let Some(token) = scanner.next_token()? {
        let fail = |what: String| Err(XmlError { offset: scanner.offset(), what });
        expanded += expansion(&token, &entities);
        if expanded > EXPANDED_BYTES_MAX {
            return fail(format!("entities stand for more than {} MB", EXPANDED_BYTES_MAX >> 20));
        }
        match token {
            Token::Doctype(declarations) => entities = read_entities(text, declarations)?,
            Token::Open { name, .. } if closed => return fail(format!("'{name}' stands behind the end")),
            Token::Open { name, empty, .. } if root.is_none() => {
                if !matches!(name, "kickstart" | "jumpstart") {
                    return fail(format!("'{name}' is no profile: '<kickstart>' must come first"));
                }
                root = Some(name);
                closed = empty;
            }
            Token::Open { name, attributes, empty } => {
                if stack.len() == xml::DEPTH_MAX {
                    return fail(format!("elements stand more than {} deep", xml::DEPTH_MAX));
                }
                let element = open(name, &attributes, &entities, &mut interned);
                stack.push(Unfinished { tag: name, element, text: String::new() });
                if empty {
                    finish(&mut stack, &mut elements);
                }
            }
            Token::Close(name) => match stack.last() {
                Some(unfinished) if unfinished.tag == name => finish(&mut stack, &mut elements),
                Some(unfinished) => return fail(format!("'</{name}>' where '{}' is open", unfinished.tag)),
                None if root == Some(name) && !closed => closed = true,
                None => return fail(format!("'</{name}>' without a beginning")),
            },
            Token::Text(piece) => match stack.last_mut() {
                Some(unfinished) => push_piece(&piece, &entities, &mut unfinished.text),
                None if root.is_none() && !blank(&piece) => return fail("text before '<kickstart>'".into()),
                None => {}
            },
        }
    }
    if !closed {
        let what = match (root, stack.last()) {
            (None, _) => "is empty: no '<kickstart>'".to_owned(),
            (_, Some(unfinished)) => format!("ends inside '{}'", unfinished.tag),
            (_, None) => "ends before '</kickstart>'".to_owned(),
        };
        return Err(XmlError { offset: text.len(), what });
    }
    let (loader, elements): (Vec<Arc<Element>>, _) = elements.into_iter().partition(|e| e.name.as_ref() == "loader");
    let files = loader.iter().flat_map(|loader| &loader.children).filter_map(carried_file).collect();
    let attributes = entities.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Ok(Profile { attributes, elements, files })
}

/// A file that came along: `<include path="...">`.
fn carried_file(child: &Content) -> Option<(Arc<str>, Arc<str>)> {
    let Content::Element(include) = child else { return None };
    let path = include.attribute("path").filter(|_| include.name.as_ref() == "include")?;
    Some((path.into(), include.text().into()))
}

/// How many bytes the entities of a token stand for.
fn expansion(token: &Token<'_>, entities: &BTreeMap<&str, String>) -> usize {
    let of = |piece: &Piece<'_>| match piece {
        Piece::Entity { name, .. } => entities.get(name).map_or(0, String::len),
        Piece::Literal(_) => 0,
    };
    match token {
        Token::Text(piece) => of(piece),
        Token::Open { attributes, .. } => attributes.iter().flat_map(|attribute| &attribute.value).map(of).sum(),
        _ => 0,
    }
}

fn blank(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Literal(text) if text.trim().is_empty())
}

fn push_piece(piece: &Piece<'_>, entities: &BTreeMap<&str, String>, into: &mut String) {
    match piece {
        Piece::Literal(text) => into.push_str(text),
        Piece::Entity { name, .. } => into.push_str(entities.get(name).map_or("", String::as_str)),
    }
}

fn open(
    name: &str,
    attributes: &[xml::Attribute<'_>],
    entities: &BTreeMap<&str, String>,
    interned: &mut Interned,
) -> Element {
    let mut origin = Origin { roll: interned.get("unknown"), file: interned.get(""), line: None };
    let mut kept = Vec::with_capacity(attributes.len());
    for attribute in attributes {
        let mut value = String::new();
        for piece in &attribute.value {
            push_piece(piece, entities, &mut value);
        }
        match attribute.name {
            "roll" => origin.roll = interned.get(&value),
            "file" => origin.file = interned.get(&value),
            name => kept.push((interned.get(name), value.into())),
        }
    }
    Element { name: interned.get(name), attributes: kept, origin, children: Vec::new() }
}

/// Closes the innermost element and hands it to its parent.
fn finish(stack: &mut Vec<Unfinished<'_>>, elements: &mut Vec<Arc<Element>>) {
    let Some(Unfinished { mut element, text, .. }) = stack.pop() else { return };
    if !text.is_empty() {
        element.children.push(Content::Text(text.into()));
    }
    let element = Arc::new(element);
    match stack.last_mut() {
        None => elements.push(element),
        Some(parent) => {
            if !parent.text.is_empty() {
                parent.element.children.push(Content::Text(std::mem::take(&mut parent.text).into()));
            }
            parent.element.children.push(Content::Element(element));
        }
    }
}

/// The entities that a document declares: name and value, which is text. One that stands for another or for a file
/// is refused, so nothing grows and nothing is read.
fn read_entities<'t>(text: &str, declarations: &'t str) -> Result<BTreeMap<&'t str, String>, XmlError> {
    let mut entities = BTreeMap::new();
    let mut bytes = 0;
    let mut rest = declarations;
    while let Some(at) = rest.find("<!ENTITY") {
        let declaration = &rest[at..];
        // Both are parts of one text.
        let offset = declaration.as_ptr().addr() - text.as_ptr().addr();
        let fail = |what: String| XmlError { offset, what };
        let after = declaration["<!ENTITY".len()..].trim_start();
        let end = after.find(|c: char| c.is_ascii_whitespace()).unwrap_or(after.len());
        let (name, value) = after.split_at(end);
        let value = value.trim_start();
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let closed = quote.and_then(|quote| value[1..].find(quote));
        let Some(length) = closed.filter(|_| xml::is_name(name)) else {
            return Err(fail(
                "an entity has no name and value in quotes (a file or parameter cannot be one)".to_owned(),
            ));
        };
        let value_text = entity_value(&value[1..1 + length]).map_err(|what| fail(format!("entity '{name}' {what}")))?;
        bytes += name.len() + value_text.len();
        if value_text.len() > ATTRIBUTE_BYTES_MAX {
            return Err(fail(format!("entity '{name}' is longer than {ATTRIBUTE_BYTES_MAX} bytes")));
        }
        if entities.len() == ATTRIBUTES_MAX || bytes > ATTRIBUTES_BYTES_MAX {
            let what = format!("more than {ATTRIBUTES_MAX} entities, or {ATTRIBUTES_BYTES_MAX} bytes of them");
            return Err(fail(what));
        }
        entities.entry(name).or_insert(value_text);
        rest = &value[length + 2..];
    }
    Ok(entities)
}

/// An entity's value. The original writes an apostrophe as `\'`; we write it as a character reference, so a literal
/// `\'` can only be the original's.
fn entity_value(raw: &str) -> Result<String, String> {
    let unquoted = raw.replace("\\'", "'");
    let mut value = String::with_capacity(unquoted.len());
    let mut rest = unquoted.as_str();
    while let Some(at) = rest.find('&') {
        value.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|b| b == b';').map_or(1, |end| end + 1);
        let name = rest[1..end].trim_end_matches(';');
        let code = match name.strip_prefix('#') {
            Some(number) => match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
                None => number.parse().ok(),
            }
            .and_then(char::from_u32)
            .filter(|c| xml::is_xml_character(*c)),
            None => match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => None,
            },
        };
        value.push(code.ok_or("stands for more than text: a bare '&', or another entity")?);
        rest = &rest[end..];
    }
    value.push_str(rest);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(name: &str, attributes: &[(&str, &str)], children: Vec<Content>) -> Arc<Element> {
        let origin = Origin { roll: "r".into(), file: "./nodes/a.xml".into(), line: None };
        let attributes = attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Arc::new(Element { name: name.into(), attributes, origin, children })
    }

    #[test]
    fn a_profile_of_the_original_is_read() {
        let text = "<?xml version=\"1.0\" standalone=\"no\"?>\n<!DOCTYPE rocks-graph [\n\
            \t<!ENTITY n \"Bob\\'s &quot;A&amp;B&quot; 5&#x0025;\">\n\t<!ENTITY back \"C:\\new\">\n]>\n\
            <kickstart attrs=\"{'n': '&n;', 'back': '&back;'}\">\n<loader>\nlang x\n</loader>\n\
            <post cond=\"n &gt; 1\" roll=\"base\" file=\"./nodes/a.xml\">a&amp;b<file name=\"/x\" roll=\"base\" \
            file=\"./nodes/a.xml\"></file></post>\n</kickstart>\n";
        let profile = Profile::from_xml(text).expect("a profile");
        assert_eq!(profile.attribute("n"), Some("Bob's \"A&B\" 5%"));
        assert_eq!(profile.attribute("back"), Some("C:\\new"));
        assert_eq!(profile.elements.len(), 1);
        let post = &profile.elements[0];
        assert_eq!((post.attribute("cond"), post.origin.roll.as_ref()), (Some("n > 1"), "base"));
        assert_eq!(post.children[0], Content::Text("a&b".into()));
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for (text, line, column) in [
            ("", 1, 1),
            ("<html></html>", 1, 1),
            ("<kickstart>\n<a></b></kickstart>", 2, 4),
            ("<kickstart><a>", 1, 15),
            ("<kickstart></kickstart><a/>", 1, 24),
            ("x<kickstart/>", 1, 1),
        ] {
            let error = Profile::from_xml(text).expect_err(text);
            assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        }
        let deep = format!("<kickstart>{}", "<a>".repeat(xml::DEPTH_MAX + 1));
        assert!(Profile::from_xml(&deep).expect_err("deep").what.contains("deep"));
        let many = format!("<kickstart>{}", "<a/>".repeat(xml::ELEMENTS_MAX));
        assert!(Profile::from_xml(&many).expect_err("many").what.contains("elements"));
    }

    #[test]
    fn entities_are_text_and_do_not_grow() {
        let wrong = |declarations: &str| {
            let text = format!("<!DOCTYPE x [\n{declarations}]>\n<kickstart><post>&b;</post></kickstart>");
            Profile::from_xml(&text).expect_err("it is no text").to_string()
        };
        let bomb = wrong("<!ENTITY a \"aaaa\">\n<!ENTITY b \"&a;&a;&a;\">");
        assert_eq!(bomb, "profile:3:1: entity 'b' stands for more than text: a bare '&', or another entity");
        assert!(wrong("<!ENTITY b \"&b;\">").contains("another entity"));
        for file in ["<!ENTITY b SYSTEM \"file:///etc/passwd\">", "<!ENTITY % b \"x\">", "<!ENTITY b \"open>"] {
            assert!(wrong(file).starts_with("profile:"), "{file}");
        }
        assert!(wrong("<!ENTITY b SYSTEM \"file:///etc/passwd\">").contains("a file or parameter cannot be one"));
        assert!(wrong("<!ENTITY b \"&#0;\">").contains("more than text"));
        assert!(wrong(&format!("<!ENTITY b \"{}\">", "x".repeat(ATTRIBUTE_BYTES_MAX + 1))).contains("longer"));
        let many: String = (0..=ATTRIBUTES_MAX).map(|n| format!("<!ENTITY a{n} \"\">")).collect();
        assert!(wrong(&many).contains("more than"));
    }

    proptest! {
        #[test]
        fn profiles_cross_as_xml_unchanged(value in any::<String>(), text in any::<String>()) {
            let clean = |s: String| s.chars().filter(|c| xml::is_xml_character(*c)).collect::<String>();
            let (value, text) = (clean(value), clean(text));
            let inner = element("file", &[("name", "/etc/x"), ("k", &value)], vec![]);
            let mut children = vec![Content::Element(inner)];
            if !text.is_empty() {
                children.push(Content::Text(text.as_str().into()));
            }
            let profile = Profile {
                attributes: vec![("a.b".into(), value.as_str().into()), ("n".into(), text.as_str().into())],
                elements: vec![element("post", &[], children)],
                files: vec![("ansible/x.yml".into(), text.as_str().into())],
            };
            prop_assert_eq!(Profile::from_xml(&profile.to_xml()), Ok(profile));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(<kickstart>)?[<>&;!a/'\" =\\[\\]ENTITYx]{0,60}") {
            let _ = Profile::from_xml(&text);
        }
    }
}
