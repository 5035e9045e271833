//! A complete dump (type 1) written by hand: `DUMP_HEADER64` and the pages of
//! each run. It is what the engine's files are compared with, and the header
//! that QEMU's guest driver prepares.

use crate::image::Image;
use crate::{put, put_u32, put_u64};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Size of the header.
pub const HEADER_SIZE: usize = 0x2000;

/// What the header says.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// Build of Windows.
    pub build: u32,
    /// CR3.
    pub directory_table_base: u64,
    /// Address of `MmPfnDatabase`.
    pub pfn_database: u64,
    /// Address of `PsLoadedModuleList`.
    pub loaded_module_list: u64,
    /// Address of `PsActiveProcessHead`.
    pub active_process_head: u64,
    /// Number of processors.
    pub processors: u32,
    /// Code and parameters.
    pub bug_check: (u32, [u64; 4]),
    /// Address of KDBG.
    pub debugger_data: u64,
    /// `CONTEXT`.
    pub context: Vec<u8>,
    /// FILETIME.
    pub system_time: u64,
    /// 100 ns.
    pub system_up_time: u64,
    /// 1 workstation, 3 server.
    pub product_type: u32,
    /// Suites.
    pub suite_mask: u32,
}

impl Header {
    /// The header of a complete dump of `image`.
    pub fn bytes(&self, image: &Image) -> Vec<u8> {
        let mut h: Vec<u8> = b"PAGE".iter().copied().cycle().take(HEADER_SIZE).collect();
        put(&mut h, 4, b"DU64");
        put_u32(&mut h, 8, 0xf);
        put_u32(&mut h, 0xc, self.build);
        put_u64(&mut h, 0x10, self.directory_table_base);
        put_u64(&mut h, 0x18, self.pfn_database);
        put_u64(&mut h, 0x20, self.loaded_module_list);
        put_u64(&mut h, 0x28, self.active_process_head);
        put_u32(&mut h, 0x30, 0x8664);
        put_u32(&mut h, 0x34, self.processors);
        put_u32(&mut h, 0x38, self.bug_check.0);
        for (i, parameter) in self.bug_check.1.iter().enumerate() {
            put_u64(&mut h, 0x40 + 8 * i, *parameter);
        }
        put_u64(&mut h, 0x80, self.debugger_data);
        put_u32(&mut h, 0x88, image.runs().len() as u32);
        put_u32(&mut h, 0x8c, 0);
        put_u64(&mut h, 0x90, image.ram_pages());
        for (i, run) in image.runs().iter().enumerate() {
            put_u64(&mut h, 0x98 + 16 * i, run.base);
            put_u64(&mut h, 0xa0 + 16 * i, run.count);
        }
        h[0x348..0xf00].fill(0);
        put(&mut h, 0x348, &self.context);
        h[0xf00..0xf98].fill(0);
        put_u32(&mut h, 0xf00, 0x8000_0003);
        put_u32(&mut h, 0xf98, 1);
        put_u64(&mut h, 0xfa0, HEADER_SIZE as u64 + image.ram_pages() * crate::PAGE);
        put_u64(&mut h, 0xfa8, self.system_time);
        h[0xfb0..0x1030].fill(0);
        put_u64(&mut h, 0x1030, self.system_up_time);
        put_u32(&mut h, 0x1038, 0);
        put_u32(&mut h, 0x103c, 0);
        put_u32(&mut h, 0x1040, self.product_type);
        put_u32(&mut h, 0x1044, self.suite_mask);
        put_u32(&mut h, 0x1048, 0);
        h
    }

    /// Writes the complete dump of `image`.
    pub fn write(&self, image: &Image, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        out.write_all(&self.bytes(image))?;
        for run in image.runs() {
            for pfn in run.base..run.end() {
                out.write_all(&image.page(pfn))?;
            }
        }
        out.flush()
    }
}
