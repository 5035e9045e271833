//! Where threads started: glibc keeps the function that `pthread_create` was
//! given in each thread's descriptor, and says at which offset in the tables
//! that it exports for `libthread_db` (`nptl_db/structs.def`, since 2.34 among
//! the dynamic symbols). musl has no such table.

use super::elf::{Bytes, Image};
use super::maps::Maps;
use crate::target::{Architecture, MemorySource, Protection};
use object::LittleEndian as LE;
use object::elf::{DT_GNU_HASH, DT_STRTAB, DT_SYMTAB, GnuHashHeader, Sym64};
use object::endian::{U32, U64};

/// The library that has the tables.
const LIBRARY: &[u8] = b"libc.so.6";
/// Three words: bits, count and offset of `pthread.start_routine`.
const START_ROUTINE: &[u8] = b"_thread_db_pthread_start_routine";
/// One word: bytes of `struct pthread`.
const SIZE: &[u8] = b"_thread_db_sizeof_pthread";
/// Symbols of one hash that are looked at; more is a damaged table.
const MAX_CHAIN: u64 = 4096;
/// No thread descriptor is larger.
const MAX_DESCRIPTOR: u64 = 1 << 16;

/// Where a thread's descriptor has its start function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) struct ThreadStarts {
    /// From the thread pointer on.
    offset: i64,
}

impl ThreadStarts {
    /// As the process's C library says; `None` where it does not.
    pub fn find<'i>(
        architecture: Architecture,
        images: impl IntoIterator<Item = &'i Image>,
        memory: &dyn MemorySource,
    ) -> Option<Self> {
        let mut images = images.into_iter();
        let library = images.find(|image| image.soname(memory).as_deref() == Some(LIBRARY))?;
        let symbols = Symbols::of(library, memory)?;
        let words = |name, count: usize| {
            let bytes = Bytes::read(memory, symbols.find(name)?, 4 * count)?;
            Some(bytes.structs::<U32<LE>>().iter().map(|w| w.get(LE).into()).collect::<Vec<u64>>())
        };
        let [64, 1, within] = words(START_ROUTINE, 3)?[..] else { return None };
        // Where the thread pointer points: at the descriptor, or behind it.
        let start = match architecture {
            Architecture::Amd64 => 0,
            Architecture::Arm64 => *words(SIZE, 1)?.first()?,
            Architecture::X86 => return None,
        };
        let known = within < MAX_DESCRIPTOR && start < MAX_DESCRIPTOR;
        known.then(|| ThreadStarts { offset: within as i64 - start as i64 })
    }

    /// Where the thread with this thread pointer started, if that is code. The
    /// main thread has none.
    pub fn of(self, thread_pointer: u64, maps: &Maps, memory: &dyn MemorySource) -> Option<u64> {
        let start = memory.read_u64(thread_pointer.checked_add_signed(self.offset)?)?;
        maps.at(start)
            .filter(|mapping| mapping.protection.contains(Protection::EXECUTE))
            .map(|_| start)
    }
}

/// The exported symbols of an image, found by their hash (`DT_GNU_HASH`).
struct Symbols<'a> {
    memory: &'a dyn MemorySource,
    bias: u64,
    strings: u64,
    table: u64,
    buckets: u64,
    bucket_count: u32,
    chains: u64,
    first: u32,
}

impl<'a> Symbols<'a> {
    fn of(image: &Image, memory: &'a dyn MemorySource) -> Option<Self> {
        let dynamic = image.read_dynamic(memory)?;
        // glibc has relocated these in place; where it has not, they are not in
        // the image.
        let address = |tag| dynamic.value(tag).filter(|address| image.contains(*address));
        let hash = address(DT_GNU_HASH)?;
        let bytes = Bytes::read(memory, hash, size_of::<GnuHashHeader<LE>>())?;
        let header = bytes.structs::<GnuHashHeader<LE>>().first()?;
        let bucket_count = header.bucket_count.get(LE);
        let filters = u64::from(header.bloom_count.get(LE)) * size_of::<U64<LE>>() as u64;
        let buckets = hash.checked_add(bytes.as_slice().len() as u64)?.checked_add(filters)?;
        Some(Symbols {
            memory,
            bias: image.bias,
            strings: address(DT_STRTAB)?,
            table: address(DT_SYMTAB)?,
            buckets,
            bucket_count,
            chains: buckets.checked_add(4 * u64::from(bucket_count))?,
            first: header.symbol_base.get(LE),
        })
    }

    /// The address of a symbol.
    fn find(&self, name: &[u8]) -> Option<u64> {
        let hash = object::elf::gnu_hash(name);
        let bucket = hash.checked_rem(self.bucket_count)?;
        let chain = u64::from(self.word(self.buckets, bucket.into())?);
        // An empty bucket names symbol 0.
        let start = chain.checked_sub(self.first.into())?;
        for index in start..start + MAX_CHAIN {
            let other = self.word(self.chains, index)?;
            if (other ^ hash) <= 1 {
                let symbol = self.symbol(index + u64::from(self.first))?;
                let at = self.strings.checked_add(symbol.st_name.get(LE).into())?;
                if self.memory.read_c_string(at, name.len() + 1)? == name {
                    return Some(self.bias.wrapping_add(symbol.st_value.get(LE)));
                }
            }
            // The last one of a chain.
            if other & 1 == 1 {
                return None;
            }
        }
        None
    }

    fn word(&self, table: u64, index: u64) -> Option<u32> {
        let bytes = Bytes::read(self.memory, table.checked_add(4 * index)?, 4)?;
        bytes.structs::<U32<LE>>().first().map(|word| word.get(LE))
    }

    fn symbol(&self, index: u64) -> Option<Sym64<LE>> {
        let size = size_of::<Sym64<LE>>();
        let at = self.table.checked_add(index * size as u64)?;
        Bytes::read(self.memory, at, size)?.structs().first().copied()
    }
}
