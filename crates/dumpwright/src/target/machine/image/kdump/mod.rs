//! kdump-compressed files: QEMU's `dump-guest-memory -z`, `-l`, `-s` and
//! makedumpfile's, flattened or not.
//!
//! A page is found by counting the frames before it that the file has, and is
//! decompressed when it is read.

mod flattened;
mod pages;

pub use pages::KdumpMemory;

use super::{Image, elf, notes};
use crate::read::Source;
use crate::soft_error::SoftError;
use crate::target::machine::{PAGE_SIZE, PageRun, Pfn};
use dumpwright_format::machine::kdump::{
    FLATTENED_SIGNATURE, KDUMP_REST_32, KDUMP_REST_64, KDUMP_SIGNATURE, KdumpHeaderRest,
    KdumpHeaderStart, KdumpSubHeader32, KdumpSubHeader64, UTSNAME_FIELD, UTSNAME_MACHINE,
};
use std::sync::Arc;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// The largest page of a machine: of 64-bit ARM.
const MAX_BLOCK: u64 = 64 << 10;
/// Bytes of notes that are read.
const MAX_NOTES: u64 = 16 << 20;
/// Runs of frames that a file may have.
const MAX_RUNS: usize = 1 << 22;
/// Blocks that a sub-header can have.
const MAX_SUB_HEADER: u32 = 0x1_0000;
/// Bytes of a bitmap: of 128 TiB in pages of 4 KiB.
const MAX_BITMAP: u64 = 4 << 30;
/// Bytes of a bitmap that are read at once.
const CHUNK: usize = 1 << 20;

/// The headers of a file.
struct Headers {
    is_64_bit: bool,
    machine: String,
    rest: KdumpHeaderRest,
    notes: (u64, u64),
}

/// Opens a file. `Err` has the cause and the way out.
pub(in crate::target::machine) fn open(
    source: Arc<dyn Source>,
) -> Result<(KdumpMemory, Image), String> {
    let start: [u8; 16] = read(&*source, 0)?;
    let source: Arc<dyn Source> = if start == FLATTENED_SIGNATURE {
        Arc::new(flattened::Unflattened::new(source)?)
    } else {
        source
    };
    let headers = headers(&*source)?;
    let notes = read_notes(&*source, headers.notes)?;
    let mut image = elf::described(machine(&headers, &notes)?, &notes)?;
    let block = u64::from(headers.rest.block_size.get());
    let bitmap = u64::from(headers.rest.bitmap_blocks.get()) / 2 * block;
    if bitmap > MAX_BITMAP {
        return Err(format!("it claims {bitmap:#x} bytes of bitmaps; no machine has that"));
    }
    let first = (1 + u64::from(headers.rest.sub_header_blocks.get())) * block;
    let exists = runs(&*source, first, bitmap)?;
    let there = runs(&*source, first + bitmap, bitmap)?;
    if there.is_empty() {
        return Err("it holds no page of memory".into());
    }
    let frames = block / PAGE_SIZE;
    let count = |runs: &[PageRun]| runs.iter().map(|run| run.count * frames).sum::<u64>();
    let left_out = count(&exists).saturating_sub(count(&there));
    if left_out > 0 {
        image.soft_errors.push(SoftError::new(
            "memory",
            format!("{left_out} pages of the machine were left out when the file was written (makedumpfile -d) and are not in the dump"),
        ));
    }
    Ok((KdumpMemory::new(source, there, frames, first + 2 * bitmap), image))
}

