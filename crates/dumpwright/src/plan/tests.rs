//! What goes into a dump, flag by flag, on a made-up process.

use super::*;
use crate::error::Error;

use crate::synthetic::{SyntheticMemory, change_regions, region, snapshot, thread};
use crate::target::{ExceptionSnapshot, InitialStack, Tid};
use dumpwright_format::Qualifier;
use dumpwright_format::minidump::StreamType;

const STACK: AddressRange = AddressRange { start: 0x7FFF_0000_0000, end: 0x7FFF_0001_0000 };
const HEAP: AddressRange = AddressRange { start: 0x60_0000, end: 0x62_0000 };

fn small(flags: FormatFlags) -> DumpRequest {
    DumpRequest::new("x.dmp", Qualifier::Small).flags(flags)
}

fn planned(snapshot: &ProcessSnapshot, memory: &SyntheticMemory, flags: FormatFlags) -> DumpPlan {
    plan(snapshot, memory, &small(flags)).unwrap()
}

fn holds(plan: &DumpPlan, address: u64) -> bool {
    plan.memory.ranges.iter().any(|r| r.contains(address))
}

fn has_stream(plan: &DumpPlan, stream_type: StreamType) -> bool {
    plan.assembly.streams().iter().any(|(t, _)| *t == stream_type)
}

#[test]
fn a_plain_dump_holds_stack_red_zone_and_code_and_nothing_else() {
    let plan = planned(&snapshot(), &SyntheticMemory::default(), FormatFlags::empty());
    assert_eq!(
        plan.memory.ranges.iter().collect::<Vec<_>>(),
        [
            AddressRange::new(0x40_1000 - 128, 0x40_1000 + 128),
            AddressRange::new(0x7FFF_0000_8000 - 128, STACK.end)
        ]
    );
    assert_eq!(plan.memory.form, MemoryForm::List);
    assert!(plan.minidump_type.is_empty());
}

#[test]
fn a_stack_pointer_in_the_guard_page_finds_the_stack_above() {
    let mut snapshot = snapshot();
    let guard =
        Region { protection: Protection::empty(), ..region(STACK.start - 0x1000, STACK.start) };
    change_regions(&mut snapshot, |regions| regions.insert(4, guard));
    snapshot.threads[0] = thread(100, STACK.start - 0x10, 0x40_1000);
    let plan = planned(&snapshot, &SyntheticMemory::default(), FormatFlags::empty());
    assert!(holds(&plan, STACK.start) && !holds(&plan, STACK.start - 1));
}

#[test]
fn a_thread_on_a_foreign_stack_keeps_its_home_stack() {
    let mut snapshot = snapshot();
    snapshot.threads[0] = thread(100, HEAP.start + 0x1000, 0x40_1000);
    let saved = STACK.start + 0x9000;
    let memory =
        SyntheticMemory { words: vec![(HEAP.start + 0x1100, saved)], ..Default::default() };
    let plan = planned(&snapshot, &memory, FormatFlags::empty());
    assert!(holds(&plan, HEAP.start + 0x1000) && holds(&plan, HEAP.end - 1));
    assert!(holds(&plan, saved) && !holds(&plan, saved - 16));
}

#[test]
fn an_exception_on_another_stack_is_the_described_one() {
    let mut snapshot = snapshot();
    let registers = thread(100, STACK.start + 0x4000, 0x40_2000).registers;
    snapshot.threads[0] = thread(100, HEAP.start + 0x1000, 0x40_1000);
    snapshot.exception = Some(ExceptionSnapshot {
        tid: Tid(100),
        code: 11,
        flags: 1,
        address: 0,
        parameters: Vec::new(),
        registers,
    });
    let memory = SyntheticMemory::default();
    let context = Context {
        hides_unix_memory: false,
        snapshot: &snapshot,
        memory: &memory,
        flags: FormatFlags::empty(),
        include_dontdump: false,
        finds_modules_in_memory: false,
    };
    let stacks = stacks::find(&context, &mut Vec::new());
    let described: Vec<_> = stacks.iter().filter(|s| s.described).collect();
    assert_eq!(described.len(), 1);
    assert_eq!(described[0].live.start, STACK.start + 0x4000 - 128);
    assert!(stacks.iter().any(|s| HEAP.contains(s.live.start)));
}

#[test]
fn full_memory_takes_populated_pages_and_whole_images() {
    let mut memory = SyntheticMemory::default();
    memory.unpopulated.insert(AddressRange::new(0x40_0000, 0x40_4000));
    memory.unpopulated.insert(AddressRange::new(HEAP.start + 0x4000, HEAP.end));
    memory.unpopulated.insert(AddressRange::new(0x70_0000, 0x70_7000));
    let plan = planned(&snapshot(), &memory, FormatFlags::USER_SMALL_FULL_MEMORY);
    assert!(holds(&plan, 0x40_0000), "an image is taken whole");
    assert!(holds(&plan, HEAP.start + 0x3FFF) && !holds(&plan, HEAP.start + 0x4000));
    assert!(!holds(&plan, 0x70_0000) && holds(&plan, 0x70_7000));
    assert_eq!(plan.memory.form, MemoryForm::List64);
    assert_eq!(plan.minidump_type, MinidumpType::WITH_FULL_MEMORY);
}

