//! What this boot knows of one request: whether it was sent, which task it became, and whether that ran.
//!
//! What is open is closed by evidence alone, never by an exit code. A record of another boot or of another container
//! instance does not count.

use crate::aws::arn::is_safe_identifier;
use crate::aws::definition::Definition;
use crate::error::Error;
use crate::text::{shorten_to, utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Identifies the request that a record is of, and names the record's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) family: String,
    /// Of the request as written and the resolved definition; stable between versions of this program.
    pub(crate) digest: String,
}

impl Key {
    /// `written` is the request as the user wrote it.
    pub(crate) fn new(written: &str, definition: &Definition) -> Self {
        let hash = Sha256::digest(format!("{definition}\n{written}"));
        let digest = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Key { family: definition.family.clone(), digest }
    }
}

/// What is known of one request in this boot. Times are uptimes, which a stepped clock does not move.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) boot: String,
    /// ARN of the container instance.
    pub(crate) instance: String,
    /// The task definition as the user wrote it, and as it was sent.
    pub(crate) written: String,
    pub(crate) definition: String,
    /// When StartTask was sent, while it is not known what became of it. A task that was found meanwhile may be somebody
    /// else's: once it is gone, the question is open again.
    pub(crate) in_flight_since: Option<Duration>,
    /// A StartTask without a response was taken to have started nothing. If its task comes late and dies, that says nothing
    /// about a later one.
    pub(crate) given_up: bool,
    /// The family's tasks that the agent listed before. `None`: not known.
    pub(crate) preexisting: Option<Vec<String>>,
    /// The task that ECS accepted, or that was found to be the one that was sent.
    pub(crate) task: Option<RecordedTask>,
    /// A run ended well with it: when its task is gone, the next run starts it anew.
    pub(crate) concluded: bool,
    /// How often StartTask was sent for it in this boot.
    pub(crate) attempts: u32,
    /// Attempts of the unit that ended in death or a permanent refusal.
    pub(crate) failures: u32,
    /// The unit makes no attempt before this.
    pub(crate) not_before: Option<Duration>,
    /// A run of the unit is waiting for `not_before`.
    pub(crate) pausing: bool,
    /// When a run of the unit last ended in a failure.
    pub(crate) ended_at: Option<Duration>,
    /// How often its task was brought back in this boot.
    pub(crate) restarts: u32,
    /// How often in a row its task stopped before it had run for long.
    pub(crate) deaths: u32,
    /// How its last task ended.
    pub(crate) last_stop: Option<LastStop>,
    /// Why there is no task.
    pub(crate) last_error: Option<LastError>,
}

/// The stop code of a task that somebody called StopTask for.
pub(crate) const USER_INITIATED: &str = "UserInitiated";

/// How a task ended, as far as ECS has said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LastStop {
    /// The wall clock then, in UTC.
    pub(crate) at: String,
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) exit_codes: String,
}

/// Longest message of an error on record, in characters.
const LONGEST_ERROR: usize = 200;

/// The last thing that went wrong, for `status` and `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct LastError {
    /// The wall clock then, in UTC.
    pub(crate) at: String,
    pub(crate) message: String,
    /// How to fix it.
    pub(crate) hint: String,
}

impl LastError {
    pub(crate) fn new(error: &Error, at: SystemTime) -> Self {
        LastError { at: utc(at), message: shorten_to(&error.brief(), LONGEST_ERROR), hint: error.hint() }
    }

    /// How to fix it; a record of an earlier version has no hint.
    pub(crate) fn fix(&self) -> &str {
        if self.hint.is_empty() { "see `journalctl -u ecs-start-task`" } else { &self.hint }
    }
}

impl fmt::Display for LastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "last error at {}: {}", self.at, self.message)
    }
}

