//! A graph file: its edges ("from includes to") and orders ("head before tail").
//!
//! Unknown elements are passed over, as the original does; `lint` names them. A condition is read here and judged
//! later, so that a broken one stops only those compiles that need it.

use super::error::{GraphError, Place};
use super::locate::Locator;
use crate::profile::cond::{self, CondError, Condition};
use crate::profile::xml::{self, Attribute, Piece, Scanner, Token, XmlError};
use std::sync::Arc;

/// The name of an order's side that is not given: no node can have it.
pub(super) const NAMELESS: &str = "\0";

/// The longest name of a node, in bytes: its file has one as long, and `.xml`.
pub const NAME_BYTES_MAX: usize = 250;

/// A condition as it was read, or why it could not be.
pub type ReadCondition = Result<Condition, CondError>;

/// An edge of the graph.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The node that includes.
    pub from: Arc<str>,
    /// The node that is included.
    pub to: Arc<str>,
    /// What is judged when the node is reached first along this edge: false drops the node, not what it includes.
    pub condition: ReadCondition,
    /// What is judged before the edge counts at all (edges written with `<to>` or `<from>`).
    pub gate: Option<ReadCondition>,
    /// The roll of its file.
    pub roll: Arc<str>,
    /// Where it is written.
    pub place: Place,
}

impl Edge {
    /// Everything this edge stands under, for people.
    pub fn shown_condition(&self) -> String {
        let text = |condition: &ReadCondition| match condition {
            Ok(condition) => condition.as_str().to_owned(),
            Err(error) => error.condition.clone(),
        };
        text(self.gate.as_ref().unwrap_or(&self.condition))
    }
}

/// An order of two nodes.
#[derive(Debug, Clone)]
pub struct Order {
    /// The node that comes first.
    pub head: Arc<str>,
    /// The node that comes later.
    pub tail: Arc<str>,
    /// The generator it is for; none means all.
    pub generator: Option<Arc<str>>,
    /// Where it is written.
    pub place: Place,
}

/// What a graph file says.
#[derive(Debug, Clone, Default)]
pub struct GraphFile {
    /// Its edges in the order written.
    pub edges: Vec<Edge>,
    /// Its orders in the order written.
    pub orders: Vec<Order>,
}

impl GraphFile {
    /// Reads a graph file.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, GraphError> {
        Parser::new(file, text).run().map_err(|XmlError { offset, what }| {
            let (line, column) = xml::line_and_column(text, offset);
            GraphError::Malformed { place: Place { file: file.clone(), line, column }, what }
        })
    }
}

/// The `<edge>` that is open.
#[derive(Default)]
struct OpenEdge {
    from: Option<Arc<str>>,
    to: Option<Arc<str>>,
    condition: String,
    gate: String,
    offset: usize,
    /// Where its last `<to>` or `<from>` begins.
    child_offset: usize,
}

/// The `<order>` that is open.
#[derive(Default)]
struct OpenOrder {
    head: Option<Arc<str>>,
    tail: Option<Arc<str>>,
    default_generator: Option<Arc<str>>,
    generator: Option<Arc<str>>,
    offset: usize,
    /// Where its last `<head>` or `<tail>` begins.
    child_offset: usize,
}

struct Parser<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    locator: Locator<'a>,
    found: GraphFile,
    roll: Arc<str>,
    edge: Option<OpenEdge>,
    order: Option<OpenOrder>,
    /// Text since the last `<to>`, `<from>`, `<head>` or `<tail>`.
    name: String,
}

impl<'a> Parser<'a> {
    fn new(file: &'a Arc<str>, text: &'a str) -> Self {
        let (edge, order, name) = (None, None, String::new());
        let locator = Locator::new(file, text);
        Self { file, text, locator, found: GraphFile::default(), roll: "base".into(), edge, order, name }
    }

    fn run(mut self) -> Result<GraphFile, XmlError> {
        let mut scanner = Scanner::new(self.text)?;
        let mut open: Vec<&str> = Vec::new();
        let mut closed = false;
        while let Some(token) = scanner.next_token()? {
            let offset = scanner.offset();
            let fail = |what: String| Err(XmlError { offset, what });
            match token {
                Token::Doctype(declared) if declared.contains("<!ENTITY") => {
                    return fail("graph files cannot declare entities".into());
                }
                Token::Doctype(_) => {}
                Token::Open { .. } if closed => return fail("a second root element".into()),
                Token::Open { name, attributes, empty } => {
                    if open.len() == xml::DEPTH_MAX {
                        return fail(format!("elements stand more than {} deep", xml::DEPTH_MAX));
                    }
                    self.open(name, &attributes, offset)?;
                    open.push(name);
                    if empty {
                        self.close(name)?;
                        open.pop();
                        closed = open.is_empty();
                    }
                }
                Token::Close(name) => {
                    match open.pop() {
                        Some(expected) if expected == name => self.close(name)?,
                        Some(expected) => return fail(format!("'</{name}>' where '{expected}' is open")),
                        None => return fail(format!("'</{name}>' without a beginning")),
                    }
                    closed = open.is_empty();
                }
                Token::Text(Piece::Literal(text)) => {
                    if open.is_empty() && !text.trim().is_empty() {
                        return fail("text outside of the root element".into());
                    }
                    self.name.push_str(&text);
                }
                // Attributes of a host are not known here: in text they vanish.
                Token::Text(Piece::Entity { .. }) => {}
            }
        }
        match open.last() {
            Some(name) => Err(XmlError { offset: self.text.len(), what: format!("ends inside '{name}'") }),
            None if !closed => Err(XmlError { offset: self.text.len(), what: "has no root element".into() }),
            None => Ok(self.found),
        }
    }

