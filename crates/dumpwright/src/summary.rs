//! What a dump turned out to be: for the user who asked, as text or JSON.

use crate::info::exception_name;
use crate::kernel_type::KernelDumpType;
use crate::layout::kernel::KernelLayout;
use crate::plan::DumpPlan;
use crate::plan::kernel::{Body, KernelPlan};
use crate::plan::selection::LeftOut;
use crate::redact::Audit;
use crate::request::{Destination, DumpRequest};
use crate::soft_error::{Hole, SoftError};
use crate::target::machine::count_pages;
use crate::target::machine::{
    BugCheck, GuestKind, MachineArchitecture, MachineSnapshot, PAGE_SIZE, PageHole,
};
use crate::target::{ExceptionSnapshot, Pid, ProcessSnapshot, Tid};
use crate::write::Outcome;
use crate::write::kernel::KernelOutcome;
use dumpwright_format::Qualifier;
use serde::{Serialize, Serializer};
use std::path::PathBuf;
use std::time::Duration;

/// The end of a successful dump. Its JSON form has these names; addresses are
/// hexadecimal strings, times milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The file, or `None` for standard output. Characters that are not Unicode
    /// are replaced in JSON.
    #[serde(serialize_with = "path")]
    pub file: Option<PathBuf>,
    /// What was written, in words.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `DEBUG_DUMP_*` name.
    pub qualifier: &'static str,
    /// `DEBUG_FORMAT_*` names without prefix, those that the qualifier implies
    /// included.
    pub format_flags: Vec<&'static str>,
    /// The header's `Flags`; in JSON as `info` shows it, `"0x..."`.
    #[serde(serialize_with = "hex")]
    pub minidump_type: u64,
    /// The names of its bits.
    pub minidump_type_names: Vec<&'static str>,
    /// What a kernel dump holds; only in JSON of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelSummary>,
    /// Process id in the dumper's namespace; 0 for a machine.
    pub pid: Pid,
    /// Process ids from the dumper's namespace inward.
    pub namespace_pids: Vec<u32>,
    /// What Linux calls a process under Wine that was dumped as one of Windows;
    /// only in JSON of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix_pid: Option<Pid>,
    /// Short name of the process.
    pub process: String,
    /// The exception in the dump; only in JSON of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionReport>,
    /// Bytes of the file (of the CAB, if it is one), or of the stream.
    pub size: u64,
    /// Bytes of the dump; in a CAB, before compression.
    pub dump_size: u64,
    /// Names in the CAB; only in JSON if there is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cab_files: Vec<String>,
    /// Threads in the dump.
    pub threads: usize,
    /// Modules in the dump.
    pub modules: usize,
    /// Handles in the dump.
    pub handles: usize,
    /// Bytes of target memory.
    pub memory_bytes: u64,
    /// Ranges of target memory.
    pub memory_ranges: usize,
    /// Memory that belongs in the dump and could not be read.
    pub holes: Vec<HoleReport>,
    /// Bytes of holes beyond those listed.
    pub unlisted_hole_bytes: u64,
    /// What a size budget left out.
    pub left_out: Vec<LeftOut>,
    /// How many soft errors there were.
    pub soft_errors: usize,
    /// The soft errors.
    pub soft_error_list: Vec<SoftError>,
    /// What filters and redaction removed.
    #[serde(skip)]
    pub audit: Audit,
    /// How many matches were redacted; only in JSON if any were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redactions: Option<u64>,
    /// How long the target stood still; zero for one that never ran.
    #[serde(rename = "held_ms", serialize_with = "millis")]
    pub held: Duration,
    /// How long everything took.
    #[serde(rename = "total_ms", serialize_with = "millis")]
    pub total: Duration,
}

