//! A guest whose memory is changed in a few places, each pointing anywhere:
//! page tables, lists, KDBG, headers of images. Opened, understood and planned
//! as a dump of each kind; the small one is written and read back. Nothing may
//! panic, loop, or allocate out of proportion.
//!
//! Every 14 bytes of the input are one change: page and offset; then a number,
//! or page and offset that one is copied from. No seeds are needed.

#![no_main]

mod scratch;

use dumpwright::layout::kernel::KernelLayout;
use dumpwright::plan::kernel;
use dumpwright::read::Source;
use dumpwright::read::kernel::KernelDump;
use dumpwright::target::machine::{MachineOptions, MachineTarget, open_machine_source};
use dumpwright::write::{Target, kernel as write};
use dumpwright::{DumpRequest, KernelDumpType, Qualifier};
use dumpwright_testkit::output::{ElfNotes, elf};
use dumpwright_testkit::{Nt, NtOptions, Run};
use libfuzzer_sys::fuzz_target;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

/// Changes that are made of one guest.
const CHANGES: usize = 64;
/// Bytes of a page.
const PAGE: usize = 4096;

/// The guest as an ELF core.
struct Guest {
    file: &'static [u8],
    /// Where its pages are that hold structures and not noise.
    structures: Vec<usize>,
}

static GUEST: LazyLock<Guest> = LazyLock::new(|| {
    let runs = vec![Run::new(0x1, 0x9f), Run::new(0x100, 0x2000)];
    let nt = Nt::build(&NtOptions { runs, litter: 4, pfn_database: true, ..NtOptions::default() });
    let file = scratch::file(&[]);
    let notes = ElfNotes { processors: &nt.registers(), vmcoreinfo: None };
    elf(&nt.image, &notes, &scratch::path(&file)).expect("memory takes it");
    let file = std::fs::read(scratch::path(&file)).expect("memory gives it back");
    // It stays to the end anyway.
    let file: &[u8] = file.leak();
    let opened = open(Changed { file, changes: Vec::new() }).expect("it is a machine");
    assert!(!opened.snapshot().modules.is_empty(), "the guest is understood");
    let zeros = |page: &[u8]| page.iter().filter(|byte| **byte == 0).count();
    let is_structure = |page: &[u8]| (PAGE / 4..PAGE).contains(&zeros(page));
    let pages = file.chunks(PAGE).enumerate();
    let structures = pages.filter(|(_, page)| is_structure(page)).map(|(at, _)| at * PAGE);
    Guest { structures: structures.collect(), file }
});

/// A file of which some bytes are others.
struct Changed {
    file: &'static [u8],
    changes: Vec<(usize, [u8; 8])>,
}

impl Source for Changed {
    fn len(&self) -> u64 {
        self.file.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, buf)?;
        let offset = offset as usize;
        for (at, bytes) in &self.changes {
            for (at, byte) in (*at..).zip(bytes) {
                if let Some(changed) = at.checked_sub(offset).and_then(|at| buf.get_mut(at)) {
                    *changed = *byte;
                }
            }
        }
        Ok(())
    }
}

fn open(source: Changed) -> Option<Box<dyn MachineTarget>> {
    let options = MachineOptions::default();
    open_machine_source(Box::new(source), Path::new("fuzz"), &options).ok().flatten()
}

fn change(bytes: &[u8; 14]) -> (usize, [u8; 8]) {
    let number = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let place = |at: usize| {
        let page = GUEST.structures[(number(at) >> 1) % GUEST.structures.len()];
        page + number(at + 2) % (PAGE - 7)
    };
    let mut value = [0; 8];
    if number(0) & 1 == 0 {
        value.copy_from_slice(&bytes[6..]);
    } else {
        let from = place(6);
        value.copy_from_slice(&GUEST.file[from..from + 8]);
        // Beside what is pointed to.
        value[0] = value[0].wrapping_add(bytes[4]);
    }
    (place(0), value)
}

fuzz_target!(|bytes: &[u8]| {
    let (changes, _) = bytes.as_chunks();
    let changes = changes.iter().take(CHANGES).map(change).collect();
    let Some(target) = open(Changed { file: GUEST.file, changes }) else { return };
    for kind in KernelDumpType::ALL {
        let mut request = DumpRequest::new("fuzz.dmp", Qualifier::Full);
        request.extensions.kernel_type = Some(kind);
        let plan = kernel::plan(target.snapshot(), target.memory(), &request);
        let Ok(plan) = plan else { continue };
        let Ok(layout) = KernelLayout::new(&plan, target.snapshot()) else { continue };
        if kind != KernelDumpType::Triage {
            continue;
        }
        let mut out = Vec::new();
        let mut stream = Target::Stream(&mut out);
        let written = write::write_to(&layout, &plan.edits, target.memory(), &mut stream, &());
        let outcome = written.expect("a vector takes all");
        write::finish(&layout, &plan, &outcome, &mut out).expect("a vector takes all");
        let dump = KernelDump::from_source(Box::new(out)).expect("what was written is a dump");
        let _ = dumpwright::verify::verify_kernel(&dump);
    }
});
