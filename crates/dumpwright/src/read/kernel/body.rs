//! Where page frames stand in the file.

use super::header::{KernelHeader, Width};
use super::{Bytes, CHUNK, malformed};
use crate::read::error::{ReadError, ReadResult};
use crate::target::machine::{PAGE_SIZE, PageRun, Pfn};
use dumpwright_format::kernel::{
    BODY_VALID_DUMP, BitmapHeader, DumpType, FDMP_SIGNATURE, FullRdmpHeader, KernelRdmpHeader,
    PfnRange, RDMP_MARKER, RDMP_SIGNATURE, RdmpHeader, SDMP_SIGNATURE, SummaryHeader32,
    SummaryHeader64,
};
use zerocopy::FromBytes;

/// Runs that a dump may have: 64 GiB of memory, every fourth page of it.
const MAX_EXTENTS: usize = 1 << 22;
/// Frames whose addresses are ones.
const MAX_PFN: u64 = u64::MAX / PAGE_SIZE;

/// Consecutive frames and where their pages stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The frames.
    pub run: PageRun,
    /// File offset of the first page.
    pub offset: u64,
}

impl Extent {
    /// File offset past the last page; at most `u64::MAX`.
    pub fn end(&self) -> u64 {
        self.run.count.saturating_mul(PAGE_SIZE).saturating_add(self.offset)
    }
}

/// What a body says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyHeader {
    /// Its signature: `SDMP`, `FDMP` or `RDMP`.
    pub signature: [u8; 4],
    /// File offset of the first page.
    pub first_page: u64,
    /// Pages that it says it has; `None` where it does not say.
    pub stated_pages: Option<u64>,
    /// Bits of its bitmap; `None` for ranges.
    pub bits: Option<u64>,
    /// Ranges that it says it has; `None` where it does not say.
    pub stated_ranges: Option<u32>,
    /// `MetadataSize` of an `RDMP`.
    pub metadata_size: Option<u64>,
}

/// Where page frames stand in a dump, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct PageMap {
    extents: Vec<Extent>,
    /// Indexes of extents in the order of their frames.
    by_frame: Vec<u32>,
}

impl PageMap {
    fn new(extents: Vec<Extent>) -> PageMap {
        let mut by_frame: Vec<u32> = (0..extents.len() as u32).collect();
        by_frame.sort_by_key(|at| extents[*at as usize].run.base);
        PageMap { extents, by_frame }
    }

    /// In the order of the file.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Frames of all of them.
    pub fn pages(&self) -> u64 {
        self.extents.iter().fold(0, |sum, e| e.run.count.saturating_add(sum))
    }

    /// File offset past the last page; `otherwise` if there are none.
    pub fn end(&self, otherwise: u64) -> u64 {
        self.extents.iter().map(Extent::end).max().unwrap_or(otherwise)
    }

    /// Two extents that have frames in common.
    pub fn overlap(&self) -> Option<(Extent, Extent)> {
        self.by_frame.windows(2).find_map(|pair| {
            let (a, b) = (self.extents[pair[0] as usize], self.extents[pair[1] as usize]);
            (a.run.end() > b.run.base).then_some((a, b))
        })
    }

    /// Where the page of a frame stands, and how many follow in one piece.
    pub fn find(&self, pfn: Pfn) -> Option<(u64, u64)> {
        let next = self.by_frame.partition_point(|at| self.extents[*at as usize].run.base <= pfn);
        let extent = self.extents[*self.by_frame.get(next.checked_sub(1)?)? as usize];
        let into = pfn.0 - extent.run.base.0;
        let left = extent.run.count.checked_sub(into).filter(|left| *left > 0)?;
        Some((extent.offset.checked_add(into.checked_mul(PAGE_SIZE)?)?, left))
    }

    /// The frames whose pages are in a file of `len` bytes, in order and apart.
    pub fn runs_within(&self, len: u64) -> Vec<PageRun> {
        let mut runs: Vec<PageRun> = Vec::new();
        let mut past = Pfn(0);
        for at in &self.by_frame {
            let extent = self.extents[*at as usize];
            let whole = len.saturating_sub(extent.offset) / PAGE_SIZE;
            let end = extent.run.base.0.saturating_add(extent.run.count.min(whole));
            let start = extent.run.base.max(past).0;
            if start < end {
                let run = PageRun { base: Pfn(start), count: end - start };
                crate::target::machine::push_run(&mut runs, run);
                past = Pfn(end);
            }
        }
        runs
    }
}

