//! The end of a restore: all of it on disk, and only then what it replaced is removed.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::RestoreError;
use super::deed::Restore;
use super::station::Station;
use crate::report::ProblemKind;

impl Restore<'_> {
    /// Forces what was restored to disk, on every filesystem that it is on.
    pub fn sync(&self) -> Result<(), RestoreError> {
        self.target.sync_filesystem().map_err(|fault| self.scene.at(b"", fault))?;
        let others = std::mem::take(&mut *self.lock_filesystems());
        for path in others.values() {
            let synced = self.target.open_beneath(path).and_then(|dir| dir.sync_filesystem());
            synced.map_err(|fault| self.scene.at(path, fault))?;
        }
        for station in self.stations() {
            station.sync().map_err(|fault| self.scene.at(&station.own_path(), fault))?;
        }
        Ok(())
    }

    /// Removes the stations, and with them what was replaced.
    pub fn clear_stations(&self) {
        for station in self.stations() {
            if let Err(left) = station.remove(self.target) {
                let message = format!("{}: {}", left.what, left.fault);
                self.problem_at(ProblemKind::NotKept, &self.scene.path_of(&left.path), message);
            }
        }
    }

    /// The restore ends with `error`: what was set aside stays, and is told; stations without anything of that go.
    pub fn give_up(&self, error: RestoreError) -> RestoreError {
        let (holding, empty): (Vec<_>, Vec<_>) =
            self.stations().into_iter().partition(|station| station.holds_old());
        for station in empty {
            // What is left of it is found by the next restore.
            drop(station.remove(self.target));
        }
        if holding.is_empty() {
            return error;
        }
        let old: Vec<PathBuf> =
            holding.iter().map(|station| self.scene.path_of(&station.old_path())).collect();
        RestoreError::SetAside { old, source: Box::new(error) }
    }

    fn stations(&self) -> Vec<Arc<Station>> {
        self.stations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
