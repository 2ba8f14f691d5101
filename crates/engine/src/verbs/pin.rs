//! Pin: keeps snapshots from retention, and lets them go again.

use linksnap_catalog::{Snapshot, Writer};

use crate::job::{Job, JobError};
use crate::monitor::Silent;
use crate::snapshot::SelectError;
use crate::stages::begin::{self, BeginError};

/// What is done to the pins of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// They are kept.
    Set {
        /// Until when, in seconds since 1970; `None`: for ever.
        until: Option<i64>,
        /// What is to be noted; `None` leaves the note as it is.
        note: Option<String>,
    },
    /// They may go.
    Clear,
}

/// Pins or unpins snapshots: all, or if one of them is gone none. `now` is in seconds since 1970; `holder` is for others to read.
pub fn pin(
    job: &Job,
    snapshots: &[Snapshot],
    pin: &Pin,
    (holder, now): (&str, i64),
) -> Result<(), BeginError> {
    let mut begun = begin::begin(job, holder, now, &Silent)?;
    // As they are now that nobody else can change them.
    let published = job.snapshots()?;
    let is_there =
        |one: &Snapshot| published.iter().any(|other| (other.id, &other.name) == (one.id, &one.name));
    if let Some(gone) = snapshots.iter().find(|one| !is_there(one)) {
        let wanted = format!("{} (it was deleted meanwhile)", gone.name);
        return Err(JobError::from(SelectError::NotFound { wanted }).into());
    }
    let mut all = || -> Result<(), linksnap_catalog::CatalogError> {
        begun.writer.begin()?;
        snapshots.iter().try_for_each(|one| set(&mut begun.writer, one, pin))?;
        begun.writer.end()
    };
    Ok(all().map_err(|source| job.catalog_error(source))?)
}

fn set(writer: &mut Writer, snapshot: &Snapshot, pin: &Pin) -> Result<(), linksnap_catalog::CatalogError> {
    match pin {
        Pin::Set { until, note } => writer.pin(snapshot.id, *until, note.as_deref()),
        Pin::Clear => writer.unpin(snapshot.id),
    }
}
