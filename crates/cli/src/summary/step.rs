//! One step of a dry run.

use serde::Serialize;

use crate::json::JsonPath;
use crate::output::Output;

/// What would be done to one path.
pub struct Step<'a> {
    /// One word.
    pub action: &'static str,
    /// The path, absolute.
    pub path: &'a [u8],
    /// Why, if that is not plain.
    pub reason: Option<&'static str>,
    /// How many bytes it would take.
    pub bytes: u64,
}

impl Step<'_> {
    /// Prints it.
    pub fn show(&self, output: &Output) {
        if output.is_json() {
            return output.json(&StepLine {
                r#type: "step",
                action: self.action,
                path: JsonPath::new(self.path),
                reason: self.reason,
                bytes: self.bytes,
            });
        }
        let mut line = format!("{:7} ", self.action).into_bytes();
        line.extend(output.name(self.path));
        if let Some(reason) = self.reason.filter(|reason| !reason.is_empty()) {
            line.extend(format!("  ({reason})").into_bytes());
        }
        output.line(line);
    }
}

#[derive(Serialize)]
struct StepLine {
    r#type: &'static str,
    action: &'static str,
    #[serde(flatten)]
    path: JsonPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    bytes: u64,
}
