//! Error responses of ECS: the code and its row of the retry table.

use crate::error::class::Class;
use crate::text::{shorten, shorten_bytes};
use http::{HeaderMap, Response};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// A clock that is off by more than this is the reason for a refused signature (as in the AWS SDKs;
/// the service allows 15 minutes).
pub(crate) const SKEW_SECONDS: i64 = 4 * 60;

/// Longer than any run; a larger `Retry-After` means no more.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A call that took longer says nothing about the clocks.
const TOO_SLOW: Duration = Duration::from_secs(30);

/// No clock is off by more, and a signature cannot be made for every date that can be written.
const MOST_SKEW: i64 = 100 * 365 * 24 * 3600;

/// A fault of ECS, whatever the status says.
pub(crate) const SERVER_EXCEPTION: &str = "ServerException";

/// An error response of ECS.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    /// How long ECS asked to wait (`Retry-After`, `x-amz-retry-after`).
    pub(crate) retry_after: Option<Duration>,
    /// The role that asked, for the hints about permissions.
    pub(crate) role: String,
    /// That the endpoint is another region's than the one the request was signed for, when that is so.
    pub(crate) other_region: Option<String>,
    /// How far ECS's clock is ahead of this host's, in seconds; negative when it is behind.
    pub(crate) skew: Option<i64>,
}

impl Refusal {
    /// Whether ECS could not assume a role of the task definition. It often can a little later, as IAM is
    /// eventually consistent.
    pub(crate) fn is_unassumable_role(&self) -> bool {
        self.message.contains("unable to assume the role")
    }

    /// Whether it is about the roles that the caller passes to the task.
    pub(crate) fn is_about_passed_roles(&self) -> bool {
        self.message.contains("iam:PassRole") || self.is_unassumable_role()
    }

    /// The code and the message; of what IAM denies, not who asked, as ARNs are long.
    pub(crate) fn brief(&self) -> String {
        match self.message.split_once(" is not authorized to perform: ") {
            Some((_, what)) => format!("{}: not authorized to perform: {what}", self.code),
            None if self.message.is_empty() => self.code.clone(),
            None => format!("{}: {}", self.code, self.message),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (HTTP {}", self.code, self.status)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// How far the response's `Date` is ahead of the middle of the call. `None` without a usable date, from
/// a cache (`Age`), or when the call took so long that the middle says nothing.
pub(crate) fn seconds_ahead(headers: &HeaderMap, sent: SystemTime, received: SystemTime) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get("date")?.to_str().ok()?).ok()?;
    let took = received.duration_since(sent).ok()?;
    if headers.contains_key("age") || took > TOO_SLOW {
        return None;
    }
    let middle = sent + took / 2;
    let ahead = match date.duration_since(middle) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).ok()?,
        Err(behind) => -i64::try_from(behind.duration().as_secs()).ok()?,
    };
    (ahead.abs() <= MOST_SKEW).then_some(ahead)
}

/// What a reason in `failures[]` means ("API failure reasons" in the ECS developer guide), to be put after it.
pub(crate) fn meaning(reason: &str) -> &'static str {
    match reason.split(':').next().unwrap_or_default() {
        "AGENT" => ": the agent is not connected to ECS",
        "RESOURCE" => ": the instance has too few free resources",
        "MISSING" => ": ECS does not know this instance",
        "INACTIVE" => ": the instance was deregistered from its cluster",
        "ATTRIBUTE" => ": the instance lacks an attribute that the task definition requires",
        "LOCATION" => ": a subnet of the request is in another Availability Zone than the instance",
        _ => "",
    }
}

/// The members of an error body that may hold the code, the first one first.
const CODES: [&str; 3] = ["__type", "code", "Code"];

/// The same for the message.
const MESSAGES: [&str; 3] = ["message", "Message", "errorMessage"];

/// What an error response says: the first usable code of `x-amzn-errortype` and the body, and the first usable
/// message. A body may hold several spellings at once, some of them null or no string. Each is empty when there
/// is none; a body without either is itself the message.
fn code_and_message(header: Option<&str>, body: &[u8]) -> (String, String) {
    let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |name| members.get(name).and_then(Value::as_str);
    let code = |text| Some(bare_code(text)).filter(|code| !code.is_empty());
    let in_body = CODES.into_iter().filter_map(text).find_map(code);
    let message = MESSAGES.into_iter().filter_map(text).map(shorten).find(|message| !message.is_empty());
    let other = || if in_body.is_some() { String::new() } else { shorten_bytes(body) };
    let code = header.and_then(code).or(in_body).unwrap_or_default();
    (shorten(code), message.unwrap_or_else(other))
}

/// The code without the namespace before `#` and the URI after `:` (awsJson1_1).
fn bare_code(text: &str) -> &str {
    text.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default().trim()
}

