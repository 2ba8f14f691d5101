//! Edits by chance, over so few names and values that they meet often.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};

use crate::skip::is_root;
use crate::tree::aim::aim;
use crate::tree::edit::{Content, Edit};

/// Names that break programs: a newline, no UTF-8, an option; and plain ones, to meet.
/// Files mostly bear one of the first three, their directories one of the others.
const NAMES: [&[u8]; 6] = [b"a", b"-rf", b"\xff\xfe", b"b", b"new\nline", b"-\xc3"];

/// From the left edge of 32 bits over both sides of 1970 to the right of 2038, with and without nanoseconds.
const MTIMES: [(i64, u32); 7] = [
    (1_700_000_000, 0),
    (1_700_000_000, 123_456_789),
    (0, 0),
    (-1, 999_999_999),
    (-1_000_000_000, 1),
    (2_147_483_648, 5),
    (4_102_444_800, 987_654_321),
];

/// The owner may always read files and enter directories: what we cannot read we could not compare.
const MODES: [u32; 7] = [0o755, 0o700, 0o777, 0o711, 0o4755, 0o2750, 0o1777];

/// Version 2; user::rwx, user:1:r--, group::r--, mask::r--, other::---, each as tag, permissions, id (acl(5)).
const ACCESS_LIST: &[u8] = b"\x02\0\0\0\
    \x01\0\x07\0\xff\xff\xff\xff\x02\0\x04\0\x01\0\0\0\x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";

