//! Conditions: `cond="..."`, `arch=`, `os=` and `release=` of edges and elements.
//!
//! The language is what rolls use of Python 2's expressions: names are attributes (a missing one is `None`, `true`
//! `yes` `on` `y` and their opposites are truth values, what looks like a number is one), comparisons chain and order
//! `None < number < string`, `and` and `or` give back an operand. No calls but a few methods of strings: nothing here
//! reaches out, and cost is bounded by the text's length.

mod parse;
mod value;

use std::borrow::Cow;
pub use value::Value;

/// The longest condition, in bytes.
pub const CONDITION_BYTES_MAX: usize = 4096;

/// A condition that cannot be read or judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("condition '{}': {what}", shown(.condition))]
pub struct CondError {
    /// The condition as written.
    pub condition: String,
    /// What is wrong with it.
    pub what: String,
    /// Where in the condition, in bytes; 0 where it only shows when judged.
    pub offset: usize,
}

/// The most of a condition that is shown where it is wrong, in characters.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// A condition as messages show it, in one line that is not without end.
pub fn shown(condition: &str) -> String {
    let mut characters = condition.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = characters.by_ref().take(SHOWN_CHARACTERS_MAX).collect();
    if characters.next().is_some() {
        text.push_str("...");
    }
    text
}

/// A condition that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    text: String,
    expression: Option<Expression>,
}

/// What a condition is made of.
#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Literal(Value),
    Name(String),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Positive(Box<Expression>),
    Invert(Box<Expression>),
    Quoted(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    /// The first operand, then each comparison with its right side.
    Compare(Box<Expression>, Vec<(Comparison, Expression)>),
    Arithmetic(Box<Expression>, Operator, Box<Expression>),
    /// `then if when else otherwise`.
    Choice {
        then: Box<Expression>,
        when: Box<Expression>,
        otherwise: Box<Expression>,
    },
    List {
        items: Vec<Expression>,
        is_tuple: bool,
    },
    Index(Box<Expression>, Box<Expression>),
    Slice(Box<Expression>, Option<Box<Expression>>, Option<Box<Expression>>),
    Method {
        of: Box<Expression>,
        name: String,
        arguments: Vec<Expression>,
    },
    /// What Python would try and fail at, as `x.y` or `f(x)`: an error where it is reached.
    Impossible {
        of: Box<Expression>,
        what: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Is,
    IsNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

/// Joins `arch`, `os`, `release` (comma separated) and `cond` into one condition, as the original does: `cond` is not
/// put in parentheses, so that `arch="i386" cond="a or b"` is `( arch=="i386" ) and a or b`.
pub fn create(arch: Option<&str>, os: Option<&str>, release: Option<&str>, cond: Option<&str>) -> String {
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for (name, list) in [("arch", arch), ("os", os), ("release", release)] {
        if let Some(list) = list.filter(|list| !list.is_empty()) {
            let each: Vec<String> = list.split(',').map(|item| format!("{name}==\"{}\"", item.trim())).collect();
            parts.push(format!("( {} )", each.join(" or ")).into());
        }
    }
    if let Some(cond) = cond.filter(|cond| !cond.is_empty()) {
        parts.push(cond.into());
    }
    parts.join(" and ")
}

/// Reads and judges a condition in one go.
pub fn judge<'v>(condition: &str, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<bool, CondError> {
    Condition::parse(condition)?.judge(lookup)
}

impl Condition {
    /// Reads a condition; an empty one always holds.
    pub fn parse(text: &str) -> Result<Self, CondError> {
        let expression = match text.is_empty() {
            true => None,
            false => Some(parse::parse(text).map_err(|(offset, what)| CondError {
                condition: text.to_owned(),
                what,
                offset,
            })?),
        };
        Ok(Self { text: text.to_owned(), expression })
    }

    /// The condition as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it holds, given what each attribute's value is.
    pub fn judge<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<bool, CondError> {
        Ok(self.value(lookup)?.is_true())
    }

    /// What it evaluates to.
    pub fn value<'v>(&self, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<Value, CondError> {
        let Some(expression) = &self.expression else { return Ok(Value::Bool(true)) };
        let lookup = |name: &str| lookup(name).map_or(Value::None, Value::of_attribute);
        value::evaluate(expression, &lookup).map_err(|what| CondError { condition: self.text.clone(), what, offset: 0 })
    }

    /// The names of attributes it asks for, in the order written.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        if let Some(expression) = &self.expression {
            expression.gather_names(&mut names);
        }
        names
    }
}

