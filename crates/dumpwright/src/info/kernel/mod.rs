//! What a kernel dump holds, for people (`text`) and for machines.

mod text;

use super::hex::Hex;
use crate::read::decode_context;
use crate::read::kernel::{KernelDump, Width};
use crate::target::FileTime;
use crate::target::machine::{Gva, KernelModule, MachineSnapshot, PAGE_SIZE, ProcessorSnapshot};
use crate::time::CivilTime;
use dumpwright_format::kernel::{
    ATTACHED_FILE_TAG, DumpType, FULL_TEXT_TAG, MACHINE_AMD64, MACHINE_ARM64, PROCESSORS_TAG,
    SOFT_ERRORS_TAG, bug_check_name,
};
use dumpwright_format::minidump::{
    PROCESSOR_ARCHITECTURE_AMD64, PROCESSOR_ARCHITECTURE_ARM64, PROCESSOR_ARCHITECTURE_INTEL,
};
use serde::Serialize;

/// What a kernel dump holds. Its form in JSON follows the rules of the
/// [module](super).
#[derive(Clone, Debug, Serialize)]
pub struct KernelInfo {
    /// The comment that was given when it was written.
    pub comment: Option<String>,
    /// The file and its type.
    pub file: KernelFile,
    /// The machine and its kernel.
    pub system: KernelSystem,
    /// The bug check.
    pub bug_check: KernelBugCheck,
    /// Registers of the context, by name.
    pub registers: Vec<(String, Hex)>,
    /// Every processor, where the dump has more than the header's context.
    pub processors: Vec<KernelProcessor>,
    /// The memory map of the machine, as the header has it.
    pub memory_map: Vec<KernelRun>,
    /// Page frames in the dump; `None` for a small dump.
    pub pages: Option<KernelPages>,
    /// Modules of the kernel: the list of a small dump, or what
    /// [`with_machine`](KernelInfo::with_machine) found in memory.
    pub modules: Vec<KernelDriver>,
    /// Modules that were unloaded.
    pub unloaded_modules: Vec<KernelDriver>,
    /// The parts of a small dump.
    pub triage: Option<KernelTriage>,
    /// Secondary data.
    pub secondary: Vec<KernelSecondary>,
    /// What could not be had when the dump was written, as dumpwright stored it.
    pub soft_errors: Vec<String>,
    /// What of the dump cannot be read, one line of text each.
    pub damage: Vec<String>,
}

/// The file and its type.
#[derive(Clone, Debug, Serialize)]
pub struct KernelFile {
    /// Its path as it was given.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// `DumpType`.
    #[serde(rename = "type")]
    pub dump_type: u32,
    /// The name of the type.
    pub type_name: String,
    /// `PAGEDU64` or `PAGEDUMP`.
    pub signature: &'static str,
    /// `RequiredDumpSpace`.
    pub required_dump_space: Option<u64>,
    /// When the dump was written.
    pub time: Option<String>,
    /// Seconds that the system had been running.
    pub up_time: Option<u64>,
}

/// The machine and its kernel.
#[derive(Clone, Debug, Serialize)]
pub struct KernelSystem {
    /// Processor architecture.
    pub architecture: &'static str,
    /// Operating system build.
    pub build: u32,
    /// Processors.
    pub processors: u32,
    /// `workstation`, `domain controller`, `server`.
    pub product: Option<&'static str>,
    /// `SuiteMask`.
    pub suite_mask: Option<Hex>,
    /// `DirectoryTableBase`.
    pub directory_table_base: Hex,
    /// `PsLoadedModuleList`.
    pub loaded_module_list: Hex,
    /// `PsActiveProcessHead`.
    pub active_process_head: Hex,
    /// `PfnDataBase`.
    pub pfn_database: Hex,
    /// `KdDebuggerDataBlock`.
    pub debugger_data: Hex,
}

/// A processor.
#[derive(Clone, Debug, Serialize)]
pub struct KernelProcessor {
    /// Its number.
    pub number: usize,
    /// Whether the dump is seen from it.
    pub current: bool,
    /// Its registers, by name; control registers last.
    pub registers: Vec<(String, Hex)>,
}

/// The bug check.
#[derive(Clone, Debug, Serialize)]
pub struct KernelBugCheck {
    /// Its code.
    pub code: Hex,
    /// The name of the code.
    pub name: Option<&'static str>,
    /// Its parameters.
    pub parameters: [Hex; 4],
    /// The exception's code.
    pub exception_code: Hex,
    /// The exception's address.
    pub exception_address: Hex,
}

/// Consecutive page frames.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRun {
    /// Physical address of the first byte.
    pub start: Hex,
    /// Bytes.
    pub size: u64,
}

