//! Saying now and then what is being waited for.

use crate::host::Host;
use crate::logging;
use std::time::Duration;

/// Says now and then what is being waited for: always to systemd and the terminal, and ever more
/// seldom to the log.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    next: Duration,
    interval: Duration,
    shown: Option<String>,
}

/// The first line of the log comes after this long, the next one after twice as long, and so on ...
const FIRST_BEAT: Duration = Duration::from_secs(5);
/// ... up to one in this time.
const SLOWEST_BEAT: Duration = Duration::from_secs(120);

impl Heartbeat {
    pub(crate) fn new(now: Duration) -> Self {
        Heartbeat { next: now + FIRST_BEAT, interval: FIRST_BEAT, shown: None }
    }

    /// `why` is asked for only when a line is due, for it may be costly to find out.
    pub(crate) fn beat(&mut self, host: &dyn Host, now: Duration, what: &str, why: impl FnOnce() -> String) {
        if self.shown.as_deref() != Some(what) {
            host.status(what);
            self.shown = Some(what.to_owned());
        }
        if now < self.next {
            return;
        }
        let why = why();
        logging::end_progress();
        log::info!("{what}{}{why}", if why.is_empty() { "" } else { ": " });
        self.interval = (self.interval * 2).min(SLOWEST_BEAT);
        self.next = now + self.interval;
        self.shown = None;
    }
}
