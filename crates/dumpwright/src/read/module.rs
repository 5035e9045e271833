//! Modules, loaded and unloaded.

use super::code_view::CodeView;
use super::error::ReadResult;
use super::minidump::{Location, Minidump};
use super::string::Allowance;
use super::thread::ListHead;
use dumpwright_format::minidump::{self as wire, StreamType, VS_FFI_SIGNATURE};

/// The longest CodeView record that is read: a PDB's path fits easily.
const MAX_RECORD: usize = 0x1_0000;

/// An entry of the ModuleList stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Load address.
    pub base: u64,
    /// Size in memory.
    pub size: u32,
    /// Checksum of the PE header.
    pub check_sum: u32,
    /// Timestamp of the PE header, seconds since 1970.
    pub time_date_stamp: u32,
    /// File offset of the name.
    pub name_rva: u32,
    /// The name, often a whole path.
    pub name: Option<String>,
    /// File version, if there is version information that says anything.
    pub file_version: Option<[u16; 4]>,
    /// Product version, likewise.
    pub product_version: Option<[u16; 4]>,
    /// Where the CodeView record is.
    pub code_view_location: Location,
    /// The CodeView record.
    pub code_view: Option<CodeView>,
    /// Where the record of another kind of debug information is.
    pub misc_location: Location,
}

impl Module {
    /// Address past its end; at most `u64::MAX`.
    pub fn end(&self) -> u64 {
        self.base.saturating_add(self.size.into())
    }

    /// The debug identifier in Breakpad's form.
    pub fn debug_id(&self) -> Option<String> {
        self.code_view.as_ref().and_then(CodeView::debug_id)
    }
}

/// An entry of the UnloadedModuleList stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedModule {
    /// Load address it had.
    pub base: u64,
    /// Size it had.
    pub size: u32,
    /// Checksum of the PE header.
    pub check_sum: u32,
    /// Timestamp of the PE header.
    pub time_date_stamp: u32,
    /// File offset of the name.
    pub name_rva: u32,
    /// The name.
    pub name: Option<String>,
}

impl Minidump {
    /// The loaded modules, from the ModuleList stream.
    pub fn modules(&self) -> ReadResult<Option<Vec<Module>>> {
        let Some(bytes) = self.load(StreamType::MODULE_LIST)? else { return Ok(None) };
        let mut allowance = self.allowance();
        let modules = bytes.counted_list()?.map(|entry| self.module(&entry, &mut allowance));
        Ok(Some(modules.collect()))
    }

    fn module(&self, entry: &wire::Module, allowance: &mut Allowance) -> Module {
        let version = &entry.version_info;
        let has_version = version.signature.get() == VS_FFI_SIGNATURE;
        let code_view_location = Location::from(entry.cv_record);
        let code_view = self
            .referred_bytes(code_view_location.rva, code_view_location.size, MAX_RECORD, allowance)
            .and_then(|bytes| CodeView::decode(&bytes));
        Module {
            base: entry.base_of_image.get(),
            size: entry.size_of_image.get(),
            check_sum: entry.check_sum.get(),
            time_date_stamp: entry.time_date_stamp.get(),
            name_rva: entry.module_name_rva.get(),
            name: self.referred_string(entry.module_name_rva.get().into(), allowance),
            file_version: has_version
                .then(|| four(version.file_version_hi.get(), version.file_version_lo.get())),
            product_version: has_version
                .then(|| four(version.product_version_hi.get(), version.product_version_lo.get())),
            code_view_location,
            code_view,
            misc_location: entry.misc_record.into(),
        }
    }

    /// Modules that were loaded once, from the UnloadedModuleList stream.
    pub fn unloaded_modules(&self) -> ReadResult<Option<Vec<UnloadedModule>>> {
        let Some(bytes) = self.load(StreamType::UNLOADED_MODULE_LIST)? else { return Ok(None) };
        let head = ListHead::of(&bytes)?;
        let mut allowance = self.allowance();
        let modules =
            bytes.list(head.header, head.count, head.entry)?.map(|entry: wire::UnloadedModule| {
                UnloadedModule {
                    base: entry.base_of_image.get(),
                    size: entry.size_of_image.get(),
                    check_sum: entry.check_sum.get(),
                    time_date_stamp: entry.time_date_stamp.get(),
                    name_rva: entry.module_name_rva.get(),
                    name: self.referred_string(entry.module_name_rva.get().into(), &mut allowance),
                }
            });
        Ok(Some(modules.collect()))
    }
}

fn four(high: u32, low: u32) -> [u16; 4] {
    [(high >> 16) as u16, high as u16, (low >> 16) as u16, low as u16]
}

#[cfg(test)]
mod tests {
    use super::super::synth::Synth;
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn a_module_is_read_with_name_version_and_debug_id() {
        let mut synth = Synth::new();
        let mut entry = wire::Module::new_zeroed();
        entry.base_of_image = 0x40_0000.into();
        entry.size_of_image = 0x1000.into();
        entry.module_name_rva = synth.string("/lib/liböl.so").into();
        entry.version_info.signature = VS_FFI_SIGNATURE.into();
        entry.version_info.file_version_hi = 0x0001_0002.into();
        entry.version_info.file_version_lo = 0x0003_0004.into();
        entry.cv_record.rva = synth.put(b"LEpB\xaa\xbb").into();
        entry.cv_record.data_size = 6.into();
        synth.list(StreamType::MODULE_LIST, &[entry]);
        let module = synth.open().modules().unwrap().unwrap().remove(0);
        assert_eq!(module.name.as_deref(), Some("/lib/liböl.so"));
        assert_eq!(module.file_version, Some([1, 2, 3, 4]));
        assert_eq!(module.code_view, Some(CodeView::ElfBuildId(vec![0xaa, 0xbb])));
    }

    #[test]
    fn names_that_many_modules_share_cost_no_more_than_the_allowance() {
        let mut synth = Synth::new();
        let name = synth.string(&"x".repeat(60_000));
        let mut entry = wire::Module::new_zeroed();
        entry.module_name_rva = name.into();
        synth.list(StreamType::MODULE_LIST, &vec![entry; 2000]);
        let dump = synth.open();
        let modules = dump.modules().unwrap().unwrap();
        let total: usize = modules.iter().filter_map(|m| m.name.as_ref()).map(String::len).sum();
        assert_eq!(modules.len(), 2000);
        assert!(total as u64 <= dump.len() * 4 + (1 << 20), "{total}");
    }
}
