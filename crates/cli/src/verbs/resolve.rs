//! `resolve`: where a path leads, and each step on the way.

use std::os::unix::ffi::OsStrExt;

use linksnap_inode::mounts;
use linksnap_inode::path::absolute;
use linksnap_toolbox::resolve::{self as toolbox, Demand, Hop, Resolution};
use serde::Serialize;

use crate::args::ResolveArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{self, JsonPath};
use crate::output::Output;
use crate::owners::Owners;
use crate::{kind, stop};

/// Follows all paths.
pub fn resolve(args: &ResolveArgs, output: &Output) -> Result<Exit, Failure> {
    let demand = demand(args);
    let mut exit = Exit::Done;
    let mut documents = Vec::new();
    let view = View { output, owners: Owners::here(), mounts: mounts::all().unwrap_or_default() };
    for (number, path) in args.paths.iter().enumerate() {
        let typed = path.as_os_str().as_bytes();
        let resolution = toolbox::resolve(typed, demand).map_err(|fault| {
            Failure::new(Exit::Failed, "cannot find the working directory").because(&fault)
        })?;
        if resolution.stop().is_some() {
            exit = exit.worse(Exit::Failed);
        }
        if output.is_json() {
            documents.push(view.document(typed, &resolution));
        } else if demand == Demand::Kernel {
            if number > 0 {
                output.line("");
            }
            view.show(typed, &resolution);
        } else {
            view.print(typed, &resolution);
        }
    }
    if output.is_json() {
        output.json(&documents);
    }
    Ok(exit)
}

fn demand(args: &ResolveArgs) -> Demand {
    match (args.canonicalize, args.canonicalize_existing, args.canonicalize_missing) {
        (true, ..) => Demand::AllButLast,
        (_, true, _) => Demand::All,
        (.., true) => Demand::Nothing,
        _ => Demand::Kernel,
    }
}

struct View<'a> {
    output: &'a Output,
    owners: Owners,
    mounts: Vec<mounts::Mount>,
}

