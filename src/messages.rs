//! Every error that a user can meet, and every line of the log, printed into one page for reading:
//! `target/messages.txt`. Each must be one line and end with a remedy.

use crate::broken::{Kind, Leg, TransportError};
use crate::certificate::Fault;
use crate::error::Error;
use crate::misconfigured::Misconfigured;
use crate::refusal::{Refusal, failure_class};
use crate::retry::Class;
use crate::sources::{Given, Origin};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const URL: &str = "http://127.0.0.1:51678/v1/metadata";
const ROLE: &str = "ecsInstanceRole";
const PROXY: &str = "10.0.0.5:3128";
const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/my-cluster/9cf53d62fdcf4908a6f3debebdd9431c";

fn text(value: &str) -> String {
    value.to_owned()
}

fn transport(request: &str, kind: Kind) -> TransportError {
    TransportError { request: request.to_owned(), sent: false, leg: Leg::Direct, kind }
}

fn agent() -> Vec<Error> {
    let url = || text(URL);
    vec![
        Error::Agent(transport(&format!("GET {URL}"), Kind::Other(text("Connection refused")))),
        Error::AgentStatus { url: url(), status: 500, body: text("{}") },
        Error::AgentAnswer { url: url(), why: text("not JSON (line 1 column 1)"), body: text("<html>") },
        Error::NotRegistered { url: url() },
        Error::InstanceArn { arn: text("arn:aws:ecs:us-east-1:123456789012:cluster/my-cluster") },
    ]
}

fn imds() -> Vec<Error> {
    let request = || text("PUT http://169.254.169.254/latest/api/token");
    let url = || text("http://169.254.169.254/latest/meta-data/iam/security-credentials/");
    vec![
        Error::Imds(transport(&request(), Kind::Other(text("timed out (global)")))),
        Error::ImdsStatus { request: request(), status: 503, body: text("") },
        Error::ImdsForbidden { request: request() },
        Error::NoRole { url: url(), answer: "404" },
        Error::RoleCode {
            role: text(ROLE),
            code: text("AssumeRoleUnauthorizedAccess"),
            message: text("EC2 cannot assume the role"),
        },
        Error::ImdsAnswer { url: url(), why: text("it gives no role's name") },
        Error::Expired { role: text(ROLE), at: text("2026-01-02T09:04:05Z") },
    ]
}

fn refusal(action: &'static str, code: &str, message: &str, class: Class) -> Error {
    let refusal = Refusal {
        status: if code == "ServerException" { 500 } else { 400 },
        code: text(code),
        message: text(message),
        request_id: Some(text("11111111-2222-3333-4444-555555555555")),
        retry_after: None,
        role: text(ROLE),
        skew: None,
    };
    Error::Refused { action, refusal: Box::new(refusal), class }
}

