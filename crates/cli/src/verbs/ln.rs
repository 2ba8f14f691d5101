//! `ln`: links, made and replaced at once, and after a look at what is there.

mod report;

use std::path::{Path, PathBuf};

use linksnap_inode::Kind;
use linksnap_inode::dir::path_bytes;
use linksnap_toolbox::Place;
use linksnap_toolbox::ln::{self as toolbox, Destination, LnError, Making, Now, Plan, Refusal, Wish};
use linksnap_toolbox::swap::Expected;

use crate::args::LnArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Verbosity};
use crate::verbs::ln::report::{Report, Swapped};
use crate::{kind, size, stop};

/// Makes links, or exchanges two names.
pub fn ln(args: &LnArgs, output: &Output) -> Result<Exit, Failure> {
    if args.swap {
        return swap(args, output);
    }
    let plans = plan(wishes(args)?, making(args), output)?;
    let mut report = Report::new(output, args.dry_run);
    if args.dry_run {
        plans.iter().for_each(|plan| report.planned(plan));
        return Ok(report.end(Exit::Done));
    }
    if !may_go_on(&plans, args, output)? {
        return Err(Failure::new(Exit::Failed, "nothing was made"));
    }
    let mut failed = 0;
    for plan in &plans {
        match toolbox::make(plan) {
            Ok(done) => report.done(plan, &done),
            Err(error) => {
                failed += 1;
                output.failure(&failure(&error));
            }
        }
    }
    Ok(report.end(match failed {
        0 => Exit::Done,
        _ if failed == plans.len() => Exit::Failed,
        _ => Exit::Problems,
    }))
}

fn making(args: &LnArgs) -> Making {
    match (args.relative, args.absolute, args.symbolic) {
        (true, ..) => Making::Relative,
        (_, true, _) => Making::Absolute,
        (.., true) => Making::Symbolic,
        _ => Making::Hard,
    }
}

/// Which links are meant, as `ln(1)` has it.
fn wishes(args: &LnArgs) -> Result<Vec<Wish>, Failure> {
    let destination = match (args.no_target_directory, args.no_dereference) {
        (true, _) => Destination::Name,
        (_, true) => Destination::EnterUnlessLink,
        _ => Destination::Enter,
    };
    if let Some(dir) = &args.target_directory {
        return toolbox::wishes(&args.paths, dir, Destination::Enter)
            .filter(|wishes| wishes.iter().all(|wish| wish.link != *dir))
            .ok_or_else(|| no_directory(dir));
    }
    let wishes = match args.paths.as_slice() {
        [target] => return Ok(vec![toolbox::within(target, Path::new("."))]),
        [targets @ .., last] => {
            let wishes = toolbox::wishes(targets, last, destination).ok_or_else(|| match destination {
                Destination::Name => Failure::usage("-T takes one target and one link"),
                _ => no_directory(last),
            })?;
            let ends_in_slash = path_bytes(last).ends_with(b"/");
            if ends_in_slash && wishes.iter().any(|wish| wish.link == *last) {
                return Err(no_directory(last));
            }
            wishes
        }
        [] => Vec::new(),
    };
    Ok(wishes)
}

fn no_directory(path: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("{} is no directory", path.display()))
        .hint("make it first (mkdir), or name one link for one target")
}

/// All of them, or none.
fn plan(wishes: Vec<Wish>, making: Making, output: &Output) -> Result<Vec<Plan>, Failure> {
    let mut plans = Vec::new();
    let mut refused: Vec<Failure> = Vec::new();
    for wish in wishes {
        let plan = toolbox::plan(wish, making);
        match plan.and_then(|plan| toolbox::refuse_twice(&plans, &plan).map(|()| plan)) {
            Ok(plan) => plans.push(plan),
            Err(refusal) => refused.push(refusal_failure(&refusal)),
        }
    }
    let Some(last) = refused.pop() else { return Ok(plans) };
    refused.iter().for_each(|failure| output.failure(failure));
    Err(last)
}

