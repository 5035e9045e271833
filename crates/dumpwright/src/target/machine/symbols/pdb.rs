//! Reading a PDB, by the `pdb2` crate.

use super::{KernelSymbols, Structure, wants_symbol};
use crate::target::machine::windows::{PdbIdentity, wants_type};
use crate::target::machine::{Gva, PfnDatabaseLayout};
use pdb2::{FallibleIterator, ItemFinder, PDB, SymbolData, TypeData, TypeIndex, TypeInformation};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The largest PDB that is read; a kernel's has some 20 MB.
const MAX_PDB: u64 = 512 << 20;
/// What an entry of the PFN database is called.
const PFN_ENTRY: &str = "_MMPFN";
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
    let mut pdb = PDB::open(file).map_err(bad)?;
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
        let Ok(SymbolData::Public(public)) = symbol.parse() else { continue };
        let name = public.name.to_string();
        if wants_symbol(&name)
            && let Some(rva) = public.offset.to_rva(&map)
        {
            symbols.addresses.insert(name.into_owned(), rva.0);
        }
    }
    // A PDB can lack types; then the PFN database stays unread.
    if let Ok(types) = pdb.type_information() {
        read_types(&types, &mut symbols);
    }
    Ok(symbols)
}

/// Reads the structures that are wanted. What of them cannot be read is left out.
fn read_types(types: &TypeInformation<'_>, symbols: &mut KernelSymbols) {
    let mut finder = types.finder();
    let mut iterator = types.iter();
    let mut found = Vec::new();
    while let Ok(Some(item)) = iterator.next() {
        finder.update(&iterator);
        if let Ok(TypeData::Class(class)) = item.parse()
            && !class.properties.forward_reference()
            && let Some(fields) = class.fields
        {
            let name = class.name.to_string();
            if name == PFN_ENTRY || wants_type(&name) {
                found.push((name.into_owned(), class.size, fields));
            }
        }
    }
    for (name, size, fields) in found {
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
    let Ok(Ok(TypeData::FieldList(list))) = finder.find(fields).map(|item| item.parse()) else {
        return;
    };
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
    let fields = match finder.find(kind).ok()?.parse().ok()? {
        TypeData::Class(class) => class.fields?,
        TypeData::Union(union) => union.fields,
        _ => return None,
    };
    if let Some((offset, kind)) = member(finder, fields, b"PageLocation") {
        let TypeData::Bitfield(bits) = finder.find(kind).ok()?.parse().ok()? else { return None };
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
    let TypeData::FieldList(list) = finder.find(fields).ok()?.parse().ok()? else { return None };
    list.fields.iter().find_map(|field| match field {
        TypeData::Member(member) if member.name.as_bytes() == name => {
            Some((member.offset, member.field_type))
        }
        _ => None,
    })
}
