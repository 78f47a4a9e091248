//! What conditions compute with: values, how they compare, what operators and methods make of them.

use super::{Comparison, Expression, Operator};
use std::cmp::Ordering;
use std::fmt;

/// The longest text or list that an expression may make.
const ITEMS_MAX: usize = 64 << 10;

/// A value of the condition language.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: an attribute that is not there.
    None,
    /// A truth value; it counts as 1 or 0.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// `[1, 2]`.
    List(Vec<Value>),
    /// `(1, 2)`.
    Tuple(Vec<Value>),
}

impl Value {
    /// What an attribute's text means in a condition: a truth value, a number or itself.
    pub fn of_attribute(text: &str) -> Self {
        let is = |word: &&str| text.eq_ignore_ascii_case(word);
        if ["on", "true", "yes", "y"].iter().any(is) {
            return Self::Bool(true);
        }
        if ["off", "false", "no", "n"].iter().any(is) {
            return Self::Bool(false);
        }
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        if let Some(integer) = whole(trimmed) {
            return Self::Integer(integer);
        }
        match trimmed.parse::<f64>() {
            Ok(float) => Self::Float(float),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// Whether it counts as true: not `None`, zero or empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Integer(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
        }
    }

    fn integer(&self) -> Option<i128> {
        match self {
            Self::Bool(truth) => Some(i128::from(*truth)),
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            _ => self.integer().map(|number| number as f64),
        }
    }

    /// Python 2's order of kinds: nothing, numbers, then the rest by the name of its type.
    fn rank(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Bool(_) | Self::Integer(_) | Self::Float(_) => 1,
            Self::List(_) => 2,
            Self::Text(_) => 3,
            Self::Tuple(_) => 4,
        }
    }

    /// How two values stand to each other; none only where a number is not a number.
    fn order(&self, other: &Self) -> Option<Ordering> {
        if self.rank() != other.rank() {
            return Some(self.rank().cmp(&other.rank()));
        }
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::List(left), Self::List(right)) | (Self::Tuple(left), Self::Tuple(right)) => {
                let unequal = left.iter().zip(right).map(|(l, r)| l.order(r)).find(|o| *o != Some(Ordering::Equal));
                unequal.unwrap_or(Some(left.len().cmp(&right.len())))
            }
            _ => match (self.integer(), other.integer()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => match (self.float(), other.float()) {
                    (Some(left), Some(right)) => left.partial_cmp(&right),
                    _ => Some(Ordering::Equal),
                },
            },
        }
    }

    fn equals(&self, other: &Self) -> bool {
        self.order(other) == Some(Ordering::Equal)
    }
}

impl fmt::Display for Value {
    /// As Python writes it in source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Self]| {
            for (i, item) in items.iter().enumerate() {
                write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
            }
            fmt::Result::Ok(())
        };
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) if number.is_nan() => f.write_str("nan"),
            Self::Float(number) if number.is_infinite() => write!(f, "{number}"),
            Self::Float(number) if number.abs() >= 1e16 => write!(f, "{number:e}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Text(text) => {
                let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
                write!(f, "{quote}")?;
                for character in text.chars() {
                    match character {
                        '\n' => f.write_str("\\n")?,
                        '\t' => f.write_str("\\t")?,
                        '\r' => f.write_str("\\r")?,
                        '\\' => f.write_str("\\\\")?,
                        c if c == quote => write!(f, "\\{c}")?,
                        c => write!(f, "{c}")?,
                    }
                }
                write!(f, "{quote}")
            }
            Self::List(items) => {
                f.write_str("[")?;
                list(f, items)?;
                f.write_str("]")
            }
            Self::Tuple(items) => {
                f.write_str("(")?;
                list(f, items)?;
                f.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
        }
    }
}

/// A whole number as Python 2's `int` takes it: blanks may stand behind its sign.
fn whole(text: &str) -> Option<i128> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some((sign @ ("+" | "-"), digits)) => (sign, digits.trim_ascii_start()),
        _ => ("", text),
    };
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    is_plain.then(|| format!("{sign}{digits}").parse().ok()).flatten()
}

