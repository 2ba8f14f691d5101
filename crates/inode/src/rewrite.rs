//! Rewrite: makes a clone of an old file what a new one is, writing only the blocks that differ.
//!
//! What has not changed stays shared with the old file, and costs no block. The old file is read, never written;
//! whatever it holds, the clone holds the new file's bytes in the end, for each block was compared or written.

use crate::content::{self, Buffer, Bytes, CopyFault, Extent, Piece, Read, Shape, Watch};
use crate::fault::Fault;
use crate::file::RegularFile;

/// What is compared and written at once, in bytes: the block of nearly every filesystem. Where blocks are larger
/// the filesystem makes whole ones of it.
const BLOCK: usize = 4096;

/// If nothing of so many bytes is as it was, nobody looks at the rest of the old file.
const HOPELESS: u64 = 8 << 20;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// What was read of the new file.
    pub read: Read,
    /// Bytes that differed, and were written.
    pub written_bytes: u64,
}

/// Makes `clone`, which is a clone of `old`, what `from` is; hashes what was read. Holes are where `from` has them.
pub fn rewrite(
    from: &impl Bytes,
    shape: Shape,
    (old, clone): (&RegularFile, &RegularFile),
    buffer: &mut Buffer,
    watch: Watch<'_>,
) -> Result<Rewritten, CopyFault> {
    let before = old.stat().map_err(CopyFault::Writing)?;
    let mut patch = Patch {
        old,
        clone,
        old_size: before.size,
        old_has_holes: before.has_holes(),
        there: vec![0; content::AT_ONCE].into_boxed_slice(),
        same_bytes: 0,
        written_bytes: 0,
    };
    let mut patching_failed = false;
    let read = content::pump(from, shape, buffer, watch, &mut |piece, offset| {
        patch.take(&piece, offset).inspect_err(|_| patching_failed = true)
    });
    let side = if patching_failed { CopyFault::Writing } else { CopyFault::Reading };
    let read = read.map_err(side)?;
    // Cuts off what the old file had more, and makes a hole at the end as long as it must be.
    clone.set_size(read.size).map_err(CopyFault::Writing)?;
    Ok(Rewritten { read, written_bytes: patch.written_bytes })
}

struct Patch<'a> {
    old: &'a RegularFile,
    clone: &'a RegularFile,
    old_size: u64,
    old_has_holes: bool,
    there: Box<[u8]>,
    same_bytes: u64,
    written_bytes: u64,
}

impl Patch<'_> {
    fn take(&mut self, piece: &Piece<'_>, offset: u64) -> Result<(), Fault> {
        match piece {
            Piece::Hole(length) => self.punch(offset, *length),
            Piece::Data(bytes) if self.is_hopeless() => self.write(bytes, offset),
            Piece::Data(bytes) => self.compare(bytes, offset),
        }
    }

    fn is_hopeless(&self) -> bool {
        self.same_bytes == 0 && self.written_bytes >= HOPELESS
    }

    fn punch(&self, offset: u64, length: u64) -> Result<(), Fault> {
        let length = length.min(self.old_size.saturating_sub(offset));
        if length == 0 { Ok(()) } else { self.clone.punch(offset, length) }
    }

    /// Writes the runs of blocks that are not what the old file has there. Of what cannot be read in it, all.
    fn compare(&mut self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        let Ok(there) = self.read_old(bytes.len(), offset) else { return self.write(bytes, offset) };
        let mut from = 0;
        while from < bytes.len() {
            let same = self.is_same(block(bytes, from), there, (from, offset))?;
            let mut to = from + block(bytes, from).len();
            while to < bytes.len() && same == self.is_same(block(bytes, to), there, (to, offset))? {
                to += block(bytes, to).len();
            }
            if same {
                self.same_bytes += (to - from) as u64;
            } else {
                self.write(&bytes[from..to], offset + from as u64)?;
            }
            from = to;
        }
        Ok(())
    }

    /// Reads what the old file has there; says how many bytes there are.
    fn read_old(&mut self, wanted: usize, offset: u64) -> Result<usize, Fault> {
        let mut length = 0;
        while length < wanted {
            match self.old.read_at(&mut self.there[length..wanted], offset + length as u64)? {
                0 => break,
                count => length += count,
            }
        }
        Ok(length)
    }

    /// Is a block what the old file has at the same place? Zeros are not the same as a hole.
    fn is_same(&self, new: &[u8], there: usize, (at, offset): (usize, u64)) -> Result<bool, Fault> {
        if new != block(&self.there[..there], at) {
            return Ok(false);
        }
        if !self.old_has_holes || new.iter().any(|byte| *byte != 0) {
            return Ok(true);
        }
        let at = offset + at as u64;
        Ok(matches!(self.old.next_extent(at)?, Extent::Data { start, .. } if start <= at))
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        self.written_bytes += bytes.len() as u64;
        self.clone.write_at(bytes, offset)
    }
}

/// The block that begins at `from`, as far as there are bytes.
fn block(bytes: &[u8], from: usize) -> &[u8] {
    &bytes[from.min(bytes.len())..(from + BLOCK).min(bytes.len())]
}
