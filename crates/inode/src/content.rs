//! The bytes of files: reading, hashing and copying them, holes kept.

use crate::fault::{Errno, Fault};
use crate::file::RegularFile;
use crate::sparse::SparseHasher;
use crate::stat::Stat;

/// The BLAKE3 hash of a file's bytes, holes read as zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The hash as stored; `None` unless there are exactly 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl std::fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// Something with bytes at offsets and perhaps holes between them.
pub trait Bytes {
    /// Reads into `buffer` from `offset` (`pread(2)`); 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault>;

    /// What is at `offset` and after: the next run of data, or a hole to the end
    /// (`SEEK_DATA` and `SEEK_HOLE`, `lseek(2)`).
    fn next_extent(&self, offset: u64) -> Result<Extent, Fault>;
}

/// A stretch of a file with holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Data from `start` to before `end`; what comes before `start` is a hole.
    Data {
        /// Offset of the first byte.
        start: u64,
        /// Offset after the last byte.
        end: u64,
    },
    /// Nothing but a hole up to the end of the file, at this offset.
    HoleTo(u64),
}

/// What came of reading a file to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The hash of what was read.
    pub hash: ContentHash,
    /// The size: the offset at which reading ended.
    pub size: u64,
    /// Bytes of data, holes not counted.
    pub data_bytes: u64,
}

/// Of a file larger than this so much at a time is sent on its way to the disk while it is copied: memory holds little
/// that is not on disk, so that a sync is short, whenever it comes.
const WRITE_EARLY: u64 = 32 << 20;

/// How many bytes are read at once.
pub const AT_ONCE: usize = 256 * 1024;

/// A buffer for reading, to be used again from file to file.
#[derive(Debug)]
pub struct Buffer(Box<[u8]>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; AT_ONCE].into_boxed_slice())
    }
}

/// What the attributes say of a file about to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its size in bytes.
    pub size: u64,
    /// Has it holes? If not, nobody asks where they are.
    pub holes: bool,
}

impl From<&Stat> for Shape {
    fn from(stat: &Stat) -> Self {
        Self { size: stat.size, holes: stat.has_holes() }
    }
}

/// Told of the number of bytes of every piece read; may stop the reading.
pub type Watch<'a> = &'a mut dyn FnMut(u64) -> Result<(), Fault>;

/// One piece of a file, from its beginning to its end.
pub(crate) enum Piece<'a> {
    /// These bytes.
    Data(&'a [u8]),
    /// So many bytes that no disk holds.
    Hole(u64),
}

/// Given every piece and the offset it begins at.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Piece<'_>, u64) -> Result<(), Fault>;

/// Reads `file` to the end and hashes it. `watch` is told of every piece read and may stop it.
pub fn hash(file: &impl Bytes, shape: Shape, buffer: &mut Buffer, watch: Watch<'_>) -> Result<Read, Fault> {
    pump(file, shape, buffer, watch, &mut |_, _| Ok(()))
}

/// Have two files, which ought to have `size` bytes each, the same bytes? A hole counts as zeros; what is a hole in both is
/// not read, if `holes` says that there are any. `watch` is told of every piece compared.
pub fn is_same(
    one: &impl Bytes,
    other: &impl Bytes,
    Shape { size, holes }: Shape,
    (buffer, second): (&mut Buffer, &mut Buffer),
    watch: Watch<'_>,
) -> Result<bool, Fault> {
    let mut offset = 0;
    let mut limit = if holes { 0 } else { u64::MAX };
    while offset < size {
        if offset >= limit {
            let (next, end) = first_of(next_extent(one, offset)?, next_extent(other, offset)?);
            (offset, limit) = (next.max(offset), end);
            if offset >= size {
                break;
            }
        }
        let room = (limit - offset).min(size - offset).min(AT_ONCE as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (left, right) = (&mut buffer.0[..room], &mut second.0[..room]);
        if !fill(one, left, offset)? || !fill(other, right, offset)? || left != right {
            return Ok(false);
        }
        offset += room as u64;
        watch(room as u64)?;
    }
    // Neither may be longer.
    Ok(one.read_at(&mut buffer.0[..1], size)? == 0 && other.read_at(&mut second.0[..1], size)? == 0)
}

/// Where the first data of either begin, and how far at most it is known what both are.
fn first_of(one: Extent, other: Extent) -> (u64, u64) {
    match (one, other) {
        (Extent::Data { start, end }, Extent::Data { start: second, end: second_end }) if start == second => {
            (start, end.min(second_end))
        }
        (Extent::Data { start, end }, Extent::Data { start: second, .. }) if start < second => {
            (start, end.min(second))
        }
        (Extent::Data { start, .. }, Extent::Data { start: second, end }) => (second, end.min(start)),
        (Extent::Data { start, end }, Extent::HoleTo(_))
        | (Extent::HoleTo(_), Extent::Data { start, end }) => (start, end),
        // Where the shorter one ends, reading finds it out.
        (Extent::HoleTo(end), Extent::HoleTo(second)) => (end.min(second), u64::MAX),
    }
}

/// Fills the buffer from `offset` on; `false` if there are not as many bytes.
fn fill(file: &impl Bytes, buffer: &mut [u8], offset: u64) -> Result<bool, Fault> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64)? {
            0 => return Ok(false),
            count => length += count,
        }
    }
    Ok(true)
}