/// The refusal that `answer` is; without a code, the status stands for it.
pub(crate) fn refusal(answer: &Response<Vec<u8>>, role: &str, skew: Option<i64>) -> Refusal {
    let text = |name| answer.headers().get(name).and_then(|v| v.to_str().ok());
    let (code, message) = code_and_message(text("x-amzn-errortype"), answer.body());
    let status = answer.status();
    Refusal {
        status: status.as_u16(),
        code: if code.is_empty() {
            status.canonical_reason().unwrap_or("an unknown status").to_owned()
        } else {
            code
        },
        message,
        request_id: text("x-amzn-requestid").map(shorten),
        retry_after: text("retry-after")
            .and_then(|seconds| retry_after(seconds, Duration::from_secs))
            .max(text("x-amz-retry-after").and_then(|millis| retry_after(millis, Duration::from_millis))),
        role: role.to_owned(),
        other_region: None,
        skew,
    }
}

/// A whole number of seconds or milliseconds. ECS is not known to send a date, and no number so large that a clock
/// cannot be added to it.
fn retry_after(text: &str, unit: impl Fn(u64) -> Duration) -> Option<Duration> {
    Some(unit(text.trim().parse().ok()?).min(LONGEST_RETRY_AFTER))
}

/// The codes of a refused signature: those that a wrong clock can cause, and the others.
const OF_THE_CLOCK: [&str; 5] = [
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "RequestTimeTooSkewed",
    "RequestExpired",
];
const OF_THE_SIGNATURE: [&str; 4] = [
    "IncompleteSignature",
    "IncompleteSignatureException",
    "MissingAuthenticationToken",
    "InvalidClientTokenId",
];

/// The row of the retry table. `corrected`: the skew that the call was signed with already.
pub(crate) fn refusal_class(refusal: &Refusal, corrected: i64) -> Class {
    let off = refusal.skew.is_some_and(|skew| (skew - corrected).abs() > SKEW_SECONDS);
    match refusal.code.as_str() {
        code if is_throttling(code) => Class::Throttled,
        code if off && (OF_THE_CLOCK.contains(&code) || code == "AccessDeniedException") => Class::Clock,
        "ExpiredTokenException" | "UnrecognizedClientException" => Class::CredentialsRejected,
        "AccessDeniedException" => Class::AccessDenied,
        "ClientException" if refusal.is_unassumable_role() => Class::AccessDenied,
        code if OF_THE_CLOCK.contains(&code) || OF_THE_SIGNATURE.contains(&code) => Class::SignatureRejected,
        code if code == SERVER_EXCEPTION || code.starts_with("RequestTimeout") => Class::Unanswered,
        _ if refusal.status == 429 => Class::Throttled,
        _ if refusal.status >= 500 || refusal.status == 408 => Class::Unanswered,
        _ => Class::Refused,
    }
}

/// The codes that the AWS SDKs take for throttling.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "RequestThrottled"
            | "SlowDown"
            | "PriorRequestNotComplete"
            | "EC2ThrottledException"
    )
}

