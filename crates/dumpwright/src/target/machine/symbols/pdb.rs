//! Reading a PDB, by the `pdb2` crate.
//!
//! The crate makes room for whatever a damaged file claims to hold. So it reads
//! through [`Bounded`], and is given only those records to parse of which it
//! takes no counts.

use super::bounded::Bounded;
use super::{KernelSymbols, Structure, wants_symbol};
use crate::target::machine::windows::{PdbIdentity, wants_type};
use crate::target::machine::{Gva, PfnDatabaseLayout};
use pdb2::{
    FallibleIterator, ItemFinder, PDB, SymbolData, Type, TypeData, TypeIndex, TypeInformation,
};
use std::collections::HashMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The largest PDB that is read; a kernel's has some 20 MB.
const MAX_PDB: u64 = 512 << 20;
/// What an entry of the PFN database is called.
const PFN_ENTRY: &str = "_MMPFN";
/// `S_PUB32` and `S_PUB32_ST`, cvinfo.h: public symbols.
const PUBLIC_SYMBOLS: [u16; 2] = [0x110e, 0x1009];
/// `LF_CLASS`, `LF_STRUCTURE`, `LF_UNION`, `LF_FIELDLIST`, `LF_BITFIELD`, and the
/// forms of the first three with shorter or longer fields, cvinfo.h.
const TYPES: [u16; 11] =
    [0x1504, 0x1505, 0x1506, 0x1203, 0x1205, 0x1004, 0x1005, 0x1006, 0x1608, 0x1609, 0x160a];
/// Bytes of the smallest type record: its length and its kind.
const MIN_TYPE: u64 = 4;
/// Records that the members of one structure are in.
const MAX_LISTS: usize = 16;
/// How deep structures are followed into each other.
const MAX_DEPTH: usize = 4;

/// Reads what is wanted of a PDB, if it is the one that belongs to the kernel.
pub(super) fn read(file: File, identity: &PdbIdentity) -> Result<KernelSymbols, String> {
    // The crate takes some damage for impossible.
    catch_unwind(AssertUnwindSafe(|| read_undamaged(file, identity)))
        .unwrap_or_else(|_| Err("it is damaged".into()))
}

fn read_undamaged(file: File, identity: &PdbIdentity) -> Result<KernelSymbols, String> {
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_PDB {
        return Err(format!("it has {size} bytes; no kernel's PDB is that large"));
    }
    let bad = |error: pdb2::Error| format!("it cannot be read as a PDB: {error}");
    let mut pdb = PDB::open(Bounded::new(file, size)).map_err(bad)?;
    let information = pdb.pdb_information().map_err(bad)?;
    if information.guid.to_bytes_le() != identity.guid {
        return Err(format!(
            "it belongs to another kernel; the one with the id {} is needed",
            identity.key()
        ));
    }
    let table = pdb.global_symbols().map_err(bad)?;
    let map = pdb.address_map().map_err(bad)?;
    let mut symbols = KernelSymbols::default();
    let mut iterator = table.iter();
    while let Some(symbol) = iterator.next().map_err(bad)? {
        // Kinds that the crate does not know are none that are looked for.
        if !PUBLIC_SYMBOLS.contains(&symbol.raw_kind()) {
            continue;
        }
        let Ok(SymbolData::Public(public)) = symbol.parse() else { continue };
        let name = public.name.to_string();
        if wants_symbol(&name)
            && let Some(rva) = public.offset.to_rva(&map)
        {
            symbols.addresses.insert(name.into_owned(), rva.0);
        }
    }
    // A PDB can lack types; then the PFN database stays unread.
    if let Ok(types) = pdb.type_information()
        && types.len() as u64 <= size / MIN_TYPE
    {
        read_types(&types, &mut symbols);
    }
    Ok(symbols)
}

/// The type that an index means, if it is one of those that are read.
fn at<'t>(finder: &ItemFinder<'t, TypeIndex>, index: TypeIndex) -> Option<TypeData<'t>> {
    parsed(&finder.find(index).ok()?)
}