impl Expression {
    fn gather_names<'e>(&'e self, names: &mut Vec<&'e str>) {
        let mut each = |expressions: &mut dyn Iterator<Item = &'e Expression>| {
            for expression in expressions {
                expression.gather_names(names);
            }
        };
        match self {
            Self::Literal(_) => {}
            Self::Name(name) => {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
            Self::Not(one)
            | Self::Negative(one)
            | Self::Positive(one)
            | Self::Invert(one)
            | Self::Quoted(one)
            | Self::Impossible { of: one, .. } => {
                one.gather_names(names);
            }
            Self::And(all) | Self::Or(all) | Self::List { items: all, .. } => each(&mut all.iter()),
            Self::Compare(first, rest) => {
                each(&mut std::iter::once(first.as_ref()).chain(rest.iter().map(|(_, right)| right)));
            }
            Self::Arithmetic(left, _, right) | Self::Index(left, right) => each(&mut [&**left, &**right].into_iter()),
            Self::Choice { then, when, otherwise } => each(&mut [&**then, &**when, &**otherwise].into_iter()),
            Self::Slice(of, from, to) => {
                let ends = from.iter().chain(to).map(Box::as_ref);
                each(&mut std::iter::once(of.as_ref()).chain(ends));
            }
            Self::Method { of, arguments, .. } => each(&mut std::iter::once(of.as_ref()).chain(arguments)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(name: &str) -> Option<&'static str> {
        let all = [
            ("t", "true"),
            ("f", "No"),
            ("on", "On"),
            ("five", "5"),
            ("zero", "0"),
            ("s", "hello"),
            ("empty", ""),
            ("version", "7.0"),
            ("dotted", "7.0.1"),
            ("arch", "x86_64"),
            ("os", "linux"),
            ("nan", "nan"),
            ("sp", " 7 "),
            ("hex", "0x10"),
            ("apart", "- 3"),
            ("twice", "--3"),
            ("sign", "-"),
            ("big", "123456789012345678901234567890"),
        ];
        all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn value(text: &str) -> Result<String, String> {
        let condition = Condition::parse(text).map_err(|e| e.what)?;
        condition.value(attribute).map(|value| value.to_string()).map_err(|e| e.what)
    }

    #[test]
    fn conditions_evaluate_as_the_original_does() {
        for (text, expected) in [
            ("", "True"),
            ("t", "True"),
            ("f", "False"),
            ("missing", "None"),
            ("True", "None"),
            ("t == True", "False"),
            ("not False", "True"),
            ("t == 1", "True"),
            ("five == 5.0", "True"),
            ("five == '5'", "False"),
            ("version == 7", "True"),
            ("dotted >= 7", "True"),
            ("dotted < 7", "False"),
            ("missing < 3", "True"),
            ("missing is None", "True"),
            ("five is not None", "True"),
            ("os in ('linux', \"sunos\")", "True"),
            ("'86' not in arch", "False"),
            ("1 < five < 9", "True"),
            ("1 < five < 3", "False"),
            ("t and s", "'hello'"),
            ("f or empty", "''"),
            ("t if f else s", "'hello'"),
            ("s[0:2] + s[-1]", "'heo'"),
            ("s.startswith('he') and not s.endswith('he')", "True"),
            ("s.upper().lower() == s", "True"),
            ("five + 1 * 2", "7"),
            ("(five + 1) * 2", "12"),
            ("-five", "-5"),
            ("~five", "-6"),
            ("five / 2", "2"),
            ("-five / 2", "-3"),
            ("five % 3", "2"),
            ("2 ** 3", "8"),
            ("6 % 0.1 > 0.09", "True"),
            ("6 // 0.1", "59.0"),
            ("-7.5 % 2", "0.5"),
            ("-7.5 // 2", "-4.0"),
            ("7.5 % -2", "-0.5"),
            ("five / 2.0", "2.5"),
            ("`five`", "'5'"),
            ("u'x' 'y'", "'xy'"),
            ("nan == nan", "False"),
            ("sp == 7", "True"),
            ("apart", "-3"),
            ("twice + sign", "'--3-'"),
            ("s.startswith(('x', 'h')) and not s.endswith(('x',))", "True"),
            ("s.startswith(())", "False"),
            ("hex", "'0x10'"),
            ("0x10", "16"),
            ("010", "8"),
            ("big > 1", "True"),
            ("five <> 5", "False"),
            ("t # comment", "True"),
            (" \tt", "True"),
            ("1, 2", "(1, 2)"),
            ("[1, 2][1]", "2"),
            ("s in []", "False"),
            ("f and missing.x", "False"),
            ("'it\\'s'", "\"it's\""),
            ("True or 1", "1"),
            ("not not t", "True"),
            ("not s == 'hello'", "False"),
            ("s > five > missing", "True"),
            ("() == []", "False"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_an_error() {
        for text in [
            " ",
            "(t",
            "t f",
            "t ||f",
            "!t",
            "five = 5",
            "a &gt; b",
            "'open",
            "t and",
            "f(1",
            "lambda: 0",
            "s.",
            "[1",
            "t)",
            "1 +",
            "import os",
            "$x",
            "\u{fc}",
            "x.y = 1",
            "s[",
            "if",
            "print t",
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
        for text in [
            "str(five)",
            "missing.x",
            "missing.x()",
            "s.nosuch()",
            "5 in s",
            "5 in five",
            "missing + 1",
            "five / 0",
            "s[9]",
        ] {
            let condition = Condition::parse(text);
            assert!(condition.is_err() || value(text).is_err(), "{text}");
        }
        assert_eq!(Condition::parse("t and )").map_err(|e| e.offset), Err(6));
    }

    #[test]
    fn old_attributes_join_as_in_the_original() {
        assert_eq!(create(None, None, None, None), "");
        assert_eq!(
            create(Some(" i386 , x"), Some("linux"), None, None),
            "( arch==\"i386\" or arch==\"x\" ) and ( os==\"linux\" )"
        );
        assert_eq!(create(Some("i386"), None, Some(""), Some("a or b")), "( arch==\"i386\" ) and a or b");
        assert_eq!(create(Some("i386,"), None, None, None), "( arch==\"i386\" or arch==\"\" )");
    }

    #[test]
    fn names_are_told() {
        let condition =
            Condition::parse("a and not b or s.startswith(c) and a in (d, 'x')[e:] if g else h").expect("one");
        assert_eq!(condition.names(), ["a", "b", "s", "c", "d", "e", "g", "h"]);
    }

    #[test]
    fn deep_and_long_conditions_are_refused() {
        assert!(Condition::parse(&"(".repeat(2000)).is_err());
        assert!(Condition::parse(&"not ".repeat(1000)).is_err());
        assert!(Condition::parse(&"t and ".repeat(1000)).is_err());
        assert!(value("'x' * 1000000000").is_err());
        assert!(value("9 ** 9 ** 9").is_err());
        assert!(value("1 << 100000").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c0-9 ()\\[\\]'\"<>=!.,+*/%&|~^:`-]{0,24}( and | or | not | in | is | if | else )?[a-c0-9 ()']{0,8}") {
            if let Ok(condition) = Condition::parse(&text) {
                let _ = condition.value(attribute);
                condition.names();
            }
        }
    }

    #[test]
    fn a_long_condition_is_shown_in_part() {
        let error = Condition::parse(&"(\n".repeat(10_000)).expect_err("it does not end").to_string();
        assert!(error.len() < 400 && error.contains("( ( ...'") && !error.contains('\n'), "{error}");
    }
}
