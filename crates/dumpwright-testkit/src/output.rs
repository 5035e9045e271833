//! Files of physical memory: raw, LiME, and ELF cores as QEMU writes them.
//! Zero pages become holes of the file, so that even 64 GiB cost nothing.

use crate::context::Registers;
use crate::image::{Image, PAGE, Run};
use crate::{put, put_u16, put_u32, put_u64};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// Raw: what is at physical address N stands at offset N; what is not RAM is a
/// hole.
pub fn raw(image: &Image, path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.set_len(image.end() * PAGE)?;
    for (pfn, page) in image.written() {
        file.seek(SeekFrom::Start(pfn * PAGE))?;
        file.write_all(page)?;
    }
    Ok(())
}

/// Raw, with the runs back to back: where they stood has to be said apart.
pub fn compact(image: &Image, path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut at = 0;
    for run in image.runs() {
        write_run(image, *run, &mut file, at)?;
        at += run.count * PAGE;
    }
    file.set_len(at)
}

/// LiME: each run behind a header of its own.
pub fn lime(image: &Image, path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut at = 0;
    for run in image.runs() {
        let mut header = [0; 32];
        put_u32(&mut header, 0, 0x4c69_4d45);
        put_u32(&mut header, 4, 1);
        put_u64(&mut header, 8, run.base * PAGE);
        put_u64(&mut header, 16, run.end() * PAGE - 1);
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&header)?;
        at += 32;
        write_run(image, *run, &mut file, at)?;
        at += run.count * PAGE;
    }
    file.set_len(at)
}

fn write_run(image: &Image, run: Run, file: &mut File, at: u64) -> io::Result<()> {
    for (pfn, page) in image.written().filter(|(pfn, _)| run.base <= *pfn && *pfn < run.end()) {
        file.seek(SeekFrom::Start(at + (pfn - run.base) * PAGE))?;
        file.write_all(page)?;
    }
    Ok(())
}

/// What an ELF core says besides memory.
#[derive(Clone, Debug, Default)]
pub struct ElfNotes<'a> {
    /// The processors' registers.
    pub processors: &'a [Registers],
    /// The body of a VMCOREINFO note: a guest driver's `DUMP_HEADER64`.
    pub vmcoreinfo: Option<&'a [u8]>,
}

/// An ELF core as `dump-guest-memory` without paging writes it.
pub fn elf(image: &Image, notes: &ElfNotes<'_>, path: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    for (i, registers) in notes.processors.iter().enumerate() {
        bytes.extend(note("CORE", 1, &registers.prstatus(i as u32 + 1)));
    }
    for registers in notes.processors {
        bytes.extend(note("QEMU", 0, &registers.qemu_state()));
    }
    if let Some(header) = notes.vmcoreinfo {
        bytes.extend(note("VMCOREINFO", 0, header));
    }
    let headers = 64 + 56 * (1 + image.runs().len() as u64);
    let mut head = vec![0; headers as usize];
    put(&mut head, 0, &[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    put_u16(&mut head, 16, 4);
    put_u16(&mut head, 18, 62);
    put_u32(&mut head, 20, 1);
    put_u64(&mut head, 32, 64);
    put_u16(&mut head, 52, 64);
    put_u16(&mut head, 54, 56);
    put_u16(&mut head, 56, 1 + image.runs().len() as u16);
    program_header(&mut head[64..], 4, headers, 0, bytes.len() as u64);
    let mut at = headers + bytes.len() as u64;
    let first = at;
    for (i, run) in image.runs().iter().enumerate() {
        let here = &mut head[64 + 56 * (i + 1)..];
        program_header(here, 1, at, run.base * PAGE, run.count * PAGE);
        at += run.count * PAGE;
    }
    let mut file = File::create(path)?;
    file.write_all(&head)?;
    file.write_all(&bytes)?;
    let mut from = first;
    for run in image.runs() {
        write_run(image, *run, &mut file, from)?;
        from += run.count * PAGE;
    }
    file.set_len(at)
}

fn program_header(bytes: &mut [u8], kind: u32, offset: u64, physical: u64, size: u64) {
    put_u32(bytes, 0, kind);
    put_u64(bytes, 8, offset);
    put_u64(bytes, 24, physical);
    put_u64(bytes, 32, size);
    put_u64(bytes, 40, size);
}

fn note(name: &str, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in [name.len() as u32 + 1, body.len() as u32, kind] {
        bytes.extend(value.to_le_bytes());
    }
    for part in [[name.as_bytes(), &[0]].concat().as_slice(), body] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}
