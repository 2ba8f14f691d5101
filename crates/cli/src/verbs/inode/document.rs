//! An inode for programs.

use std::path::Path;

use linksnap_inode::dir::path_bytes;
use linksnap_inode::{Kind, Timestamp};
use linksnap_toolbox::acl::Acl;
use linksnap_toolbox::holders::{Held, Holder, Others};
use linksnap_toolbox::inode::Report;
use serde::Serialize;

use crate::json::{self, JsonPath};
use crate::owners::Owners;
use crate::verbs::inode::text::{hold_word, obstacle_word};
use crate::{kind, table};

/// The document of one inode.
pub fn of(path: &Path, report: &Report, held: &Held, owners: &Owners) -> impl Serialize + use<> {
    let (detail, stat) = (&report.detail, &report.detail.stat);
    let is_device = matches!(stat.kind, Kind::CharDevice | Kind::BlockDevice);
    Document {
        path: JsonPath::new(path_bytes(path)),
        inode: stat.inode,
        device: kind::device(stat.device),
        kind: kind::word(stat.kind),
        target: report.text.as_deref().map(json::text),
        target_b64: report.text.as_deref().and_then(json::exact),
        mode: format!("{:04o}", stat.mode),
        uid: stat.uid,
        user: owners.user(stat.uid),
        gid: stat.gid,
        group: owners.group(stat.gid),
        size: stat.size,
        disk_bytes: stat.blocks.saturating_mul(512),
        blocks: stat.blocks,
        io_bytes: detail.io_bytes,
        holes: report.extents.map(|extents| extents.holes),
        hole_bytes: report.extents.map(|extents| extents.hole_bytes),
        links: stat.links,
        most_links: report.most_links(),
        accessed: time(detail.accessed),
        modified: time(stat.mtime),
        changed: time(stat.ctime),
        born: detail.born.map(time),
        rdev: is_device.then(|| kind::device(stat.rdev)),
        flags: report.flags.iter().map(|flag| flag.word).collect(),
        acl: report.acl.as_ref().map(entries),
        default_acl: report.default_acl.as_ref().map(entries),
        selinux: report.label.as_deref().map(json::text),
        xattrs: report.xattrs.iter().map(Attribute::new).collect(),
        filesystem: FilesystemElement::new(report),
        unknown: report.gaps.iter().map(ToString::to_string).collect(),
        removal: RemovalElement::new(report, held),
    }
}

fn time(time: Timestamp) -> String {
    table::exact_time(time.seconds, time.nanoseconds)
}

/// As `getfacl -n` has them.
fn entries(acl: &Acl) -> Vec<String> {
    acl.entries.iter().map(ToString::to_string).collect()
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    path: JsonPath,
    inode: u64,
    device: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_b64: Option<String>,
    mode: String,
    uid: u32,
    user: String,
    gid: u32,
    group: String,
    size: u64,
    disk_bytes: u64,
    /// Of 512 bytes.
    blocks: u64,
    io_bytes: u32,
    holes: Option<u64>,
    hole_bytes: Option<u64>,
    links: u32,
    most_links: Option<u32>,
    accessed: String,
    modified: String,
    changed: String,
    born: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rdev: Option<String>,
    flags: Vec<&'static str>,
    acl: Option<Vec<String>>,
    default_acl: Option<Vec<String>>,
    selinux: Option<String>,
    xattrs: Vec<Attribute>,
    filesystem: FilesystemElement,
    unknown: Vec<String>,
    removal: RemovalElement,
}

#[derive(Serialize)]
struct Attribute {
    name: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_b64: Option<String>,
}

impl Attribute {
    fn new((name, value): &(Vec<u8>, Vec<u8>)) -> Self {
        Self { name: json::text(name), value: json::text(value), value_b64: json::exact(value) }
    }
}

#[derive(Serialize)]
struct FilesystemElement {
    kind: String,
    source: Option<String>,
    mounted_on: Option<String>,
    options: Option<String>,
}

impl FilesystemElement {
    fn new(report: &Report) -> Self {
        let mount = report.mount.as_ref();
        Self {
            kind: report.filesystem.name(),
            source: mount.map(|mount| json::text(&mount.source)),
            mounted_on: mount.map(|mount| json::text(&mount.point)),
            options: mount.map(|mount| json::text(&mount.flags)),
        }
    }
}

#[derive(Serialize)]
struct RemovalElement {
    refused: Option<String>,
    other_names: u32,
    /// With the last name, when nothing holds it any more.
    freed_bytes: u64,
    /// Some of them may be other files', too.
    may_share: bool,
    holders: Vec<HolderElement>,
    unseen_processes: u64,
    /// Does `/proc` not even list the processes of others?
    processes_hidden: bool,
}

impl RemovalElement {
    fn new(report: &Report, held: &Held) -> Self {
        let identity = report.detail.stat.identity();
        let holders = held.holders.iter().filter(|holder| holder.identity == identity);
        Self {
            refused: report.removal.obstacle.map(obstacle_word),
            other_names: report.removal.other_names,
            freed_bytes: report.removal.freed_bytes,
            may_share: report.removal.may_share,
            holders: holders.map(HolderElement::new).collect(),
            unseen_processes: held.unseen_processes,
            processes_hidden: held.others == Others::Hidden,
        }
    }
}

#[derive(Serialize)]
struct HolderElement {
    pid: u32,
    name: String,
    hold: &'static str,
    fd: Option<u32>,
}

impl HolderElement {
    fn new(holder: &Holder) -> Self {
        let (hold, fd) = hold_word(holder.hold);
        Self { pid: holder.pid, name: json::text(&holder.name), hold, fd }
    }
}
