//! A kernel image as it stands in memory: PE headers, code, an export directory
//! and a CodeView record.

use crate::{mix, put, put_u16, put_u32, put_u64};

/// Where `.text` begins.
pub const TEXT: u32 = 0x1000;
/// Where `.rdata` begins, with exports and CodeView.
pub const RDATA: u32 = 0x2_0000;
/// Where the discarded `INIT` begins, which is not mapped.
pub const INIT: u32 = 0x2_8000;
/// Where `.data` begins.
pub const DATA: u32 = 0x20_0000;
/// Size of the image.
pub const SIZE: u32 = 0x22_0000;

/// A kernel image.
#[derive(Clone, Debug)]
pub struct KernelImage {
    /// Headers, `.text` and `.rdata`: everything before `INIT`.
    pub bytes: Vec<u8>,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// GUID of the CodeView record, as on the wire.
    pub guid: [u8; 16],
    /// Age of the CodeView record.
    pub age: u32,
    /// Name of the PDB.
    pub pdb: &'static str,
}

impl KernelImage {
    /// A kernel of this seed, exporting `exports` (name, RVA).
    pub fn new(seed: u64, base: u64, exports: &[(&str, u32)]) -> KernelImage {
        let mut guid = [0; 16];
        put_u64(&mut guid, 0, mix(seed));
        put_u64(&mut guid, 8, mix(seed + 1));
        let timestamp = 0x5fc8_0000 | (seed as u32 & 0xffff);
        let mut image = KernelImage {
            bytes: vec![0; INIT as usize],
            timestamp,
            guid,
            age: 1,
            pdb: "ntkrnlmp.pdb",
        };
        image.headers(base);
        image.text(seed);
        let end = image.exports(exports);
        image.code_view(end);
        image
    }

    fn headers(&mut self, base: u64) {
        let b = &mut self.bytes;
        put(b, 0, b"MZ");
        put_u32(b, 0x3c, 0x80);
        put(b, 0x80, b"PE\0\0");
        put_u16(b, 0x84, 0x8664);
        put_u16(b, 0x86, 4);
        put_u32(b, 0x88, self.timestamp);
        put_u16(b, 0x94, 0xf0);
        put_u16(b, 0x96, 0x22);
        let optional = 0x98;
        put_u16(b, optional, 0x20b);
        put_u32(b, optional + 4, RDATA - TEXT);
        put_u32(b, optional + 16, TEXT + 0x100);
        put_u64(b, optional + 24, base);
        put_u32(b, optional + 32, 0x1000);
        put_u32(b, optional + 36, 0x200);
        put_u16(b, optional + 40, 10);
        put_u16(b, optional + 44, 10);
        put_u16(b, optional + 48, 10);
        put_u32(b, optional + 56, SIZE);
        put_u32(b, optional + 60, 0x1000);
        put_u32(b, optional + 64, 0xa5_938c);
        put_u16(b, optional + 68, 1);
        put_u32(b, optional + 108, 16);
        let sections: [(&[u8], u32, u32, u32); 4] = [
            (b".text", TEXT, RDATA - TEXT, 0x6800_0020),
            (b".rdata", RDATA, INIT - RDATA, 0x4800_0040),
            (b"INIT", INIT, DATA - INIT, 0x6200_0020),
            (b".data", DATA, SIZE - DATA, 0xc800_0040),
        ];
        for (i, (name, rva, size, flags)) in sections.into_iter().enumerate() {
            let at = optional + 0xf0 + 40 * i;
            put(b, at, name);
            put_u32(b, at + 8, size);
            put_u32(b, at + 12, rva);
            put_u32(b, at + 16, size);
            put_u32(b, at + 20, rva);
            put_u32(b, at + 36, flags);
        }
    }

    fn text(&mut self, seed: u64) {
        let text = &mut self.bytes[TEXT as usize..RDATA as usize];
        for (i, chunk) in text.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&mix(seed ^ (i as u64) << 20).to_le_bytes());
        }
    }

    fn directory(&mut self, index: usize, rva: u32, size: u32) {
        put_u32(&mut self.bytes, 0x98 + 112 + 8 * index, rva);
        put_u32(&mut self.bytes, 0x98 + 116 + 8 * index, size);
    }

    /// The export directory at the start of `.rdata`; returns where it ends.
    fn exports(&mut self, exports: &[(&str, u32)]) -> u32 {
        let mut exports = exports.to_vec();
        exports.sort_unstable();
        let n = exports.len() as u32;
        let (functions, names, ordinals) = (RDATA + 40, RDATA + 40 + 4 * n, RDATA + 40 + 8 * n);
        let mut text = ordinals + 2 * n;
        let b = &mut self.bytes;
        put(b, text as usize, b"ntoskrnl.exe\0");
        for (at, value) in
            [(12, text), (16, 1), (20, n), (24, n), (28, functions), (32, names), (36, ordinals)]
        {
            put_u32(b, RDATA as usize + at, value);
        }
        text += 13;
        for (i, (name, rva)) in exports.iter().enumerate() {
            put_u32(b, functions as usize + 4 * i, *rva);
            put_u32(b, names as usize + 4 * i, text);
            put_u16(b, ordinals as usize + 2 * i, i as u16);
            put(b, text as usize, name.as_bytes());
            text += name.len() as u32 + 1;
        }
        self.directory(0, RDATA, text - RDATA);
        text.next_multiple_of(16)
    }

    fn code_view(&mut self, at: u32) {
        let record = at + 28;
        let size = 24 + self.pdb.len() as u32 + 1;
        let b = &mut self.bytes;
        put_u32(b, at as usize + 4, self.timestamp);
        put_u32(b, at as usize + 12, 2);
        put_u32(b, at as usize + 16, size);
        put_u32(b, at as usize + 20, record);
        put_u32(b, at as usize + 24, record);
        put(b, record as usize, b"RSDS");
        put(b, record as usize + 4, &self.guid);
        put_u32(b, record as usize + 20, self.age);
        put(b, record as usize + 24, self.pdb.as_bytes());
        self.directory(6, at, 28);
    }
}
