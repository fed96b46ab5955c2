//! Time, sleep and chance.
//!
//! Nothing else in the program reads a clock, sleeps or draws a number, so that a whole run can be
//! driven under a virtual clock. Deadlines use `uptime`, which a stepped clock does not move;
//! signatures and expiry dates use `now`.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime};

/// The source of time, sleep and randomness.
pub(crate) trait Clock {
    /// The host's wall clock.
    fn now(&self) -> SystemTime;

    /// How long the host has been up and awake: the same for every run of this boot, never moved by a
    /// stepped wall clock, and at rest while the host is suspended. So whatever was given some time to
    /// happen still has the rest of it after a resume.
    fn uptime(&self) -> Duration;

    /// When the host was booted, by its wall clock as it is now.
    fn booted(&self) -> Option<SystemTime>;

    /// Blocks for `time`.
    fn sleep(&self, time: Duration);

    /// A number from 0 up to, not including, 1.
    fn random(&self) -> f64;
}

/// The real clock of this host.
#[derive(Debug)]
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn uptime(&self) -> Duration {
        since_boot(ClockId::Monotonic)
    }

    fn booted(&self) -> Option<SystemTime> {
        self.now().checked_sub(since_boot(ClockId::Boottime))
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn random(&self) -> f64 {
        fastrand::f64()
    }
}

/// What such a clock shows is never negative.
fn since_boot(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

pub(crate) fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time - by } else { time + by }
}