/// Reads the body behind a header.
pub fn read(
    bytes: &Bytes<'_>,
    header: &KernelHeader,
    note: &mut dyn FnMut(ReadError),
) -> ReadResult<(Option<BodyHeader>, PageMap)> {
    match header.dump_type {
        DumpType::FULL => Ok((None, full(header, note))),
        DumpType::HEADER => Ok((None, PageMap::default())),
        DumpType::BITMAP_FULL | DumpType::BITMAP_KERNEL | DumpType::AUTOMATIC => {
            let at = header.size();
            let body: BitmapHeader = bytes.get(at)?;
            let signature = body.signature.get();
            if ![SDMP_SIGNATURE, FDMP_SIGNATURE].contains(&signature)
                || body.valid_dump.get() != BODY_VALID_DUMP
            {
                return Err(wrong_signature(at, "'SDMPDUMP' or 'FDMPDUMP'"));
            }
            let described = BodyHeader {
                signature: signature.to_le_bytes(),
                first_page: body.first_page.get(),
                stated_pages: Some(body.total_present_pages.get()),
                bits: Some(body.pages.get()),
                stated_ranges: None,
                metadata_size: None,
            };
            let map = bitmap(bytes, &described, at + size_of::<BitmapHeader>() as u64)?;
            Ok((Some(described), map))
        }
        DumpType::KERNEL_SUMMARY => summary(bytes, header),
        DumpType::KERNEL_MEMORY | DumpType::KERNEL_AND_USER_MEMORY | DumpType::COMPLETE_MEMORY => {
            rdmp(bytes, header)
        }
        other => Err(malformed(
            header.size(),
            format!("what follows the header of {other} is not known"),
        )
        .into()),
    }
}

fn wrong_signature(at: u64, expected: &str) -> ReadError {
    malformed(at, format!("the body does not start with {expected}")).into()
}

/// Runs of the header, back to back.
fn full(header: &KernelHeader, note: &mut dyn FnMut(ReadError)) -> PageMap {
    let mut at = header.size();
    let mut extents = Vec::new();
    for run in &header.runs {
        if run.base.0.checked_add(run.count).is_none_or(|end| end > MAX_PFN) {
            note(
                malformed(
                    0,
                    format!(
                        "a run of {} pages at frame {} is past any memory",
                        run.count, run.base
                    ),
                )
                .into(),
            );
            break;
        }
        if run.count == 0 {
            continue;
        }
        let extent = Extent { run: *run, offset: at };
        at = extent.end();
        extents.push(extent);
    }
    PageMap::new(extents)
}

fn summary(bytes: &Bytes<'_>, header: &KernelHeader) -> ReadResult<(Option<BodyHeader>, PageMap)> {
    let at = header.size();
    let (signature, valid, first_page, pages, bits, size) = match header.width {
        Width::Bits64 => {
            let body: SummaryHeader64 = bytes.get(at)?;
            (
                body.signature,
                body.valid_dump,
                body.header_size,
                body.pages,
                body.bitmap_size,
                size_of::<SummaryHeader64>(),
            )
        }
        Width::Bits32 => {
            let body: SummaryHeader32 = bytes.get(at)?;
            (
                body.signature,
                body.valid_dump,
                body.header_size,
                body.pages,
                body.bitmap_size,
                size_of::<SummaryHeader32>(),
            )
        }
    };
    if signature.get() != SDMP_SIGNATURE || valid.get() != BODY_VALID_DUMP {
        return Err(wrong_signature(at, "'SDMPDUMP'"));
    }
    let described = BodyHeader {
        signature: signature.get().to_le_bytes(),
        first_page: first_page.get().into(),
        stated_pages: Some(pages.get().into()),
        bits: Some(bits.get().into()),
        stated_ranges: None,
        metadata_size: None,
    };
    let map = bitmap(bytes, &described, at + size as u64)?;
    Ok((Some(described), map))
}

