//! The man pages and shell completions, made from the definitions that the program itself uses.
//!
//! They are kept in `packaging/`, so that installing needs no compiler. `make pages` makes them, and a test fails if they are
//! out of date. None of this is in the shipped binary.

mod manual;

use crate::config::cli::Cli;
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};
use std::path::{Path, PathBuf};

const NAME: &str = "ecs-start-task";
const SETTINGS: &str = include_str!("../../../packaging/ecs-start-task.conf");

/// Renders text as sections of a page.
fn render(roff: &mut Roff, text: &str) {
    text.trim().split("\n\n").for_each(|each| block(roff, each));
}

/// A block of the text: a heading after `# ` or `## `, commands or output after four spaces, a term with its meaning after `: `,
/// or a paragraph.
fn block(roff: &mut Roff, text: &str) {
    if let Some(title) = text.strip_prefix("# ") {
        roff.control("SH", [title]);
    } else if let Some(title) = text.strip_prefix("## ") {
        roff.control("SS", [title]);
    } else if text.starts_with("    ") {
        code(roff, text);
    } else if let Some((name, meaning)) = text.split_once("\n: ") {
        term(roff, name, meaning);
    } else {
        roff.control("PP", []);
        roff.text([roman(one_line(text))]);
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// A paragraph with a term in bold before it.
fn term(roff: &mut Roff, name: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(one_line(meaning))]);
}

fn code(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    roff.control("RS", ["4"]);
    for line in text.lines() {
        roff.text([roman(line.strip_prefix("    ").unwrap_or(line))]);
    }
    roff.control("RE", []);
    roff.control("fi", []);
}

/// The settings file's own comments and defaults, between the sections of `settings.txt`.
fn page_5() -> Vec<u8> {
    let (before, after) = include_str!("settings.txt").split_once("# SETTINGS\n").unwrap();
    let mut roff = Roff::new();
    roff.control("TH", ["ecs-start-task.conf", "5", "", env!("CARGO_PKG_VERSION"), "File Formats"]);
    render(&mut roff, before);
    roff.control("SH", ["SETTINGS"]);
    for (keys, meaning) in settings() {
        term(&mut roff, &keys.join(", "), &meaning);
    }
    render(&mut roff, after);
    let mut page = Vec::new();
    roff.to_writer(&mut page).unwrap();
    page
}

/// Each block of the settings file: its keys with their defaults, and its comment.
fn settings() -> Vec<(Vec<String>, String)> {
    let blocks = SETTINGS.split("\n\n").skip(1);
    let block = |text: &str| {
        let lines = text.lines().map(|line| line.trim_start_matches('#'));
        let (comment, keys): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(' '));
        let comment = comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        (keys.into_iter().map(str::to_owned).collect(), comment)
    };
    blocks.map(block).collect()
}

fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut with_known_values(Cli::command()), NAME, &mut script);
    let mut script = String::from_utf8(script).unwrap();
    match shell {
        // Otherwise bash would offer files wherever nothing else matches.
        Shell::Bash => script = script.replace(" -o bashdefault -o default", ""),
        // fish's argparse fails on an option whose value is still being typed, and would then offer nothing.
        Shell::Fish => {
            script = script.replace("2>/dev/null\n    or return\n", "2>/dev/null\n    or return 0\n");
            script += "complete -c ecs-start-task -f\n";
        }
        _ => {}
    }
    // For bash, clap_complete 4.6 spells subcommands of a program with hyphens in two ways.
    script.replace("ecs__subcmd__start__subcmd__task__", "ecs__start__task__").into_bytes()
}

/// Makes completions offer the values that are listed in the name of an option's value, and the log levels. Other values are
/// refused by the parser of the setting, not here.
fn with_known_values(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let names = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        match names.filter(|name| name.contains('|')) {
            // Leaked on purpose: clap takes only strings with a static lifetime.
            Some(name) => arg.value_parser(PossibleValuesParser::new(name.leak().split('|'))),
            None => arg,
        }
    });
    command.mut_arg("log_level", |arg| arg.value_parser(["error", "warn", "info", "debug", "trace"]))
}

fn all() -> Vec<(PathBuf, Vec<u8>)> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let pages = [
        ("man/ecs-start-task.8", manual::page()),
        ("man/ecs-start-task.conf.5", page_5()),
        ("completions/ecs-start-task.bash", completion(Shell::Bash)),
        ("completions/_ecs-start-task", completion(Shell::Zsh)),
        ("completions/ecs-start-task.fish", completion(Shell::Fish)),
    ];
    pages.into_iter().map(|(name, text)| (packaging.join(name), text)).collect()
}

#[test]
#[ignore = "make pages runs it: it writes into packaging/"]
fn write() {
    for (path, text) in all() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn the_pages_are_those_of_the_definitions() {
    for (path, text) in all() {
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(kept == text, "{} is not what the definitions say: run make pages", path.display());
    }
}

#[test]
fn every_setting_has_its_block() {
    let told = settings().into_iter().flat_map(|(keys, _)| keys);
    let known = crate::config::keys::KNOWN.iter().map(|(key, default)| format!("{key}={default}"));
    assert_eq!(told.collect::<Vec<_>>(), known.collect::<Vec<_>>());
}
