//! `dangling --alternatives`: links of the alternatives system, and what mends them.

use std::path::{Path, PathBuf};

use linksnap_inode::DirFd;
use linksnap_toolbox::alternatives::{self as tool, Fault, Finding, Problem, Report, Site};
use serde::Serialize;

use crate::args::AlternativesArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonPath};
use crate::output::Output;
use crate::size::counted;

const DEBIAN: &str = "var/lib/dpkg/alternatives";
const FEDORA: &str = "var/lib/alternatives";

/// Looks at them.
pub fn check(args: &AlternativesArgs, output: &Output) -> Result<Exit, Failure> {
    let site = site(args)?;
    let report = tool::check(&site)
        .map_err(|error| Failure::new(Exit::Failed, "cannot look at the alternatives").because(&error))?;
    report.problems.iter().for_each(|problem| tell(problem, output));
    let tool = tool_name(&site);
    report.findings.iter().for_each(|one| print(one, tool, output));
    if output.is_json() {
        output.json(&Summary {
            r#type: "summary",
            groups: report.groups,
            faults: report.findings.len() as u64,
            problems: report.problems.len() as u64,
        });
    } else {
        output.remark(&words(&report));
    }
    Ok(match () {
        () if !report.findings.is_empty() => Exit::Failed,
        () if !report.problems.is_empty() => Exit::Problems,
        () => Exit::Done,
    })
}

fn site(args: &AlternativesArgs) -> Result<Site, Failure> {
    let admin = match &args.admindir {
        Some(admin) => admin.clone(),
        None => usual(&args.root).ok_or_else(|| {
            let message = format!("no alternatives system in {}", args.root.display());
            Failure::new(Exit::Failed, message)
                .hint(format!("neither {DEBIAN} nor {FEDORA} is there; name it with --admindir"))
        })?,
    };
    Ok(Site { root: args.root.clone(), admin, links: tool::as_of_root(&args.altdir) })
}

fn usual(root: &Path) -> Option<PathBuf> {
    [DEBIAN, FEDORA].map(|admin| root.join(admin)).into_iter().find(|admin| DirFd::open_root(admin).is_ok())
}

fn tool_name(site: &Site) -> &'static str {
    if site.admin.ends_with("dpkg/alternatives") { "update-alternatives" } else { "alternatives" }
}

fn tell(problem: &Problem, output: &Output) {
    match problem {
        Problem::Fs(error) => output.fault(error),
        Problem::Format { path, line, wanted } => output.trouble(
            linksnap_inode::dir::path_bytes(path),
            &format!("no file of the alternatives system: line {line} should be {wanted}"),
        ),
    }
}

/// `GROUP: PATH -> TEXT: what is wrong`, and what mends it below.
fn print(finding: &Finding, tool: &str, output: &Output) {
    if output.is_json() {
        return output.json(&FindingLine::new(finding, tool));
    }
    let mut line = [&output.name(&finding.group), b": ".as_slice(), &output.name(&finding.path)].concat();
    if let Some(text) = &finding.text {
        line.extend([b" -> ".as_slice(), &output.name(text)].concat());
    }
    line.extend(format!(": {}", in_words(&finding.fault)).as_bytes());
    output.line(line);
    let mut remedy = [b"    ".as_slice(), &output.name(&command(finding, tool))].concat();
    if let (Some(best), true) = (&finding.best, is_mended_by_auto(finding)) {
        remedy.extend([b"  (chooses ".as_slice(), &output.name(best), b")"].concat());
    }
    output.line(remedy);
}

fn in_words(fault: &Fault) -> &'static str {
    match fault {
        Fault::NoChoice => "missing, so that nothing is chosen",
        Fault::ChoiceGone => "what is chosen is missing",
        Fault::Unknown => "none of the choices",
        Fault::NoLink => "missing",
        Fault::Elsewhere => "does not lead to the alternatives",
        Fault::NotThere => "can be chosen, but is missing",
        Fault::SlaveGone => "leads nowhere",
        Fault::Orphan => "leads nowhere, and belongs to no group",
    }
}

fn is_mended_by_auto(finding: &Finding) -> bool {
    finding.best.is_some() && !matches!(finding.fault, Fault::Orphan | Fault::NotThere)
}

/// What mends it.
fn command(finding: &Finding, tool: &str) -> Vec<u8> {
    let with = |option: &str, more: &[u8]| {
        [tool.as_bytes(), b" ", option.as_bytes(), b" ", &finding.group, more].concat()
    };
    match &finding.fault {
        Fault::Orphan => [b"rm ".as_slice(), &finding.path].concat(),
        Fault::NotThere => with("--remove", &[b" ".as_slice(), &finding.path].concat()),
        // Nothing that could be chosen is there.
        _ if finding.best.is_none() => {
            with(if tool == "alternatives" { "--display" } else { "--remove-all" }, b"")
        }
        // A file in place of a link is nothing that is replaced without force.
        Fault::Elsewhere if finding.text.is_none() => with("--force --auto", b""),
        _ => with("--auto", b""),
    }
}

fn words(report: &Report) -> String {
    let groups = counted(report.groups, "group", "groups");
    match report.findings.len() as u64 {
        0 => format!("nothing wrong in {groups}"),
        number => format!("{} in {groups}", counted(number, "fault", "faults")),
    }
}

fn word(fault: &Fault) -> &'static str {
    match fault {
        Fault::NoChoice => "no-choice",
        Fault::ChoiceGone => "choice-gone",
        Fault::Unknown => "unknown",
        Fault::NoLink => "no-link",
        Fault::Elsewhere => "elsewhere",
        Fault::NotThere => "not-there",
        Fault::SlaveGone => "slave-gone",
        Fault::Orphan => "orphan",
    }
}

#[derive(Serialize)]
struct FindingLine {
    r#type: &'static str,
    group: String,
    #[serde(flatten)]
    path: JsonPath,
    target: Option<String>,
    fault: &'static str,
    /// What would be chosen.
    best: Option<String>,
    /// What mends it.
    command: String,
}

impl FindingLine {
    fn new(finding: &Finding, tool: &str) -> Self {
        Self {
            r#type: "alternative",
            group: json::text(&finding.group),
            path: JsonPath::new(&finding.path),
            target: finding.text.as_deref().map(json::text),
            fault: word(&finding.fault),
            best: finding.best.as_deref().map(json::text),
            command: json::text(&command(finding, tool)),
        }
    }
}

#[derive(Serialize)]
struct Summary {
    r#type: &'static str,
    groups: u64,
    faults: u64,
    problems: u64,
}