/// What a record holds about the task that ECS accepted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct RecordedTask {
    #[serde(deserialize_with = "crate::aws::arn::one")]
    pub(crate) arn: String,
    pub(crate) accepted_at: Duration,
    /// As ECS named them in its response to StartTask; empty when that was lost.
    pub(crate) containers: Vec<String>,
    /// Of its task definition, once known.
    pub(crate) revision: Option<u64>,
    /// The agent has listed it.
    pub(crate) shown: bool,
    pub(crate) ran: bool,
    /// It is known to have stopped, or to be gone.
    pub(crate) ended: bool,
    /// This program has asked ECS to stop it.
    pub(crate) stopped_by_us: bool,
    /// It ended well, or somebody stopped it, and is not brought back.
    pub(crate) finished: bool,
}

impl LastStop {
    /// The time of the day, and why in a few words.
    pub(crate) fn short(&self) -> String {
        let time = self.at.split_once('T').map_or(self.at.as_str(), |(_, time)| time);
        match if self.exit_codes.is_empty() { &self.code } else { &self.exit_codes } {
            why if why.is_empty() => time.to_owned(),
            why => format!("{time} ({why})"),
        }
    }
}

impl Record {
    /// Whether it is not known what became of a StartTask or of its task.
    pub(crate) fn is_open(&self) -> bool {
        self.in_flight_since.is_some() || self.open_task().is_some()
    }

    /// The task that was accepted and is not known to have run or stopped.
    pub(crate) fn open_task(&self) -> Option<&RecordedTask> {
        self.task.as_ref().filter(|task| !task.ran && !task.ended)
    }

    /// The task that ran, while no run has concluded it.
    pub(crate) fn done(&self) -> Option<&RecordedTask> {
        self.task.as_ref().filter(|task| task.ran && !self.concluded)
    }

    /// Its task ended well, and is not brought back.
    pub(crate) fn ended_well(&self) -> bool {
        let by_user = self.last_stop.as_ref().is_some_and(|stop| stop.code == USER_INITIATED);
        self.task.as_ref().is_some_and(|task| task.finished) && !by_user
    }

    /// Whether `arn` may be what was sent: it was not there before, and has not been taken for it yet.
    pub(crate) fn may_be_new(&self, arn: &str) -> bool {
        let before = self.preexisting.iter().flatten().any(|other| other == arn);
        !before && self.task.as_ref().is_none_or(|task| task.arn != arn)
    }

    /// Whether this program is known to have started the task `arn`.
    pub(crate) fn has_started(&self, arn: &str) -> bool {
        self.in_flight_since.is_none() && self.task.as_ref().is_some_and(|task| task.arn == arn)
    }

    /// Whether it may be of `definition`. A record of a bare family is of any revision, until its task shows which.
    pub(crate) fn may_be_of(&self, definition: &Definition) -> bool {
        let Some(own) = Definition::parse(&self.definition) else { return false };
        let revision = self.task.as_ref().and_then(|task| task.revision).or(own.revision);
        let compatible = match (revision, definition.revision) {
            (Some(own), Some(wanted)) => own == wanted,
            _ => true,
        };
        own.family == definition.family && compatible
    }

    /// From now on it is not known what became of a StartTask.
    pub(crate) fn sent(&mut self, now: Duration, preexisting: Vec<String>) {
        self.attempts = self.attempts.saturating_add(1);
        self.in_flight_since = Some(now);
        self.preexisting = Some(preexisting);
        self.task = None;
        self.concluded = false;
    }

    /// The StartTask that was in flight has become `task`.
    pub(crate) fn accepted(&mut self, task: RecordedTask) {
        self.settled();
        self.task = Some(task);
        self.last_error = None;
    }

    /// It is known what became of the StartTask that was in flight, so what was there before does not matter any more.
    pub(crate) fn settled(&mut self) {
        (self.in_flight_since, self.preexisting) = (None, None);
    }

    /// Tasks were started in this boot by an earlier version, whose record is read as an open question.
    pub(crate) fn of_0_1(old: RecordOf01, definition: &str, boot: &str, instance: &str) -> Option<Self> {
        let open = old.boot == boot && !old.ran;
        let task = old
            .task
            .filter(|(arn, _)| is_safe_identifier(arn))
            .map(|(arn, accepted_at)| RecordedTask { arn, accepted_at, ..RecordedTask::default() });
        let record = Record {
            boot: boot.to_owned(),
            instance: instance.to_owned(),
            written: definition.to_owned(),
            definition: definition.to_owned(),
            in_flight_since: old.sent.filter(|_| task.is_none()),
            preexisting: Some(old.before),
            task,
            ..Record::default()
        };
        (open && record.is_open()).then_some(record)
    }
}