/// Page frames in the dump.
#[derive(Clone, Debug, Serialize)]
pub struct KernelPages {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub size: u64,
    /// Pieces in which they stand.
    pub pieces: usize,
}

/// The parts of a small dump.
#[derive(Clone, Debug, Serialize)]
pub struct KernelTriage {
    /// The stack.
    pub stack: KernelBlock,
    /// Pieces of virtual memory.
    pub data_blocks: usize,
    /// Their bytes.
    pub data_size: u64,
    /// File offsets of the structures, by name.
    pub parts: Vec<(&'static str, Hex)>,
}

/// A piece of virtual memory.
#[derive(Clone, Debug, Serialize)]
pub struct KernelBlock {
    /// Its address.
    pub address: Hex,
    /// Its bytes.
    pub size: u64,
}

/// A driver.
#[derive(Clone, Debug, Serialize)]
pub struct KernelDriver {
    /// Load address.
    pub base: Hex,
    /// Bytes of the image.
    pub size: u64,
    /// Checksum of the image; 0 if unknown.
    pub check_sum: Hex,
    /// Time stamp of the image; 0 if unknown.
    pub time_date_stamp: Hex,
    /// Its name.
    pub name: Option<String>,
}

/// A block of secondary data.
#[derive(Clone, Debug, Serialize)]
pub struct KernelSecondary {
    /// Its GUID.
    pub guid: String,
    /// Bytes of its data.
    pub size: u64,
    /// What it is, where dumpwright wrote it; of an attached file its name.
    pub what: Option<String>,
}

impl KernelInfo {
    /// What a dump holds; `path` is what the file is called.
    pub fn new(dump: &KernelDump, path: &str) -> KernelInfo {
        let header = dump.header();
        let triage = dump.triage();
        KernelInfo {
            comment: dump.comment(),
            file: KernelFile {
                path: path.to_owned(),
                size: dump.len(),
                dump_type: header.dump_type.0,
                type_name: header.dump_type.to_string(),
                signature: match header.width {
                    Width::Bits32 => "PAGEDUMP",
                    Width::Bits64 => "PAGEDU64",
                },
                required_dump_space: header.required_dump_space,
                time: header
                    .system_time
                    .map(|time| CivilTime::from_unix(FileTime(time).unix_seconds()).to_string()),
                up_time: header.system_up_time.map(|time| time / 10_000_000),
            },
            system: KernelSystem {
                architecture: header.architecture_name(),
                build: header.minor_version,
                processors: header.processors,
                product: match header.product_type {
                    Some(1) => Some("workstation"),
                    Some(2) => Some("domain controller"),
                    Some(3) => Some("server"),
                    _ => None,
                },
                suite_mask: header.suite_mask.map(|mask| Hex(mask.into())),
                directory_table_base: Hex(header.directory_table_base),
                loaded_module_list: Hex(header.loaded_module_list),
                active_process_head: Hex(header.active_process_head),
                pfn_database: Hex(header.pfn_data_base),
                debugger_data: Hex(header.debugger_data),
            },
            bug_check: KernelBugCheck {
                code: Hex(header.bug_check_code.into()),
                name: bug_check_name(header.bug_check_code),
                parameters: header.bug_check_parameters.map(Hex),
                exception_code: Hex(header.exception_code.into()),
                exception_address: Hex(header.exception_address),
            },
            registers: registers(dump, &header.context),
            processors: processors(dump),
            memory_map: header
                .runs
                .iter()
                .map(|run| KernelRun {
                    start: Hex(run.base.gpa().0),
                    size: run.count.saturating_mul(PAGE_SIZE),
                })
                .collect(),
            pages: (header.dump_type != DumpType::TRIAGE).then(|| {
                let map = dump.page_map();
                let count = map.pages();
                let size = count.saturating_mul(PAGE_SIZE);
                KernelPages { count, size, pieces: map.extents().len() }
            }),
            modules: triage
                .iter()
                .flat_map(|triage| &triage.drivers)
                .map(|driver| KernelDriver {
                    base: Hex(driver.base.0),
                    size: driver.size.into(),
                    check_sum: Hex(driver.check_sum.into()),
                    time_date_stamp: Hex(driver.time_date_stamp.into()),
                    name: driver.name.clone(),
                })
                .collect(),
            unloaded_modules: triage
                .iter()
                .flat_map(|triage| &triage.unloaded)
                .map(|driver| unloaded(driver.start, driver.end, &driver.name))
                .collect(),
            triage: triage.map(|triage| KernelTriage {
                stack: KernelBlock {
                    address: Hex(triage.stack_start.0),
                    size: triage.stack.size.into(),
                },
                data_blocks: triage.blocks.len(),
                data_size: triage.blocks.iter().map(|b| u64::from(b.size)).sum(),
                parts: triage.parts.iter().map(|p| (p.name, Hex(p.offset.into()))).collect(),
            }),
            secondary: secondary(dump),
            soft_errors: soft_errors(dump),
            damage: dump.trouble().iter().map(ToString::to_string).collect(),
        }
    }

