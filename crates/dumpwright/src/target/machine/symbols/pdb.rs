//! Reading a PDB, by the `pdb2` crate.

use super::{KernelSymbols, WANTED};
use crate::target::machine::windows::PdbIdentity;
use crate::target::machine::{Gva, PfnDatabaseLayout};
use pdb2::{FallibleIterator, ItemFinder, PDB, SymbolData, TypeData, TypeIndex, TypeInformation};
use std::fs::File;

/// The largest PDB that is read; a kernel's has some 20 MB.
const MAX_PDB: u64 = 512 << 20;
/// How deep structures are followed into each other.
const MAX_DEPTH: usize = 4;

/// Reads what is wanted of a PDB, if it is the one that belongs to the kernel.
pub(super) fn read(file: File, identity: &PdbIdentity) -> Result<KernelSymbols, String> {
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
        if WANTED.contains(&name.as_ref())
            && let Some(rva) = public.offset.to_rva(&map)
        {
            symbols.addresses.insert(name.into_owned(), rva.0);
        }
    }
    // A PDB can lack types; then the PFN database stays unread.
    symbols.pfn_database_layout =
        pdb.type_information().ok().and_then(|types| pfn_database_layout(&types));
    Ok(symbols)
}

/// Where `PageLocation` is in `_MMPFN`: in `u3.e1`, whatever the unions between
/// are called.
fn pfn_database_layout(types: &TypeInformation<'_>) -> Option<PfnDatabaseLayout> {
    let mut finder = types.finder();
    let mut iterator = types.iter();
    let mut entry = None;
    while let Some(item) = iterator.next().ok()? {
        finder.update(&iterator);
        if let Ok(TypeData::Class(class)) = item.parse()
            && class.name.as_bytes() == b"_MMPFN"
            && !class.properties.forward_reference()
        {
            entry = Some((class.size, class.fields?));
        }
    }
    let (size, fields) = entry?;
    let (u3, kind) = member(&finder, fields, b"u3")?;
    let location = page_location(&finder, kind, MAX_DEPTH)?;
    Some(PfnDatabaseLayout {
        base: Gva::default(),
        entry_size: u32::try_from(size).ok()?,
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