/// "API failure reasons" of the ECS developer guide; unknown ones are tried for a while.
pub(crate) fn failure_class(reason: &str) -> Class {
    match reason.split(':').next().unwrap_or_default() {
        "AGENT" => Class::Disconnected,
        "RESOURCE" => Class::Resource,
        "MISSING" => Class::Missing,
        "INACTIVE" | "LOCATION" => Class::Refused,
        _ => Class::InstanceUnsuitable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, header: Option<(&str, &str)>, body: &str) -> Response<Vec<u8>> {
        let mut answer = Response::builder().status(status);
        if let Some((name, value)) = header {
            answer = answer.header(name, value);
        }
        answer.body(body.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_first_usable_code_and_message_count() {
        for (header, body, code, message) in [
            ("", r#"{"__type":"A","message":"m"}"#, "A", "m"),
            ("", r#"{"__type":"A","message":"m","Message":"n"}"#, "A", "m"),
            ("", r#"{"__type":"A","code":"B","Code":"C"}"#, "A", ""),
            ("", r#"{"__type":null,"code":7,"Code":"C"}"#, "C", ""),
            ("", r#"{"__type":"x#","code":" ","Code":"y#C:z"}"#, "C", ""),
            ("", r#"{"__type":"A","message":null,"Message":"n"}"#, "A", "n"),
            ("", r#"{"__type":"A","message":{"a":1},"Message":" ","errorMessage":"o"}"#, "A", "o"),
            ("", r#"{"__type":"A","__type":"B"}"#, "B", ""),
            ("H", r#"{"__type":"A","message":"m"}"#, "H", "m"),
            (" : ", r#"{"__type":"A","message":"m"}"#, "A", "m"),
            ("H", "<html>", "H", "<html>"),
            ("", "<html>", "", "<html>"),
            ("", r#"{"code":400}"#, "", r#"{"code":400}"#),
            ("", r#"["A"]"#, "", r#"["A"]"#),
            ("", "", "", "(no body)"),
        ] {
            let header = Some(header).filter(|h| !h.is_empty());
            let expected = (code.to_owned(), message.to_owned());
            assert_eq!(code_and_message(header, body.as_bytes()), expected, "{header:?} {body}");
        }
    }

    #[test]
    fn the_code_is_found_wherever_it_stands() {
        for (header, body) in [
            (None, r#"{"__type":"ClientException","message":"m"}"#),
            (None, r#"{"__type":"com.amazonaws.ecs#ClientException:http://x/","Message":"m"}"#),
            (Some(("x-amzn-errortype", "ClientException:http://internal/")), r#"{"message":"m"}"#),
            (None, r#"{"code":"ClientException","message":"m"}"#),
        ] {
            let refusal = refusal(&answer(400, header, body), "r", None);
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("ClientException", "m"), "{body}");
        }
        let html = refusal(&answer(502, None, "<html>\x1b"), "r", None);
        assert_eq!((html.code.as_str(), html.message.as_str()), ("Bad Gateway", "<html>\u{1b}"));
    }

    #[test]
    fn every_row_of_the_retry_table() {
        let class = |status, code: &str, skew, corrected| {
            let mut refusal = refusal(&answer(status, None, &format!(r#"{{"__type":"{code}"}}"#)), "r", None);
            refusal.skew = skew;
            refusal_class(&refusal, corrected)
        };
        for (status, code, expected) in [
            (400, "ThrottlingException", Class::Throttled),
            (503, "SlowDown", Class::Throttled),
            (429, "", Class::Throttled),
            (500, "ServerException", Class::Unanswered),
            (400, "ServerException", Class::Unanswered),
            (503, "", Class::Unanswered),
            (408, "RequestTimeoutException", Class::Unanswered),
            (403, "ExpiredTokenException", Class::CredentialsRejected),
            (403, "UnrecognizedClientException", Class::CredentialsRejected),
            (400, "AccessDeniedException", Class::AccessDenied),
            (403, "InvalidSignatureException", Class::SignatureRejected),
            (400, "ClientException", Class::Refused),
            (400, "InvalidParameterException", Class::Refused),
            (400, "ClusterNotFoundException", Class::Refused),
            (400, "UnsupportedFeatureException", Class::Refused),
            (404, "", Class::Refused),
            (302, "", Class::Refused),
        ] {
            assert_eq!(class(status, code, Some(10), 0), expected, "{status} {code}");
        }
        let role = r#"{"__type":"ClientException","Message":"ECS was unable to assume the role 'x'."}"#;
        assert_eq!(refusal_class(&refusal(&answer(400, None, role), "r", None), 0), Class::AccessDenied);
        assert_eq!(class(403, "InvalidSignatureException", Some(600), 0), Class::Clock);
        assert_eq!(class(400, "AccessDeniedException", Some(-600), 0), Class::Clock);
        assert_eq!(
            class(403, "InvalidSignatureException", Some(600), 598),
            Class::SignatureRejected,
            "corrected already"
        );
    }

    #[test]
    fn every_reason_of_a_failure() {
        for (reason, expected) in [
            ("AGENT", Class::Disconnected),
            ("RESOURCE:MEMORY", Class::Resource),
            ("MISSING", Class::Missing),
            ("ATTRIBUTE", Class::InstanceUnsuitable),
            ("REGISTERING", Class::InstanceUnsuitable),
            ("", Class::InstanceUnsuitable),
            ("INACTIVE", Class::Refused),
            ("LOCATION", Class::Refused),
        ] {
            assert_eq!(failure_class(reason), expected, "{reason}");
        }
    }

    #[test]
    fn retry_after_is_bounded() {
        let seconds = |text| retry_after(text, Duration::from_secs);
        assert_eq!(seconds(" 4"), Some(Duration::from_secs(4)));
        assert_eq!(seconds("18446744073709551615"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(seconds("-1"), None);
        assert_eq!(seconds("Thu, 01 Jan 1970 00:10:00 GMT"), None);
        let both =
            Response::builder().status(429).header("retry-after", "1").header("x-amz-retry-after", "1500");
        let waits = refusal(&both.body(Vec::new()).unwrap(), "r", None).retry_after;
        assert_eq!(waits, Some(Duration::from_millis(1500)), "the longer one");
    }

    #[test]
    fn skew_is_measured_against_the_middle_of_the_call() {
        let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let headers = |date| answer(400, Some(("date", date)), "").headers().clone();
        let date = "Thu, 01 Jan 1970 00:10:00 GMT";
        assert_eq!(seconds_ahead(&headers(date), at(0), at(20)), Some(590));
        assert_eq!(seconds_ahead(&headers(date), at(700), at(700)), Some(-100));
        assert_eq!(seconds_ahead(&headers("yesterday"), at(0), at(0)), None);
        let mut cached = headers(date);
        cached.insert("age", http::HeaderValue::from_static("0"));
        assert_eq!(seconds_ahead(&cached, at(0), at(20)), None, "from a cache");
        assert_eq!(seconds_ahead(&headers(date), at(0), at(40)), None, "too slow to tell");
    }
}
