//! Machines for tests: physical memory images as a Windows guest has them.
//!
//! Nothing here uses the engine or the format crate: offsets are written down
//! a second time, from the same public sources (winnt.h, wdbgexts.h, QEMU's
//! `win_dump_defs.h`, the observed `triage_x64.dmp`), so that a mistake of the
//! engine is not repeated by what judges it.
//!
//! - [`Image`]: RAM runs and pages, with an allocator that scatters;
//! - [`AddressSpace`]: page tables of every x86 paging mode;
//! - [`Nt`]: a whole guest: kernel image, KDBG, processors, processes;
//! - [`Rebuilt`]: the guest of a real small dump, its blocks at their addresses;
//! - [`output`]: raw, LiME and ELF files; [`broken`]: what is wrong with some.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "in a test kit a panic is the report"
)]

pub mod broken;
pub mod context;
mod dump_file;
pub mod full_dump;
mod image;
pub mod kdbg;
pub mod nt;
pub mod output;
mod paging;
pub mod pdb;
mod pe;
mod process;
mod processor;
mod rebuilt;
mod triage;

pub use dump_file::DumpFile;
pub use image::{Image, PAGE, Page, Run};
pub use nt::{KdbgForm, Module, Nt, NtOptions};
pub use paging::{Access, AddressSpace, Frames, PageSize, PagingMode};
pub use pe::KernelImage;
pub use process::{Canary, Process};
pub use processor::Processor;
pub use rebuilt::Rebuilt;
pub use triage::{Block, Driver, TriageDump};

/// splitmix64: what unstructured memory is filled with.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A page that is told from any other by its bytes.
pub fn pattern(seed: u64) -> Page {
    let mut page = [0; PAGE as usize];
    for (i, chunk) in page.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&mix(seed.wrapping_mul(512).wrapping_add(i as u64)).to_le_bytes());
    }
    page
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    put(bytes, at, &value.to_le_bytes());
}

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
