//! Reports at intervals what is being waited for.

use crate::system::clock::Clock;
use crate::system::logging;
use crate::system::systemd::Host;
use crate::text::human;
use std::time::Duration;

/// Reports what is being waited for: to systemd and the terminal at once, to the log at growing intervals.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    next: Duration,
    interval: Duration,
    what: String,
    since: Duration,
    /// The second that is shown.
    shown: Option<u64>,
}

/// The first line of the log comes after this long, the next one after twice as long, and so on ...
const FIRST_BEAT: Duration = Duration::from_secs(5);
/// ... up to one in this time.
const SLOWEST_BEAT: Duration = Duration::from_secs(120);

/// How often the seconds that are left are shown.
const SECOND: Duration = Duration::from_secs(1);

/// Sleeps until `due`. On a terminal the last line counts down to the retry, when it is one.
pub(crate) fn sleep_until(due: Duration, retrying: Option<&str>, clock: &dyn Clock) {
    let left = || due.saturating_sub(clock.uptime());
    if let Some(what) = retrying.filter(|_| logging::shows_progress()) {
        while left() > SECOND {
            let seconds = Duration::from_secs(left().as_secs());
            logging::progress(&format!("{what}: next attempt in {}", human(seconds)));
            clock.sleep(SECOND);
        }
    }
    clock.sleep(left());
}

impl Heartbeat {
    pub(crate) fn new(now: Duration) -> Self {
        let (next, interval) = (now + FIRST_BEAT, FIRST_BEAT);
        Heartbeat { next, interval, what: String::new(), since: now, shown: None }
    }

    /// `why` is called with the time waited so far, and only when a line is due, as it may be costly.
    pub(crate) fn beat(
        &mut self,
        host: &dyn Host,
        now: Duration,
        what: &str,
        why: impl FnOnce(Duration) -> String,
    ) {
        if self.what != what {
            host.status(what);
            what.clone_into(&mut self.what);
            self.since = now;
        }
        let waited = Duration::from_secs(now.saturating_sub(self.since).as_secs());
        if self.shown != Some(waited.as_secs()) {
            host.progress(&format!("{what} ({})", human(waited)));
            self.shown = Some(waited.as_secs());
        }
        if now < self.next {
            return;
        }
        let why = why(waited);
        logging::end_progress();
        log::info!("{what} ({}){}{why}", human(waited), if why.is_empty() { "" } else { ": " });
        self.interval = (self.interval * 2).min(SLOWEST_BEAT);
        self.next = now + self.interval;
        self.shown = None;
    }
}