/// What a kernel dump turned out to be.
#[derive(Clone, Debug, Serialize)]
pub struct KernelSummary {
    /// The type.
    #[serde(rename = "type")]
    pub kind: KernelDumpType,
    /// The header's `DumpType`.
    pub dump_type: u32,
    /// What runs on the machine.
    pub guest: GuestKind,
    /// Its processors' architecture and paging.
    pub architecture: MachineArchitecture,
    /// Its operating system build.
    pub build: u32,
    /// Processors.
    pub processors: usize,
    /// Bug check; `None` for a machine that did not crash.
    pub bug_check: Option<BugCheck>,
    /// Pages of RAM that the source has.
    pub pages_of_ram: u64,
    /// Pages in the dump.
    pub pages: u64,
    /// Pieces of virtual memory in a small dump.
    pub data_blocks: usize,
    /// Blocks of secondary data, attached files among them.
    pub secondary_blocks: usize,
}

/// The exception of a dump, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct ExceptionReport {
    /// The thread that it happened in.
    pub thread: Tid,
    /// `SIGSEGV (SEGV_MAPERR)`, `ACCESS_VIOLATION (read)`, …
    pub name: String,
    /// Its code; on Linux the signal number.
    #[serde(serialize_with = "hex")]
    pub code: u64,
    /// Where it happened.
    #[serde(serialize_with = "hex")]
    pub address: u64,
}

impl ExceptionReport {
    fn new(exception: &ExceptionSnapshot, platform_id: u32) -> Self {
        let ExceptionSnapshot { tid, code, flags, address, parameters, .. } = exception;
        ExceptionReport {
            thread: *tid,
            name: exception_name(platform_id, *code, *flags, parameters),
            code: (*code).into(),
            address: *address,
        }
    }
}

/// A hole, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct HoleReport {
    /// First address.
    pub start: String,
    /// First address past the end.
    pub end: String,
    /// Why it could not be read.
    pub reason: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn hex<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

#[expect(clippy::ref_option, reason = "serde gives a reference")]
fn path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|p| p.to_string_lossy()).serialize(serializer)
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1000.0)
}

impl Summary {
    /// The summary of a dump before it is packaged: `size` is the dump's own.
    pub(crate) fn new(
        request: &DumpRequest,
        snapshot: &ProcessSnapshot,
        plan: &DumpPlan,
        outcome: &Outcome,
        size: u64,
    ) -> Summary {
        let mut audit = plan.audit.clone();
        audit.append(&outcome.audit);
        let holes = plan.memory.holes.iter().chain(&outcome.holes).map(HoleReport::new).collect();
        Summary {
            file: match &request.destination {
                Destination::File(file) => Some(file.clone()),
                Destination::Stdout => None,
            },
            kind: match request.qualifier {
                _ if plan.core.is_some() => "ELF core",
                Qualifier::Default => "full user-mode dump (minidump with full memory)",
                _ => "minidump",
            },
            qualifier: request.qualifier.name(),
            format_flags: request.content_flags().names().collect(),
            minidump_type: plan.minidump_type.bits(),
            minidump_type_names: plan.minidump_type.iter_names().map(|(name, _)| name).collect(),
            kernel: None,
            pid: snapshot.process.pid,
            namespace_pids: snapshot.process.namespace_pids.clone(),
            unix_pid: snapshot.unix_side.as_ref().map(|unix_side| unix_side.pid),
            process: snapshot.process.name.clone(),
            exception: snapshot
                .exception
                .as_ref()
                .map(|exception| ExceptionReport::new(exception, snapshot.system.platform_id)),
            size,
            dump_size: size,
            cab_files: Vec::new(),
            threads: snapshot.threads.len(),
            modules: snapshot.modules.len(),
            handles: snapshot.handles.len(),
            memory_bytes: plan.memory.len(),
            memory_ranges: plan.memory.ranges.len(),
            holes,
            unlisted_hole_bytes: outcome.unlisted_hole_bytes,
            left_out: plan.memory.left_out.clone(),
            soft_errors: plan.soft_errors.len(),
            soft_error_list: plan.soft_errors.clone(),
            redactions: plan.memory.redactor.as_ref().map(|_| audit.redactions()),
            audit,
            held: Duration::ZERO,
            total: Duration::ZERO,
        }
    }

