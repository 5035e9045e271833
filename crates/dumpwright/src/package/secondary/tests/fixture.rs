//! ELF files with nothing but links, and a target made of files.

use super::*;
use crate::soft_error::{Hole, HoleReason};
use crate::target::{
    Absent, Architecture, FileTime, HasStreams, MemorySource, Pid, ProcessInfo, ProcessSnapshot,
    SystemSnapshot,
};
use std::collections::HashMap;
use std::time::Duration;

/// An ELF file to be.
#[derive(Default)]
pub(super) struct Elf {
    sections: Vec<(&'static str, u32, Vec<u8>)>,
}

impl Elf {
    const NOTE: u32 = 7;
    const PROGBITS: u32 = 1;

    pub(super) fn new() -> Self {
        Self::default()
    }

    fn section(mut self, name: &'static str, kind: u32, contents: Vec<u8>) -> Self {
        self.sections.push((name, kind, contents));
        self
    }

    pub(super) fn build_id(self, id: &[u8]) -> Self {
        let mut note = [4, id.len() as u32, 3].map(u32::to_le_bytes).concat();
        note.extend(b"GNU\0");
        note.extend(id);
        self.section(".note.gnu.build-id", Self::NOTE, note)
    }

    pub(super) fn debug_link(self, name: &str, crc: u32) -> Self {
        let mut link = name.as_bytes().to_vec();
        link.resize((name.len() + 1).next_multiple_of(4), 0);
        link.extend(crc.to_le_bytes());
        self.section(".gnu_debuglink", Self::PROGBITS, link)
    }

    pub(super) fn alternate(self, name: &str, id: &[u8]) -> Self {
        self.section(".gnu_debugaltlink", Self::PROGBITS, [name.as_bytes(), b"\0", id].concat())
    }

    /// A section that makes files differ.
    pub(super) fn text(self, text: &str) -> Self {
        self.section(".comment", Self::PROGBITS, text.into())
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        const HEADER: usize = 64;
        let mut names = vec![0];
        let mut contents = Vec::new();
        let mut table = vec![0; 64];
        for (name, kind, bytes) in &self.sections {
            contents.resize(contents.len().next_multiple_of(8), 0);
            let header = (names.len() as u32, *kind, HEADER + contents.len(), bytes.len());
            table.extend(section_header(header));
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            contents.extend_from_slice(bytes);
        }
        let at = HEADER + contents.len();
        let name = names.len() as u32;
        names.extend_from_slice(b".shstrtab\0");
        table.extend(section_header((name, 3, at, names.len())));
        contents.extend_from_slice(&names);
        contents.resize(contents.len().next_multiple_of(8), 0);

        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([3_u16, 62].iter().flat_map(|v| v.to_le_bytes()));
        file.extend(1_u32.to_le_bytes());
        file.extend([0, 0, (HEADER + contents.len()) as u64].iter().flat_map(|v| v.to_le_bytes()));
        file.extend(0_u32.to_le_bytes());
        let sections = self.sections.len() as u16 + 2;
        file.extend([64, 56, 0, 64, sections, sections - 1].iter().flat_map(|v| v.to_le_bytes()));
        assert_eq!(file.len(), HEADER);
        [file, contents, table].concat()
    }
}

/// A section header: name, type, offset and size.
fn section_header((name, kind, offset, size): (u32, u32, usize, usize)) -> Vec<u8> {
    let mut header = [name, kind].map(u32::to_le_bytes).concat();
    header.extend([0, 0, offset as u64, size as u64].iter().flat_map(|v: &u64| v.to_le_bytes()));
    header.extend([0_u32; 2].iter().flat_map(|v| v.to_le_bytes()));
    header.extend([4_u64, 0].iter().flat_map(|v| v.to_le_bytes()));
    header
}

/// A target whose modules are files, and whose memory is one range.
pub(super) struct FakeTarget {
    snapshot: ProcessSnapshot,
    files: HashMap<u64, PathBuf>,
    memory: FakeMemory,
}

#[derive(Default)]
struct FakeMemory {
    start: u64,
    bytes: Vec<u8>,
}

impl FakeTarget {
    pub(super) fn new() -> Self {
        FakeTarget { snapshot: snapshot(), files: HashMap::new(), memory: FakeMemory::default() }
    }

