//! Reads the XML of metadata as a stream of openings, texts and closings, with bounded memory.

use super::DistributionError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::borrow::Cow;
use std::cell::Cell;
use std::io::{BufRead, Error, Read};
use std::path::Path;
use std::rc::Rc;

/// One tag or one text has at most this many bytes.
pub(super) const TOKEN_BYTES_MAX: u64 = 4 << 20;
/// Elements are nested at most this deep.
const DEPTH_MAX: usize = 64;

/// What a reader of metadata is told. Names are without their prefix (`entry` for `rpm:entry`).
pub(super) enum Node<'a> {
    /// An element begins.
    Open(&'a str, Attributes<'a>),
    /// An element ends; all text directly before the end, with entities resolved.
    Close(&'a str, &'a str),
}

/// The attributes of a tag.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl<'a> Attributes<'a> {
    /// The value of an attribute.
    pub(super) fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.0.try_get_attribute(name).ok()??.normalized_value(XmlVersion::Implicit1_0).ok()
    }
}

/// Reads a document and tells `handle` of each element; its error text names what is wrong.
pub(super) fn read(
    path: &Path,
    reader: impl BufRead,
    handle: &mut dyn FnMut(Node<'_>) -> Result<(), String>,
) -> Result<(), DistributionError> {
    let token_left = Rc::new(Cell::new(TOKEN_BYTES_MAX));
    let mut reader = Reader::from_reader(Metered { reader, left: Rc::clone(&token_left) });
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut text) = (Vec::new(), String::new());
    let mut depth = 0;
    loop {
        buffer.clear();
        token_left.set(TOKEN_BYTES_MAX);
        let result = reader.read_event_into(&mut buffer);
        let offset = reader.buffer_position();
        let wrong = |why: String| DistributionError::Xml { path: path.to_owned(), offset, why };
        match result.map_err(|error| wrong(error.to_string()))? {
            Event::Start(tag) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(wrong(format!("elements are nested deeper than {DEPTH_MAX}")));
                }
                text.clear();
                let name = tag.local_name();
                handle(Node::Open(name.as_ref(), Attributes(&tag))).map_err(wrong)?;
            }
            Event::End(tag) => {
                depth -= 1;
                let name = tag.local_name();
                handle(Node::Close(name.as_ref(), &text)).map_err(wrong)?;
                text.clear();
            }
            Event::Text(part) => push(&mut text, &part.xml10_content()).map_err(wrong)?,
            Event::CData(part) => push(&mut text, &part.xml10_content()).map_err(wrong)?,
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character.to_string(),
                    _ => quick_xml::escape::resolve_xml_entity(&reference)
                        .ok_or_else(|| wrong("an unknown entity".into()))?
                        .to_owned(),
                };
                push(&mut text, &resolved).map_err(wrong)?;
            }
            Event::Eof if depth > 0 => return Err(wrong("the document ends inside an element".into())),
            Event::Eof => return Ok(()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn push(text: &mut String, part: &str) -> Result<(), String> {
    if (text.len() + part.len()) as u64 > TOKEN_BYTES_MAX {
        return Err(format!("a text is longer than {TOKEN_BYTES_MAX} bytes"));
    }
    text.push_str(part);
    Ok(())
}

/// A reader that fails where one token takes too many bytes.
struct Metered<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left.get() == 0 {
            return Err(Error::other(format!("a tag or text is longer than {TOKEN_BYTES_MAX} bytes")));
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.left.set(self.left.get().saturating_sub(count as u64));
        self.reader.consume(count);
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(xml: &str) -> Result<Vec<String>, DistributionError> {
        let mut told = Vec::new();
        read(Path::new("x.xml"), xml.as_bytes(), &mut |node| {
            told.push(match node {
                Node::Open(name, attributes) => format!("<{name} {}", attributes.get("a").unwrap_or_default()),
                Node::Close(name, text) => format!("{name}> {text}"),
            });
            Ok(())
        })?;
        Ok(told)
    }

    #[test]
    fn elements_attributes_and_entities_are_told() {
        let told = tell("<p:m a='1 &lt; 2'><b/>x &amp; &#65;<![CDATA[<y>]]></p:m>").expect("well-formed");
        assert_eq!(told, ["<m 1 < 2", "<b ", "b> ", "m> x & A<y>"]);
    }

    #[test]
    fn broken_deep_and_bloated_documents_are_errors() {
        let deep = "<a>".repeat(100);
        let bloated = format!("<a>{}</a>", "x".repeat(5 << 20));
        for xml in ["<a>", "<a></b>", "<a>&bomb;</a>", &deep, &bloated] {
            assert!(tell(xml).is_err(), "{}", &xml[..xml.len().min(20)]);
        }
    }
}
