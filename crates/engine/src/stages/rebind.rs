//! Rebind: after a job was copied, its inodes have other numbers than the catalog says.
//!
//! A job directory stands on its own: moved within a filesystem it keeps its inodes, copied to another it
//! does not. The catalog knows the directory it belongs to by that directory's own inode number; where that
//! differs, the numbers of all versions are looked up in the snapshots, by name. What the numbers stand for is
//! not taken on trust: validation and verify compare attributes and bytes as ever.

use linksnap_catalog::{DirId, Reader, Snapshot, SnapshotId, Version, Writer};
use linksnap_inode::DirFd;
use linksnap_inode::path;

use crate::job::Job;
use crate::stages::publish::PublishError;
use crate::stages::recover;

/// Looks up the inode of every version if the job was copied; says whether it was.
pub fn rebind(job: &Job, writer: &mut Writer) -> Result<bool, PublishError> {
    let here = job.workshop().stat().map_err(|fault| fault.at(job.path()))?.inode;
    match writer.home()? {
        Some(home) if home == here => return Ok(false),
        Some(_) => {}
        None => {
            writer.set_home(here)?;
            return Ok(false);
        }
    }
    // What checkpoints vouch for is known by inode numbers alone.
    recover::drop_staging(job).map_err(|fault| fault.at(job.path()))?;
    recover::forget_without_staging(job, writer)?;
    let reader = Reader::open(&job.catalog_path())?;
    writer.begin()?;
    let mut newer = None;
    for snapshot in reader.published()?.iter().rev() {
        // A snapshot that somebody removed has nothing to look up.
        if let Ok(root) = job.dir().open_dir(snapshot.name.as_bytes()) {
            rebind_snapshot(&reader, writer, &root, (snapshot, newer))?;
            newer = Some(snapshot.id);
        }
    }
    writer.set_home(here)?;
    writer.end()?;
    Ok(true)
}

/// Looks up what this snapshot has and no newer one.
fn rebind_snapshot(
    reader: &Reader,
    writer: &mut Writer,
    root: &DirFd,
    (snapshot, newer): (&Snapshot, Option<SnapshotId>),
) -> Result<(), PublishError> {
    let mut waiting = vec![(Vec::new(), DirId::ROOT)];
    while let Some((path, id)) = waiting.pop() {
        let names = root.open_beneath(&path).and_then(|dir| dir.sorted_names());
        let names = names.unwrap_or_default();
        let mut there = names.iter().peekable();
        let mut found: Vec<(DirId, Box<[u8]>, Version, u64)> = Vec::new();
        for row in reader.as_of(id, snapshot.id)?.iter() {
            while there.next_if(|name| name.bytes < row.name).is_some() {}
            if let Some(child) = row.version.child {
                waiting.push((path::join(&path, row.name), child));
            } else if row.version.is_newest_before(newer) {
                // 0 is no inode: what is missing will not be taken for something else.
                let inode = there.next_if(|name| name.bytes == row.name).map_or(0, |name| name.inode);
                found.push((id, row.name.into(), row.version.clone(), inode));
            }
        }
        if !found.is_empty() {
            writer.rebind(&found)?;
        }
    }
    Ok(())
}