/// Computes an expression; an error says what does not work.
pub(super) fn evaluate(expression: &Expression, lookup: &dyn Fn(&str) -> Value) -> Result<Value, String> {
    let of = |expression: &Expression| evaluate(expression, lookup);
    Ok(match expression {
        Expression::Literal(value) => value.clone(),
        Expression::Name(name) => lookup(name),
        Expression::Not(inner) => Value::Bool(!of(inner)?.is_true()),
        Expression::Negative(inner) => sign(&of(inner)?, "-", |i| i.checked_neg(), |f| -f)?,
        Expression::Positive(inner) => sign(&of(inner)?, "+", Some, |f| f)?,
        Expression::Invert(inner) => {
            let value = of(inner)?;
            Value::Integer(!value.integer().ok_or_else(|| format!("'~' of {}", value.kind()))?)
        }
        Expression::Quoted(inner) => Value::Text(of(inner)?.to_string()),
        Expression::And(all) => until(all, lookup, false)?,
        Expression::Or(all) => until(all, lookup, true)?,
        Expression::Compare(first, rest) => {
            let mut left = of(first)?;
            for (comparison, right) in rest {
                let right = of(right)?;
                if !compare(&left, *comparison, &right)? {
                    return Ok(Value::Bool(false));
                }
                left = right;
            }
            Value::Bool(true)
        }
        Expression::Arithmetic(left, operator, right) => arithmetic(&of(left)?, *operator, &of(right)?)?,
        Expression::Choice { then, when, otherwise } => of(if of(when)?.is_true() { then } else { otherwise })?,
        Expression::List { items, is_tuple } => {
            let items = items.iter().map(of).collect::<Result<_, _>>()?;
            if *is_tuple { Value::Tuple(items) } else { Value::List(items) }
        }
        Expression::Index(inner, index) => index_of(&of(inner)?, &of(index)?)?,
        Expression::Slice(inner, from, to) => {
            let end = |end: &Option<Box<Expression>>| end.as_ref().map(|end| of(end)).transpose();
            slice(&of(inner)?, end(from)?.as_ref(), end(to)?.as_ref())?
        }
        Expression::Method { of: inner, name, arguments } => {
            let arguments = arguments.iter().map(of).collect::<Result<Vec<_>, _>>()?;
            method(&of(inner)?, name, &arguments)?
        }
        Expression::Impossible { of: inner, what } => {
            of(inner)?;
            return Err(what.clone());
        }
    })
}

/// `and` (stops at the first false) and `or` (at the first true).
fn until(all: &[Expression], lookup: &dyn Fn(&str) -> Value, stop_at: bool) -> Result<Value, String> {
    let mut last = Value::None;
    for expression in all {
        last = evaluate(expression, lookup)?;
        if last.is_true() == stop_at {
            break;
        }
    }
    Ok(last)
}

fn sign(
    value: &Value,
    written: &str,
    integer: impl Fn(i128) -> Option<i128>,
    float: impl Fn(f64) -> f64,
) -> Result<Value, String> {
    match value {
        Value::Float(number) => Ok(Value::Float(float(*number))),
        _ => match value.integer() {
            Some(number) => Ok(Value::Integer(integer(number).ok_or("a number is too large")?)),
            None => Err(format!("'{written}' of {}", value.kind())),
        },
    }
}

fn compare(left: &Value, comparison: Comparison, right: &Value) -> Result<bool, String> {
    let order = left.order(right);
    Ok(match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::In => contains(right, left)?,
        Comparison::NotIn => !contains(right, left)?,
        Comparison::Is => left == right,
        Comparison::IsNot => left != right,
    })
}

fn contains(container: &Value, item: &Value) -> Result<bool, String> {
    match (container, item) {
        (Value::Text(text), Value::Text(part)) => Ok(text.contains(part.as_str())),
        (Value::List(items) | Value::Tuple(items), _) => Ok(items.iter().any(|known| known.equals(item))),
        _ => Err(format!("{} cannot be looked for in {}", item.kind(), container.kind())),
    }
}

