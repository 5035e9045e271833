//! From qualifier and flags to what goes into a dump: the streams, and the
//! ranges of memory.
//!
//! Pure: a plan is made of a [`ProcessSnapshot`] and a [`MemorySource`], and
//! never asks what kind of target they come from. One file per family:
//!
//! - [`stacks`] — thread stacks and the code around instruction pointers
//! - [`indirect`] — INDIRECT_MEMORY
//! - [`images`] — DATA_SEGMENTS, CODE_SEGMENTS, MODULE_HEADERS
//! - [`whole`] — FULL_MEMORY and PRIVATE_READ_WRITE_MEMORY
//! - [`missing`] — what a dump that is the target does not have
//! - [`selection`] — puts ranges together, by priority under a size budget
//! - [`filter_memory`] — FILTER_MEMORY, and edits of memory in general
//! - `filter_registers` — FILTER_MEMORY in registers
//! - [`windows`] — what these mean for PEB, TEBs and loader data
//! - [`filter_text`] — FILTER_PATHS, FILTER_TRIAGE, NO_OPTIONAL_DATA
//! - [`streams`] — everything that is not memory
//! - [`core`] — what stands for streams in an ELF core

#![forbid(unsafe_code)]

pub mod assembly;
pub mod core;
pub mod filter_memory;
mod filter_registers;
pub mod filter_text;
pub mod images;
pub mod indirect;
pub mod kernel;
pub mod missing;
pub mod selection;
pub mod stacks;
pub mod streams;
pub mod whole;
pub mod windows;

use crate::address::{AddressRange, RangeSet};
use crate::error::Result;
use crate::packed::Packed;
use crate::redact::{Audit, Redactor};
use crate::request::{DumpRequest, OutputFormat};
use crate::soft_error::{Hole, HoleReason, SoftError};
use crate::target::{
    Absent, Access, Architecture, Backing, MemorySource, ProcessSnapshot, Protection, Region,
};
pub(crate) use core::note_head;

use assembly::Assembly;
use dumpwright_format::{FormatFlags, MinidumpType};
use filter_memory::Edits;
use filter_text::Privacy;
use selection::{LeftOut, Selection};
use std::borrow::Cow;
use streams::MemoryInfoPlan;

/// Everything that goes into a dump.
#[derive(Clone, Debug)]
pub struct DumpPlan {
    /// What the header's `Flags` will say: the types that were really done.
    pub minidump_type: MinidumpType,
    /// Streams and blobs other than memory lists, memory information and soft
    /// errors.
    pub assembly: Assembly,
    /// The memory information, if it goes in.
    pub memory_info: Option<MemoryInfoPlan>,
    /// What stands in an ELF core instead of the assembly, if that is what is
    /// written.
    pub core: Option<core::CorePlan>,
    /// Target memory.
    pub memory: MemoryPlan,
    /// What could not be had, known before memory is read.
    pub soft_errors: Vec<SoftError>,
    /// What filters and redaction removed outside of memory, and what filters
    /// remove in it.
    pub audit: Audit,
}

/// The target memory of a dump.
#[derive(Clone, Debug, Default)]
pub struct MemoryPlan {
    /// What goes in, in order, without overlaps.
    pub ranges: Packed<AddressRange>,
    /// Which list describes it.
    pub form: MemoryForm,
    /// The parts of `ranges` that are known to be zero and are not read.
    pub zero: RangeSet,
    /// What is changed in the copy.
    pub edits: Edits,
    /// What is looked for in the copy, and overwritten.
    pub redactor: Option<Redactor>,
    /// What to do about memory that cannot be read after all.
    pub hole_policy: HolePolicy,
    /// Whether the readable remains of bad pages are kept.
    pub scan_partial_pages: bool,
    /// Memory that belongs in and is known not to be readable; it has no place
    /// in the file.
    pub holes: Vec<Hole>,
    /// What the size budget left out.
    pub left_out: Vec<LeftOut>,
}

impl MemoryPlan {
    /// Bytes of target memory.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(AddressRange::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Which stream describes the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryForm {
    /// `MemoryListStream`: 32-bit RVAs.
    #[default]
    List,
    /// `Memory64ListStream`: one 64-bit RVA, ranges back to back. Used for full
    /// memory and whenever the memory would not fit under 4 GiB.
    List64,
}

/// What to do about memory that should be readable and is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HolePolicy {
    /// Zero-fill it, record it, go on.
    #[default]
    Record,
    /// End the dump with [`Error::InaccessibleMemory`](crate::Error::InaccessibleMemory).
    Fail,
}

