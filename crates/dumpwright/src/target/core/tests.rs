//! Cores that are made up and written by our own writer, whole and damaged.

use super::CoreProcess;
use crate::address::{AddressRange, RangeSet};
use crate::error::{Error, Result};
use crate::layout::DumpLayout;
use crate::layout::core::CoreLayout;
use crate::plan::plan;
use crate::soft_error::HoleReason;
use crate::synthetic::{SyntheticMemory, region, snapshot, thread};
use crate::target::{
    Architecture, DebugId, ExceptionSnapshot, ProcessSnapshot, ProcessTarget, Tid, Wants,
};
use crate::write;
use crate::{DumpRequest, Extensions, FormatFlags, OutputFormat, Qualifier};
use dumpwright_format::context::arm64::{CONTEXT_FULL, ContextArm64};
use proptest::prelude::*;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

fn request(flags: FormatFlags) -> DumpRequest {
    DumpRequest::new("x.core", Qualifier::Small)
        .flags(flags)
        .extensions(Extensions { format: OutputFormat::ElfCore, ..Extensions::default() })
}

/// The core of a process.
fn core_of(snapshot: &ProcessSnapshot, request: &DumpRequest) -> Result<Vec<u8>> {
    let memory = SyntheticMemory::default();
    let plan = plan(snapshot, &memory, request)?;
    let core = plan.core.as_ref().expect("a core is asked for");
    let layout = CoreLayout::new(&plan, core, snapshot, 7)?;
    let mut out = Vec::new();
    let outcome = write::write_memory(
        &layout,
        &plan,
        snapshot,
        &memory,
        &mut write::Target::Stream(&mut out),
        &(),
    )?;
    write::finish(&layout, &plan, &outcome, &mut out)?;
    assert_eq!(out.len() as u64, layout.file_size());
    Ok(out)
}

fn open(bytes: &[u8]) -> Result<CoreProcess> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    // No file of this machine has anything to do with it.
    let nowhere = tempfile::tempdir().unwrap();
    CoreProcess::open(Path::new("x.core"), file, &Wants::default(), Some(nowhere.path()))
}

#[test]
fn what_was_written_is_read_again() {
    let mut original = snapshot();
    original.threads.push(thread(101, 0x60_1000, 0x40_1008));
    original.exception = Some(ExceptionSnapshot {
        tid: Tid(101),
        code: 11,
        flags: 1,
        address: 0x1234,
        parameters: Vec::new(),
        registers: original.threads[1].registers.clone(),
    });
    let bytes = core_of(&original, &request(FormatFlags::DUMP_MA)).unwrap();
    let core = open(&bytes).unwrap();
    let read = core.snapshot();
    assert_eq!(read.process.pid, original.process.pid);
    assert_eq!(read.process.name, "app");
    let threads = |s: &ProcessSnapshot| -> Vec<_> {
        s.threads.iter().map(|t| (t.tid, t.name.clone(), t.registers.stack_pointer)).collect()
    };
    assert_eq!(threads(read), threads(&original));
    let exception = read.exception.as_ref().unwrap();
    assert_eq!((exception.tid, exception.code, exception.address), (Tid(101), 11, 0x1234));
    assert_eq!(read.modules[0].debug_id, DebugId::ElfBuildId(vec![1; 20]));
    assert_eq!(read.modules[0].path, "/home/ann/app");
    assert_eq!(read.system.version, [6, 1, 0]);
    assert_eq!(read.system.description, "Linux 6.1.0");
    let environment = &original.platform_streams[0];
    assert!(read.platform_streams.contains(environment));
    let truth = SyntheticMemory::default();
    for region in &original.regions {
        let mut bytes = vec![0; region.range.len() as usize];
        assert!(core.memory().read_exact(region.range.start, &mut bytes), "{}", region.range);
        for (address, byte) in (region.range.start..).zip(bytes) {
            assert_eq!(byte, truth.byte(address), "{address:#x}");
        }
    }
}

#[test]
fn registers_of_64_bit_arm_pass_through_a_core_on_any_machine() {
    let mut original = snapshot();
    original.system.architecture = Architecture::Arm64;
    let mut context = ContextArm64::new_zeroed();
    context.context_flags = CONTEXT_FULL.into();
    for (n, x) in context.x.iter_mut().enumerate() {
        *x = (0x1000 + n as u64).into();
    }
    context.sp = 0x7FFF_0000_8000.into();
    context.pc = 0x40_1000.into();
    context.cpsr = 0x6000_0000.into();
    context.v[31] = [7; 16];
    context.fpsr = 3.into();
    context.fpcr = 5.into();
    let thread = &mut original.threads[0];
    thread.registers.context = context.as_bytes().to_vec();
    thread.thread_pointer = 0x60_0100;
    let core = open(&core_of(&original, &request(FormatFlags::empty())).unwrap()).unwrap();
    let read = core.snapshot();
    assert_eq!(read.system.architecture, Architecture::Arm64);
    assert_eq!(read.threads[0].thread_pointer, 0x60_0100);
    let again = ContextArm64::ref_from_bytes(&read.threads[0].registers.context).unwrap();
    assert_eq!(again.as_bytes(), context.as_bytes());
}

