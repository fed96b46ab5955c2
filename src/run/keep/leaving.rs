//! Whether the instance is leaving, according to IMDS, to the response to StartTask and to its status in ECS.
//!
//! Nothing is started on an instance that is leaving. After a response that cannot be read, the previous one still counts.

use crate::aws::described::DescribedInstances;
use crate::aws::ecs;
use crate::error::class::Class;
use crate::run::backoff::Backoff;
use crate::run::session::Session;
use crate::text::utc;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, SystemTime};

const LIFECYCLE: &str = "autoscaling/target-lifecycle-state";
const SPOT: &str = "spot/instance-action";

/// An interruption this long past its time is ignored.
const SPOT_OVER: Duration = Duration::from_secs(5 * 60);

/// How often the status is read again while ECS reports the instance as DRAINING or DEREGISTERING.
const DRAINING_POLL: Duration = Duration::from_secs(5 * 60);
/// The status is read at most this often because another task is being stopped.
const STATUS_POLL: Duration = Duration::from_secs(15 * 60);

/// An announced interruption of a spot instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SpotNotice {
    action: String,
    pub(super) at: SystemTime,
}

#[derive(Deserialize)]
struct SpotDocument {
    action: String,
    time: String,
}

impl SpotNotice {
    fn parse(text: &str) -> Option<Self> {
        let document: SpotDocument = serde_json::from_str(text).ok()?;
        let at = humantime::parse_rfc3339(document.time.trim()).ok()?;
        is_word(&document.action).then_some(SpotNotice { action: document.action, at })
    }

    fn counts(&self, now: SystemTime) -> bool {
        now <= self.at + SPOT_OVER
    }

    /// Whether the tasks end with the instance: a hibernated instance returns with its tasks.
    fn takes_away(&self) -> bool {
        matches!(self.action.as_str(), "terminate" | "stop")
    }
}

/// Whether it can be a value from IMDS, and not an error page.
fn is_word(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

/// The target lifecycle state, from the response of IMDS (`None` for 404) and the last state.
///
/// IMDS has no state outside of an Auto Scaling group, and may have none for a moment inside of one. So a leaving state counts
/// until another state is read.
fn lifecycle(said: Option<&str>, last: Option<String>) -> Option<String> {
    match said.map(str::trim) {
        None | Some("") => last.filter(|state| !is_in_service(state)),
        Some(word) if is_word(word) => Some(word.to_owned()),
        Some(_) => last,
    }
}

fn is_in_service(state: &str) -> bool {
    matches!(state, "InService" | "Detached")
}

/// What is known about whether the instance is leaving.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    lifecycle: Option<String>,
    spot: Option<SpotNotice>,
    /// StartTask said INACTIVE. This holds until the agent has another ARN.
    pub(super) inactive: bool,
    /// The status in ECS, if it is DRAINING or DEREGISTERING.
    draining: Option<String>,
    /// When the status in ECS is read again, if at all.
    pub(super) again: Option<Duration>,
    asked_at: Option<Duration>,
    backoff: Backoff,
}

impl Leaving {
    /// Why nothing is started now; `None` while the instance is in service.
    pub(super) fn reason(&self, now: SystemTime) -> Option<String> {
        let state = self.lifecycle.as_ref().filter(|state| !is_in_service(state));
        let spot = self.spot.as_ref().filter(|spot| spot.counts(now));
        let spot = spot.map(|spot| format!("spot action {} at {}", spot.action, utc(spot.at)));
        let ecs = self.draining.as_ref().map(|status| format!("ECS reports {status}"));
        let inactive = self.inactive.then(|| "ECS reports INACTIVE".to_owned());
        state.map(|state| format!("its target lifecycle state is {state}")).or(spot).or(ecs).or(inactive)
    }

    /// Whether our own tasks are to be stopped.
    pub(super) fn takes_tasks(&self, now: SystemTime) -> bool {
        let terminated = matches!(self.lifecycle.as_deref(), Some("Terminated" | "Warmed:Terminated"));
        let draining = self.draining.as_deref() == Some("DRAINING");
        terminated || draining || self.spot_deadline(now).is_some()
    }

    /// When the spot instance is terminated or stopped.
    pub(super) fn spot_deadline(&self, now: SystemTime) -> Option<SystemTime> {
        self.spot.as_ref().filter(|spot| spot.counts(now) && spot.takes_away()).map(|spot| spot.at)
    }

    /// Forgets what ECS said about the previous container instance.
    pub(super) fn registered_anew(&mut self) {
        (self.inactive, self.draining, self.again, self.asked_at) = (false, None, None, None);
    }

