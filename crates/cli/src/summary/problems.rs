//! The problems of a run, once more at its end: who reads only the end must not miss them.

use linksnap_engine::report::Collected;
use linksnap_engine::{Problem, ProblemKind};

use crate::output::Output;
use crate::size::counted;

/// How many are repeated.
const SHOWN: usize = 20;

/// Lines for all of them: counts, then the first few, problems before warnings.
pub fn lines(collected: &Collected, output: &Output) -> Vec<Vec<u8>> {
    let vanished =
        collected.list.iter().filter(|problem| problem.kind == ProblemKind::Vanished).count() as u64;
    let mut lines = Vec::new();
    if vanished > 0 {
        lines.push(
            format!("  {} vanished while the run was at work", counted(vanished, "path", "paths"))
                .into_bytes(),
        );
    }
    let warnings = collected.warnings.saturating_sub(vanished);
    let kinds = [(collected.problems, "problem", "problems", false), (warnings, "warning", "warnings", true)];
    for (count, one, many, is_warning) in kinds {
        if count == 0 {
            continue;
        }
        lines.push(format!("  {}:", counted(count, one, many)).into_bytes());
        let of_kind = |problem: &&Problem| {
            problem.kind.is_warning() == is_warning && problem.kind != ProblemKind::Vanished
        };
        for problem in collected.list.iter().filter(of_kind).take(SHOWN) {
            lines.push(line(problem, output));
        }
        let more = count.saturating_sub(SHOWN as u64);
        if more > 0 {
            lines.push(
                format!("    and {}; each was printed as it came", counted(more, "more", "more"))
                    .into_bytes(),
            );
        }
    }
    lines
}

fn line(problem: &Problem, output: &Output) -> Vec<u8> {
    let mut line = b"    ".to_vec();
    line.extend(output.name(&problem.path));
    line.extend(b": ");
    line.extend(output.name(problem.message.as_bytes()));
    line
}

#[cfg(test)]
mod tests {
    use super::{Collected, Output, Problem, ProblemKind, lines};
    use crate::args::Cli;
    use clap::Parser;

    fn told(kinds: &[(ProblemKind, usize)]) -> Vec<String> {
        let mut collected = Collected::default();
        for (kind, count) in kinds {
            for number in 0..*count {
                let path = format!("/{number}").into_bytes();
                collected.list.push(Problem { kind: *kind, path, message: "denied".to_owned() });
            }
            let total = if kind.is_warning() { &mut collected.warnings } else { &mut collected.problems };
            *total += *count as u64;
        }
        let output = Output::new(&Cli::parse_from(["linksnap", "ls"]).global);
        lines(&collected, &output).into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn problems_come_before_warnings_and_the_vanished_are_only_counted() {
        let kinds = [(ProblemKind::Vanished, 3), (ProblemKind::LeftOut, 1), (ProblemKind::Unreadable, 1)];
        assert_eq!(
            told(&kinds),
            [
                "  3 paths vanished while the run was at work",
                "  1 problem:",
                "    /0: denied",
                "  1 warning:",
                "    /0: denied",
            ]
        );
    }

    #[test]
    fn many_problems_are_not_all_repeated() {
        let told = told(&[(ProblemKind::Unreadable, 1_022)]);
        assert_eq!(told.len(), 22);
        assert_eq!(told[21], "    and 1,002 more; each was printed as it came");
    }
}
