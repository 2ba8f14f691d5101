//! Why a command did not do its deed: what was tried, the causes, the remedy, and the exit code.

use std::error::Error;

use linksnap_engine::report::Class;

use crate::exit::Exit;

/// A command's failure, ready to be shown.
#[derive(Debug)]
pub struct Failure {
    /// How the program is to end.
    pub exit: Exit,
    /// What failed.
    pub message: String,
    /// Why, from the outermost to the first cause.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a message only.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// Wrong usage or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With an error as its cause.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.push_cause(error.to_string());
            next = error.source();
        }
        self
    }

    /// Said of one job, where there are several.
    #[must_use]
    pub fn of_job(mut self, job: &str) -> Self {
        self.message = format!("job {job}: {}", self.message);
        self
    }

    /// Some errors say their source too: nothing is to be read twice.
    fn push_cause(&mut self, cause: String) {
        match self.causes.last_mut() {
            _ if cause.is_empty() || self.message.contains(&cause) => {}
            Some(said) if said.contains(&cause) => {}
            Some(said) if cause.contains(said.as_str()) => *said = cause,
            _ => self.causes.push(cause),
        }
    }
}

/// An error of the engine, which knows its class and often a remedy.
pub trait Diagnosed: Error + Sized {
    /// Its class, which decides the exit code.
    fn class(&self) -> Class;
    /// What to do about it.
    fn hint(&self) -> Option<String>;
}

impl<E: Diagnosed> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.class().into(), error.to_string());
        failure.hint = error.hint();
        match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        }
    }
}

impl Diagnosed for linksnap_inode::FsError {
    fn class(&self) -> Class {
        Class::Failed
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

macro_rules! diagnosed {
    ($($error:path),+ $(,)?) => {
        $(impl Diagnosed for $error {
            fn class(&self) -> Class {
                <$error>::class(self)
            }
            fn hint(&self) -> Option<String> {
                <$error>::hint(self)
            }
        })+
    };
}

diagnosed!(
    linksnap_engine::job::JobError,
    linksnap_engine::repository::RepositoryError,
    linksnap_engine::stages::begin::BeginError,
    linksnap_engine::stages::retain::SimulationError,
    linksnap_engine::verbs::backup::BackupError,
    linksnap_engine::verbs::delete::DeleteError,
    linksnap_engine::verbs::du::CountError,
    linksnap_engine::verbs::ls::LsError,
    linksnap_engine::verbs::names::NamesError,
    linksnap_engine::verbs::prune::PruneError,
    linksnap_engine::verbs::reindex::ReindexError,
    linksnap_engine::verbs::restore::RestoreError,
    linksnap_engine::verbs::verify::VerifyError,
);

#[cfg(test)]
mod tests {
    use super::Failure;
    use std::io;

    #[test]
    fn a_cause_is_not_said_twice() {
        let error = io::Error::other("no space left");
        assert_eq!(Failure::usage("cannot write: no space left").because(&error).causes.len(), 0);
        assert_eq!(Failure::usage("cannot write").because(&error).causes, ["no space left"]);
        let longer = io::Error::other("error 28: no space left");
        let failure = Failure::usage("cannot write").because(&error).because(&longer);
        assert_eq!(failure.causes, ["error 28: no space left"]);
    }
}
