//! SIGINT and SIGTERM: the first asks the run to end in order, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;
use crate::failure::Failure;

/// The signals that end a run in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: the system wants the process to end.
    Terminate,
}

/// Signals belong to the process, so what is known about them does too. 0: none came.
static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From now on the first signal is remembered, to end the verb in order; the second one kills the process.
pub fn listen() -> Result<(), Failure> {
    register().map_err(|error| Failure::new(Exit::Failed, "cannot prepare for signals").because(&error))
}

fn register() -> io::Result<()> {
    let caught = Arc::clone(CAUGHT.get_or_init(Arc::default));
    let again = Arc::new(AtomicBool::new(false));
    for (signal, number) in [(SIGINT, 1), (SIGTERM, 2)] {
        // Actions run in the order of their registration: when the first signal comes, `again` is still false
        // for the default action, and true from then on.
        flag::register_conditional_default(signal, Arc::clone(&again))?;
        flag::register(signal, Arc::clone(&again))?;
        flag::register_usize(signal, Arc::clone(&caught), number)?;
    }
    Ok(())
}

/// The signal that came last, if one came.
pub fn caught() -> Option<Signal> {
    match CAUGHT.get()?.load(Ordering::Relaxed) {
        1 => Some(Signal::Interrupt),
        2 => Some(Signal::Terminate),
        _ => None,
    }
}
