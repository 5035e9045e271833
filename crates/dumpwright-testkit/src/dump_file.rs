//! A reader of dumps of page frames, apart from the engine's: every type but the
//! small one. Where a file contradicts itself it panics.

use crate::image::{PAGE, Page, Run};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A dump: its header, and where each page stands.
#[derive(Debug)]
pub struct DumpFile {
    /// `DUMP_HEADER64` (0x2000 bytes) or `DUMP_HEADER32` (0x1000).
    pub header: Vec<u8>,
    /// Frame to file offset.
    pub pages: BTreeMap<u64, u64>,
    /// Length of the file.
    pub length: u64,
    file: File,
}

impl DumpFile {
    /// Reads the header and what says which pages there are.
    pub fn open(path: &Path) -> io::Result<DumpFile> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut start = [0; 8];
        file.read_exact_at(&mut start, 0)?;
        let size = match &start {
            b"PAGEDU64" => 0x2000,
            b"PAGEDUMP" => 0x1000,
            other => panic!("no kernel dump: it begins with {other:x?}"),
        };
        let mut header = vec![0; size];
        file.read_exact_at(&mut header, 0)?;
        let mut dump = DumpFile { header, pages: BTreeMap::new(), length, file };
        match dump.dump_type() {
            1 => dump.runs(),
            2 => dump.summary(),
            5..=7 => dump.bitmap(),
            8 | 9 => dump.ranges(None),
            10 => dump.ranges(Some(dump.at_u32(0x2020))),
            other => panic!("type {other} has no page frames"),
        }
        let outside = dump.pages.values().any(|at| at + PAGE > length);
        assert!(!outside, "a page lies past the end of the file");
        Ok(dump)
    }

    /// Whether the header is the 64-bit one.
    pub fn is_64_bit(&self) -> bool {
        self.header.len() == 0x2000
    }

    /// The header's `DumpType`.
    pub fn dump_type(&self) -> u32 {
        self.header_u32(if self.is_64_bit() { 0xf98 } else { 0xf88 })
    }

    /// Four bytes of the header.
    pub fn header_u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.header[at..at + 4].try_into().unwrap())
    }

    /// Eight bytes of the header.
    pub fn header_u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.header[at..at + 8].try_into().unwrap())
    }

    /// The header's runs; of the 64-bit header only.
    pub fn header_runs(&self) -> Vec<Run> {
        let run = |i: usize| {
            let at = 0x98 + 16 * i;
            Run { base: self.header_u64(at), count: self.header_u64(at + 8) }
        };
        (0..self.header_u32(0x88) as usize).map(run).collect()
    }

    /// A page, if the dump has it.
    pub fn page(&self, pfn: u64) -> Option<Page> {
        let at = self.pages.get(&pfn)?;
        let mut page = [0; PAGE as usize];
        self.file.read_exact_at(&mut page, *at).unwrap();
        Some(page)
    }

    /// The header's comment, if there is one.
    pub fn comment(&self) -> Option<String> {
        let at = if self.is_64_bit() { 0xfb0 } else { 0x820 };
        let bytes = &self.header[at..at + 128];
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(128);
        let text = &bytes[..end];
        let filler = bytes.starts_with(b"PAGEPAGE");
        (!filler && end > 0).then(|| String::from_utf8_lossy(text).into_owned())
    }

    fn at_u32(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn at_u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// The signature of the body: its eight bytes.
    fn signature(&self, at: u64) -> [u8; 8] {
        self.at_u64(at).to_le_bytes()
    }

    fn add(&mut self, run: Run, at: &mut u64) {
        for pfn in run.base..run.end() {
            assert!(self.pages.insert(pfn, *at).is_none(), "frame {pfn:#x} is there twice");
            *at += PAGE;
        }
    }

    fn runs(&mut self) {
        let mut at = self.header.len() as u64;
        let runs = if self.is_64_bit() { self.header_runs() } else { self.header_runs_32() };
        for run in &runs {
            self.add(*run, &mut at);
        }
        let total: u64 = runs.iter().map(|r| r.count).sum();
        let said =
            if self.is_64_bit() { self.header_u64(0x90) } else { u64::from(self.header_u32(0x68)) };
        assert_eq!(total, said, "NumberOfPages");
    }

    fn header_runs_32(&self) -> Vec<Run> {
        let run = |i: usize| {
            let at = 0x6c + 8 * i;
            Run { base: self.header_u32(at).into(), count: self.header_u32(at + 4).into() }
        };
        (0..self.header_u32(0x64) as usize).map(run).collect()
    }

    fn bits(&mut self, bitmap: u64, bits: u64, first: u64, set: u64) {
        let mut bytes = vec![0; bits.div_ceil(8) as usize];
        self.file.read_exact_at(&mut bytes, bitmap).unwrap();
        assert!(bitmap + bytes.len() as u64 <= first, "the bitmap runs into the pages");
        let mut at = first;
        for pfn in (0..bits).filter(|n| bytes[*n as usize / 8] >> (n % 8) & 1 != 0) {
            self.add(Run { base: pfn, count: 1 }, &mut at);
        }
        assert_eq!(self.pages.len() as u64, set, "bits that are set");
    }

    fn bitmap(&mut self) {
        let body = self.header.len() as u64;
        let signature = self.signature(body);
        assert!(matches!(&signature, b"SDMPDUMP" | b"FDMPDUMP"), "{signature:x?}");
        let first = self.at_u64(body + 0x20);
        assert_eq!(first % PAGE, 0, "the first page is not aligned");
        self.bits(body + 0x38, self.at_u64(body + 0x30), first, self.at_u64(body + 0x28));
    }

    fn summary(&mut self) {
        let body = self.header.len() as u64;
        assert_eq!(&self.signature(body), b"SDMPDUMP");
        let (first, bits) = (u64::from(self.at_u32(body + 12)), self.at_u32(body + 16));
        let header = if self.is_64_bit() { 40 } else { 32 };
        self.bits(body + header, bits.into(), first, self.at_u32(body + 20).into());
    }

    /// Types 8 and 9 end their ranges with one that is zero, or where the pages
    /// begin; type 10 counts them.
    fn ranges(&mut self, count: Option<u32>) {
        assert_eq!(self.at_u32(0x2000), 0x40, "marker");
        assert_eq!(&self.signature(0x2004), b"RDMPDUMP");
        let (metadata, first) = (self.at_u64(0x2010), self.at_u64(0x2018));
        assert_eq!(metadata - 0x20, first - 0x2040, "sizes of the metadata");
        let mut at = first;
        for i in 0..u64::from(count.unwrap_or(u32::MAX)) {
            let d = 0x2030 + 16 * i;
            if d == first {
                break;
            }
            assert!(d < first, "the ranges run into the pages");
            let run = Run { base: self.at_u64(d), count: self.at_u64(d + 8) };
            // Some readers stop at any range that begins at frame 0, so that one
            // has to be the last.
            if run.base == 0 && run.count == 0 {
                break;
            }
            self.add(run, &mut at);
        }
        if count.is_some() {
            assert_eq!(self.pages.len() as u64, self.at_u64(0x2028), "TotalNumberOfPages");
        }
    }
}
