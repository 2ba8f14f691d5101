//! A catalog in which bytes were changed: an error or rows, never a panic and never an endless walk. The input says which:
//! four bytes for the place, one for the byte.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use linksnap_catalog::{CatalogError, DirId, Reader};

/// No catalog of this size has more rows.
const MOST: usize = 100_000;

fuzz_target!(|data: &[u8]| {
    let mut bytes = sound().clone();
    for patch in data.chunks_exact(5).take(64) {
        let place = u32::from_le_bytes([patch[0], patch[1], patch[2], patch[3]]) as usize % bytes.len();
        bytes[place] = patch[4];
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("catalog.db");
    std::fs::write(&path, bytes).expect("written");
    drop(walk(&path));
});

fn walk(path: &Path) -> Result<(), CatalogError> {
    let reader = Reader::open(path)?;
    drop(reader.faults());
    drop(reader.accounts(4096));
    for snapshot in reader.published()? {
        let mut waiting = vec![DirId(0)];
        for _ in 0..MOST {
            let Some(directory) = waiting.pop() else { break };
            waiting.extend(reader.as_of(directory, snapshot.id)?.iter().filter_map(|row| row.version.child));
        }
    }
    Ok(())
}

/// A sound catalog, with everything in it: made once.
fn sound() -> &'static Vec<u8> {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let path =
            std::env::var_os("LINKSNAP_FUZZ_CATALOG").expect("LINKSNAP_FUZZ_CATALOG names a catalog.db");
        std::fs::read(path).expect("a catalog")
    })
}
