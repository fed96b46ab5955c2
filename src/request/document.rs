//! StartTask request documents: JSON read against the request's shape.
//!
//! The shape is walked while the text is parsed, so that every error knows its line, its member and,
//! for a misspelt one, the name that was meant. A member that resembles no known one is kept as it is.

use crate::keyvalue::without_mark;
use crate::request::schema::{ANY, Member, START_TASK, Shape};
use crate::text::{DID_YOU_MEAN, did_you_mean, nearest, shorten, shorten_middle};
use serde::de::{self, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What is wrong with a document, with its line and column, and how to fix it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) why: String,
    pub(crate) hint: String,
}

/// The members that a document gives.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, Fault> {
    let mut json = serde_json::Deserializer::from_str(without_mark(text));
    let root = At { shape: &START_TASK, path: String::new() };
    let value = root.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value.map_err(|e| fault(text, &e))? {
        Value::Object(members) => Ok(members),
        _ => Err(Fault { why: "not a JSON object".to_owned(), hint: SHAPE.to_owned() }),
    }
}

const SHAPE: &str =
    "fix the document: its members are those that `aws ecs start-task --generate-cli-skeleton` prints";

/// The place first, as for a line of the settings. Those words of serde that quote a value are not among its messages here.
fn fault(text: &str, error: &serde_json::Error) -> Fault {
    let place = format!("line {} column {}", error.line(), error.column());
    let what = error.to_string();
    let what = what.strip_suffix(&format!(" at {place}")).unwrap_or(&what);
    let (what, meant) = what.split_once(DID_YOU_MEAN).map_or((what, None), |(w, name)| (w, Some(name)));
    let (syntax, what) = match (error.is_data(), is_yaml(text)) {
        (true, _) => ("", what),
        (false, true) => ("not valid JSON", ""),
        (false, false) => ("not valid JSON: ", what),
    };
    let hint = meant.map(|name| format!("did you mean {name}"));
    Fault {
        why: format!("{place}: {syntax}{}", shorten_middle(what)),
        hint: hint.unwrap_or_else(|| hint_for(text, what).to_owned()),
    }
}

/// How to fix what is likely to be wrong with it.
fn hint_for(text: &str, what: &str) -> &'static str {
    let members: Map<String, Value> = serde_json::from_str(without_mark(text)).unwrap_or_default();
    if members.contains_key("containerOverrides") {
        "these are the overrides alone: put them into a request document, {\"taskDefinition\": \"NAME\", \"overrides\": {...}}"
    } else if is_yaml(text) {
        "this looks like YAML: write it as JSON, as `aws ecs start-task --generate-cli-skeleton` prints it"
    } else if text.trim().is_empty() {
        "the document is empty: delete it, or write a request into it"
    } else if what.starts_with("trailing comma") {
        "remove the comma before the closing bracket"
    } else if what.starts_with("trailing characters") {
        "one document holds one request: move what follows it to a file of its own"
    } else if what.starts_with("EOF") {
        "the document is cut off: a closing quote, bracket or brace is missing"
    } else if what.starts_with("key must be a string") {
        "put names in double quotes, and remove comments, which JSON does not have"
    } else {
        SHAPE
    }
}

/// Whether it begins as no JSON does, and a line of it gives a member.
fn is_yaml(text: &str) -> bool {
    let is_member = |line: &str| {
        line.split_once(':').is_some_and(|(name, rest)| {
            name.chars().all(char::is_alphanumeric) && (rest.is_empty() || rest.starts_with(' '))
        })
    };
    !text.trim_start().starts_with(['{', '[', '"']) && text.lines().any(is_member)
}

/// A place in the document and the type that is expected there.
struct At {
    shape: &'static Shape,
    path: String,
}

impl At {
    fn below(&self, name: &str, shape: &'static Shape) -> At {
        let dot = if self.path.is_empty() { "" } else { "." };
        At { shape, path: format!("{}{dot}{name}", self.path) }
    }