fn arithmetic(left: &Value, operator: Operator, right: &Value) -> Result<Value, String> {
    if let (Some(left), Some(right)) = (left.integer(), right.integer()) {
        return integers(left, operator, right);
    }
    match (left, operator, right) {
        (Value::Text(left), Operator::Add, Value::Text(right)) => return Ok(Value::Text(left.clone() + right)),
        (Value::Text(text), Operator::Multiply, count) | (count, Operator::Multiply, Value::Text(text))
            if count.integer().is_some() =>
        {
            let count = usize::try_from(count.integer().unwrap_or(0).max(0)).unwrap_or(usize::MAX);
            if text.len().saturating_mul(count) > ITEMS_MAX {
                return Err("a text is too long".to_owned());
            }
            return Ok(Value::Text(text.repeat(count)));
        }
        _ => {}
    }
    let (Some(l), Some(r)) = (left.float(), right.float()) else {
        return Err(format!("{} and {} do not go together", left.kind(), right.kind()));
    };
    let divides = matches!(operator, Operator::Divide | Operator::FloorDivide | Operator::Remainder);
    if divides && r == 0.0 {
        return Err("division by zero".to_owned());
    }
    Ok(Value::Float(match operator {
        Operator::Add => l + r,
        Operator::Subtract => l - r,
        Operator::Multiply => l * r,
        Operator::Divide => l / r,
        Operator::FloorDivide => ((l - remainder(l, r)) / r).round(),
        Operator::Remainder => remainder(l, r),
        Operator::Power => l.powf(r),
        _ => return Err("bits of a number that is not whole".to_owned()),
    }))
}

/// What is left of a number, with the sign of the divisor.
fn remainder(left: f64, right: f64) -> f64 {
    let rest = left % right;
    if rest != 0.0 && (rest < 0.0) != (right < 0.0) { rest + right } else { rest }
}

fn integers(left: i128, operator: Operator, right: i128) -> Result<Value, String> {
    let divides = matches!(operator, Operator::Divide | Operator::FloorDivide | Operator::Remainder);
    if divides && right == 0 {
        return Err("division by zero".to_owned());
    }
    let bits = || u32::try_from(right).ok().filter(|bits| *bits < 100).ok_or("a number is shifted too far");
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        // Towards minus infinity, as Python 2 divides whole numbers.
        Operator::Divide | Operator::FloorDivide => left.checked_div_euclid(right).map(|quotient| {
            let exact = quotient * right == left;
            if right < 0 && !exact { quotient - 1 } else { quotient }
        }),
        Operator::Remainder => {
            left.checked_rem_euclid(right).map(|rest| if right < 0 && rest != 0 { rest + right } else { rest })
        }
        Operator::Power if right < 0 => return Ok(Value::Float((left as f64).powf(right as f64))),
        Operator::Power => u32::try_from(right).ok().and_then(|exponent| left.checked_pow(exponent)),
        Operator::BitAnd => Some(left & right),
        Operator::BitOr => Some(left | right),
        Operator::BitXor => Some(left ^ right),
        Operator::ShiftLeft => left.checked_mul(1_i128 << bits()?),
        Operator::ShiftRight => Some(left >> bits()?),
    };
    result.map(Value::Integer).ok_or_else(|| "a number is too large".to_owned())
}

fn index_of(value: &Value, index: &Value) -> Result<Value, String> {
    let at = index.integer().ok_or_else(|| format!("an index must be a whole number, not {}", index.kind()))?;
    let position = |length: usize| {
        let at = if at < 0 { at + length as i128 } else { at };
        usize::try_from(at).ok().filter(|at| *at < length).ok_or("an index is out of range")
    };
    Ok(match value {
        Value::Text(text) => {
            let characters: Vec<char> = text.chars().collect();
            Value::Text(characters[position(characters.len())?].to_string())
        }
        Value::List(items) | Value::Tuple(items) => items[position(items.len())?].clone(),
        other => return Err(format!("{} has no items", other.kind())),
    })
}

