//! Checks that must pass for every input, one for each parser.
//!
//! The fuzz targets (`tests/fuzz`) and the property tests call them; none of this is in the shipped binary.
//! An input is the text of a file, or a few responses of a server, so that the corpus is readable.

use crate::aws::agent;
use crate::aws::definition::Definition;
use crate::aws::ecs::{self, Call, Caller, Endpoint};
use crate::aws::imds::{Credentials, Imds};
use crate::aws::instance::Instance;
use crate::aws::secret::Secret;
use crate::aws::tasks;
use crate::config::cli::Output;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::error::class::Class;
use crate::net::client::get;
use crate::testing::answers::{Answers, Noon, parts};
use crate::testing::simulation::{Play, Reply, failure};
use crate::testing::user_input;
use crate::text::sanitize_line;
use serde_json::{Map, Value, json};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

type Check = fn(&[u8]);

/// The checks, by the names of the fuzz targets.
pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("agent", agent),
    ("certificates", user_input::certificates),
    ("document", user_input::document),
    ("ecs", ecs),
    ("imds", imds),
    ("names", user_input::names),
    ("proxy", user_input::proxy),
    ("references", user_input::references),
    ("routes", user_input::routes),
    ("run", run),
    ("settings", user_input::settings),
    ("sockets", user_input::sockets),
    ("tasks", tasks),
    ("units", user_input::units),
];

/// # Panics
/// If an invariant is violated.
pub(crate) fn check(name: &str, input: &[u8]) {
    let (_, check) = CHECKS.iter().find(|(n, _)| *n == name).unwrap();
    check(input);
}

const ID: &str = "0123456789abcdef0123456789abcdef";
const BASE: &str = "http://127.0.0.1:51678";
const TOKEN: &str = "a-session/token+of-the-role==";
const METADATA_TOKEN: &str = "a-metadata/token==";

/// The longest message that an error may have; it may name two ARNs.
const SENTENCE: usize = 6000;

/// One line that is safe to show on a terminal.
pub(crate) fn visible(text: &str) {
    short(text);
    assert_eq!(sanitize_line(text), text);
}

/// Not longer than a message may be; the writers make it visible.
pub(crate) fn short(text: &str) {
    assert!(text.chars().count() <= SENTENCE, "{} characters", text.chars().count());
}

/// Nothing of the request is in it.
fn secretive(text: &str) {
    for secret in [TOKEN, METADATA_TOKEN] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// The message has no forbidden content, and the error has a row in the retry table and a documented exit code.
pub(crate) fn assert_message(error: &Error) {
    short(&error.message_with_hint());
    short(error.code());
    secretive(&format!("{} {error:?}", error.message_with_hint()));
    assert!(matches!(error.exit_code(), 69 | 70 | 75..=78));
    assert!(error.class().retry_policy().is_none_or(|policy| policy.delay(1, Duration::ZERO, 1.0) < WEEK));
    assert!(error.retry_after() <= WEEK);
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| Settings::of(&["--config", "/dev/null"], &[]))
}

/// The Region is a label of a host name, and what the agent says is safe to show and to send.
fn agent(input: &[u8]) {
    match agent::instance(&Answers::of(input), settings()) {
        Ok(instance) => registered(&instance),
        Err(error) => {
            assert_message(&error);
            assert_eq!(error.class(), Class::Agent);
        }
    }
}

pub(crate) fn registered(instance: &Instance) {
    let Instance { arn, id, cluster, partition, region } = instance;
    for text in [arn, id, cluster, partition, region, &instance.to_string()] {
        assert!(!text.is_empty());
        visible(text);
    }
    let url: http::Uri = format!("https://ecs.{region}.amazonaws.com/").parse().unwrap();
    assert_eq!(url.host(), Some(format!("ecs.{region}.amazonaws.com").as_str()));
    let edges = region.starts_with('-') || region.ends_with('-');
    assert!(region.len() <= 63 && !edges, "no label of a host name: {region}");
    assert!(arn.starts_with(&format!("arn:{partition}:ecs:{region}:")) && arn.ends_with(&format!("/{id}")));
    assert!(instance.is_in(cluster));
    assert_eq!(Instance::parse(arn, cluster).as_ref(), Some(instance));
}

/// Only tasks of the family are returned, and their texts are safe to show.
fn tasks(input: &[u8]) {
    let definition = Definition::parse("log").unwrap();
    let list = tasks::list(&Answers::of(input), BASE, Some("log"));
    for task in list.iter().flatten() {
        assert!(task.is_of(&definition));
    }
    for task in list.iter().flatten() {
        visible(&task.arn);
        short(&task.known_status);
        assert!(!(task.is_running() && task.is_stopped()));
    }
    if let Err(error) = &list {
        assert_message(error);
        assert_eq!(error.class(), Class::Agent);
    }
}

