//! A PDB of the kernel: public symbols, sections, and the types of `_MMPFN` that
//! tell what a page is for. Layout by LLVM's documentation of the format.

use crate::pe::{self, KernelImage};
use crate::{put, put_u32};

const BLOCK: usize = 4096;
/// `LF_FIELDLIST` and others.
const FIELD_LIST: u16 = 0x1203;
const BIT_FIELD: u16 = 0x1205;
const MEMBER: u16 = 0x150d;
const STRUCTURE: u16 = 0x1505;
const UNION: u16 = 0x1506;
/// `T_USHORT` and `T_UCHAR`.
const U16: u32 = 0x21;
const U8: u32 = 0x20;
const FIRST_TYPE: u32 = 0x1000;

/// The PDB that belongs to `kernel`; `symbols` are (name, RVA).
pub fn of(kernel: &KernelImage, symbols: &[(&str, u32)]) -> Vec<u8> {
    let streams = [
        Vec::new(),
        information(kernel),
        types(&kernel_types()),
        debug_information(),
        types(&[]),
        symbol_records(symbols),
        section_headers(kernel),
    ];
    container(&streams)
}

/// Streams in blocks: super block, two blocks of the free map, streams, their
/// directory, and its list of blocks.
fn container(streams: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0; 3 * BLOCK];
    let mut directory = Vec::new();
    directory.extend((streams.len() as u32).to_le_bytes());
    for stream in streams {
        directory.extend((stream.len() as u32).to_le_bytes());
    }
    for stream in streams {
        for block in append(&mut file, stream) {
            directory.extend(block.to_le_bytes());
        }
    }
    let list: Vec<u8> =
        append(&mut file, &directory).into_iter().flat_map(u32::to_le_bytes).collect();
    let map = append(&mut file, &list)[0];
    let blocks = (file.len() / BLOCK) as u32;
    put(&mut file, 0, b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0");
    for (at, value) in
        [(32, BLOCK as u32), (36, 1), (40, blocks), (44, directory.len() as u32), (52, map)]
    {
        put_u32(&mut file, at, value);
    }
    file
}

/// Appends bytes in whole blocks; returns the numbers of the blocks.
fn append(file: &mut Vec<u8>, bytes: &[u8]) -> Vec<u32> {
    let first = file.len() / BLOCK;
    file.extend(bytes);
    file.resize(file.len().next_multiple_of(BLOCK), 0);
    (first as u32..(file.len() / BLOCK) as u32).collect()
}

fn information(kernel: &KernelImage) -> Vec<u8> {
    let mut s = Vec::new();
    for value in [20_000_404, kernel.timestamp, kernel.age] {
        s.extend(value.to_le_bytes());
    }
    s.extend(kernel.guid);
    // No named streams: no names, a table of one place with none in it.
    for value in [0_u32, 0, 1, 1, 0, 0, 0] {
        s.extend(value.to_le_bytes());
    }
    s
}

/// A stream of types, each its own record.
fn types(records: &[Vec<u8>]) -> Vec<u8> {
    let bytes: Vec<u8> = records.concat();
    let mut s = vec![0; 56];
    let end = FIRST_TYPE + records.len() as u32;
    for (at, value) in
        [(0, 20_040_203), (4, 56), (8, FIRST_TYPE), (12, end), (16, bytes.len() as u32)]
    {
        put_u32(&mut s, at, value);
    }
    // No streams of hashes.
    put_u32(&mut s, 20, u32::MAX);
    put_u32(&mut s, 24, 4);
    put_u32(&mut s, 28, 0x3_ffff);
    s.extend(bytes);
    s
}