fn parsed<'t>(item: &Type<'t>) -> Option<TypeData<'t>> {
    TYPES.contains(&item.raw_kind()).then(|| item.parse().ok())?
}

/// Reads the structures that are wanted. What of them cannot be read is left out.
fn read_types(types: &TypeInformation<'_>, symbols: &mut KernelSymbols) {
    let mut finder = types.finder();
    let mut iterator = types.iter();
    let mut found = HashMap::new();
    while let Ok(Some(item)) = iterator.next() {
        finder.update(&iterator);
        if let Some(TypeData::Class(class)) = parsed(&item)
            && !class.properties.forward_reference()
            && let Some(fields) = class.fields
        {
            let name = class.name.to_string();
            if name == PFN_ENTRY || wants_type(&name) {
                found.insert(name.into_owned(), (class.size, fields));
            }
        }
    }
    for (name, (size, fields)) in found {
        let Ok(size) = u32::try_from(size) else { continue };
        if name == PFN_ENTRY {
            symbols.pfn_database_layout = pfn_database_layout(&finder, size, fields);
            continue;
        }
        let mut structure = Structure { size, ..Structure::default() };
        read_members(&finder, fields, &mut structure, MAX_LISTS);
        symbols.structures.insert(name, structure);
    }
}

/// Offsets of all members. A list that is too long for one record goes on in
/// another.
fn read_members(
    finder: &ItemFinder<'_, TypeIndex>,
    fields: TypeIndex,
    structure: &mut Structure,
    most: usize,
) {
    let Some(TypeData::FieldList(list)) = at(finder, fields) else { return };
    for field in &list.fields {
        if let TypeData::Member(member) = field
            && let Ok(offset) = u32::try_from(member.offset)
        {
            structure.members.entry(member.name.to_string().into_owned()).or_insert(offset);
        }
    }
    if let (Some(more), Some(rest)) = (list.continuation, most.checked_sub(1)) {
        read_members(finder, more, structure, rest);
    }
}

/// Where `PageLocation` is in `_MMPFN`: in `u3.e1`, whatever the unions between
/// are called.
fn pfn_database_layout(
    finder: &ItemFinder<'_, TypeIndex>,
    entry_size: u32,
    fields: TypeIndex,
) -> Option<PfnDatabaseLayout> {
    let (u3, kind) = member(finder, fields, b"u3")?;
    let location = page_location(finder, kind, MAX_DEPTH)?;
    Some(PfnDatabaseLayout {
        base: Gva::default(),
        entry_size,
        page_location_offset: u32::try_from(u3 + location).ok()?,
    })
}

/// Offset of the byte that `PageLocation` is in, in a structure or union.
fn page_location(finder: &ItemFinder<'_, TypeIndex>, kind: TypeIndex, depth: usize) -> Option<u64> {
    let depth = depth.checked_sub(1)?;
    let fields = match at(finder, kind)? {
        TypeData::Class(class) => class.fields?,
        TypeData::Union(union) => union.fields,
        _ => return None,
    };
    if let Some((offset, kind)) = member(finder, fields, b"PageLocation") {
        let TypeData::Bitfield(bits) = at(finder, kind)? else { return None };
        // It is read as the low bits of its byte.
        return (bits.position % 8 == 0).then(|| offset + u64::from(bits.position / 8));
    }
    let (offset, kind) = member(finder, fields, b"e1")?;
    Some(offset + page_location(finder, kind, depth)?)
}

