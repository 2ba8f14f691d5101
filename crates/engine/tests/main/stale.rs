//! Sources on filesystems that go away under a run, or that nobody serves any more.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicU64;

use linksnap_engine::verbs::backup;
use linksnap_engine::{ProblemKind, Silent};
use linksnap_testkit::listing::{Compare, Listing};
use linksnap_testkit::tree::TreeBuilder;
use linksnap_testkit::{needs_kernel, skip, skip_unless};

use crate::faults::{Meddler, Mounted, SIZE, paths, small_tree, whole_chain};
use crate::kitchen::Kitchen;

/// Takes a filesystem away from under a run when it is asked for the n-th time what it wants.
#[test]
fn a_source_may_be_unmounted_at_any_moment() {
    skip_unless!(skip::is_root(), "needs root");
    for at in (1..).step_by(3) {
        let mut kitchen = Kitchen::new();
        kitchen.options.threads = Some(1);
        kitchen.options.one_file_system = false;
        drop(TreeBuilder::new(&kitchen.source).file("before", "before").dir("disk").file("last", "last"));
        let disk = kitchen.source.join("disk");
        let mounted = Mounted::new(&disk, &["-t", "tmpfs", "linksnap-test"]);
        skip_unless!(mounted.is_some(), "mounting is not allowed here");
        small_tree(&disk);
        let full = kitchen.backup();
        assert_eq!(full.problems.list, []);
        let known = Listing::read(&full.path);
        drop(TreeBuilder::new(&disk).file("dir/new", vec![b'n'; SIZE]).file("dir/sub/newer", "newer"));
        let deed = || drop(Command::new("umount").arg("--lazy").arg(&disk).status());
        let meddler = Meddler { at, asked: AtomicU64::new(0), deed: &deed };
        let summary = kitchen.try_backup(&meddler).unwrap_or_else(|error| panic!("at {at}: {error:?}"));
        let stored = kitchen.listing(&summary);
        // What was open goes on to be read; the rest is gone. What is there is whole.
        assert!(stored.get("before").is_some() && stored.get("last").is_some(), "at {at}");
        let content = |listing: &Listing, path: &str| listing.get(path).and_then(|entry| entry.content);
        for (path, entry) in stored.iter().filter(|(path, _)| path.ends_with("deep")) {
            let was = kitchen.source.strip_prefix("/").expect("absolute").join(path);
            assert_eq!(entry.content, content(&known, was.to_str().expect("text")), "at {at}");
        }
        assert_eq!(known.diff(&Listing::read(&full.path), Compare::UNTOUCHED), [""; 0], "at {at}");
        kitchen.assert_sound();
        let next = kitchen.backup();
        assert_eq!(next.problems.list, [], "at {at}");
        kitchen.assert_sound();
        if meddler.asked.into_inner() < at {
            return;
        }
    }
}

/// The source itself is the mount point: without it there is nothing, and that is no snapshot to be proud of.
#[test]
fn a_source_that_is_unmounted_under_the_run_is_a_problem() {
    skip_unless!(skip::is_root(), "needs root");
    let mut lacking = 0;
    for at in 1.. {
        let mut kitchen = Kitchen::new();
        kitchen.options.threads = Some(1);
        let mounted = Mounted::new(&kitchen.source, &["-t", "tmpfs", "linksnap-test"]);
        skip_unless!(mounted.is_some(), "mounting is not allowed here");
        small_tree(&kitchen.source);
        let source = Listing::read(&kitchen.source);
        let deed = || drop(Command::new("umount").arg("--lazy").arg(&kitchen.source).status());
        let meddler = Meddler { at, asked: AtomicU64::new(0), deed: &deed };
        kitchen.options.now += 1;
        let summary = backup::backup(&kitchen.open(), &Kitchen::job_name(), &kitchen.options, &meddler);
        let summary = summary.unwrap_or_else(|error| panic!("at {at}: {error:?}"));
        let is_whole = source.diff(&kitchen.listing(&summary), Compare::COPY).is_empty();
        lacking += u32::from(!is_whole);
        let told = paths(&summary, ProblemKind::Unreadable).contains(&kitchen.source);
        assert!(told || is_whole, "at {at}: {:?}", summary.problems);
        kitchen.assert_sound();
        if meddler.asked.into_inner() < at {
            assert!(lacking > 0, "nothing was ever missing");
            assert_eq!(summary.problems.list, []);
            return;
        }
    }
}

/// A FUSE filesystem whose server is gone: whatever is asked of it fails with `ENOTCONN`. The mount holds no other
/// descriptor of the device than that of the shell, which ends.
fn stale_mount(at: &Path) -> Option<Mounted> {
    let script = "exec 9<>/dev/fuse && \
                  exec mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 linksnap-test \"$0\"";
    let done = Command::new("sh").args(["-c", script]).arg(at).output().ok()?;
    let mounted = done.status.success().then(|| Mounted(at.to_path_buf()));
    mounted.filter(|_| std::fs::symlink_metadata(at).is_err())
}

#[test]
fn a_stale_fuse_mount_is_a_problem_and_the_rest_is_backed_up() {
    skip_unless!(skip::is_root(), "needs root");
    for one_file_system in [true, false] {
        let mut kitchen = Kitchen::new();
        kitchen.options.one_file_system = one_file_system;
        small_tree(&kitchen.source);
        drop(TreeBuilder::new(&kitchen.source).dir("remote/below").file("remote/x", "x"));
        let whole = kitchen.backup();
        assert_eq!(whole.problems.list, []);
        let source = Listing::read(&kitchen.source);
        let remote = kitchen.source.join("remote");
        let mounted = stale_mount(&remote);
        needs_kernel!(mounted.is_some(), "FUSE that can be mounted");
        for _ in 0..2 {
            let summary = kitchen.backup();
            let unreadable = paths(&summary, ProblemKind::Unreadable);
            assert_eq!(unreadable.as_slice(), std::slice::from_ref(&remote), "{:?}", summary.problems);
            let stored = kitchen.listing(&summary);
            assert_eq!(source.without("remote").diff(&stored, Compare::COPY), [""; 0]);
        }
        kitchen.options.sources = vec![kitchen.source.clone(), remote.join("below")];
        let refused = kitchen.try_backup(&Silent).expect_err("the source is not there");
        assert!(whole_chain(&refused).contains(remote.to_str().expect("text")), "{}", whole_chain(&refused));
        kitchen.options.sources.truncate(1);
        drop(mounted);
        let summary = kitchen.backup();
        assert_eq!(summary.problems.list, []);
        assert_eq!(source.diff(&kitchen.listing(&summary), Compare::COPY), [""; 0]);
        kitchen.assert_sound();
    }
}
