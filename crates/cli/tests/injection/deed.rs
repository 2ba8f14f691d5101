//! What is done while calls fail: each writing command, and the reading ones.

use linksnap_testkit::tree::TreeBuilder;

use crate::scene::Scene;

/// A command with what was there before.
pub struct Deed {
    pub kind: Kind,
    arrange: fn(&Scene),
    /// The day that the clock shows.
    pub day: u8,
    pub args: &'static [&'static str],
    /// How many of the oldest snapshots may go.
    pub doomed: usize,
}

/// What is to be expected of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new snapshot.
    Backup,
    /// The doomed snapshots go.
    Drop,
    /// `target/` becomes a copy.
    Restore,
    /// Nothing changes but words about snapshots.
    Note,
    /// Nothing changes, and the result is the same whenever it is called done.
    Read,
    /// There is a repository.
    Init,
}

impl Deed {
    /// All that it begins with.
    pub fn scene(&self) -> Scene {
        let scene = if self.kind == Kind::Init { Scene::bare() } else { Scene::new() };
        (self.arrange)(&scene);
        scene
    }

    /// Can the same scene serve for all faults?
    pub fn leaves_the_scene_alone(&self) -> bool {
        matches!(self.kind, Kind::Read | Kind::Restore)
    }
}

const BACKUP: &[&str] = &["backup", "--json", "--job", "demo", "source"];
const KEEPING: &[&str] = &["backup", "--json", "--config", "keep.toml", "--job", "demo", "source"];

pub const FIRST: Deed = Deed { kind: Kind::Backup, arrange: |_| {}, day: 1, args: BACKUP, doomed: 0 };

pub const CHANGED: Deed = Deed {
    kind: Kind::Backup,
    arrange: |scene| {
        scene.history(1);
        scene.change(1);
    },
    day: 2,
    args: BACKUP,
    doomed: 0,
};

/// Builds upon a retired tree, and retires the next.
pub const RECYCLING: Deed = Deed {
    kind: Kind::Backup,
    arrange: |scene| {
        scene.history(3);
        scene.run(3, &["prune", "demo", "--keep-last", "2"]);
        scene.change(3);
    },
    day: 4,
    args: KEEPING,
    doomed: 1,
};

/// Goes on where a run died.
pub const RESUMING: Deed = Deed {
    kind: Kind::Backup,
    arrange: |scene| {
        scene.history(2);
        let staging = scene.base.join("repo/demo/.linksnap/staging");
        let newest = scene.snapshots().pop().expect("two snapshots");
        let left = std::process::Command::new("cp")
            .args(["-al"])
            .arg(scene.snapshot_path(&newest))
            .arg(staging)
            .status();
        assert!(left.expect("cp runs").success());
        scene.change(2);
    },
    day: 3,
    args: BACKUP,
    doomed: 0,
};

pub const PRUNE: Deed = Deed {
    kind: Kind::Drop,
    arrange: |scene| scene.history(4),
    day: 5,
    args: &["prune", "--json", "demo", "--keep-last", "2"],
    doomed: 2,
};

pub const DELETE: Deed = Deed {
    kind: Kind::Drop,
    arrange: |scene| scene.history(3),
    day: 5,
    args: &["delete", "--json", "--yes", "demo/oldest"],
    doomed: 1,
};

/// Also the newest goes, upon which a dead run was building.
pub const DELETE_ALL: Deed = Deed {
    kind: Kind::Drop,
    arrange: RESUMING.arrange,
    day: 5,
    args: &["delete", "--json", "--yes", "demo/oldest", "demo/latest"],
    doomed: 2,
};

pub const PIN: Deed = Deed {
    kind: Kind::Note,
    arrange: |scene| scene.history(2),
    day: 5,
    args: &["pin", "--json", "demo/latest", "--note", "precious"],
    doomed: 0,
};

pub const INIT: Deed =
    Deed { kind: Kind::Init, arrange: |_| {}, day: 1, args: &["init", "--json", "--degraded"], doomed: 0 };

pub const RESTORE: Deed = Deed {
    kind: Kind::Restore,
    arrange: |scene| scene.history(2),
    day: 5,
    args: &["restore", "--json", "demo/latest", "--target", "target/deep"],
    doomed: 0,
};

pub const OVERWRITE: Deed =
    Deed { args: &["restore", "--json", "demo/latest", "--target", "target", "--overwrite"], ..RESTORE };

/// What is in the way of [`OVERWRITE`].
pub fn clutter(scene: &Scene) {
    let target = scene.base.join("target").join(scene.source().strip_prefix("/").expect("absolute"));
    drop(TreeBuilder::new(target).file("a", "other").file("dir/link", "a file").symlink("dir/two", "one"));
}

pub const VERIFY: Deed = Deed {
    kind: Kind::Read,
    arrange: |scene| scene.history(2),
    day: 5,
    args: &["verify", "--json"],
    doomed: 0,
};

pub const LS: Deed = Deed { args: &["ls", "--json", "-l", "--recursive", "demo/latest"], ..VERIFY };
pub const SNAPSHOTS: Deed = Deed { args: &["snapshots", "--json"], ..VERIFY };
pub const DU: Deed = Deed { args: &["du", "--json"], ..VERIFY };
pub const DU_VERIFY: Deed = Deed { args: &["du", "--json", "--verify"], ..VERIFY };
