//! Retry, or give up.
//!
//! Each row of the retry table is a [`Class`]; its [`Class::retry_policy`] says how long to wait and how often
//! to retry. [`Backoff`] counts per class, so that a throttled call does not use up the retries of a missing instance. It knows
//! delays, attempts and limits, and nothing of what is attempted.

use crate::error::class::Class;
use std::collections::BTreeMap;
use std::time::Duration;

/// The delays between retries of one class of error, and when to stop before the deadline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RetryPolicy {
    curve: Curve,
    /// The most retries, if they are limited.
    retries: Option<u32>,
    /// No retry is made later than this after the first failure.
    within: Option<Duration>,
}

/// The delays between attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Curve {
    /// The longest first delay, doubled from attempt to attempt up to the longest of all. Half of each is fixed, and half is
    /// random, so that a fleet spreads out.
    Doubling(Duration, Duration),
    /// One attempt at a random moment of each window since the first failure, [`next_window`].
    Windows,
}

/// A throttled call is first retried within this many seconds.
const FIRST_WINDOW: f64 = 2.0;

/// No window is longer, in seconds.
const LONGEST_WINDOW: f64 = 512.0;

/// The part of a window at its beginning that stays free, so that the bucket fills again and others are served.
const FREE: f64 = 0.1;

const fn doubling(first_ms: u64, most_secs: u64) -> RetryPolicy {
    let curve = Curve::Doubling(Duration::from_millis(first_ms), Duration::from_secs(most_secs));
    RetryPolicy { curve, retries: None, within: None }
}

impl Class {
    /// The table. `None`: give up at once.
    pub(crate) fn retry_policy(self) -> Option<RetryPolicy> {
        let policy = match self {
            // The agent's own rhythm is in `ready`; this one is for its task list.
            Class::Agent => doubling(200, 2),
            Class::Imds => doubling(250, 10),
            Class::CredentialsExpired => RetryPolicy { retries: Some(4), ..doubling(1_000, 5) },
            Class::Throttled => RetryPolicy { curve: Curve::Windows, retries: None, within: None },
            // Nothing has reached ECS, so nothing has to be spread out: at most 20 s after an outage it is over.
            Class::Unreachable => doubling(500, 15),
            // Counted from the end of the open question, which takes 15 s itself.
            Class::Unanswered => doubling(1_000, 30),
            Class::Disconnected => doubling(1_000, 10),
            Class::Resource => doubling(5_000, 60),
            Class::Missing => RetryPolicy { retries: Some(5), ..doubling(2_000, 15) },
            Class::InstanceUnsuitable => {
                RetryPolicy { within: Some(Duration::from_secs(180)), ..doubling(5_000, 60) }
            }
            Class::CredentialsRejected => RetryPolicy { retries: Some(1), ..doubling(0, 0) },
            // The host's clock may be put right after a boot or a resume, and then the correction is wrong.
            Class::Clock => RetryPolicy { retries: Some(3), ..doubling(0, 0) },
            // 20 + 40 + 80 s at the most, half of it at the least: about two minutes.
            Class::AccessDenied => RetryPolicy { retries: Some(3), ..doubling(20_000, 80) },
            Class::Locked => doubling(500, 1),
            Class::State => doubling(1_000, 5),
            Class::SignatureRejected | Class::Refused | Class::Permanent => return None,
        };
        Some(policy)
    }

    /// Whether ECS accepted credentials and signature: these are all of `failures[]`.
    fn proves_identity(self) -> bool {
        matches!(self, Class::Disconnected | Class::Resource | Class::Missing | Class::InstanceUnsuitable)
    }
}

/// The pause before a restarted unit retries what dies or is refused permanently.
pub(crate) const RESTART_BACKOFF: RetryPolicy = doubling(30_000, LONGEST_RESTART_DELAY.as_secs());
/// The brake on a task that keeps stopping, from its second death in a row on.
pub(crate) const KEEP_BACKOFF: RetryPolicy = doubling(10_000, LONGEST_RESTART_DELAY.as_secs());
pub(crate) const LONGEST_RESTART_DELAY: Duration = Duration::from_secs(15 * 60);

impl RetryPolicy {
    /// The delay after the `failures`-th failure (from 1), which came `since` the first one; `random` is from 0 to 1.
    pub(crate) fn delay(&self, failures: u32, since: Duration, random: f64) -> Duration {
        match self.curve {
            Curve::Doubling(first, most) => {
                let doubled = first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
                doubled.min(most).mul_f64(0.5 + random / 2.0)
            }
            Curve::Windows => {
                let (from, to) = next_window(since.as_secs_f64());
                Duration::from_secs_f64(from + random * (to - from)).saturating_sub(since)
            }
        }
    }
}

