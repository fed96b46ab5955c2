//! The ECS API: one signed POST, and its response read whole.
//!
//! A response is judged by its error code, not by its status, and an entry in `failures[]` is a
//! failure whatever the status was. A response that is missing, cut off, unreadable or 5xx leaves it
//! in doubt what happened.

use crate::aws::arn::is_safe_identifier;
use crate::aws::definition::Definition;
use crate::aws::imds::Credentials;
use crate::aws::instance::is_region;
use crate::aws::secret::Sent;
use crate::aws::signing;
use crate::error::Error;
use crate::error::class::Class;
use crate::error::refusal::{failure_class, refusal, refusal_class, seconds_ahead};
use crate::net::client::{self, Http, Request};
use crate::net::error::{Kind, TransportError};
use crate::system::clock::{Clock, shifted};
use crate::text::{json_fault, shorten, shorten_bytes};
use http::{Response, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// The limit of one call, from the name's resolution to the last byte. Longer than ECS ever takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The shortest limit of a call at the end of a run, as a call that is cut short leaves it in doubt what happened.
const LEAST: Duration = Duration::from_secs(5);

/// Where requests to ECS are sent, and the Region that they are signed for.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: Uri,
    pub(crate) region: String,
    /// Which certificates are trusted there, for errors.
    pub(crate) roots: String,
}

impl Endpoint {
    /// No response from here: what that means depends on whether the request can have arrived.
    pub(crate) fn error(&self, error: TransportError) -> Error {
        match error.kind {
            Kind::Certificate { .. } => Error::Certificate { error: error.into(), roots: self.roots.clone() },
            _ if error.sent => Error::NoAnswer(error),
            _ => Error::Unreachable(error),
        }
    }

    /// That its host name is of another region than this instance's, which the requests are signed for.
    fn other_region(&self) -> Option<String> {
        let host = self.url.host()?;
        let region =
            host.split('.').find(|label| is_region(label)).filter(|region| *region != self.region)?;
        Some(format!("the endpoint {host} is in {region}, but this instance is in {}", self.region))
    }
}

/// The credentials that sign requests, and how far ECS's clock is ahead of this host's.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) credentials: Credentials,
    /// ECS does not accept the credentials; new ones are needed.
    pub(crate) refused: bool,
    /// Seconds that ECS's clock is ahead of this host's, once that is known to matter.
    pub(crate) skew: i64,
}

/// A task that ECS has accepted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    #[serde(deserialize_with = "crate::aws::arn::one")]
    pub(crate) task_arn: String,
    pub(crate) last_status: Option<String>,
    #[serde(default)]
    task_definition_arn: Option<String>,
    #[serde(default)]
    containers: Vec<NamedContainer>,
}

#[derive(Debug, Deserialize)]
struct NamedContainer {
    name: Option<String>,
}

impl Task {
    /// The names of all its containers: the agent lists one only once it tries to create it.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.containers.iter().filter_map(|container| container.name.clone()).collect()
    }

    /// Of its task definition.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.task_definition_arn.as_deref().and_then(Definition::parse)?.revision
    }

    fn is_sound(&self) -> bool {
        self.task_arn.starts_with("arn:") && self.last_status.as_deref().is_none_or(is_safe_identifier)
    }
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

/// Everything that one call to ECS needs besides its action and body.
pub(crate) struct Call<'a> {
    pub(crate) http: &'a dyn Http,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) caller: &'a Caller,
    /// The time that is left of the run.
    pub(crate) left: Duration,
}

/// Starts a task.
///
/// # Errors
/// Any error that has a row in the retry table.
pub(crate) fn start_task(call: &Call<'_>, body: &Value) -> Result<Task, Error> {
    let answer = call.post("StartTask", body)?;
    let parsed: StartTaskAnswer = call.parse(&answer)?;
    let failure = parsed.failures.unwrap_or_default().into_iter().next();
    match (failure, parsed.tasks.unwrap_or_default().into_iter().next()) {
        (Some(failure), _) => Err(failed(failure)),
        (None, Some(task)) if task.is_sound() => Ok(task),
        _ => Err(call.unreadable(&answer, "it holds neither a task nor a failure".to_owned())),
    }
}

/// Stops a task. One that has stopped already may be stopped again.
///
/// # Errors
/// As for [`start_task`].
pub(crate) fn stop_task(call: &Call<'_>, body: &Value) -> Result<(), Error> {
    let _: serde::de::IgnoredAny = call.read("StopTask", body)?;
    Ok(())
}

fn failed(failure: Failure) -> Error {
    let reason = shorten(&failure.reason.unwrap_or_default());
    let detail = failure.detail.map(|d| shorten(&d)).filter(|d| !d.is_empty());
    Error::Failure { class: failure_class(&reason), reason, detail }
}

