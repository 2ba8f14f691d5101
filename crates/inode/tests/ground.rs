//! System calls on a real filesystem.

use std::os::fd::AsFd;
use std::path::Path;

use linksnap_inode::content::{self, Buffer, Bytes, Extent, Shape};
use linksnap_inode::lock::Lock;
use linksnap_inode::{ContentHash, DirFd, Errno, Kind, Timestamp, Xattrs};
use tempfile::TempDir;

fn ground() -> (TempDir, DirFd) {
    let own = tempfile::tempdir().expect("a directory");
    let dir = DirFd::open_root(own.path()).expect("open");
    (own, dir)
}

fn copy(dir: &DirFd, from: &[u8], to: &[u8]) -> content::Read {
    let source = dir.open_file(from).expect("a source");
    let shape = Shape::from(&source.stat().expect("attributes"));
    let target = dir.create_file(to).expect("a target");
    content::copy(&source, shape, &target, &mut Buffer::default(), &mut |_| Ok(())).expect("copied")
}

#[test]
fn no_symbolic_link_is_followed() {
    let (_own, dir) = ground();
    dir.make_dir(b"real").expect("made");
    dir.make_symlink(b"link", b"real").expect("made");
    dir.make_dir(b"real/below").expect("made");
    let refused = |fault: linksnap_inode::Fault| fault.is(Errno::NOTDIR) || fault.is(Errno::LOOP);
    assert!(dir.open_dir(b"link").is_err_and(refused));
    assert!(dir.open_beneath(b"link").is_err_and(refused));
    assert!(dir.open_beneath(b"link/below").is_err_and(refused));
    assert!(dir.open_beneath(b"real").is_ok());
    dir.create_file(b"file").expect("made");
    dir.make_symlink(b"file-link", b"file").expect("made");
    assert!(dir.open_file(b"file-link").is_err_and(|fault| fault.is(Errno::LOOP)));
}

#[test]
fn no_mode_is_set_through_a_link() {
    let (_own, dir) = ground();
    dir.make_node(b"fifo", Kind::Fifo, 0).expect("made");
    dir.hold(b"fifo", Kind::Fifo).expect("held").set_mode(0o644).expect("set");
    assert_eq!(dir.stat_entry(b"fifo").expect("there").mode, 0o644);
    dir.create_file(b"file").expect("made");
    dir.make_symlink(b"link", b"file").expect("made");
    // An error, or nothing: the kernel decides.
    assert!(dir.hold(b"link", Kind::Fifo).is_err_and(|fault| fault.is(Errno::STALE)));
    dir.hold(b"link", Kind::Symlink).expect("held").set_mode(0o666).ok();
    assert_eq!(dir.stat_entry(b"file").expect("there").mode, 0o600);
}

#[test]
fn nothing_outside_is_reached() {
    let (_own, dir) = ground();
    dir.make_dir(b"inside").expect("made");
    let inside = dir.open_dir(b"inside").expect("open");
    assert!(inside.open_beneath(b"..").is_err_and(|fault| fault.is(Errno::XDEV)));
    assert!(inside.open_beneath(b"/etc").is_err_and(|fault| fault.is(Errno::XDEV)));
}

#[test]
fn paths_may_be_longer_than_the_kernel_takes() {
    let (_own, dir) = ground();
    let name = [b'n'; 200];
    let mut path = Vec::new();
    let mut deepest = dir.reopen().expect("open");
    for _ in 0..50 {
        deepest.make_dir(&name).expect("made");
        deepest = deepest.open_dir(&name).expect("open");
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
    }
    let found = dir.open_beneath(&path).expect("10,049 bytes");
    assert_eq!(found.stat().expect("attributes"), deepest.stat().expect("attributes"));
}

#[test]
fn a_fifo_is_refused_without_waiting() {
    let (_own, dir) = ground();
    dir.make_node(b"fifo", Kind::Fifo, 0).expect("made");
    let opened = dir.open_file(b"fifo").expect("opening does not wait");
    assert_eq!(opened.stat().expect("attributes").kind, Kind::Fifo);
}