#[test]
fn a_stack_with_pages_that_were_never_populated_is_zero_there_and_not_read() {
    let mut memory = SyntheticMemory::default();
    let untouched = AddressRange::new(STACK.start + 0xA000, STACK.start + 0xC000);
    memory.unpopulated.insert(untouched);
    let plan = planned(&snapshot(), &memory, FormatFlags::empty());
    assert_eq!(plan.memory.zero, [untouched].into_iter().collect());
}

#[test]
fn a_mapping_past_its_file_ends_full_memory_unless_told_to_go_on() {
    let mut snapshot = snapshot();
    change_regions(&mut snapshot, |regions| regions[3].backed_end = 0x70_3000);
    let mut memory = SyntheticMemory::default();
    memory.unpopulated.insert(AddressRange::new(0x70_3000, 0x70_8000));
    let full = FormatFlags::USER_SMALL_FULL_MEMORY;
    let error = plan(&snapshot, &memory, &small(full)).unwrap_err();
    assert!(matches!(error, Error::InaccessibleMemory { reason: HoleReason::PastEndOfFile, .. }));
    let plan = planned(&snapshot, &memory, full | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM);
    assert_eq!(plan.memory.holes[0].range, AddressRange::new(0x70_3000, 0x70_8000));
    assert!(holds(&plan, 0x70_2FFF) && !holds(&plan, 0x70_3000));
}

#[test]
fn private_read_write_memory_leaves_shared_and_read_only_memory_out() {
    let flags = FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY;
    let plan = planned(&snapshot(), &SyntheticMemory::default(), flags);
    assert!(holds(&plan, HEAP.start) && holds(&plan, 0x40_4000));
    assert!(!holds(&plan, 0x40_0000) && !holds(&plan, 0x70_0000));
}

#[test]
fn forbidden_memory_never_goes_in_and_dontdump_only_on_request() {
    let mut snapshot = snapshot();
    change_regions(&mut snapshot, |regions| {
        regions[2].access = Access::DontDump;
        regions[3].access = Access::Forbidden;
    });
    let memory =
        SyntheticMemory { words: vec![(STACK.end - 8, HEAP.start + 0x800)], ..Default::default() };
    let flags = FormatFlags::USER_SMALL_FULL_MEMORY | FormatFlags::USER_SMALL_INDIRECT_MEMORY;
    let mut request = small(flags);
    request.extensions.memory = vec![HEAP, AddressRange::new(0x70_0000, 0x70_1000)];
    let without = plan(&snapshot, &memory, &request).unwrap();
    assert!(!holds(&without, HEAP.start + 0x800) && !holds(&without, 0x70_0000));
    assert!(without.soft_errors.iter().any(|e| e.subject.contains("0x600000")));
    request.extensions.include_dontdump = true;
    let with = plan(&snapshot, &memory, &request).unwrap();
    assert!(holds(&with, HEAP.start + 0x800) && !holds(&with, 0x70_0000));
}

#[test]
fn indirect_memory_takes_the_window_around_each_pointer() {
    let target = HEAP.start + 0x8000;
    let memory = SyntheticMemory {
        words: vec![(STACK.end - 16, target), (STACK.end - 8, 0x40_4100)],
        ..Default::default()
    };
    let plan = planned(&snapshot(), &memory, FormatFlags::USER_SMALL_INDIRECT_MEMORY);
    assert!(holds(&plan, target - indirect::BEFORE) && holds(&plan, target + indirect::AFTER - 1));
    assert!(!holds(&plan, target + indirect::AFTER + 16));
    assert!(!holds(&plan, 0x40_4100), "images are not indirect memory");
}

#[test]
fn a_stack_of_any_stated_size_is_searched_where_it_is() {
    let mut snapshot = snapshot();
    let end = STACK.start + (1 << 50);
    change_regions(&mut snapshot, |regions| {
        let region = regions.iter_mut().find(|r| r.range == STACK).unwrap();
        (region.range.end, region.backed_end, region.absent) = (end, end, Absent::Missing);
    });
    let missing = AddressRange::new(STACK.end, end);
    let target = HEAP.start + 0x8000;
    let memory = SyntheticMemory {
        unpopulated: [missing].into_iter().collect(),
        words: vec![(STACK.end - 16, target)],
        ..SyntheticMemory::default()
    };
    let plan = planned(&snapshot, &memory, FormatFlags::USER_SMALL_INDIRECT_MEMORY);
    assert!(holds(&plan, target) && !holds(&plan, missing.start));
}

