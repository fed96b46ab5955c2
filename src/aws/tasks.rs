//! The agent's list of tasks on this instance.
//!
//! It is read as a stream and only what is asked for is kept, so thousands of tasks, or of ports of one, are no problem.
//! A list that cannot be read to its end is an error, never an empty list.

use crate::aws::arn;
use crate::aws::definition::Definition;
use crate::aws::stream;
use crate::error::Error;
use crate::net::client::{self, Answer, Http};
use crate::text::{json_fault, shorten_bytes};
use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

/// One question to the agent. It has 5 s to write its response, and a long list takes a while to read.
const LIMIT: Duration = Duration::from_secs(10);

/// The most that is kept of the list, in memory: thousands of tasks of one family.
const KEPT_LIMIT: usize = 3 * 1024 * 1024;

/// Most containers of a task. ECS allows ten, and the agent adds a few of its own.
const MOST_CONTAINERS: usize = 100;

/// A task as the agent lists it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Task {
    #[serde(deserialize_with = "crate::aws::arn::one")]
    pub(crate) arn: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    version: String,
    /// PENDING, RUNNING or STOPPED.
    #[serde(deserialize_with = "status")]
    pub(crate) known_status: Cow<'static, str>,
    /// Whether its DesiredStatus, which the agent leaves out when it says nothing new, is STOPPED: somebody or something has
    /// decided that it ends. Its containers may run on for minutes.
    #[serde(default, rename = "DesiredStatus", deserialize_with = "is_stopped")]
    pub(crate) unwanted: bool,
    #[serde(default, deserialize_with = "containers")]
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Container {
    #[serde(default)]
    name: String,
    started_at: Option<String>,
}

impl Task {
    pub(crate) fn is_running(&self) -> bool {
        self.known_status == "RUNNING"
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.known_status == "STOPPED"
    }

    /// PENDING or RUNNING, and not about to be stopped.
    pub(crate) fn is_present(&self) -> bool {
        !self.is_stopped() && !self.unwanted
    }

    /// Whether it is of the definition, revision included where that names one.
    pub(crate) fn is_of(&self, definition: &Definition) -> bool {
        definition.matches(&self.family, self.revision())
    }

    /// Whether each of `containers` is listed with a start time. The agent lists a container only once it tries to create
    /// it, so those that it lists prove nothing by themselves.
    pub(crate) fn has_started_all(&self, containers: &[String]) -> bool {
        let started = |name: &String| {
            self.containers
                .iter()
                .any(|c| c.name == *name && c.started_at.as_ref().is_some_and(|at| !at.is_empty()))
        };
        !containers.is_empty() && containers.iter().all(started)
    }

    pub(crate) fn revision(&self) -> Option<u64> {
        self.version.parse().ok()
    }

    /// Whether all its containers were started at other times than `boot`'s, so that it cannot be running.
    pub(crate) fn is_outside(&self, boot: &RangeInclusive<SystemTime>) -> bool {
        self.starts().next().is_some()
            && self.starts().all(|start| start.is_some_and(|at| !boot.contains(&at)))
    }

    /// When the last of its containers was started.
    pub(crate) fn started_at(&self) -> Option<SystemTime> {
        self.starts().flatten().max()
    }

    /// What it takes to keep it.
    fn size(&self) -> usize {
        let texts = [&self.arn, &self.family, &self.version];
        let containers =
            self.containers.iter().map(|c| c.name.len() + c.started_at.as_ref().map_or(0, String::len));
        let containers: usize = containers.map(|text| size_of::<Container>() + text).sum();
        size_of::<Task>() + texts.map(String::len).iter().sum::<usize>() + containers
    }

    fn starts(&self) -> impl Iterator<Item = Option<SystemTime>> {
        let stamps = self.containers.iter().filter_map(|c| c.started_at.as_deref());
        stamps.filter(|s| !s.is_empty()).map(|s| humantime::parse_rfc3339(s).ok())
    }
}

/// The tasks on this instance, whatever their state and revision: those of `family`, or all.
///
/// # Errors
/// The agent cannot be reached, its status is not 200, or the list is invalid or too large. All are worth a retry.
pub(crate) fn list(http: &dyn Http, base: &str, family: Option<&str>) -> Result<Vec<Task>, Error> {
    let url = format!("{base}/v1/tasks");
    let answer = http.send(client::get(&url)?, LIMIT).map_err(Error::Agent)?;
    if answer.status() != StatusCode::OK {
        return Err(status_error(url, answer));
    }
    match parse_list(answer.into_body(), family) {
        Ok(Some(tasks)) => Ok(tasks),
        // A path that the agent does not know is answered with 200 and without tasks.
        Ok(None) => Err(strange(url, "it has no Tasks".to_owned())),
        Err(e) => Err(unreadable(url, e)),
    }
}

