//! The agent's list of tasks on this instance.
//!
//! It is read as a stream and only what is asked for is kept, so a list of thousands is no problem.
//! A list that cannot be read to its end is an error, never an empty list.

use crate::definition::Definition;
use crate::error::Error;
use crate::text::{json_fault, shown_bytes};
use crate::transport::{self, Http};
use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{BufReader, Read};
use std::time::{Duration, SystemTime};

/// One question to the agent. It has 5 s to write its answer, and a long list takes a while to read.
const LIMIT: Duration = Duration::from_secs(10);

/// Largest list that is read: far above what an instance can hold, far below what would take for ever.
const LIST_LIMIT: u64 = 64 * 1024 * 1024;

/// A task as the agent sees it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Task {
    pub(crate) arn: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    version: String,
    /// PENDING, RUNNING or STOPPED.
    pub(crate) known_status: String,
    /// Left out by the agent when it says nothing new.
    #[serde(default)]
    desired_status: String,
    containers: Option<Vec<Container>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
struct Container {
    started_at: Option<String>,
}

impl Task {
    pub(crate) fn is_running(&self) -> bool {
        self.known_status == "RUNNING"
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.known_status == "STOPPED"
    }

    /// PENDING or RUNNING, and meant to stay so.
    pub(crate) fn is_present(&self) -> bool {
        !self.is_stopped() && self.desired_status != "STOPPED"
    }

    /// Whether it is of the definition, revision included where that names one.
    pub(crate) fn is_of(&self, definition: &Definition) -> bool {
        definition.matches(&self.family, &self.version)
    }

    /// Whether it ran: a task is RUNNING when all its containers are.
    pub(crate) fn has_run(&self) -> bool {
        let containers = self.containers.iter().flatten().count();
        containers > 0 && self.starts().count() == containers
    }

    /// Whether all its containers were started before `boot`, so that it cannot be running.
    pub(crate) fn is_older_than(&self, boot: SystemTime) -> bool {
        self.starts().next().is_some() && self.starts().all(|start| start.is_some_and(|at| at < boot))
    }

    fn starts(&self) -> impl Iterator<Item = Option<SystemTime>> {
        let stamps = self.containers.iter().flatten().filter_map(|c| c.started_at.as_deref());
        stamps.filter(|s| !s.is_empty()).map(|s| humantime::parse_rfc3339(s).ok())
    }
}

/// The tasks of `family` on this instance, whatever their state and revision.
///
/// # Errors
/// All are worth another try.
pub(crate) fn of_family(http: &dyn Http, base: &str, family: &str) -> Result<Vec<Task>, Error> {
    let url = format!("{base}/v1/tasks");
    let (status, body) = ask(http, &url)?;
    if status != StatusCode::OK {
        return Err(status_error(url, status, body));
    }
    parse_list(body, family).map_err(|why| Error::AgentAnswer { url, why, body: String::new() })
}

/// The task `arn`. `None`: the agent has not heard of it, or has forgotten it.
///
/// # Errors
/// All are worth another try.
pub(crate) fn one(http: &dyn Http, base: &str, arn: &str) -> Result<Option<Task>, Error> {
    let url = format!("{base}/v1/tasks?taskarn={arn}");
    let (status, body) = ask(http, &url)?;
    match status {
        StatusCode::OK => {
            let task = serde_json::from_reader(BufReader::new(body.take(LIST_LIMIT)));
            task.map(Some).map_err(|e| Error::AgentAnswer { url, why: json_fault(&e), body: String::new() })
        }
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(status_error(url, status, body)),
    }
}

fn ask(http: &dyn Http, url: &str) -> Result<(StatusCode, Box<dyn Read>), Error> {
    let answer = http.send(transport::get(url)?, LIMIT).map_err(Error::Agent)?;
    Ok((answer.status(), answer.into_body()))
}

fn status_error(url: String, status: StatusCode, body: Box<dyn Read>) -> Error {
    let mut start = Vec::new();
    let body = match body.take(1024).read_to_end(&mut start) {
        Ok(_) => shown_bytes(&start),
        Err(e) => format!("(the answer broke off: {e})"),
    };
    Error::AgentStatus { url, status: status.as_u16(), body }
}

fn parse_list(body: impl Read, family: &str) -> Result<Vec<Task>, String> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(body.take(LIST_LIMIT)));
    let list = List(family).deserialize(&mut json);
    let list = list.and_then(|tasks| json.end().map(|()| tasks)).map_err(|e| json_fault(&e))?;
    // A path that the agent does not know is answered with 200 and without tasks.
    list.ok_or_else(|| "it holds no Tasks".to_owned())
}

/// `{"Tasks": [...]}`; `None` without `Tasks`.
struct List<'a>(&'a str);

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
                tasks = Some(object.next_value_seed(Matching(self.0))?);
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(tasks)
    }
}

/// The list itself, of which the matching tasks are kept.
struct Matching<'a>(&'a str);

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
        let mut tasks = Vec::new();
        while let Some(task) = list.next_element::<Task>()? {
            if self.0 == task.family {
                tasks.push(task);
            }
        }
        Ok(tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str, family: &str) -> Result<Vec<String>, String> {
        Ok(parse_list(body.as_bytes(), family)?.into_iter().map(|t| t.arn).collect())
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
            let tasks = parse_list(body.as_bytes(), "log").unwrap();
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
            assert!(list(body, "log").is_err(), "{body}");
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
    fn a_task_has_run_when_all_its_containers_have() {
        let with = |containers: &str| -> Task {
            let text = format!(r#"{{"Arn":"a","KnownStatus":"STOPPED","Containers":{containers}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        assert!(with(r#"[{"StartedAt":"2026-01-02T03:04:05Z"}]"#).has_run());
        for never in
            ["null", "[]", "[{}]", r#"[{"StartedAt":""}]"#, r#"[{"StartedAt":"2026-01-02T03:04:05Z"},{}]"#]
        {
            assert!(!with(never).has_run(), "{never}");
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
        let boot = humantime::parse_rfc3339("2026-01-02T03:04:05Z").unwrap();
        assert!(with("RUNNING", "RUNNING", "2026-01-02T03:04:04.999Z").is_older_than(boot));
        assert!(!with("RUNNING", "RUNNING", "2026-01-02T03:04:06Z").is_older_than(boot));
        assert!(!with("RUNNING", "RUNNING", "").is_older_than(boot), "no start time says nothing");
        assert!(with("PENDING", "RUNNING", "").is_present() && with("RUNNING", "", "").is_present());
        assert!(!with("RUNNING", "STOPPED", "").is_present() && !with("STOPPED", "", "").is_present());
    }
}
