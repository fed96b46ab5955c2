//! The log: to stderr for people and the journal, and to the file that AWS's page names.
//!
//! Only lines of this program come through, each written in one piece. The journal knows the time and the process itself and
//! gets the priority instead. A file that cannot be written is one warning, never a failure. On a terminal the last line may
//! be a progress line, which is removed before the next line of the log.

use crate::files;
use crate::text::sanitize_line;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fs::Mode;
use simplelog::{Config, ConfigBuilder, WriteLogger};
use std::fs::{self, File};
use std::io::{self, IsTerminal, LineWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// Readable by the group, as the agent's own logs are collected by tools that are not root.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

/// The target of lines that repeat what the result on stdout says.
pub(crate) const RESULT: &str = concat!(env!("CARGO_CRATE_NAME"), "::result");

/// Whether a progress line is what stands last on the terminal.
static PROGRESS: AtomicBool = AtomicBool::new(false);

/// Starts the log, with a file or without.
pub(crate) fn init(path: Option<&Path>, level: LevelFilter) {
    let opened = path.map(|path| LogFile::open(path).map_err(|error| (path, error)));
    let (file, failed) = match opened {
        Some(Ok(file)) => (Some(WriteLogger::new(level, bare(), whole_lines(file))), None),
        Some(Err(failed)) => (None, Some(failed)),
        None => (None, None),
    };
    let result_is_seen = io::stdout().is_terminal() && io::stderr().is_terminal();
    let stderr = WriteLogger::new(level, bare(), whole_lines(Stderr));
    let logger = Logger { form: Form::of_stderr(), stderr, result_is_seen, file };
    // A second call would fail, and there is none.
    if log::set_boxed_logger(Box::new(logger)).is_err() {
        complain("the log cannot be started");
    }
    log::set_max_level(level);
    if let Some((path, why)) = failed {
        log::warn!("cannot write the log file {}: {why}; {}", path.display(), files::of_log_file(path, &why));
    }
}

/// Writes each line to its places, without what others could have put into it: no name ends a line or moves a cursor.
struct Logger {
    form: Form,
    stderr: Box<WriteLogger<LineWriter<Stderr>>>,
    /// Stderr and stdout are terminals, so what the result says is not logged as well.
    result_is_seen: bool,
    file: Option<Box<WriteLogger<LineWriter<LogFile>>>>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = sanitize_line(&record.args().to_string());
        if !(self.result_is_seen && record.target() == RESULT) {
            write(self.stderr.as_ref(), &self.form, record, &text);
        }
        if let Some(file) = &self.file {
            write(file.as_ref(), &Form::File, record, &text);
        }
    }

    fn flush(&self) {}
}

fn write(to: &dyn Log, form: &Form, record: &Record<'_>, text: &str) {
    let line = form.line(record.level(), text);
    to.log(&Record::builder().metadata(record.metadata().clone()).args(format_args!("{line}")).build());
}

/// simplelog cannot write priorities, so it gets whole lines and adds nothing.
fn bare() -> Config {
    let off = LevelFilter::Off;
    let mut config = ConfigBuilder::new();
    config
        .set_time_level(off)
        .set_max_level(off)
        .set_thread_level(off)
        .set_target_level(off)
        .set_location_level(off);
    config.build()
}

/// A line up to this length is written in one piece.
const LONGEST_LINE: usize = 8 * 1024;

/// simplelog writes a line in many pieces; other processes write to the same places, and any of them may end in the middle.
fn whole_lines<W: Write>(to: W) -> LineWriter<W> {
    LineWriter::with_capacity(LONGEST_LINE, to)
}

/// What a line says besides its level and its text. Times are in UTC.
enum Form {
    /// The priority that systemd takes from the beginning of a line (sd-daemon(3)), for `journalctl -p`.
    Journal,
    /// The time of day, for people who watch.
    Terminal,
    /// RFC 3339 and the process ID: the unit and runs by hand share the file.
    File,
}

impl Form {
    fn of_stderr() -> Self {
        if is_journal() { Form::Journal } else { Form::Terminal }
    }