fn unreadable(url: String, error: serde_json::Error) -> Error {
    if !error.is_io() {
        return strange(url, json_fault(&error));
    }
    let error = io::Error::from(error);
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Error::AgentListTooLarge { url, why: error.to_string() };
    }
    Error::Agent(client::cut_off(&format!("GET {url}"), &error))
}

fn strange(url: String, why: String) -> Error {
    Error::AgentAnswer { url, why, body: "(not kept)".to_owned() }
}

fn status_error(url: String, answer: Answer) -> Error {
    let status = answer.status();
    let mut start = Vec::new();
    let body = match answer.into_body().take(1024).read_to_end(&mut start) {
        Ok(_) => shorten_bytes(&start),
        Err(e) => format!("(the response was cut off: {e})"),
    };
    Error::AgentStatus { url, status: status.as_u16(), body }
}

/// `None` when it has no `Tasks`.
///
/// # Errors
/// It is not JSON, breaks off, or keeps more than [`KEPT_LIMIT`].
fn parse_list(body: impl Read, family: Option<&str>) -> Result<Option<Vec<Task>>, serde_json::Error> {
    let room = Cell::new(KEPT_LIMIT);
    stream::parse(body, List { family, room: &room }, &room)
}

/// The usual ones are not kept once for each of thousands of tasks.
///
/// # Errors
/// It is not text.
fn status<'de, D: Deserializer<'de>>(from: D) -> Result<Cow<'static, str>, D::Error> {
    let status = arn::one(from)?;
    let usual = ["STOPPED", "RUNNING", "PENDING"].into_iter().find(|usual| *usual == status);
    Ok(usual.map_or(Cow::Owned(status), Cow::Borrowed))
}

/// # Errors
/// It is not text.
fn is_stopped<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(from)? == "STOPPED")
}

/// The containers of a task, which the agent leaves out when there are none yet.
///
/// # Errors
/// It is neither null nor a list of containers.
fn containers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Container>, D::Error> {
    from.deserialize_any(Containers)
}

/// Reads the containers of a task, and not more than there can be, as each takes more memory than its text.
struct Containers;

impl<'de> Visitor<'de> for Containers {
    type Value = Vec<Container>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of containers or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut containers = Vec::new();
        while let Some(container) = list.next_element()? {
            if containers.len() == MOST_CONTAINERS {
                return Err(A::Error::custom("more containers than a task can have"));
            }
            containers.push(container);
        }
        // Most tasks have one, for which there is room for four.
        containers.shrink_to_fit();
        Ok(containers)
    }
}

/// Reads `{"Tasks": [...]}` and keeps the matching tasks.
#[derive(Clone, Copy)]
struct List<'a> {
    /// `None`: every one.
    family: Option<&'a str>,
    room: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = Option<Vec<Task>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Option<Vec<Task>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Tasks")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut tasks = None;
        while let Some(key) = object.next_key::<String>()? {
            if key == "Tasks" {
                tasks = Some(object.next_value_seed(Matching(self))?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(tasks)
    }
}

/// Reads the list itself.
struct Matching<'a>(List<'a>);

