//! The pause of the unit: what keeps dying, and what is refused permanently, is retried at growing intervals.
//!
//! A restarted unit backs off, so that a fleet does not retry in lockstep. Only attempts of the unit count. A restart by a
//! person cancels the pause, and a run at a prompt has none.

use crate::error::Error;
use crate::error::class::exit;
use crate::run::backoff::{LONGEST_RESTART_DELAY, RESTART_BACKOFF};
use crate::run::record::Record;
use std::time::Duration;

/// The tolerance between the recorded end and systemd's own view of it.
const MARGIN: Duration = Duration::from_secs(1);

/// What a run of the unit does before its first attempt, by the record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    None,
    /// For so long.
    For(Duration),
    /// A person has restarted the unit, and the pause starts afresh.
    Cancelled,
}

/// The pause of a run of the unit that begins `now`, by its `record`. systemd waits `restart_sec` before it restarts the unit, so a
/// sooner start is by a person.
pub(crate) fn before(record: &Record, now: Duration, restart_sec: Duration) -> Pause {
    // No pause is longer, whatever the record says.
    let left = record.not_before.unwrap_or_default().saturating_sub(now).min(LONGEST_RESTART_DELAY);
    let restarted_early = record.ended_at.is_some_and(|end| now < end + restart_sec.saturating_sub(MARGIN));
    match left {
        Duration::ZERO => Pause::None,
        _ if record.pausing || restarted_early => Pause::Cancelled,
        left => Pause::For(left),
    }
}

/// Puts on record that an attempt of the unit ended with `error`. The pause that follows, if one does.
pub(crate) fn after(record: &mut Record, error: &Error, now: Duration, random: f64) -> Option<Duration> {
    record.ended_at = Some(now);
    let pause = if matches!(error.exit_code(), exit::STOPPED | exit::REFUSED | exit::NOT_ALLOWED) {
        record.failures = record.failures.saturating_add(1);
        RESTART_BACKOFF.delay(record.failures, Duration::ZERO, random)
    } else {
        // What ECS asked for counts, even when this run had no time left to wait for it.
        error.retry_after().min(LONGEST_RESTART_DELAY)
    };
    record.not_before = (!pause.is_zero()).then_some(now + pause);
    record.not_before.map(|_| pause)
}

/// Forgets all failures.
pub(crate) fn reset(record: &mut Record) {
    (record.failures, record.not_before, record.pausing, record.ended_at) = (0, None, false, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART_SEC: Duration = Duration::from_secs(30);

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_person_who_restarts_the_unit_is_obeyed() {
        let record = |ended, not_before, pausing| Record {
            ended_at: Some(seconds(ended)),
            not_before: Some(seconds(not_before)),
            pausing,
            ..Record::default()
        };
        assert_eq!(before(&Record::default(), seconds(5), RESTART_SEC), Pause::None);
        assert_eq!(before(&record(100, 200, false), seconds(130), RESTART_SEC), Pause::For(seconds(70)));
        assert_eq!(
            before(&record(100, 200, false), seconds(128), RESTART_SEC),
            Pause::Cancelled,
            "sooner than systemd would"
        );
        assert_eq!(
            before(&record(100, 200, true), seconds(160), RESTART_SEC),
            Pause::Cancelled,
            "the last run was in its pause"
        );
        assert_eq!(before(&record(100, 200, true), seconds(200), RESTART_SEC), Pause::None);
        let soon = before(&record(100, 200, false), seconds(101), seconds(1));
        assert_eq!(soon, Pause::For(seconds(99)), "a drop-in lets systemd restart it at once");
        assert_eq!(
            before(&record(100, 99_999, false), seconds(130), RESTART_SEC),
            Pause::For(LONGEST_RESTART_DELAY)
        );
    }

    #[test]
    fn failures_lengthen_the_pause_and_other_errors_do_not() {
        let mut record = Record::default();
        let stopped = || Error::Stopped { task: String::new(), reason: String::new() };
        assert_eq!(after(&mut record, &stopped(), seconds(10), 1.0), Some(seconds(30)));
        assert_eq!(after(&mut record, &stopped(), seconds(10), 1.0), Some(seconds(60)));
        assert_eq!((record.failures, record.not_before), (2, Some(seconds(70))));
        assert_eq!(after(&mut record, &Error::NoTime, seconds(20), 1.0), None);
        assert_eq!((record.failures, record.ended_at), (2, Some(seconds(20))));
        reset(&mut record);
        assert_eq!(record, Record::default());
    }
}