    /// The value, if its type is right.
    ///
    /// # Errors
    /// It is not.
    fn accept<E: de::Error>(&self, fits: bool, found: &str, value: impl Into<Value>) -> Result<Value, E> {
        if fits || matches!(self.shape, Shape::Any) { Ok(value.into()) } else { Err(self.mismatch(found)) }
    }

    /// What was found is named by its type, never by its value.
    fn mismatch<E: de::Error>(&self, found: &str) -> E {
        let expected = match self.shape {
            Shape::Text => "a string",
            Shape::Number => "a whole number",
            Shape::Flag => "true or false",
            Shape::List(_) => "a list",
            Shape::Struct(_) => "an object",
            Shape::Any => "anything",
        };
        let place = if self.path.is_empty() { "the document" } else { &self.path };
        E::custom(format!("expected {expected} for {place}, found {found}"))
    }
}

impl<'de> DeserializeSeed<'de> for At {
    type Value = Value;

    /// Whatever stands there: serde's own message for what does not fit would quote it.
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.accept(matches!(self.shape, Shape::Text), "a string", text)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        self.accept(matches!(self.shape, Shape::Flag), "true or false", flag)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        self.accept(matches!(self.shape, Shape::Number), "a number", number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        self.accept(matches!(self.shape, Shape::Number), "a number", number)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        self.accept(false, "a number with a fraction or an exponent", number)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.accept(false, "null", Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let item = match self.shape {
            Shape::List(item) => item,
            Shape::Any => &ANY,
            _ => return Err(self.mismatch("a list")),
        };
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.below(&values.len().to_string(), item))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let members = match self.shape {
            Shape::Struct(members) => members,
            Shape::Any => &[][..],
            _ => return Err(self.mismatch("an object")),
        };
        let mut values = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let shape = shape_of(members, &name).map_err(|why| A::Error::custom(self.say(&why)))?;
            if values.contains_key(&name) {
                return Err(A::Error::custom(self.say(&format!("{name} is given twice"))));
            }
            let value = object.next_value_seed(self.below(&name, shape))?;
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

/// The shape of a member; one that is unknown may be anything.
///
/// # Errors
/// The name is close to a known one: probably a typing error.
fn shape_of(members: &'static [Member], name: &str) -> Result<&'static Shape, String> {
    if let Some(member) = members.iter().find(|m| m.name == name) {
        return Ok(&member.shape);
    }
    match nearest(name, members.iter().map(|m| m.name)) {
        near @ Some(_) => Err(format!("unknown member {}{}", shorten(name), did_you_mean(near))),
        None => Ok(&ANY),
    }
}

/// The places of the members that are not known.
pub(crate) fn unknown_members(document: &Map<String, Value>) -> Vec<String> {
    let mut places = Vec::new();
    for (name, value) in document {
        walk(value, member(&START_TASK, name), shorten(name), &mut places);
    }
    places
}

fn walk(value: &Value, shape: Option<&'static Shape>, place: String, unknown: &mut Vec<String>) {
    match (value, shape) {
        (_, None) => unknown.push(place),
        (Value::Array(items), Some(Shape::List(shape))) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, Some(shape), format!("{place}.{index}"), unknown);
            }
        }
        (Value::Object(members), Some(shape)) => {
            for (name, value) in members {
                walk(value, member(shape, name), format!("{place}.{}", shorten(name)), unknown);
            }
        }
        _ => {}
    }
}

