//! Small helpers for words that people read.
//!
//! What others wrote is made printable once, by what writes it: the log, the status for systemd, the tables, lines and JSON on
//! stdout. Everything else hands it on as it is, and only shortens what may be long.

use std::time::{Duration, SystemTime};

/// Longest piece of foreign text that is shown, in characters.
const SHOWN: usize = 300;

/// What is longer resembles no name that is known, and would take long to compare.
const LONGEST_MISSPELT: usize = 64;

/// Text of others as one line that a terminal shows as it is: nothing in it moves the cursor, ends the line, hides or reorders.
pub(crate) fn sanitize_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_visible(c) => line.push(c),
            c => line.extend(c.escape_unicode()),
        }
    }
    line
}

/// The same JSON, whose strings a terminal shows as they are. What is no string in it is visible, or ends a line.
pub(crate) fn sanitize_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_visible(c) {
            text.push(c);
        } else {
            let mut units = [0; 2];
            text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}

/// Foreign text for a message: without space around it, and not longer than [`SHOWN`] once the writers have made it printable.
pub(crate) fn shorten(text: &str) -> String {
    shorten_to(text.trim(), SHOWN)
}

/// The start of a text, as much as the writers show in `most` characters, and dots when there is more.
pub(crate) fn shorten_to(text: &str, most: usize) -> String {
    let mut shown = 0;
    let mut is_too_long = |(_, c): &(usize, char)| {
        shown += if is_visible(*c) { 1 } else { c.escape_unicode().len() };
        shown > most
    };
    match text.char_indices().find(&mut is_too_long) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// As [`shorten`], for text whose end matters too.
pub(crate) fn shorten_middle(text: &str) -> String {
    let half = SHOWN / 2;
    match text.chars().count().checked_sub(half) {
        Some(rest) if rest > half => {
            let (start, end): (String, String) =
                (text.chars().take(half).collect(), text.chars().skip(rest).collect());
            format!("{} ... {}", start.trim(), end.trim())
        }
        _ => text.trim().to_owned(),
    }
}

/// As [`shorten`], for bytes that may not be UTF-8.
pub(crate) fn shorten_bytes(bytes: &[u8]) -> String {
    // Four bytes are the longest character: the rest of a huge response is not needed.
    let bytes = bytes.trim_ascii();
    let head = bytes.get(..(SHOWN + 1) * 4).unwrap_or(bytes);
    match shorten(&String::from_utf8_lossy(head)) {
        empty if empty.is_empty() => "(no body)".to_owned(),
        shown => shown,
    }
}

/// Letters and a symbol that are drawn as nothing: the fillers of Hangul, and Braille without a dot.
const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Whether a terminal draws something for it, in its place. The standard library escapes what is control, format, separator,
/// unassigned, private or a mark on another character by Unicode, and quotes, which do no harm.
fn is_visible(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || (c.escape_debug().len() == 1 && !BLANK.contains(&c))
}

/// A message and its hint. The message of another program may end with a full stop, or with the dots of a cut.
pub(crate) fn sentence(what: &str, hint: &str) -> String {
    let what = what.strip_suffix('.').filter(|w| !w.ends_with('.')).unwrap_or(what);
    // A question, as of a misspelt name, is the hint.
    if what.ends_with('?') { what.to_owned() } else { format!("{what}; {hint}") }
}

/// One word to a shell, whatever it holds.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The name of `known` that `name` most resembles, when it resembles one at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .filter(|_| name.len() <= LONGEST_MISSPELT)
        .map(|k| (strsim::damerau_levenshtein(&name.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(distance, k)| *distance <= k.len() / 3)
        .min()
        .map(|(_, k)| k)
}

pub(crate) const DID_YOU_MEAN: &str = ", did you mean ";

/// ", did you mean X?" or nothing.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |n| format!("{DID_YOU_MEAN}{n}?"))
}

/// A duration as people say it, in whole seconds.
pub(crate) fn human(time: Duration) -> String {
    if !time.is_zero() && time.as_secs() == 0 {
        return "less than a second".to_owned();
    }
    let seconds = time.as_secs().saturating_add((time.subsec_millis() >= 500).into());
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// A point in time as people and programs read it: RFC 3339, in UTC, to the second.
pub(crate) fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// What is wrong with JSON, and where; without serde's own words, which quote values.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Syntax => "not JSON",
        Category::Data => "JSON of another form",
        Category::Eof => "it is cut off",
        Category::Io => "it cannot be read",
    };
    format!("{what} (line {} column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_short_visible_line() {
        assert_eq!(sanitize_line(" a\nb\x1b[31m "), " a b\\u{1b}[31m ");
        assert_eq!(sanitize_line("\u{202e}abc"), "\\u{202e}abc");
        assert_eq!(shorten(" a "), "a");
        assert_eq!(shorten(&"é".repeat(SHOWN)), "é".repeat(SHOWN));
        assert_eq!(shorten(&"é".repeat(SHOWN + 1)), "é".repeat(SHOWN) + "...");
        assert!(sanitize_line(&shorten(&"\u{202e}".repeat(400))).len() <= SHOWN + 3);
        assert_eq!(shorten_middle(&format!("{}{}", "a".repeat(SHOWN), "z")).len(), SHOWN + 5);
        assert_eq!(shorten_bytes(b"\xff\xfe{}"), "\u{fffd}\u{fffd}{}");
    }

    #[test]
    fn what_a_terminal_does_not_draw_is_written_out() {
        for hidden in "\0\x1b\x7f\u{85}\u{9b}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{2028}\u{202e}\u{2060}\u{2069}\u{206a}\u{2800}\u{3164}\u{e000}\u{fe0f}\u{feff}\u{e0041}".chars() {
            let line = sanitize_line(&format!("a{hidden}b"));
            assert_eq!(line, format!("a{}b", hidden.escape_unicode()));
            assert_eq!(sanitize_line(&line), line);
            let json = sanitize_json(&serde_json::to_string(&format!("a{hidden}")).unwrap());
            assert!(json.is_ascii());
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), format!("a{hidden}"));
        }
        for plain in ["it's \"quoted\" \\u{1b}", "Grüße, 日本語 \u{1f600}"] {
            assert_eq!(sanitize_line(plain), plain);
        }
        assert_eq!(sanitize_json("{\n  \"a\\n\": \"é\"\n}"), "{\n  \"a\\n\": \"é\"\n}");
    }

    #[test]
    fn nearest_names_only_what_is_near() {
        assert_eq!(
            nearest("ECS_START_TASK_TIMEUOT", ["ECS_START_TASK_TIMEOUT", "X"]),
            Some("ECS_START_TASK_TIMEOUT")
        );
        assert_eq!(nearest("zzzzzz", ["overrides", "tags"]), None);
        assert_eq!((nearest("tgas", ["tags"]), nearest("logs", ["tags"])), (Some("tags"), None));
        assert_eq!(did_you_mean(None), "");
    }

    #[test]
    fn a_shell_takes_it_for_one_word() {
        assert_eq!(shell_word("/var/log/ecs-1.2"), "/var/log/ecs-1.2");
        assert_eq!(shell_word("it's $(this)"), r"'it'\''s $(this)'");
    }

    #[test]
    fn durations_are_rounded() {
        assert_eq!(human(Duration::from_millis(250)), "less than a second");
        assert_eq!(human(Duration::from_millis(61_600)), "1m 2s");
    }
}