impl Call<'_> {
    /// A read call whose failure is not worth a retry.
    ///
    /// # Errors
    /// As for [`start_task`].
    pub(crate) fn read<T: DeserializeOwned>(&self, action: &'static str, body: &Value) -> Result<T, Error> {
        self.parse(&self.post(action, body)?)
    }

    /// # Errors
    /// [`Error::Unreadable`]: the body is not the JSON that the action returns.
    fn parse<T: DeserializeOwned>(&self, answer: &Response<Vec<u8>>) -> Result<T, Error> {
        serde_json::from_slice(answer.body()).map_err(|e| self.unreadable(answer, json_fault(&e)))
    }

    fn unreadable(&self, answer: &Response<Vec<u8>>, why: String) -> Error {
        Error::Unreadable {
            request: format!("POST {}", self.endpoint.url),
            status: answer.status().as_u16(),
            why,
            body: shorten_bytes(answer.body()),
        }
    }

    /// Signs and sends one request; the status is not judged here.
    ///
    /// # Errors
    /// It cannot be signed, the connection fails, or the body breaks off.
    fn post(&self, action: &'static str, body: &Value) -> Result<Response<Vec<u8>>, Error> {
        let request = self.request(action, body)?;
        let what = client::describe(&request);
        let sent = Sent::with(&request);
        let sent_at = self.clock.now();
        let answer =
            self.http.send(request, self.left.clamp(LEAST, LIMIT)).map_err(|e| self.endpoint.error(e))?;
        let answer = client::read_body(answer, &what).map_err(|e| self.endpoint.error(e))?;
        let answer = sent.scrub(answer);
        let id = answer
            .headers()
            .get("x-amzn-requestid")
            .map_or_else(String::new, |id| shorten_bytes(id.as_bytes()));
        log::trace!("{action}: {}, request ID {id}", answer.status());
        if answer.status().is_success() {
            return Ok(answer);
        }
        let ahead = seconds_ahead(answer.headers(), sent_at, self.clock.now());
        let mut refusal = refusal(&answer, &self.caller.credentials.role, ahead);
        let class = refusal_class(&refusal, self.caller.skew);
        if class == Class::SignatureRejected {
            refusal.other_region = self.endpoint.other_region();
        }
        Err(Error::Refused { action, refusal: Box::new(refusal), class })
    }

    /// # Errors
    /// The URL or a header is invalid, or signing fails.
    fn request(&self, action: &str, body: &Value) -> Result<Request, Error> {
        let request = http::Request::post(&self.endpoint.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AmazonEC2ContainerServiceV20141113.{action}"))
            .body(body.to_string().into_bytes())?;
        let time = shifted(self.clock.now(), self.caller.skew);
        signing::sign(request, &self.caller.credentials, &self.endpoint.region, time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::secret::Secret;
    use crate::net::client::Answer;
    use crate::net::error::Hop;
    use crate::system::clock::HostClock;
    use std::cell::Cell;

    /// A network that keeps how long a call may take.
    #[derive(Default)]
    struct Limits(Cell<Duration>);

    impl Http for Limits {
        fn send(&self, request: Request, limit: Duration) -> Result<Answer, TransportError> {
            self.0.set(limit);
            let request = client::describe(&request);
            Err(TransportError { request, sent: true, hop: Hop::Direct, kind: Kind::NoTime })
        }
    }

    fn limit(left: Duration) -> Duration {
        let http = Limits::default();
        let url = Uri::from_static("https://ecs.us-east-1.amazonaws.com/");
        let endpoint = Endpoint { url, region: "us-east-1".to_owned(), roots: String::new() };
        let secret = || Secret::new("x");
        let role = "role".to_owned();
        let (access_key_id, secret_access_key, token) = (secret(), secret(), secret());
        let credentials = Credentials { role, access_key_id, secret_access_key, token, expires: None };
        let caller = Caller { credentials, refused: false, skew: 0 };
        let call = Call { http: &http, clock: &HostClock, endpoint: &endpoint, caller: &caller, left };
        assert!(matches!(start_task(&call, &Value::Null), Err(Error::NoAnswer(_))));
        http.0.get()
    }

    #[test]
    fn a_call_gets_what_is_left_of_the_run_within_limits() {
        let seconds = Duration::from_secs;
        assert_eq!(
            [0, 4, 5, 6, 29, 30, 31, 900].map(|left| limit(seconds(left)).as_secs()),
            [5, 5, 5, 6, 29, 30, 30, 30]
        );
    }

    #[test]
    fn the_region_of_an_endpoint_is_a_label_of_its_name() {
        let other = |host: &str| {
            let url = format!("https://{host}/").parse().unwrap();
            let endpoint = Endpoint { url, region: "us-east-1".to_owned(), roots: String::new() };
            endpoint.other_region().map(|text| text.split([' ', ',']).nth(5).unwrap_or_default().to_owned())
        };
        for (host, expected) in [
            ("ecs.us-east-1.amazonaws.com", None),
            ("ecs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("ecs-fips.us-gov-east-1.api.aws", Some("us-gov-east-1")),
            ("ecs.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1")),
            ("vpce-0e25b8cdd720f900e-argc85vg.ecs.us-west-2.vpce.amazonaws.com", Some("us-west-2")),
            ("vpce-0e25b8cdd720f900e-argc85vg-us-east-1a.ecs.us-east-1.vpce.amazonaws.com", None),
            ("proxy-1.example", None),
            ("10.0.0.5", None),
        ] {
            assert_eq!(other(host).as_deref(), expected, "{host}");
        }
    }
}
