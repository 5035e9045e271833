//! Doors for the fuzz targets to the parsers of module files and images.

use super::elf::Image;
use super::elf_file::ElfFile;
use super::link_map::LinkMap;
use super::{debug_id, time_zone, unwind};
use crate::target::Architecture;
use crate::target::fuzzing::{BASE, PAGE, Placed};
use std::fs::File;

/// An ELF image as it stands in memory, whose file holds the same bytes.
pub fn elf_image(bytes: &[u8], file: File) {
    let memory = Placed(bytes);
    let file = ElfFile::new(file, 0);
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let Some(image) = Image::at(&memory, architecture, BASE, PAGE) else { continue };
        let _ = image.soname(&memory);
        let _ = debug_id::find(&memory, &image, || file.as_ref());
        let _ = unwind::header_ranges(&memory, &image, file.as_ref(), PAGE);
        let _ = unwind::header_ranges(&memory, &image, None, PAGE);
        let _ = LinkMap::read(&memory, &image, &mut Vec::new());
        for load in &image.loads {
            assert!(load.address.checked_add(load.memory_size).is_some());
        }
    }
    let _ = file.and_then(|file| file.build_id());
}

/// A file of time zone data, or a rule as in `TZ`.
pub fn time_zone(bytes: &[u8]) {
    let _ = time_zone::in_file(bytes, 1_700_000_000);
    let _ = time_zone::in_rule(&String::from_utf8_lossy(bytes), 1_700_000_000);
}
