//! What a run leaves for the next one of this boot: the lock and a record per family.
//!
//! They are on tmpfs and so end with the boot, as the tasks do. A record is written before each
//! StartTask and after its answer, whole or not at all, so that a crash in between is known for what
//! it is: an open question.

use crate::aws::arn::is_safe_identifier;
use crate::config::error::ConfigError;
use crate::error::Error;
use crate::files;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is known of one family's task in this boot. Times are uptimes, which no stepped clock moves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Record {
    /// The boot that it is of: a directory that outlives it holds nothing that counts.
    boot: String,
    /// Digest of the request: another request starts afresh.
    pub(crate) request: u64,
    /// When StartTask was sent, as long as it is open what became of it.
    pub(crate) sent: Option<Duration>,
    /// The family's tasks that were there before.
    pub(crate) before: Vec<String>,
    /// The task that ECS accepted, and when.
    #[serde(deserialize_with = "accepted")]
    pub(crate) task: Option<(String, Duration)>,
    /// Whether it ran.
    pub(crate) ran: bool,
    /// Attempts of this program that ended in death or a final refusal.
    pub(crate) failures: u32,
    /// No attempt before this.
    pub(crate) resume: Option<Duration>,
}

fn accepted<'de, D: Deserializer<'de>>(json: D) -> Result<Option<(String, Duration)>, D::Error> {
    let task: Option<(String, Duration)> = Deserialize::deserialize(json)?;
    if task.iter().all(|(arn, _)| is_safe_identifier(arn)) {
        Ok(task)
    } else {
        Err(D::Error::custom("no ARN"))
    }
}

impl Record {
    fn new(boot: &str, request: u64) -> Self {
        Record { boot: boot.to_owned(), request, ..Record::default() }
    }

    /// What of it counts for `request` in this `boot`. For another request of the family all starts afresh,
    /// but what is in flight may turn out to be the task that is asked for: an open question.
    fn of(self, boot: &str, request: u64) -> Self {
        if self.boot != boot {
            return Record::new(boot, request);
        }
        if self.request == request {
            return self;
        }
        let accepted = self.task.filter(|_| !self.ran).map(|(_, at)| at);
        let sent = self.sent.or(accepted);
        let before = if sent.is_some() { self.before } else { Vec::new() };
        Record { sent, before, ..Record::new(boot, request) }
    }
}

/// The directory that holds them.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    boot: String,
}

/// Tells boots apart (random(4)). Without it all boots look alike, which matters only to a directory that
/// outlives them.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Longest family that names its record; a file's name has at most 255 bytes.
const LONGEST_NAME: usize = 200;

/// Held as long as it lives, and let go by the kernel even after a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl State {
    /// Makes the directory, for root alone.
    ///
    /// # Errors
    /// [`ConfigError::State`], as all errors here.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let state = State::at(path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| state.unusable(path, e))?;
        Ok(state)
    }

    /// As it is, to look at: nothing is made.
    pub(crate) fn at(path: &Path) -> Self {
        State { path: path.into(), boot: fs::read_to_string(BOOT_ID).unwrap_or_default() }
    }

    fn unusable(&self, path: &Path, source: io::Error) -> Error {
        ConfigError::State { path: path.into(), source }.into()
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
        if family.len() <= LONGEST_NAME {
            return self.path.join(format!("{family}.json"));
        }
        let mut hasher = DefaultHasher::new();
        family.hash(&mut hasher);
        self.path.join(format!("{:x}.json", hasher.finish()))
    }

    /// The family's record, empty when there is none.
    pub(crate) fn load(&self, family: &str, request: u64) -> Result<Record, Error> {
        let path = self.record_path(family);
        let text = match files::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Record::new(&self.boot, request));
            }
            Err(e) => return Err(self.unusable(&path, e)),
        };
        let record: Record =
            serde_json::from_str(&text).map_err(|source| ConfigError::Record { path, source })?;
        Ok(record.of(&self.boot, request))
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

    /// Forgets the family, unless another run has written something else meanwhile.
    pub(crate) fn remove(&self, family: &str, record: &Record) -> Result<(), Error> {
        if self.load(family, record.request)? != *record {
            return Ok(());
        }
        let path = self.record_path(family);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.unusable(&path, e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_of_one_boot_and_one_request() {
        let task = Some(("arn".to_owned(), Duration::from_secs(7)));
        let record = Record { task, failures: 3, before: vec!["old".to_owned()], ..Record::new("boot", 1) };
        assert_eq!(record.clone().of("boot", 1), record);
        assert_eq!(record.clone().of("another", 1), Record::new("another", 1));
        let in_flight = record.clone().of("boot", 2);
        assert_eq!(
            (in_flight.sent, in_flight.before.len(), in_flight.failures),
            (Some(Duration::from_secs(7)), 1, 0)
        );
        let ran = Record { ran: true, ..record };
        assert_eq!(ran.of("boot", 2), Record::new("boot", 2));
    }

    #[test]
    fn records_come_back_whatever_the_family_is_called() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open(directory.path()).unwrap();
        for family in ["log", &"x".repeat(255)] {
            let record = Record { failures: 1, ..state.load(family, 1).unwrap() };
            state.save(family, &record).unwrap();
            assert_eq!(state.load(family, 1).unwrap(), record);
            state.remove(family, &Record::new("boot", 1)).unwrap();
            assert_eq!(state.load(family, 1).unwrap(), record, "it is another run's");
            state.remove(family, &record).unwrap();
            assert_eq!(state.load(family, 1).unwrap().failures, 0);
        }
        std::fs::write(directory.path().join("log.json"), "{").unwrap();
        assert!(state.load("log", 1).unwrap_err().to_string().contains("log.json is no record"));
    }

    #[test]
    fn one_holds_the_lock_and_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (State::open(directory.path()).unwrap(), State::open(directory.path()).unwrap());
        let held = one.lock().unwrap();
        let error = other.lock().unwrap_err();
        assert!(error.is_locked() && error.to_string().contains(&format!("process {}", std::process::id())));
        drop(held);
        assert!(other.lock().is_ok());
    }
}
