//! Whether a kernel dump is sound.

use super::report::{Fault, Severity};
use crate::read::kernel::{BodyHeader, KernelDump, Triage};
use crate::target::machine::PAGE_SIZE;
use dumpwright_format::kernel::{
    DumpType, Header32, Header64, MACHINE_AMD64, MACHINE_ARM64, MACHINE_X86, MAX_RUNS_32,
    MAX_RUNS_64, RDMP_METADATA_START, TriageDump64,
};

/// Faults of one kind that are listed; more are counted.
const LISTED: usize = 16;

/// The faults of a kernel dump, in the order of the checks; none if it is sound.
///
/// Answers for any bytes in time and memory that the file's length bounds.
pub fn verify_kernel(dump: &KernelDump) -> Vec<Fault> {
    let mut checks = Checks { dump, faults: Vec::new() };
    checks.header();
    for fault in dump.trouble() {
        checks.error(fault.offset, fault.reason.clone());
    }
    if let Some(triage) = dump.triage() {
        checks.triage(triage);
    } else {
        checks.pages();
    }
    checks.faults
}

struct Checks<'a> {
    dump: &'a KernelDump,
    faults: Vec<Fault>,
}

impl Checks<'_> {
    fn error(&mut self, offset: impl Into<Option<u64>>, message: impl Into<String>) {
        self.add(Severity::Error, offset, message);
    }

    fn warning(&mut self, offset: impl Into<Option<u64>>, message: impl Into<String>) {
        self.add(Severity::Warning, offset, message);
    }

    fn add(
        &mut self,
        severity: Severity,
        offset: impl Into<Option<u64>>,
        message: impl Into<String>,
    ) {
        let offset = offset.into();
        self.faults.push(Fault { severity, stream: None, offset, message: message.into() });
    }

    fn header(&mut self) {
        let header = self.dump.header();
        let wide = header.size() == size_of::<Header64>() as u64;
        debug_assert!(wide || header.size() == size_of::<Header32>() as u64);
        if header.dump_type.name().is_none() {
            self.error(None, format!("DumpType {} is not known", header.dump_type.0));
        }
        let machine = header.machine;
        let fits = if wide {
            [MACHINE_AMD64, MACHINE_ARM64].contains(&machine)
        } else {
            machine == MACHINE_X86
        };
        if !fits {
            self.error(0x30, format!("MachineImageType {machine:#x} does not go with this header"));
        }
        if header.processors == 0 {
            self.warning(None, "the header has no processor");
        }
        if ![0xF, 0xC].contains(&header.major_version) {
            self.warning(
                8,
                format!(
                    "MajorVersion {} is neither of a free nor a checked build",
                    header.major_version
                ),
            );
        }
        if !header.directory_table_base.is_multiple_of(8) || header.directory_table_base == 0 {
            self.warning(
                0x10,
                format!("DirectoryTableBase {:#x} is no page table", header.directory_table_base),
            );
        }
        if let Some(status @ 1..) = header.writer_status {
            self.warning(
                None,
                format!("WriterStatus {status:#x}: whoever wrote the dump had trouble"),
            );
        }
        let most = if wide { MAX_RUNS_64 + 1 } else { MAX_RUNS_32 };
        if header.stated_runs as usize > most {
            self.error(
                0x88,
                format!(
                    "the header says it has {} runs and has room for {most}",
                    header.stated_runs
                ),
            );
        }
        let sum = header.runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.count));
        if header.pages.is_some_and(|stated| stated != sum) && header.stated_runs as usize <= most {
            self.error(
                0x90,
                format!(
                    "NumberOfPages is {:?} and the runs have {sum}",
                    header.pages.unwrap_or_default()
                ),
            );
        }
        let faults =
            header.runs.windows(2).filter(|pair| pair[0].end() > pair[1].base).take(LISTED);
        let messages: Vec<_> = faults
            .map(|pair| {
                format!(
                    "the run at frame {} overlaps the one at {} or is not in order",
                    pair[1].base, pair[0].base
                )
            })
            .collect();
        for message in messages {
            self.error(0x88, message);
        }
        self.required_space();
    }

    /// Small dumps of Windows reserve more than they use, so that only what is
    /// missing from a dump of pages is a fault.
    fn required_space(&mut self) {
        let (len, kind) = (self.dump.len(), self.dump.header().dump_type);
        match self.dump.header().required_dump_space {
            None => self.warning(None, "RequiredDumpSpace was never stored"),
            Some(stated) if stated > len && kind != DumpType::TRIAGE => {
                self.error(None, format!("RequiredDumpSpace is {stated} and the file has {len} bytes: its end is missing"));
            }
            Some(stated) if stated < len => {
                self.warning(
                    None,
                    format!("RequiredDumpSpace is {stated} and the file has {len} bytes"),
                );
            }
            Some(_) => {}
        }
    }

    fn pages(&mut self) {
        let (dump, len) = (self.dump, self.dump.len());
        let map = dump.page_map();
        if let Some(body) = dump.body() {
            self.body(body, map.pages());
        }
        if dump.header().dump_type == DumpType::FULL && dump.header().runs.is_empty() {
            self.error(
                0x88,
                "a full dump has its pages in the runs of its header, and there are none",
            );
        }
        let end = map.end(dump.header().size());
        if end > len {
            let missing = (end - len).div_ceil(PAGE_SIZE);
            self.error(len, format!("the file ends {missing} pages before its last page does"));
        }
        if let Some((a, b)) = map.overlap() {
            self.error(
                b.offset,
                format!(
                    "frames from {} on are in the dump twice, at {:#x} too",
                    b.run.base, a.offset
                ),
            );
        }
    }

    fn body(&mut self, body: &BodyHeader, pages: u64) {
        let start = self.dump.header().size();
        if body.first_page < start {
            self.error(
                start,
                format!("the first page is said to be at {:#x}, in the header", body.first_page),
            );
        }
        if !body.first_page.is_multiple_of(PAGE_SIZE) && body.bits.is_some() {
            self.warning(
                start,
                format!("the first page is at {:#x}, not at a multiple of a page", body.first_page),
            );
        }
        if let Some(stated) = body.stated_pages.filter(|stated| *stated != pages) {
            self.error(
                start,
                format!("the body says that it has {stated} pages and names {pages}"),
            );
        }
        if let Some(stated) = body.stated_ranges {
            let named = self.dump.page_map().extents().len() as u64;
            if u64::from(stated) != named {
                self.error(
                    start,
                    format!("the body says that it has {stated} ranges and has {named}"),
                );
            }
        }
        if let Some(size) = body.metadata_size {
            let ends = size.checked_add(start + RDMP_METADATA_START);
            if ends != Some(body.first_page) {
                self.error(
                    start,
                    format!(
                        "MetadataSize {size:#x} does not end where the pages start ({:#x})",
                        body.first_page
                    ),
                );
            }
            if size % 16 != 0 {
                self.warning(start, format!("MetadataSize {size:#x} is no multiple of 16"));
            }
        }
    }

    fn triage(&mut self, triage: &Triage) {
        let len = self.dump.len();
        let start = self.dump.header().size();
        if !triage.is_valid {
            self.error(
                u64::from(triage.wire.valid_offset.get()),
                "'TRGD' is not where ValidOffset says",
            );
        }
        if u64::from(triage.size) > len {
            self.error(
                start,
                format!("SizeOfDump is {} and the file has {len} bytes", triage.size),
            );
        }
        let valid_end = u64::from(triage.wire.valid_offset.get()) + 4;
        if valid_end != u64::from(triage.size) {
            self.warning(start, "'TRGD' is not the last that SizeOfDump counts");
        }
        let first = start + size_of::<TriageDump64>() as u64;
        for part in &triage.parts {
            let at = u64::from(part.offset);
            if at == 0 {
                self.warning(start, format!("there is no {}", part.name));
            } else if at < first || at > u64::from(triage.size) {
                self.error(
                    start,
                    format!("{} is said to be at {at:#x}, outside the dump", part.name),
                );
            }
        }
        let inside = |offset: u32, size: u32| u64::from(offset) + u64::from(size) <= len;
        if !inside(triage.stack.offset, triage.stack.size) {
            self.error(start, "the stack reaches past the end of the file");
        }
        let data_end =
            (triage.wire.debugger_data_offset.get(), triage.wire.debugger_data_size.get());
        if !inside(data_end.0, data_end.1) {
            self.error(start, "KDDEBUGGER_DATA64 reaches past the end of the file");
        }
        let outside: Vec<_> = triage.blocks.iter().filter(|b| !inside(b.offset, b.size)).collect();
        for block in outside.iter().take(LISTED) {
            self.error(
                u64::from(block.offset),
                format!("the data block of {} reaches past the end of the file", block.address),
            );
        }
        if let Some(more @ 1..) = outside.len().checked_sub(LISTED) {
            self.error(None, format!("{more} more such data blocks are not listed"));
        }
        let nameless = triage.drivers.iter().filter(|d| d.name.is_none()).count();
        if nameless > 0 {
            self.error(
                u64::from(triage.wire.driver_list_offset.get()),
                format!("{nameless} drivers have names outside the file"),
            );
        }
    }
}
