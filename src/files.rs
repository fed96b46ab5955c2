//! Files that others write: settings, documents, records. Read whole, and so only up to a limit.

use crate::text::shell_word;
use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Far above any of them, far below what would take this host's memory.
const LIMIT: usize = 1024 * 1024;

/// # Errors
/// As for [`std::fs::read_to_string`], and a file that is too large.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let bytes = bytes(path, LIMIT)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// # Errors
/// As for [`std::fs::read`], and a file of more than `limit` bytes.
pub(crate) fn bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// For a file system that is full.
pub(crate) const ROOM: &str =
    "make room on its file system; if the journal is there too, `journalctl --vacuum-size=100M` shrinks it";

/// What to do about a path that this process cannot use. Under the unit root sees less than at a prompt, and
/// may do no more than any user to what is not its own.
pub(crate) fn of_path(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "let the unit write there (ReadWriteDirectories= in a drop-in; `ecs-start-task check` tells the place)"
        }
        io::ErrorKind::PermissionDenied if rustix::process::geteuid().is_root() => {
            "take a place outside of /root and /home, which the unit does not see, and give it to root"
        }
        io::ErrorKind::StorageFull => ROOM,
        io::ErrorKind::PermissionDenied => "mend its permissions, or start as root",
        io::ErrorKind::NotFound => {
            "mend the path (the unit does not see what is in /root, /home, /tmp and /var/tmp)"
        }
        _ => "mend the path",
    }
}

/// What to do about a log file that cannot be written.
pub(crate) fn of_log_file(path: &Path, error: &io::Error) -> String {
    let remedy = match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => {
            format!("make its directory (`mkdir -p {}`)", shell_word(&parent.to_string_lossy()))
        }
        _ => of_path(error).to_owned(),
    };
    format!("{remedy}, or set ECS_START_TASK_LOG_FILE to another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_larger_than_the_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "é".repeat(LIMIT / 2)).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), LIMIT);
        assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("larger than"));
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(read(file.path()).unwrap_err().to_string(), "it is not UTF-8");
        assert_eq!(read(Path::new("/nonexistent")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
