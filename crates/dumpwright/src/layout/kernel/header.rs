//! The headers of both widths. Bytes that nothing is known of keep the filler.

use crate::plan::kernel::{Body, KernelPlan};
use crate::target::machine::count_pages;
use crate::target::machine::{MachineArchitecture, MachineSnapshot};
use dumpwright_format::kernel::{
    COMMENT_SIZE, ExceptionRecord32, ExceptionRecord64, Header32, Header64, MACHINE_AMD64,
    MACHINE_ARM64, MACHINE_X86, MAX_RUNS_32, MAX_RUNS_64, SIGNATURE, VALID_DUMP_32, VALID_DUMP_64,
    triage_fields,
};
use zerocopy::{FromBytes, IntoBytes};

/// `LIVE_SYSTEM_DUMP`: what a dump of a machine that did not crash has for a bug
/// check.
const LIVE_SYSTEM_DUMP: u32 = 0x161;
/// `STATUS_BREAKPOINT`: what a dump of a machine without an exception has for
/// one.
const STATUS_BREAKPOINT: u32 = 0x8000_0003;

/// Bytes of the header.
pub fn size(snapshot: &MachineSnapshot) -> usize {
    if snapshot.architecture.is_64_bit() { size_of::<Header64>() } else { size_of::<Header32>() }
}

/// The header.
pub fn encode(plan: &KernelPlan, snapshot: &MachineSnapshot, file_size: u64) -> Vec<u8> {
    if snapshot.architecture.is_64_bit() {
        header64(plan, snapshot, file_size).as_bytes().to_vec()
    } else {
        header32(plan, snapshot, file_size).as_bytes().to_vec()
    }
}

fn header64(plan: &KernelPlan, snapshot: &MachineSnapshot, file_size: u64) -> Header64 {
    let mut header = Header64::filler();
    header.signature = SIGNATURE.into();
    header.valid_dump = VALID_DUMP_64.into();
    header.major_version = snapshot.major_version.into();
    header.minor_version = snapshot.build.into();
    header.directory_table_base = snapshot.directory_table_base.into();
    header.pfn_data_base = snapshot.pfn_database.0.into();
    header.ps_loaded_module_list = snapshot.loaded_module_list.0.into();
    header.ps_active_process_head = snapshot.active_process_head.0.into();
    header.machine_image_type = machine(snapshot.architecture).into();
    header.number_processors = (snapshot.processors.len() as u32).into();
    let (code, parameters) = bug_check(snapshot);
    header.bug_check_code = code.into();
    header.bug_check_parameters = parameters.map(Into::into);
    header.kd_debugger_data_block = snapshot.debugger_data.0.into();
    // Where there are more runs, the body tells all that it holds.
    if !matches!(plan.body, Body::Triage(_)) && plan.ram.len() <= MAX_RUNS_64 {
        let block = &mut header.physical_memory_block;
        block.number_of_runs = (plan.ram.len() as u32).into();
        block.number_of_pages = count_pages(&plan.ram).into();
        for (place, run) in block.runs.iter_mut().zip(&plan.ram) {
            place.base_page = run.base.0.into();
            place.page_count = run.count.into();
        }
    }
    store_context(&mut header.context_record, snapshot);
    header.exception = exception64(snapshot, header.exception);
    header.dump_type = plan.kind.header_type().0.into();
    header.required_dump_space = file_size.into();
    store_comment(&mut header.comment, plan);
    if snapshot.system_time.0 != 0 {
        header.system_time = snapshot.system_time.0.into();
    }
    if snapshot.system_up_time != 0 {
        header.system_up_time = snapshot.system_up_time.into();
    }
    if snapshot.product_type != 0 {
        header.product_type = snapshot.product_type.into();
        header.suite_mask = snapshot.suite_mask.into();
    }
    if matches!(plan.body, Body::Triage(_)) {
        header.mini_dump_fields = TRIAGE_FIELDS.into();
    }
    header.writer_status = 0.into();
    header.kd_secondary_version = 0;
    header
}

/// What small dumps have, as the real one says.
const TRIAGE_FIELDS: u32 = triage_fields::CONTEXT
    | triage_fields::EXCEPTION
    | triage_fields::PRCB
    | triage_fields::PROCESS
    | triage_fields::THREAD
    | triage_fields::STACK
    | triage_fields::DRIVER_LIST
    | triage_fields::BROKEN_DRIVER
    | triage_fields::DEBUGGER_DATA
    | triage_fields::DATA_BLOCKS;

