//! Text of a condition into its tree: a hand-written scanner and a precedence climber. Errors are (offset, what).

use super::{CONDITION_BYTES_MAX, Comparison, Expression, Operator, Value};

/// How deep parentheses, operators and the like may stand in each other.
const DEPTH_MAX: usize = 48;

type Failure = (usize, String);

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Value(Value),
    Symbol(&'static str),
    End,
}

/// Longest first.
const SYMBOLS: [&str; 32] = [
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "<>", "(", ")", "[", "]", "{", "}", ",", ":", ".", "`", "+", "-",
    "*", "/", "%", "&", "|", "^", "~", "<", ">", "=", ";",
];

/// Words that Python keeps for itself and this language has no use for.
const RESERVED: [&str; 24] = [
    "as", "assert", "break", "class", "continue", "def", "del", "elif", "except", "exec", "finally", "for", "from",
    "global", "import", "lambda", "pass", "print", "raise", "return", "try", "while", "with", "yield",
];

pub(super) fn parse(text: &str) -> Result<Expression, Failure> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err((0, format!("is longer than {CONDITION_BYTES_MAX} bytes")));
    }
    let tokens = scan(text)?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let expression = parser.tuple()?;
    match parser.peek() {
        Token::End => Ok(expression),
        _ => Err(parser.unexpected("an operator")),
    }
}

fn scan(text: &str) -> Result<Vec<(usize, Token)>, Failure> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let byte = bytes[at];
        if byte == b'#' {
            break;
        }
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let prefix = rest.bytes().take(2).take_while(|b| matches!(b, b'u' | b'U' | b'r' | b'R' | b'b' | b'B')).count();
        let quoted = rest[prefix..].starts_with(['\'', '"']);
        let (length, token) = if quoted {
            let raw = rest[..prefix].contains(['r', 'R']);
            let (length, literal) = string(&rest[prefix..], raw).map_err(|what| (at, what))?;
            (prefix + length, Token::Value(Value::Text(literal)))
        } else if byte.is_ascii_digit() || (byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)) {
            let (length, value) = number(rest).map_err(|what| (at, what))?;
            (length, Token::Value(value))
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            let length = rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_')).unwrap_or(rest.len());
            (length, Token::Name(rest[..length].to_owned()))
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (symbol.len(), Token::Symbol(symbol))
        } else {
            let character = rest.chars().next().unwrap_or(' ');
            return Err((at, format!("'{character}' has no meaning here")));
        };
        tokens.push((at, token));
        at += length;
    }
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

/// A string in quotes at the start of a text: how long it is and what it says.
fn string(text: &str, raw: bool) -> Result<(usize, String), String> {
    let quote = &text[..1];
    let fence = match text.starts_with(&quote.repeat(3)) {
        true => quote.repeat(3),
        false => quote.to_owned(),
    };
    let mut literal = String::new();
    let mut at = fence.len();
    loop {
        let rest = &text[at..];
        if rest.starts_with(fence.as_str()) {
            return Ok((at + fence.len(), literal));
        }
        let mut characters = rest.chars();
        let first = characters.next().ok_or("a string is not closed")?;
        at += first.len_utf8();
        if first != '\\' {
            literal.push(first);
            continue;
        }
        let escaped = characters.next().ok_or("a string is not closed")?;
        at += escaped.len_utf8();
        match escaped {
            _ if raw => literal.extend(['\\', escaped]),
            'n' => literal.push('\n'),
            't' => literal.push('\t'),
            'r' => literal.push('\r'),
            '\\' | '\'' | '"' => literal.push(escaped),
            'x' => {
                let digits = text.get(at..at + 2).ok_or("'\\x' wants two hexadecimal digits")?;
                let code = u8::from_str_radix(digits, 16).map_err(|_| "'\\x' wants two hexadecimal digits")?;
                literal.push(char::from(code));
                at += 2;
            }
            other => literal.extend(['\\', other]),
        }
    }
}

