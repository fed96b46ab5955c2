//! Every error that a user can see.

use crate::aws::agent;
use crate::aws::imds::Imds;
use crate::config::error::ConfigError;
use crate::config::line::LineFault;
use crate::config::searched::Searched;
use crate::config::settings::{STARTED_BY_RULE, Settings};
use crate::config::value::{ConfigValue, Origin};
use crate::error::Error;
use crate::error::class::Class;
use crate::error::refusal::{Refusal, failure_class};
use crate::net::certificate::Fault;
use crate::net::error::{Hop, Kind, TransportError};
use crate::request::{document, references};
use crate::system::listener::Stranger;
use crate::testing::answers::Answers;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

const AGENT: &str = "http://127.0.0.1:51678";
const IMDS: &str = "http://169.254.169.254";
const ROLE: &str = "ecsInstanceRole";
const PROXY: &str = "10.0.0.5:3128";
const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/my-cluster/9cf53d62fdcf4908a6f3debebdd9431c";

fn text(value: &str) -> String {
    value.to_owned()
}

fn transport(request: &str, kind: Kind) -> TransportError {
    TransportError { request: request.to_owned(), sent: false, hop: Hop::Direct, kind }
}

/// Errors from responses of the agent and IMDS. Those that no response can cause are constructed.
fn agent() -> Vec<Error> {
    let answers = [
        "500\n\nInternal Server Error",
        "<html>",
        "{\"Version\": \"1\"}",
        "{\"Cluster\": \"my-cluster\"}",
        "{\"Cluster\": \"my-cluster\", \"ContainerInstanceArn\": \"arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster\"}",
        "{\"Cluster\": \"my-cluster\", \"ContainerInstanceArn\": \"arn:aws-moon:ecs:us-east-1:123456789012:container-instance/my-cluster/0123456789abcdef0123456789abcdef\"}",
    ];
    let silent = [
        Kind::Other(text("Connection refused (os error 111)")),
        Kind::Stranger(Stranger::User(1000)),
        Kind::Stranger(Stranger::Unmapped),
        Kind::Stranger(Stranger::Nobody),
    ];
    let silent = silent.map(|kind| Error::Agent(transport(&format!("GET {AGENT}/v1/metadata"), kind)));
    let settings = Settings::of(&["--config", "/dev/null"], &[]);
    let answered =
        answers.map(|answer| agent::instance(&Answers::of(answer.as_bytes()), &settings).unwrap_err());
    let large = Error::AgentListTooLarge {
        url: format!("{AGENT}/v1/tasks"),
        why: text("the response is larger than 64 MiB"),
    };
    silent.into_iter().chain([large]).chain(answered).collect()
}

fn imds() -> Vec<Error> {
    let answers = [
        "403\n\n",
        "503\n\nService Unavailable",
        "a token of two words",
        "token\n---\n404\n\n",
        "token\n---\n200\n\n",
        "token\n---\n<html>",
        "token\n---\n401\n\n",
        "token\n---\nrole\n---\n<html>",
        "token\n---\nrole\n---\n{}",
        "token\n---\nrole\n---\n{\"AccessKeyId\": \"AKIDEXAMPLE\", \"SecretAccessKey\": \"a key\", \"Token\": \"t\"}",
        "token\n---\nrole\n---\n{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"EC2 cannot assume the role role.\"}",
    ];
    let answered =
        answers.map(|answer| Imds::new(IMDS).credentials(&Answers::of(answer.as_bytes())).unwrap_err());
    let request = format!("PUT {IMDS}/latest/api/token");
    let made_up = [
        Error::Imds(transport(&request, Kind::Other(text("timed out")))),
        Error::Imds(transport(&request, Kind::NoRoute(text("Network unreachable (os error 101)")))),
        Error::NoValue {
            path: text("tags/instance/Role"),
            why: format!(
                "IMDS is not ready: GET {IMDS}/latest/meta-data/tags/instance/Role returned 500: (no body)"
            ),
        },
        Error::Expired { role: text(ROLE), at: text("2026-01-02T09:04:05Z") },
    ];
    made_up.into_iter().chain(answered).collect()
}

