//! A start without `--no-block` in user data, the likeliest mistake: user data waits for the unit, the unit for ecs.service, and
//! ecs.service for user data, so nothing of it ever ends.

use super::checkup::name;
use super::finding::{Finding, Phase};
use crate::error::class::exit;
use crate::system::systemd::Unit;
use crate::text::shorten;
use std::fs;

const WITHOUT_WAITING: &str = "--no-block";
/// What makes systemctl start a unit; `--now` goes with `enable` and `reenable`.
const STARTS: [&str; 5] = ["start", "restart", "try-restart", "reload-or-restart", "--now"];
const OURS: [&str; 2] = ["ecs-start-task", "ecs-start-task.service"];

/// The finding for this deadlock, if it is there.
pub(super) fn deadlock(ours: &Unit, ecs: &Unit, user_data: &Unit) -> Option<Finding> {
    let job = ours.job()?;
    let waits = ecs.get("ActiveState") != "active" && user_data.get("ActiveState") == "activating";
    let command = waits.then(waiting_command).flatten()?;
    let note = format!(
        "user data waits in `{}` for the unit, the unit waits for ecs.service, and ecs.service waits until user data has ended",
        shorten(&command)
    );
    let fix = format!(
        "`systemctl cancel {job}; systemctl start {WITHOUT_WAITING} ecs-start-task`; then add {WITHOUT_WAITING} to that command in user data"
    );
    Some(Finding::failed(name::UNIT, Phase::Settings, exit::CONFIGURATION, note, fix))
}

/// The systemctl that waits for our unit.
fn waiting_command() -> Option<String> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let commands = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    commands.map(|line| line.trim_end_matches('\0').replace('\0', " ")).find(|command| is_waiting(command))
}

fn is_waiting(command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or_default();
    let has = |words: &[&str]| command.split(' ').skip(1).any(|word| words.contains(&word));
    program.rsplit('/').next() == Some("systemctl") && has(&STARTS) && has(&OURS) && !has(&[WITHOUT_WAITING])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_systemctl_that_blocks_is_waiting() {
        assert!(is_waiting("systemctl start ecs-start-task"));
        assert!(is_waiting("/usr/bin/systemctl enable --now ecs-start-task.service"));
        assert!(!is_waiting("systemctl enable --now --no-block ecs-start-task"));
        assert!(!is_waiting("systemctl start ecs"));
        assert!(!is_waiting("systemctl show -p Job ecs-start-task.service"));
        assert!(!is_waiting("less ecs-start-task"));
    }
}
