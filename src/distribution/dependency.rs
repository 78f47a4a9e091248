//! Dependencies: a name with or without a range of versions, or a rich one (`(a if b)`, `(a or b)`, ...).

use super::evr::Evr;
use super::pool::PackageId;
use std::cmp::Ordering;
use std::sync::OnceLock;

/// Rich dependencies are nested at most this deep.
const DEPTH_MAX: usize = 32;

/// A dependency as the solver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dependency {
    /// A name.
    Name(Relation),
    /// All of them.
    And(Vec<Dependency>),
    /// One of them.
    Or(Vec<Dependency>),
    /// The first if the second; else the third, where there is one.
    If(Box<Dependency>, Box<Dependency>, Option<Box<Dependency>>),
    /// The first unless the second; then the third, where there is one.
    Unless(Box<Dependency>, Box<Dependency>, Option<Box<Dependency>>),
    /// One package that is all of them.
    With(Vec<Dependency>),
    /// One package that is the first but not the second.
    Without(Box<Dependency>, Box<Dependency>),
}

/// A name and which versions of it.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) name: Box<str>,
    pub(super) range: Range,
    /// Who provides it, once somebody has asked.
    pub(super) providers: OnceLock<Box<[PackageId]>>,
}

impl PartialEq for Relation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.range == other.range
    }
}
impl Eq for Relation {}

/// Which versions fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Range {
    /// Every one.
    Any,
    /// Those that compare so to a version.
    To {
        /// Lower ones fit.
        less: bool,
        /// Equal ones fit.
        equal: bool,
        /// Higher ones fit.
        greater: bool,
        /// The version.
        evr: Evr,
    },
}

impl Range {
    /// Exactly this version.
    pub(super) fn exactly(evr: Evr) -> Self {
        Self::To { less: false, equal: true, greater: false, evr }
    }

    /// Whether some version is in both ranges.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let (
            Self::To { less: less_a, equal: equal_a, greater: greater_a, evr: evr_a },
            Self::To { less: less_b, equal: equal_b, greater: greater_b, evr: evr_b },
        ) = (self, other)
        else {
            return true;
        };
        match evr_a.compare(evr_b) {
            Ordering::Less => *greater_a || *less_b,
            Ordering::Greater => *less_a || *greater_b,
            Ordering::Equal => (*equal_a && *equal_b) || (*less_a && *less_b) || (*greater_a && *greater_b),
        }
    }
}

impl Dependency {
    /// Reads `NAME`, `NAME >= EVR` or a rich dependency. What cannot be read as a rich one is a name.
    pub(super) fn parse(text: &str) -> Self {
        let mut parser = Parser { rest: text.trim(), depth: 0 };
        if text.starts_with('(')
            && let Some(rich) = parser.group()
            && parser.rest.is_empty()
        {
            return rich;
        }
        Self::Name(Relation::parse(text.trim()))
    }
}

impl Relation {
    pub(super) fn new(name: &str, range: Range) -> Self {
        Self { name: name.into(), range, providers: OnceLock::new() }
    }

    /// Reads `NAME` or `NAME SIGN EVR`.
    pub(super) fn parse(text: &str) -> Self {
        let mut words = text.rsplitn(3, ' ');
        if let (Some(evr), Some(sign), Some(name)) = (words.next(), words.next(), words.next())
            && let Some(range) = range(sign, evr)
        {
            return Self::new(name, range);
        }
        Self::new(text, Range::Any)
    }
}