fn refusal(action: &'static str, code: &str, message: &str, class: Class) -> Error {
    let refusal = Refusal {
        status: if code == "ServerException" { 500 } else { 400 },
        code: text(code),
        message: text(message),
        request_id: Some(text("11111111-2222-3333-4444-555555555555")),
        retry_after: None,
        role: text(ROLE),
        other_region: (code == "InvalidSignatureException").then(|| {
            text(
                "the endpoint ecs.eu-west-1.amazonaws.com is in eu-west-1, and this instance is in us-east-1",
            )
        }),
        skew: None,
    };
    Error::Refused { action, refusal: Box::new(refusal), class }
}

fn refusals() -> Vec<Error> {
    [
        (
            "StartTask",
            "AccessDeniedException",
            "not authorized to perform: ecs:StartTask",
            Class::AccessDenied,
        ),
        (
            "StartTask",
            "AccessDeniedException",
            "not authorized to perform: iam:PassRole",
            Class::AccessDenied,
        ),
        (
            "ListTasks",
            "AccessDeniedException",
            "not authorized to perform: ecs:ListTasks",
            Class::AccessDenied,
        ),
        ("StartTask", "ExpiredTokenException", "The security token has expired", Class::CredentialsRejected),
        (
            "StartTask",
            "InvalidSignatureException",
            "Credential should be scoped to a valid region.",
            Class::SignatureRejected,
        ),
        ("StartTask", "ClusterNotFoundException", "Cluster not found.", Class::Refused),
        ("StartTask", "ClientException", "TaskDefinition is inactive", Class::Refused),
        ("StartTask", "ThrottlingException", "Rate exceeded", Class::Throttled),
        (
            "StartTask",
            "ClientException",
            "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/app' that was provided for this task",
            Class::AccessDenied,
        ),
        ("StartTask", "ServerException", "Service Unavailable", Class::Unanswered),
        ("StartTask", "UnsupportedFeatureException", "", Class::Refused),
    ]
    .into_iter()
    .map(|(action, code, message, class)| refusal(action, code, message, class))
    .collect()
}

fn failures() -> Vec<Error> {
    ["AGENT", "RESOURCE:MEMORY", "MISSING", "INACTIVE", "ATTRIBUTE", "LOCATION", "REGISTERING"]
        .into_iter()
        .map(|reason| Error::Failure {
            reason: text(reason),
            detail: (reason == "ATTRIBUTE").then(|| text("ecs.capability.task-eni")),
            class: failure_class(reason),
        })
        .collect()
}

const REQUEST: &str = "POST https://ecs.us-east-1.amazonaws.com/";

fn untrusted() -> Vec<Error> {
    let certificate = |hop: fn(String) -> Hop, why: &str, fault| {
        let kind = Kind::Certificate { issuer: text("CN=Proxy CA,O=Example"), why: text(why), fault };
        let error = Box::new(TransportError { hop: hop(text(PROXY)), ..transport(REQUEST, kind) });
        Error::Certificate { error, roots: text("/etc/pki/tls/certs/ca-bundle.crt") }
    };
    let of_ca = "it is a CA's certificate, which a server must not use";
    vec![
        certificate(|_| Hop::Direct, "its issuer is not trusted here", Fault::Other),
        certificate(|_| Hop::Direct, "certificate expired", Fault::Time),
        certificate(|_| Hop::Direct, of_ca, Fault::Authority),
        certificate(Hop::BeyondProxy, "certificate not valid for name", Fault::Name),
        certificate(Hop::ToProxy, "certificate not valid for name", Fault::Name),
    ]
}

