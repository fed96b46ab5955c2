//! Ending by a signal: at once, with a line in the log that says what stays behind.
//!
//! A thread waits for the signal. It logs while it holds [`NOW`], which the run needs before it sends anything or ends, so
//! that the line stays true. Then it lets the signal do what it does to a program without a handler: systemd and shells see a
//! death by that signal, and systemd takes it for a clean exit.

use crate::files;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

/// A blocked stderr or a disk that hangs delays the end no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

static NOW: Mutex<ShutdownNotice> =
    Mutex::new(ShutdownNotice { doing: String::new(), behind: BTreeMap::new() });

/// What is done before the end.
static ACTION: Mutex<Option<Action>> = Mutex::new(None);

type Action = Box<dyn FnOnce() + Send>;

/// What the log says if a signal ends the program now.
#[derive(Default)]
pub(crate) struct ShutdownNotice {
    pub(crate) doing: String,
    /// By definition, what will be there when this program is not.
    pub(crate) behind: BTreeMap<String, String>,
}

impl ShutdownNotice {
    /// The last line of the log.
    pub(crate) fn message_with_hint(&self, signal: &str) -> String {
        let doing = if self.doing.is_empty() { String::new() } else { format!(" while {}", self.doing) };
        let behind: Vec<&str> = self.behind.values().map(String::as_str).collect();
        let behind = if behind.is_empty() { "nothing was started".to_owned() } else { behind.join("; ") };
        format!("ended by {signal}{doing}; {behind}")
    }
}

fn now() -> MutexGuard<'static, ShutdownNotice> {
    NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on this is being done or waited for.
pub(crate) fn doing(what: &str) {
    what.clone_into(&mut now().doing);
}

/// From now on this would stay behind of `definition`.
pub(crate) fn shutdown_notice(definition: &str, behind: Option<String>) {
    let mut now = now();
    match behind {
        Some(behind) => now.behind.insert(definition.to_owned(), behind),
        None => now.behind.remove(definition),
    };
}

/// From now on this is done before the end, in place of what was to be done until now.
pub(crate) fn on_signal(action: Action) {
    *ACTION.lock().unwrap_or_else(PoisonError::into_inner) = Some(action);
}

/// The run is over. No signal is logged from now on, as the process may exit in the middle of the line.
pub(crate) fn over() {
    std::mem::forget(now());
}

/// Starts to wait for signals. If that fails, a signal ends the program without a line in the log.
pub(crate) fn watch() {
    // With a handler, a file that reaches the limit of the caller's shell (ulimit -f) is an error of that file, as a full disk is.
    drop(flag::register(SIGXFSZ, Arc::default()));
    let watching = Signals::new(wanted())
        .and_then(|mut signals| Builder::new().spawn(move || signals.forever().take(1).for_each(end_by)));
    if let Err(e) = watching {
        log::warn!("cannot handle signals, so an end by a signal is not logged: {e}");
    }
}

/// The signals that ask for an end, without those that the caller has set to be ignored (nohup, a shell's background).
fn wanted() -> impl Iterator<Item = i32> {
    let ignored = ignored(&files::read(Path::new("/proc/self/status")).unwrap_or_default());
    [SIGTERM, SIGINT, SIGHUP].into_iter().filter(move |signal| ignored >> (signal - 1) & 1 == 0)
}

/// The mask of ignored signals (proc(5)); none if the kernel does not report it.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn end_by(signal: i32) {
    let die = move || drop(emulate_default_handler(signal));
    drop(Builder::new().spawn(move || {
        thread::sleep(PATIENCE);
        die();
    }));
    let now = now();
    let action = ACTION.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(action) = action {
        action();
    }
    log::warn!("{}", now.message_with_hint(signal_name(signal).unwrap_or("a signal")));
    die();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let mut now = ShutdownNotice::default();
        assert_eq!(now.message_with_hint("SIGHUP"), "ended by SIGHUP; nothing was started");
        "waiting".clone_into(&mut now.doing);
        now.behind.insert("a".to_owned(), "a stays".to_owned());
        now.behind.insert("b".to_owned(), "b too".to_owned());
        assert_eq!(now.message_with_hint("SIGINT"), "ended by SIGINT while waiting; a stays; b too");
    }

    #[test]
    fn the_mask_of_ignored_signals() {
        assert_eq!(ignored("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001003\n"), 0x1003);
        assert_eq!(ignored(""), 0);
    }
}
