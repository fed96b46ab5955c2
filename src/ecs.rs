//! The ECS API: one signed POST, and its answer read whole.
//!
//! An answer is judged by its error code, not by its status, and an entry in `failures[]` is a
//! failure whatever the status was. What is missing, cut off, unreadable or 5xx leaves open what
//! happened, and is said so.

use crate::clock::Clock;
use crate::error::{Error, Refusal};
use crate::imds::Credentials;
use crate::retry::Class;
use crate::secret::Sent;
use crate::signing;
use crate::text::{json_fault, shown, shown_bytes};
use crate::transport::{self, Http, Kind, Request};
use http::{HeaderMap, Response, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// One call, from the name's resolution to the last byte. Longer than ECS ever takes.
const LIMIT: Duration = Duration::from_secs(30);

/// The least that a call gets at the end of a run: a call that is cut short is an open question.
const LEAST: Duration = Duration::from_secs(5);

/// A clock that is off by more than this is the reason for a refused signature (as in the AWS SDKs;
/// the service allows 15 minutes).
const SKEW_SECONDS: i64 = 4 * 60;

/// The API in one region.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: Uri,
    pub(crate) region: String,
    /// Which certificates are trusted there, for errors.
    pub(crate) roots: String,
}

/// Who calls, and when by ECS's clock.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) credentials: Credentials,
    /// Seconds that ECS's clock is ahead of this host's, once that is known to matter.
    pub(crate) skew: i64,
}

/// A task that ECS has accepted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    pub(crate) task_arn: String,
    pub(crate) last_status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StartTaskAnswer {
    tasks: Option<Vec<Task>>,
    failures: Option<Vec<Failure>>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    reason: Option<String>,
    detail: Option<String>,
}

/// What one call needs besides its body.
pub(crate) struct Call<'a> {
    pub(crate) http: &'a dyn Http,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) caller: &'a Caller,
    /// What is left of the run.
    pub(crate) left: Duration,
}

/// Starts a task. `definition` is for errors.
///
/// # Errors
/// Everything that the retry table has a row for.
pub(crate) fn start_task(call: &Call<'_>, body: &Value, definition: &str) -> Result<Task, Error> {
    let answer = call.post("StartTask", body)?;
    let parsed: StartTaskAnswer = call.parse(&answer)?;
    let failure = parsed.failures.unwrap_or_default().into_iter().next();
    match (failure, parsed.tasks.unwrap_or_default().into_iter().next()) {
        (Some(failure), _) => Err(failed(failure, definition)),
        (None, Some(task)) if task.task_arn.starts_with("arn:") => Ok(task),
        _ => Err(call.unreadable(&answer, "it holds neither a task nor a failure".to_owned())),
    }
}

fn failed(failure: Failure, definition: &str) -> Error {
    let reason = shown(&failure.reason.unwrap_or_default());
    let detail = failure.detail.map(|d| shown(&d)).filter(|d| !d.is_empty());
    Error::Failure { class: failure_class(&reason), definition: definition.to_owned(), reason, detail }
}

/// "API failure reasons" of the ECS developer guide; unknown ones are tried for a while.
fn failure_class(reason: &str) -> Class {
    match reason.split(':').next().unwrap_or_default() {
        "AGENT" => Class::Disconnected,
        "RESOURCE" => Class::Resource,
        "MISSING" => Class::Missing,
        "INACTIVE" | "LOCATION" => Class::Refused,
        _ => Class::Unfit,
    }
}

impl Call<'_> {
    /// A read call whose failure is not worth a retry.
    ///
    /// # Errors
    /// As for [`start_task`].
    pub(crate) fn read<T: DeserializeOwned>(&self, action: &'static str, body: &Value) -> Result<T, Error> {
        self.parse(&self.post(action, body)?)
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Response<Vec<u8>>) -> Result<T, Error> {
        serde_json::from_slice(answer.body()).map_err(|e| self.unreadable(answer, json_fault(&e)))
    }

    fn unreadable(&self, answer: &Response<Vec<u8>>, why: String) -> Error {
        Error::Unreadable {
            request: format!("POST {}", self.endpoint.url),
            status: answer.status().as_u16(),
            why,
            body: shown_bytes(answer.body()),
        }
    }

    fn post(&self, action: &'static str, body: &Value) -> Result<Response<Vec<u8>>, Error> {
        let request = self.request(action, body)?;
        let what = transport::describe(&request);
        let sent = Sent::with(&request);
        let sent_at = self.clock.now();
        let answer = self.http.send(request, self.left.clamp(LEAST, LIMIT)).map_err(|e| self.broken(e))?;
        let answer = transport::read_body(answer, &what).map_err(|e| self.broken(e))?;
        let answer = answer.map(|body| sent.scrub(body));
        if answer.status().is_success() {
            return Ok(answer);
        }
        let ahead = seconds_ahead(answer.headers(), sent_at, self.clock.now());
        let refusal = refusal(&answer, &self.caller.credentials.role, ahead);
        let class = refusal_class(&refusal, self.caller.skew);
        Err(Error::Refused { action, refusal: Box::new(refusal), class })
    }

    fn request(&self, action: &str, body: &Value) -> Result<Request, Error> {
        let request = http::Request::post(&self.endpoint.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{action}"))
            .body(body.to_string().into_bytes())?;
        let time = shifted(self.clock.now(), self.caller.skew);
        signing::sign(request, &self.caller.credentials, &self.endpoint.region, time)
    }

    /// No answer: what that means depends on whether the request can have arrived.
    fn broken(&self, error: transport::TransportError) -> Error {
        match error.kind {
            Kind::Certificate { .. } => Error::Certificate { error, roots: self.endpoint.roots.clone() },
            _ if error.sent => Error::NoAnswer(error),
            _ => Error::Unreachable(error),
        }
    }
}

