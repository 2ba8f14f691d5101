//! `linksnap`: snapshots of directory trees as plain directories that share unchanged files by hard links.
//!
//! The hall of the house: the only crate that prints, reads the clock and the environment, and exits. What it knows
//! about snapshots it asks the engine.

#[cfg(test)]
mod any_input;
mod args;
mod chart;
mod clock;
mod config;
mod display;
mod environment;
mod escape;
mod exit;
mod failure;
mod json;
mod kind;
mod locate;
mod moment;
mod output;
mod owners;
mod pace;
mod patience;
mod people;
mod progress;
mod relinking;
mod retention;
mod roots;
mod sandbox;
mod several;
mod signals;
mod size;
mod stop;
mod summary;
mod symlinks;
mod table;
mod tag;
mod target;
mod thoroughness;
mod unseen;
mod verbs;
mod walking;
mod zone;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let output = Output::new(&cli.global);
    let exit = verbs::run(&cli, &output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    output.finish(exit).code().into()
}

/// Wrong usage, or help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    output::usage(error, json);
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}
