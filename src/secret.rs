//! Text that must never be shown: tokens and keys.

use serde::Deserialize;
use std::fmt;

/// A secret: its `Debug` says nothing and there is no `Display`. Its memory is wiped when it is freed, as
/// all memory is (`hardening`).
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

/// What is shorter is no token, and may be part of any word.
const SHORTEST: usize = 8;

/// What a request carries that must not come back in an error, should its answer repeat it.
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

    /// The answer's body without them.
    pub(crate) fn scrub(&self, body: Vec<u8>) -> Vec<u8> {
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
        assert_eq!(
            sent.scrub(b"a t0ken-0123, Signature=5ecf0123\xff".to_vec()),
            "a [redacted], Signature=[redacted]\u{fffd}".as_bytes()
        );
        assert_eq!(sent.scrub(b"{}\xff".to_vec()), b"{}\xff");
        assert!(!format!("{sent:?}").contains("t0ken-0123"));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[redacted]");
    }
}