    fn open(&mut self, name: &str, attributes: &[Attribute<'_>], offset: usize) -> Result<(), XmlError> {
        let mut values = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            let value = plain(attribute)?;
            if matches!(attribute.name, "from" | "to" | "head" | "tail") {
                check_name(&value, attribute.offset)?;
            }
            values.push((attribute.name, value));
        }
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        match name {
            "graph" => self.roll = value("roll").filter(|roll| !roll.is_empty()).unwrap_or("base").into(),
            "edge" => {
                let condition = cond::create(value("arch"), value("os"), value("release"), value("cond"));
                let (from, to) = (value("from").map(Into::into), value("to").map(Into::into));
                self.edge = Some(OpenEdge { from, to, condition, gate: String::new(), offset, child_offset: offset });
            }
            "to" | "from" => {
                self.name.clear();
                let Some(edge) = &mut self.edge else {
                    return Err(XmlError { offset, what: format!("'<{name}>' outside of '<edge>'") });
                };
                edge.child_offset = offset;
                let inner = match value("cond") {
                    Some(cond) if cond.trim().is_empty() => {
                        return Err(XmlError { offset, what: format!("'cond' of '<{name}>' is empty") });
                    }
                    // The original dies where the edge has no condition of its own; the child's alone is meant.
                    Some(cond) if edge.condition.is_empty() => format!("( {cond} )"),
                    Some(cond) => format!("( {} and {cond} )", edge.condition),
                    None => edge.condition.clone(),
                };
                edge.gate = cond::create(value("arch"), value("os"), value("release"), Some(&inner));
            }
            "order" => {
                let given = |name| value(name).map(Into::into);
                let generator: Option<Arc<str>> = given("gen");
                self.order = Some(OpenOrder {
                    head: given("head"),
                    tail: given("tail"),
                    default_generator: generator.clone(),
                    generator,
                    offset,
                    child_offset: offset,
                });
            }
            "head" | "tail" => {
                self.name.clear();
                let Some(order) = &mut self.order else {
                    return Err(XmlError { offset, what: format!("'<{name}>' outside of '<order>'") });
                };
                order.child_offset = offset;
                order.generator = value("gen").map(Into::into).or_else(|| order.default_generator.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// At `</to>` the edge's own `to` is overwritten and then lost, so only the children count; the same holds for
    /// `<from>`, `<head>` and `<tail>`.
    fn close(&mut self, name: &str) -> Result<(), XmlError> {
        match name {
            "to" | "from" => {
                let Some(mut edge) = self.edge.take() else { return Ok(()) };
                check_name(&self.name, edge.child_offset)?;
                *(if name == "to" { &mut edge.to } else { &mut edge.from }) = Some(self.name.as_str().into());
                let gate = Some(Condition::parse(&edge.gate));
                let offset = edge.child_offset;
                self.add_edge(&edge, gate, offset);
                *(if name == "to" { &mut edge.to } else { &mut edge.from }) = None;
                self.edge = Some(edge);
            }
            "edge" => {
                if let Some(edge) = self.edge.take() {
                    let given = |side: &Option<Arc<str>>| side.as_ref().is_some_and(|name| !name.is_empty());
                    if given(&edge.from) && given(&edge.to) {
                        let offset = edge.offset;
                        self.add_edge(&edge, None, offset);
                    }
                }
            }
            "head" | "tail" => {
                let Some(mut order) = self.order.take() else { return Ok(()) };
                check_name(&self.name, order.child_offset)?;
                *(if name == "head" { &mut order.head } else { &mut order.tail }) = Some(self.name.as_str().into());
                let offset = order.child_offset;
                self.add_order(&order, offset);
                *(if name == "head" { &mut order.head } else { &mut order.tail }) = None;
                self.order = Some(order);
            }
            "order" => {
                if let Some(order) = self.order.take() {
                    let given = |side: &Option<Arc<str>>| side.as_ref().is_some_and(|name| !name.is_empty());
                    if given(&order.head) && given(&order.tail) {
                        let offset = order.offset;
                        self.add_order(&order, offset);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_edge(&mut self, edge: &OpenEdge, gate: Option<ReadCondition>, offset: usize) {
        // A side that is never named leads nowhere; `lint` tells.
        let (Some(from), Some(to)) = (&edge.from, &edge.to) else { return };
        let condition = Condition::parse(&edge.condition);
        let (from, to, place, roll) = (from.clone(), to.clone(), self.place(offset), self.roll.clone());
        self.found.edges.push(Edge { from, to, condition, gate, roll, place });
    }

    fn add_order(&mut self, order: &OpenOrder, offset: usize) {
        let side = |side: &Option<Arc<str>>| side.clone().unwrap_or_else(|| NAMELESS.into());
        let (head, tail) = (side(&order.head), side(&order.tail));
        let (generator, place) = (order.generator.clone(), self.place(offset));
        self.found.orders.push(Order { head, tail, generator, place });
    }

    fn place(&mut self, offset: usize) -> Place {
        let (line, column) = self.locator.at(offset);
        Place { file: self.file.clone(), line, column }
    }
}

fn check_name(name: &str, offset: usize) -> Result<(), XmlError> {
    match name.len() > NAME_BYTES_MAX {
        true => Err(XmlError { offset, what: format!("a node's name is longer than {NAME_BYTES_MAX} bytes") }),
        false => Ok(()),
    }
}

/// The value of an attribute that may not hold attributes of a host.
fn plain(attribute: &Attribute<'_>) -> Result<String, XmlError> {
    let mut value = String::new();
    for piece in &attribute.value {
        match piece {
            Piece::Literal(text) => value.push_str(text),
            Piece::Entity { name, offset } => {
                let what = format!("'&{name};' has no meaning in a graph file: a host's attributes are not known here");
                return Err(XmlError { offset: *offset, what });
            }
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(inside: &str) -> Result<GraphFile, GraphError> {
        GraphFile::parse(&"g.xml".into(), &format!("<graph roll=\"r\">\n{inside}</graph>"))
    }

    fn edges(inside: &str) -> Vec<String> {
        let found = parse(inside).expect("a graph");
        found.edges.iter().map(|e| format!("{}>{}|{}", e.from, e.to, e.shown_condition())).collect()
    }

    #[test]
    fn edges_come_in_three_spellings() {
        let text = "<edge from='a' to='b'/><edge from='a'><to>c</to><to> d </to></edge>\
            <edge to='e'><from>a</from><from>b</from></edge><edge from='a' to='f'><to>g</to></edge><edge from='x'/>";
        assert_eq!(edges(text), ["a>b|", "a>c|", "a> d |", "a>e|", "b>e|", "a>g|"]);
    }

    #[test]
    fn conditions_of_edge_and_child_are_joined() {
        let text = "<edge from='a' cond='x'><to cond='y'>b</to><to>c</to></edge><edge from='a'><to cond='y or z' arch='i386'>d</to></edge>\
            <edge from='a' to='e' os='linux' cond='x'/>";
        let expected =
            ["a>b|( x and y )", "a>c|x", "a>d|( arch==\"i386\" ) and ( y or z )", "a>e|( os==\"linux\" ) and x"];
        assert_eq!(edges(text), expected);
    }

    #[test]
    fn orders_take_children_and_generators() {
        let text = "<order head='a' tail='b' gen='g'/><order head='HEAD' gen='x'><tail>c</tail><tail gen='y'>d</tail></order>\
            <order head='p' tail='q'><tail>r</tail></order><order><tail>s</tail></order>";
        let found = parse(text).expect("a graph");
        let orders: Vec<_> =
            found.orders.iter().map(|o| (o.head.as_ref(), o.tail.as_ref(), o.generator.as_deref())).collect();
        let expected = [
            ("a", "b", Some("g")),
            ("HEAD", "c", Some("x")),
            ("HEAD", "d", Some("y")),
            ("p", "r", None),
            (NAMELESS, "s", None),
        ];
        assert_eq!(orders, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, place) in [
            ("<edge from='a' to='b'>", "g.xml:2:23"),
            ("<edge from='a' to='b&c;'/>", "g.xml:2:21"),
            ("<to>b</to>", "g.xml:2:1"),
            ("<edge from='a'><to cond=' '>b</to></edge>", "g.xml:2:16"),
            ("<head>b</head>", "g.xml:2:1"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.place().map(ToString::to_string).as_deref(), Some(place), "{text}: {error}");
        }
        for text in ["", "x<graph/>", "<graph/><graph/>", "<graph>", "<!DOCTYPE g [<!ENTITY a 'b'>]><graph/>"] {
            assert!(GraphFile::parse(&"g.xml".into(), text).is_err(), "{text}");
        }
        let name = "x".repeat(NAME_BYTES_MAX + 1);
        for text in [
            format!("<edge from='a' to='{name}'/>"),
            format!("<edge from='a'><to>{name}</to></edge>"),
            format!("<order head='{name}' tail='a'/>"),
            format!("<order head='a'><tail>{name}</tail></order>"),
        ] {
            let error = parse(&text).expect_err("no file can have this name");
            assert!(error.to_string().ends_with("a node's name is longer than 250 bytes"), "{error}");
        }
        assert!(parse(&format!("<edge from='a' to='{}'/>", &name[1..])).is_ok());
        let deep = "<a>".repeat(xml::DEPTH_MAX + 1);
        assert!(parse(&deep).expect_err("deep").to_string().contains("deep"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<(/?)(edge|to|from|order|head|tail)( (from|to|cond|gen)='[a-c&;]{0,3}')?/?>|[a-c]){0,12}") {
            let _ = parse(&text);
        }
    }
}
