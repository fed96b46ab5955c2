//! The state directory: the lock and the records of this boot.
//!
//! It is on tmpfs and so ends with the boot, as the tasks do. Every change of a record is made on a freshly read one,
//! under a lock of its own that is held for that moment only, through a temporary file with a name of its own.

use crate::aws::definition::Definition;
use crate::config::error::ConfigError;
use crate::error::Error;
use crate::files::{self, Directory};
use crate::run::record::{Key, LastError, Record, RecordOf01};
use crate::system::clock::Clock;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// Identifies the boot (random(4)). Without it all boots look the same, which matters only if the directory outlives them.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The longest family that is part of its record's file name, which has at most 255 bytes.
const LONGEST_NAME: usize = 200;

/// The lock file, with the process that may send.
const SENDING: &str = "lock";
/// The lock file of the process that keeps the tasks running.
const KEEPING: &str = "keeper";
/// The lock file of the process that is changing a record.
const CHANGING: &str = "records.lock";
/// A change takes less than a millisecond, unless its process is frozen.
const CHANGE_TRIES: u32 = 200;
const CHANGE_POLL: Duration = Duration::from_millis(10);

/// The state directory, which holds the lock and the records.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    boot: String,
    /// ARN of the container instance that the records must be of.
    instance: String,
    /// The files that were reported not to be records.
    reported: RefCell<BTreeSet<PathBuf>>,
    opened: RefCell<Option<Rc<Directory>>>,
}