/// Attributes that only root may set: two of his own, file capabilities (revision 2, `capabilities(7)`), a label.
const ROOTS_ATTRIBUTES: [(&str, &[u8]); 4] = [
    ("trusted.a", b"1"),
    ("trusted.a", b""),
    ("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ("security.selinux", b"system_u:object_r:etc_t:s0\0"),
];

/// Up to `max` edits of a tree at most three levels deep with six names a level. They shrink to fewer edits with
/// plainer values. Edits that need something mostly find it. Changes of owner and devices are among them only for root.
pub fn arb_edits(max: usize) -> impl Strategy<Value = Vec<Edit>> {
    vec((arb_edit(), any::<Index>()), 0..=max).prop_map(aim)
}

fn arb_edit() -> BoxedStrategy<Edit> {
    let for_root = u32::from(is_root());
    prop_oneof![
        12 => arb_content_edit(),
        4 => arb_making_edit(),
        10 => arb_metadata_edit(),
        10 => arb_name_edit(),
        // The last: edits shrink towards the first, whatever the weight.
        2 * for_root => arb_root_edit(),
    ]
    .boxed()
}

fn arb_content_edit() -> BoxedStrategy<Edit> {
    prop_oneof![
        6 => (arb_path(), arb_content()).prop_map(|(path, content)| Edit::Write { path, content }),
        2 => (arb_path(), arb_content()).prop_map(|(path, content)| Edit::Replace { path, content }),
        2 => arb_path().prop_map(|path| Edit::Rewrite { path }),
        1 => arb_path().prop_map(|path| Edit::RewriteKeepingMtime { path }),
        1 => arb_path().prop_map(|path| Edit::Sparse { path, size: 200_000 }),
    ]
    .boxed()
}

fn arb_making_edit() -> BoxedStrategy<Edit> {
    prop_oneof![
        2 => arb_path_ending(&NAMES[3..]).prop_map(|path| Edit::Directory { path }),
        2 => (arb_path(), arb_target()).prop_map(|(path, target)| Edit::Symlink { path, target }),
        1 => arb_path().prop_map(|path| Edit::Fifo { path }),
        1 => arb_path().prop_map(|path| Edit::Socket { path }),
    ]
    .boxed()
}

fn arb_root_edit() -> BoxedStrategy<Edit> {
    prop_oneof![
        2 => (arb_path(), select(&[0, 1, 65_534][..]), select(&[0, 2][..]))
            .prop_map(|(path, uid, gid)| Edit::Owner { path, uid, gid }),
        1 => (arb_path(), select(&[(1, 3), (1, 5), (0, 0)][..]))
            .prop_map(|(path, (major, minor))| Edit::CharDevice { path, major, minor }),
        1 => (arb_path(), select(&[7, 8][..])).prop_map(|(path, minor)| Edit::BlockDevice { path, major: 7, minor }),
        // Root reads what nobody may read.
        1 => (arb_path(), select(&[0, 0o200, 0o111][..])).prop_map(|(path, mode)| Edit::Mode { path, mode }),
        2 => (arb_path(), select(&ROOTS_ATTRIBUTES[..]))
            .prop_map(|(path, (name, value))| Edit::SetXattr { path, name: name.into(), value: value.to_vec() }),
        1 => (arb_path(), select(&ROOTS_ATTRIBUTES[..]))
            .prop_map(|(path, (name, _))| Edit::RemoveXattr { path, name: name.into() }),
    ]
    .boxed()
}

fn arb_metadata_edit() -> BoxedStrategy<Edit> {
    let attribute = || select(&["user.a", "user.a", "user.b"][..]).prop_map(OsString::from);
    let value = select(vec![&b"1"[..], b"2", b""]).prop_map(<[u8]>::to_vec);
    prop_oneof![
        3 => (arb_path(), select(&MTIMES[..])).prop_map(|(path, mtime)| Edit::Mtime { path, mtime }),
        2 => (arb_path(), select(&MODES[..])).prop_map(|(path, mode)| Edit::Mode { path, mode }),
        2 => (arb_path(), attribute(), value)
            .prop_map(|(path, name, value)| Edit::SetXattr { path, name, value }),
        1 => (arb_path(), attribute()).prop_map(|(path, name)| Edit::RemoveXattr { path, name }),
        1 => (arb_path(), arb_access_list_name())
            .prop_map(|(path, name)| Edit::SetXattr { path, name, value: ACCESS_LIST.to_vec() }),
    ]
    .boxed()
}

fn arb_name_edit() -> BoxedStrategy<Edit> {
    prop_oneof![
        6 => (arb_path(), arb_path()).prop_map(|(existing, path)| Edit::HardLink { existing, path }),
        3 => (arb_path(), arb_path()).prop_map(|(from, to)| Edit::Rename { from, to }),
        1 => arb_path().prop_map(|path| Edit::Delete { path }),
    ]
    .boxed()
}

fn arb_path() -> BoxedStrategy<PathBuf> {
    arb_path_ending(&NAMES[..3])
}

/// Short paths are more likely: at 6 + 36 + 216 evenly drawn names hardly any two edits would meet.
/// Boxed, as the edits are: inline, the value trees of so many choices overflow the stack of a test thread.
fn arb_path_ending(leaves: &'static [&'static [u8]]) -> BoxedStrategy<PathBuf> {
    let depth = prop_oneof![4 => Just(1_usize), 2 => Just(2), 1 => Just(3)];
    depth
        .prop_flat_map(move |depth| {
            let parents = vec(arb_name(&NAMES[3..]), depth - 1);
            (parents, arb_name(leaves)).prop_map(|(parents, leaf)| {
                let names = parents.into_iter().chain([leaf]);
                names.map(OsStr::from_bytes).collect()
            })
        })
        .boxed()
}

/// Mostly one of the usual names. If files and directories shared all names, each would take the other away at once,
/// and no tree would grow.
fn arb_name(usual: &'static [&'static [u8]]) -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![6 => select(usual), 1 => select(&NAMES[..])]
}

fn arb_content() -> impl Strategy<Value = Content> {
    let bytes = [&b"one"[..], b"two", b"three", b""].map(|bytes| Content::Bytes(bytes.to_vec()));
    let long = [b'x', b'y'].map(|byte| Content::Repeated { byte, length: 70_000 });
    select(bytes.into_iter().chain(long).collect::<Vec<_>>())
}

/// To a name beside it, to nothing, to its directory, and out of the tree.
fn arb_target() -> impl Strategy<Value = OsString> {
    let targets: [&[u8]; 5] = [b"a", b"nowhere", b".", b"../../..", b"\xff\n"];
    select(targets.to_vec()).prop_map(|target| OsStr::from_bytes(target).to_os_string())
}

fn arb_access_list_name() -> impl Strategy<Value = OsString> {
    let names = ["system.posix_acl_access", "system.posix_acl_default"];
    select(names.to_vec()).prop_map(OsString::from)
}