/// A record as version 0.1 wrote it, one for each family.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RecordOf01 {
    boot: String,
    sent: Option<Duration>,
    before: Vec<String>,
    task: Option<(String, Duration)>,
    ran: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &str) -> Definition {
        Definition::parse(name).unwrap()
    }

    fn record(name: &str, task: Option<RecordedTask>) -> Record {
        Record { definition: name.to_owned(), task, ..Record::default() }
    }

    #[test]
    fn a_key_is_the_same_in_every_version() {
        let key = Key::new("{}", &definition("log:3"));
        assert_eq!((key.family.as_str(), key.digest.as_str()), ("log", "98afedfa15b651d8"));
        assert_ne!(key, Key::new("{}", &definition("log:4")));
        assert_ne!(key, Key::new("{\"startedBy\":\"x\"}", &definition("log:3")));
    }

    #[test]
    fn what_is_open_is_closed_by_evidence_alone() {
        let open = RecordedTask { arn: "arn:a".to_owned(), ..RecordedTask::default() };
        let in_flight = Record { in_flight_since: Some(Duration::ZERO), ..Record::default() };
        assert!(in_flight.is_open() && !Record::default().is_open());
        let accepted = |task| Record { concluded: true, ..record("log", Some(task)) };
        assert!(accepted(open.clone()).is_open(), "no exit code closes it");
        assert!(accepted(RecordedTask { shown: true, ..open.clone() }).is_open());
        assert!(!accepted(RecordedTask { ran: true, ..open.clone() }).is_open());
        assert!(!accepted(RecordedTask { ended: true, ..open }).is_open());
    }

    #[test]
    fn an_error_is_forgotten_when_a_task_was_accepted() {
        let last_error = Some(LastError::new(&Error::NoTime, SystemTime::UNIX_EPOCH));
        let mut failed = Record { last_error, ..Record::default() };
        failed.sent(Duration::ZERO, Vec::new());
        assert!(failed.last_error.is_some(), "it may fail again");
        failed.accepted(RecordedTask::default());
        assert_eq!(failed.last_error, None);
    }

    #[test]
    fn a_record_is_of_every_revision_that_it_may_have_started() {
        let of = |task: Option<u64>, own: &str, wanted: &str| {
            let task =
                task.map(|revision| RecordedTask { revision: Some(revision), ..RecordedTask::default() });
            record(own, task).may_be_of(&definition(wanted))
        };
        assert!(of(None, "log", "log") && of(None, "log", "log:3") && of(None, "log:3", "log"));
        assert!(!of(None, "log:3", "log:4") && !of(None, "log", "metrics"));
        assert!(!of(Some(5), "log", "log:3"), "its task has shown the revision");
        assert!(of(Some(3), "log", "log:3"));
    }

    #[test]
    fn a_record_of_0_1_is_read_as_an_open_question() {
        let read = |json: &str| {
            let old = serde_json::from_str(json).unwrap();
            Record::of_0_1(old, "log", "boot", "arn:i")
        };
        let sent =
            read(r#"{"boot":"boot","request":7,"sent":{"secs":5,"nanos":0},"before":["arn:b"]}"#).unwrap();
        assert!(sent.in_flight_since.is_some() && !sent.may_be_new("arn:b") && sent.may_be_new("arn:c"));
        let accepted = read(r#"{"boot":"boot","task":["arn:t",{"secs":5,"nanos":0}]}"#).unwrap();
        assert_eq!(accepted.open_task().map(|task| task.arn.as_str()), Some("arn:t"));
        for closed in [
            r#"{"boot":"other","sent":{"secs":5,"nanos":0}}"#,
            r#"{"boot":"boot","task":["arn:t",{"secs":5,"nanos":0}],"ran":true}"#,
            r#"{"boot":"boot","failures":3}"#,
        ] {
            assert_eq!(read(closed), None, "{closed}");
        }
    }
}
