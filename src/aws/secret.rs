//! Text that must never be shown: tokens and keys.

use http::{HeaderValue, Response};
use serde::Deserialize;
use std::fmt;

/// A secret. Its `Debug` is redacted and there is no `Display`; its memory is wiped when it is freed, as all memory is
/// (`hardening`).
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself, for the one place that must send it or sign with it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A shorter text is not a token, and may be part of any word.
const SHORTEST: usize = 8;

/// The secrets of a request, to be redacted from an error if the response repeats them.
#[derive(Debug)]
pub(crate) struct Sent(Vec<Secret>);

impl Sent {
    /// The tokens and the signature among the request's headers.
    pub(crate) fn with<T>(request: &http::Request<T>) -> Self {
        let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
        let signature = header("authorization").and_then(|a| a.rsplit("Signature=").next());
        let tokens = ["x-amz-security-token", "x-aws-ec2-metadata-token"].into_iter().filter_map(header);
        Sent(tokens.chain(signature).map(Secret::new).collect())
    }

    /// The response without them, in its headers and in its body.
    pub(crate) fn scrub(&self, mut answer: Response<Vec<u8>>) -> Response<Vec<u8>> {
        for value in answer.headers_mut().values_mut() {
            if let Ok(scrubbed) = HeaderValue::from_bytes(&self.scrub_text(value.as_bytes().to_vec())) {
                *value = scrubbed;
            }
        }
        answer.map(|body| self.scrub_text(unescaped(body)))
    }

    fn scrub_text(&self, body: Vec<u8>) -> Vec<u8> {
        let repeats =
            |s: &&Secret| s.0.len() >= SHORTEST && body.windows(s.0.len()).any(|w| w == s.0.as_bytes());
        let repeated: Vec<_> = self.0.iter().filter(repeats).collect();
        if repeated.is_empty() {
            return body;
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        repeated.into_iter().fold(text, |text, s| text.replace(&s.0, "[redacted]")).into_bytes()
    }
}

/// The same JSON with letters, digits and marks as they are; many write `/`, `+` and `=` as `\/`, `\u002b` and `\u003d`.
fn unescaped(body: Vec<u8>) -> Vec<u8> {
    if !body.contains(&b'\\') {
        return body;
    }
    let mut plain = Vec::with_capacity(body.len());
    let mut rest = body.as_slice();
    while let Some(first) = rest.first() {
        let (meant, length) = match rest {
            [b'\\', b'/', ..] => (Some(b'/'), 2),
            [b'\\', b'u', b'0', b'0', digits @ ..] => (digits.get(..2).and_then(mark), 6),
            [b'\\', _, ..] => (None, 2),
            _ => (Some(*first), 1),
        };
        match meant {
            Some(mark) => plain.push(mark),
            None => plain.extend(rest.iter().take(length)),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    plain
}

/// The visible character of ASCII that two hexadecimal digits stand for, unless JSON must have it escaped.
fn mark(digits: &[u8]) -> Option<u8> {
    let code = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (code.is_ascii_graphic() && !matches!(code, b'"' | b'\\')).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_the_request_is_scrubbed() {
        let request = http::Request::get("http://x/")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=A, Signature=5ecf0123")
            .header("x-amz-security-token", "t0ken-0123")
            .body(())
            .unwrap();
        let sent = Sent::with(&request);
        let scrubbed = |body: &[u8]| sent.scrub(Response::new(body.to_vec())).into_body();
        assert_eq!(
            scrubbed(b"a t0ken-0123, Signature=5ecf0123\xff"),
            "a [redacted], Signature=[redacted]\u{fffd}".as_bytes()
        );
        assert_eq!(scrubbed(b"{}\xff"), b"{}\xff");
        assert_eq!(
            scrubbed(br#""t0ken\u002d0123 \\/ \/ \\u002d \u005C \u0022 \""#),
            br#""[redacted] \\/ / \\u002d \u005C \u0022 \""#
        );
        let header = Response::builder().header("x-amzn-errortype", "t0ken-0123").body(Vec::new()).unwrap();
        assert_eq!(sent.scrub(header).headers()["x-amzn-errortype"], "[redacted]");
        assert!(!format!("{sent:?}").contains("t0ken-0123"));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[redacted]");
    }
}
