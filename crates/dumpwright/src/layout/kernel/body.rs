//! What stands between the header and the pages: a bitmap, or ranges.

use super::{push, too_large};
use crate::error::Result;
use crate::kernel_type::{KernelDumpType, MemoryChoice};
use crate::target::machine::count_pages;
use crate::target::machine::{MachineSnapshot, PAGE_SIZE, PageRun, Pfn};
use dumpwright_format::kernel::{
    BODY_VALID_DUMP, BitmapHeader, FDMP_SIGNATURE, FullRdmpHeader, KernelRdmpHeader, PfnRange,
    RDMP_MARKER, RDMP_METADATA_START, RDMP_SIGNATURE, RdmpHeader, SDMP_SIGNATURE, SummaryHeader32,
    SummaryHeader64, fill,
};
use zerocopy::{FromZeros, IntoBytes};

/// `DumpOptions` of a kernel summary: nothing that anybody describes.
const NO_OPTIONS: u32 = 0;

/// The body's bytes up to the first page, and the order in which pages follow.
pub fn encode(
    kind: KernelDumpType,
    snapshot: &MachineSnapshot,
    pages: &[PageRun],
    start: usize,
) -> Result<(Vec<u8>, Vec<PageRun>)> {
    match kind {
        KernelDumpType::Full | KernelDumpType::Triage => Ok((Vec::new(), pages.to_vec())),
        KernelDumpType::BitmapFull
        | KernelDumpType::Active
        | KernelDumpType::BitmapKernel
        | KernelDumpType::Automatic => Ok((bitmap(kind, pages, start), pages.to_vec())),
        KernelDumpType::KernelSummary => Ok((summary(snapshot, pages, start)?, pages.to_vec())),
        KernelDumpType::KernelMemory
        | KernelDumpType::KernelAndUserMemory
        | KernelDumpType::CompleteMemory => rdmp(kind, pages, start),
    }
}

fn bitmap(kind: KernelDumpType, pages: &[PageRun], start: usize) -> Vec<u8> {
    let bits = bits(pages);
    let first_page = first_page(start, size_of::<BitmapHeader>(), bits);
    let mut header = BitmapHeader::new_zeroed();
    fill(header.as_mut_bytes());
    header.signature = match kind.memory() {
        MemoryChoice::All | MemoryChoice::InUse => FDMP_SIGNATURE.into(),
        _ => SDMP_SIGNATURE.into(),
    };
    header.valid_dump = BODY_VALID_DUMP.into();
    header.first_page = first_page.into();
    header.total_present_pages = count_pages(pages).into();
    header.pages = bits.into();
    let mut body = Vec::with_capacity(first_page as usize - start);
    push(&mut body, &header);
    push_bitmap(&mut body, pages, bits);
    pad(&mut body, first_page as usize - start);
    body
}

fn summary(snapshot: &MachineSnapshot, pages: &[PageRun], start: usize) -> Result<Vec<u8>> {
    let is_64_bit = snapshot.architecture.is_64_bit();
    let header =
        if is_64_bit { size_of::<SummaryHeader64>() } else { size_of::<SummaryHeader32>() };
    let bits = bits(pages);
    let first_page = first_page(start, header, bits);
    let narrow = |value: u64| {
        u32::try_from(value)
            .map_err(|_| too_large(KernelDumpType::KernelSummary, "counts of more than 32 bits"))
    };
    let (first, wide_bits, count) =
        (narrow(first_page)?, narrow(bits)?, narrow(count_pages(pages))?);
    let mut body = Vec::with_capacity(first_page as usize - start);
    if is_64_bit {
        let mut header = SummaryHeader64::new_zeroed();
        fill(header.as_mut_bytes());
        header.signature = SDMP_SIGNATURE.into();
        header.valid_dump = BODY_VALID_DUMP.into();
        header.dump_options = NO_OPTIONS.into();
        header.header_size = first.into();
        header.bitmap_size = wide_bits.into();
        header.pages = count.into();
        header.size_of_bit_map = wide_bits.into();
        header.buffer = 0.into();
        push(&mut body, &header);
    } else {
        push(
            &mut body,
            &SummaryHeader32 {
                signature: SDMP_SIGNATURE.into(),
                valid_dump: BODY_VALID_DUMP.into(),
                dump_options: NO_OPTIONS.into(),
                header_size: first.into(),
                bitmap_size: wide_bits.into(),
                pages: count.into(),
                size_of_bit_map: wide_bits.into(),
                buffer: 0.into(),
            },
        );
    }
    push_bitmap(&mut body, pages, bits);
    pad(&mut body, first_page as usize - start);
    Ok(body)
}

