//! What is to be kept of a job: what the command line says, else what the configuration says.

use jiff::tz::TimeZone;
use linksnap_engine::job::Job;
use linksnap_engine::stages::retain::Clock;
use linksnap_engine::verbs::prune::Retention;
use linksnap_engine::{JobName, Repository};

use crate::args::{Global, KeepArgs};
use crate::config::{Config, Keep, Settings};
use crate::failure::Failure;
use crate::output::Output;
use crate::{locate, zone};

/// What is to be kept, and whose calendar is meant.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The rules, and the room to leave.
    pub keep: Keep,
    /// The calendar.
    pub zone: TimeZone,
}

/// A job whose history is to be thinned out.
#[derive(Debug)]
pub struct Subject {
    /// The job.
    pub job: Job,
    /// What is to be kept of it.
    pub keeping: Keeping,
    /// Is the next run to build upon what is dropped?
    pub recycle: bool,
}

impl Keeping {
    /// By the settings alone; `None` if they say nothing.
    pub fn configured(settings: &Settings) -> Option<Self> {
        let zone = settings.timezone.clone().unwrap_or_else(zone::system);
        settings.keep.clone().map(|keep| Self { keep, zone })
    }

    /// By the command line, and where that says nothing by the settings; `None` if neither does.
    pub fn wanted(args: &KeepArgs, settings: &Settings) -> Result<Option<Self>, Failure> {
        if !args.says_anything() && settings.keep.is_none() {
            return Ok(None);
        }
        let configured = settings.keep.clone().unwrap_or_default();
        let headroom = args.headroom(configured.headroom);
        if args.says_room() && headroom.is_empty() {
            let message = "--min says how many snapshots --free-space and --free-inodes must leave, and neither is given";
            return Err(Failure::usage(message).hint("add one, as in --free-space 10%"));
        }
        let policy = args.policy().unwrap_or(configured.policy);
        let zone = args.timezone.clone().or_else(|| settings.timezone.clone());
        Ok(Some(Self { keep: Keep { policy, headroom }, zone: zone.unwrap_or_else(zone::system) }))
    }

    /// As the engine wants it.
    pub fn retention(&self, clock: Clock) -> Retention {
        Retention {
            policy: self.keep.policy.clone(),
            headroom: self.keep.headroom,
            zone: self.zone.clone(),
            clock,
        }
    }
}

/// The jobs that are meant: those named, else --job, else all configured ones; of a repository that was named, all,
/// if the command line has rules.
pub fn subjects(
    named: &[String],
    args: &KeepArgs,
    global: &Global,
    output: &Output,
) -> Result<Vec<Subject>, Failure> {
    let config = Config::find(global.config.as_deref())?;
    let config = config.as_ref();
    let repository = locate::configured(global, config)?;
    let mut names = named.iter().map(|name| locate::job_name(name)).collect::<Result<Vec<_>, _>>()?;
    if let (Some(job), []) = (&global.job, named) {
        names.push(locate::job_name(job)?);
    }
    if names.is_empty() {
        return all(args, global, config, &repository, output);
    }
    let mut subjects: Vec<Subject> = Vec::new();
    for name in names {
        if subjects.iter().all(|other| *other.job.name() != name) {
            let job = Job::open(&repository, &name)?;
            subjects.push(subject(job, args, config)?.ok_or_else(|| no_rules(Some(&name)))?);
        }
    }
    Ok(subjects)
}

fn all(
    args: &KeepArgs,
    global: &Global,
    config: Option<&Config>,
    repository: &Repository,
    output: &Output,
) -> Result<Vec<Subject>, Failure> {
    let configured: Vec<JobName> = config.iter().flat_map(|config| config.jobs.keys().cloned()).collect();
    let names = match args.says_anything() && (global.repo.is_some() || configured.is_empty()) {
        true => repository.jobs()?,
        false => configured,
    };
    let mut subjects = Vec::new();
    let mut without_rules = names.is_empty() && !args.says_anything();
    for name in names {
        let Some(job) = Job::find(repository, &name)? else {
            output.remark(&format!("job {name} has no snapshots yet"));
            continue;
        };
        match subject(job, args, config)? {
            Some(subject) => subjects.push(subject),
            None => {
                without_rules = true;
                output.remark(&format!("job {name} has no rules: all its snapshots are kept"));
            }
        }
    }
    if subjects.is_empty() && without_rules { Err(no_rules(None)) } else { Ok(subjects) }
}

fn subject(job: Job, args: &KeepArgs, config: Option<&Config>) -> Result<Option<Subject>, Failure> {
    let built_in = Settings::default();
    let of_job = config.and_then(|config| config.jobs.get(job.name())).map(|job| &job.settings);
    let settings = of_job.or(config.map(|config| &config.defaults)).unwrap_or(&built_in);
    let keeping = Keeping::wanted(args, settings)?;
    Ok(keeping.map(|keeping| Subject { job, keeping, recycle: settings.recycle }))
}

fn no_rules(job: Option<&JobName>) -> Failure {
    let whose = job.map(|job| format!(" of the job {job}")).unwrap_or_default();
    Failure::usage(format!("nothing says which snapshots{whose} are to be kept")).hint(
        "give rules, as in --keep-last 3 --keep-daily 7, or write keep = { last = 3, daily = 7 } into the \
         configuration, below [defaults] or [job.NAME]",
    )
}
