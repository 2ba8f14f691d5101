//! `jobs check --exclude PATH`: is it in or out, and which rule decides.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linksnap_engine::Rules;
use linksnap_engine::exclude::Verdict;
use linksnap_engine::source::Sources;
use serde::Serialize;

use crate::config::{Config, Job};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::JsonPath;
use crate::output::Output;
use crate::target::settle;

/// Says it for every job.
pub fn exclude(path: &Path, config: &Config, output: &Output) -> Result<Exit, Failure> {
    let path = settle(path);
    let mut elements = Vec::new();
    for (name, job) in &config.jobs {
        let answer = Answer::of(&path, job)?;
        if output.is_json() {
            elements.push(Element {
                job: name.as_str(),
                path: JsonPath::new(path.as_os_str().as_bytes()),
                included: answer.included,
                because: answer.because,
                at: answer.at.map(|at| at.display().to_string()),
            });
        } else {
            output.line(answer.line(name.as_str(), &path, output));
        }
    }
    if output.is_json() {
        output.json(&elements);
    }
    Ok(Exit::Done)
}

struct Answer {
    included: bool,
    because: String,
    /// The directory above the path that a rule leaves out.
    at: Option<PathBuf>,
}

impl Answer {
    fn of(path: &Path, job: &Job) -> Result<Self, Failure> {
        let sources = Sources::new(&job.sources).map_err(|error| Failure::usage(error.to_string()))?;
        let rules = Rules::new(&job.settings.rules).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(match rules.explain(path, &sources) {
            Verdict::Included { because } => Self { included: true, because, at: None },
            Verdict::Excluded { because, at } => {
                Self { included: false, because, at: (at != path).then_some(at) }
            }
        })
    }

    fn line(&self, job: &str, path: &Path, output: &Output) -> Vec<u8> {
        let word = if self.included { "in" } else { "out" };
        let mut line = format!("job {job}: {word}: ").into_bytes();
        line.extend(output.name(path.as_os_str().as_bytes()));
        line.extend(b" (");
        line.extend(output.name(self.because.as_bytes()));
        if let Some(at) = &self.at {
            line.extend(b", at ");
            line.extend(output.name(at.as_os_str().as_bytes()));
        }
        line.push(b')');
        line
    }
}

#[derive(Serialize)]
struct Element<'a> {
    job: &'a str,
    #[serde(flatten)]
    path: JsonPath,
    included: bool,
    because: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}