/// Memory beyond this goes into a `Memory64List` even when it is not full
/// memory, so that no RVA overflows.
const LIST_LIMIT: u64 = 0xF000_0000;

/// What the planners look at.
pub(crate) struct Context<'a> {
    pub snapshot: &'a ProcessSnapshot,
    pub memory: &'a dyn MemorySource,
    /// Content flags, with what NO_OPTIONAL_DATA takes out taken out.
    pub flags: FormatFlags,
    pub include_dontdump: bool,
    /// Whether filters keep the Unix side's data of a process under Wine out:
    /// what that has copied of paths, arguments and environment is in no place
    /// that is known.
    pub hides_unix_memory: bool,
    /// Whether readers find the modules by the dynamic linker's list and the
    /// images' headers in memory, and not by a stream.
    pub finds_modules_in_memory: bool,
}

impl Context<'_> {
    pub fn has(&self, flag: FormatFlags) -> bool {
        self.flags.contains(flag)
    }

    /// Whether memory of a region may go into the dump.
    pub fn may_dump(&self, region: &Region) -> bool {
        if self.hides_unix_memory && is_unix_data(region) {
            return false;
        }
        match region.access {
            Access::Normal => true,
            Access::DontDump => self.include_dontdump,
            Access::Forbidden => false,
        }
    }

    /// Whether a region may go in and the process itself can read it.
    pub fn may_read(&self, region: &Region) -> bool {
        self.may_dump(region) && region.protection.contains(Protection::READ)
    }

    /// The region that holds `address`.
    pub fn region_at(&self, address: u64) -> Option<Region> {
        self.snapshot.regions.at(address)
    }

    /// The regions that share an address with `range`, in order.
    pub fn regions_in(&self, range: AddressRange) -> impl Iterator<Item = Region> + '_ {
        self.snapshot.regions.within(range)
    }

    /// The parts of `set` that are not to be had: only a user-space pager could
    /// supply them, or the source was made without them.
    fn out_of_reach(&self, set: &RangeSet) -> Vec<Hole> {
        let mut holes = Vec::new();
        for region in &self.snapshot.regions {
            let Some(reason) = reason_of_absence(region.absent) else { continue };
            for part in set.within(region.range) {
                let populated: RangeSet = self.memory.populated(part).into_iter().collect();
                let missing = populated.missing_from(part);
                holes.extend(missing.into_iter().map(|range| Hole { range, reason }));
            }
        }
        holes
    }

    /// The parts of `range` that the dump may hold: of readable regions, and
    /// backed by something.
    pub fn readable_parts(&self, range: AddressRange) -> Vec<AddressRange> {
        self.regions_in(range)
            .filter(|r| self.may_read(r))
            .map(|r| AddressRange::new(r.range.start, r.backed_end).intersection(range))
            .filter(|r| !r.is_empty())
            .collect()
    }
}

