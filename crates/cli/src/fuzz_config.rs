//! A fuzz target (see `fuzz/`): the configuration is an error with its place or means something, and is never a panic.
//!
//! The program is no library, so this is another root of the same modules: only `fuzz/Cargo.toml` knows of it.
#![no_main]
#![allow(dead_code, missing_docs, reason = "most of the program is not called here")]

mod args;
mod chart;
mod clock;
mod config;
mod environment;
mod escape;
mod exit;
mod failure;
mod json;
mod locate;
mod moment;
mod output;
mod patience;
mod progress;
mod retention;
mod sandbox;
mod several;
mod signals;
mod size;
mod summary;
mod table;
mod tag;
mod target;
mod thoroughness;
mod verbs;
mod zone;

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    drop(config::Config::parse(Path::new("config.toml"), text));
});