/// A number at the start of a text: how long it is and what it is.
fn number(text: &str) -> Result<(usize, Value), String> {
    let mut length = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(length) {
        let sign = matches!(byte, b'+' | b'-') && matches!(bytes[length - 1], b'e' | b'E') && !text.starts_with("0x");
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign) {
            break;
        }
        length += 1;
    }
    let written = &text[..length];
    let bad = || format!("'{written}' is no number");
    let digits = written.strip_suffix(['l', 'L']).unwrap_or(written).to_ascii_lowercase();
    let integer = |digits: &str, radix| i128::from_str_radix(digits, radix).map(Value::Integer).map_err(|_| bad());
    let value = if let Some(digits) = digits.strip_prefix("0x") {
        integer(digits, 16)?
    } else if let Some(digits) = digits.strip_prefix("0o") {
        integer(digits, 8)?
    } else if let Some(digits) = digits.strip_prefix("0b") {
        integer(digits, 2)?
    } else if digits.bytes().all(|b| b.is_ascii_digit()) {
        let octal = digits.len() > 1 && digits.starts_with('0');
        integer(&digits, if octal { 8 } else { 10 })?
    } else if digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-')) {
        Value::Float(digits.parse().map_err(|_| bad())?)
    } else {
        return Err(bad());
    };
    Ok((length, value))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn take(&mut self) -> Token {
        let token = self.tokens[self.next].1.clone();
        // The end stays where it is.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        if there {
            self.take();
        }
        there
    }

    fn word(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Token::Name(found) if found == word);
        if there {
            self.take();
        }
        there
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Failure> {
        match self.symbol(symbol) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("'{symbol}'"))),
        }
    }

    fn unexpected(&self, wanted: &str) -> Failure {
        let (at, token) = &self.tokens[self.next];
        let found = match token {
            Token::End => "the end".to_owned(),
            Token::Name(name) => format!("'{name}'"),
            Token::Value(value) => format!("{value}"),
            Token::Symbol("=") => return (*at, "'=' sets nothing here: did you mean '=='?".to_owned()),
            Token::Symbol("&" | "|") => return (*at, "write 'and' and 'or' in words".to_owned()),
            Token::Symbol(symbol) => format!("'{symbol}'"),
        };
        (*at, format!("{wanted} was expected, {found} found"))
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.depth == DEPTH_MAX {
            return Err((self.tokens[self.next].0, format!("is nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// `a` or `a, b`.
    fn tuple(&mut self) -> Result<Expression, Failure> {
        let first = self.choice()?;
        if !matches!(self.peek(), Token::Symbol(",")) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.symbol(",") {
            if matches!(self.peek(), Token::End | Token::Symbol(")")) {
                break;
            }
            items.push(self.choice()?);
        }
        Ok(Expression::List { items, is_tuple: true })
    }

    fn choice(&mut self) -> Result<Expression, Failure> {
        self.deeper(|parser| {
            let then = parser.or()?;
            if !parser.word("if") {
                return Ok(then);
            }
            let when = Box::new(parser.or()?);
            if !parser.word("else") {
                return Err(parser.unexpected("'else'"));
            }
            Ok(Expression::Choice { then: Box::new(then), when, otherwise: Box::new(parser.choice()?) })
        })
    }

    fn or(&mut self) -> Result<Expression, Failure> {
        let mut all = vec![self.and()?];
        while self.word("or") {
            all.push(self.and()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::Or(all) })
    }

    fn and(&mut self) -> Result<Expression, Failure> {
        let mut all = vec![self.not()?];
        while self.word("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::And(all) })
    }

    fn not(&mut self) -> Result<Expression, Failure> {
        if self.word("not") {
            return self.deeper(|parser| Ok(Expression::Not(Box::new(parser.not()?))));
        }
        let first = self.binary(0)?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparison()? {
            rest.push((comparison, self.binary(0)?));
        }
        Ok(if rest.is_empty() { first } else { Expression::Compare(Box::new(first), rest) })
    }

    fn comparison(&mut self) -> Result<Option<Comparison>, Failure> {
        let comparison = match self.peek() {
            Token::Symbol("==") => Comparison::Equal,
            Token::Symbol("!=" | "<>") => Comparison::NotEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::GreaterOrEqual,
            Token::Name(name) if name == "in" => Comparison::In,
            Token::Name(name) if name == "is" => Comparison::Is,
            Token::Name(name) if name == "not" => Comparison::NotIn,
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(match comparison {
            Comparison::Is if self.word("not") => Comparison::IsNot,
            Comparison::NotIn if !self.word("in") => return Err(self.unexpected("'in'")),
            other => other,
        }))
    }

    /// Operators from `|` (level 0) to `*` (level 5).
    fn binary(&mut self, level: usize) -> Result<Expression, Failure> {
        const LEVELS: [&[(&str, Operator)]; 6] = [
            &[("|", Operator::BitOr)],
            &[("^", Operator::BitXor)],
            &[("&", Operator::BitAnd)],
            &[("<<", Operator::ShiftLeft), (">>", Operator::ShiftRight)],
            &[("+", Operator::Add), ("-", Operator::Subtract)],
            &[
                ("*", Operator::Multiply),
                ("/", Operator::Divide),
                ("//", Operator::FloorDivide),
                ("%", Operator::Remainder),
            ],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        let mut operands = 1;
        loop {
            let found = operators.iter().find(|(symbol, _)| self.symbol(symbol));
            let Some((_, operator)) = found else { return Ok(left) };
            operands += 1;
            if operands > DEPTH_MAX {
                return Err((self.tokens[self.next].0, format!("has more than {DEPTH_MAX} operands in a row")));
            }
            left = Expression::Arithmetic(Box::new(left), *operator, Box::new(self.binary(level + 1)?));
        }
    }

    fn unary(&mut self) -> Result<Expression, Failure> {
        let make: fn(Box<Expression>) -> Expression = match self.peek() {
            Token::Symbol("-") => Expression::Negative,
            Token::Symbol("+") => Expression::Positive,
            Token::Symbol("~") => Expression::Invert,
            _ => return self.power(),
        };
        self.take();
        self.deeper(|parser| Ok(make(Box::new(parser.unary()?))))
    }

    fn power(&mut self) -> Result<Expression, Failure> {
        let base = self.postfix()?;
        if !self.symbol("**") {
            return Ok(base);
        }
        let exponent = self.deeper(Self::unary)?;
        Ok(Expression::Arithmetic(Box::new(base), Operator::Power, Box::new(exponent)))
    }

    fn postfix(&mut self) -> Result<Expression, Failure> {
        let mut of = self.atom()?;
        let mut steps = 0;
        loop {
            steps += 1;
            if steps > DEPTH_MAX {
                return Err((self.tokens[self.next].0, format!("has more than {DEPTH_MAX} steps in a row")));
            }
            of = if self.symbol(".") {
                let Token::Name(name) = self.take() else {
                    self.next = self.next.saturating_sub(1);
                    return Err(self.unexpected("the name of a method"));
                };
                if self.symbol("(") {
                    Expression::Method { of: Box::new(of), name, arguments: self.items(")")?.0 }
                } else {
                    Expression::Impossible { of: Box::new(of), what: format!("there is no '.{name}' here") }
                }
            } else if self.symbol("[") {
                self.subscript(of)?
            } else if self.symbol("(") {
                self.items(")")?;
                Expression::Impossible { of: Box::new(of), what: "functions cannot be called here".to_owned() }
            } else {
                return Ok(of);
            };
        }
    }

    fn subscript(&mut self, of: Expression) -> Result<Expression, Failure> {
        let end_or = |parser: &mut Self, ends: [&str; 2]| match parser.peek() {
            Token::Symbol(symbol) if ends.contains(symbol) => Ok(None),
            _ => parser.choice().map(|expression| Some(Box::new(expression))),
        };
        let from = end_or(self, [":", ":"])?;
        if self.symbol(":") {
            let to = end_or(self, ["]", "]"])?;
            self.expect("]")?;
            return Ok(Expression::Slice(Box::new(of), from, to));
        }
        let Some(index) = from else { return Err(self.unexpected("an index")) };
        self.expect("]")?;
        Ok(Expression::Index(Box::new(of), index))
    }

    /// Items up to a closing symbol, and whether a comma was among them.
    fn items(&mut self, close: &str) -> Result<(Vec<Expression>, bool), Failure> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.symbol(close) {
            items.push(self.choice()?);
            if self.symbol(",") {
                comma = true;
            } else if !matches!(self.peek(), Token::Symbol(symbol) if *symbol == close) {
                return Err(self.unexpected(&format!("'{close}'")));
            }
        }
        Ok((items, comma))
    }

    fn atom(&mut self) -> Result<Expression, Failure> {
        let expected = self.unexpected("a value");
        match self.take() {
            Token::Value(Value::Text(mut text)) => {
                while let Token::Value(Value::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.take();
                }
                Ok(Expression::Literal(Value::Text(text)))
            }
            Token::Value(value) => Ok(Expression::Literal(value)),
            Token::Name(name) if name == "None" => Ok(Expression::Literal(Value::None)),
            Token::Name(name) if matches!(name.as_str(), "and" | "or" | "not" | "in" | "is" | "if" | "else") => {
                Err(expected)
            }
            Token::Name(name) if RESERVED.contains(&name.as_str()) => {
                Err((expected.0, format!("'{name}' has no meaning in a condition")))
            }
            Token::Name(name) => Ok(Expression::Name(name)),
            Token::Symbol("(") => {
                let (mut items, comma) = self.items(")")?;
                match items.len() {
                    1 if !comma => Ok(items.remove(0)),
                    _ => Ok(Expression::List { items, is_tuple: true }),
                }
            }
            Token::Symbol("[") => Ok(Expression::List { items: self.items("]")?.0, is_tuple: false }),
            Token::Symbol("`") => {
                let inner = self.choice()?;
                self.expect("`")?;
                Ok(Expression::Quoted(Box::new(inner)))
            }
            _ => Err(expected),
        }
    }
}