impl View<'_> {
    /// As `readlink` does, but it says what is wrong.
    fn print(&self, typed: &[u8], resolution: &Resolution) {
        match (resolution.stop(), &resolution.path) {
            (None, Some(path)) => self.output.line(self.output.name(&absolute(path))),
            (stop, _) => {
                let (words, hint) = stop.map(stop::words).unwrap_or_default();
                let mut failure = Failure::new(Exit::Failed, format!("{}: {words}", json::text(typed)));
                failure.hint = hint;
                self.output.failure(&failure);
            }
        }
    }

    fn show(&self, typed: &[u8], resolution: &Resolution) {
        let output = self.output;
        output.line(output.name(typed));
        let width = |text: fn(&Owners, u32) -> String, number: fn(&Hop) -> u32| {
            resolution
                .hops
                .iter()
                .map(|hop| text(&self.owners, number(hop)).chars().count())
                .max()
                .unwrap_or(0)
        };
        let users = width(Owners::user, |hop| hop.detail.stat.uid);
        let groups = width(Owners::group, |hop| hop.detail.stat.gid);
        for hop in &resolution.hops {
            let stat = &hop.detail.stat;
            let mode = kind::mode(stat.kind, stat.mode);
            let (user, group) = (self.owners.user(stat.uid), self.owners.group(stat.gid));
            let mut line =
                format!("  {mode}  {user:users$}  {group:groups$}  {}", "  ".repeat(hop.depth)).into_bytes();
            line.extend(self.named(hop));
            output.line(line);
        }
        self.show_end(resolution, users + groups);
    }

    fn named(&self, hop: &Hop) -> Vec<u8> {
        let mut text = match (&hop.path, hop.name.as_slice()) {
            // A starting point says where it is.
            (Some(path), b".") => {
                [self.output.name(&absolute(path)), b" (working directory)".to_vec()].concat()
            }
            (_, b"") => b"(no path)".to_vec(),
            (_, name) => self.output.name(name),
        };
        if let Some(link) = &hop.link {
            text.extend(b" -> ");
            text.extend(self.output.name(&link.text));
        }
        if let Some(mount) = self.mount(hop).filter(|_| hop.crosses) {
            text.extend(b"  [");
            text.extend(self.output.name(mount.kind.as_bytes()));
            text.extend(b" on ");
            text.extend(self.output.name(&mount.source));
            text.extend(b"]");
        }
        text
    }

    fn mount(&self, hop: &Hop) -> Option<&mounts::Mount> {
        self.mounts.iter().find(|mount| Some(mount.id) == hop.detail.mount)
    }

    fn show_end(&self, resolution: &Resolution, width: usize) {
        let output = self.output;
        if let Some(stop) = resolution.stop() {
            let was_shown = resolution.hops.last().is_some_and(|last| last.name == stop.name);
            if !was_shown {
                // Where the name would stand if it were there.
                let mut line = format!("  ??????????  {}{}", " ".repeat(width + 4), "  ".repeat(stop.depth));
                line.push_str(&output.words(&json::text(&stop.name)));
                output.line(line);
            }
            let (words, hint) = stop::words(stop);
            output.line(format!("goes no further: {}", output.words(&words)));
            if let Some(hint) = hint {
                output.line(format!("  {}", output.words(&hint)));
            }
            return;
        }
        let kind = resolution.reached().map_or("nothing", |detail| kind::word(detail.stat.kind));
        let mut line = b"leads to ".to_vec();
        match &resolution.path {
            Some(path) => line.extend(output.name(&absolute(path))),
            None => line.extend(b"something that has no path (deleted, or never in a directory)"),
        }
        line.extend(format!(" ({kind})").into_bytes());
        output.line(line);
    }

    fn document(&self, typed: &[u8], resolution: &Resolution) -> Document {
        let stop = resolution.stop();
        let leads = resolution.path.as_deref().filter(|_| stop.is_none()).map(absolute);
        Document {
            path: JsonPath::new(typed),
            leads_to: leads.as_deref().map(json::text),
            leads_to_b64: leads.as_deref().and_then(json::exact),
            kind: resolution.reached().map(|detail| kind::word(detail.stat.kind)),
            stop: stop.map(|stop| StopElement {
                why: stop::word(stop.why),
                name: json::text(&stop.name),
                within: stop.within.as_deref().map(|path| json::text(&absolute(path))),
                message: stop::words(stop).0,
            }),
            hops: resolution.hops.iter().map(|hop| self.element(hop)).collect(),
        }
    }

    fn element(&self, hop: &Hop) -> HopElement {
        let stat = &hop.detail.stat;
        let mount = self.mount(hop);
        let path = hop.path.as_deref().map(absolute).unwrap_or_default();
        HopElement {
            depth: hop.depth,
            name: json::text(&hop.name),
            name_b64: json::exact(&hop.name),
            path: JsonPath::new(&path),
            kind: kind::word(stat.kind),
            mode: format!("{:04o}", stat.mode),
            uid: stat.uid,
            user: self.owners.user(stat.uid),
            gid: stat.gid,
            group: self.owners.group(stat.gid),
            inode: stat.inode,
            device: kind::device(stat.device),
            crosses: hop.crosses,
            filesystem: mount.map(|mount| mount.kind.clone()),
            source: mount.map(|mount| json::text(&mount.source)),
            target: hop.link.as_ref().map(|link| json::text(&link.text)),
            target_b64: hop.link.as_ref().and_then(|link| json::exact(&link.text)),
            magic: hop.link.as_ref().map(|link| link.is_magic),
        }
    }
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    path: JsonPath,
    /// Without links; nothing if the path goes no further.
    leads_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to_b64: Option<String>,
    kind: Option<&'static str>,
    stop: Option<StopElement>,
    hops: Vec<HopElement>,
}

#[derive(Serialize)]
struct StopElement {
    why: &'static str,
    name: String,
    within: Option<String>,
    message: String,
}

#[derive(Serialize)]
struct HopElement {
    depth: usize,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_b64: Option<String>,
    /// Absolute; of a link its own.
    #[serde(flatten)]
    path: JsonPath,
    kind: &'static str,
    mode: String,
    uid: u32,
    user: String,
    gid: u32,
    group: String,
    inode: u64,
    device: String,
    crosses: bool,
    filesystem: Option<String>,
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    magic: Option<bool>,
}
