//! Real filesystems in image files, mounted by loop devices: small ones to fill, and ones that lose power.
//!
//! They need root and the tools of the filesystem; where these are missing the error says so, for
//! [`or_skip!`](crate::or_skip).

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::skip::{has_tool, is_root};

/// The filesystems to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsKind {
    /// ext4, which links a file 65,000 times at most.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// FAT, without links, owners and modes.
    Vfat,
}

impl FsKind {
    fn name(self) -> &'static str {
        match self {
            FsKind::Ext4 => "ext4",
            FsKind::Xfs => "xfs",
            FsKind::Btrfs => "btrfs",
            FsKind::Vfat => "vfat",
        }
    }

    /// The smallest size that its mkfs takes, in MiB.
    pub fn least_mib(self) -> u64 {
        match self {
            FsKind::Ext4 | FsKind::Vfat => 1,
            FsKind::Xfs => 300,
            FsKind::Btrfs => 115,
        }
    }

    fn mkfs_args(self) -> &'static [&'static str] {
        match self {
            FsKind::Ext4 => &["-F", "-q"],
            FsKind::Xfs | FsKind::Btrfs => &["-q"],
            FsKind::Vfat => &[],
        }
    }

    fn shutdown_tool(self) -> &'static str {
        match self {
            FsKind::Ext4 | FsKind::Xfs => "xfs_io",
            FsKind::Btrfs | FsKind::Vfat => "cp",
        }
    }

    fn mount_options(self) -> &'static str {
        match self {
            // A shutdown copies the image; no commit of the timer may come between.
            FsKind::Btrfs => "loop,commit=300",
            _ => "loop",
        }
    }
}

/// Why there is no such filesystem here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    reason: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Unavailable {}

fn unavailable<T>(reason: impl Into<String>) -> Result<T, Unavailable> {
    let reason = reason.into();
    Err(Unavailable { reason })
}

/// A filesystem of its own; unmounted and removed when dropped.
#[derive(Debug)]
pub struct LoopFs {
    kind: FsKind,
    is_mounted: bool,
    /// Holds the images and the mount point.
    home: TempDir,
}

impl LoopFs {
    /// Makes and mounts a filesystem of `mib` MiB, or of [`FsKind::least_mib`] if that is more. Panics if mkfs does not
    /// like its arguments.
    pub fn create(kind: FsKind, mib: u64, extra_mkfs_args: &[&str]) -> Result<LoopFs, Unavailable> {
        Self::create_in(&std::env::temp_dir(), kind, mib, extra_mkfs_args)
    }

    /// The same, with its image in the directory `parent`.
    pub fn create_in(
        parent: &Path,
        kind: FsKind,
        mib: u64,
        extra_mkfs_args: &[&str],
    ) -> Result<LoopFs, Unavailable> {
        let mkfs = format!("mkfs.{}", kind.name());
        if !is_root() {
            return unavailable("mounting needs root");
        }
        let tools = [&mkfs, "mount", "umount", kind.shutdown_tool()];
        if let Some(missing) = tools.iter().find(|tool| !has_tool(tool)) {
            return unavailable(format!("{missing} is not installed"));
        }
        let mut disk = LoopFs {
            kind,
            is_mounted: false,
            home: tempfile::tempdir_in(parent).expect("a temporary directory can be made"),
        };
        disk.make(&mkfs, mib.max(kind.least_mib()), extra_mkfs_args);
        disk.mount().or_else(unavailable)?;
        Ok(disk)
    }

    /// The root of the mounted filesystem.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// Unmounts; the image stays for [`LoopFs::remount`].
    pub fn unmount(&mut self) {
        unmount(&self.path());
        self.is_mounted = false;
    }

