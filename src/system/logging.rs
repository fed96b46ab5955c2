//! The log: to stderr for people and the journal, and to the file that AWS's page names.
//!
//! Only lines of this program come through. The journal stamps its lines itself, so they get no time
//! there. A file that cannot be written is one warning, never a failure. On a terminal the last line
//! may be a progress line, which is taken away before the next line of the log.

use crate::files;
use crate::text::sanitize_line;
use log::{LevelFilter, Log, Metadata, Record};
use rustix::fs::Mode;
use simplelog::{CombinedLogger, Config, ConfigBuilder, LevelPadding, SharedLogger, WriteLogger};
use std::fs::{self, File};
use std::io::{self, IsTerminal, LineWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Readable by the group, as the agent's own logs are collected by tools that are not root.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

/// A line up to this length is written in one piece.
const LONGEST_LINE: usize = 8 * 1024;

/// Whether a progress line is what stands last on the terminal.
static PROGRESS: AtomicBool = AtomicBool::new(false);

/// Starts the log, with a file or without.
pub(crate) fn init(path: Option<&Path>, level: LevelFilter) {
    let stamp = if is_journal() { Stamp::None } else { Stamp::Time };
    let stderr = WriteLogger::new(level, config(stamp), lines(Stderr));
    let mut loggers: Vec<Box<dyn SharedLogger>> = vec![stderr];
    let file = path.map(|path| LogFile::open(path).map_err(|error| (path, error)));
    let failed = match file {
        Some(Ok(file)) => {
            loggers.push(WriteLogger::new(level, config(Stamp::Full), lines(file)));
            None
        }
        Some(Err(failed)) => Some(failed),
        None => None,
    };
    // A second call would fail, and there is none.
    if log::set_boxed_logger(Box::new(Sanitizing(CombinedLogger::new(loggers)))).is_err() {
        complain("[WARN ] the log cannot be started");
    }
    log::set_max_level(level);
    if let Some((path, why)) = failed {
        log::warn!(
            "the log file cannot be written, {}: {why}; {}",
            path.display(),
            files::of_log_file(path, &why)
        );
    }
}

/// Hands each line on without what others could have put into it, so that no name ends a line or moves a cursor.
struct Sanitizing(Box<CombinedLogger>);

impl Log for Sanitizing {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let line = sanitize_line(&record.args().to_string());
        let about = record.metadata().clone();
        self.0.log(&Record::builder().metadata(about).args(format_args!("{line}")).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// simplelog writes a line in many pieces; other processes write to the same places, and any of them may end
/// in the middle.
fn lines<W: Write>(to: W) -> LineWriter<W> {
    LineWriter::with_capacity(LONGEST_LINE, to)
}

/// How a line tells its time, always in UTC.
#[derive(PartialEq, Eq)]
enum Stamp {
    None,
    /// Hours, minutes and seconds, for whoever is looking on.
    Time,
    /// RFC 3339.
    Full,
}

fn config(stamp: Stamp) -> Config {
    let mut config = ConfigBuilder::new();
    config
        .add_filter_allow_str(env!("CARGO_CRATE_NAME"))
        .set_time_level(if stamp == Stamp::None { LevelFilter::Off } else { LevelFilter::Error })
        .set_level_padding(LevelPadding::Right)
        .set_thread_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off);
    if stamp == Stamp::Full {
        config.set_time_format_rfc3339();
    }
    config.build()
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

/// The width of the terminal that standard output is; what is no terminal has no end.
pub(crate) fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(usize::MAX)
}

/// A longer line would wrap on a usual terminal, and only its last row could be taken away.
const PROGRESS_WIDTH: usize = 79;

/// Shows `text` in place of the last progress line, when stderr is a terminal whose user wants to know.
pub(crate) fn progress(text: &str) {
    if io::stderr().is_terminal() && log::max_level() >= LevelFilter::Info {
        PROGRESS.store(true, Ordering::Relaxed);
        let line: String = sanitize_line(text).chars().take(PROGRESS_WIDTH).collect();
        write_or_forget(&format!("\r\x1b[K{line}"));
    }
}

/// Takes the progress line away, when there is one.
pub(crate) fn end_progress() {
    if PROGRESS.swap(false, Ordering::Relaxed) {
        write_or_forget("\r\x1b[K");
    }
}

/// Writes to stdout. A reader that has gone (`| head`) wants no more; what was done is in the log.
pub(crate) fn print(text: &str) {
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        log::debug!("the result cannot be written: {error}");
    }
}

/// Says something when even the log is not to be had.
pub(crate) fn complain(text: &str) {
    write_or_forget(&format!("{}\n", sanitize_line(text)));
}

/// A stderr that is gone leaves nobody to be told.
fn write_or_forget(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

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

/// The log file, which says once that it cannot be written and is silent from then on.
struct LogFile {
    file: File,
    path: PathBuf,
    failed: bool,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = files::append(path, FILE_MODE).or_else(|error| own_stderr(path).ok_or(error))?;
        Ok(LogFile { file, path: path.into(), failed: false })
    }
}

/// Our standard error, when that is where the path leads (`/dev/stderr`).
pub(crate) fn own_stderr(path: &Path) -> Option<File> {
    let (there, ours) = (fs::metadata(path).ok()?, fs::metadata("/proc/self/fd/2").ok()?);
    let same = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
    if same { io::stderr().as_fd().try_clone_to_owned().ok().map(File::from) } else { None }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Err(e) if !self.failed => {
                self.failed = true;
                // Not through the log, which is in the middle of this line.
                let (path, remedy) = (self.path.display(), files::of_log_file(&self.path, &e));
                complain(&format!("[WARN ] the log file cannot be written, {path}: {e}; {remedy}"));
                Err(e)
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
