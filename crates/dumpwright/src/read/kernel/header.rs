//! The headers of both widths as one.

use super::Bytes;
use crate::read::error::ReadResult;
use crate::target::machine::{PageRun, Pfn};
use dumpwright_format::kernel::{
    DumpType, FILLER64, Header32, Header64, MACHINE_AMD64, MACHINE_ARM64, PhysicalMemoryRun64,
    is_filler,
};
use zerocopy::{FromBytes, IntoBytes};

/// Whether a kernel's addresses have 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// `DUMP_HEADER32`.
    Bits32,
    /// `DUMP_HEADER64`.
    Bits64,
}

/// A header, decoded. Fields that were never stored are `None`, or 0 where 0
/// says the same.
#[derive(Clone, Debug)]
pub struct KernelHeader {
    /// Which header it is.
    pub width: Width,
    /// `MajorVersion`.
    pub major_version: u32,
    /// `MinorVersion`: the build.
    pub minor_version: u32,
    /// `DirectoryTableBase`.
    pub directory_table_base: u64,
    /// `PfnDataBase`.
    pub pfn_data_base: u64,
    /// `PsLoadedModuleList`.
    pub loaded_module_list: u64,
    /// `PsActiveProcessHead`.
    pub active_process_head: u64,
    /// `MachineImageType`.
    pub machine: u32,
    /// `NumberProcessors`.
    pub processors: u32,
    /// `BugCheckCode`.
    pub bug_check_code: u32,
    /// The bug check's parameters.
    pub bug_check_parameters: [u64; 4],
    /// `PaeEnabled` of a 32-bit header.
    pub pae: bool,
    /// `KdDebuggerDataBlock`.
    pub debugger_data: u64,
    /// Runs of the physical memory block, as they stand there; empty if it was
    /// never stored.
    pub runs: Vec<PageRun>,
    /// Frames that the block says it has; `None` if it was never stored.
    pub pages: Option<u64>,
    /// Runs that the block says it has.
    pub stated_runs: u32,
    /// `ContextRecord`.
    pub context: Vec<u8>,
    /// The exception, as its record stands there.
    pub exception: Vec<u8>,
    /// The exception's code.
    pub exception_code: u32,
    /// The exception's address.
    pub exception_address: u64,
    /// `DumpType`.
    pub dump_type: DumpType,
    /// `RequiredDumpSpace`; `None` if never stored.
    pub required_dump_space: Option<u64>,
    /// `SystemTime`, a FILETIME; `None` if never stored.
    pub system_time: Option<u64>,
    /// `SystemUpTime` in 100 ns.
    pub system_up_time: Option<u64>,
    /// `Comment`, Latin-1.
    pub comment: Option<String>,
    /// `MiniDumpFields`.
    pub mini_dump_fields: Option<u32>,
    /// `ProductType`.
    pub product_type: Option<u32>,
    /// `SuiteMask`.
    pub suite_mask: Option<u32>,
    /// `WriterStatus`; 0 is good.
    pub writer_status: Option<u32>,
}

/// Decodes a header of either width: their fields have the same names. `$address`
/// reads an address that may never have been stored.
macro_rules! decoded {
    ($header:ident, $width:expr, $address:expr, $one_more:expr, pae: $pae:expr) => {{
        let block = &$header.physical_memory_block;
        let stated_runs = block.number_of_runs.get();
        let stored = !is_filler(stated_runs);
        let runs = block.runs.iter().copied().chain($one_more).take(stated_runs as usize);
        let runs = runs.map(|run| PageRun {
            base: Pfn(run.base_page.get().into()),
            count: run.page_count.get().into(),
        });
        KernelHeader {
            width: $width,
            major_version: $header.major_version.get(),
            minor_version: $header.minor_version.get(),
            directory_table_base: $address($header.directory_table_base.get()),
            pfn_data_base: $address($header.pfn_data_base.get()),
            loaded_module_list: $address($header.ps_loaded_module_list.get()),
            active_process_head: $address($header.ps_active_process_head.get()),
            machine: $header.machine_image_type.get(),
            processors: $header.number_processors.get(),
            bug_check_code: $header.bug_check_code.get(),
            bug_check_parameters: $header.bug_check_parameters.map(|p| p.get().into()),
            pae: $pae,
            debugger_data: $address($header.kd_debugger_data_block.get()),
            runs: if stored { runs.collect() } else { Vec::new() },
            pages: stored.then(|| block.number_of_pages.get().into()),
            stated_runs: if stored { stated_runs } else { 0 },
            context: $header.context_record.to_vec(),
            exception: $header.exception.as_bytes().to_vec(),
            exception_code: $header.exception.exception_code.get(),
            exception_address: $header.exception.exception_address.get().into(),
            dump_type: DumpType($header.dump_type.get()),
            required_dump_space: stored64($header.required_dump_space.get()),
            system_time: stored64($header.system_time.get()),
            system_up_time: stored64($header.system_up_time.get()),
            comment: comment(&$header.comment),
            mini_dump_fields: stored32($header.mini_dump_fields.get()),
            product_type: stored32($header.product_type.get()),
            suite_mask: stored32($header.suite_mask.get()),
            writer_status: stored32($header.writer_status.get()),
        }
    }};
}

impl KernelHeader {
    /// Bytes of the header: where the body starts.
    pub fn size(&self) -> u64 {
        match self.width {
            Width::Bits32 => size_of::<Header32>() as u64,
            Width::Bits64 => size_of::<Header64>() as u64,
        }
    }

    /// Name of the processor architecture.
    pub fn architecture_name(&self) -> &'static str {
        match self.machine {
            MACHINE_AMD64 => "x86-64",
            MACHINE_ARM64 => "ARM64",
            _ if self.width == Width::Bits64 => "64-bit, unknown",
            _ if self.pae => "x86 (PAE)",
            _ => "x86",
        }
    }

    pub(super) fn read(bytes: &Bytes<'_>, width: Width) -> ReadResult<KernelHeader> {
        match width {
            Width::Bits64 => bytes.get::<Header64>(0).map(|header| Self::of_64(&header)),
            Width::Bits32 => bytes.get::<Header32>(0).map(|header| Self::of_32(&header)),
        }
    }

    fn of_64(header: &Header64) -> KernelHeader {
        // Some writers use the padding behind the block for one run more.
        let rest = &header.physical_memory_block.rest;
        let one_more = PhysicalMemoryRun64::read_from_bytes(rest).ok();
        decoded!(header, Width::Bits64, address, one_more, pae: false)
    }

    fn of_32(header: &Header32) -> KernelHeader {
        let narrow = |value: u32| if is_filler(value) { 0 } else { u64::from(value) };
        decoded!(header, Width::Bits32, narrow, None, pae: header.pae_enabled == 1)
    }
}

fn stored32(value: u32) -> Option<u32> {
    (!is_filler(value)).then_some(value)
}

fn stored64(value: u64) -> Option<u64> {
    (value != FILLER64).then_some(value)
}

fn address(value: u64) -> u64 {
    stored64(value).unwrap_or(0)
}

/// Text up to a NUL; `None` for filler, and for nothing.
fn comment(field: &[u8]) -> Option<String> {
    let end = field.iter().position(|b| *b == 0)?;
    let text = &field[..end];
    (!text.is_empty() && !text.starts_with(b"PAGEPAGE"))
        .then(|| text.iter().copied().map(char::from).collect())
}
