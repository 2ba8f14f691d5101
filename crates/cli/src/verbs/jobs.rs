//! `jobs`: what jobs there are, and what the configuration means.

mod check;
mod exclude;
mod list;

use crate::args::{Global, JobsVerb};
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate;
use crate::output::Output;

/// Does what the arguments say.
pub fn jobs(verb: &JobsVerb, global: &Global, output: &Output) -> Result<Exit, Failure> {
    match verb {
        JobsVerb::List => list::list(global, output),
        JobsVerb::Check(args) => {
            let config = configuration(global)?;
            match &args.exclude {
                None => Ok(check::check(&config, global, output)),
                Some(path) => exclude::exclude(path, &config, output),
            }
        }
    }
}

/// The configuration, less the jobs that were not asked for.
fn configuration(global: &Global) -> Result<Config, Failure> {
    let mut config = Config::find(global.config.as_deref())?.ok_or_else(|| {
        Failure::usage("there is no configuration")
            .hint("write /etc/linksnap/config.toml, or name another file with --config")
    })?;
    if let Some(job) = &global.job {
        let name = locate::job_name(job)?;
        config.jobs.retain(|other, _| *other == name);
        if config.jobs.is_empty() {
            let message = format!("no job {job} is configured in {}", config.file.display());
            return Err(Failure::usage(message));
        }
    }
    Ok(config)
}