    /// A process of Windows.
    pub(super) fn of_windows() -> Self {
        let mut target = Self::new();
        target.snapshot.system.platform_id = dumpwright_format::minidump::PLATFORM_WIN32_NT;
        target
    }

    /// A module of one page at `base`, whose file is at `file`.
    pub(super) fn module(mut self, base: u64, path: &str, file: Option<&Path>) -> Self {
        let region = region(base, path, Backing::Image(self.snapshot.modules.len()));
        self.snapshot.modules.push(as_module(&region));
        self.snapshot.regions.push(region);
        self.files.extend(file.map(|file| (base, file.to_owned())));
        self
    }

    /// The build id by which the last module is known.
    pub(super) fn known_as(mut self, id: &[u8]) -> Self {
        self.snapshot.modules.last_mut().unwrap().debug_id = DebugId::ElfBuildId(id.to_vec());
        self
    }

    /// A mapping of one page of a file that is not a module.
    pub(super) fn mapping(mut self, base: u64, name: &str, file: Option<&Path>) -> Self {
        self.snapshot.regions.push(region(base, name, Backing::File));
        self.files.extend(file.map(|file| (base, file.to_owned())));
        self
    }

    /// What is in memory.
    pub(super) fn memory_at(mut self, start: u64, bytes: &[u8]) -> Self {
        self.memory = FakeMemory { start, bytes: bytes.to_vec() };
        self
    }
}

impl ProcessTarget for FakeTarget {
    fn snapshot(&self) -> &ProcessSnapshot {
        &self.snapshot
    }

    fn memory(&self) -> &dyn MemorySource {
        &self.memory
    }

    fn release(&mut self) {}

    fn held(&self) -> Option<Duration> {
        None
    }

    fn open_module(&self, module: &ModuleSnapshot) -> io::Result<File> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "it was replaced since");
        File::open(self.files.get(&module.base).ok_or_else(missing)?)
    }
}

impl MemorySource for FakeMemory {
    fn read(&self, ranges: &[AddressRange], buf: &mut [u8], holes: &mut Vec<Hole>) {
        let mut buf = buf.iter_mut();
        for range in ranges {
            for address in range.start..range.end {
                let offset = address.wrapping_sub(self.start) as usize;
                *buf.next().unwrap() = self.bytes.get(offset).copied().unwrap_or_else(|| {
                    let range = AddressRange::with_len(address, 1);
                    holes.push(Hole { range, reason: HoleReason::NotInSource });
                    0
                });
            }
        }
    }

    fn populated(&self, range: AddressRange) -> Vec<AddressRange> {
        vec![range]
    }
}

fn region(base: u64, name: &str, backing: Backing) -> Region {
    let range = AddressRange::with_len(base, 0x1000);
    Region {
        range,
        protection: Protection::READ,
        shared: false,
        backing,
        name: name.into(),
        allocation_base: base,
        access: Access::Normal,
        absent: Absent::File,
        backed_end: range.end,
        page_state: None,
    }
}

fn snapshot() -> ProcessSnapshot {
    ProcessSnapshot {
        system: SystemSnapshot {
            architecture: Architecture::Amd64,
            platform_id: 0x8201,
            product_type: 0,
            suite_mask: 0,
            processor_level: 0,
            processor_revision: 0,
            cpu: [0; 24],
            number_of_processors: 1,
            version: [0; 3],
            description: String::new(),
            build: String::new(),
            processor_mhz: None,
            time_zone: None,
            xstate: None,
        },
        process: ProcessInfo {
            pid: Pid(1),
            namespace_pids: vec![1],
            peb: 0,
            name: String::new(),
            create_time: FileTime(0),
            user_time: 0,
            kernel_time: 0,
            nt: None,
        },
        threads: Vec::new(),
        modules: Vec::new(),
        unloaded_modules: Vec::new(),
        regions: crate::packed::Packed::new(),
        address_space_end: 1 << 47,
        page_size: 0x1000,
        handles: Vec::new(),
        exception: None,
        platform_streams: Vec::new(),
        dso_debug: None,
        initial_stack: None,
        process_data: Vec::new(),
        token: None,
        vm_counters: None,
        system_memory: None,
        has: HasStreams::ALL,
        original: None,
        unix_side: None,
        soft_errors: Vec::new(),
    }
}
