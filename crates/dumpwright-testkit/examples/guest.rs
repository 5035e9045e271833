//! Writes guests to files, for a look with tools and for the benchmark:
//!
//! - `guest FOLDER [TRIAGE]`: one as raw image, LiME, ELF core and complete dump,
//!   and the guest of a real small dump as raw image and ELF core;
//! - `guest --filled FILE GIB`: a raw image without a page of zeros;
//! - `guest --sparse FILE GIB`: an ELF core, nearly all of it zero.

#![allow(clippy::unwrap_used, reason = "a tool for developers")]

use dumpwright_testkit::output::{ElfNotes, elf, lime, raw};
use dumpwright_testkit::{Nt, NtOptions, Rebuilt, Run, TriageDump, pattern};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const USAGE: &str = "usage: guest FOLDER [TRIAGE] | --filled FILE GIB | --sparse FILE GIB";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--filled", file, gib] => filled(Path::new(file), gib.parse().expect(USAGE)),
        ["--sparse", file, gib] => write_elf(&of_gib(gib.parse().expect(USAGE)), Path::new(file)),
        [folder] => several(Path::new(folder)),
        [folder, triage] => {
            several(Path::new(folder));
            rebuilt(Path::new(folder), Path::new(triage));
        }
        _ => panic!("{USAGE}"),
    }
}

fn of_gib(gib: u64) -> Nt {
    let runs = vec![Run::new(0x1, 0x9f), Run::new(0x100, gib << 18)];
    Nt::build(&NtOptions { runs, ..NtOptions::default() })
}

fn filled(path: &Path, gib: u64) {
    let nt = of_gib(gib);
    let mut file = BufWriter::new(File::create(path).unwrap());
    for pfn in 0..gib << 18 {
        let page = nt.image.page(pfn);
        let empty = page.iter().all(|b| *b == 0);
        file.write_all(&if empty { pattern(pfn) } else { page }).unwrap();
    }
    file.flush().unwrap();
}

fn write_elf(nt: &Nt, path: &Path) {
    let registers = nt.registers();
    elf(&nt.image, &ElfNotes { processors: &registers, vmcoreinfo: None }, path).unwrap();
}

fn several(folder: &Path) {
    let nt = Nt::build(&NtOptions::default());
    raw(&nt.image, &folder.join("guest.raw")).unwrap();
    lime(&nt.image, &folder.join("guest.lime")).unwrap();
    write_elf(&nt, &folder.join("guest.elf"));
    nt.header().write(&nt.image, &folder.join("guest.dmp")).unwrap();
}

fn rebuilt(folder: &Path, triage: &Path) {
    let r = Rebuilt::new(TriageDump::read(triage).unwrap());
    let notes = ElfNotes { processors: &r.registers, vmcoreinfo: None };
    elf(&r.image, &notes, &folder.join("rebuilt.elf")).unwrap();
    raw(&r.image, &folder.join("rebuilt.raw")).unwrap();
}
