//! A reader of small dumps (`TRIAGE_DUMP64`), apart from the engine's.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

/// Bytes of virtual memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where they stand.
    pub va: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A driver of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// Its name, out of the pool of strings.
    pub name: String,
    /// Its `KLDR_DATA_TABLE_ENTRY`, 0x88 bytes.
    pub entry: Vec<u8>,
}

impl Driver {
    /// `DllBase`.
    pub fn base(&self) -> u64 {
        u64::from_le_bytes(self.entry[0x30..0x38].try_into().unwrap())
    }

    /// `SizeOfImage`.
    pub fn size(&self) -> u32 {
        u32::from_le_bytes(self.entry[0x40..0x44].try_into().unwrap())
    }
}

/// A small dump.
#[derive(Clone, Debug)]
pub struct TriageDump {
    /// The file.
    pub bytes: Vec<u8>,
}

impl TriageDump {
    /// Reads a file; panics if it is no small dump of a 64-bit Windows.
    pub fn read(path: &Path) -> io::Result<TriageDump> {
        let dump = TriageDump { bytes: fs::read(path)? };
        assert_eq!(&dump.bytes[..8], b"PAGEDU64", "no 64-bit kernel dump");
        assert_eq!(dump.u32(0xf98), 4, "not the type of a small dump");
        let valid = dump.field(2) as usize;
        assert_eq!(&dump.bytes[valid..valid + 4], b"TRGD", "the dump was not finished");
        assert_eq!(dump.field(1) as usize, valid + 4, "SizeOfDump");
        Ok(dump)
    }

    /// Four bytes at an offset of the file.
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    /// Eight bytes at an offset of the file.
    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    /// The nth 32-bit field of `TRIAGE_DUMP64`.
    fn field(&self, index: usize) -> u32 {
        self.u32(0x2000 + 4 * index)
    }

    fn section(&self, index: usize, length: usize) -> &[u8] {
        let at = self.field(index) as usize;
        assert_ne!(at, 0, "field {index} of TRIAGE_DUMP64");
        &self.bytes[at..at + length]
    }

    /// The header's `CONTEXT`.
    pub fn context(&self) -> &[u8] {
        assert_eq!(self.field(3), 0x348, "ContextOffset");
        &self.bytes[0x348..0x348 + 0x4d0]
    }

    /// `DirectoryTableBase`.
    pub fn directory_table_base(&self) -> u64 {
        self.u64(0x10)
    }

    /// Debugger data.
    pub fn debugger_data(&self) -> &[u8] {
        let (at, size) = (self.u32(0x2070) as usize, self.u32(0x2074) as usize);
        &self.bytes[at..at + size]
    }

    /// A 16-bit number of the debugger data.
    pub fn debugger_u16(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes(self.debugger_data()[at..at + 2].try_into().unwrap()))
    }

    /// An address of the debugger data.
    pub fn debugger_u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.debugger_data()[at..at + 8].try_into().unwrap())
    }

    /// The `KPRCB`.
    pub fn prcb(&self) -> &[u8] {
        self.section(7, self.debugger_u16(0x2b0))
    }

    /// The `EPROCESS`.
    pub fn process(&self) -> &[u8] {
        self.section(8, self.debugger_u16(0x2a8))
    }

    /// The `ETHREAD`.
    pub fn thread(&self) -> &[u8] {
        self.section(9, self.debugger_u16(0x2c0))
    }

    /// The stack from its top, and where that is.
    pub fn stack(&self) -> Block {
        let bytes = self.section(10, self.field(11) as usize).to_vec();
        Block { va: self.u64(0x2000 + 72), bytes }
    }

    /// The drivers.
    pub fn drivers(&self) -> Vec<Driver> {
        let pool = self.string_pool();
        let list = self.field(12) as usize;
        let driver = |i: usize| {
            let at = list + 0x90 * i;
            let name = self.u32(at) as usize;
            assert!(pool.contains(&name), "the name of driver {i} is not in the pool");
            let units = self.u32(name) as usize;
            let text = &self.bytes[name + 4..name + 4 + 2 * units];
            let text: Vec<u16> =
                text.chunks_exact(2).map(|u| u16::from_le_bytes(u.try_into().unwrap())).collect();
            let entry = self.bytes[at + 8..at + 0x90].to_vec();
            Driver { name: String::from_utf16(&text).unwrap(), entry }
        };
        (0..self.field(13) as usize).map(driver).collect()
    }

    fn string_pool(&self) -> Range<usize> {
        let at = self.field(14) as usize;
        at..at + self.field(15) as usize
    }

    /// Names and first addresses of unloaded drivers.
    pub fn unloaded(&self) -> Vec<(String, u64)> {
        let at = self.field(6) as usize;
        let entry = |i: usize| {
            let e = at + 8 + 0x38 * i;
            let units = usize::from(u16::from_le_bytes([self.bytes[e], self.bytes[e + 1]])) / 2;
            let text = &self.bytes[e + 16..e + 16 + 2 * units.min(12)];
            let text: Vec<u16> =
                text.chunks_exact(2).map(|u| u16::from_le_bytes(u.try_into().unwrap())).collect();
            (String::from_utf16_lossy(&text), self.u64(e + 40))
        };
        (0..self.u64(at) as usize).map(entry).collect()
    }

    /// The data blocks.
    pub fn data_blocks(&self) -> Vec<Block> {
        let (at, count) = (self.u32(0x2078) as usize, self.u32(0x207c) as usize);
        let block = |i: usize| {
            let d = at + 16 * i;
            let (offset, size) = (self.u32(d + 8) as usize, self.u32(d + 12) as usize);
            Block { va: self.u64(d), bytes: self.bytes[offset..offset + size].to_vec() }
        };
        (0..count).map(block).collect()
    }
}
