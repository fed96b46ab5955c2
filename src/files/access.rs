//! Files that are read whole, up to a limit, and the log, which is written only where no other user can lead the writing elsewhere.

use super::trust;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstat};
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Far above any settings file, document or record, far below what would take this host's memory.
pub(super) const LIMIT: usize = 1024 * 1024;

/// The longest time without data from a pipe that is named on the command line, in seconds.
const PATIENCE: i64 = 10;

/// A pipe without a writer is opened at once, and a terminal is not taken over.
const READING: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Most files fit into this, also those whose size is not known, with one call to read them.
const USUAL: usize = 8 * 1024;

/// The text of a file that the program finds by itself.
///
/// # Errors
/// It cannot be opened or read, is not a regular file, is too large, or is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    text_of(regular(path)?, LIMIT)
}

/// The text of a file that a person names, such as `/dev/stdin`.
///
/// # Errors
/// As [`read`], but any kind of file is accepted; also a pipe without data.
pub(crate) fn read_named(path: &Path) -> io::Result<String> {
    text_of(patient(path)?, LIMIT)
}

/// As [`read`], for bytes, of which there may be `limit`.
///
/// # Errors
/// As [`read`].
pub(crate) fn bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    bytes_of(regular(path)?, limit)
}

/// As [`read_named`], for bytes, of which there may be `limit`.
///
/// # Errors
/// As [`read_named`].
pub(crate) fn bytes_named(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    bytes_of(patient(path)?, limit)
}

/// Opens the file to append to it, or creates it with `mode`.
///
/// # Errors
/// [`trust::Untrusted`] when another user could have led the path elsewhere; any error of the kernel.
pub(crate) fn append(path: &Path, mode: Mode) -> io::Result<File> {
    let (directory, name) = trust::enter_parent(path)?;
    directory.open_or_create(name, OFlags::WRONLY | OFlags::APPEND, mode)
}

/// Whether [`append`] could; nothing is created.
///
/// # Errors
/// As [`append`].
pub(crate) fn check_append(path: &Path) -> io::Result<()> {
    let (directory, name) = trust::enter_parent(path)?;
    match directory.open(name, OFlags::WRONLY | OFlags::APPEND) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => directory.writable(),
        Err(error) => Err(error),
    }
}

/// The path itself, or what there is above it.
pub(crate) fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"))
}

/// Whether it takes a person to fix what keeps a directory from being written: permission denied, a foreign owner or mode, no
/// directory. A directory that is missing, full or broken may be there later.
pub(crate) fn is_permanent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// Opens `path` for reading, whatever it is, without waiting for a writer.
///
/// # Errors
/// Those of open(2).
pub(super) fn open(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | READING, Mode::empty())?.into())
}

/// # Errors
/// The file cannot be opened.
fn patient(path: &Path) -> io::Result<Patient> {
    Ok(Patient { file: open(path)?, seconds: PATIENCE })
}

/// # Errors
/// The file cannot be opened, or is not a regular file.
fn regular(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Reads a whole file as text.
///
/// # Errors
/// It is larger than `limit`, is not UTF-8, or cannot be read.
pub(super) fn text_of(file: impl Read + AsFd, limit: usize) -> io::Result<String> {
    let bytes = bytes_of(file, limit)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// # Errors
/// It cannot be read, or is larger than `limit`.
fn bytes_of(file: impl Read + AsFd, limit: usize) -> io::Result<Vec<u8>> {
    // One byte more than the file has, so that its end is found without growing.
    let size = usize::try_from(fstat(&file)?.st_size).map_or(0, |size| size.min(limit) + 1);
    let mut bytes = Vec::with_capacity(size.max(USUAL));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// A file that is read with a time limit, as it may be a pipe.
pub(super) struct Patient {
    pub(super) file: File,
    pub(super) seconds: i64,
}

impl AsFd for Patient {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let patience = Timespec { tv_sec: self.seconds, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&patience))? == 0 {
            return Err(Error::new(ErrorKind::TimedOut, format!("no data for {} s", self.seconds)));
        }
        self.file.read(buffer)
    }
}
