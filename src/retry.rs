//! Try again, or give up.
//!
//! Each row of the retry table is a [`Class`]; its [`Class::plan`] says how long to wait and how
//! often to try. [`Tries`] counts per class, so that a throttled call does not use up the tries of a
//! missing instance. It knows delays, attempts and limits, and nothing of what is tried.

use crate::error::exit;
use std::collections::BTreeMap;
use std::time::Duration;

/// A row of the retry table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The agent does not give an answer that can be used.
    Agent,
    /// IMDS does not give an answer that can be used.
    Imds,
    /// The credentials have expired, and IMDS has nothing fresher.
    Expired,
    /// ECS asks to slow down.
    Throttled,
    /// No connection to ECS: nothing was sent.
    Unreachable,
    /// It is open whether ECS did what was asked.
    Unanswered,
    /// `failures[]`: AGENT. Normal in the seconds after registration.
    Disconnected,
    /// `failures[]`: RESOURCE:*.
    Resource,
    /// `failures[]`: MISSING. Registration is eventually consistent.
    Missing,
    /// `failures[]`: ATTRIBUTE and reasons that nobody has documented, such as of an instance still REGISTERING.
    Unfit,
    /// ECS does not accept the credentials: fetch new ones.
    Credentials,
    /// ECS does not accept the signature, and this host's clock is off: sign with the corrected time.
    Clock,
    /// IAM says no. It is eventually consistent too.
    Denied,
    /// ECS does not accept the signature, and the clock is not to blame.
    NotAllowed,
    /// Another run holds the lock.
    Locked,
    /// Refused for good by ECS.
    Refused,
    /// Never again.
    Final,
}

/// How long to wait between tries, and when to stop before the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The longest first pause; it doubles from try to try ...
    pub(crate) first: Duration,
    /// ... up to this.
    pub(crate) most: Duration,
    /// Tries after the first one.
    pub(crate) retries: Option<u32>,
    /// No try later than this after the first failure.
    pub(crate) within: Option<Duration>,
}

const fn plan(first_ms: u64, most_secs: u64) -> Plan {
    Plan {
        first: Duration::from_millis(first_ms),
        most: Duration::from_secs(most_secs),
        retries: None,
        within: None,
    }
}

impl Class {
    /// The table. `None`: give up at once.
    pub(crate) fn plan(self) -> Option<Plan> {
        let plan = match self {
            // The agent's own rhythm is in `ready`; this one is for its task list.
            Class::Agent => plan(200, 2),
            Class::Imds => plan(250, 10),
            Class::Expired => Plan {
                retries: Some(4),
                ..plan(1_000, 5)
            },
            // Found by simulating launches of up to 10,000 instances against ECS's token bucket.
            Class::Throttled | Class::Unreachable | Class::Unanswered => plan(2_000, 120),
            Class::Disconnected => plan(1_000, 10),
            Class::Resource => plan(5_000, 60),
            Class::Missing => Plan {
                retries: Some(5),
                ..plan(2_000, 15)
            },
            Class::Unfit => Plan {
                within: Some(Duration::from_secs(180)),
                ..plan(5_000, 60)
            },
            Class::Credentials | Class::Clock => Plan {
                retries: Some(1),
                ..plan(0, 0)
            },
            // 20 + 40 + 80 s at the most, half of it at the least: about two minutes.
            Class::Denied => Plan {
                retries: Some(3),
                ..plan(20_000, 80)
            },
            Class::Locked => plan(500, 1),
            Class::NotAllowed | Class::Refused | Class::Final => return None,
        };
        Some(plan)
    }

    /// The exit code for what ECS refused for this reason.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Class::Throttled | Class::Disconnected | Class::Resource | Class::Locked => {
                exit::NOT_YET
            }
            Class::Missing | Class::Unfit | Class::Refused | Class::Final => exit::REFUSED,
            Class::Expired
            | Class::Credentials
            | Class::Clock
            | Class::Denied
            | Class::NotAllowed => exit::NOT_ALLOWED,
            Class::Agent | Class::Imds | Class::Unreachable | Class::Unanswered => {
                exit::UNAVAILABLE
            }
        }
    }
}

/// The pause before a restarted unit tries again what dies or is refused for good.
pub(crate) const PAUSE: Plan = plan(30_000, 15 * 60);

impl Plan {
    /// The pause after the `failures`-th failure (from 1): half of it fixed, so that it is a pause,
    /// and half random (`random` from 0 to 1), so that a fleet spreads out.
    pub(crate) fn pause(&self, failures: u32, random: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
        doubled.min(self.most).mul_f64(0.5 + random / 2.0)
    }
}

/// What has failed so far, by class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tries(BTreeMap<Class, (u32, Duration)>);

impl Tries {
    /// How often `class` has failed.
    pub(crate) fn failures(&self, class: Class) -> u32 {
        self.0.get(&class).map_or(0, |(failures, _)| *failures)
    }

    /// The pause before the next try after a failure of `class` at `now` (an uptime), or `None`
    /// when the class has had its share.
    pub(crate) fn after(&mut self, class: Class, now: Duration, random: f64) -> Option<Duration> {
        let plan = class.plan()?;
        let (failures, first) = self.0.entry(class).or_insert((0, now));
        *failures += 1;
        let pause = plan.pause(*failures, random);
        let too_often = plan.retries.is_some_and(|r| *failures > r);
        let too_late = plan.within.is_some_and(|w| now + pause > *first + w);
        (!too_often && !too_late).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn pauses_double_to_a_limit_and_are_half_random() {
        let plan = Class::Throttled.plan().unwrap();
        assert_eq!(plan.pause(1, 0.0), seconds(1.0));
        assert_eq!(plan.pause(1, 1.0), seconds(2.0));
        assert_eq!(plan.pause(3, 0.5), seconds(6.0));
        assert_eq!(plan.pause(50, 1.0), seconds(120.0));
    }

    #[test]
    fn each_class_has_its_own_count() {
        let mut tries = Tries::default();
        let now = Duration::ZERO;
        assert!(tries.after(Class::Credentials, now, 0.0).is_some());
        assert!(tries.after(Class::Denied, now, 0.0).is_some());
        assert!(
            tries.after(Class::Credentials, now, 0.0).is_none(),
            "new credentials are fetched once"
        );
        assert!(tries.after(Class::Final, now, 0.0).is_none());
    }

    #[test]
    fn access_denied_is_tried_three_more_times_over_about_two_minutes() {
        for (random, total) in [(0.0, 70.0), (0.5, 105.0), (1.0, 140.0)] {
            let mut tries = Tries::default();
            let mut now = Duration::ZERO;
            let mut retries = 0;
            while let Some(pause) = tries.after(Class::Denied, now, random) {
                now += pause;
                retries += 1;
            }
            assert_eq!((retries, now), (3, seconds(total)));
        }
    }

    #[test]
    fn an_unfit_instance_is_tried_for_three_minutes() {
        let mut tries = Tries::default();
        let mut now = Duration::ZERO;
        while let Some(pause) = tries.after(Class::Unfit, now, 1.0) {
            now += pause;
        }
        assert!(now > seconds(120.0) && now <= seconds(180.0), "{now:?}");
    }
}