fn range(sign: &str, evr: &str) -> Option<Range> {
    let (less, equal, greater) = match sign {
        "=" | "==" => (false, true, false),
        "<" => (true, false, false),
        "<=" => (true, true, false),
        ">" => (false, false, true),
        ">=" => (false, true, true),
        _ => return None,
    };
    Some(Range::To { less, equal, greater, evr: Evr::parse(evr) })
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// `(` OPERAND [WORD OPERAND]... `)`
    fn group(&mut self) -> Option<Dependency> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.rest = self.rest.strip_prefix('(')?;
        let first = self.operand()?;
        let mut parts = vec![first];
        let mut operator = None;
        let mut otherwise = None;
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                break;
            }
            let word = self.word()?;
            match (operator, word) {
                (None, "and" | "or" | "with" | "without" | "if" | "unless") => operator = Some(word),
                (Some("if" | "unless"), "else") if parts.len() == 2 && otherwise.is_none() => {
                    otherwise = Some(Box::new(self.operand()?));
                    continue;
                }
                (Some(same), _) if same == word && matches!(word, "and" | "or" | "with") => {}
                _ => return None,
            }
            parts.push(self.operand()?);
        }
        self.depth -= 1;
        let mut two = || {
            let second = parts.pop()?;
            Some((Box::new(parts.pop()?), Box::new(second)))
        };
        match operator {
            None => parts.pop(),
            Some("and") => Some(Dependency::And(parts)),
            Some("or") => Some(Dependency::Or(parts)),
            Some("with") => Some(Dependency::With(parts)),
            Some("without") => two().map(|(this, that)| Dependency::Without(this, that)),
            Some("if") => two().map(|(this, that)| Dependency::If(this, that, otherwise)),
            Some(_) => two().map(|(this, that)| Dependency::Unless(this, that, otherwise)),
        }
    }

    fn operand(&mut self) -> Option<Dependency> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('(') {
            return self.group();
        }
        let name = self.word()?;
        let before = self.rest;
        if let Some(sign) = self.word()
            && matches!(sign, "=" | "==" | "<" | "<=" | ">" | ">=")
        {
            let evr = self.word()?;
            return Some(Dependency::Name(Relation::new(name, range(sign, evr)?)));
        }
        self.rest = before;
        Some(Dependency::Name(Relation::new(name, Range::Any)))
    }

    /// Up to white space or a bracket that closes none of its own: names have brackets (`lib.so.1()(64bit)`).
    fn word(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start();
        let mut open = 0usize;
        let mut end = text.len();
        for (at, character) in text.char_indices() {
            match character {
                '(' => open += 1,
                ')' if open == 0 => {
                    end = at;
                    break;
                }
                ')' => open -= 1,
                c if c.is_whitespace() => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Dependency {
        Dependency::Name(Relation::parse(text))
    }

    #[test]
    fn names_ranges_and_rich_dependencies_are_read() {
        assert_eq!(Dependency::parse("lib.so.1()(64bit)"), name("lib.so.1()(64bit)"));
        let Dependency::Name(Relation { name: word, range: Range::To { less, equal, greater, evr }, .. }) =
            Dependency::parse("a >= 1:2-3")
        else {
            panic!()
        };
        assert_eq!((&*word, less, equal, greater, evr), ("a", false, true, true, Evr::parse("1:2-3")));
        assert_eq!(
            Dependency::parse("(a >= 1 if (b or lib.so()(64bit)) else c)"),
            Dependency::If(
                Box::new(name("a >= 1")),
                Box::new(Dependency::Or(vec![name("b"), name("lib.so()(64bit)")])),
                Some(Box::new(name("c")))
            )
        );
        assert_eq!(Dependency::parse("(a with b with c)"), Dependency::With(vec![name("a"), name("b"), name("c")]));
        assert_eq!(Dependency::parse("(a without b)"), Dependency::Without(Box::new(name("a")), Box::new(name("b"))));
        assert_eq!(
            Dependency::parse("(a unless b)"),
            Dependency::Unless(Box::new(name("a")), Box::new(name("b")), None)
        );
        for text in ["(a and b or c)", "(a if b", "(a b)", "()", &"(".repeat(5_000)] {
            assert!(matches!(Dependency::parse(text), Dependency::Name(_)), "{text}");
        }
    }

    #[test]
    fn ranges_meet_as_rpm_says() {
        let meets = |one: &str, two: &str| Relation::parse(one).range.meets(&Relation::parse(two).range);
        for (one, two) in [
            ("a", "a = 1"),
            ("a >= 1", "a = 1-5"),
            ("a < 2", "a = 1"),
            ("a <= 2", "a >= 2"),
            ("a > 1", "a > 9"),
            ("a = 1-2", "a = 1"),
        ] {
            assert!(meets(one, two) && meets(two, one), "{one}, {two}");
        }
        for (one, two) in [("a > 1", "a = 1"), ("a < 2", "a >= 2"), ("a = 1-2", "a = 1-3"), ("a >= 1:0", "a = 9")] {
            assert!(!meets(one, two) && !meets(two, one), "{one}, {two}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_some_dependency(text in "[()a-c<>= ]{0,40}|\\(.{0,30}\\)") {
            Dependency::parse(&text);
        }
    }
}