    fn line(&self, level: Level, text: &str) -> String {
        let time = || humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        match self {
            Form::Journal => format!("<{}>[{level}] {text}", priority(level)),
            Form::Terminal => {
                let time = time();
                let of_day = time.split_once('T').map_or(time.as_str(), |(_, of_day)| of_day);
                format!("{of_day} [{level}] {text}")
            }
            Form::File => format!("{} {} [{level}] {text}", time(), std::process::id()),
        }
    }
}

/// As in syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// `JOURNAL_STREAM` names the device and inode of the journal's socket (systemd 231 and later); an
/// older systemd is recognised by its notify socket.
fn is_journal() -> bool {
    match std::env::var("JOURNAL_STREAM") {
        Ok(stream) => stderr_is(&stream),
        Err(_) => std::env::var_os("NOTIFY_SOCKET").is_some(),
    }
}

fn stderr_is(stream: &str) -> bool {
    fs::metadata("/proc/self/fd/2").is_ok_and(|m| stream == format!("{}:{}", m.dev(), m.ino()))
}

/// Whether standard output is a terminal whose user wants colours (no-color.org).
pub(crate) fn colours() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    io::stdout().is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// The width of the terminal that standard output is; `None` when it is no terminal.
pub(crate) fn columns() -> Option<usize> {
    io::stdout().is_terminal().then(|| width(io::stdout()))
}

/// A terminal that does not tell its width has no end.
fn width(terminal: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(terminal).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(usize::MAX)
}

/// Whether stderr is a terminal whose user wants progress.
pub(crate) fn shows_progress() -> bool {
    io::stderr().is_terminal() && log::max_level() >= LevelFilter::Info
}

/// Shows `text` in place of the last progress line. A longer line would wrap, and only its last row could be removed.
pub(crate) fn progress(text: &str) {
    if shows_progress() {
        PROGRESS.store(true, Ordering::Relaxed);
        let room = width(io::stderr()).saturating_sub(1);
        let line: String = sanitize_line(text).chars().take(room).collect();
        write_or_forget(&format!("\r\x1b[K{line}"));
    }
}

/// Takes the progress line away, when there is one.
pub(crate) fn end_progress() {
    if PROGRESS.swap(false, Ordering::Relaxed) {
        write_or_forget("\r\x1b[K");
    }
}

/// Writes to stdout. A reader that has gone (`| head`) is no failure, as the log has the result too.
pub(crate) fn print(text: &str) {
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        log::debug!("the result cannot be written: {error}");
    }
}

/// A warning on stderr for when the log itself fails.
pub(crate) fn complain(text: &str) {
    end_progress();
    write_or_forget(&(Form::of_stderr().line(Level::Warn, &sanitize_line(text)) + "\n"));
}

/// Standard error, from which the progress line is removed before anything else is written.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        end_progress();
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes to stderr. If that fails, there is no other place to report it.
fn write_or_forget(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// The log file, which says once that it cannot be written and is silent from then on.
struct LogFile {
    file: File,
    path: PathBuf,
    failed: bool,
}

impl LogFile {
    /// # Errors
    /// The file cannot be opened for appending.
    fn open(path: &Path) -> io::Result<Self> {
        let file = files::append(path, FILE_MODE).or_else(|error| own_stderr(path).ok_or(error))?;
        Ok(LogFile { file, path: path.into(), failed: false })
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).inspect_err(|e| {
            if !std::mem::replace(&mut self.failed, true) {
                // Not through the log, which is in the middle of this line.
                let (path, hint) = (self.path.display(), files::of_log_file(&self.path, e));
                complain(&format!("cannot write the log file {path}: {e}; {hint}"));
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Our standard error, when that is where the path leads (`/dev/stderr`).
pub(crate) fn own_stderr(path: &Path) -> Option<File> {
    let (there, ours) = (fs::metadata(path).ok()?, fs::metadata("/proc/self/fd/2").ok()?);
    let same = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
    if same { io::stderr().as_fd().try_clone_to_owned().ok().map(File::from) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_journal_has_its_priority_and_no_time() {
        let lines = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        let lines = lines.map(|level| Form::Journal.line(level, "x"));
        assert_eq!(lines, ["<3>[ERROR] x", "<4>[WARN] x", "<6>[INFO] x", "<7>[DEBUG] x", "<7>[TRACE] x"]);
    }
}
