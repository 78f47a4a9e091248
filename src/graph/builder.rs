//! Builds the elements of a profile out of beginnings, ends and text, whether they come from a node file or out of a
//! script's mouth.

use super::error::{GraphError, Place};
use crate::profile::cond::Condition;
use crate::profile::xml::{self, Piece, Scanner, Token};
use crate::profile::{Content, Element, Origin};
use std::sync::Arc;

/// The most text of one profile that is made for a host, in bytes of XML.
pub const PROFILE_BYTES_MAX: usize = 64 << 20;

/// An element whose end has not come.
struct Unfinished {
    element: Element,
    text: Text,
}

/// Text that is not yet content: shared as long as it is one piece.
#[derive(Default)]
enum Text {
    #[default]
    Empty,
    Shared(Arc<str>),
    Owned(String),
}

impl Text {
    fn push(&mut self, more: &str) {
        match self {
            Self::Empty => *self = Self::Owned(more.to_owned()),
            Self::Shared(text) => {
                let text = text.to_string() + more;
                *self = Self::Owned(text);
            }
            Self::Owned(text) => text.push_str(more),
        }
    }

    fn take(&mut self) -> Option<Content> {
        match std::mem::take(self) {
            Self::Empty => None,
            Self::Shared(text) => Some(Content::Text(text)),
            Self::Owned(text) => Some(Content::Text(text.into())),
        }
    }
}

/// Elements on the way to a profile. Text outside of elements has no meaning and is dropped.
pub(super) struct Builder {
    roll: Arc<str>,
    file: Arc<str>,
    stack: Vec<Unfinished>,
    elements: Vec<Arc<Element>>,
    made_bytes: usize,
}

/// How a raw text finds what `&name;` stands for: none is an error already told.
pub(super) type Resolve<'r> = dyn FnMut(&str, bool) -> Result<Arc<str>, GraphError> + 'r;

impl Builder {
    pub(super) fn new() -> Self {
        Self { roll: "".into(), file: "".into(), stack: Vec::new(), elements: Vec::new(), made_bytes: 0 }
    }

    /// What comes next is from this file.
    pub(super) fn enter(&mut self, roll: &Arc<str>, file: &Arc<str>) {
        (self.roll, self.file) = (roll.clone(), file.clone());
    }

    pub(super) fn finish(self) -> Vec<Arc<Element>> {
        self.elements
    }

    /// Whether the condition of an element around what comes next asks for an attribute, so that its absence is meant.
    pub(super) fn guards(&self, attribute: &str) -> bool {
        let asks = |cond: &str| Condition::parse(cond).is_ok_and(|cond| cond.names().contains(&attribute));
        self.stack.iter().any(|unfinished| unfinished.element.attribute("cond").is_some_and(asks))
    }

    /// How many elements are done.
    pub(super) fn count(&self) -> usize {
        self.elements.len()
    }

    /// Drops the elements done after so many.
    pub(super) fn forget_after(&mut self, count: usize) {
        self.elements.truncate(count);
    }

