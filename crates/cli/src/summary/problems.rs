//! The problems of a run, once more at its end: who reads only the end must not miss them.

use linksnap_engine::report::Collected;
use linksnap_engine::{Problem, ProblemKind};

use crate::output::Output;
use crate::size::counted;

/// How many are repeated.
const SHOWN: usize = 20;

/// Lines for all of them: counts, then the first few, problems before warnings.
pub fn lines(collected: &Collected, output: &Output) -> Vec<Vec<u8>> {
    let vanished = collected
        .list
        .iter()
        .filter(|problem| problem.kind == ProblemKind::Vanished)
        .count() as u64;
    let mut lines = Vec::new();
    if vanished > 0 {
        lines.push(
            format!(
                "  {} vanished while the run was at work",
                counted(vanished, "path", "paths")
            )
            .into_bytes(),
        );
    }
    let warnings = collected.warnings.saturating_sub(vanished);
    let kinds = [
        (collected.problems, "problem", "problems", false),
        (warnings, "warning", "warnings", true),
    ];
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
                format!(
                    "    and {}; each was printed as it came",
                    counted(more, "more", "more")
                )
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