/// An invalid document is reported without quoting it, because it may contain credentials.
fn imds(input: &[u8]) {
    if input.windows(METADATA_TOKEN.len()).any(|w| w == METADATA_TOKEN.as_bytes()) {
        // The server sent this by itself; it does not repeat the request.
        return;
    }
    let http = || Answers::new([vec![METADATA_TOKEN.as_bytes().to_vec()], parts(input)].concat());
    let imds = || Imds::new("http://169.254.169.254");
    if let Some((partition, region)) = imds().place(&http()) {
        registered(
            &Instance::parse(&format!("arn:{partition}:ecs:{region}:1:container-instance/{ID}"), "c")
                .unwrap(),
        );
    }
    match imds().credentials(&http()) {
        Ok(credentials) => {
            visible(&credentials.role);
            for secret in [&credentials.access_key_id, &credentials.secret_access_key, &credentials.token] {
                assert!(http::HeaderValue::from_str(secret.expose()).is_ok() && !secret.expose().is_empty());
            }
            assert!(!format!("{credentials:?}").contains(&format!("{:?}", credentials.token.expose())));
        }
        Err(error) => {
            assert_message(&error);
            if let Error::ImdsAnswer { why, .. } = &error {
                let words = why.trim_matches(|c: char| !c.is_ascii_alphabetic());
                let words: String = words.chars().filter(|c| !c.is_ascii_digit()).collect();
                assert!(FAULTS.contains(&words.as_str()), "{why}");
            }
        }
    }
}

/// Everything that is said about a credentials document.
const FAULTS: [&str; 9] = [
    "its token is empty or not text",
    "it contains no role name",
    "it has no valid AccessKeyId",
    "it has no valid SecretAccessKey",
    "it has no valid Token",
    "not JSON (line  column",
    "JSON of another form (line  column",
    "it is cut off (line  column",
    "it cannot be read (line  column",
];

/// A refusal is reported with its code and without what was sent. An accepted task has an ARN that can be queried.
fn ecs(input: &[u8]) {
    let secret = |text: &str| Secret::new(text);
    let credentials = Credentials {
        role: "role".to_owned(),
        access_key_id: secret("AKIDEXAMPLE"),
        secret_access_key: secret("a-secret-access-key"),
        token: secret(TOKEN),
        expires: None,
    };
    let url = http::Uri::from_static("https://ecs.us-east-1.amazonaws.com/");
    let endpoint = Endpoint { url, region: "us-east-1".to_owned(), roots: "a bundle".to_owned() };
    let caller = Caller { credentials, refused: false, skew: 0 };
    let http = Answers::of(input);
    let call = Call { http: &http, clock: &Noon, endpoint: &endpoint, caller: &caller, left: WEEK };
    match ecs::start_task(&call, &json!({})) {
        Ok(task) => {
            visible(&task.task_arn);
            short(&task.last_status.unwrap_or_default());
            assert!(get(&format!("{BASE}/v1/tasks?taskarn={}", task.task_arn)).is_ok());
        }
        Err(error) => {
            assert_message(&error);
            // A request can be signed with the time of ECS.
            let caller = Caller { skew: error.skew(), credentials: caller.credentials.clone(), ..caller };
            let http = Answers::of(input);
            let again = Call { http: &http, caller: &caller, ..call };
            if let Err(error) = ecs::start_task(&again, &json!({})) {
                assert_message(&error);
                assert!(error.class() != Class::Clock, "the clock has been corrected");
            }
        }
    }
}

/// Whatever an earlier run left, the agent lists, and ECS responds to ListTasks and DescribeTasks: a run exits with a
/// documented code, in time, and starts at most one task.
fn run(input: &[u8]) {
    let mut said = parts(input).into_iter();
    let (name, record) = left_behind(&said.next().unwrap_or_default());
    let mut raw = || said.next().map(|answer| json!(String::from_utf8_lossy(&answer)));
    let (list, one, listed, described) = (raw(), raw(), raw(), raw());
    let mut play = Play::new();
    play.unit = true;
    play.tasks = list.map_or(play.tasks, |list| Box::new(move |_| Some(list.clone())));
    play.task = one.map_or(play.task, |one| Box::new(move |_| Some(one.clone())));
    play.listed = listed.map_or(play.listed, |listed| Box::new(move |_, _| Reply::Json(200, listed.clone())));
    play.described = described.map_or(play.described, |d| Box::new(move |_, _| Reply::Json(200, d.clone())));
    let play = Rc::new(play);
    std::fs::write(play.state.path().join(name), record).unwrap();
    let began = play.now.get();
    let report = play.run(&["-t", "log"]).unwrap();
    let text = report.render(Output::Text, None);
    let known = matches!(report.exit_code(), 0 | 69 | 70 | 75);
    assert!(known || text.contains(name), "{} {text}", report.exit_code());
    assert!(play.now.get() - began < Duration::from_secs(3600));
    assert!(play.times("StartTask").len() <= 1);
    for cell in text.trim_end().split('\t') {
        visible(cell);
    }
    assert!(serde_json::from_str::<Value>(&report.render(Output::Json, None)).is_ok());
}

/// A record of this boot and of the repeated request, with the members of `input`.
fn left_behind(input: &[u8]) -> (&'static str, Vec<u8>) {
    static LEFT: OnceLock<(String, Map<String, Value>)> = OnceLock::new();
    let (name, left) = LEFT.get_or_init(|| {
        let mut play = Play::new();
        play.ecs = Box::new(|_, _| failure("LOCATION"));
        let play = Rc::new(play);
        play.code(&["-t", "log"]);
        let name = play.record().file_name().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(play.record()).unwrap()).unwrap())
    });
    let Ok(mut members) = serde_json::from_slice::<Map<String, Value>>(input) else {
        return (name, input.to_vec());
    };
    members.retain(|name, _| name != "boot" && name != "instance");
    let record: Map<String, Value> = left.clone().into_iter().chain(members).collect();
    (name, Value::from(record).to_string().into_bytes())
}