/// Which side of a copy failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFault {
    /// Reading did, or the watcher stopped it.
    Reading(Fault),
    /// Writing did.
    Writing(Fault),
}

/// Copies `from` into the empty file `to` and hashes what was read; holes stay holes.
pub fn copy(
    from: &impl Bytes,
    shape: Shape,
    to: &RegularFile,
    buffer: &mut Buffer,
    watch: Watch<'_>,
) -> Result<Read, CopyFault> {
    let mut end_of_data = 0;
    let mut on_its_way = 0;
    let mut writing_failed = false;
    let pumped = pump(from, shape, buffer, watch, &mut |piece, offset| {
        let Piece::Data(bytes) = piece else { return Ok(()) };
        end_of_data = offset + bytes.len() as u64;
        to.write_at(bytes, offset).inspect_err(|_| writing_failed = true)?;
        if end_of_data - on_its_way >= WRITE_EARLY {
            to.begin_writing(on_its_way, end_of_data - on_its_way);
            on_its_way = end_of_data;
        }
        Ok(())
    });
    let side = if writing_failed { CopyFault::Writing } else { CopyFault::Reading };
    let read = pumped.map_err(side)?;
    if end_of_data < read.size {
        to.set_size(read.size).map_err(CopyFault::Writing)?;
    }
    Ok(read)
}

/// Copies `from` into the empty file `to`, unless it is what `is_known`; says what was read, and whether it was copied.
/// A file of at most [`AT_ONCE`] bytes without holes is read once only.
pub fn copy_unless(
    is_known: impl FnOnce(&Read) -> bool,
    (from, shape): (&impl Bytes, Shape),
    to: &RegularFile,
    buffer: &mut Buffer,
    watch: Watch<'_>,
) -> Result<(Read, bool), CopyFault> {
    let mut pieces = 0;
    let read = pump(from, shape, buffer, watch, &mut |_, _| {
        pieces += 1;
        Ok(())
    });
    let read = read.map_err(CopyFault::Reading)?;
    if is_known(&read) {
        return Ok((read, false));
    }
    // Is all of it in the buffer still?
    if pieces == 1 && read.data_bytes == read.size {
        let bytes = &buffer.0[..usize::try_from(read.size).unwrap_or(usize::MAX)];
        to.write_at(bytes, 0).map_err(CopyFault::Writing)?;
        return Ok((read, true));
    }
    copy(from, shape, to, buffer, watch).map(|read| (read, true))
}

/// Reads `file` to the end, hashes it, and gives every piece to `sink`.
pub(crate) fn pump(
    file: &impl Bytes,
    shape: Shape,
    buffer: &mut Buffer,
    watch: Watch<'_>,
    sink: Sink<'_>,
) -> Result<Read, Fault> {
    let mut hasher = SparseHasher::default();
    let mut offset = 0;
    let mut data_bytes = 0;
    let mut limit = if shape.holes { 0 } else { u64::MAX };
    loop {
        if offset >= limit {
            match next_extent(file, offset)? {
                Extent::Data { start, end } => {
                    let hole = start.saturating_sub(offset);
                    hasher.zeros(hole);
                    sink(Piece::Hole(hole), offset)?;
                    (offset, limit) = (start, end);
                }
                Extent::HoleTo(end) => {
                    let hole = end.saturating_sub(offset);
                    hasher.zeros(hole);
                    sink(Piece::Hole(hole), offset)?;
                    offset = end.max(offset);
                    break;
                }
            }
        }
        let room = usize::try_from(limit - offset).unwrap_or(usize::MAX).min(buffer.0.len());
        let count = file.read_at(&mut buffer.0[..room], offset)?;
        if count == 0 {
            break;
        }
        let bytes = &buffer.0[..count];
        hasher.update(bytes);
        sink(Piece::Data(bytes), offset)?;
        offset += count as u64;
        data_bytes += count as u64;
        watch(count as u64)?;
        // The expected size is the end: no need to ask again, and no chase after a log that grows as fast as
        // it is read. A file that grew meanwhile does not go unnoticed, for the caller looks at its attributes
        // once more.
        if offset >= shape.size {
            break;
        }
    }
    Ok(Read { hash: ContentHash(*hasher.finalize().as_bytes()), size: offset, data_bytes })
}

fn next_extent(file: &impl Bytes, offset: u64) -> Result<Extent, Fault> {
    match file.next_extent(offset) {
        // Not every filesystem can tell: read it all.
        Err(fault) if fault.is(Errno::INVAL) || fault.is(Errno::NOTSUP) => {
            Ok(Extent::Data { start: offset, end: u64::MAX })
        }
        other => other,
    }
}
