//! The command line.
//!
//! clap parses it and nothing else: what an option says is handed to `settings` under the name of
//! the environment variable that means the same, so that there is one parser for each setting.

use crate::config::error::from_elsewhere;
use crate::config::keys::{default, name};
use crate::config::value::{ConfigValue, Origin};
use crate::text::{nearest, sanitize_line};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use log::LevelFilter;
use std::path::PathBuf;

/// The groups of options in the help.
const WHAT: &str = "What to start";
const HOW: &str = "How to start it";
const WHERE: &str = "Where things are";
const OUTPUT: &str = "Output";

/// Starts ECS tasks on the container instance it runs on, exactly once per boot.
///
/// Waits for the ECS agent, takes cluster, instance and Region from it and the credentials from
/// the instance's role, and calls StartTask for each configured task definition. The result goes
/// to stdout, the log to stderr and to /var/log/ecs/ecs-start-task.log.
#[derive(Debug, Parser)]
#[command(name = "ecs-start-task", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Task definition to start: family, family:revision or ARN. Repeatable; replaces what is configured [setting: ECS_START_TASK_DEFINITION]
    #[arg(short = 't', long = "task-definition", value_name = "NAME", global = true, help_heading = WHAT, value_hint = ValueHint::Other)]
    task_definition: Vec<String>,

    /// StartTask request document (a path or the JSON itself), as `aws ecs start-task --generate-cli-skeleton` prints one, without containerInstances and empty members. Repeatable; replaces what is configured, and can be combined with -t
    #[arg(long, value_name = "FILE", global = true, help_heading = WHAT, value_hint = ValueHint::FilePath)]
    cli_input_json: Vec<String>,

    /// Fail unless the agent is in this cluster (name or ARN)
    #[arg(long, value_name = "NAME", global = true, help_heading = WHAT, value_hint = ValueHint::Other)]
    pub(crate) cluster: Option<String>,

    /// startedBy of the tasks [default: the ID of the container instance] [setting: ECS_START_TASK_STARTED_BY]
    #[arg(long, value_name = "TEXT", global = true, help_heading = HOW, value_hint = ValueHint::Other)]
    started_by: Option<String>,

    /// What to do when a task of the family is already running here: skip it, or start another [default: skip] [setting: ECS_START_TASK_IF_RUNNING]
    #[arg(long, value_name = "skip|start", global = true, help_heading = HOW, value_hint = ValueHint::Other)]
    if_running: Option<String>,

    /// Keep the tasks running: restart those that stopped [default: no] [setting: ECS_START_TASK_RESTART]
    #[arg(long, value_name = "no|on-failure|always", global = true, help_heading = HOW, value_hint = ValueHint::Other)]
    restart: Option<String>,

    /// What to do with our own tasks when the instance is drained or terminated: keep, or stop them last [default: keep] [setting: ECS_START_TASK_WHEN_DRAINING]
    #[arg(long, value_name = "keep|stop", global = true, help_heading = HOW, value_hint = ValueHint::Other)]
    when_draining: Option<String>,

    /// Settings file [default: /etc/ecs/ecs-start-task.conf]
    #[arg(long, value_name = "FILE", global = true, help_heading = WHERE, value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Print the StartTask requests without sending them; whether the tasks are already running is not checked
    #[arg(long, help_heading = HOW)]
    pub(crate) dry_run: bool,

    /// Return as soon as ECS has accepted, without waiting until the tasks run [setting: ECS_START_TASK_WAIT=none]
    #[arg(long, help_heading = HOW)]
    no_wait: bool,

    /// Limit for the whole run, such as 90s or 15m [default: 15m] [setting: ECS_START_TASK_TIMEOUT]
    #[arg(long, value_name = "DURATION", help_heading = HOW, value_hint = ValueHint::Other)]
    timeout: Option<String>,

    /// Format of the result on stdout
    #[arg(short, long, value_enum, default_value = "text", global = true, help_heading = OUTPUT)]
    pub(crate) output: Output,

    /// Log file [default: /var/log/ecs/ecs-start-task.log] [setting: ECS_START_TASK_LOG_FILE]
    #[arg(long, value_name = "PATH", global = true, help_heading = WHERE, value_hint = ValueHint::FilePath)]
    log_file: Option<String>,

    /// Directory of the lock and the records of this boot [default: /run/ecs-start-task] [setting: ECS_START_TASK_STATE_DIR]
    #[arg(long, value_name = "PATH", global = true, help_heading = WHERE, value_hint = ValueHint::DirPath)]
    state_dir: Option<String>,

    /// Level of the log: error, warn, info, debug or trace [default: info] [setting: ECS_START_TASK_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL", conflicts_with_all = ["verbose", "quiet"], global = true, help_heading = OUTPUT, value_hint = ValueHint::Other)]
    log_level: Option<String>,

    /// Log more (-v: the HTTP status of each response; -vv: also each request, and the request IDs of ECS)
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet", global = true, help_heading = OUTPUT)]
    verbose: u8,

    /// Log only warnings and errors; check prints only warnings and failures
    #[arg(short, long, global = true, help_heading = OUTPUT)]
    pub(crate) quiet: bool,

    /// The ECS agent's introspection API [default: http://127.0.0.1:51678] [setting: ECS_START_TASK_AGENT_URL]
    #[arg(long, value_name = "URL", global = true, help_heading = WHERE, value_hint = ValueHint::Other)]
    agent_url: Option<String>,

    /// ECS endpoint, instead of that of the instance's Region [setting: AWS_ENDPOINT_URL_ECS]
    #[arg(long, value_name = "URL", global = true, help_heading = WHERE, value_hint = ValueHint::Other)]
    endpoint_url: Option<String>,

    /// PEM file with the certificates to trust, instead of the system's [setting: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE", global = true, help_heading = WHERE, value_hint = ValueHint::FilePath)]
    ca_bundle: Option<String>,
}