    pub(super) fn ask_imds(&mut self, session: &mut Session<'_>) {
        let http = session.context.local;
        match session.imds.metadata(LIFECYCLE, http) {
            Ok(said) => self.lifecycle = lifecycle(said.as_deref(), self.lifecycle.take()),
            Err(error) => log::debug!("{}", error.message_with_hint()),
        }
        match session.imds.metadata(SPOT, http) {
            Ok(None) => self.spot = None,
            Ok(Some(text)) => self.spot = SpotNotice::parse(&text).or_else(|| self.spot.take()),
            Err(error) => log::debug!("{}", error.message_with_hint()),
        }
    }

    /// Schedules a read of the status, as another task is being stopped, perhaps because the instance is DRAINING.
    pub(super) fn wants_status(&mut self, now: Duration) {
        let earliest = self.asked_at.map_or(now, |asked| (asked + STATUS_POLL).max(now));
        self.again = Some(self.again.map_or(earliest, |again| again.min(earliest)));
    }

    pub(super) fn ask_when_due(&mut self, session: &mut Session<'_>) {
        if self.again.is_some_and(|again| again <= session.now()) {
            self.ask_ecs(session);
        }
    }

    /// Reads the status of this instance in ECS, if the role may, unless a throttled call must wait.
    pub(super) fn ask_ecs(&mut self, session: &mut Session<'_>) {
        let now = session.now();
        if self.again.is_some_and(|again| again > now) && self.backoff.failures(Class::Throttled) > 0 {
            return;
        }
        (self.asked_at, self.again) = (Some(now), None);
        let body = json!({"cluster": session.instance.cluster, "containerInstances": [session.instance.id]});
        match session.read::<DescribedInstances>("DescribeContainerInstances", &body, now + ecs::LIMIT) {
            Ok(described) => {
                self.backoff = Backoff::default();
                self.draining =
                    Some(described.status()).filter(|s| matches!(s.as_str(), "DRAINING" | "DEREGISTERING"));
                self.again = self.draining.is_some().then(|| now + session.jittered(DRAINING_POLL));
            }
            Err(error) => {
                log::debug!("{}", error.message_with_hint());
                session.adapt(&error);
                let delay = match error.class() {
                    Class::Throttled => {
                        self.backoff.next_delay(Class::Throttled, now, session.context.clock.random())
                    }
                    _ => self.draining.as_ref().map(|_| session.jittered(DRAINING_POLL)),
                };
                self.again = delay.map(|delay| now + delay.max(error.retry_after()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    /// The response of IMDS, the last state, and the state that results.
    #[test]
    fn the_lifecycle_state() {
        for (said, last, now) in [
            (None, None, None),
            (Some(""), None, None),
            (Some("InService\n"), None, Some("InService")),
            (Some("Detached"), Some("Standby"), Some("Detached")),
            (None, Some("InService"), None),
            (None, Some("Terminated"), Some("Terminated")),
            (Some(""), Some("Standby"), Some("Standby")),
            (Some("<html>"), Some("Standby"), Some("Standby")),
            (Some("Warmed:Stopped"), None, Some("Warmed:Stopped")),
            (Some("SomethingNew"), Some("InService"), Some("SomethingNew")),
        ] {
            assert_eq!(lifecycle(said, last.map(str::to_owned)).as_deref(), now, "{said:?} after {last:?}");
        }
    }

    #[test]
    fn what_keeps_tasks_from_being_started_and_what_takes_them_away() {
        let now = at("2026-01-01T12:00:00Z");
        let lifecycle = |state: &str| Leaving { lifecycle: Some(state.to_owned()), ..Leaving::default() };
        let spot = |action: &str, time: &str| Leaving {
            spot: SpotNotice::parse(&format!(r#"{{"action":"{action}","time":"{time}"}}"#)),
            ..Leaving::default()
        };
        let ecs = |status: &str| Leaving { draining: Some(status.to_owned()), ..Leaving::default() };
        for (leaving, starts, takes) in [
            (Leaving::default(), true, false),
            (lifecycle("InService"), true, false),
            (lifecycle("Detached"), true, false),
            (lifecycle("Standby"), false, false),
            (lifecycle("Warmed:Running"), false, false),
            (lifecycle("Terminated"), false, true),
            (lifecycle("Warmed:Terminated"), false, true),
            (spot("terminate", "2026-01-01T12:02:00Z"), false, true),
            (spot("stop", "2026-01-01T11:55:00Z"), false, true),
            (spot("stop", "2026-01-01T11:54:59Z"), true, false),
            (spot("hibernate", "2026-01-01T12:02:00Z"), false, false),
            (ecs("DRAINING"), false, true),
            (ecs("DEREGISTERING"), false, false),
            (Leaving { inactive: true, ..Leaving::default() }, false, false),
        ] {
            assert_eq!(
                (leaving.reason(now).is_none(), leaving.takes_tasks(now)),
                (starts, takes),
                "{leaving:?}"
            );
        }
        for broken in ["", "{}", "<html>", r#"{"action":"a b","time":"2026-01-01T12:02:00Z"}"#] {
            assert_eq!(SpotNotice::parse(broken), None, "{broken}");
        }
    }
}
