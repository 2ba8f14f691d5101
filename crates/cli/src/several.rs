//! Several jobs, one after another.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals;

/// Does `deed` for each of `all`; `job` says whose turn it is. A failure does not stop the others, a signal does. The
/// worst exit code wins.
pub fn each<'a, T>(
    all: &'a [T],
    job: impl Fn(&T) -> &str,
    output: &Output,
    mut deed: impl FnMut(&'a T) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let mut worst = Exit::Done;
    for (number, one) in all.iter().enumerate() {
        if let (1.., Some(signal)) = (number, signals::caught()) {
            return Ok(worst.worse(Exit::Interrupted(signal)));
        }
        let exit = deed(one).or_else(|failure| match all.len() {
            1 => Err(failure),
            _ => {
                let failure = failure.of_job(job(one));
                output.failure(&failure);
                Ok(failure.exit)
            }
        })?;
        worst = worst.worse(exit);
    }
    Ok(worst)
}
