//! Inputs for the property tests: valid ones, and nearly valid ones.

use crate::request::schema::Shape;
use crate::text::sanitize_line;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any text, and text that has a meaning for one of the parsers.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let marks = prop::sample::select(vec![
        "\u{1b}[31m",
        "\u{202e}",
        "\n",
        "\r\n",
        "\0",
        "é",
        "\u{1f600}",
        "=",
        "#",
        ":",
        "/",
        "\"",
        "\\",
        "{",
        "[",
        "$TOKEN",
        "$ESCAPED",
        "a",
        "7",
        " ",
        "arn:",
        "-1",
        "18446744073709551616",
    ]);
    prop_oneof![any::<String>(), prop::collection::vec(marks, 0..40).prop_map(|m| m.concat()), "x{280,320}"]
}

/// Any JSON of little depth.
pub(crate) fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

/// An object with some of the members, most of them with the values of `good`.
pub(crate) fn object(good: Value) -> impl Strategy<Value = Value> {
    let members = good.as_object().unwrap().clone();
    prop::collection::vec((0..10u8, json_value()), members.len()).prop_map(move |changes| {
        let changed = members.clone().into_iter().zip(changes).filter_map(
            |((name, value), (what, other))| match what {
                0 => None,
                1 => Some((name, other)),
                _ => Some((name, value)),
            },
        );
        changed.collect()
    })
}

/// A response in the form of the corpus, sometimes a truncated one.
pub(crate) fn answer(body: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<u8>> {
    let status = prop::sample::select(vec![200u16, 200, 200, 400, 401, 403, 404, 429, 500, 503]);
    let header = prop::option::of((
        prop::sample::select(vec!["x-amzn-errortype", "date", "retry-after", "x"]),
        text(),
    ));
    (status, header, body, 80..120usize).prop_map(|(status, header, body, length)| {
        let header =
            header.map(|(name, value)| format!("{name}: {}\n", sanitize_line(&value))).unwrap_or_default();
        let mut answer = format!("{status}\n{header}\n{body}").into_bytes();
        answer.truncate(answer.len() * length / 100);
        answer
    })
}

pub(crate) fn good_task(family: &str) -> Value {
    json!({"Arn": "arn:aws:ecs:us-east-1:1:task/prod/0123", "Family": family, "Version": "3", "KnownStatus": "RUNNING",
           "DesiredStatus": "RUNNING", "Containers": [{"StartedAt": "2026-01-02T03:04:05Z"}]})
}

pub(crate) fn good_keys() -> Value {
    json!({"Code": "Success", "Message": "no", "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "wJalr/XUtn",
           "Token": "IQoJb3//+==", "Expiration": "2026-01-02T09:04:05Z"})
}

/// What may be in a shape.
pub(crate) fn shaped(shape: &'static Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Text => "[a-z:/]{1,9}".prop_map(Value::from).boxed(),
        Shape::Number => any::<i64>().prop_map(Value::from).boxed(),
        Shape::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Any => json_value().boxed(),
        Shape::List(item) => prop::collection::vec(shaped(item), 0..3).prop_map(Value::from).boxed(),
        Shape::Struct(members) => members
            .iter()
            .map(|m| {
                (prop::bool::weighted(if m.required { 1.0 } else { 0.5 }), Just(m.name), shaped(&m.shape))
            })
            .collect::<Vec<_>>()
            .prop_map(|members| {
                members.into_iter().filter(|(there, ..)| *there).map(|(_, n, v)| (n.to_owned(), v)).collect()
            })
            .boxed(),
    }
}

/// The places in a document, as JSON pointers.
pub(crate) fn places(value: &Value, here: &str) -> Vec<String> {
    let below: Vec<String> = match value {
        Value::Object(members) => {
            members.iter().flat_map(|(n, v)| places(v, &format!("{here}/{n}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(i, v)| places(v, &format!("{here}/{i}"))).collect()
        }
        _ => Vec::new(),
    };
    [here.to_owned()].into_iter().filter(|h| !h.is_empty()).chain(below).collect()
}