fn unreachable() -> Vec<Error> {
    let by_proxy = |hop: fn(String) -> Hop, request, kind| {
        Error::Unreachable(TransportError { hop: hop(text(PROXY)), ..transport(request, kind) })
    };
    let refused = || Kind::Other(text("Connection refused (os error 111)"));
    let forbidden = || Kind::Other(text("CONNECT failed: proxy server responded 407"));
    let no_route = Kind::NoRoute(text("Network unreachable (os error 101)"));
    vec![
        Error::Unreachable(transport(REQUEST, Kind::NoName)),
        Error::Unreachable(transport("POST https://ecs-fips.eu-west-1.amazonaws.com/", Kind::NoName)),
        Error::Unreachable(transport("POST https://ecs.us-iso-east-1.api.aws.ic.gov/", Kind::NoName)),
        Error::Unreachable(transport(REQUEST, no_route)),
        Error::Unreachable(transport(REQUEST, refused())),
        by_proxy(Hop::ToProxy, REQUEST, Kind::NoName),
        by_proxy(Hop::ToProxy, REQUEST, refused()),
        by_proxy(Hop::BeyondProxy, REQUEST, forbidden()),
        by_proxy(Hop::BeyondProxy, "POST http://ecs.internal:4566/", forbidden()),
    ]
}

fn ecs() -> Vec<Error> {
    let denied = refusal("ListTasks", "ThrottlingException", "Rate exceeded", Class::Throttled);
    vec![
        Error::NoAnswer(transport(REQUEST, Kind::TooLarge)),
        Error::Unreadable {
            request: text(REQUEST),
            status: 200,
            why: text("it is cut off"),
            body: text("{\"tas"),
        },
        Error::OpenQuestion,
        Error::Sign { why: text("a header is not text") },
        Error::Stopped { task: text(TASK), reason: text("Essential container in task exited") },
        Error::NotRunning { task: text(TASK), status: text("PENDING") },
        Error::NoTime,
        Error::Locked { holder: text("process 1234") },
        Error::Kept { holder: text("process 1234") },
        Error::NotAsked { action: "ListTasks", error: Box::new(denied) },
        Error::GaveUp {
            after: Duration::from_secs(900),
            last: Box::new(Error::NotRegistered { url: format!("{AGENT}/v1/metadata") }),
        },
    ]
}

fn path() -> PathBuf {
    PathBuf::from("/etc/ecs/ecs-start-task.conf")
}

fn config_errors() -> Vec<ConfigError> {
    use ConfigError::*;
    let origin = || Origin::File { path: path(), line: 7 };
    let given = |key: &str, value: &str| {
        let (key, value) = (text(key), text(value));
        ConfigValue { key, value, origin: Origin::Environment }
    };
    let denied = || io::Error::from_raw_os_error(13);
    vec![
        SettingUnknown { given: given("ECS_START_TASK_TIMEUOT", "5m") },
        SettingInvalid { given: given("ECS_START_TASK_WAIT", "long"), expected: "running or none" },
        Line { path: path(), line: 3, fault: LineFault::NotKeyValue { setting: None } },
        Line {
            path: path(),
            line: 3,
            fault: LineFault::NotKeyValue { setting: Some(text("ECS_START_TASK_WAIT")) },
        },
        Line { path: path(), line: 3, fault: LineFault::Comment(text("ECS_START_TASK_WAIT")) },
        Line { path: path(), line: 3, fault: LineFault::Quote(text("ECS_START_TASK_WAIT")) },
        File { path: path(), source: denied() },
        NothingToStart { searched: Searched::default() },
        NothingToStart { searched: Searched { file: Some(path()), empty: vec![] } },
        NothingToStart { searched: Searched { file: Some(path()), empty: vec![origin()] } },
        NothingToStart {
            searched: Searched { file: None, empty: vec![Origin::Option("--task-definition")] },
        },
        Definition {
            place: text("/etc/ecs/ecs-start-task.conf line 3: ECS_START_TASK_DEFINITION"),
            given: text("my task"),
        },
        Definition { place: text("option --task-definition"), given: text("log:latest") },
        SettingUnknown { given: given("ECS_START_TASK_REGION", "us-east-1") },
        SettingUnknown { given: given("ECS_START_TASK_CA_BUNDLE", "/x") },
        Twice {
            origin: text("/etc/ecs/ecs-start-task.d/a.json"),
            given: text("log:2"),
            earlier: text("log (/etc/ecs/ecs-start-task.conf line 3: ECS_START_TASK_DEFINITION)"),
        },
        Cluster { wanted: text("production"), actual: text("test") },
        DocumentCluster { path: path(), actual: text("test") },
        Elsewhere {
            origin: text("/etc/ecs/ecs-start-task.d/a.json"),
            what: "Region",
            wanted: text("eu-west-1"),
            actual: text("us-east-1"),
        },
        EndpointConflict,
        External { path: PathBuf::from("/var/lib/ecs/ecs.config") },
        StayWithoutWaiting,
        ImdsDisabled,
        Partition { partition: text("aws-moon") },
        CaBundle { path: path(), source: io::Error::other("it contains no certificate") },
        CaBundle { path: path(), source: io::ErrorKind::NotFound.into() },
        TrustedCertificate { path: PathBuf::from("/etc/pki/our ca.pem") },
        Tls { why: text("no cipher suite") },
        Proxy { key: text("HTTPS_PROXY"), origin: origin() },
        Address(http::Uri::try_from("http://").map_err(http::Error::from).unwrap_err()),
        UserData,
        State { path: PathBuf::from("/run/ecs-start-task"), source: denied() },
        State { path: PathBuf::from("/srv/x"), source: io::ErrorKind::ReadOnlyFilesystem.into() },
    ]
}

