//! What identifies the debug file of an ELF module.

use super::elf::Image;
use super::elf_file::ElfFile;
use crate::target::{DebugId, MemorySource};

/// Bytes of `.text` that Breakpad's stand-in covers.
const HASHED: u64 = 4096;

/// The build id of an image: from its notes in memory, else from its file,
/// else Breakpad's stand-in for one. `file` is asked for only if memory does
/// not say.
pub(super) fn find<'f>(
    memory: &dyn MemorySource,
    image: &Image,
    file: impl FnOnce() -> Option<&'f ElfFile>,
) -> DebugId {
    if let Some(id) = image.build_id(memory) {
        return DebugId::ElfBuildId(id);
    }
    let Some(file) = file() else { return DebugId::None };
    match file.build_id().or_else(|| text_hash(file)) {
        Some(id) => DebugId::ElfBuildId(id),
        None => DebugId::None,
    }
}

/// What Breakpad's tools take for a build id where a file has none: the first
/// page of `.text`, its 16-byte blocks combined by exclusive or.
fn text_hash(file: &ElfFile) -> Option<Vec<u8>> {
    let text = file.read(file.section(".text")?, HASHED)?;
    let hash = hash_blocks(text.as_slice());
    (!text.as_slice().is_empty()).then(|| hash.to_vec())
}

fn hash_blocks(text: &[u8]) -> [u8; 16] {
    let mut hash = [0; 16];
    for block in text.chunks(16) {
        for (h, byte) in hash.iter_mut().zip(block) {
            *h ^= byte;
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_combines_blocks_and_takes_a_short_last_one() {
        let mut text = vec![0x0f; 16];
        text.extend_from_slice(&[0xff, 0x01]);
        let mut expected = [0x0f; 16];
        expected[0] = 0xf0;
        expected[1] = 0x0e;
        assert_eq!(hash_blocks(&text), expected);
    }
}