#[test]
fn copies_have_the_hash_of_the_bytes() {
    let (_own, dir) = ground();
    for size in [0_usize, 1, 1024, 256 * 1024, 256 * 1024 + 1, 3_000_000] {
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        let from = format!("from-{size}").into_bytes();
        dir.create_file(&from).expect("made").write_at(&bytes, 0).expect("written");
        let read = copy(&dir, &from, format!("to-{size}").as_bytes());
        assert_eq!((read.hash, read.size), (ContentHash::of(&bytes), size as u64));
        let copied = dir.open_file(format!("to-{size}").as_bytes()).expect("open");
        assert_eq!(copied.read_all(4_000_000).expect("read"), bytes);
    }
}

#[test]
fn holes_stay_holes_and_hash_as_zeros() {
    let (_own, dir) = ground();
    let sparse = dir.create_file(b"sparse").expect("made");
    sparse.write_at(b"start", 0).expect("written");
    sparse.write_at(b"middle", 1_000_000).expect("written");
    sparse.set_size(3_000_000).expect("grown");
    let read = copy(&dir, b"sparse", b"copy");
    let mut whole = vec![0; 3_000_000];
    whole[..5].copy_from_slice(b"start");
    whole[1_000_000..1_000_006].copy_from_slice(b"middle");
    assert_eq!(read.hash, ContentHash::of(&whole));
    let copied = dir.open_file(b"copy").expect("open");
    assert_eq!(copied.read_all(4_000_000).expect("read"), whole);
    assert!(copied.stat().expect("attributes").has_holes());
    assert_eq!(copied.next_extent(2_000_000), Ok(Extent::HoleTo(3_000_000)));
}

#[test]
fn a_hole_only_file_keeps_its_size() {
    let (_own, dir) = ground();
    dir.create_file(b"hole").expect("made").set_size(5_000_000_000).expect("grown");
    let read = copy(&dir, b"hole", b"copy");
    assert_eq!((read.size, read.data_bytes), (5_000_000_000, 0));
    let stat = dir.stat_entry(b"copy").expect("attributes");
    assert_eq!((stat.size, stat.blocks), (5_000_000_000, 0));
}

#[test]
fn reading_a_source_leaves_its_access_time_alone() {
    let (own, dir) = ground();
    dir.create_file(b"file").expect("made").write_at(b"x", 0).expect("written");
    let path = own.path().join("file");
    let set = std::process::Command::new("touch").args(["-a", "-d", "2001-01-01"]).arg(&path).status();
    assert!(set.is_ok_and(|status| status.success()));
    copy(&dir, b"file", b"copy");
    let accessed = std::fs::metadata(&path).and_then(|metadata| metadata.accessed()).expect("a time");
    let age = accessed.elapsed().expect("in the past");
    assert!(age.as_secs() > 365 * 86_400, "the access time was changed");
}

#[test]
fn extended_attributes_are_made_exactly_those() {
    let (_own, dir) = ground();
    let file = dir.create_file(b"file").expect("made");
    let set = |pairs: &[(&str, &[u8])]| -> Xattrs {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
    };
    set(&[("user.a", b"1"), ("user.b", &[7; 3000])]).write(&file).expect("written");
    let wanted = set(&[("user.b", b"2"), ("user.c", b"")]);
    wanted.write(&file).expect("written");
    assert_eq!(Xattrs::read(&file), Ok(wanted.clone()));
    assert_eq!(Xattrs::read_entry(&dir, b"file"), Ok(wanted.clone()));
    assert_eq!(Xattrs::decode(&wanted.encode()), Some(wanted));
}

#[test]
fn damaged_attributes_do_not_decode() {
    assert_eq!(Xattrs::decode(&[5]), None);
    assert_eq!(Xattrs::decode(&[1, 0, b'a', 9, 0, 0, 0, 1]), None);
}

#[test]
fn times_before_1970_and_after_2038_are_kept() {
    let (_own, dir) = ground();
    let file = dir.create_file(b"file").expect("made");
    for seconds in [-2_000_000_000, -1, 0, 4_000_000_000, 9_000_000_000] {
        let time = Timestamp { seconds, nanoseconds: 123_456_789 };
        file.set_mtime(time).expect("set");
        assert_eq!(dir.stat_entry(b"file").expect("attributes").mtime, time);
    }
}