/// The lock on the state directory. It is released when dropped, and by the kernel after a crash.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl State {
    /// Creates the directory, accessible only to root.
    ///
    /// # Errors
    /// [`ConfigError::State`] when somebody must change its place, owner or mode; else [`Error::State`], as all errors here.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let state = State::at(path);
        state.directory()?;
        Ok(state)
    }

    /// The directory, created anew when somebody has removed it.
    ///
    /// # Errors
    /// It cannot be created or opened safely.
    fn directory(&self) -> Result<Rc<Directory>, Error> {
        self.opened(Directory::create).map_err(|e| self.unusable("", e))
    }

    /// The directory, if there is one.
    ///
    /// # Errors
    /// It cannot be opened safely.
    fn existing(&self) -> Result<Option<Rc<Directory>>, Error> {
        match self.opened(Directory::open) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            directory => directory.map(Some).map_err(|e| self.unusable("", e)),
        }
    }

    /// After a failure the directory is opened again, as another one may be mounted there by then.
    fn unusable(&self, name: &str, source: io::Error) -> Error {
        self.opened.take();
        unusable(&if name.is_empty() { self.path.clone() } else { self.path.join(name) }, source)
    }

    /// Checked once, and again when the path leads to another one.
    ///
    /// # Errors
    /// What `open` fails with.
    fn opened(&self, open: impl FnOnce(&Path) -> io::Result<Directory>) -> io::Result<Rc<Directory>> {
        let mut opened = self.opened.borrow_mut();
        match opened.as_ref().filter(|directory| directory.is_at(&self.path)) {
            Some(directory) => Ok(directory.clone()),
            None => Ok(opened.insert(Rc::new(open(&self.path)?)).clone()),
        }
    }

    /// Uses the directory as it is, and creates nothing.
    pub(crate) fn at(path: &Path) -> Self {
        let boot = files::read(Path::new(BOOT_ID)).unwrap_or_default();
        State {
            path: path.into(),
            boot,
            instance: String::new(),
            reported: RefCell::default(),
            opened: RefCell::default(),
        }
    }

    /// The same for records of this container instance.
    pub(crate) fn of(self, instance: &str) -> Self {
        State { instance: instance.to_owned(), ..self }
    }

    /// Takes the lock, which is the right to send.
    ///
    /// # Errors
    /// [`Error::Locked`] with the process that holds it.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        self.lock_named(SENDING)
    }

    /// The right to stay and keep the tasks running.
    ///
    /// # Errors
    /// As for [`State::lock`].
    pub(crate) fn keeper(&self) -> Result<Lock, Error> {
        self.lock_named(KEEPING)
    }

    /// # Errors
    /// Another process holds the lock, or the file cannot be opened or written.
    fn lock_named(&self, name: &str) -> Result<Lock, Error> {
        let mut file = self.open_lock(name)?;
        match file.try_lock() {
            Ok(()) => {
                let holder = format!("process {}", std::process::id());
                let written = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
                written.map_err(|e| self.unusable(name, e))?;
                Ok(Lock { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let holder = self.directory()?.read(name).unwrap_or_default();
                Err(Error::Locked {
                    holder: if holder.is_empty() { "an unknown process".to_owned() } else { holder },
                })
            }
            Err(TryLockError::Error(e)) => Err(self.unusable(name, e)),
        }
    }

    /// # Errors
    /// The file cannot be opened safely.
    fn open_lock(&self, name: &str) -> Result<File, Error> {
        self.directory()?.lock_file(name).map_err(|e| self.unusable(name, e))
    }

    /// Waits until nobody else changes a record.
    ///
    /// # Errors
    /// Others hold it for too long, or the file cannot be opened.
    fn changing(&self, clock: &dyn Clock) -> Result<File, Error> {
        let file = self.open_lock(CHANGING)?;
        for _ in 0..CHANGE_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => clock.sleep(CHANGE_POLL),
                Err(TryLockError::Error(e)) => return Err(self.unusable(CHANGING, e)),
            }
        }
        Err(Error::Locked { holder: "a process that is changing a record".to_owned() })
    }

    /// Of the request and the instance: after a new registration, a run that still knows the old one overwrites nothing.
    fn record_name(&self, key: &Key) -> String {
        let hash = Sha256::digest(format!("{}\n{}", key.digest, self.instance));
        let digest: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}.{digest}.json", stem(&key.family))
    }

    /// The record of a request; empty when there is none of this boot and instance.
    ///
    /// # Errors
    /// A record that cannot be read for another reason than its text.
    pub(crate) fn load(&self, key: &Key) -> Result<Record, Error> {
        Ok(self.read(&self.record_name(key), &key.family)?.unwrap_or_default())
    }

    /// All records that may be of `definition`, whatever request they are of; those of version 0.1 too.
    ///
    /// # Errors
    /// As for [`State::load`].
    pub(crate) fn all_of(&self, definition: &Definition) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        for name in self.names_of(&definition.family)? {
            records.extend(self.read(&name, &definition.family)?);
        }
        records.retain(|record| record.may_be_of(definition));
        Ok(records)
    }

    /// The definition that references became in this boot, when a record of the request says it. `written` is the request,
    /// and `definition` its task definition, both as the user wrote them.
    ///
    /// # Errors
    /// As for [`State::load`].
    pub(crate) fn resolved(&self, written: &str, definition: &str) -> Result<Option<Definition>, Error> {
        for name in self.names("")? {
            let record = self.read(&name, "")?.filter(|record| record.written == definition);
            let resolved = record.and_then(|record| Definition::parse(&record.definition));
            if let Some(resolved) = resolved.filter(|d| self.record_name(&Key::new(written, d)) == name) {
                return Ok(Some(resolved));
            }
        }
        Ok(None)
    }

    /// All records of this boot and instance, each with the name of its file.
    ///
    /// # Errors
    /// As for [`State::load`].
    pub(crate) fn all(&self) -> Result<Vec<(String, Record)>, Error> {
        let mut all = Vec::new();
        for name in self.names("")? {
            all.extend(self.read(&name, "")?.map(|record| (name, record)));
        }
        Ok(all)
    }

    fn counts(&self, record: &Record) -> bool {
        record.boot == self.boot && record.instance == self.instance
    }

    /// # Errors
    /// The directory cannot be read.
    fn names_of(&self, family: &str) -> Result<Vec<String>, Error> {
        self.names(&format!("{}.", stem(family)))
    }

    /// The records whose names begin so.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn names(&self, begins: &str) -> Result<Vec<String>, Error> {
        let Some(directory) = self.existing()? else { return Ok(Vec::new()) };
        let mut names = directory.names().map_err(|e| self.unusable("", e))?;
        let is_record = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "json");
        names.retain(|name| name.starts_with(begins) && is_record(name));
        Ok(names)
    }

    /// Renames the family's files that are not records of this version, once the question that they left is closed.
    pub(crate) fn set_aside(&self, family: &str) {
        let Ok(directory) = self.directory() else { return };
        for name in self.names_of(family).unwrap_or_default() {
            let of_this_version = |text: String| matches!(parse(&text), Some(Parsed::Now(_)));
            if !directory.read(&name).is_ok_and(of_this_version)
                && let Err(error) = directory.rename(&name, &set_aside(&name))
            {
                log::debug!("{} cannot be renamed: {error}", self.path.join(name).display());
            }
        }
    }

    /// `None` when there is none that counts. One that cannot be parsed is an open question.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, name: &str, family: &str) -> Result<Option<Record>, Error> {
        let path = self.path.join(name);
        let Some(directory) = self.existing()? else { return Ok(None) };
        let text = match directory.read(name) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == ErrorKind::InvalidData => String::new(),
            Err(e) => return Err(self.unusable(name, e)),
        };
        let Some(parsed) = parse(&text) else { return Ok(Some(self.garbled(path, family))) };
        self.reported.borrow_mut().remove(&path);
        Ok(match parsed {
            Parsed::Now(record) => Some(*record).filter(|record| self.counts(record)),
            Parsed::Of01(old) => Record::of_0_1(old, family, &self.boot, &self.instance),
        })
    }

    /// Nothing is known of what was there before, nor of when.
    fn garbled(&self, path: PathBuf, family: &str) -> Record {
        let shown = path.display().to_string();
        if self.reported.borrow_mut().insert(path) {
            log::warn!(
                "{shown} is not a valid record; a task may have been started, so the agent is checked before anything is sent"
            );
        }
        Record {
            in_flight_since: Some(Duration::ZERO),
            preexisting: None,
            definition: family.to_owned(),
            ..Record::default()
        }
    }

    /// The files that were read and are not records.
    pub(crate) fn not_records(&self) -> Vec<PathBuf> {
        self.reported.borrow().iter().cloned().collect()
    }

    /// Changes the record of a request, freshly read. The record as it is now.
    ///
    /// # Errors
    /// It cannot be read or written; then it is as it was.
    pub(crate) fn change(
        &self,
        key: &Key,
        clock: &dyn Clock,
        change: impl FnOnce(&mut Record),
    ) -> Result<Record, Error> {
        self.change_file(&self.record_name(key), &key.family, clock, change)
    }

    /// The same by the name of the record's file, as [`State::all`] has it.
    ///
    /// # Errors
    /// As for [`State::change`].
    pub(crate) fn change_file(
        &self,
        name: &str,
        definition: &str,
        clock: &dyn Clock,
        change: impl FnOnce(&mut Record),
    ) -> Result<Record, Error> {
        let _changing = self.changing(clock)?;
        let old = self.read(name, definition)?.unwrap_or_default();
        let mut new = old.clone();
        change(&mut new);
        new.boot.clone_from(&self.boot);
        new.instance.clone_from(&self.instance);
        if new != old {
            self.write(name, &new)?;
        }
        Ok(new)
    }

    /// Writes the record whole, or leaves the old one. A file that was just read and is not a record is kept under another name.
    ///
    /// # Errors
    /// The directory is full, read-only or not to be trusted.
    fn write(&self, name: &str, record: &Record) -> Result<(), Error> {
        let directory = self.directory()?;
        let write = || {
            let text = serde_json::to_vec(record)?;
            if self.reported.borrow().contains(&self.path.join(name)) {
                directory.remove(&set_aside(name))?;
                directory.link(name, &set_aside(name))?;
            }
            directory.replace(name, &text)
        };
        write().map_err(|e| self.unusable(name, e))
    }
}

