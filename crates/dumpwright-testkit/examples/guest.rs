//! `guest FOLDER [TRIAGE]`: writes a guest as raw image, LiME, ELF core and
//! complete dump, and the guest of a real small dump as an ELF core, for a look
//! with tools.

#![allow(clippy::unwrap_used, reason = "a tool for developers")]

use dumpwright_testkit::output::{ElfNotes, elf, lime, raw};
use dumpwright_testkit::{Nt, NtOptions, Rebuilt, TriageDump};
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().expect("usage: guest FOLDER [TRIAGE]"));
    let nt = Nt::build(&NtOptions::default());
    let registers = nt.registers();
    let notes = ElfNotes { processors: &registers, vmcoreinfo: None };
    raw(&nt.image, &folder.join("guest.raw")).unwrap();
    lime(&nt.image, &folder.join("guest.lime")).unwrap();
    elf(&nt.image, &notes, &folder.join("guest.elf")).unwrap();
    nt.header().write(&nt.image, &folder.join("guest.dmp")).unwrap();
    if let Some(triage) = arguments.get(1) {
        let r = Rebuilt::new(TriageDump::read(Path::new(triage)).unwrap());
        let notes = ElfNotes { processors: &[r.registers], vmcoreinfo: None };
        elf(&r.image, &notes, &folder.join("rebuilt.elf")).unwrap();
        raw(&r.image, &folder.join("rebuilt.raw")).unwrap();
    }
}
