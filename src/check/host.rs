//! What is on this host: units, and room for log and records.

use super::checkup::{Checkup, name};
use super::finding::{Finding, Phase};
use super::{sandbox, user_data};
use crate::config::keys::name as key;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::error::class::exit;
use crate::files::{self, Directory, Untrusted, nearest};
use crate::request::resolved::Request;
use crate::run::state::{self, State};
use crate::system::logging;
use crate::system::systemd::Unit;
use std::io;
use std::path::Path;

const OURS: &str = "ecs-start-task.service";

/// Where the administrator's units are, which hide the packages'.
const ETC: &str = "/etc/systemd/system/";

/// What the unit of AWS's page runs.
const PAGE_SCRIPT: &str = "ecs-start-task.sh";

/// Less than this is soon full: a run with -vv writes some kilobytes.
const LEAST_ROOM: u64 = 10 * 1024 * 1024;

/// The lock, a record and the new one that takes its place are a page each.
const LEAST_STATE_ROOM: u64 = 64 * 1024;

impl Checkup<'_> {
    pub(super) fn units(&mut self, sources: &Sources, settings: &Settings) {
        let units = self.host.units(&[OURS, "ecs.service", "docker.service", "cloud-final.service"]);
        let [ours, ecs, docker, cloud_final] = units.as_slice() else {
            for check in [name::UNIT, name::SERVICES] {
                let fix = "run check on the instance itself, not in a container";
                self.add(Finding::skipped(check, "systemd does not respond, or is not running here", fix));
            }
            return;
        };
        let closed = sandbox::closed(ours, sources, settings).into_iter();
        let over = stays(sources).then(|| no_longer(ours)).flatten();
        let doubts = closed.chain(over.map(|(note, fix)| (note.to_owned(), fix.to_owned())));
        let line = user_data::deadlock(ours, ecs, cloud_final).unwrap_or_else(|| unit(ours));
        let line = doubts.fold(line, |finding, (note, fix)| finding.and_warning(&note, &fix));
        self.unit = Some((ours.clone(), line.clone()));
        self.add(line);
        self.add(services(ecs, docker));
    }

    /// Room for the log and for the records of a run.
    pub(super) fn room(&mut self, settings: &Settings, requests: &[Request]) {
        self.add(log_room(&settings.log_file));
        self.add(state_room(&settings.state_dir, requests));
    }
}

/// Whether the settings of the unit say that it stays.
fn stays(sources: &Sources) -> bool {
    let is = |key, value: &str| sources.of_unit(key).is_some_and(|given| given.value.trim() == value);
    is(key::RESTART, "on-failure") || is(key::RESTART, "always") || is(key::WHEN_DRAINING, "stop")
}

/// A stray SIGTERM is a clean end, after which systemd does not restart the unit.
fn no_longer(unit: &Unit) -> Option<(&'static str, &'static str)> {
    let over = unit.get("ActiveState") == "active" && unit.get("SubState") == "exited";
    over.then_some((
        "the unit has exited, so the tasks are not kept running",
        "`systemctl restart ecs-start-task`",
    ))
}

/// The state directory, and the records in it that a run would read.
fn state_room(path: &Path, requests: &[Request]) -> Finding {
    if let Err(source) = Directory::check(path) {
        return unusable(path, source);
    }
    if free(nearest(path)).is_some_and(|free| free < LEAST_STATE_ROOM) {
        return unusable(path, io::ErrorKind::StorageFull.into());
    }
    let state = State::at(path);
    for (task, request) in requests.iter().enumerate() {
        if let Err(error) = state.all_of(&request.definition) {
            return Finding::error(name::STATE, Phase::Starting(task), &error);
        }
    }
    if let Some(garbled) = state.not_records().first() {
        let note = format!(
            "{} is not a valid record; a run checks the agent's tasks before it sends anything",
            garbled.display()
        );
        return Finding::warning(name::STATE, note, "remove it while no task is being started");
    }
    if files::is_missing_for_unit(path) {
        let note = format!("{} is missing, and the unit cannot create it", path.display());
        return Finding::warning(name::STATE, note, files::CREATE_STATE_DIRECTORY);
    }
    Finding::success(name::STATE, path.display().to_string())
}

/// The error of a run, unless only the user of this check cannot use it.
fn unusable(path: &Path, source: io::Error) -> Finding {
    let denied = source.kind() == io::ErrorKind::PermissionDenied && Untrusted::of(&source).is_none();
    let error = state::unusable(path, source);
    if denied && !rustix::process::geteuid().is_root() {
        Finding::warning(name::STATE, error.to_string(), "run check with sudo: the unit runs as root")
    } else {
        Finding::error(name::STATE, Phase::Settings, &error)
    }
}

fn unit(unit: &Unit) -> Finding {
    let file = unit.get("FragmentPath");
    let fix = match unit.get("LoadState") {
        "loaded" if file.starts_with(ETC) => {
            return foreign(file, &files::read(Path::new(file)).unwrap_or_default());
        }
        "loaded" => return installed(unit, file),
        "not-found" => "install the package",
        "masked" => "`systemctl unmask ecs-start-task`",
        _ => "`systemd-analyze verify ecs-start-task.service` says why",
    };
    Finding::warning(name::UNIT, format!("{OURS} is {}", unit.get("LoadState")), fix)
}