/// Makes the plan for a request.
///
/// # Errors
/// [`Error::InaccessibleMemory`](crate::Error::InaccessibleMemory) for full
/// memory that cannot be read and must be;
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for a size budget
/// that not even the streams fit in.
pub fn plan(
    snapshot: &ProcessSnapshot,
    memory: &dyn MemorySource,
    request: &DumpRequest,
) -> Result<DumpPlan> {
    let asked = request.content_flags();
    let format = request.extensions.format;
    let privacy = Privacy::new(asked, snapshot.system.platform());
    let context = Context {
        snapshot,
        memory,
        flags: without_optional_data(asked),
        include_dontdump: request.extensions.include_dontdump,
        hides_unix_memory: snapshot.unix_side.is_some() && privacy.is_on(),
        finds_modules_in_memory: format == OutputFormat::ElfCore,
    };
    let mut soft_errors = snapshot.soft_errors.clone();
    let mut minidump_type = done_type(&context, request, &mut soft_errors);
    missing::streams(&context, request, &mut minidump_type, &mut soft_errors);

    if context.hides_unix_memory {
        let message = "filters leave its data out: where it has copies of paths, arguments and environment is not known";
        soft_errors.push(SoftError::new("Unix side", message));
    }
    let stacks = stacks::find(&context, &mut soft_errors);
    let mut selection = Selection::default();
    stacks::select(&context, &stacks, &mut selection);
    for range in &request.extensions.memory {
        selection.request(&context, *range, &mut soft_errors);
    }
    indirect::select(&context, &stacks, &mut selection);
    images::select(&context, &mut selection);
    whole::select_thread_data(&context, &mut selection);
    windows::select(&context, &mut selection);
    let mut holes = Vec::new();
    whole::select(&context, &mut selection, &mut holes, &mut soft_errors)?;

    // What the budget leaves for memory depends on the size of everything
    // else, and threads describe what the budget left of their stacks: so the
    // streams are assembled once without memory, for their size.
    let budget = match request.extensions.max_size {
        None => None,
        Some(max) => {
            let bare = streams::assemble(&context, request, privacy, &stacks, &RangeSet::new());
            // Redaction changes no length.
            let text = core::Text { privacy, redactor: None };
            let core = plan_core(&context, &bare, text, format)?;
            let info = memory_info(&context, &Packed::new());
            selection.rank(&by_importance(&context, &stacks));
            Some(crate::layout::memory_budget(&bare, info, core.as_ref(), &soft_errors, max)?)
        }
    };
    let (set, left_out) = selection.resolve(budget);
    let set = set.difference(&missing::memory(&context, &set, &mut soft_errors));
    let out_of_reach = context.out_of_reach(&set);
    let set = set.difference(&out_of_reach.iter().map(|hole| hole.range).collect());
    let listed: RangeSet = holes.iter().map(|hole| hole.range).collect();
    for Hole { range, reason } in out_of_reach {
        let parts = listed.missing_from(range).into_iter();
        holes.extend(parts.map(|range| Hole { range, reason }));
    }
    if !left_out.is_empty() {
        minidump_type.remove(MinidumpType::WITH_FULL_MEMORY);
    }
    soft_errors.extend(left_out.iter().map(LeftOut::note));
    let mut assembly = streams::assemble(&context, request, privacy, &stacks, &set);
    soft_errors.extend(streams::left_out(&context, request, privacy));

    let form = if minidump_type.contains(MinidumpType::WITH_FULL_MEMORY) || set.len() > LIST_LIMIT {
        MemoryForm::List64
    } else {
        MemoryForm::List
    };
    let hole_policy = if context.has(FormatFlags::USER_SMALL_FULL_MEMORY)
        && !context.has(FormatFlags::USER_SMALL_IGNORE_INACCESSIBLE_MEM)
    {
        HolePolicy::Fail
    } else {
        HolePolicy::Record
    };
    for error in &mut soft_errors {
        if let Cow::Owned(message) = privacy.text(&error.message) {
            error.message = message;
        }
        if let Cow::Owned(subject) = privacy.text(&error.subject) {
            error.subject = subject;
        }
    }
    let mut audit = streams::audit(&context, request, privacy, &assembly);
    let edits = Edits::new(&context, privacy, &stacks);
    edits.audit(&set, &mut audit);
    let patterns = &request.extensions.redact;
    let redactor = if patterns.is_empty() { None } else { Some(Redactor::new(patterns)?) };
    if let Some(redactor) = &redactor {
        redactor.redact_assembly(&mut assembly, &mut audit);
        redactor.redact_soft_errors(&mut soft_errors);
    }
    let text = core::Text { privacy, redactor: redactor.as_ref() };
    let ranges = cut_at_regions(&context, &set);
    Ok(DumpPlan {
        minidump_type,
        core: plan_core(&context, &assembly, text, format)?,
        assembly,
        memory_info: memory_info(&context, &ranges),
        memory: MemoryPlan {
            zero: zero_parts(&context, &set),
            edits,
            redactor,
            ranges,
            form,
            hole_policy,
            scan_partial_pages: request.format_flags.scans_partial_pages(),
            holes,
            left_out,
        },
        soft_errors,
        audit,
    })
}

/// What a size budget takes before the rest of whole regions, though no flag of
/// its own asked for it.
fn by_importance(context: &Context<'_>, stacks: &[stacks::Stack]) -> Selection {
    let more =
        FormatFlags::USER_SMALL_INDIRECT_MEMORY | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA;
    let context = Context { flags: context.flags | more, ..*context };
    let mut selection = Selection::default();
    indirect::select(&context, stacks, &mut selection);
    whole::select_thread_data(&context, &mut selection);
    windows::select(&context, &mut selection);
    selection
}

/// FULL_MEMORY_INFO.
fn memory_info(context: &Context<'_>, memory: &Packed<AddressRange>) -> Option<MemoryInfoPlan> {
    let had = context.snapshot.has.memory_info;
    let wanted = context.has(FormatFlags::USER_SMALL_FULL_MEMORY_INFO);
    (wanted && had).then(|| MemoryInfoPlan::new(context.snapshot, memory))
}