fn bitmap(bytes: &Bytes<'_>, body: &BodyHeader, start: u64) -> ReadResult<PageMap> {
    let bits = body.bits.unwrap_or_default();
    let size = bits.div_ceil(8);
    if start.checked_add(size).is_none_or(|end| end > bytes.len) {
        return Err(malformed(
            start,
            format!(
                "the bitmap of {bits} bits reaches past the end of the file ({} bytes)",
                bytes.len
            ),
        )
        .into());
    }
    let mut extents = Vec::new();
    let mut open: Option<PageRun> = None;
    let mut offset = body.first_page;
    let mut chunk = vec![0; CHUNK.min(size as usize)];
    let mut close = |run: PageRun, extents: &mut Vec<Extent>| -> ReadResult<()> {
        let extent = Extent { run, offset };
        offset = extent.end();
        push(extents, extent)
    };
    let mut done = 0;
    while done < size {
        let take = (size - done).min(CHUNK as u64) as usize;
        bytes.read(start + done, &mut chunk[..take])?;
        for (index, byte) in chunk[..take].iter().enumerate() {
            // Most of a bitmap is one long run or nothing.
            if *byte == 0 && open.is_none() {
                continue;
            }
            let first = (done + index as u64) * 8;
            for bit in 0..8 {
                let pfn = first + bit;
                let set = pfn < bits && byte >> bit & 1 == 1;
                match (&mut open, set) {
                    (Some(run), true) => run.count += 1,
                    (None, true) => open = Some(PageRun { base: Pfn(pfn), count: 1 }),
                    (Some(run), false) => {
                        close(*run, &mut extents)?;
                        open = None;
                    }
                    (None, false) => {}
                }
            }
        }
        done += take as u64;
    }
    if let Some(run) = open {
        close(run, &mut extents)?;
    }
    Ok(PageMap::new(extents))
}

fn push(extents: &mut Vec<Extent>, extent: Extent) -> ReadResult<()> {
    if extents.len() == MAX_EXTENTS {
        return Err(malformed(
            extent.offset,
            format!("its pages are in more than {MAX_EXTENTS} pieces"),
        )
        .into());
    }
    extents.push(extent);
    Ok(())
}

fn rdmp(bytes: &Bytes<'_>, header: &KernelHeader) -> ReadResult<(Option<BodyHeader>, PageMap)> {
    let at = header.size();
    let common: RdmpHeader = bytes.get(at)?;
    if common.marker.get() != RDMP_MARKER
        || common.signature.get() != RDMP_SIGNATURE
        || common.valid_dump.get() != BODY_VALID_DUMP
    {
        return Err(wrong_signature(at, "the marker 0x40 and 'RDMPDUMP'"));
    }
    let mut body = BodyHeader {
        signature: RDMP_SIGNATURE.to_le_bytes(),
        first_page: common.first_page_offset.get(),
        stated_pages: None,
        bits: None,
        stated_ranges: None,
        metadata_size: Some(common.metadata_size.get()),
    };
    if header.dump_type == DumpType::COMPLETE_MEMORY {
        let full: FullRdmpHeader = bytes.get(at)?;
        body.stated_ranges = Some(full.number_of_ranges.get());
        body.stated_pages = Some(full.total_number_of_pages.get());
    }
    let start = at + size_of::<KernelRdmpHeader>() as u64;
    let room = body.first_page.min(bytes.len).saturating_sub(start) / size_of::<PfnRange>() as u64;
    let most = body.stated_ranges.map_or(room, |stated| room.min(stated.into()));
    let map = ranges(bytes, &body, start, most)?;
    Ok((Some(body), map))
}

/// Ranges up to one of zeros.
fn ranges(bytes: &Bytes<'_>, body: &BodyHeader, start: u64, most: u64) -> ReadResult<PageMap> {
    let size = size_of::<PfnRange>();
    let mut extents = Vec::new();
    let mut offset = body.first_page;
    let mut chunk = vec![0; CHUNK.min(most as usize * size)];
    let mut done = 0;
    'all: while done < most {
        let take = (most - done).min((CHUNK / size) as u64);
        let part = &mut chunk[..take as usize * size];
        bytes.read(start + done * size as u64, part)?;
        for range in part.chunks_exact(size).filter_map(|b| PfnRange::read_from_bytes(b).ok()) {
            let (base, count) = (range.page_frame_number.get(), range.number_of_pages.get());
            if count == 0 {
                break 'all;
            }
            if base.checked_add(count).is_none_or(|end| end > MAX_PFN) {
                return Err(malformed(
                    start,
                    format!("a range of {count} pages at frame {base:#x} is past any memory"),
                )
                .into());
            }
            let extent = Extent { run: PageRun { base: Pfn(base), count }, offset };
            offset = extent.end();
            push(&mut extents, extent)?;
        }
        done += take;
    }
    Ok(PageMap::new(extents))
}
