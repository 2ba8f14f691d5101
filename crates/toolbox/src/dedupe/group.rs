//! Decides which of equal files stays, and which become it. Pure.

use std::cmp::Reverse;
use std::os::unix::ffi::OsStringExt;

use linksnap_inode::Timestamp;

use super::{File, Group, Left, LeftReason, Plan, Share, is_young};

/// Why a file is the one that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has more names than any other.
    MostLinks,
    /// It is the oldest of those with most names.
    Oldest,
    /// Its path comes first.
    FirstPath,
    /// The one before has as many names as the filesystem allows.
    LinkLimit,
}

/// What decides about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    /// All names of the inode.
    links: u32,
    /// Those that can be made names of another.
    names: u32,
    mtime: Timestamp,
    path: Vec<u8>,
}

/// The places of a survivor and of its losers in the list of members.
type Choice = (usize, Reason, Vec<usize>);

/// Chooses the survivors of equal files; where one inode cannot have so many names, several. What would stay alone is in no
/// choice.
fn choose(members: &[Member], limit: Option<u32>) -> Vec<Choice> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|at| {
        let Member { links, mtime, path, .. } = &members[*at];
        (Reverse(*links), *mtime, path)
    });
    let mut reason = reason(members, &order);
    let mut choices = Vec::new();
    while let Some((survivor, rest)) = order.split_first() {
        let mut room = limit.map_or(u32::MAX, |limit| limit.saturating_sub(members[*survivor].links));
        let (losers, others): (Vec<usize>, Vec<usize>) = rest.iter().partition(|at| {
            let fits = members[**at].names <= room;
            room -= if fits { members[**at].names } else { 0 };
            fits
        });
        if !losers.is_empty() {
            choices.push((*survivor, reason, losers));
        }
        reason = Reason::LinkLimit;
        order = others;
    }
    choices
}

fn reason(members: &[Member], order: &[usize]) -> Reason {
    let [first, second, ..] = order else { return Reason::FirstPath };
    let (first, second) = (&members[*first], &members[*second]);
    if first.links > second.links {
        Reason::MostLinks
    } else if first.mtime < second.mtime {
        Reason::Oldest
    } else {
        Reason::FirstPath
    }
}

/// The groups of a plan, what frees most first.
pub(super) fn groups(plan: &mut Plan, classes: Vec<Vec<File>>, limits: &[Option<u32>]) -> Vec<Group> {
    let mut groups = Vec::new();
    for class in classes {
        let (young, class): (Vec<File>, Vec<File>) =
            class.into_iter().partition(|file| is_young(&file.stat, plan.options.now));
        let young = young.iter().map(|file| Left { path: plan.path(file.names[0]), why: LeftReason::Young });
        let young: Vec<Left> = young.collect();
        plan.left.extend(young);
        groups.extend(groups_of(plan, class, limits));
    }
    plan.left.sort_by(|one, other| one.path.cmp(&other.path));
    groups.sort_unstable_by(|(one_path, one), (other_path, other)| {
        other.freed_bytes().cmp(&one.freed_bytes()).then_with(|| one_path.cmp(other_path))
    });
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Groups, each with the first path of its survivor.
fn groups_of(plan: &mut Plan, class: Vec<File>, limits: &[Option<u32>]) -> Vec<(Vec<u8>, Group)> {
    let Some(first) = class.first() else { return Vec::new() };
    let limit = match plan.options.share {
        Share::Links => limits[plan.directories[first.names[0].directory as usize].0],
        Share::Blocks => None,
    };
    let mut members: Vec<Member> = class.iter().map(|file| member(plan, file)).collect();
    let choices = choose(&members, limit);
    let mut class: Vec<Option<File>> = class.into_iter().map(Some).collect();
    let mut groups = Vec::new();
    for (survivor, reason, losers) in choices {
        let mut losers: Vec<File> = losers.into_iter().filter_map(|at| class[at].take()).collect();
        if plan.options.share == Share::Blocks {
            // A new inode would part the names below the roots from those elsewhere.
            let before = losers.len();
            losers.retain(|loser| loser.names_elsewhere() == 0);
            plan.omitted.names_elsewhere += (before - losers.len()) as u64;
        }
        match class[survivor].take() {
            Some(file) if !losers.is_empty() => {
                let path = std::mem::take(&mut members[survivor].path);
                groups.push((path, Group { survivor: file, reason, losers }));
            }
            _ => {}
        }
    }
    groups
}

fn member(plan: &Plan, file: &File) -> Member {
    Member {
        links: file.stat.links,
        names: u32::try_from(file.names.len()).unwrap_or(u32::MAX),
        mtime: file.stat.mtime,
        path: first_path(plan, file),
    }
}

fn first_path(plan: &Plan, file: &File) -> Vec<u8> {
    plan.path(file.names[0]).into_os_string().into_vec()
}

#[cfg(test)]
mod tests {
    use super::{Member, Reason, choose};
    use linksnap_inode::Timestamp;

    fn member(path: &str, links: u32, names: u32, seconds: i64) -> Member {
        Member { links, names, mtime: Timestamp { seconds, nanoseconds: 0 }, path: path.into() }
    }

    #[test]
    fn most_links_then_the_oldest_then_the_first_path_stays() {
        let (a, b) = (member("/a", 1, 1, 5), member("/b", 1, 1, 5));
        assert_eq!(choose(&[b.clone(), a.clone()], None), [(1, Reason::FirstPath, vec![0])]);
        let old = member("/c", 1, 1, 4);
        assert_eq!(choose(&[b.clone(), a.clone(), old.clone()], None), [(2, Reason::Oldest, vec![1, 0])]);
        let linked = member("/d", 2, 1, 9);
        assert_eq!(choose(&[b, a, old, linked], None), [(3, Reason::MostLinks, vec![2, 1, 0])]);
        assert_eq!(choose(&[member("/a", 1, 1, 5)], None), []);
    }

    #[test]
    fn no_inode_gets_more_names_than_it_can_have() {
        let many: Vec<Member> = (0..7).map(|at| member(&format!("/{at}"), 1, 1, 0)).collect();
        assert_eq!(
            choose(&many, Some(3)),
            [(0, Reason::FirstPath, vec![1, 2]), (3, Reason::LinkLimit, vec![4, 5])],
            "the last one stays alone"
        );
        let groups =
            [member("/a", 4, 4, 0), member("/b", 3, 3, 0), member("/c", 1, 1, 0), member("/d", 1, 1, 0)];
        assert_eq!(
            choose(&groups, Some(5)),
            [(0, Reason::MostLinks, vec![2]), (1, Reason::LinkLimit, vec![3])]
        );
        assert_eq!(
            choose(&groups, Some(8)),
            [(0, Reason::MostLinks, vec![1, 2])],
            "the whole of a group or nothing"
        );
        let full = [member("/a", 3, 3, 0), member("/b", 1, 1, 0)];
        assert_eq!(choose(&full, Some(3)), []);
    }
}
