//! Patience: waits for a job that another process is at work on, as long as the user wants (`--wait`).

use std::thread;
use std::time::{Duration, Instant};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::signals;

/// The lock is asked for again after this time: nobody notices so little, and nothing is kept busy.
const PAUSE: Duration = Duration::from_millis(200);

/// Does `deed` again and again while the job is locked, until `wait` is over; without it once.
pub fn patiently<T>(
    wait: Option<Duration>,
    output: &Output,
    mut deed: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let mut is_told = false;
    loop {
        let failure = match deed() {
            Err(failure) if failure.exit == Exit::Locked => failure,
            other => return other,
        };
        if wait.is_none_or(|wait| started.elapsed() >= wait) {
            return Err(failure);
        }
        if let Some(signal) = signals::caught() {
            return Err(Failure::new(
                Exit::Interrupted(signal),
                "interrupted while waiting: nothing was done",
            ));
        }
        if !is_told {
            output.remark(&format!("{}; waiting", failure.message));
            is_told = true;
        }
        thread::sleep(PAUSE);
    }
}

/// Reads `90s`, `10m`, `2h` or a number of seconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let complaint = || format!("{text:?} is no time to wait: write it like \"10m\", \"90s\" or \"2h\"");
    let (number, factor) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 60 * 60),
        _ => (text, 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    seconds.map(Duration::from_secs).ok_or_else(complaint)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read_with_their_units() {
        let seconds = |text: &str| parse(text).map(|wait| wait.as_secs());
        assert_eq!(["0", "7", "90s", "10m", "2h"].map(seconds), [0, 7, 90, 600, 7200].map(Ok));
        for bad in
            ["", "m", "10 m", "-1s", "1d", "1.5h", "ü", "99999999999999999999s", "9999999999999999999h"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
