//! A JSON response of any size, parsed as a stream in little memory.
//!
//! The parser itself holds a text until its end and a byte for each level of nesting, of what is skipped too; all
//! else that is skipped takes no memory. So only these two are limited, and what the caller keeps.

use serde::de::DeserializeSeed;
use std::cell::Cell;
use std::io::{self, BufReader, ErrorKind, Read};

/// Largest response. Every port of an instance, listed for both protocols and both families, takes 25 MiB.
const LARGEST: usize = 64 * 1024 * 1024;

/// Longest text. The longest that the agent has is a path of 4096 bytes, each perhaps escaped.
const LONGEST_TEXT: usize = 32 * 1024;

/// Most levels of nesting. The agent has seven.
const DEEPEST: usize = 100;

/// Parses `body`. The caller reduces `room` by what it keeps.
///
/// # Errors
/// What `serde_json` finds, and a limit that is exceeded, which is an I/O error of the kind
/// [`ErrorKind::FileTooLarge`].
pub(super) fn parse<T>(
    body: impl Read,
    seed: impl for<'de> DeserializeSeed<'de, Value = T>,
    room: &Cell<usize>,
) -> Result<T, serde_json::Error> {
    let limited = Limited { body, room, read: 0, text: None, escaped: false, depth: 0 };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(limited));
    let value = seed.deserialize(&mut json)?;
    json.end().map(|()| value)
}

/// A response that is being read; reading fails as soon as a limit is exceeded.
struct Limited<'a, R> {
    body: R,
    room: &'a Cell<usize>,
    read: usize,
    /// How long the text is that is being read.
    text: Option<usize>,
    /// Whether a backslash came before.
    escaped: bool,
    depth: usize,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.read += read;
        buffer.iter().take(read).for_each(|byte| self.follow(*byte));
        let exceeded = [
            (self.read > LARGEST, "the response is larger than 64 MiB"),
            (self.text.is_some_and(|length| length > LONGEST_TEXT), "a string is larger than 32 KiB"),
            (self.depth > DEEPEST, "it is nested more than 100 levels deep"),
            (self.room.get() == 0, "the tasks in it need more than 3 MiB"),
        ];
        match exceeded.into_iter().find(|(exceeded, _)| *exceeded) {
            Some((_, what)) => Err(io::Error::new(ErrorKind::FileTooLarge, what)),
            None => Ok(read),
        }
    }
}

impl<R> Limited<'_, R> {
    fn follow(&mut self, byte: u8) {
        match (self.text, byte) {
            (Some(_), b'"') if !self.escaped => self.text = None,
            (Some(length), _) => {
                self.text = Some(length + 1);
                self.escaped = byte == b'\\' && !self.escaped;
            }
            (None, b'"') => self.text = Some(0),
            (None, b'[' | b'{') => self.depth += 1,
            (None, b']' | b'}') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;
    use std::marker::PhantomData;

    /// What is exceeded when all of `json` is skipped.
    fn exceeded(json: &str) -> Option<String> {
        let error = parse(json.as_bytes(), PhantomData::<IgnoredAny>, &Cell::new(1)).err()?;
        let error = io::Error::from(error);
        assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
        Some(error.to_string())
    }

    #[test]
    fn what_is_skipped_may_be_as_large_as_it_likes() {
        assert_eq!(exceeded(&format!("[{}1]", r#"{"a":"b\\","c":["\"[",1]},"#.repeat(100_000))), None);
        assert_eq!(exceeded(&format!(r#"["{}"]"#, r#"\""#.repeat(LONGEST_TEXT / 2))), None);
    }

    #[test]
    fn each_limit_is_named() {
        assert!(exceeded(&format!("[{}", "1,".repeat(LARGEST / 2))).unwrap().contains("64 MiB"));
        assert!(exceeded(&format!(r#"["{}"#, "x".repeat(50_000))).unwrap().contains("32 KiB"));
        assert!(exceeded(&"[".repeat(10_000)).unwrap().contains("100 levels"));
        let full = parse(&b"[]"[..], PhantomData::<IgnoredAny>, &Cell::new(0)).unwrap_err();
        assert!(full.is_io() && full.to_string().contains("3 MiB"), "{full}");
    }
}
