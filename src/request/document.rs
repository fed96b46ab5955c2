//! StartTask request documents: JSON read against the request's shape.
//!
//! The shape is walked while the text is parsed, so that every error knows its line, its member and,
//! for a misspelt one, the name that was meant.

use crate::keyvalue::without_mark;
use crate::request::schema::{Member, START_TASK, Shape};
use crate::text::{did_you_mean, nearest};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The members that a document gives.
///
/// # Errors
/// What is wrong, with member, line and column.
pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let mut json = serde_json::Deserializer::from_str(without_mark(text));
    let root = At { shape: &START_TASK, path: String::new() };
    let value = root.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value.map_err(|e| message(&e))? {
        Value::Object(members) => Ok(members),
        _ => Err("not a JSON object".to_owned()),
    }
}

/// In serde's words, which quote the value that is wrong, then name its member and its place.
fn message(error: &serde_json::Error) -> String {
    crate::text::sanitize_ends(&error.to_string())
}

/// A place in the document and what may stand there.
struct At {
    shape: &'static Shape,
    path: String,
}

impl At {
    fn below(&self, name: &str, shape: &'static Shape) -> At {
        let dot = if self.path.is_empty() { "" } else { "." };
        At { shape, path: format!("{}{dot}{name}", self.path) }
    }
}

impl<'de> DeserializeSeed<'de> for At {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        match self.shape {
            Shape::Text => json.deserialize_str(self),
            Shape::Number => json.deserialize_i64(self),
            Shape::Flag => json.deserialize_bool(self),
            Shape::List(_) => json.deserialize_seq(self),
            Shape::Struct(_) => json.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for At {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.shape {
            Shape::Text => "a string",
            Shape::Number => "a whole number",
            Shape::Flag => "true or false",
            Shape::List(_) => "a list",
            Shape::Struct(_) => "an object",
        };
        let place = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{what} for {place}")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let Shape::List(item) = self.shape else {
            return Err(A::Error::custom("a list that nobody expects"));
        };
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.below(&values.len().to_string(), item))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let Shape::Struct(members) = self.shape else {
            return Err(A::Error::custom("an object that nobody expects"));
        };
        let mut values = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let member = find(members, &name).map_err(|why| A::Error::custom(self.say(&why)))?;
            if values.contains_key(&name) {
                return Err(A::Error::custom(self.say(&format!("{name} is given twice"))));
            }
            let value = object.next_value_seed(self.below(&name, &member.shape))?;
            values.insert(name, value);
        }
        match members.iter().find(|m| m.required && !values.contains_key(m.name)) {
            Some(missing) => Err(A::Error::custom(self.say(&format!("{} is missing", missing.name)))),
            None => Ok(values.into()),
        }
    }
}

impl At {
    fn say(&self, what: &str) -> String {
        if self.path.is_empty() { what.to_owned() } else { format!("{}: {what}", self.path) }
    }
}

fn find(members: &'static [Member], name: &str) -> Result<&'static Member, String> {
    let names = || members.iter().map(|m| m.name);
    members.iter().find(|m| m.name == name).ok_or_else(|| {
        let shown = crate::text::sanitize(name);
        format!("unknown member {shown}{}", did_you_mean(nearest(name, names())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_document_comes_through_unchanged() {
        let text = r#"{"taskDefinition": "log:3", "enableExecuteCommand": true,
            "overrides": {"containerOverrides": [{"name": "a", "command": ["x"], "cpu": 10}]}}"#;
        assert_eq!(Value::Object(parse(text).unwrap()), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn a_long_value_does_not_hide_its_place() {
        let text = format!(r#"{{"taskDefinition":"a","enableExecuteCommand":"{}"}}"#, "x".repeat(9_000));
        let error = parse(&text).unwrap_err();
        assert!(
            error.ends_with("expected true or false for enableExecuteCommand at line 1 column 9047"),
            "{error}"
        );
        assert!(error.len() < 400);
    }

    #[test]
    fn errors_name_member_line_and_what_was_meant() {
        for (text, expected) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("[]", "invalid type: sequence, expected an object for the document at line 1 column 0"),
            (
                "{\n\"taskdefinition\": \"a\"}",
                "unknown member taskdefinition, did you mean taskDefinition? at line 2 column 16",
            ),
            ("{}", "taskDefinition is missing at line 1 column 2"),
            (
                "{\"taskDefinition\": 7}",
                "invalid type: integer `7`, expected a string for taskDefinition at line 1 column 20",
            ),
            (
                "{\"taskDefinition\": null}",
                "invalid type: null, expected a string for taskDefinition at line 1 column 23",
            ),
            (
                "{\"taskDefinition\":\"a\",\n\"overrides\":{\"containerOverrides\":[{\"comand\":[]}]}}",
                "overrides.containerOverrides.0: unknown member comand, did you mean command? at line 2 column 44",
            ),
            (
                "{\"taskDefinition\":\"a\",\"networkConfiguration\":{\"awsvpcConfiguration\":{}}}",
                "networkConfiguration.awsvpcConfiguration: subnets is missing at line 1 column 70",
            ),
            (
                "{\"taskDefinition\":\"a\",\"taskDefinition\":\"b\"}",
                "taskDefinition is given twice at line 1 column 38",
            ),
            ("{\"taskDefinition\":\"a\"} x", "trailing characters at line 1 column 24"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
