//! Functions that an image exports, found in its memory.

use super::pe::PeImage;
use super::read;
use crate::target::MemorySource;
use object::pe::IMAGE_DIRECTORY_ENTRY_EXPORT;
use std::cmp::Ordering;
use zerocopy::little_endian::{U16, U32};

/// More names than any image exports.
const MOST: u32 = 1 << 16;
/// Longest name that is compared.
const LONGEST: usize = 64;

/// Offsets in `IMAGE_EXPORT_DIRECTORY`, winnt.h.
const NUMBER_OF_NAMES: u64 = 24;
const ADDRESS_OF_FUNCTIONS: u64 = 28;
const ADDRESS_OF_NAMES: u64 = 32;
const ADDRESS_OF_NAME_ORDINALS: u64 = 36;

/// The address of the function that `image` exports as `name`.
pub(crate) fn address_of(memory: &dyn MemorySource, image: &PeImage, name: &str) -> Option<u64> {
    let directory = image.directory(IMAGE_DIRECTORY_ENTRY_EXPORT)?.start;
    let number = |at: u64| read::<U32>(memory, at).map(U32::get);
    let at = |rva: u32| image.at(rva, 1).map(|range| range.start);
    let table = |offset: u64| at(number(directory.saturating_add(offset))?);
    let functions = table(ADDRESS_OF_FUNCTIONS)?;
    let names = table(ADDRESS_OF_NAMES)?;
    let ordinals = table(ADDRESS_OF_NAME_ORDINALS)?;
    // The names are sorted.
    let mut low = 0;
    let mut high = number(directory.saturating_add(NUMBER_OF_NAMES))?.min(MOST);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = |table: u64, size: u64| table.saturating_add(size * u64::from(middle));
        let found = memory.read_c_string(at(number(entry(names, 4))?)?, LONGEST)?;
        match found.as_slice().cmp(name.as_bytes()) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => {
                let ordinal: U16 = read(memory, entry(ordinals, 2))?;
                let function = functions.saturating_add(4 * u64::from(ordinal.get()));
                return at(number(function)?);
            }
        }
    }
    None
}