    /// Waits until nobody uses the image any more. Panics if that takes too long.
    ///
    /// A process with a mount namespace of its own may keep the filesystem alive for a moment (`mount_namespaces(7)`); who
    /// mounts it again then gets the same one, shut down or not. The loop device goes with it (`losetup(8)`, autoclear).
    pub fn wait_until_gone(&self) {
        let began = Instant::now();
        let image = self.image();
        loop {
            let listed = Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(&image).output();
            if listed.expect("losetup runs").stdout.is_empty() {
                return;
            }
            assert!(began.elapsed() < BUSY_AT_MOST, "something keeps {} in use", image.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Unmounts, if mounted, and mounts again; after [`LoopFs::shutdown`] with what had reached the disk by then.
    pub fn remount(&mut self) {
        if self.is_mounted {
            self.unmount();
        }
        self.wait_until_gone();
        if self.image_at_shutdown().exists() {
            let back = rustix::fs::rename(self.image_at_shutdown(), self.image());
            back.expect("the image can be renamed");
        }
        let done = self.mount();
        done.unwrap_or_else(|complaint| panic!("cannot mount again: {complaint}"));
    }

    /// Takes the power away: what was not synced is lost for ever.
    ///
    /// ext4 and XFS are shut down without a flush of their log (`XFS_IOC_GOINGDOWN`, which ext4 knows too) and fail all
    /// that follows with EIO. btrfs and FAT have no such call: of these the image is copied, so that later writes seem
    /// to succeed, but [`LoopFs::remount`] goes back to the copy.
    pub fn shutdown(&self) {
        let done = match self.kind {
            FsKind::Ext4 | FsKind::Xfs => {
                let path = self.path();
                // Without -f nothing is flushed (xfs_io(8)).
                let args = ["-x", "-c", "shutdown"].map(OsStr::new);
                run("xfs_io", &[&args[..], &[path.as_os_str()]].concat())
            }
            FsKind::Btrfs | FsKind::Vfat => self.copy_image(),
        };
        done.unwrap_or_else(|complaint| panic!("cannot shut down: {complaint}"));
    }

    /// The file that the filesystem is in.
    pub fn image(&self) -> PathBuf {
        self.home.path().join("image")
    }

    fn image_at_shutdown(&self) -> PathBuf {
        self.home.path().join("image-at-shutdown")
    }

    fn copy_image(&self) -> Result<(), String> {
        let args = [self.image(), self.image_at_shutdown()];
        run("cp", &[OsStr::new("--sparse=always"), args[0].as_os_str(), args[1].as_os_str()])
    }

    fn make(&self, mkfs: &str, mib: u64, extra_args: &[&str]) {
        let image = File::create_new(self.image()).expect("the image can be made");
        let sized = image.set_len(mib << 20);
        sized.expect("the image can be that large");
        let mounted = std::fs::DirBuilder::new().create(self.path());
        mounted.expect("the mount point can be made");
        let args = self.kind.mkfs_args().iter().chain(extra_args);
        let mut args: Vec<&OsStr> = args.map(OsStr::new).collect();
        let image = self.image();
        args.push(image.as_os_str());
        run(mkfs, &args).unwrap_or_else(|complaint| panic!("{complaint}"));
    }

    fn mount(&mut self) -> Result<(), String> {
        let (image, path) = (self.image(), self.path());
        let options = ["-t", self.kind.name(), "-o", self.kind.mount_options()].map(OsStr::new);
        let places = [image.as_os_str(), path.as_os_str()];
        run("mount", &[&options[..], &places].concat())?;
        self.is_mounted = true;
        Ok(())
    }
}

impl Drop for LoopFs {
    /// Never panics: the test may be failing already.
    fn drop(&mut self) {
        if !self.is_mounted {
            return;
        }
        let path = self.path();
        if run("umount", &[path.as_os_str()]).is_err() {
            // Something still holds it open; the kernel ends the mount when that is closed.
            drop(run("umount", &[OsStr::new("--lazy"), path.as_os_str()]));
        }
    }
}

/// How long others may keep a filesystem in use for what they are starting or ending.
const BUSY_AT_MOST: Duration = Duration::from_secs(60);

/// Unmounts what is mounted at `place`. Panics if that cannot be done.
///
/// A process that another test is starting has what this one had open until its `execve(2)`, and the filesystem is busy
/// for so long (`umount(2)`, `EBUSY`): that is waited for.
pub fn unmount(place: &Path) {
    let began = Instant::now();
    while let Err(complaint) = run("umount", &[place.as_os_str()]) {
        assert!(began.elapsed() < BUSY_AT_MOST, "cannot unmount: {complaint}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a tool, or says what it said on failure.
fn run(tool: &str, args: &[&OsStr]) -> Result<(), String> {
    let output = Command::new(tool).args(args).output();
    let output: Output = output.map_err(|error| format!("cannot run {tool}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{tool} {args:?} failed: {}", complaint.trim()))
}