    /// The summary of a kernel dump before it is packaged.
    pub(crate) fn of_machine(
        request: &DumpRequest,
        snapshot: &MachineSnapshot,
        plan: &KernelPlan,
        outcome: &KernelOutcome,
        layout: &KernelLayout,
    ) -> Summary {
        let pages = count_pages(layout.pages());
        let (data_blocks, pieces, modules) = match &plan.body {
            Body::Triage(triage) => {
                let pieces = triage.blocks.iter().map(|(_, b)| b.len() as u64).sum();
                (triage.blocks.len(), pieces, triage.drivers.len())
            }
            Body::Pages(_) => (0, 0, snapshot.modules.len()),
        };
        Summary {
            file: match &request.destination {
                Destination::File(file) => Some(file.clone()),
                Destination::Stdout => None,
            },
            kind: kernel_words(plan.kind),
            qualifier: request.qualifier.name(),
            format_flags: request.format_flags.names().collect(),
            minidump_type: 0,
            minidump_type_names: Vec::new(),
            audit: Audit::default(),
            redactions: None,
            kernel: Some(KernelSummary {
                kind: plan.kind,
                dump_type: plan.kind.header_type().0,
                guest: snapshot.guest,
                architecture: snapshot.architecture,
                build: snapshot.build,
                processors: snapshot.processors.len(),
                bug_check: snapshot.bug_check,
                pages_of_ram: count_pages(&plan.ram),
                pages,
                data_blocks,
                secondary_blocks: plan.blobs.len(),
            }),
            pid: Pid(0),
            namespace_pids: Vec::new(),
            unix_pid: None,
            process: String::new(),
            exception: None,
            size: layout.file_size(),
            dump_size: layout.file_size(),
            cab_files: Vec::new(),
            threads: 0,
            modules,
            handles: 0,
            memory_bytes: pages * PAGE_SIZE + pieces,
            memory_ranges: layout.pages().len() + data_blocks,
            holes: outcome.holes.iter().map(HoleReport::of_pages).collect(),
            unlisted_hole_bytes: outcome.unlisted_pages * PAGE_SIZE,
            left_out: Vec::new(),
            soft_errors: plan.soft_errors.len() + outcome.soft_errors.len(),
            soft_error_list: [&plan.soft_errors[..], &outcome.soft_errors].concat(),
            held: Duration::ZERO,
            total: Duration::ZERO,
        }
    }

    /// Adds what went wrong after the dump itself was written.
    pub(crate) fn note(&mut self, notes: Vec<SoftError>) {
        self.soft_errors += notes.len();
        self.soft_error_list.extend(notes);
    }
}

fn kernel_words(kind: KernelDumpType) -> &'static str {
    match kind {
        KernelDumpType::Full => "full kernel dump",
        KernelDumpType::KernelSummary => "kernel summary dump",
        KernelDumpType::Triage => "small kernel dump (triage)",
        KernelDumpType::BitmapFull => "full kernel dump (bitmap)",
        KernelDumpType::BitmapKernel => "kernel memory dump (bitmap)",
        KernelDumpType::Automatic => "automatic kernel memory dump",
        KernelDumpType::KernelMemory => "kernel memory dump",
        KernelDumpType::KernelAndUserMemory => "kernel and user memory dump",
        KernelDumpType::CompleteMemory => "complete memory dump",
        KernelDumpType::Active => "active memory dump",
    }
}

impl HoleReport {
    fn of_pages(hole: &PageHole) -> Self {
        HoleReport {
            start: hole.run.base.gpa().to_string(),
            end: hole.run.end().gpa().to_string(),
            reason: hole.reason.to_string(),
        }
    }

    fn new(hole: &Hole) -> Self {
        HoleReport {
            start: format!("{:#x}", hole.range.start),
            end: format!("{:#x}", hole.range.end),
            reason: hole.reason.to_string(),
        }
    }
}
