//! A module as its image in memory describes it.

use super::loader::LoadedModule;
use super::pe::PeImage;
use super::version::file_version;
use crate::soft_error::SoftError;
use crate::target::{DebugId, MemorySource, ModuleSnapshot};

/// What the image of a module says.
pub(crate) fn describe(
    memory: &dyn MemorySource,
    module: &LoadedModule,
    image: Option<&PeImage>,
    page_size: u64,
    headers: bool,
    notes: &mut Vec<SoftError>,
) -> ModuleSnapshot {
    let Some(image) = image else {
        let message = "its headers cannot be read in memory; what identifies it is missing";
        notes.push(SoftError::new(format!("module {}", module.path), message));
        return ModuleSnapshot {
            base: module.base,
            size: module.size,
            path: module.path.clone(),
            debug_id: DebugId::None,
            version: None,
            time_date_stamp: 0,
            check_sum: 0,
            segments: Vec::new(),
            headers: Vec::new(),
        };
    };
    ModuleSnapshot {
        base: module.base,
        size: image.size,
        path: module.path.clone(),
        debug_id: image.debug_id(memory),
        version: file_version(memory, image),
        time_date_stamp: image.time_date_stamp,
        check_sum: image.check_sum,
        segments: image.segments(page_size),
        headers: if headers { image.header_ranges(memory) } else { Vec::new() },
    }
}