fn header32(plan: &KernelPlan, snapshot: &MachineSnapshot, file_size: u64) -> Header32 {
    // Addresses of a 32-bit kernel; sign-extended ones lose nothing.
    let low = |address: u64| (address as u32).into();
    let mut header = Header32::filler();
    header.signature = SIGNATURE.into();
    header.valid_dump = VALID_DUMP_32.into();
    header.major_version = snapshot.major_version.into();
    header.minor_version = snapshot.build.into();
    header.directory_table_base = low(snapshot.directory_table_base);
    header.pfn_data_base = low(snapshot.pfn_database.0);
    header.ps_loaded_module_list = low(snapshot.loaded_module_list.0);
    header.ps_active_process_head = low(snapshot.active_process_head.0);
    header.machine_image_type = machine(snapshot.architecture).into();
    header.number_processors = (snapshot.processors.len() as u32).into();
    let (code, parameters) = bug_check(snapshot);
    header.bug_check_code = code.into();
    header.bug_check_parameters = parameters.map(low);
    header.pae_enabled = u8::from(snapshot.architecture == MachineArchitecture::X86Pae);
    header.kd_secondary_version = 0;
    header.kd_debugger_data_block = low(snapshot.debugger_data.0);
    let fits = plan.ram.len() <= MAX_RUNS_32
        && plan.ram.last().is_none_or(|run| u32::try_from(run.end().0).is_ok());
    if fits {
        let block = &mut header.physical_memory_block;
        block.number_of_runs = (plan.ram.len() as u32).into();
        block.number_of_pages = (count_pages(&plan.ram) as u32).into();
        for (place, run) in block.runs.iter_mut().zip(&plan.ram) {
            place.base_page = (run.base.0 as u32).into();
            place.page_count = (run.count as u32).into();
        }
    }
    store_context(&mut header.context_record, snapshot);
    header.exception = exception32(snapshot, header.exception);
    store_comment(&mut header.comment, plan);
    header.dump_type = plan.kind.header_type().0.into();
    if snapshot.product_type != 0 {
        header.product_type = snapshot.product_type.into();
        header.suite_mask = snapshot.suite_mask.into();
    }
    header.writer_status = 0.into();
    header.required_dump_space = file_size.into();
    if snapshot.system_up_time != 0 {
        header.system_up_time = snapshot.system_up_time.into();
    }
    if snapshot.system_time.0 != 0 {
        header.system_time = snapshot.system_time.0.into();
    }
    header
}

fn machine(architecture: MachineArchitecture) -> u32 {
    match architecture {
        MachineArchitecture::Amd64 | MachineArchitecture::Amd64La57 => MACHINE_AMD64,
        MachineArchitecture::Arm64 => MACHINE_ARM64,
        MachineArchitecture::X86 | MachineArchitecture::X86Pae => MACHINE_X86,
    }
}

fn bug_check(snapshot: &MachineSnapshot) -> (u32, [u64; 4]) {
    snapshot.bug_check.map_or((LIVE_SYSTEM_DUMP, [0; 4]), |b| (b.code, b.parameters))
}

/// The current processor's context, and zeros up to the end of the field.
fn store_context(field: &mut [u8], snapshot: &MachineSnapshot) {
    field.fill(0);
    if let Some(processor) = snapshot.processors.get(snapshot.current_processor) {
        let len = processor.context.len().min(field.len());
        field[..len].copy_from_slice(&processor.context[..len]);
    }
}

/// The exception that is known, or the breakpoint that stands for none.
fn exception64(snapshot: &MachineSnapshot, filler: ExceptionRecord64) -> ExceptionRecord64 {
    let known =
        snapshot.exception.as_deref().and_then(|b| ExceptionRecord64::read_from_prefix(b).ok());
    known.map_or_else(
        || ExceptionRecord64 {
            exception_code: STATUS_BREAKPOINT.into(),
            exception_flags: 0.into(),
            exception_record: 0.into(),
            exception_address: instruction_pointer(snapshot).into(),
            number_parameters: 0.into(),
            ..filler
        },
        |(record, _)| record,
    )
}

fn exception32(snapshot: &MachineSnapshot, filler: ExceptionRecord32) -> ExceptionRecord32 {
    let bytes = snapshot.exception.as_deref().unwrap_or_default();
    // The snapshot's form is that of 64 bits; a 32-bit source may keep its own.
    if let Ok(wide) = ExceptionRecord64::read_from_bytes(bytes) {
        return ExceptionRecord32 {
            exception_code: wide.exception_code,
            exception_flags: wide.exception_flags,
            exception_record: (wide.exception_record.get() as u32).into(),
            exception_address: (wide.exception_address.get() as u32).into(),
            number_parameters: wide.number_parameters,
            exception_information: wide.exception_information.map(|p| (p.get() as u32).into()),
        };
    }
    ExceptionRecord32::read_from_bytes(bytes).unwrap_or(ExceptionRecord32 {
        exception_code: STATUS_BREAKPOINT.into(),
        exception_flags: 0.into(),
        exception_record: 0.into(),
        exception_address: (instruction_pointer(snapshot) as u32).into(),
        number_parameters: 0.into(),
        ..filler
    })
}

fn instruction_pointer(snapshot: &MachineSnapshot) -> u64 {
    snapshot.processors.get(snapshot.current_processor).map_or(0, |p| p.instruction_pointer)
}

/// The comment, NUL-terminated; the rest of the field keeps its filler.
fn store_comment(field: &mut [u8; COMMENT_SIZE], plan: &KernelPlan) {
    if let Some(comment) = &plan.comment {
        let len = comment.len().min(COMMENT_SIZE - 1);
        field[..len].copy_from_slice(&comment[..len]);
        field[len] = 0;
    }
}
