//! Small files for the fuzz targets to begin with: `seeds FOLDER`.

#![allow(clippy::unwrap_used, reason = "a tool for developers")]

use dumpwright_testkit::context::Registers;
use dumpwright_testkit::output::{ElfNotes, elf, lime, raw};
use dumpwright_testkit::{Image, KernelImage, Nt, NtOptions, Run, nt, pattern, pdb};
use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: seeds FOLDER");
    let folder = Path::new(&folder);
    let mut image = Image::new(&[Run::new(1, 3), Run::new(0x10_0000, 0x10_0002)]);
    for pfn in [1, 2, 0x10_0001] {
        image.write(pfn * 4096, &pattern(pfn)[..512]);
    }
    let processors = [Registers::distinct(1), Registers::distinct(2)];
    let header = nt_header(&image);
    let notes = ElfNotes { processors: &processors, vmcoreinfo: Some(&header) };
    elf(&image, &notes, &folder.join("tiny.elf")).unwrap();
    lime(&image, &folder.join("tiny.lime")).unwrap();
    let mut low = Image::new(&[Run::new(0, 8)]);
    low.write(4096, &pattern(1)[..512]);
    raw(&low, &folder.join("tiny.raw")).unwrap();
    std::fs::write(folder.join("kernel.pdb"), kernel_pdb()).unwrap();
}

/// The header of a complete dump, cut to what a note of it has.
fn nt_header(image: &Image) -> Vec<u8> {
    let guest = Nt::build(&NtOptions::default());
    guest.header().bytes(image)
}

/// A PDB with the GUID that the target believes.
fn kernel_pdb() -> Vec<u8> {
    let mut kernel = KernelImage::new(7, nt::KERNEL, &[]);
    kernel.guid = *b"dumpwright fuzz!";
    let symbols = [
        ("KdDebuggerDataBlock", nt::rva::KDBG),
        ("KiWaitNever", nt::rva::WAIT_NEVER),
        ("KiWaitAlways", nt::rva::WAIT_ALWAYS),
        ("KdpDataBlockEncoded", nt::rva::ENCODED),
        ("MmPfnDatabase", nt::rva::PFN_DATABASE),
    ];
    pdb::of(&kernel, &symbols)
}
