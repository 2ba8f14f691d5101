//! Compares small files of which few could be equal, byte by byte: nothing is hashed, and nothing left to chance.

use std::ops::Range;

use linksnap_inode::ContentHash;

use super::read::{Buffers, Candidate, Count, Looked, Reader, Seen};

/// What tells the contents of the files of one class from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Content {
    /// The hash of all.
    Hash([u8; 32]),
    /// The bytes of the file with this place in the list of files.
    Of(usize),
}

/// A file that was read: where its bytes are in the buffer, and the hash of its extended attributes.
struct Small {
    bytes: Range<usize>,
    xattrs: Option<ContentHash>,
}

/// Reads all files of some classes in the order of the files, each once, and compares those of each class.
pub(super) fn classes(
    reader: &Reader<'_>,
    classes: &[&[Candidate]],
    count: &Count,
    buffers: &mut Buffers,
) -> Vec<Looked<Seen>> {
    let members: Vec<&Candidate> = classes.iter().copied().flatten().collect();
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_unstable_by_key(|at| members[*at].file);
    let mut small: Vec<Looked<Option<Small>>> = members.iter().map(|_| Ok(None)).collect();
    let mut end = 0;
    for at in order {
        small[at] = read(reader, members[at], &mut end, count, &mut buffers.contents);
    }
    contents(&members, small, &buffers.contents)
}

/// Reads a file to the `end` of what is in the buffer. Of one that is shorter than it was found to be, nothing is known.
fn read(
    reader: &Reader<'_>,
    candidate: &Candidate,
    end: &mut usize,
    count: &Count,
    buffer: &mut Vec<u8>,
) -> Looked<Option<Small>> {
    let read = reader.look(candidate, count, |file, opened| {
        let start = *end;
        let bytes = start..start.saturating_add(usize::try_from(file.stat.size).unwrap_or(usize::MAX));
        if buffer.len() < bytes.end {
            buffer.resize(bytes.end, 0);
        }
        if !reader.fill(opened, &mut buffer[bytes.clone()])? {
            return Ok(None);
        }
        *end = bytes.end;
        Ok(Some(Small { bytes, xattrs: reader.xattrs(opened)? }))
    });
    read.map(Option::flatten)
}

/// To each the content of the first of its class that has the same bytes.
fn contents(members: &[&Candidate], small: Vec<Looked<Option<Small>>>, buffer: &[u8]) -> Vec<Looked<Seen>> {
    // Those of the present class that are like none before them.
    let mut firsts: Vec<(&Candidate, Range<usize>)> = Vec::new();
    let mut all = Vec::with_capacity(members.len());
    for (member, small) in members.iter().zip(small) {
        all.push(small.map(|small| {
            let Some(Small { bytes, xattrs }) = small else { return Seen::Nothing };
            firsts.retain(|(first, _)| first.class == member.class);
            let same = firsts.iter().find(|(_, other)| buffer[other.clone()] == buffer[bytes.clone()]);
            let file = same.map(|(first, _)| first.file);
            if file.is_none() {
                firsts.push((member, bytes));
            }
            Seen::Whole(Content::Of(file.unwrap_or(member.file)), xattrs)
        }));
    }
    all
}
