//! What a dump's header tells of the machine.

use super::{KernelDump, Width};
use crate::soft_error::SoftError;
use crate::target::FileTime;
use crate::target::machine::{
    BugCheck, Driver, GuestKind, Gva, MachineArchitecture, MachineSnapshot, ProcessorSnapshot,
    SmallDump, UnloadedKernelModule, registers,
};
use dumpwright_format::context::amd64::ContextAmd64;
use dumpwright_format::context::arm64::ContextArm64;
use dumpwright_format::context::x86::ContextX86;
use dumpwright_format::kernel::{DebuggerData, FULL_TEXT_TAG, MACHINE_ARM64, PROCESSORS_TAG};
use dumpwright_format::machine::windows::KPRCB_CURRENT_THREAD;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Processors that are made up from a count.
const MAX_PROCESSORS: u32 = 4096;
/// The largest `KDDEBUGGER_DATA64` that is believed.
const MAX_DEBUGGER_DATA: u32 = 0x1_0000;
/// Bytes of the registers of all processors: some three kilobytes for each.
const MAX_REGISTERS: usize = 16 << 20;
/// Secondary data that is carried along.
const MAX_SECONDARY: u64 = 64 << 20;

/// A KDBG as long as it is; older systems' are shorter.
fn debugger_data_of(bytes: &[u8]) -> DebuggerData {
    let mut data = DebuggerData::new_zeroed();
    let len = bytes.len().min(size_of::<DebuggerData>());
    data.as_mut_bytes()[..len].copy_from_slice(&bytes[..len]);
    data
}

/// Names what a small dump's processor runs: it has the structures, whose
/// addresses stand in each other.
fn name_current(
    small: &SmallDump,
    architecture: MachineArchitecture,
    processor: &mut ProcessorSnapshot,
) {
    if !architecture.is_64_bit() {
        return;
    }
    let data = debugger_data_of(&small.debugger_data);
    let pointer = |bytes: &[u8], offset: u64| {
        let word = bytes.get(offset as usize..).and_then(|rest| rest.first_chunk());
        Gva(word.map_or(0, |word| u64::from_le_bytes(*word)))
    };
    processor.current_thread = pointer(&small.prcb, KPRCB_CURRENT_THREAD);
    processor.current_process =
        pointer(&small.thread, data.offset_kthread_apc_process.get().into());
}

impl KernelDump {
    /// The machine, as far as the header tells: nothing that stands in its
    /// memory is looked at.
    pub fn machine(&self) -> MachineSnapshot {
        let header = self.header();
        let architecture = match (header.width, header.machine) {
            (Width::Bits64, MACHINE_ARM64) => MachineArchitecture::Arm64,
            (Width::Bits64, _) => MachineArchitecture::Amd64,
            (Width::Bits32, _) if header.pae => MachineArchitecture::X86Pae,
            (Width::Bits32, _) => MachineArchitecture::X86,
        };
        let is_windows = header.debugger_data != 0 || header.loaded_module_list != 0;
        let mut processors =
            vec![ProcessorSnapshot::default(); header.processors.clamp(1, MAX_PROCESSORS) as usize];
        if let Some(first) = processors.first_mut() {
            *first = self.context(architecture);
        }
        let mut current_processor = 0;
        if let Some((current, all)) = self.registers() {
            (current_processor, processors) = (current, all);
        }
        let mut soft_errors = Vec::new();
        let secondary_data = self.secondary_data(&mut soft_errors);
        let small_dump = self.small_dump(&mut soft_errors).map(Box::new);
        if let (Some(small), Some(current)) = (&small_dump, processors.get_mut(current_processor)) {
            name_current(small, architecture, current);
        }
        let stored = |value: Option<u32>| value.unwrap_or_default();
        MachineSnapshot {
            guest: if is_windows { GuestKind::Windows } else { GuestKind::Other },
            architecture,
            runs: crate::target::machine::common_runs(
                self.memory_map_in_order(),
                self.memory_map_in_order(),
            ),
            directory_table_base: header.directory_table_base,
            processors,
            current_processor,
            build: header.minor_version,
            major_version: header.major_version,
            pfn_database: Gva(header.pfn_data_base),
            loaded_module_list: Gva(header.loaded_module_list),
            active_process_head: Gva(header.active_process_head),
            debugger_data: Gva(header.debugger_data),
            bug_check: Some(BugCheck {
                code: header.bug_check_code,
                parameters: header.bug_check_parameters,
            }),
            exception: Some(header.exception.clone()),
            system_time: FileTime(header.system_time.unwrap_or_default()),
            system_up_time: header.system_up_time.unwrap_or_default(),
            product_type: stored(header.product_type),
            suite_mask: stored(header.suite_mask),
            small_dump,
            source_type: Some(header.dump_type),
            comment: self.comment(),
            secondary_data,
            soft_errors,
            ..MachineSnapshot::default()
        }
    }