    /// With what the memory in the dump tells of the machine.
    #[must_use]
    pub fn with_machine(mut self, machine: &MachineSnapshot) -> KernelInfo {
        if self.modules.is_empty() {
            let module = |module: &KernelModule| KernelDriver {
                base: Hex(module.base.0),
                size: module.size.into(),
                check_sum: Hex(0),
                time_date_stamp: Hex(0),
                name: Some(module.name.clone()).filter(|name| !name.is_empty()),
            };
            self.modules = machine.modules.iter().map(module).collect();
        }
        if self.unloaded_modules.is_empty() {
            let gone = machine.unloaded_modules.iter();
            self.unloaded_modules = gone.map(|m| unloaded(m.start, m.end, &m.name)).collect();
        }
        self
    }
}

fn unloaded(start: Gva, end: Gva, name: &str) -> KernelDriver {
    KernelDriver {
        base: Hex(start.0),
        size: end.0.saturating_sub(start.0),
        check_sum: Hex(0),
        time_date_stamp: Hex(0),
        name: Some(name.to_owned()),
    }
}

/// Every processor of a dump that has all.
fn processors(dump: &KernelDump) -> Vec<KernelProcessor> {
    let Some((current, all)) = dump.registers() else { return Vec::new() };
    let one = |(number, processor): (usize, ProcessorSnapshot)| {
        let mut registers = registers(dump, &processor.context);
        if let Some(control) = processor.control {
            let named = [
                ("cr0", control.cr0),
                ("cr2", control.cr2),
                ("cr3", control.cr3),
                ("cr4", control.cr4),
                ("efer", control.efer),
                ("gs_base", control.gs_base),
                ("kernel_gs_base", control.kernel_gs_base),
                ("idt", control.idt.0),
                ("gdt", control.gdt.0),
            ];
            registers.extend(named.map(|(name, value)| (name.to_owned(), Hex(value))));
        }
        KernelProcessor { number, current: number == current, registers }
    };
    all.into_iter().enumerate().map(one).collect()
}

/// Registers of a context; none if it was never stored.
fn registers(dump: &KernelDump, context: &[u8]) -> Vec<(String, Hex)> {
    let architecture = match dump.header().machine {
        MACHINE_AMD64 => PROCESSOR_ARCHITECTURE_AMD64,
        MACHINE_ARM64 => PROCESSOR_ARCHITECTURE_ARM64,
        _ => PROCESSOR_ARCHITECTURE_INTEL,
    };
    let stored = context.iter().any(|byte| *byte != 0);
    let registers = stored.then(|| decode_context(architecture, context)).flatten();
    let general = registers.map(|registers| registers.general).unwrap_or_default();
    general.into_iter().map(|(name, value)| (name.to_owned(), Hex(value))).collect()
}

fn secondary(dump: &KernelDump) -> Vec<KernelSecondary> {
    let what = |block: &crate::read::kernel::SecondaryBlock| match block.tag {
        FULL_TEXT_TAG => Some("comment".to_owned()),
        SOFT_ERRORS_TAG => Some("soft errors".to_owned()),
        PROCESSORS_TAG => Some("registers of all processors".to_owned()),
        ATTACHED_FILE_TAG => {
            let start = dump.read_part(block.offset, block.size.into(), 1024).ok()?;
            let end = start.iter().position(|b| *b == 0)?;
            Some(format!("attached file '{}'", String::from_utf8_lossy(&start[..end])))
        }
        _ => None,
    };
    dump.secondary()
        .iter()
        .map(|block| KernelSecondary {
            guid: block.guid(),
            size: block.size.into(),
            what: what(block),
        })
        .collect()
}

/// Soft errors and holes that dumpwright stored.
fn soft_errors(dump: &KernelDump) -> Vec<String> {
    let block = dump.secondary().iter().find(|block| block.tag == SOFT_ERRORS_TAG);
    let value = block
        .and_then(|block| dump.read_part(block.offset, block.size.into(), 1 << 20).ok())
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let Some(value) = value else { return Vec::new() };
    let list = |key: &str| value[key].as_array().cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let errors = list("soft_errors");
    let errors = errors.iter().map(|e| format!("{}: {}", text(&e["subject"]), text(&e["message"])));
    let holes = list("holes");
    let holes = holes.iter().map(|hole| {
        let (first, pages) =
            (text(&hole["first_page"]), hole["pages"].as_u64().unwrap_or_default());
        format!("frame {first}: {pages} pages are zero here: {}", text(&hole["reason"]))
    });
    errors.chain(holes).collect()
}
