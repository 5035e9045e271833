//! Where everything in a kernel dump stands, before the first byte is written.
//!
//! A dump of page frames is a *head* (the header, the header of the body and its
//! bitmap or ranges), the pages, and secondary data. A small dump is a head
//! alone.

#![forbid(unsafe_code)]

mod body;
mod header;
#[cfg(test)]
mod tests;
mod triage;

use crate::error::{Error, Result};
use crate::kernel_type::KernelDumpType;
use crate::plan::kernel::{Blob, Body, KernelPlan};
use crate::target::machine::count_pages;
use crate::target::machine::{MachineSnapshot, PAGE_SIZE, PageRun};
use dumpwright_format::kernel::{BLOB_SIGNATURE1, BLOB_SIGNATURE2, BlobFileHeader, BlobHeader};
use zerocopy::IntoBytes;

/// A kernel dump, laid out.
#[derive(Debug)]
pub struct KernelLayout {
    head: Vec<u8>,
    pages: Vec<PageRun>,
    file_size: u64,
    build_number: u32,
}

impl KernelLayout {
    /// Places everything.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if a size does not fit where the format has it.
    pub fn new(plan: &KernelPlan, snapshot: &MachineSnapshot) -> Result<KernelLayout> {
        let start = header::size(snapshot);
        let (body, pages) = match &plan.body {
            Body::Pages(pages) => {
                let (bytes, order) = body::encode(plan.kind, snapshot, pages, start)?;
                (bytes, order)
            }
            Body::Triage(contents) => (triage::encode(contents, start)?, Vec::new()),
        };
        let head = start as u64 + body.len() as u64;
        let blobs: u64 = plan.blobs.iter().map(Blob::file_size).sum();
        let blob_header =
            if plan.blobs.is_empty() { 0 } else { size_of::<BlobFileHeader>() as u64 };
        let file_size = count_pages(&pages)
            .checked_mul(PAGE_SIZE)
            .and_then(|bytes| bytes.checked_add(head)?.checked_add(blob_header + blobs))
            .ok_or_else(|| too_large(plan.kind, "more than a file can be"))?;
        let mut bytes = header::encode(plan, snapshot, file_size);
        bytes.extend_from_slice(&body);
        let kind = if snapshot.major_version == 0xC { 0xC } else { 0xF };
        let build_number = kind << 28 | snapshot.build & 0x0FFF_FFFF;
        Ok(KernelLayout { head: bytes, pages, file_size, build_number })
    }

    /// Everything before the pages.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The pages, in the order in which they stand in the file.
    pub fn pages(&self) -> &[PageRun] {
        &self.pages
    }

    /// Bytes of the file.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// What stands before the first block of secondary data.
    pub fn blob_file_header(&self) -> BlobFileHeader {
        BlobFileHeader {
            signature1: BLOB_SIGNATURE1.into(),
            signature2: BLOB_SIGNATURE2.into(),
            header_size: (size_of::<BlobFileHeader>() as u32).into(),
            build_number: self.build_number.into(),
        }
    }
}

/// What stands before the data of a block.
pub fn blob_header(blob: &Blob) -> BlobHeader {
    BlobHeader {
        header_size: (size_of::<BlobHeader>() as u32).into(),
        tag: blob.tag,
        data_size: u32::try_from(blob.data_size()).unwrap_or(u32::MAX).into(),
        pre_pad: 0.into(),
        post_pad: (blob.padding() as u32).into(),
    }
}

fn too_large(kind: KernelDumpType, what: &str) -> Error {
    Error::InvalidRequest(format!(
        "a dump of type {} would have {what} for this machine; choose another type (--type)",
        kind.name()
    ))
}

/// Appends a structure.
fn push(bytes: &mut Vec<u8>, value: &(impl IntoBytes + zerocopy::Immutable)) {
    bytes.extend_from_slice(value.as_bytes());
}