/// Bits of a bitmap: whole bytes, up to the last frame.
fn bits(pages: &[PageRun]) -> u64 {
    pages.last().map_or(0, |run| run.end().0).next_multiple_of(8)
}

/// Where the first page stands: at the next multiple of a page.
fn first_page(start: usize, header: usize, bits: u64) -> u64 {
    ((start + header) as u64 + bits / 8).next_multiple_of(PAGE_SIZE)
}

fn push_bitmap(body: &mut Vec<u8>, pages: &[PageRun], bits: u64) {
    let from = body.len();
    body.resize(from + (bits / 8) as usize, 0);
    let map = &mut body[from..];
    for run in pages {
        let (mut at, end) = (run.base.0, run.end().0);
        while at < end {
            if at % 8 == 0 && end - at >= 8 {
                let bytes = (end - at) / 8;
                map[(at / 8) as usize..(at / 8 + bytes) as usize].fill(0xFF);
                at += bytes * 8;
            } else {
                map[(at / 8) as usize] |= 1 << (at % 8);
                at += 1;
            }
        }
    }
}

fn pad(body: &mut Vec<u8>, len: usize) {
    body.resize(len, 0);
}

/// Ranges, in order but for frame 0: readers take a range that starts with it
/// for the end of the list, so it stands last, alone, where they lose nothing
/// but it.
fn rdmp(kind: KernelDumpType, pages: &[PageRun], start: usize) -> Result<(Vec<u8>, Vec<PageRun>)> {
    let mut order = Vec::with_capacity(pages.len() + 1);
    let mut zero = None;
    for run in pages {
        if run.base == Pfn(0) {
            zero = Some(PageRun { base: Pfn(0), count: 1 });
            if run.count > 1 {
                order.push(PageRun { base: Pfn(1), count: run.count - 1 });
            }
        } else {
            order.push(*run);
        }
    }
    order.extend(zero);
    let header_size = size_of::<KernelRdmpHeader>();
    let range_size = size_of::<PfnRange>();
    // Room for the range of zeros at which the list ends.
    let used = start + header_size + (order.len() + 1) * range_size;
    let first_page = (used as u64).next_multiple_of(PAGE_SIZE);
    let header = RdmpHeader {
        marker: RDMP_MARKER.into(),
        signature: RDMP_SIGNATURE.into(),
        valid_dump: BODY_VALID_DUMP.into(),
        reserved: 0.into(),
        metadata_size: (first_page - start as u64 - RDMP_METADATA_START).into(),
        first_page_offset: first_page.into(),
    };
    let mut body = Vec::with_capacity(first_page as usize - start);
    if kind == KernelDumpType::CompleteMemory {
        let number_of_ranges = u32::try_from(order.len())
            .map_err(|_| too_large(kind, "more runs of memory than it can count"))?;
        push(
            &mut body,
            &FullRdmpHeader {
                header,
                number_of_ranges: number_of_ranges.into(),
                reserved: 0.into(),
                total_number_of_pages: count_pages(&order).into(),
            },
        );
    } else {
        push(&mut body, &KernelRdmpHeader { header, unknown1: 0.into(), unknown2: 0.into() });
    }
    for run in &order {
        push(
            &mut body,
            &PfnRange { page_frame_number: run.base.0.into(), number_of_pages: run.count.into() },
        );
    }
    pad(&mut body, first_page as usize - start);
    Ok((body, order))
}