fn refusals() -> Vec<Error> {
    [
        ("StartTask", "AccessDeniedException", "not authorized to perform: ecs:StartTask", Class::Denied),
        ("StartTask", "AccessDeniedException", "not authorized to perform: iam:PassRole", Class::Denied),
        ("ListTasks", "AccessDeniedException", "not authorized to perform: ecs:ListTasks", Class::Denied),
        ("StartTask", "ExpiredTokenException", "The security token has expired", Class::Credentials),
        ("StartTask", "ClusterNotFoundException", "Cluster not found.", Class::Refused),
        ("StartTask", "ClientException", "TaskDefinition is inactive", Class::Refused),
        ("StartTask", "ThrottlingException", "Rate exceeded", Class::Throttled),
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

fn ecs() -> Vec<Error> {
    let request = "POST https://ecs.us-east-1.amazonaws.com/";
    let certificate = |leg: fn(String) -> Leg, why: &str, fault| {
        let kind = Kind::Certificate { issuer: text("CN=Proxy CA,O=Example"), why: text(why), fault };
        let roots = text("/etc/pki/tls/certs/ca-bundle.crt");
        Error::Certificate {
            error: Box::new(TransportError { leg: leg(text(PROXY)), ..transport(request, kind) }),
            roots,
        }
    };
    let by_proxy = |leg: fn(String) -> Leg, kind| {
        Error::Unreachable(TransportError { leg: leg(text(PROXY)), ..transport(request, kind) })
    };
    let refused = || Kind::Other(text("Connection refused (os error 111)"));
    let denied = refusal("ListTasks", "ThrottlingException", "Rate exceeded", Class::Throttled);
    vec![
        Error::Unreachable(transport(request, Kind::NoName)),
        Error::Unreachable(transport(request, refused())),
        by_proxy(Leg::ToProxy, Kind::NoName),
        by_proxy(Leg::ToProxy, refused()),
        by_proxy(Leg::BeyondProxy, Kind::Other(text("CONNECT failed: proxy server responded 407"))),
        certificate(|_| Leg::Direct, "UnknownIssuer", Fault::Other),
        certificate(|_| Leg::Direct, "certificate expired", Fault::Time),
        certificate(Leg::BeyondProxy, "certificate not valid for name", Fault::Name),
        certificate(Leg::ToProxy, "certificate not valid for name", Fault::Name),
        Error::NoAnswer(transport(request, Kind::TooLarge)),
        Error::Unreadable {
            request: text(request),
            status: 200,
            why: text("it breaks off"),
            body: text("{\"tas"),
        },
        Error::OpenQuestion,
        Error::Sign { why: text("a header is no text") },
        Error::Stopped { task: text(TASK), reason: text("Essential container in task exited") },
        Error::NotRunning { task: text(TASK), status: text("PENDING") },
        Error::Locked { holder: text("process 1234") },
        Error::NoTime,
        Error::NotAsked { action: "ListTasks", error: Box::new(denied) },
        Error::GaveUp {
            after: Duration::from_secs(900),
            last: Box::new(Error::NotRegistered { url: text(URL) }),
        },
    ]
}

fn misconfigured() -> Vec<Misconfigured> {
    use Misconfigured::*;
    let path = || PathBuf::from("/etc/ecs/ecs-start-task.conf");
    let origin = || Origin::File { path: path(), line: 7 };
    let given =
        |key: &str, value: &str| Given { key: text(key), value: text(value), origin: Origin::Environment };
    let denied = || io::Error::from_raw_os_error(13);
    let json = serde_json::from_str::<u8>("{").unwrap_err();
    vec![
        SettingUnknown {
            given: given("ECS_START_TASK_TIMEUOT", "5m"),
            nearest: Some("ECS_START_TASK_TIMEOUT"),
        },
        SettingInvalid { given: given("ECS_START_TASK_WAIT", "long"), expected: "running or none" },
        NotKeyValue { path: path(), line: 3 },
        File { path: path(), source: denied() },
        NothingToStart,
        Definition { given: text("my task") },
        Document { path: path(), why: text("taskDefinition is missing at line 1 column 2") },
        Twice {
            origin: text("/etc/ecs/ecs-start-task.d/a.json"),
            given: text("log:2"),
            earlier: text("log"),
        },
        Cluster { by: text("--cluster"), wanted: text("production"), actual: text("test") },
        EndpointConflict,
        ImdsDisabled,
        Partition { partition: text("aws-moon") },
        CaBundle { path: path(), source: io::Error::other("it holds no certificate") },
        CaBundle { path: path(), source: io::ErrorKind::NotFound.into() },
        Tls { why: text("no cipher suite") },
        Proxy { key: text("HTTPS_PROXY"), origin: origin() },
        Address(http::Uri::try_from("http://").map_err(http::Error::from).unwrap_err()),
        UserData,
        State { path: PathBuf::from("/run/ecs-start-task"), source: denied() },
        State { path: PathBuf::from("/srv/x"), source: io::ErrorKind::ReadOnlyFilesystem.into() },
        Record { path: PathBuf::from("/run/ecs-start-task/log.json"), source: json },
    ]
}

fn all() -> Vec<Error> {
    let wrong = misconfigured().into_iter().map(Error::from);
    agent().into_iter().chain(imds()).chain(refusals()).chain(failures()).chain(ecs()).chain(wrong).collect()
}

/// The variants that a source file declares.
fn variants(source: &str, name: &str) -> Vec<String> {
    let body = source.split(&format!("enum {name} {{")).nth(1).unwrap().split("\n}").next().unwrap();
    let named = body
        .lines()
        .filter(|l| l.starts_with("    ") && l.trim_start().starts_with(|c: char| c.is_ascii_uppercase()));
    named
        .filter_map(|l| l.split(|c: char| !c.is_alphanumeric()).find(|w| !w.is_empty()))
        .map(str::to_owned)
        .collect()
}

/// The lines that the program logs at `info` and above, as they stand in the source.
fn log_lines(source: &str) -> Vec<String> {
    let calls = source
        .split("log::")
        .skip(1)
        .filter(|c| ["info!(", "warn!(", "error!("].iter().any(|l| c.starts_with(l)));
    calls.filter_map(|call| call.split('"').nth(1).map(str::to_owned)).collect()
}

/// The Rust files of a directory in the order of their names, each with what stands before its tests.
fn sources(directory: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|f| f.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
        (path.file_name().unwrap().to_string_lossy().into_owned(), code)
    };
    paths.into_iter().map(read).collect()
}

/// The texts of more than a word in a source.
fn phrases(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let odd = |(i, text): (usize, &str)| (i % 2 == 1 && text.contains(' ')).then(|| text.to_owned());
    code.collect::<Vec<_>>().join("\n").split('"').enumerate().filter_map(odd).collect()
}

#[test]
fn every_message_is_one_line_with_a_remedy() {
    let mut page = String::from("Errors: what happened; how to mend it\n\n");
    for error in all() {
        let told = error.told();
        assert!(!error.remedy().is_empty() && !told.contains('\n'), "{told}");
        assert!(matches!(error, Error::Sign { .. }) || !told.contains("as a bug, with"), "{told}");
        writeln!(page, "{:>3}  {told}\n", error.exit_code()).unwrap();
    }
    page.push_str("\nLines of the log\n\n");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, source) in sources(&root.join("src")) {
        log_lines(&source).iter().for_each(|line| writeln!(page, "{name:<18} {line}").unwrap());
    }
    page.push_str("\nWhat check says besides\n\n");
    for (name, source) in sources(&root.join("src/check")) {
        phrases(&source).iter().for_each(|line| writeln!(page, "{name:<18} {line}").unwrap());
    }
    // Cargo may build elsewhere.
    std::fs::create_dir_all(root.join("target")).unwrap();
    std::fs::write(root.join("target/messages.txt"), page).unwrap();
}

#[test]
fn no_variant_is_left_out() {
    let shown: Vec<String> = all().iter().map(|e| format!("{e:?}")).collect();
    let is_shown =
        |name: &String| shown.iter().any(|debug| debug.split([' ', '(', ')', '{']).any(|word| word == name));
    for (source, name) in
        [(include_str!("error.rs"), "Error"), (include_str!("misconfigured.rs"), "Misconfigured")]
    {
        let declared = variants(source, name);
        assert!(declared.len() > 10, "{declared:?}");
        let missing: Vec<_> = declared.iter().filter(|name| !is_shown(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
