//! Time, sleep and chance.
//!
//! Nothing else in the program reads a clock, sleeps or draws a number, so that a whole run can be
//! driven under a virtual clock. Deadlines use `uptime`, which a stepped clock does not move;
//! signatures and expiry dates use `now`.

use std::time::{Duration, Instant, SystemTime};

/// Where the program takes time, sleep and chance from.
pub(crate) trait Clock {
    /// The host's wall clock.
    fn now(&self) -> SystemTime;

    /// How long the host has been up. Never goes back, whatever happens to the wall clock.
    fn uptime(&self) -> Duration;

    /// Blocks for `time`.
    fn sleep(&self, time: Duration);

    /// A number from 0 up to, not including, 1.
    fn random(&self) -> f64;
}

/// The clock of this host.
#[derive(Debug)]
pub(crate) struct HostClock {
    started: Instant,
    uptime_at_start: Duration,
}

impl HostClock {
    /// Without `/proc` the uptime starts at zero in each run: tasks look as old as the boot, which costs
    /// some seconds, and a pause that an earlier run announced starts over.
    pub(crate) fn new() -> Self {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
        HostClock { started: Instant::now(), uptime_at_start: parse_uptime(&uptime).unwrap_or_default() }
    }
}

impl Clock for HostClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn uptime(&self) -> Duration {
        self.uptime_at_start + self.started.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn random(&self) -> f64 {
        fastrand::f64()
    }
}

/// The first field of `/proc/uptime`, in seconds (proc(5)).
fn parse_uptime(text: &str) -> Option<Duration> {
    let seconds = text.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_is_the_first_field() {
        assert_eq!(parse_uptime("12.50 20.00\n"), Some(Duration::from_millis(12_500)));
        assert_eq!(parse_uptime(""), None);
        assert_eq!(parse_uptime("-1 2"), None);
        assert_eq!(parse_uptime("inf"), None);
    }
}