#[test]
fn names_are_bytes() {
    let (_own, dir) = ground();
    let odd: [&[u8]; 4] = [b"\xff\xfe", b"a\nb", b"-rf", &[b'x'; 255]];
    for name in odd {
        dir.create_file(name).expect("made");
    }
    let mut names = dir.names().expect("read");
    names.sort_by_name();
    let found: Vec<Vec<u8>> = names.iter().map(|name| name.bytes.to_vec()).collect();
    assert_eq!(found, [b"-rf".to_vec(), b"a\nb".to_vec(), vec![b'x'; 255], b"\xff\xfe".to_vec()]);
    assert!(DirFd::open_root(Path::new("/nonexistent")).is_err());
}

#[test]
fn what_was_made_is_held_and_what_was_put_in_its_place_is_not() {
    let (_own, dir) = ground();
    dir.create_file(b"other").expect("made").set_mode(0o600).expect("ours");
    for kind in [Kind::Fifo, Kind::Symlink] {
        let put = |name: &[u8], kind| match kind {
            Kind::Symlink => dir.make_symlink(name, b"other"),
            kind => dir.make_node(name, kind, 0),
        };
        put(b"new", kind).expect("made");
        let node = dir.hold(b"new", kind).expect("it is there");
        // Whatever comes in its place: what is held is what was made.
        dir.rename(b"new", &dir, b"moved").expect("renamed");
        dir.make_symlink(b"new", b"other").expect("made");
        node.set_mtime(Timestamp { seconds: 7, nanoseconds: 8 }).expect("ours");
        if kind == Kind::Fifo {
            node.set_mode(0o640).expect("ours");
        }
        let moved = dir.stat_entry(b"moved").expect("it is there");
        assert_eq!((moved.kind, moved.mtime.seconds, moved.mtime.nanoseconds), (kind, 7, 8));
        assert!(kind == Kind::Symlink || moved.mode == 0o640);
        let other = dir.open_file(b"other").and_then(|file| file.stat()).expect("it is there");
        assert_eq!(other.mode, 0o600);
        assert!(other.mtime.seconds > 7);
        // And what is not what was made is not held.
        let other_kind = if kind == Kind::Fifo { Kind::Fifo } else { Kind::Socket };
        assert!(dir.hold(b"new", other_kind).is_err_and(|fault| fault.is(Errno::STALE)));
        assert!(dir.hold(b"other", kind).is_err_and(|fault| fault.is(Errno::STALE)));
        dir.link(b"moved", &dir, b"second").expect("linked");
        assert!(dir.hold(b"moved", kind).is_err_and(|fault| fault.is(Errno::STALE)));
        [b"new".as_slice(), b"moved", b"second"].iter().for_each(|name| dir.unlink(name).expect("ours"));
    }
}

#[test]
fn contents_are_compared_to_the_last_byte() {
    let (_own, dir) = ground();
    let make = |name: &[u8], pieces: &[(u64, &[u8])], size: u64| {
        let file = dir.create_file(name).expect("made");
        pieces.iter().for_each(|(offset, bytes)| file.write_at(bytes, *offset).expect("written"));
        file.set_size(size).expect("sized");
    };
    let large = 3 << 20;
    let block = vec![7; 100_000];
    make(b"plain", &[(0, b"abc"), (1 << 20, &block)], large);
    make(b"equal", &[(0, b"abc\0\0"), (1 << 20, &block), (2 << 20, &[0; 5000])], large);
    make(b"other-end", &[(0, b"abc"), (1 << 20, &block), (large - 1, b"x")], large);
    make(b"other-middle", &[(0, b"abc"), (1 << 20, &block), ((1 << 20) + 99_999, b"x")], large);
    make(b"longer", &[(0, b"abc"), (1 << 20, &block)], large + 1);
    make(b"shorter", &[(0, b"abc"), (1 << 20, &block)], large - 1);
    let is_same = |name: &[u8], holes: bool| {
        let (one, other) = (dir.open_file(b"plain").expect("one"), dir.open_file(name).expect("other"));
        let mut read = 0;
        let same = content::is_same(
            &one,
            &other,
            Shape { size: large, holes },
            (&mut Buffer::default(), &mut Buffer::default()),
            &mut |bytes| {
                read += bytes;
                Ok(())
            },
        );
        assert!(!holes || read < 1 << 20, "holes are not read");
        same.expect("compared")
    };
    for holes in [false, true] {
        assert!(is_same(b"plain", holes) && is_same(b"equal", holes));
        for other in ["other-end", "other-middle", "longer", "shorter"] {
            assert!(!is_same(other.as_bytes(), holes), "{other}");
        }
    }
}

