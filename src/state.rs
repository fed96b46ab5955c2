//! What a run leaves for the next one of this boot: the lock and a record per family.
//!
//! They are on tmpfs and so end with the boot, as the tasks do. A record is written before each
//! StartTask and after its answer, whole or not at all, so that a crash in between is known for what
//! it is: an open question.

use crate::error::Error;
use crate::misconfigured::Misconfigured;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is known of one family's task in this boot. Times are uptimes, which no stepped clock moves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Record {
    /// Digest of the request: another request starts afresh.
    pub(crate) request: u64,
    /// When StartTask was sent, as long as it is open what became of it.
    pub(crate) sent: Option<Duration>,
    /// The family's tasks that were there before.
    pub(crate) before: Vec<String>,
    /// The task that ECS accepted, and when.
    pub(crate) task: Option<(String, Duration)>,
    /// Whether it ran.
    pub(crate) ran: bool,
    /// Attempts of this program that ended in death or a final refusal.
    pub(crate) failures: u32,
    /// No attempt before this.
    pub(crate) resume: Option<Duration>,
}

/// The directory that holds them.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
}

/// Held as long as it lives, and let go by the kernel even after a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl State {
    /// Makes the directory, for root alone.
    ///
    /// # Errors
    /// [`Misconfigured::State`], as all errors here.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let state = State { path: path.into() };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| state.unusable(path, e))?;
        Ok(state)
    }

    fn unusable(&self, path: &Path, source: io::Error) -> Error {
        Misconfigured::State { path: path.into(), source }.into()
    }

    /// The lock, or [`Error::Locked`] with the process that holds it.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        let path = self.path.join("lock");
        let unusable = |e| self.unusable(&path, e);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).map_err(unusable)?;
                write!(file, "process {}", std::process::id()).map_err(unusable)?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).unwrap_or_default();
                Err(Error::Locked {
                    holder: if holder.is_empty() { "an unknown process".to_owned() } else { holder },
                })
            }
            Err(TryLockError::Error(e)) => Err(unusable(e)),
        }
    }

    fn record_path(&self, family: &str) -> PathBuf {
        self.path.join(format!("{family}.json"))
    }

    /// The family's record, empty when there is none.
    pub(crate) fn load(&self, family: &str, request: u64) -> Result<Record, Error> {
        let path = self.record_path(family);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Record { request, ..Record::default() });
            }
            Err(e) => return Err(self.unusable(&path, e)),
        };
        let record: Record = serde_json::from_str(&text).map_err(|e| self.unusable(&path, e.into()))?;
        Ok(if record.request == request { record } else { Record { request, ..Record::default() } })
    }

    /// Writes the record whole, or leaves the old one.
    pub(crate) fn save(&self, family: &str, record: &Record) -> Result<(), Error> {
        let path = self.record_path(family);
        let new = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec(record)?)?;
            fs::rename(&new, &path)
        };
        write().map_err(|e| self.unusable(&path, e))
    }

    /// Forgets the family.
    pub(crate) fn remove(&self, family: &str) -> Result<(), Error> {
        let path = self.record_path(family);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.unusable(&path, e)),
            _ => Ok(()),
        }
    }
}
