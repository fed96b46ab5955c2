//! ecs-start-task(8): name, commands and options from the definitions of the command line, the rest from `manual.txt`.

use super::{NAME, render, term};
use crate::config::cli::Cli;
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

pub(super) fn page() -> Vec<u8> {
    let man = Man::new(Cli::command()).title(NAME).section("8").manual("System Administration");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    synopsis().to_writer(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    commands().to_writer(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    let mut roff = Roff::new();
    render(&mut roff, include_str!("manual.txt"));
    roff.to_writer(&mut page).unwrap();
    page
}

fn synopsis() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(NAME), roman(" ["), italic("OPTIONS"), roman("]")]);
    for each in Cli::command().get_subcommands() {
        roff.control("br", []);
        roff.text([bold(format!("{NAME} {}", each.get_name())), roman(" ["), italic("OPTIONS"), roman("]")]);
    }
    roff
}

fn commands() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    let command = Cli::command();
    for each in command.get_subcommands() {
        let about = each.get_long_about().or(each.get_about()).unwrap().to_string();
        term(&mut roff, each.get_name(), &about.replace("\n\n", ". "));
    }
    roff
}
