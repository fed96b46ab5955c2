//! The decisions about kept tasks, as pure functions: whether a task is gone, whether and when it is restarted, and when our
//! tasks are stopped on an instance that is leaving.

use crate::config::settings::Restart;
use crate::run::backoff::KEEP_BACKOFF;
use std::time::Duration;

/// A task that ran for this long resets the brake.
const STEADY: Duration = Duration::from_secs(10 * 60);

/// A task is gone if two lists this far apart do not contain it.
const MISSING_TWICE: Duration = Duration::from_secs(10);

/// How long another program has to restart a task that this program did not start.
pub(super) const FOREIGN_PATIENCE: Duration = Duration::from_secs(120);

/// ECS is called at this many first deaths in a row, and then at every `ASKED_EVERY`th.
const ASKED_AT_FIRST: u32 = 3;
const ASKED_EVERY: u32 = 4;

/// How the agent lists a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// PENDING or RUNNING, even after StopTask: its containers may run on for minutes.
    Present,
    Stopped,
    Missing,
}

/// What the lists so far say about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Here,
    /// Not in the last list, which proves nothing by itself.
    PerhapsMissing,
    Stopped,
    /// Gone, unless ECS says that it runs.
    Missing,
}

/// Since when a task has been missing from the agent's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Presence {
    missing_since: Option<Duration>,
}

impl Presence {
    /// | listed | before | verdict |
    /// |---|---|---|
    /// | present | any | here |
    /// | stopped | any | stopped |
    /// | missing | listed, or missing for less than 10 s | perhaps missing |
    /// | missing | missing for 10 s | missing |
    pub(super) fn judge(&mut self, listed: Listed, now: Duration) -> Verdict {
        match listed {
            Listed::Present => {
                self.missing_since = None;
                Verdict::Here
            }
            Listed::Stopped => Verdict::Stopped,
            Listed::Missing if now >= *self.missing_since.get_or_insert(now) + MISSING_TWICE => {
                Verdict::Missing
            }
            Listed::Missing => Verdict::PerhapsMissing,
        }
    }
}

/// The number of deaths in a row, including that of a task that had run for `ran_for`.
pub(crate) fn deaths_in_a_row(before: u32, ran_for: Duration) -> u32 {
    if ran_for >= STEADY { 1 } else { before.saturating_add(1) }
}

/// The delay before the next start: none after the first death, then 10 s doubling to 15 min, of which half is random.
pub(crate) fn brake(deaths: u32, random: f64) -> Duration {
    match deaths.checked_sub(1) {
        None | Some(0) => Duration::ZERO,
        Some(repeated) => KEEP_BACKOFF.delay(repeated, Duration::ZERO, random),
    }
}

/// Whether ECS is called about this death. Rarely, as every host of a fleet may do it at the same time.
pub(crate) fn is_asked_about(deaths: u32) -> bool {
    deaths <= ASKED_AT_FIRST || (deaths - ASKED_AT_FIRST).is_multiple_of(ASKED_EVERY)
}

/// How a task ended, according to ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Someone other than this program called StopTask.
    pub(super) by_user: bool,
    /// All essential containers exited with 0.
    pub(super) well: bool,
}

/// | RESTART | how it ended | comes back |
/// |---|---|---|
/// | no | any | no |
/// | always | any | yes |
/// | on-failure | not known | yes |
/// | on-failure | all essential containers exited with 0, or stopped by a user | no |
/// | on-failure | otherwise | yes |
pub(super) fn comes_back(restart: Restart, ending: Option<Ending>) -> bool {
    match restart {
        Restart::No => false,
        Restart::Always => true,
        Restart::OnFailure => ending.is_none_or(|ending| !ending.by_user && !ending.well),
    }
}

/// The situation on an instance that is leaving. Times are uptimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    /// When the instance began to leave.
    pub(super) since: Duration,
    /// The number of other tasks that are PENDING or RUNNING here.
    pub(super) others: usize,
    /// When the last of them ended; `since` if none has.
    pub(super) last_end: Duration,
    /// When the spot instance is interrupted.
    pub(super) spot_deadline: Option<Duration>,
}

