//! Exit codes: what each means, which of two is worse, and the words for it in every `--help`.

use linksnap_engine::report::Class;

use crate::signals::{self, Signal};

/// The end of every `--help`.
pub const HELP: &str = "\
Exit codes:
  0    done
  1    failed: nothing published or changed
  2    wrong usage or configuration
  3    done, with problems
  4    damage found
  10   no repository there: missing, not mounted, or the wrong disk
  11   locked by another run
  12   refused by a guard
  130  interrupted (143 by SIGTERM)

A closed pipe is success.";

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done,
    /// The deed was not done.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// Done, but some paths have problems.
    Problems,
    /// Stored bytes or attributes are not what they were.
    Damage,
    /// There is no repository.
    NoRepository,
    /// Another run holds the lock.
    Locked,
    /// A guard refused.
    Guard,
    /// A filesystem is fuller than the first threshold allows.
    Warning,
    /// Than the second.
    Critical,
    /// A signal ended it.
    Interrupted(Signal),
}

impl Exit {
    /// The number for the parent process.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Problems => 3,
            Self::Damage => 4,
            Self::NoRepository => 10,
            Self::Locked => 11,
            Self::Guard => 12,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Interrupted(Signal::Interrupt) => 130,
            Self::Interrupted(Signal::Terminate) => 143,
        }
    }

    /// The worse of two, for commands that do several jobs.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.gravity() > self.gravity() { other } else { self }
    }

    /// A run that did its deed with problems is better than one that did not do it, whatever the numbers say.
    fn gravity(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Problems => 1,
            Self::Warning => 2,
            Self::Critical => 3,
            Self::Damage => 4,
            Self::Locked => 5,
            Self::Guard => 6,
            Self::Usage => 7,
            Self::NoRepository => 8,
            Self::Failed => 9,
            Self::Interrupted(_) => 10,
        }
    }
}

impl From<Class> for Exit {
    fn from(class: Class) -> Self {
        match class {
            Class::Failed => Self::Failed,
            Class::Usage => Self::Usage,
            Class::NoRepository => Self::NoRepository,
            Class::Locked => Self::Locked,
            Class::Guard => Self::Guard,
            Class::Interrupted => Self::Interrupted(signals::caught().unwrap_or(Signal::Interrupt)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, HELP, Signal};

    const ALL: [Exit; 12] = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::Problems,
        Exit::Damage,
        Exit::NoRepository,
        Exit::Locked,
        Exit::Guard,
        Exit::Warning,
        Exit::Critical,
        Exit::Interrupted(Signal::Interrupt),
        Exit::Interrupted(Signal::Terminate),
    ];

    #[test]
    fn every_code_is_in_the_help() {
        for exit in ALL {
            assert!(HELP.contains(&exit.code().to_string()), "{exit:?}");
        }
    }

    #[test]
    fn nothing_is_better_than_done_and_a_failure_is_worse_than_problems() {
        for exit in ALL {
            assert_eq!(Exit::Done.worse(exit), exit);
            assert_eq!(exit.worse(Exit::Done), exit);
        }
        assert_eq!(Exit::Problems.worse(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Failed.worse(Exit::Problems), Exit::Failed);
    }
}
