//! Small machine images for tests.

use super::{PAGE_SIZE, PageHole, PageRun, Pfn, PhysicalMemory};
use crate::soft_error::HoleReason;
use dumpwright_format::machine::qemu::QemuCpuState;
use object::LittleEndian as LE;
use object::elf;
use object::pod;
use zerocopy::{FromZeros, IntoBytes};

/// A note of QEMU with these registers; RBX is 0xb and R15 0x15.
pub(crate) fn cpu_state(rip: u64, cr0: u64, cr3: u64) -> Vec<u8> {
    let mut state = QemuCpuState::new_zeroed();
    state.version = 1.into();
    state.size = (size_of::<QemuCpuState>() as u32).into();
    state.rip = rip.into();
    state.rbx = 0xb.into();
    state.r8_to_r15[7] = 0x15.into();
    state.cr[0] = cr0.into();
    state.cr[3] = cr3.into();
    state.as_bytes().to_vec()
}

/// Builds ELF cores as QEMU writes them.
#[derive(Default)]
pub(crate) struct CoreBuilder {
    loads: Vec<(u64, u64, Vec<u8>)>,
    notes: Vec<u8>,
}

impl CoreBuilder {
    /// Adds memory at a physical and a virtual address.
    pub fn load(&mut self, physical: u64, virt: u64, bytes: &[u8]) -> &mut Self {
        self.loads.push((physical, virt, bytes.to_vec()));
        self
    }

    /// Adds a note.
    pub fn note(&mut self, name: &[u8], kind: u32, contents: &[u8]) -> &mut Self {
        for word in [name.len() as u32 + 1, contents.len() as u32, kind] {
            self.notes.extend_from_slice(&word.to_le_bytes());
        }
        self.notes.extend_from_slice(name);
        self.notes.push(0);
        self.notes.resize(self.notes.len().next_multiple_of(4), 0);
        self.notes.extend_from_slice(contents);
        self.notes.resize(self.notes.len().next_multiple_of(4), 0);
        self
    }

    /// The notes so far.
    pub fn notes(&self) -> &[u8] {
        &self.notes
    }

    /// The file: headers, notes, memory.
    pub fn build(&self) -> Vec<u8> {
        let count = self.loads.len() + 1;
        let header_size = size_of::<elf::FileHeader64<LE>>();
        let entry_size = size_of::<elf::ProgramHeader64<LE>>();
        let mut ident = [0; 16];
        ident[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let mut out = ident.to_vec();
        out.extend_from_slice(&4u16.to_le_bytes());
        out.extend_from_slice(&62u16.to_le_bytes());
        out.extend_from_slice(&1u32.to_le_bytes());
        for word in [0, header_size as u64, 0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&0u32.to_le_bytes());
        for half in [header_size, entry_size, count, 64, 0, 0] {
            out.extend_from_slice(&(half as u16).to_le_bytes());
        }
        let mut offset = (header_size + count * entry_size) as u64;
        let mut entry = |kind: u32, physical: u64, virt: u64, size: u64| {
            out.extend_from_slice(&kind.to_le_bytes());
            out.extend_from_slice(&0u32.to_le_bytes());
            for word in [offset, virt, physical, size, size, 0] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            offset += size;
        };
        entry(4, 0, 0, self.notes.len() as u64);
        for (physical, virt, bytes) in &self.loads {
            entry(1, *physical, *virt, bytes.len() as u64);
        }
        out.extend_from_slice(&self.notes);
        for (.., bytes) in &self.loads {
            out.extend_from_slice(bytes);
        }
        debug_assert!(pod::from_bytes::<elf::FileHeader64<LE>>(&out).is_ok());
        out
    }
}

/// RAM from address 0.
pub(crate) struct Ram {
    bytes: Vec<u8>,
    runs: Vec<PageRun>,
}

impl Ram {
    /// So many pages of zeros.
    pub fn new(pages: u64) -> Ram {
        let runs = vec![PageRun { base: Pfn(0), count: pages }];
        Ram { bytes: vec![0; (pages * PAGE_SIZE) as usize], runs }
    }

    /// Stores bytes.
    pub fn put(&mut self, at: u64, bytes: &[u8]) -> &mut Self {
        self.bytes[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Stores a `u64`.
    pub fn put64(&mut self, at: u64, value: u64) -> &mut Self {
        self.put(at, &value.to_le_bytes())
    }

    /// Stores a `u32`.
    pub fn put32(&mut self, at: u64, value: u32) -> &mut Self {
        self.put(at, &value.to_le_bytes())
    }
}

impl PhysicalMemory for Ram {
    fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    fn read_pages(&self, run: PageRun, buf: &mut [u8], holes: &mut Vec<PageHole>) {
        for (index, page) in buf.chunks_mut(PAGE_SIZE as usize).enumerate() {
            let pfn = Pfn(run.base.0.saturating_add(index as u64));
            if self.runs[0].contains(pfn) {
                page.copy_from_slice(&self.bytes[pfn.gpa().0 as usize..][..PAGE_SIZE as usize]);
            } else {
                page.fill(0);
                let run = PageRun { base: pfn, count: 1 };
                holes.push(PageHole { run, reason: HoleReason::NotInSource });
            }
        }
    }
}