impl<'de> DeserializeSeed<'de> for Matching<'_> {
    type Value = Vec<Task>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Matching<'_> {
    type Value = Vec<Task>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let List { family, room } = self.0;
        let mut tasks = Vec::new();
        while let Some(task) = list.next_element::<Task>()? {
            if family.is_none_or(|wanted| wanted == task.family) {
                room.set(room.get().saturating_sub(task.size()));
                tasks.push(task);
            }
        }
        Ok(tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str, family: &str) -> Option<Vec<String>> {
        Some(parse_list(body.as_bytes(), Some(family)).ok()??.into_iter().map(|t| t.arn).collect())
    }

    fn task(arn: &str, family: &str, version: &str) -> String {
        format!(
            r#"{{"Arn":"{arn}","Family":"{family}","Version":"{version}","KnownStatus":"RUNNING","Containers":null}}"#
        )
    }

    #[test]
    fn only_the_family_asked_for() {
        let body = format!(
            r#"{{"Tasks":[{},{},{}]}}"#,
            task("a", "log", "3"),
            task("b", "log", "4"),
            task("c", "log-x", "3")
        );
        assert_eq!(list(&body, "log").unwrap(), ["a", "b"]);
        let of = |name: &str| {
            let definition = Definition::parse(name).unwrap();
            let tasks = parse_list(body.as_bytes(), Some("log")).unwrap().unwrap();
            tasks.into_iter().filter(|t| t.is_of(&definition)).map(|t| t.arn).collect::<Vec<_>>()
        };
        assert_eq!((of("log"), of("log:4")), (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]));
        assert_eq!(list(r#"{"Tasks":[]}"#, "log").unwrap(), [""; 0]);
    }

    #[test]
    fn what_cannot_be_read_is_no_empty_list() {
        let good = format!(r#"{{"Tasks":[{}]}}"#, task("a", "log", "3"));
        let cut = good.get(..good.len() - 2).unwrap();
        for body in [
            "",
            "{}",
            "[]",
            r#"{"Tasks":7}"#,
            r#"{"Tasks":null}"#,
            r#"{"AvailableCommands":[]}"#,
            cut,
            "<html>",
        ] {
            assert_eq!(list(body, "log"), None, "{body}");
        }
    }

    #[test]
    fn five_thousand_tasks_are_no_problem() {
        let many: Vec<String> =
            (0..5_000).map(|i| task(&format!("arn{i}"), &format!("family{i}"), "1")).collect();
        let body = format!(r#"{{"Tasks":[{}]}}"#, many.join(","));
        assert_eq!(list(&body, "family4999").unwrap(), ["arn4999"]);
    }

    #[test]
    fn what_would_take_too_much_memory_is_no_list() {
        let kept = vec![task("arn", "log", "1"); KEPT_LIMIT / 100].join(",");
        let error = parse_list(format!(r#"{{"Tasks":[{kept}]}}"#).as_bytes(), Some("log")).unwrap_err();
        let error = unreadable("u".to_owned(), error);
        assert!(matches!(&error, Error::AgentListTooLarge { why, .. } if why.contains("3 MiB")), "{error}");
        let containers = vec!["{}"; MOST_CONTAINERS + 1].join(",");
        let task = task("arn", "log", "1").replace("null", &format!("[{containers}]"));
        assert_eq!(list(&format!(r#"{{"Tasks":[{task}]}}"#), "log"), None);
    }

    #[test]
    fn the_ports_of_a_task_do_not_matter() {
        let ports = vec![r#"{"ContainerPort":1,"Protocol":"tcp","HostPort":1}"#; 20_000].join(",");
        let containers = format!(r#"[{{"StartedAt":"","Ports":[{ports}]}}]"#);
        let task = task("arn", "log", "1").replace("null", &containers);
        assert_eq!(list(&format!(r#"{{"Tasks":[{task}]}}"#), "log").unwrap(), ["arn"]);
    }

    #[test]
    fn a_task_has_run_when_all_that_ecs_named_were_started() {
        let with = |containers: &str, named: &[&str]| {
            let text = format!(r#"{{"Arn":"a","KnownStatus":"STOPPED","Containers":{containers}}}"#);
            let task: Task = serde_json::from_str(&text).unwrap();
            task.has_started_all(&named.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let started = r#"{"Name":"a","StartedAt":"2026-01-02T03:04:05Z"}"#;
        assert!(with(&format!("[{started}]"), &["a"]));
        assert!(!with(&format!("[{started}]"), &["a", "main"]), "it was never created");
        assert!(!with(&format!("[{started}]"), &[]), "nobody knows which there are");
        for never in ["null", "[]", r#"[{"Name":"a"}]"#, r#"[{"Name":"a","StartedAt":""}]"#] {
            assert!(!with(never, &["a"]), "{never}");
        }
    }

    #[test]
    fn age_and_state() {
        let with = |known: &str, desired: &str, started: &str| -> Task {
            let text = format!(
                r#"{{"Arn":"a","KnownStatus":"{known}","DesiredStatus":"{desired}","Containers":[{{"StartedAt":"{started}"}}]}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let booted = humantime::parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
        let boot = booted..=booted + Duration::from_secs(60);
        assert!(with("RUNNING", "RUNNING", "2026-01-02T03:04:04.999Z").is_outside(&boot));
        assert!(!with("RUNNING", "RUNNING", "2026-01-02T03:04:06Z").is_outside(&boot));
        assert!(with("RUNNING", "RUNNING", "2026-01-02T23:00:00Z").is_outside(&boot), "the clock is behind");
        assert!(!with("RUNNING", "RUNNING", "").is_outside(&boot), "no start time says nothing");
        assert!(with("PENDING", "RUNNING", "").is_present() && with("RUNNING", "", "").is_present());
        assert!(!with("RUNNING", "STOPPED", "").is_present() && !with("STOPPED", "", "").is_present());
    }
}
