//! Starts ECS tasks on the container instance it runs on, exactly once per boot.
//!
//! `run` starts the tasks; `check` and `status` are the subcommands. Below these are, from top to bottom, `request` (what to
//! start), `aws` (agent, IMDS, ECS), `error` (what can go wrong), `net` (HTTP), `config` (what the user asked for), `system`
//! (this host), and the leaves `files`, `keyvalue`, `layout`, `users` and `text`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unchecked_time_subtraction,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::missing_errors_doc,
        clippy::missing_panics_doc,
        clippy::needless_for_each,
        clippy::semicolon_if_nothing_returned,
        clippy::unnecessary_wraps
    )
)]

mod aws;
mod check;
mod config;
mod error;
mod files;
mod keyvalue;
mod layout;
mod net;
mod request;
mod run;
mod status;
mod system;
#[cfg(any(test, fuzzing))]
mod testing;
mod text;
mod users;

use config::cli::{Cli, Command};
use std::process::ExitCode;
use system::{hardening, logging};

fn main() -> ExitCode {
    hardening::give_up_privileges();
    let cli = Cli::read();
    let (result, code) = match cli.command {
        None => run::command::start(&cli),
        Some(Command::Check) => check::command(&cli),
        Some(Command::Status) => status::command(&cli),
    };
    logging::print(&result);
    ExitCode::from(code)
}

/// The entry point of the fuzz targets (`tests/fuzz`), which build this file as a library.
#[cfg(fuzzing)]
pub fn fuzz(parser: &str, input: &[u8]) {
    testing::invariants::check(parser, input);
}