/// The file with what kept the last run from trying tasks, which have no record then.
const UNTRIED: &str = "untried";

/// What kept tasks from being tried, by the name that the user gave them; by an empty one, what kept all of them.
pub(crate) type Untried = BTreeMap<String, LastError>;

impl State {
    /// Records what kept the tasks of this run from being tried, in place of what was recorded before.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn note_untried(&self, errors: &Untried) -> Result<(), Error> {
        let Some(directory) = self.existing()? else { return Ok(()) };
        let write = || {
            if errors.is_empty() {
                directory.remove(UNTRIED)
            } else {
                directory.replace(UNTRIED, &serde_json::to_vec(&(&self.boot, errors))?)
            }
        };
        write().map_err(|e| self.unusable(UNTRIED, e))
    }

    /// What kept the task of this name from being tried in this boot, as far as that can be read.
    pub(crate) fn untried(&self, name: &str) -> Option<LastError> {
        let text = self.existing().ok()??.read(UNTRIED).ok()?;
        let (boot, mut errors): (String, Untried) = serde_json::from_str(&text).ok()?;
        if boot == self.boot { errors.remove(name).or_else(|| errors.remove("")) } else { None }
    }
}

/// The extension of a file that is not a record.
const SET_ASIDE: &str = "garbled";

fn set_aside(name: &str) -> String {
    format!("{}.{SET_ASIDE}", name.trim_end_matches(".json"))
}

/// The text of a record, by the version that wrote it.
enum Parsed {
    Now(Box<Record>),
    Of01(RecordOf01),
}

/// The members by which versions differ.
#[derive(Deserialize)]
struct Version {
    instance: Option<IgnoredAny>,
    boot: Option<IgnoredAny>,
}

/// `None`: not a record. One of version 0.1 names no instance.
fn parse(text: &str) -> Option<Parsed> {
    let version: Version = serde_json::from_str(text).ok()?;
    if version.instance.is_some() {
        serde_json::from_str(text).ok().map(Box::new).map(Parsed::Now)
    } else if version.boot.is_some() {
        serde_json::from_str(text).ok().map(Parsed::Of01)
    } else {
        None
    }
}

/// The first part of the name of a family's records.
fn stem(family: &str) -> String {
    if family.len() <= LONGEST_NAME {
        return family.to_owned();
    }
    Sha256::digest(family).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a person must change is a configuration error; anything else may be temporary.
pub(crate) fn unusable(path: &Path, source: io::Error) -> Error {
    if files::is_permanent(&source) {
        return ConfigError::State { path: path.into(), source }.into();
    }
    Error::State { path: path.into(), source }
}
