//! Paths that are safe to write through: only root and the user of this program decide where they lead.
//!
//! A path is walked one name at a time. Every directory that is entered and every link that is followed must belong to root
//! or to our user; group-writable and sticky directories are fine. The last name of a file is no link.

use crate::text::shell_word;
use crate::users::{is_trusted, is_unmapped};
use rustix::fs::{
    Access, AtFlags, CWD, Dev, FileType, Mode, OFlags, Stat, accessat, fstat, makedev, mkdirat, openat,
    readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Another process may create or remove the same file at the same time, but hardly three times in a row.
const MOST_RACES: usize = 3;

/// Only its owner enters a directory that this program creates.
const DIRECTORY_MODE: Mode = Mode::RWXU;

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;
const PERMISSIONS: u32 = 0o7777;

/// The reason why a path is not safe to use: another user could redirect or change it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}{fault}", above.as_ref().map_or_else(String::new, |above| format!("{}: ", above.display())))]
pub(crate) struct Untrusted {
    /// The directory or link above the path that is unsafe, unless it is the path itself.
    pub(crate) above: Option<PathBuf>,
    fault: Fault,
}

/// What is wrong with an unsafe file or directory.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Fault {
    #[error("it belongs to user {0}")]
    Owner(u32),
    #[error("others can write to it (mode {0:04o})")]
    Mode(u32),
    #[error("it is a symbolic link")]
    Link,
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it has {0} names (hard links), and others can write to its directory")]
    Names(u64),
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Untrusted { above: None, fault }.into()
    }
}

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> Self {
        io::Error::new(ErrorKind::PermissionDenied, untrusted)
    }
}

impl Untrusted {
    /// The reason in `error`, if that is its cause.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether it is the path itself, and no file of this program's.
    pub(super) fn is_no_file(&self) -> bool {
        self.above.is_none() && matches!(self.fault, Fault::Link | Fault::NotRegular | Fault::Names(_))
    }

    /// How to fix `path`.
    pub(crate) fn hint(&self, path: &Path) -> String {
        let (path, us) = (shell_word(&path.to_string_lossy()), user());
        match &self.above {
            Some(_) => format!("use a path whose directories and links all belong to {us}"),
            None if self.is_no_file() => format!("`rm {path}`"),
            None => format!("`chown {us}: {path}; chmod go-w {path}`"),
        }
    }
}

/// Our user, as `chown` takes it.
fn user() -> String {
    let us = geteuid();
    if us.is_root() { "root".to_owned() } else { us.as_raw().to_string() }
}

/// An open directory, on the path to which no other user can change a link or a name.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) directory: File,
    /// As it was when it was entered.
    pub(super) about: Metadata,
}

impl Trusted {
    /// The same directory, if only root and our user can write to it.
    ///
    /// # Errors
    /// Another owner, or a mode that lets others write.
    pub(super) fn private(self) -> io::Result<Self> {
        let about = &self.about;
        if !is_trusted(about.uid()) {
            return Err(Fault::Owner(about.uid()).into());
        }
        if is_shared(about) { Err(Fault::Mode(about.mode() & PERMISSIONS).into()) } else { Ok(self) }
    }

    /// The same directory, opened for listing.
    ///
    /// # Errors
    /// Those of open(2).
    pub(super) fn listing(&self) -> io::Result<OwnedFd> {
        Ok(openat(&self.directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS, Mode::empty())?)
    }

    /// Checks that this process can create files in the directory.
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn writable(&self) -> io::Result<()> {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        Ok(accessat(&self.directory, ".", wanted, AtFlags::empty())?)
    }