#[test]
fn what_is_known_is_not_copied_and_what_the_buffer_holds_is_read_once() {
    let (_own, dir) = ground();
    let at_once = content::AT_ONCE;
    for (name, pieces, size, times) in [
        ("one piece", vec![(0, vec![7; 5000])], 5000, 1),
        ("all that is read at once", vec![(0, vec![7; at_once])], at_once, 1),
        ("a byte more", vec![(0, vec![7; at_once + 1])], at_once + 1, 2),
        ("a hole before the end", vec![(100_000, vec![7; 5000])], 105_000, 2),
        ("a hole at the end", vec![(0, vec![7; 5000])], 100_000, 2),
        ("nothing but a hole", vec![], 100_000, 0),
    ] {
        let file = dir.create_file(name.as_bytes()).expect("made");
        pieces.iter().for_each(|(offset, bytes)| file.write_at(bytes, *offset).expect("written"));
        file.set_size(size as u64).expect("sized");
        let from = dir.open_file(name.as_bytes()).expect("open");
        let stat = from.stat().expect("attributes");
        let copy_unless = |known: bool, to: &[u8]| {
            let to = dir.create_file(to).expect("a target");
            let mut bytes_read = 0;
            let watch = &mut |count| {
                bytes_read += count;
                Ok(())
            };
            let buffer = &mut Buffer::default();
            let done = content::copy_unless(|_| known, (&from, Shape::from(&stat)), &to, buffer, watch);
            (done.expect("read"), bytes_read, to)
        };
        let wanted = from.read_all(1 << 20).expect("read");
        let ((read, is_copied), bytes_read, to) = copy_unless(false, format!("copy of {name}").as_bytes());
        assert_eq!(
            (read.hash, read.size, is_copied),
            (ContentHash::of(&wanted), size as u64, true),
            "{name}"
        );
        assert_eq!(bytes_read, times * read.data_bytes, "{name}");
        assert_eq!(to.read_all(1 << 20).expect("read"), wanted, "{name}");
        assert_eq!(to.stat().expect("attributes").has_holes(), stat.has_holes(), "{name}");
        let (again, bytes_read, to) = copy_unless(true, format!("no copy of {name}").as_bytes());
        assert_eq!((again, bytes_read), ((read, false), read.data_bytes), "{name}");
        assert_eq!(to.stat().expect("attributes").size, 0, "{name}");
    }
}

#[test]
fn a_file_is_opened_by_its_path_below_a_directory() {
    let (_own, dir) = ground();
    dir.make_dir(b"sub").expect("made");
    dir.open_dir(b"sub")
        .expect("open")
        .create_file(b"file")
        .expect("made")
        .write_at(b"x", 0)
        .expect("written");
    dir.make_symlink(b"link", b"sub").expect("made");
    assert_eq!(dir.open_file_within(b"sub/file").expect("open").read_all(9).expect("read"), b"x");
    assert!(dir.open_file_within(b"link/file").is_err_and(|fault| fault.is(Errno::LOOP)));
    assert!(dir.open_file_within(b"sub/../sub/../../x").is_err_and(|fault| fault.is(Errno::XDEV)));
}

#[test]
fn a_file_is_locked_once() {
    let (_own, dir) = ground();
    dir.create_file(b"file").expect("made");
    let lock = || Lock::try_on(dir.open_file(b"file").expect("open")).expect("locks are known");
    let held = lock().expect("free");
    assert!(lock().is_none());
    // As a child has it between fork and exec.
    let inherited = held.file().as_fd().try_clone_to_owned().expect("duplicated");
    drop(held);
    assert!(lock().is_some());
    drop(inherited);
}