fn headers(source: &dyn Source) -> Result<Headers, String> {
    let start: KdumpHeaderStart = read(source, 0)?;
    if start.signature != KDUMP_SIGNATURE {
        return Err("it does not hold a kdump file; take the dump again".into());
    }
    let is_sane = |rest: &KdumpHeaderRest| {
        let block = u64::from(rest.block_size.get());
        (PAGE_SIZE..=MAX_BLOCK).contains(&block)
            && block.is_power_of_two()
            && (1..MAX_SUB_HEADER).contains(&rest.sub_header_blocks.get())
    };
    let wide: KdumpHeaderRest = read(source, KDUMP_REST_64)?;
    let narrow: KdumpHeaderRest = read(source, KDUMP_REST_32)?;
    let (is_64_bit, rest) = match (is_sane(&wide), is_sane(&narrow)) {
        (true, _) => (true, wide),
        (false, true) => (false, narrow),
        _ => {
            return Err("it does not have pages of 4 to 64 KiB, or is damaged in its header".into());
        }
    };
    let second_block = rest.block_size.get().into();
    let notes = if is_64_bit {
        let sub: KdumpSubHeader64 = read(source, second_block)?;
        (sub.offset_note.get(), sub.size_note.get())
    } else {
        let sub: KdumpSubHeader32 = read(source, second_block)?;
        (sub.offset_note.get(), sub.size_note.get().into())
    };
    let name = &start.utsname[UTSNAME_MACHINE * UTSNAME_FIELD..][..UTSNAME_FIELD];
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let machine = String::from_utf8_lossy(name).into_owned();
    Ok(Headers { is_64_bit, machine, rest, notes })
}

/// The machine, as an ELF core has it. QEMU names that of the emulator, also
/// where the guest runs in 32 bits, and that of ARM not at all.
fn machine(headers: &Headers, notes: &[notes::Note]) -> Result<object::elf::Machine, String> {
    use object::elf;
    match (headers.machine.as_str(), headers.is_64_bit) {
        ("aarch64", true) => Ok(elf::EM_AARCH64),
        ("Unknown", true) if super::elf::are_of_arm64(notes) => Ok(elf::EM_AARCH64),
        ("x86_64" | "", true) => Ok(elf::EM_X86_64),
        ("x86_64" | "i386" | "i486" | "i586" | "i686" | "", false) => Ok(elf::EM_386),
        (other, _) => Err(format!(
            "it is of a machine with processors that dumps have no form for ({other}); x86, x86-64 and 64-bit ARM do"
        )),
    }
}

fn read_notes(source: &dyn Source, (offset, size): (u64, u64)) -> Result<Vec<notes::Note>, String> {
    if size > MAX_NOTES {
        return Err(format!("it claims {size:#x} bytes of notes; no machine has that"));
    }
    let mut bytes = vec![0; size as usize];
    read_bytes(source, offset, &mut bytes)?;
    Ok(notes::split(&bytes))
}

/// The pages whose bits are set, in pages of the file.
fn runs(source: &dyn Source, start: u64, size: u64) -> Result<Vec<PageRun>, String> {
    if start.checked_add(size).is_none_or(|end| end > source.len()) {
        return Err("it is cut off in its bitmaps; take or copy it again".into());
    }
    let mut runs: Vec<PageRun> = Vec::new();
    let mut chunk = vec![0; CHUNK.min(size as usize)];
    let mut done = 0;
    while done < size {
        let take = (size - done).min(CHUNK as u64) as usize;
        read_bytes(source, start + done, &mut chunk[..take])?;
        for (index, byte) in chunk[..take].iter().enumerate().filter(|(_, byte)| **byte != 0) {
            let base = (done + index as u64) * 8;
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                let run = PageRun { base: Pfn(base + bit), count: 1 };
                crate::target::machine::push_run(&mut runs, run);
            }
        }
        if runs.len() > MAX_RUNS {
            return Err(format!("its memory is in more than {MAX_RUNS} pieces"));
        }
        done += take as u64;
    }
    Ok(runs)
}

/// A structure at an offset.
fn read<T: FromBytes + IntoBytes + FromZeros>(
    source: &dyn Source,
    offset: u64,
) -> Result<T, String> {
    let mut value = T::new_zeroed();
    read_bytes(source, offset, value.as_mut_bytes())?;
    Ok(value)
}

fn read_bytes(source: &dyn Source, offset: u64, buf: &mut [u8]) -> Result<(), String> {
    source.read_at(offset, buf).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            format!("it is cut off: bytes at offset {offset:#x} are missing; take or copy it again")
        } else {
            format!("it cannot be read at offset {offset:#x}: {error}")
        }
    })
}