#[test]
fn what_a_user_space_pager_would_have_to_supply_is_a_hole_without_a_place() {
    let mut snapshot = snapshot();
    change_regions(&mut snapshot, |regions| regions[2].absent = Absent::Unknown);
    // The thread runs on a stack in that memory, whose upper part is not there.
    snapshot.threads[0] = thread(100, HEAP.start + 0x1000, 0x40_1000);
    let missing = AddressRange::new(HEAP.start + 0x4000, HEAP.end);
    let memory = SyntheticMemory {
        unpopulated: [missing].into_iter().collect(),
        words: vec![(HEAP.start + 0x1100, missing.start + 0x800)],
        ..SyntheticMemory::default()
    };
    let flags = FormatFlags::USER_SMALL_INDIRECT_MEMORY | FormatFlags::USER_SMALL_FULL_MEMORY;
    let mut request = small(flags);
    request.extensions.memory = vec![HEAP];
    let plan = plan(&snapshot, &memory, &request).unwrap();
    assert!(holds(&plan, missing.start - 1) && !holds(&plan, missing.start));
    assert_eq!(plan.memory.holes, [Hole { range: missing, reason: HoleReason::UserFault }]);
}

#[test]
fn segments_are_chosen_by_their_protection() {
    let memory = SyntheticMemory::default();
    let data = planned(&snapshot(), &memory, FormatFlags::USER_SMALL_DATA_SEGMENTS);
    assert!(holds(&data, 0x40_5FFF) && !holds(&data, 0x40_3FFF));
    let code = planned(&snapshot(), &memory, FormatFlags::USER_SMALL_CODE_SEGMENTS);
    assert!(holds(&code, 0x40_3FFF) && !holds(&code, 0x40_5FFF));
    let headers = planned(&snapshot(), &memory, FormatFlags::USER_SMALL_MODULE_HEADERS);
    assert!(holds(&headers, 0x40_0000) && !holds(&headers, 0x40_0800));
}

#[test]
fn no_optional_data_takes_out_memory_environment_and_the_header_flags() {
    let flags = FormatFlags::USER_SMALL_FULL_MEMORY
        | FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY
        | FormatFlags::USER_SMALL_INDIRECT_MEMORY
        | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA
        | FormatFlags::USER_SMALL_NO_OPTIONAL_DATA;
    let plan = planned(&snapshot(), &SyntheticMemory::default(), flags);
    assert_eq!(plan.memory.ranges.len(), 2);
    assert!(!has_stream(&plan, StreamType::LINUX_ENVIRON));
    assert_eq!(plan.minidump_type, MinidumpType::WITHOUT_OPTIONAL_DATA);
}

#[test]
fn what_the_target_does_not_have_is_not_claimed() {
    let flags = FormatFlags::USER_SMALL_IPT_TRACE
        | FormatFlags::USER_SMALL_FULL_AUXILIARY_STATE
        | FormatFlags::USER_SMALL_ADD_AVX_XSTATE_CONTEXT;
    let plan = planned(&snapshot(), &SyntheticMemory::default(), flags);
    assert!(plan.minidump_type.is_empty());
    let subjects: Vec<_> = plan.soft_errors.iter().map(|e| e.subject.as_str()).collect();
    assert_eq!(subjects, ["IPT_TRACE", "FULL_AUXILIARY_STATE", "ADD_AVX_XSTATE_CONTEXT"]);
}

#[test]
fn arguments_and_environment_leave_the_initial_stack_too() {
    let mut snapshot = snapshot();
    let at = |offset, len| AddressRange::with_len(STACK.start + 0xF000 + offset, len);
    snapshot.initial_stack = Some(InitialStack {
        range: AddressRange::new(STACK.start + 0xE000, STACK.end),
        arguments: at(0, 0x100),
        environment: at(0x100, 0x200),
        exec_fn: at(0x300, 0x10),
        first_strings: at(0x310, 0),
    });
    let memory = SyntheticMemory::default();
    for flag in [FormatFlags::USER_SMALL_NO_OPTIONAL_DATA, FormatFlags::USER_SMALL_FILTER_TRIAGE] {
        let plan = planned(&snapshot, &memory, flag);
        let mut bytes = [1; 0x400];
        plan.memory.edits.apply(STACK.start + 0xF000, &mut bytes);
        assert_eq!(bytes[..0x310], [0; 0x310]);
        assert_eq!(bytes[0x310..], [1; 0xF0]);
    }
}

#[test]
fn a_budget_that_the_streams_alone_exceed_is_refused() {
    let mut request = small(FormatFlags::empty());
    request.extensions.max_size = Some(1000);
    let error = plan(&snapshot(), &SyntheticMemory::default(), &request).unwrap_err();
    assert!(error.to_string().contains("--max-size"), "{error}");
}

#[test]
fn memory_up_to_the_end_of_the_address_space_is_planned_like_any_other() {
    let mut snapshot = snapshot();
    let top = AddressRange::new(u64::MAX - 0x1fff, u64::MAX);
    let code = Protection::READ | Protection::EXECUTE;
    snapshot.regions.push(Region { protection: code, ..region(top.start, top.end) });
    snapshot.threads.push(thread(101, u64::MAX - 0x803, u64::MAX - 3));
    let flags = FormatFlags::USER_SMALL_FILTER_MEMORY
        | FormatFlags::USER_SMALL_INDIRECT_MEMORY
        | FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM;
    let plan = planned(&snapshot, &SyntheticMemory::default(), flags);
    assert!(holds(&plan, u64::MAX - 0x20));
}