#[test]
fn more_segments_than_the_header_can_count_are_counted_elsewhere() {
    let mut original = snapshot();
    original.modules.clear();
    original.regions = (0..66_000u64)
        .map(|n| region(0x1000_0000 + n * 0x2000, 0x1000_1000 + n * 0x2000))
        .collect();
    let bytes = core_of(&original, &request(FormatFlags::empty())).unwrap();
    assert_eq!(bytes[56..58], [0xff, 0xff], "PN_XNUM");
    let core = open(&bytes).unwrap();
    assert_eq!(core.snapshot().regions.len(), 66_000);
    assert_eq!(core.snapshot().threads.len(), 1);
}

#[test]
fn memory_that_a_core_was_made_without_is_a_hole_and_no_zero() {
    let core = open(&core_of(&snapshot(), &request(FormatFlags::empty())).unwrap()).unwrap();
    let heap = AddressRange::new(0x60_0000, 0x60_1000);
    let mut bytes = [1; 0x1000];
    let mut holes = Vec::new();
    core.memory().read(&[heap], &mut bytes, &mut holes);
    assert_eq!(holes.len(), 1);
    assert_eq!((holes[0].range, holes[0].reason), (heap, HoleReason::NotInSource));
    assert_eq!(core.memory().populated(heap), []);
}

#[test]
fn a_process_that_is_not_linux_has_no_core() {
    for change in [
        |s: &mut ProcessSnapshot| {
            s.system.platform_id = dumpwright_format::minidump::PLATFORM_WIN32_NT;
        },
        |s: &mut ProcessSnapshot| s.system.architecture = Architecture::X86,
    ] {
        let mut other = snapshot();
        change(&mut other);
        let result = core_of(&other, &request(FormatFlags::empty()));
        assert!(matches!(result, Err(Error::InvalidRequest(_))));
    }
}

#[test]
fn a_budget_holds_for_cores() {
    let mut asked = request(FormatFlags::DUMP_MA);
    for max in [40_000, 64_000, 100_000] {
        asked.extensions.max_size = Some(max);
        let len = core_of(&snapshot(), &asked).unwrap().len() as u64;
        assert!(len <= max && len > max / 2, "{len} of {max}");
    }
    asked.extensions.max_size = Some(1000);
    assert!(matches!(core_of(&snapshot(), &asked), Err(Error::InvalidRequest(_))));
}

#[test]
fn filtered_text_stands_nowhere_in_a_core() {
    let mut original = snapshot();
    original.soft_errors.push(crate::soft_error::SoftError::new("x", "/home/ann/app is odd"));
    let flags = FormatFlags::USER_SMALL_FILTER_TRIAGE;
    let bytes = core_of(&original, &request(flags)).unwrap();
    assert!(!bytes.windows(3).any(|w| w == b"ann"), "a home folder is in the core");
    let plain = core_of(&original, &request(FormatFlags::empty())).unwrap();
    assert!(plain.windows(3).any(|w| w == b"ann"));
}

/// A core to be damaged.
fn victim() -> Vec<u8> {
    let mut original = snapshot();
    original.threads.push(thread(101, 0x60_1000, 0x40_1008));
    core_of(&original, &request(FormatFlags::empty())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn damaged_cores_never_panic_and_give_ordered_regions(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        early in prop::collection::vec((0usize..2048, any::<u8>()), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = victim();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in early {
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let Ok(core) = open(&bytes) else { return Ok(()) };
        let read = core.snapshot();
        for pair in read.regions.iter().collect::<Vec<_>>().windows(2) {
            prop_assert!(pair[0].range.end <= pair[1].range.start);
        }
        for region in &read.regions {
            let populated: RangeSet = core.memory().populated(region.range).into_iter().collect();
            prop_assert!(populated.missing_from(region.range).iter().all(|r| !r.is_empty()));
        }
        // It can be dumped, whatever it says.
        let small = DumpRequest::new("x.dmp", Qualifier::Small);
        let _ = plan(read, core.memory(), &small);
    }
}