fn installed(unit: &Unit, file: &str) -> Finding {
    // What it waits for; systemd keeps the last text of a run that has ended.
    let doing = match (unit.get("SubState"), unit.get("StatusText")) {
        ("running", text) if !text.is_empty() => format!(": {text}"),
        _ => String::new(),
    };
    let state = format!("{}, {}{doing}, {file}", unit.get("UnitFileState"), unit.state());
    let warning = |note: &str, fix: &str| Finding::warning(name::UNIT, format!("{note}; {state}"), fix);
    let result = unit.get("Result");
    if result != "success" {
        let what = if result == "exit-code" { "exit code" } else { result };
        let note = format!("the last run failed with {what} {}", unit.get("ExecMainStatus"));
        // systemd restarts it, unless that is pointless.
        let fix = if unit.get("ActiveState") == "failed" {
            "see `journalctl -u ecs-start-task`, fix the cause, and run `systemctl restart ecs-start-task`"
        } else {
            "see `journalctl -u ecs-start-task`, and fix the cause; the unit retries by itself"
        };
        warning(&note, fix)
    } else if unit.get("UnitFileState") != "enabled" {
        warning("it does not start at boot", "`systemctl enable --now --no-block ecs-start-task`")
    } else if unit.get("ActiveState") == "inactive" && unit.job().is_none() {
        let at = Some(unit.get("InactiveEnterTimestamp")).filter(|at| !at.is_empty());
        let note = match (unit.has_run(), at) {
            (true, Some(at)) => format!("it was stopped at {at}"),
            (true, None) => "it was stopped".to_owned(),
            (false, _) => "it has not run in this boot".to_owned(),
        };
        warning(&note, "`systemctl start --no-block ecs-start-task`")
    } else {
        Finding::success(name::UNIT, state)
    }
}

/// A unit file that overrides the package's.
fn foreign(file: &str, text: &str) -> Finding {
    if text.contains(PAGE_SCRIPT) {
        let note =
            format!("{file} is the unit of AWS's page, which overrides the package's and runs its script");
        let fix = format!(
            "`systemctl disable --now ecs-start-task; rm {file}; systemctl daemon-reload; systemctl enable --now --no-block ecs-start-task`"
        );
        return Finding::failed(name::UNIT, Phase::Settings, exit::CONFIGURATION, note, fix);
    }
    let fix = format!(
        "if that is not intended, `rm {file}; systemctl daemon-reload`; use a drop-in to change the package's unit"
    );
    Finding::warning(name::UNIT, format!("{file} overrides the package's unit"), fix)
}

fn services(ecs: &Unit, docker: &Unit) -> Finding {
    let note = format!("ecs.service is {}, docker.service is {}", ecs.state(), docker.state());
    let down = |unit: &Unit| unit.get("ActiveState") != "active";
    let fix = if ecs.is_missing() || docker.is_missing() {
        "use an ECS-optimized AMI, or install ecs-init and docker: at least one is not installed"
    } else if down(docker) {
        "see `systemctl status docker` and `journalctl -u docker`; ecs.service starts when docker is active"
    } else if down(ecs) {
        "see `systemctl status ecs` and `journalctl -u ecs`; ecs.service starts only after user data has finished"
    } else {
        return Finding::success(name::SERVICES, note);
    };
    Finding::warning(name::SERVICES, note, fix)
}

fn log_room(path: &Path) -> Finding {
    let shown = path.display();
    if let Err(error) = log_writable(path) {
        let note = format!("{shown} cannot be written, so a run logs without it: {error}");
        return Finding::warning(name::LOG, note, files::of_log_file(path, &error));
    }
    match free(nearest(path)) {
        Some(free) if free < LEAST_ROOM => {
            let note = format!("{shown}: {} KiB are free", free / 1024);
            Finding::warning(name::LOG, note, files::ROOM)
        }
        Some(free) => Finding::success(name::LOG, format!("{shown}; {} MiB are free", free / 1024 / 1024)),
        None => Finding::success(name::LOG, shown.to_string()),
    }
}

/// # Errors
/// The file cannot be opened for appending, and is not the program's own stderr.
fn log_writable(path: &Path) -> io::Result<()> {
    files::check_append(path).or_else(|error| logging::own_stderr(path).map(drop).ok_or(error))
}

/// Bytes that this user may still write, where the file system counts them.
fn free(path: &Path) -> Option<u64> {
    let room = rustix::fs::statvfs(path).ok().filter(|room| room.f_blocks > 0)?;
    Some(room.f_bavail.saturating_mul(room.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::finding::Status;

    #[test]
    fn a_unit_in_etc_is_the_page_s_or_the_administrator_s() {
        let page = "[Service]\nExecStart=/usr/bin/bash /etc/ecs/ecs-start-task.sh\n";
        assert_eq!(foreign("/etc/systemd/system/x", page).status, Status::Failed);
        assert_eq!(foreign("/etc/systemd/system/x", "[Service]\n").status, Status::Warning);
    }
}