fn member(shape: &'static Shape, name: &str) -> Option<&'static Shape> {
    match shape {
        Shape::Struct(members) => members.iter().find(|m| m.name == name).map(|m| &m.shape),
        _ => None,
    }
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
    fn what_is_not_known_is_kept_as_it_is() {
        let text = r#"{"taskDefinition":"a","launchType":"EC2","zzzz":[{"n":null,"f":0.5,"l":[-1,"x",true]}],
            "overrides":{"containerOverrides":[{"name":"b"},{"name":"c","hugePages":{"cpu":"x"}}]}}"#;
        let members = parse(text).unwrap();
        assert_eq!(
            unknown_members(&members),
            ["launchType", "overrides.containerOverrides.1.hugePages", "zzzz"]
        );
        assert_eq!(Value::Object(members), serde_json::from_str::<Value>(text).unwrap());
        assert!(
            parse(r#"{"taskDefinition":"a","zzzz":{"b":1,"b":2}}"#).unwrap_err().why.contains("given twice")
        );
    }

    #[test]
    fn a_short_name_is_misspelt_only_when_one_letter_is() {
        let with = |name: &str| parse(&format!(r#"{{"taskDefinition":"a","{name}":[]}}"#));
        assert_eq!(with("tgas").unwrap_err().hint, "did you mean tags?");
        assert!(with("logs").is_ok() && with("type").is_ok());
    }

    #[test]
    fn a_long_value_does_not_hide_its_place() {
        let text = format!(r#"{{"taskDefinition":"a","enableExecuteCommand":"{}"}}"#, "x".repeat(9_000));
        let error = parse(&text).unwrap_err().why;
        assert!(error.starts_with("line 1 column 90"), "{error}");
        assert!(
            error.ends_with(": expected true or false for enableExecuteCommand, found a string"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_line_member_and_what_was_meant() {
        for (text, why, hint) in [
            ("[]", "line 1 column 2: expected an object for the document, found a list", SHAPE),
            (
                "{\n\"taskdefinition\": \"a\"}",
                "line 2 column 16: unknown member taskdefinition",
                "did you mean taskDefinition?",
            ),
            ("{}", "line 1 column 2: taskDefinition is missing", SHAPE),
            (
                "{\"taskDefinition\": 7}",
                "line 1 column 20: expected a string for taskDefinition, found a number",
                SHAPE,
            ),
            (
                "{\"taskDefinition\": null}",
                "line 1 column 23: expected a string for taskDefinition, found null",
                SHAPE,
            ),
            (
                "{\"taskDefinition\":\"a\",\n\"overrides\":{\"containerOverrides\":[{\"comand\":[]}]}}",
                "line 2 column 44: overrides.containerOverrides.0: unknown member comand",
                "did you mean command?",
            ),
            (
                "{\"taskDefinition\":\"a\",\"networkConfiguration\":{\"awsvpcConfiguration\":{}}}",
                "line 1 column 70: networkConfiguration.awsvpcConfiguration: subnets is missing",
                SHAPE,
            ),
            (
                "{\"taskDefinition\":\"a\",\"taskDefinition\":\"b\"}",
                "line 1 column 38: taskDefinition is given twice",
                SHAPE,
            ),
        ] {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.why, why, "{text}");
            assert!(fault.hint.starts_with(hint), "{text}: {}", fault.hint);
        }
    }

    #[test]
    fn what_is_not_json_is_told_with_what_it_may_be() {
        for (text, why, hint) in [
            ("", "line 1 column 0: not valid JSON: EOF while parsing a value", "the document is empty"),
            (
                "{\"taskDefinition\":\"a\"} x",
                "line 1 column 24: not valid JSON: trailing characters",
                "one document holds one request",
            ),
            (
                "{\"taskDefinition\":\"a\",\n}",
                "line 2 column 1: not valid JSON: trailing comma",
                "remove the comma before",
            ),
            (
                "{\"taskDefinition\":\"a\"",
                "line 1 column 21: not valid JSON: EOF while parsing an object",
                "the document is cut off",
            ),
            (
                "{// ours\n}",
                "line 1 column 2: not valid JSON: key must be a string",
                "put names in double quotes",
            ),
            (
                "taskDefinition: a\noverrides:\n  x: y\n",
                "line 1 column 2: not valid JSON",
                "this looks like YAML",
            ),
            ("---\ntaskDefinition: a\n", "line 1 column 2: not valid JSON", "this looks like YAML"),
            ("not this: either", "line 1 column 2: not valid JSON: expected ident", SHAPE),
        ] {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.why, why, "{text}");
            assert!(fault.hint.starts_with(hint), "{text}: {}", fault.hint);
        }
    }
}