    /// The contents of a small dump.
    fn small_dump(&self, soft_errors: &mut Vec<SoftError>) -> Option<SmallDump> {
        let triage = self.triage()?;
        let wire = &triage.wire;
        let mut blocks: Vec<(Gva, Vec<u8>)> = Vec::new();
        let mut listed = triage.blocks.clone();
        listed.sort_by_key(|block| block.address);
        // Blocks that name the same bytes again and again must not add up.
        let mut room = self.len();
        let mut end = 0;
        for block in listed.into_iter().filter(|block| block.size > 0) {
            let size = u64::from(block.size);
            if block.address.0 < end || size > room {
                let reason = format!("the source's at {} overlaps others", block.address);
                soft_errors.push(SoftError::new("data block", reason));
                continue;
            }
            let bytes = self.read_part(block.offset.into(), size, block.size as usize);
            if let Ok(bytes) = bytes {
                room -= size;
                end = block.address.0.saturating_add(size);
                blocks.push((block.address, bytes));
            }
        }
        let mut part = |what: &str, offset: u32, size: u32| {
            // Nothing of it is there: offset 0 is the header.
            if offset == 0 {
                return Vec::new();
            }
            let bytes = self.read_part(offset.into(), size.into(), size as usize);
            bytes.unwrap_or_else(|error| {
                soft_errors.push(SoftError::new(what, format!("the source's is damaged: {error}")));
                Vec::new()
            })
        };
        let debugger_data = part(
            "KDBG",
            wire.debugger_data_offset.get(),
            wire.debugger_data_size.get().min(MAX_DEBUGGER_DATA),
        );
        let known = debugger_data_of(&debugger_data);
        Some(SmallDump {
            prcb: part("KPRCB", wire.prcb_offset.get(), known.size_prcb.get().into()),
            process: part("EPROCESS", wire.process_offset.get(), known.size_eprocess.get().into()),
            thread: part("ETHREAD", wire.thread_offset.get(), known.size_ethread.get().into()),
            stack_start: triage.stack_start,
            stack: part("stack", triage.stack.offset, triage.stack.size),
            blocks,
            drivers: triage
                .drivers
                .iter()
                .map(|driver| Driver {
                    base: driver.base,
                    size: driver.size,
                    check_sum: driver.check_sum,
                    time_date_stamp: driver.time_date_stamp,
                    name: driver.name.clone().unwrap_or_default(),
                })
                .collect(),
            unloaded: triage
                .unloaded
                .iter()
                .map(|driver| UnloadedKernelModule {
                    start: driver.start,
                    end: driver.end,
                    name: driver.name.clone(),
                })
                .collect(),
            debugger_data,
        })
    }

    /// The registers of all processors, and which is the current one, where the
    /// dump has them beside its header.
    pub fn registers(&self) -> Option<(usize, Vec<ProcessorSnapshot>)> {
        let block = self.secondary().iter().find(|block| block.tag == PROCESSORS_TAG)?;
        let bytes = self.read_part(block.offset, block.size.into(), MAX_REGISTERS).ok()?;
        registers::decode(&bytes)
    }

    /// The comment: the whole one, where the header could not hold it.
    pub fn comment(&self) -> Option<String> {
        let whole = self.secondary().iter().find(|block| block.tag == FULL_TEXT_TAG);
        whole
            .and_then(|block| self.read_part(block.offset, block.size.into(), 1 << 20).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .or_else(|| self.header().comment.clone())
    }

    /// The header's memory map if its runs are in order and apart; else what the
    /// dump holds, which is.
    fn memory_map_in_order(&self) -> &[crate::target::machine::PageRun] {
        let stated = &self.header().runs;
        let sane = stated.windows(2).all(|pair| pair[0].end() <= pair[1].base)
            && stated.iter().all(|run| run.count > 0);
        if sane && !stated.is_empty() { stated } else { &self.runs }
    }

    fn context(&self, architecture: MachineArchitecture) -> ProcessorSnapshot {
        let bytes = &self.header().context;
        let (size, instruction_pointer, stack_pointer) = match architecture {
            MachineArchitecture::X86 | MachineArchitecture::X86Pae => {
                let context = ContextX86::read_from_prefix(bytes).ok();
                let pointers =
                    context.map(|(c, _)| (u64::from(c.eip.get()), u64::from(c.esp.get())));
                let (ip, sp) = pointers.unwrap_or_default();
                (size_of::<ContextX86>(), ip, sp)
            }
            MachineArchitecture::Arm64 => {
                let context = ContextArm64::read_from_prefix(bytes).ok();
                let (ip, sp) = context.map(|(c, _)| (c.pc.get(), c.sp.get())).unwrap_or_default();
                (size_of::<ContextArm64>(), ip, sp)
            }
            _ => {
                let context = ContextAmd64::read_from_prefix(bytes).ok();
                let (ip, sp) = context.map(|(c, _)| (c.rip.get(), c.rsp.get())).unwrap_or_default();
                (size_of::<ContextAmd64>(), ip, sp)
            }
        };
        ProcessorSnapshot {
            context: bytes[..size.min(bytes.len())].to_vec(),
            instruction_pointer,
            stack_pointer,
            ..ProcessorSnapshot::default()
        }
    }

    fn secondary_data(&self, soft_errors: &mut Vec<SoftError>) -> Vec<([u8; 16], Vec<u8>)> {
        let mut room = MAX_SECONDARY;
        let mut data = Vec::new();
        for block in self.secondary() {
            let bytes = room.checked_sub(block.size.into()).and_then(|left| {
                room = left;
                self.read_part(block.offset, block.size.into(), block.size as usize).ok()
            });
            match bytes {
                Some(bytes) => data.push((block.tag, bytes)),
                None => soft_errors.push(SoftError::new(
                    "secondary data",
                    format!(
                        "the block {} of {} bytes is not carried along",
                        block.guid(),
                        block.size
                    ),
                )),
            }
        }
        data
    }
}
