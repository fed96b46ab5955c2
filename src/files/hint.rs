//! How to fix a path that this process cannot use.

use super::trust::Untrusted;
use crate::text::shell_word;
use rustix::process::geteuid;
use std::io;
use std::path::Path;

/// For a file system that is full.
pub(crate) const ROOM: &str =
    "free space on its file system; if the journal is on it too, `journalctl --vacuum-size=100M` shrinks it";

/// What to do about a path that this process cannot use. Under the unit root sees less than at a prompt, and
/// may do no more than any user to what is not its own.
pub(crate) fn of_path(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "allow the unit to write there (ReadWriteDirectories= in a drop-in; `ecs-start-task check` shows how)"
        }
        io::ErrorKind::PermissionDenied if geteuid().is_root() => {
            "use a path outside of /root and /home, which the unit cannot see, owned by root"
        }
        io::ErrorKind::StorageFull => ROOM,
        io::ErrorKind::PermissionDenied => "run it with sudo, or fix the permissions",
        io::ErrorKind::NotFound => "fix the path (the unit cannot see /root, /home, /tmp and /var/tmp)",
        _ => "fix the path",
    }
}

/// Where the unit has its records, and what makes that directory at each boot, as the unit must not.
const STATE_DIRECTORY: &str = "/run/ecs-start-task";
pub(crate) const CREATE_STATE_DIRECTORY: &str = "`systemd-tmpfiles --create /usr/lib/tmpfiles.d/ecs-start-task.conf` creates it for the next start of the unit";

/// The directory with the lock and the records, or a file in it, for a message.
pub(crate) fn part_of_state(path: &Path) -> String {
    let is_record = path.extension().is_some_and(|extension| extension == "json");
    let what = match path.file_name().and_then(|name| name.to_str()) {
        _ if is_record => "record",
        Some("lock" | "keeper" | "records.lock") => "lock file",
        _ => "state directory",
    };
    format!("the {what} {}", path.display())
}

/// What to do about a state directory that cannot be used.
pub(crate) fn of_state_directory(path: &Path, error: &io::Error) -> String {
    if is_missing_for_unit(path) {
        return CREATE_STATE_DIRECTORY.to_owned();
    }
    if error.kind() == io::ErrorKind::PermissionDenied && !geteuid().is_root() {
        return "run it with sudo".to_owned();
    }
    format!("{}, or set ECS_START_TASK_STATE_DIR to another directory", of_writing(path, error))
}

/// Whether it is the unit's own, and gone.
pub(crate) fn is_missing_for_unit(path: &Path) -> bool {
    path == Path::new(STATE_DIRECTORY) && !path.exists()
}

/// What to do about a file or directory at `path` that cannot be written.
fn of_writing(path: &Path, error: &io::Error) -> String {
    Untrusted::of(error).map_or_else(|| of_path(error).to_owned(), |untrusted| untrusted.hint(path))
}

/// What to do about a log file that cannot be written.
pub(crate) fn of_log_file(path: &Path, error: &io::Error) -> String {
    let hint = match (error.kind(), path.parent()) {
        (io::ErrorKind::NotFound, Some(parent)) => {
            format!("create its directory (`mkdir -p {}`)", shell_word(&parent.to_string_lossy()))
        }
        // It is not a file of this program; it may be a device of the host, so it is not to be removed.
        _ if Untrusted::of(error).is_some_and(Untrusted::is_no_file) => {
            return "set ECS_START_TASK_LOG_FILE to a regular file of its own".to_owned();
        }
        _ => of_writing(path, error),
    };
    format!("{hint}, or set ECS_START_TASK_LOG_FILE to another file")
}
