//! A line of the settings file: as meant, also when it is written for a shell, or what is wrong with it.
//!
//! Nothing in a line is guessed at: a comment after a value, half a quotation and a colon in place of `=` are errors. No error
//! shows a value.

use crate::config::keys::{is_ours, nearest};
use crate::keyvalue::{self, Pair};
use crate::text::shorten;

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineFault {
    #[error("is neither a comment nor KEY=VALUE")]
    NotKeyValue { setting: Option<String> },

    #[error("has a comment after the value of {}", shorten(.0))]
    Comment(String),

    #[error("has a quote at only one end of the value of {}", shorten(.0))]
    Quote(String),
}

impl LineFault {
    pub(crate) fn hint(&self) -> String {
        match self {
            LineFault::NotKeyValue { setting: Some(name) } => format!("write {}=VALUE", shorten(name)),
            LineFault::NotKeyValue { setting: None } => "fix the line, or comment it out with #".to_owned(),
            LineFault::Comment(_) => "move the comment to a line of its own".to_owned(),
            LineFault::Quote(_) => "add the missing quote, or remove the other one".to_owned(),
        }
    }
}

/// The settings of a file.
///
/// # Errors
/// The number of a line, and what is wrong with it.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = Result<Pair<'_>, (usize, LineFault)>> {
    keyvalue::pairs(text).map(move |pair| match pair {
        Ok(pair) => {
            let pair = Pair { key: without_export(pair.key), ..pair };
            match fault(&pair) {
                Some(fault) => Err((pair.line, fault)),
                None => Ok(pair),
            }
        }
        Err(line) => Err((line, not_key_value(text.lines().nth(line - 1).unwrap_or_default()))),
    })
}

fn fault(pair: &Pair<'_>) -> Option<LineFault> {
    let quote = ['"', '\''];
    let (key, value) = (pair.key, pair.value);
    if key.contains(|c: char| c == ':' || c.is_whitespace()) {
        Some(not_key_value(key))
    } else if pair.quoted || !(is_ours(key) || nearest(key).is_some()) {
        None
    } else if value.starts_with('#') || value.contains(" #") {
        Some(LineFault::Comment(key.to_owned()))
    } else {
        (value.starts_with(quote) || value.ends_with(quote)).then(|| LineFault::Quote(key.to_owned()))
    }
}

/// A setting that the line may be meant to give is named.
fn not_key_value(line: &str) -> LineFault {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = without_export(keyvalue::without_mark(line).trim()).split(|c| !is_part(c)).next();
    LineFault::NotKeyValue { setting: name.filter(|name| is_ours(name)).map(str::to_owned) }
}

/// What follows the `export` of a shell.
fn without_export(text: &str) -> &str {
    let rest = text.strip_prefix("export").unwrap_or(text);
    if rest.starts_with(char::is_whitespace) { rest.trim_start() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_meant_or_named() {
        let read = |text: &str| {
            let pair = pairs(text).next().unwrap();
            pair.map(|p| format!("{}={}", p.key, p.value)).map_err(|(_, fault)| fault)
        };
        for (line, meant) in [
            ("export ECS_START_TASK_WAIT = none", "ECS_START_TASK_WAIT=none"),
            ("ECS_START_TASK_LOG_FILE='/a #b'", "ECS_START_TASK_LOG_FILE=/a #b"),
            ("ECS_START_TASK_DEFINITION=a#b", "ECS_START_TASK_DEFINITION=a#b"),
            ("OTHER=a # b", "OTHER=a # b"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(meant), "{line}");
        }
        let name = || "ECS_START_TASK_WAIT".to_owned();
        for (line, fault) in [
            ("ECS_START_TASK_WAIT: none", LineFault::NotKeyValue { setting: Some(name()) }),
            ("export ECS_START_TASK_WAIT none", LineFault::NotKeyValue { setting: Some(name()) }),
            ("set ECS_START_TASK_WAIT=none", LineFault::NotKeyValue { setting: None }),
            ("ECS_START_TASK_WAIT=none # quick", LineFault::Comment(name())),
            ("ECS_START_TASK_WAIT=# quick", LineFault::Comment(name())),
            ("ECS_START_TASK_WAIT=\"none", LineFault::Quote(name())),
            ("ECS_START_TASK_WAIT=none'", LineFault::Quote(name())),
            ("ECS_START_TASK_WAIT=\"none\" # quick", LineFault::Comment(name())),
        ] {
            assert_eq!(read(line), Err(fault), "{line}");
        }
    }
}