/// Offset and type of a member.
fn member(
    finder: &ItemFinder<'_, TypeIndex>,
    fields: TypeIndex,
    name: &[u8],
) -> Option<(u64, TypeIndex)> {
    let TypeData::FieldList(list) = at(finder, fields)? else { return None };
    list.fields.iter().find_map(|field| match field {
        TypeData::Member(member) if member.name.as_bytes() == name => {
            Some((member.offset, member.field_type))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Streams in blocks of 4 KiB, with what the directory says of their sizes.
    fn container(streams: &[(Vec<u8>, u32)]) -> File {
        const BLOCK: usize = 4096;
        let mut file = vec![0; 3 * BLOCK];
        let mut directory = vec![streams.len() as u32];
        directory.extend(streams.iter().map(|(_, size)| *size));
        for (bytes, size) in streams {
            let first = (file.len() / BLOCK) as u32;
            let blocks = bytes.len().div_ceil(BLOCK).max(1) as u32;
            // What is claimed beyond that is the last block again.
            let claimed = (*size as usize).div_ceil(BLOCK) as u32;
            directory.extend((0..claimed).map(|block| first + block.min(blocks - 1)));
            file.extend(bytes);
            file.resize((first + blocks) as usize * BLOCK, 0);
        }
        let directory: Vec<u8> = directory.into_iter().flat_map(u32::to_le_bytes).collect();
        let first = (file.len() / BLOCK) as u32;
        let blocks = directory.len().div_ceil(BLOCK) as u32;
        file.extend(&directory);
        file.resize((first + blocks) as usize * BLOCK, 0);
        let list = (file.len() / BLOCK) as u32;
        file.extend((first..first + blocks).flat_map(u32::to_le_bytes));
        file.resize((list as usize + 1) * BLOCK, 0);
        file[..32].copy_from_slice(b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0");
        let count = (file.len() / BLOCK) as u32;
        let head = [BLOCK as u32, 1, count, directory.len() as u32, 0, list];
        file[32..56].copy_from_slice(&head.map(u32::to_le_bytes).concat());
        let mut out = tempfile::tempfile().unwrap();
        out.write_all(&file).unwrap();
        out
    }

    const IDENTITY: [u8; 16] = *b"0123456789abcdef";

    fn opened(streams: &[(Vec<u8>, u32)]) -> Result<KernelSymbols, String> {
        let identity = PdbIdentity { name: "k.pdb".into(), guid: IDENTITY, age: 1 };
        read(container(streams), &identity)
    }

    fn stream(bytes: Vec<u8>) -> (Vec<u8>, u32) {
        let size = bytes.len() as u32;
        (bytes, size)
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Information, types from 0x1000 up to `last`, debug information without
    /// modules, symbols.
    fn streams(last: u32, types: &[u8]) -> Vec<(Vec<u8>, u32)> {
        let information =
            [&words(&[20_000_404, 1, 1]), &IDENTITY[..], &words(&[0, 0, 1, 1, 0, 0, 0])];
        let mut head = words(&[20_040_203, 56, 0x1000, last, types.len() as u32]);
        head.resize(56, 0xff);
        // No hashed symbols, the records of all in stream 5; sections in stream 6.
        let mut debug = words(&[u32::MAX, 19_990_903, 1, 0xffff, 0xffff, 5]);
        debug.resize(64, 0);
        debug[48] = 22;
        debug.extend([0xff; 22]);
        debug[74..76].copy_from_slice(&[6, 0]);
        vec![
            stream(Vec::new()),
            stream(information.concat()),
            stream([&head, types].concat()),
            stream(debug),
            stream(Vec::new()),
            stream(Vec::new()),
            stream(vec![0; 40]),
        ]
    }

    #[test]
    fn more_types_than_fit_are_not_made_room_for() {
        for last in [0x1000, u32::MAX, 0] {
            let read = opened(&streams(last, &[]));
            assert!(read.unwrap().structures.is_empty(), "{last:#x}");
        }
        // LF_ARGLIST of so many arguments.
        let list = [&[6, 0, 1, 0x12][..], &words(&[u32::MAX])].concat();
        assert!(opened(&streams(0x1001, &list)).is_ok());
    }

    #[test]
    fn a_stream_that_claims_its_blocks_many_times_is_not_read() {
        let mut streams = streams(0x1000, &[]);
        streams[1].1 = 1 << 30;
        let error = opened(&streams).unwrap_err();
        assert!(error.contains("more bytes than"), "{error}");
    }
}