/// A structure: its name, its size, and members with their offsets.
type Structure = (&'static str, u16, &'static [(&'static str, u16)]);

/// Structures of build 19041, as KDBG of `triage_x64.dmp` has them.
const STRUCTURES: [Structure; 8] = [
    (
        "_KTHREAD",
        0x430,
        &[
            ("InitialStack", 0x28),
            ("StackLimit", 0x30),
            ("StackBase", 0x38),
            ("KernelStack", 0x58),
            ("ApcState", 0x98),
            ("Teb", 0xf0),
            ("State", 0x184),
            ("NextProcessor", 0x218),
        ],
    ),
    ("_KAPC_STATE", 0x30, &[("Process", 0x20)]),
    ("_KPROCESS", 0x438, &[("DirectoryTableBase", 0x28)]),
    ("_EPROCESS", 0xa40, &[("InheritedFromUniqueProcessId", 0x540), ("Peb", 0x550)]),
    ("_ETHREAD", 0x898, &[]),
    (
        "_KPRCB",
        crate::kdbg::PRCB_SIZE,
        &[
            ("CurrentThread", 0x8),
            ("Number", 0x24),
            ("CpuType", 0x40),
            ("MHz", 0x44),
            ("ProcessorState", 0x100),
            ("DpcRoutineActive", 0x3128),
            ("VendorString", 0x8590),
            ("Context", 0x85c0),
        ],
    ),
    ("_KPROCESSOR_STATE", 0x5c0, &[("SpecialRegisters", 0), ("ContextFrame", 0xf0)]),
    ("_KPCR", 0xb080, &[("Self", 0x18), ("CurrentPrcb", 0x20), ("Prcb", 0x180)]),
];

/// `_MMPFN`, and the structures that KDBG tells of.
fn kernel_types() -> Vec<Vec<u8>> {
    let mut records = mmpfn().to_vec();
    for (name, size, members) in STRUCTURES {
        let list: Vec<u8> =
            members.iter().flat_map(|(name, offset)| member(U8, *offset, name)).collect();
        let fields = FIRST_TYPE + records.len() as u32;
        records.push(record(FIELD_LIST, &list));
        let count = members.len() as u16;
        records.push(record(STRUCTURE, &aggregate(count, fields, Some(0), size, name)));
    }
    records
}

/// `_MMPFN` of 0x30 bytes, with `u3.e1.PageLocation` in the low three bits of
/// byte 0x22.
fn mmpfn() -> [Vec<u8>; 7] {
    [
        record(BIT_FIELD, &[&U8.to_le_bytes()[..], &[3, 0]].concat()),
        record(FIELD_LIST, &member(FIRST_TYPE, 0, "PageLocation")),
        record(STRUCTURE, &aggregate(1, FIRST_TYPE + 1, Some(0), 1, "_MMPFNENTRY1")),
        record(
            FIELD_LIST,
            &[member(U16, 0, "ReferenceCount"), member(FIRST_TYPE + 2, 2, "e1")].concat(),
        ),
        record(UNION, &aggregate(2, FIRST_TYPE + 3, None, 4, "<unnamed-type-u3>")),
        record(FIELD_LIST, &member(FIRST_TYPE + 4, 0x20, "u3")),
        record(STRUCTURE, &aggregate(1, FIRST_TYPE + 5, Some(0), 0x30, "_MMPFN")),
    ]
}

fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut r = [&[0; 2][..], &kind.to_le_bytes(), body].concat();
    while r.len() % 4 != 0 {
        // LF_PAD3, LF_PAD2, LF_PAD1.
        r.push(0xf0 | (4 - r.len() % 4) as u8);
    }
    let length = r.len() as u16 - 2;
    put(&mut r, 0, &length.to_le_bytes());
    r
}

/// A number: as it is, or behind `LF_USHORT` where it would look like a kind.
fn numeric(value: u16) -> Vec<u8> {
    let prefix = if value < 0x8000 { &[][..] } else { &0x8002_u16.to_le_bytes() };
    [prefix, &value.to_le_bytes()].concat()
}

fn member(kind: u32, offset: u16, name: &str) -> Vec<u8> {
    let mut m = [&MEMBER.to_le_bytes()[..], &3_u16.to_le_bytes(), &kind.to_le_bytes()].concat();
    m.extend(numeric(offset));
    m.extend(name.as_bytes());
    m.push(0);
    while m.len() % 4 != 0 {
        m.push(0xf0 | (4 - m.len() % 4) as u8);
    }
    m
}

/// Body of a structure (which has two fields more) or union.
fn aggregate(count: u16, fields: u32, base: Option<u32>, size: u16, name: &str) -> Vec<u8> {
    let mut a = [&count.to_le_bytes()[..], &0_u16.to_le_bytes(), &fields.to_le_bytes()].concat();
    if let Some(base) = base {
        a.extend(base.to_le_bytes());
        a.extend(0_u32.to_le_bytes());
    }
    a.extend(numeric(size));
    a.extend(name.as_bytes());
    a.push(0);
    a
}

fn debug_information() -> Vec<u8> {
    let mut s = vec![0; 64];
    put_u32(&mut s, 0, u32::MAX);
    put_u32(&mut s, 4, 19_990_903);
    put_u32(&mut s, 8, 1);
    // No streams of hashed globals and publics; symbol records in stream 5.
    put_u32(&mut s, 12, 0xffff);
    put_u32(&mut s, 16, 0xffff);
    put_u32(&mut s, 20, 5);
    put_u32(&mut s, 48, 22);
    put_u32(&mut s, 56, 0x8664 << 16);
    let mut optional = [0xffff_u16; 11];
    optional[5] = 6;
    s.extend(optional.iter().flat_map(|stream| stream.to_le_bytes()));
    s
}

/// `S_PUB32` records. The kernel's `.data` is its fourth section.
fn symbol_records(symbols: &[(&str, u32)]) -> Vec<u8> {
    symbols
        .iter()
        .flat_map(|(name, rva)| {
            let mut body = 0_u32.to_le_bytes().to_vec();
            body.extend((rva - pe::DATA).to_le_bytes());
            body.extend(4_u16.to_le_bytes());
            body.extend(name.as_bytes());
            body.push(0);
            let mut r = [&[0; 2][..], &0x110e_u16.to_le_bytes(), &body].concat();
            r.resize(r.len().next_multiple_of(4), 0);
            let length = r.len() as u16 - 2;
            put(&mut r, 0, &length.to_le_bytes());
            r
        })
        .collect()
}

/// The section headers, as the image has them behind its optional header.
fn section_headers(kernel: &KernelImage) -> Vec<u8> {
    kernel.bytes[0x188..0x188 + 4 * 40].to_vec()
}
