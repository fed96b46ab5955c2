//! A fake peer whose responses come from one text, so that the inputs of the invariants are readable.

use crate::net::client::{Answer, Http, Request, describe};
use crate::net::error::{Hop, Kind, TransportError};
use crate::system::clock::Clock;
use crate::testing::simulation::epoch;
use std::cell::RefCell;
use std::io::Cursor;
use std::time::{Duration, SystemTime};

/// The fake peer. It gives the responses of its text, separated by `---` lines, one after the other, and then none.
///
/// A response is a status, headers and a body, as in HTTP, or only a body. `$TOKEN` and the like are replaced by what
/// the request contained, because a response may repeat it.
pub(crate) struct Answers(RefCell<Vec<Vec<u8>>>);

impl Answers {
    pub(crate) fn of(input: &[u8]) -> Self {
        Answers::new(parts(input))
    }

    pub(crate) fn new(answers: Vec<Vec<u8>>) -> Self {
        Answers(RefCell::new(answers.into_iter().rev().collect()))
    }
}

impl Http for Answers {
    fn send(&self, request: Request, _limit: Duration) -> Result<Answer, TransportError> {
        let broken = || TransportError {
            request: describe(&request),
            sent: true,
            hop: Hop::Direct,
            kind: Kind::Other("no more answers".to_owned()),
        };
        let answer = self.0.borrow_mut().pop().ok_or_else(broken)?;
        response(&echoing(answer, &request)).ok_or_else(broken)
    }
}

/// The text between the `---` lines.
pub(crate) fn parts(input: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    for line in input.split_inclusive(|b| *b == b'\n') {
        if line == b"---\n" {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.extend(line);
        }
    }
    parts
}

fn echoing(answer: Vec<u8>, request: &Request) -> Vec<u8> {
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let Ok(text) = str::from_utf8(&answer) else { return answer };
    text.replace("$TOKEN", header("x-amz-security-token"))
        .replace("$ESCAPED", &header("x-amz-security-token").replace('/', "\\/").replace('=', "\\u003d"))
        .replace("$SIGNATURE", header("authorization").rsplit('=').next().unwrap_or_default())
        .replace("$METADATA", header("x-aws-ec2-metadata-token"))
        .into_bytes()
}

fn response(answer: &[u8]) -> Option<Answer> {
    let mut builder = http::Response::builder();
    let mut lines = answer.splitn(2, |b| *b == b'\n');
    let status = lines.next().and_then(|l| str::from_utf8(l).ok()).and_then(|l| l.parse::<u16>().ok());
    let mut rest = answer;
    if let Some(status) = status.filter(|s| (200..600).contains(s)) {
        builder = builder.status(status);
        rest = lines.next().unwrap_or_default();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            let Some(colon) = line.iter().position(|b| *b == b':') else { break };
            builder = builder.header(&line[..colon], line[colon + 1..].trim_ascii());
        }
    }
    builder.body(Box::new(Cursor::new(rest.to_vec())) as Box<_>).ok()
}

/// A clock that does not move.
pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        epoch()
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn booted(&self) -> Option<SystemTime> {
        None
    }

    fn sleep(&self, _time: Duration) {}

    fn random(&self) -> f64 {
        0.5
    }
}