    /// Opens the regular file `name` of the directory, or creates it with `mode`.
    ///
    /// # Errors
    /// The file is not safe to use, or cannot be opened or created.
    pub(super) fn open_or_create(&self, name: &OsStr, access: OFlags, mode: Mode) -> io::Result<File> {
        for _ in 0..MOST_RACES {
            match self.open(name, access) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
            match self.create(name, access, mode) {
                Err(Errno::EXIST) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Opens the regular file `name` of the directory. The first check keeps devices and pipes from being opened at all; the
    /// second one is of what has been opened.
    ///
    /// # Errors
    /// The file is not safe to use, or cannot be opened.
    pub(super) fn open(&self, name: &OsStr, access: OFlags) -> io::Result<File> {
        self.check(&statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?)?;
        let file = openat(&self.directory, name, access | ALWAYS, Mode::empty())?;
        self.check(&fstat(&file)?)?;
        Ok(file.into())
    }

    /// Creates the file `name`, which must not exist yet.
    ///
    /// # Errors
    /// It exists, or cannot be created.
    pub(super) fn create(&self, name: &OsStr, access: OFlags, mode: Mode) -> Result<File, Errno> {
        let new = access | ALWAYS | OFlags::CREATE | OFlags::EXCL;
        openat(&self.directory, name, new, mode).map(File::from)
    }

    /// # Errors
    /// Someone other than root or this user could change it, or it is a link or a special file.
    fn check(&self, about: &Stat) -> io::Result<()> {
        let fault = match FileType::from_raw_mode(about.st_mode) {
            FileType::CharacterDevice if about.st_rdev == null() => return Ok(()),
            FileType::Directory => return Err(ErrorKind::IsADirectory.into()),
            FileType::Symlink => Fault::Link,
            FileType::RegularFile if !is_trusted(about.st_uid) => Fault::Owner(about.st_uid),
            FileType::RegularFile if about.st_nlink > 1 && is_shared(&self.directory.metadata()?) => {
                Fault::Names(wide(about.st_nlink))
            }
            FileType::RegularFile => return Ok(()),
            _ => Fault::NotRegular,
        };
        Err(fault.into())
    }
}

/// Whether others than root and our user can write to the directory.
fn is_shared(about: &Metadata) -> bool {
    about.mode() & (GROUP_WRITES | OTHERS_WRITE) != 0 || !is_trusted(about.uid())
}

/// A number that not every architecture has in the same width.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// The device number of `/dev/null`, which is accepted as a log file by those who want none.
fn null() -> Dev {
    makedev(1, 3)
}

/// What is wrong when others can change what is read at `path`, or put something else in its place.
pub(crate) fn open_to_others(path: &Path) -> Option<Untrusted> {
    // A file cannot be entered, but all links and directories on the way to it have been checked by then.
    of_itself(path).or_else(|| Untrusted::of(&enter(path, false).err()?).cloned())
}

/// Sticky directories are no better: a file may be added.
fn of_itself(path: &Path) -> Option<Untrusted> {
    let about = fs::metadata(path).ok().filter(|about| about.is_file() || about.is_dir())?;
    let by_group = about.mode() & GROUP_WRITES != 0 && about.gid() != 0;
    let fault = if !is_trusted(about.uid()) && !is_unmapped(about.uid()) {
        Fault::Owner(about.uid())
    } else if by_group || about.mode() & OTHERS_WRITE != 0 {
        Fault::Mode(about.mode() & PERMISSIONS)
    } else {
        return None;
    };
    Some(Untrusted { above: None, fault })
}

/// No link is followed, no pipe waited for, no terminal taken over, and nothing is left open for a child.
const ALWAYS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The directory at `path`. What is missing of the path is created when `create` says so.
///
/// # Errors
/// [`Untrusted`], and any error of the kernel.
pub(super) fn enter(path: &Path, create: bool) -> io::Result<Trusted> {
    let start = Path::new(if path.is_absolute() { "/" } else { "." });
    let at = File::from(openat(CWD, start, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let about = at.metadata()?;
    let mut walk =
        Walk { at: Trusted { directory: at, about }, path: start.into(), rest: Vec::new(), links: 0, create };
    walk.plan(path.strip_prefix("/").unwrap_or(path));
    walk.arrive()?;
    while let Some(name) = walk.rest.pop() {
        walk.step(&name)?;
    }
    Ok(walk.at)
}

/// The directory that holds the file at `path`, and the file's name in it.
///
/// # Errors
/// As [`enter`], and a path that ends with no name.
pub(super) fn enter_parent(path: &Path) -> io::Result<(Trusted, &OsStr)> {
    let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    let entered = enter(parent, false).map_err(|error| match Untrusted::of(&error) {
        Some(Untrusted { above: None, fault }) => {
            Untrusted { above: Some(parent.into()), fault: *fault }.into()
        }
        _ => error,
    });
    Ok((entered?, name))
}

/// A path of which a part has been walked.
struct Walk {
    at: Trusted,
    /// Where that is.
    path: PathBuf,
    /// The names that are left, the next one last.
    rest: Vec<OsString>,
    links: usize,
    create: bool,
}

impl Walk {
    fn plan(&mut self, path: &Path) {
        let names = path.components().rev().filter(|c| *c != Component::CurDir);
        self.rest.extend(names.map(|c| c.as_os_str().to_owned()));
    }

    /// # Errors
    /// The element is missing, not to be trusted, or no directory.
    fn step(&mut self, name: &OsStr) -> io::Result<()> {
        let next = self.open(name)?;
        let about = next.metadata()?;
        self.path.push(name);
        if about.is_symlink() {
            return self.follow(&next, about.uid());
        }
        if !about.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        self.at = Trusted { directory: next, about };
        self.arrive()
    }

    /// # Errors
    /// The element cannot be opened, or not created.
    fn open(&self, name: &OsStr) -> io::Result<File> {
        let open = || {
            openat(&self.at.directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        };
        let opened = match open() {
            Err(Errno::NOENT) if self.create => match mkdirat(&self.at.directory, name, DIRECTORY_MODE) {
                Err(error) if error != Errno::EXIST => Err(error),
                _ => open(),
            },
            other => other,
        };
        Ok(opened?.into())
    }

    /// Checks that the directory that was entered is not another user's, nor open to all.
    ///
    /// # Errors
    /// [`Untrusted`].
    fn arrive(&self) -> io::Result<()> {
        let about = &self.at.about;
        self.trust(about.uid())?;
        if about.mode() & (OTHERS_WRITE | STICKY) == OTHERS_WRITE {
            return Err(self.fault(Fault::Mode(about.mode() & PERMISSIONS)));
        }
        Ok(())
    }

    /// # Errors
    /// The link belongs to someone else, or there are too many links.
    fn follow(&mut self, link: &File, owner: u32) -> io::Result<()> {
        self.trust(owner)?;
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = readlinkat(link, "", Vec::new())?.into_bytes();
        self.path.pop();
        self.plan(Path::new(&OsString::from_vec(target)));
        Ok(())
    }

    /// Root of the host may be one of those whom the namespace does not map.
    ///
    /// # Errors
    /// The owner is someone else.
    fn trust(&self, owner: u32) -> io::Result<()> {
        let trusted = is_trusted(owner) || is_unmapped(owner);
        if trusted { Ok(()) } else { Err(self.fault(Fault::Owner(owner))) }
    }

    fn fault(&self, fault: Fault) -> io::Error {
        let above = (!self.rest.is_empty()).then(|| self.path.clone());
        Untrusted { above, fault }.into()
    }
}