/// What can be wrong with references and their values.
fn values() -> Vec<ConfigError> {
    use ConfigError::*;
    let no_tag = references::Unresolved::Absent(references::Source::Tag(text("Role")));
    vec![
        Reference {
            place: text("/etc/ecs/ecs-start-task.d/log.json: group"),
            why: references::parse("{imds:iam/info}").unwrap_err().to_string(),
        },
        Unresolved { place: text("ECS_START_TASK_DEFINITION"), why: no_tag.to_string(), hint: no_tag.hint() },
        Member { place: text("/etc/ecs/ecs-start-task.d/log.json: startedBy"), rule: STARTED_BY_RULE },
    ]
}

/// What can be wrong with a document.
fn documents() -> impl Iterator<Item = ConfigError> {
    let wrong = [
        "",
        "[]",
        "{\"taskDefinition\": \"log\"",
        "{}",
        "{\"containerOverrides\": []}",
        "{\"taskDefinition\": \"log\", \"startdBy\": \"me\"}",
        "{\"taskDefinition\": 7}",
        "{\"taskDefinition\": \"log\", \"taskDefinition\": \"log\"}",
        "{\"taskDefinition\": \"log\", \"enableECSManagedTags\": \"yes\"}",
        "{\"taskDefinition\": \"log\", \"overrides\": {\"containerOverrides\": [{\"memory\": \"1\"}]}}",
        "{\"taskDefinition\": \"log\"} and more",
        "{\"taskDefinition\": \"log\",}",
        "{taskDefinition: log}",
        "taskDefinition: log\n",
    ];
    let path = || PathBuf::from("/etc/ecs/ecs-start-task.d/log.json");
    wrong
        .into_iter()
        .map(move |json| {
            let document::Fault { why, hint } = document::parse(json).unwrap_err();
            ConfigError::Document { path: path(), why, hint }
        })
        .chain([ConfigError::InstancesGiven { path: path() }])
}

/// All of them, grouped by what they are about.
pub(super) fn all() -> Vec<Error> {
    let wrong = config_errors().into_iter().chain(values()).chain(documents()).map(Error::from);
    let of_ecs = unreachable().into_iter().chain(untrusted()).chain(ecs());
    agent().into_iter().chain(imds()).chain(refusals()).chain(failures()).chain(of_ecs).chain(wrong).collect()
}