const AFTER_HELP: &str = "\
Examples:
  sudo ecs-start-task
  sudo ecs-start-task -t my_task_def:3
  sudo ecs-start-task --dry-run
  sudo ecs-start-task check
  sudo ecs-start-task status -o json

Starting and status need root, which owns the lock, the records and the log.

Files:
  /etc/ecs/ecs-start-task.conf: settings
  /etc/ecs/ecs-start-task.d/*.json: StartTask request documents
  /var/log/ecs/ecs-start-task.log: log
  /run/ecs-start-task: lock and records of this boot

Settings:
  NAME=VALUE in the environment or in the settings file
  An option takes precedence over both, the environment over the file

Exit codes:
  0: done
  2: invalid command line
  69: agent, IMDS or ECS not reachable
  70: a task stopped before it ran
  75: not running yet; the unit retries
  76: refused by ECS
  77: permission denied
  78: invalid configuration";

/// A subcommand; without one, tasks are started.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// Check what works and what does not, and how to fix it; starts nothing
    ///
    /// One line for each thing that a run needs, in the order in which a run needs it. Starts and changes
    /// nothing, and takes 15 seconds at the most. Exits with 0 when nothing failed, else with the code that
    /// a run would give.
    Check,

    /// Show what became of the configured tasks in this boot
    ///
    /// One line for each task: its definition, its state as the ECS agent shows it, its ARN, how long it has been running, whether this
    /// program started it, and when the unit makes its next attempt. Asks the agent and reads the records, as root; no call is made
    /// to ECS. Exits with 0 when every task is RUNNING, or ended well with --restart on-failure, else with 75, or with 69 when the agent does not respond.
    Status,
}

/// Format of the result on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Cli {
    /// Reads the command line. If it is invalid, the process exits with 2.
    pub(crate) fn read() -> Self {
        let cli = Cli::try_parse().unwrap_or_else(|error| with_tip(printable(error)).exit());
        if cli.command.is_some() && (cli.dry_run || cli.no_wait || cli.timeout.is_some()) {
            Cli::command().error(ErrorKind::ArgumentConflict, ONLY_STARTING).exit();
        }
        cli
    }

    /// The options that are settings too, under the settings' names.
    pub(crate) fn given(&self) -> Vec<ConfigValue> {
        let definitions = (!self.task_definition.is_empty()).then(|| self.task_definition.join(","));
        let options = [
            (name::DEFINITION, "--task-definition", definitions),
            (name::STARTED_BY, "--started-by", self.started_by.clone()),
            (name::IF_RUNNING, "--if-running", self.if_running.clone()),
            (name::RESTART, "--restart", self.restart.clone()),
            (name::WHEN_DRAINING, "--when-draining", self.when_draining.clone()),
            (name::STATE_DIR, "--state-dir", self.state_dir.clone()),
            (name::LOG_LEVEL, "--log-level", self.log_level.clone()),
            (name::WAIT, "--no-wait", self.no_wait.then(|| "none".to_owned())),
            (name::TIMEOUT, "--timeout", self.timeout.clone()),
            (name::LOG_FILE, "--log-file", self.log_file.clone()),
            (name::LOG_LEVEL, if self.quiet { "-q" } else { "-v" }, self.level().map(|l| l.to_string())),
            (name::AGENT_URL, "--agent-url", self.agent_url.clone()),
            (name::ENDPOINT_URL_ECS, "--endpoint-url", self.endpoint_url.clone()),
            (name::CA_BUNDLE, "--ca-bundle", self.ca_bundle.clone()),
        ];
        let given = |(key, option, value): (&str, &'static str, Option<String>)| {
            Some(ConfigValue { key: key.to_owned(), value: value?, origin: Origin::Option(option) })
        };
        options.into_iter().filter_map(given).collect()
    }

    /// The request documents, without the `file://` that the AWS CLI requires.
    pub(crate) fn documents(&self) -> Vec<PathBuf> {
        let path = |f: &String| PathBuf::from(f.strip_prefix("file://").unwrap_or(f));
        self.cli_input_json.iter().map(path).collect()
    }

    /// Whether the command line says what to start, in place of what is configured.
    pub(crate) fn names_tasks(&self) -> bool {
        !self.task_definition.is_empty() || !self.cli_input_json.is_empty()
    }

    /// The level of the log that `-v` or `-q` asks for.
    pub(crate) fn level(&self) -> Option<LevelFilter> {
        match (self.quiet, self.verbose) {
            (true, _) => Some(LevelFilter::Warn),
            (false, 0) => None,
            (false, 1) => Some(LevelFilter::Debug),
            (false, _) => Some(LevelFilter::Trace),
        }
    }
}

/// Exits with 2, as for any other invalid command line.
pub(crate) fn refuse(option: &str, value: &str, expected: &str) -> ! {
    let why = format!("invalid value '{}' for '{option}': expected {expected}", sanitize_line(value));
    Cli::command().error(ErrorKind::ValueValidation, why).exit()
}

/// Of the options that are not those of every command.
const ONLY_STARTING: &str =
    "--dry-run, --no-wait and --timeout apply only to starting tasks, not to check and status";

/// What clap may suggest, by a measure that finds `--version` similar to `--region`.
const SUGGESTIONS: [ContextKind; 4] = [
    ContextKind::SuggestedArg,
    ContextKind::SuggestedSubcommand,
    ContextKind::Suggested,
    ContextKind::TrailingArg,
];

/// The same error about arguments that a terminal shows as they are: a file of another user may have given its name to one
/// (`ecs-start-task *`).
fn printable(error: clap::Error) -> clap::Error {
    let arguments = std::env::args_os().map(|argument| sanitize_line(&argument.to_string_lossy()));
    Cli::try_parse_from(arguments).err().unwrap_or(error)
}

/// The error, with a tip where it is known what was meant.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return error,
    };
    let Some(ContextValue::String(given)) = error.get(kind).cloned() else { return error };
    for kind in SUGGESTIONS {
        error.remove(kind);
    }
    error.insert(ContextKind::Usage, ContextValue::StyledStr(Cli::command().render_usage()));
    let tip = match given.strip_prefix("--") {
        Some(option) => of_option(option.split('=').next().unwrap_or(option)),
        None if given.starts_with('-') => None,
        None => Some(of_word(&given)),
    };
    if let Some(tip) = tip {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// For an option that does not exist.
fn of_option(name: &str) -> Option<String> {
    if let Some(hint) = from_elsewhere(name) {
        return Some(hint.to_owned());
    }
    let command = Cli::command();
    let known = || command.get_arguments().filter_map(|option| option.get_long());
    let begins = |known: &str| known.strip_prefix("no-").unwrap_or(known).starts_with(name);
    let part = || known().find(|known| name.len() > 2 && begins(known));
    match nearest(name, known()).or_else(part)? {
        // That of another command.
        known if known == name => Some(ONLY_STARTING.to_owned()),
        known => Some(format!("a similar option exists: '--{known}'")),
    }
}

/// For a word that is neither an option nor a subcommand.
fn of_word(word: &str) -> String {
    let command = Cli::command();
    let near = nearest(word, command.get_subcommands().map(clap::Command::get_name));
    match (word, near) {
        ("help", _) => "use '--help'".to_owned(),
        ("start" | "start-task" | "run", _) => {
            "to start what is configured, run 'ecs-start-task' alone".to_owned()
        }
        ("restart", _) => "to restart the unit, run 'systemctl restart ecs-start-task'".to_owned(),
        ("stop", _) => "to stop a task, run 'aws ecs stop-task'".to_owned(),
        ("log" | "logs", _) => format!("the log is in {}", default(name::LOG_FILE)),
        (_, Some(known)) => format!("a similar command exists: '{known}'"),
        (_, None) => format!("to start a task definition, use '-t {word}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_are_settings() {
        let cli = Cli::parse_from(["x", "-t", "a", "-t", "b:3", "--no-wait", "-vv"]);
        let given: Vec<_> = cli.given().into_iter().map(|g| (g.key, g.value)).collect();
        let expected = [(name::DEFINITION, "a,b:3"), (name::WAIT, "none"), (name::LOG_LEVEL, "TRACE")];
        assert_eq!(given, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn documents_may_be_written_as_for_the_aws_cli() {
        let cli = Cli::parse_from(["x", "--cli-input-json", "file:///a.json", "--cli-input-json", "b.json"]);
        assert_eq!(cli.documents(), [PathBuf::from("/a.json"), PathBuf::from("b.json")]);
    }
}