/// What an ELF core holds besides memory, if one is asked for.
fn plan_core(
    context: &Context<'_>,
    assembly: &Assembly,
    text: core::Text<'_>,
    format: OutputFormat,
) -> Result<Option<core::CorePlan>> {
    match format {
        OutputFormat::Minidump => Ok(None),
        OutputFormat::ElfCore => core::plan(context, assembly, text).map(Some),
    }
}

/// Whether a region is data of the Unix side of a process under Wine, of which
/// Windows knows nothing.
fn is_unix_data(region: &Region) -> bool {
    region.page_state.is_none()
        && (region.protection.contains(Protection::WRITE) || region.backing == Backing::Anonymous)
}

/// Why pages that are not there cannot be read either; `None` where they can.
fn reason_of_absence(absent: Absent) -> Option<HoleReason> {
    match absent {
        Absent::Zero | Absent::File => None,
        Absent::Unknown => Some(HoleReason::UserFault),
        Absent::Missing => Some(HoleReason::NotInSource),
    }
}

/// NO_OPTIONAL_DATA takes out what these four would add.
fn without_optional_data(flags: FormatFlags) -> FormatFlags {
    if flags.contains(FormatFlags::USER_SMALL_NO_OPTIONAL_DATA) {
        flags
            - (FormatFlags::USER_SMALL_FULL_MEMORY
                | FormatFlags::USER_SMALL_INDIRECT_MEMORY
                | FormatFlags::USER_SMALL_PROCESS_THREAD_DATA
                | FormatFlags::USER_SMALL_PRIVATE_READ_WRITE_MEMORY)
    } else {
        flags
    }
}

/// The `MINIDUMP_TYPE` that will have been done: what was asked for, less what
/// the target does not have, which is noted.
fn done_type(
    context: &Context<'_>,
    request: &DumpRequest,
    soft_errors: &mut Vec<SoftError>,
) -> MinidumpType {
    let mut done = context.flags.minidump_type();
    let mut lacks = |flag, subject: &str, message: &str| {
        if done.contains(flag) {
            done.remove(flag);
            soft_errors.push(SoftError::new(subject, message));
        }
    };
    if context.snapshot.unix_side.is_some() {
        let message = "it is not in the dump: see the note on handles";
        lacks(MinidumpType::WITH_HANDLE_DATA, "HANDLE_DATA", message);
    }
    lacks(MinidumpType::WITH_IPT_TRACE, "IPT_TRACE", "no Intel Processor Trace runs in the target");
    lacks(
        MinidumpType::WITH_FULL_AUXILIARY_STATE,
        "FULL_AUXILIARY_STATE",
        "the target has no auxiliary state providers",
    );
    if context.snapshot.system.xstate.is_none() {
        let message = match context.snapshot.system.architecture {
            Architecture::Amd64 => "the processor or its kernel has no extended state",
            Architecture::X86 | Architecture::Arm64 => {
                "the processor's context has no extended state"
            }
        };
        lacks(MinidumpType::WITH_AVX_XSTATE_CONTEXT, "ADD_AVX_XSTATE_CONTEXT", message);
    }
    if done.contains(MinidumpType::WITH_AVX_XSTATE_CONTEXT | MinidumpType::FILTER_MEMORY) {
        let message = "FILTER_MEMORY zeroes vector registers, since copied text stays in them";
        soft_errors.push(SoftError::new("ADD_AVX_XSTATE_CONTEXT", message));
    }
    // The bit with two names means this without WRITE_CAB only, and the
    // qualifier never adds it.
    done.set(
        MinidumpType::SCAN_INACCESSIBLE_PARTIAL_PAGES,
        request.format_flags.scans_partial_pages(),
    );
    done.set(MinidumpType::WITH_TOKEN_INFORMATION, context.snapshot.token.is_some());
    done
}

/// The selected memory with no range across two regions: readers (udmp-parser)
/// look up each range's region by its start.
fn cut_at_regions(context: &Context<'_>, set: &RangeSet) -> Packed<AddressRange> {
    let parts = set.ranges().iter().flat_map(|range| {
        context.regions_in(range).map(move |region| region.range.intersection(range))
    });
    parts.collect()
}

/// The parts of the selected memory that were never populated and therefore
/// read as zero: written without asking, and so populating, the target.
fn zero_parts(context: &Context<'_>, set: &RangeSet) -> RangeSet {
    let mut zero = RangeSet::new();
    for range in set.ranges() {
        for region in context.regions_in(range) {
            if region.absent != Absent::Zero || region.backing == Backing::File {
                continue;
            }
            let part = region.range.intersection(range);
            let populated: RangeSet = context.memory.populated(part).into_iter().collect();
            zero.extend(populated.missing_from(part));
        }
    }
    zero
}

#[cfg(test)]
mod tests;