/// If no other task has ended for this long, they wait for ours, as those of a DAEMON service do.
const NOTHING_MOVES: Duration = Duration::from_secs(6 * 60);
/// The longest that our tasks wait for others.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);
/// The time that our tasks have to stop before a spot interruption.
const BEFORE_SPOT_DEADLINE: Duration = Duration::from_secs(60);

/// Whether our tasks are stopped now: no other task is left, none has ended for 6 min, 30 min have passed, or a spot instance
/// has 60 s left.
pub(super) fn is_our_turn(departure: &Departure, now: Duration) -> bool {
    departure.others == 0
        || now >= departure.last_end + NOTHING_MOVES
        || now >= departure.since + LONGEST_WAIT
        || departure.spot_deadline.is_some_and(|deadline| now + BEFORE_SPOT_DEADLINE >= deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn a_task_is_gone_when_it_stopped_or_is_missing_twice_ten_seconds_apart() {
        let mut presence = Presence::default();
        let mut judge = |listed, at| presence.judge(listed, seconds(at));
        assert_eq!(judge(Listed::Missing, 0), Verdict::PerhapsMissing);
        assert_eq!(judge(Listed::Missing, 9), Verdict::PerhapsMissing);
        assert_eq!(judge(Listed::Present, 10), Verdict::Here);
        assert_eq!(judge(Listed::Missing, 11), Verdict::PerhapsMissing, "it was listed since");
        assert_eq!(judge(Listed::Missing, 21), Verdict::Missing);
        assert_eq!(judge(Listed::Stopped, 22), Verdict::Stopped);
    }

    #[test]
    fn the_brake_begins_at_the_second_death_and_is_released_after_ten_minutes() {
        let pauses: Vec<u64> = (1..=10).map(|deaths| brake(deaths, 1.0).as_secs()).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!((brake(0, 1.0), brake(2, 0.0)), (Duration::ZERO, seconds(5)));
        assert_eq!(deaths_in_a_row(7, seconds(599)), 8);
        assert_eq!(deaths_in_a_row(7, seconds(600)), 1);
    }

    #[test]
    fn ecs_is_asked_at_the_first_three_deaths_and_at_every_fourth() {
        let asked: Vec<u32> = (1..=16).filter(|deaths| is_asked_about(*deaths)).collect();
        assert_eq!(asked, [1, 2, 3, 7, 11, 15]);
    }

    #[test]
    fn which_endings_are_followed_by_a_new_start() {
        let endings =
            [None, Some((false, false)), Some((false, true)), Some((true, false)), Some((true, true))];
        let row =
            |restart| endings.map(|e| comes_back(restart, e.map(|(by_user, well)| Ending { by_user, well })));
        assert_eq!(row(Restart::No), [false; 5]);
        assert_eq!(row(Restart::Always), [true; 5]);
        assert_eq!(row(Restart::OnFailure), [true, true, false, false, false]);
    }

    #[test]
    fn our_tasks_leave_last_and_not_too_late() {
        let turn = |others, last_end, spot: Option<u64>, now| {
            let departure = Departure {
                since: seconds(1_000),
                others,
                last_end: seconds(last_end),
                spot_deadline: spot.map(seconds),
            };
            is_our_turn(&departure, seconds(now))
        };
        assert!(turn(0, 1_000, None, 1_000), "nobody else is here");
        assert!(
            !turn(2, 1_000, None, 1_359) && turn(2, 1_000, None, 1_360),
            "a DAEMON's tasks wait for ours"
        );
        assert!(!turn(1, 2_700, None, 2_799) && turn(1, 2_700, None, 2_800), "30 min are enough");
        assert!(!turn(1, 1_000, Some(1_120), 1_059) && turn(1, 1_000, Some(1_120), 1_060));
    }
}
