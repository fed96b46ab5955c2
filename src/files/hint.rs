//! How to fix a path that this process cannot use.

use super::trust::Untrusted;
use crate::text::shell_word;
use std::io;
use std::path::Path;

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

/// Where the unit has its records, and what makes that directory at each boot, as the unit must not.
const STATE_DIRECTORY: &str = "/run/ecs-start-task";
pub(crate) const CREATE_STATE_DIRECTORY: &str = "`systemd-tmpfiles --create /usr/lib/tmpfiles.d/ecs-start-task.conf` creates it for the next start of the unit";

/// What to do about a state directory that cannot be used.
pub(crate) fn of_state_directory(path: &Path, error: &io::Error) -> String {
    if is_missing_for_unit(path) {
        return CREATE_STATE_DIRECTORY.to_owned();
    }
    format!("{}, or set ECS_START_TASK_STATE_DIR to another", of_writing(path, error))
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
            format!("make its directory (`mkdir -p {}`)", shell_word(&parent.to_string_lossy()))
        }
        _ => of_writing(path, error),
    };
    format!("{hint}, or set ECS_START_TASK_LOG_FILE to another")
}