pub(crate) fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time - by } else { time + by }
}

/// How far the answer's `Date` is ahead of the middle of the call. `None` without a usable date, from
/// a cache (`Age`), or when the call took so long that the middle says nothing.
fn seconds_ahead(headers: &HeaderMap, sent: SystemTime, received: SystemTime) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get("date")?.to_str().ok()?).ok()?;
    let took = received.duration_since(sent).ok()?;
    if headers.contains_key("age") || took > LIMIT {
        return None;
    }
    let middle = sent + took / 2;
    match date.duration_since(middle) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).ok(),
        Err(behind) => i64::try_from(behind.duration().as_secs()).ok().map(|s| -s),
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(rename = "__type", alias = "code", alias = "Code")]
    code: Option<String>,
    #[serde(alias = "Message", alias = "errorMessage")]
    message: Option<String>,
}

/// The error code is in `x-amzn-errortype`, `__type` or `code`, with a namespace before `#` and a URI
/// after `:` (awsJson1_1); without any, the status stands for it.
fn refusal(answer: &Response<Vec<u8>>, role: &str, skew: Option<i64>) -> Refusal {
    let text = |name| answer.headers().get(name).and_then(|v| v.to_str().ok());
    let body: ErrorBody = serde_json::from_slice(answer.body()).unwrap_or_default();
    let code = text("x-amzn-errortype").map(str::to_owned).or(body.code).unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
    let status = answer.status();
    Refusal {
        status: status.as_u16(),
        code: if code.is_empty() {
            status.canonical_reason().unwrap_or("an unknown status").to_owned()
        } else {
            shown(&code)
        },
        message: body.message.map_or_else(|| shown_bytes(answer.body()), |m| shown(&m)),
        request_id: text("x-amzn-requestid").map(shown),
        retry_after: text("retry-after").and_then(|v| v.trim().parse().ok()).map(Duration::from_secs),
        role: role.to_owned(),
        skew,
    }
}

/// The row of the retry table. `corrected`: the skew that the call was signed with already.
fn refusal_class(refusal: &Refusal, corrected: i64) -> Class {
    let off = refusal.skew.is_some_and(|skew| (skew - corrected).abs() > SKEW_SECONDS);
    match refusal.code.as_str() {
        code if is_throttling(code) => Class::Throttled,
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "AuthFailure"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "AccessDeniedException"
            if off =>
        {
            Class::Clock
        }
        "ExpiredTokenException" | "UnrecognizedClientException" => Class::Credentials,
        "AccessDeniedException" => Class::Denied,
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "AuthFailure"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "InvalidClientTokenId" => Class::NotAllowed,
        code if code.starts_with("RequestTimeout") => Class::Unanswered,
        _ if refusal.status == 429 => Class::Throttled,
        _ if refusal.status >= 500 || refusal.status == 408 => Class::Unanswered,
        _ => Class::Refused,
    }
}

/// The codes that the AWS SDKs take for throttling.
fn is_throttling(code: &str) -> bool {
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
        assert_eq!((html.code.as_str(), html.message.as_str()), ("Bad Gateway", "<html>\\u{1b}"));
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
            (503, "", Class::Unanswered),
            (408, "RequestTimeoutException", Class::Unanswered),
            (403, "ExpiredTokenException", Class::Credentials),
            (403, "UnrecognizedClientException", Class::Credentials),
            (400, "AccessDeniedException", Class::Denied),
            (403, "InvalidSignatureException", Class::NotAllowed),
            (400, "ClientException", Class::Refused),
            (400, "InvalidParameterException", Class::Refused),
            (400, "ClusterNotFoundException", Class::Refused),
            (400, "UnsupportedFeatureException", Class::Refused),
            (404, "", Class::Refused),
            (302, "", Class::Refused),
        ] {
            assert_eq!(class(status, code, Some(10), 0), expected, "{status} {code}");
        }
        assert_eq!(class(403, "InvalidSignatureException", Some(600), 0), Class::Clock);
        assert_eq!(class(400, "AccessDeniedException", Some(-600), 0), Class::Clock);
        assert_eq!(
            class(403, "InvalidSignatureException", Some(600), 598),
            Class::NotAllowed,
            "corrected already"
        );
        for (reason, expected) in [
            ("AGENT", Class::Disconnected),
            ("RESOURCE:MEMORY", Class::Resource),
            ("MISSING", Class::Missing),
            ("ATTRIBUTE", Class::Unfit),
            ("REGISTERING", Class::Unfit),
            ("", Class::Unfit),
            ("INACTIVE", Class::Refused),
            ("LOCATION", Class::Refused),
        ] {
            assert_eq!(failure_class(reason), expected, "{reason}");
        }
    }

    #[test]
    fn skew_is_measured_against_the_middle_of_the_call() {
        let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let headers = |date| answer(400, Some(("date", date)), "").headers().clone();
        let date = "Thu, 01 Jan 1970 00:10:00 GMT";
        assert_eq!(seconds_ahead(&headers(date), at(0), at(20)), Some(590));
        assert_eq!(seconds_ahead(&headers(date), at(700), at(700)), Some(-100));
        assert_eq!(seconds_ahead(&headers("yesterday"), at(0), at(0)), None);
        assert_eq!(seconds_ahead(&headers(date), at(0), at(40)), None, "too slow to tell");
    }
}