/// The window after the one that `since` is in, all in seconds after the first failure.
///
/// Windows end at 2 s, 4 s, 8 s and so on, and a throttled instance tries once in each. An instance learns almost
/// nothing from its own refusals: they look the same in a fleet of 500 and of 20,000. So its windows have to fit every
/// size: the last instance comes at most one window, half of all the time so far, after the bucket could have served it,
/// and 20,000 instances need 9 calls each. `fleet_simulation` shows the figures. Doubling delays with jitter leave
/// stragglers far behind or crowd the bucket; a growth of less than 2 takes more calls and from other users of the bucket.
fn next_window(since: f64) -> (f64, f64) {
    let (mut start, mut end) = (0.0, FIRST_WINDOW);
    while start < since {
        start = end;
        end += end.min(LONGEST_WINDOW);
    }
    (start + if start > 0.0 { FREE * (end - start) } else { 0.0 }, end)
}

/// Counts the failures of each class, and gives the delay before the next attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff(BTreeMap<Class, (u32, Duration)>);

impl Backoff {
    /// How often `class` has failed.
    pub(crate) fn failures(&self, class: Class) -> u32 {
        self.0.get(&class).map_or(0, |(failures, _)| *failures)
    }

    /// The delay before the next attempt after a failure of `class` at `now` (an uptime); `None` if there is no retry.
    pub(crate) fn next_delay(&mut self, class: Class, now: Duration, random: f64) -> Option<Duration> {
        let policy = class.retry_policy()?;
        if class.proves_identity() {
            // What was renewed or corrected was good; in a long run it may be due again.
            self.0.retain(|class, _| !matches!(class, Class::CredentialsRejected | Class::Clock));
        }
        let (failures, first) = self.0.entry(class).or_insert((0, now));
        *failures += 1;
        let delay = policy.delay(*failures, now.saturating_sub(*first), random);
        let too_often = policy.retries.is_some_and(|r| *failures > r);
        let too_late = policy.within.is_some_and(|w| now + delay > *first + w);
        (!too_often && !too_late).then_some(delay)
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
        let pause = |failures, random| RESTART_BACKOFF.delay(failures, Duration::ZERO, random);
        assert_eq!(pause(1, 0.0), seconds(15.0));
        assert_eq!(pause(1, 1.0), seconds(30.0));
        assert_eq!(pause(3, 0.5), seconds(90.0));
        assert_eq!(pause(50, 1.0), seconds(900.0));
    }

    #[test]
    fn each_try_falls_into_the_next_window() {
        assert_eq!(next_window(0.0), (0.0, 2.0));
        assert_eq!(next_window(0.5), (2.2, 4.0));
        assert_eq!(next_window(2.0), (2.2, 4.0));
        assert_eq!(next_window(2.1), (4.4, 8.0));
        assert_eq!(next_window(512.0), (563.2, 1024.0));
        assert_eq!(next_window(1200.0), (1536.0 + 51.2, 2048.0));
        let pause = |since, random| Class::Throttled.retry_policy().unwrap().delay(9, seconds(since), random);
        assert_eq!(pause(0.5, 1.0), seconds(3.5));
        assert_eq!(pause(400.0, 0.0), seconds(163.2));
    }

    /// Of what has reached nobody, and of what has no response.
    #[test]
    fn outages_are_over_soon() {
        let longest = |class: Class| {
            let policy = class.retry_policy().unwrap();
            (1..=8)
                .map(|failures| policy.delay(failures, Duration::ZERO, 1.0).as_secs_f64())
                .collect::<Vec<_>>()
        };
        assert_eq!(longest(Class::Unreachable), [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]);
        assert_eq!(longest(Class::Unanswered), [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
    }

    #[test]
    fn each_class_has_its_own_count() {
        let mut tries = Backoff::default();
        let now = Duration::ZERO;
        assert!(tries.next_delay(Class::CredentialsRejected, now, 0.0).is_some());
        assert!(tries.next_delay(Class::AccessDenied, now, 0.0).is_some());
        assert!(
            tries.next_delay(Class::CredentialsRejected, now, 0.0).is_none(),
            "new credentials are fetched once"
        );
        assert!(tries.next_delay(Class::Permanent, now, 0.0).is_none());
    }

    #[test]
    fn access_denied_is_tried_three_more_times_over_about_two_minutes() {
        for (random, total) in [(0.0, 70.0), (0.5, 105.0), (1.0, 140.0)] {
            let mut tries = Backoff::default();
            let mut now = Duration::ZERO;
            let mut retries = 0;
            while let Some(pause) = tries.next_delay(Class::AccessDenied, now, random) {
                now += pause;
                retries += 1;
            }
            assert_eq!((retries, now), (3, seconds(total)));
        }
    }

    #[test]
    fn an_unfit_instance_is_tried_for_three_minutes() {
        let mut tries = Backoff::default();
        let mut now = Duration::ZERO;
        while let Some(pause) = tries.next_delay(Class::InstanceUnsuitable, now, 1.0) {
            now += pause;
        }
        assert!(now > seconds(120.0) && now <= seconds(180.0), "{now:?}");
    }
}
