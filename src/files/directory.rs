//! A directory of this program's own, in which nobody but root and our user can write.
//!
//! Everything in it is opened by its name in the directory that was checked, never by a path, and no link is followed.

use super::access::{LIMIT, nearest, text_of};
use super::trust::{Trusted, enter};
use rustix::fs::{AtFlags, Dir, DirEntry, Mode, OFlags, linkat, renameat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Only its owner reads what is in it.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Temporary files that a crash left behind may have the first few names.
const MOST_LEFT_BEHIND: u32 = 1000;

/// A directory that passed the checks of owner and mode, held open.
#[derive(Debug)]
pub(crate) struct Directory(Trusted);

impl Directory {
    /// Opens the directory, and creates it and those above it where they are missing.
    ///
    /// # Errors
    /// [`super::Untrusted`] when another user owns it or can write to it; see [`super::is_permanent`].
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Directory(enter(path, true)?.private()?))
    }

    /// Opens the directory as it is.
    ///
    /// # Errors
    /// As [`Directory::create`], and `NotFound`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Directory(enter(path, false)?.private()?))
    }

    /// Whether `path` still leads to it.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let ours = &self.0.about;
        path.metadata().is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }

    /// Whether a run could write there; nothing is created.
    ///
    /// # Errors
    /// As [`Directory::create`].
    pub(crate) fn check(path: &Path) -> io::Result<()> {
        match Directory::open(path) {
            Ok(directory) => directory.0.writable(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => enter(nearest(path), false)?.writable(),
            Err(error) => Err(error),
        }
    }

    /// The text of the file `name`.
    ///
    /// # Errors
    /// `NotFound`; a link, a pipe, a file of another user; a file that is too large or is not UTF-8.
    pub(crate) fn read(&self, name: &str) -> io::Result<String> {
        text_of(self.0.open(OsStr::new(name), OFlags::RDONLY)?, LIMIT)
    }

    /// The names of what is in it.
    ///
    /// # Errors
    /// Any error of the kernel.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let name =
            |entry: rustix::io::Result<DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let names: Vec<String> = Dir::new(self.0.listing()?)?.map(name).collect::<io::Result<_>>()?;
        Ok(names.into_iter().filter(|name| name != "." && name != "..").collect())
    }

    /// The file `name`, to be locked: created where it is missing, open to be read and appended to.
    ///
    /// # Errors
    /// A link, a pipe, a file of another user; any error of the kernel.
    pub(crate) fn lock_file(&self, name: &str) -> io::Result<File> {
        self.0.open_or_create(OsStr::new(name), OFlags::RDWR | OFlags::APPEND, FILE_MODE)
    }

    /// Writes the file `name` whole, or leaves the old one.
    ///
    /// # Errors
    /// Any error of the kernel; then the old file is unchanged.
    pub(crate) fn replace(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        let (temporary, mut file) = self.temporary(name)?;
        let written = file.write_all(contents).and_then(|()| self.rename(&temporary, name));
        if written.is_err() {
            // The reason for not writing is what counts.
            drop(self.remove(&temporary));
        }
        written
    }

    /// A new file that nobody else has open.
    ///
    /// # Errors
    /// The file cannot be created, or too many were left behind.
    fn temporary(&self, name: &str) -> io::Result<(String, File)> {
        let process = std::process::id();
        let names = (0..MOST_LEFT_BEHIND).map(|number| format!("{name}.{process}.{number}.new"));
        for temporary in names {
            match self.0.create(OsStr::new(&temporary), OFlags::WRONLY, FILE_MODE) {
                Err(Errno::EXIST) => {}
                other => return Ok((temporary, other?)),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Gives the file `from` a second name.
    ///
    /// # Errors
    /// Any error of the kernel; `to` must not exist.
    pub(crate) fn link(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(linkat(&self.0.directory, from, &self.0.directory, to, AtFlags::empty())?)
    }

    /// Gives the file `from` the name `to`, which replaces what has that name.
    ///
    /// # Errors
    /// Any error of the kernel.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.0.directory, from, &self.0.directory, to)?)
    }

    /// Removes the file `name`, if there is one.
    ///
    /// # Errors
    /// Any error of the kernel.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.0.directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }
}