    /// How many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.stack.len()
    }

    /// The element that is open, by its tag.
    pub(super) fn innermost(&self) -> Option<&str> {
        self.stack.last().map(|unfinished| unfinished.element.name.as_ref())
    }

    pub(super) fn open(
        &mut self,
        name: &Arc<str>,
        attributes: Vec<(Arc<str>, Arc<str>)>,
        place: &Place,
    ) -> Result<(), GraphError> {
        let origin = Origin { roll: self.roll.clone(), file: self.file.clone(), line: Some(place.line) };
        self.open_from(name, attributes, origin, place)
    }

    fn open_from(
        &mut self,
        name: &Arc<str>,
        attributes: Vec<(Arc<str>, Arc<str>)>,
        origin: Origin,
        place: &Place,
    ) -> Result<(), GraphError> {
        if self.stack.len() == xml::DEPTH_MAX {
            let what = format!("elements stand more than {} deep", xml::DEPTH_MAX);
            return Err(GraphError::Malformed { place: place.clone(), what });
        }
        let made = attributes.iter().map(|(_, value)| xml_bytes(value)).sum();
        self.made(made, place)?;
        let element = Element { name: name.clone(), attributes, origin, children: Vec::new() };
        self.stack.push(Unfinished { element, text: Text::Empty });
        Ok(())
    }

    /// Ends the innermost element.
    pub(super) fn close(&mut self) {
        let Some(Unfinished { mut element, mut text }) = self.stack.pop() else { return };
        element.children.extend(text.take());
        self.whole(Arc::new(element));
    }

    pub(super) fn whole(&mut self, element: Arc<Element>) {
        match self.stack.last_mut() {
            None => self.elements.push(element),
            Some(parent) => {
                let before = parent.text.take();
                parent.element.children.extend(before);
                parent.element.children.push(Content::Element(element));
            }
        }
    }

    pub(super) fn shared_text(&mut self, text: &Arc<str>) {
        if let Some(parent) = self.stack.last_mut() {
            match &mut parent.text {
                Text::Empty => parent.text = Text::Shared(text.clone()),
                other => other.push(text),
            }
        }
    }

    pub(super) fn text(&mut self, text: &str, place: &Place) -> Result<(), GraphError> {
        if let Some(parent) = self.stack.last_mut().filter(|_| !text.is_empty()) {
            parent.text.push(text);
            self.made(xml_bytes(text), place)?;
        }
        Ok(())
    }

    /// Reads text as XML and takes what is in it, root tags aside; elements keep a roll and file of their own.
    pub(super) fn raw(&mut self, text: &str, place: &Place, resolve: &mut Resolve<'_>) -> Result<(), GraphError> {
        let fail = |offset: usize, what: String| {
            let (line, column) = xml::line_and_column(text, offset);
            let what = format!("what is inserted here is no XML: line {line}, column {column}: {what}");
            GraphError::Malformed { place: place.clone(), what }
        };
        let mut scanner = Scanner::new(text).map_err(|error| fail(error.offset, error.what))?;
        while let Some(token) = scanner.next_token().map_err(|error| fail(error.offset, error.what))? {
            match token {
                Token::Open { name: "kickstart" | "jumpstart", .. } | Token::Close("kickstart" | "jumpstart") => {}
                Token::Open { name, attributes, empty } => {
                    let mut origin =
                        Origin { roll: self.roll.clone(), file: self.file.clone(), line: Some(place.line) };
                    let mut kept = Vec::with_capacity(attributes.len());
                    for attribute in &attributes {
                        let value: Arc<str> = joined(&attribute.value, true, resolve)?.into();
                        match attribute.name {
                            "roll" => origin.roll = value,
                            "file" => origin.file = value,
                            name => kept.push((name.into(), value)),
                        }
                    }
                    self.open_from(&name.into(), kept, origin, place)?;
                    if empty {
                        self.close();
                    }
                }
                Token::Close(name) => {
                    if self.innermost() != Some(name) {
                        let open = self.innermost().map_or_else(|| "nothing".to_owned(), |open| format!("'{open}'"));
                        return Err(fail(scanner.offset(), format!("'</{name}>' where {open} is open")));
                    }
                    self.close();
                }
                Token::Text(piece) => {
                    let text = joined(&[piece], false, resolve)?;
                    self.text(&text, place)?;
                }
                Token::Doctype(_) => return Err(fail(scanner.offset(), "'<!DOCTYPE' cannot stand here".into())),
            }
        }
        Ok(())
    }

    fn made(&mut self, bytes: usize, place: &Place) -> Result<(), GraphError> {
        self.made_bytes += bytes;
        if self.made_bytes > PROFILE_BYTES_MAX {
            return Err(GraphError::TooLarge { place: place.clone(), limit_bytes: PROFILE_BYTES_MAX });
        }
        Ok(())
    }
}

/// How many bytes a text takes at most when it is written as XML.
fn xml_bytes(text: &str) -> usize {
    let escaped = memchr::memchr3_iter(b'&', b'<', b'>', text.as_bytes()).count();
    text.len() + escaped * "amp;".len()
}

fn joined(pieces: &[Piece<'_>], in_attribute: bool, resolve: &mut Resolve<'_>) -> Result<String, GraphError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Entity { name, .. } => text.push_str(&resolve(name, in_attribute)?),
        }
    }
    Ok(text)
}
