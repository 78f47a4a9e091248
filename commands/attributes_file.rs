//! Attributes out of a file: a JSON object of texts, numbers and truth values, each name once.

use crate::error::{Failure, Kind};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Reads them; what is wrong is told with its line and column.
pub(crate) fn read(file: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let (name, text) = crate::kickstart::read(file)?;
    parse(&text).map_err(|problem| Failure::new(Kind::Invalid, format!("{name}:{problem}")).into())
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let read: Result<Attributes, serde_json::Error> = serde_json::from_str(text);
    read.map(|Attributes(attributes)| attributes).map_err(|error| {
        let (line, column, told) = (error.line(), error.column(), error.to_string());
        let what = told.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&told);
        let what = what.strip_prefix(ATTRIBUTE).map_or_else(|| format!("is no JSON object: {what}"), str::to_owned);
        format!("{line}:{column}: {what}")
    })
}

/// Marks words of this file, which need none in front.
const ATTRIBUTE: &str = "\u{0}";

struct Attributes(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Attributes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("attributes by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
        let mut attributes = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let told = |what: &str| A::Error::custom(format!("{ATTRIBUTE}attribute '{name}' {what}"));
            if attributes.contains_key(&name) {
                return Err(told("is there twice"));
            }
            let value = match map.next_value()? {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Null => return Err(told("is null: leave it out, or give it an empty text")),
                Value::Array(_) | Value::Object(_) => return Err(told("is no text")),
            };
            attributes.insert(name, value);
        }
        Ok(Attributes(attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn attributes_are_texts_numbers_and_truth_values_once_each() {
        let read = parse("{\"a\": \"x\\n\", \"b\": 7, \"c\": true, \"d\": 2.5, \"\": \"\"}").expect("attributes");
        let read: Vec<_> = read.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(read, ["=", "a=x\n", "b=7", "c=true", "d=2.5"]);
        for (text, told) in [
            ("{\n \"a\": \"x\",\n \"b\": \"\", \"a\": \"x\"}", "3:13: attribute 'a' is there twice"),
            ("{\"a\": [1]}", "1:10: attribute 'a' is no text"),
            ("{\"a\": null}", "1:11: attribute 'a' is null: leave it out, or give it an empty text"),
            ("{\"a\": ", "1:6: is no JSON object: EOF while parsing a value"),
            ("", "1:0: is no JSON object: EOF while parsing a value"),
            ("{\"a\": \"x\"} y", "1:12: is no JSON object: trailing characters"),
        ] {
            assert_eq!(parse(text), Err(told.to_owned()), "{text}");
        }
        assert!(parse("[1]").is_err_and(|told| told.starts_with("1:0: is no JSON object: invalid type: sequence")));
    }
}