fn refusal_failure(refusal: &Refusal) -> Failure {
    let failure = Failure::new(Exit::Failed, refusal.to_string());
    let failure = match refusal {
        Refusal::Fs(error) => failure.because(&error.source),
        _ => failure,
    };
    match refusal.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn failure(error: &LnError) -> Failure {
    match error {
        LnError::Refused(refusal) => refusal_failure(refusal),
        LnError::Changed(_) | LnError::Kept(..) => Failure::new(Exit::Failed, error.to_string())
            .hint("somebody else is at work there: nothing was changed; look again"),
    }
}

/// Asks about what is replaced, and about links that lead nowhere.
fn may_go_on(plans: &[Plan], args: &LnArgs, output: &Output) -> Result<bool, Failure> {
    if args.force {
        return Ok(true);
    }
    for plan in plans.iter().filter(|plan| plan.is_doubtful()) {
        let doubts = doubts(plan);
        match output.confirms(&format!("{doubts}: make it all the same?")) {
            Some(true) => {}
            Some(false) => return Ok(false),
            None => {
                return Err(Failure::new(Exit::Guard, doubts)
                    .hint("nothing was made: --force makes it all the same, -n shows what would be made"));
            }
        }
    }
    Ok(true)
}

/// What speaks against a link.
fn doubts(plan: &Plan) -> String {
    let link = plan.wish.link.display();
    let mut doubts = Vec::new();
    if let Now::Taken(expected, stat) = &plan.now {
        let what = match expected {
            Expected::Symlink(text) => format!("a link to {}", String::from_utf8_lossy(text)),
            Expected::Inode(_) if stat.kind == Kind::File => {
                let names = size::counted(u64::from(stat.links), "name", "names");
                format!("a file of {} with {names}", size::bytes(stat.size))
            }
            Expected::Inode(_) => format!("a {}", kind::word(stat.kind)),
        };
        doubts.push(format!("{link} is there, {what}, and would be replaced"));
    }
    if let Some(stop) = &plan.dangles {
        doubts.push(format!("{link} would lead nowhere: {}", stop::words(stop).0));
    }
    doubts.join("; ")
}

fn swap(args: &LnArgs, output: &Output) -> Result<Exit, Failure> {
    let [one, other] = args.paths.as_slice() else {
        return Err(Failure::usage("--swap takes two paths")
            .hint("both must be there; `linksnap ln --swap current next`"));
    };
    let find = |path: &PathBuf| -> Result<_, Failure> {
        let fail = |error: linksnap_inode::FsError| {
            Failure::new(Exit::Failed, error.to_string()).because(&error.source)
        };
        let place = Place::find(path).map_err(fail)?;
        let (expected, stat) =
            Expected::now(&place.dir, &place.name).map_err(|fault| fail(fault.at(path)))?;
        Ok((place, expected, stat))
    };
    let (a, b) = (find(one)?, find(other)?);
    if !args.dry_run {
        toolbox::exchange((&a.0, &a.1), (&b.0, &b.1)).map_err(|error| failure(&error))?;
    }
    let swapped = Swapped::new([one, other], [&a.2, &b.2], args.dry_run);
    if output.is_json() {
        output.json(&swapped);
        return Ok(Exit::Done);
    }
    let mut line = if args.dry_run { b"dry run: would exchange ".to_vec() } else { b"exchanged ".to_vec() };
    line.extend(output.name(path_bytes(one)));
    line.extend(b" and ");
    line.extend(output.name(path_bytes(other)));
    if output.verbosity() >= Verbosity::Steps {
        let now = |stat: &linksnap_inode::Stat| {
            let names = size::counted(u64::from(stat.links), "name", "names");
            format!("inode {}, {names}", stat.inode)
        };
        line.extend(
            format!("; the first is now {}; the second is now {}", now(&b.2), now(&a.2)).into_bytes(),
        );
    }
    output.report(line);
    Ok(Exit::Done)
}
