//! The length limits of the ECS API, for members that a value of the host may have made too long.
//!
//! Checked after references are resolved, so that an error names the member before anything is sent.

use crate::config::settings::{STARTED_BY_RULE, is_started_by};
use serde_json::{Map, Value};

/// What ECS takes as the key and the value of a tag.
const TAG_KEY_RULE: &str = "at most 128 letters, digits, spaces and _.:/=+-@";
const TAG_VALUE_RULE: &str = "at most 256 letters, digits, spaces and _.:/=+-@";

const LONGEST_GROUP: usize = 255;
const GROUP_RULE: &str = "at most 255 characters";

/// The length of overrides is that of their JSON.
const LONGEST_OVERRIDES: usize = 8192;
const OVERRIDES_RULE: &str = "at most 8192 characters of JSON";

/// The first member that ECS would refuse, and what it accepts.
pub(crate) fn exceeded(members: &Map<String, Value>) -> Option<(String, &'static str)> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let longer = |text: &str, most: usize| text.chars().nth(most).is_some();
    let overrides = members.get("overrides").map(Value::to_string);
    if text("startedBy").is_some_and(|text| !is_started_by(text)) {
        return Some(("startedBy".to_owned(), STARTED_BY_RULE));
    }
    if text("group").is_some_and(|group| longer(group, LONGEST_GROUP)) {
        return Some(("group".to_owned(), GROUP_RULE));
    }
    if overrides.is_some_and(|json| longer(&json, LONGEST_OVERRIDES)) {
        return Some(("overrides".to_owned(), OVERRIDES_RULE));
    }
    let tags = members.get("tags").and_then(Value::as_array).into_iter().flatten().enumerate();
    tags.into_iter().find_map(|(at, tag)| exceeded_tag(at, tag))
}

fn exceeded_tag(at: usize, tag: &Value) -> Option<(String, &'static str)> {
    [("key", 128, TAG_KEY_RULE), ("value", 256, TAG_VALUE_RULE)].into_iter().find_map(|(name, most, rule)| {
        let text = tag.get(name).and_then(Value::as_str).unwrap_or_default();
        let exceeds = text.chars().nth(most).is_some() || !text.chars().all(is_of_tag);
        exceeds.then(|| (format!("tags.{at}.{name}"), rule))
    })
}

fn is_of_tag(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn member(members: Value) -> Option<String> {
        exceeded(members.as_object().unwrap()).map(|(member, _)| member)
    }

    #[test]
    fn what_is_at_a_limit_is_taken_and_what_exceeds_it_is_named() {
        let text = |length| "é".repeat(length);
        for (at_limit, over, name) in [
            (json!({"startedBy": "a".repeat(36)}), json!({"startedBy": "a".repeat(37)}), "startedBy"),
            (json!({"startedBy": "a/b_c-d"}), json!({"startedBy": "a:b"}), "startedBy"),
            (json!({"group": text(255)}), json!({"group": text(256)}), "group"),
            (
                json!({"overrides": {"cpu": text(8182)}}),
                json!({"overrides": {"cpu": text(8183)}}),
                "overrides",
            ),
            (
                json!({"tags": [{}, {"value": text(256)}]}),
                json!({"tags": [{}, {"value": text(257)}]}),
                "tags.1.value",
            ),
            (json!({"tags": [{"key": text(128)}]}), json!({"tags": [{"key": text(129)}]}), "tags.0.key"),
            (json!({"tags": [{"key": "a b_.:/=+-@1"}]}), json!({"tags": [{"key": "a,b"}]}), "tags.0.key"),
            (
                json!({"tags": [{"key": "a", "value": ""}]}),
                json!({"tags": [{"key": "a", "value": "<"}]}),
                "tags.0.value",
            ),
        ] {
            assert_eq!(member(at_limit.clone()), None, "{at_limit}");
            assert_eq!(member(over.clone()).as_deref(), Some(name), "{over}");
        }
    }
}
