//! The version of an image: `VS_FIXEDFILEINFO` in its resources.

use super::pe::{PeImage, pod, table};
use crate::target::MemorySource;
use dumpwright_format::minidump::{VS_FFI_SIGNATURE, VsFixedFileInfo};
use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_RESOURCE, ImageResourceDataEntry, ImageResourceDirectory,
    ImageResourceDirectoryEntry,
};
use zerocopy::FromBytes;

/// `RT_VERSION`
const RT_VERSION: u32 = 16;
/// The bit that says that an entry leads to a directory.
const SUBDIRECTORY: u32 = 1 << 31;
/// More entries than the first two levels of any image's resources have.
const MOST_ENTRIES: u32 = 4096;
/// `VS_VERSIONINFO` up to the fixed part: three lengths, the key
/// `VS_VERSION_INFO` with its NUL, padding to 4.
const FIXED_AT: usize = 40;

/// File version of an image, from the first version resource. `None` if it has
/// none.
pub(crate) fn file_version(memory: &dyn MemorySource, image: &PeImage) -> Option<[u16; 4]> {
    let root = image.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE)?.start;
    let by_type = entries(memory, root, 0).find(|(name, _)| *name == RT_VERSION)?.1;
    let by_name = first(memory, root, by_type)?;
    let by_language = first(memory, root, by_name)?;
    if by_language & SUBDIRECTORY != 0 {
        return None;
    }
    let data: ImageResourceDataEntry = pod(memory, root.checked_add(by_language.into())?)?;
    let range = image.at(data.offset_to_data.get(LE), data.size.get(LE))?;
    let mut bytes = [0; FIXED_AT + size_of::<VsFixedFileInfo>()];
    if range.len() < bytes.len() as u64 || !memory.read_exact(range.start, &mut bytes) {
        return None;
    }
    let info = VsFixedFileInfo::read_from_bytes(&bytes[FIXED_AT..]).ok()?;
    if info.signature.get() != VS_FFI_SIGNATURE {
        return None;
    }
    let (high, low) = (info.file_version_hi.get(), info.file_version_lo.get());
    Some([(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16])
}

/// The first entry of the directory that an entry leads to.
fn first(memory: &dyn MemorySource, root: u64, entry: u32) -> Option<u32> {
    (entry & SUBDIRECTORY != 0)
        .then(|| entries(memory, root, entry & !SUBDIRECTORY).next().map(|(_, to)| to))
        .flatten()
}

/// Name or id, and where it leads, of each entry of a directory.
fn entries(
    memory: &dyn MemorySource,
    root: u64,
    offset: u32,
) -> impl Iterator<Item = (u32, u32)> + '_ {
    let at = root.checked_add(offset.into());
    let head = at.and_then(|at| pod::<ImageResourceDirectory>(memory, at));
    let count = head.map_or(0, |head| {
        let named = u32::from(head.number_of_named_entries.get(LE));
        (named + u32::from(head.number_of_id_entries.get(LE))).min(MOST_ENTRIES)
    });
    let first = at.unwrap_or(root).saturating_add(size_of::<ImageResourceDirectory>() as u64);
    table(memory, first, count).map(|entry: ImageResourceDirectoryEntry| {
        (entry.name_or_id.get(LE), entry.offset_to_data_or_directory.get(LE))
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeMemory;
    use super::super::pe::tests::{BASE, image};
    use super::*;

    /// Where the resources are.
    const ROOT: u64 = BASE + 0x1800;

    /// The image with a version resource: three directories of one entry each,
    /// then the data entry.
    fn with_version() -> FakeMemory {
        let mut memory = image();
        memory.put_u32(BASE + 0x80 + 24 + 112 + 8 * 2, 0x1800);
        memory.put_u32(BASE + 0x80 + 24 + 112 + 8 * 2 + 4, 0x200);
        for (level, (id, to)) in
            [(RT_VERSION, SUBDIRECTORY | 0x18), (1, SUBDIRECTORY | 0x30), (0x409, 72)]
                .iter()
                .enumerate()
        {
            let at = ROOT + 24 * level as u64;
            memory.put(at + 14, 1u16.to_le_bytes());
            memory.put_u32(at + 16, *id);
            memory.put_u32(at + 20, *to);
        }
        memory.put_u32(ROOT + 72, 0x1900);
        memory.put_u32(ROOT + 76, 0x5C);
        memory.put_u32(BASE + 0x1900 + 40, VS_FFI_SIGNATURE);
        memory.put_u32(BASE + 0x1900 + 48, 0x0006_0001);
        memory.put_u32(BASE + 0x1900 + 52, 0x1db1_0002);
        memory
    }

    fn version(memory: &FakeMemory) -> Option<[u16; 4]> {
        file_version(memory, &PeImage::read(memory, BASE).unwrap())
    }

    #[test]
    fn the_first_version_resource_tells_the_file_s_version() {
        assert_eq!(version(&with_version()), Some([6, 1, 0x1db1, 2]));
        assert_eq!(version(&image()), None, "an image without resources");
    }

    #[test]
    fn resources_that_lead_nowhere_have_no_version() {
        let mut memory = with_version();
        memory.put_u32(ROOT + 76, 0x5B);
        assert_eq!(version(&memory), None, "too short");
        memory.put_u32(ROOT + 48 + 20, SUBDIRECTORY | 0x30);
        assert_eq!(version(&memory), None, "a directory instead of data");
        memory.put_u32(ROOT + 20, SUBDIRECTORY | 0x7FFF_FFFF);
        assert_eq!(version(&memory), None, "outside of the image");
    }
}
