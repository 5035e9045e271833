//! The modules: the loader's list, and what each image says of itself.

use super::memory::WindowsMemory;
use super::sys::memory::{PageRange, mapped_file};
use super::sys::{process, system};
use crate::soft_error::SoftError;
use crate::target::nt::loader::{self, LoadedModule};
use crate::target::nt::pe::PeImage;
use crate::target::nt::unloaded::{self, TraceVariables};
use crate::target::nt::wow64;
use crate::target::{ModuleSnapshot, UnloadedModuleSnapshot};
use dumpwright_format::minidump::MEM_IMAGE;
use dumpwright_format::nt::NtOffsets;

/// The modules as the loader has them, the executable first. A process whose
/// loader has not begun has the images that are mapped.
pub(super) fn loaded(
    memory: &WindowsMemory,
    offsets: &NtOffsets,
    peb: u64,
    ranges: &[PageRange],
    notes: &mut Vec<SoftError>,
) -> Vec<LoadedModule> {
    if let Some(modules) = loader::modules(memory, offsets, peb) {
        return modules;
    }
    notes.push(SoftError::new(
        "modules",
        "the process has no list of its modules yet; the images that are mapped stand for it",
    ));
    let executable = process::image_path(memory.process()).unwrap_or_default();
    let starts =
        ranges.iter().filter(|r| r.memory_type == MEM_IMAGE && r.base == r.allocation_base);
    let mut modules: Vec<_> = starts
        .filter_map(|range| {
            let image = PeImage::read(memory, range.base)?;
            let path = mapped_file(memory.process(), range.base)
                .unwrap_or_else(|| format!("image at {:#x}", range.base));
            Some(LoadedModule { entry: 0, base: image.base, size: image.size, path })
        })
        .collect();
    let file_name = |path: &str| path.rsplit('\\').next().unwrap_or(path).to_lowercase();
    let own = file_name(&executable);
    if let Some(position) = modules.iter().position(|m| file_name(&m.path) == own) {
        modules[position].path = executable;
        modules[..=position].rotate_right(1);
    }
    modules
}

/// Which of the modules has a file of that name, which is in lower case.
pub(super) fn index_of(modules: &[ModuleSnapshot], name: &str) -> Option<usize> {
    modules.iter().position(|module| {
        module.path.to_lowercase().strip_suffix(name).is_some_and(|head| head.ends_with('\\'))
    })
}

/// The modules that were unloaded, as the target's ntdll remembers them.
pub(super) fn unloaded(
    memory: &WindowsMemory,
    offsets: &NtOffsets,
    modules: &[ModuleSnapshot],
    images: &[Option<PeImage>],
    notes: &mut Vec<SoftError>,
) -> Vec<UnloadedModuleSnapshot> {
    let find = || {
        let ntdll = images.get(index_of(modules, "ntdll.dll")?)?.as_ref()?;
        let variables = if ntdll.is_wide {
            // Where those of our own ntdll are, which is the same file.
            let (ours, variables) = system::unload_trace()?;
            let [element_size, element_count, trace] =
                variables.map(|at| at.wrapping_sub(ours).wrapping_add(ntdll.base));
            TraceVariables { element_size, element_count, trace }
        } else {
            wow64::unload_trace(memory, ntdll)?
        };
        unloaded::modules(memory, offsets, variables)
    };
    find().unwrap_or_else(|| {
        notes.push(SoftError::new("unloaded modules", "ntdll's trace of them cannot be read"));
        Vec::new()
    })
}