fn slice(value: &Value, from: Option<&Value>, to: Option<&Value>) -> Result<Value, String> {
    let position = |end: Option<&Value>, default: usize, length: usize| match end {
        None | Some(Value::None) => Ok(default),
        Some(end) => {
            let at = end.integer().ok_or_else(|| format!("a slice goes by whole numbers, not {}", end.kind()))?;
            let at = if at < 0 { at + length as i128 } else { at };
            Ok::<_, String>(at.clamp(0, length as i128) as usize)
        }
    };
    let range = |length: usize| {
        let start = position(from, 0, length)?;
        Ok::<_, String>(start..position(to, length, length)?.max(start))
    };
    Ok(match value {
        Value::Text(text) => {
            let characters: Vec<char> = text.chars().collect();
            Value::Text(characters[range(characters.len())?].iter().collect())
        }
        Value::List(items) => Value::List(items[range(items.len())?].to_vec()),
        Value::Tuple(items) => Value::Tuple(items[range(items.len())?].to_vec()),
        other => return Err(format!("{} has no items", other.kind())),
    })
}

/// The methods of strings that conditions may use.
fn method(of: &Value, name: &str, arguments: &[Value]) -> Result<Value, String> {
    let Value::Text(text) = of else { return Err(format!("{} has no method '{name}'", of.kind())) };
    if let ("startswith" | "endswith", [Value::Tuple(any)]) = (name, arguments) {
        let one = |part: &Value| method(of, name, std::slice::from_ref(part)).map(|found| found.is_true());
        return any.iter().map(one).collect::<Result<Vec<_>, _>>().map(|found| Value::Bool(found.contains(&true)));
    }
    let strings: Option<Vec<&str>> = arguments
        .iter()
        .map(|argument| match argument {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let strings = strings.ok_or_else(|| format!("method '{name}' takes strings"))?;
    let every = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let in_set = |c: char| strings.first().map_or(c.is_whitespace(), |set| set.contains(c));
    Ok(match (name, strings.as_slice()) {
        ("startswith", [start]) => Value::Bool(text.starts_with(start)),
        ("endswith", [end]) => Value::Bool(text.ends_with(end)),
        ("upper", []) => Value::Text(text.to_uppercase()),
        ("lower", []) => Value::Text(text.to_lowercase()),
        ("strip", [] | [_]) => Value::Text(text.trim_matches(in_set).to_owned()),
        ("lstrip", [] | [_]) => Value::Text(text.trim_start_matches(in_set).to_owned()),
        ("rstrip", [] | [_]) => Value::Text(text.trim_end_matches(in_set).to_owned()),
        ("find", [part]) => Value::Integer(text.find(part).map_or(-1, |at| text[..at].chars().count() as i128)),
        ("count", [part]) if !part.is_empty() => Value::Integer(text.matches(part).count() as i128),
        ("replace", [old, new]) if !old.is_empty() => {
            let replaced = text.matches(old).count().saturating_mul(new.len());
            if text.len().saturating_add(replaced) > ITEMS_MAX {
                return Err("a text is too long".to_owned());
            }
            Value::Text(text.replace(old, new))
        }
        ("split", []) => Value::List(text.split_whitespace().map(|part| Value::Text(part.to_owned())).collect()),
        ("split", [by]) if !by.is_empty() => {
            Value::List(text.split(by).map(|part| Value::Text(part.to_owned())).collect())
        }
        ("isdigit", []) => Value::Bool(every(|c| c.is_ascii_digit())),
        ("isalpha", []) => Value::Bool(every(char::is_alphabetic)),
        ("isalnum", []) => Value::Bool(every(char::is_alphanumeric)),
        ("isupper", []) => Value::Bool(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)),
        ("islower", []) => Value::Bool(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)),
        ("isspace", []) => Value::Bool(every(char::is_whitespace)),
        _ => return Err(format!("strings have no method '{name}' for {} arguments here", arguments.len())),
    })
}
